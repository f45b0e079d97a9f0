//! An event as it lies in the window.

use std::borrow::Cow;
use std::sync::Arc;

use virtflow_base::{CpuId, Timestamp};

use super::bind::{BoundClass, Kind, Slot};
use super::owned::OwnedEvent;
use super::reader::Here;
use super::scan;
use super::value::{Item, Value};
use super::walk::{Source, walk_event};
use crate::bits::{NotLeb, read_leb};
use crate::metadata::{Encoding, EventClass, Scope};
use crate::plan::{Found, Layout, Mark};
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
    /// A length or tag that the event lacks.
    #[error("a length or tag is asked for that the event lacks")]
    NoField,
    /// An integer of more than 64 bits.
    #[error("an integer has more than 64 bits")]
    TooWide,
}

impl From<NotLeb> for FieldError {
    fn from(not: NotLeb) -> Self {
        match not {
            NotLeb::Short => Self::Short,
            NotLeb::TooWide => Self::TooWide,
        }
    }
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
    /// The data from its body on; none where that does not begin at a byte.
    whole: &'a [u8],
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
        let whole = if found.body.is_multiple_of(8) {
            found.data.get((found.body / 8) as usize..)
        } else {
            None
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
            whole: whole.unwrap_or_default(),
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

    /// The integer, enumeration, truth or bit map of the slot; signed ones as 64-bit two's
    /// complement.
    #[inline]
    pub fn u64(&self, slot: usize) -> Option<u64> {
        let found = self.bound.slots.get(slot)?;
        if let Some(quick) = found.quick
            && let Some(value) = quick.read(self.whole)
        {
            return Some(value);
        }
        match found.found {
            Found::Absent => None,
            _ => self.slow_u64(slot),
        }
    }

    /// Any integer: of odd sizes, at odd bits, inside of variants, at the window's very end.
    #[cold]
    fn slow_u64(&self, slot: usize) -> Option<u64> {
        let (found, pos) = self.slot(slot)?;
        match found.kind {
            Kind::Int(layout) => layout.read(self.data, pos),
            Kind::Leb { signed } => {
                let len = usize::try_from(self.marks.get(slot)?.len).ok()?;
                let bytes = self.data.get(usize::try_from(pos / 8).ok()?..)?;
                let (value, _) = read_leb(bytes.get(..len)?, signed).ok()?;
                Some(value)
            }
            _ => None,
        }
    }

    /// The integer or enumeration of the slot; unsigned ones above `i64::MAX` wrap around.
    #[inline]
    pub fn i64(&self, slot: usize) -> Option<i64> {
        self.u64(slot).map(|value| value as i64)
    }

    /// The floating point number of the slot.
    pub fn f64(&self, slot: usize) -> Option<f64> {
        let (found, pos) = self.slot(slot)?;
        let Kind::Float(layout) = found.kind else {
            return None;
        };
        read_float(self.data, pos, layout)
    }

    /// The bytes of the slot: a string without its NUL, an array or sequence of characters up to
    /// the first NUL, one of other bytes whole, an array of wider integers as they lie. Text of
    /// UTF-16 and UTF-32 as it lies, too.
    #[inline]
    pub fn bytes(&self, slot: usize) -> Option<&'a [u8]> {
        let (found, pos) = self.slot(slot)?;
        let (len, unit) = match found.kind {
            Kind::Text => (self.marks.get(slot)?.len, 0),
            Kind::Bytes { len, unit } => (len, unit),
            Kind::Sequence { unit } => (self.marks.get(slot)?.len, unit),
            _ => return None,
        };
        let begin = usize::try_from(pos / 8).ok()?;
        let end = begin.checked_add(usize::try_from(len).ok()?)?;
        let bytes = self.data.get(begin..end)?;
        Some(match unit {
            0 => bytes,
            unit => until_nul(bytes, usize::from(unit)),
        })
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

/// A float of 16, 32 or 64 bits at bit `pos`.
pub(super) fn read_float(data: &[u8], pos: u64, layout: Layout) -> Option<f64> {
    let bits = layout.read(data, pos)?;
    match layout.size {
        64 => Some(f64::from_bits(bits)),
        32 => Some(f64::from(f32::from_bits(u32::try_from(bits).ok()?))),
        _ => Some(half(bits)),
    }
}

/// The number that 16 bits stand for (IEEE 754-2008 section 3.6: 1 bit of sign, 5 of exponent, 10 of
/// fraction).
fn half(bits: u64) -> f64 {
    let (exponent, fraction) = (bits >> 10 & 0x1f, (bits & 0x3ff) as f64);
    let value = match exponent {
        0 => fraction * f64::powi(2.0, -24),
        31 if fraction > 0.0 => f64::NAN,
        31 => f64::INFINITY,
        _ => (fraction + 1024.0) * f64::powi(2.0, exponent as i32 - 25),
    };
    if bits >> 15 & 1 == 1 { -value } else { value }
}

/// The part of `bytes` before the first NUL of `unit` bytes.
pub(super) fn until_nul(bytes: &[u8], unit: usize) -> &[u8] {
    crate::plan::find_wide_nul(bytes, unit).map_or(bytes, |at| &bytes[..at])
}

/// Text in UTF-8; what is no text in `encoding` becomes U+FFFD.
pub(super) fn in_utf8(bytes: &[u8], encoding: Encoding) -> Cow<'_, [u8]> {
    let wide = |big: bool| {
        bytes.chunks(2).map(move |unit| match *unit {
            [a, b] if big => u16::from_be_bytes([a, b]),
            [a, b] => u16::from_le_bytes([a, b]),
            // Half a unit: a lone surrogate is no text either.
            _ => 0xd800,
        })
    };
    let text: String = match encoding {
        Encoding::None | Encoding::Utf8 | Encoding::Ascii => return Cow::Borrowed(bytes),
        Encoding::Utf16Be | Encoding::Utf16Le => {
            char::decode_utf16(wide(encoding == Encoding::Utf16Be))
                .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect()
        }
        Encoding::Utf32Be | Encoding::Utf32Le => {
            let units = bytes.chunks(4).map(|unit| match *unit {
                [a, b, c, d] if encoding == Encoding::Utf32Be => u32::from_be_bytes([a, b, c, d]),
                [a, b, c, d] => u32::from_le_bytes([a, b, c, d]),
                _ => u32::MAX,
            });
            units
                .map(|unit| char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect()
        }
    };
    Cow::Owned(text.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of IEEE 754-2008 that everybody has: 1, the largest, the smallest, a third.
    #[test]
    fn half_precision() {
        for (bits, value) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_477_539_063e-8),
            (0x0400, 6.103_515_625e-5),
            (0x3555, 0.333_251_953_125),
            (0x7c00, f64::INFINITY),
            (0xfc00, f64::NEG_INFINITY),
            (0, 0.0),
        ] {
            assert_eq!(half(bits), value, "{bits:#x}");
        }
        assert!(half(0x7e00).is_nan());
    }

    #[test]
    fn wide_text() {
        let utf8 =
            |bytes: &[u8], encoding| String::from_utf8(in_utf8(bytes, encoding).into_owned());
        assert_eq!(
            utf8(b"a\0\xac\x20", Encoding::Utf16Le).unwrap(),
            "a\u{20ac}"
        );
        assert_eq!(
            utf8(&[0xd8, 0x3d, 0xde, 0x00], Encoding::Utf16Be).unwrap(),
            "\u{1f600}"
        );
        assert_eq!(
            utf8(&[0xd8, 0x3d, 0], Encoding::Utf16Be).unwrap(),
            "\u{fffd}\u{fffd}"
        );
        assert_eq!(
            utf8(&[0, 1, 0xf6, 0], Encoding::Utf32Be).unwrap(),
            "\u{1f600}"
        );
        assert_eq!(
            utf8(&[0x61, 0, 0, 0, 9], Encoding::Utf32Le).unwrap(),
            "a\u{fffd}"
        );
        assert_eq!(until_nul(b"a\0\0\0b\0", 2), b"a\0");
        assert_eq!(until_nul(b"\0a\0\0", 4), b"\0a\0\0");
    }
}
