//! Curves: levels that hold, values for themselves, rates.

use super::Timeline;
use super::axis::ROW;
use super::axis::{Axis, NAMES};
use crate::paper::{FAINT, Svg};
use virtflow_base::duration;
use virtflow_query::Counter;
use virtflow_query::store::{Series, Summary};

const TALL: f64 = 15.0;
/// Columns of bars are about so many pixels wide.
const BAR_PIXELS: f64 = 3.0;
const STRONG: &str = "#2f6f8f";
const WEAK: &str = "#bcd2dc";

/// A stretch of time, from the least to the greatest there.
struct Column {
    begin: i64,
    end: i64,
    low: f64,
    high: f64,
}

/// Draws the curve of one row; its greatest value is the row's height, and is written beside it.
pub(super) fn draw(picture: &Timeline<'_>, series: Series, axis: &Axis, top: f64, out: &mut Svg) {
    let Some(counter) = Counter::from_code(series.counter) else {
        return;
    };
    let bucket = picture.curves.bucket_ns;
    let points = picture.points(series);
    let columns = if counter.holds() {
        levels(points, (axis.begin, axis.end), bucket)
    } else {
        bars(points, counter, axis, bucket)
    };
    let scale = columns.iter().map(|c| c.high).fold(0.0, f64::max);
    let bottom = top + ROW - 2.0;
    let tall = |value: f64| {
        if scale > 0.0 {
            (value / scale * TALL).max(0.5)
        } else {
            0.5
        }
    };
    for column in &columns {
        let (left, right) = (axis.x(column.begin), axis.x(column.end));
        let wide = (right - left).max(0.6);
        let (low, high) = (tall(column.low), tall(column.high));
        if counter.holds() {
            out.area(left, bottom - low, wide, low, WEAK);
            out.area(left, bottom - high, wide, (high - low).max(1.0), STRONG);
        } else {
            out.area(left, bottom - high, wide, high, STRONG);
        }
    }
    let said = if columns.is_empty() {
        "none here".to_owned()
    } else {
        format!("up to {}", said(counter, scale))
    };
    out.text_to(NAMES - 6.0, top + 14.0, 10.0, FAINT, &said);
}

/// A value with its unit; of bytes, per second.
fn said(counter: Counter, value: f64) -> String {
    match counter {
        Counter::Frequency => format!("{}Hz", with_prefix(value * 1e3)),
        Counter::Queue => format!("{value:.0}"),
        Counter::Latency => duration(value as i64),
        Counter::Transferred | Counter::Received | Counter::Sent => {
            format!("{}B/s", with_prefix(value))
        }
    }
}

/// `1.25 M` and so on.
fn with_prefix(value: f64) -> String {
    let mut shown = value;
    let mut prefixes = ["", "k", "M", "G", "T"].into_iter();
    let mut prefix = prefixes.next().unwrap_or_default();
    for next in prefixes {
        if shown < 999.5 {
            break;
        }
        shown /= 1e3;
        prefix = next;
    }
    let digits = if shown >= 99.95 {
        0
    } else if shown >= 9.995 {
        1
    } else {
        2
    };
    format!("{shown:.digits$} {prefix}")
}

/// From each value to the next; nothing where it is not known.
fn levels<'a>(
    points: impl Iterator<Item = &'a Summary>,
    (begin, end): (i64, i64),
    bucket: i64,
) -> Vec<Column> {
    let mut out = Vec::new();
    let mut held = -1;
    let mut since = begin;
    let hold = |from: i64, to: i64, value: i64, out: &mut Vec<Column>| {
        if value >= 0 && to > from {
            out.push(Column {
                begin: from,
                end: to,
                low: value as f64,
                high: value as f64,
            });
        }
    };
    for point in points {
        if point.start >= begin {
            hold(since, point.start, held, &mut out);
            if bucket > 0 && point.count > 0 {
                out.push(Column {
                    begin: point.start,
                    end: point.start.saturating_add(bucket),
                    low: point.least as f64,
                    high: point.greatest as f64,
                });
            }
            since = point.start;
        }
        held = point.last;
    }
    hold(since, end, held, &mut out);
    out
}

/// What came in columns some pixels wide: the greatest, or how much per second.
fn bars<'a>(
    points: impl Iterator<Item = &'a Summary>,
    counter: Counter,
    axis: &Axis,
    bucket: i64,
) -> Vec<Column> {
    let pixel = axis.end.saturating_sub(axis.begin) as f64 / axis.width;
    let width = 2_f64.powf((pixel * BAR_PIXELS).max(1.0).log2().ceil());
    let width = (width as i64).max(bucket).max(1);
    let mut out: Vec<Column> = Vec::new();
    for point in points.filter(|point| point.count > 0) {
        let begin = point.start.div_euclid(width) * width;
        let value = match counter {
            Counter::Latency => point.greatest as f64,
            _ => point.sum as f64 / width as f64 * 1e9,
        };
        match out.last_mut() {
            Some(last) if last.begin == begin && counter == Counter::Latency => {
                last.high = last.high.max(value);
            }
            Some(last) if last.begin == begin => last.high += value,
            _ => out.push(Column {
                begin,
                end: begin.saturating_add(width),
                low: 0.0,
                high: value,
            }),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(start: i64, value: i64) -> Summary {
        Summary {
            start,
            count: u64::from(value >= 0),
            sum: value.max(0),
            least: value,
            greatest: value,
            last: value,
        }
    }

    #[test]
    fn a_level_holds_and_ceases_to_be_known() {
        let points = [value(-5, 2), value(10, 4), value(20, -1), value(40, 1)];
        let columns = levels(points.iter(), (0, 50), 0);
        let told: Vec<_> = columns.iter().map(|c| (c.begin, c.end, c.high)).collect();
        assert_eq!(told, [(0, 10, 2.0), (10, 20, 4.0), (40, 50, 1.0)]);
    }

    #[test]
    fn a_rate_is_what_came_in_a_column() {
        let axis = Axis {
            begin: 0,
            end: 64,
            width: 8.0,
        };
        let points = [value(1, 100), value(5, 60), value(33, 40)];
        let rates = bars(points.iter(), Counter::Sent, &axis, 0);
        let told: Vec<_> = rates.iter().map(|c| (c.begin, c.high)).collect();
        assert_eq!(told, [(0, 5e9), (32, 1.25e9)]);
        let longest = bars(points.iter(), Counter::Latency, &axis, 0);
        assert_eq!(longest[0].high, 100.0);
    }

    #[test]
    fn values_have_units() {
        assert_eq!(said(Counter::Frequency, 2_400_000.0), "2.40 GHz");
        assert_eq!(said(Counter::Received, 12_345.0), "12.3 kB/s");
        assert_eq!(said(Counter::Latency, 1_500.0), "1.50 us");
    }
}
