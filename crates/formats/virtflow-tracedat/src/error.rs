//! Why a file could not be opened at all.

use std::io;
use std::path::PathBuf;

/// Why a file could not be read as a trace.dat. Anything that only spoils part of it is a
/// [`virtflow_base::Problem`] instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The refusal.
        source: io::Error,
    },
    /// The file does not begin as one of trace-cmd's does.
    #[error("{}: this is no file of trace-cmd", path.display())]
    NoTraceDat {
        /// The file.
        path: PathBuf,
    },
    /// A version of the format that is not read.
    #[error(
        "{}: version {version} of trace-cmd's format is not read (6 and 7 are); \
         `trace-cmd convert --file-version 7` may write it as one of them", path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// What it says.
        version: String,
    },
    /// The file of a latency tracer.
    #[error(
        "{}: this file holds the text of a latency tracer and no events; record events with \
         `trace-cmd record -e ...` and without `-p`", path.display()
    )]
    Latency {
        /// The file.
        path: PathBuf,
    },
    /// A way of packing that is not known.
    #[error("{}: it is packed with `{name}`, which is not read (zlib and zstd are)", path.display())]
    Packing {
        /// The file.
        path: PathBuf,
        /// What it says.
        name: String,
    },
    /// The head of the file is not what the format says stands there.
    #[error("{}: {what} at byte {offset}", path.display())]
    Head {
        /// The file.
        path: PathBuf,
        /// The byte of the file.
        offset: u64,
        /// What is wrong.
        what: String,
    },
}
