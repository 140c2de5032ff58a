//! Ranking files of LLaMA-Factory in sharegpt form.
//!
//! # Source
//! LLaMA-Factory, `data/README.md`, "Preference Dataset" (sharegpt): `conversations` ends with the question, `chosen` and `rejected` are one
//! message each. Tool calls and their results are not read.

use std::path::Path;

use super::llama_factory_alpaca::system;
use super::pair::chosen_and_rejected;
use super::placing::Layout;
use super::{Written, pair_preference};
use crate::error::RowFault;
use crate::fields::required;
use crate::messages::messages;
use crate::pictures::listed;
use crate::value::Value;

pub(super) const KEYS: &[&str] = &["conversations", "system", "chosen", "rejected"];

pub(super) fn read(row: &Value, base_dir: &Path) -> Result<Written, RowFault> {
    let conversations = required(row, "conversations")?;
    let mut prompt: Vec<_> = system(row)?.into_iter().collect();
    prompt.extend(messages(conversations, "conversations", base_dir)?);
    let layout = Layout::Apart {
        prompt_key: "conversations",
        prompt,
        responses: chosen_and_rejected(row, base_dir)?,
        images: listed(row, base_dir)?,
    };
    Ok(Written { layout, preference: pair_preference(row)? })
}
