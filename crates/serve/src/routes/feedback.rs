//! `POST /v1/feedback`: which of two answers a person finds better, kept for training.
//!
//! The pair is scored on its way, so that only what the model can read is kept, and the person hears what the model says.

use std::cmp::Ordering;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use prompt::{ImageSource, WrittenMessage, WrittenResponse};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admission::Admitted;
use crate::error::{ApiError, ErrorBody};
use crate::feedback::{FeedbackRow, KeepError};
use crate::request::Question;
use crate::server::Server;

pub(super) fn routes() -> OpenApiRouter<Server> {
    OpenApiRouter::new().routes(routes!(feedback))
}

/// A person's choice between two answers.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// The question.
    pub prompt: String,
    /// Its pictures, which stand before the text: data: URLs.
    #[serde(default)]
    pub images: Vec<String>,
    /// The two answers, in the order in which they were shown.
    pub responses: [String; 2],
    /// Which of them is better.
    pub choice: Choice,
}

/// Which of two answers is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// The first.
    A,
    /// The second.
    B,
    /// Neither.
    Tie,
}

/// What became of a choice.
#[derive(Debug, Serialize, ToSchema)]
pub struct FeedbackReply {
    /// Name of the row that was kept.
    pub id: String,
    /// Rewards of the two answers.
    pub rewards: [f32; 2],
    /// Whether the model prefers the same answer; absent where the person or the model prefers none.
    pub agrees: Option<bool>,
}

/// Keep a choice between two answers
///
/// Only where the server was started with `--feedback FILE`: appends a row to that preference file, and stores the pictures beside it. A
/// tie is kept, too, though nothing is trained on it.
#[utoipa::path(
    post,
    path = "/v1/feedback",
    tag = "Feedback",
    request_body = Verdict,
    responses(
        (status = 200, description = "The choice is kept", body = FeedbackReply),
        (status = 400, description = "The pair cannot be scored as it is", body = ErrorBody),
        (status = 404, description = "This server keeps no choices", body = ErrorBody),
        (status = 429, description = "Too many requests at a time", body = ErrorBody),
        (status = 504, description = "The time of the request is over", body = ErrorBody),
        (status = 507, description = "There is no room for more choices", body = ErrorBody),
    )
)]
async fn feedback(
    State(server): State<Server>,
    request: Admitted<Verdict>,
) -> Result<Json<FeedbackReply>, ApiError> {
    let Some(file) = server.feedback() else {
        let message = "this server keeps no choices; start it with --feedback FILE";
        return Err(ApiError::new(StatusCode::NOT_FOUND, "feedback_off", message));
    };
    let Admitted { body, place } = request;
    if body.responses[0] == body.responses[1] {
        let message = "the answers are the same; a choice needs two different ones";
        return Err(ApiError::invalid("equal_responses", message).at("responses[1]"));
    }
    let pictures = pictures(&body.images)?;
    let messages = messages(&body);
    let scored = server.score(question(&body, &messages).ask(server.limits())?, &place).await?;
    let rewards = [scored.rewards[0], scored.rewards[1]];
    let row = FeedbackRow {
        id: row_id(&messages, &body),
        source: "feedback",
        images: Vec::new(),
        prompt: messages,
        ranks: ranks(body.choice),
        responses: body.responses,
        rewards,
        model: server.identity().model.clone(),
    };
    let id = row.id.clone();
    let keeping = tokio::task::spawn_blocking(move || file.keep(row, &pictures));
    keeping.await.map_err(|_| ApiError::internal())?.map_err(|error| not_kept(&error))?;
    Ok(Json(FeedbackReply { id, rewards, agrees: agrees(body.choice, rewards) }))
}

fn not_kept(error: &KeepError) -> ApiError {
    let code = match error {
        KeepError::Full { .. } => "feedback_full",
        KeepError::Write { .. } => "feedback_not_written",
    };
    ApiError::new(StatusCode::INSUFFICIENT_STORAGE, code, error.to_string())
}

/// Bytes of pictures that are in the request; a file or an address could be another picture tomorrow.
fn pictures(images: &[String]) -> Result<Vec<Vec<u8>>, ApiError> {
    let read = |(index, written): (usize, &String)| {
        let place = format!("images[{index}]");
        let outside = || ApiError::invalid("picture_not_inside", "send the picture as a data: URL");
        if !written.starts_with("data:") {
            return Err(outside().at(place));
        }
        match ImageSource::parse(written, place.clone(), Path::new(""))? {
            ImageSource::Bytes { bytes, .. } => Ok(bytes),
            ImageSource::Path(_) => Err(outside().at(place)),
        }
    };
    images.iter().enumerate().map(read).collect()
}

/// The question as the row keeps it: a place for every picture, then the text.
fn messages(verdict: &Verdict) -> Value {
    let mut content = vec![json!({"type": "image"}); verdict.images.len()];
    content.push(json!({"type": "text", "text": verdict.prompt}));
    json!([{"role": "user", "content": content}])
}

fn question(verdict: &Verdict, messages: &Value) -> Question {
    let messages = Vec::<WrittenMessage>::deserialize(messages);
    Question {
        model: None,
        messages: Some(messages.expect("the messages are written in their own form")),
        prompt: None,
        images: verdict.images.clone(),
        videos: Vec::new(),
        responses: verdict.responses.iter().cloned().map(WrittenResponse::Text).collect(),
        timeout_ms: None,
    }
}

fn ranks(choice: Choice) -> [u32; 2] {
    match choice {
        Choice::A => [0, 1],
        Choice::B => [1, 0],
        Choice::Tie => [0, 0],
    }
}

fn agrees(choice: Choice, [first, second]: [f32; 2]) -> Option<bool> {
    let is_first_better = match first.partial_cmp(&second) {
        Some(Ordering::Greater) => true,
        Some(Ordering::Less) => false,
        _ => return None,
    };
    match choice {
        Choice::Tie => None,
        Choice::A => Some(is_first_better),
        Choice::B => Some(!is_first_better),
    }
}

/// A name that no other choice has, not even the same one a moment later.
fn row_id(messages: &Value, verdict: &Verdict) -> String {
    let moment = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let seed = format!("{moment} {messages} {:?} {:?}", verdict.responses, verdict.choice);
    format!("feedback-{}", &blake3::hash(seed.as_bytes()).to_hex()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_agrees_or_not_only_where_both_prefer_an_answer() {
        assert_eq!(agrees(Choice::A, [1.0, 0.0]), Some(true));
        assert_eq!(agrees(Choice::B, [1.0, 0.0]), Some(false));
        assert_eq!(agrees(Choice::A, [1.0, 1.0]), None);
        assert_eq!(agrees(Choice::Tie, [1.0, 0.0]), None);
    }
}
