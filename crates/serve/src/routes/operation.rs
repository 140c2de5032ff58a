//! What those who run a server ask it: whether it lives, whether it is ready, which model it has, what it has counted.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::config::Identity;
use crate::error::{ApiError, ErrorBody};
use crate::server::Server;

pub(super) fn routes() -> OpenApiRouter<Server> {
    OpenApiRouter::new()
        .routes(routes!(health))
        .routes(routes!(ready))
        .routes(routes!(models))
        .routes(routes!(metrics))
}

/// State of a server.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatusReply {
    /// `alive` or `ready`.
    pub status: &'static str,
}

/// Models of a server.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelsReply {
    /// `list`.
    pub object: &'static str,
    /// The one model.
    pub data: Vec<ModelFacts>,
}

/// A model of a server.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelFacts {
    /// Its name.
    pub id: String,
    /// `model`.
    pub object: &'static str,
    /// `basereward`.
    pub owned_by: &'static str,
    /// What its rewards depend on.
    pub identity: Identity,
}

/// Whether the program lives
#[utoipa::path(
    get,
    path = "/health",
    tag = "Operation",
    responses((status = 200, description = "It lives", body = StatusReply))
)]
async fn health() -> Json<StatusReply> {
    Json(StatusReply { status: "alive" })
}

/// Whether requests are scored
///
/// The model is loaded and checked, and the server is not stopping.
#[utoipa::path(
    get,
    path = "/ready",
    tag = "Operation",
    responses(
        (status = 200, description = "Requests are scored", body = StatusReply),
        (status = 503, description = "They are not", body = ErrorBody),
    )
)]
async fn ready(State(server): State<Server>) -> Response {
    if server.lifecycle().is_ready() {
        return Json(StatusReply { status: "ready" }).into_response();
    }
    if server.lifecycle().is_draining() {
        return ApiError::shutting_down().into_response();
    }
    let message = "the model is lost; start the server again";
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "model_lost", message).into_response()
}

/// Which model is served
#[utoipa::path(
    get,
    path = "/v1/models",
    tag = "Operation",
    responses((status = 200, description = "The model", body = ModelsReply))
)]
async fn models(State(server): State<Server>) -> Json<ModelsReply> {
    let facts = ModelFacts {
        id: server.name().to_owned(),
        object: "model",
        owned_by: "basereward",
        identity: server.identity().clone(),
    };
    Json(ModelsReply { object: "list", data: vec![facts] })
}

/// Counts and times for Prometheus
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "Operation",
    responses((status = 200, description = "The text format of Prometheus", body = String, content_type = "text/plain"))
)]
async fn metrics(State(server): State<Server>) -> Response {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    let metrics = server.metrics();
    metrics.pictures(server.picture_counts());
    ([("content-type", kind)], metrics.text()).into_response()
}
