//! Who may call: those who present a key, where keys are asked for.
//!
//! Keys are compared in constant time. Where they come from is not known here.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::{Choice, ConstantTimeEq};

use crate::error::ApiError;
use crate::server::Server;

/// Header that a key may stand in instead of `Authorization: Bearer`.
const KEY_HEADER: &str = "x-api-key";
/// What a load balancer asks without a key, and what a person opens in a browser, which sends none: the page that asks people for theirs,
/// and the reference. These are the same for every model, and tell nothing of this one.
const OPEN_PATHS: [&str; 5] = ["/", "/docs", "/openapi.json", "/health", "/ready"];

/// Keys by their hashes, so that all have one length.
#[derive(Clone, Default)]
pub(crate) struct Keys(Vec<[u8; 32]>);

impl Keys {
    pub(crate) fn new(keys: &[String]) -> Self {
        Self(keys.iter().map(|key| *blake3::hash(key.as_bytes()).as_bytes()).collect())
    }

    /// Whether headers hold one of the keys, or none is asked for.
    fn admit(&self, headers: &HeaderMap) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let Some(presented) = presented(headers) else { return false };
        let hash = *blake3::hash(presented).as_bytes();
        // Every key is compared, so that the time does not tell which of them came close.
        let found = self.0.iter().fold(Choice::from(0), |found, key| found | key.ct_eq(&hash));
        found.into()
    }
}

fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(key) = headers.get(KEY_HEADER) {
        return Some(key.as_bytes());
    }
    let (scheme, key) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim().as_bytes())
}

/// Turns away whoever has no key.
pub(crate) async fn require_key(
    State(server): State<Server>,
    request: Request,
    next: Next,
) -> Response {
    if OPEN_PATHS.contains(&request.uri().path()) || server.keys().admit(request.headers()) {
        return next.run(request).await;
    }
    ApiError::new(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        "a key is needed; send it as `Authorization: Bearer KEY`",
    )
    .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(keys: &[&str], name: &'static str, value: &str) -> bool {
        let keys: Vec<String> = keys.iter().map(|&key| key.to_owned()).collect();
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        Keys::new(&keys).admit(&headers)
    }

    #[test]
    fn any_of_the_keys_is_admitted_and_nothing_else() {
        assert!(admits(&["one", "two"], "authorization", "Bearer two"));
        assert!(admits(&["one"], "authorization", "bearer one"));
        assert!(admits(&["one"], "x-api-key", "one"));
        assert!(!admits(&["one"], "authorization", "Bearer on"));
        assert!(!admits(&["one"], "authorization", "Basic one"));
        assert!(!admits(&["one"], "accept", "one"));
        assert!(admits(&[], "accept", "one"));
    }
}
