//! Rows for ms-swift: the good conversation, and what is different in the bad one.
//!
//! # Source
//! ms-swift, "Custom Dataset", RLHF: `messages` with `rejected_response`, or with `rejected_messages` where more than the last message
//! differs; `images` in the order of the marks; `margin` for reward models.

use prompt::Message;
use serde_json::{Value, json};

use super::marks::marked;
use super::{Pair, Survey, Unsaid};

/// The row of a pair.
pub(super) fn row(pair: &Pair<'_>, survey: Survey) -> Result<Value, Unsaid> {
    let mut row = json!({
        "id": pair.id,
        "source": pair.source,
        "messages": conversation(pair.prompt, pair.chosen)?,
    });
    match (pair.chosen, pair.rejected) {
        ([_], [rejected]) => row["rejected_response"] = json!(marked(rejected)?),
        _ => row["rejected_messages"] = conversation(pair.prompt, pair.rejected)?,
    }
    if survey.has_pictures {
        row["images"] = json!(pair.images);
    }
    if survey.has_margins {
        row["margin"] = json!(pair.margin);
    }
    Ok(row)
}

fn conversation(prompt: &[Message], answer: &[Message]) -> Result<Value, Unsaid> {
    let said = |message: &Message| Ok(json!({"role": message.role, "content": marked(message)?}));
    prompt.iter().chain(answer).map(said).collect()
}
