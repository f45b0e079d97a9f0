//! The edges of all machines as rows, those from one machine to another among them.

use super::across::{Noted, edges_between, noting};
use super::input::{Input, InputError};
use super::replay::replay;
use crate::facts::Facts;
use crate::pipeline::{Progress, analyze, machines};
use crate::rows::{EdgeRow, Row, Rows};
use virtflow_base::{EntityId, Sink, Span};
use virtflow_events::Recording;
use virtflow_history::{Store, StoreError};
use virtflow_model::Options;

impl Input {
    /// Gives each edge to a function, with the places in [`Self::machines`] of the machines on which it
    /// starts and ends: of each machine in turn those that start there within its range.
    ///
    /// Of a trace those that end on another machine come last, by that machine and in the order of
    /// time: they are known when all machines are.
    pub fn edges(
        &self,
        options: &Options,
        ranges: &[Span],
        progress: &Progress,
        take: impl FnMut(usize, usize, &EdgeRow<'_>),
    ) -> Result<Vec<Facts>, InputError> {
        match self {
            Self::Trace(recording) => Ok(of_trace(recording, options, ranges, progress, take)),
            Self::Store(store, facts) => {
                of_store(store, ranges, take)?;
                Ok(facts.clone())
            }
        }
    }
}

fn of_store(
    store: &Store,
    ranges: &[Span],
    mut take: impl FnMut(usize, usize, &EdgeRow<'_>),
) -> Result<(), StoreError> {
    let machine_of = |entity: EntityId| {
        let record = store.entities().get(entity.0 as usize);
        record.map(|record| record.machine as usize)
    };
    for ((machine, at), &range) in (0..).zip(0_usize..).zip(ranges) {
        let mut rows = Rows::new(range, |row: Row<'_>| {
            if let Row::Edge(edge) = row {
                take(at, machine_of(edge.edge.to).unwrap_or(at), &edge);
            }
        });
        replay(store, machine, range, &mut rows)?;
    }
    Ok(())
}

fn of_trace(
    recording: &Recording,
    options: &Options,
    ranges: &[Span],
    progress: &Progress,
    mut take: impl FnMut(usize, usize, &EdgeRow<'_>),
) -> Vec<Facts> {
    let machines = machines(recording);
    let options = noting(machines.len(), options);
    let mut after = Vec::new();
    let mut noted = Vec::new();
    let mut entities = Vec::new();
    // The numbers of each machine's first entity, in order.
    let mut firsts: Vec<u32> = Vec::new();
    for ((at, &machine), &range) in (0_usize..).zip(&machines).zip(ranges) {
        let rows = Rows::new(range, |row: Row<'_>| {
            if let Row::Edge(edge) = row {
                take(at, at, &edge);
            }
        });
        let (rows, mut outcome) = analyze(recording, machine, &options, rows, progress);
        after.push(Facts::new(recording, machine, &outcome));
        if outcome.stopped {
            return after;
        }
        let first = u32::try_from(entities.len()).unwrap_or(u32::MAX);
        firsts.push(first);
        entities.extend(rows.into_entities());
        noted.push(Noted::of(recording, machine, first, &mut outcome));
    }
    let machine_of = |entity: EntityId| {
        let after = firsts.partition_point(|&first| first <= entity.0);
        after.saturating_sub(1)
    };
    let mut rows = Rows::knowing(entities, Span::ALL, |row: Row<'_>| {
        if let Row::Edge(edge) = row {
            take(machine_of(edge.edge.from), machine_of(edge.edge.to), &edge);
        }
    });
    edges_between(&noted, |edge| {
        if let Some(&range) = ranges.get(machine_of(edge.from)) {
            rows.within(range).edge(edge);
        }
    });
    after
}
