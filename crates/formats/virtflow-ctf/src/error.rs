//! Why a trace could not be opened at all.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a path could not be read as a CTF trace. Anything that only spoils part of a trace is a
/// [`virtflow_base::Problem`] instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No `metadata` file at the path or below it.
    #[error(
        "no CTF trace at {}: {why}; give the directory that holds a file named `metadata`, or one \
         above it (for LTTng: what `lttng create` printed)", path.display()
    )]
    NoTrace {
        /// What the user gave.
        path: PathBuf,
        /// What was found there instead.
        why: &'static str,
    },
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
    /// The metadata file is not what CTF 1.8 section 7.1 describes, for CTF 2 not what its JSON text
    /// sequence is wrapped in.
    #[error("{}: {what} at byte {offset}", path.display())]
    MetadataFile {
        /// The metadata file.
        path: PathBuf,
        /// The byte of the file.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The CTF 2 metadata stream is wrong.
    #[error("{}: {source}", path.display())]
    Fragment {
        /// The metadata file.
        path: PathBuf,
        /// Where in it, and what.
        source: FragmentError,
    },
    /// The TSDL text is wrong.
    #[error("{}:{source}", path.display())]
    Metadata {
        /// The metadata file.
        path: PathBuf,
        /// Where in its text, and what.
        source: MetadataError,
    },
}

/// What is wrong with a CTF 2 metadata stream, and where. For packetised metadata, bytes are counted
/// in the stream without packet headers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "fragment {fragment} at byte {offset}{}{property}: {kind}",
    if property.is_empty() { "" } else { ", " }
)]
pub struct FragmentError {
    /// Which fragment, from 1.
    pub fragment: u64,
    /// Where it begins, or where in it the JSON is wrong.
    pub offset: u64,
    /// The way to the property that is wrong, such as `payload-field-class.member-classes[2]`.
    pub property: String,
    /// What is wrong.
    pub kind: FragmentErrorKind,
}

/// What can be wrong with a CTF 2 metadata stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FragmentErrorKind {
    /// It is no JSON text.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// A property that must be there and is not.
    #[error("property `{0}` is missing")]
    Missing(&'static str),
    /// A property with a value it cannot have.
    #[error("property `{name}` {why}")]
    BadProperty {
        /// Which.
        name: &'static str,
        /// What is wrong with its value.
        why: &'static str,
    },
    /// An extension, which may change the format in any way.
    #[error(
        "extension `{name}` of `{namespace}` is not known; it may change how the trace is to be \
         read, so that nothing is read"
    )]
    Extension {
        /// Whose it is.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// A `type` that there is not.
    #[error("`{0}` is no type of a fragment or field class")]
    UnknownType(String),
    /// A role that there is not.
    #[error("`{0}` is no role")]
    UnknownRole(String),
    /// A field class alias that is not declared before.
    #[error("no field class alias `{0}` stands before this fragment")]
    UnknownAlias(String),
    /// A field location that leads to no field of a fitting class.
    #[error("`{path}` leads to no {what} that is read before")]
    UnknownField {
        /// The path.
        path: String,
        /// What it should lead to.
        what: &'static str,
    },
    /// A clock class that is not described before.
    #[error("no clock class `{0}` stands before this fragment")]
    UnknownClock(String),
    /// A data stream class that is not described before.
    #[error("no data stream class {0} stands before this fragment")]
    UnknownStream(u64),
    /// Something given twice.
    #[error("{0} is given twice")]
    Duplicate(String),
    /// Field classes nested deeper than virtflow follows.
    #[error("field classes nested more than {0} deep")]
    TooDeep(u32),
    /// More of something than virtflow is willing to hold.
    #[error("more than {max} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many it would hold.
        max: u64,
    },
    /// Anything else.
    #[error("{0}")]
    Invalid(&'static str),
}

/// What is wrong with a TSDL text, and where. For packetised metadata, lines are counted in the
/// text without packet headers, as `babeltrace2 --output-format=ctf-metadata` prints it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {kind}")]
pub struct MetadataError {
    /// Line, from 1.
    pub line: u32,
    /// Column in bytes, from 1.
    pub column: u32,
    /// What is wrong.
    pub kind: MetadataErrorKind,
}

/// What can be wrong with a TSDL text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetadataErrorKind {
    /// Another token should stand here.
    Expected {
        /// What should.
        expected: &'static str,
        /// What does.
        found: String,
    },
    /// A comment, string or character constant without its end.
    Unterminated(&'static str),
    /// A byte no token begins with.
    StrayByte(u8),
    /// A number that does not fit 64 bits, or is not one.
    BadNumber(String),
    /// A type that no enclosing scope declares.
    UnknownType(String),
    /// A type declared twice in one scope, or an id given twice.
    Duplicate(String),
    /// A length or tag that names no integer field before its use.
    UnknownField(String),
    /// A clock that is not described.
    UnknownClock(String),
    /// A stream that is not described.
    UnknownStream(u64),
    /// An attribute with a value it cannot have.
    BadAttribute {
        /// Which.
        attribute: &'static str,
        /// What is wrong with its value.
        why: &'static str,
    },
    /// An attribute that must be there and is not.
    Missing(&'static str),
    /// Types nested deeper than virtflow follows.
    TooDeep(u32),
    /// More of something than virtflow is willing to hold.
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many it would hold.
        max: u64,
    },
    /// Anything else.
    Invalid(&'static str),
}

impl fmt::Display for MetadataErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expected { expected, found } => write!(f, "expected {expected}, found {found}"),
            Self::Unterminated(what) => write!(f, "a {what} without its end"),
            Self::StrayByte(byte) => write!(f, "byte {byte:#04x} has no meaning here"),
            Self::BadNumber(text) => write!(f, "`{text}` is not a 64-bit number"),
            Self::UnknownType(name) => write!(f, "type `{name}` is not declared here"),
            Self::Duplicate(what) => write!(f, "{what} is declared twice"),
            Self::UnknownField(path) => {
                write!(
                    f,
                    "`{path}` names no integer or enumeration field read before this one"
                )
            }
            Self::UnknownClock(name) => write!(f, "clock `{name}` is not described"),
            Self::UnknownStream(id) => write!(f, "stream {id} is not described"),
            Self::BadAttribute { attribute, why } => write!(f, "attribute `{attribute}` {why}"),
            Self::Missing(attribute) => write!(f, "attribute `{attribute}` is missing"),
            Self::TooDeep(max) => write!(f, "types nested more than {max} deep"),
            Self::TooMany { what, max } => write!(f, "more than {max} {what}"),
            Self::Invalid(what) => f.write_str(what),
        }
    }
}
