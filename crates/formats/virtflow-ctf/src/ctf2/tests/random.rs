//! Plans and walks, which were written apart, agree on random field classes and random bytes.

use proptest::prelude::*;

use super::{PREAMBLE, sequence};
use crate::read::tests::plans::{Compare, Draw, leaves};
use crate::test_support::{TestTrace, read_with};

fn bits(draw: &mut Draw, ty: &str, more: &str) -> String {
    let whole = draw.below(2) == 0;
    let (length, alignment) = if whole {
        let length = draw.pick(&["8", "16", "32", "64"]).to_owned();
        (length, draw.pick(&["8", "16", "64"]))
    } else {
        (
            (draw.below(70) + 1).to_string(),
            draw.pick(&["1", "1", "2", "4"]),
        )
    };
    let order = draw.pick(&["little-endian", "big-endian"]);
    let bit_order = draw.pick(&[
        "",
        r#","bit-order":"first-to-last""#,
        r#","bit-order":"last-to-first""#,
    ]);
    format!(
        r#"{{"type":"fixed-length-{ty}","length":{length},"alignment":{alignment},"byte-order":"{order}"{bit_order}{more}}}"#
    )
}

/// An unsigned integer, for lengths of BLOBs and selectors.
fn small(draw: &mut Draw) -> String {
    match draw.below(3) {
        0 => r#"{"type":"variable-length-unsigned-integer"}"#.into(),
        _ => fewer(draw),
    }
}

/// The same below 8: of elements without bits only so many are shown.
fn fewer(draw: &mut Draw) -> String {
    let length = draw.below(3) + 1;
    let alignment = draw.pick(&["1", "8"]);
    format!(
        r#"{{"type":"fixed-length-unsigned-integer","length":{length},"alignment":{alignment},"byte-order":"little-endian"}}"#
    )
}

fn class(draw: &mut Draw, depth: u32) -> String {
    match draw.below(if depth > 2 { 11 } else { 12 }) {
        0 => r#"{"type":"null-terminated-string"}"#.into(),
        1 => {
            let length = draw.pick(&["16", "32", "64", "128"]);
            format!(
                r#"{{"type":"fixed-length-floating-point-number","length":{length},"byte-order":"big-endian"}}"#
            )
        }
        2 => bits(
            draw,
            "unsigned-integer",
            r#","mappings":{"A":[[0,0],[3,3]],"B":[[2,5]]}"#,
        ),
        3 => bits(draw, "boolean", ""),
        4 => bits(
            draw,
            "bit-map",
            r#","flags":{"A":[[0,0],[3,3]],"B":[[2,5]]}"#,
        ),
        5 => bits(draw, "bit-array", ""),
        6 => format!(
            r#"{{"type":"variable-length-{}signed-integer"}}"#,
            draw.pick(&["", "un"])
        ),
        7 => format!(
            r#"{{"type":"static-length-blob","length":{}}}"#,
            draw.below(4)
        ),
        8 => format!(
            r#"{{"type":"static-length-string","length":{}}}"#,
            draw.below(4)
        ),
        9 | 10 => {
            let signed = draw.pick(&["signed-integer", "unsigned-integer"]);
            bits(draw, signed, "")
        }
        _ => structure(draw, depth + 1),
    }
}

fn location(path: &str) -> String {
    format!(r#"{{"path":{path}}}"#)
}

fn structure(draw: &mut Draw, depth: u32) -> String {
    let mut members = Vec::new();
    for _ in 0..draw.below(6) {
        let name = draw.name();
        let mut member = |name: &str, class: String| {
            members.push(format!(r#"{{"name":"{name}","field-class":{class}}}"#));
        };
        match draw.below(9) {
            0 => {
                let length = draw.name();
                member(&length, fewer(draw));
                let path = location(&format!(r#"["{length}"]"#));
                let element = class(draw, depth);
                let align = draw.pick(&["1", "16"]);
                member(
                    &name,
                    format!(
                        r#"{{"type":"dynamic-length-array","minimum-alignment":{align},"length-field-location":{path},"element-field-class":{element}}}"#
                    ),
                );
            }
            1 => {
                let (len, element) = (draw.below(4), class(draw, depth));
                member(
                    &name,
                    format!(
                        r#"{{"type":"static-length-array","length":{len},"element-field-class":{element}}}"#
                    ),
                );
            }
            2 => {
                let (tag, sel) = (draw.name(), small(draw));
                member(&tag, sel);
                let path = location(&format!(r#"["{tag}"]"#));
                let (a, b) = (class(draw, depth), class(draw, depth));
                member(
                    &name,
                    format!(
                        r#"{{"type":"variant","selector-field-location":{path},"options":[
                    {{"name":"A","selector-field-ranges":[[0,1],[7,7]],"field-class":{a}}},
                    {{"selector-field-ranges":[[2,6]],"field-class":{b}}}]}}"#
                    ),
                );
            }
            3 => {
                let (has, ranges) = (draw.name(), draw.below(2) == 0);
                let (selector, ranges) = if ranges {
                    (small(draw), r#","selector-field-ranges":[[1,2],[5,5]]"#)
                } else {
                    (r#"{"type":"fixed-length-boolean","length":3,"byte-order":"little-endian"}"#.into(), "")
                };
                member(&has, selector);
                let path = location(&format!(r#"["{has}"]"#));
                let inner = class(draw, depth);
                member(
                    &name,
                    format!(
                        r#"{{"type":"optional","selector-field-location":{path}{ranges},"field-class":{inner}}}"#
                    ),
                );
            }
            4 => {
                // A length that may not be there.
                let (has, length) = (draw.name(), draw.name());
                member(&has, small(draw));
                let path = location(&format!(r#"["{has}"]"#));
                let inner = small(draw);
                member(
                    &length,
                    format!(
                        r#"{{"type":"optional","selector-field-location":{path},"selector-field-ranges":[[0,5]],"field-class":{inner}}}"#
                    ),
                );
                let path = location(&format!(r#"["{length}"]"#));
                member(
                    &name,
                    format!(r#"{{"type":"dynamic-length-blob","length-field-location":{path}}}"#),
                );
            }
            5 => {
                let encoding = draw.pick(&["utf-16le", "utf-32be"]);
                member(
                    &format!("wide{name}"),
                    format!(r#"{{"type":"null-terminated-string","encoding":"{encoding}"}}"#),
                );
            }
            _ => member(&name, class(draw, depth)),
        }
    }
    let align = draw.pick(&["1", "1", "8", "32"]);
    let members = members.join(",");
    format!(r#"{{"type":"structure","minimum-alignment":{align},"member-classes":[{members}]}}"#)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn plans_and_walks_agree_in_ctf2(
        seed in any::<u64>(),
        data in proptest::collection::vec(prop_oneof![Just(0_u8), Just(1), any::<u8>()], 1..300),
    ) {
        let mut draw = Draw { state: seed, names: 0 };
        let context = structure(&mut draw, 1);
        let payload = structure(&mut draw, 0);
        let dir = TestTrace::new("");
        dir.file("metadata", &sequence(&[
            PREAMBLE,
            r#"{"type":"data-stream-class","event-record-header-field-class":{"type":"structure","member-classes":[
                {"name":"x","field-class":{"type":"fixed-length-bit-array","length":3,"byte-order":"little-endian"}}]}}"#,
            &format!(r#"{{"type":"event-record-class","specific-context-field-class":{context},"payload-field-class":{payload}}}"#),
        ]));
        dir.file("s", &data);
        let trace = dir.open();
        let mut names = Vec::new();
        leaves(trace.event_classes()[0].fields().unwrap(), "", &mut names);
        let fields: Vec<&str> = names.iter().map(String::as_str).collect();
        let (events, _) = read_with(&trace, 0, &fields, Compare(names.clone()));
        prop_assert_eq!(trace.count(1).total, events.len() as u64);
    }
}
