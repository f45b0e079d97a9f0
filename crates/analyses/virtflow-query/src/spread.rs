//! How long and how often.

use hdrhistogram::Histogram;

/// A sum of durations and how many they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Nanoseconds.
    pub ns: i64,
    /// Intervals.
    pub count: u64,
}

impl Total {
    /// Adds one more stretch.
    pub const fn add(&mut self, ns: i64) {
        self.ns = self.ns.saturating_add(ns);
        self.count += 1;
    }

    /// Adds another total.
    pub const fn merge(&mut self, other: Self) {
        self.ns = self.ns.saturating_add(other.ns);
        self.count += other.count;
    }

    /// The mean in nanoseconds, 0 of none.
    pub fn mean(&self) -> i64 {
        self.ns / i64::try_from(self.count.max(1)).unwrap_or(i64::MAX)
    }
}

/// Durations added up; a trace's clock may say anything, so the sum stops at the largest number.
pub(crate) fn sum_ns(durations: impl IntoIterator<Item = i64>) -> i64 {
    durations.into_iter().fold(0, i64::saturating_add)
}

/// How good the quantiles of a [`Spread`] are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// To 1 %: for virtual processors.
    Fine,
    /// To 10 %: for processes, of which there may be thousands.
    Coarse,
}

/// Durations with their spread: a total, a histogram and the longest one.
#[derive(Clone, Debug)]
pub struct Spread {
    /// The sum.
    pub total: Total,
    /// The longest, in nanoseconds.
    pub max_ns: i64,
    /// The shortest; the largest number of none.
    min_ns: i64,
    /// `None` only if the histogram could not be made, which its constants rule out.
    histogram: Option<Histogram<u32>>,
}

impl Spread {
    /// Of nothing yet.
    pub fn new(precision: Precision) -> Self {
        let digits = if precision == Precision::Fine { 2 } else { 1 };
        Self {
            total: Total::default(),
            max_ns: 0,
            min_ns: i64::MAX,
            histogram: Histogram::new(digits).ok(),
        }
    }

    /// Adds one more duration.
    pub fn add(&mut self, ns: i64) {
        self.total.add(ns);
        self.max_ns = self.max_ns.max(ns);
        self.min_ns = self.min_ns.min(ns);
        if let Some(histogram) = &mut self.histogram {
            // It resizes itself: only a value beyond 2^63 would not fit.
            let _ = histogram.record(u64::try_from(ns).unwrap_or(0).max(1));
        }
    }

    /// The duration below which this share (0 to 1) of them lies, in nanoseconds, as precisely as [`Precision`]
    /// says; none is shorter than the shortest or longer than the longest.
    pub fn quantile(&self, share: f64) -> i64 {
        let at = self
            .histogram
            .as_ref()
            .map_or(0, |h| h.value_at_quantile(share));
        let at = i64::try_from(at).unwrap_or(i64::MAX);
        at.max(self.min_ns).min(self.max_ns)
    }

    /// Adds another's durations to these.
    pub fn merge(&mut self, other: &Self) {
        self.total.merge(other.total);
        self.max_ns = self.max_ns.max(other.max_ns);
        self.min_ns = self.min_ns.min(other.min_ns);
        if let (Some(histogram), Some(other)) = (&mut self.histogram, &other.histogram) {
            // It resizes itself, so that any value fits.
            let _ = histogram.add(other);
        }
    }

    /// All of `spreads` together.
    pub fn sum<'a>(spreads: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut all = Self::new(Precision::Fine);
        for spread in spreads {
            all.merge(spread);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_close_and_never_beyond_the_longest() {
        let mut spread = Spread::new(Precision::Fine);
        (1..=1000).for_each(|ms| spread.add(ms * 1_000_000));
        let p50 = spread.quantile(0.5);
        assert!((p50 - 500_000_000).abs() < 5_000_000, "{p50}");
        assert_eq!(spread.quantile(1.0), 1_000_000_000);
        assert_eq!(spread.total.mean(), 500_500_000);
        let mut both = Spread::new(Precision::Coarse);
        both.merge(&spread);
        both.add(-5);
        assert_eq!(both.total.count, 1001);
        assert_eq!(Spread::new(Precision::Fine).quantile(0.99), 0);
        // Of one it is that one, also where those of processes are summed.
        let mut one = Spread::new(Precision::Coarse);
        one.add(1_260_169_900);
        let all = Spread::sum([&one, &Spread::new(Precision::Coarse)]);
        let each = [&one, &all].map(|s| [s.quantile(0.5), s.quantile(0.99)]);
        assert_eq!(each, [[1_260_169_900; 2]; 2]);
    }
}
