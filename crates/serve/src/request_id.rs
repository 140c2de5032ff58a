//! A name for every request, in its reply's head and body: the caller's own, or a fresh one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;

use crate::server::Server;

/// Header of the name, both ways.
pub const REQUEST_ID_HEADER: &str = "x-request-id";
/// Longest name that is taken over from a caller.
const MAX_LENGTH: usize = 128;

/// Name of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub String);

/// Fresh names: different in every process, and counted within one.
#[derive(Debug)]
pub(crate) struct RequestIds {
    process: String,
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seed = format!("{} {}", since.as_nanos(), std::process::id());
        let process = blake3::hash(seed.as_bytes()).to_hex()[..12].to_owned();
        Self { process, next: AtomicU64::new(1) }
    }

    fn fresh(&self) -> String {
        format!("{}-{}", self.process, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// Names a request and its reply.
pub(crate) async fn name(
    State(server): State<Server>,
    mut request: Request,
    next: Next,
) -> Response {
    let given = request.headers().get(REQUEST_ID_HEADER).and_then(|id| id.to_str().ok());
    let id = match given {
        Some(id) if is_usable(id) => id.to_owned(),
        _ => server.request_ids().fresh(),
    };
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = next.run(request).await;
    let value = HeaderValue::try_from(id).expect("a name is made of visible characters");
    response.headers_mut().insert(REQUEST_ID_HEADER, value);
    response
}

/// Visible ASCII only: a name goes into headers and, where someone keeps them, into logs.
fn is_usable(id: &str) -> bool {
    !id.is_empty() && id.len() <= MAX_LENGTH && id.bytes().all(|byte| byte.is_ascii_graphic())
}
