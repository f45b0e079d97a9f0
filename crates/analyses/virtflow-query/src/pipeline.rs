//! The pipeline: a recording's events through the model into a sink, one pass per machine.

use rustc_hash::FxHashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use virtflow_base::{Problems, RecordSource, Sink, Stamped, StreamCoverage, Timestamp};
use virtflow_events::{KernelEvent, KernelRecord, Merge, Recording};
use virtflow_model::{Counts, Followed, Model, Options, Segments};

/// Events that may be held back at the beginning while the tracer's state dump is under way: its
/// facts hold from the beginning, wherever in the dump they stand.
const PROLOGUE_EVENTS_MAX: usize = 1 << 17;

/// What a long analysis tells about itself while it runs, and how it is stopped.
#[derive(Debug, Default)]
pub struct Progress {
    bytes: AtomicU64,
    stop: AtomicBool,
}

impl Progress {
    /// Bytes of the recording read so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Notes how many bytes have been read.
    pub fn read(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    /// Asks the analysis to end early; what it found until then is kept.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether that was asked.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// What came of a pass besides what its sink holds.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The machine's name.
    pub machine: String,
    /// What the model counted.
    pub counts: Counts,
    /// What was noted of its segments, for the machines beside it.
    pub segments: Segments,
    /// What was wrong with the input.
    pub problems: Problems,
    /// What the streams cover, and what they lost.
    pub coverage: Vec<StreamCoverage>,
    /// Whether it was stopped before the end.
    pub stopped: bool,
}

/// Whether a probe just after each entry names the vCPU, by the names of what is recorded.
pub(crate) fn is_entry_probed(described: &[&str]) -> bool {
    let mut kinds = described
        .iter()
        .filter_map(|name| virtflow_events::kind(name));
    kinds.any(|kind| kind == "vcpu_enter_guest")
}

/// The events of KVM's by which vCPUs are known.
const OF_VCPUS: [&str; 6] = [
    "addons_vcpu_enter_guest",
    "kvm_userspace_exit",
    "kvm_x86_entry",
    "kvm_x86_exit",
    "vcpu_enter_guest",
    "vcpu_exit_guest",
];

/// Whether nothing of KVM's tells of vCPUs, by the names of what is recorded.
pub(crate) fn are_vcpus_named(described: &[&str]) -> bool {
    let mut kinds = described
        .iter()
        .filter_map(|name| virtflow_events::kind(name));
    !kinds.any(|kind| OF_VCPUS.contains(&kind))
}

/// Whether it is told that a thread is moved to another processor's queue, by the names of what is recorded.
pub(crate) fn are_migrations_told(described: &[&str]) -> bool {
    described
        .iter()
        .filter_map(|name| virtflow_events::kind(name))
        .any(|kind| kind == "sched_migrate_task")
}

/// Runs the model over the events of one machine.
pub fn analyze<S: Sink>(
    recording: &Recording,
    machine: usize,
    options: &Options,
    sink: S,
    progress: &Progress,
) -> (S, Outcome) {
    crate::clocks::align(recording);
    let coverage = recording.coverage(machine);
    let mut options = options.clone();
    let described = recording.described(machine);
    options.entry_probed = is_entry_probed(&described);
    options.vcpus_named = are_vcpus_named(&described);
    options.migrations_told = are_migrations_told(&described);
    options.followed = followed(recording, machine);
    let dumped = described.contains(&"lttng_statedump_process_state");
    let mut events = recording.kernel_events(machine, virtflow_model::reads, threads_beside());
    let mut model = Model::new(&coverage, options, sink);
    let mut prologue = Prologue::new(dumped);
    let mut stopped = false;
    let mut bytes = 0;
    while let Some((_, run)) = events.next_run() {
        prologue.take(run, &mut model);
        let read = events.bytes_read();
        if read != bytes {
            bytes = read;
            progress.read(read);
            if progress.stopped() {
                stopped = true;
                break;
            }
        }
    }
    prologue.end(&mut model);
    let mut problems = recording.problems();
    problems.merge(problems_of(&events));
    let segments = model.take_segments();
    let (sink, counts) = model.finish();
    let machine = recording
        .machines()
        .get(machine)
        .map_or_else(String::new, |m| m.name.clone());
    (
        sink,
        Outcome {
            machine,
            counts,
            segments,
            problems,
            coverage,
            stopped,
        },
    )
}

fn problems_of<R: RecordSource>(events: &Merge<R>) -> Problems {
    events.problems().clone()
}

/// Of a recording of some threads rather than of processors: what tells when they run.
pub(crate) fn followed(recording: &Recording, machine: usize) -> Option<Followed> {
    let switches = recording.followed(machine)?;
    Some(Followed {
        traced: switches.traced,
        both_ways: switches.both_ways,
    })
}

/// Decoding threads: one per processor of this machine.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Decoding threads where this one has work of its own all the time.
pub(crate) fn threads_beside() -> usize {
    threads().saturating_sub(1).max(1)
}

/// What takes the events of a recording.
pub(crate) trait Feed {
    /// The first event is at `t`.
    fn begin(&mut self, t: Timestamp);
    /// A fact that holds from the beginning.
    fn know(&mut self, record: &KernelRecord);
    /// The next event.
    fn event(&mut self, t: Timestamp, record: &KernelRecord);
}

impl<S: Sink> Feed for Model<S> {
    fn begin(&mut self, t: Timestamp) {
        Self::begin(self, t);
    }

    fn know(&mut self, record: &KernelRecord) {
        Self::know(self, record);
    }

    fn event(&mut self, t: Timestamp, record: &KernelRecord) {
        Self::event(self, t, record);
    }
}

/// The beginning of a recording, held back until the tracer's state dump has told which threads
/// make up which process.
pub(crate) struct Prologue {
    held: Vec<Stamped<KernelRecord>>,
    holding: bool,
}

impl Prologue {
    pub(crate) const fn new(dumped: bool) -> Self {
        Self {
            held: Vec::new(),
            holding: dumped,
        }
    }

    pub(crate) fn take(&mut self, run: &[Stamped<KernelRecord>], model: &mut impl Feed) {
        if !self.holding {
            for event in run {
                model.event(event.time, &event.record);
            }
            return;
        }
        self.held.extend_from_slice(run);
        let ended = run
            .iter()
            .any(|r| matches!(r.record.event, KernelEvent::StatedumpEnd));
        if ended || self.held.len() >= PROLOGUE_EVENTS_MAX {
            self.end(model);
        }
    }

    pub(crate) fn end(&mut self, model: &mut impl Feed) {
        self.holding = false;
        if let Some(first) = self.held.first() {
            model.begin(first.time);
        }
        for event in &self.held {
            model.know(&event.record);
        }
        for event in std::mem::take(&mut self.held) {
            model.event(event.time, &event.record);
        }
    }
}

/// The machines of a recording that have kernel events to analyse.
pub fn machines(recording: &Recording) -> Vec<usize> {
    let mut seen: FxHashMap<usize, bool> = FxHashMap::default();
    for trace in recording.traces() {
        *seen.entry(trace.machine).or_default() |= trace.domain != "ust";
    }
    let mut all: Vec<_> = seen
        .into_iter()
        .filter(|(_, kernel)| *kernel)
        .map(|(m, _)| m)
        .collect();
    all.sort_unstable();
    all
}

/// From the earliest to the latest moment that any stream covers.
pub fn bounds(coverage: &[StreamCoverage]) -> Option<(Timestamp, Timestamp)> {
    let spans = || coverage.iter().filter_map(|c| c.span);
    let start = spans().map(|s| s.start).min()?;
    let end = spans().map(|s| s.end).max()?;
    Some((start, end))
}
