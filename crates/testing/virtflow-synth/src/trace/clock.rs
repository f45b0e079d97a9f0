//! From the simulation's nanoseconds to the trace's cycles and the truth's epoch.

use crate::Dialect;

const NANOS: i128 = 1_000_000_000;

/// The trace clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    freq: i128,
    offset_s: i128,
    offset: i128,
    start: u64,
    /// For a clock in nanoseconds: what to add to get the epoch.
    plain: Option<i64>,
}

impl Clock {
    pub(crate) fn new(dialect: &Dialect) -> Self {
        let mut clock = Self {
            freq: i128::from(dialect.clock_freq),
            offset_s: i128::from(dialect.clock_offset_s),
            offset: i128::from(dialect.clock_offset),
            start: dialect.clock_start,
            plain: None,
        };
        if clock.freq == NANOS {
            clock.plain = Some(clock.epoch(0));
        }
        clock
    }

    /// The stamp of an event `ns` nanoseconds into the trace, in cycles, rounded down.
    pub(crate) fn cycles(&self, ns: i64) -> u64 {
        if self.freq == NANOS {
            return self.start.wrapping_add_signed(ns);
        }
        self.start
            .wrapping_add_signed((i128::from(ns) * self.freq / NANOS) as i64)
    }

    /// What a reader makes of that stamp: nanoseconds since the Unix epoch, rounded down.
    pub(crate) fn epoch(&self, ns: i64) -> i64 {
        if let Some(zero) = self.plain {
            return zero + ns;
        }
        let cycles = i128::from(self.cycles(ns)) + self.offset;
        (self.offset_s * NANOS + (cycles * NANOS).div_euclid(self.freq)) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_what_a_reader_computes() {
        let clock = Clock::new(&Dialect::default());
        assert_eq!(clock.epoch(5) - clock.epoch(0), 5);
        let dialect: Dialect = "freq=1000000,offset-s=-3,offset=-7,start=100"
            .parse()
            .unwrap();
        let slow = Clock::new(&dialect);
        assert_eq!(slow.cycles(2_999), 102);
        assert_eq!(slow.epoch(2_999), -3_000_000_000 + 95_000);
    }
}
