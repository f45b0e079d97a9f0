//! The page: built files that are in the program, or on disk while it is being developed.

use crate::app::App;
use crate::reply::Failure;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use rust_embed::Embed;
use std::path::{Component, Path};
use std::sync::Arc;

#[derive(Embed)]
#[folder = "dist"]
struct Built;

pub(crate) async fn page(
    State(app): State<Arc<App>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    if uri.path().starts_with("/api/") {
        return Failure::missing("there is no such route").into_response();
    }
    if method != Method::GET && method != Method::HEAD {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let name = match uri.path().trim_start_matches('/') {
        "" => "index.html",
        name => name,
    };
    let found = match &app.options.web_root {
        Some(root) => from_disk(root, name).map(|data| (data, None)),
        None => Built::get(name).map(|file| {
            let tag: String = file.metadata.sha256_hash()[..16]
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect();
            (file.data.into_owned(), Some(format!("\"{tag}\"")))
        }),
    };
    let Some((data, tag)) = found else {
        return Failure::missing("there is no such page").into_response();
    };
    let tag = tag.unwrap_or_default();
    let known = headers.get(IF_NONE_MATCH).and_then(|v| v.to_str().ok());
    if !tag.is_empty() && known == Some(tag.as_str()) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    let mut response = data.into_response();
    let headers = response.headers_mut();
    if let Ok(kind) = kind_of(name).parse() {
        headers.insert(CONTENT_TYPE, kind);
    }
    if let Ok(tag) = tag.parse() {
        headers.insert(ETAG, tag);
    }
    // A newer program has other files under the same names.
    headers.insert(
        CACHE_CONTROL,
        axum::http::HeaderValue::from_static("no-cache"),
    );
    response
}

/// Only what lies below: no `..`, no other root.
fn from_disk(root: &Path, name: &str) -> Option<Vec<u8>> {
    let below = Path::new(name)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    below.then(|| std::fs::read(root.join(name)).ok()).flatten()
}

fn kind_of(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}
