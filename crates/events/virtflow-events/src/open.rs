//! Opening a recording: every trace below a path, the machines they were made on, and readers of
//! their events.

use crate::any::AnyEvent;
use crate::bind::{KernelBinding, KernelExtract};
use crate::clocks::{Corrected, MachineClock, corrected};
use crate::merge::Merge;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use virtflow_base::{Problems, StreamCoverage, Timestamp};
use virtflow_ctf::{EventView, Extract, StreamReader, Trace, Wanted};

/// Why a recording could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A CTF trace that cannot be read.
    #[error(transparent)]
    Ctf(#[from] virtflow_ctf::Error),
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
    /// Its directory.
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

/// Reads the typed kernel events of one stream.
pub type KernelReader = StreamReader<KernelExtract>;

/// An opened recording.
#[derive(Debug)]
pub struct Recording {
    path: PathBuf,
    traces: Vec<Arc<Trace>>,
    infos: Vec<TraceInfo>,
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
            machines: Vec::new(),
            clocks: OnceLock::new(),
            tsc_offsets: Vec::new(),
        };
        for path in paths {
            for directory in virtflow_ctf::discover(path.as_ref())? {
                // A trace given twice is one.
                if recording.infos.iter().any(|info| info.path == directory) {
                    continue;
                }
                let trace = Trace::open(&directory)?;
                let machine = recording.machine_of(&trace);
                recording.infos.push(info(&trace, machine));
                recording.traces.push(Arc::new(trace));
            }
        }
        Ok(recording)
    }

    fn machine_of(&mut self, trace: &Trace) -> usize {
        let env = |name| trace.metadata().env_text(name).unwrap_or("").to_owned();
        let (name, kernel) = (env("hostname"), env("kernel_release"));
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
        for trace in &self.traces {
            all.merge(trace.problems().clone());
        }
        all
    }

    /// Its traces, and what they say about themselves.
    pub(crate) fn opened(&self) -> impl Iterator<Item = (&Arc<Trace>, &TraceInfo)> {
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

    /// The names of the events that the traces of `machine` describe.
    pub fn described(&self, machine: usize) -> Vec<&str> {
        let traces = self.traces.iter().zip(&self.infos);
        let mut names: Vec<_> = traces
            .filter(|(_, info)| info.machine == machine)
            .flat_map(|(trace, _)| trace.event_classes().iter().map(|class| class.name()))
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
            let counts = trace.count(threads);
            counted.total += counts.total;
            for (class, &count) in trace.event_classes().iter().zip(&counts.by_class) {
                if count > 0 {
                    *by_name.entry(class.name()).or_insert(0) += count;
                }
            }
            counted.problems.merge(counts.problems);
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
    ) -> Merge<Corrected<StreamReader<KernelExtract>>> {
        let correction = self.correction(machine);
        let bind = |trace: &Trace| KernelBinding::new(trace, &wanted);
        let readers = self.kernel_readers(machine, bind);
        let corrected = readers.map(|reader| Corrected::new(reader, correction.clone()));
        Merge::new(corrected.collect(), threads)
    }

    /// Those of the kinds that are `wanted` and no others, on the machine's own clock.
    pub fn kernel_events_as_told(
        &self,
        machine: usize,
        wanted: impl Fn(&str) -> bool,
        threads: usize,
    ) -> Merge<StreamReader<KernelExtract>> {
        let bind = |trace: &Trace| KernelBinding::only(trace, &wanted);
        Merge::new(self.kernel_readers(machine, bind).collect(), threads)
    }

    /// Readers of all streams of the kernel traces of `machine`.
    fn kernel_readers(
        &self,
        machine: usize,
        bind: impl Fn(&Trace) -> KernelBinding,
    ) -> impl Iterator<Item = StreamReader<KernelExtract>> {
        let traces = self
            .opened()
            .filter(move |(_, info)| info.machine == machine);
        let traces = traces.filter(|(_, info)| info.domain != "ust");
        traces.flat_map(move |(trace, _)| {
            let binding = Arc::new(bind(trace));
            (0..trace.streams().len()).map(move |stream| {
                let extract = KernelExtract::new(Arc::clone(&binding));
                trace.reader(stream, Arc::clone(binding.bound()), extract)
            })
        })
    }

    /// Every event of every trace that `choose` takes by name, merged.
    pub fn events(
        &self,
        choose: impl Fn(&str) -> bool,
        threads: usize,
    ) -> Merge<Corrected<StreamReader<AnyExtract>>> {
        self.events_from(choose, Timestamp::MIN, threads)
    }

    /// The same from about `from` on: the first ones may be earlier, by a packet at most.
    pub fn events_from(
        &self,
        choose: impl Fn(&str) -> bool,
        from: Timestamp,
        threads: usize,
    ) -> Merge<Corrected<StreamReader<AnyExtract>>> {
        let mut readers = Vec::new();
        for (number, (trace, info)) in self.opened().enumerate() {
            let correction = self.correction(info.machine);
            let from = correction.as_ref().map_or(from, |c| c.before(from));
            let bound = trace.bind(|class| choose(class.name()).then(Wanted::default));
            let bound = Arc::new(bound);
            for stream in 0..trace.streams().len() {
                let extract = AnyExtract {
                    trace: Arc::clone(trace),
                    number,
                };
                let reader = trace.reader_from(stream, Arc::clone(&bound), extract, from);
                readers.push(Corrected::new(reader, correction.clone()));
            }
        }
        Merge::new(readers, threads)
    }
}

fn info(trace: &Trace, machine: usize) -> TraceInfo {
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

/// Keeps every event, decoded when it is asked for.
#[derive(Debug)]
pub struct AnyExtract {
    trace: Arc<Trace>,
    number: usize,
}

impl Extract for AnyExtract {
    type Out = AnyEvent;

    fn extract(&mut self, event: &EventView<'_>) -> Option<AnyEvent> {
        Some(AnyEvent::new(
            Arc::clone(&self.trace),
            self.number,
            event.to_owned(),
        ))
    }
}
