//! A clock that is told by what happens only while somebody else lets it.
//!
//! What a guest's processor does, it does while its vCPU is in guest mode: after an entry and before
//! the exit that follows. Moments on the guest's clock and spans on the host's so tell by how much
//! the clocks differ: of all shifts, the right one puts every moment into some span. A wrong one puts
//! about as many outside as the vCPU is out of guest mode. That needs no mark in the guest and no
//! event of a particular kind; an interrupt's injection with the entry that delivers it, beside the
//! guest's handler of it, is a special case.

use virtflow_base::{Span, Timestamp};

/// A shift so close to another may be the same one.
const NEAR_NS: i64 = 1_000_000;
/// The narrowest bin of shifts, as a power of two in nanoseconds.
const BIN_BITS_MIN: u32 = 10;
/// The most bins.
const BINS_MAX: i64 = 1 << 23;
/// The most bins that are looked into.
const LOOKS_MAX: usize = 2_048;

/// The moments of one processor on a clock, and when they may have happened on another, in order and
/// apart.
#[derive(Clone, Copy, Debug)]
pub struct Bounded<'a> {
    /// When it was let.
    pub spans: &'a [Span],
    /// What it did.
    pub moments: &'a [Timestamp],
}

/// Shifts from the moments' clock to the spans' that put most moments into a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    /// The least of them.
    pub low: i64,
    /// The greatest.
    pub high: i64,
    /// How many moments they put into a span.
    pub inside: usize,
    /// Of how many.
    pub moments: usize,
    /// The most that another shift puts into a span, if any was tried; at least.
    pub elsewhere: usize,
}

impl Fit {
    /// Halfway.
    pub const fn middle(&self) -> i64 {
        i64::midpoint(self.low, self.high)
    }

    /// How many moments are outside.
    pub const fn outside(&self) -> usize {
        self.moments - self.inside
    }

    /// Whether it can be no other shift: there are enough moments, next to all are inside, and by
    /// any other shift many more would not be.
    pub const fn is_certain(&self) -> bool {
        let otherwise = self.moments.saturating_sub(self.elsewhere);
        self.moments >= 100 && self.fits() && otherwise >= 10 + 5 * self.outside()
    }

    /// Whether next to all moments are inside. The few others are forgiven: entries get lost.
    pub const fn fits(&self) -> bool {
        self.outside() * 50 <= self.moments
    }
}

/// The best of the shifts from `from` to `to`, in time that grows with the moments times the spans in
/// reach; `None` if there is none.
pub fn search(bounded: Bounded<'_>, from: i64, to: i64) -> Option<Fit> {
    let width = i128::from(to) - i128::from(from) + 1;
    if width <= 0 {
        return None;
    }
    let mut bits = BIN_BITS_MIN;
    while width >> bits >= i128::from(BINS_MAX) {
        bits += 1;
    }
    let bins = bins(bounded, from, to, bits);
    let mut order: Vec<usize> = (0..bins.len()).filter(|&bin| bins[bin] > 0).collect();
    let looks = order.len().min(LOOKS_MAX);
    if looks < order.len() {
        order.select_nth_unstable_by_key(looks, |&bin| std::cmp::Reverse((bins[bin], bin)));
    }
    // No bin that is not looked into has more.
    let rest = order.get(looks).map_or(0, |&bin| bins[bin]);
    order.truncate(looks);
    order.sort_unstable_by_key(|&bin| std::cmp::Reverse((bins[bin], bin)));
    let mut seen: Vec<Fit> = Vec::new();
    for bin in order {
        let low = from.saturating_add((bin as i64) << bits);
        let high = low.saturating_add((1 << bits) - 1).min(to);
        seen.extend(narrow(&[bounded], low, high));
    }
    let inside = seen.iter().map(|fit| fit.inside).max()?;
    let mut best: Option<Fit> = None;
    for fit in seen.iter().filter(|fit| fit.inside == inside) {
        let best = best.get_or_insert(*fit);
        if fit.low <= best.high.saturating_add(NEAR_NS)
            && best.low <= fit.high.saturating_add(NEAR_NS)
        {
            (best.low, best.high) = (best.low.min(fit.low), best.high.max(fit.high));
        }
    }
    let mut best = best?;
    let apart = |fit: &&Fit| {
        fit.low > best.high.saturating_add(NEAR_NS) || fit.high < best.low.saturating_sub(NEAR_NS)
    };
    let elsewhere = seen.iter().filter(apart).map(|fit| fit.inside).max();
    best.elsewhere = elsewhere.unwrap_or(0).max(rest as usize);
    Some(best)
}

/// How many moments the shifts of each bin put into a span at most.
fn bins(bounded: Bounded<'_>, from: i64, to: i64, bits: u32) -> Vec<u32> {
    let bin = |shift: i64| (i128::from(shift) - i128::from(from)) >> bits;
    let count = usize::try_from(bin(to)).map_or(0, |last| last + 1);
    let mut change = vec![0_i32; count + 1];
    for moment in bounded.moments {
        // Spans of one moment count once in a bin.
        let mut next = 0_usize;
        for (low, high) in shifts(bounded.spans, *moment, from, to) {
            let first = usize::try_from(bin(low)).unwrap_or(0).max(next);
            next = usize::try_from(bin(high)).map_or(0, |last| last + 1);
            if first < next {
                change[first] += 1;
                change[next] -= 1;
            }
        }
    }
    let mut sum = 0_i32;
    change.truncate(count);
    let bins = change.into_iter().map(|change| {
        sum += change;
        sum.unsigned_abs()
    });
    bins.collect()
}

/// The shifts between `from` and `to` that put a moment into each span, first and last.
fn shifts(
    spans: &[Span],
    moment: Timestamp,
    from: i64,
    to: i64,
) -> impl Iterator<Item = (i64, i64)> {
    let (first, last) = (moment.plus(from), moment.plus(to));
    let begin = spans.partition_point(|span| span.end < first);
    let within = spans.get(begin..).unwrap_or_default().iter();
    within
        .take_while(move |span| span.start <= last)
        .map(move |span| {
            let low = span.start.since(moment).max(from);
            (low, span.end.since(moment).min(to))
        })
}

/// The best of the shifts from `from` to `to` for several processors at once, which should be few
/// shifts; nothing is said of others.
pub fn narrow(all: &[Bounded<'_>], from: i64, to: i64) -> Option<Fit> {
    let moments = all.iter().map(|bounded| bounded.moments.len()).sum();
    // Where a moment comes into a span and where it leaves it: comings before leavings.
    let mut turns: Vec<(i64, bool)> = Vec::new();
    for bounded in all {
        for moment in bounded.moments {
            let mut reached = i64::MIN;
            for (low, high) in shifts(bounded.spans, *moment, from, to) {
                // A moment where a span ends and the next begins is in one of them.
                let low = low.max(reached);
                reached = high.saturating_add(1);
                if low <= high {
                    turns.extend([(low, false), (high, true)]);
                }
            }
        }
    }
    turns.sort_unstable();
    let (mut inside, mut most) = (0_usize, 0);
    let mut best: Option<(i64, i64)> = None;
    let mut open = false;
    for (shift, leaves) in turns {
        if leaves {
            if open && inside == most {
                best = best.map(|(low, _)| (low, shift));
                open = false;
            }
            inside -= 1;
            continue;
        }
        inside += 1;
        if inside > most {
            (most, best) = (inside, Some((shift, shift)));
            open = true;
        } else if inside == most {
            open = true;
        }
    }
    let (low, high) = best?;
    Some(Fit {
        low,
        high,
        inside: most,
        moments,
        elsewhere: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(nanos: i64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    fn spans(ends: &[(i64, i64)]) -> Vec<Span> {
        let spans = ends.iter().map(|&(a, b)| Span::new(at(a), at(b)));
        spans.collect()
    }

    #[test]
    fn all_shifts_that_fit_are_told() {
        let spans = spans(&[(100, 200), (300, 320), (1_000, 1_500)]);
        let moments: Vec<_> = [60, 240, 955].into_iter().map(at).collect();
        let bounded = Bounded {
            spans: &spans,
            moments: &moments,
        };
        let fit = narrow(&[bounded], -500, 500).unwrap();
        assert_eq!((fit.low, fit.high, fit.inside), (60, 80, 3));
        assert_eq!(search(bounded, -500, 500).unwrap().middle(), 70);
        assert_eq!(narrow(&[bounded], 61, 62).map(|fit| fit.low), Some(61));
        assert_eq!(narrow(&[bounded], -5_000, -4_000), None);
        assert_eq!(search(bounded, 2, 1), None);
    }

    #[test]
    fn a_clockwork_is_no_evidence() {
        // Every shift by a whole number of ticks fits as well, but for the ends.
        let ticks = || (0..1_000_i64).map(|tick| tick * 4_000_000);
        let spans: Vec<_> = ticks()
            .map(|tick| Span::new(at(tick), at(tick + 3_990_000)))
            .collect();
        let moments: Vec<_> = ticks()
            .skip(300)
            .take(400)
            .map(|tick| at(tick + 5))
            .collect();
        let bounded = Bounded {
            spans: &spans,
            moments: &moments,
        };
        let fit = search(bounded, -100_000_000, 100_000_000).unwrap();
        assert_eq!((fit.inside, fit.elsewhere), (400, 400));
        assert!(!fit.is_certain());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn the_true_shift_is_found(
            lengths in prop::collection::vec((1_000_i64..900_000, 2_000_i64..900_000, 0_i64..1_000), 200..300),
            shift in -40_000_000_i64..40_000_000,
        ) {
            let (mut now, mut all, mut moments) = (0, Vec::new(), Vec::new());
            for (inside, outside, part) in lengths {
                all.push(Span::new(at(now), at(now + inside)));
                moments.push(at(now + inside * part / 1_000 - shift));
                now += inside + outside;
            }
            let bounded = Bounded { spans: &all, moments: &moments };
            let fit = search(bounded, -50_000_000, 50_000_000).unwrap();
            prop_assert_eq!(fit.inside, moments.len());
            prop_assert!(fit.is_certain());
            prop_assert!(fit.low <= shift && shift <= fit.high, "{} in {:?}", shift, fit);
            // Of another vCPU, nothing is certain.
            let other: Vec<_> = all.iter().rev().map(|s| {
                Span::new(at(now - s.end.as_nanos()), at(now - s.start.as_nanos()))
            }).collect();
            let fit = search(Bounded { spans: &other, moments: &moments }, -50_000_000, 50_000_000);
            prop_assert!(fit.is_none_or(|fit| !fit.is_certain()));
        }
    }
}
