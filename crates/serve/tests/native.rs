//! The native routes: rewards with the bits of the model, alone, in company and in every form of a request.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use axum::http::StatusCode;
use serde_json::{Value, json};
use serve::Config;
use support::{data_url, get, golden_bodies, good_body, post, rewards, start};

#[tokio::test]
async fn every_row_has_the_bits_of_the_model() {
    let app = start(Config::default());
    for (body, expected) in golden_bodies() {
        assert_eq!(post(&app, "/v1/reward", &body).await.rewards(), expected, "{body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_reply_is_its_own_when_many_ask_at_once() {
    let app = start(Config::default());
    let bodies = golden_bodies();
    let mut asking = tokio::task::JoinSet::new();
    for turn in 0..8 {
        for (index, (body, expected)) in bodies.iter().cloned().enumerate() {
            let app = app.clone();
            asking.spawn(async move {
                let route = ["/v1/reward", "/v1/best_of_n"][(turn + index) % 2];
                let answer = post(&app, route, &body).await;
                assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
                let reply = answer.json();
                let scored = if reply["scored"].is_null() { &reply } else { &reply["scored"] };
                assert_eq!(rewards(scored), expected);
            });
        }
    }
    let mut replies = 0;
    while let Some(ended) = asking.join_next().await {
        ended.unwrap();
        replies += 1;
    }
    assert_eq!(replies, 8 * bodies.len());
}

#[tokio::test]
async fn how_closely_a_client_wants_to_look_makes_no_difference() {
    let app = start(Config::default());
    let mut body = good_body();
    let expected = post(&app, "/v1/reward", &body).await.rewards();
    body["messages"][0]["content"][0]["uuid"] = json!("picture-7");
    for detail in [json!("auto"), json!("low"), json!("high"), Value::Null] {
        body["messages"][0]["content"][0]["image_url"]["detail"] = detail;
        assert_eq!(post(&app, "/v1/reward", &body).await.rewards(), expected, "{body}");
    }
    let image = "messages[0].content[0]";
    for (key, value, place) in [
        ("/image_url/detail", json!("medium"), format!("{image}.image_url.detail")),
        ("/image_url/detail", json!(1), format!("{image}.image_url.detail")),
        ("/uuid", json!(7), format!("{image}.uuid")),
    ] {
        let mut body = body.clone();
        *body.pointer_mut(&format!("/messages/0/content/0{key}")).unwrap() = value;
        let refusal = post(&app, "/v1/reward", &body).await.refusal();
        assert_eq!(refusal, (400, "invalid_request".to_owned(), Some(place)));
    }
    body["messages"][0]["content"][1]["uuid"] = json!("text-7");
    let refusal = post(&app, "/v1/reward", &body).await.refusal();
    assert_eq!(refusal.1, "invalid_part");
}

#[tokio::test]
async fn all_forms_of_a_response_have_the_same_reward() {
    let app = start(Config::default());
    let mut body = good_body();
    let expected = post(&app, "/v1/reward", &body).await.rewards();
    let message = |text: &str| json!({"role": "assistant", "content": text});
    body["responses"] = json!([message("A red square."), [message("A blue circle on a table.")],]);
    assert_eq!(post(&app, "/v1/reward", &body).await.rewards(), expected);
    body["responses"][0]["content"] = json!([{"type": "text", "text": "A red square."}]);
    assert_eq!(post(&app, "/v1/reward", &body).await.rewards(), expected);
    let prompt = json!({
        "prompt": "<image>What is in the picture?",
        "images": [data_url("images/square.png")],
        "responses": ["A red square.", "A blue circle on a table."],
    });
    assert_eq!(post(&app, "/v1/reward", &prompt).await.rewards(), expected);
}

#[tokio::test]
async fn a_reply_accounts_for_tokens_times_and_the_model() {
    let app = start(Config::default());
    let reply = post(&app, "/v1/reward", &good_body()).await.json();
    let (_, processor) = support::load();
    let row = serde_json::to_string(&good_body()).unwrap();
    let row = prompt::Row::parse(&row, 1, std::path::Path::new("")).unwrap();
    let encoded = processor.encode_all(&row.conversations().unwrap()).unwrap();
    let usage = &reply["usage"];
    let prompt_tokens = usage["prompt_tokens"].as_u64().unwrap() as usize;
    for (one, response) in encoded.iter().zip(usage["response_tokens"].as_array().unwrap()) {
        assert_eq!(prompt_tokens + response.as_u64().unwrap() as usize, one.len());
    }
    let shared = encoded[0].token_ids.iter().zip(&encoded[1].token_ids);
    let shared = shared.take_while(|(a, b)| a == b).count();
    assert!(prompt_tokens <= shared && prompt_tokens > encoded[0].visual_tokens());
    assert_eq!(usage["shared_tokens"], shared);
    assert_eq!(usage["image_tokens"], encoded[0].visual_tokens());
    assert_eq!(reply["model"], "tiny");
    assert_eq!(reply["identity"]["template"], processor.template_hash());
    assert_eq!(reply["deterministic"], true);
    assert!(reply["timings"]["total_ms"].as_f64() >= reply["timings"]["compute_ms"].as_f64());
}

#[tokio::test]
async fn a_comparison_turns_around_with_its_answers() {
    let app = start(Config::default());
    let mut body = good_body();
    let one = post(&app, "/v1/compare", &body).await.json();
    body["responses"].as_array_mut().unwrap().reverse();
    let other = post(&app, "/v1/compare", &body).await.json();
    let number = |reply: &Value, key: &str| reply[key].as_f64().unwrap();
    assert!((number(&one, "margin") + number(&other, "margin")).abs() < f64::MIN_POSITIVE);
    assert!((number(&one, "probability") + number(&other, "probability") - 1.0).abs() < 1e-12);
    assert_eq!(
        one["preferred"].as_u64().unwrap() + other["preferred"].as_u64().unwrap(),
        1,
        "{one} {other}"
    );
    let [first, second] = rewards(&one["scored"])[..] else { panic!("two rewards") };
    let margin = f32::from_bits(first) - f32::from_bits(second);
    let told: f32 = serde_json::from_value(one["margin"].clone()).unwrap();
    assert_eq!(told.to_bits(), margin.to_bits());
}

#[tokio::test]
async fn the_best_of_several_is_the_first_of_their_order() {
    let app = start(Config::default());
    let mut body = good_body();
    body["responses"] = json!(["One.", "Two or three.", "A red square.", "One."]);
    let reply = post(&app, "/v1/best_of_n", &body).await.json();
    let rewards: Vec<f32> = serde_json::from_value(reply["scored"]["rewards"].clone()).unwrap();
    let order: Vec<usize> = serde_json::from_value(reply["order"].clone()).unwrap();
    assert_eq!(reply["best"], order[0]);
    assert!(order.windows(2).all(|pair| rewards[pair[0]] >= rewards[pair[1]]));
    assert_eq!(reply["scored"]["ranks"][order[0]], 1);
    assert_eq!(reply["scored"]["ranks"][0], reply["scored"]["ranks"][3]);
}

#[tokio::test]
async fn the_document_and_the_page_have_every_route() {
    let app = start(Config::default());
    let document = get(&app, "/openapi.json").await.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let page = get(&app, "/docs").await.text;
    for path in [
        "/v1/reward",
        "/v1/compare",
        "/v1/best_of_n",
        "/v1/models",
        "/health",
        "/ready",
        "/metrics",
    ] {
        assert!(document["paths"][path].is_object(), "{path}");
        assert!(page.contains(path), "{path}");
    }
    for operation in document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|item| item.as_object().unwrap().values())
    {
        let refusal = &operation["responses"]["default"]["content"]["application/json"]["schema"];
        assert_eq!(refusal["$ref"], "#/components/schemas/ErrorBody", "{operation}");
    }
    assert!(page.contains("responses") && page.contains("prompt_tokens"));
    for (inside, said) in [
        ("ImageUrl", "how large a picture is to the model is what the checkpoint says"),
        ("EmbeddingText", "Pictures for the places in `text`"),
        ("RerankTexts", "Whether the reply repeats the answers"),
    ] {
        assert!(page.contains(said), "fields of {inside} are on the page");
    }
    assert!(!page.contains("<script") && !page.contains("http://") && !page.contains("https://"));
}

#[tokio::test]
async fn what_was_done_is_counted_without_a_word_of_the_requests() {
    let app = start(Config::default());
    post(&app, "/v1/reward", &good_body()).await.rewards();
    get(&app, "/v1/secret_place").await;
    post(&app, "/v1/reward", &json!({"prompt": "p", "responses": []})).await;
    let text = get(&app, "/metrics").await.text;
    for line in [
        "basereward_replies_total{route=\"/v1/reward\",status=\"200\"} 1",
        "basereward_replies_total{route=\"other\",status=\"404\"} 1",
        "basereward_reward_failed_total{code=\"no_responses\"} 1",
        "basereward_rewards_total 2",
        "basereward_request_seconds_count 1",
        "basereward_batch_conversations_sum 2",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in: {text}");
    }
    assert!(!text.contains("secret") && !text.contains("square"));
}

#[tokio::test]
async fn a_request_keeps_the_name_that_it_came_with() {
    let app = start(Config::default());
    let named = |name: &str| {
        let mut request = support::post_request("/v1/reward", &good_body());
        request.headers_mut().insert("x-request-id", name.parse().unwrap());
        request
    };
    let answer = support::send(&app, named("my-7")).await;
    assert_eq!(answer.headers["x-request-id"], "my-7");
    assert_eq!(answer.json()["id"], "my-7");
    let answer = support::send(&app, named("two words")).await;
    assert_ne!(answer.headers["x-request-id"], "two words");
}
