//! Stretches of time as people write them.
//!
//! `12.5s..14s` and `+300ms..` count from the beginning of the trace, `10:02:03.5..` is a time of
//! the day on which the trace begins (UTC unless local), a bare number is nanoseconds since the
//! Unix epoch. Either end may be left out; `A..+B` ends B after A.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use virtflow_base::{Span, Timestamp};
use virtflow_query::Facts;

/// A range that cannot be understood.
#[derive(Debug)]
pub(crate) struct RangeError(String);

impl std::fmt::Display for RangeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "--range {}; write 12.5s..14s or +300ms..+1s (from the beginning of the trace), \
             10:02:03.5..10:02:04 (of the day, UTC unless --local), or epoch nanoseconds",
            self.0
        )
    }
}

impl std::error::Error for RangeError {}

/// The span that `text` means in a trace that begins at `begins`; all of time without a text.
pub(crate) fn parse(
    text: Option<&str>,
    begins: Timestamp,
    local: bool,
) -> Result<Span, RangeError> {
    let Some(text) = text else {
        return Ok(Span::ALL);
    };
    let Some((from, to)) = text.split_once("..") else {
        return Err(RangeError(format!("{text:?} has no \"..\"")));
    };
    let start = if from.is_empty() {
        Timestamp::MIN
    } else {
        moment(from, begins, begins, local)?
    };
    let anchor = if from.is_empty() { begins } else { start };
    let end = if to.is_empty() {
        Timestamp::MAX
    } else {
        moment(to, begins, anchor, local)?
    };
    if end <= start {
        return Err(RangeError(format!("{text:?} ends before it begins")));
    }
    Ok(Span::new(start, end))
}

/// One moment: `+d` counts from `anchor`, `d` from `begins`.
fn moment(
    text: &str,
    begins: Timestamp,
    anchor: Timestamp,
    local: bool,
) -> Result<Timestamp, RangeError> {
    let wrong = || RangeError(format!("{text:?} is not a moment"));
    if let Some(after) = text.strip_prefix('+') {
        return duration(after).map(|ns| anchor.plus(ns)).ok_or_else(wrong);
    }
    if text.contains(':') {
        return time_of_day(text, begins, local).ok_or_else(wrong);
    }
    if let Ok(ns) = text.parse() {
        return Ok(Timestamp::from_nanos(ns));
    }
    duration(text).map(|ns| begins.plus(ns)).ok_or_else(wrong)
}

/// A number and a unit, in nanoseconds.
fn duration(text: &str) -> Option<i64> {
    let split = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(split);
    let scale = match unit {
        "ns" => 1.0,
        "us" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" | "min" => 60e9,
        "h" => 3600e9,
        _ => return None,
    };
    let ns = number.trim().parse::<f64>().ok()? * scale;
    (ns.is_finite() && ns.abs() < 9e18).then_some(ns.round() as i64)
}

/// A time of the day on which the trace begins, or of the next day if the trace began later.
fn time_of_day(text: &str, begins: Timestamp, local: bool) -> Option<Timestamp> {
    let text = if text.matches(':').count() == 1 {
        format!("{text}:00")
    } else {
        text.to_owned()
    };
    let time: Time = text.parse().ok()?;
    let zone = if local {
        TimeZone::system()
    } else {
        TimeZone::UTC
    };
    let begin = jiff::Timestamp::from_nanosecond(begins.as_nanos().into())
        .ok()?
        .to_zoned(zone.clone());
    let at = begin.date().to_datetime(time).to_zoned(zone).ok()?;
    let at = i64::try_from(at.timestamp().as_nanosecond()).ok()?;
    const HALF_A_DAY: i64 = 12 * 3600 * 1_000_000_000;
    const A_DAY: i64 = 2 * HALF_A_DAY;
    let late = begins.as_nanos().saturating_sub(at) > HALF_A_DAY;
    Some(Timestamp::from_nanos(if late { at + A_DAY } else { at }))
}

/// The stretch that was asked for of what was recorded.
pub(crate) fn of(range: Option<&str>, told: &[Facts], local: bool) -> Result<Span, RangeError> {
    let begins = told.iter().filter_map(|facts| facts.begin_ns).min();
    let begins = Timestamp::from_nanos(begins.unwrap_or_default());
    parse(range, begins, local)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2001-09-09 01:46:40 UTC.
    const BEGINS: Timestamp = Timestamp::from_nanos(1_000_000_000_000_000_000);

    fn range(text: &str) -> (i64, i64) {
        let span = parse(Some(text), BEGINS, false).unwrap();
        (span.start.since(BEGINS), span.end.since(BEGINS))
    }

    #[test]
    fn ranges_people_write() {
        assert_eq!(range("12.5s..14s"), (12_500_000_000, 14_000_000_000));
        assert_eq!(range("1s..+300ms"), (1_000_000_000, 1_300_000_000));
        assert_eq!(
            range("01:46:41.5..01:46:42"),
            (1_500_000_000, 2_000_000_000)
        );
        assert_eq!(range("01:47..01:48"), (20_000_000_000, 80_000_000_000));
        assert_eq!(range("1000000000000000005..1000000000000000009"), (5, 9));
        assert_eq!(
            range("+300ms.."),
            (300_000_000, i64::MAX - BEGINS.as_nanos())
        );
        assert_eq!(parse(None, BEGINS, false).unwrap(), Span::ALL);
    }

    #[test]
    fn ranges_that_are_none() {
        for text in ["5s", "5x..6s", "6s..5s", "a:b..", "1e300s.."] {
            assert!(parse(Some(text), BEGINS, false).is_err(), "{text}");
        }
    }
}
