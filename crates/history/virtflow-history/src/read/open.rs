//! Opening: the manifest, the entities, what numbers stand for.

use super::Store;
use super::rows::EntityRecord;
use super::scan::{codes, i32s, i64s, scan, u32s};
use crate::doing::Doing;
use crate::manifest::Manifest;
use crate::tables::{self, Table};
use crate::write::{DOINGS_FILE, ENTITIES_FILE};
use crate::{StoreError, Vocabulary};
use arrow_array::cast::AsArray;
use arrow_array::types::{UInt8Type, UInt64Type};
use rustc_hash::FxHashMap;
use std::path::Path;
use std::sync::Arc;

impl Store {
    /// Opens the store at `directory` even if it is still being written: it can be read up to
    /// where its manifest says. To see more, it is opened again.
    pub fn open_growing(directory: &Path) -> Result<Self, StoreError> {
        let manifest = Manifest::read(directory)?;
        let vocabulary = &manifest.vocabulary;
        let entities = entities(&directory.join(ENTITIES_FILE), vocabulary)?;
        let doings = doings(&directory.join(DOINGS_FILE), vocabulary)?;
        let numbers: FxHashMap<_, _> = doings.iter().zip(0_u32..).map(|(d, n)| (*d, n)).collect();
        let bare = (0..).zip(&doings).map(|(number, doing)| {
            let bare = numbers.get(&doing.without_evidence());
            bare.copied().unwrap_or(number)
        });
        Ok(Self {
            bare: bare.collect(),
            directory: directory.into(),
            manifest: Arc::new(manifest),
            entities: entities.into(),
            doings: doings.into(),
            carried: Arc::default(),
            open: Arc::default(),
            stop: None,
        })
    }
}

fn entities(path: &Path, vocabulary: &Vocabulary) -> Result<Vec<EntityRecord>, StoreError> {
    let table = Table::open(path, &tables::ENTITIES)?;
    let columns: Vec<_> = (0..tables::ENTITIES.fields().len()).collect();
    let mut out = Vec::new();
    let some = |n: i32| (n >= 0).then_some(n);
    let number = |n: i32| u32::try_from(n).ok();
    scan(&table, None, &columns, &[], |batch| {
        let kinds = codes(batch, 2, &vocabulary.kinds);
        let keys = batch.column(3).as_string::<i32>();
        let labels = batch.column(4).as_string::<i32>();
        let cr3s = batch.column(10).as_string::<i32>();
        let counts = batch.column(13).as_primitive::<UInt64Type>().values();
        for row in 0..batch.num_rows() {
            out.push(EntityRecord {
                entity: u32s(batch, 0)[row],
                machine: u32s(batch, 1)[row],
                kind: kinds.get(row).copied().unwrap_or(0),
                key: keys.value(row).to_owned(),
                label: labels.value(row).to_owned(),
                parent: number(i32s(batch, 5)[row]),
                vm: number(i32s(batch, 6)[row]),
                vcpu: number(i32s(batch, 7)[row]),
                tid: some(i32s(batch, 8)[row]),
                pid: some(i32s(batch, 9)[row]),
                cr3: cr3s.value(row).to_owned(),
                begin_ns: i64s(batch, 11)[row],
                end_ns: i64s(batch, 12)[row],
                intervals: counts[row],
            });
        }
        Ok(())
    })?;
    let numbered = (0_u32..).zip(&out).all(|(at, e)| e.entity == at);
    if !numbered {
        return Err(StoreError::content(
            path,
            "entities are not numbered from 0",
        ));
    }
    Ok(out)
}

fn doings(path: &Path, vocabulary: &Vocabulary) -> Result<Vec<Doing>, StoreError> {
    let table = Table::open(path, &tables::DOINGS)?;
    let mut out = Vec::new();
    scan(&table, None, &[0, 1, 2, 3, 4, 5], &[], |batch| {
        let states = codes(batch, 1, &vocabulary.states);
        let causes = codes(batch, 2, &vocabulary.causes);
        let levels = batch.column(3).as_primitive::<UInt8Type>().values();
        let confidences = codes(batch, 4, &vocabulary.confidences);
        let evidences = codes(batch, 5, &vocabulary.evidences);
        for row in 0..batch.num_rows() {
            let one = |codes: &[u8]| codes.get(row).copied().unwrap_or(0);
            out.push(Doing {
                state: one(&states),
                cause: one(&causes),
                level: levels[row],
                confidence: one(&confidences),
                evidence: one(&evidences),
            });
        }
        Ok(())
    })?;
    Ok(out)
}
