//! The gate: a request is given a place before its body is read, and keeps it until its reply is ready.
//!
//! [`Admitted`] is the extractor of every route that scores. It bounds requests, bytes and the time of sending, and reads JSON strictly.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::{DeserializeOwned, IgnoredAny};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::config::Limits;
use crate::error::ApiError;
use crate::request_id::RequestId;
use crate::server::Server;

/// Header that says how long a request may take.
pub const TIMEOUT_HEADER: &str = "x-timeout-ms";
/// Bodies are accounted for in units of this many bytes.
const HELD_UNIT_BYTES: usize = 1 << 10;

/// A request that has its place, with its body read.
pub struct Admitted<T> {
    /// The body.
    pub body: T,
    /// The place.
    pub place: Place,
}

/// A place among the requests of a server. Dropping it gives it back.
pub struct Place {
    /// Name of the request.
    pub id: String,
    /// When the request's head had arrived.
    pub arrived: Instant,
    /// How long it may take, by its header.
    pub timeout: Option<Duration>,
    /// Bytes of its body.
    pub body_bytes: usize,
    _permits: [OwnedSemaphorePermit; 2],
    _counted: Counted,
}

/// Places of a server.
pub(crate) struct Gate {
    requests: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    /// Requests that have been read and not answered.
    inside: Arc<AtomicUsize>,
}

/// One request more as long as it lives.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Gate {
    pub(crate) fn new(limits: &Limits) -> Self {
        let units = (limits.max_held_bytes / HELD_UNIT_BYTES).max(1);
        Self {
            requests: Arc::new(Semaphore::new(limits.max_requests)),
            bytes: Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS))),
            inside: Arc::new(AtomicUsize::new(0)),
        }
    }

    /// Number of requests that have been read and not answered; the batcher waits for those that may still come.
    pub(crate) fn inside(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.inside)
    }

    /// Room for a request and its body.
    fn enter(&self, body: &Body, limits: &Limits) -> Result<[OwnedSemaphorePermit; 2], ApiError> {
        let limit = limits.max_body_bytes;
        // What is not announced may become as much as is allowed.
        let announced = body.size_hint().upper().map_or(limit, |bytes| bytes as usize);
        if announced > limit {
            return Err(body_too_large(limits));
        }
        let units = held_units(announced);
        let full = |_| ApiError::overloaded();
        let request = Arc::clone(&self.requests).try_acquire_owned().map_err(full)?;
        let bytes = Arc::clone(&self.bytes).try_acquire_many_owned(units).map_err(full)?;
        Ok([request, bytes])
    }

    fn count(&self) -> Counted {
        self.inside.fetch_add(1, Ordering::Relaxed);
        Counted(Arc::clone(&self.inside))
    }
}

/// What the body of a request is read as.
pub trait ReadBody: Sized {
    /// Reads a whole body.
    ///
    /// # Errors
    /// Anything that is not exactly of this shape.
    fn read_body(bytes: &[u8]) -> Result<Self, ApiError>;
}

impl<T: DeserializeOwned> ReadBody for T {
    fn read_body(bytes: &[u8]) -> Result<Self, ApiError> {
        parse(bytes)
    }
}

impl<T: ReadBody> FromRequest<Server> for Admitted<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, server: &Server) -> Result<Self, ApiError> {
        if !server.lifecycle().is_ready() {
            return Err(ApiError::shutting_down());
        }
        let arrived = Instant::now();
        let limits = server.limits();
        check_content_type(request.headers())?;
        let timeout = stated_timeout(request.headers())?;
        let [permit, mut held] = server.gate().enter(request.body(), limits)?;
        let id = request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
        let body = timeout_at(arrived + limits.receive_timeout, read(request.into_body(), limits));
        let bytes = body.await.map_err(|_| body_too_slow())??;
        drop(held.split(held.num_permits().saturating_sub(held_units(bytes.len()) as usize)));
        let permits = [permit, held];
        let counted = server.gate().count();
        let body_bytes = bytes.len();
        let place =
            Place { id, arrived, timeout, body_bytes, _permits: permits, _counted: counted };
        Ok(Self { body: T::read_body(&bytes)?, place })
    }
}

async fn read(body: Body, limits: &Limits) -> Result<axum::body::Bytes, ApiError> {
    to_bytes(body, limits.max_body_bytes).await.map_err(|error| {
        let is_limit = std::error::Error::source(&error)
            .is_some_and(<dyn std::error::Error>::is::<http_body_util::LengthLimitError>);
        if is_limit {
            return body_too_large(limits);
        }
        ApiError::invalid("body_incomplete", "the body ended before it was complete; send it again")
    })
}

/// Reads JSON strictly; a fault is told with the path of keys to its place.
///
/// # Errors
/// Anything that is not exactly the shape of `T`.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        let fault = if inner.is_data() {
            ApiError::invalid("invalid_request", inner.to_string())
        } else if serde_json::from_slice::<IgnoredAny>(bytes).is_ok() {
            // Of a number in place of a name, the reader says no more than that it is no JSON to it.
            ApiError::invalid("invalid_request", "the value is of another kind than expected")
        } else {
            return ApiError::invalid("malformed_json", inner.to_string());
        };
        if path == "." { fault } else { fault.at(path) }
    })?;
    json.end().map_err(|error| ApiError::invalid("malformed_json", error.to_string()))?;
    Ok(value)
}

fn check_content_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let stated = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    let kind = stated.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let is_json = kind.eq_ignore_ascii_case("application/json")
        || (kind.starts_with("application/") && kind.ends_with("+json"));
    if is_json {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "the body must be JSON; send it with `Content-Type: application/json`",
    ))
}

fn held_units(bytes: usize) -> u32 {
    u32::try_from(bytes / HELD_UNIT_BYTES + 1).unwrap_or(u32::MAX)
}

fn stated_timeout(headers: &HeaderMap) -> Result<Option<Duration>, ApiError> {
    let Some(value) = headers.get(TIMEOUT_HEADER) else { return Ok(None) };
    let millis = value.to_str().ok().and_then(|value| value.parse::<u64>().ok());
    match millis {
        Some(millis) if millis > 0 => Ok(Some(Duration::from_millis(millis))),
        _ => Err(ApiError::invalid(
            "invalid_timeout",
            format!("the header `{TIMEOUT_HEADER}` must be a whole number of milliseconds above 0"),
        )),
    }
}

fn body_too_large(limits: &Limits) -> ApiError {
    let limit = limits.max_body_bytes;
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body_too_large",
        format!("the body has more than {limit} bytes; send smaller pictures or fewer of them"),
    )
}

fn body_too_slow() -> ApiError {
    ApiError::new(
        StatusCode::REQUEST_TIMEOUT,
        "body_too_slow",
        "the body did not arrive in time; send it without pauses",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Question;

    fn fault(body: &str) -> (&'static str, Option<String>) {
        let error = parse::<Question>(body.as_bytes()).err().unwrap();
        (error.code, error.param)
    }

    #[test]
    fn a_fault_of_the_body_is_told_with_its_place() {
        let wrong_type = r#"{"messages":[{"role":"user","content":[{"type":"text","text":7}]}],"responses":["a"]}"#;
        let place = Some("messages[0].content[0].text".to_owned());
        assert_eq!(fault(wrong_type), ("invalid_request", place));
        let unknown = r#"{"prompt":"p","responses":["a"],"temperature":1}"#;
        assert_eq!(fault(unknown), ("invalid_request", Some("temperature".to_owned())));
        assert_eq!(fault("{\"prompt\":\"p\""), ("malformed_json", None));
        assert_eq!(fault(""), ("malformed_json", None));
        let trailing = r#"{"prompt":"p","responses":["a"]} x"#;
        assert_eq!(fault(trailing), ("malformed_json", None));
        let twice = r#"{"prompt":"p","prompt":"q","responses":["a"]}"#;
        assert_eq!(fault(twice).0, "invalid_request");
    }
}
