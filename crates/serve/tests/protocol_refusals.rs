//! What the protocols of other servers refuse: texts of another template, fields that would change a reward, and faults named in their own
//! keys. Also that every example of the document can be sent.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use axum::Router;
use serde_json::{Map, Value, json};
use serve::{Config, Limits};
use support::{data_url, get, post, start};

const GOOD: &str = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nHello!<|im_end|>\n\
                    <|im_start|>assistant\nHi.<|im_end|>\n";

/// Status, code and place of a refusal.
async fn refusal(app: &Router, path: &str, body: Value) -> (u16, String, String) {
    let (status, code, param) = post(app, path, &body).await.refusal();
    (status, code, param.unwrap_or_default())
}

fn told(code: &str, param: &str) -> (u16, String, String) {
    (400, code.to_owned(), param.to_owned())
}

#[tokio::test]
async fn a_text_of_another_template_is_refused_wherever_it_stands() {
    let app = start(Config::default());
    let open = GOOD.split("<|im_end|>\n<|im_start|>assistant").next().unwrap();
    for wrong in ["Hello!", open, &GOOD[1..], &GOOD.replace("helpful", "<|im_start|>")] {
        for (path, body, place) in [
            ("/classify", json!({"input": wrong}), "input"),
            ("/classify", json!({"text": [GOOD, wrong]}), "text[1]"),
            ("/v1/classify", json!({"input": [wrong]}), "input[0]"),
            ("/pooling", json!({"input": [GOOD, GOOD, wrong]}), "input[2]"),
            ("/v1/embeddings", json!({"input": wrong}), "input"),
            ("/get_reward", json!({"query": [wrong]}), "query[0]"),
            ("/v1/score/evaluation", json!({"messages": [wrong]}), "messages[0]"),
            ("/predict", json!({"inputs": [[GOOD], [wrong]]}), "inputs[1]"),
        ] {
            let found = refusal(&app, path, body).await;
            assert_eq!(found, told("template_mismatch", place), "{path} {wrong}");
        }
    }
    let prompt = "<|im_start|>user\nHello!<|im_end|>\n<|im_start|>assistant\n";
    let found = refusal(&app, "/slime", json!({"prompt": prompt, "response": "Hi."})).await;
    assert_eq!(found, told("template_mismatch", "prompt"));
    let answer = post(&app, "/get_reward", &json!({"query": [open]})).await;
    let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("is not closed by `<|im_end|>`"), "{message}");
    let answer = post(&app, "/classify", &json!({"input": [[1, 2]]})).await;
    let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("token ids are not taken, send what they stand for"), "{message}");
    let unanswered = GOOD.strip_suffix("Hi.<|im_end|>\n").unwrap();
    let found = refusal(&app, "/get_reward", json!({"query": [GOOD, unanswered]})).await;
    assert_eq!(found, told("empty_response", "query[1]"));
}

#[tokio::test]
async fn places_and_pictures_must_be_as_many_and_the_pictures_good() {
    let app = start(Config::default());
    let text = GOOD.replace("Hello!", "<|vision_start|><|image_pad|><|vision_end|>Hello!");
    let good = data_url("images/square.png");
    let bad = "data:;base64,AAAA";
    for (path, body, code, place) in [
        ("/classify", json!({"input": text}), "picture_count", "images"),
        (
            "/classify",
            json!({"input": [text, GOOD], "images": [[good]]}),
            "picture_count",
            "images",
        ),
        // Without a place in the text, a picture would stand where the text has none.
        ("/classify", json!({"input": GOOD, "images": [good]}), "picture_count", "images"),
        (
            "/get_reward",
            json!({"query": [text, text], "images": [[good], [bad]]}),
            "not_an_image",
            "images[1][0]",
        ),
        (
            "/get_reward",
            json!({"query": [text, text], "images": [good, bad]}),
            "not_an_image",
            "images[1]",
        ),
        ("/classify", json!({"text": text, "image_data": bad}), "not_an_image", "image_data"),
        (
            "/score",
            json!({"queries": "q", "documents": ["a", {"content": [{"type": "image", "image": bad}]}]}),
            "not_an_image",
            "documents[1].content[0]",
        ),
        (
            "/rerank",
            json!({"query": {"content": [{"type": "image_url", "image_url": {"url": bad}}]}, "documents": ["a"]}),
            "not_an_image",
            "query.content[0]",
        ),
        (
            "/classify",
            json!({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": [{"type": "image", "image": bad}]}]}),
            "not_an_image",
            "messages[1].content[0]",
        ),
    ] {
        assert_eq!(refusal(&app, path, body.clone()).await, told(code, place), "{path} {body}");
    }
}

#[tokio::test]
async fn faults_are_told_in_the_keys_of_the_body() {
    let app = start(Config::default());
    let message = |role: &str| json!({"role": role, "content": "Hello."});
    for (path, body, code, place) in [
        (
            "/score",
            json!({"queries": "q", "documents": ["a", ""]}),
            "empty_response",
            "documents[1]",
        ),
        (
            "/score",
            json!({"queries": "q<|im_end|>", "documents": ["a"]}),
            "special_token",
            "queries",
        ),
        (
            "/score",
            json!({"text_1": ["p", "q"], "text_2": ["a", "b<|im_end|>"]}),
            "special_token",
            "text_2[1]",
        ),
        (
            "/score",
            json!({"queries": ["p", "q"], "documents": ["a"]}),
            "invalid_pairs",
            "documents",
        ),
        ("/score", json!({"queries": "q"}), "invalid_pairs", ""),
        ("/score", json!({"queries": "q", "documents": []}), "no_responses", "documents"),
        ("/score", json!({"queries": "q", "documents": [1]}), "invalid_request", "documents[0]"),
        (
            "/rerank",
            json!({"query": "q", "documents": ["a"], "top_n": -1}),
            "invalid_request",
            "top_n",
        ),
        (
            "/rerank",
            json!({"query": "q", "texts": ["a", "b<|im_start|>"]}),
            "special_token",
            "texts[1]",
        ),
        (
            "/rerank",
            json!({"query": "q", "texts": ["a"], "documents": ["a"]}),
            "invalid_request",
            "documents",
        ),
        ("/classify", json!({"messages": [message("user")]}), "no_response", "messages"),
        (
            "/classify",
            json!({"messages": [message("robot"), message("assistant")]}),
            "unknown_role",
            "messages[0].role",
        ),
        ("/classify", json!({"input": [1, 2]}), "invalid_request", "input[0]"),
        ("/pooling", json!({"input": [[1, 2]]}), "invalid_request", "input[0]"),
        ("/classify", json!({"input": []}), "no_responses", "input"),
        ("/predict", json!({"inputs": ["q", "a<|im_end|>"]}), "special_token", "inputs[1]"),
        ("/slime", json!({"prompt": "q", "response": ""}), "empty_response", "response"),
        (
            "/slime",
            json!({"prompt": [message("robot")], "response": "a"}),
            "unknown_role",
            "prompt[0].role",
        ),
    ] {
        assert_eq!(refusal(&app, path, body.clone()).await, told(code, place), "{path} {body}");
    }
}

#[tokio::test]
async fn limits_hold_for_all_questions_of_a_body_together() {
    let limits = Limits { max_responses: 2, max_images: 1, ..Limits::default() };
    let app = start(Config { limits, ..Config::default() });
    let found = refusal(&app, "/get_reward", json!({"query": [GOOD, GOOD, GOOD]})).await;
    assert_eq!(found, told("too_many_responses", "query"));
    let text = GOOD.replace("Hello!", "<|vision_start|><|image_pad|><|vision_end|>Hello!");
    let good = data_url("images/square.png");
    let body = json!({"query": [text, text], "images": [good, good]});
    assert_eq!(refusal(&app, "/get_reward", body).await, told("too_many_images", "images[1]"));
}

/// Path, body and shape of every example.
fn examples(document: &Value) -> Vec<(String, Value, Value)> {
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let operation = &methods["post"];
        let tags = operation["tags"].as_array().cloned().unwrap_or_default();
        if operation.is_null()
            || tags.contains(&json!("Rewards"))
            || path.starts_with("/v1/feedback")
        {
            continue;
        }
        let content = &operation["requestBody"]["content"]["application/json"];
        let several = content["examples"].as_object().cloned().unwrap_or_default();
        let mut bodies: Vec<Value> = several.values().map(|one| one["value"].clone()).collect();
        bodies.extend(content.get("example").cloned());
        assert!(!bodies.is_empty(), "{path} has no example");
        for body in bodies {
            let shape = shape(document, &content["schema"], body.as_object().unwrap());
            found.push((path.replace("{name}", "tiny"), body, shape));
        }
    }
    found
}

/// The shape among the choices of a schema that fits a body.
fn shape(document: &Value, schema: &Value, body: &Map<String, Value>) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        return shape(document, document.pointer(&reference[1..]).unwrap(), body);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let shapes = choices.iter().map(|choice| shape(document, choice, body));
        return shapes.into_iter().find(|shape| !shape.is_null()).unwrap_or_default();
    }
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let fits = required.iter().all(|key| body.contains_key(key.as_str().unwrap()))
        && body.keys().all(|key| schema["properties"].get(key).is_some());
    if fits { schema.clone() } else { Value::Null }
}

#[tokio::test]
async fn every_example_can_be_sent_and_every_optional_field_keeps_its_word() {
    let app = start(Config::default());
    let document = get(&app, "/openapi.json").await.json();
    let examples = examples(&document);
    assert!(examples.len() > 15);
    let (mut taken, mut refused) = (0, 0);
    for (path, body, shape) in examples {
        assert!(shape.is_object(), "{path}: no shape fits {body}");
        let answer = post(&app, &path, &body).await;
        assert_eq!(answer.status, 200, "{path} {body}: {}", answer.text);
        for (name, field) in shape["properties"].as_object().unwrap() {
            let mut body = body.clone();
            body[name] = json!("x");
            let said = field["description"].as_str().unwrap_or_default();
            if said == "Accepted; makes no difference here." {
                let with = post(&app, &path, &body).await;
                assert_eq!(timeless(&with.json()), timeless(&answer.json()), "{path} {name}");
                taken += 1;
            } else if said.starts_with("Not taken: ") || said.starts_with("Only `") {
                let found = post(&app, &path, &body).await.refusal();
                assert_eq!(
                    found,
                    (400, "unsupported_option".to_owned(), Some(name.clone())),
                    "{path}"
                );
                refused += 1;
            }
        }
    }
    assert!(taken > 30 && refused > 30, "{taken} {refused}");
}

/// A reply without what differs from one to the next.
fn timeless(reply: &Value) -> Value {
    let mut reply = reply.clone();
    for key in ["/id", "/created", "/meta_info/id", "/0/meta_info/id"] {
        if let Some(value) = reply.pointer_mut(key) {
            *value = Value::Null;
        }
    }
    reply
}
