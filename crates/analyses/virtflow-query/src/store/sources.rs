//! The files of a recording, as a store remembers them.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use virtflow_history::{SourceFile, StoreError};
use xxhash_rust::xxh3::Xxh3;

/// Read at once.
const PIECE: usize = 1 << 18;

/// What a file was when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    pub(super) modified_ns: i64,
}

/// The files of traces, in the order of their names: a trace that is a file, and the files of one
/// that is a directory; not those of directories below, which are traces of their own, save
/// LTTng's index.
pub(super) fn stamps(traces: &[PathBuf]) -> std::io::Result<Vec<Stamp>> {
    let mut all = Vec::new();
    for trace in traces {
        if fs::metadata(trace)?.is_file() {
            all.extend(stamp(trace.clone())?);
            continue;
        }
        for entry in fs::read_dir(trace)? {
            all.extend(stamp(entry?.path())?);
        }
    }
    all.sort();
    Ok(all)
}

/// What a file is now; `None` for what is no file.
fn stamp(path: PathBuf) -> std::io::Result<Option<Stamp>> {
    let about = fs::metadata(&path)?;
    if !about.is_file() {
        return Ok(None);
    }
    let modified = about.modified().ok();
    let since = modified.and_then(|m| m.duration_since(UNIX_EPOCH).ok());
    Ok(Some(Stamp {
        path: path.canonicalize().unwrap_or(path),
        bytes: about.len(),
        modified_ns: since
            .and_then(|d| i64::try_from(d.as_nanos()).ok())
            .unwrap_or(0),
    }))
}

/// The same with hashes of their content.
pub(super) fn source_files(directories: &[PathBuf]) -> Result<Vec<SourceFile>, StoreError> {
    let failed = |path: &Path, source| StoreError::Io {
        path: path.to_owned(),
        what: "cannot read",
        source,
    };
    let first = directories.first().cloned().unwrap_or_default();
    let stamps = stamps(directories).map_err(|e| failed(&first, e))?;
    stamps
        .into_iter()
        .map(|stamp| {
            let hash = hash(&stamp.path).map_err(|e| failed(&stamp.path, e))?;
            Ok(SourceFile {
                path: stamp.path.display().to_string(),
                bytes: stamp.bytes,
                modified_ns: stamp.modified_ns,
                hash: format!("xxh3-128:{hash:032x}"),
            })
        })
        .collect()
}

fn hash(path: &Path) -> std::io::Result<u128> {
    let mut file = File::open(path)?;
    let mut hasher = Xxh3::new();
    let mut buffer = vec![0; PIECE];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(hasher.digest128());
        }
        hasher.update(&buffer[..read]);
    }
}
