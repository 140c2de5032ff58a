//! `POST /pooling` of vLLM: rewards as the pooled output of a classifier.
//!
//! Only the task `classify` exists here: one number for a conversation.
//!
//! # Source
//! vLLM 0.33.

use axum::Json;
use axum::extract::State;
use prompt::WrittenMessage;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::activation::activate;
use crate::admission::{Admitted, ReadBody};
use crate::error::{ApiError, ErrorBody};
use crate::protocol::examples::{PICTURE, PICTURED};
use crate::protocol::options::{Optional, Posted, Protocol, describe, has_key, only};
use crate::protocol::reply::{EncodingFormat, Numbers, TokenCounts, now};
use crate::protocol::texts::{OneOrMany, Pictures, schema};
use crate::protocol::vllm::{CHAT, COMMON, Input, NUMBERS};
use crate::request;
use crate::server::Server;

pub(super) fn routes() -> OpenApiRouter<Server> {
    let mut router = OpenApiRouter::new().routes(routes!(pooling));
    describe::<PoolingCompletion>(router.get_openapi_mut());
    describe::<PoolingChat>(router.get_openapi_mut());
    router
}

const TASK: &[Optional] = &[only("task", &["\"classify\""], "a conversation has one reward")];

/// Completion form of a pooling request.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PoolingCompletion {
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
    /// False for the reward itself; else its sigmoid.
    #[serde(default)]
    use_activation: Option<bool>,
    /// `float` or `base64`.
    #[serde(default)]
    encoding_format: EncodingFormat,
}

impl Protocol for PoolingCompletion {
    const OPTIONS: &'static [&'static [Optional]] = &[COMMON, NUMBERS, TASK];
}

/// Chat form of a pooling request.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PoolingChat {
    /// Name of the model.
    #[serde(default)]
    model: Option<String>,
    /// The conversation; its last message, from `assistant`, is the answer.
    #[schema(value_type = Vec<request::schema::Message>)]
    messages: Vec<WrittenMessage>,
    /// False for the reward itself; else its sigmoid.
    #[serde(default)]
    use_activation: Option<bool>,
    /// `float` or `base64`.
    #[serde(default)]
    encoding_format: EncodingFormat,
}

impl Protocol for PoolingChat {
    const OPTIONS: &'static [&'static [Optional]] = &[COMMON, CHAT, NUMBERS, TASK];
}

/// Body with `input`, or with `messages`.
#[derive(ToSchema)]
#[serde(untagged)]
pub enum PoolingBody {
    /// Completion form.
    Completion(PoolingCompletion),
    /// Chat form.
    Chat(PoolingChat),
}

impl ReadBody for PoolingBody {
    fn read_body(bytes: &[u8]) -> Result<Self, ApiError> {
        if has_key(bytes, &["messages"])? {
            Posted::read_body(bytes).map(|Posted(body)| Self::Chat(body))
        } else {
            Posted::read_body(bytes).map(|Posted(body)| Self::Completion(body))
        }
    }
}

/// Pooled outputs.
#[derive(Debug, Serialize, ToSchema)]
pub struct PoolingReply {
    /// Name of the reply.
    id: String,
    /// `list`.
    object: &'static str,
    /// Seconds since 1970.
    created: u64,
    /// Name of the model.
    model: String,
    /// One for each conversation, in order.
    data: Vec<Pooled>,
    /// Tokens.
    usage: TokenCounts,
}

/// Pooled output of one conversation.
#[derive(Debug, Serialize, ToSchema)]
pub struct Pooled {
    /// Place of the conversation in the request.
    index: usize,
    /// `pooling`.
    object: &'static str,
    /// The sigmoid of the reward, or the reward itself with `use_activation` false.
    data: Numbers,
}

/// Score conversations as pooled output
///
/// With `input`: whole conversations as text, rendered by the model's own chat template; a text that the template does not render is
/// refused as `template_mismatch`, and pictures for its image places come in `images`. With `messages`: one conversation whose last
/// message is the answer. Gives the sigmoid of the reward unless `use_activation` is false.
#[utoipa::path(
    post,
    path = "/pooling",
    tags = ["vLLM"],
    request_body(content = PoolingBody, examples(
        ("completion" = (value = json!({"input": [PICTURED], "images": [PICTURE], "use_activation": false}))),
        ("chat" = (value = json!({"task": "classify", "messages": [
            {"role": "user", "content": "How many is two and two?"},
            {"role": "assistant", "content": "Four."}
        ]})))
    )),
    responses(
        (status = 200, description = "The outputs", body = PoolingReply),
        (status = 400, description = "The request cannot be scored as it is", body = ErrorBody),
    )
)]
async fn pooling(
    State(server): State<Server>,
    request: Admitted<PoolingBody>,
) -> Result<Json<PoolingReply>, ApiError> {
    let Admitted { body, place } = request;
    let (input, model, use_activation, format) = match body {
        PoolingBody::Completion(body) => {
            let PoolingCompletion { model, input, images, use_activation, encoding_format } = body;
            (Input::Texts { input, images }, model, use_activation, encoding_format)
        }
        PoolingBody::Chat(PoolingChat { model, messages, use_activation, encoding_format }) => {
            (Input::Messages(messages), model, use_activation, encoding_format)
        }
    };
    let scored = input.score(&server, &place, model).await?;
    let pooled = |(index, reward): (usize, &f32)| {
        let data = format.write(activate(*reward, use_activation.unwrap_or(true)));
        Pooled { index, object: "pooling", data }
    };
    Ok(Json(PoolingReply {
        id: format!("pool-{}", place.id),
        object: "list",
        created: now(),
        model: server.name().to_owned(),
        data: scored.rewards.iter().enumerate().map(pooled).collect(),
        usage: TokenCounts::new(&scored.usage),
    }))
}
