//! Edges between machines: which thread of one woke which of another by a segment.

use crate::clocks::ClockAlignment;
use crate::pipeline::Outcome;
use virtflow_base::{Edge, EntityId, Timestamp};
use virtflow_events::Recording;
use virtflow_model::{Confidence, EdgeKind, Evidence, Options, Queued, Segments, Woke};
use virtflow_sync::PASSING_NS;

/// TCP segments that are noted of all machines together, to find out whom they woke on the others:
/// a hundred megabytes.
const SEGMENTS_NOTED_MAX: usize = 1 << 22;

/// How many segments are noted of each of so many machines. Nobody else is there whom those of a single
/// one could wake.
pub(super) fn noting(machines: usize, options: &Options) -> Options {
    let segments = match machines {
        0 | 1 => 0,
        several => SEGMENTS_NOTED_MAX / several,
    };
    Options {
        segments,
        ..options.clone()
    }
}

/// What was noted of one machine.
#[derive(Debug)]
pub(super) struct Noted {
    /// The number of its first entity among those of all machines.
    first: u32,
    /// Whether its times can be compared with the others'.
    comparable: bool,
    /// What was sent is in the order of names.
    segments: Segments,
}

impl Noted {
    /// Takes what a pass noted of a machine whose entities begin with number `first`.
    pub(super) fn of(
        recording: &Recording,
        machine: usize,
        first: u32,
        outcome: &mut Outcome,
    ) -> Self {
        let clock = ClockAlignment::of(recording, machine);
        Self::new(
            first,
            clock.is_none_or(|clock| clock.is_known()),
            std::mem::take(&mut outcome.segments),
        )
    }

    fn new(first: u32, comparable: bool, mut segments: Segments) -> Self {
        segments.queued.sort_unstable();
        Self {
            first,
            comparable,
            segments,
        }
    }

    /// When, and by whom, a segment was sent, in the order of time.
    fn sent(&self, flow: u64) -> &[Queued] {
        let queued = &self.segments.queued;
        let begin = queued.partition_point(|one| one.flow < flow);
        let rest = queued.get(begin..).unwrap_or_default();
        let same = rest.partition_point(|one| one.flow == flow);
        rest.get(..same).unwrap_or_default()
    }

    const fn own(&self, entity: EntityId) -> EntityId {
        EntityId(self.first.saturating_add(entity.0))
    }
}

/// Gives the edges from whoever sent a segment to whom it woke on another machine, by the machine that
/// they end on and in the order of time.
///
/// There is none where a segment was sent more than once, where it was sent by no thread, where
/// clocks cannot be compared or show it received before it was sent, and from when on there was no
/// room to note what was sent.
pub(super) fn edges_between(all: &[Noted], mut each: impl FnMut(&Edge)) {
    let full_at = all.iter().filter_map(|one| one.segments.full_at).min();
    for (to, receiver) in all.iter().enumerate() {
        if !receiver.comparable {
            continue;
        }
        for woke in &receiver.segments.woke {
            // What was sent since may be what came in.
            if full_at.is_some_and(|full| full <= woke.received) {
                continue;
            }
            let Some((from, sent)) = sender(all, to, woke) else {
                continue;
            };
            if sent > woke.received || sent >= woke.at {
                continue;
            }
            each(&Edge {
                from,
                from_time: sent,
                to: receiver.own(woke.woken),
                to_time: woke.at,
                kind: EdgeKind::Packet.code(),
                confidence: Confidence::Likely.code(),
                evidence: Evidence::Segment.code(),
            });
        }
    }
}

/// Who sent a segment, as an entity among those of all machines, and when.
fn sender(all: &[Noted], to: usize, woke: &Woke) -> Option<(EntityId, Timestamp)> {
    let mut found = None;
    for (machine, noted) in all.iter().enumerate() {
        let sent = noted.sent(woke.flow);
        let (Some(first), Some(last)) = (sent.first(), sent.last()) else {
            continue;
        };
        if machine == to {
            // It may pass it on, but not before it has it.
            if first.at <= woke.received {
                return None;
            }
            continue;
        }
        // Within that time it passes several devices of the machine.
        let again = last.at.since(first.at) > PASSING_NS;
        if again || found.is_some() || !noted.comparable {
            return None;
        }
        found = Some((noted.own(first.by?), first.at));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(nanos: i64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    fn sent(flow: u64, nanos: i64, by: Option<u32>) -> Queued {
        Queued {
            flow,
            at: at(nanos),
            by: by.map(EntityId),
        }
    }

    fn woke(flow: u64, received: i64, woken: u32) -> Woke {
        Woke {
            flow,
            received: at(received),
            woken: EntityId(woken),
            at: at(received + 5),
        }
    }

    fn noted(first: u32, queued: &[Queued], woke: &[Woke]) -> Noted {
        let mut segments = Segments::default();
        segments.queued.extend_from_slice(queued);
        segments.woke.extend_from_slice(woke);
        Noted::new(first, true, segments)
    }

    fn edges(all: &[Noted]) -> Vec<(u32, i64, u32, i64)> {
        let mut out = Vec::new();
        edges_between(all, |edge| {
            let (from, to) = (edge.from_time.as_nanos(), edge.to_time.as_nanos());
            out.push((edge.from.0, from, edge.to.0, to));
        });
        out
    }

    #[test]
    fn whoever_sent_it_woke_who_waited_for_it() {
        let a = noted(0, &[sent(9, 50, Some(1)), sent(7, 100, Some(3))], &[]);
        let b = noted(10, &[], &[woke(7, 120, 4), woke(8, 130, 4)]);
        let found = vec![(3, 100, 14, 125)];
        assert_eq!(edges(&[a, b]), found);
        // The other way round, and through a second device.
        let a = noted(0, &[], &[woke(7, 120, 4)]);
        let b = noted(10, &[sent(7, 100, Some(3)), sent(7, 103, None)], &[]);
        assert_eq!(edges(&[a, b]), vec![(13, 100, 4, 125)]);
        // Received by who passes it on, to a guest of its own.
        let a = noted(0, &[sent(7, 100, Some(3))], &[]);
        let b = noted(10, &[sent(7, 123, None)], &[woke(7, 120, 4)]);
        assert_eq!(edges(&[a, b]), found);
    }

    #[test]
    fn what_was_sent_again_or_by_others_or_too_late_is_nobodys() {
        let receiver = || noted(10, &[], &[woke(7, 5_000_000, 4)]);
        let none = |all: &[Noted]| assert_eq!(edges(all), vec![]);
        let again = [sent(7, 100, Some(3)), sent(7, 4_000_000, None)];
        none(&[noted(0, &again, &[]), receiver()]);
        let first = || noted(0, &[sent(7, 100, Some(3))], &[]);
        assert_eq!(edges(&[first(), receiver()]).len(), 1);
        none(&[first(), receiver(), noted(20, &[sent(7, 90, None)], &[])]);
        none(&[noted(0, &[sent(7, 100, None)], &[]), receiver()]);
        none(&[noted(0, &[sent(7, 5_000_001, Some(3))], &[]), receiver()]);
        let back = noted(10, &[sent(7, 200, None)], &[woke(7, 5_000_000, 4)]);
        none(&[first(), back]);
    }

    #[test]
    fn clocks_that_are_not_known_and_notes_that_are_not_whole_make_no_edge() {
        let sender = |comparable| Noted {
            comparable,
            ..noted(0, &[sent(7, 100, Some(3))], &[])
        };
        let receiver = |comparable| Noted {
            comparable,
            ..noted(10, &[], &[woke(7, 120, 4)])
        };
        assert_eq!(edges(&[sender(true), receiver(true)]).len(), 1);
        assert_eq!(edges(&[sender(false), receiver(true)]), vec![]);
        assert_eq!(edges(&[sender(true), receiver(false)]), vec![]);
        for (full, count) in [(121, 1), (120, 0), (90, 0)] {
            let mut sender = sender(true);
            sender.segments.full_at = Some(at(full));
            assert_eq!(edges(&[sender, receiver(true)]).len(), count);
        }
    }
}
