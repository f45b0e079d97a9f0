//! What one machine sent and another received.

use super::Groups;
use crate::pipeline::threads;
use virtflow_base::Timestamp;
use virtflow_events::{KernelEvent, KernelReader, KernelRecord, Merge, Recording};
use virtflow_sync::{Fleet, Matcher, Seen, Side};

/// The kinds of events that are read for it.
const PACKETS: [&str; 3] = ["net_dev_queue", "net_if_receive_skb", "net_if_rx"];

/// One machine's packets, and how far they have been read.
struct Stream {
    clock: u32,
    events: Merge<KernelReader>,
    /// The time of the packet read last, less what makes the machines' beginnings one.
    reached: Option<Timestamp>,
    begin: i64,
}

/// Reads all machines' packets side by side, by their clocks as they are, and gives what was sent
/// and received to the fleet.
pub(super) fn read(recording: &Recording, groups: &Groups, fleet: &mut Fleet) {
    let kinds = |kind: &str| PACKETS.contains(&kind);
    let share = (threads() / recording.machines().len()).max(1);
    let mut streams: Vec<Stream> = Vec::new();
    let spans = groups.spans(recording);
    let apart = spans.iter().any(|a| {
        let mut others = spans.iter();
        others.any(|b| a.intersect(*b).is_none())
    });
    for (machine, clock) in groups.clock_of.iter().enumerate() {
        let Some(clock) = *clock else { continue };
        let begin = spans.get(clock as usize).map_or(0, |s| s.start.as_nanos());
        streams.push(Stream {
            clock,
            events: recording.kernel_events_as_told(machine, kinds, share),
            reached: Some(Timestamp::MIN),
            // Clocks so far apart that recordings do not meet tell nothing of each other.
            begin: if apart { begin } else { 0 },
        });
    }
    let mut matcher = Matcher::default();
    let mut settled = |message| fleet.message(&message);
    while let Some(stream) = streams
        .iter_mut()
        .filter(|stream| stream.reached.is_some())
        .min_by_key(|stream| stream.reached)
    {
        let Some((_, run)) = stream.events.next_run() else {
            stream.reached = None;
            continue;
        };
        for event in run {
            if let Some((flow, side)) = packet(&event.record) {
                let seen = Seen {
                    machine: stream.clock,
                    side,
                    time: event.time,
                };
                matcher.see(flow, seen, &mut settled);
            }
        }
        let last = run.last().map(|event| event.time);
        stream.reached = last.map(|last| last.plus(stream.begin.saturating_neg()));
    }
    matcher.finish(&mut settled);
}

/// The segment that an event is about.
fn packet(record: &KernelRecord) -> Option<(u64, Side)> {
    let (packet, side) = match record.event {
        KernelEvent::NetQueue(packet) => (packet, Side::Sent),
        KernelEvent::NetReceive(packet) | KernelEvent::NetRx(packet) => (packet, Side::Received),
        _ => return None,
    };
    (packet.flow != 0).then_some((packet.flow, side))
}
