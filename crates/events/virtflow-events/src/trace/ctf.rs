//! Traces in the Common Trace Format.

use super::Which;
use crate::any::AnyEvent;
use crate::bind::{KernelBinding, KernelExtract};
use crate::open::{ClockInfo, TraceInfo};
use std::sync::Arc;
use virtflow_base::{Place, Problem, ProblemKind, Timestamp};
use virtflow_ctf::{EventView, Extract, StreamReader, Trace, Wanted};

pub(super) fn machine(trace: &Trace) -> (String, String) {
    let env = |name| trace.metadata().env_text(name).unwrap_or("").to_owned();
    (env("hostname"), env("kernel_release"))
}

/// What its recorder says it missed, nobody knows when: `virtflow record` counts what the kernel did not
/// let it see.
pub(super) fn missed(trace: &Trace) -> Option<Problem> {
    let missed = trace.metadata().env_text("missed_events")?;
    let what = format!(
        "not recorded: {missed}; the recorder's program at that tracepoint was at work on the CPU \
         already, and the kernel does not tell on which CPU and when that was"
    );
    Some(Problem {
        kind: ProblemKind::Lost,
        place: Place {
            file: Arc::new(trace.path().join("metadata")),
            ..Place::default()
        },
        what,
    })
}

pub(super) fn info(trace: &Trace, machine: usize) -> TraceInfo {
    let metadata = trace.metadata();
    let env = |name| metadata.env_text(name).unwrap_or("");
    let number = |name| {
        metadata
            .env_int(name)
            .map(|n| n.to_string())
            .unwrap_or_default()
    };
    let version = [
        number("tracer_major"),
        number("tracer_minor"),
        number("tracer_patchlevel"),
    ]
    .join(".");
    let tracer = [env("tracer_name"), version.trim_matches('.')].join(" ");
    let clocks = metadata.clocks().iter().map(|clock| ClockInfo {
        name: clock.name().to_owned(),
        frequency: clock.freq(),
        uuid: clock.uuid(),
        offset_ns: clock.time(0).as_nanos().into(),
    });
    TraceInfo {
        path: trace.path().to_owned(),
        format: metadata.format(),
        machine,
        domain: env("domain").to_owned(),
        tracer: tracer.trim().to_owned(),
        clocks: clocks.collect(),
        streams: trace.streams().len(),
        bytes: trace
            .streams()
            .iter()
            .map(virtflow_ctf::StreamFile::bytes)
            .sum(),
    }
}

pub(super) fn kernel_readers(
    trace: &Arc<Trace>,
    which: Which,
    wanted: &dyn Fn(&str) -> bool,
) -> impl Iterator<Item = StreamReader<KernelExtract>> {
    let binding = Arc::new(match which {
        Which::Wanted => KernelBinding::only(trace, wanted),
        Which::OrTellsThread => KernelBinding::new(trace, wanted),
    });
    (0..trace.streams().len()).map(move |stream| {
        let extract = KernelExtract::new(Arc::clone(&binding));
        trace.reader(stream, Arc::clone(binding.bound()), extract)
    })
}

pub(super) fn any_readers(
    trace: &Arc<Trace>,
    number: usize,
    choose: &dyn Fn(&str) -> bool,
    from: Timestamp,
) -> impl Iterator<Item = StreamReader<AnyExtract>> {
    let bound = trace.bind(|class| choose(class.name()).then(Wanted::default));
    let bound = Arc::new(bound);
    (0..trace.streams().len()).map(move |stream| {
        let extract = AnyExtract {
            trace: Arc::clone(trace),
            number,
        };
        trace.reader_from(stream, Arc::clone(&bound), extract, from)
    })
}

/// Keeps every event, decoded when it is asked for.
pub(crate) struct AnyExtract {
    trace: Arc<Trace>,
    number: usize,
}

impl Extract for AnyExtract {
    type Out = AnyEvent;

    fn extract(&mut self, event: &EventView<'_>) -> Option<AnyEvent> {
        Some(AnyEvent::of_ctf(
            Arc::clone(&self.trace),
            self.number,
            event.to_owned(),
        ))
    }
}
