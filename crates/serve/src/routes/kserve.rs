//! `KServe` version 2: rewards as a tensor, as Triton and NeMo-Aligner ask for them, and what they ask of a server besides.
//!
//! Only JSON bodies; the binary form of tensors is not taken.
//!
//! # Source
//! The Open Inference Protocol, version 2; NeMo-Aligner's reward server.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admission::Admitted;
use crate::error::{ApiError, ErrorBody};
use crate::protocol::examples::RENDERED;
use crate::protocol::options::{Optional, Posted, Protocol, describe, only};
use crate::protocol::texts::{OneOrMany, Pictures, Texts};
use crate::server::Server;

/// The one version of a model.
const VERSION: &str = "1";

pub(super) fn routes() -> OpenApiRouter<Server> {
    let mut router = OpenApiRouter::new()
        .routes(routes!(server_facts))
        .routes(routes!(live))
        .routes(routes!(server_ready))
        .routes(routes!(model_facts))
        .routes(routes!(model_ready))
        .routes(routes!(infer));
    describe::<InferBody>(router.get_openapi_mut());
    router
}

/// Tensors to score.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InferBody {
    /// Name of the request, repeated in the reply.
    #[serde(default)]
    id: Option<String>,
    /// `sentences`: whole conversations as the model's own chat template renders them; and `images`, an extension: pictures for their places.
    inputs: Vec<Input>,
    /// None, or `rewards`.
    #[serde(default)]
    outputs: Vec<AskedOutput>,
}

impl Protocol for InferBody {
    const OPTIONS: &'static [&'static [Optional]] =
        &[&[only("parameters", &["{}"], "there is nothing to set")]];
}

/// A tensor of texts.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// `sentences` or `images`.
    name: String,
    /// Numbers of rows and columns: `[N]` or `[N, 1]`, and `[N, K]` for pictures.
    shape: Vec<usize>,
    /// `BYTES`.
    datatype: String,
    /// The texts, row by row, nested or not.
    data: Value,
}

/// A tensor that is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskedOutput {
    /// `rewards`.
    name: String,
}

/// Rewards as a tensor.
#[derive(Debug, Serialize, ToSchema)]
pub struct InferReply {
    /// Name of the model.
    model_name: String,
    /// Version of the model.
    model_version: &'static str,
    /// Name of the request.
    id: String,
    /// `rewards`.
    outputs: [Output; 1],
}

/// A tensor of rewards.
#[derive(Debug, Serialize, ToSchema)]
pub struct Output {
    /// `rewards`.
    name: &'static str,
    /// `[N, 1]`.
    shape: [usize; 2],
    /// `FP32`.
    datatype: &'static str,
    /// One for each sentence, in order: the reward itself.
    data: Vec<f32>,
}

/// What the server is.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServerFacts {
    /// `basereward`.
    name: &'static str,
    /// Version of the program.
    version: &'static str,
    /// None.
    extensions: [&'static str; 0],
}

/// What the model takes and gives.
#[derive(Debug, Serialize, ToSchema)]
pub struct TensorFacts {
    /// Name of the tensor.
    name: &'static str,
    /// Type of its elements.
    datatype: &'static str,
    /// Its shape; -1 is any number.
    shape: [i64; 2],
}

/// What the model is.
#[derive(Debug, Serialize, ToSchema)]
pub struct KserveModel {
    /// Its name.
    name: String,
    /// Its one version.
    versions: [&'static str; 1],
    /// `basereward`.
    platform: &'static str,
    /// Tensors that it takes.
    inputs: [TensorFacts; 2],
    /// Tensors that it gives.
    outputs: [TensorFacts; 1],
}

/// Whether the server or the model is ready.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReadyReply {
    /// True.
    ready: bool,
}

/// Whether the server lives.
#[derive(Debug, Serialize, ToSchema)]
pub struct LiveReply {
    /// True.
    live: bool,
}

/// What the server is
#[utoipa::path(
    get,
    path = "/v2",
    tags = ["KServe"],
    responses((status = 200, description = "The server", body = ServerFacts))
)]
async fn server_facts() -> Json<ServerFacts> {
    Json(ServerFacts { name: "basereward", version: env!("CARGO_PKG_VERSION"), extensions: [] })
}

/// Whether the program lives
#[utoipa::path(
    get,
    path = "/v2/health/live",
    tags = ["KServe"],
    responses((status = 200, description = "It lives", body = LiveReply))
)]
async fn live() -> Json<LiveReply> {
    Json(LiveReply { live: true })
}

/// Whether requests are scored
#[utoipa::path(
    get,
    path = "/v2/health/ready",
    tags = ["KServe"],
    responses(
        (status = 200, description = "Requests are scored", body = ReadyReply),
        (status = 503, description = "They are not", body = ErrorBody),
    )
)]
async fn server_ready(State(server): State<Server>) -> Result<Json<ReadyReply>, ApiError> {
    if server.lifecycle().is_ready() {
        return Ok(Json(ReadyReply { ready: true }));
    }
    let message = "the server scores no requests; ask `/ready` for the reason";
    Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", message))
}

/// What the model takes and gives
#[utoipa::path(
    get,
    path = "/v2/models/{name}",
    tags = ["KServe"],
    params(("name" = String, Path, description = "Name of the model")),
    responses(
        (status = 200, description = "The model", body = KserveModel),
        (status = 404, description = "Another model is served", body = ErrorBody),
    )
)]
async fn model_facts(
    State(server): State<Server>,
    Path(name): Path<String>,
) -> Result<Json<KserveModel>, ApiError> {
    server.check_model(Some(&name))?;
    let texts = |name, columns| TensorFacts { name, datatype: "BYTES", shape: [-1, columns] };
    Ok(Json(KserveModel {
        name,
        versions: [VERSION],
        platform: "basereward",
        inputs: [texts("sentences", 1), texts("images", -1)],
        outputs: [TensorFacts { name: "rewards", datatype: "FP32", shape: [-1, 1] }],
    }))
}

/// Whether the model's requests are scored
#[utoipa::path(
    get,
    path = "/v2/models/{name}/ready",
    tags = ["KServe"],
    params(("name" = String, Path, description = "Name of the model")),
    responses(
        (status = 200, description = "Requests are scored", body = ReadyReply),
        (status = 404, description = "Another model is served", body = ErrorBody),
        (status = 503, description = "They are not", body = ErrorBody),
    )
)]
async fn model_ready(
    State(server): State<Server>,
    Path(name): Path<String>,
) -> Result<Json<ReadyReply>, ApiError> {
    server.check_model(Some(&name))?;
    server_ready(State(server)).await
}

/// Score rendered sentences
///
/// Each of `sentences` is a whole conversation as text, rendered by the model's own chat template; a text that the template does not render is
/// refused as `template_mismatch`, but an answer that was cut before the mark of its end is closed here. Pictures for its image places come
/// in the tensor `images`, as many for each sentence. The binary form
/// of tensors is not taken.
#[utoipa::path(
    post,
    path = "/v2/models/{name}/infer",
    tags = ["KServe"],
    params(("name" = String, Path, description = "Name of the model")),
    request_body(content = InferBody, example = json!({
        "id": "7",
        "inputs": [{"name": "sentences", "shape": [1, 1], "datatype": "BYTES", "data": [RENDERED]}],
        "outputs": [{"name": "rewards"}]
    })),
    responses(
        (status = 200, description = "The rewards", body = InferReply),
        (status = 400, description = "The request cannot be scored as it is", body = ErrorBody),
        (status = 404, description = "Another model is served", body = ErrorBody),
    )
)]
async fn infer(
    State(server): State<Server>,
    Path(name): Path<String>,
    request: Admitted<Posted<InferBody>>,
) -> Result<Json<InferReply>, ApiError> {
    let Admitted { body: Posted(InferBody { id, inputs, outputs }), place } = request;
    if let Some(index) = outputs.iter().position(|output| output.name != "rewards") {
        let message = "there is no such output; the only one is `rewards`";
        let at = format!("outputs[{index}].name");
        return Err(ApiError::invalid("unknown_tensor", message).at(at));
    }
    let scored = read(inputs)?.score(&server, &place, Some(name.clone())).await?.scored;
    let shape = [scored.rewards.len(), 1];
    let output = Output { name: "rewards", shape, datatype: "FP32", data: scored.rewards };
    Ok(Json(InferReply {
        model_name: name,
        model_version: VERSION,
        id: id.unwrap_or_else(|| place.id.clone()),
        outputs: [output],
    }))
}

/// Sentences and pictures among the tensors.
fn read(inputs: Vec<Input>) -> Result<Texts, ApiError> {
    let (mut sentences, mut pictures) = (None, None);
    for (index, input) in inputs.into_iter().enumerate() {
        let place = format!("inputs[{index}]");
        let slot = match input.name.as_str() {
            "sentences" => &mut sentences,
            "images" => &mut pictures,
            name => {
                let message = format!(
                    "there is no input `{name}`; give `sentences`, and `images` for pictures"
                );
                return Err(ApiError::invalid("unknown_tensor", message).at(place));
            }
        };
        if slot.is_some() {
            let message = format!("`{}` is given twice", input.name);
            return Err(ApiError::invalid("repeated_tensor", message).at(place));
        }
        *slot = Some(input.texts(&place)?);
    }
    let Some((texts, _)) = sentences else {
        let message = "there is no input `sentences`; give the conversations to score";
        return Err(ApiError::invalid("unknown_tensor", message).at("inputs"));
    };
    let pictures = pictures.map_or(Pictures::None, |(pictures, columns)| {
        Pictures::Lists(pictures.chunks(columns.max(1)).map(<[String]>::to_vec).collect())
    });
    Ok(Texts { written: OneOrMany::Many(texts), pictures, keys: ["sentences", "images"] })
}

impl Input {
    /// The texts in order and the number of columns.
    fn texts(self, place: &str) -> Result<(Vec<String>, usize), ApiError> {
        let fault = |code, key: &str, message: String| {
            Err(ApiError::invalid(code, message).at(format!("{place}.{key}")))
        };
        if self.datatype != "BYTES" {
            let message = format!("the type is `{}`; only `BYTES` is taken here", self.datatype);
            return fault("tensor_type", "datatype", message);
        }
        let (rows, columns) = match self.shape[..] {
            [rows] => (rows, 1),
            [rows, columns] if columns == 1 || self.name == "images" => (rows, columns),
            _ => {
                let message = format!("the shape is `{:?}`; give `[N]` or `[N, 1]`", self.shape);
                return fault("tensor_shape", "shape", message);
            }
        };
        let mut texts = Vec::new();
        if !flatten(&self.data, &mut texts) {
            return fault("tensor_data", "data", "the data must be a list of texts".to_owned());
        }
        if rows.checked_mul(columns) != Some(texts.len()) {
            let message =
                format!("the shape is `{:?}`, but there are {} texts", self.shape, texts.len());
            return fault("tensor_shape", "shape", message);
        }
        Ok((texts, columns))
    }
}

/// Adds the texts of nested lists; false when there is anything else.
fn flatten(data: &Value, texts: &mut Vec<String>) -> bool {
    let Value::Array(items) = data else { return false };
    items.iter().all(|item| match item {
        Value::String(text) => {
            texts.push(text.clone());
            true
        }
        nested => flatten(nested, texts),
    })
}
