//! Budgets: how long each lane did each thing in a range. Whole chunks cost one row per lane and
//! thing; only the two at the ends are read more closely.

use super::Store;
use super::rows::Lane;
use super::scan::Wanted;
use crate::StoreError;
use rayon::prelude::*;
use rustc_hash::FxHashMap;

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

type Sums = FxHashMap<(Lane, u32), i64>;

impl Store {
    /// How long each lane of `entities` did each thing from `begin` to `end`.
    pub fn budget(&self, entities: &[u32], begin: i64, end: i64) -> Result<Vec<Cost>, StoreError> {
        let wanted = Wanted::new(entities, self.entities().len());
        let mut sums = Sums::default();
        let carried = self.carried()?;
        for entity in wanted.iter() {
            for piece in carried.overlapping(entity, begin, end) {
                let ns = piece.end.min(end).saturating_sub(piece.start.max(begin));
                add(&mut sums, piece.lane, self.bare(piece.doing), ns);
            }
        }
        let chunks: Vec<_> = self.chunks_of(begin, end).collect();
        let found: Vec<Sums> = chunks
            .par_iter()
            .map(|chunk| {
                let mut sums = Sums::default();
                if begin <= chunk.begin_ns && chunk.end_ns <= end {
                    self.totals_of_chunk(chunk, &wanted, |lane, part| {
                        add(&mut sums, lane, part.doing, part.ns);
                    })?;
                } else {
                    let mut pieces = Vec::new();
                    self.exact_of_chunk(chunk, &wanted, begin, end, &mut pieces)?;
                    for piece in pieces {
                        let ns = piece.end.min(end).saturating_sub(piece.start.max(begin));
                        add(&mut sums, piece.lane, self.bare(piece.doing), ns);
                    }
                }
                Ok(sums)
            })
            .collect::<Result<_, StoreError>>()?;
        for some in found {
            for ((lane, doing), ns) in some {
                add(&mut sums, lane, doing, ns);
            }
        }
        let mut out: Vec<_> = sums
            .into_iter()
            .map(|((lane, doing), ns)| Cost { lane, doing, ns })
            .collect();
        out.sort_unstable_by_key(|cost| (cost.lane, std::cmp::Reverse(cost.ns), cost.doing));
        Ok(out)
    }
}

fn add(sums: &mut Sums, lane: Lane, doing: u32, ns: i64) {
    let sum = sums.entry((lane, doing)).or_default();
    *sum = sum.saturating_add(ns);
}
