//! Tests of fragments, and of streams made by hand: bytes that are written out, and the values that
//! the section of CTF2-SPEC-2.0rB named beside them says they have.

mod clocks;
mod fields;
mod hostile;
mod locations;
mod random;
mod roles;

use virtflow_base::Problems;

use crate::error::{FragmentError, FragmentErrorKind};
use crate::metadata::{Metadata, Scope};
use crate::read::Value;
use crate::test_support::{TestTrace, read};

/// A metadata stream of these fragments.
pub(super) fn sequence(fragments: &[&str]) -> Vec<u8> {
    let mut stream = Vec::new();
    for fragment in fragments {
        stream.push(super::SEPARATOR);
        stream.extend_from_slice(fragment.as_bytes());
        stream.push(b'\n');
    }
    stream
}

pub(super) const PREAMBLE: &str = r#"{"type":"preamble","version":2}"#;

/// A data stream class whose packets say only how many bits they have, in their first two bytes.
pub(super) const STREAM: &str = r#"{"type":"data-stream-class","packet-context-field-class":
    {"type":"structure","member-classes":[{"name":"content","field-class":
    {"type":"fixed-length-unsigned-integer","length":16,"byte-order":"little-endian",
     "roles":["packet-content-length"]}}]}}"#;

/// An event record class with these members, given as `"name": class` pairs.
pub(super) fn event(members: &str) -> String {
    let structure = structure(members);
    format!(r#"{{"type":"event-record-class","name":"e","payload-field-class":{structure}}}"#)
}

/// A structure of members written `name: class; name: class`.
pub(super) fn structure(members: &str) -> String {
    let members = members
        .split(';')
        .map(str::trim)
        .filter(|member| !member.is_empty());
    let members: Vec<String> = members
        .map(|member| {
            let (name, class) = member.split_once(':').unwrap();
            format!(
                r#"{{"name":"{}","field-class":{}}}"#,
                name.trim(),
                class.trim()
            )
        })
        .collect();
    let members = members.join(",");
    format!(r#"{{"type":"structure","member-classes":[{members}]}}"#)
}

pub(super) fn metadata(fragments: &[&str]) -> Metadata {
    super::assemble(&sequence(fragments), None)
        .map(|assembled| assembled.metadata)
        .unwrap_or_else(|error| panic!("{error}"))
}

pub(super) fn error(fragments: &[&str]) -> FragmentError {
    match super::assemble(&sequence(fragments), None) {
        Ok(_) => panic!("{fragments:?} should be refused"),
        Err(error) => error,
    }
}

/// What is wrong with an event record class of these members.
pub(super) fn wrong(members: &str) -> FragmentErrorKind {
    error(&[PREAMBLE, STREAM, &event(members)]).kind
}

/// A packet of `bits` bits, the two bytes that say so included, of a trace of these fragments: its
/// events' payloads as text, and what was wrong.
pub(super) fn read_packet(fragments: &[&str], bits: u16, bytes: &[u8]) -> (Vec<String>, Problems) {
    let dir = TestTrace::new("");
    dir.file("metadata", &sequence(fragments));
    dir.file("s", &[&bits.to_le_bytes(), bytes].concat());
    let trace = dir.open();
    assert!(trace.problems().is_empty(), "{:?}", trace.problems().kept());
    let (events, problems) = read(&trace, 0);
    assert_eq!(trace.count(1).total, events.len() as u64);
    let shown = events.iter().map(|event| {
        let value = event.record.value(&trace, Scope::Payload).unwrap();
        value.as_ref().map_or_else(String::new, shown)
    });
    (shown.collect(), problems)
}

/// The payload of the one event with these members that `bytes`, which begin at byte 2 of their
/// packet, hold; its last byte may be used in part.
pub(super) fn decode_bits(members: &str, bits: u16, bytes: &[u8]) -> String {
    let (events, problems) = read_packet(&[PREAMBLE, STREAM, &event(members)], bits + 16, bytes);
    assert!(problems.is_empty(), "{:?}", problems.kept());
    assert_eq!(events.len(), 1, "{events:?}");
    events[0].clone()
}

pub(super) fn decode(members: &str, bytes: &[u8]) -> String {
    decode_bits(members, bytes.len() as u16 * 8, bytes)
}

/// A value in short: `{a 1, b "x"}`.
pub(super) fn shown(value: &Value) -> String {
    let all = |parts: Vec<String>| parts.join(", ");
    match value {
        Value::Int { value, .. } => value.to_string(),
        Value::Enum { value, labels } => format!("{value}<{}>", labels.join("|")),
        Value::Bool(value) => value.to_string(),
        Value::BitMap { value, flags } => format!("{value:#x}<{}>", flags.join("|")),
        Value::Blob(bytes) => format!("{bytes:02x?}"),
        Value::Absent => "-".into(),
        Value::Float(value) => value.to_string(),
        Value::Text(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
        Value::Opaque(bits) => format!("({bits} bits)"),
        Value::Struct(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| format!("{name} {}", shown(value)));
            format!("{{{}}}", all(fields.collect()))
        }
        Value::Array(elements) => format!("[{}]", all(elements.iter().map(shown).collect())),
        Value::Variant { option, value } => format!("{option}={}", shown(value)),
    }
}

/// How many events of one class with these members a packet of `bytes` has, told to stop at 100
/// problems.
pub(super) fn read_packet_lenient(members: &str, bytes: &[u8]) -> (usize, Problems) {
    let dir = TestTrace::new("");
    dir.file("metadata", &sequence(&[PREAMBLE, STREAM, &event(members)]));
    let bits = (bytes.len() as u16 + 2) * 8;
    dir.file("s", &[&bits.to_le_bytes(), bytes].concat());
    let trace = dir.open();
    let (events, problems) = read(&trace, 0);
    (events.len(), problems)
}
