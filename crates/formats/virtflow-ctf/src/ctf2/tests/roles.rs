//! Roles (sections 5.6.1, 5.8.1 and 6.1).

use super::{PREAMBLE, error, sequence, structure};
use crate::error::FragmentErrorKind;
use crate::test_support::{TestTrace, read};
use virtflow_base::ProblemKind;

/// An integer with a role.
fn role(ty: &str, role: &str) -> String {
    match ty {
        "leb" => format!(r#"{{"type":"variable-length-unsigned-integer","roles":["{role}"]}}"#),
        size => format!(
            r#"{{"type":"fixed-length-unsigned-integer","length":{size},"byte-order":"little-endian","roles":["{role}"]}}"#
        ),
    }
}

const CLOCK: &str = r#"{"type":"clock-class","id":"c","frequency":1000000000}"#;

/// The packet header of example 72, all roles of a packet context, and names that mean nothing.
fn fragments() -> Vec<String> {
    let header = structure(&format!(
        r#"the magic!: {}; the UUID: {{"type":"static-length-blob","length":16,"roles":["metadata-stream-uuid"]}};
           my data stream class ID: {}; my data stream ID: {}"#,
        role("32", "packet-magic-number"),
        role("8", "data-stream-class-id"),
        role("leb", "data-stream-id"),
    ));
    let context = structure(&format!(
        "begin: {}; end: {}; content: {}; total: {}; number: {}; lost: {}",
        role("leb", "default-clock-timestamp"),
        role("16", "packet-end-default-clock-timestamp"),
        role("16", "packet-content-length"),
        role("leb", "packet-total-length"),
        role("8", "packet-sequence-number"),
        role("8", "discarded-event-record-counter-snapshot"),
    ));
    let event_header = structure(&format!(
        "time: {}; what: {}",
        role("8", "default-clock-timestamp"),
        role("leb", "event-record-class-id")
    ));
    let uuid: Vec<String> = (1..=16).map(|n: u8| n.to_string()).collect();
    vec![
        format!(
            r#"{{"type":"preamble","version":2,"uuid":[{}]}}"#,
            uuid.join(",")
        ),
        CLOCK.into(),
        format!(r#"{{"type":"trace-class","packet-header-field-class":{header}}}"#),
        format!(
            r#"{{"type":"data-stream-class","id":7,"default-clock-class-id":"c",
            "packet-context-field-class":{context},"event-record-header-field-class":{event_header}}}"#
        ),
        r#"{"type":"event-record-class","data-stream-class-id":7,"id":300,"name":"late"}"#.into(),
        r#"{"type":"event-record-class","data-stream-class-id":7,"id":1,"name":"soon"}"#.into(),
    ]
}

fn packet(number: u8, lost: u8, begin: u16, events: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xc1, 0x1f, 0xfc, 0xc1];
    bytes.extend(1..=16_u8);
    bytes.extend([7, 0x85, 0x01]);
    bytes.extend([begin as u8 & 0x7f | 0x80, (begin >> 7) as u8]);
    bytes.extend((begin + 600).to_le_bytes());
    let content = bytes.len() + 2 + 2 + 2 + events.len();
    bytes.extend((content as u16 * 8).to_le_bytes());
    let total = (content as u16 + 3) * 8;
    bytes.extend([total as u8 & 0x7f | 0x80, (total >> 7) as u8, number, lost]);
    bytes.extend(events);
    bytes.extend([0xee; 3]);
    bytes
}

fn open(fragments: &[String], stream: &[u8]) -> TestTrace {
    let dir = TestTrace::new("");
    let fragments: Vec<&str> = fragments.iter().map(String::as_str).collect();
    dir.file("metadata", &sequence(&fragments));
    dir.file("s", stream);
    dir
}

/// Every role, in integers of fixed and variable length; short time stamps wrap around (6.3).
#[test]
fn packets_and_events_say_what_they_are() {
    // 0x85 0x01 is 133. Events: time, id; 300 is 0xac 0x02. The clock begins at 1000 = 0x3e8, so 0xe9
    // is 1001, and 0x10 is after the wrap: 0x410.
    let first = packet(4, 0, 1000, &[0xe9, 1, 0x10, 0xac, 0x02]);
    let second = packet(6, 2, 2000, &[0xd1, 1]);
    let dir = open(&fragments(), &[first.clone(), second].concat());
    let trace = dir.open();
    assert!(trace.problems().is_empty(), "{:?}", trace.problems().kept());
    let stream = &trace.streams()[0];
    assert_eq!((stream.class_id(), stream.instance_id()), (7, Some(133)));
    let packets = stream.packets();
    assert_eq!(packets.len(), 2);
    assert_eq!(packets[0].size() - packets[0].content(), 24);
    assert_eq!(
        (
            packets[0].begin().unwrap().as_nanos(),
            packets[0].end().unwrap().as_nanos()
        ),
        (1000, 1600)
    );
    assert_eq!(
        (packets[1].sequence(), packets[1].discarded()),
        (Some(6), Some(2))
    );
    assert!(
        !stream.coverage().losses.is_empty(),
        "packet 5 and two events are missing"
    );
    let (events, problems) = read(&trace, 0);
    assert!(problems.is_empty(), "{:?}", problems.kept());
    let seen: Vec<_> = events
        .iter()
        .map(|e| (e.time.as_nanos(), e.record.class(&trace).unwrap().name()))
        .collect();
    assert_eq!(seen, [(1001, "soon"), (0x410, "late"), (2001, "soon")]);
    // Another trace's packet, and one that is none.
    for at in [0, 5, 20] {
        let mut broken = first.clone();
        broken[at] ^= 1;
        let trace = open(&fragments(), &broken).open();
        assert!(trace.streams().is_empty());
        assert_eq!(trace.problems().kept()[0].kind, ProblemKind::Corrupt);
    }
}

/// Section 6.3: a time stamp of variable length has as many bits as it takes bytes of seven.
#[test]
fn short_time_stamps_of_any_length() {
    let header = structure(&format!("t: {}", role("leb", "default-clock-timestamp")));
    let context = structure(&format!("t: {}", role("64", "default-clock-timestamp")));
    let stream = format!(
        r#"{{"type":"data-stream-class","default-clock-class-id":"c","packet-context-field-class":{context},"event-record-header-field-class":{header}}}"#
    );
    let all = [
        PREAMBLE.into(),
        CLOCK.into(),
        stream,
        r#"{"type":"event-record-class"}"#.into(),
    ];
    let mut bytes = 0x1_0000_u64.to_le_bytes().to_vec();
    // Of 7 bits, 5: 0x10005. Of 7 bits, 3, which is less: the next 128, 0x10083. Of 14 bits, 0x82,
    // which is less than 0x83: the next 16,384.
    bytes.extend([0x05, 0x03, 0x82, 0x01]);
    let dir = open(&all, &bytes);
    let trace = dir.open();
    let (events, problems) = read(&trace, 0);
    assert!(problems.is_empty(), "{:?}", problems.kept());
    let times: Vec<_> = events.iter().map(|event| event.time.as_nanos()).collect();
    assert_eq!(times, [0x1_0005, 0x1_0083, 0x1_4082]);
}

/// Section 6.1: a packet that does not say when it begins begins at 0.
#[test]
fn a_clock_begins_anew_with_each_packet() {
    let header = structure(&format!("t: {}", role("8", "default-clock-timestamp")));
    let context = structure(&format!("size: {}", role("8", "packet-total-length")));
    let stream = format!(
        r#"{{"type":"data-stream-class","default-clock-class-id":"c","packet-context-field-class":{context},"event-record-header-field-class":{header}}}"#
    );
    let all = [
        PREAMBLE.into(),
        CLOCK.into(),
        stream,
        r#"{"type":"event-record-class"}"#.into(),
    ];
    let dir = open(&all, &[24, 200, 100, 16, 150]);
    let trace = dir.open();
    let (events, _) = read(&trace, 0);
    let times: Vec<_> = events.iter().map(|event| event.time.as_nanos()).collect();
    assert_eq!(times, [200, 356, 150]);
}

/// Roles inside of optionals count where the field is there; the last one counts where there are
/// several.
#[test]
fn roles_that_are_not_there() {
    let has = r#"{"type":"fixed-length-boolean","length":8,"byte-order":"little-endian"}"#;
    let optional = format!(
        r#"{{"type":"optional","selector-field-location":{{"path":["has"]}},"field-class":{}}}"#,
        role("8", "packet-sequence-number")
    );
    let context = structure(&format!(
        "size: {}; size again: {}; has: {has}; n: {optional}",
        role("8", "packet-total-length"),
        role("8", "packet-total-length")
    ));
    let stream =
        format!(r#"{{"type":"data-stream-class","packet-context-field-class":{context}}}"#);
    let payload = structure(&format!("x: {}", role("8", "packet-total-length")));
    let event = format!(r#"{{"type":"event-record-class","payload-field-class":{payload}}}"#);
    let dir = open(
        &[PREAMBLE.into(), stream, event],
        &[9, 40, 1, 3, 77, 9, 32, 0, 88],
    );
    let trace = dir.open();
    let sequences: Vec<_> = trace.streams()[0]
        .packets()
        .iter()
        .map(crate::Packet::sequence)
        .collect();
    assert_eq!(sequences, [Some(3), None]);
    let (events, problems) = read(&trace, 0);
    assert!(problems.is_empty(), "{:?}", problems.kept());
    assert_eq!(events.len(), 2);
}

#[test]
fn roles_where_they_must_not_be() {
    let header = |class: &str| {
        let header = structure(&format!("a: {class}"));
        let trace = format!(r#"{{"type":"trace-class","packet-header-field-class":{header}}}"#);
        error(&[PREAMBLE, &trace, r#"{"type":"data-stream-class"}"#]).kind
    };
    let bad = |kind| matches!(kind, FragmentErrorKind::BadProperty { .. });
    assert!(bad(header(&role("16", "packet-magic-number"))));
    assert!(bad(header(
        r#"{"type":"static-length-blob","length":15,"roles":["metadata-stream-uuid"]}"#
    )));
    assert!(bad(header(&role("72", "data-stream-id"))));
    assert!(bad(header(
        &role("8", "data-stream-id").replace("unsigned", "signed")
    )));
    assert!(
        matches!(header(&role("8", "captain")), FragmentErrorKind::UnknownRole(role) if role == "captain")
    );
    let context = structure(&format!("t: {}", role("8", "default-clock-timestamp")));
    let stream =
        format!(r#"{{"type":"data-stream-class","packet-context-field-class":{context}}}"#);
    assert!(bad(error(&[PREAMBLE, &stream]).kind));
}
