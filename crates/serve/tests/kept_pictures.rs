//! Pictures: how many tokens of them are taken, and that keeping them changes no reward.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use axum::Router;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prompt::ProcessorOptions;
use serde_json::{Value, json};
use serve::{Config, Limits, app};
use support::{data_url, get, golden_bodies, post, server_with, start};

fn limited(change: impl FnOnce(&mut Limits)) -> Config {
    let mut limits = Limits::default();
    change(&mut limits);
    Config { limits, ..Config::default() }
}

/// The beginning of a BMP file, and then nothing: its size can be read, its pixels cannot.
fn promise(side: u32) -> String {
    const HEADER_BYTES: u32 = 54;
    let mut bytes = b"BM".to_vec();
    for field in [HEADER_BYTES + 3 * side * side, 0, HEADER_BYTES, 40, side, side] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend([1, 0, 24, 0]);
    bytes.resize(HEADER_BYTES as usize, 0);
    format!("data:image/bmp;base64,{}", STANDARD.encode(bytes))
}

fn showing(images: &[String]) -> Value {
    json!({"prompt": "What?", "images": images, "responses": ["A square.", "A circle."]})
}

/// Status and code of a refusal, or the status alone.
async fn outcome(app: &Router, body: &Value) -> String {
    let answer = post(app, "/v1/reward", body).await;
    match answer.status.as_u16() {
        200 => "200".to_owned(),
        _ => answer.refusal().1,
    }
}

async fn metric(app: &Router, name: &str) -> u64 {
    let text = get(app, "/metrics").await.text;
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("basereward_{name} ")));
    line.unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_picture_of_too_many_tokens_is_refused_before_it_is_decoded() {
    let app = start(limited(|limits| limits.max_image_tokens = 100));
    // 280 x 280 pixels are 100 tokens, 308 x 308 are 121.
    assert_eq!(outcome(&app, &showing(&[promise(280)])).await, "image_damaged");
    let answer = post(&app, "/v1/reward", &showing(&[promise(308)])).await;
    let place = Some("images[0]".to_owned());
    assert_eq!(answer.refusal(), (400, "too_many_image_tokens".to_owned(), place));
    for part in ["121 tokens", "at most 100", "--max-image-tokens", "--max-pixels", "`images[0]`"] {
        assert!(answer.text.contains(part), "{part}: {}", answer.text);
    }
    assert_eq!(metric(&app, "picture_cache_misses_total").await, 1);
}

#[tokio::test]
async fn the_tokens_of_all_different_pictures_of_a_request_count() {
    let [square, windows] =
        ["square", "windows"].map(|name| data_url(&format!("images/{name}.png")));
    let open = start(Config::default());
    let tokens = async |image: &String| {
        let answer = post(&open, "/v1/reward", &showing(std::slice::from_ref(image))).await;
        answer.json()["usage"]["image_tokens"].as_u64().unwrap() as usize
    };
    let both = tokens(&square).await + tokens(&windows).await;
    let pictures = [square.clone(), windows.clone(), square.clone()];
    for (limit, expected) in [(both, "200"), (both - 1, "too_many_image_tokens")] {
        let app = start(limited(|limits| limits.max_image_tokens = limit));
        assert_eq!(outcome(&app, &showing(&pictures)).await, expected);
        // Pictures of several questions are of one request, too.
        let query = |image: &String| json!({"content": [{"type": "image_url", "image_url": {"url": image}}]});
        let body = json!({"queries": [query(&square), query(&windows)], "documents": ["a", "b"]});
        let answer = post(&app, "/score", &body).await;
        if expected == "200" {
            assert_eq!(answer.status, 200, "{}", answer.text);
        } else {
            let (_, code, param) = answer.refusal();
            assert_eq!(code, expected);
            assert!(param.unwrap().starts_with("queries[1]"), "{}", answer.text);
        }
    }
}

#[tokio::test]
async fn pictures_that_are_shrunk_count_as_what_they_become() {
    let options = ProcessorOptions { max_pixels: Some(100 * 784), ..ProcessorOptions::default() };
    let app = app(server_with(options, limited(|limits| limits.max_image_tokens = 100)));
    assert_eq!(outcome(&app, &showing(&[promise(2800)])).await, "image_damaged");
}

#[tokio::test]
async fn rewards_have_the_same_bits_whatever_is_kept_of_pictures() {
    let bodies = golden_bodies();
    for bytes in [0, 200_000, 1 << 30] {
        let app = start(limited(|limits| limits.picture_cache_bytes = bytes));
        for _ in 0..2 {
            for (body, expected) in &bodies {
                assert_eq!(post(&app, "/v1/reward", body).await.rewards(), *expected, "{body}");
            }
        }
        assert!(metric(&app, "picture_cache_bytes").await <= bytes as u64);
        assert_eq!(metric(&app, "picture_cache_hits_total").await > 0, bytes > 0);
    }
}
