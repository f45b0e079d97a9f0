//! Answers that went wrong, and work beside the event loop.

use crate::app::App;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use virtflow_query::store::StoreError;

/// Why a request gets no answer.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", message)
    }

    /// Whether a store could not be read.
    pub(crate) fn is_of_store(&self) -> bool {
        self.code == "store"
    }

    pub(crate) fn missing(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", message)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "store",
            error.to_string(),
        )
    }
}

impl From<arrow_schema::ArrowError> for Failure {
    fn from(error: arrow_schema::ArrowError) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "arrow",
            error.to_string(),
        )
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = json!({ "error": { "code": self.code, "message": self.message } });
        (self.status, Json(body)).into_response()
    }
}

/// Becomes true when it is dropped: when the client has gone, its request is dropped.
struct Gone(Arc<AtomicBool>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Works an answer out on a thread of its own, when there is room. What it is given becomes true
/// when nobody waits for the answer any more.
pub(crate) async fn work<T: Send + 'static>(
    app: &App,
    answer: impl FnOnce(&Arc<AtomicBool>) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let gone = Gone(Arc::clone(&stop));
    let busy = |_| Failure::new(StatusCode::SERVICE_UNAVAILABLE, "ended", "the server ends");
    let room = Arc::clone(&app.work).acquire_owned().await.map_err(busy)?;
    let answer = tokio::task::spawn_blocking(move || {
        let answer = answer(&stop);
        drop(room);
        answer
    })
    .await;
    drop(gone);
    answer.unwrap_or_else(|_| {
        Err(Failure::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "panic",
            "the answer could not be worked out: a bug of virtflow's",
        ))
    })
}
