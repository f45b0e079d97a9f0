//! A record of any class, known or not, decoded when it is asked for.

use crate::trace::items;
use std::fmt;
use std::sync::Arc;
use virtflow_base::{CpuId, Timestamp};
use virtflow_ctf::{FieldError, Item, OwnedEvent, Scope, Value};
use virtflow_tracedat::OwnedRecord;

/// An event of any class of any trace.
#[derive(Clone)]
pub struct AnyEvent {
    number: usize,
    of: Of,
}

#[derive(Clone)]
enum Of {
    Ctf(Arc<virtflow_ctf::Trace>, OwnedEvent),
    TraceDat(Arc<virtflow_tracedat::Trace>, OwnedRecord),
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

    pub(crate) const fn of_trace_dat(
        trace: Arc<virtflow_tracedat::Trace>,
        number: usize,
        record: OwnedRecord,
    ) -> Self {
        Self {
            number,
            of: Of::TraceDat(trace, record),
        }
    }

    /// When it happened.
    pub const fn time(&self) -> Timestamp {
        match &self.of {
            Of::Ctf(_, event) => event.time(),
            Of::TraceDat(_, record) => record.time(),
        }
    }

    /// Its name; empty where the metadata gives none.
    pub fn name(&self) -> &str {
        match &self.of {
            Of::Ctf(trace, event) => event.class(trace).map_or("", |class| class.name()),
            Of::TraceDat(trace, record) => record.format(trace).map_or("", |f| f.name()),
        }
    }

    /// The processor it happened on.
    pub const fn cpu(&self) -> Option<CpuId> {
        match &self.of {
            Of::Ctf(_, event) => event.cpu(),
            Of::TraceDat(_, record) => Some(record.cpu()),
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
            Of::TraceDat(_, record) => record.stream(),
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
            Of::TraceDat(trace, record) => items(trace, record, scopes, take),
        }
    }

    /// The fields of one scope as a tree.
    ///
    /// # Errors
    /// As [`Self::visit`].
    pub fn value(&self, scope: Scope) -> Result<Option<Value>, FieldError> {
        match &self.of {
            Of::Ctf(trace, event) => event.value(trace, scope),
            Of::TraceDat(trace, record) => {
                Value::of_items(|take| items(trace, record, &[scope], take))
            }
        }
    }
}
