//! A record of any class, known or not, decoded when it is asked for.

use crate::trace::items;
use std::fmt;
use std::sync::Arc;
use virtflow_base::{CpuId, Timestamp};
use virtflow_ctf::{FieldError, Item, OwnedEvent, Scope, Value};
use virtflow_tracefs::{Described, OwnedRecord};

/// An event of any class of any trace.
#[derive(Clone)]
pub struct AnyEvent {
    number: usize,
    of: Of,
}

#[derive(Clone)]
enum Of {
    Ctf(Arc<virtflow_ctf::Trace>, OwnedEvent),
    Raw(Arc<Described>, OwnedRecord),
}

impl fmt::Debug for AnyEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyEvent")
            .field("time", &self.time())
            .field("name", &self.name())
            .finish()
    }
}

impl AnyEvent {
    pub(crate) const fn of_ctf(
        trace: Arc<virtflow_ctf::Trace>,
        number: usize,
        event: OwnedEvent,
    ) -> Self {
        Self {
            number,
            of: Of::Ctf(trace, event),
        }
    }

    pub(crate) const fn of_raw(
        described: Arc<Described>,
        number: usize,
        record: OwnedRecord,
    ) -> Self {
        Self {
            number,
            of: Of::Raw(described, record),
        }
    }

    /// When it happened.
    pub const fn time(&self) -> Timestamp {
        match &self.of {
            Of::Ctf(_, event) => event.time(),
            Of::Raw(_, record) => record.time(),
        }
    }

    /// Its name; empty where the metadata gives none.
    pub fn name(&self) -> &str {
        match &self.of {
            Of::Ctf(trace, event) => event.class(trace).map_or("", |class| class.name()),
            Of::Raw(described, record) => {
                let format = record.format(&described.formats);
                format.map_or("", |format| format.name())
            }
        }
    }

    /// The processor it happened on.
    pub const fn cpu(&self) -> Option<CpuId> {
        match &self.of {
            Of::Ctf(_, event) => event.cpu(),
            Of::Raw(_, record) => Some(record.cpu()),
        }
    }

    /// The number of its trace in the recording.
    pub const fn trace(&self) -> usize {
        self.number
    }

    /// The number of its stream in its trace.
    pub const fn stream(&self) -> usize {
        match &self.of {
            Of::Ctf(_, event) => event.stream(),
            Of::Raw(_, record) => record.stream(),
        }
    }

    /// Gives every field of the scopes to `take`, with its name.
    ///
    /// # Errors
    /// Where the event is too short for its fields.
    pub fn visit(
        &self,
        scopes: &[Scope],
        take: &mut dyn FnMut(&str, Item<'_>),
    ) -> Result<(), FieldError> {
        match &self.of {
            Of::Ctf(trace, event) => event.visit(trace, scopes, take),
            Of::Raw(described, record) => items(described, record, scopes, take),
        }
    }

    /// The fields of one scope as a tree.
    ///
    /// # Errors
    /// As [`Self::visit`].
    pub fn value(&self, scope: Scope) -> Result<Option<Value>, FieldError> {
        match &self.of {
            Of::Ctf(trace, event) => event.value(trace, scope),
            Of::Raw(described, record) => {
                Value::of_items(|take| items(described, record, &[scope], take))
            }
        }
    }
}
