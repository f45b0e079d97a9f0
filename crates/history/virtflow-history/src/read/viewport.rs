//! A picture of a range: exact intervals where they are few, buckets about a pixel wide where they
//! are many, with every state in each however short.

use super::carried::lane;
use super::rows::{Lane, Piece};
use super::scan::{Condition, Wanted, i32s, i64s, scan, u32s};
use super::{Chunked, Store};
use crate::StoreError;
use crate::lod::{Part, coarser, floor, next};
use crate::manifest::Chunk;
use crate::tables::Table;
use arrow_array::RecordBatch;
use parquet::file::statistics::Statistics;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// A lane keeps its intervals as they are as long as there are at most so many per pixel.
const EXACT_PER_PIXEL: usize = 2;

/// A picture's data.
#[derive(Clone, Debug, Default)]
pub struct Viewport {
    /// By lane and time; parts of one bucket by time in it, longest first.
    pub pieces: Vec<Piece>,
    /// The length of a bucket; 0 when all pieces are intervals.
    pub bucket_ns: i64,
}

/// What one chunk has for a picture.
#[derive(Default)]
struct Found {
    exact: Vec<Piece>,
    parts: Vec<(Lane, Part)>,
}

/// The columns of `intervals/`.
mod interval {
    pub(super) const ENTITY: usize = 0;
    pub(super) const START: usize = 2;
    pub(super) const END: usize = 3;
    pub(super) const ALL: [usize; 6] = [0, 1, 2, 3, 4, 5];
}

/// The columns of `lod/`; those that are read.
mod lod {
    pub(super) const BUCKET: usize = 0;
    pub(super) const ENTITY: usize = 1;
    pub(super) const START: usize = 3;
    pub(super) const READ: [usize; 6] = [1, 2, 3, 4, 5, 6];
}

/// The intervals of a batch.
pub(super) fn pieces_of(batch: &RecordBatch, mut each: impl FnMut(Piece)) {
    let (entities, vcpus) = (u32s(batch, 0), i32s(batch, 1));
    let (starts, ends) = (i64s(batch, 2), i64s(batch, 3));
    let (doings, bys) = (u32s(batch, 4), i32s(batch, 5));
    let rows = entities.iter().zip(vcpus).zip(starts).zip(ends);
    for ((((&entity, &vcpu), &start), &end), (&doing, &by)) in rows.zip(doings.iter().zip(bys)) {
        each(Piece {
            lane: lane(entity, vcpu),
            start,
            end,
            doing,
            by,
            ns: end.saturating_sub(start),
            exact: true,
        });
    }
}

impl Store {
    /// What `entities` did from `begin` to `end`, for a picture `pixels` wide.
    pub fn viewport(
        &self,
        entities: &[u32],
        begin: i64,
        end: i64,
        pixels: u32,
    ) -> Result<Viewport, StoreError> {
        let wanted = Wanted::new(entities, self.entities.len());
        if wanted.is_empty() || end <= begin {
            return Ok(Viewport::default());
        }
        let pixel = end.saturating_sub(begin) / i64::from(pixels.max(1));
        let log2 = u8::try_from(pixel.max(1).ilog2()).unwrap_or(62);
        let chunks: Vec<_> = self.chunks_of(begin, end).collect();
        let found: Vec<_> = super::reading(|| {
            chunks
                .par_iter()
                .map(|chunk| self.of_chunk(chunk, &wanted, begin, end, log2))
                .collect::<Result<_, StoreError>>()
        })?;
        let mut lanes: BTreeMap<Lane, Found> = BTreeMap::new();
        let carried = self.carried()?;
        for entity in wanted.iter() {
            for piece in carried.overlapping(entity, begin, end) {
                lanes.entry(piece.lane).or_default().exact.push(*piece);
            }
        }
        for found in found {
            for some in found.exact.chunk_by(|a, b| a.lane == b.lane) {
                if let Some(first) = some.first() {
                    lanes
                        .entry(first.lane)
                        .or_default()
                        .exact
                        .extend_from_slice(some);
                }
            }
            for some in found.parts.chunk_by(|a, b| a.0 == b.0) {
                if let Some(first) = some.first() {
                    lanes
                        .entry(first.0)
                        .or_default()
                        .parts
                        .extend_from_slice(some);
                }
            }
        }
        let most = EXACT_PER_PIXEL * pixels.max(1) as usize;
        let mut view = Viewport::default();
        for (lane, found) in lanes {
            if found.parts.is_empty() && found.exact.len() <= most {
                let from = view.pieces.len();
                view.pieces.extend(found.exact);
                view.pieces[from..].sort_unstable_by_key(|p| p.start);
            } else {
                view.bucket_ns = 1 << log2;
                self.buckets(lane, &found, (begin, end), log2, &mut view.pieces);
            }
        }
        Ok(view)
    }

    /// One lane's buckets out of whatever was found of it.
    fn buckets(
        &self,
        lane: Lane,
        found: &Found,
        (begin, end): (i64, i64),
        log2: u8,
        out: &mut Vec<Piece>,
    ) {
        // Whole buckets, and nothing beyond: something may have been going on for long.
        let begin = floor(begin, log2);
        let end = next(floor(end.saturating_sub(1), log2), log2);
        let clip = |part: Part| {
            let start = part.start.max(begin);
            let until = part.start.saturating_add(part.ns).min(end);
            Part {
                start,
                ns: until.saturating_sub(start),
                ..part
            }
        };
        let kind = self.entities.get(lane.entity as usize).map(|e| e.kind);
        let keeps_by = kind.is_some_and(|kind| self.manifest.keeps_by.contains(&kind));
        let exact = found.exact.iter().map(|p| Part {
            start: p.start,
            ns: p.ns,
            doing: self.bare(p.doing),
            by: if keeps_by { p.by } else { -1 },
        });
        let mut parts: Vec<_> = exact
            .chain(found.parts.iter().map(|(_, part)| *part))
            .map(clip)
            .filter(|part| part.ns > 0)
            .collect();
        parts.sort_by_key(|p| p.start);
        let mut buckets = Vec::new();
        coarser(parts.into_iter(), log2, &mut buckets);
        let from = out.len();
        for part in buckets {
            let end = part
                .start
                .saturating_add(part.ns)
                .max(next(part.start, log2));
            out.push(Piece {
                lane,
                start: part.start,
                end,
                doing: part.doing,
                by: part.by,
                ns: part.ns,
                exact: false,
            });
        }
        out[from..].sort_by_key(|p| (p.start, std::cmp::Reverse(p.ns)));
    }

    /// The number of the same thing without evidence: sums do not tell rules apart.
    pub(super) fn bare(&self, doing: u32) -> u32 {
        self.bare.get(doing as usize).copied().unwrap_or(doing)
    }

    fn of_chunk(
        &self,
        chunk: &Chunk,
        wanted: &Wanted,
        begin: i64,
        end: i64,
        log2: u8,
    ) -> Result<Found, StoreError> {
        let mut found = Found::default();
        let level = chunk.lod.iter().copied().filter(|l| *l <= log2).max();
        let Some(level) = level else {
            self.exact_of_chunk(chunk, wanted, begin, end, &mut found.exact)?;
            return Ok(found);
        };
        let mut without = wanted.clone();
        self.lod_of_chunk(
            chunk,
            level,
            wanted,
            floor(begin, level),
            end,
            |lane, part| {
                without.remove(lane.entity);
                found.parts.push((lane, part));
            },
        )?;
        let without = without.shrunk();
        if !without.is_empty() {
            self.exact_of_chunk(chunk, &without, begin, end, &mut found.exact)?;
        }
        Ok(found)
    }

    /// Intervals that lie in a chunk and were not carried into it, and overlap a range.
    pub(super) fn exact_of_chunk(
        &self,
        chunk: &Chunk,
        wanted: &Wanted,
        begin: i64,
        end: i64,
        out: &mut Vec<Piece>,
    ) -> Result<(), StoreError> {
        self.each_of_chunk(chunk, wanted, begin, end, |piece| out.push(*piece))
    }

    /// The same one by one.
    pub(super) fn each_of_chunk(
        &self,
        chunk: &Chunk,
        wanted: &Wanted,
        begin: i64,
        end: i64,
        mut each: impl FnMut(&Piece),
    ) -> Result<(), StoreError> {
        let table = self.table(Chunked::Intervals, chunk.number)?;
        let conditions = [
            Condition::OneOf(interval::ENTITY, wanted),
            Condition::Below(interval::START, end),
            Condition::AtLeast(interval::END, begin.saturating_add(1)),
        ];
        scan(&table, None, &interval::ALL, &conditions, |batch| {
            pieces_of(batch, |piece| {
                let own = piece.start >= chunk.begin_ns && wanted.has(piece.lane.entity);
                if own && piece.start < end && piece.end > begin {
                    each(&piece);
                }
            });
            Ok(())
        })
    }

    /// Rows of one level of a chunk that overlap a range.
    pub(super) fn lod_of_chunk(
        &self,
        chunk: &Chunk,
        level: u8,
        wanted: &Wanted,
        begin: i64,
        end: i64,
        mut each: impl FnMut(Lane, Part),
    ) -> Result<(), StoreError> {
        let table = self.table(Chunked::Lod, chunk.number)?;
        let Some(group) = group_of(&table, 1 << level) else {
            return Ok(());
        };
        let conditions = [
            Condition::OneOf(lod::ENTITY, wanted),
            Condition::Below(lod::START, end),
        ];
        scan(&table, Some(group), &lod::READ, &conditions, |batch| {
            parts_of(batch, |lane, part| {
                let last = part
                    .start
                    .saturating_add(part.ns)
                    .max(next(part.start, level));
                if wanted.has(lane.entity) && part.start < end && last > begin {
                    each(lane, part);
                }
            });
            Ok(())
        })
    }

    /// The sums of a whole chunk (`Lod`) or group (`Sums`).
    pub(super) fn totals(
        &self,
        which: Chunked,
        number: u32,
        wanted: &Wanted,
        mut each: impl FnMut(Lane, Part),
    ) -> Result<(), StoreError> {
        let table = self.table(which, number)?;
        let Some(group) = group_of(&table, 0) else {
            return Ok(());
        };
        let conditions = [Condition::OneOf(lod::ENTITY, wanted)];
        scan(&table, Some(group), &lod::READ, &conditions, |batch| {
            parts_of(batch, |lane, part| {
                if wanted.has(lane.entity) {
                    each(lane, part);
                }
            });
            Ok(())
        })
    }
}

/// The row group of a `lod/` file with buckets of this length; 0 for the sums of the chunk.
pub(super) fn group_of(table: &Table, bucket_ns: i64) -> Option<usize> {
    let metadata = table.metadata.metadata();
    metadata.row_groups().iter().position(|group| {
        let statistics = group
            .columns()
            .get(lod::BUCKET)
            .and_then(|c| c.statistics());
        match statistics {
            Some(Statistics::Int64(values)) => values.min_opt() == Some(&bucket_ns),
            _ => false,
        }
    })
}

fn parts_of(batch: &RecordBatch, mut each: impl FnMut(Lane, Part)) {
    let (entities, vcpus) = (u32s(batch, 0), i32s(batch, 1));
    let (starts, doings, times) = (i64s(batch, 2), u32s(batch, 3), i64s(batch, 4));
    let rows = entities.iter().zip(vcpus).zip(starts);
    let what = doings.iter().zip(times).zip(i32s(batch, 5));
    for (((&entity, &vcpu), &start), ((&doing, &ns), &by)) in rows.zip(what) {
        let part = Part {
            start,
            ns,
            doing,
            by,
        };
        each(lane(entity, vcpu), part);
    }
}
