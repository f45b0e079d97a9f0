//! The lines of a store's entities, read a stretch of time at a time.

use super::{Done, life, members};
use crate::answers::matrix::is_taken;
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;
use virtflow_history::{EdgeRecord, Piece, Store, StoreError};
use virtflow_model::{EdgeKind, Kind, State};

/// A stretch of an entity's line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    /// Whose: the entity's, or of one of those that it is made of.
    pub(super) whose: u32,
    pub(super) begin: i64,
    pub(super) end: i64,
    /// When what was done ended: later than the stretch where another one does more.
    pub(super) until: i64,
    pub(super) done: Done,
    pub(super) state: State,
    /// On which virtual processor, for processes.
    pub(super) vcpu: i32,
}

/// Who had a virtual processor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stay {
    pub(super) begin: i64,
    pub(super) end: i64,
    pub(super) process: u32,
}

/// What was read of one stretch of time: it is given up when another one is looked at, so that
/// memory does not grow with the range.
pub(super) struct Windows<'a> {
    store: &'a Store,
    /// Where stretches begin, in order: one per chunk.
    cuts: Vec<i64>,
    /// Which one is read.
    at: usize,
    lines: FxHashMap<u32, Rc<[Stretch]>>,
    stays: FxHashMap<u32, Rc<[Stay]>>,
    edges: Option<Rc<FxHashMap<(u32, i64), EdgeRecord>>>,
    /// Processes by the VM, or nested VM, they run in.
    processes: FxHashMap<u32, Vec<u32>>,
}

impl<'a> Windows<'a> {
    pub(super) fn new(store: &'a Store, begin: i64, end: i64) -> Self {
        let chunks = store.manifest().chunks.iter().map(|chunk| chunk.begin_ns);
        let mut cuts: Vec<i64> = chunks.filter(|&at| begin < at && at < end).collect();
        cuts.push(begin);
        cuts.sort_unstable();
        cuts.dedup();
        let mut processes: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
        for e in store.entities() {
            // Those of one virtual processor are no processes: idle, and the kernel.
            if e.kind == Kind::Process.code()
                && e.intervals > 0
                && e.vcpu.is_none()
                && let Some(vm) = e.vm
            {
                processes.entry(vm).or_default().push(e.entity);
            }
        }
        Self {
            store,
            cuts,
            at: usize::MAX,
            lines: FxHashMap::default(),
            stays: FxHashMap::default(),
            edges: None,
            processes,
        }
    }

    pub(super) const fn store(&self) -> &'a Store {
        self.store
    }

    /// The processes of a VM.
    pub(super) fn processes_of(&self, vm: u32) -> &[u32] {
        self.processes.get(&vm).map_or(&[], Vec::as_slice)
    }

    /// The stretch of time that holds the nanosecond before `t`.
    fn window(&mut self, t: i64) -> (i64, i64) {
        let at = self.cuts.partition_point(|&cut| cut < t).saturating_sub(1);
        if at != self.at {
            self.at = at;
            self.lines.clear();
            self.stays.clear();
            self.edges = None;
        }
        let begin = self.cuts.get(at).copied().unwrap_or(i64::MIN);
        let end = self.cuts.get(at + 1).copied().unwrap_or(i64::MAX);
        (begin, end)
    }

    /// The ends of the stretches of time, of which the last one is `end`.
    pub(super) fn ends(&self, end: i64) -> Vec<i64> {
        self.cuts.iter().skip(1).copied().chain([end]).collect()
    }

    /// The line of an entity about `t`.
    pub(super) fn line(&mut self, entity: u32, t: i64) -> Result<Rc<[Stretch]>, StoreError> {
        let (begin, end) = self.window(t);
        if let Some(line) = self.lines.get(&entity) {
            return Ok(Rc::clone(line));
        }
        let members = members(self.store, entity);
        let pieces = self.store.intervals(&members, begin, end)?;
        let line: Rc<[Stretch]> = self.laid(&pieces, begin, end).into();
        self.lines.insert(entity, Rc::clone(&line));
        Ok(line)
    }

    /// The stretch that holds the nanosecond before `t`.
    pub(super) fn before(&mut self, entity: u32, t: i64) -> Result<Option<Stretch>, StoreError> {
        let line = self.line(entity, t)?;
        let at = line.partition_point(|stretch| stretch.begin < t);
        let last = at.checked_sub(1).and_then(|at| line.get(at));
        Ok(last.copied().filter(|stretch| stretch.end >= t))
    }

    /// The end of an entity's last stretch that ends at or before `t`, as far back as the range.
    pub(super) fn last_end(&mut self, entity: u32, t: i64) -> Result<Option<i64>, StoreError> {
        let line = self.line(entity, t)?;
        let last = line.iter().rfind(|stretch| stretch.end <= t);
        if let Some(last) = last {
            return Ok(Some(last.end));
        }
        // Not in this stretch of time: look further back without reading what is being looked at.
        if life(self.store, entity).is_none_or(|(first, _)| first >= t) {
            return Ok(None);
        }
        let members = members(self.store, entity);
        let (begin, _) = self.window(t);
        let mut until = begin;
        for at in self.cuts.get(..self.at).unwrap_or_default().iter().rev() {
            let mut last = None;
            self.store.each_interval(&members, *at, until, |piece| {
                if piece.end <= t {
                    last = last.max(Some(piece.end));
                }
            })?;
            if last.is_some() {
                return Ok(last);
            }
            until = *at;
        }
        Ok(None)
    }

    /// Which process had a virtual processor just before `t`, and since when until when.
    pub(super) fn stay(&mut self, vcpu: u32, t: i64) -> Result<Option<Stay>, StoreError> {
        let stays = self.stays(vcpu, t)?;
        let at = stays.partition_point(|stay| stay.begin < t);
        Ok(at.checked_sub(1).and_then(|at| stays.get(at)).copied())
    }

    fn stays(&mut self, vcpu: u32, t: i64) -> Result<Rc<[Stay]>, StoreError> {
        let (begin, end) = self.window(t);
        if let Some(stays) = self.stays.get(&vcpu) {
            return Ok(Rc::clone(stays));
        }
        let record = self.store.entities().get(vcpu as usize);
        let vm = record.and_then(|e| e.vm);
        let number = record
            .and_then(|e| e.vcpu)
            .and_then(|n| i32::try_from(n).ok());
        let processes = vm.and_then(|vm| self.processes.get(&vm));
        let mut stays: Vec<Stay> = Vec::new();
        if let (Some(processes), Some(number)) = (processes, number) {
            self.store.each_interval(processes, begin, end, |piece| {
                let state = state_of(self.store, piece);
                if piece.lane.vcpu == number && state.is_some_and(has_the_vcpu) {
                    stays.push(Stay {
                        begin: piece.start,
                        end: piece.end,
                        process: piece.lane.entity,
                    });
                }
            })?;
        }
        stays.sort_unstable_by_key(|stay| stay.begin);
        stays.dedup_by(|next, last| {
            let goes_on = last.process == next.process && last.end >= next.begin;
            if goes_on {
                last.end = last.end.max(next.end);
            }
            goes_on
        });
        let stays: Rc<[Stay]> = stays.into();
        self.stays.insert(vcpu, Rc::clone(&stays));
        Ok(stays)
    }

    /// The edge with a length, of a disk or a packet, that ended in `entity` at `t`.
    pub(super) fn edge_into(
        &mut self,
        entity: u32,
        t: i64,
    ) -> Result<Option<EdgeRecord>, StoreError> {
        let (begin, end) = self.window(t);
        let edges = match &self.edges {
            Some(edges) => Rc::clone(edges),
            None => {
                let mut into = FxHashMap::default();
                let lengthy = [EdgeKind::Disk.code(), EdgeKind::Packet.code()];
                self.store.edges(None, begin, end, |edge| {
                    if lengthy.contains(&edge.kind) {
                        // Of a segment from another machine there are two: the one from its sender
                        // set out before the one from the device that it came in by.
                        let first = into.entry((edge.to, edge.to_ns)).or_insert(edge);
                        if edge.from_ns < first.from_ns {
                            *first = edge;
                        }
                    }
                    true
                })?;
                let into = Rc::new(into);
                self.edges = Some(Rc::clone(&into));
                into
            }
        };
        Ok(edges.get(&(entity, t)).copied())
    }

    /// One line of all lanes of an entity, or of a group: where it runs on one of them, it runs.
    fn laid(&self, pieces: &[Piece], begin: i64, end: i64) -> Vec<Stretch> {
        let lanes: Vec<&[Piece]> = pieces.chunk_by(|a, b| a.lane == b.lane).collect();
        if let [only] = lanes[..] {
            return only.iter().map(|piece| self.stretch(piece)).collect();
        }
        let mut cuts: Vec<i64> = pieces.iter().flat_map(|p| [p.start, p.end]).collect();
        // Beyond the stretch of time that is read, not all lanes are known.
        cuts.retain(|cut| (begin..=end).contains(cut));
        cuts.extend(pieces.iter().any(|p| p.start < begin).then_some(begin));
        cuts.extend(pieces.iter().any(|p| p.end > end).then_some(end));
        cuts.sort_unstable();
        cuts.dedup();
        let mut coming: Vec<(usize, &Piece)> = pieces.iter().enumerate().collect();
        coming.sort_by_key(|(_, piece)| piece.start);
        let mut coming = coming.into_iter().peekable();
        // The most active first; of two waits the one that ends first.
        let mut open = BinaryHeap::new();
        let mut out: Vec<Stretch> = Vec::new();
        for pair in cuts.windows(2) {
            let &[from, to] = pair else { continue };
            while let Some((at, piece)) = coming.next_if(|(_, piece)| piece.start <= from) {
                open.push(Reverse((self.activity(piece), piece.end, at)));
            }
            while open.peek().is_some_and(|Reverse((_, end, _))| *end <= from) {
                open.pop();
            }
            let best = open.peek().and_then(|Reverse((.., at))| pieces.get(*at));
            let Some(best) = best else { continue };
            let mut stretch = self.stretch(best);
            stretch.begin = from;
            // What goes on beyond does not end here.
            stretch.end = if to == end { best.end } else { to };
            match out.last_mut() {
                // The same piece goes on.
                Some(last)
                    if last.end == from
                        && best.start < from
                        && last.whose == stretch.whose
                        && (last.done, last.vcpu) == (stretch.done, stretch.vcpu) =>
                {
                    last.end = stretch.end;
                }
                _ => out.push(stretch),
            }
        }
        out
    }

    fn activity(&self, piece: &Piece) -> u8 {
        match state_of(self.store, piece) {
            Some(state) if state.is_run() => 0,
            Some(State::Throttled) => 1,
            Some(state) if is_taken(state) => 1,
            Some(state) if state.is_wait() => 2,
            _ => 3,
        }
    }

    fn stretch(&self, piece: &Piece) -> Stretch {
        Stretch {
            whose: piece.lane.entity,
            begin: piece.start,
            end: piece.end,
            until: piece.end,
            done: Done {
                doing: piece.doing,
                by: piece.by,
            },
            state: state_of(self.store, piece).unwrap_or(State::Unknown),
            vcpu: piece.lane.vcpu,
        }
    }
}

fn state_of(store: &Store, piece: &Piece) -> Option<State> {
    State::from_code(store.doing(piece.doing).state)
}

/// Whether a process in this state has its virtual processor.
const fn has_the_vcpu(state: State) -> bool {
    matches!(
        state,
        State::RunUser | State::RunKernel | State::RunHypervisor | State::PreemptedOnHost
    )
}
