//! What chunks carried in: intervals that began before the chunk in which they were explained.
//! They are few (some per lane and chunk), and kept in memory.

use super::Store;
use super::rows::{Lane, Piece};
use super::scan::scan;
use super::viewport::pieces_of;
use crate::StoreError;
use crate::manifest::Chunk;
use crate::tables::{self, Table};
use crate::write::chunk_file;
use rayon::prelude::*;

/// All of them by lane and time.
#[derive(Debug, Default)]
pub(super) struct Carried(Vec<Piece>);

impl Carried {
    /// Those of one entity's lanes.
    pub(super) fn of(&self, entity: u32) -> &[Piece] {
        let from = self.0.partition_point(|p| p.lane.entity < entity);
        let to = self.0.partition_point(|p| p.lane.entity <= entity);
        &self.0[from..to]
    }

    /// Those of one entity's lanes that overlap a range.
    pub(super) fn overlapping(
        &self,
        entity: u32,
        begin: i64,
        end: i64,
    ) -> impl Iterator<Item = &Piece> {
        let lanes = self.of(entity).chunk_by(|a, b| a.lane == b.lane);
        lanes.flat_map(move |lane| {
            let from = lane.partition_point(|p| p.end <= begin);
            let to = lane.partition_point(|p| p.start < end);
            lane.get(from..to).unwrap_or_default()
        })
    }
}

impl Store {
    pub(super) fn carried(&self) -> Result<&Carried, StoreError> {
        if let Some(carried) = self.carried.get() {
            return Ok(carried);
        }
        let of_chunk = |chunk: &Chunk| {
            let mut some = Vec::new();
            // Not kept open: it is read once.
            let path = chunk_file(&self.directory, "carried", chunk.number);
            let table = Table::open(&path, &tables::INTERVALS)?;
            scan(&table, None, &[0, 1, 2, 3, 4, 5], &[], |batch| {
                pieces_of(batch, |piece| some.push(piece));
                Ok(())
            })?;
            Ok(some)
        };
        let chunks: Vec<_> = self
            .manifest
            .chunks
            .iter()
            .filter(|c| c.carried > 0)
            .collect();
        let found: Vec<Vec<Piece>> = chunks
            .into_par_iter()
            .map(of_chunk)
            .collect::<Result<_, StoreError>>()?;
        let mut all = found.concat();
        all.sort_unstable_by_key(|p| (p.lane, p.start));
        Ok(self.carried.get_or_init(|| Carried(all)))
    }
}

/// The lane an interval belongs to.
pub(super) const fn lane(entity: u32, vcpu: i32) -> Lane {
    Lane { entity, vcpu }
}
