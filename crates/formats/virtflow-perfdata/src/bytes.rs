//! Numbers and strings out of bytes in memory, one after the other.

use virtflow_tracefs::ByteOrder;

/// What is left to read. Where there is too little left, there is no value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes<'b> {
    all: &'b [u8],
    order: ByteOrder,
    at: usize,
}

impl<'b> Bytes<'b> {
    pub(crate) const fn new(all: &'b [u8], order: ByteOrder) -> Self {
        Self { all, order, at: 0 }
    }

    /// How many bytes were read.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn take(&mut self, len: u64) -> Option<&'b [u8]> {
        let end = self.at.checked_add(usize::try_from(len).ok()?)?;
        let bytes = self.all.get(self.at..end)?;
        self.at = end;
        Some(bytes)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        let value = self.order.uint(self.take(2)?)?;
        u16::try_from(value).ok()
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.order.u32(self.take(4)?, 0)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.order.u64(self.take(8)?, 0)
    }

    /// Text up to its NUL, which is stepped over.
    pub(crate) fn string(&mut self) -> Option<&'b [u8]> {
        let rest = self.all.get(self.at..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        self.at += end + 1;
        rest.get(..end)
    }

    /// Steps over exactly these bytes; `None` if others stand there.
    pub(crate) fn expect(&mut self, expected: &[u8]) -> Option<()> {
        (self.take(expected.len() as u64)? == expected).then_some(())
    }
}

/// What stands before the first NUL.
pub(crate) fn until_nul(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|byte| *byte == 0);
    bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default()
}
