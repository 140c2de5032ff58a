//! `POST /v1/score/evaluation` of LLaMA-Factory: rewards of rendered texts.
//!
//! # Source
//! LLaMA-Factory, `llamafactory-cli api --stage rm`, 2026.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admission::Admitted;
use crate::error::{ApiError, ErrorBody};
use crate::protocol::examples::RENDERED;
use crate::protocol::options::{Optional, Posted, Protocol, describe, only};
use crate::protocol::texts::{OneOrMany, Pictures, Texts, schema};
use crate::server::Server;

/// What LLaMA-Factory's own client always calls the model.
const ANY_MODEL: &str = "model";

pub(super) fn routes() -> OpenApiRouter<Server> {
    let mut router = OpenApiRouter::new().routes(routes!(score_evaluation));
    describe::<ScoreEvaluationBody>(router.get_openapi_mut());
    router
}

/// Texts to score.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScoreEvaluationBody {
    /// Name of the model; `model` is taken for any.
    #[serde(default)]
    model: Option<String>,
    /// Whole conversations as the model's own chat template renders them. The template is checked.
    messages: Vec<String>,
    /// Pictures for the places in `messages`; an extension.
    #[serde(default)]
    #[schema(value_type = Option<schema::Pictures>)]
    images: Pictures,
}

impl Protocol for ScoreEvaluationBody {
    const OPTIONS: &'static [&'static [Optional]] = &[&[only(
        "max_length",
        &[],
        "a reward is that of the whole conversation, which is never cut",
    )]];
}

/// Rewards of texts.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScoreEvaluationReply {
    /// Name of the reply.
    id: String,
    /// `score.evaluation`.
    object: &'static str,
    /// Name of the model, as the request has it.
    model: String,
    /// One for each text, in order: the reward itself.
    scores: Vec<f32>,
}

/// Score rendered texts
///
/// Each of `messages` is a whole conversation as text, rendered by the model's own chat template; a text that the template does not render is
/// refused as `template_mismatch`, but an answer that was cut before the mark of its end is closed here. Pictures for its image places
/// come in `images`.
#[utoipa::path(
    post,
    path = "/v1/score/evaluation",
    tags = ["LLaMA-Factory"],
    request_body(content = ScoreEvaluationBody, example = json!({"model": "model", "messages": [RENDERED]})),
    responses(
        (status = 200, description = "The rewards", body = ScoreEvaluationReply),
        (status = 400, description = "The request cannot be scored as it is", body = ErrorBody),
    )
)]
async fn score_evaluation(
    State(server): State<Server>,
    request: Admitted<Posted<ScoreEvaluationBody>>,
) -> Result<Json<ScoreEvaluationReply>, ApiError> {
    let Admitted { body: Posted(ScoreEvaluationBody { model, messages, images }), place } = request;
    let texts = Texts {
        written: OneOrMany::Many(messages),
        pictures: images,
        keys: ["messages", "images"],
    };
    let asked = model.clone().filter(|name| name != ANY_MODEL);
    let scored = texts.score(&server, &place, asked).await?.scored;
    Ok(Json(ScoreEvaluationReply {
        id: format!("scoreval-{}", place.id),
        object: "score.evaluation",
        model: model.unwrap_or_else(|| server.name().to_owned()),
        scores: scored.rewards,
    }))
}
