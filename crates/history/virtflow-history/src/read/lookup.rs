//! Looking things up: the state at a moment, the next change, intervals, edges, exits.

use super::rows::{EdgeRecord, ExitRecord, Lane, Piece};
use super::scan::{Condition, Wanted, bools, codes, i32s, i64s, scan, u32s};
use super::{Chunked, Store};
use crate::StoreError;
use crate::manifest::Chunk;

/// Which way to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Towards later times.
    Forth,
    /// Towards earlier times.
    Back,
}

impl Store {
    /// What every lane did at `t`.
    pub fn state_at(&self, t: i64) -> Result<Vec<Piece>, StoreError> {
        let all: Vec<u32> = (0..).take(self.entities().len()).collect();
        self.state_of(&all, t)
    }

    /// What the lanes of `entities` did at `t`.
    pub fn state_of(&self, entities: &[u32], t: i64) -> Result<Vec<Piece>, StoreError> {
        self.intervals(entities, t, t.saturating_add(1))
    }

    /// The intervals of `entities` that overlap `[begin, end)`, by lane and time.
    pub fn intervals(
        &self,
        entities: &[u32],
        begin: i64,
        end: i64,
    ) -> Result<Vec<Piece>, StoreError> {
        let wanted = Wanted::new(entities, self.entities().len());
        let mut out = Vec::new();
        let carried = self.carried()?;
        for entity in wanted.iter() {
            out.extend(carried.overlapping(entity, begin, end));
        }
        for chunk in self.chunks_of(begin, end) {
            self.exact_of_chunk(chunk, &wanted, begin, end, &mut out)?;
        }
        out.sort_unstable_by_key(|p| (p.lane, p.start));
        Ok(out)
    }

    /// Gives the intervals of `entities` that overlap `[begin, end)`, in no order, and keeps none.
    pub fn each_interval(
        &self,
        entities: &[u32],
        begin: i64,
        end: i64,
        mut each: impl FnMut(&Piece),
    ) -> Result<(), StoreError> {
        let wanted = Wanted::new(entities, self.entities().len());
        if wanted.is_empty() {
            return Ok(());
        }
        let carried = self.carried()?;
        for entity in wanted.iter() {
            carried.overlapping(entity, begin, end).for_each(&mut each);
        }
        for chunk in self.chunks_of(begin, end) {
            self.each_of_chunk(chunk, &wanted, begin, end, &mut each)?;
        }
        Ok(())
    }

    /// The interval that a lane has at `t`.
    pub fn here(&self, lane: Lane, t: i64) -> Result<Option<Piece>, StoreError> {
        let mut found = self.state_of(&[lane.entity], t)?;
        found.retain(|p| p.lane == lane);
        Ok(found.pop())
    }

    /// The first interval of a lane that begins after `t`, or the last one that ends before the
    /// one at `t` begins (or at or before `t`, when there is none).
    pub fn change(
        &self,
        lane: Lane,
        t: i64,
        direction: Direction,
    ) -> Result<Option<Piece>, StoreError> {
        let here = self.here(lane, t)?;
        let wanted = Wanted::new(&[lane.entity], self.entities().len());
        let own = || {
            self.carried()
                .map(|c| c.of(lane.entity).iter().filter(|p| p.lane == lane))
        };
        match direction {
            Direction::Forth => {
                let mut best = own()?.copied().find(|p| p.start > t);
                let from = here.map_or(t, |p| p.end.saturating_sub(1));
                for chunk in self.chunks_of(from, i64::MAX) {
                    if best.is_some_and(|b| b.start < chunk.begin_ns) {
                        break;
                    }
                    let first = self.first_in(chunk, &wanted, lane, t)?;
                    if let Some(first) = first {
                        best = Some(best.filter(|b| b.start < first.start).unwrap_or(first));
                        break;
                    }
                }
                Ok(best)
            }
            Direction::Back => {
                let until = here.map_or(t, |p| p.start);
                let mut best = own()?.copied().rfind(|p| p.end <= until);
                let mut chunks: Vec<_> = self.chunks_of(i64::MIN, until).collect();
                chunks.reverse();
                for chunk in chunks {
                    if best.is_some_and(|b| b.end > chunk.end_ns) {
                        break;
                    }
                    let mut found = Vec::new();
                    self.exact_of_chunk(chunk, &wanted, i64::MIN, until, &mut found)?;
                    let last = found
                        .into_iter()
                        .filter(|p| p.lane == lane && p.end <= until)
                        .max_by_key(|p| p.start);
                    if let Some(last) = last {
                        best = Some(best.filter(|b| b.end > last.end).unwrap_or(last));
                        break;
                    }
                }
                Ok(best)
            }
        }
    }

    fn first_in(
        &self,
        chunk: &Chunk,
        wanted: &Wanted,
        lane: Lane,
        after: i64,
    ) -> Result<Option<Piece>, StoreError> {
        let mut found = Vec::new();
        self.exact_of_chunk(chunk, wanted, after, i64::MAX, &mut found)?;
        let later = found
            .into_iter()
            .filter(|p| p.lane == lane && p.start > after);
        Ok(later.min_by_key(|p| p.start))
    }

    /// Gives the edges that touch `[begin, end)` and one of `entities`, all when there are none,
    /// chunk by chunk; until `each` says that it has had enough.
    pub fn edges(
        &self,
        entities: Option<&[u32]>,
        begin: i64,
        end: i64,
        mut each: impl FnMut(EdgeRecord) -> bool,
    ) -> Result<(), StoreError> {
        let wanted = entities.map(|some| Wanted::new(some, self.entities().len()));
        // An edge lies in the chunk in which it was told, which may be later than it was.
        for chunk in &self.manifest().chunks {
            if chunk.edges == 0 {
                continue;
            }
            let more = self.edges_of_chunk(chunk, begin, end, |edge| {
                let touches = wanted
                    .as_ref()
                    .is_none_or(|w| w.has(edge.from) || w.has(edge.to));
                !touches || each(edge)
            })?;
            if !more {
                return Ok(());
            }
        }
        Ok(())
    }

    fn edges_of_chunk(
        &self,
        chunk: &Chunk,
        begin: i64,
        end: i64,
        mut each: impl FnMut(EdgeRecord) -> bool,
    ) -> Result<bool, StoreError> {
        let table = self.table(Chunked::Edges, chunk.number)?;
        let vocabulary = &self.manifest().vocabulary;
        let conditions = [Condition::Below(1, end), Condition::AtLeast(3, begin)];
        let mut more = true;
        scan(&table, None, &[0, 1, 2, 3, 4, 5, 6], &conditions, |batch| {
            let kinds = codes(batch, 4, &vocabulary.edges);
            let confidences = codes(batch, 5, &vocabulary.confidences);
            let evidences = codes(batch, 6, &vocabulary.evidences);
            for row in 0..batch.num_rows() {
                let edge = EdgeRecord {
                    from: u32s(batch, 0)[row],
                    from_ns: i64s(batch, 1)[row],
                    to: u32s(batch, 2)[row],
                    to_ns: i64s(batch, 3)[row],
                    kind: kinds.get(row).copied().unwrap_or(0),
                    confidence: confidences.get(row).copied().unwrap_or(0),
                    evidence: evidences.get(row).copied().unwrap_or(0),
                };
                if more && edge.from_ns < end && edge.to_ns >= begin {
                    more = each(edge);
                }
            }
            Ok(())
        })?;
        Ok(more)
    }

    /// The last edge into an entity at or before `t`, or the first one out of it at or after `t`.
    pub fn follow(
        &self,
        entity: u32,
        t: i64,
        direction: Direction,
    ) -> Result<Option<EdgeRecord>, StoreError> {
        let mut best: Option<EdgeRecord> = None;
        let only = [entity];
        match direction {
            Direction::Back => self.edges(Some(&only), i64::MIN, t.saturating_add(1), |edge| {
                let later = best.is_none_or(|b| edge.to_ns > b.to_ns);
                if edge.to == entity && edge.to_ns <= t && later {
                    best = Some(edge);
                }
                true
            })?,
            Direction::Forth => self.edges(Some(&only), t, i64::MAX, |edge| {
                let earlier = best.is_none_or(|b| edge.from_ns < b.from_ns);
                if edge.from == entity && edge.from_ns >= t && earlier {
                    best = Some(edge);
                }
                true
            })?,
        }
        Ok(best)
    }

    /// Gives the exits that began in `[begin, end)`, of `vcpus` or all, chunk by chunk.
    pub fn exits(
        &self,
        vcpus: Option<&[u32]>,
        begin: i64,
        end: i64,
        mut each: impl FnMut(&ExitRecord),
    ) -> Result<(), StoreError> {
        let wanted = vcpus.map(|some| Wanted::new(some, self.entities().len()));
        let classes = &self.manifest().vocabulary.causes;
        for chunk in &self.manifest().chunks {
            if chunk.exits == 0 {
                continue;
            }
            let table = self.table(Chunked::Exits, chunk.number)?;
            let mut conditions = vec![Condition::Below(2, end), Condition::AtLeast(2, begin)];
            if let Some(wanted) = &wanted {
                conditions.push(Condition::OneOf(0, wanted));
            }
            let columns: Vec<_> = (0..12).collect();
            scan(&table, None, &columns, &conditions, |batch| {
                let entered = bools(batch, 4);
                let class = codes(batch, 7, classes);
                let reflected = bools(batch, 8);
                for row in 0..batch.num_rows() {
                    let exit = ExitRecord {
                        vcpu: u32s(batch, 0)[row],
                        nested: i32s(batch, 1)[row],
                        start: i64s(batch, 2)[row],
                        end: i64s(batch, 3)[row],
                        entered_again: entered.get(row).copied().unwrap_or(false),
                        isa: u32s(batch, 5)[row],
                        reason: u32s(batch, 6)[row],
                        class: class.get(row).copied().unwrap_or(0),
                        reflected: reflected.get(row).copied().unwrap_or(false),
                        kernel_ns: i64s(batch, 9)[row],
                        vmm_ns: i64s(batch, 10)[row],
                        off_cpu_ns: i64s(batch, 11)[row],
                    };
                    let inside = begin <= exit.start && exit.start < end;
                    if inside && wanted.as_ref().is_none_or(|w| w.has(exit.vcpu)) {
                        each(&exit);
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Gives every interval of the store in the order of its chunks, each lane's in time order.
    pub fn all_intervals(&self, mut each: impl FnMut(&Piece)) -> Result<(), StoreError> {
        for chunk in &self.manifest().chunks {
            let table = self.table(Chunked::Intervals, chunk.number)?;
            scan(&table, None, &[0, 1, 2, 3, 4, 5], &[], |batch| {
                super::viewport::pieces_of(batch, |piece| each(&piece));
                Ok(())
            })?;
        }
        Ok(())
    }
}
