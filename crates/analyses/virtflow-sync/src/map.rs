//! From one clock to another.

use crate::RATE_MAX_DIVISOR;
use std::sync::Arc;
use virtflow_base::Timestamp;

/// A moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) from: i64,
    pub(crate) to: i64,
    /// How far from the truth `to` can be.
    pub(crate) error: i64,
}

/// A map from the times of one clock to those of another: continuous, never backwards, and
/// piecewise linear. The map of a clock to itself changes nothing.
#[derive(Clone, Debug, Default)]
pub struct ClockMap {
    /// One after the other: to a neighbour's clock, and from it on to the reference.
    steps: Vec<Arc<[Node]>>,
}

impl ClockMap {
    /// Through `nodes`, whose times increase on both clocks.
    pub(crate) fn through(nodes: Vec<Node>) -> Self {
        debug_assert!(nodes.is_sorted_by(|a, b| a.from < b.from && a.to <= b.to));
        Self {
            steps: vec![nodes.into()],
        }
    }

    /// This map and then `next`.
    #[must_use]
    pub(crate) fn then(&self, next: &Self) -> Self {
        let steps = self.steps.iter().chain(&next.steps);
        Self {
            steps: steps.cloned().collect(),
        }
    }

    /// Whether it changes nothing.
    pub fn is_identity(&self) -> bool {
        self.steps.is_empty()
    }

    /// The other clock's time at a time of this one, rounded down.
    pub fn at(&self, time: Timestamp) -> Timestamp {
        let steps = self.steps.iter();
        let time = steps.fold(time.as_nanos(), |time, nodes| along(nodes, time).0);
        Timestamp::from_nanos(time)
    }

    /// How many nanoseconds the truth can be away from [`Self::at`], either way, as long as rates
    /// keep to what is believed of them.
    pub fn error_at(&self, time: Timestamp) -> i64 {
        let start = (time.as_nanos(), 0_i64);
        let end = self.steps.iter().fold(start, |(time, sum), nodes| {
            let (to, error) = along(nodes, time);
            // An error of one clock is one of the next, a little longer or shorter.
            let carried = sum.saturating_add(sum / RATE_MAX_DIVISOR);
            (to, carried.saturating_add(error).saturating_add(1))
        });
        end.1
    }

    /// The largest error between two times of this clock.
    pub fn error_max(&self, from: Timestamp, to: Timestamp) -> i64 {
        // It is largest at a node or an end. The nodes of later steps lie elsewhere on this clock:
        // their errors are added whole.
        let ends = self.error_at(from).max(self.error_at(to));
        let [first, later @ ..] = &*self.steps else {
            return ends;
        };
        let inside = first
            .iter()
            .filter(|n| (from.as_nanos()..=to.as_nanos()).contains(&n.from));
        let inside = inside.map(|n| self.error_at(Timestamp::from_nanos(n.from)));
        let first = inside.fold(ends, i64::max);
        if later.is_empty() {
            return first;
        }
        let own = Self {
            steps: self.steps[..1].to_vec(),
        };
        let rest = Self {
            steps: later.to_vec(),
        };
        let own_max = own.error_max(from, to);
        let rest_max = rest.error_max(own.at(from), own.at(to));
        own_max
            .saturating_add(own_max / RATE_MAX_DIVISOR)
            .saturating_add(rest_max)
            .saturating_add(1)
            .max(first)
    }
}

/// Where `time` is on the other clock and how wrong that can be. Beyond the first and the last node
/// both clocks are taken to run alike.
fn along(nodes: &[Node], time: i64) -> (i64, i64) {
    let after = nodes.partition_point(|node| node.from <= time);
    let (before, next) = (
        after.checked_sub(1).and_then(|n| nodes.get(n)),
        nodes.get(after),
    );
    match (before, next) {
        (Some(a), Some(b)) => {
            let part = i128::from(time - a.from);
            let whole = i128::from(b.from - a.from);
            let between = |a: i64, b: i64| {
                let difference = i128::from(b) - i128::from(a);
                (i128::from(a) + (difference * part).div_euclid(whole)) as i64
            };
            (between(a.to, b.to), between(a.error, b.error) + 1)
        }
        (Some(end), None) | (None, Some(end)) => {
            let away = time.saturating_sub(end.from);
            let drift = away.saturating_abs() / RATE_MAX_DIVISOR;
            let error = end.error.saturating_add(drift).saturating_add(1);
            (end.to.saturating_add(away), error)
        }
        (None, None) => (time, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(from: i64, to: i64, error: i64) -> Node {
        Node { from, to, error }
    }

    fn at(map: &ClockMap, time: i64) -> (i64, i64) {
        let time = Timestamp::from_nanos(time);
        (map.at(time).as_nanos(), map.error_at(time))
    }

    #[test]
    fn between_nodes_and_beyond_them() {
        let map = ClockMap::through(vec![node(0, 100, 10), node(1_000, 1_200, 20)]);
        assert_eq!(at(&map, 0).0, 100);
        assert_eq!(at(&map, 500).0, 650);
        assert_eq!(at(&map, 999).0, 1_198);
        assert_eq!(at(&map, 3_000), (3_200, 20 + 2 + 2));
        assert_eq!(at(&map, -5).0, 95);
        let (from, to) = (Timestamp::from_nanos(0), Timestamp::from_nanos(1_000));
        assert_eq!(map.error_max(from, to), 22);
        assert_eq!(at(&map, i64::MAX).0, i64::MAX);
        assert_eq!(at(&map, i64::MIN).0, i64::MIN + 100);
    }

    #[test]
    fn errors_of_two_steps_add_up() {
        let first = ClockMap::through(vec![node(0, 100, 10), node(1_000, 1_100, 10)]);
        let then = first.then(&first);
        assert_eq!(at(&then, 50), (250, 10 + 10 + 4));
        let (from, to) = (Timestamp::from_nanos(0), Timestamp::from_nanos(1_000));
        assert!(then.error_max(from, to) >= 24);
        assert!(ClockMap::default().is_identity() && !then.is_identity());
        assert_eq!(at(&ClockMap::default(), 7), (7, 0));
    }
}
