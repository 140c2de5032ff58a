//! `POST /v1/best_of_n`: the best of several answers.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admission::Admitted;
use crate::error::{ApiError, ErrorBody};
use crate::request::Question;
use crate::routes::reward::RewardReply;
use crate::server::Server;

pub(super) fn routes() -> OpenApiRouter<Server> {
    OpenApiRouter::new().routes(routes!(best_of_n))
}

/// The best answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct BestReply {
    /// Index of the best response; of equal ones, the first.
    pub best: usize,
    /// Indices of all responses, best first; equal ones in their own order.
    pub order: Vec<usize>,
    /// The rewards and all that belongs to them.
    pub scored: RewardReply,
}

/// Choose the best answer
///
/// As `/v1/reward`, with the responses in the order of their rewards.
#[utoipa::path(
    post,
    path = "/v1/best_of_n",
    tag = "Rewards",
    request_body = Question,
    responses(
        (status = 200, description = "The best response", body = BestReply),
        (status = 400, description = "The request cannot be scored as it is", body = ErrorBody),
        (status = 429, description = "Too many requests at a time", body = ErrorBody),
        (status = 504, description = "The time of the request is over", body = ErrorBody),
    )
)]
async fn best_of_n(
    State(server): State<Server>,
    request: Admitted<Question>,
) -> Result<Json<BestReply>, ApiError> {
    let Admitted { body, place } = request;
    let scored = server.score(body.ask(server.limits())?, &place).await?;
    let order = order(&scored.rewards);
    Ok(Json(BestReply {
        best: order[0],
        order,
        scored: RewardReply::new(&server, place.id.clone(), scored),
    }))
}

/// Indices of rewards, the greatest first.
pub fn order(rewards: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rewards.len()).collect();
    order.sort_by(|&a, &b| rewards[b].total_cmp(&rewards[a]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_reward_comes_first_and_equal_ones_keep_their_order() {
        assert_eq!(order(&[0.5, 2.0, 2.0, -1.0]), [1, 2, 0, 3]);
    }
}
