//! `POST /score` and `/v1/score` of vLLM: rewards of pairs of a question and an answer.
//!
//! A query is what the user says, a document is what the assistant answers; nothing is rendered by the caller.
//!
//! # Source
//! vLLM 0.33.

use axum::Json;
use axum::extract::State;
use axum::routing::post;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::activation::activate;
use crate::admission::Admitted;
use crate::error::{ApiError, ErrorBody};
use crate::protocol::content::{Item, answers_to};
use crate::protocol::examples::PICTURE;
use crate::protocol::options::{Optional, Posted, Protocol, describe};
use crate::protocol::reply::Listing;
use crate::protocol::vllm::{COMMON, PAIRS};
use crate::request::{Ask, Asked};
use crate::routes::alias;
use crate::server::Server;

pub(super) fn routes() -> OpenApiRouter<Server> {
    let mut router = OpenApiRouter::new().routes(routes!(score));
    describe::<ScoreBody>(router.get_openapi_mut());
    alias(router, "/score", "/v1/score", post(score))
}

/// Pairs of questions and answers, under one of four pairs of names. Each is a text, an object with parts in `content`, or a list of
/// these; one question may have many answers, or as many as there are questions.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScoreBody {
    /// Name of the model.
    #[serde(default)]
    model: Option<String>,
    /// Questions.
    #[serde(default)]
    queries: Option<Value>,
    /// Answers to `queries`.
    #[serde(default)]
    documents: Option<Value>,
    /// Answers to `queries`.
    #[serde(default)]
    items: Option<Value>,
    /// Questions.
    #[serde(default)]
    data_1: Option<Value>,
    /// Answers to `data_1`.
    #[serde(default)]
    data_2: Option<Value>,
    /// Questions.
    #[serde(default)]
    text_1: Option<Value>,
    /// Answers to `text_1`.
    #[serde(default)]
    text_2: Option<Value>,
    /// False for the reward itself; else its sigmoid.
    #[serde(default)]
    use_activation: Option<bool>,
}

impl Protocol for ScoreBody {
    const OPTIONS: &'static [&'static [Optional]] = &[COMMON, PAIRS];
}

/// Score of a pair.
#[derive(Debug, Serialize, ToSchema)]
pub struct PairScore {
    /// Place of the pair in the request.
    index: usize,
    /// `score`.
    object: &'static str,
    /// The sigmoid of the reward, or the reward itself with `use_activation` false.
    score: f32,
}

/// Score pairs of a question and an answer
///
/// A query is the message of the user, with pictures as `image_url`; a document is the answer. One query with N documents is one
/// question with N answers, whose common beginning is computed once. Gives the sigmoid of the reward unless `use_activation` is false.
#[utoipa::path(
    post,
    path = "/score",
    tags = ["vLLM"],
    request_body(content = ScoreBody, examples(
        ("one to many" = (value = json!({
            "queries": {"content": [
                {"type": "image_url", "image_url": {"url": PICTURE}},
                {"type": "text", "text": "Which color?"}
            ]},
            "documents": ["Red.", "Blue."]
        }))),
        ("one to one" = (value = json!({
            "text_1": ["How many is two and two?", "Say hello."],
            "text_2": ["Four.", "Hello."],
            "use_activation": false
        })))
    )),
    responses(
        (status = 200, description = "The scores", body = Listing<PairScore>),
        (status = 400, description = "The request cannot be scored as it is", body = ErrorBody),
    )
)]
async fn score(
    State(server): State<Server>,
    request: Admitted<Posted<ScoreBody>>,
) -> Result<Json<Listing<PairScore>>, ApiError> {
    let Admitted { body: Posted(mut body), place } = request;
    let (model, use_activation) = (body.model.take(), body.use_activation.unwrap_or(true));
    let [(first, queries), (second, documents)] = body.lists()?;
    let questions = questions(
        (first, Item::read_all(first, &queries)?),
        (second, Item::read_all(second, &documents)?),
    )?;
    let scored = server.score(Ask::new(questions, model, second, server.limits())?, &place).await?;
    let pair = |index, reward| PairScore {
        index,
        object: "score",
        score: activate(reward, use_activation),
    };
    Ok(Json(Listing::new("score", &server, &place, &scored, pair)))
}

impl ScoreBody {
    /// The questions and the answers with the names that the body has for them.
    fn lists(self) -> Result<[(&'static str, Value); 2], ApiError> {
        let given = [
            ("queries", self.queries),
            ("documents", self.documents),
            ("items", self.items),
            ("data_1", self.data_1),
            ("data_2", self.data_2),
            ("text_1", self.text_1),
            ("text_2", self.text_2),
        ];
        let given: Vec<(&str, Value)> =
            given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let names: Vec<&str> = given.iter().map(|(name, _)| *name).collect();
        match names[..] {
            ["queries", "documents" | "items"] | ["data_1", "data_2"] | ["text_1", "text_2"] => {
                Ok(<[_; 2]>::try_from(given).expect("two names were matched"))
            }
            _ => Err(ApiError::invalid(
                "invalid_pairs",
                "give the questions and the answers as `queries` and `documents`, `queries` and `items`, `data_1` and `data_2`, or \
                 `text_1` and `text_2`",
            )),
        }
    }
}

/// One question with many answers, or as many questions as answers.
fn questions(
    (first, mut queries): (&str, Vec<Item>),
    (second, documents): (&str, Vec<Item>),
) -> Result<Vec<Asked>, ApiError> {
    if let [query] = &queries[..] {
        return Ok(vec![answers_to(query, documents)]);
    }
    if queries.len() != documents.len() {
        let (questions, answers) = (queries.len(), documents.len());
        let message = format!(
            "{questions} questions and {answers} answers; give one question, or as many as there are answers"
        );
        return Err(ApiError::invalid("invalid_pairs", message).at(if questions == 0 {
            first
        } else {
            second
        }));
    }
    let pairs = queries.drain(..).zip(documents);
    Ok(pairs.map(|(query, document)| answers_to(&query, vec![document])).collect())
}
