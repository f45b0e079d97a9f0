//! A store in a recording's place: what it holds goes to a sink as the analysis once gave it.

use crate::facts::Facts;
use virtflow_base::{Edge, Entity, EntityId, Exit, Interval, Sample, Sink, Span, Timestamp};
use virtflow_events::{OpenError, Recording};
use virtflow_history::{EntityRecord, ExitRecord, Piece, Store, StoreError};

/// What the recording and the analysis said of each machine.
pub fn facts(store: &Store) -> Result<Vec<Facts>, StoreError> {
    let facts = &store.manifest().report;
    serde_json::from_value(facts.clone()).map_err(|e| StoreError::Manifest {
        path: store.path().join(virtflow_history::MANIFEST),
        what: format!("`report`: {e}"),
    })
}

/// The trace that a store was made of, where it still is.
///
/// # Errors
/// Where it is not, or cannot be understood.
pub fn trace_of(store: &Store) -> Result<Recording, OpenError> {
    let traces = store.manifest().traces.as_array();
    let paths: Vec<&str> = traces
        .into_iter()
        .flatten()
        .filter_map(|trace| trace["path"].as_str())
        .collect();
    Recording::open_all(&paths)
}

/// Gives one machine's entities, intervals, edges, exits and counters to a sink; what lies outside of
/// `range` may be left out. Entities keep the numbers that they have in the store.
pub fn replay<S: Sink>(
    store: &Store,
    machine: u32,
    range: Span,
    sink: &mut S,
) -> Result<(), StoreError> {
    let own = |entity: u32| {
        let entity = store.entities().get(entity as usize);
        entity.is_some_and(|e| e.machine == machine)
    };
    // Sinks that keep entities by number want all of them.
    store
        .entities()
        .iter()
        .for_each(|record| sink.entity(&entity(record)));
    let (begin, end) = (range.start.as_nanos(), range.end.as_nanos());
    store.all_intervals(|piece| {
        if own(piece.lane.entity) && piece.start < end && piece.end > begin {
            sink.interval(&interval(store, piece));
        }
    })?;
    store.edges(None, begin, end, |record| {
        if own(record.from) {
            sink.edge(&Edge {
                from: EntityId(record.from),
                from_time: Timestamp::from_nanos(record.from_ns),
                to: EntityId(record.to),
                to_time: Timestamp::from_nanos(record.to_ns),
                kind: record.kind,
                confidence: record.confidence,
                evidence: record.evidence,
            });
        }
        true
    })?;
    store.exits(None, begin, end, |record| {
        if own(record.vcpu) {
            sink.exit(&exit(record));
        }
    })?;
    store.samples(begin, end, |series, time, value| {
        if own(series.entity) {
            sink.sample(&Sample {
                entity: EntityId(series.entity),
                time: Timestamp::from_nanos(time),
                counter: series.counter,
                value,
            });
        }
    })
}

/// An entity as the model announces it.
pub(crate) fn entity(record: &EntityRecord) -> Entity {
    Entity {
        id: EntityId(record.entity),
        kind: record.kind,
        key: record.key.clone(),
        label: record.label.clone().into_bytes(),
        parent: record.parent.map(EntityId),
        vm: record.vm.map(EntityId),
        vcpu: record.vcpu,
        tid: record.tid,
        pid: record.pid,
        cr3: record
            .cr3
            .strip_prefix("0x")
            .and_then(|hex| u64::from_str_radix(hex, 16).ok()),
    }
}

fn interval(store: &Store, piece: &Piece) -> Interval {
    let doing = store.doing(piece.doing);
    Interval {
        entity: EntityId(piece.lane.entity),
        span: Span::new(
            Timestamp::from_nanos(piece.start),
            Timestamp::from_nanos(piece.end),
        ),
        state: doing.state,
        level: doing.level,
        cause: doing.cause,
        confidence: doing.confidence,
        evidence: doing.evidence,
        vcpu: u32::try_from(piece.lane.vcpu).ok(),
        by: u32::try_from(piece.by).ok().map(EntityId),
    }
}

fn exit(record: &ExitRecord) -> Exit {
    Exit {
        vcpu: EntityId(record.vcpu),
        nested: u32::try_from(record.nested).ok().map(EntityId),
        span: Span::new(
            Timestamp::from_nanos(record.start),
            Timestamp::from_nanos(record.end),
        ),
        entered_again: record.entered_again,
        reason: record.reason,
        isa: record.isa,
        class: record.class,
        kernel_ns: record.kernel_ns,
        vmm_ns: record.vmm_ns,
        off_cpu_ns: record.off_cpu_ns,
        reflected: record.reflected,
    }
}
