//! Levels of detail: per lane and bucket the time in *every* state, so that a picture of any width
//! shows states however short.
//!
//! A bucket is 2^k nanoseconds long and begins at a multiple of that. A row says how long a lane
//! did one thing inside one bucket; where it did one thing for whole buckets on end, one row says
//! so for all of them. Rows add up: a bucket that two chunks share has rows in both.

/// One row: from `start`, the beginning of a bucket, `ns` nanoseconds of `doing`. At most a
/// bucket's length says the time inside that bucket; more says whole buckets on end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) start: i64,
    pub(crate) ns: i64,
    pub(crate) doing: u32,
    /// Who ran, for lanes of which that is asked at any scale; else -1.
    pub(crate) by: i32,
}

impl Part {
    /// What is kept apart.
    const fn what(&self) -> (u32, i32) {
        (self.doing, self.by)
    }
}

/// Rows of one lane for buckets of 2^`log2` nanoseconds, out of its intervals, or out of its rows
/// for shorter buckets, in order of their beginning.
pub(crate) fn coarser(parts: impl Iterator<Item = Part>, log2: u8, out: &mut Vec<Part>) {
    let mut bucket = Bucket::default();
    for part in parts {
        let end = part.start.saturating_add(part.ns);
        let mut at = part.start;
        // The part in the bucket where it begins, unless it fills it.
        let first = floor(at, log2);
        let second = next(first, log2);
        if at > first || end < second || !bucket.is_empty_at(first) {
            let until = end.min(second);
            bucket.add(first, part.what(), until - at, out);
            at = until;
        }
        if at >= end {
            continue;
        }
        // Whole buckets.
        let last = floor(end, log2);
        if last > at {
            bucket.flush(out);
            out.push(Part {
                start: at,
                ns: last - at,
                ..part
            });
        }
        // The rest.
        if end > last {
            bucket.add(last, part.what(), end - last, out);
        }
    }
    bucket.flush(out);
}

/// The beginning of the bucket of 2^`log2` nanoseconds that `t` is in.
pub(crate) const fn floor(t: i64, log2: u8) -> i64 {
    (t >> log2) << log2
}

/// The beginning of the bucket after the one that begins at `start`.
pub(crate) const fn next(start: i64, log2: u8) -> i64 {
    start.saturating_add(1 << log2)
}

/// What was done in one bucket: a few things.
#[derive(Debug, Default)]
struct Bucket {
    start: i64,
    parts: Vec<((u32, i32), i64)>,
}

impl Bucket {
    const fn is_empty_at(&self, start: i64) -> bool {
        self.parts.is_empty() || self.start != start
    }

    fn add(&mut self, start: i64, what: (u32, i32), ns: i64, out: &mut Vec<Part>) {
        if self.start != start {
            self.flush(out);
            self.start = start;
        }
        match self.parts.iter_mut().find(|(w, _)| *w == what) {
            Some((_, sum)) => *sum += ns,
            None => self.parts.push((what, ns)),
        }
    }

    fn flush(&mut self, out: &mut Vec<Part>) {
        let start = self.start;
        out.extend(self.parts.drain(..).map(|((doing, by), ns)| Part {
            start,
            ns,
            doing,
            by,
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn part(start: i64, ns: i64, doing: u32) -> Part {
        Part {
            start,
            ns,
            doing,
            by: -1,
        }
    }

    fn rows(parts: &[Part], log2: u8) -> Vec<Part> {
        let mut out = Vec::new();
        coarser(parts.iter().copied(), log2, &mut out);
        out
    }

    #[test]
    fn short_states_are_kept_and_long_ones_are_one_row() {
        // Buckets of 16: [0,16) has three states, [16,64) one, [64,80) its end and another.
        let parts = [
            part(0, 10, 1),
            part(10, 1, 2),
            part(11, 59, 3),
            part(70, 10, 1),
        ];
        assert_eq!(
            rows(&parts, 4),
            [
                part(0, 10, 1),
                part(0, 1, 2),
                part(0, 5, 3),
                part(16, 48, 3),
                part(64, 6, 3),
                part(64, 10, 1),
            ]
        );
        assert_eq!(rows(&[part(-16, 32, 1)], 4), [part(-16, 32, 1)]);
        assert_eq!(
            rows(&[part(-17, 2, 1)], 4),
            [part(-32, 1, 1), part(-16, 1, 1)]
        );
    }

    /// Time per bucket and thing, however the rows are cut.
    fn sums(rows: &[Part], log2: u8) -> BTreeMap<(i64, u32), i64> {
        let mut sums = BTreeMap::new();
        for row in rows {
            let (mut at, mut left) = (row.start, row.ns);
            while left > 0 {
                let bucket = floor(at, log2);
                let here = left.min(next(bucket, log2) - at);
                *sums.entry((bucket, row.doing)).or_default() += here;
                (at, left) = (at + here, left - here);
            }
        }
        sums
    }

    proptest! {
        #[test]
        fn every_level_has_the_time_of_the_intervals(
            lengths in prop::collection::vec((1_i64..200, 0_u32..4, 0_i64..30), 1..100),
            begin in -1000_i64..1000,
        ) {
            let mut at = begin;
            let parts: Vec<_> = lengths.iter().map(|&(ns, doing, gap)| {
                let one = part(at, ns, doing);
                at += ns + gap;
                one
            }).collect();
            let mut finer = parts.clone();
            for log2 in [2, 4, 6, 8] {
                let direct = rows(&parts, log2);
                prop_assert_eq!(sums(&direct, log2), sums(&parts, log2));
                let chained = rows(&finer, log2);
                prop_assert_eq!(sums(&chained, log2), sums(&parts, log2));
                for row in &direct {
                    prop_assert_eq!(row.start & ((1 << log2) - 1), 0);
                    prop_assert!(row.ns <= 1 << log2 || row.ns & ((1 << log2) - 1) == 0);
                }
                finer = chained;
            }
        }
    }
}
