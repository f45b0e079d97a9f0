//! One stream for each field class.

use super::{PREAMBLE, STREAM, decode, decode_bits, event, read_packet, wrong};
use crate::error::FragmentErrorKind;
use virtflow_base::ProblemKind;

const U8: &str = r#"{"type":"fixed-length-unsigned-integer","length":8,"byte-order":"little-endian","alignment":8}"#;

/// A class of a bit array.
fn bits(ty: &str, length: u32, order: &str, more: &str) -> String {
    format!(
        r#"{{"type":"fixed-length-{ty}","length":{length},"byte-order":"{order}-endian"{more}}}"#
    )
}

/// Section 6.4.3, examples 93 and 94: of 30 contiguous bits, 3, 9, 14 and 4. The bytes are
/// 1010_0101 1100_0011 0000_1111 1001_0110.
#[test]
fn bit_arrays() {
    let bytes = [0b1010_0101, 0b1100_0011, 0b0000_1111, 0b1001_0110];
    let four = |order: &str, more: &str| {
        let class = |length| bits("bit-array", length, order, more);
        format!(
            "green: {}; blue: {}; yellow: {}; red: {}",
            class(3),
            class(9),
            class(14),
            class(4)
        )
    };
    // Big-endian, last to first: bits from the most significant one of each byte on, the first one
    // decoded the most significant: 101, 001011100, 00110000111110, 0101.
    let big = format!(
        "{{green {}, blue {}, yellow {}, red {}}}",
        0b101, 0b0_0101_1100, 0b00_1100_0011_1110, 0b0101
    );
    assert_eq!(decode_bits(&four("big", ""), 30, &bytes), big);
    // First to last: the same bits the other way round.
    let more = r#","bit-order":"first-to-last""#;
    let big = format!(
        "{{green {}, blue {}, yellow {}, red {}}}",
        0b101, 0b0_0111_0100, 0b01_1111_0000_1100, 0b1010
    );
    assert_eq!(decode_bits(&four("big", more), 30, &bytes), big);
    // Little-endian: from the least significant bit of each byte on; all 32 bits as one number are
    // 1001_0110 0000_1111 1100_0011 1010_0101, and the first field is its low end.
    let all = u32::from_le_bytes(bytes);
    let little = [
        all & 7,
        all >> 3 & 0x1ff,
        all >> 12 & 0x3fff,
        all >> 26 & 0xf,
    ];
    assert_eq!(little, [0b101, 0b0_0111_0100, 0b10_0000_1111_1100, 0b0101]);
    let shown = |[green, blue, yellow, red]: [u32; 4]| {
        format!("{{green {green}, blue {blue}, yellow {yellow}, red {red}}}")
    };
    assert_eq!(decode_bits(&four("little", ""), 30, &bytes), shown(little));
    let more = r#","bit-order":"last-to-first""#;
    let back = [0b101, 0b0_0101_1100, 0b00_1111_1100_0001, 0b1010];
    assert_eq!(decode_bits(&four("little", more), 30, &bytes), shown(back));
}

/// Section 6.4.3, example 95: 5 bits, 3 at the next byte, 4 at the next half byte. And 96: two byte
/// orders, but not in one byte.
#[test]
fn bit_arrays_with_padding_and_two_byte_orders() {
    let padded = format!(
        "green: {}; blue: {}; yellow: {}",
        bits("bit-array", 5, "big", r#","bit-order":"first-to-last""#),
        bits("bit-array", 3, "big", r#","alignment":8"#),
        bits(
            "bit-array",
            4,
            "big",
            r#","bit-order":"first-to-last","alignment":4"#
        ),
    );
    // 10110 ... | 011 . 0111
    let bytes = [0b1011_0111, 0b0111_0111];
    let expected = format!("{{green {}, blue {}, yellow {}}}", 0b01101, 0b011, 0b1110);
    assert_eq!(decode(&padded, &bytes), expected);
    let both = format!(
        "green: {}; blue: {}; yellow: {}; orange: {}; red: {}",
        bits("bit-array", 3, "big", r#","bit-order":"first-to-last""#),
        bits("bit-array", 5, "big", ""),
        bits("bit-array", 5, "little", r#","bit-order":"last-to-first""#),
        bits("bit-array", 8, "little", ""),
        bits(
            "bit-array",
            6,
            "big",
            r#","bit-order":"first-to-last","alignment":8"#
        ),
    );
    // 110|10011  then from the low end 00110|101 1101|1 and 101100|..
    let bytes = [0b1101_0011, 0b1010_0110, 0b0001_1011, 0b1011_0000];
    let expected = format!(
        "{{green {}, blue {}, yellow {}, orange {}, red {}}}",
        0b011, 0b10011, 0b01100, 0b1101_1101, 0b001101
    );
    assert_eq!(decode_bits(&both, 30, &bytes), expected);
}

/// Section 6.4.4, example 97, and 5.3.5.1, example 16.
#[test]
fn bit_maps() {
    let flags = r#","flags":{"RED":[[0,2],[4,4],[10,10]],"ORANGE":[[6,6]],
        "GREEN":[[7,7],[9,9],[11,11]],"YELLOW":[[9,9],[13,14]],"BLUE":[[15,15]]}"#;
    let class = bits("bit-map", 16, "big", flags);
    // Bits 9 and 4.
    assert_eq!(
        decode(&format!("m: {class}"), &[0x02, 0x10]),
        "{m 0x210<RED|GREEN|YELLOW>}"
    );
    assert_eq!(decode(&format!("m: {class}"), &[0x01, 0x08]), "{m 0x108<>}");
    let flags =
        r#","flags":{"Mercury":[[7,7]],"Venus":[[6,6],[2,3]],"Earth":[[5,7]],"Mars":[[0,1]]}"#;
    let class = bits("bit-map", 8, "little", flags);
    // Bits 1, 5 and 7.
    assert_eq!(
        decode(&format!("m: {class}"), &[0b1010_0010]),
        "{m 0xa2<Mercury|Earth|Mars>}"
    );
    // Flags of bits that there are not are never set.
    let class = bits(
        "bit-map",
        8,
        "little",
        r#","flags":{"far":[[8,99]],"near":[[7,99]]}"#,
    );
    assert_eq!(decode(&format!("m: {class}"), &[0xff]), "{m 0xff<near>}");
    let none = bits("bit-map", 8, "little", r#","flags":{}"#);
    assert!(matches!(
        wrong(&format!("m: {none}")),
        FragmentErrorKind::BadProperty { name: "flags", .. }
    ));
}

/// Section 6.4.5: false where all bits are 0.
#[test]
fn booleans() {
    let class = format!(
        "a: {0}; b: {0}; c: {1}; d: {1}",
        bits("boolean", 16, "little", ""),
        bits("boolean", 1, "little", "")
    );
    assert_eq!(
        decode_bits(&class, 34, &[0, 0x80, 0, 0, 0b01]),
        "{a true, b false, c true, d false}"
    );
}

/// Sections 6.4.6 and 6.4.7, and 5.3.7.1 with the mappings of example 20.
#[test]
fn integers() {
    let class = format!(
        "a: {}; b: {}; c: {}; d: {}",
        bits("unsigned-integer", 16, "big", ""),
        bits("signed-integer", 24, "little", ""),
        bits(
            "signed-integer",
            5,
            "big",
            r#","bit-order":"first-to-last""#
        ),
        bits(
            "unsigned-integer",
            64,
            "little",
            r#","alignment":64,"preferred-display-base":16"#
        ),
    );
    // The payload is aligned to 64 bits: it begins at byte 8. 10110 first to last is 01101 = 13.
    let mut bytes = vec![9; 6];
    bytes.extend([0x12, 0x34, 0xfe, 0xff, 0xff, 0b1011_0000, 9, 9]);
    bytes.extend([0xff; 7]);
    bytes.push(0x7f);
    assert_eq!(
        decode(&class, &bytes),
        format!(
            "{{a {}, b -2, c 13, d {}}}",
            0x1234, 0x7fff_ffff_ffff_ffff_u64
        )
    );
    let mappings = r#","mappings":{"fortune":[[3,67],[-45,1],[84,84]],
        "building":[[4,5],[75,82]],"journal":[[100,2305],[80,80]]}"#;
    let class = bits("signed-integer", 16, "little", mappings);
    let shown = |value: i16| decode(&format!("m: {class}"), &value.to_le_bytes());
    assert_eq!(shown(4), "{m 4<fortune|building>}");
    assert_eq!(shown(80), "{m 80<building|journal>}");
    assert_eq!(shown(-45), "{m -45<fortune>}");
    assert_eq!(shown(2), "{m 2<>}");
    assert_eq!(shown(2305), "{m 2305<journal>}");
}

/// Section 5.3.4: bit arrays of any length; what has more than 64 bits is stepped over.
#[test]
fn wide_integers_are_stepped_over() {
    let class = bits("unsigned-integer", 72, "little", r#","alignment":16"#);
    let fragments = [PREAMBLE, STREAM, &event(&format!("w: {class}; n: {U8}"))];
    let dir = crate::test_support::TestTrace::new("");
    dir.file("metadata", &super::sequence(&fragments));
    dir.file("s", &[&[96_u8, 0], [1_u8; 9].as_slice(), &[7]].concat());
    let trace = dir.open();
    assert_eq!(trace.problems().kept()[0].kind, ProblemKind::Unsupported);
    let (events, problems) = crate::test_support::read(&trace, 0);
    assert!(problems.is_empty());
    let value = events[0]
        .record
        .value(&trace, crate::Scope::Payload)
        .unwrap()
        .unwrap();
    assert_eq!(super::shown(&value), "{w (72 bits), n 7}");
}

/// Section 6.4.8: IEEE 754-2008 binary16, binary32, binary64; 1.5 is 0x3e00, 0x3fc00000 and
/// 0x3ff8000000000000.
#[test]
fn floating_point_numbers() {
    let class = |length, order| bits("floating-point-number", length, order, "");
    let all = format!(
        "h: {}; s: {}; d: {}",
        class(16, "big"),
        class(32, "little"),
        class(64, "big")
    );
    let bytes = [0x3e, 0, 0, 0, 0xc0, 0x3f, 0xbf, 0xf8, 0, 0, 0, 0, 0, 0];
    assert_eq!(decode(&all, &bytes), "{h 1.5, s 1.5, d -1.5}");
    assert!(matches!(
        wrong(&format!("f: {}", class(48, "big"))),
        FragmentErrorKind::BadProperty { name: "length", .. }
    ));
}

/// Sections 6.4.9 and 6.4.10, with the numbers of examples 98 and 99, which take three bytes each.
#[test]
fn variable_length_integers() {
    let u = r#"{"type":"variable-length-unsigned-integer","mappings":{"lime":[[3,3]]}}"#;
    let s = r#"{"type":"variable-length-signed-integer","preferred-display-base":16}"#;
    let one = bits("unsigned-integer", 1, "little", "");
    // Variable-length integers are aligned to a byte.
    let all = format!("a: {u}; b: {s}; bit: {one}; c: {u}; d: {s}");
    let bytes = [0xb4, 0xc7, 0x72, 0xb4, 0xc7, 0x72, 1, 3, 0x7f];
    assert_eq!(
        decode(&all, &bytes),
        "{a 1876916<>, b -220236, bit 1, c 3<lime>, d -1}"
    );
    let fragments = [PREAMBLE, STREAM, &event(&format!("a: {u}"))];
    let wide = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2];
    let (events, problems) = read_packet(&fragments, 96, &wide);
    assert!(events.is_empty());
    assert_eq!(
        problems.kept()[0].what,
        "an integer of more than 64 bits; the rest of the packet was left out"
    );
    let (events, problems) = read_packet(&fragments, 32, &[0x80, 0x80]);
    assert!(events.is_empty());
    assert_eq!(problems.kept()[0].kind, ProblemKind::Corrupt);
}

/// Sections 6.4.11, 6.4.12 and 6.4.14, in every encoding.
#[test]
fn strings() {
    let encode = |encoding: &str, text: &str| -> Vec<u8> {
        let wide = |big: bool| {
            text.encode_utf16()
                .flat_map(move |unit| {
                    if big {
                        unit.to_be_bytes()
                    } else {
                        unit.to_le_bytes()
                    }
                })
                .collect()
        };
        let widest = |big: bool| {
            text.chars()
                .flat_map(move |c| {
                    if big {
                        (c as u32).to_be_bytes()
                    } else {
                        (c as u32).to_le_bytes()
                    }
                })
                .collect()
        };
        match encoding {
            "utf-8" => text.as_bytes().to_vec(),
            "utf-16le" => wide(false),
            "utf-16be" => wide(true),
            "utf-32le" => widest(false),
            _ => widest(true),
        }
    };
    for encoding in ["utf-8", "utf-16le", "utf-16be", "utf-32le", "utf-32be"] {
        let nul = format!(r#"{{"type":"null-terminated-string","encoding":"{encoding}"}}"#);
        let fixed =
            format!(r#"{{"type":"static-length-string","length":40,"encoding":"{encoding}"}}"#);
        let counted = format!(
            r#"{{"type":"dynamic-length-string","length-field-location":{{"path":["n"]}},"encoding":"{encoding}"}}"#
        );
        let all = format!("a: {nul}; b: {fixed}; n: {U8}; c: {counted}; d: {nul}");
        let mut bytes = encode(encoding, "Montréal 😀\0");
        // What is behind the first U+0000 is garbage.
        let mut second = encode(encoding, "né\0");
        second.resize(40, 0xaa);
        bytes.extend(second);
        let third = encode(encoding, "€uro");
        bytes.push(third.len() as u8);
        bytes.extend(third);
        bytes.extend(encode(encoding, "\0"));
        assert_eq!(
            decode(&all, &bytes),
            format!(
                r#"{{a "Montréal 😀", b "né", n {}, c "€uro", d ""}}"#,
                encode(encoding, "€uro").len()
            ),
            "{encoding}"
        );
    }
    // Empty (example 36), and without an end.
    assert_eq!(
        decode(
            &format!(r#"a: {{"type":"static-length-string","length":0}}; n: {U8}"#),
            &[9]
        ),
        "{a \"\", n 9}"
    );
    let fragments = [
        PREAMBLE,
        STREAM,
        &event(r#"a: {"type":"null-terminated-string","encoding":"utf-16le"}"#),
    ];
    let (events, problems) = read_packet(&fragments, 48, &[b'a', 0, 0, b'b']);
    assert!(events.is_empty() && problems.kept()[0].kind == ProblemKind::Corrupt);
}

/// Sections 6.4.13 and 6.4.15.
#[test]
fn blobs() {
    let all = format!(
        r#"a: {{"type":"static-length-blob","length":3,"media-type":"image/png"}}; n: {U8};
           b: {{"type":"dynamic-length-blob","length-field-location":{{"origin":"event-record-payload","path":["n"]}}}}"#
    );
    assert_eq!(
        decode(&all, &[0, 1, 0xff, 2, 0, 0x10]),
        "{a [00, 01, ff], n 2, b [00, 10]}"
    );
    let metadata = super::metadata(&[PREAMBLE, STREAM, &event(&all)]);
    let fields = metadata.event_classes()[0].fields().unwrap();
    let crate::FieldType::Array(a) = fields.field("a").unwrap().field_type() else {
        panic!()
    };
    assert_eq!(a.media_type(), Some("image/png"));
    let crate::FieldType::Sequence(b) = fields.field("b").unwrap().field_type() else {
        panic!()
    };
    assert_eq!(b.media_type(), Some("application/octet-stream"));
    assert_eq!(b.len_path(), "event-record-payload/n");
}

/// Sections 6.4.16 and 6.4.1: structures are aligned as their members are, or more.
#[test]
fn structures() {
    let inner = r#"{"type":"structure","minimum-alignment":32,"member-classes":[
        {"name":"x","field-class":{"type":"fixed-length-unsigned-integer","length":8,"byte-order":"little-endian"}},
        {"name":"y","field-class":{"type":"fixed-length-unsigned-integer","length":16,"byte-order":"big-endian","alignment":16}}]}"#;
    let all = format!(r#"a: {U8}; s: {inner}; e: {{"type":"structure"}}; b: {U8}"#);
    // The payload is aligned to 32 bits, too: byte 4 of the packet is `a`; `s` begins at byte 8, `y`
    // at byte 10.
    assert_eq!(
        decode(&all, &[9, 9, 1, 9, 9, 9, 2, 9, 3, 4, 5]),
        format!("{{a 1, s {{x 2, y {}}}, e {{}}, b 5}}", 0x304)
    );
    let twice = format!(
        "s: {}",
        r#"{"type":"structure","member-classes":[{"name":"x","field-class":{"type":"structure"}},{"name":"x","field-class":{"type":"structure"}}]}"#
    );
    assert!(matches!(wrong(&twice), FragmentErrorKind::Duplicate(what) if what == "member `x`"));
}

/// Sections 6.4.17 and 6.4.18: examples 57 (flags of one bit, aligned to 32) and 103.
#[test]
fn arrays() {
    let flag = bits("boolean", 1, "little", "");
    let flags = format!(
        r#"{{"type":"static-length-array","length":10,"minimum-alignment":32,"element-field-class":{flag}}}"#
    );
    assert_eq!(
        decode_bits(
            &format!("a: {U8}; f: {flags}"),
            58,
            &[9, 9, 7, 9, 9, 9, 0b0000_0101, 0b10]
        ),
        "{a 7, f [true, false, true, false, false, false, false, false, false, true]}"
    );
    let len = bits("unsigned-integer", 16, "big", "");
    let element = bits("unsigned-integer", 32, "little", r#","alignment":32"#);
    let vals = format!(
        r#"{{"type":"dynamic-length-array","length-field-location":{{"origin":"event-record-payload","path":["len"]}},"element-field-class":{element}}}"#
    );
    let all = format!(r#"len: {len}; id: {{"type":"null-terminated-string"}}; vals: {vals}"#);
    // The payload and the array in it begin at multiples of 32 bits: at bytes 4 and 12.
    let mut bytes = vec![9, 9, 0, 3, b'h', b'i', 0];
    bytes.extend([9; 3]);
    for n in [1_u32, 0x0102_0304, u32::MAX] {
        bytes.extend(n.to_le_bytes());
    }
    assert_eq!(
        decode(&all, &bytes),
        format!(
            "{{len 3, id \"hi\", vals [1, {}, {}]}}",
            0x0102_0304,
            u32::MAX
        )
    );
    let strings = r#"{"type":"static-length-array","length":2,"element-field-class":{"type":"null-terminated-string"}}"#;
    let numbers = r#"{"type":"static-length-array","length":3,"element-field-class":{"type":"variable-length-signed-integer"}}"#;
    assert_eq!(
        decode(
            &format!("s: {strings}; n: {numbers}"),
            b"a\0\0\x01\xff\x00\x7e"
        ),
        "{s [\"a\", \"\"], n [1, 127, -2]}"
    );
}

/// Section 6.4.19, with the classes of examples 60 and 61: a boolean says so, or ranges of an
/// integer.
#[test]
fn optionals() {
    let has = bits("boolean", 8, "little", "");
    let location =
        r#""selector-field-location":{"origin":"event-record-payload","path":["has-ip"]}"#;
    let ip = format!(
        r#"{{"type":"optional",{location},"field-class":{{"type":"static-length-array","length":4,"element-field-class":{U8}}}}}"#
    );
    let all = format!("has-ip: {has}; ip: {ip}; n: {U8}");
    assert_eq!(
        decode(&all, &[2, 127, 0, 0, 1, 5]),
        "{has-ip true, ip [127, 0, 0, 1], n 5}"
    );
    assert_eq!(decode(&all, &[0, 5]), "{has-ip false, ip -, n 5}");
    let selector = bits("signed-integer", 8, "little", "");
    let text = format!(
        r#"{{"type":"optional",{location},"selector-field-ranges":[[-12,-12],[-5,0],[15,35]],"field-class":{{"type":"null-terminated-string"}}}}"#
    );
    let all = format!("has-ip: {selector}; ip: {text}; n: {U8}");
    for (value, there) in [
        (-12_i8, true),
        (-11, false),
        (-5, true),
        (0, true),
        (1, false),
        (15, true),
        (35, true),
        (36, false),
    ] {
        let value_byte = value as u8;
        if there {
            assert_eq!(
                decode(&all, &[value_byte, b'x', 0, 5]),
                format!("{{has-ip {value}, ip \"x\", n 5}}")
            );
        } else {
            assert_eq!(
                decode(&all, &[value_byte, 5]),
                format!("{{has-ip {value}, ip -, n 5}}")
            );
        }
    }
    let without =
        format!(r#"has-ip: {selector}; ip: {{"type":"optional",{location},"field-class":{U8}}}"#);
    assert_eq!(
        wrong(&without),
        FragmentErrorKind::Missing("selector-field-ranges")
    );
}

/// Section 6.4.20: examples 62 and 63, a variant inside an optional field with the same selector.
#[test]
fn variants() {
    let location = r#""selector-field-location":{"origin":"event-record-payload","path":["sel"]}"#;
    let number = bits(
        "signed-integer",
        16,
        "little",
        r#","preferred-display-base":8"#,
    );
    let variant = format!(
        r#"{{"type":"variant",{location},"options":[
            {{"selector-field-ranges":[[5,5]],"field-class":{{"type":"null-terminated-string"}}}},
            {{"name":"num","selector-field-ranges":[[8,8],[10,255]],"field-class":{number}}}]}}"#
    );
    let all = format!("sel: {U8}; v: {variant}; n: {U8}");
    // An option without a name goes by its number.
    assert_eq!(decode(&all, &[5, b'a', 0, 1]), "{sel 5, v 0=\"a\", n 1}");
    assert_eq!(decode(&all, &[8, 0xff, 0xff, 1]), "{sel 8, v num=-1, n 1}");
    assert_eq!(decode(&all, &[200, 2, 0, 1]), "{sel 200, v num=2, n 1}");
    let (events, problems) = read_packet(&[PREAMBLE, STREAM, &event(&all)], 32, &[9, 0]);
    assert!(events.is_empty());
    assert_eq!(
        problems.kept()[0].what,
        "a tag that chooses no option of its variant; the rest of the packet was left out"
    );
    let inside = format!(
        r#"{{"type":"optional",{location},"selector-field-ranges":[[1,255]],"field-class":
            {{"type":"variant",{location},"options":[
            {{"selector-field-ranges":[[1,1]],"field-class":{{"type":"null-terminated-string"}}}},
            {{"selector-field-ranges":[[2,2]],"field-class":{{"type":"variable-length-signed-integer"}}}}]}}}}"#
    );
    let all = format!("sel: {U8}; v: {inside}; n: {U8}");
    assert_eq!(decode(&all, &[0, 7]), "{sel 0, v -, n 7}");
    assert_eq!(decode(&all, &[1, b'b', 0, 7]), "{sel 1, v 0=\"b\", n 7}");
    assert_eq!(decode(&all, &[2, 0x40, 7]), "{sel 2, v 1=-64, n 7}");
    let overlap = format!(
        r#"sel: {U8}; v: {{"type":"variant",{location},"options":[
            {{"selector-field-ranges":[[1,3]],"field-class":{U8}}},
            {{"selector-field-ranges":[[3,4]],"field-class":{U8}}}]}}"#
    );
    assert!(matches!(
        wrong(&overlap),
        FragmentErrorKind::BadProperty {
            name: "options",
            ..
        }
    ));
}

/// Fields are bound by their names, through optionals and variants, too.
#[test]
fn fields_are_bound_by_name() {
    use crate::test_support::{TestTrace, read_with};
    use crate::{EventView, Extract};
    struct Slots;
    impl Extract for Slots {
        type Out = (
            Option<i64>,
            Option<u64>,
            Option<Vec<u8>>,
            Option<Vec<u8>>,
            Option<u64>,
        );
        fn extract(&mut self, event: &EventView<'_>) -> Option<Self::Out> {
            let bytes = |slot| event.bytes(slot).map(<[u8]>::to_vec);
            Some((event.i64(0), event.u64(1), bytes(2), bytes(3), event.u64(4)))
        }
    }
    let location = r#""selector-field-location":{"path":["sel"]}"#;
    let inner = super::structure(&format!(
        r#"deep: {U8}; s: {{"type":"static-length-string","length":3}}"#
    ));
    let members = format!(
        r#"_n: {{"type":"variable-length-signed-integer"}}; sel: {U8};
           o: {{"type":"optional",{location},"selector-field-ranges":[[1,1]],"field-class":{inner}}};
           b: {{"type":"dynamic-length-blob","length-field-location":{{"path":["sel"]}}}}; last: {U8}"#
    );
    let dir = TestTrace::new("");
    dir.file(
        "metadata",
        &super::sequence(&[PREAMBLE, STREAM, &event(&members)]),
    );
    let first = [0x81, 0x7f, 1, 42, b'a', 0, b'c', 0xee, 3];
    let second = [0x05, 0, 9];
    let bits = (2 + first.len() + second.len()) as u16 * 8;
    dir.file(
        "s",
        &[&bits.to_le_bytes(), first.as_slice(), &second].concat(),
    );
    let fields = ["n", "o.deep", "o.s", "b", "last"];
    let (records, problems) = read_with(&dir.open(), 0, &fields, Slots);
    assert!(problems.is_empty(), "{:?}", problems.kept());
    let records: Vec<_> = records.into_iter().map(|record| record.record).collect();
    assert_eq!(
        records[0],
        (
            Some(-127),
            Some(42),
            Some(b"a".to_vec()),
            Some(vec![0xee]),
            Some(3)
        )
    );
    assert_eq!(records[1], (Some(5), None, None, Some(vec![]), Some(9)));
}
