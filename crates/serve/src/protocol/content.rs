//! Messages, and pairs of a question and an answer, to questions: what protocols send that render nothing themselves.
//!
//! A mark such as `<image>` in their texts is plain text, for no picture is listed beside them.

use prompt::{WrittenContent, WrittenMessage, WrittenPart, WrittenResponse, WrittenRow};
use serde::Deserialize;
use serde_json::Value;

use crate::error::ApiError;
use crate::request::{Asked, Names};

/// A question or an answer with its place in the body.
pub(crate) struct Item {
    pub(crate) place: String,
    content: WrittenContent,
}

/// Content with pictures, as vLLM writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenItem {
    content: Vec<WrittenPart>,
}

impl Item {
    /// A text that stands at a place.
    pub(crate) fn text(place: impl Into<String>, text: impl Into<String>) -> Self {
        Self { place: place.into(), content: WrittenContent::plain(text) }
    }

    /// Reads a text, or an object with parts in `content`.
    ///
    /// # Errors
    /// Anything else, with its place.
    pub(crate) fn read(place: String, value: &Value) -> Result<Self, ApiError> {
        if let Value::String(text) = value {
            return Ok(Self::text(place, text));
        }
        if !value.is_object() {
            let message = "it must be a text, or an object with a list of parts in `content`";
            return Err(ApiError::invalid("invalid_request", message).at(place));
        }
        match serde_path_to_error::deserialize(value) {
            Ok(WrittenItem { content }) => {
                Ok(Self { place, content: WrittenContent::Parts(content) })
            }
            Err(error) => {
                let path = error.path().to_string();
                let at = if path == "." { place } else { format!("{place}.{path}") };
                Err(ApiError::invalid("invalid_request", error.into_inner().to_string()).at(at))
            }
        }
    }

    /// Reads one item, or a list of items.
    ///
    /// # Errors
    /// As [`Item::read`].
    pub(crate) fn read_all(key: &str, value: &Value) -> Result<Vec<Self>, ApiError> {
        match value {
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| Self::read(format!("{key}[{index}]"), item))
                .collect(),
            one => Ok(vec![Self::read(key.to_owned(), one)?]),
        }
    }
}

/// One question of a user with its answers, which share all that is before them.
pub(crate) fn answers_to(query: &Item, answers: Vec<Item>) -> Asked {
    let place =
        |(index, answer): (usize, &Item)| (format!("responses[{index}]"), answer.place.clone());
    let mut names: Vec<(String, String)> = answers.iter().enumerate().map(place).collect();
    names.push(("messages[0]".to_owned(), query.place.clone()));
    let question = WrittenMessage { role: "user".to_owned(), content: query.content.clone() };
    let answers = answers.into_iter().map(|answer| answer.content).collect();
    asked(vec![question], answers, Names::new(names))
}

/// A conversation whose last message is the answer.
///
/// # Errors
/// When the last message is not from `assistant`.
pub(crate) fn conversation(mut messages: Vec<WrittenMessage>) -> Result<Asked, ApiError> {
    let Some(answer) = messages.pop_if(|message| message.role == "assistant") else {
        let message = "the last message must be from `assistant`: it is the answer that is scored";
        return Err(ApiError::invalid("no_response", message).at("messages"));
    };
    let place = format!("messages[{}]", messages.len());
    let names = Names::new([("responses[0]", place)]);
    let plain = |message: WrittenMessage| WrittenMessage {
        content: message.content.without_marks(),
        ..message
    };
    let messages = messages.into_iter().map(plain).collect();
    Ok(asked(messages, vec![answer.content.without_marks()], names))
}

fn asked(messages: Vec<WrittenMessage>, answers: Vec<WrittenContent>, names: Names) -> Asked {
    let answer = |content| {
        WrittenResponse::Message(WrittenMessage { role: "assistant".to_owned(), content })
    };
    let written = WrittenRow {
        id: None,
        images: Vec::new(),
        videos: Vec::new(),
        prompt: None,
        messages: Some(messages),
        responses: answers.into_iter().map(answer).collect(),
    };
    Asked::new(written, names)
}
