//! Events as readers of files give them: bound once, seen one by one, kept if need be.

use virtflow_base::{CpuId, Timestamp};

use crate::format::EventFormat;
use crate::formats::Formats;
use crate::order::ByteOrder;
use crate::view::{RecordView, Slot};

/// The descriptions of a file's events, and which byte of its numbers comes first.
#[derive(Clone, Debug, Default)]
pub struct Described {
    /// The descriptions.
    pub formats: Formats,
    /// The order of bytes.
    pub order: ByteOrder,
}

/// The wanted fields of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Comes back with each event ([`EventView::tag`]).
    pub tag: u32,
    /// The fields; an event gives them by their place in here. `None` for one that it lacks.
    pub slots: Vec<Option<Slot>>,
}

/// The bound fields of all events of a trace.
#[derive(Debug)]
pub struct Bound {
    /// By the number of the description.
    classes: Vec<Option<Wanted>>,
}

impl Bound {
    /// Asks `choose` for each description which of its fields are wanted, if the event is.
    pub fn new(
        formats: &[EventFormat],
        choose: impl FnMut(&EventFormat) -> Option<Wanted>,
    ) -> Self {
        Self {
            classes: formats.iter().map(choose).collect(),
        }
    }

    /// What is wanted of the event of a description.
    #[inline]
    pub fn get(&self, class: usize) -> Option<&Wanted> {
        self.classes.get(class)?.as_ref()
    }
}

/// An event that is still in the reader's memory; [`EventView::to_owned`] keeps it.
#[derive(Debug)]
pub struct EventView<'a> {
    /// Its fields, by the slots it was bound with.
    pub fields: RecordView<'a>,
    /// What [`Wanted::tag`] it was bound with.
    pub tag: u32,
    /// Its description, as a number in [`Formats::all`].
    pub class: usize,
    /// Its stream, as a number of its trace.
    pub stream: usize,
    /// The processor it happened on.
    pub cpu: CpuId,
    /// When it happened.
    pub time: Timestamp,
    /// The process of the thread that it happened in, where the file tells it.
    pub process: Option<i32>,
}

impl EventView<'_> {
    /// A copy that outlives the reader's memory.
    pub fn to_owned(&self) -> OwnedRecord {
        OwnedRecord {
            time: self.time,
            class: u32::try_from(self.class).unwrap_or(u32::MAX),
            stream: u32::try_from(self.stream).unwrap_or(u32::MAX),
            cpu: self.cpu,
            bytes: self.fields.record().into(),
        }
    }
}

/// An event's own bytes, to be decoded later with the descriptions of the trace it came from.
#[derive(Clone, Debug)]
pub struct OwnedRecord {
    time: Timestamp,
    class: u32,
    stream: u32,
    cpu: CpuId,
    bytes: Box<[u8]>,
}

impl OwnedRecord {
    /// When it happened.
    pub const fn time(&self) -> Timestamp {
        self.time
    }

    /// The processor it happened on.
    pub const fn cpu(&self) -> CpuId {
        self.cpu
    }

    /// Its stream, as a number of its trace.
    pub const fn stream(&self) -> usize {
        self.stream as usize
    }

    /// Its bytes.
    pub const fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its description; `None` with those of another trace than its own.
    pub fn format<'t>(&self, formats: &'t Formats) -> Option<&'t EventFormat> {
        formats.all().get(self.class as usize)
    }
}

/// Makes records of events.
pub trait Extract: Send {
    /// What it makes.
    type Out: Send;

    /// The record of a bound event; `None` leaves it out.
    fn extract(&mut self, event: &EventView<'_>) -> Option<Self::Out>;
}
