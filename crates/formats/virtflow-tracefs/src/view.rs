//! Fields read out of raw records: looked up once, read without allocating.

use crate::format::{Field, FieldKind};
use crate::order::ByteOrder;

/// A field, found once and read from many records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    offset: u32,
    size: u32,
    signed: bool,
    kind: FieldKind,
}

impl Slot {
    /// For `field`.
    pub const fn new(field: &Field) -> Self {
        Self {
            offset: field.offset(),
            size: field.size(),
            signed: field.is_signed(),
            kind: field.kind(),
        }
    }

    /// What its bytes are.
    pub(crate) const fn kind(self) -> FieldKind {
        self.kind
    }

    /// The field's own bytes.
    #[inline]
    pub(crate) fn raw(self, record: &[u8]) -> Option<&[u8]> {
        let start = self.offset as usize;
        record.get(start..start + self.size as usize)
    }

    /// An integer; signed ones as 64-bit two's complement.
    #[inline]
    pub(crate) fn int(self, record: &[u8], order: ByteOrder) -> Option<u64> {
        if self.kind != FieldKind::Int {
            return None;
        }
        let raw = self.raw(record)?;
        if self.signed {
            order.int(raw).map(|value| value as u64)
        } else {
            order.uint(raw)
        }
    }

    /// The bytes of a text up to its NUL, or of an array.
    #[inline]
    pub(crate) fn bytes(self, record: &[u8], order: ByteOrder) -> Option<&[u8]> {
        let raw = self.raw(record)?;
        match self.kind {
            FieldKind::Int => None,
            FieldKind::Text => Some(until_nul(raw)),
            FieldKind::Array { .. } => Some(raw),
            FieldKind::Elsewhere { relative, text, .. } => {
                // include/trace/stages/stage6_event_callback.h: the length above the place.
                let word = order.uint(raw)?;
                let (place, length) = ((word & 0xffff) as usize, (word >> 16) as usize);
                let from = if relative {
                    (self.offset + self.size) as usize
                } else {
                    0
                };
                let bytes = record.get(from + place..from + place + length)?;
                Some(if text { until_nul(bytes) } else { bytes })
            }
        }
    }
}

/// The part of `bytes` before the first NUL.
fn until_nul(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    bytes.get(..end).unwrap_or_default()
}

/// A raw record, read by slots that were looked up in its description before.
#[derive(Clone, Copy, Debug)]
pub struct RecordView<'a> {
    record: &'a [u8],
    order: ByteOrder,
    slots: &'a [Option<Slot>],
}

impl<'a> RecordView<'a> {
    /// A view of `record` by `slots`; `None` stands for a field that the event lacks.
    #[inline]
    pub const fn new(record: &'a [u8], order: ByteOrder, slots: &'a [Option<Slot>]) -> Self {
        Self {
            record,
            order,
            slots,
        }
    }

    /// The record itself.
    pub const fn record(&self) -> &'a [u8] {
        self.record
    }

    #[inline]
    fn slot(&self, slot: usize) -> Option<Slot> {
        self.slots.get(slot).copied().flatten()
    }

    /// Whether the event has the field of the slot.
    #[inline]
    pub fn has(&self, slot: usize) -> bool {
        self.slot(slot).is_some()
    }

    /// The integer of the slot; signed ones as 64-bit two's complement. `None` for a field that
    /// the event lacks, that is no integer or that does not fit the record.
    #[inline]
    pub fn u64(&self, slot: usize) -> Option<u64> {
        self.slot(slot)?.int(self.record, self.order)
    }

    /// The integer of the slot; unsigned ones above `i64::MAX` wrap around.
    #[inline]
    pub fn i64(&self, slot: usize) -> Option<i64> {
        self.u64(slot).map(|value| value as i64)
    }

    /// The bytes of the slot: a text up to its NUL, other arrays whole.
    #[inline]
    pub fn bytes(&self, slot: usize) -> Option<&'a [u8]> {
        self.slot(slot)?.bytes(self.record, self.order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slot(declaration: &str, offset: u32, size: u32, signed: u8) -> Option<Slot> {
        let line = format!("{declaration};offset:{offset};size:{size};signed:{signed};");
        Some(Slot::new(&Field::parse(&line).unwrap()))
    }

    #[test]
    fn integers_texts_and_arrays() {
        let mut record = vec![0; 8];
        record.extend_from_slice(b"qemu\0junk");
        record.extend_from_slice(&[0xff, 0xfe, 0xff, 0xff, 0xff]);
        let slots = [
            slot("char comm[9]", 8, 9, 1),
            slot("pid_t pid", 18, 4, 1),
            slot("u8 flag", 17, 1, 0),
            slot("u8 raw[2]", 17, 2, 0),
            None,
            slot("u32 beyond", 20, 4, 0),
        ];
        let view = RecordView::new(&record, ByteOrder::Little, &slots);
        assert_eq!(view.bytes(0), Some(&b"qemu"[..]));
        assert_eq!((view.i64(1), view.u64(2)), (Some(-2), Some(255)));
        assert_eq!(view.bytes(3), Some(&[0xff, 0xfe][..]));
        assert_eq!((view.u64(0), view.bytes(1)), (None, None));
        assert!(!view.has(4) && view.u64(4).is_none() && view.u64(99).is_none());
        assert!(view.has(5) && view.u64(5).is_none());
    }

    #[test]
    fn what_lies_elsewhere_in_the_record() {
        // At byte 8 the place from the beginning, at byte 12 the one from the field's end.
        let mut record = vec![0; 8];
        record.extend_from_slice(&[20, 0, 5, 0]);
        record.extend_from_slice(&[4, 0, 3, 0]);
        record.extend_from_slice(&[9, 9, 9, 9]);
        record.extend_from_slice(b"tap0\0");
        let slots = [
            slot("__data_loc char[] name", 8, 4, 1),
            slot("__rel_loc u8[] buf", 12, 4, 0),
        ];
        let view = RecordView::new(&record, ByteOrder::Little, &slots);
        assert_eq!(view.bytes(0), Some(&b"tap0"[..]));
        assert_eq!(view.bytes(1), Some(&b"tap"[..]));
        let short = RecordView::new(&record[..22], ByteOrder::Little, &slots);
        assert_eq!((short.bytes(0), short.u64(0)), (None, None));
    }

    proptest! {
        #[test]
        fn no_record_panics(record in prop::collection::vec(any::<u8>(), 0..64), offset in 0u32..70) {
            let slots = [
                slot("__data_loc char[] name", offset, 4, 1),
                slot("__rel_loc u32[] ids", offset, 4, 1),
                slot("long value", offset, 8, 1),
                slot("char comm[16]", offset, 16, 1),
            ];
            for order in [ByteOrder::Little, ByteOrder::Big] {
                let view = RecordView::new(&record, order, &slots);
                for slot in 0..5 {
                    let _ = (view.u64(slot), view.bytes(slot));
                }
            }
        }
    }
}
