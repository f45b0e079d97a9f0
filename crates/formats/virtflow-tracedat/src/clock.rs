//! Clocks: from the ring buffer's time stamps to nanoseconds.

use virtflow_base::Timestamp;

/// Clocks that do not count nanoseconds (kernel/trace/trace.c `trace_clocks`).
const COUNTERS: [&str; 3] = ["counter", "x86-tsc", "ppc-tb"];
/// What trace-cmd calls the processor's counter when it tells how to convert it.
const CONVERTED: [&str; 2] = ["tsc2nsec", "x86-tsc"];

/// The clock of a buffer's time stamps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clock {
    name: String,
    /// Multiplier and shift that make nanoseconds of the processor's counter.
    scale: Option<(u32, u32)>,
    offset_ns: i64,
}

impl Clock {
    /// The clock `name`, in whose file `tsc` tells how the processor's counter is converted.
    pub(crate) fn new(name: &str, tsc: Option<(u32, u32)>, offset_ns: i64) -> Self {
        let scale =
            tsc.filter(|(mult, shift)| CONVERTED.contains(&name) && *mult > 0 && *shift < 64);
        Self {
            name: name.to_owned(),
            scale,
            offset_ns,
        }
    }

    /// Its name, as the kernel's file `trace_clock` has it: `local`, `mono`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Nanoseconds from the Unix epoch, or whatever the file was told to count from, to where the
    /// clock is zero.
    pub const fn offset_ns(&self) -> i64 {
        self.offset_ns
    }

    /// How many of what it counts there are in a second, where that is not nanoseconds and known.
    pub fn frequency(&self) -> Option<u64> {
        let (mult, shift) = self.scale?;
        let counted = (1_000_000_000_u128 << shift) / u128::from(mult);
        u64::try_from(counted).ok()
    }

    /// Whether its time stamps count something else than nanoseconds and the file does not tell
    /// what: they are taken for nanoseconds.
    pub fn is_uncounted(&self) -> bool {
        self.scale.is_none() && COUNTERS.contains(&self.name.as_str())
    }

    /// Nanoseconds of the clock itself: what is counted, converted and nothing added.
    #[inline]
    fn nanos(&self, stamp: u64) -> u64 {
        match self.scale {
            None => stamp,
            Some((mult, shift)) => {
                let product = u128::from(stamp) * u128::from(mult);
                u64::try_from(product >> shift).unwrap_or(u64::MAX)
            }
        }
    }

    /// The moment of a time stamp; saturates at the ends of time.
    #[inline]
    pub fn time(&self, stamp: u64) -> Timestamp {
        let nanos = i64::try_from(self.nanos(stamp)).unwrap_or(i64::MAX);
        Timestamp::from_nanos(nanos.saturating_add(self.offset_ns))
    }
}

/// The clock in use, of the text of the kernel's file `trace_clock`: the one in brackets.
pub(crate) fn in_use(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once('[')?;
    let (name, _) = rest.split_once(']')?;
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_become_times() {
        let at = |clock: &Clock, stamp| clock.time(stamp).as_nanos();
        let mono = Clock::new("mono", Some((3, 1)), 0);
        assert_eq!((at(&mono, 7), mono.is_uncounted()), (7, false));
        let dated = Clock::new("mono", None, 1_000);
        assert_eq!(at(&dated, 7), 1_007);
        assert_eq!(at(&dated, u64::MAX), i64::MAX);
        // The numbers are those of a real file, and what trace-cmd makes of them.
        let tsc = Clock::new("tsc2nsec", Some((827_196_680, 31)), 0);
        assert_eq!(at(&tsc, 46_471_585_513), 17_900_551_320);
        assert_eq!(at(&tsc, u64::MAX), 7_105_565_375_919_554_559);
        assert!(!tsc.is_uncounted());
        assert_eq!(tsc.frequency(), Some(2_596_098_001));
        assert!(Clock::new("x86-tsc", None, 0).is_uncounted());
        assert!(Clock::new("tsc2nsec", Some((1, 64)), 0).scale.is_none());
    }

    #[test]
    fn the_clock_in_brackets() {
        let text = "local global counter uptime perf [mono] mono_raw boot\n";
        assert_eq!(in_use(text), Some("mono"));
        assert_eq!(in_use("local"), None);
        assert_eq!(in_use("[]"), None);
    }
}
