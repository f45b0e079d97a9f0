//! Unpacking what `perf record -z` packed, with an end to it.
//!
//! perf packs all records of a recording as one Zstandard stream (RFC 8878), cut into
//! `PERF_RECORD_COMPRESSED` records; a record inside may begin in one of them and end in the next.

use std::io;

use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

/// A packed record may hold so many times its bytes, or [`ALWAYS`].
const RATIO_MAX: usize = 1024;
const ALWAYS: usize = 1 << 20;
/// Bytes unpacked at once.
const STEP: usize = 128 << 10;
/// The window may have 2 to the power of this many bytes: those of all levels do. The decoder asks for all
/// of it at once; what was not unpacked into it takes no memory.
const WINDOW_LOG_MAX: u32 = 27;

/// The stream, and what was unpacked of it and not yet read.
pub(crate) struct Unpack {
    decoder: Option<Decoder<'static>>,
    /// What is packed, and how much of it was unpacked.
    packed: Vec<u8>,
    done: usize,
    /// Whether there was no room for all that the bytes came to.
    held_back: bool,
    /// How many bytes the packed record may still come to.
    room: usize,
    plain: Vec<u8>,
    at: usize,
}

impl Unpack {
    pub(crate) const fn new() -> Self {
        Self {
            decoder: None,
            packed: Vec::new(),
            done: 0,
            held_back: false,
            room: 0,
            plain: Vec::new(),
            at: 0,
        }
    }

    /// Takes the bytes of the next packed record.
    pub(crate) fn take(&mut self, packed: &[u8]) {
        self.packed.clear();
        self.packed.extend_from_slice(packed);
        self.done = 0;
        self.room = packed.len().saturating_mul(RATIO_MAX).max(ALWAYS);
    }

    /// What is unpacked and not yet read.
    #[inline]
    pub(crate) fn plain(&self) -> &[u8] {
        self.plain.get(self.at..).unwrap_or_default()
    }

    /// Steps over some of it.
    #[inline]
    pub(crate) const fn step(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// The last `bytes` that were stepped over.
    #[inline]
    pub(crate) fn before(&self, bytes: usize) -> &[u8] {
        let from = self.at.saturating_sub(bytes);
        self.plain.get(from..self.at).unwrap_or_default()
    }

    /// Unpacks some more; false where there is nothing left to unpack.
    ///
    /// # Errors
    /// Where it is not packed as it should be. Then all that was unpacked and not read is dropped, and
    /// what follows begins anew.
    pub(crate) fn more(&mut self) -> io::Result<bool> {
        if self.done >= self.packed.len() && !self.held_back {
            return Ok(false);
        }
        self.plain.drain(..self.at.min(self.plain.len()));
        self.at = 0;
        let unpacked = self.unpack();
        if unpacked.is_err() {
            *self = Self::new();
        }
        unpacked
    }

    fn unpack(&mut self) -> io::Result<bool> {
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            none => {
                let mut new = Decoder::new()?;
                new.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))?;
                none.insert(new)
            }
        };
        let start = self.plain.len();
        self.plain.resize(start + STEP, 0);
        let mut input = InBuffer::around(self.packed.get(self.done..).unwrap_or_default());
        let room = self.plain.get_mut(start..).unwrap_or_default();
        let mut output = OutBuffer::around(room);
        decoder.run(&mut input, &mut output)?;
        let (read, written) = (input.pos(), output.pos());
        self.plain.truncate(start + written);
        self.done += read;
        self.held_back = written == STEP;
        if read == 0 && written == 0 && self.done < self.packed.len() {
            let what = "packed bytes that come to nothing";
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        let Some(room) = self.room.checked_sub(written) else {
            let what = "packed bytes that come to more than 1,024 times as many";
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        };
        self.room = room;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zstd::stream::raw::{Encoder, InBuffer, OutBuffer};

    /// Packs pieces as perf does: one stream, flushed after each piece.
    fn packed(pieces: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut encoder = Encoder::new(1).unwrap();
        let pack = |piece: &Vec<u8>| {
            let mut out = vec![0; 2 * piece.len() + 1024];
            let mut input = InBuffer::around(piece);
            let mut output = OutBuffer::around(&mut out[..]);
            encoder.run(&mut input, &mut output).unwrap();
            assert_eq!(input.pos(), piece.len());
            assert_eq!(encoder.flush(&mut output).unwrap(), 0);
            let len = output.pos();
            out.truncate(len);
            out
        };
        pieces.iter().map(pack).collect()
    }

    fn all(unpack: &mut Unpack) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        loop {
            out.extend_from_slice(unpack.plain());
            unpack.step(unpack.plain().len());
            if !unpack.more()? {
                return Ok(out);
            }
        }
    }

    #[test]
    fn pieces_of_a_stream_are_unpacked_one_after_the_other() {
        let piece = |seed: u32, len: u32| -> Vec<u8> {
            let words = (0..len).map(|n| seed + n / 3);
            words.flat_map(u32::to_le_bytes).collect()
        };
        let pieces = [piece(1, 10), piece(2, 200_000), piece(3, 1)];
        let mut unpack = Unpack::new();
        for (plain, packed) in pieces.iter().zip(packed(&pieces)) {
            unpack.take(&packed);
            assert_eq!(all(&mut unpack).unwrap(), *plain);
        }
    }

    #[test]
    fn the_windows_of_all_levels_are_read() {
        let mut encoder = Encoder::new(22).unwrap();
        let piece: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut out = vec![0; 2 * piece.len()];
        let mut output = OutBuffer::around(&mut out[..]);
        encoder
            .run(&mut InBuffer::around(&piece), &mut output)
            .unwrap();
        encoder.flush(&mut output).unwrap();
        let len = output.pos();
        let mut unpack = Unpack::new();
        unpack.take(&out[..len]);
        assert!(all(&mut unpack).unwrap() == piece);
    }

    #[test]
    fn what_is_not_packed_or_comes_to_too_much_is_refused() {
        let mut unpack = Unpack::new();
        unpack.take(b"nothing of the sort");
        assert!(all(&mut unpack).is_err());
        // It begins anew after that.
        let zeros = packed(&[vec![0; 200 << 20], vec![1]]);
        assert!(zeros[0].len() * RATIO_MAX < 200 << 20);
        unpack.take(&zeros[0]);
        assert!(all(&mut unpack).is_err());
        unpack.take(&zeros[1]);
        assert!(all(&mut unpack).is_err(), "the middle of a stream");
        unpack.take(&packed(&[vec![7; 9]])[0]);
        assert_eq!(all(&mut unpack).unwrap(), [7; 9]);
    }
}
