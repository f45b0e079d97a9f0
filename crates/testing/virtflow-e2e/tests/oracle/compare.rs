//! Comparing two lanes, and telling where they differ.

use std::collections::BTreeMap;

use super::case::Case;
use super::lanes::{Lane, Row};

/// Where two lanes say different things.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Difference {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) ours: Row,
    pub(crate) truth: Row,
}

/// Gives `see` every stretch of `[from, to)` in which neither lane changes.
pub(crate) fn walk(ours: &Lane, truth: &Lane, from: i64, to: i64, mut see: impl FnMut(Difference)) {
    let first = |rows: &[Row]| rows.partition_point(|row| row.end <= from);
    let (mut i, mut j) = (first(&ours.rows), first(&truth.rows));
    while let (Some(&a), Some(&b)) = (ours.rows.get(i), truth.rows.get(j)) {
        let (start, end) = (a.start.max(b.start).max(from), a.end.min(b.end).min(to));
        if start >= to {
            break;
        }
        if start < end {
            see(Difference {
                start,
                end,
                ours: a,
                truth: b,
            });
        }
        i += usize::from(a.end <= b.end);
        j += usize::from(b.end <= a.end);
    }
}

/// What differed how often, for how long, and where first.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    compared: BTreeMap<&'static str, i64>,
    rows: BTreeMap<(String, String, String), Differing>,
}

#[derive(Debug, Default)]
pub(crate) struct Differing {
    pub(crate) count: u64,
    pub(crate) ns: i64,
    pub(crate) first: String,
}

impl Tally {
    /// Notes that so much of lanes of one kind was compared.
    pub(crate) fn compared(&mut self, kind: &'static str, ns: i64) {
        *self.compared.entry(kind).or_default() += ns;
    }

    /// How much of all that was compared of a kind `ns` is, in parts per million.
    pub(crate) fn ppm(&self, kind: &str, ns: i64) -> i64 {
        let all = self.compared.get(kind).copied().unwrap_or_default();
        ns * 1_000_000 / all.max(1)
    }

    /// Notes a difference between what is called `ours` and `truth` in lanes of one kind.
    pub(crate) fn add(&mut self, what: (&str, &str, &str), ns: i64, show: impl FnOnce() -> String) {
        let (kind, ours, truth) = what;
        let entry = self.rows.entry((kind.into(), ours.into(), truth.into()));
        let differing = entry.or_insert_with(|| Differing {
            first: show(),
            ..Differing::default()
        });
        differing.count += 1;
        differing.ns += ns;
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = (&(String, String, String), &Differing)> {
        self.rows.iter()
    }
}

/// A difference as people need it: the lane, when, both rows and what stands near them.
pub(crate) fn show(case: &Case, ours: &Lane, truth: &Lane, at: &Difference) -> String {
    let zero = case.zero();
    format!(
        "  {}: {} {} from {} to {} ns after the begin ({} ns since the epoch)\n    ours  {}\n    truth {}\n   ours nearby:\n{}   truth nearby:\n{}",
        case.name,
        ours.kind,
        ours.key,
        at.start - zero,
        at.end - zero,
        at.start,
        at.ours.shown(zero),
        at.truth.shown(zero),
        ours.near(at.start, zero),
        truth.near(at.start, zero),
    )
}
