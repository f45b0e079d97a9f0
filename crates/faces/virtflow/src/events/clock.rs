//! Times of the day as babeltrace2 writes them: `[20:29:01.001068925] (+0.000000661) `.

use jiff::tz::TimeZone;
use virtflow_base::Timestamp;

const SECOND: i64 = 1_000_000_000;
const DAY_SECONDS: i64 = 86_400;
/// A zone's offset is looked up anew after this long: none changes within it, for all offsets
/// change on whole quarters of an hour.
const OFFSET_SECONDS: i64 = 900;

/// Writes times of the day.
pub(super) struct Clock {
    zone: TimeZone,
    /// The quarter of an hour for which `offset` was looked up.
    quarter: i64,
    /// Seconds east of UTC.
    offset: i64,
}

impl Clock {
    pub(super) fn new(local: bool) -> Self {
        let zone = if local {
            TimeZone::system()
        } else {
            TimeZone::UTC
        };
        Self {
            zone,
            quarter: i64::MIN,
            offset: 0,
        }
    }

    /// Appends the time and what has passed since the event before.
    pub(super) fn write(&mut self, time: Timestamp, before: Option<Timestamp>, out: &mut Vec<u8>) {
        let (seconds, nanos) = (
            time.as_nanos().div_euclid(SECOND),
            time.as_nanos().rem_euclid(SECOND),
        );
        let quarter = seconds.div_euclid(OFFSET_SECONDS);
        if quarter != self.quarter {
            self.quarter = quarter;
            let at = jiff::Timestamp::from_second(seconds).unwrap_or_default();
            self.offset = self.zone.to_offset(at).seconds().into();
        }
        let of_day = (seconds + self.offset).rem_euclid(DAY_SECONDS);
        out.push(b'[');
        digits(of_day / 3600, 2, out);
        out.push(b':');
        digits(of_day / 60 % 60, 2, out);
        out.push(b':');
        digits(of_day % 60, 2, out);
        out.push(b'.');
        digits(nanos, 9, out);
        out.extend_from_slice(b"] (+");
        match before {
            None => out.extend_from_slice(b"?.?????????"),
            Some(before) => {
                let delta = time.since(before).max(0);
                virtflow_query::push_integer(out, (delta / SECOND).into());
                out.push(b'.');
                digits(delta % SECOND, 9, out);
            }
        }
        out.extend_from_slice(b") ");
    }
}

/// Appends the low `width` decimal digits of a number that is not negative.
fn digits(mut value: i64, width: usize, out: &mut Vec<u8>) {
    let mut text = [b'0'; 9];
    for digit in text[..width].iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
    out.extend_from_slice(&text[..width]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_babeltrace2_writes_it() {
        let mut clock = Clock::new(false);
        let mut out = Vec::new();
        let time = Timestamp::from_nanos(1_000_000_000_001_068_925);
        clock.write(time, None, &mut out);
        clock.write(time.plus(1_000_000_661), Some(time), &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "[01:46:40.001068925] (+?.?????????) [01:46:41.001069586] (+1.000000661) "
        );
    }
}
