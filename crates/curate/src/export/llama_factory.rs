//! Rows for LLaMA-Factory: rankings in sharegpt form, and the description that makes its loader find them.
//!
//! # Source
//! LLaMA-Factory, `data/README.md`, "Preference Dataset" (sharegpt), and its converter: turns are from `human` and `gpt` by turns and begin with
//! `human`, what the system says stands apart, an answer is one message.

use prompt::{Message, Part};
use serde_json::{Map, Value, json};

use super::marks::marked;
use super::{Pair, Survey, Unsaid};
use crate::shard::Split;

/// File that names the data sets of a folder.
pub(super) const DESCRIPTION: &str = "dataset_info.json";

/// The row of a pair.
pub(super) fn row(pair: &Pair<'_>, survey: Survey) -> Result<Value, Unsaid> {
    let (system, turns) = match pair.prompt.split_first() {
        Some((first, turns)) if first.role == "system" => (system(first)?, turns),
        _ => (String::new(), pair.prompt),
    };
    let is_in_turn = |(index, turn): (usize, &Message)| {
        turn.role == if index % 2 == 0 { "user" } else { "assistant" }
    };
    if turns.len() % 2 == 0 || !turns.iter().enumerate().all(is_in_turn) {
        return Err("the prompt is not by turns of `user` and `assistant`");
    }
    let conversations: Vec<Value> = turns.iter().map(said).collect::<Result<_, _>>()?;
    let mut row = json!({
        "id": pair.id,
        "source": pair.source,
        "system": system,
        "conversations": conversations,
        "chosen": only(pair.chosen)?,
        "rejected": only(pair.rejected)?,
    });
    if survey.has_pictures {
        row["images"] = json!(pair.images);
    }
    Ok(row)
}

/// The description of the files of `splits`.
pub(super) fn description(splits: &[Split], has_pictures: bool) -> Value {
    let mut columns = json!({
        "messages": "conversations", "chosen": "chosen", "rejected": "rejected", "system": "system",
    });
    if has_pictures {
        columns["images"] = json!("images");
    }
    let entry = |split: &Split| {
        let name = split.name();
        let entry = json!({
            "file_name": format!("{name}.json"), "formatting": "sharegpt", "ranking": true, "columns": columns,
        });
        (format!("basereward_{name}"), entry)
    };
    Value::Object(splits.iter().map(entry).collect::<Map<String, Value>>())
}

fn system(message: &Message) -> Result<String, Unsaid> {
    if message.content.iter().all(|part| matches!(part, Part::Text(_))) {
        marked(message)
    } else {
        Err("a picture stands in what the system says")
    }
}

fn only(answer: &[Message]) -> Result<Value, Unsaid> {
    match answer {
        [message] => said(message),
        _ => Err("an answer has several messages"),
    }
}

fn said(message: &Message) -> Result<Value, Unsaid> {
    let speaker = if message.role == "assistant" { "gpt" } else { "human" };
    Ok(json!({"from": speaker, "value": marked(message)?}))
}
