//! The file, read by position.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use virtflow_base::{Place, Problem, ProblemKind};

use crate::error::Error;

/// Bytes read at once.
const WINDOW: usize = 256 << 10;

/// An open file and its length.
#[derive(Debug)]
pub(crate) struct Input {
    file: File,
    pub(crate) path: Arc<PathBuf>,
    pub(crate) len: u64,
}

impl Input {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (len, file) = opened.map_err(|source| Error::Io {
            action: "open",
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            file,
            path: Arc::new(path.to_owned()),
            len,
        })
    }

    pub(crate) fn wrong(&self, offset: u64, what: impl Into<String>) -> Error {
        Error::Head {
            path: self.path.as_path().to_owned(),
            offset,
            what: what.into(),
        }
    }

    /// The `len` bytes from `at` on, which the file must have and `most` allow.
    pub(crate) fn whole(&self, at: u64, len: u64, most: u64, what: &str) -> Result<Vec<u8>, Error> {
        let left = self.len.saturating_sub(at);
        if len > left {
            let what = format!("{what} of {len} bytes, of which the file has only {left},");
            return Err(self.wrong(at, what));
        }
        if len > most {
            return Err(self.wrong(at, format!("{what} of {len} bytes, more than {most},")));
        }
        let mut window = Window::default();
        // No longer than the file, and not more than is allowed.
        let bytes = window.get(self, at, usize::try_from(len).unwrap_or(usize::MAX));
        let bytes = bytes.map_err(|source| Error::Io {
            action: "read",
            path: self.path.as_path().to_owned(),
            source,
        })?;
        if (bytes.len() as u64) < len {
            return Err(self.wrong(at, format!("{what} that the file ends in")));
        }
        Ok(bytes.to_owned())
    }
}

/// What is wrong with the file, at a byte of it or as a whole.
pub(crate) fn problem(
    path: &Arc<PathBuf>,
    at: Option<u64>,
    kind: ProblemKind,
    what: String,
) -> Problem {
    let place = Place {
        file: Arc::clone(path),
        offset: at,
        ..Place::default()
    };
    Problem { kind, place, what }
}

/// A stretch of the file in memory.
#[derive(Debug, Default)]
pub(crate) struct Window {
    bytes: Vec<u8>,
    start: u64,
}

impl Window {
    /// The `len` bytes from `at` on; fewer where the file ends.
    #[inline]
    pub(crate) fn get(&mut self, input: &Input, at: u64, len: usize) -> io::Result<&[u8]> {
        let inside = at.checked_sub(self.start).map(|from| from as usize);
        let from = match inside {
            Some(from) if from + len <= self.bytes.len() => from,
            _ => {
                self.refill(input, at, len)?;
                0
            }
        };
        let end = (from + len).min(self.bytes.len());
        Ok(self.bytes.get(from..end).unwrap_or_default())
    }

    fn refill(&mut self, input: &Input, at: u64, len: usize) -> io::Result<()> {
        self.bytes.clear();
        self.start = at;
        let wanted = len.max(WINDOW);
        // It grows with what was read, never with what a file says.
        while self.bytes.len() < wanted {
            let have = self.bytes.len();
            self.bytes.resize(wanted.min(have + WINDOW), 0);
            let room = self.bytes.get_mut(have..).unwrap_or_default();
            match input.file.read_at(room, at.saturating_add(have as u64)) {
                Ok(0) => {
                    self.bytes.truncate(have);
                    return Ok(());
                }
                Ok(read) => self.bytes.truncate(have + read),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    self.bytes.truncate(have);
                }
                Err(error) => {
                    self.bytes.truncate(have);
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}
