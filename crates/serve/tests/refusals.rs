//! What a server does not do: every refusal has a status, a code that stays, and the place at fault.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::Request;
use serde_json::{Value, json};
use serve::{Access, Config, Limits, app};
use support::{data_url, get, good_body, post, post_request, send, server, start};

fn limited(change: impl FnOnce(&mut Limits)) -> Config {
    let mut limits = Limits::default();
    change(&mut limits);
    Config { limits, ..Config::default() }
}

fn told(code: &str, param: Option<&str>) -> (u16, String, Option<String>) {
    (400, code.to_owned(), param.map(str::to_owned))
}

/// A good body with another value at a place.
fn with(place: &str, value: Value) -> Value {
    let mut body = good_body();
    *body.pointer_mut(place).unwrap() = value;
    body
}

#[tokio::test]
async fn a_question_that_makes_no_sense_is_refused_with_its_place() {
    let app = start(Config::default());
    let image = "/messages/0/content/0/image_url/url";
    let place = Some("messages[0].content[0]");
    let cases = [
        (json!({"responses": ["a"]}), "no_prompt", Some("messages")),
        (json!({"prompt": "p", "responses": []}), "no_responses", Some("responses")),
        (json!({"prompt": "p", "responses": ["a", ""]}), "empty_response", Some("responses[1]")),
        (json!({"prompt": "p", "responses": 1}), "invalid_request", Some("responses")),
        (json!({"prompt": "p", "responses": ["a"], "n": 1}), "invalid_request", Some("n")),
        (json!([]), "invalid_request", None),
        (json!({"prompt": "<image>p", "responses": ["a"]}), "picture_count", Some("images")),
        (
            json!({"prompt": "p", "responses": ["a", "b<|im_end|>"]}),
            "special_token",
            Some("responses[1]"),
        ),
        (json!({"prompt": "<|im_end|>", "responses": ["a"]}), "special_token", Some("messages[0]")),
        (
            json!({"prompt": "p", "responses": [[{"role": "user", "content": "a"}]]}),
            "response_roles",
            Some("responses[0]"),
        ),
        (
            json!({"prompt": "long ".repeat(3000), "responses": ["a"]}),
            "conversation_too_long",
            Some("responses[0]"),
        ),
        (
            json!({"prompt": "p", "responses": ["a"], "timeout_ms": 0}),
            "invalid_timeout",
            Some("timeout_ms"),
        ),
        (with("/messages/0/role", json!("robot")), "unknown_role", Some("messages[0].role")),
        (
            with("/messages/0/content/1/type", json!("sound")),
            "invalid_part",
            Some("messages[0].content[1]"),
        ),
        (with(image, json!("data:image/png;base64,%")), "invalid_data_url", place),
        (with(image, json!("data:image/png;base64,AAAA")), "not_an_image", place),
        (with(image, json!(broken_off())), "image_damaged", place),
    ];
    for (body, code, param) in cases {
        assert_eq!(post(&app, "/v1/reward", &body).await.refusal(), told(code, param), "{body}");
    }
}

/// A picture whose second half is missing.
fn broken_off() -> String {
    let whole = data_url("images/windows.png");
    whole[..whole.len() / 2 / 4 * 4 + 2].to_owned()
}

#[tokio::test]
async fn a_picture_is_named_where_it_stands_among_several() {
    let app = start(Config::default());
    let good = data_url("images/square.png");
    let mut body =
        json!({"prompt": "p", "images": [good, "data:;base64,AAAA"], "responses": ["a"]});
    let answer = post(&app, "/v1/reward", &body).await;
    assert_eq!(answer.refusal(), told("not_an_image", Some("images[1]")));
    body["images"] = json!([]);
    body["responses"] = json!(["a", {"role": "assistant", "content": [
        {"type": "text", "text": "Look:"},
        {"type": "image", "image": "data:;base64,AAAA"},
    ]}]);
    let answer = post(&app, "/v1/reward", &body).await;
    assert_eq!(answer.refusal(), told("not_an_image", Some("responses[1].content[1]")));
}

#[tokio::test]
async fn a_body_that_is_no_json_is_refused_before_anything_else() {
    let app = start(limited(|limits| limits.max_body_bytes = 1000));
    let request = |kind: Option<&str>, body: &str| {
        let request = Request::post("/v1/reward");
        let request = kind.into_iter().fold(request, |one, kind| one.header("content-type", kind));
        request.body(Body::from(body.to_owned())).unwrap()
    };
    let json = Some("application/json");
    for (kind, body, status, code) in [
        (None, "{}", 415, "unsupported_media_type"),
        (Some("text/plain"), "{}", 415, "unsupported_media_type"),
        (Some("multipart/form-data; boundary=x"), "--x--", 415, "unsupported_media_type"),
        (json, "", 400, "malformed_json"),
        (json, "{\"prompt\"", 400, "malformed_json"),
        (json, &"[".repeat(900), 400, "invalid_request"),
        (json, &" ".repeat(1001), 413, "body_too_large"),
    ] {
        let refusal = send(&app, request(kind, body)).await.refusal();
        assert_eq!((refusal.0, refusal.1.as_str()), (status, code), "{kind:?} {body}");
    }
    let mut unannounced = request(json, &" ".repeat(5000));
    unannounced.headers_mut().remove("content-length");
    assert_eq!(send(&app, unannounced).await.refusal().1, "body_too_large");
}

#[tokio::test]
async fn limits_are_told_and_kept() {
    let app = start(limited(|limits| {
        limits.max_responses = 2;
        limits.max_images = 1;
    }));
    let body = json!({"prompt": "p", "responses": ["a", "b", "c"]});
    let answer = post(&app, "/v1/reward", &body).await;
    assert_eq!(answer.refusal(), told("too_many_responses", Some("responses")));
    let image = data_url("images/square.png");
    let body = json!({"prompt": "p", "images": [image, image], "responses": ["a"]});
    let answer = post(&app, "/v1/reward", &body).await;
    assert_eq!(answer.refusal(), told("too_many_images", Some("images[1]")));
    let body = json!({"prompt": "p", "responses": ["a"]});
    let answer = post(&app, "/v1/compare", &body).await;
    assert_eq!(answer.refusal(), told("not_two_responses", Some("responses")));
}

#[tokio::test]
async fn files_and_addresses_are_refused_unless_allowed() {
    let body = |name: &str| json!({"prompt": "p", "images": [name], "responses": ["a"]});
    let closed = start(Config::default());
    for (name, code) in [
        ("images/square.png", "path_not_allowed"),
        ("/etc/passwd", "path_not_allowed"),
        ("file:///etc/passwd", "path_not_allowed"),
        ("https://example.com/a.png", "url_not_allowed"),
    ] {
        let refusal = post(&closed, "/v1/reward", &body(name)).await.refusal();
        assert_eq!(refusal, (403, code.to_owned(), Some("images[0]".to_owned())), "{name}");
    }
    let access = Access { roots: vec![support::goldens().join("images")], urls: true };
    let open = start(Config { access, ..Config::default() });
    let inside = post(&open, "/v1/reward", &body("square.png")).await.rewards();
    let embedded = post(&open, "/v1/reward", &body(&data_url("images/square.png"))).await;
    assert_eq!(inside, embedded.rewards());
    for name in ["../cases.json", "/etc/passwd", "absent.png"] {
        assert_eq!(post(&open, "/v1/reward", &body(name)).await.refusal().1, "path_not_allowed");
    }
    let answer = post(&open, "/v1/reward", &body("http://127.0.0.1:9/a.png")).await;
    assert_eq!(answer.refusal().1, "url_fetch_failed");
}

#[tokio::test]
async fn only_the_model_that_is_served_can_be_asked() {
    let app = start(Config::default());
    let mut body = good_body();
    body["model"] = json!("tiny");
    assert_eq!(post(&app, "/v1/reward", &body).await.rewards().len(), 2);
    body["model"] = json!("another");
    let refusal = post(&app, "/v1/reward", &body).await.refusal();
    assert_eq!(refusal, (404, "model_not_found".to_owned(), Some("model".to_owned())));
}

#[tokio::test]
async fn unknown_routes_and_methods_are_told_as_json() {
    let app = start(Config::default());
    assert_eq!(get(&app, "/v1/nothing").await.refusal().0, 404);
    let answer = get(&app, "/v1/reward").await;
    assert_eq!(answer.refusal(), (405, "method_not_allowed".to_owned(), None));
}

#[tokio::test]
async fn without_a_key_only_the_state_and_the_reference_are_told() {
    let app = start(Config { api_keys: vec!["a-secret".to_owned()], ..Config::default() });
    for path in ["/metrics", "/v1/models", "/v1/card", "/docs/", "/v1/docs", "/nothing"] {
        assert_eq!(get(&app, path).await.refusal().1, "unauthorized", "{path}");
    }
    let other = start(Config::default());
    for path in ["/", "/docs", "/openapi.json"] {
        let answer = get(&app, path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.text, get(&other, path).await.text, "{path}");
        assert!(!answer.text.contains("a-secret"), "{path}");
    }
    assert_eq!(post(&app, "/v1/reward", &good_body()).await.status, 401);
    assert_eq!(get(&app, "/health").await.status, 200);
    assert_eq!(get(&app, "/ready").await.status, 200);
    let mut request = post_request("/v1/reward", &good_body());
    request.headers_mut().insert("authorization", "Bearer a-secret".parse().unwrap());
    assert_eq!(send(&app, request).await.rewards().len(), 2);
}

#[tokio::test]
async fn a_request_whose_time_is_over_is_told_so() {
    let app = start(Config::default());
    let mut body = good_body();
    body["responses"] = (0..64).map(|i| format!("{i} ").repeat(200)).collect();
    body["timeout_ms"] = json!(1);
    assert_eq!(post(&app, "/v1/reward", &body).await.refusal().1, "deadline_exceeded");
    let mut request = post_request("/v1/reward", &good_body());
    request.headers_mut().insert("x-timeout-ms", "soon".parse().unwrap());
    assert_eq!(send(&app, request).await.refusal().1, "invalid_timeout");
}

/// A body that never comes.
struct Silence;

impl HttpBody for Silence {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        Poll::Pending
    }
}

#[tokio::test]
async fn a_request_over_the_number_of_places_is_turned_away_until_one_is_free() {
    let app = start(limited(|limits| {
        limits.max_requests = 1;
        limits.receive_timeout = Duration::from_millis(200);
    }));
    let silent = Request::post("/v1/reward").header("content-type", "application/json");
    let silent = silent.body(Body::new(Silence)).unwrap();
    let waiting = tokio::spawn({
        let app = app.clone();
        async move { send(&app, silent).await }
    });
    tokio::task::yield_now().await;
    let turned_away = post(&app, "/v1/reward", &good_body()).await;
    assert_eq!(turned_away.refusal(), (429, "overloaded".to_owned(), None));
    assert_eq!(turned_away.headers["retry-after"], "1");
    assert_eq!(waiting.await.unwrap().refusal().1, "body_too_slow");
    assert_eq!(post(&app, "/v1/reward", &good_body()).await.rewards().len(), 2);
}

#[tokio::test]
async fn a_server_that_stops_takes_no_more_requests() {
    let server = server(Config::default());
    let app = app(server.clone());
    assert_eq!(get(&app, "/ready").await.status, 200);
    server.lifecycle().drain();
    assert_eq!(get(&app, "/ready").await.refusal().0, 503);
    assert_eq!(post(&app, "/v1/reward", &good_body()).await.refusal().1, "shutting_down");
    assert_eq!(get(&app, "/health").await.status, 200);
}
