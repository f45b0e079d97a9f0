//! What a stream saw, and what it lost.
//!
//! A packet's discarded-events counter counts all events its stream had lost when the packet was
//! closed. Events it counts beyond the previous packet's counter were therefore lost between the
//! end of that packet and the end of this one; those the first packet counts, while it was open.
//! This is also how babeltrace2 tells it.

use virtflow_base::{CpuId, Loss, LossKind, Span, StreamCoverage, Timestamp};

use super::Packet;

/// Something in a stream's files that is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hole {
    /// Before the packet of this number, or behind the last one, are bytes that are no packet.
    Before(usize),
    /// The packet of this number ends early; its last event is at this moment.
    Inside(usize, Option<Timestamp>),
}

impl Hole {
    /// The same hole with `packets` further packets before it.
    pub(super) const fn behind(self, packets: usize) -> Self {
        match self {
            Self::Before(number) => Self::Before(number + packets),
            Self::Inside(number, last) => Self::Inside(number + packets, last),
        }
    }
}

/// The coverage of a stream with these packets, whose discarded-events counter has
/// `counter_bits` bits.
pub(super) fn coverage(
    packets: &[Packet],
    cpu: Option<CpuId>,
    counter_bits: u32,
    holes: &[Hole],
) -> StreamCoverage {
    let begin = packets.iter().find_map(|packet| packet.begin);
    let end = packets.iter().rev().find_map(|packet| packet.end);
    let span = begin.zip(end).map(|(begin, end)| Span::new(begin, end));
    let mut losses: Vec<Loss> = holes
        .iter()
        .map(|hole| unreadable(packets, *hole))
        .collect();
    let mut before: Option<&Packet> = None;
    for packet in packets {
        losses.extend(packets_lost(before, packet));
        losses.extend(events_lost(before, packet, counter_bits));
        before = Some(packet);
    }
    losses.sort_by_key(|loss| (loss.span.start, loss.span.end));
    StreamCoverage { cpu, span, losses }
}

fn unreadable(packets: &[Packet], hole: Hole) -> Loss {
    let span = match hole {
        Hole::Before(next) => {
            let before = next.checked_sub(1).and_then(|before| packets.get(before));
            let next = packets.get(next).and_then(|packet| packet.begin);
            Span::new(
                before
                    .and_then(|packet| packet.end)
                    .unwrap_or(Timestamp::MIN),
                next.unwrap_or(Timestamp::MAX),
            )
        }
        Hole::Inside(number, last) => {
            let packet = packets.get(number);
            let begin = packet.and_then(|packet| packet.begin);
            Span::new(
                last.or(begin).unwrap_or(Timestamp::MIN),
                packet
                    .and_then(|packet| packet.end)
                    .unwrap_or(Timestamp::MAX),
            )
        }
    };
    Loss {
        span,
        kind: LossKind::Unreadable,
    }
}

fn packets_lost(before: Option<&Packet>, packet: &Packet) -> Option<Loss> {
    let lost = packet
        .sequence?
        .checked_sub(before?.sequence?)?
        .checked_sub(1)?;
    let span = Span::new(before?.end?, packet.begin?);
    (lost > 0).then_some(Loss {
        span,
        kind: LossKind::Packets(lost),
    })
}

fn events_lost(before: Option<&Packet>, packet: &Packet, counter_bits: u32) -> Option<Loss> {
    let counter = packet.discarded?;
    let (lost, from) = match before {
        None => (counter, packet.begin?),
        Some(before) => (
            lost_between(before.discarded?, counter, counter_bits)?,
            before.end?,
        ),
    };
    let span = Span::new(from, packet.end?);
    (lost > 0).then_some(Loss {
        span,
        kind: LossKind::Events(lost),
    })
}

/// How far the counter went, if it did not go backwards. Going beyond half its range is taken
/// for going backwards, which a counter that began anew does.
fn lost_between(before: u64, after: u64, bits: u32) -> Option<u64> {
    let mask = if bits >= 64 {
        u64::MAX
    } else {
        (1 << bits) - 1
    };
    let lost = after.wrapping_sub(before) & mask;
    (lost <= mask / 2).then_some(lost)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(begin: i64, end: i64, sequence: u64, discarded: u64) -> Packet {
        Packet {
            file: 0,
            number: 0,
            offset: 0,
            size: 8,
            content: 8,
            begin_cycles: None,
            end_cycles: None,
            begin: Some(Timestamp::from_nanos(begin)),
            end: Some(Timestamp::from_nanos(end)),
            sequence: Some(sequence),
            discarded: Some(discarded),
        }
    }

    fn loss(start: i64, end: i64, kind: LossKind) -> Loss {
        let span = Span::new(Timestamp::from_nanos(start), Timestamp::from_nanos(end));
        Loss { span, kind }
    }

    #[test]
    fn events_and_packets() {
        let packets = [
            packet(0, 10, 3, 2),
            packet(20, 30, 4, 2),
            packet(50, 60, 9, 7),
        ];
        let got = coverage(&packets, Some(CpuId(1)), 64, &[]);
        assert_eq!(got.span, Some(loss(0, 60, LossKind::Unreadable).span));
        assert_eq!(
            got.losses,
            [
                loss(0, 10, LossKind::Events(2)),
                loss(30, 50, LossKind::Packets(4)),
                loss(30, 60, LossKind::Events(5)),
            ]
        );
    }

    #[test]
    fn narrow_counters_wrap_and_restarted_ones_do_not_count() {
        let packets = [
            packet(0, 1, 0, 0xffff_fffe),
            packet(1, 2, 1, 3),
            packet(2, 3, 0, 0),
        ];
        let got = coverage(&packets, None, 32, &[]).losses;
        assert_eq!(got[1..], [loss(1, 2, LossKind::Events(5))]);
    }

    #[test]
    fn holes() {
        let packets = [packet(0, 10, 0, 0), packet(20, 30, 1, 0)];
        let at = Timestamp::from_nanos(25);
        let holes = [Hole::Before(1), Hole::Inside(1, Some(at)), Hole::Before(2)];
        let got = coverage(&packets, None, 64, &holes).losses;
        assert_eq!(got[0], loss(10, 20, LossKind::Unreadable));
        assert_eq!(got[1], loss(25, 30, LossKind::Unreadable));
        assert_eq!(got[2].span.start, Timestamp::from_nanos(30));
        assert_eq!(coverage(&[], None, 64, &[]).span, None);
    }
}
