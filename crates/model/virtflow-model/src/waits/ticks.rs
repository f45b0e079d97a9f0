//! Whose timer a guest's clock was armed for: the kernel's tick, or somebody's own.
//!
//! A guest in TSC-deadline mode writes the moment of its next timer to a register, which exits. A
//! kernel's ticks lie on a grid; a timer that somebody set (a sleep, a time-out) lies anywhere. A
//! timer interrupt off the grid therefore ends somebody's wait, one on the grid mostly does not.
//! Which of the frequencies that Linux can be built with the grid has, and its phase, are learnt
//! from the deadlines; without a grid nothing is told.

use virtflow_base::Timestamp;

/// The periods of the ticks that Linux can be built with, in nanoseconds (kernel/Kconfig.hz).
const PERIODS: [i64; 4] = [1_000_000, 3_333_333, 4_000_000, 10_000_000];
/// Deadlines that are compared with each new one.
const RECENT: usize = 6;
/// Votes that make a period sure, and the most that are counted.
const VOTES: u32 = 8;
const VOTES_MAX: u32 = 64;
/// Two ticks are apart by their period, give or take this share of it: what is not known of the
/// TSC's frequency.
const APART_SHARE: u64 = 64;
/// Ticks are late or early by this share of their period, at most.
const LATE_SHARE: u64 = 64;
/// How long the clock must have been watched for its frequency to be known (nanoseconds).
const WATCHED: i64 = 50_000_000;

/// The moment for which a guest's processor armed its clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Deadline {
    /// The first time that it armed its clock, and for what reading of its TSC.
    first: Option<(Timestamp, u64)>,
    recent: [u64; RECENT],
    next: usize,
    /// Pairs of deadlines that are apart by each of the periods.
    votes: [u32; PERIODS.len()],
    /// A deadline on the grid, and how far it was from the one before.
    tick: u64,
    period: u64,
    kind: Kind,
}

/// What the clock is armed for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Unknown,
    Tick,
    Own,
}

impl Deadline {
    /// At `t` the guest armed its clock for this reading of its TSC.
    pub(crate) fn armed(&mut self, t: Timestamp, tsc: u64) {
        // Once more for the same moment: nothing new of the grid.
        if !self.recent.contains(&tsc) {
            self.vote(t, tsc);
            self.recent[self.next] = tsc;
            self.next = (self.next + 1) % RECENT;
        }
        self.kind = self.kind_of(tsc);
        if self.kind == Kind::Tick {
            self.tick = tsc;
        }
    }

    /// What a period in nanoseconds is in the guest's TSC.
    fn cycles(&self, t: Timestamp, tsc: u64, nanos: i64) -> Option<u64> {
        let (since, from) = self.first?;
        let watched = t.since(since);
        if watched < WATCHED {
            return None;
        }
        let cycles = i128::from(tsc.wrapping_sub(from)) * i128::from(nanos) / i128::from(watched);
        u64::try_from(cycles).ok().filter(|cycles| *cycles > 0)
    }

    fn vote(&mut self, t: Timestamp, tsc: u64) {
        if self.first.is_none() {
            self.first = Some((t, tsc));
        }
        let most = self.votes.iter().copied().max().unwrap_or(0);
        for (at, nanos) in PERIODS.into_iter().enumerate() {
            let Some(period) = self.cycles(t, tsc, nanos) else {
                return;
            };
            let apart = |before: &u64| {
                let apart = tsc.wrapping_sub(*before);
                (apart.abs_diff(period) <= period / APART_SHARE).then_some(apart)
            };
            let Some(apart) = self.recent.iter().find_map(apart) else {
                continue;
            };
            self.votes[at] += 1;
            if self.votes[at] >= VOTES.max(most) {
                (self.tick, self.period) = (tsc, apart);
            }
        }
        if most >= VOTES_MAX {
            self.votes.iter_mut().for_each(|votes| *votes /= 2);
        }
    }

    fn kind_of(&self, tsc: u64) -> Kind {
        if self.period == 0 {
            return Kind::Unknown;
        }
        let off = tsc.abs_diff(self.tick) % self.period;
        if off.min(self.period - off) <= self.period / LATE_SHARE {
            Kind::Tick
        } else {
            Kind::Own
        }
    }

    /// Whether it was armed for a timer that is no tick.
    pub(crate) fn is_own(&self) -> bool {
        self.kind == Kind::Own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number that has nothing to do with the one before (Marsaglia's xorshift).
    fn chance(state: &mut u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state
    }

    #[test]
    fn ticks_are_told_from_timers_between_them() {
        // 250 Hz, and a TSC of 2.596 GHz.
        let (mut deadline, mut state, mut own) = (Deadline::default(), 88_172_645, 0);
        for n in 0..300_u32 {
            let (t, tick) = (i64::from(n) * 4_000_000, u64::from(n) * 10_384_432);
            deadline.armed(Timestamp::from_nanos(t), 1_000_000 + tick);
            assert!(n < 100 || !deadline.is_own(), "tick {n}");
            // Somebody sleeps for times that have nothing to do with ticks.
            let sleep = 600_000 + chance(&mut state) % 9_000_000;
            deadline.armed(Timestamp::from_nanos(t + 300_000), 1_000_000 + tick + sleep);
            own += u32::from(n >= 100 && deadline.is_own());
        }
        assert!(own > 190, "{own} of 200");
    }

    #[test]
    fn without_a_grid_nothing_is_told() {
        let (mut deadline, mut state, mut t) = (Deadline::default(), 88_172_645, 0);
        for _ in 0..300 {
            t += 1_200_000 + i64::try_from(chance(&mut state) % 50_000_000).unwrap();
            deadline.armed(Timestamp::from_nanos(t), u64::try_from(t).unwrap() * 3);
            assert!(!deadline.is_own());
        }
    }
}
