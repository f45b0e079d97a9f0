//! The time axis: where a moment is, and which moments are marked.

use crate::paper::{FAINT, GRID, Svg};

/// The height of a row.
pub(crate) const ROW: f64 = 20.0;
/// The height of the bars in it.
pub(crate) const BAR: f64 = 15.0;
/// The room for rows' names.
pub(crate) const NAMES: f64 = 260.0;
/// The room at the right.
pub(crate) const MARGIN: f64 = 16.0;
/// About so many pixels between marks.
const MARK_PIXELS: f64 = 110.0;

/// How wide the bars' part of a picture is.
pub(crate) fn plot_width(width: u32) -> u32 {
    let left = f64::from(width) - NAMES - MARGIN;
    left.max(100.0) as u32
}

pub(crate) struct Axis {
    pub(crate) begin: i64,
    pub(crate) end: i64,
    pub(crate) width: f64,
}

impl Axis {
    /// Where a moment is, from the left of the picture; moments outside are at the edges.
    pub(crate) fn x(&self, t: i64) -> f64 {
        let whole = self.end.saturating_sub(self.begin).max(1) as f64;
        let since = t.clamp(self.begin, self.end).saturating_sub(self.begin) as f64;
        NAMES + since / whole * self.width
    }

    /// Draws the marks above rows that reach from `top` to `bottom`, in a picture of this width.
    pub(crate) fn draw(&self, top: f64, bottom: f64, width: f64, out: &mut Svg) {
        for (t, name) in self.marks() {
            let x = self.x(t);
            out.line(x, top - 8.0, x, bottom, GRID);
            // The last one may have no room for its name.
            if x + 7.0 * name.len() as f64 <= width {
                out.text(x + 3.0, top - 12.0, 11.0, FAINT, "", &name);
            }
        }
    }

    /// Moments to mark: round numbers of nanoseconds since the beginning, and what to call them.
    fn marks(&self) -> Vec<(i64, String)> {
        let whole = self.end.saturating_sub(self.begin).max(1);
        let wanted = (whole as f64 * MARK_PIXELS / self.width).max(1.0);
        let power = 10_f64.powf(wanted.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|factor| factor * power)
            .find(|step| *step >= wanted)
            .unwrap_or(power);
        let step = (step as i64).max(1);
        let (unit, size) = match step {
            ..1_000 => ("ns", 1),
            1_000..1_000_000 => ("us", 1_000),
            1_000_000..1_000_000_000 => ("ms", 1_000_000),
            _ => ("s", 1_000_000_000),
        };
        (0..=whole / step)
            .map(|n| n * step)
            .map(|since| (self.begin + since, format!("+{} {unit}", since / size)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round() {
        let axis = Axis {
            begin: 7,
            end: 7 + 10_000_000_000,
            width: 1000.0,
        };
        let marks = axis.marks();
        assert_eq!(marks[0], (7, "+0 s".to_owned()));
        assert_eq!(marks[1], (2_000_000_007, "+2 s".to_owned()));
        assert_eq!(marks.len(), 6);
        assert_eq!(axis.x(7), NAMES);
        assert_eq!(axis.x(i64::MAX), NAMES + 1000.0);
    }
}
