//! What several workers wait for at the same time.

use super::ask::{Ns, answer, range};
use super::critical::worker;
use crate::app::App;
use crate::extract::Body;
use crate::reply::Failure;
use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use virtflow_query::{Resource, Shared, Together, Waiter};

/// Workers of one request.
const WORKERS_MAX: usize = 64;
/// Things that are told: those that were waited for most.
const SHARED_MAX: usize = 100;

/// Who, and when.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    entities: Vec<u32>,
    begin_ns: Ns,
    end_ns: Ns,
}

pub(super) async fn together(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Body(asked): Body<Asked>,
) -> Result<Json<Value>, Failure> {
    let (begin, end) = range(asked.begin_ns, asked.end_ns);
    let workers = distinct(asked.entities)?;
    answer(&app, &id, move |store| {
        for &entity in &workers {
            worker(store, entity)?;
        }
        let found = virtflow_query::together(store, &workers, begin, end)?;
        Ok(Json(told(&workers, &found)))
    })
    .await
}

/// Each once, in the order asked for, and not too many.
fn distinct(entities: Vec<u32>) -> Result<Vec<u32>, Failure> {
    let mut workers = Vec::new();
    for entity in entities {
        if workers.contains(&entity) {
            continue;
        }
        if workers.len() == WORKERS_MAX {
            return Err(Failure::bad(format!("more than {WORKERS_MAX} workers")));
        }
        workers.push(entity);
    }
    Ok(workers)
}

fn told(workers: &[u32], found: &Together) -> Value {
    let shared = found.shared.iter().take(SHARED_MAX);
    json!({
        "begin_ns": found.begin.to_string(),
        "end_ns": found.end.to_string(),
        "shared_count": found.shared.len(),
        "shared": shared.map(|shared| one(workers, found, shared)).collect::<Vec<_>>(),
    })
}

fn one(workers: &[u32], found: &Together, shared: &Shared) -> Value {
    let (resource, entity) = match shared.resource {
        Resource::Entity(entity) => ("entity", entity),
        Resource::DisksOf(entity) => ("disks-of", entity),
    };
    let waiters = workers.iter().zip(&shared.workers);
    let waiters = waiters.filter(|(_, own)| own.waited_ns > 0);
    json!({
        "resource": resource,
        "entity": entity,
        "together_ns": shared.together_ns,
        "at_least_ns": shared.at_least_ns,
        "workers": waiters.map(|(entity, own)| waiter(workers, found, *entity, own)).collect::<Vec<_>>(),
    })
}

fn waiter(workers: &[u32], found: &Together, entity: u32, own: &Waiter) -> Value {
    let behind = own.behind.iter();
    let behind = behind.filter_map(|&(at, ns)| Some(json!([workers.get(at)?, ns])));
    let longest = if own.longest_ns > 0 {
        own.longest_begin.saturating_sub(found.begin)
    } else {
        0
    };
    json!({
        "entity": entity,
        "waited_ns": own.waited_ns,
        "queued_ns": own.queued_ns,
        "longest_ns": own.longest_ns,
        "longest_start": longest,
        "behind": behind.collect::<Vec<_>>(),
    })
}
