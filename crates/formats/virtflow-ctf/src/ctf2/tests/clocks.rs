//! Clocks, names and everything else that fragments say (sections 5.4 to 5.9).

use super::{PREAMBLE, error, metadata};
use crate::error::FragmentErrorKind;
use crate::{ClockOrigin, EnvValue};

/// Examples 73 to 80 and 83 to 86.
#[test]
fn clocks() {
    let metadata = metadata(&[
        PREAMBLE,
        r#"{"type":"clock-class","id":"a","frequency":1000000000}"#,
        r#"{"type":"clock-class","id":"b","namespace":"some-tracer","name":"hot","frequency":80000000,
            "uid":"30313233-3435-3637-3839-616263646566","origin":"unix-epoch","precision":100,"accuracy":1500,
            "offset-from-origin":{"seconds":-18003,"cycles":11928547},"description":"warm"}"#,
        r#"{"type":"clock-class","id":"c","frequency":1000000000,"offset-from-origin":{"seconds":1605111293},
            "origin":{"namespace":"some-tracer","name":"my origin","uid":"60:57:18:a3:42:29"}}"#,
    ]);
    let [a, b, c] = metadata.clocks() else {
        panic!()
    };
    assert_eq!((a.name(), a.freq(), a.uuid()), ("a", 1_000_000_000, None));
    assert_eq!(
        (a.origin(), a.precision(), a.accuracy()),
        (&ClockOrigin::Unknown, None, None)
    );
    assert_eq!(a.time(17).as_nanos(), 17);
    assert_eq!((b.name(), b.description()), ("hot", "warm"));
    assert_eq!(b.uuid(), Some(*b"0123456789abcdef"));
    assert_eq!((b.precision(), b.accuracy()), (Some(100), Some(1500)));
    assert!(b.is_absolute() && b.identity().namespace.as_deref() == Some("some-tracer"));
    // -18003 s + 11928547 / 80 MHz, which is 149.1068375 ms, rounded down to a nanosecond.
    assert_eq!(b.time(0).as_nanos(), -18_003_000_000_000 + 149_106_837);
    assert_eq!(
        b.time(80_000_000).as_nanos() - b.time(0).as_nanos(),
        1_000_000_000
    );
    let ClockOrigin::Custom(origin) = c.origin() else {
        panic!()
    };
    assert_eq!(origin.name.as_deref(), Some("my origin"));
    assert_eq!(origin.uid.as_deref(), Some("60:57:18:a3:42:29"));
    assert_eq!(c.time(1).as_nanos(), 1_605_111_293_000_000_001);
}

#[test]
fn names_environment_and_attributes() {
    let metadata = metadata(&[
        r#"{"type":"preamble","version":2,"uuid":[229,62,10,184,80,161,79,10,183,16,181,240,187,169,196,172],
            "attributes":{"my.tracer":{"extensions":{"not":"one"}}},"extensions":{}}"#,
        r#"{"type":"trace-class","namespace":"ns","name":"t","uid":"u","environment":{"hostname":"h","tracer_major":2}}"#,
        r#"{"type":"data-stream-class","id":18446744073709551615,"namespace":"ns","name":"s"}"#,
        r#"{"type":"event-record-class","data-stream-class-id":18446744073709551615,"id":9,"namespace":"ns","name":"sched_switch",
            "attributes":{"lttng.org,2009":{"log-level":6,"emf-uri":"http://x"}}}"#,
        r#"{"type":"event-record-class","data-stream-class-id":18446744073709551615,"attributes":{"babeltrace.org,2020":{"log-level":"debug:line"}}}"#,
    ]);
    assert_eq!(
        (metadata.format(), metadata.uuid().unwrap()[0]),
        ("CTF 2", 229)
    );
    assert_eq!(metadata.env_text("hostname"), Some("h"));
    assert_eq!(metadata.env()[1], ("tracer_major".into(), EnvValue::Int(2)));
    assert_eq!(metadata.identity().uid.as_deref(), Some("u"));
    assert_eq!(
        metadata.stream_classes()[0].identity().name.as_deref(),
        Some("s")
    );
    let [first, second] = metadata.event_classes() else {
        panic!()
    };
    assert_eq!(
        (first.name(), first.id(), first.loglevel(), first.emf_uri()),
        ("sched_switch", 9, Some(6), Some("http://x"))
    );
    assert_eq!(first.identity().namespace.as_deref(), Some("ns"));
    assert_eq!(
        (second.name(), second.id(), second.loglevel()),
        ("", 0, Some(13))
    );
}

/// Section 5.1: what an extension changes nobody told us.
#[test]
fn extensions_are_refused_by_name() {
    let known = |kind: FragmentErrorKind| match kind {
        FragmentErrorKind::Extension { namespace, name } => format!("{namespace} {name}"),
        other => panic!("{other}"),
    };
    let preamble = r#"{"type":"preamble","version":2,"extensions":{"empty":{},"my.tracer":{"piano":{"keys":88},"ramen":null}}}"#;
    let wrong = error(&[preamble]);
    assert!(
        wrong
            .to_string()
            .contains("extension `piano` of `my.tracer` is not known"),
        "{wrong}"
    );
    assert_eq!(known(wrong.kind), "my.tracer piano");
    let alias = r#"{"type":"field-class-alias","name":"x","field-class":{"type":"static-length-array","length":1,
        "element-field-class":{"type":"null-terminated-string","extensions":{"abc/xyz":{"sax":1}}}}}"#;
    let wrong = error(&[PREAMBLE, alias]);
    assert_eq!(wrong.property, "field-class.element-field-class.extensions");
    assert_eq!(known(wrong.kind), "abc/xyz sax");
}

#[test]
fn what_is_given_twice_too_late_or_not_at_all() {
    let kind = |fragments: &[&str]| error(fragments).kind;
    let clock = r#"{"type":"clock-class","id":"c","frequency":1}"#;
    let stream = r#"{"type":"data-stream-class"}"#;
    let event = r#"{"type":"event-record-class"}"#;
    let trace = r#"{"type":"trace-class"}"#;
    let alias = r#"{"type":"field-class-alias","name":"x","field-class":{"type":"structure"}}"#;
    for twice in [clock, stream, trace, alias] {
        assert!(
            matches!(
                kind(&[PREAMBLE, twice, twice]),
                FragmentErrorKind::Duplicate(_)
            ),
            "{twice}"
        );
    }
    assert!(matches!(
        kind(&[PREAMBLE, stream, event, event]),
        FragmentErrorKind::Duplicate(_)
    ));
    assert!(matches!(
        kind(&[PREAMBLE, event]),
        FragmentErrorKind::UnknownStream(0)
    ));
    assert!(matches!(
        kind(&[PREAMBLE, stream, trace]),
        FragmentErrorKind::Invalid(_)
    ));
    assert!(matches!(kind(&[clock]), FragmentErrorKind::Invalid(_)));
    assert!(matches!(
        kind(&[PREAMBLE, PREAMBLE]),
        FragmentErrorKind::Invalid(_)
    ));
    assert!(matches!(kind(&[]), FragmentErrorKind::Invalid(_)));
    let unknown = r#"{"type":"data-stream-class","default-clock-class-id":"c"}"#;
    assert!(
        matches!(kind(&[PREAMBLE, unknown, clock]), FragmentErrorKind::UnknownClock(id) if id == "c")
    );
    assert!(
        matches!(kind(&[PREAMBLE, r#"{"type":"news"}"#]), FragmentErrorKind::UnknownType(ty) if ty == "news")
    );
    let version = r#"{"type":"preamble","version":3}"#;
    assert!(matches!(
        kind(&[version]),
        FragmentErrorKind::BadProperty {
            name: "version",
            ..
        }
    ));
    for (cycles, frequency) in [("5", "5"), ("-1", "5"), ("0", "0")] {
        let clock = format!(
            r#"{{"type":"clock-class","id":"c","frequency":{frequency},"offset-from-origin":{{"cycles":{cycles}}}}}"#
        );
        assert!(matches!(
            kind(&[PREAMBLE, &clock]),
            FragmentErrorKind::BadProperty { .. }
        ));
    }
}

/// Section 5.5: an alias of an alias, and only of what stands before.
#[test]
fn aliases() {
    let alias = |name: &str, class: &str| {
        format!(r#"{{"type":"field-class-alias","name":"{name}","field-class":{class}}}"#)
    };
    let u8 = alias(
        "u8",
        r#"{"type":"fixed-length-unsigned-integer","length":8,"byte-order":"little-endian"}"#,
    );
    let uint8 = alias("uint8", r#""u8""#);
    let pair = alias("pair", &super::structure(r#"a: "u8"; b: "uint8""#));
    let stream = r#"{"type":"data-stream-class"}"#;
    let event = r#"{"type":"event-record-class","payload-field-class":"pair"}"#;
    let metadata = metadata(&[PREAMBLE, &u8, &uint8, &pair, stream, event]);
    assert_eq!(
        metadata.event_classes()[0].fields().unwrap().fields().len(),
        2
    );
    let unknown =
        |fragments: &[&str]| matches!(error(fragments).kind, FragmentErrorKind::UnknownAlias(_));
    // In a circle, of itself, and of what comes later.
    let a = alias("a", &super::structure(r#"x: "b""#));
    let b = alias("b", &super::structure(r#"x: "a""#));
    let of_a = r#"{"type":"event-record-class","payload-field-class":"a"}"#;
    assert!(unknown(&[PREAMBLE, &a, &b, stream, of_a]));
    assert!(unknown(&[PREAMBLE, &alias("s", r#""s""#)]));
    let itself = alias("s", &super::structure(r#"x: "s""#));
    assert!(unknown(&[
        PREAMBLE,
        &itself,
        stream,
        r#"{"type":"event-record-class","payload-field-class":"s"}"#
    ]));
    assert!(matches!(
        error(&[
            PREAMBLE,
            &u8,
            stream,
            r#"{"type":"event-record-class","payload-field-class":"u8"}"#
        ])
        .kind,
        FragmentErrorKind::BadProperty {
            name: "payload-field-class",
            ..
        }
    ));
}
