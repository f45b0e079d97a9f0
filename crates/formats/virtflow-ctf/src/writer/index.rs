//! LTTng's packet index: where each packet of a stream lies and what time it covers.
//!
//! Format: lttng-tools 2.13 `src/common/index/ctf-index.h`, `struct ctf_packet_index_file_hdr` and
//! `struct ctf_packet_index` version 1.1; all numbers big-endian, whatever the trace's order.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::WriteError;
use super::error::at;

const MAGIC: u32 = 0xC1F1_DCC1;
const VERSION: (u32, u32) = (1, 1);
const ENTRY_BYTES: u32 = 72;

/// What the index says of one packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// From the start of the stream file, in bytes.
    pub(crate) offset: u64,
    pub(crate) packet_bits: u64,
    pub(crate) content_bits: u64,
    pub(crate) begin: u64,
    pub(crate) end: u64,
    pub(crate) discarded: u64,
    pub(crate) stream_id: u64,
    pub(crate) stream_instance: u64,
    pub(crate) seq: u64,
}

#[derive(Debug)]
pub(crate) struct IndexFile {
    file: File,
    path: PathBuf,
    bytes: u64,
}

impl IndexFile {
    pub(crate) fn create(path: &Path) -> Result<Self, WriteError> {
        let mut file = File::create(path).map_err(at(path))?;
        let mut header = Vec::with_capacity(16);
        for word in [MAGIC, VERSION.0, VERSION.1, ENTRY_BYTES] {
            header.extend_from_slice(&word.to_be_bytes());
        }
        file.write_all(&header).map_err(at(path))?;
        Ok(Self {
            file,
            path: path.to_owned(),
            bytes: header.len() as u64,
        })
    }

    pub(crate) fn push(&mut self, entry: &Entry) -> Result<(), WriteError> {
        let words = [
            entry.offset,
            entry.packet_bits,
            entry.content_bits,
            entry.begin,
            entry.end,
            entry.discarded,
            entry.stream_id,
            entry.stream_instance,
            entry.seq,
        ];
        let mut bytes = [0; ENTRY_BYTES as usize];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_be_bytes());
        }
        if let Err(error) = self.file.write_all(&bytes) {
            // No half entry stays.
            let _cut = self.file.set_len(self.bytes);
            return Err(at(&self.path)(error));
        }
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}
