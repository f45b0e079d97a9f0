//! Reading the head of a file, piece after piece.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use virtflow_tracefs::ByteOrder;

use crate::error::Error;

/// The most bytes of one piece, and of one section.
pub(crate) const PIECE_MAX: u64 = 64 << 20;
/// Bytes read at once: a piece grows with what was read.
const STEP: usize = 64 << 10;
/// The longest of the short strings.
const STRING_MAX: usize = 4096;

/// An open file and its length.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) file: File,
    pub(crate) path: Arc<PathBuf>,
    pub(crate) len: u64,
}

impl Input {
    pub(crate) fn wrong(&self, offset: u64, what: impl Into<String>) -> Error {
        Error::Head {
            path: self.path.as_path().to_owned(),
            offset,
            what: what.into(),
        }
    }

    pub(crate) fn io(&self, source: io::Error) -> Error {
        Error::Io {
            action: "read",
            path: self.path.as_path().to_owned(),
            source,
        }
    }

    /// Reads bytes `from..from + len` into `into`, in place of what it held; fewer where the file
    /// ends.
    pub(crate) fn read(&self, from: u64, len: usize, into: &mut Vec<u8>) -> io::Result<()> {
        into.clear();
        while into.len() < len {
            let start = into.len();
            into.resize(len.min(start + STEP), 0);
            let room = into.get_mut(start..).unwrap_or_default();
            match self.file.read_at(room, from.saturating_add(start as u64)) {
                Ok(0) => {
                    into.truncate(start);
                    break;
                }
                Ok(n) => into.truncate(start + n),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => into.truncate(start),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Reads numbers and strings one after the other, out of the file or of a section in memory.
#[derive(Debug)]
pub(crate) struct Cursor<'f> {
    input: &'f Input,
    order: ByteOrder,
    /// A section that was unpacked; its bytes have no place in the file, so what is wrong with
    /// them is placed at the section.
    memory: Option<(Vec<u8>, u64)>,
    piece: Vec<u8>,
    at: u64,
    end: u64,
}

impl<'f> Cursor<'f> {
    /// Over the bytes from `at` to `end`, or to where the file ends.
    pub(crate) fn of_file(input: &'f Input, order: ByteOrder, at: u64, end: u64) -> Self {
        Self {
            input,
            order,
            memory: None,
            piece: Vec::new(),
            at,
            end: end.min(input.len),
        }
    }

    /// Over `bytes`, which were unpacked from the section at `place`.
    pub(crate) fn of_memory(
        input: &'f Input,
        order: ByteOrder,
        bytes: Vec<u8>,
        place: u64,
    ) -> Self {
        let end = bytes.len() as u64;
        Self {
            input,
            order,
            memory: Some((bytes, place)),
            piece: Vec::new(),
            at: 0,
            end,
        }
    }

    pub(crate) const fn set_order(&mut self, order: ByteOrder) {
        self.order = order;
    }

    pub(crate) const fn order(&self) -> ByteOrder {
        self.order
    }

    /// The file's name.
    pub(crate) fn path(&self) -> &std::path::Path {
        self.input.path.as_path()
    }

    /// The next `len` bytes as a cursor of their own, and steps over them.
    pub(crate) fn part(&mut self, len: u64, what: &str) -> Result<Self, Error> {
        let (order, place) = (self.order, self.place());
        let input = self.input;
        let bytes = self.bytes(len, what)?.to_owned();
        Ok(Self::of_memory(input, order, bytes, place))
    }

    /// The byte that comes next.
    pub(crate) const fn at(&self) -> u64 {
        self.at
    }

    /// How many bytes there are left.
    pub(crate) const fn left(&self) -> u64 {
        self.end.saturating_sub(self.at)
    }

    /// The byte of the file to name where something is wrong.
    pub(crate) fn place(&self) -> u64 {
        self.memory.as_ref().map_or(self.at, |(_, place)| *place)
    }

    pub(crate) fn wrong(&self, what: impl Into<String>) -> Error {
        self.input.wrong(self.place(), what)
    }

    /// The next `len` bytes, called `what` where they are not there.
    pub(crate) fn bytes(&mut self, len: u64, what: &str) -> Result<&[u8], Error> {
        if len > self.left() {
            let left = self.left();
            return Err(self.wrong(format!(
                "{what} of {len} bytes, of which the file has only {left},"
            )));
        }
        if len > PIECE_MAX {
            return Err(self.wrong(format!("{what} larger than 64 MiB")));
        }
        let at = self.at;
        self.at += len;
        match &self.memory {
            Some((bytes, _)) => Ok(&bytes[at as usize..(at + len) as usize]),
            None => {
                let read = self.input.read(at, len as usize, &mut self.piece);
                read.map_err(|error| self.input.io(error))?;
                if (self.piece.len() as u64) < len {
                    let what = format!("{what} that the file ends in");
                    return Err(self.input.wrong(at, what));
                }
                Ok(&self.piece)
            }
        }
    }

    /// Steps over `len` bytes.
    pub(crate) fn skip(&mut self, len: u64, what: &str) -> Result<(), Error> {
        if len > self.left() {
            let left = self.left();
            return Err(self.wrong(format!(
                "{what} of {len} bytes, of which the file has only {left},"
            )));
        }
        self.at += len;
        Ok(())
    }

    pub(crate) fn u8(&mut self, what: &str) -> Result<u8, Error> {
        Ok(self.bytes(1, what)?.first().copied().unwrap_or_default())
    }

    pub(crate) fn u16(&mut self, what: &str) -> Result<u16, Error> {
        let order = self.order;
        let value = order.uint(self.bytes(2, what)?);
        Ok(value.unwrap_or_default() as u16)
    }

    pub(crate) fn u32(&mut self, what: &str) -> Result<u32, Error> {
        let order = self.order;
        Ok(order.u32(self.bytes(4, what)?, 0).unwrap_or_default())
    }

    pub(crate) fn u64(&mut self, what: &str) -> Result<u64, Error> {
        let order = self.order;
        Ok(order.u64(self.bytes(8, what)?, 0).unwrap_or_default())
    }

    /// A short string up to its NUL, which is stepped over.
    pub(crate) fn string(&mut self, what: &str) -> Result<String, Error> {
        let at = self.at;
        let len = self.left().min(STRING_MAX as u64);
        let bytes = self.bytes(len, what)?;
        let Some(end) = bytes.iter().position(|byte| *byte == 0) else {
            self.at = at;
            return Err(self.wrong(format!("{what} without its end")));
        };
        let text = bytes.get(..end).unwrap_or_default();
        let text = String::from_utf8_lossy(text).into_owned();
        self.at = at + end as u64 + 1;
        Ok(text)
    }

    /// Steps over exactly these bytes.
    pub(crate) fn expect(&mut self, expected: &[u8], what: &str) -> Result<(), Error> {
        let at = self.at;
        if self.bytes(expected.len() as u64, what)? == expected {
            return Ok(());
        }
        self.at = at;
        Err(self.wrong(format!("no {what}")))
    }
}
