//! What sources with pictures have in common: comparisons under listed pictures, JSON within texts, parts of longer texts.
//!
//! Where a picture stands among several is decided in `formats::placing`.

use std::sync::Arc;

use prompt::{Draft, ImageSource};

use crate::comparison::Preference;
use crate::error::RowFault;
use crate::formats::{Parsed, apart, whole};
use crate::messages::said;
use crate::value::{Value, parse_json};

/// Where a listed picture stands in a text.
pub(super) const MARK: &str = "<image>";

/// A comparison of texts that answer a text with pictures, each response under its key. Marks in the prompt are places of the pictures; without
/// any, the pictures precede it.
pub(super) fn pictured(
    prompt_key: &'static str,
    prompt: String,
    responses: Vec<(String, String)>,
    images: Vec<Arc<ImageSource>>,
    preference: Preference,
) -> Result<Parsed, RowFault> {
    let spoken = |(key, text)| (key, vec![said("assistant", text)]);
    let responses = responses.into_iter().map(spoken).collect();
    let (prompt, responses) = apart(prompt_key, vec![said("user", prompt)], responses, images)?;
    Ok(Parsed { prompt, responses, preference })
}

/// A pair of whole conversations about the same pictures, the better one first.
pub(super) fn pictured_conversations(
    keys: [&'static str; 2],
    conversations: [Vec<Draft>; 2],
    images: Vec<Arc<ImageSource>>,
) -> Result<Parsed, RowFault> {
    let (prompt, responses) = whole(keys, conversations, images)?;
    Ok(Parsed { prompt, responses, preference: Preference::first_of_two() })
}

/// A question below the marks of its pictures, one line for each.
pub(super) fn below_marks(question: &str, num_images: usize) -> String {
    format!("{}{question}", format!("{MARK}\n").repeat(num_images))
}

/// The JSON in the text of a key; other values stand for themselves.
pub(super) fn unpacked(value: &Value, key: &'static str) -> Result<Value, RowFault> {
    let Value::Text(text) = value else { return Ok(value.clone()) };
    parse_json(text).map_err(|fault| match fault {
        RowFault::Malformed { column, reason } => RowFault::JsonText { key, column, reason },
        other => other,
    })
}

/// The texts before and after a label: the first such label for which what stands before it `fits`.
pub(super) fn cut_at<'a>(
    text: &'a str,
    label: &str,
    fits: impl Fn(&str) -> bool,
) -> Option<(&'a str, &'a str)> {
    let (at, _) = text.match_indices(label).find(|(at, _)| fits(&text[..*at]))?;
    Some((&text[..at], &text[at + label.len()..]))
}
