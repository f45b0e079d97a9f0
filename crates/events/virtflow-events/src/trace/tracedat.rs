//! Files of trace-cmd.

use super::facts::Facts;
use super::raw::{AnyExtract, KernelBinding, KernelExtract};
use super::{Kernel, Which};
use crate::open::{ClockInfo, TraceInfo};
use std::sync::Arc;
use virtflow_base::{Problems, Timestamp};
use virtflow_tracedat::{StreamReader, Trace, Wanted};

/// Ticks per second of clocks that count nanoseconds.
const NANOS: u64 = 1_000_000_000;

pub(super) fn machine(trace: &Trace) -> (String, String) {
    let mut words = trace.options().uname.split_whitespace().skip(1);
    let mut word = || words.next().unwrap_or("").to_owned();
    (word(), word())
}

pub(super) fn info(trace: &Trace, machine: usize) -> TraceInfo {
    let mut clocks: Vec<ClockInfo> = Vec::new();
    for buffer in trace.buffers() {
        let clock = buffer.clock();
        if clocks.iter().all(|known| known.name != clock.name()) {
            clocks.push(ClockInfo {
                name: clock.name().to_owned(),
                frequency: clock.frequency().unwrap_or(NANOS),
                uuid: None,
                offset_ns: clock.offset_ns().into(),
            });
        }
    }
    // The version that was built from no repository says so, too.
    let version = trace.options().version.split_whitespace().next();
    TraceInfo {
        path: trace.path().to_owned(),
        format: if trace.version() == 6 {
            "trace.dat 6"
        } else {
            "trace.dat 7"
        },
        machine,
        domain: "kernel".to_owned(),
        tracer: ["trace-cmd", version.unwrap_or("")]
            .join(" ")
            .trim()
            .to_owned(),
        clocks,
        streams: trace.streams().len(),
        bytes: trace
            .streams()
            .iter()
            .map(virtflow_tracedat::Stream::bytes)
            .sum(),
    }
}

/// Counts by event, and what was met on the way.
pub(super) fn count(trace: &Trace, threads: usize) -> (Vec<u64>, Problems) {
    let mut sums = vec![0; trace.formats().len()];
    let mut problems = Problems::default();
    for counts in trace.count(threads) {
        for (sum, count) in sums.iter_mut().zip(counts.by_class) {
            *sum += count;
        }
        problems.merge(counts.problems);
    }
    (sums, problems)
}

pub(super) fn kernel_readers(
    trace: &Arc<Trace>,
    which: Which,
    wanted: &dyn Fn(&str) -> bool,
) -> Vec<Kernel> {
    let owners = owners(trace);
    let bindings = (0..trace.buffers().len()).map(|buffer| {
        let is_of = |class| {
            owners
                .as_ref()
                .is_none_or(|owners| owners.get(class) == Some(&buffer))
        };
        Arc::new(KernelBinding::new(trace.formats(), which, wanted, is_of))
    });
    let bindings: Vec<_> = bindings.collect();
    let mut readers = Vec::new();
    let spans = trace.streams().iter().filter_map(|s| s.coverage().span);
    let first = trace.streams().first();
    if let (Some(begin), Some(first)) = (spans.map(|span| span.start).min(), first) {
        let (threads, guests) = (trace.threads(), &trace.options().guests);
        readers.push(Kernel::Facts(Facts::new(
            threads,
            guests,
            begin,
            first.cpu(),
        )));
    }
    for (number, stream) in trace.streams().iter().enumerate() {
        let Some(binding) = bindings.get(stream.buffer()) else {
            continue;
        };
        let extract = KernelExtract::new(Arc::clone(binding));
        let reader = trace.reader(number, Arc::clone(binding.bound()), extract);
        readers.push(Kernel::TraceDat(reader));
    }
    readers
}

/// Of a file with several buffers, whose each event is: the buffer's that has most of it. An event
/// that two instances recorded happened once.
fn owners(trace: &Trace) -> Option<Vec<usize>> {
    if trace.buffers().len() < 2 {
        return None;
    }
    let mut sums = vec![vec![0_u64; trace.formats().len()]; trace.buffers().len()];
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    for (stream, counts) in trace.streams().iter().zip(trace.count(threads)) {
        if let Some(sums) = sums.get_mut(stream.buffer()) {
            for (sum, count) in sums.iter_mut().zip(counts.by_class) {
                *sum += count;
            }
        }
    }
    let owner = |class: usize| {
        let counts = sums
            .iter()
            .map(|sums| sums.get(class).copied().unwrap_or(0));
        // The first of those that have as many.
        let most = counts
            .enumerate()
            .max_by_key(|(buffer, count)| (*count, std::cmp::Reverse(*buffer)));
        most.map_or(0, |(buffer, _)| buffer)
    };
    Some((0..trace.formats().len()).map(owner).collect())
}

pub(super) fn any_readers(
    trace: &Arc<Trace>,
    number: usize,
    choose: &dyn Fn(&str) -> bool,
    from: Timestamp,
) -> impl Iterator<Item = StreamReader<AnyExtract>> {
    let bound = trace.bind(|format| choose(format.name()).then(Wanted::default));
    let bound = Arc::new(bound);
    (0..trace.streams().len()).map(move |stream| {
        let extract = AnyExtract::new(Arc::clone(trace.described()), number);
        trace.reader_from(stream, Arc::clone(&bound), extract, from)
    })
}
