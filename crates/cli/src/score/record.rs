//! The output row.

use model::ScoreError;
use prompt::Encoded;
use serde::Serialize;

/// What is written for one input row.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Record {
    Scored(Scored),
    Failed(Failed),
}

/// A row that was scored.
#[derive(Debug, Serialize)]
pub(super) struct Scored {
    pub(super) id: String,
    /// One for each response, written so that reading it back gives the same f32.
    pub(super) scores: Vec<f32>,
    /// Tokens of each conversation.
    pub(super) tokens: Vec<usize>,
    /// Tokens that stand for pictures and videos, in each conversation.
    pub(super) image_tokens: usize,
}

/// A row that could not be scored.
#[derive(Debug, Serialize)]
pub(super) struct Failed {
    pub(super) id: String,
    pub(super) error: String,
}

impl Scored {
    pub(super) fn new(id: String, scores: Vec<f32>, conversations: &[Encoded]) -> Self {
        Self {
            id,
            scores,
            tokens: conversations.iter().map(Encoded::len).collect(),
            image_tokens: conversations.first().map_or(0, Encoded::visual_tokens),
        }
    }
}

impl Record {
    /// One line, with its end.
    pub(super) fn line(&self) -> String {
        let mut line = serde_json::to_string(self).expect("a record has nothing that JSON lacks");
        line.push('\n');
        line
    }
}

/// Why the model refuses a row, when it was given the conversations of that row alone.
pub(super) fn refusal(error: &ScoreError) -> String {
    match error {
        ScoreError::NotFinite { index, .. } => format!("response {index}: {error}"),
        ScoreError::TooLong { .. } | ScoreError::UnknownToken { .. } => error.to_string(),
    }
}
