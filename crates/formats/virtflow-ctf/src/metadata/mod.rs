//! What a trace says about itself: clocks, environment, streams, and the events it may hold.

mod assemble;
mod class;
mod resolve;
#[cfg(test)]
mod tests;
mod types;

use crate::bits::ByteOrder;
use crate::clock::Clock;

pub(crate) use assemble::{assemble, targets_header};
pub(crate) use class::ClassTable;
pub use class::{EventClass, Identity, StreamClass};
pub use types::{
    ArrayType, Base, BitMapType, Encoding, EnumMapping, EnumType, Field, FieldType, Flag,
    FloatType, IntType, OpaqueType, OptionalType, Scope, SequenceType, StringType, StructType,
    VariantType,
};
pub(crate) use types::{Choice, Reg, choose};

/// The description of a trace.
#[derive(Debug)]
pub struct Metadata {
    pub(crate) format: &'static str,
    pub(crate) identity: Identity,
    pub(crate) byte_order: ByteOrder,
    pub(crate) uuid: Option<[u8; 16]>,
    pub(crate) env: Vec<(String, EnvValue)>,
    pub(crate) clocks: Vec<Clock>,
    pub(crate) streams: Vec<StreamClass>,
    pub(crate) events: Vec<EventClass>,
}

/// A value of the `env` block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvValue {
    /// A string.
    Text(String),
    /// An integer.
    Int(i64),
}

impl Metadata {
    /// The format: `CTF 1.8` or `CTF 2`.
    pub const fn format(&self) -> &'static str {
        self.format
    }

    /// What the trace is called; CTF 1.8 has no names for it.
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The byte order of fields that name none; in CTF 2, where all name theirs, that of the
    /// packets' magic number.
    pub const fn byte_order(&self) -> ByteOrder {
        self.byte_order
    }

    /// The trace's identity.
    pub const fn uuid(&self) -> Option<[u8; 16]> {
        self.uuid
    }

    /// The `env` block, in the order of the text.
    pub fn env(&self) -> &[(String, EnvValue)] {
        &self.env
    }

    /// The string `name` of the `env` block.
    pub fn env_text(&self, name: &str) -> Option<&str> {
        self.env.iter().find_map(|(key, value)| match value {
            EnvValue::Text(text) if key == name => Some(text.as_str()),
            _ => None,
        })
    }

    /// The integer `name` of the `env` block.
    pub fn env_int(&self, name: &str) -> Option<i64> {
        self.env.iter().find_map(|(key, value)| match value {
            EnvValue::Int(int) if key == name => Some(*int),
            _ => None,
        })
    }

    /// The clocks.
    pub fn clocks(&self) -> &[Clock] {
        &self.clocks
    }

    /// The kinds of streams, in the order of the text.
    pub fn stream_classes(&self) -> &[StreamClass] {
        &self.streams
    }

    /// The kinds of events of all streams; an [`EventClass::index`] counts in here.
    pub fn event_classes(&self) -> &[EventClass] {
        &self.events
    }
}
