//! Preference rows of NeMo-RL: a context and completions with ranks, the lowest the best.
//!
//! # Source
//! NeMo-RL, `PreferenceDataset`. It trains on the first two ranks; here all completions are kept.

use std::path::Path;

use super::Written;
use super::placing::{DraftResponse, Layout};
use super::ranked::ranks_from_best;
use crate::comparison::Preference;
use crate::error::RowFault;
use crate::fields::{list, number, required};
use crate::messages::{prompt, response};
use crate::pictures::listed;
use crate::value::Value;

pub(super) const KEYS: &[&str] = &["context", "completions"];

pub(super) fn read(row: &Value, base_dir: &Path) -> Result<Written, RowFault> {
    let completions = list(required(row, "completions")?, "completions")?;
    if completions.len() < 2 {
        let (key, found) = ("completions", completions.len());
        return Err(RowFault::TooFewResponses { key, found });
    }
    let mut responses = Vec::new();
    let mut ranks = Vec::new();
    for (index, completion) in completions.iter().enumerate() {
        let inside = |name: &str| {
            let key = format!("completions[{index}].{name}");
            match completion.get(name) {
                Some(value) => Ok((value, key)),
                None => Err(RowFault::Missing { key }),
            }
        };
        let (rank, rank_key) = inside("rank")?;
        ranks.push(number(rank, &rank_key)?);
        let (said, key) = inside("completion")?;
        responses.push(DraftResponse { messages: response(said, &key, base_dir)?, key });
    }
    let layout = Layout::Apart {
        prompt_key: "context",
        prompt: prompt(required(row, "context")?, "context", base_dir)?,
        responses,
        images: listed(row, base_dir)?,
    };
    let ranks = ranks_from_best(&ranks);
    Ok(Written {
        layout,
        preference: Preference { ranks, scores: None, margin: None, soft_label: None },
    })
}
