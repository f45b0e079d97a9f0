//! Time: nanoseconds since the Unix epoch on the machine's trace clock.

use std::fmt;

/// A moment: signed nanoseconds since the Unix epoch, as the machine's trace clock gives it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest moment that can be told.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest moment that can be told.
    pub const MAX: Self = Self(i64::MAX);

    /// From nanoseconds since the Unix epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Nanoseconds from `earlier` to `self`; negative when `self` is the earlier one. Saturates.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The moment `nanos` nanoseconds later. Saturates.
    #[must_use]
    pub const fn plus(self, nanos: i64) -> Self {
        Self(self.0.saturating_add(nanos))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A half-open stretch of time, `[start, end)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// The first moment inside.
    pub start: Timestamp,
    /// The first moment after it.
    pub end: Timestamp,
}

impl Span {
    /// All of time.
    pub const ALL: Self = Self {
        start: Timestamp::MIN,
        end: Timestamp::MAX,
    };

    /// The span `[start, end)`; empty when `end` is not after `start`.
    pub const fn new(start: Timestamp, end: Timestamp) -> Self {
        Self { start, end }
    }

    /// Its length in nanoseconds; 0 when empty.
    pub const fn nanos(self) -> i64 {
        let n = self.end.since(self.start);
        if n > 0 { n } else { 0 }
    }

    /// Whether no moment lies inside.
    pub const fn is_empty(self) -> bool {
        self.nanos() == 0
    }

    /// Whether `t` lies inside.
    pub fn contains(self, t: Timestamp) -> bool {
        self.start <= t && t < self.end
    }

    /// What both share, if anything.
    #[must_use]
    pub fn intersect(self, other: Self) -> Option<Self> {
        let s = Self::new(self.start.max(other.start), self.end.min(other.end));
        (!s.is_empty()).then_some(s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(a: i64, b: i64) -> Span {
        Span::new(Timestamp::from_nanos(a), Timestamp::from_nanos(b))
    }

    #[test]
    fn spans_are_half_open() {
        assert!(span(1, 3).contains(Timestamp::from_nanos(1)));
        assert!(!span(1, 3).contains(Timestamp::from_nanos(3)));
        assert_eq!(span(1, 3).intersect(span(3, 5)), None);
        assert_eq!(span(1, 4).intersect(span(3, 5)), Some(span(3, 4)));
        assert_eq!(span(5, 1).nanos(), 0);
    }

    #[test]
    fn extremes_do_not_overflow() {
        assert_eq!(Span::ALL.nanos(), i64::MAX);
        assert_eq!(Timestamp::MAX.plus(1), Timestamp::MAX);
    }
}
