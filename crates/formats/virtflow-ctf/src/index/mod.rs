//! Which packets a trace's streams have, and what they saw and lost.

mod build;
mod coverage;
mod lttng;
mod scan;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use virtflow_base::{CpuId, StreamCoverage, Timestamp};

pub(crate) use build::{Builder, header_problem};

/// A packet of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    pub(crate) file: u32,
    /// Its number in its file.
    pub(crate) number: u64,
    pub(crate) offset: u64,
    pub(crate) size: u64,
    pub(crate) content: u64,
    pub(crate) begin_cycles: Option<u64>,
    pub(crate) end_cycles: Option<u64>,
    pub(crate) begin: Option<Timestamp>,
    pub(crate) end: Option<Timestamp>,
    pub(crate) sequence: Option<u64>,
    pub(crate) discarded: Option<u64>,
}

impl Packet {
    /// The byte of its file at which it begins.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Its size in bits, padding included.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The bits of it that mean something.
    pub const fn content(&self) -> u64 {
        self.content
    }

    /// The moment of its beginning.
    pub const fn begin(&self) -> Option<Timestamp> {
        self.begin
    }

    /// The moment of its end.
    pub const fn end(&self) -> Option<Timestamp> {
        self.end
    }

    /// Its number in the stream.
    pub const fn sequence(&self) -> Option<u64> {
        self.sequence
    }

    /// How many events the stream had discarded up to its end, as it was counted.
    pub const fn discarded(&self) -> Option<u64> {
        self.discarded
    }

    /// Its file, as a number in [`StreamFile::paths`].
    pub const fn file(&self) -> usize {
        self.file as usize
    }
}

/// A stream: usually one file, several where the tracer was told to cut files at a size.
#[derive(Clone, Debug)]
pub struct StreamFile {
    pub(crate) paths: Vec<Arc<PathBuf>>,
    pub(crate) class: usize,
    pub(crate) class_id: u64,
    pub(crate) instance: Option<u64>,
    pub(crate) packets: Vec<Packet>,
    pub(crate) coverage: StreamCoverage,
    pub(crate) bytes: u64,
}

impl StreamFile {
    /// Its files, in order of time.
    pub fn paths(&self) -> impl ExactSizeIterator<Item = &Path> {
        self.paths.iter().map(|path| path.as_path())
    }

    /// Its first file.
    pub fn path(&self) -> &Path {
        self.paths
            .first()
            .map_or(Path::new(""), |path| path.as_path())
    }

    /// Its class, as a number in [`crate::Metadata::stream_classes`].
    pub const fn class(&self) -> usize {
        self.class
    }

    /// The id of its class.
    pub const fn class_id(&self) -> u64 {
        self.class_id
    }

    /// Which of the streams of its class it is.
    pub const fn instance_id(&self) -> Option<u64> {
        self.instance
    }

    /// The processor it belongs to.
    pub const fn cpu(&self) -> Option<CpuId> {
        self.coverage.cpu
    }

    /// Its packets, in order of time.
    pub fn packets(&self) -> &[Packet] {
        &self.packets
    }

    /// What of time it saw.
    pub const fn coverage(&self) -> &StreamCoverage {
        &self.coverage
    }

    /// The size of its files.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }
}
