//! The events of the trace itself.

use super::ask::{Ns, source};
use crate::app::App;
use crate::extract::Asked;
use crate::reply::{Failure, work};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde::Deserialize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use virtflow_query::Glob;

/// Events of one answer.
const EVENTS_MAX: usize = 5000;

/// Which events.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    from_ns: Ns,
    /// Of the events at that very moment, how many were given before.
    #[serde(default)]
    skip: usize,
    limit: Option<usize>,
    /// Names with `*` for anything, and commas between.
    #[serde(default)]
    filter: String,
}

pub(super) async fn events(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Asked(some): Asked<Wanted>,
) -> Result<impl IntoResponse, Failure> {
    let trace = source(&app, &id)?.trace().ok_or_else(|| {
        Failure::new(
            StatusCode::CONFLICT,
            "no-trace",
            "the trace that the store was made of is not where it was",
        )
    })?;
    let limit = some.limit.unwrap_or(200).clamp(1, EVENTS_MAX);
    work(&app, move |stop| {
        let globs: Vec<&str> = some
            .filter
            .split(',')
            .map(str::trim)
            .filter(|g| !g.is_empty())
            .collect();
        let choose = |name: &str| globs.is_empty() || globs.iter().any(|g| Glob(g).matches(name));
        let from = (some.from_ns.0, some.skip);
        let stopped = || stop.load(Ordering::Relaxed);
        let listed = virtflow_query::events(&trace, choose, from, limit, stopped);
        let (next, skip) = match listed.next {
            Some(next) => (format!("\"{}\"", next.0), next.1),
            None => ("null".to_owned(), 0),
        };
        let body = format!(
            "{{\"events\":[{}],\"next_ns\":{next},\"next_skip\":{skip}}}",
            listed.events
        );
        Ok(([(CONTENT_TYPE, "application/json")], body))
    })
    .await
}
