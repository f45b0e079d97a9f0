//! Where a stream's pages lie in the file, and how they come into memory: block after block.

use virtflow_base::ProblemKind;

use crate::cursor::{Cursor, Input};
use crate::error::Error;
use crate::packed::{Packing, may_hold};

/// Bytes of pages in memory at once, where they are not packed.
const BLOCK: u64 = 256 << 10;
/// The most packed pieces of a file.
pub(crate) const PIECES_MAX: usize = 1 << 22;

/// Where pages lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Data {
    /// One after the other from this byte of the file on.
    Plain { at: u64, pages: u64 },
    /// Packed, some at once.
    Packed {
        packing: Packing,
        pieces: Vec<Piece>,
    },
}

/// Some pages that were packed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) at: u64,
    pub(crate) packed: u32,
    pub(crate) plain: u32,
}

/// What is wrong with a block.
pub(crate) type Trouble = (ProblemKind, String);

impl Data {
    /// Into how many blocks it is cut.
    pub(crate) fn blocks(&self, page_size: u32) -> usize {
        match self {
            Self::Plain { pages, .. } => {
                usize::try_from(pages.div_ceil(per_block(page_size))).unwrap_or(usize::MAX)
            }
            Self::Packed { pieces, .. } => pieces.len(),
        }
    }

    /// The pages of a block.
    pub(crate) fn pages_of(&self, block: usize, page_size: u32) -> u64 {
        match self {
            Self::Plain { pages, .. } => {
                let per_block = per_block(page_size);
                let before = (block as u64).saturating_mul(per_block);
                pages.saturating_sub(before).min(per_block)
            }
            Self::Packed { pieces, .. } => {
                let piece = pieces.get(block);
                piece.map_or(0, |piece| u64::from(piece.plain / page_size))
            }
        }
    }

    /// The byte of the file at which a block lies, and how many of its bytes are the block's.
    pub(crate) fn place_of(&self, block: usize, page_size: u32) -> (u64, u64) {
        match self {
            Self::Plain { at, .. } => {
                let before = (block as u64).saturating_mul(per_block(page_size));
                let pages = self.pages_of(block, page_size);
                let size = u64::from(page_size);
                (
                    at.saturating_add(before.saturating_mul(size)),
                    pages.saturating_mul(size),
                )
            }
            Self::Packed { pieces, .. } => pieces
                .get(block)
                .map_or((0, 0), |piece| (piece.at, piece.packed.into())),
        }
    }

    /// The byte of the file at which a page lies; for packed ones the piece's.
    pub(crate) fn place_of_page(&self, block: usize, page: usize, page_size: u32) -> u64 {
        let (at, _) = self.place_of(block, page_size);
        match self {
            Self::Plain { .. } => at.saturating_add((page as u64).saturating_mul(page_size.into())),
            Self::Packed { .. } => at,
        }
    }

    /// Reads a block into `into`, with the help of `packed`: whole pages.
    pub(crate) fn load(
        &self,
        input: &Input,
        block: usize,
        page_size: u32,
        into: &mut Vec<u8>,
        packed: &mut Vec<u8>,
    ) -> Result<(), Trouble> {
        into.clear();
        let (at, bytes) = self.place_of(block, page_size);
        let bytes = usize::try_from(bytes).unwrap_or(0);
        let io = |error: std::io::Error| (ProblemKind::Io, format!("{error}; pages left out"));
        match self {
            Self::Plain { .. } => {
                input.read(at, bytes, into).map_err(io)?;
                if into.len() < bytes {
                    // What is whole is given all the same.
                    let whole = into.len() - into.len() % page_size as usize;
                    into.truncate(whole);
                    let what = "the file ends inside the pages of a processor";
                    if whole == 0 {
                        return Err((ProblemKind::Truncated, what.to_owned()));
                    }
                }
                Ok(())
            }
            Self::Packed { packing, pieces } => {
                let plain = pieces.get(block).map_or(0, |piece| piece.plain);
                input.read(at, bytes, packed).map_err(io)?;
                let unpacked = packing.unpack(packed, plain.into(), into);
                unpacked.map_err(|error| {
                    into.clear();
                    let what = format!("packed pages that cannot be unpacked, {error}; left out");
                    (ProblemKind::Corrupt, what)
                })
            }
        }
    }
}

/// Pages of one block, where they are not packed.
fn per_block(page_size: u32) -> u64 {
    (BLOCK / u64::from(page_size.max(1))).max(1)
}

/// What was found of a processor's pages.
pub(crate) struct Found {
    pub(crate) data: Data,
    /// What is wrong with them, if they end before they should, and the byte at which.
    pub(crate) trouble: Option<(u64, Trouble)>,
}

/// The pages from byte `at` on, `size` bytes of them.
pub(crate) fn plain(input: &Input, at: u64, size: u64, page_size: u32) -> Found {
    let there = input.len.saturating_sub(at).min(size);
    let pages = there / u64::from(page_size);
    let data = Data::Plain { at, pages };
    let trouble = if there < size {
        let what = format!(
            "the file lacks {} bytes of a processor's pages",
            size - there
        );
        Some((at.saturating_add(there), (ProblemKind::Truncated, what)))
    } else if !size.is_multiple_of(page_size.into()) {
        let what = "a processor's pages end inside a page".to_owned();
        Some((at.saturating_add(size), (ProblemKind::Truncated, what)))
    } else {
        None
    };
    Found { data, trouble }
}

/// The packed pages from byte `at` on, `size` bytes of the file behind their count; at most `room`
/// pieces.
pub(crate) fn packed(
    input: &Input,
    (at, size): (u64, u64),
    packing: Packing,
    layout: crate::page::Layout,
    room: usize,
) -> Found {
    let end = at.saturating_add(4).saturating_add(size);
    let mut cursor = Cursor::of_file(input, layout.order, at, end);
    let mut pieces = Vec::new();
    let trouble = pieces_of(&mut cursor, &mut pieces, layout.size, room);
    Found {
        data: Data::Packed { packing, pieces },
        trouble: trouble.err(),
    }
}

fn pieces_of(
    cursor: &mut Cursor<'_>,
    pieces: &mut Vec<Piece>,
    page_size: u32,
    room: usize,
) -> Result<(), (u64, Trouble)> {
    let cut = |at: u64| {
        move |error: Error| match error {
            Error::Io { source, .. } => (at, (ProblemKind::Io, source.to_string())),
            _ => {
                let what = "the file ends inside a processor's packed pages".to_owned();
                (at, (ProblemKind::Truncated, what))
            }
        }
    };
    let count = cursor.u32("count").map_err(cut(cursor.at()))?;
    for _ in 0..count {
        let at = cursor.at();
        let packed = cursor.u32("size").map_err(cut(at))?;
        let plain = cursor.u32("size").map_err(cut(at))?;
        if packed == 0 || plain < page_size || !plain.is_multiple_of(page_size) {
            let what = format!("packed pages of {packed} bytes that hold {plain}");
            return Err((at, (ProblemKind::Corrupt, what)));
        }
        if !may_hold(packed, plain) || pieces.len() >= room {
            let what = format!("packed pages of {packed} bytes that hold {plain}, too many");
            return Err((at, (ProblemKind::TooLarge, what)));
        }
        let piece = Piece {
            at: cursor.at(),
            packed,
            plain,
        };
        cursor.skip(packed.into(), "pages").map_err(cut(at))?;
        pieces.push(piece);
    }
    Ok(())
}
