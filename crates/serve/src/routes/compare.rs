//! `POST /v1/compare`: which of two answers is better, and how sure the model is.

use std::cmp::Ordering;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::activation::sigmoid;
use crate::admission::Admitted;
use crate::error::{ApiError, ErrorBody};
use crate::request::Question;
use crate::routes::reward::RewardReply;
use crate::server::Server;

pub(super) fn routes() -> OpenApiRouter<Server> {
    OpenApiRouter::new().routes(routes!(compare))
}

/// Two answers side by side.
#[derive(Debug, Serialize, ToSchema)]
pub struct CompareReply {
    /// Reward of the first response minus that of the second.
    pub margin: f32,
    /// Probability that the first is better, by Bradley and Terry: the sigmoid of the margin.
    pub probability: f64,
    /// Index of the better response; absent when both have the same reward.
    pub preferred: Option<usize>,
    /// The rewards and all that belongs to them.
    pub scored: RewardReply,
}

/// Compare two answers
///
/// As `/v1/reward` for exactly two responses, with their difference.
#[utoipa::path(
    post,
    path = "/v1/compare",
    tag = "Rewards",
    request_body = Question,
    responses(
        (status = 200, description = "The comparison", body = CompareReply),
        (status = 400, description = "The request cannot be scored as it is", body = ErrorBody),
        (status = 429, description = "Too many requests at a time", body = ErrorBody),
        (status = 504, description = "The time of the request is over", body = ErrorBody),
    )
)]
async fn compare(
    State(server): State<Server>,
    request: Admitted<Question>,
) -> Result<Json<CompareReply>, ApiError> {
    let Admitted { body, place } = request;
    let count = body.responses.len();
    if count != 2 {
        let message = format!("{count} responses, but a comparison takes exactly two");
        return Err(ApiError::invalid("not_two_responses", message).at("responses"));
    }
    let scored = server.score(body.ask(server.limits())?, &place).await?;
    let (first, second) = (scored.rewards[0], scored.rewards[1]);
    Ok(Json(CompareReply {
        margin: first - second,
        probability: probability(first, second),
        preferred: preferred(first, second),
        scored: RewardReply::new(&server, place.id.clone(), scored),
    }))
}

fn preferred(first: f32, second: f32) -> Option<usize> {
    match first.partial_cmp(&second) {
        Some(Ordering::Greater) => Some(0),
        Some(Ordering::Less) => Some(1),
        Some(Ordering::Equal) | None => None,
    }
}

fn probability(first: f32, second: f32) -> f64 {
    sigmoid(f64::from(first) - f64::from(second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swapping_the_answers_turns_the_probability_around() {
        assert!((probability(1.0, 1.0) - 0.5).abs() < 1e-12);
        assert!((probability(2.0, -1.0) + probability(-1.0, 2.0) - 1.0).abs() < 1e-12);
        assert!((probability(1.0, 0.0) - 0.731_058_578_630_004_9).abs() < 1e-12);
        assert!(probability(-100.0, 100.0) > 0.0);
    }
}
