//! What was sent here and received there.

use crate::fleet::Message;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use virtflow_base::Timestamp;

/// Messages that are kept until both ends, and all that would make them ambiguous, were seen.
const OPEN_MAX: usize = 1 << 18;
/// Sightings of one message: it may pass a switch on both machines.
const SEEN_MAX: usize = 4;
/// A message seen again within this time is passing a further device of the same machine; later it
/// is a repetition. The kernel repeats a segment after 200 ms at the earliest (include/net/tcp.h
/// `TCP_RTO_MIN`), a probe of the tail after a round trip.
pub const PASSING_NS: i64 = 1_000_000;

/// Which way a message passed a machine's edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It was sent.
    Sent,
    /// It was received.
    Received,
}

/// One sighting of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// On which machine.
    pub machine: u32,
    /// Which way.
    pub side: Side,
    /// When, on the machine's clock.
    pub time: Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    seen: [Option<Seen>; SEEN_MAX],
    ambiguous: bool,
}

/// Matches sightings by what names a message.
///
/// Of a message that passes several devices of a machine the first sighting counts. A message that
/// was repeated, or that both of two machines sent and received (each may have passed it on), is
/// ambiguous and left out. Memory is bounded: the messages first seen longest ago are closed when
/// there are too many.
#[derive(Debug)]
pub struct Matcher {
    open: FxHashMap<u64, Open>,
    order: VecDeque<u64>,
    open_max: usize,
    ambiguous: u64,
    matched: u64,
}

impl Default for Matcher {
    fn default() -> Self {
        Self::with_room_for(OPEN_MAX)
    }
}

impl Matcher {
    /// Keeps at most so many messages open.
    pub fn with_room_for(messages: usize) -> Self {
        Self {
            open: FxHashMap::default(),
            order: VecDeque::new(),
            open_max: messages.max(1),
            ambiguous: 0,
            matched: 0,
        }
    }

    /// Takes a sighting of message `flow`, and gives the messages that are settled.
    pub fn see(&mut self, flow: u64, seen: Seen, settled: &mut impl FnMut(Message)) {
        if let Some(open) = self.open.get_mut(&flow) {
            return open.see(seen);
        }
        if self.open.len() >= self.open_max
            && let Some(oldest) = self.order.pop_front()
        {
            self.close(oldest, settled);
        }
        let mut open = Open {
            seen: [None; SEEN_MAX],
            ambiguous: false,
        };
        open.see(seen);
        self.open.insert(flow, open);
        self.order.push_back(flow);
    }

    /// Gives the messages that are still open, and what it saw: matched and ambiguous messages.
    pub fn finish(mut self, settled: &mut impl FnMut(Message)) -> (u64, u64) {
        while let Some(oldest) = self.order.pop_front() {
            self.close(oldest, settled);
        }
        (self.matched, self.ambiguous)
    }

    fn close(&mut self, flow: u64, settled: &mut impl FnMut(Message)) {
        let Some(open) = self.open.remove(&flow) else {
            return;
        };
        if open.ambiguous {
            self.ambiguous += 1;
            return;
        }
        let all = |side| {
            let seen = open.seen.iter().flatten();
            seen.filter(move |seen| seen.side == side)
        };
        let has = |machine, side| all(side).any(|seen| seen.machine == machine);
        for sent in all(Side::Sent) {
            for received in all(Side::Received) {
                if sent.machine == received.machine {
                    continue;
                }
                if has(sent.machine, Side::Received) && has(received.machine, Side::Sent) {
                    self.ambiguous += 1;
                    return;
                }
                self.matched += 1;
                settled(Message {
                    from: sent.machine,
                    sent: sent.time,
                    to: received.machine,
                    received: received.time,
                });
            }
        }
    }
}

impl Open {
    fn see(&mut self, seen: Seen) {
        for place in &mut self.seen {
            match place {
                None => return *place = Some(seen),
                Some(first) if first.machine == seen.machine && first.side == seen.side => {
                    let apart = seen.time.since(first.time);
                    self.ambiguous |= apart.saturating_abs() > PASSING_NS;
                    if apart < 0 {
                        first.time = seen.time;
                    }
                    return;
                }
                Some(_) => {}
            }
        }
        self.ambiguous = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(machine: u32, side: Side, time: i64) -> Seen {
        Seen {
            machine,
            side,
            time: Timestamp::from_nanos(time),
        }
    }

    fn matched(room: usize, all: &[(u64, Seen)]) -> (Vec<(u32, i64, u32, i64)>, u64) {
        let mut out = Vec::new();
        let mut take = |m: Message| {
            out.push((m.from, m.sent.as_nanos(), m.to, m.received.as_nanos()));
        };
        let mut matcher = Matcher::with_room_for(room);
        for &(flow, seen) in all {
            matcher.see(flow, seen, &mut take);
        }
        let (_, ambiguous) = matcher.finish(&mut take);
        (out, ambiguous)
    }

    #[test]
    fn the_first_sighting_on_each_side_counts() {
        let all = [
            (7, seen(0, Side::Sent, 100)),
            (7, seen(0, Side::Sent, 150)),
            (7, seen(1, Side::Received, 90)),
            (7, seen(1, Side::Received, 95)),
            (8, seen(1, Side::Sent, 100)),
        ];
        assert_eq!(matched(10, &all), (vec![(0, 100, 1, 90)], 0));
        let reversed: Vec<_> = all.into_iter().rev().collect();
        assert_eq!(matched(10, &reversed), (vec![(0, 100, 1, 90)], 0));
    }

    #[test]
    fn what_is_repeated_or_passed_on_by_both_is_ambiguous() {
        let again = [
            (7, seen(0, Side::Sent, 100)),
            (7, seen(0, Side::Sent, 100 + 200_000_000)),
            (7, seen(1, Side::Received, 90)),
        ];
        assert_eq!(matched(10, &again), (vec![], 1));
        let both = [
            (7, seen(0, Side::Received, 100)),
            (7, seen(0, Side::Sent, 110)),
            (7, seen(1, Side::Received, 120)),
            (7, seen(1, Side::Sent, 130)),
        ];
        assert_eq!(matched(10, &both), (vec![], 1));
        // A machine that passes it on to one that keeps it.
        assert_eq!(matched(10, &both[..3]), (vec![(0, 110, 1, 120)], 0));
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_goes_first() {
        // Each is received when five more were sent.
        let sent = (0..100).map(|flow| (5 * flow, (flow, seen(0, Side::Sent, 1))));
        let received = (0..100).map(|flow| (5 * flow + 27, (flow, seen(1, Side::Received, 2))));
        let mut all: Vec<_> = sent.chain(received).collect();
        all.sort_by_key(|(order, _)| *order);
        let all: Vec<_> = all.into_iter().map(|(_, seen)| seen).collect();
        assert_eq!(matched(6, &all).0.len(), 100);
        assert_eq!(matched(5, &all).0.len(), 0);
    }
}
