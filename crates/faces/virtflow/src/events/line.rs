//! An event as a line of babeltrace2's text.

use std::io::Write;
use virtflow_query::{AnyEvent, Base, Item, Scope};
use virtflow_query::{push_integer, push_number};

const SCOPES: [Scope; 4] = [
    Scope::PacketContext,
    Scope::StreamContext,
    Scope::EventContext,
    Scope::Payload,
];

/// Fields of a packet's context that say how it is stored: babeltrace2 leaves them out, too.
const STORAGE: [&str; 6] = [
    "timestamp_begin",
    "timestamp_end",
    "content_size",
    "packet_size",
    "packet_seq_num",
    "events_discarded",
];

/// Appends `machine name: { cpu_id = 1 }, { field = value, ... }`.
pub(super) fn write(event: &AnyEvent, machine: &str, out: &mut Vec<u8>) {
    if !machine.is_empty() {
        out.extend_from_slice(machine.as_bytes());
        out.push(b' ');
    }
    out.extend_from_slice(event.name().as_bytes());
    out.extend_from_slice(b": ");
    let mut line = Line {
        out,
        open: Vec::new(),
        scopes: 0,
        packet: false,
    };
    let result = event.visit(&SCOPES, &mut |name, item| line.take(name, item));
    let Line { out, mut open, .. } = line;
    if let Err(error) = result {
        let _ = write!(out, " <{error}>");
        while let Some(level) = open.pop() {
            out.extend_from_slice(level.kind.end());
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Struct,
    Array,
    Variant,
}

impl Kind {
    const fn end(self) -> &'static [u8] {
        match self {
            Self::Struct | Self::Variant => b" }",
            Self::Array => b" ]",
        }
    }
}

/// What is open, and how many fields it has had.
struct Level {
    kind: Kind,
    fields: usize,
}

struct Line<'a> {
    out: &'a mut Vec<u8>,
    open: Vec<Level>,
    scopes: usize,
    packet: bool,
}

impl Line<'_> {
    fn take(&mut self, name: &str, item: Item<'_>) {
        match item {
            Item::ScopeBegin(scope) => {
                if self.scopes > 0 {
                    self.out.extend_from_slice(b", ");
                }
                self.scopes += 1;
                self.packet = scope == Scope::PacketContext;
                self.open(Kind::Struct);
            }
            Item::ScopeEnd(_) | Item::StructEnd | Item::ArrayEnd | Item::VariantEnd => {
                if let Some(level) = self.open.pop() {
                    self.out.extend_from_slice(level.kind.end());
                }
                self.packet &= !self.open.is_empty();
            }
            _ if self.packet && self.open.len() == 1 && STORAGE.contains(&name) => {}
            _ => {
                self.name(name);
                self.value(item);
            }
        }
    }

    fn open(&mut self, kind: Kind) {
        self.out.push(if kind == Kind::Array { b'[' } else { b'{' });
        self.open.push(Level { kind, fields: 0 });
    }

    /// Begins a field; elements of arrays are called by their number.
    fn name(&mut self, name: &str) {
        let Some(level) = self.open.last_mut() else {
            return;
        };
        self.out
            .extend_from_slice(if level.fields > 0 { b", " } else { b" " });
        match level.kind {
            Kind::Struct => {
                self.out.extend_from_slice(name.as_bytes());
                self.out.extend_from_slice(b" = ");
            }
            Kind::Array => {
                self.out.push(b'[');
                push_integer(self.out, level.fields as i128);
                self.out.extend_from_slice(b"] = ");
            }
            Kind::Variant => {}
        }
        level.fields += 1;
    }

    fn value(&mut self, item: Item<'_>) {
        match item {
            Item::Int { value, ty } => integer(value, ty.base(), ty.size(), self.out),
            Item::Enum { value, ty } => {
                self.out.extend_from_slice(b"( ");
                let mut labels = 0;
                for label in ty.labels(value) {
                    self.out
                        .extend_from_slice(if labels > 0 { b", \"" } else { b"\"" });
                    self.out.extend_from_slice(label.as_bytes());
                    self.out.push(b'"');
                    labels += 1;
                }
                if labels == 0 {
                    self.out.extend_from_slice(b"<unknown>");
                }
                self.out.extend_from_slice(b" : container = ");
                push_integer(self.out, value);
                self.out.extend_from_slice(b" )");
            }
            Item::Bool(value) => self.out.extend_from_slice(value.to_string().as_bytes()),
            Item::BitMap { value, ty } => {
                hexadecimal(value.into(), self.out);
                self.out.extend_from_slice(b" {");
                for (i, flag) in ty.active(value).enumerate() {
                    self.out.extend_from_slice(if i > 0 { b", " } else { b" " });
                    string(flag.as_bytes(), self.out);
                }
                self.out.extend_from_slice(b" }");
            }
            Item::Blob(bytes) => {
                self.out.push(b'{');
                for byte in bytes {
                    let _ = write!(self.out, " {byte:02x}");
                }
                self.out.extend_from_slice(b" }");
            }
            Item::Absent => self.out.extend_from_slice(b"<none>"),
            Item::Float { value, .. } => push_number(self.out, value),
            Item::Text(bytes) => string(bytes, self.out),
            Item::Opaque { bits } => {
                let _ = write!(self.out, "<{bits} bits not decoded>");
            }
            Item::StructBegin => self.open(Kind::Struct),
            Item::ArrayBegin { .. } => self.open(Kind::Array),
            Item::VariantBegin { .. } => self.open(Kind::Variant),
            _ => {}
        }
    }
}

/// In the base the metadata declares; negative numbers in other bases than ten as they are stored.
fn integer(value: i128, base: Base, bits: u32, out: &mut Vec<u8>) {
    let stored = || {
        let all = value as u128;
        if bits >= u128::BITS {
            all
        } else {
            all & ((1 << bits) - 1)
        }
    };
    let _ = match base {
        Base::Decimal => {
            push_integer(out, value);
            Ok(())
        }
        Base::Hexadecimal => {
            hexadecimal(stored(), out);
            Ok(())
        }
        Base::Octal => write!(out, "0{:o}", stored()),
        Base::Binary => write!(out, "0b{:0width$b}", stored(), width = bits as usize),
    };
}

/// `0x` and as few digits as there are.
fn hexadecimal(value: u128, out: &mut Vec<u8>) {
    out.extend_from_slice(b"0x");
    let digits = (u128::BITS - value.leading_zeros()).div_ceil(4).max(1);
    for digit in (0..digits).rev() {
        out.push(b"0123456789ABCDEF"[(value >> (4 * digit) & 0xf) as usize]);
    }
}

/// In quotes, with C's escapes; bytes that are not UTF-8 as `\xNN`.
fn string(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            let escape = match c {
                '\x07' => b'a',
                '\x08' => b'b',
                '\t' => b't',
                '\n' => b'n',
                '\x0b' => b'v',
                '\x0c' => b'f',
                '\r' => b'r',
                '"' => b'"',
                '\\' => b'\\',
                c => {
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                    continue;
                }
            };
            out.extend_from_slice(&[b'\\', escape]);
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02X}");
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: i128, base: Base, bits: u32) -> String {
        let mut out = Vec::new();
        integer(value, base, bits, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn integers_in_their_base() {
        assert_eq!(shown(-5, Base::Decimal, 32), "-5");
        assert_eq!(shown(-1, Base::Hexadecimal, 16), "0xFFFF");
        assert_eq!(
            shown(i128::from(u64::MAX), Base::Hexadecimal, 64),
            "0xFFFFFFFFFFFFFFFF"
        );
        assert_eq!(shown(8, Base::Octal, 16), "010");
        assert_eq!(shown(5, Base::Binary, 8), "0b00000101");
    }

    #[test]
    fn strings_are_quoted() {
        let mut out = Vec::new();
        string(b"a\"b\\c\n\xff\xc3\xa9", &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "\"a\\\"b\\\\c\\n\\xFFé\"");
    }
}
