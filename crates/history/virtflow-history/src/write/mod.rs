//! Writing a store while the one pass runs.

mod chunk;
mod columns;
mod counters;
mod directory;
mod group;

pub use directory::size;

use crate::counter::Series;
use crate::doing::{Doing, Doings};
use crate::manifest::{Manifest, State};
use crate::tables::write_whole;
use crate::{Loss, MachineEntry, Missing, SourceFile, StoreError, Vocabulary};
use chunk::{Buffer, Row};
use counters::Counters;
use directory::Directory;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use virtflow_base::{Edge, Entity, Exit, Interval, Sample, Sink};

/// Intervals of one chunk: what is sorted in memory at once.
const CHUNK_INTERVALS: usize = 1 << 20;
/// Edges and exits that end a chunk, should there be so many of them.
const CHUNK_OTHERS: usize = 1 << 20;
/// How often readers are told what is new.
const TELL_EVERY: Duration = Duration::from_millis(250);

/// What is said about a store beside its tables.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// What it was made from.
    pub sources: Vec<SourceFile>,
    /// The options of the analysis.
    pub options: serde_json::Value,
    /// The traces and their clocks.
    pub traces: serde_json::Value,
    /// What was lost.
    pub losses: Vec<Loss>,
    /// What was not recorded.
    pub missing: Vec<Missing>,
    /// What was wrong with the input.
    pub problems: Vec<String>,
    /// What the program that writes wants to find again.
    pub report: serde_json::Value,
}

/// What came of writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// How many entities there are.
    pub entities: u64,
    /// How many intervals.
    pub intervals: u64,
    /// How many edges.
    pub edges: u64,
    /// How many exits.
    pub exits: u64,
    /// How many values of counters.
    pub values: u64,
    /// The size of all files, in bytes.
    pub bytes: u64,
}

/// An entity, and what its lanes came to so far.
#[derive(Clone, Debug)]
struct Known {
    machine: u32,
    entity: Entity,
    begin_ns: i64,
    end_ns: i64,
    intervals: u64,
}

/// Writes a store. It has another name until [`Self::finish`] gives it its own; dropped before
/// that, it is removed.
#[derive(Debug)]
pub struct Writer {
    directory: Directory,
    manifest: Manifest,
    known: Vec<Known>,
    /// The number of the first entity of the machine at hand.
    first: u32,
    doings: Doings,
    buffer: Buffer,
    counters: Counters,
    group: group::Open,
    told: Option<Instant>,
    error: Option<StoreError>,
    failed: Arc<AtomicBool>,
    chunk_intervals: usize,
    tell_every: Duration,
}

impl Writer {
    /// Begins a store that will stand at `path`.
    pub fn create(
        path: &Path,
        name: &str,
        written_by: &str,
        vocabulary: Vocabulary,
    ) -> Result<Self, StoreError> {
        let directory = Directory::begin(path)?;
        Ok(Self {
            directory,
            manifest: Manifest::new(name, written_by, vocabulary),
            known: Vec::new(),
            first: 0,
            doings: Doings::default(),
            buffer: Buffer::default(),
            counters: Counters::default(),
            group: group::Open::default(),
            told: None,
            error: None,
            failed: Arc::default(),
            chunk_intervals: CHUNK_INTERVALS,
            tell_every: TELL_EVERY,
        })
    }

    /// The same with chunks of another size, told as soon as they are written: to see many of
    /// them in a small test.
    #[must_use]
    pub const fn with_chunks_of(mut self, intervals: usize) -> Self {
        self.chunk_intervals = intervals;
        self.tell_every = Duration::ZERO;
        self
    }

    /// Levels of detail of entities of these kinds tell apart who ran (`by`).
    #[must_use]
    pub fn keeping_by(mut self, kinds: &[u8]) -> Self {
        self.manifest.keeps_by = kinds.to_vec();
        self
    }

    /// Values of these counters hold until the next.
    #[must_use]
    pub fn holding(mut self, counters: &[u8]) -> Self {
        self.manifest.holds = counters.to_vec();
        self.counters.holding(counters);
        self
    }

    /// Where it is being written: a store that grows, which can be read up to where it says.
    pub fn growing(&self) -> &Path {
        self.directory.path()
    }

    /// Becomes true when something could not be written: there is no point in going on.
    pub fn failed(&self) -> Arc<AtomicBool> {
        self.failed.clone()
    }

    /// What is known beforehand; also what is lost is shown from the beginning.
    pub fn about(&mut self, about: About) {
        self.manifest.sources = about.sources;
        self.manifest.options = about.options;
        self.manifest.traces = about.traces;
        self.manifest.losses = about.losses;
        self.manifest.missing = about.missing;
        self.manifest.problems = about.problems;
        self.manifest.report = about.report;
    }

    /// What follows is of another machine.
    pub fn machine(&mut self, machine: MachineEntry) {
        self.end_chunk();
        self.first = self.entities();
        self.buffer.begin_machine(machine.number);
        self.counters.begin_machine();
        self.group.clear();
        self.manifest.machines.push(machine);
        self.keep(Self::tell);
    }

    /// How many entities there are: the number of the next machine's first one.
    pub fn entities(&self) -> u32 {
        u32::try_from(self.known.len()).unwrap_or(u32::MAX)
    }

    /// Takes an edge between entities of any two machines, by their numbers in the store.
    pub fn edge_between(&mut self, edge: &Edge) {
        self.buffer.edges.push(*edge);
        self.end_chunk_of_others();
    }

    /// Ends the store: everything to disk, then its own name.
    pub fn finish(mut self) -> Result<Written, StoreError> {
        self.end_chunk();
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        self.manifest.state = State::Complete;
        self.tell()?;
        let chunks = || self.manifest.chunks.iter();
        let written = Written {
            entities: self.known.len() as u64,
            intervals: chunks().map(|c| c.intervals).sum(),
            edges: chunks().map(|c| c.edges).sum(),
            exits: chunks().map(|c| c.exits).sum(),
            values: self.manifest.counters.iter().map(|c| c.values).sum(),
            bytes: self.directory.sync()?,
        };
        self.directory.publish()?;
        Ok(written)
    }

    fn keep(&mut self, what: impl FnOnce(&mut Self) -> Result<(), StoreError>) {
        if self.error.is_some() {
            return;
        }
        if let Err(error) = what(self) {
            self.error = Some(error);
            self.failed.store(true, Ordering::Relaxed);
        }
    }

    /// Entities, doings and the manifest, so that what is there can be read.
    fn tell(&mut self) -> Result<(), StoreError> {
        let path = self.directory.path();
        let entities = columns::entities(&self.known, &self.manifest.vocabulary);
        write_whole(&path.join(ENTITIES_FILE), &batch(path, entities)?)?;
        let doings = columns::doings(self.doings.all(), &self.manifest.vocabulary);
        write_whole(&path.join(DOINGS_FILE), &batch(path, doings)?)?;
        self.directory.write_manifest(&self.manifest)?;
        self.told = Some(Instant::now());
        Ok(())
    }

    fn end_chunk(&mut self) {
        if self.buffer.is_empty() && self.counters.len() == 0 {
            return;
        }
        self.keep(|writer| {
            let number = u32::try_from(writer.manifest.chunks.len()).unwrap_or(u32::MAX);
            let kinds = &writer.manifest.keeps_by;
            let known = &writer.known;
            let keeps_by = |entity: u32| {
                let known = known.get(entity as usize);
                known.is_some_and(|k| kinds.contains(&k.entity.kind))
            };
            let mut done = writer.buffer.write(
                number,
                writer.directory.path(),
                &writer.doings,
                &keeps_by,
                &writer.manifest.vocabulary,
            )?;
            for lane in done.lanes {
                if let Some(known) = writer.known.get_mut(lane.entity as usize) {
                    known.begin_ns = known.begin_ns.min(lane.begin_ns);
                    known.end_ns = known.end_ns.max(lane.end_ns);
                    known.intervals += lane.intervals;
                }
            }
            done.chunk.counters = writer.counters.write(
                number,
                writer.directory.path(),
                &writer.manifest.vocabulary,
            )?;
            writer.manifest.counters = writer.counters.known.values().cloned().collect();
            let path = writer.directory.path();
            let group = writer.group.add(path, &done.chunk, &done.totals)?;
            writer.manifest.groups.extend(group);
            writer.manifest.progress.complete_to_ns = Some(done.chunk.end_ns);
            writer.manifest.chunks.push(done.chunk);
            if writer
                .told
                .is_none_or(|told| told.elapsed() >= writer.tell_every)
            {
                writer.tell()?;
            }
            Ok(())
        });
        // After an error nothing more is written, but the pass may go on for a while.
        self.buffer.clear();
        self.counters.clear();
    }

    const fn own(&self, entity: virtflow_base::EntityId) -> u32 {
        self.first.saturating_add(entity.0)
    }

    fn other(&self, entity: Option<virtflow_base::EntityId>) -> i32 {
        entity.map_or(-1, |e| i32::try_from(self.own(e)).unwrap_or(-1))
    }

    fn end_chunk_of_others(&mut self) {
        let (edges, exits) = (self.buffer.edges.len(), self.buffer.exits.len());
        if edges.max(exits).max(self.counters.len()) >= CHUNK_OTHERS {
            self.end_chunk();
        }
    }
}

/// The entities' file.
pub(crate) const ENTITIES_FILE: &str = "entities.parquet";
/// The doings' file.
pub(crate) const DOINGS_FILE: &str = "doings.parquet";

fn batch(
    path: &Path,
    columns: Result<arrow_array::RecordBatch, arrow_schema::ArrowError>,
) -> Result<arrow_array::RecordBatch, StoreError> {
    columns.map_err(StoreError::arrow(path))
}

/// A chunk's file of one table.
pub(crate) fn chunk_file(directory: &Path, table: &str, number: u32) -> PathBuf {
    directory.join(table).join(format!("{number:06}.parquet"))
}

impl Sink for Writer {
    fn entity(&mut self, entity: &Entity) {
        let at = self.own(entity.id) as usize;
        let machine = self.manifest.machines.last().map_or(0, |m| m.number);
        match self.known.get_mut(at) {
            Some(known) => known.entity.clone_from(entity),
            None => self.known.push(Known {
                machine,
                entity: entity.clone(),
                begin_ns: i64::MAX,
                end_ns: i64::MIN,
                intervals: 0,
            }),
        }
        if let Some(known) = self.known.get_mut(at) {
            let shift = |id: &mut Option<virtflow_base::EntityId>| {
                if let Some(id) = id {
                    id.0 = id.0.saturating_add(self.first);
                }
            };
            known.entity.id.0 = u32::try_from(at).unwrap_or(u32::MAX);
            shift(&mut known.entity.parent);
            shift(&mut known.entity.vm);
        }
    }

    fn interval(&mut self, interval: &Interval) {
        let doing = self.doings.number(Doing {
            state: interval.state,
            cause: interval.cause,
            level: interval.level,
            confidence: interval.confidence,
            evidence: interval.evidence,
        });
        let row = Row {
            start: interval.span.start.as_nanos(),
            end: interval.span.end.as_nanos(),
            entity: self.own(interval.entity),
            vcpu: interval
                .vcpu
                .map_or(-1, |v| i32::try_from(v).unwrap_or(i32::MAX)),
            doing,
            by: self.other(interval.by),
        };
        self.buffer.add(row);
        if self.buffer.intervals() >= self.chunk_intervals {
            self.end_chunk();
        }
    }

    fn edge(&mut self, edge: &Edge) {
        self.buffer.edges.push(Edge {
            from: virtflow_base::EntityId(self.own(edge.from)),
            to: virtflow_base::EntityId(self.own(edge.to)),
            ..*edge
        });
        self.end_chunk_of_others();
    }

    fn exit(&mut self, exit: &Exit) {
        self.buffer.exits.push(Exit {
            vcpu: virtflow_base::EntityId(self.own(exit.vcpu)),
            nested: exit.nested.map(|n| virtflow_base::EntityId(self.own(n))),
            ..*exit
        });
        self.end_chunk_of_others();
    }

    fn sample(&mut self, sample: &Sample) {
        let series = Series {
            entity: self.own(sample.entity),
            counter: sample.counter,
        };
        let value = sample.value.map_or(-1, |value| value.max(0));
        self.counters.add(series, sample.time.as_nanos(), value);
        self.end_chunk_of_others();
    }
}

/// The directories of the tables that have a file per chunk.
pub(crate) const CHUNKED: [&str; 8] = [
    "intervals",
    "carried",
    "lod",
    "sums",
    "edges",
    "exits",
    "counters",
    "counter_sums",
];
