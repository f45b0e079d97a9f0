//! Unpacking, with an end to it.

use std::io::{self, Read};

/// The most bytes that one packed piece may hold.
pub(crate) const PLAIN_MAX: u32 = 16 << 20;
/// A piece may hold so many times its packed bytes, or [`ALWAYS`]: pages are never emptier than
/// that, and a small file shall not keep one busy for hours.
const RATIO_MAX: u64 = 1024;
/// What any piece may hold. trace-cmd packs ten pages at once.
const ALWAYS: u64 = 64 << 10;

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    /// Not at all.
    Plain,
    /// As zlib does (RFC 1950).
    Zlib,
    /// As Zstandard does (RFC 8878).
    Zstd,
}

impl Packing {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "none" => Self::Plain,
            "zlib" => Self::Zlib,
            "zstd" => Self::Zstd,
            _ => return None,
        })
    }

    /// Unpacks `packed`, which must come to exactly `plain` bytes, into `into`.
    pub(crate) fn unpack(self, packed: &[u8], plain: u64, into: &mut Vec<u8>) -> io::Result<()> {
        into.clear();
        // One byte more tells that there is more.
        let limit = plain.saturating_add(1);
        match self {
            Self::Plain => packed.take(limit).read_to_end(into)?,
            Self::Zlib => {
                let decoder = flate2::read::ZlibDecoder::new(packed);
                decoder.take(limit).read_to_end(into)?
            }
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
                // A window of 2^24 bytes holds all of any piece.
                decoder.window_log_max(24)?;
                decoder.take(limit).read_to_end(into)?
            }
        };
        if into.len() as u64 == plain {
            Ok(())
        } else {
            let what = "it unpacks to another size than it says";
            Err(io::Error::new(io::ErrorKind::InvalidData, what))
        }
    }
}

/// Whether a piece of a processor's pages may hold so much.
pub(crate) fn may_hold(packed: u32, plain: u32) -> bool {
    let most = u64::from(packed).saturating_mul(RATIO_MAX).max(ALWAYS);
    plain <= PLAIN_MAX && u64::from(plain) <= most
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn packed(packing: Packing, bytes: &[u8]) -> Vec<u8> {
        match packing {
            Packing::Plain => bytes.to_vec(),
            Packing::Zlib => {
                let level = flate2::Compression::default();
                let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Packing::Zstd => zstd::bulk::compress(bytes, 3).unwrap(),
        }
    }

    #[test]
    fn what_was_packed_is_unpacked_and_no_more() {
        let bytes: Vec<u8> = (0..50_000_u32)
            .flat_map(|n| (n / 7).to_le_bytes())
            .collect();
        for packing in [Packing::Plain, Packing::Zlib, Packing::Zstd] {
            let packed = packed(packing, &bytes);
            let mut out = Vec::new();
            packing
                .unpack(&packed, bytes.len() as u64, &mut out)
                .unwrap();
            assert_eq!(out, bytes);
            assert!(packing.unpack(&packed, 100, &mut out).is_err());
            assert!(out.len() <= 101, "it stops where it must");
            assert!(
                packing
                    .unpack(&packed[..packed.len() / 2], bytes.len() as u64, &mut out)
                    .is_err()
            );
        }
        assert!(
            Packing::Zstd
                .unpack(b"nothing of the sort", 10, &mut Vec::new())
                .is_err()
        );
        assert_eq!(Packing::named("lzma"), None);
    }

    #[test]
    fn a_small_piece_holds_only_so_much() {
        assert!(may_hold(20, 40_960) && may_hold(20_000, 16 << 20));
        assert!(!may_hold(20, 65_537) && !may_hold(u32::MAX, (16 << 20) + 1));
    }
}
