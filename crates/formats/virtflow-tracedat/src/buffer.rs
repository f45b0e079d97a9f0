//! Buffers and the streams in them.

use virtflow_base::{CpuId, StreamCoverage, Timestamp};

use crate::clock::Clock;
use crate::data::Data;
use crate::page::Layout;

/// A buffer of the kernel: the first one, or that of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buffer {
    pub(crate) name: String,
    pub(crate) clock: Clock,
}

impl Buffer {
    /// The name of the instance; empty for the first buffer.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its time stamps count.
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }
}

/// What one processor wrote into one buffer.
#[derive(Clone, Debug)]
pub struct Stream {
    pub(crate) buffer: usize,
    pub(crate) cpu: CpuId,
    pub(crate) data: Data,
    pub(crate) layout: Layout,
    pub(crate) bytes: u64,
    /// Whether its pages end before they should.
    pub(crate) cut: bool,
    pub(crate) coverage: StreamCoverage,
    /// When each block begins; the same as the one before where that is not known.
    pub(crate) marks: Vec<Timestamp>,
}

impl Stream {
    /// Its buffer, as a number in [`crate::Trace::buffers`].
    pub const fn buffer(&self) -> usize {
        self.buffer
    }

    /// The processor.
    pub const fn cpu(&self) -> CpuId {
        self.cpu
    }

    /// How many bytes of the file are its.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What of time it saw, and what it lost. All streams of a buffer are taken to begin with the
    /// first event in any of them and to end with the last, for a buffer is turned on and off for
    /// all processors at once.
    pub const fn coverage(&self) -> &StreamCoverage {
        &self.coverage
    }

    /// The first block that may hold an event at `from` or later.
    pub(crate) fn block_of(&self, from: Timestamp) -> usize {
        let before = self.marks.partition_point(|begin| *begin <= from);
        before.saturating_sub(1)
    }
}
