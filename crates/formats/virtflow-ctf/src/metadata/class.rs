//! The kinds of streams and events a trace describes.

use rustc_hash::FxHashMap;

use super::{Scope, StructType};
use crate::plan::{Body, HeaderPlan, PacketPlan};

/// Ids below this find their class in a table, whatever the number of classes.
const DENSE_MIN: u64 = 1 << 12;
/// Above that, a table may be this many times as long as there are classes.
const DENSE_FACTOR: u64 = 16;
const NO_CLASS: u32 = u32::MAX;

/// What a trace, a clock, a kind of streams or of events is called (CTF 2): where all three are
/// there and the same, it is the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Whose names they are: `lttng.org,2009`.
    pub namespace: Option<Box<str>>,
    /// The name.
    pub name: Option<Box<str>>,
    /// What tells it from others of its name.
    pub uid: Option<Box<str>>,
}

/// A kind of event.
#[derive(Debug)]
pub struct EventClass {
    pub(crate) index: usize,
    pub(crate) id: u64,
    pub(crate) name: Box<str>,
    pub(crate) stream: usize,
    pub(crate) loglevel: Option<i64>,
    pub(crate) emf_uri: Option<Box<str>>,
    pub(crate) identity: Identity,
    pub(crate) context: Option<StructType>,
    pub(crate) fields: Option<StructType>,
    pub(crate) body: Body,
}

impl EventClass {
    /// Its number among all event classes of the trace.
    pub const fn index(&self) -> usize {
        self.index
    }

    /// Its id, unique in its stream class.
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// Its name; empty where the metadata gives none.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The stream class it belongs to, as a number in [`super::Metadata::stream_classes`].
    pub const fn stream_class(&self) -> usize {
        self.stream
    }

    /// Its severity, as syslog counts.
    pub const fn loglevel(&self) -> Option<i64> {
        self.loglevel
    }

    /// Its Eclipse Modeling Framework URI.
    pub fn emf_uri(&self) -> Option<&str> {
        self.emf_uri.as_deref()
    }

    /// What it is called besides its name; CTF 1.8 has nothing more.
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Its own context.
    pub const fn context(&self) -> Option<&StructType> {
        self.context.as_ref()
    }

    /// Its payload.
    pub const fn fields(&self) -> Option<&StructType> {
        self.fields.as_ref()
    }
}

/// A kind of stream.
#[derive(Debug)]
pub struct StreamClass {
    pub(crate) id: u64,
    pub(crate) packet_header: Option<StructType>,
    pub(crate) packet_context: Option<StructType>,
    pub(crate) event_header: Option<StructType>,
    pub(crate) event_context: Option<StructType>,
    pub(crate) clock: Option<usize>,
    /// Whether the clock is 0 at the beginning of a packet that does not say when it begins.
    pub(crate) restarts: bool,
    pub(crate) identity: Identity,
    pub(crate) classes: ClassTable,
    pub(crate) registers: u32,
    pub(crate) packet: PacketPlan,
    pub(crate) header: HeaderPlan,
}

impl StreamClass {
    /// Its id.
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// What it is called; CTF 1.8 has no names for it.
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The clock its events are stamped with, as a number in [`super::Metadata::clocks`].
    pub const fn clock(&self) -> Option<usize> {
        self.clock
    }

    /// The type of a scope that all its events share; `None` for an event's own.
    pub const fn scope(&self, scope: Scope) -> Option<&StructType> {
        match scope {
            Scope::PacketHeader => self.packet_header.as_ref(),
            Scope::PacketContext => self.packet_context.as_ref(),
            Scope::EventHeader => self.event_header.as_ref(),
            Scope::StreamContext => self.event_context.as_ref(),
            Scope::EventContext | Scope::Payload => None,
        }
    }
}

/// Finds an event class by its id.
#[derive(Debug, Default)]
pub(crate) struct ClassTable {
    dense: Vec<u32>,
    sparse: FxHashMap<u64, u32>,
    /// The class of streams whose events carry no id.
    only: Option<u32>,
}

impl ClassTable {
    /// A table of `(id, class)`, ids being different.
    pub(crate) fn new(classes: &[(u64, u32)], events_have_ids: bool) -> Self {
        let limit = DENSE_MIN.max(classes.len() as u64 * DENSE_FACTOR);
        let dense_ids = || classes.iter().filter(|(id, _)| *id < limit);
        let len = dense_ids()
            .map(|(id, _)| *id as usize + 1)
            .max()
            .unwrap_or(0);
        let mut table = Self {
            dense: vec![NO_CLASS; len],
            ..Self::default()
        };
        dense_ids().for_each(|&(id, class)| table.dense[id as usize] = class);
        table
            .sparse
            .extend(classes.iter().filter(|(id, _)| *id >= limit).copied());
        if !events_have_ids && let [(_, class)] = classes {
            table.only = Some(*class);
        }
        table
    }

    /// The class with this id.
    #[inline]
    pub(crate) fn get(&self, id: u64) -> Option<usize> {
        let class = match self.dense.get(usize::try_from(id).unwrap_or(usize::MAX)) {
            Some(&class) => class,
            None => self.sparse.get(&id).copied().unwrap_or(NO_CLASS),
        };
        if class == NO_CLASS {
            self.only.map(|class| class as usize)
        } else {
            Some(class as usize)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_dense_sparse_and_absent() {
        let table = ClassTable::new(&[(0, 3), (7, 4), (u64::MAX, 5)], true);
        assert_eq!(table.get(0), Some(3));
        assert_eq!(table.get(7), Some(4));
        assert_eq!(table.get(5), None);
        assert_eq!(table.get(8), None);
        assert_eq!(table.get(u64::MAX), Some(5));
        assert!(table.dense.len() <= 8);
        assert_eq!(ClassTable::new(&[(9, 1)], false).get(0), Some(1));
    }
}
