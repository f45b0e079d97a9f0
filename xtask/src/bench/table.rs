//! Measurements as text.

use super::measure::Measured;
use std::fmt::Write;
use std::path::Path;

/// What a program came to.
#[derive(Clone, Debug)]
pub(super) struct Row {
    name: String,
    /// Seconds: the shortest run and the median.
    min: f64,
    median: f64,
    /// Processor seconds of the shortest run.
    cpu: f64,
    /// Million events and megabytes in a second of the shortest run.
    events: f64,
    megabytes: f64,
    /// Megabytes, of the largest run.
    peak: f64,
}

#[expect(clippy::cast_precision_loss, reason = "for reading")]
fn float(number: u64) -> f64 {
    number as f64
}

impl Row {
    pub(super) fn new(name: String, runs: &[Measured], events: u64, bytes: u64) -> Self {
        let mut walls: Vec<f64> = runs.iter().map(|run| run.wall.as_secs_f64()).collect();
        walls.sort_by(f64::total_cmp);
        let min = walls.first().copied().unwrap_or_default();
        let best = runs.iter().min_by_key(|run| run.wall);
        let peak = runs.iter().map(|run| run.peak).max().unwrap_or_default();
        Self {
            name,
            min,
            median: walls.get(walls.len() / 2).copied().unwrap_or_default(),
            cpu: best.map_or(0.0, |run| run.cpu.as_secs_f64()),
            events: float(events) / min / 1e6,
            megabytes: float(bytes) / min / 1e6,
            peak: float(peak) / 1e6,
        }
    }
}

/// The table of one trace; the first row is `cat`, the second babeltrace2.
pub(super) fn text(
    trace: &Path,
    events: u64,
    bytes: u64,
    streams: usize,
    rounds: usize,
    rows: &[Row],
) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "{}: {events} events, {:.1} MB, {streams} streams; {rounds} rounds, page cache warm",
        trace.display(),
        float(bytes) / 1e6
    );
    let _ = writeln!(
        out,
        "  {:<25}{:>9}{:>9}{:>9}{:>12}{:>8}{:>10}{:>8}{:>8}",
        "", "min s", "median s", "CPU s", "M events/s", "MB/s", "x babelt.", "x cat", "peak MB"
    );
    let min = |row: Option<&Row>| row.map_or(0.0, |row| row.min);
    let (cat, babeltrace2) = (min(rows.first()), min(rows.get(1)));
    for row in rows {
        let _ = writeln!(
            out,
            "  {:<25}{:>9.3}{:>9.3}{:>9.3}{:>12.2}{:>8.0}{:>10.1}{:>8.3}{:>8.1}",
            row.name,
            row.min,
            row.median,
            row.cpu,
            row.events,
            row.megabytes,
            babeltrace2 / row.min,
            cat / row.min,
            row.peak
        );
    }
    out
}

/// What a store came to beside the trace it was made of.
pub(super) fn store_line(store: u64, intervals: u64, events: u64, trace: u64) -> String {
    format!(
        "  the store: {:.1} MB, {:.1} bytes per interval ({intervals}), {:.1} per event, {:.2} of the trace",
        float(store) / 1e6,
        float(store) / float(intervals.max(1)),
        float(store) / float(events.max(1)),
        float(store) / float(trace.max(1)),
    )
}

pub(super) const SCALE_HEADER: &str =
    "      events  program              min s  median s  ns/event    MB/s  peak MB";

pub(super) fn scale_line(events: u64, row: &Row) -> String {
    format!(
        "{events:>12}  {:<16}{:>10.3}{:>10.3}{:>10.1}{:>8.0}{:>9.1}",
        row.name,
        row.min,
        row.median,
        row.min * 1e9 / float(events),
        row.megabytes,
        row.peak
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_shortest_run_counts() {
        let run = |millis, peak| Measured {
            wall: Duration::from_millis(millis),
            cpu: Duration::from_millis(millis),
            peak,
        };
        let runs = [
            run(300, 1_000_000),
            run(100, 5_000_000),
            run(200, 2_000_000),
        ];
        let slow = Row::new("slow".into(), &[run(2_000, 1)], 1_000_000, 10_000_000);
        let row = Row::new("fast".into(), &runs, 1_000_000, 10_000_000);
        assert_eq!((row.min, row.median, row.events.round()), (0.1, 0.2, 10.0));
        let text = text(
            Path::new("t"),
            1_000_000,
            10_000_000,
            2,
            3,
            &[slow.clone(), slow, row.clone()],
        );
        let last = text.lines().last().unwrap();
        let numbers: Vec<_> = last.split_whitespace().collect();
        assert_eq!(
            numbers,
            [
                "fast", "0.100", "0.200", "0.100", "10.00", "100", "20.0", "20.000", "5.0"
            ]
        );
        assert_eq!(
            scale_line(1_000_000, &row).split_whitespace().nth(4),
            Some("100.0")
        );
    }
}
