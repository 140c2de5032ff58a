//! Pairs of whole conversations; what both begin with is the prompt.
//!
//! Three ways to write one: messages, a transcript of `Human:` and `Assistant:` turns, and a plain text. A `prompt` beside whole conversations
//! repeats what they begin with and is not read.
//!
//! # Source
//! TRL, dataset formats, "Preference" with an implicit prompt, and `extract_prompt`. TRL cuts plain texts at the first different character; here
//! they are cut before the first different word, so that a response does not begin within one. Transcripts are those of hh-rlhf.

use std::path::Path;

use prompt::Draft;

use super::placing::{DraftResponse, Layout};
use super::{Written, pair_preference};
use crate::error::RowFault;
use crate::fields::{mistyped, required};
use crate::messages::{messages, said};
use crate::pictures::listed;
use crate::value::Value;

pub(super) const KEYS: &[&str] = &["prompt", "question", "chosen", "rejected"];

const TRANSCRIPT_TURNS: [(&str, &str); 2] =
    [("\n\nHuman:", "user"), ("\n\nAssistant:", "assistant")];

/// Whether `chosen` holds more than a response: messages that do not begin with the assistant's.
pub(super) fn is_whole(row: &Value) -> bool {
    let Some(Value::List(messages)) = row.get("chosen") else { return false };
    let role = messages.first().and_then(|first| first.get("role").or_else(|| first.get("from")));
    matches!(role, Some(Value::Text(role)) if !matches!(role.as_str(), "assistant" | "gpt" | "bot"))
}

pub(super) fn read(row: &Value, base_dir: &Path) -> Result<Written, RowFault> {
    let (chosen, rejected) = (required(row, "chosen")?, required(row, "rejected")?);
    let images = listed(row, base_dir)?;
    let layout = match (chosen, rejected) {
        (Value::Text(chosen), Value::Text(rejected)) => {
            if is_transcript(chosen) && is_transcript(rejected) {
                whole([transcript(chosen), transcript(rejected)], images)
            } else {
                let (prompt, [chosen, rejected]) = cut(chosen, rejected)?;
                let response = |key: &str, text: &str| DraftResponse {
                    key: key.to_owned(),
                    messages: vec![said("assistant", text)],
                };
                Layout::Apart {
                    prompt_key: "chosen",
                    prompt: vec![said("user", prompt)],
                    responses: vec![response("chosen", chosen), response("rejected", rejected)],
                    images,
                }
            }
        }
        (Value::List(_), Value::List(_)) => {
            let conversation = |value, key| messages(value, key, base_dir);
            whole([conversation(chosen, "chosen")?, conversation(rejected, "rejected")?], images)
        }
        (Value::Text(_), other) => return Err(mistyped(other, "rejected", "a text like `chosen`")),
        (Value::List(_), other) => {
            return Err(mistyped(other, "rejected", "a list of messages like `chosen`"));
        }
        (other, _) => return Err(mistyped(other, "chosen", "a text or a list of messages")),
    };
    Ok(Written { layout, preference: pair_preference(row)? })
}

fn whole(conversations: [Vec<Draft>; 2], images: super::placing::Listed) -> Layout {
    Layout::Whole { keys: ["chosen", "rejected"], conversations, images: [images.clone(), images] }
}

fn is_transcript(text: &str) -> bool {
    text.starts_with(TRANSCRIPT_TURNS[0].0)
}

/// The turns of a transcript, each without the white space around it.
pub(crate) fn transcript(text: &str) -> Vec<Draft> {
    let mut drafts = Vec::new();
    let mut rest = text;
    while let Some((mark, role)) = TRANSCRIPT_TURNS.iter().find(|(mark, _)| rest.starts_with(mark))
    {
        let turn = &rest[mark.len()..];
        let end = TRANSCRIPT_TURNS.iter().filter_map(|(mark, _)| turn.find(mark)).min();
        let end = end.unwrap_or(turn.len());
        drafts.push(said(role, turn[..end].trim()));
        rest = &turn[end..];
    }
    drafts
}

/// The words that both texts begin with, and the rest of each.
fn cut<'a>(chosen: &'a str, rejected: &'a str) -> Result<(&'a str, [&'a str; 2]), RowFault> {
    let mut common = 0;
    let mut word_start = 0;
    for (first, second) in chosen.chars().zip(rejected.chars()) {
        if first != second {
            break;
        }
        common += first.len_utf8();
        if first.is_whitespace() {
            word_start = common;
        }
    }
    let goes_on = |text: &str| text[common..].starts_with(char::is_whitespace);
    let end = if goes_on(chosen) && goes_on(rejected) { common } else { word_start };
    let prompt = chosen[..end].trim_end();
    if prompt.is_empty() {
        return Err(RowFault::NoCommonPrompt { chosen: "chosen", rejected: "rejected" });
    }
    Ok((prompt, [chosen[end..].trim_start(), rejected[end..].trim_start()]))
}
