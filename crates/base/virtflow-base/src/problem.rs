//! What is wrong with an input: typed, placed, counted, and never a reason to panic.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// What kind of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ProblemKind {
    /// The file ends before what its headers promise.
    Truncated,
    /// Bytes that cannot be what the format says stands there.
    Corrupt,
    /// An event id, stream id or type that the metadata does not describe.
    Undescribed,
    /// A size above what virtflow is willing to hold.
    TooLarge,
    /// A time stamp that runs backwards.
    TimeBackwards,
    /// Something the format allows and virtflow does not read yet.
    Unsupported,
    /// The operating system would not give the bytes.
    Io,
    /// An index or header that contradicts the data; the data was believed.
    Contradiction,
    /// Events that were lost, on a processor and at a time that nobody knows.
    Lost,
}

impl ProblemKind {
    /// A lowercase word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Corrupt => "corrupt",
            Self::Undescribed => "undescribed",
            Self::TooLarge => "too-large",
            Self::TimeBackwards => "time-backwards",
            Self::Unsupported => "unsupported",
            Self::Io => "io",
            Self::Contradiction => "contradiction",
            Self::Lost => "lost",
        }
    }
}

/// Where in a recording something is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: Arc<PathBuf>,
    /// The stream's number in its trace, where there is one.
    pub stream: Option<u32>,
    /// The packet's number in its file, from 0.
    pub packet: Option<u64>,
    /// The byte in the file, from 0.
    pub offset: Option<u64>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(stream) = self.stream {
            write!(f, ", stream {stream}")?;
        }
        if let Some(packet) = self.packet {
            write!(f, ", packet {packet}")?;
        }
        if let Some(offset) = self.offset {
            write!(f, ", byte {offset}")?;
        }
        Ok(())
    }
}

/// One thing that is wrong with an input and did not stop the reading of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What kind of thing.
    pub kind: ProblemKind,
    /// Where.
    pub place: Place,
    /// What was found and what was done about it, as a lowercase clause.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Problems met so far: the first ones whole, all of them counted.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    kept: Vec<Problem>,
    total: u64,
}

impl Problems {
    /// How many are kept whole; the rest are only counted.
    pub const KEPT_MAX: usize = 100;

    /// Notes one more.
    pub fn push(&mut self, problem: Problem) {
        self.total += 1;
        if self.kept.len() < Self::KEPT_MAX {
            self.kept.push(problem);
        }
    }

    /// Adds another's problems to these.
    pub fn merge(&mut self, other: Self) {
        self.total += other.total - other.kept.len() as u64;
        for problem in other.kept {
            self.push(problem);
        }
    }

    /// How many there were.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// The first [`Self::KEPT_MAX`] of them.
    pub fn kept(&self) -> &[Problem] {
        &self.kept
    }

    /// Whether there was none.
    pub const fn is_empty(&self) -> bool {
        self.total == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(n: u64) -> Problem {
        Problem {
            kind: ProblemKind::Corrupt,
            place: Place {
                file: Arc::new("k_0".into()),
                offset: Some(n),
                ..Place::default()
            },
            what: "an event id that is not described".into(),
        }
    }

    #[test]
    fn problems_are_bounded_and_counted() {
        let mut a = Problems::default();
        (0..150).for_each(|n| a.push(problem(n)));
        let mut b = Problems::default();
        b.push(problem(1));
        b.merge(a);
        assert_eq!(b.total(), 151);
        assert_eq!(b.kept().len(), Problems::KEPT_MAX);
        assert_eq!(
            b.kept()[0].to_string(),
            "k_0, byte 1: an event id that is not described"
        );
    }
}
