//! The protocols of other servers: requests as their clients send them, replies field by field, rewards with the bits of the native route.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use axum::Router;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use serve::Config;
use support::{data_url, get, post, start};

/// A conversation as the chat template renders it.
fn rendered(question: &str, answer: &str) -> String {
    format!(
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n{question}<|im_end|>\n\
         <|im_start|>assistant\n{answer}<|im_end|>\n"
    )
}

fn pictured(question: &str, answer: &str) -> String {
    rendered(&format!("<|vision_start|><|image_pad|><|vision_end|>{question}"), answer)
}

fn square() -> String {
    data_url("images/square.png")
}

/// What the native route says of answers to a question, with the picture or without.
async fn native(app: &Router, picture: bool, question: &str, answers: &[&str]) -> Vec<f32> {
    let images = if picture { vec![square()] } else { Vec::new() };
    let body = json!({"prompt": question, "images": images, "responses": answers});
    let bits = post(app, "/v1/reward", &body).await.rewards();
    bits.into_iter().map(f32::from_bits).collect()
}

async fn tokens(app: &Router, picture: bool, question: &str, answers: &[&str]) -> u64 {
    let images = if picture { vec![square()] } else { Vec::new() };
    let body = json!({"prompt": question, "images": images, "responses": answers});
    let usage = post(app, "/v1/reward", &body).await.json()["usage"].clone();
    let responses = usage["response_tokens"].as_array().unwrap();
    let prompt = usage["prompt_tokens"].as_u64().unwrap();
    responses.iter().map(|response| prompt + response.as_u64().unwrap()).sum()
}

fn sigmoid(reward: f32) -> f32 {
    (1.0 / (1.0 + (-f64::from(reward)).exp())) as f32
}

/// The reply to a request that is answered.
async fn answer(app: &Router, path: &str, body: &Value) -> Value {
    let answer = post(app, path, body).await;
    assert_eq!(answer.status, StatusCode::OK, "{path} {}", answer.text);
    answer.json()
}

/// A number of a reply with the bits that a client reads.
fn number(value: &Value) -> u32 {
    serde_json::from_value::<f32>(value.clone()).unwrap_or_else(|_| panic!("{value}")).to_bits()
}

fn numbers<'a>(values: impl IntoIterator<Item = &'a Value>) -> Vec<u32> {
    values.into_iter().map(number).collect()
}

fn bits(rewards: &[f32]) -> Vec<u32> {
    rewards.iter().copied().map(f32::to_bits).collect()
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

fn check_counts(usage: &Value, tokens: u64) {
    let expected = json!({
        "prompt_tokens": tokens, "total_tokens": tokens, "completion_tokens": 0, "prompt_tokens_details": null
    });
    assert_eq!(usage, &expected);
}

#[tokio::test]
async fn every_rendered_golden_text_has_the_bits_of_its_row() {
    let app = start(Config::default());
    let path = support::goldens().join("cases.json");
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    let mut compared = 0;
    for (case, (body, expected)) in cases.iter().zip(support::golden_bodies()) {
        if !body["videos"].is_null() {
            continue;
        }
        let texts: Vec<&Value> = case["responses"]
            .as_array()
            .unwrap()
            .iter()
            .map(|response| &response["text"])
            .collect();
        let images = body["images"].as_array().cloned().unwrap_or_default();
        let images = vec![images; texts.len()];
        let reply = answer(&app, "/get_reward", &json!({"query": texts, "images": images})).await;
        assert_eq!(numbers(reply["rewards"].as_array().unwrap()), expected, "{}", case["name"]);
        compared += 1;
    }
    assert!(compared > 10);
}

#[tokio::test]
async fn vllm_classify_takes_completions() {
    let app = start(Config::default());
    let reward = native(&app, false, "Two and two?", &["Four."]).await[0];
    // As verl sends it.
    let body = json!({"model": "tiny", "input": rendered("Two and two?", "Four."), "use_activation": false});
    let reply = answer(&app, "/classify", &body).await;
    assert_eq!(keys(&reply), ["created", "data", "id", "model", "object", "usage"]);
    assert!(reply["id"].as_str().unwrap().starts_with("classify-"));
    assert_eq!(reply["object"], "list");
    assert!(reply["created"].as_u64().unwrap() > 1_700_000_000);
    assert_eq!(reply["model"], "tiny");
    let data = &reply["data"][0];
    assert_eq!(keys(data), ["index", "label", "num_classes", "probs"]);
    assert_eq!(
        (&data["index"], &data["label"], &data["num_classes"]),
        (&json!(0), &json!("LABEL_0"), &json!(1))
    );
    assert_eq!(numbers(data["probs"].as_array().unwrap()), [reward.to_bits()]);
    check_counts(&reply["usage"], tokens(&app, false, "Two and two?", &["Four."]).await);

    let body = json!({"input": [rendered("Two and two?", "Four."), pictured("Color?", "Red.")], "images": [[], [square()]]});
    let reply = answer(&app, "/v1/classify", &body).await;
    let other = native(&app, true, "Color?", &["Red."]).await[0];
    let probs = reply["data"].as_array().unwrap().iter().map(|one| &one["probs"][0]);
    assert_eq!(numbers(probs), bits(&[sigmoid(reward), sigmoid(other)]));
    assert_eq!(reply["data"][1]["index"], 1);
}

#[tokio::test]
async fn vllm_classify_and_pooling_take_a_chat_with_pictures() {
    let app = start(Config::default());
    let reward = native(&app, true, "Which color has <it>?", &["Red."]).await[0];
    let messages = json!([
        {"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": square()}},
            {"type": "text", "text": "Which color has <it>?"},
        ]},
        {"role": "assistant", "content": "Red."},
    ]);
    let body =
        json!({"model": "tiny", "messages": messages, "add_generation_prompt": false, "user": "u"});
    let reply = answer(&app, "/classify", &body).await;
    assert_eq!(number(&reply["data"][0]["probs"][0]), sigmoid(reward).to_bits());
    let body = json!({"messages": messages, "use_activation": false, "task": "classify"});
    let reply = answer(&app, "/pooling", &body).await;
    assert_eq!(keys(&reply), ["created", "data", "id", "model", "object", "usage"]);
    assert!(reply["id"].as_str().unwrap().starts_with("pool-"));
    assert_eq!(reply["data"][0]["object"], "pooling");
    assert_eq!(reply["data"][0]["index"], 0);
    assert_eq!(numbers(reply["data"][0]["data"].as_array().unwrap()), [reward.to_bits()]);
    check_counts(&reply["usage"], tokens(&app, true, "Which color has <it>?", &["Red."]).await);
}

#[tokio::test]
async fn vllm_pooling_writes_numbers_or_base64() {
    let app = start(Config::default());
    let reward = native(&app, false, "Hello?", &["Hi."]).await[0];
    let mut body = json!({"input": [rendered("Hello?", "Hi.")], "encoding_format": "base64", "use_activation": false});
    let reply = answer(&app, "/pooling", &body).await;
    let expected = STANDARD.encode(reward.to_le_bytes());
    assert_eq!(reply["data"][0]["data"], expected);
    body["encoding_format"] = json!("bytes");
    assert_eq!(post(&app, "/pooling", &body).await.refusal().2.unwrap(), "encoding_format");
    body["encoding_format"] = json!("float");
    body["use_activation"] = json!(null);
    let reply = answer(&app, "/pooling", &body).await;
    assert_eq!(number(&reply["data"][0]["data"][0]), sigmoid(reward).to_bits());
}

#[tokio::test]
async fn vllm_score_takes_one_question_with_many_answers_or_pairs() {
    let app = start(Config::default());
    let answers = ["Red.", "Blue or green, who knows?"];
    let rewards = native(&app, true, "Which color?", &answers).await;
    let query = json!({"content": [
        {"type": "image_url", "image_url": {"url": square()}},
        {"type": "text", "text": "Which color?"},
    ]});
    for path in ["/score", "/v1/score"] {
        let body = json!({"model": "tiny", "queries": query, "documents": answers, "use_activation": false});
        let reply = answer(&app, path, &body).await;
        assert_eq!(keys(&reply), ["created", "data", "id", "model", "object", "usage"]);
        assert_eq!((&reply["object"], &reply["model"]), (&json!("list"), &json!("tiny")));
        for (index, (one, reward)) in
            reply["data"].as_array().unwrap().iter().zip(&rewards).enumerate()
        {
            assert_eq!(keys(one), ["index", "object", "score"]);
            assert_eq!((&one["index"], &one["object"]), (&json!(index), &json!("score")));
            assert_eq!(number(&one["score"]), reward.to_bits());
        }
        check_counts(&reply["usage"], tokens(&app, true, "Which color?", &answers).await);
    }
    let second = native(&app, false, "Say hello.", &["Hello."]).await[0];
    let third = native(&app, false, "Two and two?", &["Four."]).await[0];
    for [first_key, second_key] in
        [["queries", "items"], ["data_1", "data_2"], ["text_1", "text_2"], ["queries", "documents"]]
    {
        let body = json!({first_key: ["Say hello.", "Two and two?"], second_key: ["Hello.", {"content": [{"type": "text", "text": "Four."}]}]});
        let reply = answer(&app, "/score", &body).await;
        let scores = reply["data"].as_array().unwrap().iter().map(|one| &one["score"]);
        assert_eq!(numbers(scores), bits(&[sigmoid(second), sigmoid(third)]));
    }
}

#[tokio::test]
async fn vllm_rerank_puts_the_best_first() {
    let app = start(Config::default());
    let answers = ["Red.", "Blue or green, who knows?", "A square on a table."];
    let rewards = native(&app, false, "Which color?", &answers).await;
    let best = (0..3).max_by(|&a, &b| rewards[a].total_cmp(&rewards[b])).unwrap();
    let parts = json!({"content": [{"type": "text", "text": answers[2]}]});
    let mut body = json!({"model": "tiny", "query": "Which color?", "documents": [answers[0], answers[1], parts]});
    for path in ["/rerank", "/v1/rerank", "/v2/rerank"] {
        let reply = answer(&app, path, &body).await;
        assert_eq!(keys(&reply), ["id", "model", "results", "usage"]);
        let tokens = tokens(&app, false, "Which color?", &answers).await;
        assert_eq!(reply["usage"], json!({"prompt_tokens": tokens, "total_tokens": tokens}));
        let results = reply["results"].as_array().unwrap();
        assert_eq!(results.len(), 3);
        assert_eq!(results[0]["index"], best);
        for one in results {
            let index = one["index"].as_u64().unwrap() as usize;
            assert_eq!(number(&one["relevance_score"]), sigmoid(rewards[index]).to_bits());
            let document = match index {
                2 => json!({"text": null, "multi_modal": parts}),
                _ => json!({"text": answers[index], "multi_modal": null}),
            };
            assert_eq!(one["document"], document);
        }
        let scores: Vec<f64> =
            results.iter().map(|one| one["relevance_score"].as_f64().unwrap()).collect();
        assert!(scores.is_sorted_by(|a, b| a >= b));
    }
    body["top_n"] = json!(1);
    body["use_activation"] = json!(false);
    let reply = answer(&app, "/rerank", &body).await;
    assert_eq!(reply["results"].as_array().unwrap().len(), 1);
    assert_eq!(number(&reply["results"][0]["relevance_score"]), rewards[best].to_bits());
}

#[tokio::test]
async fn openrlhf_gets_rewards_of_queries() {
    let app = start(Config::default());
    let text = native(&app, false, "Two and two?", &["Four."]).await[0];
    let body = json!({"query": [rendered("Two and two?", "Four.")], "prompts": ["Two and two?"], "labels": ["4"]});
    let reply = answer(&app, "/get_reward", &body).await;
    assert_eq!(keys(&reply), ["extra_logs", "rewards"]);
    assert_eq!(reply["extra_logs"], json!({"closed_answers": [0.0]}));
    assert_eq!(numbers(reply["rewards"].as_array().unwrap()), [text.to_bits()]);
    // The end of the last turn is often decoded without its line break, and a picture as all of its tokens.
    let picture = native(&app, true, "Color?", &["Red."]).await[0];
    let query = pictured("Color?", "Red.").replace("<|image_pad|>", &"<|image_pad|>".repeat(6));
    let body = json!({"query": [query.trim_end()], "prompts": [], "labels": [null], "images": [[square()]]});
    let reply = answer(&app, "/get_reward", &body).await;
    assert_eq!(numbers(reply["rewards"].as_array().unwrap()), [picture.to_bits()]);
}

#[tokio::test]
async fn an_answer_that_was_cut_before_its_end_mark_has_the_reward_of_the_closed_one() {
    let app = start(Config::default());
    let [whole, cut] = [rendered("Count!", "1 2 3\n"), pictured("Which color?", "It is r")];
    let open = cut.strip_suffix("<|im_end|>\n").unwrap();
    let rewards = [
        native(&app, false, "Count!", &["1 2 3\n"]).await[0],
        native(&app, true, "Which color?", &["It is r"]).await[0],
    ];
    let (texts, images) = (json!([whole, open]), json!([[], [square()]]));
    for (path, key, pictures, pointer) in [
        ("/get_reward", "query", "images", "/rewards/{}"),
        ("/classify", "input", "images", "/data/{}/probs/0"),
        ("/classify", "text", "image_data", "/{}/embedding/0"),
        ("/pooling", "input", "images", "/data/{}/data/0"),
        ("/v1/embeddings", "input", "images", "/data/{}/embedding/0"),
        ("/v1/score/evaluation", "messages", "images", "/scores/{}"),
    ] {
        let mut body = json!({key: texts, pictures: images});
        if pointer.starts_with("/data/{}/probs") || path == "/pooling" {
            body["use_activation"] = json!(false);
        }
        let reply = answer(&app, path, &body).await;
        let found = [0, 1].map(|index: usize| {
            number(reply.pointer(&pointer.replace("{}", &index.to_string())).unwrap())
        });
        assert_eq!(found.to_vec(), bits(&rewards), "{path} {key}");
        match (path, key) {
            ("/get_reward", _) => {
                assert_eq!(reply["extra_logs"], json!({"closed_answers": [0.0, 1.0]}));
            }
            (_, "text") => {
                let closed = [0, 1].map(|index| &reply[index]["meta_info"]["closed"]);
                assert_eq!(closed, [&json!(false), &json!(true)]);
            }
            _ => {}
        }
    }
    let metrics = get(&app, "/metrics").await.text;
    assert!(metrics.contains("\nbasereward_closed_answers_total 6\n"), "{metrics}");
}

#[tokio::test]
async fn slime_gets_a_bare_number() {
    let app = start(Config::default());
    let reward = native(&app, true, "Color?", &["Red."]).await[0];
    let prompt = pictured("Color?", "");
    let prompt = prompt.strip_suffix("<|im_end|>\n").unwrap();
    let messages = json!([{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": square()}}, {"type": "text", "text": "Color?"}
    ]}]);
    for (prompt, response, images) in [
        (json!(prompt), "Red.", json!([square()])),
        (json!(prompt), "Red.<|im_end|>", json!([square()])),
        (json!("Color?"), "Red.", json!([square()])),
        (messages, "Red.<|im_end|>", json!([])),
    ] {
        let body = json!({"prompt": prompt, "response": response, "label": {"any": [1]}, "images": images});
        let answer = post(&app, "/slime", &body).await;
        assert_eq!(answer.text, serde_json::to_string(&reward).unwrap(), "{body}");
    }
}

#[tokio::test]
async fn llama_factory_gets_scores_of_texts() {
    let app = start(Config::default());
    let rewards = native(&app, false, "Two and two?", &["Four.", "Five!"]).await;
    let texts = [rendered("Two and two?", "Four."), rendered("Two and two?", "Five!")];
    let mut body = json!({"model": "model", "messages": texts});
    let reply = answer(&app, "/v1/score/evaluation", &body).await;
    assert_eq!(keys(&reply), ["id", "model", "object", "scores"]);
    assert!(reply["id"].as_str().unwrap().starts_with("scoreval-"));
    assert_eq!((&reply["object"], &reply["model"]), (&json!("score.evaluation"), &json!("model")));
    assert_eq!(numbers(reply["scores"].as_array().unwrap()), bits(&rewards));
    body["model"] = json!("another");
    assert_eq!(post(&app, "/v1/score/evaluation", &body).await.refusal().1, "model_not_found");
}

#[tokio::test]
async fn sglang_gets_embeddings_of_one_number() {
    let app = start(Config::default());
    let reward = native(&app, true, "Color?", &["Red."]).await[0];
    let count = tokens(&app, true, "Color?", &["Red."]).await;
    let text = pictured("Color?", "Red.");
    let one =
        answer(&app, "/classify", &json!({"text": text, "image_data": square(), "rid": "r"})).await;
    assert_eq!(keys(&one), ["embedding", "meta_info"]);
    assert_eq!(numbers(one["embedding"].as_array().unwrap()), [reward.to_bits()]);
    assert_eq!(one["meta_info"]["prompt_tokens"], count);
    let many =
        answer(&app, "/classify", &json!({"text": [text], "image_data": [[square()]]})).await;
    assert_eq!(many.as_array().unwrap().len(), 1);
    assert_eq!(many[0]["embedding"], one["embedding"]);
    let reply = answer(
        &app,
        "/v1/embeddings",
        &json!({"model": "tiny", "input": text, "images": [square()]}),
    )
    .await;
    assert_eq!(keys(&reply), ["data", "model", "object", "usage"]);
    let data = &reply["data"][0];
    assert_eq!(keys(data), ["embedding", "index", "object"]);
    assert_eq!((&data["object"], &data["index"]), (&json!("embedding"), &json!(0)));
    assert_eq!(numbers(data["embedding"].as_array().unwrap()), [reward.to_bits()]);
    check_counts(&reply["usage"], count);
}

#[tokio::test]
async fn text_embeddings_inference_predicts_texts_and_pairs() {
    let app = start(Config::default());
    let rewards = native(&app, false, "Two and two?", &["Four.", "Five!"]).await;
    let texts = ["Four.", "Five!"].map(|answer| rendered("Two and two?", answer));
    for (inputs, is_one, expected) in [
        (json!(texts[0]), true, vec![rewards[0]]),
        (json!(["Two and two?", "Five!"]), true, vec![rewards[1]]),
        (json!([[texts[0]], [texts[1]]]), false, vec![rewards[0], rewards[1]]),
        (
            json!([["Two and two?", "Five!"], ["Two and two?", "Four."]]),
            false,
            vec![rewards[1], rewards[0]],
        ),
    ] {
        let body = json!({"inputs": inputs, "raw_scores": true, "truncate": false});
        let reply = answer(&app, "/predict", &body).await;
        let lists = if is_one { vec![reply] } else { reply.as_array().unwrap().clone() };
        for list in &lists {
            assert_eq!(list.as_array().unwrap().len(), 1, "{body}");
            assert_eq!(keys(&list[0]), ["label", "score"]);
            assert_eq!(list[0]["label"], "LABEL_0");
        }
        assert_eq!(numbers(lists.iter().map(|list| &list[0]["score"])), bits(&expected), "{body}");
    }
    let reply = answer(&app, "/predict", &json!({"inputs": texts[0]})).await;
    assert_eq!(number(&reply[0]["score"]), sigmoid(rewards[0]).to_bits());
    for inputs in
        [json!(["a"]), json!(["a", "b", "c"]), json!([["a"], ["b", "c"]]), json!(1), json!([[]])]
    {
        let refusal = post(&app, "/predict", &json!({"inputs": inputs})).await.refusal();
        assert_eq!(
            (refusal.1.as_str(), refusal.2.as_deref()),
            ("invalid_inputs", Some("inputs")),
            "{inputs}"
        );
    }
}

#[tokio::test]
async fn text_embeddings_inference_reranks_texts() {
    let app = start(Config::default());
    let answers = ["Four.", "Five!"];
    let rewards = native(&app, false, "Two and two?", &answers).await;
    let best = usize::from(rewards[1] > rewards[0]);
    let body =
        json!({"query": "Two and two?", "texts": answers, "raw_scores": true, "return_text": true});
    let reply = answer(&app, "/rerank", &body).await;
    assert_eq!(reply.as_array().unwrap().len(), 2);
    assert_eq!((&reply[0]["index"], &reply[0]["text"]), (&json!(best), &json!(answers[best])));
    assert_eq!(number(&reply[0]["score"]), rewards[best].to_bits());
    let reply = answer(&app, "/rerank", &json!({"query": "Two and two?", "texts": answers})).await;
    assert_eq!(keys(&reply[1]), ["index", "score"]);
    assert_eq!(number(&reply[1]["score"]), sigmoid(rewards[1 - best]).to_bits());
}

#[tokio::test]
async fn kserve_infers_rewards_of_sentences() {
    let app = start(Config::default());
    let text = native(&app, true, "Color?", &["Red.", "Blue!"]).await;
    let sentences = ["Red.", "Blue!"].map(|answer| [pictured("Color?", answer)]);
    let body = json!({
        "id": "7",
        "inputs": [
            {"name": "sentences", "shape": [2, 1], "datatype": "BYTES", "data": sentences},
            {"name": "images", "shape": [2, 1], "datatype": "BYTES", "data": [square(), square()]},
        ],
        "outputs": [{"name": "rewards"}],
    });
    let reply = answer(&app, "/v2/models/tiny/infer", &body).await;
    assert_eq!(keys(&reply), ["id", "model_name", "model_version", "outputs"]);
    assert_eq!((&reply["id"], &reply["model_name"]), (&json!("7"), &json!("tiny")));
    let output = &reply["outputs"][0];
    assert_eq!(keys(output), ["data", "datatype", "name", "shape"]);
    assert_eq!((&output["name"], &output["datatype"]), (&json!("rewards"), &json!("FP32")));
    assert_eq!(output["shape"], json!([2, 1]));
    assert_eq!(numbers(output["data"].as_array().unwrap()), bits(&text));
    let mut wrong = body.clone();
    wrong["inputs"][0]["shape"] = json!([3, 1]);
    let refusal = post(&app, "/v2/models/tiny/infer", &wrong).await.refusal();
    assert_eq!(
        (refusal.1.as_str(), refusal.2.as_deref()),
        ("tensor_shape", Some("inputs[0].shape"))
    );
    assert_eq!(post(&app, "/v2/models/other/infer", &body).await.refusal().1, "model_not_found");
    assert_eq!(get(&app, "/v2/models/tiny").await.json()["inputs"][0]["name"], "sentences");
    assert_eq!(get(&app, "/v2/models/tiny/ready").await.json(), json!({"ready": true}));
    assert_eq!(get(&app, "/v2/models/other/ready").await.refusal().0, 404);
    for path in ["/v2", "/v2/health/live", "/v2/health/ready"] {
        assert_eq!(get(&app, path).await.status, StatusCode::OK, "{path}");
    }
}
