//! The routes, all below `/api/v1`; `docs/http.md` and `docs/openapi.json` describe them.

mod answers;
mod ask;
mod counters;
mod critical;
mod events;
mod lanes;
mod sources;
mod together;

use crate::app::App;
use axum::Router;
use axum::routing::{get, post};
use std::sync::Arc;

/// What a request may carry: a list of some thousand entities.
pub(crate) const BODY_BYTES_MAX: usize = 1 << 20;

pub(crate) fn all() -> Router<Arc<App>> {
    let source = Router::new()
        .route("/entities", get(lanes::entities))
        .route("/viewport", post(lanes::viewport))
        .route("/curves", post(counters::curves))
        .route("/budget", post(lanes::budget))
        .route("/state", get(lanes::state))
        .route("/change", get(lanes::change))
        .route("/intervals", get(lanes::intervals))
        .route("/edges", post(lanes::edges))
        .route("/follow", get(lanes::follow))
        .route("/search", post(lanes::search))
        .route("/matrix", post(answers::matrix))
        .route("/waits", post(answers::waits))
        .route("/exits", post(answers::exits))
        .route("/findings", get(answers::findings))
        .route("/critical-path", post(critical::path))
        .route("/together", post(together::together))
        .route("/events", get(events::events));
    let api = Router::new()
        .route("/sources", get(sources::all).post(sources::open))
        .route("/progress", get(sources::progress))
        .route("/openapi.json", get(openapi))
        .route("/sources/{id}", get(sources::one).delete(sources::close))
        .nest("/sources/{id}", source);
    Router::new().nest("/api/v1", api)
}

async fn openapi() -> impl axum::response::IntoResponse {
    let kind = (axum::http::header::CONTENT_TYPE, "application/json");
    ([kind], include_str!("openapi.json"))
}
