//! An event's fields in the form of babeltrace2's sink `text.details`.

use virtflow_ctf::{Base, Item, Scope};

/// What the fields that follow lie in.
enum Open {
    /// A scope or structure: how deep its members lie, and whether it has one yet.
    Struct {
        depth: usize,
        seen: bool,
    },
    Array {
        depth: usize,
        index: u64,
    },
    /// The variant's own name or place goes to what it holds.
    Variant {
        depth: usize,
        label: Vec<u8>,
    },
}

/// Writes items one by one.
#[derive(Default)]
pub(super) struct Renderer {
    pub(super) text: Vec<u8>,
    /// Values that were written.
    pub(super) values: u64,
    open: Vec<Open>,
    /// Members of the packet context that babeltrace2 keeps to itself are left out.
    hide: bool,
}

const HIDDEN: [&str; 6] = [
    "timestamp_begin",
    "timestamp_end",
    "content_size",
    "packet_size",
    "events_discarded",
    "packet_seq_num",
];

impl Renderer {
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.open.clear();
        self.hide = false;
    }

    pub(super) fn take(&mut self, name: &str, item: Item<'_>) {
        match item {
            Item::ScopeBegin(scope) => {
                let label = match scope {
                    Scope::StreamContext => "Common context",
                    Scope::EventContext => "Specific context",
                    Scope::Payload => "Payload",
                    _ => "Context",
                };
                self.hide = matches!(scope, Scope::PacketContext);
                self.put(2, label.as_bytes());
                self.open.push(Open::Struct {
                    depth: 4,
                    seen: false,
                });
            }
            Item::StructBegin => {
                let depth = self.label(name);
                self.open.push(Open::Struct {
                    depth: depth + 2,
                    seen: false,
                });
            }
            Item::ScopeEnd(_) | Item::StructEnd => {
                if let Some(Open::Struct { seen: false, .. }) = self.open.pop() {
                    self.text.extend_from_slice(b": Empty\n");
                }
            }
            Item::ArrayBegin { len } => {
                let depth = self.label(name) + 2;
                self.text.extend_from_slice(b": ");
                if len == 0 {
                    self.text.extend_from_slice(b"Empty\n");
                } else {
                    self.text.extend_from_slice(b"Length ");
                    self.text.extend_from_slice(&decimal(len));
                    self.text.extend_from_slice(b":\n");
                }
                self.open.push(Open::Array { depth, index: 0 });
            }
            Item::VariantBegin { .. } => {
                let (depth, label) = self.place(name);
                self.open.push(Open::Variant { depth, label });
            }
            Item::ArrayEnd | Item::VariantEnd => {
                self.open.pop();
            }
            _ if self.hide && self.open.len() == 1 && HIDDEN.contains(&name) => {}
            Item::Int { value, ty } => self.value(name, &number(value, ty.base())),
            Item::Enum { value, ty } => self.value(name, &number(value, ty.int().base())),
            Item::Float { value, .. } => self.value(name, &float(value)),
            Item::Text(bytes) => self.value(name, bytes),
            Item::Bool(value) => self.value(name, value.to_string().as_bytes()),
            Item::Opaque { bits } => self.value(name, format!("({bits} bits)").as_bytes()),
            _ => self.value(name, b"(an item of a new kind)"),
        }
    }

    fn value(&mut self, name: &str, value: &[u8]) {
        self.label(name);
        self.text.extend_from_slice(b": ");
        self.text.extend_from_slice(value);
        self.text.push(b'\n');
        self.values += 1;
    }

    /// Writes a field's place and name; how deep it lies.
    fn label(&mut self, name: &str) -> usize {
        let (depth, label) = self.place(name);
        self.put(depth, &label);
        depth
    }

    /// Where the next field lies, and what it is called there.
    fn place(&mut self, name: &str) -> (usize, Vec<u8>) {
        match self.open.last_mut() {
            None => (2, name.as_bytes().to_vec()),
            Some(Open::Struct { depth, seen }) => {
                if !*seen {
                    *seen = true;
                    self.text.extend_from_slice(b":\n");
                }
                (*depth, name.as_bytes().to_vec())
            }
            Some(Open::Array { depth, index }) => {
                let label = [b"[", &decimal(*index)[..], b"]"].concat();
                *index += 1;
                (*depth, label)
            }
            Some(Open::Variant { depth, label }) => (*depth, std::mem::take(label)),
        }
    }

    fn put(&mut self, depth: usize, label: &[u8]) {
        self.text.resize(self.text.len() + depth, b' ');
        self.text.extend_from_slice(label);
    }
}

/// An integer in its base; binary ones are shown in hexadecimal.
fn number(value: i128, base: Base) -> Vec<u8> {
    let size = value.unsigned_abs();
    let (prefix, digits, group, separator) = match base {
        Base::Decimal => ("", size.to_string(), 3, b','),
        Base::Octal => ("0", format!("{size:o}"), 3, b':'),
        _ => ("0x", format!("{size:x}"), 4, b':'),
    };
    let mut out = Vec::with_capacity(48);
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(prefix.as_bytes());
    for (index, digit) in digits.bytes().enumerate() {
        // Four decimal digits stay together.
        let apart = base != Base::Decimal || digits.len() > 4;
        if apart && index > 0 && (digits.len() - index).is_multiple_of(group) {
            out.push(separator);
        }
        out.push(digit);
    }
    out
}

/// An unsigned number in decimal.
pub(super) fn decimal(value: u64) -> Vec<u8> {
    number(value.into(), Base::Decimal)
}

/// As C's `%f` writes it.
fn float(value: f64) -> Vec<u8> {
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let text = if value.is_nan() {
        format!("{sign}nan")
    } else if value.is_infinite() {
        format!("{sign}inf")
    } else {
        format!("{value:.6}")
    };
    text.into_bytes()
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_base() {
        for (value, base, expected) in [
            (0, Base::Decimal, "0"),
            (999, Base::Decimal, "999"),
            (-9999, Base::Decimal, "-9999"),
            (10_000, Base::Decimal, "10,000"),
            (-1_234_567, Base::Decimal, "-1,234,567"),
            (0xdead_beef, Base::Hexadecimal, "0xdead:beef"),
            (-3, Base::Hexadecimal, "-0x3"),
            (0o1_234_567, Base::Octal, "01:234:567"),
            (0, Base::Octal, "00"),
            (5, Base::Binary, "0x5"),
        ] {
            let got = number(value, base);
            assert_eq!(String::from_utf8_lossy(&got), expected);
        }
        let floats = [1.5, -0.1, f64::INFINITY, -f64::INFINITY].map(float);
        assert_eq!(
            floats.map(|text| String::from_utf8(text).unwrap()),
            ["1.500000", "-0.100000", "inf", "-inf"]
        );
    }
}
