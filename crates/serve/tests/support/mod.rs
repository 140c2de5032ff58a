//! A server of the tiny golden model, asked without a port, and what the model itself says of the same rows.

#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::path::{Path, PathBuf};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use engine::{DType, Device};
use model::RewardModel;
use prompt::{Processor, ProcessorOptions, Row};
use serde_json::{Value, json};
use serve::{Config, Identity, Served, Server, app};
use tower::ServiceExt;

/// The golden model and its rows.
pub(crate) fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testkit/goldens/tiny")
}

pub(crate) fn load() -> (RewardModel, Processor) {
    load_with(ProcessorOptions {
        max_tokens: Some(2000),
        max_decoded_pixels: 1_000_000,
        ..ProcessorOptions::default()
    })
}

fn load_with(options: ProcessorOptions) -> (RewardModel, Processor) {
    let folder = goldens().join("model");
    let device = Device::cpu(Some(2)).unwrap();
    let model = RewardModel::load(&folder, &device, DType::F32).unwrap();
    let processor = Processor::load(&folder, model.vision_tokens(), options).unwrap();
    (model, processor)
}

/// A server of the golden model.
pub(crate) fn server(config: Config) -> Server {
    serve_with(load(), config)
}

/// A server of the golden model under other limits of its processor.
pub(crate) fn server_with(options: ProcessorOptions, config: Config) -> Server {
    serve_with(load_with(options), config)
}

fn serve_with((model, processor): (RewardModel, Processor), config: Config) -> Server {
    let identity = Identity {
        model: "m".to_owned(),
        template: processor.template_hash().to_owned(),
        head: "h".to_owned(),
        dtype: "f32".to_owned(),
    };
    Server::start(Served { name: "tiny".to_owned(), model, processor, identity }, config).unwrap()
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Status, code and place of a refusal.
    pub(crate) fn refusal(&self) -> (u16, String, Option<String>) {
        let error = &self.json()["error"];
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()));
        let code = error["code"].as_str().unwrap().to_owned();
        (self.status.as_u16(), code, error["param"].as_str().map(str::to_owned))
    }

    /// The rewards, bit for bit.
    pub(crate) fn rewards(&self) -> Vec<u32> {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        rewards(&self.json())
    }
}

/// Bits of the rewards of a reply.
pub(crate) fn rewards(reply: &Value) -> Vec<u32> {
    let rewards: Vec<f32> = serde_json::from_value(reply["rewards"].clone()).unwrap();
    rewards.into_iter().map(f32::to_bits).collect()
}

pub(crate) async fn send(app: &Router, request: Request<Body>) -> Answer {
    let response = app.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, 1 << 24).await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    Answer { status: parts.status, headers: parts.headers, text }
}

pub(crate) async fn get(app: &Router, path: &str) -> Answer {
    send(app, Request::get(path).body(Body::empty()).unwrap()).await
}

pub(crate) fn post_request(path: &str, body: &Value) -> Request<Body> {
    Request::post(path)
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap()
}

pub(crate) async fn post(app: &Router, path: &str, body: &Value) -> Answer {
    send(app, post_request(path, body)).await
}

pub(crate) fn start(config: Config) -> Router {
    app(server(config))
}

/// The golden rows as bodies, their pictures inside, beside the bits of their rewards.
pub(crate) fn golden_bodies() -> Vec<(Value, Vec<u32>)> {
    let (model, processor) = load();
    let cases: Value =
        serde_json::from_str(&std::fs::read_to_string(goldens().join("cases.json")).unwrap())
            .unwrap();
    let cases = cases.as_array().or_else(|| cases["cases"].as_array()).unwrap().clone();
    cases
        .iter()
        .map(|case| {
            let mut body = case["row"].clone();
            let row = Row::parse(&body.to_string(), 1, &goldens()).unwrap();
            let encoded = processor.encode_all(&row.conversations().unwrap()).unwrap();
            let rewards = model.score(&encoded.iter().collect::<Vec<_>>()).unwrap();
            body.as_object_mut().unwrap().remove("id");
            embed(&mut body);
            (body, rewards.into_iter().map(f32::to_bits).collect())
        })
        .collect()
}

/// A picture of the goldens as a data: URL.
pub(crate) fn data_url(name: &str) -> String {
    let bytes = std::fs::read(goldens().join(name)).unwrap();
    format!("data:image/png;base64,{}", STANDARD.encode(bytes))
}

/// Replaces names of golden pictures by the pictures.
fn embed(value: &mut Value) {
    match value {
        Value::String(name) if name.starts_with("images/") => *name = data_url(name),
        Value::Array(items) => items.iter_mut().for_each(embed),
        Value::Object(fields) => fields.values_mut().for_each(embed),
        _ => {}
    }
}

/// A request that can be scored.
pub(crate) fn good_body() -> Value {
    json!({
        "messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": data_url("images/square.png")}},
            {"type": "text", "text": "What is in the picture?"},
        ]}],
        "responses": ["A red square.", "A blue circle on a table."],
    })
}
