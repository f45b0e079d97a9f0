//! Which of the processes that the host tells apart is which of the guest's own: the one that has the
//! processors at the same time.

use super::Guest;
use crate::answers::of_kinds;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use virtflow_history::{Piece, Store, StoreError};
use virtflow_model::{Kind, State};

/// A process of the guest's that is one of the host's: it had the processors for at least this part of
/// the other's time.
const SAME_MIN: f64 = 0.5;

/// A process by the guest's own trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ran {
    /// How long it had a processor.
    pub(super) ns: i64,
    /// The one of its threads that had it longest.
    pub(super) thread: u32,
    thread_ns: i64,
}

/// Both sides' processes.
#[derive(Clone, Debug, Default)]
pub(super) struct Pairs {
    /// The guest's, by their numbers there.
    pub(super) guests: BTreeMap<i32, Ran>,
    /// How long each of the host's ran, as far as the host can tell.
    pub(super) ours: FxHashMap<u32, i64>,
    /// How long one of the host's and one of the guest's had the same processor.
    both: FxHashMap<(u32, i32), i64>,
    /// Which is which.
    pub(super) process_of: FxHashMap<i32, u32>,
}

/// Who had a processor.
#[derive(Clone, Copy)]
struct Stay {
    begin: i64,
    end: i64,
    who: u32,
}

impl Pairs {
    /// Of one guest, between two times.
    pub(super) fn new(
        store: &Store,
        guest: &Guest,
        begin: i64,
        end: i64,
    ) -> Result<Self, StoreError> {
        let mut pairs = Self::default();
        let mut threads: FxHashMap<u32, i64> = FxHashMap::default();
        let processes: Vec<u32> = of_kinds(store, &[Kind::Process])
            .into_iter()
            .filter(|&p| guest.has(store, p))
            .collect();
        for (begin, end) in stretches(store, begin, end) {
            let pieces = store.intervals(&processes, begin, end)?;
            for &(cpu, vcpu) in &guest.cpus {
                let own = stays(&store.intervals(&[cpu], begin, end)?, begin, end, |piece| {
                    u32::try_from(piece.by).ok()
                });
                let ours = stays(&pieces, begin, end, |piece| {
                    let here = piece.lane.vcpu == vcpu && state(store, piece).is_run();
                    here.then_some(piece.lane.entity)
                });
                for stay in &own {
                    *threads.entry(stay.who).or_default() += stay.end - stay.begin;
                }
                for stay in &ours {
                    *pairs.ours.entry(stay.who).or_default() += stay.end - stay.begin;
                }
                together(&own, &ours, |thread, process, ns| {
                    if let Some(pid) = pid(store, thread) {
                        *pairs.both.entry((process, pid)).or_default() += ns;
                    }
                });
            }
        }
        for (thread, ns) in threads {
            if let Some(pid) = pid(store, thread) {
                let ran = pairs.guests.entry(pid).or_default();
                ran.ns += ns;
                if ns > ran.thread_ns || (ns == ran.thread_ns && thread < ran.thread) {
                    (ran.thread, ran.thread_ns) = (thread, ns);
                }
            }
        }
        pairs.match_up();
        Ok(pairs)
    }

    /// How long both had the same processor.
    pub(super) fn both(&self, process: u32, pid: i32) -> i64 {
        self.both.get(&(process, pid)).copied().unwrap_or(0)
    }

    /// Each process of the host's is at most one of the guest's: the ones that share most first.
    fn match_up(&mut self) {
        let mut order: Vec<((u32, i32), i64)> = self.both.iter().map(|(k, v)| (*k, *v)).collect();
        order.sort_unstable_by_key(|&(pair, ns)| (std::cmp::Reverse(ns), pair));
        let mut taken: FxHashMap<u32, i32> = FxHashMap::default();
        for ((process, pid), ns) in order {
            let ours = self.ours.get(&process).copied().unwrap_or(0);
            let same = ns as f64 >= SAME_MIN * ours as f64;
            if same && !taken.contains_key(&process) && !self.process_of.contains_key(&pid) {
                taken.insert(process, pid);
                self.process_of.insert(pid, process);
            }
        }
    }
}

/// The number of a guest thread's process; none for who is nobody's: the idle thread.
fn pid(store: &Store, thread: u32) -> Option<i32> {
    let record = store.entities().get(thread as usize)?;
    if record.kind != Kind::Thread.code() || record.tid == Some(0) {
        return None;
    }
    record.pid.or(record.tid)
}

fn state(store: &Store, piece: &Piece) -> State {
    State::from_code(store.doing(piece.doing).state).unwrap_or(State::Unknown)
}

/// A range, cut where the store's chunks begin: so much is read at once.
fn stretches(store: &Store, begin: i64, end: i64) -> Vec<(i64, i64)> {
    let chunks = store.manifest().chunks.iter().map(|chunk| chunk.begin_ns);
    let mut cuts: Vec<i64> = chunks.filter(|&at| begin < at && at < end).collect();
    cuts.extend([begin, end]);
    cuts.sort_unstable();
    cuts.dedup();
    cuts.windows(2).map(|cut| (cut[0], cut[1])).collect()
}

/// The parts of some intervals between two times, in order.
fn stays(pieces: &[Piece], begin: i64, end: i64, who: impl Fn(&Piece) -> Option<u32>) -> Vec<Stay> {
    let mut stays: Vec<Stay> = pieces
        .iter()
        .filter_map(|piece| {
            let (begin, end) = (piece.start.max(begin), piece.end.min(end));
            let who = who(piece).filter(|_| begin < end)?;
            Some(Stay { begin, end, who })
        })
        .collect();
    stays.sort_unstable_by_key(|stay| stay.begin);
    stays
}

/// Tells who had a processor by one account and by another at the same time.
fn together(one: &[Stay], other: &[Stay], mut each: impl FnMut(u32, u32, i64)) {
    let (mut a, mut b) = (0, 0);
    while let (Some(x), Some(y)) = (one.get(a), other.get(b)) {
        let ns = x.end.min(y.end) - x.begin.max(y.begin);
        if ns > 0 {
            each(x.who, y.who, ns);
        }
        if x.end <= y.end {
            a += 1;
        } else {
            b += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stay(begin: i64, end: i64, who: u32) -> Stay {
        Stay { begin, end, who }
    }

    #[test]
    fn the_same_time_is_counted_once() {
        let own = [stay(0, 10, 1), stay(10, 30, 2), stay(40, 50, 1)];
        let ours = [stay(5, 12, 7), stay(12, 45, 8)];
        let mut all = Vec::new();
        together(&own, &ours, |a, b, ns| all.push((a, b, ns)));
        assert_eq!(all, [(1, 7, 5), (2, 7, 2), (2, 8, 18), (1, 8, 5)]);
    }

    #[test]
    fn each_is_one_other_at_most() {
        let mut pairs = Pairs {
            ours: [(7, 100), (8, 50), (9, 1_000)].into_iter().collect(),
            both: [((7, 1), 90), ((8, 1), 40), ((8, 2), 30), ((9, 3), 400)]
                .into_iter()
                .collect(),
            ..Pairs::default()
        };
        pairs.match_up();
        let mut found: Vec<_> = pairs.process_of.into_iter().collect();
        found.sort_unstable();
        // The guest's third has less than half of the time of what the host takes for it.
        assert_eq!(found, [(1, 7), (2, 8)]);
    }
}
