//! Ranking files of LLaMA-Factory in alpaca form.
//!
//! # Source
//! LLaMA-Factory, `data/README.md`, "Preference Dataset" (alpaca): the instruction and the input are one text, with a line break between.

use std::path::Path;

use prompt::Draft;

use super::pair::chosen_and_rejected;
use super::placing::Layout;
use super::{Written, pair_preference};
use crate::error::RowFault;
use crate::fields::{list, optional_text, required, text};
use crate::messages::said;
use crate::pictures::listed;
use crate::value::Value;

pub(super) const KEYS: &[&str] =
    &["instruction", "input", "system", "history", "chosen", "rejected"];

pub(super) fn read(row: &Value, base_dir: &Path) -> Result<Written, RowFault> {
    let mut prompt: Vec<Draft> = system(row)?.into_iter().collect();
    prompt.extend(history(row)?);
    let instruction = text(required(row, "instruction")?, "instruction")?;
    let input = optional_text(row, "input")?.unwrap_or_default();
    let asked: Vec<&str> =
        [instruction, input].into_iter().filter(|text| !text.is_empty()).collect();
    prompt.push(said("user", asked.join("\n")));
    let layout = Layout::Apart {
        prompt_key: "instruction",
        prompt,
        responses: chosen_and_rejected(row, base_dir)?,
        images: listed(row, base_dir)?,
    };
    Ok(Written { layout, preference: pair_preference(row)? })
}

/// The system message, unless it is absent or empty.
pub(super) fn system(row: &Value) -> Result<Option<Draft>, RowFault> {
    let text = optional_text(row, "system")?.filter(|text| !text.is_empty());
    Ok(text.map(|text| said("system", text)))
}

/// Earlier turns: pairs of what was asked and what was answered.
fn history(row: &Value) -> Result<Vec<Draft>, RowFault> {
    let Some(value) = row.get("history") else { return Ok(Vec::new()) };
    let mut drafts = Vec::new();
    for (index, turn) in list(value, "history")?.iter().enumerate() {
        let key = format!("history[{index}]");
        let [asked, answered] = list(turn, &key)? else {
            let (expected, found) =
                ("a list of a question and an answer", "a list of another length");
            return Err(RowFault::Mistyped { key, expected, found });
        };
        drafts.push(said("user", text(asked, &format!("{key}[0]"))?));
        drafts.push(said("assistant", text(answered, &format!("{key}[1]"))?));
    }
    Ok(drafts)
}
