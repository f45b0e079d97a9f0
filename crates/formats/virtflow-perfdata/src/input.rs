//! The file, or files, read by position.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use virtflow_base::{Place, Problem, ProblemKind};

use crate::error::Error;

/// Bytes read at once.
const WINDOW: usize = 256 << 10;

/// The most files of records of one recording.
const PARTS_MAX: usize = 1 << 16;

/// An open file, and behind it those of its records that lie in files of their own. Each byte of all of
/// them has a place: the first file's as they are, then those of the others.
#[derive(Debug)]
pub(crate) struct Input {
    files: Vec<File>,
    pub(crate) path: Arc<PathBuf>,
    /// The length of the first file.
    pub(crate) len: u64,
    pub(crate) places: Arc<Places>,
}

/// Where each file begins, and which it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    starts: Vec<(u64, Arc<PathBuf>)>,
    end: u64,
}

impl Places {
    /// The file that a place is in, as a number.
    fn file(&self, at: u64) -> usize {
        let after = self.starts.partition_point(|(start, _)| *start <= at);
        after.saturating_sub(1)
    }

    /// Where the file of a number begins and ends.
    fn span(&self, file: usize) -> (u64, u64) {
        let start = |file: usize| self.starts.get(file).map_or(self.end, |(start, _)| *start);
        (start(file), start(file + 1))
    }

    /// The problem at a byte of a file, or with the first as a whole.
    pub(crate) fn problem(&self, at: Option<u64>, kind: ProblemKind, what: String) -> Problem {
        let found = self.starts.get(at.map_or(0, |at| self.file(at)));
        let (start, path) = found.map_or_else(Default::default, Clone::clone);
        let place = Place {
            file: path,
            offset: at.map(|at| at.saturating_sub(start)),
            ..Place::default()
        };
        Problem { kind, place, what }
    }
}

impl Input {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let mut input = Self {
            files: Vec::new(),
            path: Arc::new(path.to_owned()),
            len: 0,
            places: Arc::default(),
        };
        input.len = input.add(path)?;
        Ok(input)
    }

    /// Opens one more; its length.
    fn add(&mut self, path: &Path) -> Result<u64, Error> {
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (len, file) = opened.map_err(|source| Error::Io {
            action: "open",
            path: path.to_owned(),
            source,
        })?;
        self.files.push(file);
        let places = Arc::make_mut(&mut self.places);
        places.starts.push((places.end, Arc::new(path.to_owned())));
        places.end = places.end.saturating_add(len);
        Ok(len)
    }

    /// Opens the files of records that lie beside a file called `data` (`data.0` and so on); where the
    /// records of each begin and end. And whether any of their numbers is missing.
    pub(crate) fn add_parts(&mut self) -> Result<(Vec<(u64, u64)>, bool), Error> {
        if self.path.file_name().is_none_or(|name| name != "data") {
            // Not where perf put it: what lies beside it is not its.
            return Ok((Vec::new(), true));
        }
        let directory = self.path.parent().map(Path::to_owned).unwrap_or_default();
        let directory = if directory.as_os_str().is_empty() {
            PathBuf::from(".")
        } else {
            directory
        };
        // What cannot be listed has no such files.
        let entries = std::fs::read_dir(&directory)
            .into_iter()
            .flatten()
            .flatten();
        let number = |entry: std::fs::DirEntry| {
            let name = entry.file_name();
            let digits = name.to_str()?.strip_prefix("data.")?;
            let number = digits.parse::<u32>().ok()?;
            // Nothing else that a directory may hold, which might not even end.
            let is_part = number.to_string() == digits && entry.path().is_file();
            is_part.then_some(number)
        };
        let mut numbers: Vec<_> = entries.filter_map(number).take(PARTS_MAX).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let mut ranges = Vec::new();
        for number in &numbers {
            self.add(&directory.join(format!("data.{number}")))?;
            ranges.push(self.places.span(self.files.len() - 1));
        }
        let last = numbers.last().map_or(0, |last| *last as usize + 1);
        Ok((ranges, last != numbers.len()))
    }

    /// The length of all.
    pub(crate) fn total(&self) -> u64 {
        self.places.end
    }

    /// Reads some of one file.
    fn read_at(&self, room: &mut [u8], at: u64) -> io::Result<usize> {
        let number = self.places.file(at);
        let (start, end) = self.places.span(number);
        let left = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
        let len = room.len().min(left);
        match (self.files.get(number), room.get_mut(..len)) {
            (Some(file), Some(room)) => file.read_at(room, at.saturating_sub(start)),
            _ => Ok(0),
        }
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
            match input.read_at(room, at.saturating_add(have as u64)) {
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
