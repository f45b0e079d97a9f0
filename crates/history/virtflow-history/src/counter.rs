//! Values of counters, and what many of them come to in a bucket of time.
//!
//! A bucket is 2^k nanoseconds long and begins at a multiple of that. A row says of one bucket how
//! many values there were, their sum, the least, the greatest and the last. Rows add up: a bucket
//! that two chunks share has rows in both.

use crate::lod::floor;

/// A counter of an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Series {
    /// The entity.
    pub entity: u32,
    /// A code of the writer's vocabulary.
    pub counter: u8,
}

/// What the values of a counter came to in a stretch of time; a single value, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The beginning of the bucket; of a single value, its time.
    pub start: i64,
    /// How many values.
    pub count: u64,
    /// Their sum.
    pub sum: i64,
    /// The least; -1 without any.
    pub least: i64,
    /// The greatest; -1 without any.
    pub greatest: i64,
    /// The last; -1 where it is not known from then on.
    pub last: i64,
}

impl Summary {
    /// A single value; -1 says that it is not known from then on.
    pub(crate) fn single(time: i64, value: i64) -> Self {
        Self {
            start: time,
            count: u64::from(value >= 0),
            sum: value.max(0),
            least: value,
            greatest: value,
            last: value,
        }
    }

    /// Adds what came later.
    pub(crate) fn add(&mut self, later: &Self) {
        if later.count > 0 {
            let some = self.count > 0;
            self.least = if some {
                self.least.min(later.least)
            } else {
                later.least
            };
            self.greatest = self.greatest.max(later.greatest);
        }
        self.count = self.count.saturating_add(later.count);
        self.sum = self.sum.saturating_add(later.sum);
        self.last = later.last;
    }
}

/// Sums of one series for buckets of 2^`log2` nanoseconds, out of its values or of sums for
/// shorter buckets, in time order.
pub(crate) fn coarser(parts: impl Iterator<Item = Summary>, log2: u8, out: &mut Vec<Summary>) {
    let begin = out.len();
    for part in parts {
        let start = floor(part.start, log2);
        let known = out.len() > begin;
        match out.last_mut() {
            Some(last) if known && last.start == start => last.add(&part),
            _ => out.push(Summary { start, ..part }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_not_known_is_no_value() {
        let mut out = Vec::new();
        let values = [(3, 5), (4, 2), (6, -1), (17, -1), (33, -1), (34, 7)];
        let single = values.iter().map(|&(t, v)| Summary::single(t, v));
        coarser(single, 4, &mut out);
        let told: Vec<_> = out
            .iter()
            .map(|s| (s.start, s.count, s.sum, s.least, s.greatest, s.last))
            .collect();
        assert_eq!(
            told,
            [
                (0, 2, 7, 2, 5, -1),
                (16, 0, 0, -1, -1, -1),
                (32, 1, 7, 7, 7, 7)
            ]
        );
    }

    proptest! {
        #[test]
        fn sums_of_sums_are_sums(
            steps in prop::collection::vec((0_i64..50, -1_i64..9), 1..100),
            begin in -500_i64..500,
        ) {
            let mut at = begin;
            let values: Vec<_> = steps.iter().map(|&(step, value)| {
                at += step;
                Summary::single(at, value)
            }).collect();
            let mut finer = values.clone();
            for log2 in [2, 4, 6] {
                let (mut direct, mut chained) = (Vec::new(), Vec::new());
                coarser(values.iter().copied(), log2, &mut direct);
                coarser(finer.iter().copied(), log2, &mut chained);
                prop_assert_eq!(&direct, &chained);
                let sum: i64 = direct.iter().map(|s| s.sum).sum();
                prop_assert_eq!(sum, values.iter().map(|s| s.sum).sum::<i64>());
                finer = chained;
            }
        }
    }
}
