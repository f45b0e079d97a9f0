//! What is open, and how far it is.

use super::ask::{source, store};
use crate::app::App;
use crate::extract::Body;
use crate::reply::{Failure, work};
use crate::source::Status;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use serde::Deserialize;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::path::{Component, PathBuf};
use std::sync::Arc;
use tokio_stream::wrappers::{BroadcastStream, WatchStream};
use tokio_stream::{Stream, StreamExt};
use virtflow_query::store::{Manifest, vocabulary};

pub(super) async fn all(State(app): State<Arc<App>>) -> Json<Value> {
    let sources: Vec<Status> = app.sources().iter().map(|s| s.status()).collect();
    Json(json!({ "version": env!("CARGO_PKG_VERSION"), "sources": sources }))
}

/// What is to be opened.
#[derive(Debug, Deserialize)]
pub(super) struct Open {
    /// Below the server's root.
    path: String,
}

pub(super) async fn open(
    State(app): State<Arc<App>>,
    Body(open): Body<Open>,
) -> Result<Json<Value>, Failure> {
    let Some(root) = app.options.root.clone() else {
        return Err(Failure::new(
            StatusCode::FORBIDDEN,
            "no-root",
            "the server opens only what it was started with; --root DIR lets it open what lies in DIR",
        ));
    };
    let path = PathBuf::from(&open.path);
    let plain = path.components().all(|c| matches!(c, Component::Normal(_)));
    if !plain || open.path.is_empty() {
        return Err(Failure::bad("path is not one below the server's root"));
    }
    let opened = {
        let app = Arc::clone(&app);
        work(&Arc::clone(&app), move |_| {
            let missing = || Failure::missing("there is no such directory");
            // Links may lead out of the root: what they lead to counts.
            let root = root.canonicalize().map_err(|_| missing())?;
            let path = root.join(path).canonicalize().map_err(|_| missing())?;
            if !path.starts_with(&root) {
                return Err(missing());
            }
            app.open(&path).map_err(Failure::bad)
        })
        .await?
    };
    let status = source(&app, &opened)?.status();
    Ok(Json(json!(status)))
}

pub(super) async fn close(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    if app.close(&id) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Failure::missing(format!(
            "no trace or store is open as {id}"
        )))
    }
}

/// Every change, as it comes.
pub(super) async fn progress(
    State(app): State<Arc<App>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let now: Vec<Status> = app.sources().iter().map(|s| s.status()).collect();
    let later = BroadcastStream::new(app.news.subscribe()).filter_map(Result::ok);
    let ended = WatchStream::new(app.ended())
        .filter(|ended| *ended)
        .map(|_| None);
    let news = tokio_stream::iter(now).chain(later).map(Some);
    let events = news
        .merge(ended)
        // The first `None` ends it, so that the server can end.
        .take_while(Option::is_some)
        .filter_map(|status| Event::default().json_data(status?).ok())
        .map(Ok);
    Sse::new(events).keep_alive(KeepAlive::default())
}

pub(super) async fn one(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    let source = source(&app, &id)?;
    let mut told = json!(source.status());
    told["has_events"] = json!(source.trace().is_some());
    // Before there is a store, there are words.
    let words = |pairs: &[(u8, String)]| -> Value {
        pairs
            .iter()
            .map(|(code, name)| json!({ "code": code, "name": name }))
            .collect()
    };
    let found = store(&app, &id).ok();
    let manifest: Option<&Manifest> = found.as_ref().map(|s| s.manifest());
    let vocabulary = manifest.map_or_else(vocabulary, |m| m.vocabulary.clone());
    told["vocabulary"] = json!({
        "kinds": words(&vocabulary.kinds),
        "states": words(&vocabulary.states),
        "causes": words(&vocabulary.causes),
        "confidences": words(&vocabulary.confidences),
        "evidences": words(&vocabulary.evidences),
        "edges": words(&vocabulary.edges),
        "counters": words(&vocabulary.counters),
    });
    let list = |some: Vec<Value>| Value::from(some);
    told["machines"] = list(manifest.map_or_else(Vec::new, |m| {
        let each = m.machines.iter();
        each.map(|m| json!({ "number": m.number, "name": m.name }))
            .collect()
    }));
    told["holds"] = json!(manifest.map_or(&[][..], |m| &m.holds));
    told["counters"] = list(manifest.map_or_else(Vec::new, |m| {
        let each = m.counters.iter().map(|counter| {
            json!({
                "entity": counter.entity,
                "counter": counter.counter,
                "values": counter.values,
                "sum": counter.sum.to_string(),
                "greatest": counter.greatest.to_string(),
            })
        });
        each.collect()
    }));
    told["loss"] = list(manifest.map_or_else(Vec::new, |m| {
        let each = m.losses.iter().map(|loss| {
            json!({
                "machine": loss.machine,
                "cpu": loss.cpu,
                "begin_ns": loss.begin_ns.to_string(),
                "end_ns": loss.end_ns.to_string(),
                "kind": loss.kind,
                "count": loss.count,
            })
        });
        each.collect()
    }));
    told["missing"] = json!(manifest.map(|m| &m.missing[..]).unwrap_or_default());
    told["problems"] = json!(manifest.map(|m| &m.problems[..]).unwrap_or_default());
    Ok(Json(told))
}
