//! Rows for TRL: preferences with an explicit prompt, conversational.
//!
//! # Source
//! TRL, "Dataset formats": `prompt`, `chosen` and `rejected` are lists of messages; with pictures, `images` lists them and contents are lists of
//! typed parts. `margin` is a column of its reward trainer.

use prompt::{Message, Part};
use serde_json::{Value, json};

use super::{Pair, Survey, Unsaid, marks};

/// The row of a pair. Contents are texts in sets without pictures, because templates of text models read nothing else.
pub(super) fn row(pair: &Pair<'_>, survey: Survey) -> Result<Value, Unsaid> {
    let messages = |messages: &[Message]| {
        messages.iter().map(|one| message(one, survey)).collect::<Result<Vec<_>, _>>()
    };
    let mut row = json!({
        "id": pair.id,
        "source": pair.source,
        "prompt": messages(pair.prompt)?,
        "chosen": messages(pair.chosen)?,
        "rejected": messages(pair.rejected)?,
    });
    if survey.has_pictures {
        row["images"] = json!(pair.images);
    }
    if survey.has_margins {
        row["margin"] = json!(pair.margin);
    }
    Ok(row)
}

fn message(message: &Message, survey: Survey) -> Result<Value, Unsaid> {
    let content = if survey.has_pictures {
        message.content.iter().map(part).collect::<Result<Value, _>>()?
    } else {
        Value::String(marks::marked(message)?)
    };
    Ok(json!({"role": message.role, "content": content}))
}

fn part(part: &Part) -> Result<Value, Unsaid> {
    match part {
        Part::Text(text) => Ok(json!({"type": "text", "text": text})),
        Part::Image(_) => Ok(json!({"type": "image", "text": null})),
        Part::Video(_) => Err("a video"),
    }
}
