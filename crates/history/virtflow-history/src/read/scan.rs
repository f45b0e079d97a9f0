//! Reading no more of a table than is wanted: whole pages, chosen by the least and greatest values
//! that the file keeps of each.

use crate::StoreError;
use crate::tables::{Table, without_panic};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, UInt32Type};
use arrow_array::{Array, RecordBatch};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection, RowSelector};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Rows in a batch.
const BATCH: usize = 1 << 13;

/// Which entities are wanted.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    sorted: Vec<u32>,
    is: Vec<bool>,
}

impl Wanted {
    pub(super) fn new(entities: &[u32], all: usize) -> Self {
        let mut is = vec![false; all];
        for &entity in entities {
            if let Some(wanted) = is.get_mut(entity as usize) {
                *wanted = true;
            }
        }
        let sorted = (0_u32..).zip(&is).filter(|(_, w)| **w).map(|(e, _)| e);
        Self {
            sorted: sorted.collect(),
            is,
        }
    }

    pub(super) fn has(&self, entity: u32) -> bool {
        self.is.get(entity as usize).copied().unwrap_or(false)
    }

    /// Takes one out; [`Self::shrunk`] follows.
    pub(super) fn remove(&mut self, entity: u32) {
        if let Some(wanted) = self.is.get_mut(entity as usize) {
            *wanted = false;
        }
    }

    /// Without those that were taken out.
    pub(super) fn shrunk(mut self) -> Self {
        self.sorted.retain(|&e| self.is[e as usize]);
        self
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        self.sorted.iter().copied()
    }

    fn any_in(&self, least: u32, greatest: u32) -> bool {
        let at = self.sorted.partition_point(|&e| e < least);
        self.sorted.get(at).is_some_and(|&e| e <= greatest)
    }
}

/// A condition on a page, by the least and greatest value of a column in it.
pub(super) enum Condition<'a> {
    /// The column has one of these entities.
    OneOf(usize, &'a Wanted),
    /// Some value is at least this.
    AtLeast(usize, i64),
    /// Some value is less than this.
    Below(usize, i64),
}

impl Condition<'_> {
    const fn column(&self) -> usize {
        match self {
            Self::OneOf(column, _) | Self::AtLeast(column, _) | Self::Below(column, _) => *column,
        }
    }

    /// Whether a page can have such a row; a page that nothing is kept of can.
    fn may_hold(&self, index: &ColumnIndexMetaData, page: usize) -> bool {
        let (least, greatest) = match index {
            ColumnIndexMetaData::INT32(index) => (
                index.min_value(page).map(|&v| i64::from(v)),
                index.max_value(page).map(|&v| i64::from(v)),
            ),
            ColumnIndexMetaData::INT64(index) => (
                index.min_value(page).copied(),
                index.max_value(page).copied(),
            ),
            _ => return true,
        };
        let (Some(least), Some(greatest)) = (least, greatest) else {
            return true;
        };
        match self {
            Self::OneOf(_, wanted) => match (u32::try_from(least), u32::try_from(greatest)) {
                (Ok(least), Ok(greatest)) => wanted.any_in(least, greatest),
                _ => true,
            },
            Self::AtLeast(_, value) => greatest >= *value,
            Self::Below(_, value) => least < *value,
        }
    }
}

/// Reads the columns `columns` of rows that may meet all of `conditions`, in order, from one row
/// group or all.
pub(super) fn scan(
    table: &Table,
    group: Option<usize>,
    columns: &[usize],
    conditions: &[Condition<'_>],
    each: impl FnMut(&RecordBatch) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    without_panic(&table.path, || {
        read(table, group, columns, conditions, each)
    })
}

fn read(
    table: &Table,
    group: Option<usize>,
    columns: &[usize],
    conditions: &[Condition<'_>],
    mut each: impl FnMut(&RecordBatch) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let metadata = table.metadata.metadata();
    let groups: Vec<_> = match group {
        Some(group) => vec![group],
        None => (0..metadata.num_row_groups()).collect(),
    };
    let mut selectors = Vec::new();
    for &group in &groups {
        choose(table, group, conditions, &mut selectors)?;
    }
    if !selectors.iter().any(|s| !s.skip) {
        return Ok(());
    }
    let mask = ProjectionMask::leaves(table.metadata.parquet_schema(), columns.iter().copied());
    let file = Arc::clone(&table.file);
    let reader =
        ParquetRecordBatchReaderBuilder::new_with_metadata(Shared(file), table.metadata.clone())
            .with_row_groups(groups)
            .with_projection(mask)
            .with_row_selection(RowSelection::from(selectors))
            .with_batch_size(BATCH)
            .build()
            .map_err(StoreError::table(&table.path))?;
    for batch in reader {
        if table
            .stop
            .as_ref()
            .is_some_and(|stop| stop.load(Ordering::Relaxed))
        {
            return Err(StoreError::Stopped);
        }
        each(&batch.map_err(StoreError::arrow(&table.path))?)?;
    }
    Ok(())
}

/// The rows of the pages of one row group that may meet the conditions.
fn choose(
    table: &Table,
    group: usize,
    conditions: &[Condition<'_>],
    out: &mut Vec<RowSelector>,
) -> Result<(), StoreError> {
    let metadata = table.metadata.metadata();
    let bad = || StoreError::content(&table.path, format!("it has no row group {group}"));
    if group >= metadata.num_row_groups() {
        return Err(bad());
    }
    let rows = usize::try_from(metadata.row_group(group).num_rows()).map_err(|_| bad())?;
    let indexes = metadata.column_index().and_then(|all| all.get(group));
    let offsets = metadata.offset_index().and_then(|all| all.get(group));
    let (Some(indexes), Some(offsets)) = (indexes, offsets) else {
        out.push(RowSelector::select(rows));
        return Ok(());
    };
    // Pages of different columns end at the same rows: their number of rows is what ends them.
    let Some(first) = offsets.first() else {
        return Ok(());
    };
    let locations = first.page_locations();
    let begins = |page: usize| {
        let begin = locations
            .get(page)
            .map(|l| usize::try_from(l.first_row_index));
        begin.map_or(rows, |b| b.unwrap_or(rows)).min(rows)
    };
    for page in 0..locations.len() {
        let length = begins(page + 1).saturating_sub(begins(page));
        let holds = conditions.iter().all(|condition| {
            let aligned = offsets
                .get(condition.column())
                .is_some_and(|o| o.page_locations().len() == locations.len());
            let index = indexes.get(condition.column());
            !aligned || index.is_none_or(|index| condition.may_hold(index, page))
        });
        out.push(if holds {
            RowSelector::select(length)
        } else {
            RowSelector::skip(length)
        });
    }
    Ok(())
}

/// One file for several readers.
#[derive(Debug)]
struct Shared(Arc<crate::tables::Positional>);

impl parquet::file::reader::Length for Shared {
    fn len(&self) -> u64 {
        self.0.len()
    }
}

impl parquet::file::reader::ChunkReader for Shared {
    type T = <crate::tables::Positional as parquet::file::reader::ChunkReader>::T;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        self.0.get_read(start)
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<bytes::Bytes> {
        self.0.get_bytes(start, length)
    }
}

/// A column of a batch; the schema was checked when the table was opened.
pub(super) fn u32s(batch: &RecordBatch, at: usize) -> &[u32] {
    column(batch, at)
        .and_then(|c| c.as_primitive_opt::<UInt32Type>())
        .map_or(&[], |c| c.values())
}

pub(super) fn i32s(batch: &RecordBatch, at: usize) -> &[i32] {
    column(batch, at)
        .and_then(|c| c.as_primitive_opt::<Int32Type>())
        .map_or(&[], |c| c.values())
}

pub(super) fn i64s(batch: &RecordBatch, at: usize) -> &[i64] {
    column(batch, at)
        .and_then(|c| c.as_primitive_opt::<Int64Type>())
        .map_or(&[], |c| c.values())
}

pub(super) fn bools(batch: &RecordBatch, at: usize) -> Vec<bool> {
    let bits = column(batch, at).and_then(|c| c.as_boolean_opt());
    bits.map_or_else(Vec::new, |bits| bits.values().iter().collect())
}

/// A column of words, as codes of a vocabulary.
pub(super) fn codes(batch: &RecordBatch, at: usize, pairs: &[(u8, String)]) -> Vec<u8> {
    let Some(words) = column(batch, at).and_then(|c| c.as_dictionary_opt::<Int32Type>()) else {
        return Vec::new();
    };
    let Some(values) = words.values().as_string_opt::<i32>() else {
        return Vec::new();
    };
    let code = |word: Option<&str>| crate::vocabulary::code(pairs, word.unwrap_or("")).unwrap_or(0);
    let codes: Vec<u8> = values.iter().map(code).collect();
    let keys = words.keys().values().iter();
    keys.map(|&key| {
        usize::try_from(key)
            .ok()
            .and_then(|k| codes.get(k))
            .copied()
            .unwrap_or(0)
    })
    .collect()
}

fn column(batch: &RecordBatch, at: usize) -> Option<&dyn Array> {
    batch.columns().get(at).map(AsRef::as_ref)
}
