//! The counters of one chunk: values as they come, then sorted by series and written with their
//! sums.

use super::columns::{self, SampleRow, SumRow};
use super::{batch, chunk::write_all, chunk_file};
use crate::StoreError;
use crate::Vocabulary;
use crate::counter::{Series, Summary, coarser};
use crate::manifest::{CounterEntry, Samples};
use crate::tables::{self, TableWriter};
use std::collections::BTreeMap;
use std::path::Path;

/// A series with fewer values in a chunk has no sums there.
const SUMMED_MIN: usize = 64;
/// Each level's buckets are so many times (a power of two) longer than those of the one below.
const STEP_LOG2: u8 = 2;
/// The coarsest level has about so many buckets (a power of two) in a chunk.
const COARSEST_LOG2: u8 = 3;

/// What came since the last chunk was closed, and what still holds from before.
#[derive(Debug, Default)]
pub(super) struct Counters {
    rows: Vec<SampleRow>,
    /// The last value, before this chunk, of each series whose values hold.
    holding: BTreeMap<Series, SampleRow>,
    /// Counters whose values hold until the next.
    holds: Vec<u8>,
    /// All series so far.
    pub(super) known: BTreeMap<Series, CounterEntry>,
}

impl Counters {
    pub(super) fn holding(&mut self, counters: &[u8]) {
        self.holds = counters.to_vec();
    }

    /// What follows is of another machine.
    pub(super) fn begin_machine(&mut self) {
        self.holding.clear();
    }

    pub(super) fn add(&mut self, series: Series, time: i64, value: i64) {
        self.rows.push(SampleRow {
            series,
            time,
            value,
            carried: false,
        });
        let known = self.known.entry(series).or_insert(CounterEntry {
            entity: series.entity,
            counter: series.counter,
            values: 0,
            sum: 0,
            greatest: -1,
        });
        if value >= 0 {
            known.values += 1;
            known.sum = known.sum.saturating_add(value);
            known.greatest = known.greatest.max(value);
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn clear(&mut self) {
        for row in self.rows.drain(..) {
            if self.holds.contains(&row.series.counter) && !row.carried {
                let carried = SampleRow {
                    carried: true,
                    ..row
                };
                self.holding.insert(row.series, carried);
            }
        }
    }

    /// Writes the chunk's files; none where there is nothing.
    pub(super) fn write(
        &mut self,
        number: u32,
        directory: &Path,
        vocabulary: &Vocabulary,
    ) -> Result<Option<Samples>, StoreError> {
        let (Some(first), Some(last)) = (self.rows.first(), self.rows.last()) else {
            return Ok(None);
        };
        let (begin_ns, end_ns) = (first.time, last.time);
        let values = self.rows.len() as u64;
        let mut rows = self.rows.clone();
        rows.extend(self.holding.values());
        // The order of those at one moment is the order in which they came.
        rows.sort_by_key(|row| (row.series, row.time));
        let path = chunk_file(directory, "counters", number);
        write_all(&path, &tables::COUNTERS, &rows, |some| {
            columns::samples(some, vocabulary)
        })?;
        let length = u64::try_from(end_ns.saturating_sub(begin_ns)).unwrap_or(0);
        let mut levels = Levels::new(length);
        for series in rows.chunk_by(|a, b| a.series == b.series) {
            levels.add(series);
        }
        let path = chunk_file(directory, "counter_sums", number);
        let lod = levels.write(&path, vocabulary)?;
        Ok(Some(Samples {
            begin_ns,
            end_ns,
            values,
            lod,
        }))
    }
}

/// Sums of a chunk, by the length of their buckets.
struct Levels {
    coarsest: u8,
    levels: BTreeMap<u8, Vec<SumRow>>,
}

impl Levels {
    fn new(length: u64) -> Self {
        let log2 = u8::try_from(length.max(1).ilog2()).unwrap_or(63);
        Self {
            coarsest: log2.saturating_sub(COARSEST_LOG2) / STEP_LOG2 * STEP_LOG2,
            levels: BTreeMap::new(),
        }
    }

    fn add(&mut self, rows: &[SampleRow]) {
        let own = &rows[rows.partition_point(|row| row.carried)..];
        let (Some(first), Some(last)) = (own.first(), own.last()) else {
            return;
        };
        if own.len() < SUMMED_MIN {
            return;
        }
        let length = u64::try_from(last.time.saturating_sub(first.time)).unwrap_or(0);
        let mean = (length / own.len() as u64).max(1);
        // Begin where a bucket has about two values.
        let finest = u8::try_from(mean.ilog2() + 1).unwrap_or(63);
        let mut log2 = (finest.div_ceil(STEP_LOG2) * STEP_LOG2).min(self.coarsest);
        let mut finer: Vec<_> = own
            .iter()
            .map(|row| Summary::single(row.time, row.value))
            .collect();
        loop {
            let mut sums = Vec::new();
            coarser(finer.iter().copied(), log2, &mut sums);
            if sums.len() <= own.len() / 2 || log2 == self.coarsest {
                let series = first.series;
                let rows = sums.iter().map(|&sum| SumRow { series, sum });
                self.levels.entry(log2).or_default().extend(rows);
            }
            if log2 >= self.coarsest {
                return;
            }
            log2 += STEP_LOG2;
            finer = sums;
        }
    }

    /// A row group for each level; which levels there are.
    fn write(self, path: &Path, vocabulary: &Vocabulary) -> Result<Vec<u8>, StoreError> {
        let mut table = TableWriter::create(path, &tables::COUNTER_SUMS)?;
        for (&log2, rows) in &self.levels {
            let columns = columns::sums(1 << log2, rows, vocabulary);
            table.write(&batch(path, columns)?)?;
            table.end_group()?;
        }
        table.finish()?;
        Ok(self.levels.into_keys().collect())
    }
}
