//! A bounded, reused piece of a packet in memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::tsdl::ALIGN_MAX;

/// Bytes a window holds as long as events fit.
pub(crate) const WINDOW: usize = 256 << 10;
/// Bytes a window may grow to for a single event.
pub(crate) const WINDOW_MAX: usize = 16 << 20;
/// Windows begin at multiples of this many bytes of a packet, so that alignments hold inside.
pub(super) const STEP: u64 = ALIGN_MAX / 8;

/// Bytes of one packet. Positions inside count from its beginning.
#[derive(Debug, Default)]
pub(crate) struct Window {
    bytes: Vec<u8>,
    /// How many of `bytes` are the packet's.
    len: usize,
    /// The byte of the packet at which the window begins.
    base: u64,
    /// How many bytes a load asks for.
    capacity: usize,
    /// Whether the file ended before what a load asked for.
    pub(crate) cut: bool,
}

impl Window {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            ..Self::default()
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    pub(crate) const fn base(&self) -> u64 {
        self.base
    }

    /// The byte of the packet behind the window.
    pub(crate) const fn end(&self) -> u64 {
        self.base + self.len as u64
    }

    /// Loads the packet at byte `packet` of `file`, `size` bytes long, from about byte `at` of it.
    pub(crate) fn load(&mut self, file: &File, packet: u64, size: u64, at: u64) -> io::Result<()> {
        self.base = at - at % STEP;
        let rest = usize::try_from(size.saturating_sub(self.base)).unwrap_or(usize::MAX);
        let mut wanted = self.capacity.min(rest);
        if wanted > WINDOW {
            // The packet's size is only what the packet says; the file's is what there is.
            let there = file
                .metadata()?
                .len()
                .saturating_sub(packet.saturating_add(self.base));
            // One byte more, so that the end of the file is noticed as such.
            wanted = wanted.min(usize::try_from(there.saturating_add(1)).unwrap_or(usize::MAX));
        }
        if self.bytes.len() < wanted {
            self.bytes.resize(wanted, 0);
        }
        self.len = 0;
        self.cut = false;
        while self.len < wanted {
            let offset = packet.saturating_add(self.base + self.len as u64);
            match file.read_at(&mut self.bytes[self.len..wanted], offset) {
                Ok(0) => {
                    self.cut = true;
                    break;
                }
                Ok(n) => self.len += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether a larger window could be had; it is, at the next load.
    pub(crate) fn grow(&mut self) -> bool {
        if self.capacity >= WINDOW_MAX {
            return false;
        }
        self.capacity = (self.capacity * 4).min(WINDOW_MAX);
        true
    }

    /// Gives back what a large event took.
    pub(crate) fn shrink(&mut self, capacity: usize) {
        if self.capacity > capacity {
            self.capacity = capacity;
            self.bytes.truncate(capacity);
            self.bytes.shrink_to_fit();
            self.len = self.len.min(capacity);
        }
    }
}
