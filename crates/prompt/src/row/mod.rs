//! One line of the input of `score`: pictures, a prompt or messages, and the responses to compare.
//!
//! Parsing is strict: an unknown or repeated field is an error. Files are named here and not opened.

mod content;
mod places;
mod written;

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use crate::conversation::{Conversation, ImageSource, Message, Part};
pub use content::Open;
use content::Pictures;
pub use places::{Draft, DraftContent, Piece, count_places, place};
pub use written::{
    WrittenContent, WrittenDetail, WrittenFrames, WrittenMessage, WrittenPart, WrittenResponse,
    WrittenRow, WrittenUrl, WrittenVideo,
};

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
    /// An answer of messages that are not the assistant's.
    #[error("response {index} (counted from 0) must begin and end with a message from `assistant`")]
    ResponseRoles {
        /// Index of the response.
        index: usize,
    },
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
    #[error("{}: {reason}", place.words)]
    Part {
        /// Where it stands.
        place: Box<Place>,
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
    pub responses: Vec<WrittenResponse>,
    question: Question,
    pictures: Pictures,
}

/// Where something stands in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// In words; everything is counted from 0.
    pub words: String,
    /// As a path of keys such as `messages[0].content[1]`.
    pub path: String,
}

/// A picture that a row names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture<'a> {
    /// Path or URL as written.
    pub written: &'a str,
    /// Name of the picture in messages for people.
    pub label: String,
    /// Where it stands in the row, as a path of keys such as `messages[0].content[1]`.
    pub path: String,
}

/// The two ways to give the conversation before the response, or a mistake to report.
#[derive(Debug, Clone, PartialEq)]
enum Question {
    Prompt(String),
    Messages(Vec<WrittenMessage>),
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
        let mut written: WrittenRow = written::parse(line).map_err(|fault| {
            RowError::Malformed { line: line_number, column: fault.column, reason: fault.reason }
        })?;
        let id = written.id.take().unwrap_or_else(|| line_number.to_string());
        Ok(Self::from_written(id, written, base_dir))
    }

    /// Row from its fields; relative paths of images start at `base_dir`.
    pub fn from_written(id: impl Into<String>, written: WrittenRow, base_dir: &Path) -> Self {
        let question = match (written.prompt, written.messages) {
            (Some(prompt), None) => Question::Prompt(prompt),
            (None, Some(messages)) => Question::Messages(messages),
            (Some(_), Some(_)) => Question::Both,
            (None, None) => Question::Neither,
        };
        Self {
            id: id.into(),
            responses: written.responses,
            question,
            pictures: Pictures::unresolved(written.images, written.videos, base_dir),
        }
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
            responses: responses.into_iter().map(WrittenResponse::Text).collect(),
            question: Question::Prompt(prompt.into()),
            pictures: Pictures::resolved(images),
        }
    }

    /// One conversation for each response: the same messages, then the response as the assistant's turn.
    ///
    /// # Errors
    /// When there is nothing to score, the messages do not make a conversation, or the pictures do not match their places.
    pub fn conversations(&self) -> Result<Vec<Conversation>, RowError> {
        self.conversations_with(&|picture| {
            ImageSource::parse(picture.written, picture.label.clone(), &self.pictures.base_dir)
        })
    }

    /// The pictures that the row names, each as its place (a path of keys) and its name, in the order in which they are asked for.
    ///
    /// # Errors
    /// As [`Row::conversations`], but for what is wrong with the names themselves.
    pub fn pictures(&self) -> Result<Vec<(String, String)>, RowError> {
        let found = RefCell::new(Vec::new());
        self.conversations_with(&|picture| {
            found.borrow_mut().push((picture.path.clone(), picture.written.to_owned()));
            Ok(ImageSource::Path(PathBuf::new()))
        })?;
        Ok(found.into_inner())
    }

    /// As [`Row::conversations`], with pictures that `open` finds by their names.
    ///
    /// # Errors
    /// As [`Row::conversations`], and whatever `open` refuses.
    pub fn conversations_with(&self, open: &Open<'_>) -> Result<Vec<Conversation>, RowError> {
        if self.responses.is_empty() {
            return Err(RowError::NoResponses);
        }
        if let Some(index) = self.responses.iter().position(is_empty) {
            return Err(RowError::EmptyResponse { index });
        }
        let messages = self.messages(open)?;
        let conversation = |(index, response)| {
            let mut messages = messages.clone();
            messages.extend(answer(index, response, open)?);
            Ok(Conversation { messages })
        };
        self.responses.iter().enumerate().map(conversation).collect()
    }

    fn messages(&self, open: &Open<'_>) -> Result<Vec<Message>, RowError> {
        match &self.question {
            Question::Both => Err(RowError::PromptAndMessages),
            Question::Neither => Err(RowError::NoPrompt),
            Question::Prompt(prompt) => {
                let content = WrittenContent::Text(prompt.clone());
                let message = WrittenMessage { role: "user".to_owned(), content };
                self.pictures.place(std::slice::from_ref(&message), open)
            }
            Question::Messages(messages) => {
                check_roles(messages)?;
                self.pictures.place(messages, open)
            }
        }
    }
}

/// Whether nothing is said.
fn is_empty(response: &WrittenResponse) -> bool {
    let nothing = |message: &WrittenMessage| match &message.content {
        WrittenContent::Text(text) => text.is_empty(),
        WrittenContent::Parts(parts) => parts.is_empty(),
    };
    match response {
        WrittenResponse::Text(text) => text.is_empty(),
        WrittenResponse::Message(message) => nothing(message),
        WrittenResponse::Messages(messages) => messages.last().is_none_or(nothing),
    }
}

/// The turns of an answer.
fn answer(
    index: usize,
    response: &WrittenResponse,
    open: &Open<'_>,
) -> Result<Vec<Message>, RowError> {
    let messages = match response {
        WrittenResponse::Text(text) => {
            let content = vec![Part::Text(text.clone())];
            return Ok(vec![Message { role: "assistant".to_owned(), content }]);
        }
        WrittenResponse::Message(message) => std::slice::from_ref(message),
        WrittenResponse::Messages(messages) => messages,
    };
    let is_assistant = |message: Option<&WrittenMessage>| {
        message.is_some_and(|message| message.role == "assistant")
    };
    if !is_assistant(messages.first()) || !is_assistant(messages.last()) {
        return Err(RowError::ResponseRoles { index });
    }
    for message in messages {
        check_role(index, message)?;
    }
    content::answer(index, messages, open)
}

fn check_roles(messages: &[WrittenMessage]) -> Result<(), RowError> {
    for (index, message) in messages.iter().enumerate() {
        check_role(index, message)?;
    }
    match messages.last() {
        None => Err(RowError::NoMessages),
        Some(message) if message.role == "assistant" => Err(RowError::EndsWithAssistant),
        Some(_) => Ok(()),
    }
}

fn check_role(index: usize, message: &WrittenMessage) -> Result<(), RowError> {
    match message.role.as_str() {
        "system" | "user" | "assistant" => Ok(()),
        role => Err(RowError::UnknownRole { index, role: role.to_owned() }),
    }
}

#[cfg(test)]
mod tests;
