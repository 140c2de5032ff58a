//! Replies, and parts of them, that several protocols have: lists in the manner of vLLM, token counts, labels, and numbers as text.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::admission::Place;
use crate::server::{Scored, Server, Usage};

/// Name of the one class, as configurations without names call it.
pub(crate) const LABEL: &str = "LABEL_0";

/// Tokens as servers in the manner of `OpenAI` count them: every conversation in full, whatever was computed once for several.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenCounts {
    /// Tokens of all conversations.
    prompt_tokens: usize,
    /// The same.
    total_tokens: usize,
    /// Nothing is generated: 0.
    completion_tokens: usize,
    /// Not told apart: null.
    prompt_tokens_details: Option<()>,
}

impl TokenCounts {
    pub(crate) fn new(usage: &Usage) -> Self {
        let tokens = usage.conversation_tokens().sum();
        Self {
            prompt_tokens: tokens,
            total_tokens: tokens,
            completion_tokens: 0,
            prompt_tokens_details: None,
        }
    }
}

/// What vLLM answers to questions about several conversations.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listing<T> {
    /// Name of the reply.
    id: String,
    /// `list`.
    object: &'static str,
    /// Seconds since 1970.
    created: u64,
    /// Name of the model.
    model: String,
    /// One for each conversation, in order.
    data: Vec<T>,
    /// Tokens.
    usage: TokenCounts,
}

impl<T> Listing<T> {
    /// The reply to a request; `kind` begins its name, `one` writes what stands for the reward of the conversation at an index.
    pub(crate) fn new(
        kind: &str,
        server: &Server,
        place: &Place,
        scored: &Scored,
        one: impl Fn(usize, f32) -> T,
    ) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let rewards = scored.rewards.iter().enumerate();
        Self {
            id: format!("{kind}-{}", place.id),
            object: "list",
            created: since.as_secs(),
            model: server.name().to_owned(),
            data: rewards.map(|(index, reward)| one(index, *reward)).collect(),
            usage: TokenCounts::new(&scored.usage),
        }
    }
}

/// How a list of numbers is written.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum EncodingFormat {
    /// As JSON numbers.
    #[default]
    Float,
    /// As base64 of f32, least significant byte first.
    Base64,
}

/// A list of one number.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Numbers {
    /// As JSON.
    Float([f32; 1]),
    /// As base64 of f32.
    Base64(String),
}

impl EncodingFormat {
    pub(crate) fn write(self, number: f32) -> Numbers {
        match self {
            Self::Float => Numbers::Float([number]),
            Self::Base64 => Numbers::Base64(STANDARD.encode(number.to_le_bytes())),
        }
    }
}
