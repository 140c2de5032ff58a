//! The examination of one model folder: does it load, is its head alive, are its rewards numbers and repeatable.

use std::path::Path;
use std::time::{Duration, Instant};

use engine::{DType, Device, Matrix};
use model::checkpoint::{Checkpoint, LM_HEAD};
use model::config::Config;
use model::head_layout::{self, HeadTensors};
use model::{LoadError, Observer};
use page::number;
use prompt::{Encoded, Sample};
use serde::Serialize;

use super::check::Check;
use super::consistency;
use crate::arguments::ComputeType;
use crate::loaded::{Limits, Loaded, stored_type};
use crate::output::sentence;
use crate::sheet;

/// What to do about weights that cannot be right.
const DAMAGED: &str = "copy or download the weights again; if they came out of a training, it has diverged, so take an earlier checkpoint";
/// What to do about rewards that are not repeatable.
const REPORT: &str = "do not trust scores from this tier; report this with the output of `basereward doctor MODEL --json`";

/// What was measured on the way.
#[derive(Debug, Default, Serialize)]
pub(super) struct Findings {
    /// Type that the backbone was computed in.
    pub(super) dtype: Option<String>,
    pub(super) load_secs: Option<f64>,
    /// From the loaded model to the reward of the first response, with encoding.
    pub(super) first_score_secs: Option<f64>,
    /// Tokens of the conversation with the first response.
    pub(super) tokens: Option<usize>,
    /// Of the built-in responses.
    pub(super) rewards: Option<Vec<f32>>,
}

/// Examines a folder. A check that fails ends it where the following ones would make no sense.
pub(super) fn examine(
    folder: &Path,
    device: &Device,
    dtype: Option<ComputeType>,
    available_memory_bytes: Option<u64>,
) -> (Findings, Vec<Check>) {
    let mut examination = Examination { findings: Findings::default(), checks: Vec::new() };
    // What ended it stands among the checks.
    let _ = examination.run(folder, device, dtype, available_memory_bytes);
    (examination.findings, examination.checks)
}

struct Examination {
    findings: Findings,
    checks: Vec<Check>,
}

impl Examination {
    /// All checks in order; `None` when one of them leaves nothing to go on with.
    fn run(
        &mut self,
        folder: &Path,
        device: &Device,
        dtype: Option<ComputeType>,
        available_memory_bytes: Option<u64>,
    ) -> Option<()> {
        let (config, checkpoint, head) = self.open(folder)?;
        let dtype_used = dtype.map_or_else(|| stored_type(&checkpoint), ComputeType::dtype);
        self.check_memory(&checkpoint, dtype_used, available_memory_bytes)?;
        drop(checkpoint);
        let loaded = self.load(folder, device, dtype)?;
        self.check_vocabulary(&config, &loaded);
        let head_is_alive = self.check_head(&head);
        let sample = self.score_first(&loaded)?;
        self.check_finite(&loaded, &sample)?;
        let rewards = self.check_bits(&loaded, &sample)?;
        if head_is_alive {
            self.check_spread(&rewards);
        }
        self.findings.rewards = Some(rewards);
        Some(())
    }

    /// Adds a failed check.
    fn fail(&mut self, subject: &str, detail: impl Into<String>, advice: &str) {
        self.checks.push(Check::failed(subject, detail, advice));
    }

    fn pass(&mut self, subject: &str, detail: impl Into<String>) {
        self.checks.push(Check::passed(subject, detail));
    }

    fn open(&mut self, folder: &Path) -> Option<(Config, Checkpoint, HeadTensors)> {
        let open = || -> Result<_, LoadError> {
            let config = Config::read(folder)?;
            let checkpoint = Checkpoint::open(folder)?;
            let head = head_layout::read(&checkpoint, &config)?;
            Ok((config, checkpoint, head))
        };
        open().map_err(|error| self.fail_to_load(&error.to_string())).ok()
    }

    /// The sentences of loading say themselves what to do.
    fn fail_to_load(&mut self, sentence: &str) {
        let advice = "see the sentence above; `basereward inspect MODEL` shows what is there";
        self.fail("load", sentence, advice);
    }

    fn check_memory(
        &mut self,
        checkpoint: &Checkpoint,
        dtype: DType,
        available_bytes: Option<u64>,
    ) -> Option<()> {
        let used = checkpoint.infos().filter(|info| info.name != LM_HEAD);
        let numbers: usize = used.map(|info| info.shape.iter().product::<usize>()).sum();
        let needed = (numbers * dtype.size_bytes()) as u64;
        let Some(available) = available_bytes else { return Some(()) };
        let sizes = format!(
            "the weights take {} in {dtype}, and {} are available",
            sheet::bytes(needed),
            sheet::bytes(available)
        );
        if needed <= available {
            self.pass("memory", sizes);
            return Some(());
        }
        self.fail("memory", sizes, "close other programs, use --dtype bf16, or a machine with more memory; the model was not loaded");
        None
    }

    fn load(
        &mut self,
        folder: &Path,
        device: &Device,
        dtype: Option<ComputeType>,
    ) -> Option<Loaded> {
        let start = Instant::now();
        match Loaded::open(folder, device, dtype, Limits::default()) {
            Ok(loaded) => {
                let elapsed = start.elapsed();
                self.findings.load_secs = Some(elapsed.as_secs_f64());
                self.findings.dtype = Some(loaded.dtype.to_string());
                self.pass(
                    "load",
                    format!(
                        "every tensor has its place; {} in {}",
                        sheet::seconds(elapsed),
                        loaded.dtype
                    ),
                );
                Some(loaded)
            }
            Err(error) => {
                self.fail_to_load(&sentence(&error));
                None
            }
        }
    }

    fn check_vocabulary(&mut self, config: &Config, loaded: &Loaded) {
        let (tokens, rows) = (loaded.processor.vocabulary_len(), config.text.vocab_size);
        let detail = format!("{tokens} tokens, and {rows} rows in the embedding table");
        if tokens <= rows {
            self.pass("tokenizer", detail);
        } else {
            self.fail("tokenizer", detail, "use the tokenizer.json that belongs to the model");
        }
    }

    /// Whether the head can tell responses apart at all.
    fn check_head(&mut self, head: &HeadTensors) -> bool {
        let faults: Vec<String> = head
            .layers
            .iter()
            .enumerate()
            .flat_map(|(layer_idx, layer)| {
                let weight = fault(&layer.weight, true);
                let bias = layer.bias.as_ref().and_then(|bias| fault(bias, false));
                [
                    weight.map(|fault| format!("the weight of layer {layer_idx} {fault}")),
                    bias.map(|fault| format!("the bias of layer {layer_idx} {fault}")),
                ]
            })
            .flatten()
            .collect();
        if faults.is_empty() {
            let layers = head.layers.len();
            self.pass(
                "head",
                format!("`{}`, {layers} layers, read at {}", head.source_layout, head.position),
            );
            return true;
        }
        self.fail("head", faults.join("; "), "such a head gives every response the same reward, or none; train it, or attach a fresh one to the backbone with `basereward init`");
        false
    }

    fn score_first(&mut self, loaded: &Loaded) -> Option<Sample> {
        let start = Instant::now();
        let sample = match Sample::encode(&loaded.processor) {
            Ok(sample) => sample,
            Err(error) => {
                self.fail("encode", error.to_string(), "copy the tokenizer, the chat template and preprocessor_config.json from the model's original folder");
                return None;
            }
        };
        let first = &sample.related[0];
        self.findings.tokens = Some(first.len());
        self.pass(
            "encode",
            format!(
                "a picture and a question: {} tokens, {} of them for the picture",
                first.len(),
                first.visual_tokens()
            ),
        );
        // Its reward is judged below, with the place of the first number that is not finite.
        if loaded.model.score(&[first]).is_ok() {
            self.findings.first_score_secs = Some(start.elapsed().as_secs_f64());
        }
        Some(sample)
    }

    fn check_finite(&mut self, loaded: &Loaded, sample: &Sample) -> Option<()> {
        let mut census = Census::default();
        let conversations: Vec<&Encoded> = sample.related.iter().collect();
        let tokens: Vec<usize> =
            conversations.iter().map(|one| loaded.model.score_token(one)).collect();
        let rewards = match loaded.model.score_at(&conversations, &tokens, &mut census) {
            Ok(rewards) => rewards,
            Err(error) => {
                self.fail("numbers", error.to_string(), DAMAGED);
                return None;
            }
        };
        if let Some(stage) = &census.first_stage {
            let counted = number::count(census.not_finite);
            self.fail(
                "numbers",
                format!("{counted} numbers are not finite, the first in the stage `{stage}`"),
                DAMAGED,
            );
            return None;
        }
        if rewards.iter().any(|reward| !reward.is_finite()) {
            self.fail(
                "numbers",
                format!(
                    "the rewards are {rewards:?}: not finite, though everything before the head is"
                ),
                DAMAGED,
            );
            return None;
        }
        let time = self.findings.first_score_secs.map(Duration::from_secs_f64).map(sheet::seconds);
        self.pass(
            "numbers",
            format!(
                "no NaN and no infinity in {} stages; first reward after {}",
                census.stages,
                time.unwrap_or_default()
            ),
        );
        Some(())
    }

    fn check_bits(&mut self, loaded: &Loaded, sample: &Sample) -> Option<Vec<f32>> {
        match consistency::check(&loaded.model, &sample.related, &sample.other) {
            Ok(rewards) => {
                self.pass("bits", "same bits alone, in a batch and with a shared prefix");
                Some(rewards)
            }
            Err(reason) => {
                self.fail("bits", reason, REPORT);
                None
            }
        }
    }

    fn check_spread(&mut self, rewards: &[f32]) {
        if rewards.iter().all(|reward| reward.to_bits() == rewards[0].to_bits()) {
            self.fail(
                "rewards",
                format!("three different responses all get {}", rewards[0]),
                "the head ignores what it reads; train it, or take another checkpoint",
            );
        } else {
            self.pass("rewards", format!("three different responses get {rewards:?}"));
        }
    }
}

/// What is wrong with the numbers of one tensor of a head, if anything is.
fn fault(numbers: &[f32], is_weight: bool) -> Option<String> {
    let not_finite = numbers.iter().filter(|number| !number.is_finite()).count();
    if not_finite > 0 {
        return Some(format!("has {not_finite} numbers that are not finite"));
    }
    // Biases begin as zeros, and nothing is wrong with equal ones.
    if !is_weight {
        return None;
    }
    if numbers.iter().all(|number| *number == 0.0) {
        return Some("is all zeros".to_owned());
    }
    let equal = |number: &f32| number.to_bits() == numbers[0].to_bits();
    let constant = numbers.len() > 1 && numbers.iter().all(equal);
    constant.then(|| format!("is {} everywhere", numbers[0]))
}

/// Counts numbers that are not finite, stage by stage.
#[derive(Debug, Default)]
struct Census {
    stages: usize,
    not_finite: u64,
    first_stage: Option<String>,
}

impl Observer for Census {
    fn stage(&mut self, name: &str, value: &Matrix) {
        self.stages += 1;
        let found = value.to_f32().iter().filter(|number| !number.is_finite()).count();
        self.not_finite += found as u64;
        if found > 0 && self.first_stage.is_none() {
            self.first_stage = Some(name.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_that_cannot_tell_responses_apart_is_named() {
        assert_eq!(fault(&[0.0, -0.0], true).as_deref(), Some("is all zeros"));
        assert_eq!(fault(&[0.5, 0.5], true).as_deref(), Some("is 0.5 everywhere"));
        assert_eq!(fault(&[0.5, -0.5], true), None);
        assert_eq!(fault(&[0.5], true), None);
    }

    #[test]
    fn a_bias_of_zeros_is_in_order_but_nan_is_not() {
        assert_eq!(fault(&[0.0; 4], false), None);
        assert!(fault(&[0.0, f32::NAN], false).is_some());
    }

    #[test]
    fn the_first_stage_with_a_number_that_is_not_finite_is_kept() {
        let mut census = Census::default();
        census.stage("one", &Matrix::from_vec(1, 2, vec![1.0_f32, 2.0]));
        census.stage("two", &Matrix::from_vec(1, 2, vec![f32::NAN, f32::INFINITY]));
        census.stage("three", &Matrix::from_vec(1, 2, vec![f32::NAN, 0.0]));
        assert_eq!((census.stages, census.not_finite), (3, 3));
        assert_eq!(census.first_stage.as_deref(), Some("two"));
    }
}
