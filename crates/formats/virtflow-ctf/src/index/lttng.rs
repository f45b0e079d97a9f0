//! LTTng's index files, `index/<stream>.idx`: big-endian, one entry for each packet
//! (lttng-tools, `src/common/index/ctf-index.hpp`).

const MAGIC: u32 = 0xc1f1_dcc1;
const HEADER_LEN: usize = 16;
/// Eight-byte words every entry has.
const WORDS_MIN: usize = 7;

/// What the index says of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Byte of the file.
    pub(super) offset: u64,
    /// Bits.
    pub(super) size: u64,
    /// Bits.
    pub(super) content: u64,
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) discarded: u64,
    pub(super) stream: u64,
    /// Version 1.1 only.
    pub(super) sequence: Option<u64>,
}

/// The entries of an index, if it describes a file of `file_len` bytes without gaps. The error
/// says what speaks against it.
pub(super) fn entries(index: &[u8], file_len: u64) -> Result<Vec<Entry>, &'static str> {
    let header = index
        .first_chunk::<HEADER_LEN>()
        .ok_or("the index is cut off")?;
    let word = |i: usize| {
        let at = i * 4;
        u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    if word(0) != MAGIC || word(1) != 1 {
        return Err("the index has no known magic number and version");
    }
    let len = word(3) as usize;
    if !(WORDS_MIN * 8..=4096).contains(&len) {
        return Err("the index has entries of an impossible size");
    }
    let records = index[HEADER_LEN..].chunks_exact(len);
    if !records.remainder().is_empty() {
        return Err("the index ends inside an entry");
    }
    let mut expected = 0;
    let mut entries = Vec::with_capacity(records.len());
    for record in records {
        let entry = entry(record);
        if entry.offset != expected || entry.size == 0 || !entry.size.is_multiple_of(8) {
            return Err("the index's packets do not follow one another");
        }
        if entry.content > entry.size || entry.begin > entry.end {
            return Err("the index has an impossible packet");
        }
        expected = entry
            .offset
            .checked_add(entry.size / 8)
            .ok_or("the index has no end")?;
        entries.push(entry);
    }
    if expected == file_len {
        Ok(entries)
    } else {
        Err("the index does not end where the file does")
    }
}

fn entry(record: &[u8]) -> Entry {
    let word = |i: usize| {
        let bytes = record.get(i * 8..).and_then(|rest| rest.first_chunk::<8>());
        bytes.map(|bytes| u64::from_be_bytes(*bytes))
    };
    let must = |i| word(i).unwrap_or(0);
    Entry {
        offset: must(0),
        size: must(1),
        content: must(2),
        begin: must(3),
        end: must(4),
        discarded: must(5),
        stream: must(6),
        sequence: word(8),
    }
}
