//! `GET /v1/card`: what people are told of the model and of what this server does for them.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::card::Card;
use crate::config::Identity;
use crate::server::Server;

pub(super) fn routes() -> OpenApiRouter<Server> {
    OpenApiRouter::new().routes(routes!(card))
}

/// The model for people.
#[derive(Debug, Serialize, ToSchema)]
pub struct CardReply {
    /// Name of the model.
    pub name: String,
    /// What rewards depend on besides the request.
    pub identity: Identity,
    /// Size, head and training; absent when the server was not told.
    pub card: Option<Card>,
    /// Whether `/v1/feedback` keeps choices.
    pub feedback: bool,
    /// Bytes that the body of a request may have.
    pub max_body_bytes: usize,
}

/// What the model is
#[utoipa::path(
    get,
    path = "/v1/card",
    tag = "Operation",
    responses((status = 200, description = "The card", body = CardReply))
)]
async fn card(State(server): State<Server>) -> Json<CardReply> {
    Json(CardReply {
        name: server.name().to_owned(),
        identity: server.identity().clone(),
        card: server.card().cloned(),
        feedback: server.feedback().is_some(),
        max_body_bytes: server.limits().max_body_bytes,
    })
}
