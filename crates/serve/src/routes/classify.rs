//! `POST /classify` of vLLM and of `SGLang`, and `POST /v1/classify`: rewards as the scores of one class.
//!
//! The two bodies of `/classify` have no key in common that says which it is; `text` is `SGLang`'s, `input` and `messages` are vLLM's.
//!
//! # Source
//! vLLM 0.33, `SGLang` 0.5.23.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::activation::activate;
use crate::admission::{Admitted, Place};
use crate::error::{ApiError, ErrorBody};
use crate::protocol::either::{Either, Told};
use crate::protocol::examples::{PICTURE, PICTURED, RENDERED};
use crate::protocol::options::{Optional, Protocol, describe, neutral, only};
use crate::protocol::reply::{LABEL, Listing};
use crate::protocol::texts::{OneOrMany, Pictures, ScoredTexts, Texts, schema};
use crate::protocol::vllm::{ClassifyChat, ClassifyCompletion, Input};
use crate::server::{Scored, Server};

pub(super) fn routes() -> OpenApiRouter<Server> {
    let mut router = OpenApiRouter::new().routes(routes!(classify)).routes(routes!(classify_v1));
    let document = router.get_openapi_mut();
    describe::<ClassifyCompletion>(document);
    describe::<ClassifyChat>(document);
    describe::<EmbeddingText>(document);
    router
}

/// Body in the manner of `SGLang`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingText {
    /// Whole conversations as the model's own chat template renders them. The template is checked.
    #[schema(value_type = schema::Texts)]
    text: OneOrMany,
    /// Pictures for the places in `text`.
    #[serde(default)]
    #[schema(value_type = Option<schema::Pictures>)]
    image_data: Pictures,
}

impl Protocol for EmbeddingText {
    const OPTIONS: &'static [&'static [Optional]] = &[&[
        neutral("rid"),
        neutral("priority"),
        neutral("routing_key"),
        neutral("sampling_params"),
        neutral("log_metrics"),
        only("lora_path", &[], "one model is served"),
        only("input_ids", &[], "texts are taken, not their tokens"),
        only("input_embeds", &[], "texts are taken, not their embeddings"),
        only("video_data", &[], "only pictures are taken beside texts"),
        only("audio_data", &[], "only pictures are taken beside texts"),
        only("modalities", &["[\"image\"]"], "only pictures are taken beside texts"),
        only("dimensions", &[], "a reward is one number"),
    ]];
}

impl Told for EmbeddingText {
    const KEYS: &'static [&'static str] = &["text", "input_ids", "input_embeds"];
}

/// Body in the manner of vLLM: with `input`, or with `messages`.
type ClassesBody = Either<ClassifyCompletion, ClassifyChat>;

/// Body of `/classify`: in the manner of vLLM, or of `SGLang`, with `text`.
type ClassifyBody = Either<ClassesBody, EmbeddingText>;

/// Scores of one conversation.
#[derive(Debug, Serialize, ToSchema)]
pub struct Classified {
    /// Place of the conversation in the request.
    index: usize,
    /// Name of the one class.
    label: &'static str,
    /// The sigmoid of the reward, or the reward itself with `use_activation` false.
    probs: [f32; 1],
    /// 1.
    num_classes: usize,
}

/// Reward of one conversation, in the manner of `SGLang`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Embedded {
    /// The reward itself.
    embedding: [f32; 1],
    /// What else there is to say of it.
    meta_info: EmbeddedFacts,
}

/// Facts beside a reward.
#[derive(Debug, Serialize, ToSchema)]
pub struct EmbeddedFacts {
    /// Name of the request.
    id: String,
    /// Tokens of the conversation.
    prompt_tokens: usize,
    /// Nothing is generated: null.
    finish_reason: Option<()>,
    /// Whether the answer lacked the mark of its end, and was closed here; an extension.
    closed: bool,
}

/// What `/classify` answers: as vLLM, or one or a list of what `SGLang` answers.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum ClassifyAnswer {
    /// To a body of vLLM.
    Classes(Listing<Classified>),
    /// To one `text`.
    Embedding(Embedded),
    /// To a list of them.
    Embeddings(Vec<Embedded>),
}

/// Score conversations as one class
///
/// Takes three bodies. With `input` (vLLM, completion form): whole conversations as text, rendered by the model's own chat template; a text
/// that the template does not render is refused as `template_mismatch`, but an answer that was cut before the mark of its end is closed
/// here. Pictures for its image places come in `images`. With
/// `messages` (vLLM, chat form): one conversation whose last message is the answer, pictures as `image_url`. Both give the sigmoid of
/// the reward unless `use_activation` is false.
///
/// With `text` (`SGLang`): rendered conversations as in `input`, pictures in `image_data`; gives the reward itself as `embedding`.
#[utoipa::path(
    method(post, put),
    path = "/classify",
    tags = ["vLLM", "SGLang"],
    request_body(content = ClassifyBody, examples(
        ("completion" = (value = json!({"input": [RENDERED], "use_activation": false}))),
        ("completion with a picture" = (value = json!({"input": PICTURED, "images": [PICTURE]}))),
        ("chat" = (value = json!({"messages": [
            {"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": PICTURE}},
                {"type": "text", "text": "Which color?"}
            ]},
            {"role": "assistant", "content": "Red."}
        ]}))),
        ("SGLang" = (value = json!({"text": [PICTURED], "image_data": [PICTURE]})))
    )),
    responses(
        (status = 200, description = "The scores", body = ClassifyAnswer),
        (status = 400, description = "The request cannot be scored as it is", body = ErrorBody),
    )
)]
async fn classify(
    State(server): State<Server>,
    request: Admitted<ClassifyBody>,
) -> Result<Json<ClassifyAnswer>, ApiError> {
    let Admitted { body, place } = request;
    Ok(Json(match body {
        Either::First(body) => ClassifyAnswer::Classes(classes(&server, &place, body).await?),
        Either::Second(body) => embeddings(&server, &place, body).await?,
    }))
}

/// Score conversations as one class
///
/// As `/classify` with `input` or `messages`. `SGLang` takes a softmax of all classes, which of a single one is always 1; here it is the sigmoid
/// of the reward, or the reward itself with `use_activation` false.
#[utoipa::path(
    post,
    path = "/v1/classify",
    tags = ["SGLang"],
    request_body(content = ClassesBody, example = json!({"input": RENDERED, "use_activation": false})),
    responses(
        (status = 200, description = "The scores", body = Listing<Classified>),
        (status = 400, description = "The request cannot be scored as it is", body = ErrorBody),
    )
)]
async fn classify_v1(
    State(server): State<Server>,
    request: Admitted<ClassesBody>,
) -> Result<Json<Listing<Classified>>, ApiError> {
    let Admitted { body, place } = request;
    Ok(Json(classes(&server, &place, body).await?))
}

async fn classes(
    server: &Server,
    place: &Place,
    body: ClassesBody,
) -> Result<Listing<Classified>, ApiError> {
    let (input, model, use_activation) = match body {
        Either::First(ClassifyCompletion { model, input, images, use_activation }) => {
            (Input::Texts { input, images }, model, use_activation)
        }
        Either::Second(ClassifyChat { model, messages, use_activation }) => {
            (Input::Messages(messages), model, use_activation)
        }
    };
    let scored = input.score(server, place, model).await?;
    let class = |index, reward| Classified {
        index,
        label: LABEL,
        probs: [activate(reward, use_activation.unwrap_or(true))],
        num_classes: 1,
    };
    Ok(Listing::new("classify", server, place, &scored, class))
}

async fn embeddings(
    server: &Server,
    place: &Place,
    body: EmbeddingText,
) -> Result<ClassifyAnswer, ApiError> {
    let EmbeddingText { text, image_data } = body;
    let is_one = matches!(text, OneOrMany::One(_));
    let texts = Texts { written: text, pictures: image_data, keys: ["text", "image_data"] };
    let ScoredTexts { scored: Scored { rewards, usage, .. }, cut } =
        texts.score(server, place, None).await?;
    let mut embedded: Vec<Embedded> = rewards
        .into_iter()
        .zip(usage.conversation_tokens())
        .zip(cut)
        .map(|((reward, prompt_tokens), closed)| {
            let id = place.id.clone();
            let meta_info = EmbeddedFacts { id, prompt_tokens, finish_reason: None, closed };
            Embedded { embedding: [reward], meta_info }
        })
        .collect();
    Ok(match embedded.pop_if(|_| is_one) {
        Some(only) => ClassifyAnswer::Embedding(only),
        None => ClassifyAnswer::Embeddings(embedded),
    })
}
