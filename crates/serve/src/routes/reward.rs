//! `POST /v1/reward`: N answers to one question, N rewards.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admission::Admitted;
use crate::config::Identity;
use crate::error::{ApiError, ErrorBody};
use crate::request::Question;
use crate::server::{Scored, Server, Timings, Usage};

pub(super) fn routes() -> OpenApiRouter<Server> {
    OpenApiRouter::new().routes(routes!(reward))
}

/// Rewards of the answers to a question.
#[derive(Debug, Serialize, ToSchema)]
pub struct RewardReply {
    /// Name of the request.
    pub id: String,
    /// Name of the model.
    pub model: String,
    /// One for each response, in order: the model's own f32, written so that reading it back gives the same bits.
    pub rewards: Vec<f32>,
    /// Place of each response, 1 for the best; equal rewards have the same place.
    pub ranks: Vec<usize>,
    /// Tokens.
    pub usage: Usage,
    /// What rewards depend on besides the request.
    pub identity: Identity,
    /// Times.
    pub timings: Timings,
    /// Whether the same request has the same bits alone, in any company and after any other.
    pub deterministic: bool,
}

impl RewardReply {
    pub(super) fn new(server: &Server, id: String, scored: Scored) -> Self {
        let Scored { rewards, usage, timings } = scored;
        Self {
            id,
            model: server.name().to_owned(),
            ranks: ranks(&rewards),
            rewards,
            usage,
            identity: server.identity().clone(),
            timings,
            deterministic: true,
        }
    }
}

/// Score answers to a question
///
/// Scores each of `responses` as the answer to the same messages and pictures. A reward does not depend on the other responses, nor on
/// other requests.
#[utoipa::path(
    post,
    path = "/v1/reward",
    tag = "Rewards",
    request_body = Question,
    responses(
        (status = 200, description = "The rewards", body = RewardReply),
        (status = 400, description = "The request cannot be scored as it is", body = ErrorBody),
        (status = 429, description = "Too many requests at a time", body = ErrorBody),
        (status = 504, description = "The time of the request is over", body = ErrorBody),
    )
)]
async fn reward(
    State(server): State<Server>,
    request: Admitted<Question>,
) -> Result<Json<RewardReply>, ApiError> {
    let Admitted { body, place } = request;
    let scored = server.score(body.ask(server.limits())?, &place).await?;
    Ok(Json(RewardReply::new(&server, place.id.clone(), scored)))
}

/// Place of each reward, 1 for the greatest; equal ones share a place.
pub fn ranks(rewards: &[f32]) -> Vec<usize> {
    rewards
        .iter()
        .map(|reward| 1 + rewards.iter().filter(|other| *other > reward).count())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_rewards_share_a_place() {
        assert_eq!(ranks(&[0.5, 2.0, 2.0, -1.0]), [3, 1, 1, 4]);
        assert!(ranks(&[]).is_empty());
    }
}
