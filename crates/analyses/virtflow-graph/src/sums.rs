//! What a path comes to.

use crate::path::Path;
use std::collections::HashMap;
use std::hash::Hash;

/// How much of a path one worker's doing one thing was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum<W, T> {
    /// Whose.
    pub worker: W,
    /// What; `None` where its line says nothing.
    pub what: Option<T>,
    /// Nanoseconds.
    pub ns: i64,
    /// In how many steps.
    pub steps: u64,
    /// The longest one.
    pub longest_ns: i64,
    /// When that began.
    pub longest_begin: i64,
}

/// The sums of a path by worker and whatever `name` takes of what it did; most first.
pub fn sums<W, T, N>(path: &Path<W, T>, name: impl Fn(&T) -> N) -> Vec<Sum<W, N>>
where
    W: Copy + Eq + Hash + Ord,
    N: Copy + Eq + Hash + Ord,
{
    let mut sums: HashMap<(W, Option<N>), Sum<W, N>> = HashMap::new();
    for step in &path.steps {
        let what = step.what.as_ref().map(&name);
        let ns = step.end.saturating_sub(step.begin);
        let sum = sums.entry((step.worker, what)).or_insert(Sum {
            worker: step.worker,
            what,
            ns: 0,
            steps: 0,
            longest_ns: -1,
            longest_begin: 0,
        });
        sum.ns = sum.ns.saturating_add(ns);
        sum.steps += 1;
        if ns > sum.longest_ns {
            (sum.longest_ns, sum.longest_begin) = (ns, step.begin);
        }
    }
    let mut out: Vec<_> = sums.into_values().collect();
    out.sort_unstable_by_key(|sum| (std::cmp::Reverse(sum.ns), sum.worker, sum.what));
    out
}
