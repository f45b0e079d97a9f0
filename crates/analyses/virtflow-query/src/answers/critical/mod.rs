//! The critical path of a worker: whose time it was while it waited.

mod lines;
mod together;
mod told;
mod windows;

pub use together::{Resource, Shared, Together, Waiter, together};
pub use told::{Did, PathNode, PathTold};

use super::who::Who;
use lines::StoreLines;
use virtflow_graph::Path;
use virtflow_history::{Store, StoreError};
use virtflow_model::Kind;

/// What a worker did: the number of it in the store, and who had the processor meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// [`Store::doing`] tells what.
    pub doing: u32,
    /// An entity, or -1.
    pub by: i32,
}

/// A step of such a path.
pub type PathStep = virtflow_graph::Step<u32, Done>;

/// A critical path through a store; its workers are entities.
pub type CriticalPath = Path<u32, Done>;

/// What the workers of a path are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grain {
    /// Threads of the host, also where they are virtual processors.
    Thread,
    /// Virtual processors, and threads of the host.
    Vcpu,
    /// Guest processes where it is known which one ran, else as above.
    #[default]
    Process,
}

impl Grain {
    /// The coarsest that has workers of the entity's kind.
    pub fn of(store: &Store, entity: u32) -> Self {
        let record = store.entities().get(entity as usize);
        match record.and_then(|e| Kind::from_code(e.kind)) {
            Some(Kind::Thread) => Self::Thread,
            Some(Kind::Vcpu | Kind::NestedVcpu) => Self::Vcpu,
            _ => Self::Process,
        }
    }
}

/// The critical path of an entity from `begin` to `end`.
///
/// # Errors
/// Where the store cannot be read.
pub fn critical_path(
    store: &Store,
    entity: u32,
    begin: i64,
    end: i64,
    grain: Grain,
) -> Result<CriticalPath, StoreError> {
    let mut lines = StoreLines::new(store, begin, end, grain);
    virtflow_graph::critical_path(&mut lines, entity, begin, end)
}

/// Whether an entity has a line of its own to follow.
pub fn is_worker(store: &Store, entity: u32) -> bool {
    let record = store.entities().get(entity as usize);
    record.is_some_and(|e| {
        let kind = Kind::from_code(e.kind);
        let works = matches!(
            kind,
            Some(Kind::Thread | Kind::Vcpu | Kind::NestedVcpu | Kind::Process | Kind::GuestThread)
        );
        works && e.intervals > 0
    })
}

/// Entities that somebody may mean: a number is a host thread's, anything else a key, or a part of a
/// name; ` on ` and its machine's name may follow. Those that did most come first.
pub fn workers(store: &Store, wanted: &str) -> Vec<u32> {
    let who = Who::new(store);
    let machines = &store.manifest().machines;
    let (wanted, machine) = match wanted.rsplit_once(" on ") {
        Some((wanted, name)) if machines.len() > 1 && machines.iter().any(|m| m.name == name) => {
            (wanted, Some(name))
        }
        _ => (wanted, None),
    };
    let tid: Option<i32> = wanted.parse().ok();
    let mut found: Vec<_> = store
        .entities()
        .iter()
        .filter(|e| is_worker(store, e.entity))
        .filter(|e| machine.is_none() || who.machine(e.entity) == machine)
        .filter(|e| match tid {
            Some(tid) => e.kind == Kind::Thread.code() && e.tid == Some(tid),
            None => e.key == wanted || who.own_name(e.entity).contains(wanted),
        })
        .collect();
    found.sort_by_key(|e| (e.key != wanted, std::cmp::Reverse(e.intervals), e.entity));
    found.into_iter().map(|e| e.entity).collect()
}
