//! What a request asks: a question, its pictures and the answers to score. Its fields are those of a row of `basereward score`.
//!
//! Reading only; pictures are not opened here.

use std::path::Path;
use std::time::Duration;

use prompt::{Row, WrittenMessage, WrittenResponse, WrittenRow, WrittenVideo};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::config::Limits;
use crate::error::ApiError;

/// A question and the answers to score.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,…"}},
        {"type": "text", "text": "What is in the picture?"}
    ]}],
    "responses": ["A red square.", "A blue circle."]
}))]
pub struct Question {
    /// Name of the model; only the one that is served can be asked.
    #[serde(default)]
    pub model: Option<String>,
    /// The conversation before the answer, its last message not from `assistant`.
    #[serde(default)]
    #[schema(value_type = Option<Vec<schema::Message>>)]
    pub messages: Option<Vec<WrittenMessage>>,
    /// The question as one text, instead of `messages`; `<image>` marks the place of a picture of `images`.
    #[serde(default)]
    pub prompt: Option<String>,
    /// Pictures beside the texts: data: URLs, and paths and addresses where the server allows them.
    #[serde(default)]
    pub images: Vec<String>,
    /// Videos beside the texts.
    #[serde(default)]
    #[schema(value_type = Vec<schema::Video>)]
    pub videos: Vec<WrittenVideo>,
    /// The answers: each a text, a message from `assistant`, or a list of messages.
    #[schema(value_type = Vec<schema::Response>)]
    pub responses: Vec<WrittenResponse>,
    /// Most milliseconds that the reply may take.
    #[serde(default)]
    #[schema(minimum = 1)]
    pub timeout_ms: Option<u64>,
}

/// Questions in the form that [`crate::Server::score`] takes.
#[derive(Debug)]
pub struct Ask {
    /// What is scored together.
    pub questions: Vec<Asked>,
    /// Name of the model that is asked for.
    pub model: Option<String>,
    /// How long it may take.
    pub timeout: Option<Duration>,
}

/// One question, its pictures and answers.
#[derive(Debug)]
pub struct Asked {
    /// The question in the form that files have.
    pub row: Row,
    /// How its parts are called in the body that it came from.
    pub names: Names,
}

/// How the keys of a row are called in a body that has other keys, so that a failure can be told where its cause stands.
#[derive(Debug, Clone, Default)]
pub struct Names(Vec<(String, String)>);

impl Names {
    /// Names by the beginnings of paths, of which the first that fits is replaced; the empty one stands for every whole path.
    pub fn new<T: Into<String>>(names: impl IntoIterator<Item = (T, String)>) -> Self {
        Self(names.into_iter().map(|(start, name)| (start.into(), name)).collect())
    }

    /// Path in the body for a path in the row.
    pub fn rename(&self, path: &str) -> String {
        let fits = |(start, name): &'_ (String, String)| {
            let rest = path.strip_prefix(start.as_str())?;
            Some(if start.is_empty() { name.clone() } else { format!("{name}{rest}") })
        };
        self.0.iter().find_map(fits).unwrap_or_else(|| path.to_owned())
    }

    /// The failure with its place as the body calls it.
    #[must_use]
    pub fn place(&self, mut error: ApiError) -> ApiError {
        if let Some(param) = error.param.take() {
            let name = self.rename(&param);
            error.message = error.message.replace(&param, &name);
            error.param = Some(name);
        }
        error
    }
}

impl Ask {
    /// Questions of a body without a time of its own; `key` is where the answers stand.
    ///
    /// # Errors
    /// Nothing to score, or too many answers.
    pub fn new(
        questions: Vec<Asked>,
        model: Option<String>,
        key: &str,
        limits: &Limits,
    ) -> Result<Self, ApiError> {
        let count = questions.iter().map(|asked| asked.row.responses.len()).sum();
        if count == 0 {
            return Err(ApiError::invalid(
                "no_responses",
                format!("`{key}` is empty; there is nothing to score"),
            )
            .at(key));
        }
        Self::check_count(count, key, limits)?;
        Ok(Self { questions, model, timeout: None })
    }

    /// # Errors
    /// More answers than are scored at a time.
    pub fn check_count(count: usize, key: &str, limits: &Limits) -> Result<(), ApiError> {
        let limit = limits.max_responses;
        if count <= limit {
            return Ok(());
        }
        let message = format!(
            "{count} responses, but at most {limit} are scored at a time; divide them among requests"
        );
        Err(ApiError::invalid("too_many_responses", message).at(key))
    }
}

impl Question {
    /// Checks what needs no tokens and no pixels.
    ///
    /// # Errors
    /// Too many answers, or a time that is no time.
    pub fn ask(self, limits: &Limits) -> Result<Ask, ApiError> {
        let Self { model, messages, prompt, images, videos, responses, timeout_ms } = self;
        Ask::check_count(responses.len(), "responses", limits)?;
        if timeout_ms == Some(0) {
            let message = "`timeout_ms` must be above 0";
            return Err(ApiError::invalid("invalid_timeout", message).at("timeout_ms"));
        }
        let written = WrittenRow { id: None, images, videos, prompt, messages, responses };
        Ok(Ask {
            questions: vec![Asked::new(written, Names::default())],
            model,
            timeout: timeout_ms.map(Duration::from_millis),
        })
    }
}

impl Asked {
    /// Question of a body.
    pub fn new(written: WrittenRow, names: Names) -> Self {
        Self { row: Row::from_written("request", written, Path::new("")), names }
    }
}

/// How the types of `prompt` look in the OpenAPI document. Never made: the values are read by `prompt` itself.
#[expect(dead_code, reason = "only their shapes are used")]
pub mod schema {
    use utoipa::ToSchema;

    /// One turn of a conversation.
    #[derive(ToSchema)]
    pub struct Message {
        /// `system`, `user` or `assistant`.
        #[schema(examples("user"))]
        role: String,
        /// A text, or parts in order.
        content: Content,
    }

    /// A text, or parts in order.
    #[derive(ToSchema)]
    #[serde(untagged)]
    pub enum Content {
        /// Plain text.
        Text(String),
        /// Texts, pictures and videos.
        Parts(Vec<Part>),
    }

    /// Piece of a message.
    #[derive(ToSchema)]
    pub struct Part {
        /// `text`, `image_url`, `image` or `video`.
        #[schema(examples("text"))]
        r#type: String,
        /// Of a part of type `text`.
        text: Option<String>,
        /// Of a part of type `image_url`.
        image_url: Option<Url>,
        /// Of a part of type `image`: a data: URL; without it, the next of `images`.
        image: Option<String>,
        /// Of a part of type `video`; without it, the next of `videos`.
        video: Option<Video>,
        /// Of a part of type `image_url`: the caller's own name for the picture, as vLLM's clients send it; makes no difference.
        uuid: Option<String>,
    }

    /// Where a picture is.
    #[derive(ToSchema)]
    pub struct Url {
        /// A data: URL with base64; paths, and http and https addresses, only where the server allows them.
        #[schema(examples("data:image/png;base64,…"))]
        url: String,
        /// Makes no difference: how large a picture is to the model is what the checkpoint says.
        detail: Option<Detail>,
    }

    /// How closely to look at a picture, for models that know such levels; this one does not.
    #[derive(ToSchema)]
    #[serde(rename_all = "lowercase")]
    pub enum Detail {
        /// As the model likes.
        Auto,
        /// Coarsely.
        Low,
        /// Finely.
        High,
    }

    /// Frames and how fast they follow each other.
    #[derive(ToSchema)]
    pub struct Video {
        /// Pictures of one size.
        frames: Vec<String>,
        /// Frames per second.
        fps: f64,
    }

    /// An answer.
    #[derive(ToSchema)]
    #[serde(untagged)]
    pub enum Response {
        /// Its text.
        Text(String),
        /// One message from `assistant`.
        Message(Message),
        /// Messages that begin and end with `assistant`.
        Messages(Vec<Message>),
    }
}
