//! What a recording holds, without analysing it.

use crate::clocks::ClockAlignment;
use crate::needed::{Analysis, Asked, Missing, analyses, missing};
use crate::pipeline::threads;
use crate::report::StreamReport;
use crate::source::{ProblemsReport, SourceReport, sources};
use crate::vms::{VmInfo, vms};
use serde::Serialize;
use virtflow_events::Recording;

/// The version of the JSON form.
pub const INFO_VERSION: u32 = 1;

/// What a recording holds.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Info {
    /// Always `virtflow-info`.
    pub format: &'static str,
    /// [`INFO_VERSION`].
    pub version: u32,
    /// The program that wrote it.
    pub virtflow: &'static str,
    /// What was opened.
    pub path: String,
    /// Its traces.
    pub traces: Vec<SourceReport>,
    /// The machines they were made on.
    pub machines: Vec<MachineInfo>,
    /// How many events there are in all traces.
    pub events_total: u64,
    /// By name, most frequent first.
    pub events: Vec<EventReport>,
    /// What was wrong with the input.
    pub problems: ProblemsReport,
}

/// A machine and what is known of it.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MachineInfo {
    /// Its host name.
    pub name: String,
    /// Its kernel's release.
    pub kernel: String,
    /// How its clock is known beside those of other machines; absent where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockAlignment>,
    /// The earliest moment that any stream covers.
    pub begin_ns: Option<i64>,
    /// The latest one.
    pub end_ns: Option<i64>,
    /// The streams of its kernel traces: what they cover, and what they lost.
    pub streams: Vec<StreamReport>,
    /// Its VMs, as far as a recorder's state dump tells of them.
    pub vms: Vec<VmInfo>,
    /// Which analyses its traces are good for.
    pub analyses: Vec<Analysis>,
    /// Events that they lack, and what their absence hides.
    pub missing: Vec<Missing>,
}

/// Events of one name.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EventReport {
    /// The name.
    pub name: String,
    /// How many.
    pub count: u64,
    /// Whether the analyses make use of them.
    pub used: bool,
}

impl Info {
    /// Whether nothing was lost or broken.
    pub fn is_complete(&self) -> bool {
        let mut streams = self.machines.iter().flat_map(|m| &m.streams);
        streams.all(StreamReport::is_whole) && self.problems.total == 0
    }
}

/// Reads and counts all of a recording.
pub fn info(recording: &Recording) -> Info {
    crate::clocks::align(recording);
    let counted = recording.count(threads());
    let mut problems = recording.problems();
    problems.merge(counted.problems);
    let seen: Vec<_> = counted
        .by_name
        .iter()
        .map(|event| event.name.as_str())
        .collect();
    let machines = recording
        .machines()
        .iter()
        .enumerate()
        .map(|(number, machine)| {
            let coverage = recording.coverage(number);
            let bounds = crate::bounds(&coverage);
            let described = recording.described(number);
            let asked = Asked::of(&sources(recording, Some(number)));
            // What a tracer tells of threads beside its events is there if it is described.
            let told = described.iter().filter(|name| crate::needed::is_told(name));
            let seen = [&seen[..], &told.copied().collect::<Vec<_>>()].concat();
            MachineInfo {
                name: machine.name.clone(),
                kernel: machine.kernel.clone(),
                clock: ClockAlignment::of(recording, number),
                begin_ns: bounds.map(|b| b.0.as_nanos()),
                end_ns: bounds.map(|b| b.1.as_nanos()),
                streams: coverage.iter().map(StreamReport::new).collect(),
                vms: vms(recording, number),
                analyses: analyses(&described, &seen, asked),
                missing: missing(
                    &described,
                    described.iter().any(|name| name.starts_with("kvm_")),
                    asked,
                ),
            }
        });
    Info {
        format: "virtflow-info",
        version: INFO_VERSION,
        virtflow: env!("CARGO_PKG_VERSION"),
        path: recording.path().display().to_string(),
        traces: sources(recording, None),
        machines: machines.collect(),
        events_total: counted.total,
        events: counted
            .by_name
            .into_iter()
            .map(|event| EventReport {
                name: event.name,
                count: event.count,
                used: event.kind.is_some_and(virtflow_model::reads),
            })
            .collect(),
        problems: ProblemsReport::new(&problems),
    }
}
