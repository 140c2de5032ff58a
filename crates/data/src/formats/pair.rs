//! Pairs with an explicit prompt: the plain form, TRL's standard and conversational forms, and `question` as RLAIF-V and MMPR call it.
//!
//! # Source
//! TRL, dataset formats, "Preference"; the data cards of RLAIF-V and MMPR.

use std::path::Path;

use super::placing::{DraftResponse, Layout};
use super::{Written, pair_preference};
use crate::error::RowFault;
use crate::fields::required;
use crate::messages::{prompt, response};
use crate::pictures::listed;
use crate::value::Value;

pub(super) const KEYS: &[&str] = &["prompt", "question", "chosen", "rejected"];

/// Keys of the prompt, the usual one first.
pub(super) const PROMPT_KEYS: [&str; 2] = ["prompt", "question"];

pub(super) fn read(row: &Value, base_dir: &Path) -> Result<Written, RowFault> {
    let usual = PROMPT_KEYS[0];
    let prompt_key = PROMPT_KEYS.into_iter().find(|key| row.get(key).is_some()).unwrap_or(usual);
    let layout = Layout::Apart {
        prompt_key,
        prompt: prompt(required(row, prompt_key)?, prompt_key, base_dir)?,
        responses: chosen_and_rejected(row, base_dir)?,
        images: listed(row, base_dir)?,
    };
    Ok(Written { layout, preference: pair_preference(row)? })
}

/// The two responses of a pair, the better one first.
pub(super) fn chosen_and_rejected(
    row: &Value,
    base_dir: &Path,
) -> Result<Vec<DraftResponse>, RowFault> {
    let read = |key: &str| {
        let messages = response(required(row, key)?, key, base_dir)?;
        Ok::<_, RowFault>(DraftResponse { key: key.to_owned(), messages })
    };
    Ok(vec![read("chosen")?, read("rejected")?])
}
