//! An event as one JSON object per line.
//!
//! `{"time_ns":…,"name":"…","cpu":0,"machine":"…","stream":1,"fields":{…}}`, and `"context":{…}`
//! where the trace has contexts. Numbers are exact, up to 64 bits; an enumeration is
//! `{"label":…,"value":…}`; bytes that are not UTF-8 are `\xNN` (with the backslash escaped).

use super::{push_integer, push_number};
use std::io::Write;
use virtflow_base::Timestamp;
use virtflow_query::{AnyEvent, FieldError, Item, Scope};

/// Appends the object.
pub(super) fn write(time: Timestamp, event: &AnyEvent, machine: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"time_ns\":");
    push_integer(out, time.as_nanos().into());
    out.extend_from_slice(b",\"name\":");
    string(event.name().as_bytes(), out);
    out.extend_from_slice(b",\"cpu\":");
    match event.cpu() {
        Some(cpu) => push_integer(out, cpu.0.into()),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"machine\":");
    string(machine.as_bytes(), out);
    out.extend_from_slice(b",\"stream\":");
    push_integer(out, event.stream() as i128);
    out.extend_from_slice(b",\"fields\":{");
    let mut error = object(event, &[Scope::Payload], out);
    let at = out.len();
    out.extend_from_slice(b",\"context\":{");
    let begin = out.len();
    let contexts = object(event, &[Scope::StreamContext, Scope::EventContext], out);
    if out.len() == begin + 1 && contexts.is_ok() {
        out.truncate(at);
    }
    error = error.and(contexts);
    if let Err(error) = error {
        let _ = write!(out, ",\"error\":\"{error}\"");
    }
    out.push(b'}');
}

/// Appends the fields of `scopes` and the brace that ends them.
fn object(event: &AnyEvent, scopes: &[Scope], out: &mut Vec<u8>) -> Result<(), FieldError> {
    let mut json = Json {
        out,
        open: vec![(b'}', 0)],
    };
    let result = event.visit(scopes, &mut |name, item| json.take(name, item));
    let Json { out, open } = json;
    out.extend(
        open.iter()
            .rev()
            .map(|(end, _)| *end)
            .filter(|&end| end != VARIANT),
    );
    result
}

/// Stands for the end of a variant, which has no sign of its own.
const VARIANT: u8 = 0;

struct Json<'a> {
    out: &'a mut Vec<u8>,
    /// What ends each open value, and how many parts it has had.
    open: Vec<(u8, usize)>,
}

impl Json<'_> {
    fn take(&mut self, name: &str, item: Item<'_>) {
        match item {
            Item::ScopeBegin(_) | Item::ScopeEnd(_) => return,
            Item::StructEnd | Item::ArrayEnd | Item::VariantEnd => {
                if let Some((end, _)) = self.open.pop()
                    && end != VARIANT
                {
                    self.out.push(end);
                }
                return;
            }
            _ => self.name(name),
        }
        match item {
            Item::Int { value, .. } => push_integer(self.out, value),
            Item::Enum { value, ty } => {
                self.out.extend_from_slice(b"{\"label\":");
                match ty.labels(value).next() {
                    Some(label) => string(label.as_bytes(), self.out),
                    None => self.out.extend_from_slice(b"null"),
                }
                self.out.extend_from_slice(b",\"value\":");
                push_integer(self.out, value);
                self.out.push(b'}');
            }
            Item::Float { value, .. } if value.is_finite() => push_number(self.out, value),
            Item::Float { value, .. } => string(value.to_string().as_bytes(), self.out),
            Item::Text(bytes) => string(bytes, self.out),
            Item::StructBegin => self.begin(b'{', b'}'),
            Item::ArrayBegin { .. } => self.begin(b'[', b']'),
            Item::VariantBegin { .. } => self.open.push((VARIANT, 0)),
            _ => self.out.extend_from_slice(b"null"),
        }
    }

    fn begin(&mut self, sign: u8, end: u8) {
        self.out.push(sign);
        self.open.push((end, 0));
    }

    /// Begins a field or an element. What a variant holds goes under the variant's name.
    fn name(&mut self, name: &str) {
        let Some((end, parts)) = self.open.last_mut() else {
            return;
        };
        if *end == VARIANT {
            return;
        }
        if *parts > 0 {
            self.out.push(b',');
        }
        *parts += 1;
        if *end == b'}' {
            string(name.as_bytes(), self.out);
            self.out.push(b':');
        }
    }
}

/// A JSON string; bytes that are not UTF-8 become `\xNN`, as text.
fn string(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
                c if c.is_control() => {
                    let _ = write!(out, "\\u{:04x}", u32::from(c));
                }
                c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\\\x{byte:02X}");
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_json() {
        let mut out = Vec::new();
        string(b"a\"b\\c\n\xff\xc3\xa9", &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "\"a\\\"b\\\\c\\u000a\\\\xFFé\"");
        let back: String = serde_json::from_str(&text).unwrap();
        assert_eq!(back, "a\"b\\c\n\\xFFé");
    }
}
