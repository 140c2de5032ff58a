//! Rewards of built-in conversations that are stored with a model, so that whoever loads it can see that it still gives them.
//!
//! What is done about a difference is the caller's decision.

use std::path::Path;

use engine::{DType, Device};
use prompt::{EncodeError, Encoded, Processor, Sample};
use serde::{Deserialize, Serialize};

use crate::error::{LoadError, ScoreError, WriteError};
use crate::reward_model::RewardModel;

/// File of the stored rewards in a model folder.
pub const PROBE_FILE: &str = "probe_scores.json";
/// Form of the file.
const FORM: u32 = 1;
/// Largest difference, by the size of a reward, that another CPU tier may make in f32.
const F32_TOLERANCE: f32 = 1e-3;
/// The same in bf16.
const BF16_TOLERANCE: f32 = 5e-2;

/// The stored rewards of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeFile {
    /// Version of this file's form.
    pub form: u32,
    /// One for each compute type and CPU tier that was stored.
    pub scores: Vec<ProbeScores>,
}

/// Rewards of the built-in conversations in one compute type on one CPU tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeScores {
    /// Compute type.
    pub dtype: String,
    /// CPU tier.
    pub tier: String,
    /// Bits of each f32.
    pub reward_bits: Vec<u32>,
}

/// Why there are no probe scores.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The built-in conversations cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// They cannot be scored.
    #[error(transparent)]
    Score(#[from] ScoreError),
    /// The stored scores cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// What a model says of its stored rewards.
#[derive(Debug, Clone, PartialEq)]
pub enum Replay {
    /// The same bits.
    Same,
    /// Stored on another CPU tier, and as close as tiers are.
    Close {
        /// The tier on which they were stored.
        tier: String,
    },
    /// Other rewards.
    Different {
        /// The first conversation that differs, counted from 0.
        index: usize,
        /// What was stored.
        stored: f32,
        /// What came out.
        found: f32,
    },
    /// Nothing is stored for this compute type.
    NotStored,
}

impl ProbeScores {
    /// Scores the built-in conversations.
    ///
    /// # Errors
    /// A processor or a model that cannot take them.
    pub fn compute(
        model: &RewardModel,
        processor: &Processor,
        device: &Device,
        dtype: DType,
    ) -> Result<Self, ProbeError> {
        let Sample { related, other } = Sample::encode(processor)?;
        let conversations: Vec<&Encoded> = related.iter().chain([&other]).collect();
        let rewards = model.score(&conversations)?;
        Ok(Self {
            dtype: dtype.to_string(),
            tier: device.as_cpu().tier().name().to_owned(),
            reward_bits: rewards.into_iter().map(f32::to_bits).collect(),
        })
    }
}

impl ProbeFile {
    /// Reads what a folder stores; a folder need not store anything.
    ///
    /// # Errors
    /// A file that cannot be read or is not of this form.
    pub fn read(folder: &Path) -> Result<Option<Self>, ProbeError> {
        let file = folder.join(PROBE_FILE);
        let text = match std::fs::read(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(LoadError::Read { file, source }.into()),
        };
        let fault =
            |line, column, reason| LoadError::Json { file: file.clone(), line, column, reason };
        let found: Self = serde_json::from_slice(&text)
            .map_err(|error| fault(error.line(), error.column(), error.to_string()))?;
        if found.form != FORM {
            let reason = format!("its form is `{}`, but only `{FORM}` is read", found.form);
            return Err(fault(1, 1, reason).into());
        }
        Ok(Some(found))
    }

    /// Stores the rewards of one compute type in a folder.
    ///
    /// # Errors
    /// Whatever the operating system says.
    pub fn write(folder: &Path, scores: ProbeScores) -> Result<(), WriteError> {
        let file = folder.join(PROBE_FILE);
        let content = Self { form: FORM, scores: vec![scores] };
        let mut text = serde_json::to_string_pretty(&content).expect("probe scores are plain JSON");
        text.push('\n');
        std::fs::write(&file, text).map_err(|source| WriteError::Write { file, source })
    }

    /// Compares with what a model gives now: bit for bit on the tier on which they were stored, otherwise as closely as tiers agree.
    pub fn replay(&self, now: &ProbeScores) -> Replay {
        let of_type = || self.scores.iter().filter(|stored| stored.dtype == now.dtype);
        let same_tier = of_type().find(|stored| stored.tier == now.tier);
        let Some(stored) = same_tier.or_else(|| of_type().next()) else { return Replay::NotStored };
        let tolerance = match (same_tier, now.dtype.as_str()) {
            (Some(_), _) => None,
            (None, "bf16") => Some(BF16_TOLERANCE),
            (None, _) => Some(F32_TOLERANCE),
        };
        let count = stored.reward_bits.len().max(now.reward_bits.len());
        let reward = |bits: &[u32], index: usize| {
            bits.get(index).map_or(f32::NAN, |bits| f32::from_bits(*bits))
        };
        for index in 0..count {
            let (before, found) =
                (reward(&stored.reward_bits, index), reward(&now.reward_bits, index));
            let agrees = match tolerance {
                None => before.to_bits() == found.to_bits(),
                Some(tolerance) => (before - found).abs() <= tolerance * before.abs().max(1.0),
            };
            if !agrees {
                return Replay::Different { index, stored: before, found };
            }
        }
        match tolerance {
            None => Replay::Same,
            Some(_) => Replay::Close { tier: stored.tier.clone() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(dtype: &str, tier: &str, rewards: &[f32]) -> ProbeScores {
        ProbeScores {
            dtype: dtype.to_owned(),
            tier: tier.to_owned(),
            reward_bits: rewards.iter().map(|reward| reward.to_bits()).collect(),
        }
    }

    #[test]
    fn the_same_tier_must_give_the_same_bits_and_another_one_nearly() {
        let file = ProbeFile { form: FORM, scores: vec![scores("f32", "amx", &[1.0, -2.0])] };
        let replay =
            |dtype: &str, tier: &str, rewards: &[f32]| file.replay(&scores(dtype, tier, rewards));
        assert_eq!(replay("f32", "amx", &[1.0, -2.0]), Replay::Same);
        let next = f32::from_bits((-2.0_f32).to_bits() + 1);
        let different = Replay::Different { index: 1, stored: -2.0, found: next };
        assert_eq!(replay("f32", "amx", &[1.0, next]), different);
        let close = Replay::Close { tier: "amx".to_owned() };
        assert_eq!(replay("f32", "portable", &[1.0, next]), close);
        let far = Replay::Different { index: 0, stored: 1.0, found: 1.1 };
        assert_eq!(replay("f32", "portable", &[1.1, -2.0]), far);
        assert_eq!(replay("bf16", "amx", &[1.0, -2.0]), Replay::NotStored);
        assert!(matches!(replay("f32", "amx", &[1.0]), Replay::Different { index: 1, .. }));
    }

    #[test]
    fn what_was_written_is_read_and_anything_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(ProbeFile::read(folder.path()).unwrap(), None);
        let stored = scores("bf16", "amx", &[0.5]);
        ProbeFile::write(folder.path(), stored.clone()).unwrap();
        let read = ProbeFile::read(folder.path()).unwrap().unwrap();
        assert_eq!(read, ProbeFile { form: FORM, scores: vec![stored] });
        std::fs::write(folder.path().join(PROBE_FILE), "{\"form\": 2, \"scores\": []}").unwrap();
        let error = ProbeFile::read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("its form is `2`"), "{error}");
    }
}
