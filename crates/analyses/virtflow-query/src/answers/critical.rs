//! The critical path of a worker: whose time it was while it waited.

use super::who::Who;
use rustc_hash::FxHashMap;
use virtflow_graph::{Lines, Path, Segment};
use virtflow_history::{Lane, Piece, Store, StoreError};
use virtflow_model::{Evidence, Kind, State};

/// What a worker did: the number of it in the store, and who had the processor meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// [`Store::doing`] tells what.
    pub doing: u32,
    /// An entity, or -1.
    pub by: i32,
}

/// A critical path through a store; its workers are entities.
pub type CriticalPath = Path<u32, Done>;

/// The critical path of an entity from `begin` to `end`.
///
/// # Errors
/// Where the store cannot be read.
pub fn critical_path(
    store: &Store,
    entity: u32,
    begin: i64,
    end: i64,
) -> Result<CriticalPath, StoreError> {
    let mut lines = StoreLines {
        store,
        range: (begin, end),
        lines: FxHashMap::default(),
    };
    virtflow_graph::critical_path(&mut lines, entity, begin, end)
}

/// Entities that somebody may mean: a number is a host thread's, anything else a key, or a part of a
/// name. Those that did most come first.
pub fn workers(store: &Store, wanted: &str) -> Vec<u32> {
    let who = Who::new(store);
    let tid: Option<i32> = wanted.parse().ok();
    let mut found: Vec<_> = store
        .entities()
        .iter()
        .filter(|e| e.intervals > 0)
        .filter(|e| {
            let kind = Kind::from_code(e.kind);
            let works = matches!(
                kind,
                Some(
                    Kind::Thread
                        | Kind::Vcpu
                        | Kind::NestedVcpu
                        | Kind::Process
                        | Kind::GuestThread
                )
            );
            let named = match tid {
                Some(tid) => kind == Some(Kind::Thread) && e.tid == Some(tid),
                None => e.key == wanted || who.name(e.entity).contains(wanted),
            };
            works && named
        })
        .collect();
    found.sort_by_key(|e| (e.key != wanted, std::cmp::Reverse(e.intervals), e.entity));
    found.into_iter().map(|e| e.entity).collect()
}

/// The lines of a store's entities in one range, read when they are first asked for.
struct StoreLines<'a> {
    store: &'a Store,
    range: (i64, i64),
    lines: FxHashMap<u32, Vec<Segment<u32, Done>>>,
}

impl StoreLines<'_> {
    fn line(&mut self, entity: u32) -> Result<&[Segment<u32, Done>], StoreError> {
        if !self.lines.contains_key(&entity) {
            let (begin, end) = self.range;
            let pieces = self.store.intervals(&[entity], begin, end)?;
            let line = self.laid(&pieces);
            self.lines.insert(entity, line);
        }
        Ok(self.lines.get(&entity).map_or(&[], Vec::as_slice))
    }

    /// One line of all lanes of an entity: where it runs on one of them, it runs.
    fn laid(&self, pieces: &[Piece]) -> Vec<Segment<u32, Done>> {
        let lanes: Vec<&[Piece]> = pieces.chunk_by(|a, b| a.lane == b.lane).collect();
        if let [only] = lanes[..] {
            return only.iter().map(|piece| self.segment(piece)).collect();
        }
        let mut cuts: Vec<i64> = pieces.iter().flat_map(|p| [p.start, p.end]).collect();
        cuts.sort_unstable();
        cuts.dedup();
        let mut at: FxHashMap<Lane, usize> = FxHashMap::default();
        let mut out: Vec<Segment<u32, Done>> = Vec::new();
        for pair in cuts.windows(2) {
            let &[from, to] = pair else { continue };
            let mut best: Option<&Piece> = None;
            for lane in &lanes {
                let Some(first) = lane.first() else { continue };
                let next = at.entry(first.lane).or_default();
                while lane.get(*next).is_some_and(|p| p.end <= from) {
                    *next += 1;
                }
                let here = lane.get(*next).filter(|p| p.start <= from);
                // The most active; of two waits the one that ends first.
                let rank = |p: &Piece| (self.activity(p), p.end);
                if let Some(here) = here
                    && best.is_none_or(|best| rank(here) < rank(best))
                {
                    best = Some(here);
                }
            }
            let Some(best) = best else { continue };
            let segment = Segment {
                begin: from,
                end: to,
                ..self.segment(best)
            };
            match out.last_mut() {
                // The same piece goes on.
                Some(last) if last.end == from && best.start < from && same(last, &segment) => {
                    last.end = to;
                }
                _ => out.push(segment),
            }
        }
        out
    }

    fn state(&self, piece: &Piece) -> Option<State> {
        State::from_code(self.store.doing(piece.doing).state)
    }

    fn activity(&self, piece: &Piece) -> u8 {
        match self.state(piece) {
            Some(state) if runs(state) => 0,
            Some(State::PreemptedOnHost | State::ReadyInGuest) => 1,
            Some(state) if state.is_wait() => 2,
            _ => 3,
        }
    }

    fn segment(&self, piece: &Piece) -> Segment<u32, Done> {
        let state = self.state(piece).unwrap_or(State::Unknown);
        Segment {
            begin: piece.start,
            end: piece.end,
            what: Done {
                doing: piece.doing,
                by: piece.by,
            },
            blocked: state.is_wait(),
            runs: runs(state),
            woken_by: u32::try_from(piece.by).ok().filter(|_| state.is_wait()),
        }
    }
}

fn same(a: &Segment<u32, Done>, b: &Segment<u32, Done>) -> bool {
    (a.what, a.blocked, a.woken_by) == (b.what, b.blocked, b.woken_by)
}

/// Whether somebody who is in this state does something that can wake another.
const fn runs(state: State) -> bool {
    matches!(
        state,
        State::Running
            | State::Guest
            | State::Hypervisor
            | State::Vmm
            | State::HaltPoll
            | State::IrqStolen
            | State::L0Handling
            | State::L1Handling
            | State::L2Handling
            | State::RunUser
            | State::RunKernel
            | State::RunHypervisor
    )
}

impl Lines for StoreLines<'_> {
    type Worker = u32;
    type What = Done;
    type Error = StoreError;

    fn before(&mut self, worker: u32, t: i64) -> Result<Option<Segment<u32, Done>>, StoreError> {
        let line = self.line(worker)?;
        let at = line.partition_point(|segment| segment.begin < t);
        let last = at.checked_sub(1).and_then(|at| line.get(at));
        Ok(last.copied().filter(|segment| segment.end >= t))
    }

    fn born(&mut self, worker: u32) -> Result<Option<(i64, u32)>, StoreError> {
        let store = self.store;
        let first = self.line(worker)?.first().copied();
        Ok(first.and_then(|first| {
            // A forked thread sleeps until its parent wakes it.
            let evidence = store.doing(first.what.doing).evidence;
            let forked = evidence == Evidence::Fork.code();
            Some((first.begin, first.woken_by.filter(|_| forked)?))
        }))
    }

    fn last_end(&mut self, worker: u32, t: i64) -> Result<Option<i64>, StoreError> {
        let line = self.line(worker)?;
        let at = line.partition_point(|segment| segment.end <= t);
        Ok(at.checked_sub(1).and_then(|at| line.get(at)).map(|s| s.end))
    }
}
