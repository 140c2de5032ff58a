//! What a server is started with: the model, who may call, what is allowed, and how much of it.
//!
//! Plain data, resolved by the caller.

use std::path::PathBuf;
use std::time::Duration;

use model::RewardModel;
use prompt::Processor;
use serde::Serialize;
use utoipa::ToSchema;

use crate::card::Card;

/// The model to serve.
pub struct Served {
    /// Name under which requests may ask for it.
    pub name: String,
    /// The model itself.
    pub model: RewardModel,
    /// What makes its tokens and patches.
    pub processor: Processor,
    /// What rewards depend on.
    pub identity: Identity,
}

/// Hashes of everything that a reward depends on besides the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Identity {
    /// Hash that tells models apart.
    pub model: String,
    /// Hash of the chat template's text.
    pub template: String,
    /// Hash of the tensors of the reward head.
    pub head: String,
    /// Compute type of the backbone.
    pub dtype: String,
}

/// How the server behaves.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Keys of which a caller must present one; none are asked for when there are none.
    pub api_keys: Vec<String>,
    /// Where pictures may come from.
    pub access: Access,
    /// How much of everything.
    pub limits: Limits,
    /// What people are told of the model.
    pub card: Option<Card>,
    /// Preference file that choices of people are appended to; none are kept without it.
    pub feedback: Option<PathBuf>,
}

/// Where pictures may come from, besides the request itself.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Folders whose files may be named.
    pub roots: Vec<PathBuf>,
    /// Whether http and https addresses are fetched.
    pub urls: bool,
}

/// Bounds, each checked before what it bounds is paid for.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of a request's body.
    pub max_body_bytes: usize,
    /// Pictures of a request, frames of videos among them.
    pub max_images: usize,
    /// Tokens of the distinct pictures of a request.
    pub max_image_tokens: usize,
    /// Bytes of a picture that is read from a file or fetched.
    pub max_image_bytes: usize,
    /// Responses of a request.
    pub max_responses: usize,
    /// Requests that are admitted at a time; over it, requests are turned away.
    pub max_requests: usize,
    /// Bytes of bodies that are held at a time.
    pub max_held_bytes: usize,
    /// Requests that are decoded and tokenized at a time.
    pub max_preparing: usize,
    /// Connections at a time.
    pub max_connections: usize,
    /// Bytes of what is kept of prompts and pictures for later requests; 0 keeps nothing.
    pub cache_bytes: usize,
    /// Bytes of decoded pictures that are kept for later requests; 0 keeps nothing.
    pub picture_cache_bytes: usize,
    /// Rows of one batch; a single request may be larger.
    pub batch_tokens: usize,
    /// How long a batch waits for requests that are on their way.
    pub batch_window: Duration,
    /// How long a request may take unless it says otherwise.
    pub timeout: Duration,
    /// The most that a request may ask for.
    pub max_timeout: Duration,
    /// How long a client may take to send a request's head, and its body; also how long it may be connected before it begins the first.
    pub receive_timeout: Duration,
    /// How long a connection is kept after a reply for the next request.
    pub idle_timeout: Duration,
    /// How long requests may go on after the server was told to stop.
    pub drain_timeout: Duration,
    /// Bytes of the preference file of choices and of its pictures.
    pub max_feedback_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body_bytes: 32 << 20,
            max_images: 64,
            max_image_tokens: 4096,
            max_image_bytes: 16 << 20,
            max_responses: 64,
            max_requests: 256,
            max_held_bytes: 1 << 30,
            max_preparing: 2,
            max_connections: 4096,
            cache_bytes: 1 << 30,
            picture_cache_bytes: 256 << 20,
            batch_tokens: 4096,
            batch_window: Duration::from_millis(2),
            timeout: Duration::from_mins(1),
            max_timeout: Duration::from_mins(10),
            receive_timeout: Duration::from_secs(30),
            // Trainers keep their connections from one step to the next, which takes minutes.
            idle_timeout: Duration::from_mins(10),
            drain_timeout: Duration::from_secs(30),
            max_feedback_bytes: 1 << 30,
        }
    }
}
