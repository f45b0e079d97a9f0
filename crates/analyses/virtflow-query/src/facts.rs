//! What a recording and an analysis of it say beside entities, intervals, edges and exits: with
//! these and the sums a report can be made, whether the sums are of a trace or of a store.

use crate::clocks::ClockAlignment;
use crate::needed::{Asked, Missing, missing};
use crate::pipeline::{Outcome, are_vcpus_named};
use crate::report::{Checks, StreamReport};
use crate::source::{ProblemsReport, SourceReport, sources};
use crate::vms::VmInfo;
use serde::{Deserialize, Serialize};
use virtflow_base::{Span, Timestamp};
use virtflow_events::Recording;

/// What is said of one machine.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Facts {
    /// Its host name.
    pub name: String,
    /// Its kernel's release.
    pub kernel: String,
    /// How its clock is known beside those of other machines; `None` where there are none.
    #[serde(default)]
    pub clock: Option<ClockAlignment>,
    /// The traces that were read.
    pub traces: Vec<SourceReport>,
    /// The earliest moment that any stream covers.
    pub begin_ns: Option<i64>,
    /// The latest one.
    pub end_ns: Option<i64>,
    /// Events that the analysis makes use of.
    pub events_used: u64,
    /// What its streams cover, and what they lost.
    pub streams: Vec<StreamReport>,
    /// Names of the events that its traces describe.
    pub described: Vec<String>,
    /// What contradicted itself on the way.
    pub checks: Checks,
    /// TCP segments that there was no room to note: whom they woke on other machines is not known.
    #[serde(default)]
    pub segments_unnoted: u64,
    /// Its VMs, as far as a recorder's state dump tells of them; only of a store.
    #[serde(default)]
    pub vms: Vec<VmInfo>,
    /// What was wrong with the input.
    pub problems: ProblemsReport,
    /// Whether the analysis was stopped before the end.
    pub stopped: bool,
}

impl Facts {
    /// What a recording says of a machine before it is analysed.
    pub fn before(recording: &Recording, machine: usize) -> Self {
        let coverage = recording.coverage(machine);
        let bounds = crate::bounds(&coverage);
        let info = recording.machines().get(machine);
        let described = recording.described(machine);
        Self {
            name: info.map_or_else(String::new, |m| m.name.clone()),
            kernel: info.map_or_else(String::new, |m| m.kernel.clone()),
            clock: ClockAlignment::of(recording, machine),
            traces: sources(recording, Some(machine)),
            begin_ns: bounds.map(|b| b.0.as_nanos()),
            end_ns: bounds.map(|b| b.1.as_nanos()),
            streams: coverage.iter().map(StreamReport::new).collect(),
            described: described.into_iter().map(ToOwned::to_owned).collect(),
            problems: ProblemsReport::new(&recording.problems()),
            ..Self::default()
        }
    }

    /// The same with what came of the analysis.
    pub fn new(recording: &Recording, machine: usize, outcome: &Outcome) -> Self {
        let described = recording.described(machine);
        Self {
            events_used: outcome.counts.events,
            streams: outcome.coverage.iter().map(StreamReport::new).collect(),
            checks: Checks::new(&outcome.counts, are_vcpus_named(&described)),
            segments_unnoted: outcome.segments.unnoted,
            problems: ProblemsReport::new(&outcome.problems),
            stopped: outcome.stopped,
            ..Self::before(recording, machine)
        }
    }

    /// What its streams cover.
    pub fn span(&self) -> Option<Span> {
        let at = Timestamp::from_nanos;
        Some(Span::new(at(self.begin_ns?), at(self.end_ns?)))
    }

    /// What was not recorded, and what that hides.
    pub fn missing(&self, any_vm: bool) -> Vec<Missing> {
        let described: Vec<&str> = self.described.iter().map(String::as_str).collect();
        missing(&described, any_vm, Asked::of(&self.traces))
    }

    /// Whether nothing was lost, broken or left out.
    pub fn is_complete(&self) -> bool {
        let whole = self.streams.iter().all(StreamReport::is_whole);
        whole && self.problems.total == 0 && !self.stopped
    }
}
