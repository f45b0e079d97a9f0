//! A record of any class, known or not, decoded when it is asked for.

use std::fmt;
use std::sync::Arc;
use virtflow_base::{CpuId, Timestamp};
use virtflow_ctf::{FieldError, Item, OwnedEvent, Scope, Trace, Value};

/// An event of any class of any trace.
#[derive(Clone)]
pub struct AnyEvent {
    trace: Arc<Trace>,
    number: usize,
    event: OwnedEvent,
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
    pub(crate) const fn new(trace: Arc<Trace>, number: usize, event: OwnedEvent) -> Self {
        Self {
            trace,
            number,
            event,
        }
    }

    /// When it happened.
    pub const fn time(&self) -> Timestamp {
        self.event.time()
    }

    /// Its name; empty where the metadata gives none.
    pub fn name(&self) -> &str {
        self.event
            .class(&self.trace)
            .map_or("", |class| class.name())
    }

    /// The processor it happened on.
    pub const fn cpu(&self) -> Option<CpuId> {
        self.event.cpu()
    }

    /// The number of its trace in the recording.
    pub const fn trace(&self) -> usize {
        self.number
    }

    /// The number of its stream in its trace.
    pub const fn stream(&self) -> usize {
        self.event.stream()
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
        self.event.visit(&self.trace, scopes, take)
    }

    /// The fields of one scope as a tree.
    ///
    /// # Errors
    /// As [`Self::visit`].
    pub fn value(&self, scope: Scope) -> Result<Option<Value>, FieldError> {
        self.event.value(&self.trace, scope)
    }
}
