//! An event as one JSON object, on one line.
//!
//! `{"time_ns":…,"name":"…","cpu":0,"machine":"…","stream":1,"fields":{…}}`, and `"context":{…}`
//! where the trace has contexts. Numbers are exact, up to 64 bits; an enumeration is
//! `{"label":…,"value":…}`, a bit map `{"flags":[…],"value":…}`, a BLOB a string of hexadecimal digits,
//! an optional field that is not there `null`; bytes that are not UTF-8 are `\xNN` (with the backslash
//! escaped).
//!
//! Many readers of JSON keep numbers as doubles: for them, [`Numbers::Safe`] writes integers beyond
//! 53 bits, and times always, as strings of digits.

use std::io::Write;
use virtflow_base::Timestamp;
use virtflow_events::{AnyEvent, FieldError, Item, Scope};

/// How numbers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// As digits, up to 64 bits.
    Exact,
    /// As strings of digits where a double would round them.
    Safe,
}

impl Numbers {
    /// The greatest integer of which a double holds every smaller one.
    const SAFE_MAX: u128 = (1 << 53) - 1;

    fn push(self, out: &mut Vec<u8>, value: i128) {
        if self == Self::Safe && value.unsigned_abs() > Self::SAFE_MAX {
            self.push_quoted(out, value);
        } else {
            push_integer(out, value);
        }
    }

    fn push_quoted(self, out: &mut Vec<u8>, value: i128) {
        let quote: &[u8] = if self == Self::Safe { b"\"" } else { b"" };
        out.extend_from_slice(quote);
        push_integer(out, value);
        out.extend_from_slice(quote);
    }
}

/// Appends the object.
pub fn event_json(
    time: Timestamp,
    event: &AnyEvent,
    machine: &str,
    numbers: Numbers,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"{\"time_ns\":");
    numbers.push_quoted(out, time.as_nanos().into());
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
    let mut error = object(event, &[Scope::Payload], numbers, out);
    let at = out.len();
    out.extend_from_slice(b",\"context\":{");
    let begin = out.len();
    let scopes = [Scope::StreamContext, Scope::EventContext];
    let contexts = object(event, &scopes, numbers, out);
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
fn object(
    event: &AnyEvent,
    scopes: &[Scope],
    numbers: Numbers,
    out: &mut Vec<u8>,
) -> Result<(), FieldError> {
    let mut json = Json {
        out,
        numbers,
        open: vec![(b'}', 0)],
    };
    let result = event.visit(scopes, &mut |name, item| json.take(name, item));
    let Json { out, open, .. } = json;
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
    numbers: Numbers,
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
            Item::Int { value, .. } => self.numbers.push(self.out, value),
            Item::Enum { value, ty } => {
                self.out.extend_from_slice(b"{\"label\":");
                match ty.labels(value).next() {
                    Some(label) => string(label.as_bytes(), self.out),
                    None => self.out.extend_from_slice(b"null"),
                }
                self.out.extend_from_slice(b",\"value\":");
                self.numbers.push(self.out, value);
                self.out.push(b'}');
            }
            Item::Bool(value) => self.out.extend_from_slice(value.to_string().as_bytes()),
            Item::BitMap { value, ty } => {
                self.out.extend_from_slice(b"{\"flags\":[");
                for (i, flag) in ty.active(value).enumerate() {
                    self.out.extend_from_slice(if i > 0 { b"," } else { b"" });
                    string(flag.as_bytes(), self.out);
                }
                self.out.extend_from_slice(b"],\"value\":");
                self.numbers.push(self.out, value.into());
                self.out.push(b'}');
            }
            Item::Blob(bytes) => {
                self.out.push(b'"');
                for byte in bytes {
                    let _ = write!(self.out, "{byte:02x}");
                }
                self.out.push(b'"');
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

/// Appends an integer in decimal digits.
pub fn push_integer(out: &mut Vec<u8>, value: i128) {
    let Ok(mut rest) = u64::try_from(value.unsigned_abs()) else {
        return push_number(out, value);
    };
    if value < 0 {
        out.push(b'-');
    }
    // u64::MAX has 20 digits.
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends a number as it is displayed.
pub fn push_number(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    // Writing to a vector does not fail.
    let _ = write!(out, "{value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_any_size() {
        for value in [
            0,
            -1,
            42,
            i128::from(i64::MIN),
            i128::from(u64::MAX),
            i128::MIN,
        ] {
            let mut out = Vec::new();
            push_integer(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
    }

    #[test]
    fn numbers_that_a_double_would_round_can_be_strings() {
        let text = |numbers: Numbers, value| {
            let mut out = Vec::new();
            numbers.push(&mut out, value);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(Numbers::Safe, 1 << 53), "\"9007199254740992\"");
        assert_eq!(text(Numbers::Safe, (1 << 53) - 1), "9007199254740991");
        assert_eq!(text(Numbers::Exact, 1 << 53), "9007199254740992");
    }

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
