//! What is known of one clock against another.
//!
//! At a time `x` of a clock, the other one shows `x + d`. A message sent at `x` and received there at
//! `y` says `d <= y - x`; one received at `x` and sent there at `y` says `d >= y - x`. Time is cut
//! into leaves of a second or more; each keeps the hull of its bounds from above and from below.
//!
//! Rates that change by at most `k` per second leave a line over `w` seconds by at most `k w^2 / 16`
//! either way. So over a stretch of several leaves, and with bounds eased by so much, some line
//! passes; the highest and the lowest line that do, eased once more, bound `d` at the leaves' ends.
//! Between the ends `d` leaves a straight line by at most `k w^2 / 8`.

use crate::hull::{Hull, Point};
use crate::lines::{Bound, Lines};
use crate::map::{ClockMap, Node};
use crate::{ACCURATE_MAX_NS, RATE_MAX_DIVISOR, WANDER_MAX};
use std::collections::BTreeMap;
use virtflow_base::{Span, Timestamp};

/// How long a leaf is at least, in nanoseconds.
const LEAF_MIN_NS: i64 = 1_000_000_000;
/// How many there are at most.
const LEAVES_MAX: i64 = 2_048;
/// The longest stretch is of two to the power of this many leaves.
const LEVELS: u32 = 6;
/// Times and differences beyond this are nobody's clock.
const NANOS_MAX: i64 = 1 << 61;

/// What is known of a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is the reference.
    Reference,
    /// There is no message between it and any clock that is known.
    Absent,
    /// Messages go one way only: they bound the clock from one side.
    OneDirection,
    /// Messages contradict one another, as far as rates are as steady as they are believed to be.
    Contradictory,
    /// It is known, but by more than [`ACCURATE_MAX_NS`] somewhere, or not all of its messages agree.
    Approximate,
    /// It is known.
    Accurate,
}

impl State {
    /// A word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Absent => "absent",
            Self::OneDirection => "one-direction",
            Self::Contradictory => "contradictory",
            Self::Approximate => "approximate",
            Self::Accurate => "accurate",
        }
    }
}

/// The bounds within a leaf: from above, and from below turned over.
#[derive(Clone, Debug, Default)]
struct Leaf {
    above: Hull,
    below: Hull,
}

impl Leaf {
    /// The most and the least that the difference can be at `x` as far as this leaf tells, by rates
    /// alone.
    fn cones(&self, x: i64) -> (Option<i64>, Option<i64>) {
        let above = self.above.cone(x, RATE_MAX_DIVISOR);
        let below = self.below.cone(x, RATE_MAX_DIVISOR);
        (above, below.map(|d| -d))
    }

    /// Whether its bounds allow for no clock at all.
    fn contradicts(&self) -> bool {
        let crossed = |&(x, _): &Point| matches!(self.cones(x), (Some(a), Some(b)) if a < b);
        self.above.points().iter().any(crossed) || self.below.points().iter().any(crossed)
    }

    /// Whether its hulls cross: then the rate changed more than is believed, or a message lies.
    fn is_strained(&self) -> bool {
        // A corner of one hull is turned over for the other: both are lower hulls.
        let crosses = |hull: &Hull, other: &Hull| {
            let corners = other.points().iter();
            corners
                .map(|&(x, d)| (x, -d))
                .any(|corner| hull.is_below(corner))
        };
        crosses(&self.above, &self.below) || crosses(&self.below, &self.above)
    }
}

/// One clock against another.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    start: i64,
    leaf_ns: i64,
    leaves: BTreeMap<i64, Leaf>,
    last: i64,
    /// A difference near which all are.
    origin: Option<i64>,
    /// Messages from this clock's machine and to it.
    sent: u64,
    received: u64,
}

/// What came of the bounds of a link.
#[derive(Clone, Debug)]
pub(crate) struct Solved {
    pub(crate) state: State,
    /// Where the state is approximate or accurate.
    pub(crate) map: Option<ClockMap>,
}

impl Link {
    /// Over what the clock shows during `span`.
    pub(crate) fn new(span: Span) -> Self {
        let start = span.start.as_nanos().clamp(-NANOS_MAX, NANOS_MAX);
        let nanos = span.nanos().clamp(1, NANOS_MAX);
        let leaf_ns = (nanos / LEAVES_MAX + 1).max(LEAF_MIN_NS);
        Self {
            start,
            leaf_ns,
            leaves: BTreeMap::new(),
            last: (nanos - 1) / leaf_ns,
            origin: None,
            sent: 0,
            received: 0,
        }
    }

    /// How many messages there were from its machine, and to it.
    pub(crate) const fn messages(&self) -> (u64, u64) {
        (self.sent, self.received)
    }

    /// A message sent at `x` arrived at `y` of the other clock.
    pub(crate) fn sent(&mut self, x: Timestamp, y: Timestamp) {
        if let Some((leaf, x, d)) = self.leaf(x, y) {
            leaf.above.add((x, d));
            self.sent += 1;
        }
    }

    /// A message received at `x` was sent at `y` of the other clock.
    pub(crate) fn received(&mut self, x: Timestamp, y: Timestamp) {
        if let Some((leaf, x, d)) = self.leaf(x, y) {
            leaf.below.add((x, -d));
            self.received += 1;
        }
    }

    /// The leaf of a time, that time, and the difference relative to the origin.
    fn leaf(&mut self, x: Timestamp, y: Timestamp) -> Option<(&mut Leaf, i64, i64)> {
        let (x, y) = (x.as_nanos(), y.as_nanos());
        let known = -NANOS_MAX..=NANOS_MAX;
        if !known.contains(&x) || !known.contains(&y) {
            return None;
        }
        // What the streams say they cover may be wrong by a little.
        let at = ((x - self.start).div_euclid(self.leaf_ns)).clamp(0, self.last);
        let origin = *self.origin.get_or_insert(y - x);
        let leaf = self.leaves.entry(at).or_default();
        Some((
            leaf,
            x,
            (y - x).checked_sub(origin).filter(|d| known.contains(d))?,
        ))
    }

    /// Where leaf `n` begins.
    const fn border(&self, n: i64) -> i64 {
        self.start + n * self.leaf_ns
    }

    /// How far a clock can leave a line over `leaves` leaves, in nanoseconds.
    fn wander(&self, leaves: i64) -> f64 {
        let seconds = (leaves * self.leaf_ns) as f64 / 1e9;
        WANDER_MAX * seconds * seconds / 16.0 * 1e9
    }

    pub(crate) fn solve(&self) -> Solved {
        let failed = |state| Solved { state, map: None };
        match (self.sent, self.received) {
            (0, 0) => return failed(State::Absent),
            (0, _) | (_, 0) => return failed(State::OneDirection),
            _ => {}
        }
        let used = self.leaves.len();
        let good: BTreeMap<i64, &Leaf> = self
            .leaves
            .iter()
            .filter(|(_, leaf)| !leaf.contradicts())
            .map(|(&n, leaf)| (n, leaf))
            .collect();
        let left_out = used - good.len();
        // One window in ten may be spoilt by a message that is none.
        if left_out * 10 > used {
            return failed(State::Contradictory);
        }
        let (mut borders, mut strained) = self.borders(&good);
        if borders
            .spread(self.leaf_ns as f64 / RATE_MAX_DIVISOR as f64)
            .is_none()
        {
            return failed(State::Contradictory);
        }
        let Some(nodes) = self.nodes(&good, &borders) else {
            return failed(State::OneDirection);
        };
        strained |= left_out > 0 || good.values().any(|leaf| leaf.is_strained());
        let error = nodes
            .iter()
            .map(|node| node.error)
            .max()
            .unwrap_or(i64::MAX);
        Solved {
            state: if strained || error > ACCURATE_MAX_NS {
                State::Approximate
            } else {
                State::Accurate
            },
            map: Some(ClockMap::through(nodes)),
        }
    }

    /// The bounds at the ends of leaves, of all stretches; and whether a stretch of one leaf has no
    /// line.
    fn borders(&self, leaves: &BTreeMap<i64, &Leaf>) -> (Borders, bool) {
        let count = usize::try_from(self.last + 2).unwrap_or(2);
        let mut borders = Borders {
            high: vec![f64::INFINITY; count],
            low: vec![f64::NEG_INFINITY; count],
        };
        let mut strained = false;
        for (&n, leaf) in leaves {
            for end in [n, n + 1] {
                let (high, low) = leaf.cones(self.border(end));
                borders.bound(
                    end,
                    high.map_or(f64::INFINITY, |d| d as f64),
                    low.map_or(f64::NEG_INFINITY, |d| d as f64),
                );
            }
        }
        for level in 0..=LEVELS {
            let length = 1_i64 << level;
            // Stretches overlap by half.
            let stride = (length / 2).max(1);
            let first = -(length - stride);
            let mut begin = first;
            while begin <= self.last {
                let fits = self.stretch(leaves, begin, length, &mut borders);
                strained |= !fits && level == 0;
                begin += stride;
            }
            if length > self.last {
                break;
            }
        }
        (borders, strained)
    }

    /// Bounds the ends of the leaves of a stretch by the lines that pass it; false where none does.
    fn stretch(
        &self,
        leaves: &BTreeMap<i64, &Leaf>,
        begin: i64,
        length: i64,
        borders: &mut Borders,
    ) -> bool {
        let (begin, end) = (begin.max(0), (begin + length).min(self.last + 1));
        let (mut above, mut below) = (Hull::default(), Hull::default());
        for (_, leaf) in leaves.range(begin..end) {
            leaf.above.points().iter().for_each(|&p| above.add(p));
            leaf.below.points().iter().for_each(|&p| below.add(p));
        }
        if above.is_empty() && below.is_empty() {
            return true;
        }
        let origin = self.border(begin);
        // A nanosecond more than enough for the rounding of stamps and of floating point.
        let ease = self.wander(end - begin) + 1.0;
        let bound = |&(x, d): &Point, sign: f64| -> Bound {
            ((x - origin) as f64, sign * (d as f64 + ease))
        };
        let above: Vec<_> = above.points().iter().map(|p| bound(p, 1.0)).collect();
        let below: Vec<_> = below.points().iter().map(|p| bound(p, -1.0)).collect();
        let Some(lines) = Lines::new(&above, &below, 1.0 / RATE_MAX_DIVISOR as f64) else {
            return false;
        };
        for n in begin..=end {
            let x = (self.border(n) - origin) as f64;
            borders.bound(n, lines.highest_at(x) + ease, lines.lowest_at(x) - ease);
        }
        true
    }

    /// The map's nodes: midway between the bounds at the ends of leaves, and wherever a message
    /// would otherwise arrive before it was sent. `None` where a bound is open.
    fn nodes(&self, leaves: &BTreeMap<i64, &Leaf>, borders: &Borders) -> Option<Vec<Node>> {
        let origin = self.origin?;
        // Within a leaf, between its ends.
        let sag = 2.0 * self.wander(1) + 2.0;
        let mut nodes = Vec::new();
        let mut push = |x: i64, d: i64, high: f64, low: f64| {
            let error = (high - d as f64).max(d as f64 - low) + sag;
            nodes.push(Node {
                from: x,
                to: x.saturating_add(d).saturating_add(origin),
                error: error.ceil() as i64,
            });
        };
        for n in 0..=self.last {
            let ends = [n, n + 1].map(|end| (self.border(end), borders.middle(end)));
            let ends = [(ends[0].0, ends[0].1?), (ends[1].0, ends[1].1?)];
            let inside = leaves
                .get(&n)
                .map_or_else(Vec::new, |leaf| causal(leaf, ends));
            let (high, low) = borders.at(n);
            push(ends[0].0, ends[0].1, high, low);
            let (next_high, next_low) = borders.at(n + 1);
            for (x, d) in inside {
                let part = (x - ends[0].0) as f64 / self.leaf_ns as f64;
                let between = |a: f64, b: f64| a + (b - a) * part;
                push(x, d, between(high, next_high), between(low, next_low));
            }
            if n == self.last {
                push(ends[1].0, ends[1].1, next_high, next_low);
            }
        }
        Some(nodes)
    }
}

/// Points that lead a line from one end of a leaf to the other between its hulls.
fn causal(leaf: &Leaf, ends: [Point; 2]) -> Vec<Point> {
    let mut path = ends.to_vec();
    // How far a corner of the hull lies on the wrong side of the path, times the path's length.
    let beyond = |path: &[Point], (x, d): Point, sign: i128| -> Option<(f64, usize)> {
        let after = path.partition_point(|p| p.0 <= x);
        let (a, b) = (path.get(after.checked_sub(1)?)?, path.get(after)?);
        if a.0 == x {
            return None;
        }
        let length = i128::from(b.0 - a.0);
        let rise = i128::from(b.1) - i128::from(a.1);
        let height = i128::from(d) * sign - i128::from(a.1);
        let over = sign * (rise * i128::from(x - a.0) - height * length);
        (over > 0).then(|| (over as f64 / length as f64, after))
    };
    loop {
        let sides = [(&leaf.above, 1), (&leaf.below, -1)];
        let corners = sides.iter().flat_map(|&(hull, sign)| {
            let corners = hull.points().iter();
            corners.map(move |&corner| (corner, sign))
        });
        let worst = corners
            .filter_map(|(corner, sign)| Some((beyond(&path, corner, sign)?, corner.0, sign)))
            .max_by(|a, b| a.0.0.total_cmp(&b.0.0));
        let Some(((_, after), x, sign)) = worst else {
            break;
        };
        let (high, low) = leaf.cones(x);
        let Some(d) = (if sign > 0 { high } else { low }) else {
            break;
        };
        path.insert(after, (x, d));
    }
    path.pop();
    path.remove(0);
    path
}

/// What the difference is at most and at least, at the ends of leaves.
#[derive(Debug)]
struct Borders {
    high: Vec<f64>,
    low: Vec<f64>,
}

impl Borders {
    fn bound(&mut self, n: i64, high: f64, low: f64) {
        let at = usize::try_from(n).unwrap_or(0);
        if let (Some(h), Some(l)) = (self.high.get_mut(at), self.low.get_mut(at)) {
            *h = h.min(high);
            *l = l.max(low);
        }
    }

    /// A bound holds further on, too, less what rates can differ by; `None` where bounds cross.
    fn spread(&mut self, step: f64) -> Option<()> {
        for at in 1..self.high.len() {
            self.high[at] = self.high[at].min(self.high[at - 1] + step);
            self.low[at] = self.low[at].max(self.low[at - 1] - step);
        }
        for at in (1..self.high.len()).rev() {
            self.high[at - 1] = self.high[at - 1].min(self.high[at] + step);
            self.low[at - 1] = self.low[at - 1].max(self.low[at] - step);
        }
        let mut all = self.high.iter().zip(&self.low);
        all.all(|(high, low)| high >= low).then_some(())
    }

    fn at(&self, n: i64) -> (f64, f64) {
        let at = usize::try_from(n).unwrap_or(0);
        let open = (f64::INFINITY, f64::NEG_INFINITY);
        let both = self.high.get(at).zip(self.low.get(at));
        both.map_or(open, |(&high, &low)| (high, low))
    }

    fn middle(&self, n: i64) -> Option<i64> {
        let (high, low) = self.at(n);
        let middle = f64::midpoint(high, low);
        middle.is_finite().then_some(middle.floor() as i64)
    }
}
