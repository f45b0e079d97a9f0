//! Events kept beyond their window.

use std::sync::Arc;

use virtflow_base::{CpuId, Timestamp};

use super::value::{Item, Value};
use super::view::FieldError;
use super::walk::{Source, walk_event};
use crate::metadata::{EventClass, Scope};
use crate::trace::Trace;

/// An event's own bytes, to be decoded later with the trace it came from.
#[derive(Clone, Debug)]
pub struct OwnedEvent {
    pub(super) time: Timestamp,
    pub(super) tag: u32,
    pub(super) class: u32,
    pub(super) stream: u32,
    pub(super) cpu: Option<CpuId>,
    pub(super) cycles: u64,
    pub(super) bytes: Box<[u8]>,
    /// The header and context of its packet, which all events of the packet share.
    pub(super) head: Arc<[u8]>,
    /// The bit of the window at which `bytes` begins; it keeps alignments.
    pub(super) origin: u64,
    pub(super) begin: u64,
    pub(super) end: u64,
}

impl OwnedEvent {
    /// When it happened.
    pub const fn time(&self) -> Timestamp {
        self.time
    }

    /// When it happened, in cycles of its stream's clock.
    pub const fn cycles(&self) -> u64 {
        self.cycles
    }

    /// What its class was bound with.
    pub const fn tag(&self) -> u32 {
        self.tag
    }

    /// The processor it happened on.
    pub const fn cpu(&self) -> Option<CpuId> {
        self.cpu
    }

    /// Its stream, as a number in [`Trace::streams`].
    pub const fn stream(&self) -> usize {
        self.stream as usize
    }

    /// Its class, as a number in [`Trace::event_classes`].
    pub const fn class_index(&self) -> usize {
        self.class as usize
    }

    /// Its class; `None` for another trace than its own.
    pub fn class<'t>(&self, trace: &'t Trace) -> Option<&'t EventClass> {
        trace.event_classes().get(self.class as usize)
    }

    /// Gives every field of the scopes in `scopes` to `take`, with its name.
    ///
    /// # Errors
    /// Where a field does not fit the event, which it does in its own trace.
    pub fn visit(
        &self,
        trace: &Trace,
        scopes: &[Scope],
        take: &mut dyn FnMut(&str, Item<'_>),
    ) -> Result<(), FieldError> {
        walk_event(&self.source(trace), scopes, take).map(|_| ())
    }

    /// The fields of one scope as a tree; `None` where the class has no such scope.
    ///
    /// # Errors
    /// As [`Self::visit`].
    pub fn value(&self, trace: &Trace, scope: Scope) -> Result<Option<Value>, FieldError> {
        Value::of_scope(&self.source(trace), scope)
    }

    fn source<'s>(&'s self, trace: &'s Trace) -> Source<'s> {
        Source {
            metadata: trace.metadata(),
            class: self.class as usize,
            head: &self.head,
            data: &self.bytes,
            origin: self.origin,
            begin: self.begin,
            end: self.end,
        }
    }
}
