//! The named answers: who took the processor, waits, exits, findings.

use super::ask::{Range, answer};
use crate::app::App;
use crate::arrow::{Columns, Ipc};
use crate::extract::Body;
use crate::reply::Failure;
use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use virtflow_query::{ExitCosts, ExitsBy, exits};

pub(super) async fn matrix(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Body(asked): Body<Range>,
) -> Result<Ipc, Failure> {
    let (begin, end, entities) = asked.within_limits()?;
    answer(&app, &id, move |store| {
        let taken = virtflow_query::taken(store, entities.as_deref(), begin, end)?;
        Columns::new()
            .u32("victim", taken.iter().map(|t| t.victim))
            .i32("culprit", taken.iter().map(|t| t.culprit))
            .u8("state", taken.iter().map(|t| t.state))
            .i64("ns", taken.iter().map(|t| t.ns))
            .u64("count", taken.iter().map(|t| t.count))
            .i64("longest_ns", taken.iter().map(|t| t.longest_ns))
            .i64("longest_start_ns", taken.iter().map(|t| t.longest_start_ns))
            .stream()
    })
    .await
}

pub(super) async fn waits(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Body(asked): Body<Range>,
) -> Result<Ipc, Failure> {
    let (begin, end, entities) = asked.within_limits()?;
    answer(&app, &id, move |store| {
        let waits = virtflow_query::waits(store, entities.as_deref(), begin, end)?;
        Columns::new()
            .u32("entity", waits.iter().map(|w| w.entity))
            .u8("state", waits.iter().map(|w| w.state))
            .u8("cause", waits.iter().map(|w| w.cause))
            .u64("count", waits.iter().map(|w| w.count))
            .i64("ns", waits.iter().map(|w| w.ns))
            .i64("p50_ns", waits.iter().map(|w| w.p50_ns))
            .i64("p99_ns", waits.iter().map(|w| w.p99_ns))
            .i64("max_ns", waits.iter().map(|w| w.max_ns))
            .i64("max_start_ns", waits.iter().map(|w| w.max_start_ns))
            .stream()
    })
    .await
}

/// Exits of a stretch of time.
#[derive(Debug, Deserialize)]
pub(super) struct Exits {
    #[serde(flatten)]
    range: Range,
    #[serde(default)]
    by: ExitsBy,
}

pub(super) async fn exits(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Body(asked): Body<Exits>,
) -> Result<Json<Value>, Failure> {
    let (begin, end, entities) = asked.range.within_limits()?;
    answer(&app, &id, move |store| {
        let costs = virtflow_query::exit_costs(store, entities.as_deref(), begin, end, asked.by)?;
        let costs: Vec<Value> = costs.iter().map(exit).collect();
        Ok(Json(json!({ "exits": costs })))
    })
    .await
}

fn exit(costs: &ExitCosts) -> Value {
    let histogram: Vec<Value> = (0..)
        .zip(&costs.histogram)
        .filter(|(_, count)| **count > 0)
        .map(|(log2, count)| json!({ "from_ns": (1_i64 << log2).to_string(), "count": count }))
        .collect();
    json!({
        "who": costs.who,
        "isa": match costs.isa {
            exits::ISA_VMX => "vmx",
            exits::ISA_SVM => "svm",
            _ => "",
        },
        "reason": costs.reason,
        "name": exits::name(costs.isa, costs.reason),
        "class": costs.class,
        "reflected": costs.reflected,
        "count": costs.count,
        "ns": costs.ns.to_string(),
        "kernel_ns": costs.kernel_ns.to_string(),
        "vmm_ns": costs.vmm_ns.to_string(),
        "off_cpu_ns": costs.off_cpu_ns.to_string(),
        "p50_ns": costs.p50_ns.to_string(),
        "p99_ns": costs.p99_ns.to_string(),
        "max_ns": costs.max_ns.to_string(),
        "max_start_ns": costs.max_start_ns.to_string(),
        "max_vcpu": costs.max_vcpu,
        "histogram": histogram,
    })
}

pub(super) async fn findings(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    answer(&app, &id, move |store| {
        let found = virtflow_query::findings(store)?;
        let found: Vec<Value> = found
            .iter()
            .map(|finding| {
                json!({
                    "kind": finding.kind.as_str(),
                    "title": finding.title,
                    "detail": finding.detail,
                    "entity": finding.entity,
                    "begin_ns": finding.begin_ns.to_string(),
                    "end_ns": finding.end_ns.to_string(),
                    "ns": finding.ns.to_string(),
                    "share": finding.share,
                })
            })
            .collect();
        Ok(Json(json!({ "findings": found })))
    })
    .await
}
