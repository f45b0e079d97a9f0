//! When a host's vCPU threads were in guest mode, and when anything happened on a machine's
//! processors.

use std::collections::BTreeMap;
use virtflow_base::{CpuId, Span, Stamped, Tid, Timestamp};
use virtflow_events::{KernelEvent, KernelReader, KernelRecord, Merge, Recording};

/// The kinds of events that tell it.
const GUEST_MODE: [&str; 3] = ["sched_switch", "kvm_x86_entry", "kvm_x86_exit"];

/// Stays in guest mode, from entries to the exits that follow, event by event.
#[derive(Default)]
pub(super) struct Stays {
    /// Which thread runs, and since when it is in guest mode.
    cpus: BTreeMap<CpuId, (Option<Tid>, Option<Timestamp>)>,
}

impl Stays {
    /// Takes the next event; gives a stay that ends with it and whose it was.
    pub(super) fn event(&mut self, event: &Stamped<KernelRecord>) -> Option<(Tid, Span)> {
        let record = &event.record;
        let (running, since) = self.cpus.entry(record.cpu).or_default();
        if let Some(context) = record.context {
            *running = Some(context.tid);
        }
        match record.event {
            KernelEvent::KvmEntry { .. } => {
                *since = Some(event.time);
                None
            }
            KernelEvent::KvmExit(_) => {
                let since = since.take()?;
                Some(((*running)?, Span::new(since, event.time)))
            }
            KernelEvent::SchedSwitch { next, .. } => {
                // No thread leaves its processor in guest mode: an exit was lost.
                (*running, *since) = (Some(next), None);
                None
            }
            _ => None,
        }
    }

    /// The stays that have not ended.
    pub(super) fn open(&self) -> impl Iterator<Item = (Tid, Timestamp)> {
        let open = self.cpus.values();
        open.filter_map(|(running, since)| Some(((*running)?, (*since)?)))
    }
}

/// The events of a machine that tell when its vCPU threads were in guest mode, on its own clock.
pub(super) fn entries(
    recording: &Recording,
    machine: usize,
    threads: usize,
) -> Merge<KernelReader> {
    recording.kernel_events_as_told(machine, |kind| GUEST_MODE.contains(&kind), threads)
}

/// Everything that happened on a machine's processors, on its own clock.
pub(super) fn all(recording: &Recording, machine: usize, threads: usize) -> Merge<KernelReader> {
    recording.kernel_events_as_told(machine, |_| true, threads)
}

/// When the first of some events happened.
pub(super) fn first(mut events: Merge<KernelReader>) -> Option<Timestamp> {
    let (_, run) = events.next_run()?;
    run.first().map(|event| event.time)
}

/// The stays in guest mode of each thread within a span, `most` at most.
pub(super) fn stays(
    recording: &Recording,
    machine: usize,
    within: Span,
    most: usize,
) -> BTreeMap<Tid, Vec<Span>> {
    let mut found: BTreeMap<Tid, Vec<Span>> = BTreeMap::new();
    let (mut stays, mut number) = (Stays::default(), 0);
    let mut events = entries(recording, machine, crate::pipeline::threads());
    while let Some((_, run)) = events.next_run() {
        for event in run {
            if let Some((tid, span)) = stays.event(event)
                && span.end >= within.start
            {
                found.entry(tid).or_default().push(span);
                number += 1;
            }
        }
        let last = run.last().map(|event| event.time);
        if number >= most || last.is_some_and(|last| last >= within.end) {
            break;
        }
    }
    found
}

/// Moments at which something happened on each processor of a machine, `apart` nanoseconds from one
/// another at least.
pub(super) fn moments(
    recording: &Recording,
    machine: usize,
    within: Span,
    apart: i64,
) -> BTreeMap<CpuId, Vec<Timestamp>> {
    let mut found: BTreeMap<CpuId, Vec<Timestamp>> = BTreeMap::new();
    let mut events = all(recording, machine, crate::pipeline::threads());
    while let Some((_, run)) = events.next_run() {
        for event in run.iter().filter(|event| within.contains(event.time)) {
            let moments = found.entry(event.record.cpu).or_default();
            if moments
                .last()
                .is_none_or(|last| event.time.since(*last) >= apart)
            {
                moments.push(event.time);
            }
        }
        if run.last().is_some_and(|event| event.time >= within.end) {
            break;
        }
    }
    found
}
