//! One chunk: rows as they come, then sorted by lane and written with their levels of detail.

use super::columns::{self, LodRow};
use super::{batch, chunk_file};
use crate::doing::Doings;
use crate::lod::{Part, coarser};
use crate::manifest::Chunk;
use crate::tables::{self, TableWriter};
use crate::{StoreError, Vocabulary};
use std::collections::BTreeMap;
use std::path::Path;
use virtflow_base::{Edge, Exit};

/// Rows that are turned into columns at once.
const BATCH: usize = 1 << 16;
/// A lane with fewer intervals in a chunk has no levels of detail there: reading them is as quick.
const LOD_INTERVALS_MIN: usize = 64;
/// Each level's buckets are so many times (a power of two) longer than those of the one below.
const LOD_STEP_LOG2: u8 = 2;
/// The coarsest level has about so many buckets (a power of two) in a chunk.
const LOD_COARSEST_LOG2: u8 = 3;

/// One interval of the chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) entity: u32,
    pub(super) vcpu: i32,
    pub(super) doing: u32,
    pub(super) by: i32,
}

/// What a chunk has of one lane.
#[derive(Clone, Copy, Debug)]
pub(super) struct LaneRows {
    pub(super) entity: u32,
    pub(super) begin_ns: i64,
    pub(super) end_ns: i64,
    pub(super) intervals: u64,
}

/// A chunk that has been written.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) chunk: Chunk,
    pub(super) lanes: Vec<LaneRows>,
    /// Per lane and thing the time in the whole chunk.
    pub(super) totals: Vec<LodRow>,
}

/// What came since the last chunk was closed.
#[derive(Debug)]
pub(super) struct Buffer {
    rows: Vec<Row>,
    pub(super) edges: Vec<Edge>,
    pub(super) exits: Vec<Exit>,
    machine: u32,
    /// The latest end of any row of this machine's chunks before; nothing was carried in before that.
    begin: Option<i64>,
    latest: i64,
}

impl Default for Buffer {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            edges: Vec::new(),
            exits: Vec::new(),
            machine: 0,
            begin: None,
            latest: i64::MIN,
        }
    }
}

impl Buffer {
    pub(super) const fn begin_machine(&mut self, number: u32) {
        self.machine = number;
        self.begin = None;
        self.latest = i64::MIN;
    }

    pub(super) fn add(&mut self, row: Row) {
        self.latest = self.latest.max(row.end);
        self.rows.push(row);
    }

    pub(super) const fn intervals(&self) -> usize {
        self.rows.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.edges.is_empty() && self.exits.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.edges.clear();
        self.exits.clear();
        if self.latest > i64::MIN {
            self.begin = Some(self.latest);
        }
    }

    /// Writes the chunk's files.
    pub(super) fn write(
        &mut self,
        number: u32,
        directory: &Path,
        doings: &Doings,
        keeps_by: &(impl Fn(u32) -> bool + Sync),
        vocabulary: &Vocabulary,
    ) -> Result<Done, StoreError> {
        let order = by_lane(&self.rows);
        let first = self.rows.iter().map(|r| r.start).min().unwrap_or(0);
        let begin = self.begin.unwrap_or(first);
        let end = self.latest.max(begin);
        let carried: Vec<_> = order
            .iter()
            .copied()
            .filter(|&at| self.rows[at as usize].start < begin)
            .collect();
        self.edges
            .sort_by_key(|edge| (edge.to.0, edge.to_time, edge.from.0));
        self.exits
            .sort_by_key(|exit| (exit.vcpu.0, exit.span.start));
        let file = |table| chunk_file(directory, table, number);
        // Two halves that cost about the same.
        let (rows, sums) = rayon::join(
            || {
                self.write_rows(&file("intervals"), &order)?;
                self.write_rows(&file("carried"), &carried)
            },
            || {
                let mut levels = Levels::new(begin, end);
                let lanes = self.lanes(&order, begin, doings, keeps_by, &mut levels);
                let (lod, totals) = levels.write(&file("lod"))?;
                write_all(&file("edges"), &tables::EDGES, &self.edges, |some| {
                    columns::edges(some, vocabulary)
                })?;
                write_all(&file("exits"), &tables::EXITS, &self.exits, |some| {
                    columns::exits(some, vocabulary)
                })?;
                Ok::<_, StoreError>((lod, totals, lanes))
            },
        );
        rows?;
        let (lod, totals, lanes) = sums?;
        Ok(Done {
            chunk: Chunk {
                number,
                machine: self.machine,
                begin_ns: begin,
                end_ns: end,
                intervals: self.rows.len() as u64,
                carried: carried.len() as u64,
                edges: self.edges.len() as u64,
                exits: self.exits.len() as u64,
                lod,
                counters: None,
            },
            lanes,
            totals,
        })
    }

    fn write_rows(&self, path: &Path, order: &[u32]) -> Result<(), StoreError> {
        write_all(path, &tables::INTERVALS, order, |some| {
            columns::intervals(some.iter().map(|&at| &self.rows[at as usize]))
        })
    }

    /// Walks over entities and their lanes; the levels of detail are of what was not carried in.
    fn lanes(
        &self,
        order: &[u32],
        begin: i64,
        doings: &Doings,
        keeps_by: &impl Fn(u32) -> bool,
        levels: &mut Levels,
    ) -> Vec<LaneRows> {
        let rows = &self.rows;
        let row = |at: &u32| &rows[*at as usize];
        let mut lanes = Vec::new();
        for entity in order.chunk_by(|a, b| row(a).entity == row(b).entity) {
            let mut found = Vec::new();
            let keeps_by = entity.first().is_some_and(|at| keeps_by(row(at).entity));
            for lane in entity.chunk_by(|a, b| row(a).vcpu == row(b).vcpu) {
                let (Some(first), Some(last)) = (lane.first(), lane.last()) else {
                    continue;
                };
                lanes.push(LaneRows {
                    entity: row(first).entity,
                    begin_ns: row(first).start,
                    end_ns: row(last).end,
                    intervals: lane.len() as u64,
                });
                let carried = lane.partition_point(|at| row(at).start < begin);
                let parts = lane[carried..].iter().map(move |at| Part {
                    start: row(at).start,
                    ns: row(at).end.saturating_sub(row(at).start),
                    doing: doings.bare(row(at).doing),
                    by: if keeps_by { row(at).by } else { -1 },
                });
                found.push((row(first).vcpu, parts));
            }
            if let Some(first) = entity.first() {
                levels.add(row(first).entity, &found);
            }
        }
        lanes
    }
}

/// Writes rows batch by batch.
pub(super) fn write_all<T>(
    path: &Path,
    schema: &arrow_schema::SchemaRef,
    rows: &[T],
    columns: impl Fn(&[T]) -> Result<arrow_array::RecordBatch, arrow_schema::ArrowError>,
) -> Result<(), StoreError> {
    let mut table = TableWriter::create(path, schema)?;
    for some in rows.chunks(BATCH) {
        table.write(&batch(path, columns(some))?)?;
    }
    table.finish()
}

/// The order of rows by (entity, vcpu, start). Each lane's rows came in order, so that counting
/// the rows of each entity does nearly all of it.
fn by_lane(rows: &[Row]) -> Vec<u32> {
    let entities = rows
        .iter()
        .map(|r| r.entity as usize + 1)
        .max()
        .unwrap_or(0);
    let mut next = vec![0_u32; entities + 1];
    for row in rows {
        next[row.entity as usize + 1] += 1;
    }
    for at in 1..next.len() {
        next[at] += next[at - 1];
    }
    let mut order = vec![0_u32; rows.len()];
    for (at, row) in (0_u32..).zip(rows) {
        let place = &mut next[row.entity as usize];
        order[*place as usize] = at;
        *place += 1;
    }
    let key = |at: &u32| {
        let row = &rows[*at as usize];
        (row.vcpu, row.start)
    };
    for lane in order.chunk_by_mut(|a, b| rows[*a as usize].entity == rows[*b as usize].entity) {
        if !lane.is_sorted_by_key(key) {
            lane.sort_by_key(key);
        }
    }
    order
}

/// The levels of detail of a chunk.
struct Levels {
    begin: i64,
    /// The coarsest level, as a power of two of nanoseconds.
    coarsest: u8,
    /// Per lane and thing the time in the whole chunk.
    totals: Vec<LodRow>,
    levels: BTreeMap<u8, Vec<LodRow>>,
    /// Of the entity at hand, by level.
    own: BTreeMap<u8, Vec<LodRow>>,
    finer: Vec<Part>,
    parts: Vec<Part>,
}

impl Levels {
    fn new(begin: i64, end: i64) -> Self {
        let length = u64::try_from(end.saturating_sub(begin)).unwrap_or(0).max(1);
        let log2 = u8::try_from(length.ilog2()).unwrap_or(63);
        let coarsest = log2.saturating_sub(LOD_COARSEST_LOG2) / LOD_STEP_LOG2 * LOD_STEP_LOG2;
        Self {
            begin,
            coarsest,
            totals: Vec::new(),
            levels: BTreeMap::new(),
            own: BTreeMap::new(),
            finer: Vec::new(),
            parts: Vec::new(),
        }
    }

    /// Adds an entity with all its lanes: a level that has one of them has all.
    fn add<I: Iterator<Item = Part> + Clone>(&mut self, entity: u32, lanes: &[(i32, I)]) {
        let (mut count, mut time) = (0, 0_u64);
        for (vcpu, intervals) in lanes {
            let mut sums: Vec<(u32, i64)> = Vec::new();
            for part in intervals.clone() {
                count += 1;
                time = time.saturating_add(u64::try_from(part.ns).unwrap_or(0));
                match sums.iter_mut().find(|(doing, _)| *doing == part.doing) {
                    Some((_, sum)) => *sum = sum.saturating_add(part.ns),
                    None => sums.push((part.doing, part.ns)),
                }
            }
            let start = self.begin;
            self.totals.extend(sums.iter().map(|&(doing, ns)| LodRow {
                entity,
                vcpu: *vcpu,
                part: Part {
                    start,
                    ns,
                    doing,
                    by: -1,
                },
            }));
        }
        if count < LOD_INTERVALS_MIN {
            return;
        }
        // Begin where a bucket has about two intervals.
        let mean = (time / count as u64).max(1);
        let finest = u8::try_from(mean.ilog2() + 1).unwrap_or(63);
        let finest = finest.div_ceil(LOD_STEP_LOG2) * LOD_STEP_LOG2;
        for (vcpu, intervals) in lanes {
            self.add_lane(entity, *vcpu, intervals.clone(), finest.min(self.coarsest));
        }
        for (log2, rows) in &mut self.own {
            // As many rows as intervals say nothing more quickly than these.
            if !rows.is_empty() && (rows.len() <= count / 2 || *log2 == self.coarsest) {
                self.levels.entry(*log2).or_default().append(rows);
            }
            rows.clear();
        }
    }

    fn add_lane(
        &mut self,
        entity: u32,
        vcpu: i32,
        intervals: impl Iterator<Item = Part>,
        finest: u8,
    ) {
        self.parts.clear();
        coarser(intervals, finest, &mut self.parts);
        let mut log2 = finest;
        loop {
            let rows = self.parts.iter().map(|&part| LodRow { entity, vcpu, part });
            self.own.entry(log2).or_default().extend(rows);
            if log2 >= self.coarsest {
                return;
            }
            log2 += LOD_STEP_LOG2;
            std::mem::swap(&mut self.finer, &mut self.parts);
            self.parts.clear();
            coarser(self.finer.iter().copied(), log2, &mut self.parts);
        }
    }

    /// The totals first, then a row group for each level; which levels there are, and the totals.
    fn write(self, path: &Path) -> Result<(Vec<u8>, Vec<LodRow>), StoreError> {
        let mut table = TableWriter::create(path, &tables::LOD)?;
        table.write(&batch(path, columns::lod(0, &self.totals))?)?;
        table.end_group()?;
        for (&log2, rows) in &self.levels {
            for some in rows.chunks(BATCH) {
                table.write(&batch(path, columns::lod(1 << log2, some))?)?;
            }
            table.end_group()?;
        }
        table.finish()?;
        Ok((self.levels.into_keys().collect(), self.totals))
    }
}
