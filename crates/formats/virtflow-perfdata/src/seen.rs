//! What was seen of each processor: when its events begin and end, and what was lost.

use std::collections::BTreeMap;

use virtflow_base::{CpuId, Loss, LossKind, Span, StreamCoverage};

use crate::clock::Clock;

/// The most processors.
const CPUS_MAX: usize = 1 << 16;
/// The most losses that are told apart; what else is lost is added to the last one of its processor.
const LOSSES_MAX: usize = 1 << 20;

/// A loss by the file's own time stamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) kind: LossKind,
}

impl Gap {
    const fn new(from: u64, to: u64, kind: LossKind) -> Self {
        Self { from, to, kind }
    }
}

/// Adds the loss of a number; where there are too many, to the last one.
fn note(gaps: &mut Vec<Gap>, number: usize, gap: Gap) {
    match gaps.last_mut() {
        Some(last) if number >= LOSSES_MAX => {
            last.to = last.to.max(gap.to);
            if let (LossKind::Events(count), LossKind::Events(more)) = (&mut last.kind, gap.kind) {
                *count = count.saturating_add(more);
            }
        }
        _ => gaps.push(gap),
    }
}

/// What was seen of one processor.
#[derive(Debug, Default)]
struct Seen {
    /// Its first and its last event.
    ends: Option<(u64, u64)>,
    /// The latest that any record of its says.
    heard: u64,
    gaps: Vec<Gap>,
    /// Since when an event of its is held back.
    throttled: Option<u64>,
    /// How often records could not be read until it was last heard of.
    torn: u64,
}

/// What was seen of all.
#[derive(Debug, Default)]
pub(crate) struct Cpus {
    all: BTreeMap<u32, Seen>,
    /// What was lost of nobody knows which.
    nobodys: Vec<Gap>,
    gaps: usize,
    /// How often records could not be read.
    torn: u64,
}

impl Cpus {
    /// That of a processor; `None` where there are too many.
    fn seen(&mut self, cpu: u32) -> Option<&mut Seen> {
        if self.all.len() >= CPUS_MAX && !self.all.contains_key(&cpu) {
            return None;
        }
        Some(self.all.entry(cpu).or_default())
    }

    /// Notes a processor that was recorded, with or without events.
    pub(crate) fn add(&mut self, cpu: u32) {
        let _ = self.seen(cpu);
    }

    /// Notes an event; false where there are too many processors.
    pub(crate) fn event(&mut self, cpu: u32, time: u64) -> bool {
        let (torn, number) = (self.torn, self.gaps);
        let Some(seen) = self.seen(cpu) else {
            return false;
        };
        if std::mem::replace(&mut seen.torn, torn) != torn {
            let from = seen.heard.min(time);
            let gap = Gap::new(from, time, LossKind::Unreadable);
            note(&mut seen.gaps, number, gap);
            self.gaps = number + 1;
            return self.event(cpu, time);
        }
        let (first, last) = seen.ends.unwrap_or((time, time));
        seen.ends = Some((first.min(time), last.max(time)));
        seen.heard = seen.heard.max(time);
        true
    }

    /// Notes that records could not be read: of each processor until it is heard of again.
    pub(crate) const fn torn(&mut self) {
        self.torn += 1;
    }

    /// Notes that events were lost up to `time`: since the latest that was heard before.
    pub(crate) fn lost(&mut self, cpu: Option<u32>, time: u64, kind: LossKind) {
        let number = self.gaps;
        self.gaps += 1;
        match cpu.and_then(|cpu| self.seen(cpu)) {
            Some(seen) => {
                let from = seen.heard.min(time);
                seen.heard = seen.heard.max(time);
                note(&mut seen.gaps, number, Gap::new(from, time, kind));
            }
            None => note(&mut self.nobodys, number, Gap::new(0, time, kind)),
        }
    }

    /// Notes that an event is held back from now on, or no longer.
    pub(crate) fn throttled(&mut self, cpu: u32, time: u64, begins: bool) {
        let number = self.gaps;
        self.gaps += 1;
        let Some(seen) = self.seen(cpu) else {
            return;
        };
        if begins {
            seen.throttled = seen.throttled.or(Some(time));
        } else if let Some(from) = seen.throttled.take() {
            let gap = Gap::new(from, time, LossKind::Packets(1));
            note(&mut seen.gaps, number, gap);
        }
    }

    /// The processors by number.
    pub(crate) fn numbers(&self) -> Vec<u32> {
        self.all.keys().copied().collect()
    }

    /// What streams cover: all of them from the first event to the last of any, for they are turned
    /// on and off at once.
    pub(crate) fn cover(&self, clock: &Clock) -> Vec<StreamCoverage> {
        let ends = self.all.values().filter_map(|seen| seen.ends);
        let ends = ends.reduce(|(a, b), (first, last)| (a.min(first), b.max(last)));
        let Some((first, last)) = ends else {
            let empty = |(cpu, _): (&u32, &Seen)| StreamCoverage {
                cpu: Some(CpuId(*cpu)),
                span: None,
                losses: Vec::new(),
            };
            return self.all.iter().map(empty).collect();
        };
        // The last event lies inside.
        let span = Span::new(clock.time(first), clock.time(last).plus(1));
        let inside = |gap: &Gap| Loss {
            span: Span::new(
                clock.time(gap.from).max(span.start).min(span.end),
                clock.time(gap.to).max(span.start).min(span.end),
            ),
            kind: gap.kind,
        };
        let nobodys = self.nobodys.iter().map(|gap| gap.to).max();
        let mut all = Vec::with_capacity(self.all.len());
        for (cpu, seen) in &self.all {
            let mut gaps = seen.gaps.clone();
            let held_back = seen.throttled.into_iter();
            gaps.extend(held_back.map(|from| Gap::new(from, u64::MAX, LossKind::Packets(1))));
            let torn = (seen.torn != self.torn).then_some(seen.heard).into_iter();
            gaps.extend(torn.map(|from| Gap::new(from, u64::MAX, LossKind::Unreadable)));
            // It may have been this one's.
            gaps.extend(nobodys.map(|to| Gap::new(0, to, LossKind::Unreadable)));
            gaps.sort_by_key(|gap| gap.from);
            all.push(StreamCoverage {
                cpu: Some(CpuId(*cpu)),
                span: Some(span),
                losses: gaps.iter().map(inside).collect(),
            });
        }
        if !self.nobodys.is_empty() {
            all.push(StreamCoverage {
                cpu: None,
                span: Some(span),
                losses: self.nobodys.iter().map(inside).collect(),
            });
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Lost = (i64, i64, LossKind);

    fn told(cpus: &Cpus) -> Vec<(Option<u32>, Vec<Lost>)> {
        let clock = Clock::new(None, None);
        let all = cpus.cover(&clock).into_iter().map(|one| {
            let losses = one.losses.iter().map(|loss| {
                let (from, to) = (loss.span.start.as_nanos(), loss.span.end.as_nanos());
                (from, to, loss.kind)
            });
            (one.cpu.map(|cpu| cpu.0), losses.collect())
        });
        all.collect()
    }

    #[test]
    fn losses_fall_between_what_was_heard() {
        let mut cpus = Cpus::default();
        cpus.add(2);
        cpus.event(0, 100);
        cpus.event(0, 200);
        cpus.event(1, 50);
        cpus.lost(Some(0), 300, LossKind::Events(7));
        cpus.lost(Some(0), 320, LossKind::Events(1));
        cpus.event(0, 400);
        cpus.lost(None, 250, LossKind::Events(2));
        cpus.throttled(1, 60, true);
        cpus.throttled(1, 70, true);
        cpus.throttled(1, 90, false);
        let (seven, one) = (LossKind::Events(7), LossKind::Events(1));
        let held = (60, 90, LossKind::Packets(1));
        let nobodys = (50, 250, LossKind::Unreadable);
        let expected = vec![
            (Some(0), vec![nobodys, (200, 300, seven), (300, 320, one)]),
            (Some(1), vec![nobodys, held]),
            (Some(2), vec![nobodys]),
            (None, vec![(50, 250, LossKind::Events(2))]),
        ];
        assert_eq!(told(&cpus), expected);
        cpus.torn();
        let cut = told(&cpus);
        assert_eq!(cut[0].1.last(), Some(&(400, 401, LossKind::Unreadable)));
        assert_eq!(cut[1].1[1], (50, 401, LossKind::Unreadable));
        assert_eq!(cut[2].1, [(50, 401, LossKind::Unreadable), nobodys]);
    }

    #[test]
    fn what_could_not_be_read_ends_where_a_processor_is_heard_of_again() {
        let mut cpus = Cpus::default();
        cpus.event(0, 100);
        cpus.event(1, 110);
        cpus.torn();
        cpus.torn();
        cpus.event(0, 200);
        cpus.event(2, 210);
        cpus.event(0, 300);
        let unread = |from, to| vec![(from, to, LossKind::Unreadable)];
        let expected = [
            (Some(0), unread(100, 200)),
            (Some(1), unread(110, 301)),
            (Some(2), unread(100, 210)),
        ];
        assert_eq!(told(&cpus), expected);
    }

    #[test]
    fn nothing_covers_nothing() {
        let mut cpus = Cpus::default();
        cpus.add(3);
        assert_eq!(cpus.cover(&Clock::new(None, None))[0].span, None);
    }
}
