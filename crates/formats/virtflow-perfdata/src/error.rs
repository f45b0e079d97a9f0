//! Why a file could not be opened at all.

use std::io;
use std::path::PathBuf;

/// Why a file could not be read as a perf.data. Anything that only spoils part of it is a
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
    /// The file does not begin as one of perf's does.
    #[error("{}: this is no file of perf", path.display())]
    NoPerfData {
        /// The file.
        path: PathBuf,
    },
    /// The first version of the format.
    #[error(
        "{}: this is version 1 of perf's format (PERFFILE), which is not read; record with a perf \
         of Linux 3.0 or later", path.display()
    )]
    Version1 {
        /// The file.
        path: PathBuf,
    },
    /// perf ended before it wrote what its events are.
    #[error(
        "{}: perf was stopped before it had finished the file, and what its events are is written \
         last: none can be read. Stop perf by SIGINT, or record with `perf record -o - > FILE`, \
         which writes that first", path.display()
    )]
    Unfinished {
        /// The file.
        path: PathBuf,
    },
    /// Nothing of the kernel's trace events is in it.
    #[error(
        "{}: it holds no tracepoint, and other events of perf are not read; record some, for \
         example with `perf record -a -e 'sched:*'`", path.display()
    )]
    NoTracepoints {
        /// The file.
        path: PathBuf,
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

impl Error {
    /// What is wrong, for a problem that says itself where.
    pub(crate) fn what(&self) -> String {
        match self {
            Self::Head { what, .. } => what.trim_end_matches(',').to_owned(),
            other => other.to_string(),
        }
    }
}
