//! What can go wrong while writing.

use std::io;
use std::path::PathBuf;

/// Why something was not written. Displays as a clause that fits after "failed to write a trace:".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The operating system refused.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The directory holds a trace already, whose streams would be read together with the new one's.
    #[error("{path} holds a trace already", path = .0.display())]
    Exists(PathBuf),
    /// An event that does not fit even in an empty packet.
    #[error("an event of {bytes} bytes does not fit in a packet of at most {limit}")]
    EventTooLarge {
        /// The event with its longest header.
        bytes: usize,
        /// The most that a packet may hold after its header and context.
        limit: usize,
    },
    /// The packet size limit leaves no room for events.
    #[error("a packet limit of {0} bytes has no room for a header and one event")]
    PacketLimit(usize),
    /// An event before the one written last, or before its packet's begin.
    #[error("time {time} lies before {last}, which is already written")]
    TimeBackwards {
        /// The time given, in clock cycles.
        time: u64,
        /// The latest time written, in clock cycles.
        last: u64,
    },
    /// Two event classes of one stream class with the same id.
    #[error("two event classes have the id {0}")]
    DuplicateClass(u32),
    /// An event of a class that was not declared.
    #[error("no event class has the id {0}")]
    UnknownClass(u32),
    /// A name that TSDL cannot hold as it is.
    #[error("{0:?} cannot be a name in TSDL")]
    BadName(String),
    /// A type that TSDL cannot hold or that this writer cannot encode.
    #[error("field {field}: {why}")]
    BadType {
        /// The field.
        field: String,
        /// Why not.
        why: &'static str,
    },
    /// A value that does not fit its declared field.
    #[error("field {field} of event {event}: {why}")]
    BadValue {
        /// The event class.
        event: String,
        /// The field.
        field: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A call out of order, such as an event outside of any packet begun by hand.
    #[error("{0}")]
    Sequence(&'static str),
}

/// Adds the path to a system error.
pub(crate) fn at(path: &std::path::Path) -> impl FnOnce(io::Error) -> WriteError + '_ {
    move |source| WriteError::Io {
        path: path.to_owned(),
        source,
    }
}
