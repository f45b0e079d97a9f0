//! Files of perf.

use super::facts::Facts;
use super::raw::{AnyExtract, KernelBinding, KernelExtract};
use super::{Kernel, Which};
use crate::open::{ClockInfo, TraceInfo};
use std::sync::Arc;
use virtflow_base::{StreamCoverage, Timestamp};
use virtflow_perfdata::{Reader, Trace, Wanted};

/// Ticks per second of perf's clocks.
const NANOS: u64 = 1_000_000_000;

pub(super) fn machine(trace: &Trace) -> (String, String) {
    let features = trace.features();
    (features.hostname.clone(), features.release.clone())
}

pub(super) fn info(trace: &Trace, machine: usize) -> TraceInfo {
    let clock = trace.clock();
    let tracer = ["perf", &trace.features().version].join(" ");
    TraceInfo {
        path: trace.path().to_owned(),
        format: if trace.is_stream() {
            "perf.data, written as a stream"
        } else {
            "perf.data"
        },
        machine,
        domain: "kernel".to_owned(),
        tracer: tracer.trim().to_owned(),
        clocks: vec![ClockInfo {
            name: clock.name().to_owned(),
            frequency: NANOS,
            uuid: None,
            offset_ns: clock.offset_ns().into(),
        }],
        streams: trace.streams(),
        bytes: trace.bytes(),
    }
}

/// What a recording of some threads tells of when these run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Switches {
    /// Each `sched_switch`: when a thread loses its processor, and in what state.
    pub traced: bool,
    /// perf's own records (`--switch-events`): when it loses it, and when it gets one.
    pub both_ways: bool,
}

impl Switches {
    pub(super) fn of(trace: &Trace) -> Self {
        Self {
            traced: trace.records_every("sched_switch"),
            both_ways: trace.tells_switches(),
        }
    }

    /// Whether anything tells.
    pub(crate) const fn tell(self) -> bool {
        self.traced || self.both_ways
    }
}

/// What its processors saw. Of a recording of some threads that are not `followed` that is nothing: between any two of
/// its events another thread may have run.
pub(super) fn coverage(trace: &Trace, followed: bool) -> Vec<StreamCoverage> {
    let mut coverage = trace.coverage().to_vec();
    if trace.is_of_threads() && !followed {
        for stream in &mut coverage {
            stream.span = None;
            stream.losses.clear();
        }
    }
    coverage
}

/// Readers of its events and of what it tells of threads. Of a recording of some threads none if these are
/// not to be `followed`: a switch to another thread is in it and the switch from that one is not, so that whoever
/// took its events for those of all threads would let that one run on.
pub(super) fn kernel_readers(
    trace: &Arc<Trace>,
    which: Which,
    wanted: &dyn Fn(&str) -> bool,
    followed: bool,
) -> Vec<Kernel> {
    if trace.is_of_threads() && !followed {
        return Vec::new();
    }
    let binding = KernelBinding::new(trace.all_formats(), which, wanted, |_| true);
    let binding = Arc::new(binding);
    let first = trace.coverage().iter().find_map(|stream| {
        let begin = stream.span?.start;
        Some((begin, stream.cpu?))
    });
    let facts = first.map(|(begin, cpu)| {
        let facts = Facts::new(trace.threads(), &[], begin, cpu);
        let facts = if trace.is_of_threads() {
            let told = |process: i32| trace.threads().process(process);
            facts.of_followed(trace.followed(), told)
        } else {
            facts
        };
        Kernel::Facts(facts.in_namespaces(trace.namespaces()))
    });
    let extract = KernelExtract::new(Arc::clone(&binding));
    let reader = trace.reader(Arc::clone(binding.bound()), extract, Timestamp::MIN);
    facts
        .into_iter()
        .chain([Kernel::PerfData(reader)])
        .collect()
}

pub(super) fn any_reader(
    trace: &Arc<Trace>,
    number: usize,
    choose: &dyn Fn(&str) -> bool,
    from: Timestamp,
) -> Reader<AnyExtract> {
    let bound = trace.bind(|format| choose(format.name()).then(Wanted::default));
    let extract = AnyExtract::new(Arc::clone(trace.described()), number);
    trace.reader(Arc::new(bound), extract, from)
}
