//! One line of the input of `score`: pictures, a prompt or messages, and the responses to compare.
//!
//! Parsing is strict: an unknown or repeated field is an error. Files are named here and not opened.

mod content;
mod json;
mod places;

use std::path::Path;

use crate::conversation::{Conversation, ImageSource, Message, Part};
use content::{Pictures, RawContent};
use json::RawRow;
pub use places::{Draft, DraftContent, Piece, count_places, place};

/// Row that cannot be scored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// The line is not a JSON object of the known fields.
    #[error("line {line}, column {column}: {reason}")]
    Malformed {
        /// Number of the line, counted from 1.
        line: usize,
        /// Number of the character in the line, counted from 1.
        column: usize,
        /// What the parser said.
        reason: String,
    },
    /// Nothing to score.
    #[error("`responses` is empty; give at least one response")]
    NoResponses,
    /// A response without text.
    #[error("response {index} (counted from 0) is empty; a reward needs a text")]
    EmptyResponse {
        /// Index of the response.
        index: usize,
    },
    /// Both ways to give the conversation at once.
    #[error("the row has both `prompt` and `messages`; give one of them")]
    PromptAndMessages,
    /// Neither way to give the conversation.
    #[error("the row has neither `prompt` nor `messages`; give one of them")]
    NoPrompt,
    /// An empty list of messages.
    #[error("`messages` is empty; give at least one message from `user`")]
    NoMessages,
    /// A role that chat templates do not know.
    #[error("message {index} has the role `{role}`; use `system`, `user` or `assistant`")]
    UnknownRole {
        /// Index of the message, counted from 0.
        index: usize,
        /// The role.
        role: String,
    },
    /// The conversation ends with an answer already.
    #[error(
        "the last of `messages` is from `assistant`; put the answers to score into `responses`"
    )]
    EndsWithAssistant,
    /// Placeholders and pictures differ in number.
    #[error(
        "the number of {kind} placeholders is {placeholders}, but the number of {kind}s given is {given}; make them equal"
    )]
    PictureCount {
        /// `image` or `video`.
        kind: &'static str,
        /// Placeholders in all texts and parts.
        placeholders: usize,
        /// Pictures or videos in the row's own list.
        given: usize,
    },
    /// No message that pictures could stand in.
    #[error("images or videos are given, but no message from `user` that could hold them")]
    NoUserMessage,
    /// A picture on the network.
    #[error(
        "`{url}` is on the network, and nothing is downloaded; save the file and give its path, or give a data: URL"
    )]
    RemoteImage {
        /// The address.
        url: String,
    },
    /// A data: URL that is not base64.
    #[error("{label} is not a data: URL with base64 content: {reason}")]
    DataUrl {
        /// Which picture.
        label: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A part that lacks what its type needs.
    #[error("message {message}, part {part}: {reason}")]
    Part {
        /// Index of the message, counted from 0.
        message: usize,
        /// Index of the part, counted from 0.
        part: usize,
        /// What is wrong with it.
        reason: String,
    },
}

/// Question with its pictures and the responses to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Name of the row in the output.
    pub id: String,
    /// Answers to score, each on its own.
    pub responses: Vec<String>,
    question: Question,
    pictures: Pictures,
}

/// The two ways to give the conversation before the response, or a mistake to report.
#[derive(Debug, Clone, PartialEq)]
enum Question {
    Prompt(String),
    Messages(Vec<(String, RawContent)>),
    Both,
    Neither,
}

impl Row {
    /// Parses one line of JSON; relative paths of images start at `base_dir`. A row without `id` is named by its line.
    ///
    /// What a row asks for is judged by [`Row::conversations`], so that its failure can be reported under its id.
    ///
    /// # Errors
    /// When the line is not a JSON object, or has an unknown, repeated, missing or mistyped field.
    pub fn parse(line: &str, line_number: usize, base_dir: &Path) -> Result<Self, RowError> {
        let raw: RawRow = json::parse(line).map_err(|fault| RowError::Malformed {
            line: line_number,
            column: fault.column,
            reason: fault.reason,
        })?;
        let question = match (raw.prompt, raw.messages) {
            (Some(prompt), None) => Question::Prompt(prompt),
            (None, Some(messages)) => Question::Messages(
                messages.into_iter().map(|message| (message.role, message.content)).collect(),
            ),
            (Some(_), Some(_)) => Question::Both,
            (None, None) => Question::Neither,
        };
        Ok(Self {
            id: raw.id.unwrap_or_else(|| line_number.to_string()),
            responses: raw.responses,
            question,
            pictures: Pictures::unresolved(raw.images, raw.videos, base_dir),
        })
    }

    /// Row of one prompt, in which `<image>` marks the places of the images; without a mark they come first.
    pub fn new(
        id: impl Into<String>,
        images: Vec<ImageSource>,
        prompt: impl Into<String>,
        responses: Vec<String>,
    ) -> Self {
        Self {
            id: id.into(),
            responses,
            question: Question::Prompt(prompt.into()),
            pictures: Pictures::resolved(images),
        }
    }

    /// One conversation for each response: the same messages, then the response as the assistant's turn.
    ///
    /// # Errors
    /// When there is nothing to score, the messages do not make a conversation, or the pictures do not match their places.
    pub fn conversations(&self) -> Result<Vec<Conversation>, RowError> {
        if self.responses.is_empty() {
            return Err(RowError::NoResponses);
        }
        if let Some(index) = self.responses.iter().position(String::is_empty) {
            return Err(RowError::EmptyResponse { index });
        }
        let messages = self.messages()?;
        Ok(self
            .responses
            .iter()
            .map(|response| {
                let mut messages = messages.clone();
                messages.push(Message {
                    role: "assistant".to_owned(),
                    content: vec![Part::Text(response.clone())],
                });
                Conversation { messages }
            })
            .collect())
    }

    fn messages(&self) -> Result<Vec<Message>, RowError> {
        match &self.question {
            Question::Both => Err(RowError::PromptAndMessages),
            Question::Neither => Err(RowError::NoPrompt),
            Question::Prompt(prompt) => {
                let message = ("user".to_owned(), RawContent::Text(prompt.clone()));
                self.pictures.place(std::slice::from_ref(&message))
            }
            Question::Messages(messages) => {
                check_roles(messages)?;
                self.pictures.place(messages)
            }
        }
    }
}

fn check_roles(messages: &[(String, RawContent)]) -> Result<(), RowError> {
    for (index, (role, _)) in messages.iter().enumerate() {
        if !matches!(role.as_str(), "system" | "user" | "assistant") {
            return Err(RowError::UnknownRole { index, role: role.clone() });
        }
    }
    match messages.last() {
        None => Err(RowError::NoMessages),
        Some((role, _)) if role == "assistant" => Err(RowError::EndsWithAssistant),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
