//! Budgets: how long each lane did each thing in a range. Whole chunks cost one row per lane and
//! thing; only the two at the ends are read more closely.

use super::rows::Lane;
use super::scan::Wanted;
use super::{Chunked, Store};
use crate::StoreError;
use crate::manifest::Chunk;
use rayon::prelude::*;

/// How long a lane did one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Whose.
    pub lane: Lane,
    /// The number of what it did, without its evidence.
    pub doing: u32,
    /// How long, in nanoseconds.
    pub ns: i64,
}

/// Something to read for a budget.
#[derive(Clone, Copy)]
enum Read<'a> {
    /// The sums of the group that begins with this chunk.
    Group(u32),
    /// The sums of a chunk.
    Whole(&'a Chunk),
    /// The intervals of a chunk.
    Part(&'a Chunk),
}

/// Sums by entity: rows come entity by entity, and an entity does few things.
struct Sums {
    by_entity: Vec<Vec<(i32, u32, i64)>>,
}

impl Sums {
    fn new(entities: usize) -> Self {
        Self {
            by_entity: vec![Vec::new(); entities],
        }
    }

    fn add(&mut self, lane: Lane, doing: u32, ns: i64) {
        let Some(own) = self.by_entity.get_mut(lane.entity as usize) else {
            return;
        };
        match own
            .iter_mut()
            .find(|(v, d, _)| (*v, *d) == (lane.vcpu, doing))
        {
            Some((_, _, sum)) => *sum = sum.saturating_add(ns),
            None => own.push((lane.vcpu, doing, ns)),
        }
    }

    fn merge(mut self, other: Self) -> Self {
        for (entity, own) in (0_u32..).zip(other.by_entity) {
            for (vcpu, doing, ns) in own {
                self.add(Lane { entity, vcpu }, doing, ns);
            }
        }
        self
    }
}

impl Store {
    /// How long each lane of `entities` did each thing from `begin` to `end`.
    pub fn budget(&self, entities: &[u32], begin: i64, end: i64) -> Result<Vec<Cost>, StoreError> {
        let all = self.entities().len();
        let wanted = Wanted::new(entities, all);
        let parts = self.parts(begin, end);
        // A share for each thread, so that each has one set of sums.
        let share = parts.len().div_ceil(rayon::current_num_threads()).max(1);
        let found: Vec<Sums> = by_turns(&parts, share)
            .into_par_iter()
            .map(|some| {
                let mut sums = Sums::new(all);
                for part in some {
                    self.sum_part(part, &wanted, (begin, end), &mut sums)?;
                }
                Ok(sums)
            })
            .collect::<Result<_, StoreError>>()?;
        let mut sums = found
            .into_iter()
            .reduce(Sums::merge)
            .unwrap_or_else(|| Sums::new(all));
        let carried = self.carried()?;
        for entity in wanted.iter() {
            for piece in carried.overlapping(entity, begin, end) {
                let ns = piece.end.min(end).saturating_sub(piece.start.max(begin));
                sums.add(piece.lane, self.bare(piece.doing), ns);
            }
        }
        let mut out = Vec::new();
        for (entity, own) in (0_u32..).zip(sums.by_entity) {
            let costs = own.into_iter().map(|(vcpu, doing, ns)| Cost {
                lane: Lane { entity, vcpu },
                doing,
                ns,
            });
            out.extend(costs);
        }
        out.sort_unstable_by_key(|cost| (cost.lane, std::cmp::Reverse(cost.ns), cost.doing));
        Ok(out)
    }

    /// What has to be read of a range: groups and chunks that lie in it, and chunks of which a part
    /// does.
    fn parts(&self, begin: i64, end: i64) -> Vec<Read<'_>> {
        let inside = |chunk: &Chunk| begin <= chunk.begin_ns && chunk.end_ns <= end;
        let mut out = Vec::new();
        let mut groups = self.manifest().groups.iter().peekable();
        let mut grouped = None;
        for chunk in self.chunks_of(begin, end) {
            // Chunks are numbered from 0 in the order in which they stand.
            let number = |n: u32| self.manifest().chunks.get(n as usize);
            if grouped.is_some_and(|last| chunk.number <= last) {
                continue;
            }
            while groups.peek().is_some_and(|g| g.first < chunk.number) {
                groups.next();
            }
            let whole = groups.peek().filter(|g| {
                g.first == chunk.number && inside(chunk) && number(g.last).is_some_and(inside)
            });
            out.push(match whole {
                Some(group) => {
                    grouped = Some(group.last);
                    Read::Group(group.first)
                }
                None if inside(chunk) => Read::Whole(chunk),
                None => Read::Part(chunk),
            });
        }
        out
    }

    fn sum_part(
        &self,
        part: Read<'_>,
        wanted: &Wanted,
        (begin, end): (i64, i64),
        sums: &mut Sums,
    ) -> Result<(), StoreError> {
        let (which, number) = match part {
            Read::Group(first) => (Chunked::Sums, first),
            Read::Whole(chunk) => (Chunked::Lod, chunk.number),
            Read::Part(chunk) => {
                return self.each_of_chunk(chunk, wanted, begin, end, |piece| {
                    let ns = piece.end.min(end).saturating_sub(piece.start.max(begin));
                    sums.add(piece.lane, self.bare(piece.doing), ns);
                });
            }
        };
        self.totals(which, number, wanted, |lane, part| {
            sums.add(lane, part.doing, part.ns);
        })
    }
}

/// Shares of `some`, dealt out one by one, so that the first and the last, which cost most, are in
/// different ones.
fn by_turns<T: Copy>(some: &[T], share: usize) -> Vec<Vec<T>> {
    let hands = some.len().div_ceil(share).max(1);
    let mut out: Vec<Vec<T>> = (0..hands).map(|_| Vec::new()).collect();
    let last = some.len().saturating_sub(1);
    for (at, one) in some.iter().enumerate() {
        // The last one goes to another hand than the first.
        let hand = if at == last { hands - 1 } else { at % hands };
        out[hand].push(*one);
    }
    out
}
