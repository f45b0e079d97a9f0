//! Budgets: how long each lane did each thing in a range. Whole chunks cost one row per lane and
//! thing; only the two at the ends are read more closely.

use super::Store;
use super::rows::Lane;
use super::scan::Wanted;
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
        let chunks: Vec<_> = self.chunks_of(begin, end).collect();
        // A share for each thread, so that each has one set of sums.
        let share = chunks.len().div_ceil(rayon::current_num_threads()).max(1);
        let found: Vec<Sums> = by_turns(&chunks, share)
            .into_par_iter()
            .map(|some| {
                let mut sums = Sums::new(all);
                for chunk in some {
                    self.sum_chunk(chunk, &wanted, (begin, end), &mut sums)?;
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

    fn sum_chunk(
        &self,
        chunk: &Chunk,
        wanted: &Wanted,
        (begin, end): (i64, i64),
        sums: &mut Sums,
    ) -> Result<(), StoreError> {
        if begin <= chunk.begin_ns && chunk.end_ns <= end {
            return self.totals_of_chunk(chunk, wanted, |lane, part| {
                sums.add(lane, part.doing, part.ns);
            });
        }
        self.each_of_chunk(chunk, wanted, begin, end, |piece| {
            let ns = piece.end.min(end).saturating_sub(piece.start.max(begin));
            sums.add(piece.lane, self.bare(piece.doing), ns);
        })
    }
}

/// Shares of `some`, dealt out one by one, so that the first and the last, which cost most, are in
/// different ones.
fn by_turns<'a>(some: &[&'a Chunk], share: usize) -> Vec<Vec<&'a Chunk>> {
    let hands = some.len().div_ceil(share).max(1);
    let mut out = vec![Vec::new(); hands];
    let last = some.len().saturating_sub(1);
    for (at, chunk) in some.iter().enumerate() {
        // The last one goes to another hand than the first.
        let hand = if at == last { hands - 1 } else { at % hands };
        out[hand].push(*chunk);
    }
    out
}
