//! The first bytes of a file: `struct perf_file_header` and `perf_pipe_file_header`
//! (tools/perf/util/header.h).

use std::io::Read;
use std::path::Path;

use virtflow_tracefs::ByteOrder;

use crate::attr::{Attr, Attrs, SIZE_MIN};
use crate::bytes::Bytes;
use crate::error::Error;
use crate::input::Input;

/// What a file begins with: a number of eight bytes in the writer's order.
const MAGIC: [(&[u8; 8], ByteOrder); 2] = [
    (b"PERFILE2", ByteOrder::Little),
    (b"2ELIFREP", ByteOrder::Big),
];
/// The same of version 1.
const VERSION_1: [&[u8; 8]; 2] = [b"PERFFILE", b"ELIFFREP"];
/// The size that the header of a stream says it has, and that of a file.
const STREAM_SIZE: u64 = 16;
const FILE_SIZE: u64 = 104;
/// The most bytes of the list of attributes, and of the numbers of one.
const ATTRS_BYTES_MAX: u64 = 16 << 20;
const IDS_BYTES_MAX: u64 = 8 << 20;
/// The feature that all files have: if it is missing, words were taken for longer than they are.
const HOSTNAME: u32 = 3;

/// Whether a file begins as one of perf's does, of whatever version.
pub fn is_perf_data(path: &Path) -> bool {
    let mut first = [0; 8];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut first));
    let known = MAGIC.iter().map(|(magic, _)| *magic).chain(VERSION_1);
    read.is_ok() && known.into_iter().any(|magic| *magic == first)
}

/// What the first bytes say.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) order: ByteOrder,
    /// Where its records begin and end.
    pub(crate) data: (u64, u64),
    pub(crate) kind: Kind,
    pub(crate) attrs: Attrs,
}

/// How the file was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As a stream: all of it is records.
    Stream,
    /// As a file; with the numbers of the features that follow the records.
    File(Vec<u32>),
    /// As a file that was not finished.
    Unfinished,
}

pub(crate) fn head(input: &Input) -> Result<Head, Error> {
    let path = || input.path.as_path().to_owned();
    let bytes = input.whole(0, input.len.min(FILE_SIZE), FILE_SIZE, "header")?;
    let first = bytes.first_chunk::<8>();
    if first.is_some_and(|first| VERSION_1.contains(&first)) {
        return Err(Error::Version1 { path: path() });
    }
    let known = MAGIC.iter().find(|(magic, _)| first == Some(*magic));
    let Some((_, order)) = known.copied() else {
        return Err(Error::NoPerfData { path: path() });
    };
    let mut all = Bytes::new(&bytes, order);
    let size = all.take(8).and_then(|_| all.u64());
    match size {
        Some(STREAM_SIZE) => Ok(Head {
            order,
            data: (STREAM_SIZE, input.len),
            kind: Kind::Stream,
            attrs: Attrs::default(),
        }),
        Some(FILE_SIZE) => file(input, order, all),
        _ => Err(input.wrong(8, "no header of a file of perf, nor of a stream of it,")),
    }
}

fn file(input: &Input, order: ByteOrder, mut all: Bytes<'_>) -> Result<Head, Error> {
    let mut word = || {
        all.u64()
            .ok_or_else(|| input.wrong(0, "a header cut short"))
    };
    let each = word()?;
    let (attrs_at, attrs_size) = (word()?, word()?);
    let (data_at, data_size) = (word()?, word()?);
    // Where the names of events stood in old files.
    let _ = (word()?, word()?);
    let words = [word()?, word()?, word()?, word()?];
    let attrs = attrs(input, order, each, (attrs_at, attrs_size))?;
    let end = match data_size {
        0 => input.len,
        _ => data_at.saturating_add(data_size),
    };
    Ok(Head {
        order,
        data: (data_at, end),
        kind: match data_size {
            0 => Kind::Unfinished,
            _ => Kind::File(features(words)),
        },
        attrs,
    })
}

/// The numbers of the bits that are set. Where words had 32 bits and the highest byte came first,
/// their halves stand the other way round.
fn features(words: [u64; 4]) -> Vec<u32> {
    let bits = |words: [u64; 4]| {
        let bits = (0..256).filter(move |bit| {
            let word = words.get(*bit as usize / 64).copied().unwrap_or(0);
            word >> (bit % 64) & 1 == 1
        });
        bits.collect::<Vec<u32>>()
    };
    let found = bits(words);
    if found.contains(&HOSTNAME) {
        return found;
    }
    let turned = bits(words.map(|word| word.rotate_left(32)));
    if turned.contains(&HOSTNAME) {
        turned
    } else {
        found
    }
}

/// The attributes: each a structure, and where its numbers are.
fn attrs(
    input: &Input,
    order: ByteOrder,
    each: u64,
    (at, size): (u64, u64),
) -> Result<Attrs, Error> {
    if each < SIZE_MIN + 16 {
        return Err(input.wrong(16, format!("attributes of {each} bytes each")));
    }
    let bytes = input.whole(at, size, ATTRS_BYTES_MAX, "attributes")?;
    let mut attrs = Attrs::default();
    // No larger than what was read.
    let each = usize::try_from(each).unwrap_or(usize::MAX);
    for (number, one) in bytes.chunks_exact(each).enumerate() {
        let place = at + (number * each) as u64;
        let (attr, section) = one.split_at(each - 16);
        let mut section = Bytes::new(section, order);
        let parsed = Attr::parse(attr, order).zip(section.u64().zip(section.u64()));
        let Some((attr, (ids_at, ids_size))) = parsed else {
            return Err(input.wrong(place, "an attribute cut short"));
        };
        let ids = input.whole(ids_at, ids_size, IDS_BYTES_MAX, "numbers of an attribute")?;
        let ids = ids.chunks_exact(8).filter_map(|id| order.uint(id));
        if !attrs.push(attr, ids) {
            return Err(input.wrong(place, "more attributes or numbers of them than are read,"));
        }
    }
    Ok(attrs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_of_features_in_words_of_either_length() {
        assert_eq!(features([0b1010, 1, 0, 1 << 63]), [1, 3, 64, 255]);
        assert_eq!(features([0b1010 << 32 | 1, 0, 0, 0]), [1, 3, 32]);
        assert_eq!(features([0b10, 0, 0, 0]), [1]);
    }
}
