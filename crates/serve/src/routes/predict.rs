//! `POST /predict` of text-embeddings-inference: rewards as the scores of one class.
//!
//! # Source
//! text-embeddings-inference, July 2026.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::activation::activate;
use crate::admission::Admitted;
use crate::error::{ApiError, ErrorBody};
use crate::protocol::content::{Item, answers_to};
use crate::protocol::examples::{PICTURE, PICTURED, RENDERED};
use crate::protocol::options::{Optional, Posted, Protocol, describe};
use crate::protocol::reply::LABEL;
use crate::protocol::tei;
use crate::protocol::texts::{OneOrMany, Pictures, Texts, schema};
use crate::request::{Ask, Asked};
use crate::server::Server;

pub(super) fn routes() -> OpenApiRouter<Server> {
    let mut router = OpenApiRouter::new().routes(routes!(predict));
    describe::<PredictBody>(router.get_openapi_mut());
    router
}

/// What to score, in the manner of text-embeddings-inference.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PredictBody {
    /// A text; a list of two texts, which is a pair; or a list of lists of one text or of two.
    inputs: Value,
    /// True for the reward itself; else its sigmoid.
    #[serde(default)]
    raw_scores: bool,
    /// Pictures for the places in single texts; an extension.
    #[serde(default)]
    #[schema(value_type = Option<schema::Pictures>)]
    images: Pictures,
}

impl Protocol for PredictBody {
    const OPTIONS: &'static [&'static [Optional]] = &[tei::CUTTING];
}

/// Score of the one class.
#[derive(Debug, Serialize, ToSchema)]
pub struct Prediction {
    /// The sigmoid of the reward, or the reward itself with `raw_scores`.
    score: f32,
    /// Name of the one class.
    label: &'static str,
}

/// Scores of one input, or of each.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum Predictions {
    /// Of a text or a pair.
    One([Prediction; 1]),
    /// Of a list of lists.
    Many(Vec<[Prediction; 1]>),
}

/// What `inputs` means.
enum Inputs {
    Texts(OneOrMany),
    Pairs(Vec<Asked>),
}

/// Score texts or pairs as one class
///
/// A single text is a whole conversation, rendered by the model's own chat template; a text that the template does not render is refused as
/// `template_mismatch`, but an answer that was cut before the mark of its end is closed here. Pictures for its image places come in `images`. A pair is a question of the user and the answer, rendered here.
/// A request has either texts or pairs. Gives the sigmoid of the reward unless `raw_scores` is true.
#[utoipa::path(
    post,
    path = "/predict",
    tags = ["text-embeddings-inference"],
    request_body(content = PredictBody, examples(
        ("text" = (value = json!({"inputs": RENDERED, "raw_scores": true}))),
        ("pair" = (value = json!({"inputs": ["How many is two and two?", "Four."]}))),
        ("texts" = (value = json!({"inputs": [[RENDERED], [PICTURED]], "images": [[], [PICTURE]]}))),
        ("pairs" = (value = json!({"inputs": [["Say hello.", "Hello."], ["Say hello.", "No."]]})))
    )),
    responses(
        (status = 200, description = "The scores", body = Predictions),
        (status = 400, description = "The request cannot be scored as it is", body = ErrorBody),
    )
)]
async fn predict(
    State(server): State<Server>,
    request: Admitted<Posted<PredictBody>>,
) -> Result<Response, ApiError> {
    let Admitted { body: Posted(PredictBody { inputs, raw_scores, images }), place } = request;
    let (inputs, is_one) = read(&inputs)?;
    let scored = match inputs {
        Inputs::Texts(texts) => {
            let keys = ["inputs", "images"];
            let texts = Texts { written: texts, pictures: images, keys };
            texts.score(&server, &place, None).await?.scored
        }
        Inputs::Pairs(_) if images != Pictures::None => {
            let message = "pictures belong to rendered texts; a pair has no place for them";
            return Err(ApiError::invalid("picture_count", message).at("images"));
        }
        Inputs::Pairs(pairs) => {
            server.score(Ask::new(pairs, None, "inputs", server.limits())?, &place).await?
        }
    };
    let prediction =
        |reward: &f32| [Prediction { score: activate(*reward, !raw_scores), label: LABEL }];
    let mut predictions: Vec<[Prediction; 1]> = scored.rewards.iter().map(prediction).collect();
    Ok(match predictions.pop_if(|_| is_one) {
        Some(only) => Json(only).into_response(),
        None => Json(predictions).into_response(),
    })
}

/// The inputs, and whether there is only one of them that stands alone.
fn read(inputs: &Value) -> Result<(Inputs, bool), ApiError> {
    let fault = || {
        let message = "it must be a text, a list of two texts (a pair), or a list of lists that are all of one text or all of two";
        ApiError::invalid("invalid_inputs", message).at("inputs")
    };
    let texts = |list: &Value| -> Option<Vec<String>> {
        list.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
    };
    if let Value::String(text) = inputs {
        return Ok((Inputs::Texts(OneOrMany::One(text.clone())), true));
    }
    if let Some(pair) = texts(inputs).filter(|list| !list.is_empty()) {
        let [question, answer] = <[_; 2]>::try_from(pair).map_err(|_| fault())?;
        return Ok((Inputs::Pairs(vec![self::pair("inputs", question, answer)]), true));
    }
    let lists = inputs.as_array().ok_or_else(fault)?.iter();
    let lists: Vec<Vec<String>> = lists.map(texts).collect::<Option<_>>().ok_or_else(fault)?;
    if lists.iter().all(|list| list.len() == 1) {
        return Ok((Inputs::Texts(OneOrMany::Many(lists.concat())), false));
    }
    let pair = |(index, list): (usize, Vec<String>)| {
        let [question, answer] = <[_; 2]>::try_from(list).map_err(|_| fault())?;
        Ok(self::pair(&format!("inputs[{index}]"), question, answer))
    };
    let pairs = lists.into_iter().enumerate().map(pair).collect::<Result<_, ApiError>>()?;
    Ok((Inputs::Pairs(pairs), false))
}

fn pair(place: &str, question: String, answer: String) -> Asked {
    let question = Item::text(format!("{place}[0]"), question);
    answers_to(&question, vec![Item::text(format!("{place}[1]"), answer)])
}
