//! Which field a length or selector is (sections 5.3.1 and 6.4.2).

use super::{PREAMBLE, STREAM, decode, error, event, read_packet, structure, wrong};
use crate::error::FragmentErrorKind;

const U8: &str =
    r#"{"type":"fixed-length-unsigned-integer","length":8,"byte-order":"little-endian"}"#;
const LEB: &str = r#"{"type":"variable-length-unsigned-integer"}"#;
const TEXT: &str = r#"{"type":"null-terminated-string"}"#;

/// A BLOB whose length is at `path`.
fn blob(path: &str) -> String {
    format!(r#"{{"type":"dynamic-length-blob","length-field-location":{{{path}}}}}"#)
}

/// Example 88: in the same element of an array; LEB128 is one register for all elements.
#[test]
fn in_the_same_element() {
    let element = structure(&format!(
        r#"laser: {LEB}; joystick: {}"#,
        blob(r#""path":["laser"]"#)
    ));
    let all = format!(
        r#"norm: {TEXT}; nature: {{"type":"static-length-array","length":3,"element-field-class":{element}}}"#
    );
    assert_eq!(
        decode(&all, &[0, 1, 7, 0, 2, 8, 9]),
        "{norm \"\", nature [{laser 1, joystick [07]}, {laser 0, joystick []}, {laser 2, joystick [08, 09]}]}"
    );
}

/// Example 89: in the option that is being decoded, named from the scope's beginning.
#[test]
fn in_the_same_option() {
    let option = structure(&format!(
        "lemon: {U8}; joystick: {}",
        blob(r#""origin":"event-record-payload","path":["clinic","lemon"]"#)
    ));
    let variant = format!(
        r#"{{"type":"variant","selector-field-location":{{"path":["lawyer"]}},"options":[
            {{"selector-field-ranges":[[0,0]],"field-class":{TEXT}}},
            {{"selector-field-ranges":[[1,4]],"field-class":{option}}}]}}"#
    );
    let all = format!("lawyer: {U8}; clinic: {variant}");
    assert_eq!(
        decode(&all, &[3, 2, 5, 6]),
        "{lawyer 3, clinic 1={lemon 2, joystick [05, 06]}}"
    );
    assert_eq!(decode(&all, &[0, 0]), "{lawyer 0, clinic 0=\"\"}");
}

/// Examples 90 and 91: the length is in whichever option was taken, by itself or in a structure; and
/// the BLOB in the third option has the length of that option.
#[test]
fn in_another_option() {
    let wide = r#"{"type":"fixed-length-unsigned-integer","length":16,"byte-order":"big-endian"}"#;
    let variant = format!(
        r#"{{"type":"variant","selector-field-location":{{"path":["sel"]}},"options":[
            {{"selector-field-ranges":[[0,0]],"field-class":{U8}}},
            {{"selector-field-ranges":[[1,1]],"field-class":{wide}}},
            {{"selector-field-ranges":[[2,2]],"field-class":{LEB}}}]}}"#
    );
    let all = format!(
        r#"sel: {U8}; glass: {variant}; margin: {}"#,
        blob(r#""path":["glass"]"#)
    );
    assert_eq!(decode(&all, &[0, 1, 9]), "{sel 0, glass 0=1, margin [09]}");
    assert_eq!(
        decode(&all, &[1, 0, 2, 9, 8]),
        "{sel 1, glass 1=2, margin [09, 08]}"
    );
    assert_eq!(
        decode(&all, &[2, 0x81, 0, 9]),
        "{sel 2, glass 2=1, margin [09]}"
    );

    let first = structure(&format!("eagle: {U8}; road: {TEXT}"));
    let second = structure(&format!("nuance: {TEXT}; eagle: {wide}"));
    let path = r#""origin":"event-record-payload","path":["glass","eagle"]"#;
    let third = structure(&format!("eagle: {LEB}; lock: {}", blob(path)));
    let variant = format!(
        r#"{{"type":"variant","selector-field-location":{{"path":["sel"]}},"options":[
            {{"selector-field-ranges":[[0,0]],"field-class":{first}}},
            {{"selector-field-ranges":[[32,172]],"field-class":{second}}},
            {{"selector-field-ranges":[[5,5]],"field-class":{third}}}]}}"#
    );
    let all = format!("sel: {U8}; glass: {variant}; margin: {}", blob(path));
    assert_eq!(
        decode(&all, &[0, 1, 0, 7]),
        "{sel 0, glass 0={eagle 1, road \"\"}, margin [07]}"
    );
    assert_eq!(
        decode(&all, &[40, 0, 0, 1, 7]),
        "{sel 40, glass 1={nuance \"\", eagle 1}, margin [07]}"
    );
    assert_eq!(
        decode(&all, &[5, 1, 3, 7]),
        "{sel 5, glass 2={eagle 1, lock [03]}, margin [07]}"
    );
}

/// Examples 6 and 92: parents by `null`, and fields of every other scope.
#[test]
fn in_parents_and_other_scopes() {
    let inner = structure(&format!("x: {}", blob(r#""path":[null,null,"a","n"]"#)));
    let middle = structure(&format!("inner: {inner}"));
    let all = format!("a: {}; middle: {middle}", structure(&format!("n: {U8}")));
    assert_eq!(
        decode(&all, &[2, 5, 6]),
        "{a {n 2}, middle {inner {x [05, 06]}}}"
    );
    // Down, and up again.
    let all = format!(
        "a: {}; n: {U8}; x: {}",
        structure(&format!("n: {U8}")),
        blob(r#""path":["a",null,"n"]"#)
    );
    assert_eq!(decode(&all, &[0, 1, 6]), "{a {n 0}, n 1, x [06]}");

    let scopes = [
        ("packet-header", "packet-header-field-class"),
        ("packet-context", "packet-context-field-class"),
        ("event-record-header", "event-record-header-field-class"),
        (
            "event-record-common-context",
            "event-record-common-context-field-class",
        ),
        (
            "event-record-specific-context",
            "specific-context-field-class",
        ),
    ];
    let n = |roles: &str| {
        structure(&format!(
            r#"n: {{"type":"fixed-length-unsigned-integer","length":8,"byte-order":"little-endian"{roles}}}"#
        ))
    };
    let plain = n("");
    let trace = format!(r#"{{"type":"trace-class","{}":{plain}}}"#, scopes[0].1);
    let sized = n(r#","roles":["packet-content-length"]"#);
    let stream = format!(
        r#"{{"type":"data-stream-class","{}":{sized},"{}":{plain},"{}":{plain}}}"#,
        scopes[1].1, scopes[2].1, scopes[3].1
    );
    for (i, (origin, _)) in scopes.iter().enumerate() {
        let payload = structure(&format!(
            "x: {}",
            blob(&format!(r#""origin":"{origin}","path":["n"]"#))
        ));
        let event = format!(
            r#"{{"type":"event-record-class","{}":{plain},"payload-field-class":{payload}}}"#,
            scopes[4].1
        );
        // Each scope's `n` is a byte; that of the packet context is the packet's size in bits.
        let mut bytes = [0_u8, 0, 0, 0, 0];
        let len = if i == 1 { 72 } else { 2 };
        bytes[i] = len;
        let size = 5 + usize::from(len);
        bytes[1] = (size * 8) as u8;
        if i == 1 {
            // 13 bytes make 104 bits, and the BLOB would have as many bytes: shorten what it is of.
            continue;
        }
        let dir = crate::test_support::TestTrace::new("");
        dir.file(
            "metadata",
            &super::sequence(&[PREAMBLE, &trace, &stream, &event]),
        );
        dir.file("s", &[bytes.as_slice(), &[0xaa, 0xbb]].concat());
        let opened = dir.open();
        let (events, problems) = crate::test_support::read(&opened, 0);
        assert!(problems.is_empty(), "{origin}: {:?}", problems.kept());
        let value = events[0]
            .record
            .value(&opened, crate::Scope::Payload)
            .unwrap()
            .unwrap();
        assert_eq!(super::shown(&value), "{x [aa, bb]}", "{origin}");
    }
}

/// What was not read is not asked for: a problem, not the value of the event before.
#[test]
fn of_what_is_not_there() {
    let optional = format!(
        r#"{{"type":"optional","selector-field-location":{{"path":["has"]}},"selector-field-ranges":[[1,1]],"field-class":{U8}}}"#
    );
    let all = format!("has: {U8}; n: {optional}; x: {}", blob(r#""path":["n"]"#));
    let fragments = [PREAMBLE, STREAM, &event(&all)];
    let (events, problems) = read_packet(&fragments, 48, &[1, 1, 7, 0]);
    assert_eq!(events, ["{has 1, n 1, x [07]}"]);
    assert_eq!(
        problems.kept()[0].what,
        "a length or tag is asked for that the event lacks; the rest of the packet was left out"
    );
}

/// Statically there is no such field.
#[test]
fn nowhere() {
    let unknown = |members: &str| matches!(wrong(members), FragmentErrorKind::UnknownField { .. });
    assert!(unknown(&format!("x: {}; n: {U8}", blob(r#""path":["n"]"#))));
    assert!(unknown(&format!("x: {}", blob(r#""path":["x"]"#))));
    assert!(unknown(&format!(
        "s: {TEXT}; x: {}",
        blob(r#""path":["s"]"#)
    )));
    assert!(unknown(&format!(
        "n: {U8}; x: {}",
        blob(r#""path":[null,"n"]"#)
    )));
    assert!(unknown(&format!(
        "n: {U8}; x: {}",
        blob(r#""origin":"event-record-common-context","path":["n"]"#)
    )));
    let signed = U8.replace("unsigned", "signed");
    assert!(unknown(&format!(
        "n: {signed}; x: {}",
        blob(r#""path":["n"]"#)
    )));
    // A whole array lies before: which element?
    let array = format!(
        r#"{{"type":"static-length-array","length":2,"element-field-class":{}}}"#,
        structure(&format!("n: {U8}"))
    );
    assert!(unknown(&format!(
        "a: {array}; x: {}",
        blob(r#""path":["a","n"]"#)
    )));
    let bad = |path: &str| {
        let kind = wrong(&format!("n: {U8}; x: {}", blob(path)));
        matches!(
            kind,
            FragmentErrorKind::BadProperty { .. } | FragmentErrorKind::Missing("path")
        )
    };
    assert!(bad(r#""path":[]"#));
    assert!(bad(r#""path":["n",null]"#));
    assert!(bad(r#""path":[1,"n"]"#));
    assert!(bad(r#""origin":"nowhere","path":["n"]"#));
    assert!(bad(r#""origin":"event-record-payload""#));
    let error = error(&[
        PREAMBLE,
        STREAM,
        &event(&format!("n: {U8}; x: {}", blob(r#""path":["m"]"#))),
    ]);
    assert_eq!(
        error.to_string(),
        format!(
            "fragment 3 at byte {}, payload-field-class.member-classes[1].field-class.length-field-location: \
             `m` leads to no unsigned integer that is read before",
            PREAMBLE.len() + STREAM.len() + 5
        )
    );
}
