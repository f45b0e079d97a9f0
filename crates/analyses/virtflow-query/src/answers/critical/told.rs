//! A critical path as data: what each step was, and what it comes to.

use super::groups::{GroupSum, by_group};
use super::{CriticalPath, Done, Grain, Who, critical_path};
use crate::answers::matrix::is_taken;
use virtflow_graph::{Branch, Node, Sum};
use virtflow_history::{Store, StoreError};
use virtflow_model::{Cause, Confidence, State};

/// What was done, as far as sums tell it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Did {
    /// A code of the model's `State`.
    pub state: u8,
    /// A code of the model's `Cause`.
    pub cause: u8,
    /// Who had the processor meanwhile, where it was not the worker: an entity, or -1.
    pub by: i32,
}

/// A node of a path's tree.
pub type PathNode = Node<u32, Did>;

/// A critical path, and all that is needed to tell of it.
#[derive(Clone, Debug)]
pub struct PathTold {
    /// Whose.
    pub worker: u32,
    /// From.
    pub begin: i64,
    /// To.
    pub end: i64,
    /// What its workers are.
    pub grain: Grain,
    /// The path.
    pub path: CriticalPath,
    /// What it comes to, wait by wait.
    pub tree: Vec<PathNode>,
    /// What it comes to by worker.
    pub sums: Vec<Sum<u32, Did>>,
    /// The same by container, VM and machine.
    pub groups: Vec<GroupSum>,
    /// Nanoseconds that nobody knows anything of.
    pub unknown_ns: i64,
    /// Nanoseconds of which what is told is only likely.
    pub likely_ns: i64,
}

impl PathTold {
    /// The path of an entity, and what it comes to.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn new(
        store: &Store,
        worker: u32,
        begin: i64,
        end: i64,
        grain: Grain,
    ) -> Result<Self, StoreError> {
        let path = critical_path(store, worker, begin, end, grain)?;
        let who = Who::new(store);
        let did = |done: &Done| full(store, &who, done);
        let tree = virtflow_graph::tree(&path, did, |done| bare(store, done));
        let sums = virtflow_graph::sums(&path, did);
        let groups = by_group(&who, &sums);
        let ns = |is: &dyn Fn(&Option<Done>) -> bool| {
            let steps = path.steps.iter().filter(|step| is(&step.what));
            steps.map(|step| step.end.saturating_sub(step.begin)).sum()
        };
        let unknown = |what: &Option<Done>| {
            what.is_none_or(|done| store.doing(done.doing).state == State::Unknown.code())
        };
        let likely = |what: &Option<Done>| {
            let likely =
                |done: Done| store.doing(done.doing).confidence == Confidence::Likely.code();
            !unknown(what) && what.is_some_and(likely)
        };
        Ok(Self {
            worker,
            begin,
            end,
            grain,
            tree,
            sums,
            groups,
            unknown_ns: ns(&unknown),
            likely_ns: ns(&likely),
            path,
        })
    }

    /// What was done, and who had the processor meanwhile.
    pub fn did(store: &Store, who: &Who<'_>, done: &Done) -> Did {
        full(store, who, done)
    }

    /// How long it took.
    pub const fn whole(&self) -> i64 {
        self.end.saturating_sub(self.begin)
    }

    /// Which part of it a time is.
    pub fn share(&self, ns: i64) -> f64 {
        ns as f64 / self.whole().max(1) as f64
    }

    /// Whose a node of the tree is: who ended the waits, or did the steps.
    pub const fn whose(node: &PathNode) -> u32 {
        let (Branch::Wait(worker, _) | Branch::Step(worker, _)) = node.branch;
        worker
    }

    /// What a node of the tree is: what was waited for, or done; `None` where nobody knows.
    pub const fn what(node: &PathNode) -> Option<Did> {
        match node.branch {
            Branch::Wait(_, did) => Some(did),
            Branch::Step(_, did) => did,
        }
    }

    /// State and cause as words.
    pub fn words(did: Option<Did>) -> (&'static str, &'static str) {
        let Some(did) = did else {
            return (State::Unknown.as_str(), "");
        };
        let state = State::from_code(did.state).map_or("unknown", State::as_str);
        (state, Cause::from_code(did.cause).map_or("", Cause::as_str))
    }
}

fn full(store: &Store, who: &Who<'_>, done: &Done) -> Did {
    let mut did = bare(store, done);
    // Somebody else had the processor.
    if State::from_code(did.state).is_some_and(is_taken) {
        did.by = who.resolve(done.by);
    }
    did
}

fn bare(store: &Store, done: &Done) -> Did {
    let doing = store.doing(done.doing);
    Did {
        state: doing.state,
        cause: doing.cause,
        by: -1,
    }
}
