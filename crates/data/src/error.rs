//! What can be wrong with a data set as a whole, and with one of its rows.
//!
//! Faults are facts; whether a row's fault ends the work or is only reported is the caller's choice.

mod set;

use std::fmt;
use std::path::PathBuf;

pub use set::DataError;

/// Where a row stands in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowPlace {
    /// Number of a line, counted from 1.
    Line(usize),
    /// Number of a row in a list or table, counted from 1.
    Row(usize),
}

impl fmt::Display for RowPlace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(number) => write!(out, "line {number}"),
            Self::Row(number) => write!(out, "row {number}"),
        }
    }
}

/// Row that cannot be used, with its place.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("`{}`, {place}: {fault}", file.display())]
pub struct RowError {
    /// The file.
    pub file: PathBuf,
    /// The row.
    pub place: RowPlace,
    /// The row's id, when it could be read.
    pub id: Option<String>,
    /// What is wrong.
    pub fault: RowFault,
}

/// Why a [`RowFault::NoPreference`] row prefers nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undecided {
    /// Responses differ, and all of them have the same rank.
    Ties,
    /// Responses say the same.
    EqualResponses,
    /// Both occur.
    TiesAndEqualResponses,
}

impl fmt::Display for Undecided {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Ties => "its responses are tied",
            Self::EqualResponses => "its responses are equal",
            Self::TiesAndEqualResponses => "its responses are tied or equal",
        })
    }
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RowFault {
    /// The row is not JSON.
    #[error("column {column}: {reason}")]
    Malformed {
        /// Number of the character in the line or element, counted from 1.
        column: usize,
        /// What the parser said.
        reason: String,
    },
    /// The row cannot be read any more.
    #[error("the row cannot be read: {reason}")]
    Unreadable {
        /// What the operating system or the Parquet library said.
        reason: String,
    },
    /// The row is JSON, but not an object.
    #[error("a row is an object, but this one is {found}")]
    NotAnObject {
        /// Kind of the value.
        found: &'static str,
    },
    /// A needed key is absent or null.
    #[error("`{key}` is missing")]
    Missing {
        /// The key, with its path.
        key: String,
    },
    /// A key holds another kind of value.
    #[error("`{key}` is {found}, but must be {expected}")]
    Mistyped {
        /// The key, with its path.
        key: String,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A number that makes no sense.
    #[error("`{key}` is `{number}`; give {expected}")]
    Number {
        /// The key, with its path.
        key: String,
        /// The number.
        number: f64,
        /// What would make sense.
        expected: &'static str,
    },
    /// A word that is none of those that a key may hold.
    #[error("`{key}` is `{found}`; give {expected}")]
    Choice {
        /// The key.
        key: &'static str,
        /// The word.
        found: Box<str>,
        /// The words that would make sense.
        expected: &'static str,
    },
    /// A text that should be a list, in JSON or as Python writes it.
    #[error("`{key}` cannot be read as a list: {reason}, after {num_read} characters")]
    ListText {
        /// The key.
        key: String,
        /// What is wrong.
        reason: &'static str,
        /// Characters before the fault.
        num_read: usize,
    },
    /// A text that should hold JSON.
    #[error("`{key}` is not valid JSON: {reason}, at character {column}")]
    JsonText {
        /// The key.
        key: &'static str,
        /// Number of the character, counted from 1.
        column: usize,
        /// What the parser said.
        reason: String,
    },
    /// A text without a part that should be taken out of it.
    #[error("no {part} is found in `{key}`; leave the row out")]
    PartNotFound {
        /// The key.
        key: &'static str,
        /// What it should hold.
        part: &'static str,
    },
    /// Too few responses with ratings to compare.
    #[error(
        "only {rated} of {given} `{key}` are rated with numbers alone; a comparison needs at least 2"
    )]
    TooFewRated {
        /// The key.
        key: &'static str,
        /// The responses.
        given: usize,
        /// Those with numbers for all their ratings.
        rated: usize,
    },
    /// Keys that belong to no known format of preferences.
    #[error(
        "the row follows no known format: its keys are {keys}; use `prompt`, `chosen` and `rejected`, or one of the published schemas"
    )]
    UnknownFormat {
        /// Its keys, each in backticks.
        keys: String,
    },
    /// A response with a picture in it, where only text can be scored.
    #[error("`{key}` holds a picture, but only text responses can be scored; leave the row out")]
    ResponsePicture {
        /// The key.
        key: String,
    },
    /// A video whose frames cannot be listed.
    #[error(
        "the video `{folder}` cannot be read: {reason}; a video is a folder of frames as pictures"
    )]
    Frames {
        /// The folder.
        folder: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Lists that belong together differ in length.
    #[error("`{key}` has {found} entries for {responses} responses; make them equal")]
    Length {
        /// The key.
        key: String,
        /// Its entries.
        found: usize,
        /// The responses.
        responses: usize,
    },
    /// Too few responses to compare.
    #[error("`{key}` has {found} entries; a comparison needs at least 2")]
    TooFewResponses {
        /// The key.
        key: &'static str,
        /// Its entries.
        found: usize,
    },
    /// A key that only says something about two responses.
    #[error(
        "`{key}` is given for {responses} responses, but only says something about 2; leave it out"
    )]
    PairsOnly {
        /// The key.
        key: &'static str,
        /// The responses.
        responses: usize,
    },
    /// Ranks and scores say the opposite.
    #[error(
        "response {better} has a better rank than response {worse} but a lower score; ranks begin at the best, scores end there"
    )]
    RanksAgainstScores {
        /// Index of the response with the better rank.
        better: usize,
        /// Index of the response with the higher score.
        worse: usize,
    },
    /// A speaker that chat templates do not know.
    #[error(
        "`{key}` is `{role}`; use `system`, `user` or `assistant` (or `human`, `gpt` or `bot`)"
    )]
    Role {
        /// The key, with its path.
        key: String,
        /// The speaker.
        role: String,
    },
    /// A part of a message that is not of a known type.
    #[error("`{key}` is `{kind}`; use `text`, `image` or `image_url`")]
    PartType {
        /// The key, with its path.
        key: String,
        /// The type.
        kind: String,
    },
    /// A response without content.
    #[error("`{key}` is empty; a reward needs a response")]
    EmptyResponse {
        /// The key, with its path.
        key: String,
    },
    /// A prompt without messages.
    #[error("`{key}` is empty; give at least one message from `user`")]
    EmptyPrompt {
        /// The key.
        key: &'static str,
    },
    /// A prompt that is answered already.
    #[error("the last message of `{key}` is from `assistant`; put the answers into the responses")]
    PromptEndsWithAssistant {
        /// The key.
        key: &'static str,
    },
    /// A response that ends with another speaker.
    #[error("the last message of `{key}` is from `{role}`; a response ends with `assistant`")]
    ResponseEnd {
        /// The key.
        key: String,
        /// The speaker.
        role: String,
    },
    /// Whole conversations that begin differently.
    #[error("`{chosen}` and `{rejected}` have no common beginning; it is what they answer")]
    NoCommonPrompt {
        /// Key of the better conversation.
        chosen: &'static str,
        /// Key of the worse conversation.
        rejected: &'static str,
    },
    /// Transcripts that differ before their last turn.
    #[error(
        "the transcripts differ {num_messages} messages before their end; only the last one may, so leave the pair out"
    )]
    EarlyDivergence {
        /// Messages of the longer one from the first different one on.
        num_messages: usize,
    },
    /// A response that nobody rated.
    #[error("`{key}` has no rating that is a number; leave the row out")]
    Unrated {
        /// The key, with its path.
        key: String,
    },
    /// A picture that is neither a name nor content.
    #[error(
        "`{key}` is not a picture: {reason}; give a path, a data: URL, base64, or `bytes` and `path`"
    )]
    Image {
        /// The key, with its path.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// Media that training does not read.
    #[error("`{key}` is given, but only pictures can be trained on; leave the row out")]
    OtherMedia {
        /// The key.
        key: String,
    },
    /// Pictures that find no place, or cannot be named.
    #[error(transparent)]
    Pictures(#[from] prompt::RowError),
    /// A picture whose content is needed and cannot be read.
    #[error("the picture `{name}` cannot be read: {reason}")]
    UnreadablePicture {
        /// Path or label.
        name: String,
        /// What the operating system said.
        reason: String,
    },
    /// A picture that is missing, damaged or none.
    #[error("{reason}")]
    BadPicture {
        /// Whether there is no such file.
        is_missing: bool,
        /// What is wrong, with the picture's name.
        reason: String,
    },
    /// Nothing to learn from.
    #[error("the row prefers no response: {reason}")]
    NoPreference {
        /// Why.
        reason: Undecided,
        /// Twos of different responses with one rank.
        ties: usize,
        /// Twos of equal responses.
        equal_responses: usize,
    },
}

impl RowFault {
    /// The fault without what differs from row to row, for counting.
    pub fn reason(&self) -> String {
        match self {
            Self::Malformed { .. } => "not valid JSON".to_owned(),
            Self::Unreadable { .. } => "cannot be read".to_owned(),
            Self::NotAnObject { .. } => "not an object".to_owned(),
            Self::Missing { key } => format!("`{}` is missing", without_indices(key)),
            Self::Mistyped { key, expected, .. } => {
                format!("`{}` is not {expected}", without_indices(key))
            }
            Self::Number { key, .. } => {
                format!("`{}` is out of its range", without_indices(key))
            }
            Self::Choice { key, expected, .. } => format!("`{key}` is not {expected}"),
            Self::ListText { key, .. } => format!("`{key}` is not a list"),
            Self::JsonText { key, .. } => format!("`{key}` is not valid JSON"),
            Self::PartNotFound { key, part } => format!("no {part} in `{key}`"),
            Self::TooFewRated { .. } => "fewer than 2 rated responses".to_owned(),
            Self::UnknownFormat { .. } => "no known format".to_owned(),
            Self::ResponsePicture { .. } => "a response holds a picture".to_owned(),
            Self::Frames { .. } => "video that cannot be read".to_owned(),
            Self::Length { key, .. } => format!("`{key}` has another length than the responses"),
            Self::TooFewResponses { .. } => "fewer than 2 responses".to_owned(),
            Self::PairsOnly { key, .. } => format!("`{key}` of more than 2 responses"),
            Self::RanksAgainstScores { .. } => "ranks and scores say the opposite".to_owned(),
            Self::Role { .. } => "unknown role".to_owned(),
            Self::PartType { .. } => "unknown type of part".to_owned(),
            Self::EmptyResponse { .. } => "empty response".to_owned(),
            Self::EmptyPrompt { .. } => "empty prompt".to_owned(),
            Self::PromptEndsWithAssistant { .. } => "the prompt ends with `assistant`".to_owned(),
            Self::ResponseEnd { .. } => "a response does not end with `assistant`".to_owned(),
            Self::NoCommonPrompt { .. } => "no common beginning".to_owned(),
            Self::EarlyDivergence { .. } => {
                "transcripts that differ before their last turn".to_owned()
            }
            Self::Unrated { key } => format!("`{}` has no rating", without_indices(key)),
            Self::Image { .. } => "not a picture".to_owned(),
            Self::OtherMedia { key } => format!("`{key}` cannot be trained on"),
            Self::Pictures(prompt::RowError::RemoteImage { .. }) => {
                "picture on the network".to_owned()
            }
            Self::Pictures(prompt::RowError::PictureCount { .. }) => {
                "placeholders and pictures differ in number".to_owned()
            }
            Self::Pictures(_) => "pictures without a place or a content".to_owned(),
            Self::BadPicture { is_missing: true, .. } => "picture that is missing".to_owned(),
            Self::UnreadablePicture { .. } | Self::BadPicture { .. } => {
                "picture that cannot be read".to_owned()
            }
            Self::NoPreference { reason, .. } => format!("prefers no response: {reason}"),
        }
    }
}

/// `completions[3].rank` as `completions[].rank`.
fn without_indices(key: &str) -> String {
    key.chars().filter(|character| !character.is_ascii_digit()).collect()
}
