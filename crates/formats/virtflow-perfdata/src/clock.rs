//! The clock of a recording.

use virtflow_base::Timestamp;

/// Clocks by their numbers (include/uapi/linux/time.h).
const CLOCKS: [(i32, &str); 5] = [
    (0, "realtime"),
    (1, "monotonic"),
    (4, "monotonic_raw"),
    (7, "boottime"),
    (11, "tai"),
];
/// `CLOCK_REALTIME`.
const REALTIME: i32 = 0;

/// What time stamps count: nanoseconds, of a clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clock {
    name: String,
    offset_ns: i64,
}

impl Clock {
    /// The clock with this number, or the one that perf takes by itself; `told` is a clock, and a
    /// moment by that of the day and by that clock.
    pub(crate) fn new(clock: Option<i32>, told: Option<(i32, u64, u64)>) -> Self {
        let Some(number) = clock else {
            return Self {
                name: "perf".to_owned(),
                offset_ns: 0,
            };
        };
        let name = CLOCKS.iter().find(|(known, _)| *known == number);
        let offset_ns = match told {
            _ if number == REALTIME => 0,
            Some((of, day, own)) if of == number => {
                let offset = i128::from(day) - i128::from(own);
                i64::try_from(offset).unwrap_or(0)
            }
            _ => 0,
        };
        Self {
            name: name.map_or_else(|| format!("clock {number}"), |(_, name)| (*name).to_owned()),
            offset_ns,
        }
    }

    /// Its name: `perf` for the kernel's scheduler clock (`local_clock()`), which perf takes by itself.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Nanoseconds from the Unix epoch to its zero; 0 where the file does not tell.
    pub const fn offset_ns(&self) -> i64 {
        self.offset_ns
    }

    /// The moment of a time stamp; saturates at the ends of time.
    #[inline]
    pub fn time(&self, stamp: u64) -> Timestamp {
        let nanos = i64::try_from(stamp).unwrap_or(i64::MAX);
        Timestamp::from_nanos(nanos.saturating_add(self.offset_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_become_times() {
        let told = Some((1, 1_000_000, 400));
        let mono = Clock::new(Some(1), told);
        assert_eq!((mono.name(), mono.offset_ns()), ("monotonic", 999_600));
        assert_eq!(mono.time(400).as_nanos(), 1_000_000);
        assert_eq!(mono.time(u64::MAX).as_nanos(), i64::MAX);
        // Told of another clock.
        assert_eq!(Clock::new(Some(7), told).offset_ns(), 0);
        assert_eq!(Clock::new(Some(0), Some((0, 9, 8))).offset_ns(), 0);
        assert_eq!(Clock::new(Some(99), None).name(), "clock 99");
        assert_eq!(
            Clock::new(None, told),
            Clock {
                name: "perf".into(),
                offset_ns: 0
            }
        );
    }
}
