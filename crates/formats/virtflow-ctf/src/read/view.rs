//! An event as it lies in the window.

use std::sync::Arc;

use virtflow_base::{CpuId, Timestamp};

use super::bind::{BoundClass, Kind, Slot};
use super::owned::OwnedEvent;
use super::reader::Here;
use super::scan;
use super::value::{Item, Value};
use super::walk::{Source, walk_event};
use crate::bits::{ByteOrder, read_bits, sign_extend};
use crate::metadata::{EventClass, Scope};
use crate::plan::{Found, Mark};
use crate::trace::Trace;

/// Why an event's fields could not all be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FieldError {
    /// The event ends before its last field.
    #[error("the event ends before its last field")]
    Short,
    /// A tag that chooses no option of its variant.
    #[error("a tag chooses no option of its variant")]
    NoOption,
    /// More elements than an event can hold.
    #[error("more elements than an event can hold")]
    TooMany,
}

/// An event that is still in the reader's window; [`EventView::to_owned`] keeps it.
pub struct EventView<'a> {
    trace: &'a Trace,
    here: &'a Here,
    class: usize,
    bound: &'a BoundClass,
    data: &'a [u8],
    marks: &'a [Mark],
    begin: u64,
    body: u64,
    end: u64,
    time: Timestamp,
    clock: u64,
}

impl<'a> EventView<'a> {
    #[inline]
    pub(super) fn new(trace: &'a Trace, here: &'a Here, found: &scan::Found<'a>) -> Self {
        let time = match here
            .clock
            .and_then(|clock| trace.metadata().clocks.get(clock))
        {
            Some(clock) => clock.time(found.clock),
            None => Timestamp::default(),
        };
        Self {
            trace,
            here,
            class: found.class,
            bound: found.bound,
            data: found.data,
            marks: found.marks,
            begin: found.begin,
            body: found.body,
            end: found.end,
            time,
            clock: found.clock,
        }
    }

    /// When it happened.
    #[inline]
    pub const fn time(&self) -> Timestamp {
        self.time
    }

    /// When it happened, in cycles of its stream's clock.
    #[inline]
    pub const fn cycles(&self) -> u64 {
        self.clock
    }

    /// Its contexts and payload as they lie in the packet; `None` where they do not begin and end
    /// at bytes.
    pub fn body(&self) -> Option<&'a [u8]> {
        if !self.body.is_multiple_of(8) || !self.end.is_multiple_of(8) {
            return None;
        }
        self.data
            .get((self.body / 8) as usize..(self.end / 8) as usize)
    }

    /// What [`super::Wanted::tag`] its class was bound with.
    #[inline]
    pub const fn tag(&self) -> u32 {
        self.bound.tag
    }

    /// Its class.
    pub fn class(&self) -> &'a EventClass {
        &self.trace.metadata().events[self.class]
    }

    /// The trace it is of.
    pub const fn trace(&self) -> &'a Trace {
        self.trace
    }

    /// The processor it happened on.
    #[inline]
    pub const fn cpu(&self) -> Option<CpuId> {
        self.here.cpu
    }

    /// Its stream, as a number in [`Trace::streams`].
    #[inline]
    pub const fn stream(&self) -> usize {
        self.here.stream
    }

    /// The slot and the bit of the window where its field begins.
    #[inline]
    fn slot(&self, slot: usize) -> Option<(&Slot, u64)> {
        let found = self.bound.slots.get(slot)?;
        let pos = match found.found {
            Found::Absent => return None,
            Found::At(bits) => self.body + bits,
            Found::Marked => self.marks.get(slot)?.pos,
        };
        (pos <= self.end).then_some((found, pos))
    }

    /// Whether it has the field of the slot: its class describes it and, for a field inside a
    /// variant, the option is taken.
    #[inline]
    pub fn has(&self, slot: usize) -> bool {
        self.slot(slot).is_some()
    }

    /// The integer or enumeration of the slot; signed ones as 64-bit two's complement.
    #[inline]
    pub fn u64(&self, slot: usize) -> Option<u64> {
        if let Some(quick) = self.bound.slots.get(slot)?.quick
            && self.body.is_multiple_of(8)
            && let Some(body) = self.data.get((self.body / 8) as usize..)
            && let Some(value) = quick.read(body)
        {
            return Some(value);
        }
        self.slow_u64(slot)
    }

    /// Any integer: of odd sizes, at odd bits, inside of variants, at the window's very end.
    #[cold]
    fn slow_u64(&self, slot: usize) -> Option<u64> {
        let (found, pos) = self.slot(slot)?;
        let Kind::Int(layout) = found.kind else {
            return None;
        };
        let value = read_bits(self.data, pos, layout.size, layout.order)?;
        Some(if layout.signed {
            sign_extend(value, layout.size)
        } else {
            value
        })
    }

    /// The integer or enumeration of the slot; unsigned ones above `i64::MAX` wrap around.
    #[inline]
    pub fn i64(&self, slot: usize) -> Option<i64> {
        self.u64(slot).map(|value| value as i64)
    }

    /// The floating point number of the slot.
    pub fn f64(&self, slot: usize) -> Option<f64> {
        let (found, pos) = self.slot(slot)?;
        let Kind::Float { double, order } = found.kind else {
            return None;
        };
        read_float(self.data, pos, double, order)
    }

    /// The bytes of the slot: a string without its NUL, an array or sequence of characters up to
    /// the first NUL, one of other bytes whole, an array of wider integers as they lie.
    #[inline]
    pub fn bytes(&self, slot: usize) -> Option<&'a [u8]> {
        let (found, pos) = self.slot(slot)?;
        let (len, text) = match found.kind {
            Kind::Text => (self.marks.get(slot)?.len, false),
            Kind::Bytes { len, text } => (len, text),
            Kind::Sequence { text } => (self.marks.get(slot)?.len, text),
            _ => return None,
        };
        let begin = usize::try_from(pos / 8).ok()?;
        let end = begin.checked_add(usize::try_from(len).ok()?)?;
        let bytes = self.data.get(begin..end)?;
        Some(if text { until_nul(bytes) } else { bytes })
    }

    /// Gives every field of the scopes in `scopes` to `take`, with its name, in the order of the
    /// data.
    ///
    /// # Errors
    /// Where a field does not fit the event; fields before it have been given.
    pub fn visit(
        &self,
        scopes: &[Scope],
        take: &mut dyn FnMut(&str, Item<'_>),
    ) -> Result<(), FieldError> {
        walk_event(&self.source(), scopes, take).map(|_| ())
    }

    pub(super) fn source(&self) -> Source<'_> {
        Source {
            metadata: self.trace.metadata(),
            class: self.class,
            head: &self.here.head,
            data: self.data,
            origin: 0,
            begin: self.begin,
            end: self.end,
        }
    }

    /// The fields of one scope as a tree; `None` where the class has no such scope.
    ///
    /// # Errors
    /// As [`Self::visit`].
    pub fn value(&self, scope: Scope) -> Result<Option<Value>, FieldError> {
        Value::of_scope(&self.source(), scope)
    }

    /// A copy that outlives the window.
    pub fn to_owned(&self) -> OwnedEvent {
        let from = self.begin / 8;
        let bytes = self.data.get(from as usize..self.end.div_ceil(8) as usize);
        OwnedEvent {
            time: self.time,
            tag: self.bound.tag,
            class: u32::try_from(self.class).unwrap_or(u32::MAX),
            stream: u32::try_from(self.here.stream).unwrap_or(u32::MAX),
            cpu: self.here.cpu,
            cycles: self.clock,
            bytes: bytes.unwrap_or_default().into(),
            head: Arc::clone(&self.here.head),
            origin: from * 8,
            begin: self.begin,
            end: self.end,
        }
    }
}

/// A float of 32 or 64 bits at bit `pos`.
pub(super) fn read_float(data: &[u8], pos: u64, double: bool, order: ByteOrder) -> Option<f64> {
    if double {
        return read_bits(data, pos, 64, order).map(f64::from_bits);
    }
    let bits = u32::try_from(read_bits(data, pos, 32, order)?).ok()?;
    Some(f64::from(f32::from_bits(bits)))
}

/// The part of `bytes` before the first NUL.
pub(super) fn until_nul(bytes: &[u8]) -> &[u8] {
    crate::plan::find_nul(bytes).map_or(bytes, |at| &bytes[..at])
}
