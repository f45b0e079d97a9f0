//! What was waited for.

use super::{inside, of_kinds, state_of};
use crate::spread::{Precision, Spread};
use rustc_hash::FxHashMap;
use virtflow_history::{Store, StoreError};
use virtflow_model::{Kind, State};

/// What an entity waited for, of one cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitCosts {
    /// Who.
    pub entity: u32,
    /// The waiting state: a code of the model's `State`.
    pub state: u8,
    /// What ended the waits: a code of the model's `Cause`.
    pub cause: u8,
    /// How many.
    pub count: u64,
    /// How long in all.
    pub ns: i64,
    /// The median.
    pub p50_ns: i64,
    /// Of a hundred, 99 are not longer.
    pub p99_ns: i64,
    /// The longest.
    pub max_ns: i64,
    /// When it began.
    pub max_start_ns: i64,
}

/// What the lanes of `entities` waited for in a range, clipped to it. Without `entities`, virtual
/// processors, those of nested VMs, and guest processes.
pub fn waits(
    store: &Store,
    entities: Option<&[u32]>,
    begin: i64,
    end: i64,
) -> Result<Vec<WaitCosts>, StoreError> {
    let all;
    let entities = match entities {
        Some(entities) => entities,
        None => {
            all = of_kinds(store, &[Kind::Vcpu, Kind::NestedVcpu, Kind::Process]);
            &all
        }
    };
    // The durations, and the longest one with its beginning.
    let mut sums: FxHashMap<(u32, u8, u8), (Spread, i64, i64)> = FxHashMap::default();
    store.each_interval(entities, begin, end, |piece| {
        let waits = matches!(
            state_of(store, piece),
            Some(State::Halted | State::BlockedOnHost | State::Waiting)
        );
        if !waits {
            return;
        }
        let doing = store.doing(piece.doing);
        let (start, ns) = inside(piece, begin, end);
        let key = (piece.lane.entity, doing.state, doing.cause);
        let sum = sums
            .entry(key)
            .or_insert_with(|| (Spread::new(Precision::Coarse), -1, 0));
        sum.0.add(ns);
        if ns > sum.1 {
            (sum.1, sum.2) = (ns, start);
        }
    })?;
    let mut out: Vec<_> = sums
        .into_iter()
        .map(
            |((entity, state, cause), (spread, max_ns, max_start_ns))| WaitCosts {
                entity,
                state,
                cause,
                count: spread.total.count,
                ns: spread.total.ns,
                p50_ns: spread.quantile(0.5),
                p99_ns: spread.quantile(0.99),
                max_ns,
                max_start_ns,
            },
        )
        .collect();
    out.sort_unstable_by_key(|w| (w.entity, std::cmp::Reverse(w.ns), w.state, w.cause));
    Ok(out)
}
