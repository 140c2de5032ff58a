//! `POST /v1/embeddings` of `SGLang`: rewards as embeddings of one number, as reinforcement learners read them.
//!
//! # Source
//! `SGLang` 0.5.23; verl 0.9.1 is a client of it.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admission::Admitted;
use crate::error::{ApiError, ErrorBody};
use crate::protocol::examples::{PICTURE, PICTURED};
use crate::protocol::options::{Optional, Posted, Protocol, describe, neutral, only};
use crate::protocol::reply::{EncodingFormat, Numbers, TokenCounts};
use crate::protocol::texts::{OneOrMany, Pictures, Texts, schema};
use crate::server::Server;

pub(super) fn routes() -> OpenApiRouter<Server> {
    let mut router = OpenApiRouter::new().routes(routes!(embeddings));
    describe::<EmbeddingsBody>(router.get_openapi_mut());
    router
}

/// Conversations to score.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingsBody {
    /// Name of the model.
    #[serde(default)]
    model: Option<String>,
    /// Whole conversations as the model's own chat template renders them. The template is checked.
    #[schema(value_type = schema::Texts)]
    input: OneOrMany,
    /// Pictures for the places in `input`; an extension.
    #[serde(default)]
    #[schema(value_type = Option<schema::Pictures>)]
    images: Pictures,
    /// `float` or `base64`.
    #[serde(default)]
    encoding_format: EncodingFormat,
}

impl Protocol for EmbeddingsBody {
    const OPTIONS: &'static [&'static [Optional]] = &[&[
        neutral("user"),
        neutral("rid"),
        neutral("priority"),
        only("dimensions", &[], "a reward is one number"),
        only("lora_path", &[], "one model is served"),
    ]];
}

/// Rewards as embeddings.
#[derive(Debug, Serialize, ToSchema)]
pub struct EmbeddingsReply {
    /// `list`.
    object: &'static str,
    /// One for each conversation, in order.
    data: Vec<EmbeddingFacts>,
    /// Name of the model.
    model: String,
    /// Tokens.
    usage: TokenCounts,
}

/// Reward of one conversation.
#[derive(Debug, Serialize, ToSchema)]
pub struct EmbeddingFacts {
    /// `embedding`.
    object: &'static str,
    /// Place of the conversation in the request.
    index: usize,
    /// The reward itself.
    embedding: Numbers,
}

/// Score conversations as embeddings
///
/// `input` holds whole conversations as text, rendered by the model's own chat template; a text that the template does not render is refused
/// as `template_mismatch`, but an answer that was cut before the mark of its end is closed here. Pictures for its image places come in
/// `images`. Gives the reward itself as an embedding of one number.
#[utoipa::path(
    post,
    path = "/v1/embeddings",
    tags = ["SGLang"],
    request_body(content = EmbeddingsBody, example = json!({"input": PICTURED, "images": [PICTURE]})),
    responses(
        (status = 200, description = "The rewards", body = EmbeddingsReply),
        (status = 400, description = "The request cannot be scored as it is", body = ErrorBody),
    )
)]
async fn embeddings(
    State(server): State<Server>,
    request: Admitted<Posted<EmbeddingsBody>>,
) -> Result<Json<EmbeddingsReply>, ApiError> {
    let Admitted { body: Posted(body), place } = request;
    let EmbeddingsBody { model, input, images, encoding_format } = body;
    let texts = Texts { written: input, pictures: images, keys: ["input", "images"] };
    let scored = texts.score(&server, &place, model).await?.scored;
    let embedding = |(index, reward): (usize, &f32)| EmbeddingFacts {
        object: "embedding",
        index,
        embedding: encoding_format.write(*reward),
    };
    Ok(Json(EmbeddingsReply {
        object: "list",
        data: scored.rewards.iter().enumerate().map(embedding).collect(),
        model: server.name().to_owned(),
        usage: TokenCounts::new(&scored.usage),
    }))
}
