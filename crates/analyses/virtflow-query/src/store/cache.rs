//! Stores of traces that were analysed before, so that none is analysed twice.
//!
//! A trace is known by the paths, sizes and times of its files: if any of them differs, it is
//! another one. The least recently used stores go when there is too much.

use super::make::options_json;
use super::sources::{Stamp, stamps};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use virtflow_events::Recording;
use virtflow_history::{FORMAT_VERSION, Manifest, Store, size};
use virtflow_model::Options;
use xxhash_rust::xxh3::xxh3_128;

/// What a cache may grow to where nobody says otherwise.
const LIMIT_DEFAULT: u64 = 20 << 30;

/// Why the cache could not be listed or emptied.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct CacheError {
    /// Where.
    path: PathBuf,
    /// What the system said.
    source: io::Error,
}

/// A directory of stores.
#[derive(Clone, Debug)]
pub struct Cache {
    directory: PathBuf,
    limit: u64,
}

/// A store in a cache.
#[derive(Clone, Debug)]
pub struct Cached {
    /// Its name, by which it is removed.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// The directory of the trace it was made of.
    pub trace: String,
    /// Its size.
    pub bytes: u64,
    /// When it was last used.
    pub used: SystemTime,
    /// Whether it is whole; another analysis may be writing it.
    pub complete: bool,
}

impl Cache {
    /// The cache below `directory`; `limit` bytes at most, or a default.
    pub fn new(directory: PathBuf, limit: Option<u64>) -> Self {
        Self {
            directory,
            limit: limit.unwrap_or(LIMIT_DEFAULT),
        }
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where the store of a recording is or would be; `None` where its files cannot be looked at.
    pub fn place(&self, recording: &Recording, options: &Options) -> Option<PathBuf> {
        let directories: Vec<_> = recording.traces().iter().map(|t| t.path.clone()).collect();
        let mut told = format!("{FORMAT_VERSION} {}\n", env!("CARGO_PKG_VERSION"));
        told.push_str(&options_json(options).to_string());
        if recording.machines().len() > 1 {
            told.push_str("\nclocks aligned");
        }
        for Stamp {
            path,
            bytes,
            modified_ns,
        } in stamps(&directories).ok()?
        {
            told.push_str(&format!("\n{} {bytes} {modified_ns}", path.display()));
        }
        let name = format!("{:032x}", xxh3_128(told.as_bytes()));
        Some(self.directory.join(name))
    }

    /// The store of a recording, if it is there and whole.
    pub fn find(&self, recording: &Recording, options: &Options) -> Option<Store> {
        let path = self.place(recording, options)?;
        let store = Store::open(&path).ok()?;
        // It was used now; where that cannot be noted, it goes a little earlier.
        let _ = File::open(&path).and_then(|d| d.set_modified(SystemTime::now()));
        Some(store)
    }

    /// What is in it, the last used first.
    pub fn list(&self) -> Result<Vec<Cached>, CacheError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| CacheError { path, source }
        };
        let found = match fs::read_dir(&self.directory) {
            Ok(found) => found,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(failed(&self.directory)(e)),
        };
        let mut all = Vec::new();
        for entry in found {
            let path = entry.map_err(failed(&self.directory))?.path();
            // Another process may be removing it.
            let Ok(manifest) = Manifest::read(&path) else {
                continue;
            };
            let first = manifest.traces[0]["path"]
                .as_str()
                .unwrap_or(&manifest.name);
            all.push(Cached {
                name: path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
                trace: first.to_owned(),
                bytes: size(&path).unwrap_or(0),
                used: fs::metadata(&path)
                    .and_then(|m| m.modified())
                    .unwrap_or(SystemTime::UNIX_EPOCH),
                complete: manifest.state == virtflow_history::State::Complete,
                path,
            });
        }
        all.sort_by_key(|cached| std::cmp::Reverse(cached.used));
        Ok(all)
    }

    /// Removes one.
    pub fn remove(cached: &Cached) -> Result<(), CacheError> {
        fs::remove_dir_all(&cached.path).map_err(|source| CacheError {
            path: cached.path.clone(),
            source,
        })
    }

    /// Removes what was not used for longest until the rest is within the limit; never the one at
    /// `keep`.
    pub fn shrink(&self, keep: &Path) -> Result<(), CacheError> {
        let mut left = self.limit;
        for cached in self.list()? {
            if cached.path == keep || cached.bytes <= left {
                left = left.saturating_sub(cached.bytes);
            } else if cached.complete {
                left = 0;
                Self::remove(&cached)?;
            }
        }
        Ok(())
    }
}
