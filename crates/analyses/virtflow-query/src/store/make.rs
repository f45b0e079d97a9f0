//! Making a store: the one pass, with the store as its sink.

use super::across::{Noted, edges_between, noting};
use super::sources::source_files;
use super::vocabulary;
use crate::apart::Apart;
use crate::clocks::align;
use crate::facts::Facts;
use crate::needed::{Asked, command};
use crate::pipeline::{Progress, analyze, machines};
use crate::vms::vms;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use virtflow_base::{Edge, Entity, Exit, Interval, Sample, Sink};
use virtflow_events::Recording;
use virtflow_history::{About, Loss, MachineEntry, Missing, StoreError, Writer, Written};
use virtflow_model::{Counter, Kind, Options};

/// Batches that the model may be ahead of the store: as long as it takes to write a chunk, some
/// hundred milliseconds. They hold a quarter of a chunk's intervals.
const AHEAD: usize = 256;

/// A store that was made, or that was stopped on the way.
#[derive(Debug)]
pub enum Making {
    /// It is whole.
    Done(Written, Vec<Facts>),
    /// The analysis was stopped; nothing is left of it.
    Stopped,
}

/// Analyses a recording into a store at `path`. While it goes on, `growing` is told where what is
/// there already can be read.
pub fn make(
    recording: &Recording,
    path: &Path,
    options: &Options,
    progress: &Progress,
    growing: impl FnOnce(&Path),
) -> Result<Making, StoreError> {
    align(recording);
    let name = name_of(recording.path());
    let machines = machines(recording);
    let options = &Options {
        interrupts: true,
        counters: true,
        ..noting(machines.len(), options)
    };
    let written_by = concat!("virtflow ", env!("CARGO_PKG_VERSION"));
    let holding: Vec<_> = Counter::ALL
        .iter()
        .filter(|counter| counter.holds())
        .map(|counter| counter.code())
        .collect();
    // Who has a physical processor is what its row is for, also from afar.
    let mut writer = Writer::create(path, &name, written_by, vocabulary())?
        .keeping_by(&[Kind::Cpu.code()])
        .holding(&holding);
    let before: Vec<_> = machines
        .iter()
        .map(|&machine| Facts::before(recording, machine))
        .collect();
    writer.about(about(options, &before, Vec::new()));
    growing(writer.growing());
    // Hashing reads the files while the analysis, too, reads them: from the page cache.
    let files: Vec<_> = recording.traces().iter().map(|t| t.path.clone()).collect();
    let hashing = std::thread::spawn(move || source_files(&files));
    let mut after = Vec::new();
    let mut noted = Vec::new();
    for (number, (&machine, before)) in (0..).zip(machines.iter().zip(&before)) {
        writer.machine(MachineEntry {
            number,
            name: before.name.clone(),
            begin_ns: before.begin_ns.unwrap_or_default(),
            end_ns: before.end_ns.unwrap_or_default(),
        });
        let first = writer.entities();
        let sink = Watched {
            failed: writer.failed(),
            progress,
            sink: Apart::ahead_by(AHEAD, writer),
        };
        let (sink, mut outcome) = analyze(recording, machine, options, sink, progress);
        writer = sink.sink.finish();
        after.push(Facts {
            vms: vms(recording, machine),
            ..Facts::new(recording, machine, &outcome)
        });
        noted.push(Noted::of(recording, machine, first, &mut outcome));
        if outcome.stopped {
            break;
        }
    }
    let stopped = after.iter().any(|facts| facts.stopped);
    let failed = writer.failed().load(Ordering::Relaxed);
    if stopped && !failed {
        return Ok(Making::Stopped);
    }
    edges_between(&noted, |edge| writer.edge_between(edge));
    drop(noted);
    let files = hashing.join().unwrap_or_else(|_| Ok(Vec::new()));
    if !failed {
        writer.about(about(options, &after, files?));
    }
    Ok(Making::Done(writer.finish()?, after))
}

fn name_of(path: &Path) -> String {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = whole.file_name().unwrap_or(whole.as_os_str());
    name.to_string_lossy().into_owned()
}

/// What tells one analysis of the same trace from another.
pub(super) fn options_json(options: &Options) -> serde_json::Value {
    serde_json::json!({ "proved_only": options.proved_only })
}

fn about(options: &Options, facts: &[Facts], sources: Vec<virtflow_history::SourceFile>) -> About {
    // Where they are, wherever the store is asked from.
    let mut traces: Vec<_> = facts.iter().flat_map(|f| f.traces.clone()).collect();
    for trace in &mut traces {
        if let Ok(whole) = Path::new(&trace.path).canonicalize() {
            trace.path = whole.display().to_string();
        }
    }
    About {
        sources,
        options: options_json(options),
        traces: serde_json::json!(traces),
        losses: (0..).zip(facts).flat_map(|(n, f)| losses(n, f)).collect(),
        missing: facts.iter().flat_map(missing).collect(),
        problems: facts
            .iter()
            .flat_map(|f| &f.problems.first)
            .map(|p| format!("{}: {}", p.file, p.what))
            .collect(),
        report: serde_json::json!(facts),
    }
}

fn losses(machine: u32, facts: &Facts) -> impl Iterator<Item = Loss> {
    facts.streams.iter().flat_map(move |stream| {
        stream.losses.iter().map(move |loss| Loss {
            machine,
            cpu: stream.cpu,
            begin_ns: loss.begin_ns,
            end_ns: loss.end_ns,
            kind: loss.kind.to_string(),
            count: (loss.kind != "unreadable").then_some(loss.count),
        })
    })
}

fn missing(facts: &Facts) -> impl Iterator<Item = Missing> {
    let asked = Asked::of(&facts.traces);
    facts.missing(true).into_iter().map(move |missing| {
        let note = if missing.note.is_empty() {
            String::new()
        } else {
            format!(" ({})", missing.note)
        };
        Missing {
            record: command(&missing.event, asked),
            hides: format!("{}{note}", missing.hides),
            event: missing.event.into_owned(),
        }
    })
}

/// A sink that stops the pass when the store cannot be written.
struct Watched<'a> {
    sink: Apart<Writer>,
    failed: Arc<AtomicBool>,
    progress: &'a Progress,
}

impl Sink for Watched<'_> {
    fn entity(&mut self, entity: &Entity) {
        self.sink.entity(entity);
        if self.failed.load(Ordering::Relaxed) {
            self.progress.stop();
        }
    }

    fn interval(&mut self, interval: &Interval) {
        self.sink.interval(interval);
        if self.failed.load(Ordering::Relaxed) {
            self.progress.stop();
        }
    }

    fn edge(&mut self, edge: &Edge) {
        self.sink.edge(edge);
    }

    fn exit(&mut self, exit: &Exit) {
        self.sink.exit(exit);
    }

    fn sample(&mut self, sample: &Sample) {
        self.sink.sample(sample);
    }
}
