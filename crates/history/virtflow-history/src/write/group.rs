//! Sums of several chunks on end, so that a budget of a long time reads few rows.

use super::columns::{self, LodRow};
use super::{batch, chunk_file};
use crate::StoreError;
use crate::lod::Part;
use crate::manifest::{Chunk, Group};
use crate::tables::{self, TableWriter};
use rustc_hash::FxHashMap;
use std::path::Path;

/// Chunks of one group.
const CHUNKS: u32 = 8;

/// The chunks since the last group was written.
#[derive(Debug, Default)]
pub(super) struct Open {
    first: Option<(u32, i64)>,
    count: u32,
    /// By entity, virtual processor and what was done.
    sums: FxHashMap<(u32, i32, u32), i64>,
}

impl Open {
    /// Forgets chunks that make no whole group.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Adds a chunk; with the last of a group, writes its file.
    pub(super) fn add(
        &mut self,
        directory: &Path,
        chunk: &Chunk,
        totals: &[LodRow],
    ) -> Result<Option<Group>, StoreError> {
        for row in totals {
            let key = (row.entity, row.vcpu, row.part.doing);
            let sum = self.sums.entry(key).or_default();
            *sum = sum.saturating_add(row.part.ns);
        }
        let (first, begin) = *self.first.get_or_insert((chunk.number, chunk.begin_ns));
        self.count += 1;
        if self.count < CHUNKS {
            return Ok(None);
        }
        let mut rows: Vec<_> = self
            .sums
            .drain()
            .map(|((entity, vcpu, doing), ns)| LodRow {
                entity,
                vcpu,
                part: Part {
                    start: begin,
                    ns,
                    doing,
                    by: -1,
                },
            })
            .collect();
        rows.sort_unstable_by_key(|row| (row.entity, row.vcpu, row.part.doing));
        let path = chunk_file(directory, "sums", first);
        let mut table = TableWriter::create(&path, &tables::LOD)?;
        table.write(&batch(&path, columns::lod(0, &rows))?)?;
        table.finish()?;
        self.clear();
        Ok(Some(Group {
            first,
            last: chunk.number,
            machine: chunk.machine,
        }))
    }
}
