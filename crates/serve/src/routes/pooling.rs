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
use crate::admission::Admitted;
use crate::error::{ApiError, ErrorBody};
use crate::protocol::either::{Either, Told};
use crate::protocol::examples::{PICTURE, PICTURED};
use crate::protocol::options::{Optional, Protocol, describe, only};
use crate::protocol::reply::{EncodingFormat, Listing, Numbers};
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

impl Told for PoolingChat {
    const KEYS: &'static [&'static str] = &["messages"];
}

/// Body with `input`, or with `messages`.
type PoolingBody = Either<PoolingCompletion, PoolingChat>;

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
/// refused as `template_mismatch`, but an answer that was cut before the mark of its end is closed here. Pictures for its image places
/// come in `images`. With `messages`: one conversation whose last
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
        (status = 200, description = "The outputs", body = Listing<Pooled>),
        (status = 400, description = "The request cannot be scored as it is", body = ErrorBody),
    )
)]
async fn pooling(
    State(server): State<Server>,
    request: Admitted<PoolingBody>,
) -> Result<Json<Listing<Pooled>>, ApiError> {
    let Admitted { body, place } = request;
    let (input, model, use_activation, format) = match body {
        Either::First(body) => {
            let PoolingCompletion { model, input, images, use_activation, encoding_format } = body;
            (Input::Texts { input, images }, model, use_activation, encoding_format)
        }
        Either::Second(PoolingChat { model, messages, use_activation, encoding_format }) => {
            (Input::Messages(messages), model, use_activation, encoding_format)
        }
    };
    let scored = input.score(&server, &place, model).await?;
    let pooled = |index, reward| {
        let data = format.write(activate(reward, use_activation.unwrap_or(true)));
        Pooled { index, object: "pooling", data }
    };
    Ok(Json(Listing::new("pool", &server, &place, &scored, pooled)))
}
