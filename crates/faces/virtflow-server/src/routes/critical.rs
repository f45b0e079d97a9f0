//! The critical path of a worker.

use super::ask::{Ns, answer, range};
use crate::app::App;
use crate::extract::Body;
use crate::reply::Failure;
use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use virtflow_query::store::Store;
use virtflow_query::{Branch, Did, Grain, Group, GroupSum, PathNode, PathTold, is_worker, life};

/// Steps that are told one by one.
const STEPS_MAX: usize = 100_000;
/// Nodes of the tree, and sums: the largest.
const NODES_MAX: usize = 2_000;

/// Whose path, and when.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    entity: u32,
    begin_ns: Ns,
    end_ns: Ns,
    grain: Option<Grain>,
}

pub(super) async fn path(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Body(asked): Body<Asked>,
) -> Result<Json<Value>, Failure> {
    let (begin, end) = range(asked.begin_ns, asked.end_ns);
    answer(&app, &id, move |store| {
        worker(store, asked.entity)?;
        let (from, to) = life(store, asked.entity).unwrap_or((begin, end));
        let (begin, end) = (begin.clamp(from, to), end.clamp(from, to));
        let grain = asked
            .grain
            .unwrap_or_else(|| Grain::of(store, asked.entity));
        let told = PathTold::new(store, asked.entity, begin, end, grain)?;
        Ok(Json(path_json(store, &told)))
    })
    .await
}

/// Whether an entity has a line to follow.
pub(super) fn worker(store: &Store, entity: u32) -> Result<(), Failure> {
    if is_worker(store, entity) {
        return Ok(());
    }
    let why = "no thread, vCPU, guest process or container has that number";
    Err(Failure::bad(format!("entity {entity}: {why}")))
}

/// Times inside are nanoseconds from `begin_ns`, which fit into any reader's numbers.
fn path_json(store: &Store, told: &PathTold) -> Value {
    let at = |t: i64| t.saturating_sub(told.begin);
    let path = &told.path;
    let steps = if path.steps.len() <= STEPS_MAX {
        &path.steps[..]
    } else {
        &[]
    };
    let what = |step: &virtflow_query::PathStep| step.what;
    let doing = |done: Option<virtflow_query::Done>| done.map_or(-1, |d| i64::from(d.doing));
    let some = |entity: Option<u32>| entity.map_or(-1, i64::from);
    let place = |inside: Option<usize>| inside.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1);
    let waits = if steps.is_empty() {
        &[]
    } else {
        &path.waits[..]
    };
    json!({
        "entity": told.worker,
        "grain": told.grain,
        "begin_ns": told.begin.to_string(),
        "end_ns": told.end.to_string(),
        "unknown_ns": told.unknown_ns,
        "likely_ns": told.likely_ns,
        "against_causality": path.against_causality,
        "too_deep": path.too_deep,
        "cut": path.cut,
        "step_count": path.steps.len(),
        "steps": {
            "entity": steps.iter().map(|s| s.worker).collect::<Vec<_>>(),
            "start": steps.iter().map(|s| at(s.begin)).collect::<Vec<_>>(),
            "end": steps.iter().map(|s| at(s.end)).collect::<Vec<_>>(),
            "doing": steps.iter().map(|s| doing(what(s))).collect::<Vec<_>>(),
            "by": steps.iter().map(|s| what(s).map_or(-1, |d| d.by)).collect::<Vec<_>>(),
            "inside": steps.iter().map(|s| place(s.inside)).collect::<Vec<_>>(),
            "woke": steps.iter().map(|s| some(s.woke)).collect::<Vec<_>>(),
        },
        "waits": {
            "entity": waits.iter().map(|w| w.worker).collect::<Vec<_>>(),
            "start": waits.iter().map(|w| at(w.begin)).collect::<Vec<_>>(),
            "end": waits.iter().map(|w| at(w.end)).collect::<Vec<_>>(),
            "doing": waits.iter().map(|w| w.what.doing).collect::<Vec<_>>(),
            "ended_by": waits.iter().map(|w| w.ended_by).collect::<Vec<_>>(),
            "inside": waits.iter().map(|w| place(w.inside)).collect::<Vec<_>>(),
        },
        "doings": doings(store, told),
        "node_count": told.tree.len(),
        "tree": largest(&told.tree).map(|node| tree_node(told, node)).collect::<Vec<_>>(),
        "sum_count": told.sums.len(),
        "sums": told.sums.iter().take(NODES_MAX).map(|sum| json!({
            "entity": sum.worker,
            "did": did(sum.what),
            "ns": sum.ns,
            "times": sum.steps,
            "longest_ns": sum.longest_ns,
            "longest_start": at(sum.longest_begin),
        })).collect::<Vec<_>>(),
        "groups": told.groups.iter().take(NODES_MAX).map(group).collect::<Vec<_>>(),
    })
}

/// What is part of one container, VM or machine.
fn group(sum: &GroupSum) -> Value {
    let machine = match sum.group {
        Group::Devices(machine) | Group::Own(machine) => i64::from(machine),
        Group::Container(_) | Group::Vm(_) => -1,
    };
    json!({
        "group": sum.group.as_str(),
        "entity": sum.group.entity().map_or(-1, i64::from),
        "machine": machine,
        "ns": sum.ns,
        "ran_ns": sum.ran_ns,
        "wanted_ns": sum.wanted_ns,
        "waited_ns": sum.waited_ns,
        "unknown_ns": sum.unknown_ns,
        "had_ns": sum.had_ns,
    })
}

/// What the numbers in `doing` mean: codes of state, cause, level, confidence, evidence.
fn doings(store: &Store, told: &PathTold) -> Value {
    let steps = told.path.steps.iter().filter_map(|s| s.what);
    let waits = told.path.waits.iter().map(|w| w.what);
    let mut all: Vec<u32> = steps.chain(waits).map(|done| done.doing).collect();
    all.sort_unstable();
    all.dedup();
    let told = all.iter().map(|&number| {
        let doing = store.doing(number);
        let codes = json!([
            doing.state,
            doing.cause,
            doing.level,
            doing.confidence,
            doing.evidence
        ]);
        (number.to_string(), codes)
    });
    Value::Object(told.collect())
}

/// The largest nodes; whatever one is a part of is among them and stands before it.
fn largest(tree: &[PathNode]) -> impl Iterator<Item = &PathNode> {
    let mut some: Vec<(usize, &PathNode)> = tree.iter().enumerate().collect();
    some.sort_by_key(|(at, node)| (std::cmp::Reverse(node.ns), *at));
    some.truncate(NODES_MAX);
    some.sort_by_key(|(at, _)| *at);
    some.into_iter().map(|(_, node)| node)
}

fn tree_node(told: &PathTold, node: &PathNode) -> Value {
    json!({
        "depth": node.depth,
        "waits_for": matches!(node.branch, Branch::Wait(..)),
        "entity": PathTold::whose(node),
        "did": did(PathTold::what(node)),
        "ns": node.ns,
        "times": node.times,
        "longest_ns": node.longest_ns,
        "longest_start": node.longest_begin.saturating_sub(told.begin),
    })
}

/// Codes of state and cause, and who had the processor; `null` where nobody knows.
fn did(did: Option<Did>) -> Value {
    did.map_or(Value::Null, |did| json!([did.state, did.cause, did.by]))
}
