//! The first bytes of a file, which both versions share.

use std::io::Read;
use std::path::Path;

use virtflow_tracefs::ByteOrder;

use crate::cursor::Cursor;
use crate::error::Error;

/// What a file begins with.
const MAGIC: &[u8] = b"\x17\x08\x44tracing";

/// Whether a file begins as one of trace-cmd's does.
pub fn is_trace_dat(path: &Path) -> bool {
    let mut first = [0; MAGIC.len()];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut first));
    read.is_ok() && first == MAGIC
}

/// What the first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) version: Version,
    pub(crate) order: ByteOrder,
    pub(crate) page_size: u32,
}

/// A version of the format that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Six,
    Seven,
}

/// Reads them, and has the cursor read numbers as the file writes them from then on.
pub(crate) fn head(cursor: &mut Cursor<'_>, path: &Path) -> Result<Head, Error> {
    if cursor.expect(MAGIC, "magic").is_err() {
        let path = path.to_owned();
        return Err(Error::NoTraceDat { path });
    }
    let version = cursor.string("version")?;
    let version = match version.as_str() {
        "6" => Version::Six,
        "7" => Version::Seven,
        _ => {
            return Err(Error::Version {
                path: path.to_owned(),
                version: version.chars().take(20).collect(),
            });
        }
    };
    let order = match cursor.u8("byte order")? {
        0 => ByteOrder::Little,
        1 => ByteOrder::Big,
        other => return Err(cursor.wrong(format!("byte order {other}, which is neither"))),
    };
    cursor.set_order(order);
    match cursor.u8("size of a long")? {
        4 | 8 => {}
        other => return Err(cursor.wrong(format!("a long of {other} bytes"))),
    }
    let page_size = cursor.u32("size of a page")?;
    Ok(Head {
        version,
        order,
        page_size,
    })
}
