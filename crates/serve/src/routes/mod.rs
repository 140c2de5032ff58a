//! The routes of the server and what surrounds each of them: its name, its count, its key.
//!
//! A family of routes is a file here that offers `routes()`; it gets its rewards from [`Server::score`] and from nowhere else.

pub mod best_of_n;
pub mod card;
pub mod classify;
pub mod compare;
pub mod embeddings;
pub mod feedback;
pub mod get_reward;
pub mod kserve;
pub mod operation;
pub mod pooling;
pub mod predict;
pub mod rerank;
pub mod reward;
pub mod score;
pub mod score_evaluation;
pub mod slime;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use utoipa::OpenApi;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};
use utoipa_axum::router::OpenApiRouter;

use crate::auth;
use crate::error::{ApiError, ErrorCode};
use crate::page;
use crate::reference;
use crate::request_id;
use crate::server::Server;

/// What the OpenAPI document says besides its routes.
#[derive(OpenApi)]
#[openapi(info(
    title = "basereward",
    description = "Rewards of answers to questions about pictures. Every route gives the same bits as `basereward score`."
))]
struct Document;

/// All routes with their descriptions.
fn routes() -> OpenApiRouter<Server> {
    OpenApiRouter::with_openapi(Document::openapi())
        .merge(reward::routes())
        .merge(compare::routes())
        .merge(best_of_n::routes())
        .merge(feedback::routes())
        .merge(card::routes())
        .merge(classify::routes())
        .merge(pooling::routes())
        .merge(score::routes())
        .merge(rerank::routes())
        .merge(get_reward::routes())
        .merge(slime::routes())
        .merge(score_evaluation::routes())
        .merge(embeddings::routes())
        .merge(predict::routes())
        .merge(kserve::routes())
        .merge(operation::routes())
}

/// The whole service.
pub fn app(server: Server) -> Router {
    let (router, mut document) = routes().split_for_parts();
    describe_refusals(&mut document);
    let json = document.to_json().expect("the document is plain JSON");
    let page = reference::page(&json);
    let json_route = get(move || async move { ([("content-type", "application/json")], json) });
    let page_route = get(move || async move { Html(page) });
    router
        .route("/", page::route())
        .route("/openapi.json", json_route)
        .route("/docs", page_route)
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(server.clone(), auth::require_key))
        .layer(middleware::from_fn_with_state(server.clone(), count))
        .layer(middleware::from_fn_with_state(server.clone(), request_id::name))
        .with_state(server)
}

/// Says of every operation that it may be refused for what is not its own: keys, limits, media types, the state of the server.
fn describe_refusals(document: &mut utoipa::openapi::OpenApi) {
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody"))).build();
    let refusal = ResponseBuilder::new()
        .description("Any other refusal, with its code")
        .content("application/json", body)
        .build();
    for item in document.paths.paths.values_mut() {
        for operation in [&mut item.get, &mut item.put, &mut item.post].into_iter().flatten() {
            operation.responses.responses.insert("default".to_owned(), RefOr::T(refusal.clone()));
        }
    }
}

/// The route at `path` under another path, in the document as well.
fn alias(
    mut router: OpenApiRouter<Server>,
    path: &str,
    other: &str,
    handler: MethodRouter<Server>,
) -> OpenApiRouter<Server> {
    let paths = &mut router.get_openapi_mut().paths.paths;
    let mut item =
        paths.get(path).cloned().expect("the route is in the document under its first path");
    if let Some(operation) = &mut item.post {
        // Names of operations are unique in a document.
        operation.operation_id = None;
    }
    paths.insert(other.to_owned(), item);
    router.route(other, handler)
}

async fn not_found() -> ApiError {
    let message = "there is no such route; see /docs for those that there are";
    ApiError::new(StatusCode::NOT_FOUND, "not_found", message)
}

async fn method_not_allowed() -> ApiError {
    let message = "this route does not know this method; see /docs for the one that it takes";
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}

/// Counts replies and failures. Unknown paths are counted together, so that nobody can make up names of metrics.
async fn count(State(server): State<Server>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let response = next.run(request).await.into_response();
    let metrics = server.metrics();
    metrics.reply(route.as_deref().unwrap_or("other"), response.status().as_u16());
    if let Some(ErrorCode(code)) = response.extensions().get() {
        metrics.failure(code);
    }
    response
}
