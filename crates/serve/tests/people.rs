//! What people use: the page, the card, and choices that become rows that `data` reads.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::fs;
use std::path::Path;

use axum::Router;
use data::{Dataset, DatasetOptions};
use prompt::{ImageSource, Part};
use serde_json::{Value, json};
use serve::{Card, Config, Limits, Training};
use support::{data_url, get, good_body, post, rewards, start};

fn keeping(path: &Path) -> Router {
    start(Config { feedback: Some(path.to_owned()), ..Config::default() })
}

/// The two answers of [`good_body`] with a choice.
fn verdict(choice: &str) -> Value {
    json!({
        "prompt": "What is in the picture?",
        "images": [data_url("images/square.png")],
        "responses": ["A red square.", "A blue circle on a table."],
        "choice": choice,
    })
}

#[tokio::test]
async fn the_page_is_open_and_may_only_run_its_own_script() {
    let app = start(Config { api_keys: vec!["secret".to_owned()], ..Config::default() });
    let page = get(&app, "/").await;
    assert_eq!(page.status, 200);
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"));
    assert!(!policy.contains("unsafe") && !policy.contains("http"));
    assert_eq!(page.headers["x-content-type-options"], "nosniff");
    let told = Card { parameters: 9, size_bytes: 36, head: "a head".to_owned(), training: None };
    let other = start(Config { card: Some(told), ..Config::default() });
    assert_eq!(page.text, get(&other, "/").await.text, "the page tells nothing of the model");
    assert_eq!(get(&app, "/v1/card").await.status, 401);
    assert_eq!(post(&app, "/v1/feedback", &verdict("a")).await.status, 401);
}

#[tokio::test]
async fn the_card_tells_the_model_and_whether_choices_are_kept() {
    let training =
        Training { step: 7, pairwise_accuracy: 0.75, loss: 0.5, margin_mean: 1.5, pairs: 8 };
    let card = Card {
        parameters: 9,
        size_bytes: 36,
        head: "1 layer".to_owned(),
        training: Some(training),
    };
    let app = start(Config { card: Some(card), ..Config::default() });
    let reply = get(&app, "/v1/card").await.json();
    assert_eq!((&reply["name"], &reply["feedback"]), (&json!("tiny"), &json!(false)));
    assert_eq!(reply["card"]["training"]["pairwise_accuracy"], 0.75);
    assert_eq!(reply["identity"]["head"], "h");
    assert_eq!(reply["max_body_bytes"], 32 << 20);
    let folder = tempfile::tempdir().unwrap();
    let app = keeping(&folder.path().join("choices.jsonl"));
    assert_eq!(get(&app, "/v1/card").await.json()["feedback"], true);
}

#[tokio::test]
async fn choices_become_rows_that_are_read_back_with_their_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("choices.jsonl");
    let app = keeping(&path);
    let expected = post(&app, "/v1/reward", &good_body()).await.rewards();
    for choice in ["a", "b"] {
        let reply = post(&app, "/v1/feedback", &verdict(choice)).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_eq!(rewards(&reply.json()), expected);
        let first_wins = f32::from_bits(expected[0]) > f32::from_bits(expected[1]);
        assert_eq!(reply.json()["agrees"], first_wins == (choice == "a"));
    }
    let rows = Dataset::open(&[&path], &DatasetOptions::default()).unwrap();
    assert_eq!(rows.len(), 2);
    for (index, pair) in [(0, (0, 1)), (1, (1, 0))] {
        let row = rows.read(index).unwrap();
        assert_eq!((row.source.as_str(), row.pairs()), ("feedback", vec![pair]));
        let [Part::Image(picture), Part::Text(question)] = &row.prompt[0].content[..] else {
            panic!("a picture and a text: {:?}", row.prompt)
        };
        assert_eq!(question, "What is in the picture?");
        let ImageSource::Path(stored) = &**picture else { panic!("a file") };
        let sent = fs::read(support::goldens().join("images/square.png")).unwrap();
        assert_eq!(fs::read(stored).unwrap(), sent);
    }
    assert_ne!(rows.read(0).unwrap().id, rows.read(1).unwrap().id);
}

#[tokio::test]
async fn an_inspection_counts_every_choice_and_says_which_prefer_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("choices.jsonl");
    let app = keeping(&path);
    for choice in ["a", "tie", "b"] {
        let mut body = verdict(choice);
        body["images"] = json!([]);
        assert_eq!(post(&app, "/v1/feedback", &body).await.status, 200);
    }
    let found = data::inspect::inspect(&path, &data::inspect::InspectOptions::default()).unwrap();
    let counts = &found.counts;
    assert_eq!((counts.rows, counts.pairs, counts.without_preference), (3, 2, 1));
    assert_eq!(found.formats.len(), 1, "{:?}", found.formats);
    let rows = Dataset::open(&[&path], &DatasetOptions::default()).unwrap();
    assert!(rows.read(1).unwrap_err().to_string().contains("tied"));
}

#[tokio::test]
async fn what_cannot_be_scored_or_means_nothing_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("choices.jsonl");
    let app = keeping(&path);
    let changed = |key: &str, value: Value| {
        let mut body = verdict("a");
        body[key] = value;
        body
    };
    for (body, code, param) in [
        (changed("choice", json!("skip")), "invalid_request", Some("choice")),
        (changed("responses", json!(["one"])), "invalid_request", Some("responses")),
        (changed("responses", json!(["same", "same"])), "equal_responses", Some("responses[1]")),
        (changed("responses", json!(["one", ""])), "empty_response", Some("responses[1]")),
        (changed("images", json!(["square.png"])), "picture_not_inside", Some("images[0]")),
        (changed("images", json!(["data:image/png;base64,AAAA"])), "not_an_image", None),
        (changed("rating", json!(5)), "invalid_request", Some("rating")),
    ] {
        let reply = post(&app, "/v1/feedback", &body).await;
        let (status, found, at) = reply.refusal();
        assert_eq!((status, found.as_str()), (400, code), "{}", reply.text);
        if param.is_some() {
            assert_eq!(at.as_deref(), param, "{}", reply.text);
        }
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "");
    let reply = post(&start(Config::default()), "/v1/feedback", &verdict("a")).await;
    assert_eq!(reply.refusal(), (404, "feedback_off".to_owned(), None));
}

#[tokio::test]
async fn choices_over_the_bytes_that_are_kept_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("choices.jsonl");
    let mut limits = Limits { max_feedback_bytes: 400, ..Limits::default() };
    let keeping = |limits: &Limits| {
        start(Config { feedback: Some(path.clone()), limits: limits.clone(), ..Config::default() })
    };
    let mut body = verdict("a");
    body["images"] = json!([]);
    let app = keeping(&limits);
    assert_eq!(post(&app, "/v1/feedback", &body).await.status, 200);
    let refusal = post(&app, "/v1/feedback", &body).await.refusal();
    assert_eq!(refusal, (507, "feedback_full".to_owned(), None));
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
    limits.max_feedback_bytes = 1 << 20;
    assert_eq!(post(&keeping(&limits), "/v1/feedback", &body).await.status, 200);
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn lines_of_many_who_choose_at_once_do_not_mix() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("choices.jsonl");
    let app = keeping(&path);
    let mut choosing = tokio::task::JoinSet::new();
    for index in 0..16 {
        let app = app.clone();
        choosing.spawn(async move {
            let mut body = verdict(["a", "b"][index % 2]);
            body["prompt"] = json!(format!("Question {index}?"));
            post(&app, "/v1/feedback", &body).await.status
        });
    }
    while let Some(status) = choosing.join_next().await {
        assert_eq!(status.unwrap(), 200);
    }
    let rows = Dataset::open(&[&path], &DatasetOptions::default()).unwrap();
    let mut questions: Vec<String> = (0..rows.len())
        .map(|index| format!("{:?}", rows.read(index).unwrap().prompt[0].content[1]))
        .collect();
    questions.sort();
    questions.dedup();
    assert_eq!(questions.len(), 16);
    assert_eq!(fs::read_dir(folder.path().join("choices.images")).unwrap().count(), 1);
}
