//! What can be wrong with a store.

use std::path::{Path, PathBuf};

/// What was wrong with a store, and where.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system said no.
    #[error("{}: {what}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// A table cannot be read or written.
    #[error("{}: {source}; analyse the trace again", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// What the Parquet library said.
        source: parquet::errors::ParquetError,
    },
    /// It is not a store.
    #[error("{}: not a store of virtflow: it has no {}", path.display(), crate::MANIFEST)]
    NotAStore {
        /// The directory.
        path: PathBuf,
    },
    /// Its manifest cannot be understood.
    #[error("{}: {what}; analyse the trace again", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Another version wrote it.
    #[error(
        "{}: the store has format {found}, this virtflow reads {}; analyse the trace again, or use the virtflow that wrote it ({by})",
        path.display(), crate::FORMAT_VERSION
    )]
    Version {
        /// The manifest.
        path: PathBuf,
        /// The store's version.
        found: u32,
        /// The program that wrote it.
        by: String,
    },
    /// It was not finished.
    #[error("{}: the store was not finished (an analysis is still running, or was killed); analyse the trace again", path.display())]
    Unfinished {
        /// The directory.
        path: PathBuf,
    },
    /// A table does not have the columns or values it should have.
    #[error("{}: {what}; analyse the trace again", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Nobody waits for the answer any more.
    #[error("stopped")]
    Stopped,
    /// It exists and is not to be replaced.
    #[error("{}: exists, and is not a store of virtflow; choose another name, or remove it", path.display())]
    InTheWay {
        /// The directory.
        path: PathBuf,
    },
}

impl StoreError {
    pub(crate) fn io(path: &Path, what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, what, source }
    }

    pub(crate) fn table(path: &Path) -> impl FnOnce(parquet::errors::ParquetError) -> Self {
        let path = path.to_owned();
        move |source| Self::Table { path, source }
    }

    pub(crate) fn arrow(path: &Path) -> impl FnOnce(arrow_schema::ArrowError) -> Self {
        let path = path.to_owned();
        move |source| Self::Table {
            path,
            source: source.into(),
        }
    }

    pub(crate) fn content(path: &Path, what: impl Into<String>) -> Self {
        Self::Content {
            path: path.to_owned(),
            what: what.into(),
        }
    }
}
