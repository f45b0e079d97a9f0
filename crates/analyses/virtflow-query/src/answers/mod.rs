//! Named answers out of a store: who took the processor from whom, what was waited for, what
//! exits cost, the events themselves, what stands out, and what a guest itself says.

mod beside;
mod critical;
mod events;
mod exits;
mod findings;
pub(crate) mod matrix;
mod waits;
mod who;

pub use beside::{Agreement, BesideProcess, Difference, Guest, beside};
pub use critical::{
    CriticalPath, Did, Done, Grain, GroupSum, PathNode, PathStep, PathTold, Resource, Shared,
    Together, Waiter, critical_path, is_worker, life, members, together, workers,
};
pub use events::{Listed, events};
pub use exits::{ExitCosts, ExitsBy, exit_costs};
pub use findings::{Finding, FindingKind, findings};
pub use matrix::{Taken, taken};
pub use waits::{WaitCosts, waits};
pub use who::{Group, Who};

use virtflow_history::{Piece, Store};
use virtflow_model::{Kind, State};

/// The entities of some kinds.
fn of_kinds(store: &Store, kinds: &[Kind]) -> Vec<u32> {
    let codes: Vec<u8> = kinds.iter().map(|kind| kind.code()).collect();
    let all = store.entities().iter();
    all.filter(|e| codes.contains(&e.kind))
        .map(|e| e.entity)
        .collect()
}

/// What an interval's state is.
fn state_of(store: &Store, piece: &Piece) -> Option<State> {
    State::from_code(store.doing(piece.doing).state)
}

/// The part of an interval inside a range: its beginning and its length.
fn inside(piece: &Piece, begin: i64, end: i64) -> (i64, i64) {
    let start = piece.start.max(begin);
    (start, piece.end.min(end).saturating_sub(start))
}
