//! The clocks of several machines, shown as one.
//!
//! Traces of several machines have a clock each. A first pass reads only what passed the machines'
//! networks, finds the segments that one machine queued and another received, and lets
//! `virtflow-sync` make of them how each clock runs beside that of the first machine. From then on
//! every time of the recording is shown on that clock. Where the segments do not tell a clock, its
//! times stay as they are, and that is said.

use crate::pipeline::{machines, threads};
use serde::{Deserialize, Serialize};
use virtflow_base::{Span, Timestamp};
use virtflow_events::{Correction, KernelEvent, KernelRecord, MachineClock, Merge, Recording};
use virtflow_sync::{Alignment, Fleet, Matcher, Seen, Side, State};

/// The kinds of events that the first pass reads.
const PACKETS: [&str; 3] = ["net_dev_queue", "net_if_receive_skb", "net_if_rx"];

/// How a machine's clock is known beside the one that all times are shown on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ClockAlignment {
    /// `reference`: all times are shown on this clock. `accurate`, `approximate`: its times were
    /// moved to the reference. `absent` (no segment tells it), `one-direction` (segments go one way
    /// only), `contradictory` (segments contradict one another): its times are shown as they are.
    pub state: String,
    /// The machine whose clock is the reference.
    pub reference: String,
    /// By segments with which machine it is known.
    pub by: Option<String>,
    /// How far it was ahead of the reference in the middle of its recording, in nanoseconds.
    pub ahead_ns: Option<i64>,
    /// How much faster it ran than the reference, in parts per million.
    pub drift_ppm: Option<f64>,
    /// How far from the truth its times can be anywhere, either way, in nanoseconds.
    pub error_ns: Option<i64>,
    /// Segments from it that the others received.
    pub sent: u64,
    /// Segments to it that the others sent.
    pub received: u64,
}

impl ClockAlignment {
    /// What was found out about a machine's clock; `None` for the only machine of a recording.
    pub fn of(recording: &Recording, machine: usize) -> Option<Self> {
        let clock = recording.clock(machine)?;
        let name = |machine: usize| {
            let machine = recording.machines().get(machine);
            machine.map_or_else(String::new, |m| m.name.clone())
        };
        Some(Self {
            state: clock.state.to_owned(),
            reference: name(clock.reference),
            by: clock.by.map(name),
            ahead_ns: clock.ahead_ns,
            drift_ppm: clock.drift_ppm,
            error_ns: clock.error_ns,
            sent: clock.sent,
            received: clock.received,
        })
    }

    /// Whether its times can be compared with the reference's.
    pub const fn is_known(&self) -> bool {
        self.error_ns.is_some()
    }
}

/// Finds out how the clocks of a recording's machines run beside each other, and has all its times
/// shown on that of the first; once. Of a single machine, or of machines that have the same clock,
/// nothing is changed.
pub fn align(recording: &Recording) {
    if recording.clocks().is_some() || recording.machines().len() < 2 {
        return;
    }
    let groups = Groups::new(recording);
    if groups.of_clock.len() < 2 {
        return;
    }
    let mut fleet = Fleet::new(groups.spans(recording));
    read(recording, &groups, &mut fleet);
    let alignments = fleet.align(0);
    let clocks = (0..recording.machines().len())
        .map(|machine| groups.clock(recording, machine, &alignments))
        .collect();
    recording.set_clocks(clocks);
}

/// Machines of the same clock.
struct Groups {
    /// The number of each machine's clock; machines without a kernel trace have none.
    clock_of: Vec<Option<u32>>,
    /// The machines of each clock.
    of_clock: Vec<Vec<usize>>,
}

impl Groups {
    fn new(recording: &Recording) -> Self {
        let mut groups = Self {
            clock_of: vec![None; recording.machines().len()],
            of_clock: Vec::new(),
        };
        let mut known: Vec<Vec<[u8; 16]>> = Vec::new();
        for machine in machines(recording) {
            let traces = recording.traces().iter();
            let clocks = traces
                .filter(|t| t.machine == machine)
                .flat_map(|t| &t.clocks);
            let own: Vec<_> = clocks.filter_map(|clock| clock.uuid).collect();
            let same = known
                .iter()
                .position(|ids| ids.iter().any(|id| own.contains(id)));
            let clock = same.unwrap_or_else(|| {
                known.push(Vec::new());
                groups.of_clock.push(Vec::new());
                known.len() - 1
            });
            known[clock].extend(own);
            groups.of_clock[clock].push(machine);
            groups.clock_of[machine] = u32::try_from(clock).ok();
        }
        groups
    }

    /// What each clock shows while its machines are recorded.
    fn spans(&self, recording: &Recording) -> Vec<Span> {
        let spans = self.of_clock.iter().map(|machines| {
            let covered = machines.iter().flat_map(|&m| recording.coverage_as_told(m));
            let covered: Vec<_> = covered.collect();
            let zero = Timestamp::default();
            let (start, end) = crate::bounds(&covered).unwrap_or((zero, zero));
            // The last moment belongs to it.
            Span::new(start, end.plus(1))
        });
        spans.collect()
    }

    fn clock(
        &self,
        recording: &Recording,
        machine: usize,
        alignments: &[Alignment],
    ) -> MachineClock {
        let clock = self.clock_of.get(machine).copied().flatten();
        let found = clock.and_then(|clock| alignments.get(clock as usize));
        let first = |clock: u32| self.of_clock.get(clock as usize)?.first().copied();
        let reference = first(0).unwrap_or(0);
        let unknown = MachineClock {
            correction: None,
            state: State::Absent.as_str(),
            reference,
            by: None,
            ahead_ns: None,
            drift_ppm: None,
            error_ns: None,
            sent: 0,
            received: 0,
        };
        let Some(found) = found else {
            return unknown;
        };
        let map = &found.map;
        let bounds = crate::bounds(&recording.coverage_as_told(machine));
        let shift = |own: Timestamp| map.at(own).since(own);
        let (ahead_ns, drift_ppm) = match bounds.filter(|_| found.error_ns.is_some()) {
            Some((start, end)) => {
                let length = end.since(start);
                let gained = shift(start) - shift(end);
                let middle = start.plus(length / 2);
                let drift = (length > 0).then(|| gained as f64 * 1e6 / length as f64);
                (Some(-shift(middle)), drift)
            }
            None => (None, None),
        };
        let correction = (!map.is_identity()).then(|| {
            let map = map.clone();
            Correction::new(move |own| map.at(own))
        });
        MachineClock {
            correction,
            state: found.state.as_str(),
            by: found.by.and_then(first),
            ahead_ns,
            drift_ppm,
            error_ns: found.error_ns,
            sent: found.sent,
            received: found.received,
            ..unknown
        }
    }
}

/// One machine's packets, and how far they have been read.
struct Stream {
    clock: u32,
    events: Merge<virtflow_events::KernelReader>,
    /// The time of the packet read last, less what makes the machines' beginnings one.
    reached: Option<Timestamp>,
    begin: i64,
}

/// Reads all machines' packets side by side, by their clocks as they are, and gives what was sent
/// and received to the fleet.
fn read(recording: &Recording, groups: &Groups, fleet: &mut Fleet) {
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
