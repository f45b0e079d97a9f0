//! The description of the ring buffer's pages: the file `header_page`.

use crate::format::{Field, FormatError, FormatErrorKind, field_line};

/// Where things lie in a page of the ring buffer (kernel/trace/ring_buffer.c
/// `ring_buffer_print_page_header`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderPage {
    /// The byte of the time stamp, which is of eight bytes.
    pub timestamp: usize,
    /// The byte of the word that says how much of the page is in use.
    pub commit: usize,
    /// Bytes of that word: those of the kernel's `long`.
    pub commit_size: usize,
    /// The byte at which records begin.
    pub data: usize,
    /// Bytes for records.
    pub data_size: usize,
}

impl HeaderPage {
    /// Reads the description.
    ///
    /// # Errors
    /// Where it lacks one of the fields, or a field lies where it cannot.
    pub fn parse(text: &[u8]) -> Result<Self, FormatError> {
        let text = String::from_utf8_lossy(text);
        let mut fields: Vec<Field> = Vec::new();
        let mut number = 0;
        for line in text.lines() {
            number += 1;
            if let Some(rest) = field_line(line.trim()) {
                let field =
                    Field::parse(rest).map_err(|kind| FormatError { line: number, kind })?;
                fields.push(field);
            }
        }
        let wrong = |what| FormatError {
            line: number.max(1),
            kind: FormatErrorKind::Missing(what),
        };
        let find = |name: &'static str| {
            let found = fields.iter().find(|field| field.name() == name);
            found
                .map(|field| (field.offset() as usize, field.size() as usize))
                .ok_or_else(|| wrong(name))
        };
        let (timestamp, timestamp_size) = find("timestamp")?;
        let (commit, commit_size) = find("commit")?;
        let (data, data_size) = find("data")?;
        if timestamp_size != 8 || !matches!(commit_size, 4 | 8) {
            return Err(wrong("time stamp of 8 bytes and `commit` of 4 or 8"));
        }
        if timestamp + 8 > data || commit + commit_size > data {
            return Err(wrong("room before `data`"));
        }
        Ok(Self {
            timestamp,
            commit,
            commit_size,
            data,
            data_size,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n\
        \tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;\n\
        \tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n\
        \tfield: char data;\toffset:16;\tsize:4080;\tsigned:1;\n";

    #[test]
    fn pages_of_64_and_32_bit_kernels() {
        let page = HeaderPage::parse(PAGE.as_bytes()).unwrap();
        assert_eq!((page.timestamp, page.commit, page.commit_size), (0, 8, 8));
        assert_eq!((page.data, page.data_size), (16, 4080));
        let short = PAGE
            .replace("size:8;\tsigned:1", "size:4;\tsigned:1")
            .replace("offset:16", "offset:12");
        assert_eq!(HeaderPage::parse(short.as_bytes()).unwrap().data, 12);
    }

    #[test]
    fn what_is_no_page_is_refused() {
        let error = |text: &str| HeaderPage::parse(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(error(""), "line 1: no timestamp");
        assert!(error(&PAGE.replace("offset:16", "offset:4")).contains("room before"));
        assert!(error(&PAGE.replace("size:8;\tsigned:1", "size:3;\tsigned:1")).contains("4 or 8"));
    }
}
