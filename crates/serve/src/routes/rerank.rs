//! `POST /rerank`, `/v1/rerank` and `/v2/rerank` of vLLM, and `/rerank` of text-embeddings-inference: answers in the order of their
//! rewards.
//!
//! The body with `texts` is that of text-embeddings-inference, the one with `documents` that of vLLM.
//!
//! # Source
//! vLLM 0.33; text-embeddings-inference, July 2026.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::activation::activate;
use crate::admission::{Admitted, Place};
use crate::error::{ApiError, ErrorBody};
use crate::protocol::content::{Item, answers_to};
use crate::protocol::either::{Either, Told};
use crate::protocol::examples::PICTURE;
use crate::protocol::options::{Optional, Posted, Protocol, describe};
use crate::protocol::tei;
use crate::protocol::vllm::{COMMON, PAIRS};
use crate::request::Ask;
use crate::routes::alias;
use crate::routes::best_of_n::order;
use crate::server::Server;

pub(super) fn routes() -> OpenApiRouter<Server> {
    let mut router = OpenApiRouter::new().routes(routes!(rerank)).routes(routes!(rerank_v1));
    describe::<RerankBody>(router.get_openapi_mut());
    describe::<RerankTexts>(router.get_openapi_mut());
    alias(router, "/v1/rerank", "/v2/rerank", post(rerank_v1))
}

/// A question and the answers to put in order, in the manner of vLLM.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RerankBody {
    /// Name of the model.
    #[serde(default)]
    model: Option<String>,
    /// The question: a text, or an object with parts in `content`.
    query: Value,
    /// The answers, each a text, or an object with parts in `content`.
    documents: Vec<Value>,
    /// Most answers in the reply; 0 for all.
    #[serde(default)]
    top_n: usize,
    /// False for the reward itself; else its sigmoid.
    #[serde(default)]
    use_activation: Option<bool>,
}

impl Protocol for RerankBody {
    const OPTIONS: &'static [&'static [Optional]] = &[COMMON, PAIRS];
}

/// A question and the answers to put in order, in the manner of text-embeddings-inference.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RerankTexts {
    /// The question.
    query: String,
    /// The answers.
    texts: Vec<String>,
    /// True for the reward itself; else its sigmoid.
    #[serde(default)]
    raw_scores: bool,
    /// Whether the reply repeats the answers.
    #[serde(default)]
    return_text: bool,
}

impl Protocol for RerankTexts {
    const OPTIONS: &'static [&'static [Optional]] = &[tei::CUTTING];
}

impl Told for RerankTexts {
    const KEYS: &'static [&'static str] = &["texts"];
}

/// Body of `/rerank`: with `documents` in the manner of vLLM, with `texts` in that of text-embeddings-inference.
type AnyRerank = Either<RerankBody, RerankTexts>;

/// Answers in order, in the manner of vLLM.
#[derive(Debug, Serialize, ToSchema)]
pub struct RerankReply {
    /// Name of the reply.
    id: String,
    /// Name of the model.
    model: String,
    /// Tokens.
    usage: RerankUsage,
    /// The answers, best first; equal ones in their own order.
    results: Vec<Ranked>,
}

/// Tokens of a request.
#[derive(Debug, Serialize, ToSchema)]
pub struct RerankUsage {
    /// Tokens of all conversations, each in full.
    prompt_tokens: usize,
    /// The same.
    total_tokens: usize,
}

/// An answer in its place.
#[derive(Debug, Serialize, ToSchema)]
pub struct Ranked {
    /// Place of the answer in the request.
    index: usize,
    /// The answer.
    document: Document,
    /// The sigmoid of the reward, or the reward itself with `use_activation` false.
    relevance_score: f32,
}

/// An answer as it was given.
#[derive(Debug, Serialize, ToSchema)]
pub struct Document {
    /// A text.
    text: Option<String>,
    /// An object with parts.
    multi_modal: Option<Value>,
}

/// An answer in its place, in the manner of text-embeddings-inference.
#[derive(Debug, Serialize, ToSchema)]
pub struct RankedText {
    /// Place of the answer in the request.
    index: usize,
    /// The answer, when it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// The sigmoid of the reward, or the reward itself with `raw_scores`.
    score: f32,
}

/// What `/rerank` answers.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum RerankAnswer {
    /// To a body with `documents`.
    Documents(RerankReply),
    /// To a body with `texts`.
    Texts(Vec<RankedText>),
}

/// Put answers in order
///
/// The query is the message of the user, with pictures as `image_url`; documents are the answers. With `documents` as vLLM: gives the
/// sigmoid of the reward unless `use_activation` is false. With `texts` as text-embeddings-inference: gives the sigmoid of the reward
/// unless `raw_scores` is true.
#[utoipa::path(
    post,
    path = "/rerank",
    tags = ["vLLM", "text-embeddings-inference"],
    request_body(content = AnyRerank, examples(
        ("vLLM" = (value = json!({
            "query": {"content": [
                {"type": "image_url", "image_url": {"url": PICTURE}},
                {"type": "text", "text": "Which color?"}
            ]},
            "documents": ["Blue.", "Red."],
            "top_n": 1
        }))),
        ("text-embeddings-inference" = (value = json!({
            "query": "How many is two and two?", "texts": ["Four.", "Five."], "raw_scores": true
        })))
    )),
    responses(
        (status = 200, description = "The answers in order", body = RerankAnswer),
        (status = 400, description = "The request cannot be scored as it is", body = ErrorBody),
    )
)]
async fn rerank(
    State(server): State<Server>,
    request: Admitted<AnyRerank>,
) -> Result<Response, ApiError> {
    let Admitted { body, place } = request;
    Ok(match body {
        Either::First(body) => Json(documents(&server, &place, body).await?).into_response(),
        Either::Second(body) => Json(texts(&server, &place, body).await?).into_response(),
    })
}

/// Put answers in order
///
/// As `/rerank` with `documents`.
#[utoipa::path(
    post,
    path = "/v1/rerank",
    tags = ["vLLM"],
    request_body(content = RerankBody, example = json!({
        "query": "How many is two and two?", "documents": ["Five.", "Four."]
    })),
    responses(
        (status = 200, description = "The answers in order", body = RerankReply),
        (status = 400, description = "The request cannot be scored as it is", body = ErrorBody),
    )
)]
async fn rerank_v1(
    State(server): State<Server>,
    request: Admitted<Posted<RerankBody>>,
) -> Result<Json<RerankReply>, ApiError> {
    let Admitted { body: Posted(body), place } = request;
    Ok(Json(documents(&server, &place, body).await?))
}

async fn documents(
    server: &Server,
    place: &Place,
    body: RerankBody,
) -> Result<RerankReply, ApiError> {
    let RerankBody { model, query, documents, top_n, use_activation } = body;
    let query = Item::read("query".to_owned(), &query)?;
    let read = |(index, document)| Item::read(format!("documents[{index}]"), document);
    let answers = documents.iter().enumerate().map(read).collect::<Result<_, _>>()?;
    let asked = vec![answers_to(&query, answers)];
    let scored = server.score(Ask::new(asked, model, "documents", server.limits())?, place).await?;
    let tokens = scored.usage.conversation_tokens().sum();
    let count = if top_n == 0 { documents.len() } else { top_n };
    let ranked = |index: usize| {
        let document = match documents[index].clone() {
            Value::String(text) => Document { text: Some(text), multi_modal: None },
            parts => Document { text: None, multi_modal: Some(parts) },
        };
        let relevance_score = activate(scored.rewards[index], use_activation.unwrap_or(true));
        Ranked { index, document, relevance_score }
    };
    Ok(RerankReply {
        id: format!("rerank-{}", place.id),
        model: server.name().to_owned(),
        usage: RerankUsage { prompt_tokens: tokens, total_tokens: tokens },
        results: order(&scored.rewards).into_iter().take(count).map(ranked).collect(),
    })
}

async fn texts(
    server: &Server,
    place: &Place,
    body: RerankTexts,
) -> Result<Vec<RankedText>, ApiError> {
    let RerankTexts { query, texts, raw_scores, return_text } = body;
    let answer = |(index, text)| Item::text(format!("texts[{index}]"), text);
    let answers = texts.iter().cloned().enumerate().map(answer).collect();
    let asked = vec![answers_to(&Item::text("query", query), answers)];
    let scored = server.score(Ask::new(asked, None, "texts", server.limits())?, place).await?;
    let ranked = |index: usize| RankedText {
        index,
        text: return_text.then(|| texts[index].clone()),
        score: activate(scored.rewards[index], !raw_scores),
    };
    Ok(order(&scored.rewards).into_iter().map(ranked).collect())
}
