//! Entities, pictures, budgets, states, changes, edges.

use super::ask::{ENTITIES_MAX, Ns, Picture, ROWS_MAX, Range, answer, range};
use crate::app::App;
use crate::arrow::{Columns, Ipc};
use crate::extract::{Asked, Body};
use crate::reply::Failure;
use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use virtflow_query::store::{Direction, EdgeRecord, Lane, Piece, Store};

type Answer = Result<Ipc, Failure>;

fn none(number: Option<impl TryInto<i32>>) -> i32 {
    number.and_then(|n| n.try_into().ok()).unwrap_or(-1)
}

pub(super) async fn entities(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answer {
    answer(&app, &id, move |store| {
        let all = store.entities();
        Columns::new()
            .u32("id", all.iter().map(|e| e.entity))
            .u32("machine", all.iter().map(|e| e.machine))
            .u8("kind", all.iter().map(|e| e.kind))
            .i32("parent", all.iter().map(|e| none(e.parent)))
            .i32("vm", all.iter().map(|e| none(e.vm)))
            .i32("vcpu", all.iter().map(|e| none(e.vcpu)))
            .i32("tid", all.iter().map(|e| none(e.tid)))
            .i32("pid", all.iter().map(|e| none(e.pid)))
            .text(
                "cr3",
                all.iter()
                    .map(|e| Some(e.cr3.clone()).filter(|c| !c.is_empty())),
            )
            .text("key", all.iter().map(|e| Some(e.key.clone())))
            .text("label", all.iter().map(|e| Some(e.label.clone())))
            .i64("begin_ns", all.iter().map(|e| e.begin_ns))
            .i64("end_ns", all.iter().map(|e| e.end_ns))
            .u64("intervals", all.iter().map(|e| e.intervals))
            .stream()
    })
    .await
}

/// Intervals or parts of buckets, as columns.
fn pieces(store: &Store, pieces: &[Piece]) -> Answer {
    let each = || pieces.iter();
    let doing = || each().map(|p| store.doing(p.doing));
    Columns::new()
        .u32("entity", each().map(|p| p.lane.entity))
        .i32("vcpu", each().map(|p| p.lane.vcpu))
        .i64("start_ns", each().map(|p| p.start))
        .i64("end_ns", each().map(|p| p.end))
        .u8("state", doing().map(|d| d.state))
        .u8("cause", doing().map(|d| d.cause))
        .u8("level", doing().map(|d| d.level))
        .u8("confidence", doing().map(|d| d.confidence))
        .u8("evidence", doing().map(|d| d.evidence))
        .i32("by", each().map(|p| p.by))
        .i64("ns", each().map(|p| p.ns))
        .bool("exact", each().map(|p| p.exact))
        .stream()
}

pub(super) async fn viewport(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Body(picture): Body<Picture>,
) -> Answer {
    let (begin, end, entities, pixels) = picture.within_limits()?;
    answer(&app, &id, move |store| {
        let view = store.viewport(&entities, begin, end, pixels)?;
        Ok(pieces(store, &view.pieces)?.header("x-virtflow-bucket-ns", view.bucket_ns))
    })
    .await
}

pub(super) async fn budget(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Body(asked): Body<Range>,
) -> Answer {
    let (begin, end, entities) = asked.within_limits()?;
    let entities = entities.unwrap_or_default();
    answer(&app, &id, move |store| {
        let costs = store.budget(&entities, begin, end)?;
        let doing = || costs.iter().map(|c| store.doing(c.doing));
        Columns::new()
            .u32("entity", costs.iter().map(|c| c.lane.entity))
            .i32("vcpu", costs.iter().map(|c| c.lane.vcpu))
            .u8("state", doing().map(|d| d.state))
            .u8("cause", doing().map(|d| d.cause))
            .u8("level", doing().map(|d| d.level))
            .u8("confidence", doing().map(|d| d.confidence))
            .i64("ns", costs.iter().map(|c| c.ns))
            .stream()
    })
    .await
}

/// A moment.
#[derive(Debug, Deserialize)]
pub(super) struct Moment {
    t: Ns,
}

pub(super) async fn state(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Asked(Moment { t }): Asked<Moment>,
) -> Answer {
    answer(&app, &id, move |store| pieces(store, &store.state_at(t.0)?)).await
}

/// Which way.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum To {
    Next,
    Previous,
    Here,
}

/// A change of a lane.
#[derive(Debug, Deserialize)]
pub(super) struct Change {
    entity: u32,
    #[serde(default = "no_vcpu")]
    vcpu: i32,
    t: Ns,
    to: To,
}

const fn no_vcpu() -> i32 {
    -1
}

pub(super) async fn change(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Asked(change): Asked<Change>,
) -> Result<Json<Value>, Failure> {
    answer(&app, &id, move |store| {
        let lane = Lane {
            entity: change.entity,
            vcpu: change.vcpu,
        };
        let found = match change.to {
            To::Here => store.here(lane, change.t.0)?,
            To::Next => store.change(lane, change.t.0, Direction::Forth)?,
            To::Previous => store.change(lane, change.t.0, Direction::Back)?,
        };
        let interval = found.map(|piece| {
            let doing = store.doing(piece.doing);
            json!({
                "entity": piece.lane.entity,
                "vcpu": piece.lane.vcpu,
                "start_ns": piece.start.to_string(),
                "end_ns": piece.end.to_string(),
                "state": doing.state,
                "cause": doing.cause,
                "level": doing.level,
                "confidence": doing.confidence,
                "evidence": doing.evidence,
                "by": piece.by,
            })
        });
        Ok(Json(json!({ "interval": interval })))
    })
    .await
}

/// A stretch of one entity's time.
#[derive(Debug, Deserialize)]
pub(super) struct Stretch {
    entity: u32,
    begin_ns: Ns,
    end_ns: Ns,
    limit: Option<usize>,
}

pub(super) async fn intervals(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Asked(stretch): Asked<Stretch>,
) -> Answer {
    let (begin, end) = range(stretch.begin_ns, stretch.end_ns);
    let limit = stretch.limit.unwrap_or(ROWS_MAX).min(ROWS_MAX);
    answer(&app, &id, move |store| {
        let mut found = store.intervals(&[stretch.entity], begin, end)?;
        let left = found.len().saturating_sub(limit);
        found.truncate(limit);
        Ok(pieces(store, &found)?.header("x-virtflow-left-out", left))
    })
    .await
}

/// Edges of a stretch of time.
#[derive(Debug, Deserialize)]
pub(super) struct Edges {
    #[serde(flatten)]
    range: Range,
    kinds: Option<Vec<u8>>,
    limit: Option<usize>,
}

pub(super) async fn edges(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Body(asked): Body<Edges>,
) -> Answer {
    let (begin, end, entities) = asked.range.within_limits()?;
    let limit = asked.limit.unwrap_or(ROWS_MAX).min(ROWS_MAX);
    answer(&app, &id, move |store| {
        let mut found: Vec<EdgeRecord> = Vec::new();
        let mut left_out = 0_u64;
        store.edges(entities.as_deref(), begin, end, |edge| {
            let wanted = asked.kinds.as_ref().is_none_or(|k| k.contains(&edge.kind));
            if wanted && found.len() < limit {
                found.push(edge);
            } else if wanted {
                left_out += 1;
            }
            true
        })?;
        found.sort_unstable_by_key(|e| (e.from_ns, e.to_ns, e.from, e.to));
        let columns = Columns::new()
            .u32("from", found.iter().map(|e| e.from))
            .i64("from_ns", found.iter().map(|e| e.from_ns))
            .u32("to", found.iter().map(|e| e.to))
            .i64("to_ns", found.iter().map(|e| e.to_ns))
            .u8("kind", found.iter().map(|e| e.kind))
            .u8("confidence", found.iter().map(|e| e.confidence))
            .u8("evidence", found.iter().map(|e| e.evidence));
        Ok(columns.stream()?.header("x-virtflow-left-out", left_out))
    })
    .await
}

/// Which way along an edge.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Along {
    Back,
    Forth,
}

/// An edge to follow.
#[derive(Debug, Deserialize)]
pub(super) struct Follow {
    entity: u32,
    t: Ns,
    to: Along,
}

pub(super) async fn follow(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Asked(follow): Asked<Follow>,
) -> Result<Json<Value>, Failure> {
    answer(&app, &id, move |store| {
        let direction = match follow.to {
            Along::Back => Direction::Back,
            Along::Forth => Direction::Forth,
        };
        let edge = store.follow(follow.entity, follow.t.0, direction)?;
        let edge = edge.map(|e| {
            json!({
                "from": e.from,
                "from_ns": e.from_ns.to_string(),
                "to": e.to,
                "to_ns": e.to_ns.to_string(),
                "kind": e.kind,
                "confidence": e.confidence,
                "evidence": e.evidence,
            })
        });
        Ok(Json(json!({ "edge": edge })))
    })
    .await
}

/// Which way to search.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Towards {
    #[default]
    Next,
    Previous,
}

/// A search for intervals.
#[derive(Debug, Deserialize)]
pub(super) struct Search {
    #[serde(flatten)]
    range: Range,
    filter: String,
    from_ns: Option<Ns>,
    #[serde(default)]
    to: Towards,
    limit: Option<usize>,
}

pub(super) async fn search(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Body(asked): Body<Search>,
) -> Answer {
    let (begin, end, entities) = asked.range.within_limits()?;
    let limit = asked.limit.unwrap_or(1).clamp(1, ROWS_MAX);
    let filter =
        virtflow_query::Filter::parse(&asked.filter).map_err(|e| Failure::bad(e.to_string()))?;
    answer(&app, &id, move |store| {
        let back = matches!(asked.to, Towards::Previous);
        let (begin, end) = match (asked.from_ns, back) {
            (Some(Ns(from)), false) => (begin.max(from), end),
            (Some(Ns(from)), true) => (begin, end.min(from)),
            (None, _) => (begin, end),
        };
        let entities = entities.as_deref();
        let found = virtflow_query::search(store, &filter, entities, (begin, end), back, limit)?;
        pieces(store, &found)
    })
    .await
}

// A list of entities is only as long as a picture can be high.
const _: () = assert!(ENTITIES_MAX < ROWS_MAX);
