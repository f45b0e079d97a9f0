//! Values of counters: each where they are few, sums of buckets about a pixel wide where they are
//! many.

use super::scan::{Condition, Wanted, bools, codes, i64s, scan, u32s};
use super::{Chunked, Store};
use crate::StoreError;
use crate::counter::{Series, Summary, coarser};
use crate::lod::{floor, next};
use crate::manifest::{Chunk, CounterEntry, Samples};
use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// A series keeps its values as they are as long as there are at most so many per pixel.
const EXACT_PER_PIXEL: usize = 2;

/// What counters came to in a range.
#[derive(Clone, Debug, Default)]
pub struct Curves {
    /// By series and time. A value that holds from before the range comes first, with its time.
    pub points: Vec<(Series, Summary)>,
    /// The length of a bucket; 0 when all points are single values.
    pub bucket_ns: i64,
}

/// The columns of `counters/`.
mod counter {
    pub(super) const ENTITY: usize = 0;
    pub(super) const TIME: usize = 2;
    pub(super) const ALL: [usize; 5] = [0, 1, 2, 3, 4];
}

/// The columns of `counter_sums/`; those that are read.
mod sums {
    pub(super) const ENTITY: usize = 1;
    pub(super) const START: usize = 3;
    pub(super) const READ: [usize; 8] = [1, 2, 3, 4, 5, 6, 7, 8];
}

/// What there is of one series, in the order of chunks: the last of a bucket is the last there.
#[derive(Default)]
struct Found {
    points: Vec<Summary>,
    /// Whether they are sums, or some are.
    summed: bool,
}

impl Store {
    /// What is counted, of what.
    pub fn series(&self) -> &[CounterEntry] {
        &self.manifest.counters
    }

    /// Whether values of this counter hold until the next.
    pub fn holds(&self, counter: u8) -> bool {
        self.manifest.holds.contains(&counter)
    }

    /// The counters of `entities` from `begin` to `end`, for a picture `pixels` wide.
    pub fn curves(
        &self,
        entities: &[u32],
        begin: i64,
        end: i64,
        pixels: u32,
    ) -> Result<Curves, StoreError> {
        let counted: Vec<_> = {
            let wanted = Wanted::new(entities, self.entities.len());
            let series = self.series().iter().map(|entry| entry.entity);
            series.filter(|entity| wanted.has(*entity)).collect()
        };
        let wanted = Wanted::new(&counted, self.entities.len());
        if wanted.is_empty() || end <= begin {
            return Ok(Curves::default());
        }
        let pixel = end.saturating_sub(begin) / i64::from(pixels.max(1));
        let log2 = u8::try_from(pixel.max(1).ilog2()).unwrap_or(62);
        // A bucket is told whole.
        let from = floor(begin, log2);
        let until = next(floor(end.saturating_sub(1), log2), log2);
        let chunks: Vec<_> = self
            .sampled()
            .filter(|(_, s)| s.begin_ns < until && s.end_ns >= from)
            .collect();
        let found: Vec<_> = chunks
            .par_iter()
            .map(|(chunk, samples)| {
                self.counters_of_chunk(chunk, samples, &wanted, (from, until), log2)
            })
            .collect::<Result<_, _>>()?;
        let mut all: BTreeMap<Series, Found> = BTreeMap::new();
        for (series, mut more) in found.into_iter().flatten() {
            let known = all.entry(series).or_default();
            known.points.append(&mut more.points);
            known.summed |= more.summed;
        }
        let before = self.held_before(&wanted, begin)?;
        for &series in before.keys() {
            all.entry(series).or_default();
        }
        let most = EXACT_PER_PIXEL * pixels.max(1) as usize;
        let mut curves = Curves::default();
        for (series, found) in all {
            let held = before.get(&series).copied();
            curves.points.extend(held.map(|value| (series, value)));
            let points = if !found.summed && found.points.len() <= most {
                let mut single = found.points;
                single.retain(|point| point.start >= begin && point.start < end);
                single
            } else {
                curves.bucket_ns = 1 << log2;
                let mut buckets = Vec::new();
                coarser(found.points.into_iter(), log2, &mut buckets);
                buckets
            };
            curves
                .points
                .extend(points.into_iter().map(|p| (series, p)));
        }
        Ok(curves)
    }

    /// Gives every value in a range, by chunk, series and time; `None` for not known.
    pub fn samples(
        &self,
        begin: i64,
        end: i64,
        mut each: impl FnMut(Series, i64, Option<i64>),
    ) -> Result<(), StoreError> {
        let counted: Vec<_> = self.series().iter().map(|entry| entry.entity).collect();
        let wanted = Wanted::new(&counted, self.entities.len());
        for (chunk, samples) in self.sampled() {
            if samples.begin_ns < end && samples.end_ns >= begin {
                self.values_of_chunk(
                    chunk,
                    &wanted,
                    Some(begin),
                    end,
                    |series, value, carried| {
                        if !carried {
                            each(series, value.start, (value.count > 0).then_some(value.last));
                        }
                    },
                )?;
            }
        }
        Ok(())
    }

    /// Chunks with values.
    fn sampled(&self) -> impl DoubleEndedIterator<Item = (&Chunk, &Samples)> {
        let chunks = self.manifest.chunks.iter();
        chunks.filter_map(|chunk| Some((chunk, chunk.counters.as_ref()?)))
    }

    /// The values that hold at the beginning of a range.
    fn held_before(
        &self,
        wanted: &Wanted,
        begin: i64,
    ) -> Result<BTreeMap<Series, Summary>, StoreError> {
        let mut held = BTreeMap::new();
        let holding: Vec<_> = self
            .series()
            .iter()
            .filter(|entry| self.holds(entry.counter) && wanted.has(entry.entity))
            .map(|entry| entry.entity)
            .collect();
        if holding.is_empty() {
            return Ok(held);
        }
        let wanted = Wanted::new(&holding, self.entities.len());
        for machine in &self.manifest.machines {
            // It has, or carries, the last values of all.
            let last = self.sampled().rfind(|(chunk, samples)| {
                chunk.machine == machine.number && samples.begin_ns < begin
            });
            let Some((chunk, _)) = last else { continue };
            self.values_of_chunk(chunk, &wanted, None, begin, |series, value, _| {
                if self.holds(series.counter) {
                    held.insert(series, value);
                }
            })?;
        }
        Ok(held)
    }

    fn counters_of_chunk(
        &self,
        chunk: &Chunk,
        samples: &Samples,
        wanted: &Wanted,
        (begin, end): (i64, i64),
        log2: u8,
    ) -> Result<BTreeMap<Series, Found>, StoreError> {
        let mut found: BTreeMap<Series, Found> = BTreeMap::new();
        if let Some(level) = samples.lod.iter().copied().filter(|l| *l <= log2).max() {
            self.sums_of_chunk(chunk, level, wanted, (begin, end), |series, sum| {
                let known = found.entry(series).or_default();
                known.points.push(sum);
                known.summed = true;
            })?;
        }
        let summed = |entry: &CounterEntry| {
            let series = Series {
                entity: entry.entity,
                counter: entry.counter,
            };
            found.contains_key(&series)
        };
        let without: Vec<_> = self
            .series()
            .iter()
            .filter(|entry| wanted.has(entry.entity) && !summed(entry))
            .map(|entry| entry.entity)
            .collect();
        if !without.is_empty() {
            let without = Wanted::new(&without, self.entities.len());
            self.values_of_chunk(
                chunk,
                &without,
                Some(begin),
                end,
                |series, value, carried| {
                    let known = found.entry(series).or_default();
                    if !carried && !known.summed {
                        known.points.push(value);
                    }
                },
            )?;
        }
        Ok(found)
    }

    /// Values of a chunk from `begin`, if it is given, to `end`, and whether they were carried in.
    fn values_of_chunk(
        &self,
        chunk: &Chunk,
        wanted: &Wanted,
        begin: Option<i64>,
        end: i64,
        mut each: impl FnMut(Series, Summary, bool),
    ) -> Result<(), StoreError> {
        let table = self.table(Chunked::Counters, chunk.number)?;
        let mut conditions = vec![
            Condition::OneOf(counter::ENTITY, wanted),
            Condition::Below(counter::TIME, end),
        ];
        conditions.extend(begin.map(|begin| Condition::AtLeast(counter::TIME, begin)));
        scan(&table, None, &counter::ALL, &conditions, |batch| {
            let counters = codes(batch, 1, &self.manifest.vocabulary.counters);
            let (times, values) = (i64s(batch, 2), i64s(batch, 3));
            let rows = u32s(batch, 0)
                .iter()
                .zip(counters)
                .zip(times.iter().zip(values));
            for (((&entity, counter), (&time, &value)), carried) in rows.zip(bools(batch, 4)) {
                let inside = time < end && begin.is_none_or(|begin| time >= begin);
                if inside && wanted.has(entity) {
                    let series = Series { entity, counter };
                    each(series, Summary::single(time, value), carried);
                }
            }
            Ok(())
        })
    }

    fn sums_of_chunk(
        &self,
        chunk: &Chunk,
        level: u8,
        wanted: &Wanted,
        (begin, end): (i64, i64),
        mut each: impl FnMut(Series, Summary),
    ) -> Result<(), StoreError> {
        let table = self.table(Chunked::CounterSums, chunk.number)?;
        let Some(group) = super::viewport::group_of(&table, 1 << level) else {
            return Ok(());
        };
        let conditions = [
            Condition::OneOf(sums::ENTITY, wanted),
            Condition::Below(sums::START, end),
            Condition::AtLeast(sums::START, begin),
        ];
        scan(&table, Some(group), &sums::READ, &conditions, |batch| {
            let counters = codes(batch, 1, &self.manifest.vocabulary.counters);
            let counts = batch.column(3).as_primitive_opt::<UInt64Type>();
            let counts = counts.map_or(&[][..], |counts| counts.values());
            let (starts, added) = (i64s(batch, 2), i64s(batch, 4));
            let (least, greatest) = (i64s(batch, 5), i64s(batch, 6));
            let rows = u32s(batch, 0)
                .iter()
                .zip(counters)
                .zip(starts.iter().zip(counts));
            let what = added
                .iter()
                .zip(least)
                .zip(greatest.iter().zip(i64s(batch, 7)));
            for (((&entity, counter), (&start, &count)), ((&sum, &least), (&greatest, &last))) in
                rows.zip(what)
            {
                if wanted.has(entity) && start >= begin && start < end {
                    let series = Series { entity, counter };
                    let sum = Summary {
                        start,
                        count,
                        sum,
                        least,
                        greatest,
                        last,
                    };
                    each(series, sum);
                }
            }
            Ok(())
        })
    }
}
