//! What a caller is told when a request fails: a status, a code that never changes its meaning, a sentence, and the place.
//!
//! Every failure of the crate below becomes one of these here, and nowhere else.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::ScoreError;
use prompt::{EncodeError, ImageError, RowError};
use serde::Serialize;
use utoipa::ToSchema;

/// Failure of a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// Status of the reply.
    pub status: StatusCode,
    /// Stable name of the kind of failure.
    pub code: &'static str,
    /// What is wrong and what to do, for people.
    pub message: String,
    /// Path of keys to what is at fault in the body, such as `messages[0].content[1]`.
    pub param: Option<String>,
}

/// Body of a reply that reports a failure.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    /// The failure.
    pub error: ErrorFacts,
}

/// What is said of a failure.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorFacts {
    /// Stable name of the kind of failure.
    #[schema(examples("image_too_large"))]
    pub code: String,
    /// What is wrong and what to do.
    pub message: String,
    /// Path of keys to what is at fault in the body.
    #[schema(examples("messages[0].content[1]"))]
    pub param: Option<String>,
}

impl ApiError {
    /// Failure of a kind, with a sentence.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), param: None }
    }

    /// Request that cannot be understood or answered as it is.
    pub fn invalid(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// The same failure with the place at fault.
    #[must_use]
    pub fn at(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Too many requests at a time.
    pub fn overloaded() -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "overloaded",
            "the server has as many requests as it can hold; try again after the time in Retry-After",
        )
    }

    /// The time that the request had is over.
    pub fn deadline_exceeded() -> Self {
        Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            "deadline_exceeded",
            "the reward was not ready in time; raise `timeout_ms` or send fewer requests at a time",
        )
    }

    /// The server is going down.
    pub fn shutting_down() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "shutting_down",
            "the server is stopping; send the request to another one",
        )
    }

    /// A fault of the program.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the server failed; this is a defect, please report it with the request that caused it",
        )
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let facts =
            ErrorFacts { code: self.code.to_owned(), message: self.message, param: self.param };
        let mut response = (self.status, axum::Json(ErrorBody { error: facts })).into_response();
        let headers = response.headers_mut();
        if matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        // Whoever counts failures by kind finds the kind here.
        response.extensions_mut().insert(ErrorCode(self.code));
        response
    }
}

/// Code of a failed reply, for counting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ErrorCode(pub(crate) &'static str);

impl From<RowError> for ApiError {
    fn from(error: RowError) -> Self {
        let (code, param) = match &error {
            RowError::NoResponses => ("no_responses", Some("responses".to_owned())),
            RowError::EmptyResponse { index } => {
                ("empty_response", Some(format!("responses[{index}]")))
            }
            RowError::ResponseRoles { index } => {
                ("response_roles", Some(format!("responses[{index}]")))
            }
            RowError::PromptAndMessages => ("prompt_and_messages", Some("messages".to_owned())),
            RowError::NoPrompt => ("no_prompt", Some("messages".to_owned())),
            RowError::NoMessages => ("no_messages", Some("messages".to_owned())),
            RowError::UnknownRole { index, .. } => {
                ("unknown_role", Some(format!("messages[{index}].role")))
            }
            RowError::EndsWithAssistant => ("ends_with_assistant", Some("messages".to_owned())),
            RowError::PictureCount { kind, .. } => ("picture_count", Some(format!("{kind}s"))),
            RowError::NoUserMessage => ("no_user_message", Some("messages".to_owned())),
            RowError::Part { place, .. } => ("invalid_part", Some(place.path.clone())),
            RowError::DataUrl { label, .. } => ("invalid_data_url", Some(label.clone())),
            RowError::RemoteImage { .. } => ("url_not_allowed", None),
            _ => ("invalid_request", None),
        };
        Self { param, ..Self::invalid(code, error.to_string()) }
    }
}

impl From<EncodeError> for ApiError {
    fn from(error: EncodeError) -> Self {
        let message = error.to_string();
        let (code, param) = match &error {
            EncodeError::Image(image) => return image_error(image, message),
            EncodeError::SpecialToken { .. } => ("special_token", None),
            EncodeError::TooLong { conversation, .. } => {
                ("conversation_too_long", Some(format!("responses[{conversation}]")))
            }
            EncodeError::FrameSize { .. } => ("frame_size", None),
            EncodeError::NoFrames => ("no_frames", None),
            EncodeError::FrameRate { .. } => ("frame_rate", None),
            EncodeError::Template { .. } => ("template_refused", None),
            _ => ("not_encodable", None),
        };
        Self { param, ..Self::invalid(code, message) }
    }
}

/// Pictures are named by their place in the request.
fn image_error(error: &ImageError, message: String) -> ApiError {
    let (code, name) = match error {
        ImageError::NotAnImage { name } => ("not_an_image", name),
        ImageError::UnsupportedFormat { name, .. } => ("image_format_unsupported", name),
        ImageError::Truncated { name, .. } => ("image_truncated", name),
        ImageError::Damaged { name, .. } => ("image_damaged", name),
        ImageError::TooManyPixels { name, .. } => ("image_too_large", name),
        ImageError::AspectRatio { name, .. } => ("image_aspect_ratio", name),
        ImageError::VanishingSize { name, .. } => ("image_too_small", name),
        ImageError::Missing { name } | ImageError::Unreadable { name, .. } => {
            ("image_unreadable", name)
        }
        _ => return ApiError::invalid("image_unusable", message),
    };
    ApiError::invalid(code, message).at(name.clone())
}

impl From<ScoreError> for ApiError {
    fn from(error: ScoreError) -> Self {
        let param = Some(format!("responses[{}]", error.index()));
        match error {
            ScoreError::TooLong { .. } => {
                Self { param, ..Self::invalid("conversation_too_long", error.to_string()) }
            }
            ScoreError::UnknownToken { .. } => Self {
                param,
                ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, "unknown_token", error.to_string())
            },
            ScoreError::NotFinite { .. } => Self {
                param,
                ..Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "reward_not_finite",
                    error.to_string(),
                )
            },
        }
    }
}
