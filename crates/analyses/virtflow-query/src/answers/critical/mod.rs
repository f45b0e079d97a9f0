//! The critical path of a worker: whose time it was while it waited.

mod groups;
mod lines;
mod together;
mod told;
mod windows;

pub use groups::GroupSum;
pub use together::{Resource, Shared, Together, Waiter, together};
pub use told::{Did, PathNode, PathTold};

use super::who::Who;
use lines::StoreLines;
use virtflow_graph::Path;
use virtflow_history::{Store, StoreError};
use virtflow_model::Kind;

/// How many containers are looked for around a thread (include/linux/pid_namespace.h
/// `MAX_PID_NS_LEVEL`).
const CONTAINERS_MAX: usize = 32;

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
            Some(Kind::Thread | Kind::Container) => Self::Thread,
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

/// Whether an entity has a line to follow: of its own, or of the threads that it is made of.
pub fn is_worker(store: &Store, entity: u32) -> bool {
    let record = store.entities().get(entity as usize);
    record.is_some_and(|e| match Kind::from_code(e.kind) {
        Some(Kind::Thread | Kind::Vcpu | Kind::NestedVcpu | Kind::Process | Kind::GuestThread) => {
            e.intervals > 0
        }
        Some(Kind::Container) => !members(store, entity).is_empty(),
        _ => false,
    })
}

/// Those whose lines make up a worker's: of a container its threads and those of containers in it,
/// of any other itself.
pub fn members(store: &Store, worker: u32) -> Vec<u32> {
    let all = store.entities();
    let record = all.get(worker as usize);
    if record.is_none_or(|e| e.kind != Kind::Container.code()) {
        return vec![worker];
    }
    let around = |at: &u32| all.get(*at as usize)?.parent;
    let is_inside = |of: u32| {
        let all_around = std::iter::successors(around(&of), around);
        all_around.take(CONTAINERS_MAX).any(|at| at == worker)
    };
    all.iter()
        .filter(|e| e.intervals > 0 && is_inside(e.entity))
        .map(|e| e.entity)
        .collect()
}

/// The beginning of a worker's first interval, and the end of its last; `None` without any.
pub fn life(store: &Store, worker: u32) -> Option<(i64, i64)> {
    let members = members(store, worker).into_iter();
    let lives = members.filter_map(|at| store.entities().get(at as usize));
    lives
        .filter(|e| e.intervals > 0)
        .map(|e| (e.begin_ns, e.end_ns))
        .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

/// Entities that somebody may mean: a number is a host thread's, anything else a key, or a part of a
/// name; ` on ` and its machine's name may follow. One of that very name comes first, then those that
/// did most.
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
    found.sort_by_cached_key(|e| {
        let is_called = e.key == wanted || who.own_name(e.entity) == wanted;
        (!is_called, std::cmp::Reverse(e.intervals), e.entity)
    });
    found.into_iter().map(|e| e.entity).collect()
}
