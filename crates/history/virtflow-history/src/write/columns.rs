//! Rows as columns.

use super::Known;
use crate::Vocabulary;
use crate::counter::{Series, Summary};
use crate::doing::Doing;
use crate::tables;
use crate::vocabulary::Names;
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BooleanArray, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray,
    UInt8Array, UInt32Array, UInt64Array,
};
use arrow_schema::ArrowError;
use std::sync::Arc;
use virtflow_base::{Edge, EntityId, Exit, text};

/// Codes with their names, as a column of words.
struct Words(Arc<StringArray>);

impl Words {
    fn new(pairs: &[(u8, String)]) -> Self {
        let names = Names::new(pairs);
        Self(Arc::new(
            (0..=u8::MAX).map(|code| Some(names.name(code))).collect(),
        ))
    }

    fn column(&self, codes: impl Iterator<Item = u8>) -> Result<ArrayRef, ArrowError> {
        let keys: Int32Array = codes.map(|code| Some(i32::from(code))).collect();
        let words = DictionaryArray::<Int32Type>::try_new(keys, self.0.clone())?;
        Ok(Arc::new(words))
    }
}

fn u32s(values: impl Iterator<Item = u32>) -> ArrayRef {
    Arc::new(UInt32Array::from_iter_values(values))
}

fn i32s(values: impl Iterator<Item = i32>) -> ArrayRef {
    Arc::new(Int32Array::from_iter_values(values))
}

fn i64s(values: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn bools(values: impl Iterator<Item = bool>) -> ArrayRef {
    Arc::new(values.map(Some).collect::<BooleanArray>())
}

fn number(value: Option<EntityId>) -> i32 {
    value.map_or(-1, |id| i32::try_from(id.0).unwrap_or(-1))
}

pub(super) fn entities(
    known: &[Known],
    vocabulary: &Vocabulary,
) -> Result<RecordBatch, ArrowError> {
    let each = || known.iter();
    let cr3s = each().map(|k| {
        k.entity
            .cr3
            .map_or_else(String::new, |cr3| format!("{cr3:#x}"))
    });
    // One without intervals has no time.
    let time = |k: &Known, time: i64| if k.intervals == 0 { 0 } else { time };
    RecordBatch::try_new(
        tables::ENTITIES.clone(),
        vec![
            u32s(each().map(|k| k.entity.id.0)),
            u32s(each().map(|k| k.machine)),
            Words::new(&vocabulary.kinds).column(each().map(|k| k.entity.kind))?,
            Arc::new(StringArray::from_iter_values(each().map(|k| &k.entity.key))),
            Arc::new(StringArray::from_iter_values(
                each().map(|k| text(&k.entity.label)),
            )),
            i32s(each().map(|k| number(k.entity.parent))),
            i32s(each().map(|k| number(k.entity.vm))),
            i32s(each().map(|k| {
                k.entity
                    .vcpu
                    .map_or(-1, |v| i32::try_from(v).unwrap_or(i32::MAX))
            })),
            i32s(each().map(|k| k.entity.tid.unwrap_or(-1))),
            i32s(each().map(|k| k.entity.pid.unwrap_or(-1))),
            Arc::new(StringArray::from_iter_values(cr3s)),
            i64s(each().map(|k| time(k, k.begin_ns))),
            i64s(each().map(|k| time(k, k.end_ns))),
            Arc::new(UInt64Array::from_iter_values(each().map(|k| k.intervals))),
        ],
    )
}

pub(super) fn doings(all: &[Doing], vocabulary: &Vocabulary) -> Result<RecordBatch, ArrowError> {
    let each = || all.iter();
    RecordBatch::try_new(
        tables::DOINGS.clone(),
        vec![
            u32s((0..).take(all.len())),
            Words::new(&vocabulary.states).column(each().map(|d| d.state))?,
            Words::new(&vocabulary.causes).column(each().map(|d| d.cause))?,
            Arc::new(UInt8Array::from_iter_values(each().map(|d| d.level))),
            Words::new(&vocabulary.confidences).column(each().map(|d| d.confidence))?,
            Words::new(&vocabulary.evidences).column(each().map(|d| d.evidence))?,
        ],
    )
}

pub(super) fn intervals<'a>(
    rows: impl Iterator<Item = &'a super::Row> + Clone,
) -> Result<RecordBatch, ArrowError> {
    RecordBatch::try_new(
        tables::INTERVALS.clone(),
        vec![
            u32s(rows.clone().map(|r| r.entity)),
            i32s(rows.clone().map(|r| r.vcpu)),
            i64s(rows.clone().map(|r| r.start)),
            i64s(rows.clone().map(|r| r.end)),
            u32s(rows.clone().map(|r| r.doing)),
            i32s(rows.map(|r| r.by)),
        ],
    )
}

/// A row of a level of detail.
#[derive(Clone, Copy, Debug)]
pub(super) struct LodRow {
    pub(super) entity: u32,
    pub(super) vcpu: i32,
    pub(super) part: crate::lod::Part,
}

pub(super) fn lod(bucket_ns: i64, rows: &[LodRow]) -> Result<RecordBatch, ArrowError> {
    let each = || rows.iter();
    RecordBatch::try_new(
        tables::LOD.clone(),
        vec![
            i64s(each().map(|_| bucket_ns)),
            u32s(each().map(|r| r.entity)),
            i32s(each().map(|r| r.vcpu)),
            i64s(each().map(|r| r.part.start)),
            u32s(each().map(|r| r.part.doing)),
            i64s(each().map(|r| r.part.ns)),
            i32s(each().map(|r| r.part.by)),
        ],
    )
}

pub(super) fn edges(edges: &[Edge], vocabulary: &Vocabulary) -> Result<RecordBatch, ArrowError> {
    let each = || edges.iter();
    RecordBatch::try_new(
        tables::EDGES.clone(),
        vec![
            u32s(each().map(|e| e.from.0)),
            i64s(each().map(|e| e.from_time.as_nanos())),
            u32s(each().map(|e| e.to.0)),
            i64s(each().map(|e| e.to_time.as_nanos())),
            Words::new(&vocabulary.edges).column(each().map(|e| e.kind))?,
            Words::new(&vocabulary.confidences).column(each().map(|e| e.confidence))?,
            Words::new(&vocabulary.evidences).column(each().map(|e| e.evidence))?,
        ],
    )
}

/// A value of a counter.
#[derive(Clone, Copy, Debug)]
pub(super) struct SampleRow {
    pub(super) series: Series,
    pub(super) time: i64,
    pub(super) value: i64,
    pub(super) carried: bool,
}

pub(super) fn samples(
    rows: &[SampleRow],
    vocabulary: &Vocabulary,
) -> Result<RecordBatch, ArrowError> {
    let each = || rows.iter();
    RecordBatch::try_new(
        tables::COUNTERS.clone(),
        vec![
            u32s(each().map(|r| r.series.entity)),
            Words::new(&vocabulary.counters).column(each().map(|r| r.series.counter))?,
            i64s(each().map(|r| r.time)),
            i64s(each().map(|r| r.value)),
            bools(each().map(|r| r.carried)),
        ],
    )
}

/// What a counter came to in a bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct SumRow {
    pub(super) series: Series,
    pub(super) sum: Summary,
}

pub(super) fn sums(
    bucket_ns: i64,
    rows: &[SumRow],
    vocabulary: &Vocabulary,
) -> Result<RecordBatch, ArrowError> {
    let each = || rows.iter();
    RecordBatch::try_new(
        tables::COUNTER_SUMS.clone(),
        vec![
            i64s(each().map(|_| bucket_ns)),
            u32s(each().map(|r| r.series.entity)),
            Words::new(&vocabulary.counters).column(each().map(|r| r.series.counter))?,
            i64s(each().map(|r| r.sum.start)),
            Arc::new(UInt64Array::from_iter_values(each().map(|r| r.sum.count))),
            i64s(each().map(|r| r.sum.sum)),
            i64s(each().map(|r| r.sum.least)),
            i64s(each().map(|r| r.sum.greatest)),
            i64s(each().map(|r| r.sum.last)),
        ],
    )
}

pub(super) fn exits(exits: &[Exit], vocabulary: &Vocabulary) -> Result<RecordBatch, ArrowError> {
    let each = || exits.iter();
    RecordBatch::try_new(
        tables::EXITS.clone(),
        vec![
            u32s(each().map(|e| e.vcpu.0)),
            i32s(each().map(|e| number(e.nested))),
            i64s(each().map(|e| e.span.start.as_nanos())),
            i64s(each().map(|e| e.span.end.as_nanos())),
            bools(each().map(|e| e.entered_again)),
            u32s(each().map(|e| e.isa)),
            u32s(each().map(|e| e.reason)),
            Words::new(&vocabulary.causes).column(each().map(|e| e.class))?,
            bools(each().map(|e| e.reflected)),
            i64s(each().map(|e| e.kernel_ns)),
            i64s(each().map(|e| e.vmm_ns)),
            i64s(each().map(|e| e.off_cpu_ns)),
        ],
    )
}
