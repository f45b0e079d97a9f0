//! Where events came from: traces, clocks, and what was wrong with them.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;
use virtflow_base::{Place, Problem, ProblemKind, Problems};
use virtflow_events::{Recording, TraceInfo};

/// A trace that was read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SourceReport {
    /// Its directory.
    pub path: String,
    /// Its format.
    pub format: String,
    /// The tracer and its version.
    pub tracer: String,
    /// `kernel` or `ust` for LTTng.
    pub domain: String,
    /// The machine it was made on.
    pub machine: String,
    /// How many streams it has.
    pub streams: usize,
    /// Their size in bytes.
    pub bytes: u64,
    /// Its clocks.
    pub clocks: Vec<ClockReport>,
}

/// A clock.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ClockReport {
    /// Its name.
    pub name: String,
    /// Ticks per second.
    pub frequency: u64,
    /// Nanoseconds from the Unix epoch to its zero.
    pub offset_ns: i64,
}

/// The traces of one machine, or of all.
pub(crate) fn sources(recording: &Recording, machine: Option<usize>) -> Vec<SourceReport> {
    let traces = recording
        .traces()
        .iter()
        .filter(|t| machine.is_none_or(|m| t.machine == m));
    traces.map(|trace| source(recording, trace)).collect()
}

fn source(recording: &Recording, trace: &TraceInfo) -> SourceReport {
    let clocks = trace.clocks.iter().map(|clock| ClockReport {
        name: clock.name.clone(),
        frequency: clock.frequency,
        offset_ns: i64::try_from(clock.offset_ns).unwrap_or(i64::MAX),
    });
    SourceReport {
        path: trace.path.display().to_string(),
        format: trace.format.to_owned(),
        tracer: trace.tracer.clone(),
        domain: trace.domain.clone(),
        machine: recording
            .machines()
            .get(trace.machine)
            .map_or_else(String::new, |m| m.name.clone()),
        streams: trace.streams,
        bytes: trace.bytes,
        clocks: clocks.collect(),
    }
}

/// What was wrong with an input.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ProblemsReport {
    /// How many there were.
    pub total: u64,
    /// The first of them.
    pub first: Vec<ProblemReport>,
}

/// One thing that was wrong.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ProblemReport {
    /// A word for it.
    pub kind: Cow<'static, str>,
    /// The file.
    pub file: String,
    /// The stream's number.
    pub stream: Option<u32>,
    /// The packet's number in its file.
    pub packet: Option<u64>,
    /// The byte in the file.
    pub offset: Option<u64>,
    /// What was found and what was done about it.
    pub what: String,
}

impl ProblemsReport {
    /// What was lost of which nobody knows when.
    pub fn lost(&self) -> impl Iterator<Item = &ProblemReport> {
        let is_lost = |problem: &&ProblemReport| problem.kind == ProblemKind::Lost.as_str();
        self.first.iter().filter(is_lost)
    }

    pub(crate) fn new(problems: &Problems) -> Self {
        Self {
            total: problems.total(),
            first: problems.kept().iter().map(ProblemReport::new).collect(),
        }
    }
}

impl std::fmt::Display for ProblemReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = Place {
            file: Arc::new(self.file.clone().into()),
            stream: self.stream,
            packet: self.packet,
            offset: self.offset,
        };
        write!(f, "{place}: {}", self.what)
    }
}

impl ProblemReport {
    fn new(problem: &Problem) -> Self {
        Self {
            kind: problem.kind.as_str().into(),
            file: problem.place.file.display().to_string(),
            stream: problem.place.stream,
            packet: problem.place.packet,
            offset: problem.place.offset,
            what: problem.what.clone(),
        }
    }
}
