//! The clocks of several machines, shown as one.
//!
//! Traces of several machines have a clock each. A first pass reads only what passed the machines'
//! networks ([`packets`]) and when vCPUs were in guest mode ([`guests`]), finds the segments that one
//! machine queued and another received and the entries before and the exits after what a guest did,
//! and lets `virtflow-sync` make of them how each clock runs beside that of the first machine. From
//! then on every time of the recording is shown on that clock. Where nothing tells a clock, its times
//! stay as they are, and that is said.

mod guest_mode;
mod guests;
mod marks;
mod packets;

use crate::pipeline::machines;
use serde::{Deserialize, Serialize};
use virtflow_base::{Span, Timestamp};
use virtflow_events::{Correction, MachineClock, Recording};
use virtflow_sync::{Alignment, Fleet, State};

/// How a machine's clock is known beside the one that all times are shown on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ClockAlignment {
    /// `reference`: all times are shown on this clock. `accurate`, `approximate`: its times were
    /// moved to the reference. `absent` (no message tells it), `one-direction` (messages go one way
    /// only), `contradictory` (messages contradict one another): its times are shown as they are.
    /// Messages are TCP segments; and of a guest, entries before what it did and exits after it.
    pub state: String,
    /// The machine whose clock is the reference.
    pub reference: String,
    /// By messages with which machine it is known.
    pub by: Option<String>,
    /// How far it was ahead of the reference in the middle of its recording, in nanoseconds.
    pub ahead_ns: Option<i64>,
    /// How much faster it ran than the reference, in parts per million.
    pub drift_ppm: Option<f64>,
    /// How far from the truth its times can be anywhere, either way, in nanoseconds.
    pub error_ns: Option<i64>,
    /// Messages from it that the others received.
    pub sent: u64,
    /// Messages to it that the others sent.
    pub received: u64,
    /// Whose guest it is, where its host's trace is there too.
    pub guest: Option<GuestOf>,
}

/// Whose guest a machine is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct GuestOf {
    /// The host.
    pub host: String,
    /// What told where its clock was to be looked for: `tsc-offset`, `marks`, or nothing but
    /// `guest-mode`.
    pub how: String,
    /// The vCPU threads of the host that are its processors.
    pub vcpus: Vec<GuestCpu>,
    /// How many events on its processors were compared with the stays of their vCPUs in guest mode.
    pub events: u64,
    /// How many of them fell into one.
    pub inside: u64,
}

/// A processor of a guest.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct GuestCpu {
    /// Its number in the guest.
    pub cpu: u32,
    /// The vCPU thread.
    pub tid: i32,
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
            guest: clock.guest.as_ref().map(|guest| GuestOf {
                host: name(guest.host),
                how: guest.how.to_owned(),
                vcpus: guest
                    .vcpus
                    .iter()
                    .map(|&(cpu, tid)| GuestCpu {
                        cpu: cpu.0,
                        tid: tid.0,
                    })
                    .collect(),
                events: guest.moments,
                inside: guest.inside,
            }),
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
    packets::read(recording, &groups, &mut fleet);
    let mut guests = guests::read(recording, &groups, &mut fleet);
    // A guest is shown on its host's clock.
    let of_guest =
        |machines: &Vec<usize>| machines.iter().all(|machine| guests.contains_key(machine));
    let reference = groups
        .of_clock
        .iter()
        .position(|machines| !of_guest(machines));
    let reference = reference.unwrap_or(0);
    let alignments = fleet.align(reference as u32);
    let clocks = (0..recording.machines().len())
        .map(|machine| {
            let guest = guests.remove(&machine);
            let clock = groups.clock(recording, machine, reference, &alignments);
            MachineClock { guest, ..clock }
        })
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
        reference: usize,
        alignments: &[Alignment],
    ) -> MachineClock {
        let clock = self.clock_of.get(machine).copied().flatten();
        let found = clock.and_then(|clock| alignments.get(clock as usize));
        let first = |clock: u32| self.of_clock.get(clock as usize)?.first().copied();
        let reference = first(reference as u32).unwrap_or(0);
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
            guest: None,
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
