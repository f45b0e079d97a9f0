//! Values of any field, for listings.

use crate::format::{EventFormat, Field, FieldKind};
use crate::order::ByteOrder;
use crate::view::Slot;

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FieldValue<'a> {
    /// An integer.
    Int {
        /// Its value.
        value: i128,
        /// Bytes of it.
        size: u32,
    },
    /// A text without its NUL.
    Text(&'a [u8]),
    /// Integers.
    Array(Elements<'a>),
}

/// The elements of an array.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Elements<'a> {
    bytes: &'a [u8],
    element: u8,
    signed: bool,
    order: ByteOrder,
}

impl<'a> Elements<'a> {
    /// Bytes of each.
    pub const fn size(&self) -> u32 {
        self.element as u32
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.bytes.len() / usize::from(self.element.max(1))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = i128> + use<'a> {
        let (order, signed) = (self.order, self.signed);
        let elements = self.bytes.chunks_exact(usize::from(self.element.max(1)));
        elements.filter_map(move |bytes| integer(bytes, order, signed))
    }
}

fn integer(bytes: &[u8], order: ByteOrder, signed: bool) -> Option<i128> {
    if signed {
        order.int(bytes).map(i128::from)
    } else {
        order.uint(bytes).map(i128::from)
    }
}

impl Field {
    /// Its value in `record`; `None` where it does not fit.
    pub fn value<'r>(&self, record: &'r [u8], order: ByteOrder) -> Option<FieldValue<'r>> {
        let slot = Slot::new(self);
        let element = match slot.kind() {
            FieldKind::Int => {
                let value = integer(slot.raw(record)?, order, self.is_signed())?;
                let size = self.size();
                return Some(FieldValue::Int { value, size });
            }
            FieldKind::Text | FieldKind::Elsewhere { text: true, .. } => {
                return slot.bytes(record, order).map(FieldValue::Text);
            }
            FieldKind::Array { element } | FieldKind::Elsewhere { element, .. } => element,
        };
        let bytes = slot.bytes(record, order)?;
        Some(FieldValue::Array(Elements {
            bytes,
            element,
            signed: self.is_signed(),
            order,
        }))
    }
}

impl EventFormat {
    /// Gives every field that is its own to `take`, with its value in `record`; false where some
    /// did not fit.
    pub fn visit<'r>(
        &self,
        record: &'r [u8],
        order: ByteOrder,
        take: &mut dyn FnMut(&Field, FieldValue<'r>),
    ) -> bool {
        visit(self.fields(), record, order, take)
    }

    /// The same for the fields that all events have.
    pub fn visit_common<'r>(
        &self,
        record: &'r [u8],
        order: ByteOrder,
        take: &mut dyn FnMut(&Field, FieldValue<'r>),
    ) -> bool {
        visit(self.common(), record, order, take)
    }
}

fn visit<'r>(
    fields: &[Field],
    record: &'r [u8],
    order: ByteOrder,
    take: &mut dyn FnMut(&Field, FieldValue<'r>),
) -> bool {
    let mut whole = true;
    for field in fields {
        match field.value(record, order) {
            Some(value) => take(field, value),
            None => whole = false,
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_its_value() {
        let text = "name: e\nID: 7\nformat:\n\
            field:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
            field:short words[3];\toffset:2;\tsize:6;\tsigned:1;\n\
            field:char comm[4];\toffset:8;\tsize:4;\tsigned:1;\n\
            field:u64 far;\toffset:12;\tsize:8;\tsigned:0;\n";
        let format = EventFormat::parse("s", text.as_bytes()).unwrap();
        let record = [0, 7, 0, 1, 0xff, 0xfe, 0, 3, b'v', b'm', 0, 0];
        let mut seen = Vec::new();
        let whole = format.visit(&record, ByteOrder::Big, &mut |field, value| {
            seen.push(match value {
                FieldValue::Int { value, .. } => format!("{} {value}", field.name()),
                FieldValue::Text(text) => String::from_utf8_lossy(text).into_owned(),
                FieldValue::Array(all) => {
                    assert_eq!((all.len(), all.size(), all.is_empty()), (3, 2, false));
                    format!("{:?}", all.iter().collect::<Vec<_>>())
                }
            });
        });
        assert!(!whole);
        assert_eq!(seen, ["[1, -2, 3]", "vm"]);
        let mut id = None;
        format.visit_common(&record, ByteOrder::Big, &mut |_, value| id = Some(value));
        assert_eq!(id, Some(FieldValue::Int { value: 7, size: 2 }));
    }
}
