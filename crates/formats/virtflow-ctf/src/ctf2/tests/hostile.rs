//! Broken and hostile metadata: errors that name the byte, never panics, never without end.

use proptest::prelude::*;
use virtflow_base::ProblemKind;

use super::{PREAMBLE, STREAM, error, event, sequence, structure};
use crate::error::FragmentErrorKind;
use crate::test_support::TestTrace;
use crate::{Error, Trace};

const U8: &str =
    r#"{"type":"fixed-length-unsigned-integer","length":8,"byte-order":"little-endian"}"#;

fn whole() -> Vec<u8> {
    sequence(&[PREAMBLE, STREAM, &event(&format!("a: {U8}"))])
}

/// Cut inside its last fragment, a metadata stream is read up to there, and that is told.
#[test]
fn cut_at_every_byte() {
    let whole = whole();
    let is_separator = |at: &usize| whole[*at] == super::super::SEPARATOR;
    let begins: Vec<usize> = (0..whole.len()).filter(is_separator).collect();
    for len in 1..=whole.len() {
        let dir = TestTrace::new("");
        dir.file("metadata", &whole[..len]);
        dir.file("s", &[24, 0, 7]);
        let last = begins.iter().rposition(|&begin| begin < len).unwrap();
        // The line feed at its end may be missing.
        let end = begins.get(last + 1).copied().unwrap_or(whole.len()) - 1;
        let complete = len >= end || len == begins[last] + 1;
        match Trace::open(dir.path()) {
            Ok(trace) => {
                let problems = trace.problems().kept().iter();
                let mut cut = problems.filter(|problem| problem.kind == ProblemKind::Truncated);
                let cut = cut.next().map(|cut| cut.place.offset.unwrap());
                assert_eq!(cut, (!complete).then_some(begins[last] as u64 + 1), "{len}");
                assert!(last > 0 || complete, "{len}");
            }
            Err(Error::Fragment { source, .. }) => {
                assert!(last == 0 && (len == 1 || !complete), "{len}: {source}");
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn errors_name_the_byte() {
    let mut stream = sequence(&[PREAMBLE, "{\n \"type\": 5x }", STREAM]);
    let error = super::super::assemble(&stream, None).err().unwrap();
    assert_eq!(
        (error.fragment, error.offset),
        (2, PREAMBLE.len() as u64 + 3 + 12)
    );
    assert!(error.to_string().contains("not JSON"), "{error}");
    // Empty texts are none (RFC 7464 section 2.1).
    stream = [b"\x1e\x1e \n".as_slice(), &whole()].concat();
    assert!(super::super::assemble(&stream, None).is_ok());
    assert!(super::super::assemble(b"\x1e[]\n", None).is_err());
    assert!(super::super::assemble(b"\x1e\"\xff\"\n", None).is_err());
}

#[test]
fn nesting_and_doubling_are_bounded() {
    let mut class = U8.to_owned();
    for _ in 0..30 {
        class = structure(&format!("s: {class}"));
    }
    assert!(
        super::super::assemble(
            &sequence(&[PREAMBLE, STREAM, &event(&format!("a: {class}"))]),
            None
        )
        .is_ok()
    );
    for _ in 0..30 {
        class = structure(&format!("s: {class}"));
    }
    // Deeper than the JSON parser goes.
    let kind = error(&[PREAMBLE, STREAM, &event(&format!("a: {class}"))]).kind;
    assert!(matches!(kind, FragmentErrorKind::NotJson(why) if why.contains("recursion")));
    let alias = |name: usize, class: &str| {
        format!(r#"{{"type":"field-class-alias","name":"s{name}","field-class":{class}}}"#)
    };
    // Deeper than field classes go, by aliases.
    let mut fragments = vec![PREAMBLE.to_owned(), STREAM.to_owned(), alias(0, U8)];
    for i in 1..100 {
        fragments.push(alias(i, &structure(&format!(r#"a: "s{}""#, i - 1))));
    }
    let deep = r#"{"type":"event-record-class","payload-field-class":"s99"}"#;
    let all: Vec<&str> = fragments.iter().map(String::as_str).chain([deep]).collect();
    assert!(matches!(error(&all).kind, FragmentErrorKind::TooDeep(_)));
    // Twice as many with each alias.
    let mut fragments = vec![PREAMBLE.to_owned(), STREAM.to_owned(), alias(0, U8)];
    for i in 1..40 {
        fragments.push(alias(
            i,
            &structure(&format!(r#"a: "s{0}"; b: "s{0}""#, i - 1)),
        ));
    }
    let large = r#"{"type":"event-record-class","payload-field-class":"s39"}"#;
    let all: Vec<&str> = fragments
        .iter()
        .map(String::as_str)
        .chain([large])
        .collect();
    assert!(matches!(
        error(&all).kind,
        FragmentErrorKind::TooMany { .. }
    ));
    let values = format!(
        r#"{{"type":"preamble","version":2,"attributes":[{}1]}}"#,
        "1,".repeat(1 << 20)
    );
    assert!(matches!(
        error(&[&values]).kind,
        FragmentErrorKind::NotJson(_)
    ));
}

/// Lengths of any size are numbers, not allocations.
#[test]
fn huge_lengths() {
    let max = u64::MAX;
    for class in [
        format!(r#"{{"type":"static-length-blob","length":{max}}}"#),
        format!(r#"{{"type":"static-length-string","length":{max}}}"#),
        format!(r#"{{"type":"static-length-array","length":{max},"element-field-class":{U8}}}"#),
        format!(
            r#"{{"type":"static-length-array","length":{max},"element-field-class":{{"type":"null-terminated-string"}}}}"#
        ),
        format!(r#"{{"type":"fixed-length-bit-array","length":{max},"byte-order":"big-endian"}}"#),
    ] {
        let dir = TestTrace::new("");
        dir.file(
            "metadata",
            &sequence(&[PREAMBLE, STREAM, &event(&format!("a: {class}"))]),
        );
        dir.file("s", &[48, 0, 1, 0, 2, 0]);
        let trace = dir.open();
        let (events, problems) = crate::test_support::read(&trace, 0);
        assert!(events.is_empty() && problems.total() == 1, "{class}");
    }
    // Elements that take no space end, too.
    let nothing = format!(
        r#"{{"type":"static-length-array","length":{max},"element-field-class":{{"type":"structure"}}}}"#
    );
    let (events, _) = super::read_packet_lenient(&format!("a: {nothing}; b: {U8}"), &[5]);
    assert_eq!(events, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_stream_of_fragments_panics(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        stream in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut metadata = rich();
        for (at, byte) in changes {
            let at = at.index(metadata.len());
            metadata[at] = byte;
        }
        let dir = TestTrace::new("");
        dir.file("metadata", &metadata);
        dir.file("s", &stream);
        if let Ok(trace) = Trace::open(dir.path()) {
            let trace = std::sync::Arc::new(trace);
            for stream in 0..trace.streams().len() {
                let (events, _) = crate::test_support::read(&trace, stream);
                for event in events {
                    let _ = event.record.visit(&trace, &crate::Scope::ALL, &mut |_, _| {});
                }
            }
        }
    }
}

/// Something of everything.
fn rich() -> Vec<u8> {
    let location = r#"{"path":["n"]}"#;
    sequence(&[
        PREAMBLE,
        r#"{"type":"clock-class","id":"c","frequency":1000,"origin":"unix-epoch"}"#,
        &format!(r#"{{"type":"field-class-alias","name":"u8","field-class":{U8}}}"#),
        STREAM,
        &event(&format!(
            r#"n: "u8"; o: {{"type":"optional","selector-field-location":{location},"selector-field-ranges":[[1,9]],"field-class":"u8"}};
               v: {{"type":"variant","selector-field-location":{location},"options":[
                   {{"selector-field-ranges":[[0,99]],"field-class":"u8"}},{{"selector-field-ranges":[[100,255]],"field-class":{{"type":"null-terminated-string"}}}}]}};
               d: {{"type":"dynamic-length-array","length-field-location":{{"path":["v"]}},"element-field-class":{{"type":"variable-length-signed-integer"}}}};
               l: {{"type":"dynamic-length-string","length-field-location":{location},"encoding":"utf-16le"}}"#
        ).replace(r#"{"type":"null-terminated-string"}"#, r#""u8""#)),
    ])
}
