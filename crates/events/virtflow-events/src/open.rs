//! Opening a recording: every trace below a path, the machines they were made on, and readers of
//! their events.

use crate::clocks::{Corrected, MachineClock, corrected};
use crate::merge::Merge;
use crate::trace::{AnyReader, KernelReader, Switches, Trace, Which, traces_at};
use rustc_hash::FxHashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use virtflow_base::{
    CpuId, Place, Problem, ProblemKind, Problems, Span, StreamCoverage, Timestamp,
};

/// Who tells which thread has a processor.
const SWITCH: &str = "sched_switch";
/// A trace that begins so long before another one's end may follow it, in nanoseconds.
const FOLLOWS_WITHIN_NS: i64 = 1_000_000_000;

/// Why a recording could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A CTF trace that cannot be read.
    #[error(transparent)]
    Ctf(#[from] virtflow_ctf::Error),
    /// A file of trace-cmd that cannot be read.
    #[error(transparent)]
    TraceDat(#[from] virtflow_tracedat::Error),
    /// A file of perf that cannot be read.
    #[error(transparent)]
    PerfData(#[from] virtflow_perfdata::Error),
    /// A file that is no trace.
    #[error(
        "no trace at {}: it is neither a file of trace-cmd (trace.dat) or perf (perf.data) nor the \
         `metadata` of a CTF trace; of LTTng give the directory that `lttng create` printed", path.display()
    )]
    NoTrace {
        /// The file.
        path: PathBuf,
    },
}

/// A clock of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockInfo {
    /// Its name: `monotonic` for LTTng's kernel traces.
    pub name: String,
    /// Ticks per second.
    pub frequency: u64,
    /// Its identity: clocks of the same one are the same clock. LTTng's is the boot's.
    pub uuid: Option<[u8; 16]>,
    /// Nanoseconds from the Unix epoch to the clock's zero.
    pub offset_ns: i128,
}

/// What one trace of a recording says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceInfo {
    /// Its directory, or its file.
    pub path: PathBuf,
    /// Its format.
    pub format: &'static str,
    /// The machine it was made on, as a number in [`Recording::machines`].
    pub machine: usize,
    /// What it was made of: `kernel` or `ust` for LTTng.
    pub domain: String,
    /// The tracer and its version.
    pub tracer: String,
    /// Its clocks.
    pub clocks: Vec<ClockInfo>,
    /// How many streams it has.
    pub streams: usize,
    /// The size of its streams in bytes.
    pub bytes: u64,
}

/// A machine that traces were made on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineInfo {
    /// Its host name, made unique.
    pub name: String,
    /// Its kernel's release.
    pub kernel: String,
}

/// How many events there are of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventCount {
    /// The event's name.
    pub name: String,
    /// How many.
    pub count: u64,
    /// What it is in the alias table ([`crate::kind`]), if it is there.
    pub kind: Option<&'static str>,
}

/// All events of a recording, counted.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    /// How many there are.
    pub total: u64,
    /// By name, most frequent first; names that the traces describe and do not have are not in it.
    pub by_name: Vec<EventCount>,
    /// What was met on the way.
    pub problems: Problems,
}

/// That nothing is analysed of a recording of some threads.
fn unfollowed(info: &TraceInfo) -> Problem {
    let what = "its events are listed and not analysed: record sched:sched_switch, or with \
                --switch-events, and give no other trace of the same machine beside it";
    Problem {
        kind: ProblemKind::Unsupported,
        place: Place {
            file: Arc::new(info.path.clone()),
            ..Place::default()
        },
        what: what.to_owned(),
    }
}

/// That nothing is analysed of a trace, as `other` tells of the same switches.
fn overlapping(info: &TraceInfo, other: &TraceInfo) -> Problem {
    let what = format!(
        "it tells of the same CPUs at the same time as {}: its events are listed and not analysed, as \
         every switch would count twice; analyse it by itself",
        other.path.display()
    );
    Problem {
        kind: ProblemKind::Unsupported,
        place: Place {
            file: Arc::new(info.path.clone()),
            ..Place::default()
        },
        what,
    }
}

/// Whether it tells of VMs.
fn has_kvm(trace: &Trace) -> bool {
    let mut kinds = trace.described().into_iter().filter_map(crate::kind);
    kinds.any(|kind| kind.starts_with("kvm"))
}

/// Whether two traces tell of the same while: at their ends those that follow one another may overlap
/// a little, as tracers begin another file for one processor after the other.
fn is_same_while(one: Span, other: Span) -> bool {
    let both = Span::new(one.start.max(other.start), one.end.min(other.end));
    let shorter = one.nanos().min(other.nanos());
    both.nanos() > (shorter / 10).min(FOLLOWS_WITHIN_NS)
}

/// When a trace tells who has which processor; nothing of one that does not.
fn switches_seen(trace: &Trace, info: &TraceInfo) -> FxHashMap<Option<CpuId>, Span> {
    let mut seen: FxHashMap<Option<CpuId>, Span> = FxHashMap::default();
    if info.domain == "ust" || trace.follows().is_some() || !trace.described().contains(&SWITCH) {
        return seen;
    }
    for stream in trace.coverage(false) {
        if let Some(span) = stream.span {
            let of_cpu = seen.entry(stream.cpu).or_insert(span);
            of_cpu.start = of_cpu.start.min(span.start);
            of_cpu.end = of_cpu.end.max(span.end);
        }
    }
    seen
}

/// Of traces of one machine that have the same switches only one is analysed, the longest of those that
/// tell of VMs if any does: the others, and whose switches they have.
fn overlaps(traces: &[Trace], infos: &[TraceInfo]) -> Vec<Option<usize>> {
    let mut overlaps = vec![None; traces.len()];
    if traces.len() < 2 {
        return overlaps;
    }
    let seen: Vec<_> = traces
        .iter()
        .zip(infos)
        .map(|(trace, info)| switches_seen(trace, info))
        .collect();
    let nanos =
        |i: &usize| -> i128 { seen[*i].values().map(|span| i128::from(span.nanos())).sum() };
    let mut longest_first: Vec<usize> = (0..traces.len()).collect();
    longest_first.sort_by_cached_key(|i| {
        let is_better = (has_kvm(&traces[*i]), nanos(i));
        (std::cmp::Reverse(is_better), *i)
    });
    let mut taken: FxHashMap<_, Vec<(Span, usize)>> = FxHashMap::default();
    for i in longest_first {
        let place = |cpu: &Option<CpuId>| (infos[i].machine, *cpu);
        overlaps[i] = seen[i].iter().find_map(|(cpu, span)| {
            let mut of_cpu = taken.get(&place(cpu))?.iter();
            let other = of_cpu.find(|(one, _)| is_same_while(*one, *span));
            other.map(|(_, of)| *of)
        });
        if overlaps[i].is_none() {
            for (cpu, span) in &seen[i] {
                taken.entry(place(cpu)).or_default().push((*span, i));
            }
        }
    }
    overlaps
}

/// An opened recording.
#[derive(Debug)]
pub struct Recording {
    path: PathBuf,
    traces: Vec<Trace>,
    infos: Vec<TraceInfo>,
    /// Of each trace that is not analysed because another one has the same switches, which that is.
    overlaps: Vec<Option<usize>>,
    machines: Vec<MachineInfo>,
    pub(crate) clocks: OnceLock<Vec<MachineClock>>,
    /// What was said of guests' time stamp counters, by machine.
    pub(crate) tsc_offsets: Vec<(usize, u64)>,
}

impl Recording {
    /// Opens every trace at or below `path`.
    ///
    /// # Errors
    /// Where there is no trace, or one of them cannot be understood at all.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::open_all(&[path])
    }

    /// Opens the traces at or below several paths as one recording.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_all<P: AsRef<Path>>(paths: &[P]) -> Result<Self, OpenError> {
        let mut recording = Self {
            path: paths
                .first()
                .map(|p| p.as_ref().to_owned())
                .unwrap_or_default(),
            traces: Vec::new(),
            infos: Vec::new(),
            overlaps: Vec::new(),
            machines: Vec::new(),
            clocks: OnceLock::new(),
            tsc_offsets: Vec::new(),
        };
        for path in paths {
            for place in traces_at(path.as_ref())? {
                // A trace given twice is one.
                if recording.infos.iter().any(|info| info.path == place.path()) {
                    continue;
                }
                let trace = place.open()?;
                let (name, kernel) = trace.machine();
                let machine = recording.machine_of(name, kernel);
                recording.infos.push(trace.info(machine));
                recording.traces.push(trace);
            }
        }
        recording.overlaps = overlaps(&recording.traces, &recording.infos);
        Ok(recording)
    }

    fn machine_of(&mut self, name: String, kernel: String) -> usize {
        let name = if name.is_empty() {
            "machine".to_owned()
        } else {
            name
        };
        if let Some(at) = self.machines.iter().position(|m| m.name == name) {
            if self.machines[at].kernel.is_empty() {
                self.machines[at].kernel = kernel;
            }
            return at;
        }
        self.machines.push(MachineInfo { name, kernel });
        self.machines.len() - 1
    }

    /// What was opened; of several paths the first.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What its traces say about themselves.
    pub fn traces(&self) -> &[TraceInfo] {
        &self.infos
    }

    /// The machines its traces were made on.
    pub fn machines(&self) -> &[MachineInfo] {
        &self.machines
    }

    /// The size of all streams in bytes.
    pub fn bytes(&self) -> u64 {
        self.infos.iter().map(|i| i.bytes).sum()
    }

    /// What was wrong already on opening.
    pub fn problems(&self) -> Problems {
        let mut all = Problems::default();
        // First: of many problems only some are kept.
        self.traces
            .iter()
            .filter_map(Trace::missed)
            .for_each(|missed| all.push(missed));
        for (trace, info) in self.opened() {
            all.merge(trace.problems().clone());
            if trace.follows().is_some() && self.followed(info.machine).is_none() {
                all.push(unfollowed(info));
            }
        }
        for (info, other) in self.infos.iter().zip(&self.overlaps) {
            if let Some(other) = other {
                all.push(overlapping(info, &self.infos[*other]));
            }
        }
        all
    }

    /// Its traces, and what they say about themselves.
    pub(crate) fn opened(&self) -> impl Iterator<Item = (&Trace, &TraceInfo)> {
        self.traces.iter().zip(&self.infos)
    }

    /// What the streams of the kernel traces of `machine` cover, and what they lost.
    pub fn coverage(&self, machine: usize) -> Vec<StreamCoverage> {
        let told = self.coverage_as_told(machine);
        match self.correction(machine) {
            Some(by) => told.into_iter().map(|one| corrected(one, &by)).collect(),
            None => told,
        }
    }

    /// The names of the events that the traces of `machine` describe, and of records in which a tracer
    /// tells of threads.
    pub fn described(&self, machine: usize) -> Vec<&str> {
        let traces = self.opened().zip(&self.overlaps);
        let mut names: Vec<_> = traces
            .filter(|((_, info), overlaps)| info.machine == machine && overlaps.is_none())
            .flat_map(|((trace, _), _)| trace.described())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Counts every event, without merging.
    pub fn count(&self, threads: usize) -> Counted {
        let mut counted = Counted::default();
        let mut by_name = std::collections::BTreeMap::new();
        for trace in &self.traces {
            let (counts, problems) = trace.count(threads);
            for (name, count) in counts {
                counted.total += count;
                if count > 0 {
                    *by_name.entry(name).or_insert(0) += count;
                }
            }
            counted.problems.merge(problems);
        }
        counted.by_name = by_name
            .into_iter()
            .map(|(name, count)| EventCount {
                name: name.to_owned(),
                count,
                kind: crate::kind(name),
            })
            .collect();
        counted
            .by_name
            .sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
        counted
    }

    /// The typed kernel events of one machine whose [`kind`](crate::kind) is `wanted`, merged,
    /// decoded on `threads` threads.
    pub fn kernel_events(
        &self,
        machine: usize,
        wanted: impl Fn(&str) -> bool,
        threads: usize,
    ) -> Merge<Corrected<KernelReader>> {
        let correction = self.correction(machine);
        let readers = self.kernel_readers(machine, Which::OrTellsThread, &wanted);
        let corrected = readers
            .into_iter()
            .map(|reader| Corrected::new(reader, correction.clone()));
        Merge::new(corrected.collect(), threads)
    }

    /// Those of the kinds that are `wanted` and no others, on the machine's own clock.
    pub fn kernel_events_as_told(
        &self,
        machine: usize,
        wanted: impl Fn(&str) -> bool,
        threads: usize,
    ) -> Merge<KernelReader> {
        Merge::new(
            self.kernel_readers(machine, Which::Wanted, &wanted),
            threads,
        )
    }

    /// Readers of all streams of the kernel traces of `machine`.
    fn kernel_readers(
        &self,
        machine: usize,
        which: Which,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Vec<KernelReader> {
        let followed = self.followed(machine).is_some();
        self.kernel_traces(machine)
            .flat_map(|trace| trace.kernel_readers(which, wanted, followed))
            .collect()
    }

    pub(crate) fn kernel_traces(&self, machine: usize) -> impl Iterator<Item = &Trace> {
        let traces = self.opened().zip(&self.overlaps);
        let traces = traces.filter(move |((_, info), overlaps)| {
            info.machine == machine && info.domain != "ust" && overlaps.is_none()
        });
        traces.map(|((trace, _), _)| trace)
    }

    /// Of a machine of which some threads were recorded and no whole processor (`perf record -p`, or of
    /// a command), what tells when these threads run. `None` where nothing does, either: then there are
    /// no [`Self::kernel_events`].
    pub fn followed(&self, machine: usize) -> Option<Switches> {
        let mut all = self.kernel_traces(machine).map(Trace::follows);
        // Two at once would tell every switch twice.
        let only = all.next()??;
        let none = all.next().is_none();
        (none && only.tell()).then_some(only)
    }

    /// Every event of every trace that `choose` takes by name, merged.
    pub fn events(
        &self,
        choose: impl Fn(&str) -> bool,
        threads: usize,
    ) -> Merge<Corrected<AnyReader>> {
        self.events_from(choose, Timestamp::MIN, threads)
    }

    /// The same from about `from` on: the first ones may be earlier, by a packet at most.
    pub fn events_from(
        &self,
        choose: impl Fn(&str) -> bool,
        from: Timestamp,
        threads: usize,
    ) -> Merge<Corrected<AnyReader>> {
        let mut readers = Vec::new();
        for (number, (trace, info)) in self.opened().enumerate() {
            let correction = self.correction(info.machine);
            let from = correction.as_ref().map_or(from, |c| c.before(from));
            for reader in trace.any_readers(number, &choose, from) {
                readers.push(Corrected::new(reader, correction.clone()));
            }
        }
        Merge::new(readers, threads)
    }
}
