//! The lower convex hull of points, kept while they come in.

/// Points that a hull keeps at most; more would say little. A point left out leaves the hull
/// higher than it could be, so that bounds stay true.
const POINTS_MAX: usize = 256;

/// A point: a time, and a bound there.
pub(crate) type Point = (i64, i64);

/// The lower convex hull of points in any order, from left to right.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hull(Vec<Point>);

/// Whether `b` lies on or above the line from `a` to `c`.
fn above(a: Point, b: Point, c: Point) -> bool {
    let wide = |(x, y): Point| (i128::from(x), i128::from(y));
    let ((ax, ay), (bx, by), (cx, cy)) = (wide(a), wide(b), wide(c));
    // Times and bounds are below 2^62, so that differences have 63 bits.
    (by - ay) * (cx - ax) >= (cy - ay) * (bx - ax)
}

impl Hull {
    /// Its corners.
    pub(crate) fn points(&self) -> &[Point] {
        &self.0
    }

    /// Whether there is no point.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a point.
    pub(crate) fn add(&mut self, point: Point) {
        let points = &mut self.0;
        let mut at = points.partition_point(|p| p.0 < point.0);
        if let Some(same) = points.get_mut(at).filter(|p| p.0 == point.0) {
            if same.1 <= point.1 {
                return;
            }
            *same = point;
        } else {
            let beside = at.checked_sub(1).and_then(|left| points.get(left));
            if let (Some(&left), Some(&right)) = (beside, points.get(at))
                && above(left, point, right)
            {
                return;
            }
            if points.len() >= POINTS_MAX {
                return;
            }
            points.insert(at, point);
        }
        while at >= 2 && above(points[at - 2], points[at - 1], point) {
            points.remove(at - 1);
            at -= 1;
        }
        while at + 2 < points.len() && above(point, points[at + 1], points[at + 2]) {
            points.remove(at + 1);
        }
    }

    /// The lowest that something can be at `x` that passes below all points and changes by at most
    /// `1 / divisor` of the way; `None` without points.
    pub(crate) fn cone(&self, x: i64, divisor: i64) -> Option<i64> {
        let reach = |&(px, py): &Point| py.saturating_add((x - px).abs() / divisor);
        self.0.iter().map(reach).min()
    }

    /// Whether `point` lies above the hull.
    pub(crate) fn is_below(&self, point: Point) -> bool {
        let at = self.0.partition_point(|p| p.0 < point.0);
        match (at.checked_sub(1).map(|left| self.0[left]), self.0.get(at)) {
            (_, Some(&right)) if right.0 == point.0 => point.1 > right.1,
            (Some(left), Some(&right)) => above(left, (point.0, point.1 - 1), right),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The hull as the points below which no line between two others passes.
    fn naive(points: &[Point]) -> Vec<Point> {
        let mut kept: Vec<Point> = Vec::new();
        for &p in points {
            let under = |a: &Point, c: &Point| a.0 < p.0 && p.0 < c.0 && above(*a, p, *c);
            let covered = points
                .iter()
                .any(|a| points.iter().any(|c| under(a, c)) || (a.0 == p.0 && a.1 < p.1));
            if !covered && !kept.contains(&p) {
                kept.push(p);
            }
        }
        kept.sort_unstable();
        kept
    }

    proptest! {
        #[test]
        fn a_hull_is_the_lower_one_in_any_order(
            points in proptest::collection::vec((-50_i64..50, -50_i64..50), 0..40),
        ) {
            let mut hull = Hull::default();
            points.iter().for_each(|&p| hull.add(p));
            prop_assert_eq!(hull.points(), naive(&points));
            for &(x, y) in &points {
                prop_assert!(hull.cone(x, 1_000).unwrap() <= y);
            }
        }
    }

    #[test]
    fn a_hull_keeps_a_bounded_number_of_points() {
        let mut hull = Hull::default();
        (0..10_000).for_each(|x: i64| hull.add((x, x * x)));
        assert_eq!(hull.points().len(), POINTS_MAX);
    }
}
