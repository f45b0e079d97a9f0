//! The lines that pass between bounds from above and bounds from below.
//!
//! A line is `d = s * x + c`. For a slope the room between the bounds is a concave function, and so
//! is the highest line at a moment; halving the slopes finds their ends.

/// A bound of a line: where, and at which height; both near 0, so that 53 bits are enough.
pub(crate) type Bound = (f64, f64);

/// Halvings of the range of slopes: its last ones move a line by less than a picosecond.
const HALVINGS: u32 = 44;

/// What passes between the bounds.
#[derive(Debug)]
pub(crate) struct Lines<'b> {
    above: &'b [Bound],
    below: &'b [Bound],
    /// The flattest and the steepest line.
    slopes: (f64, f64),
}

/// The lowest of the bounds seen along a slope, and where that bound is.
fn lowest(above: &[Bound], slope: f64) -> Option<(f64, f64)> {
    let seen = above.iter().map(|&(x, d)| (d - slope * x, x));
    seen.min_by(|a, b| a.0.total_cmp(&b.0))
}

fn highest(below: &[Bound], slope: f64) -> Option<(f64, f64)> {
    let seen = below.iter().map(|&(x, d)| (d - slope * x, x));
    seen.max_by(|a, b| a.0.total_cmp(&b.0))
}

/// The room between the bounds along a slope, and how it changes with the slope.
fn room(above: &[Bound], below: &[Bound], slope: f64) -> (f64, f64) {
    match (lowest(above, slope), highest(below, slope)) {
        (Some((high, x)), Some((low, y))) => (high - low, y - x),
        _ => (f64::INFINITY, 0.0),
    }
}

impl<'b> Lines<'b> {
    /// The lines of slopes up to `slope_max` either way; `None` where none fits.
    pub(crate) fn new(above: &'b [Bound], below: &'b [Bound], slope_max: f64) -> Option<Self> {
        let has_room = |slope| room(above, below, slope).0 >= 0.0;
        let (mut low, mut high) = (-slope_max, slope_max);
        // A slope that fits, if there is one.
        let mut inside = 0.0;
        for _ in 0..HALVINGS {
            inside = f64::midpoint(low, high);
            let (room, change) = room(above, below, inside);
            if room >= 0.0 {
                break;
            }
            if change > 0.0 {
                low = inside;
            } else {
                high = inside;
            }
        }
        if !has_room(inside) {
            return None;
        }
        // The first slope without room on either side; rounded outwards.
        let edge = |mut outside: f64| {
            if has_room(outside) {
                return outside;
            }
            let mut inside = inside;
            for _ in 0..HALVINGS {
                let middle = f64::midpoint(inside, outside);
                if has_room(middle) {
                    inside = middle;
                } else {
                    outside = middle;
                }
            }
            outside
        };
        Some(Self {
            above,
            below,
            slopes: (edge(-slope_max), edge(slope_max)),
        })
    }

    /// The highest that any of them is at `x`; infinite without bounds from above.
    pub(crate) fn highest_at(&self, x: f64) -> f64 {
        let height = |slope: f64| {
            lowest(self.above, slope)
                .map_or((f64::INFINITY, 0.0), |(c, at)| (c + slope * x, x - at))
        };
        let (mut low, mut high) = self.slopes;
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(low, high);
            if height(middle).1 > 0.0 {
                low = middle;
            } else {
                high = middle;
            }
        }
        height(low).0.max(height(high).0)
    }

    /// The lowest that any of them is at `x`; minus infinity without bounds from below.
    pub(crate) fn lowest_at(&self, x: f64) -> f64 {
        let depth = |slope: f64| {
            highest(self.below, slope)
                .map_or((f64::NEG_INFINITY, 0.0), |(c, at)| (c + slope * x, x - at))
        };
        let (mut low, mut high) = self.slopes;
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(low, high);
            if depth(middle).1 < 0.0 {
                low = middle;
            } else {
                high = middle;
            }
        }
        depth(low).0.min(depth(high).0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_between_two_gates() {
        // Gates at 0 and 10, each from -1 to 1.
        let (above, below) = ([(0.0, 1.0), (10.0, 1.0)], [(0.0, -1.0), (10.0, -1.0)]);
        let lines = Lines::new(&above, &below, 1.0).unwrap();
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-6, "{a} {b}");
        near(lines.slopes.0, -0.2);
        near(lines.slopes.1, 0.2);
        near(lines.highest_at(5.0), 1.0);
        near(lines.highest_at(20.0), 3.0);
        near(lines.lowest_at(-10.0), -3.0);
        near(lines.lowest_at(10.0), -1.0);
    }

    #[test]
    fn none_where_bounds_cross() {
        let above = [(0.0, 0.0), (10.0, 0.0)];
        assert!(Lines::new(&above, &[(5.0, 1.0)], 1.0).is_none());
        assert!(Lines::new(&above, &[(20.0, 5.0)], 0.1).is_none());
        assert!(Lines::new(&above, &[(20.0, 5.0)], 1.0).is_some());
    }

    #[test]
    fn one_side_leaves_the_other_open() {
        let lines = Lines::new(&[(0.0, 1.0)], &[], 0.5).unwrap();
        assert!((lines.highest_at(10.0) - 6.0).abs() < 1e-6);
        assert!(lines.lowest_at(10.0).is_infinite());
    }
}
