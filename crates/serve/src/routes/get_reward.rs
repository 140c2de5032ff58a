//! `POST /get_reward` of `OpenRLHF`: rewards of rendered queries.
//!
//! # Source
//! `OpenRLHF` 0.11.2.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admission::Admitted;
use crate::error::{ApiError, ErrorBody};
use crate::protocol::examples::{PICTURE, PICTURED, RENDERED};
use crate::protocol::options::{Optional, Posted, Protocol, describe, neutral};
use crate::protocol::texts::{OneOrMany, Pictures, ScoredTexts, Texts, schema};
use crate::server::Server;

pub(super) fn routes() -> OpenApiRouter<Server> {
    let mut router = OpenApiRouter::new().routes(routes!(get_reward));
    describe::<GetRewardBody>(router.get_openapi_mut());
    router
}

/// Queries to score.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GetRewardBody {
    /// Whole conversations with their answers and special tokens, as the model's own chat template renders them. The template is checked.
    #[schema(value_type = schema::Texts)]
    query: OneOrMany,
    /// Pictures for the places in `query`; an extension.
    #[serde(default)]
    #[schema(value_type = Option<schema::Pictures>)]
    images: Pictures,
}

impl Protocol for GetRewardBody {
    const OPTIONS: &'static [&'static [Optional]] = &[&[neutral("prompts"), neutral("labels")]];
}

/// Rewards of queries.
#[derive(Debug, Serialize, ToSchema)]
pub struct GetRewardReply {
    /// One for each query, in order: the reward itself.
    rewards: Vec<f32>,
    /// What `OpenRLHF` writes into its logs.
    extra_logs: ExtraLogs,
}

/// Facts on queries that a trainer logs.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExtraLogs {
    /// For each query, 1 where the answer lacked the mark of its end and was closed here, else 0.
    closed_answers: Vec<f32>,
}

/// Score rendered queries
///
/// A query is a whole conversation with its answer, rendered by the model's own chat template; a text that the template does not render is
/// refused as `template_mismatch`. Pictures for its image places come in `images`.
///
/// An answer that was cut at its greatest length lacks the mark of its end; it is closed here, so that its reward is that of the same
/// conversation with this answer, and `extra_logs` says so.
#[utoipa::path(
    post,
    path = "/get_reward",
    tags = ["OpenRLHF"],
    request_body(content = GetRewardBody, example = json!({
        "query": [RENDERED, PICTURED], "prompts": ["…", "…"], "labels": ["4", "red"], "images": [[], [PICTURE]]
    })),
    responses(
        (status = 200, description = "The rewards", body = GetRewardReply),
        (status = 400, description = "The request cannot be scored as it is", body = ErrorBody),
    )
)]
async fn get_reward(
    State(server): State<Server>,
    request: Admitted<Posted<GetRewardBody>>,
) -> Result<Json<GetRewardReply>, ApiError> {
    let Admitted { body: Posted(GetRewardBody { query, images }), place } = request;
    let texts = Texts { written: query, pictures: images, keys: ["query", "images"] };
    let ScoredTexts { scored, cut } = texts.score(&server, &place, None).await?;
    let closed_answers = cut.into_iter().map(|cut| f32::from(u8::from(cut))).collect();
    Ok(Json(GetRewardReply { rewards: scored.rewards, extra_logs: ExtraLogs { closed_answers } }))
}
