//! Types and blocks as the TSDL text says them, before names are looked up in the data.

use std::sync::Arc;

use crate::bits::ByteOrder;
use crate::metadata::{Base, Encoding, EnumMapping};

/// A type and how deeply it nests others.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) kind: RawKind,
    pub(crate) depth: u32,
    /// Where in the text it stands.
    pub(crate) at: usize,
}

pub(crate) type RawRef = Arc<Raw>;

#[derive(Debug)]
pub(crate) enum RawKind {
    Int(RawInt),
    Float(RawFloat),
    Enum(RawInt, Arc<[EnumMapping]>),
    String(Encoding),
    Struct {
        fields: Vec<RawField>,
        align: u64,
    },
    Variant {
        tag: Option<RawPath>,
        options: Arc<[RawField]>,
    },
    Array {
        element: RawRef,
        len: u64,
    },
    Sequence {
        element: RawRef,
        len: RawPath,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct RawField {
    pub(crate) name: Arc<str>,
    pub(crate) ty: RawRef,
}

#[derive(Clone, Debug)]
pub(crate) struct RawInt {
    pub(crate) size: u32,
    pub(crate) align: u64,
    pub(crate) signed: bool,
    /// `None` is the trace's own.
    pub(crate) order: Option<ByteOrder>,
    pub(crate) base: Base,
    pub(crate) encoding: Encoding,
    /// The name in `map = clock.NAME.value`.
    pub(crate) clock: Option<Arc<str>>,
    pub(crate) at: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct RawFloat {
    pub(crate) exp_dig: u32,
    pub(crate) mant_dig: u32,
    pub(crate) align: u64,
    pub(crate) order: Option<ByteOrder>,
}

/// A length or a tag: `len`, `a.b`, `stream.event.header.id`.
#[derive(Clone, Debug)]
pub(crate) struct RawPath {
    pub(crate) parts: Arc<[Arc<str>]>,
    pub(crate) at: usize,
}

impl RawPath {
    pub(crate) fn text(&self) -> String {
        self.parts.join(".")
    }
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RawValue {
    Number(i128),
    Text(String),
    /// Words joined by dots.
    Path(String),
}

/// Everything a TSDL text declares.
#[derive(Debug, Default)]
pub(crate) struct Document {
    pub(crate) trace: RawTrace,
    pub(crate) env: Vec<(String, RawValue)>,
    pub(crate) clocks: Vec<RawClock>,
    pub(crate) streams: Vec<RawStream>,
    pub(crate) events: Vec<RawEvent>,
}

#[derive(Debug, Default)]
pub(crate) struct RawTrace {
    pub(crate) major: Option<u64>,
    pub(crate) minor: Option<u64>,
    pub(crate) uuid: Option<[u8; 16]>,
    pub(crate) order: Option<ByteOrder>,
    pub(crate) packet_header: Option<RawRef>,
    pub(crate) at: usize,
}

#[derive(Debug)]
pub(crate) struct RawClock {
    pub(crate) name: String,
    pub(crate) uuid: Option<[u8; 16]>,
    pub(crate) description: String,
    pub(crate) freq: u64,
    pub(crate) precision: u64,
    pub(crate) offset_s: i64,
    pub(crate) offset: i64,
    pub(crate) absolute: bool,
}

#[derive(Debug, Default)]
pub(crate) struct RawStream {
    pub(crate) id: Option<u64>,
    pub(crate) event_header: Option<RawRef>,
    pub(crate) event_context: Option<RawRef>,
    pub(crate) packet_context: Option<RawRef>,
    pub(crate) at: usize,
}

#[derive(Debug, Default)]
pub(crate) struct RawEvent {
    pub(crate) name: Option<String>,
    pub(crate) id: Option<u64>,
    pub(crate) stream: Option<u64>,
    pub(crate) loglevel: Option<i64>,
    pub(crate) emf_uri: Option<String>,
    pub(crate) context: Option<RawRef>,
    pub(crate) fields: Option<RawRef>,
    pub(crate) at: usize,
}
