//! Tests of the whole parser: every construct, and where errors are found.

use proptest::prelude::*;

use super::parse;
use super::raw::{Raw, RawKind, RawValue};
use crate::bits::ByteOrder;
use crate::error::{MetadataError, MetadataErrorKind};
use crate::metadata::{Base, Encoding};

/// The payload of the only event, `decls` being put before it.
fn payload(decls: &str, fields: &str) -> Vec<(String, RawKindOf)> {
    let text = format!("{decls} event {{ id = 0; fields := struct {{ {fields} }}; }};");
    let document = parse(&text).unwrap_or_else(|error| panic!("{error} in {text}"));
    let raw = document.events[0].fields.clone().unwrap();
    let RawKind::Struct { fields, .. } = &raw.kind else {
        panic!("no structure")
    };
    fields
        .iter()
        .map(|f| (f.name.to_string(), RawKindOf(f.ty.clone())))
        .collect()
}

struct RawKindOf(std::sync::Arc<Raw>);

impl std::ops::Deref for RawKindOf {
    type Target = RawKind;

    fn deref(&self) -> &RawKind {
        &self.0.kind
    }
}

fn only(decls: &str, fields: &str) -> RawKindOf {
    let mut all = payload(decls, fields);
    assert_eq!(all.len(), 1);
    all.remove(0).1
}

fn error(text: &str) -> MetadataError {
    parse(text).expect_err(text)
}

const INT: &str = "typealias integer { size = 32; } := int;";

#[test]
fn integers() {
    let RawKind::Int(int) = &*only("", "integer { size = 17; } x;") else {
        panic!()
    };
    assert_eq!(
        (int.size, int.align, int.signed, int.order),
        (17, 1, false, None)
    );
    let text = "integer { size = 0x10; align = 020; signed = TRUE; byte_order = network; \
                base = oct; encoding = ASCII; map = clock.my_clock.value; } x;";
    let RawKind::Int(int) = &*only("", text) else {
        panic!()
    };
    assert_eq!((int.size, int.align, int.signed), (16, 16, true));
    assert_eq!(int.order, Some(ByteOrder::Big));
    assert_eq!((int.base, int.encoding), (Base::Octal, Encoding::Ascii));
    assert_eq!(int.clock.as_deref(), Some("my_clock"));
    for (name, base) in [
        ("hex", Base::Hexadecimal),
        ("2", Base::Binary),
        ("u", Base::Decimal),
    ] {
        let text = format!("integer {{ size = 8; base = {name}; }} x;");
        let RawKind::Int(int) = &*only("", &text) else {
            panic!()
        };
        assert_eq!(int.base, base);
    }
    for (size, align) in [(8, 8), (64, 8), (5, 1)] {
        let text = format!("integer {{ size = {size}; }} x;");
        let RawKind::Int(int) = &*only("", &text) else {
            panic!()
        };
        assert_eq!(int.align, align);
    }
}

#[test]
fn floats_and_strings() {
    let text = "floating_point { exp_dig = 11; mant_dig = 53; byte_order = be; align = 32; } x;";
    let RawKind::Float(float) = &*only("", text) else {
        panic!()
    };
    assert_eq!((float.exp_dig, float.mant_dig, float.align), (11, 53, 32));
    assert_eq!(float.order, Some(ByteOrder::Big));
    assert!(matches!(
        *only("", "string x;"),
        RawKind::String(Encoding::Utf8)
    ));
    let ascii = only("", "string { encoding = ASCII; } x;");
    assert!(matches!(*ascii, RawKind::String(Encoding::Ascii)));
}

#[test]
fn enumerations() {
    let text = r#"enum : int { A, B, "C d" = 5, D, E = -3 ... -1, F, A = 7 ... 9, } x;"#;
    let RawKind::Enum(_, mappings) = &*only(INT, text) else {
        panic!()
    };
    let got: Vec<_> = mappings
        .iter()
        .map(|m| (&*m.label, m.low, m.high))
        .collect();
    let expected = [
        ("A", 0, 0),
        ("B", 1, 1),
        ("C d", 5, 5),
        ("D", 6, 6),
        ("E", -3, -1),
        ("F", 0, 0),
        ("A", 7, 9),
    ];
    assert_eq!(got, expected);
    // Named, used before and after its only definition's line; and the default container.
    let named = "enum colour : int { RED = 1 }; enum plain { ONE = 1 };";
    let decls = format!("{INT} {named}");
    assert!(matches!(*only(&decls, "enum colour x;"), RawKind::Enum(..)));
    assert!(matches!(*only(&decls, "enum plain x;"), RawKind::Enum(..)));
    let inline = "enum : integer { size = 8; signed = 1; } { X = -1 } x;";
    assert!(matches!(*only("", inline), RawKind::Enum(..)));
}

#[test]
fn structures_and_scopes() {
    let decls = "struct inner { int a; struct deeper { int b; } c; } align(16); \
                 typedef struct inner inner_t;";
    let decls = format!("{INT} {decls}");
    let fields = payload(
        &decls,
        "struct inner x, y; inner_t z; struct { } align(8) empty;",
    );
    assert_eq!(fields.len(), 4);
    let RawKind::Struct {
        fields: members,
        align,
    } = &*fields[2].1
    else {
        panic!()
    };
    assert_eq!((members.len(), *align), (2, 16));
    // What a block declares is gone behind it.
    let text =
        format!("{INT} trace {{ typedef int t; }}; event {{ fields := struct {{ t x; }}; }};");
    assert!(matches!(error(&text).kind, MetadataErrorKind::UnknownType(name) if name == "t"));
    // An inner declaration hides an outer one.
    let hidden = "typealias integer { size = 8; } := int; int x;";
    let RawKind::Int(int) = &*only(INT, hidden) else {
        panic!()
    };
    assert_eq!(int.size, 8);
}

#[test]
fn variants() {
    let decls = format!("{INT} variant v {{ int A; string B; }}; enum e : int {{ A, B }};");
    let fields = payload(
        &decls,
        "enum e tag; variant v <tag> one; variant <tag> { int A; } two;",
    );
    let RawKind::Variant { tag, options } = &*fields[1].1 else {
        panic!()
    };
    assert_eq!(
        (tag.as_ref().unwrap().text(), options.len()),
        ("tag".to_owned(), 2)
    );
    assert!(matches!(
        &*fields[2].1,
        RawKind::Variant { tag: Some(_), .. }
    ));
    let tagged = "variant w <stream.event.header.id> { int A; } x;";
    let RawKind::Variant { tag, .. } = &*only(INT, tagged) else {
        panic!()
    };
    assert_eq!(tag.as_ref().unwrap().parts.len(), 4);
}

#[test]
fn arrays_and_sequences() {
    let fields = payload(
        INT,
        "int n; int a[2][3]; int s[n]; int m[4][event.fields.n];",
    );
    let RawKind::Array { element, len: 2 } = &*fields[1].1 else {
        panic!()
    };
    assert!(matches!(element.kind, RawKind::Array { len: 3, .. }));
    assert!(matches!(&*fields[2].1, RawKind::Sequence { len, .. } if len.text() == "n"));
    let RawKind::Array { element, len: 4 } = &*fields[3].1 else {
        panic!()
    };
    assert!(matches!(&element.kind, RawKind::Sequence { .. }));
    let decls = format!("{INT} typedef int four[4]; typealias int [2] := pair;");
    assert!(matches!(
        *only(&decls, "four x;"),
        RawKind::Array { len: 4, .. }
    ));
    assert!(matches!(
        *only(&decls, "pair x;"),
        RawKind::Array { len: 2, .. }
    ));
}

#[test]
fn type_names_of_many_words() {
    let decls = "typealias integer { size = 64; } := unsigned long long; \
                 typealias integer { size = 64; } := const char *; \
                 typealias integer { size = 8; } := char;";
    let fields = payload(
        decls,
        "unsigned long long a; const char * b; char c; const char d;",
    );
    let sizes: Vec<u32> = fields
        .iter()
        .map(|(_, ty)| match &**ty {
            RawKind::Int(int) => int.size,
            _ => 0,
        })
        .collect();
    assert_eq!(sizes, [64, 64, 8, 8]);
}

#[test]
fn blocks() {
    let text = r#"
        /* comment // */ // another /*
        trace { major = 1; minor = 8; byte_order = be; unknown.thing = 3;
                uuid = "00010203-0405-0607-0809-0a0B0c0D0e0F"; };
        env { hostname = "a\"b\\\n\x41\101" "c"; n = -5; u = +7; domain = kernel; };
        clock { name = cycles; freq = 27UL; offset_s = -2; offset = 9; precision = 3;
                absolute = true; description = "one \
two"; };
        stream { id = 1; };
        event { name = "x:y"; id = 7; stream_id = 1; loglevel = 13; model.emf.uri = "u"; }
        callsite { name = "x"; nested { a = b; }; };
    "#;
    let document = parse(text).unwrap();
    assert_eq!(document.trace.uuid.unwrap()[15], 15);
    assert_eq!(document.trace.order, Some(ByteOrder::Big));
    assert_eq!(document.env[0].1, RawValue::Text("a\"b\\\nAAc".into()));
    assert_eq!(document.env[1].1, RawValue::Number(-5));
    assert_eq!(document.env[3].1, RawValue::Path("kernel".into()));
    let clock = &document.clocks[0];
    assert_eq!(
        (clock.freq, clock.offset_s, clock.offset, clock.absolute),
        (27, -2, 9, true)
    );
    assert_eq!(clock.description, "one two");
    let event = &document.events[0];
    assert_eq!(
        (event.id, event.stream, event.loglevel),
        (Some(7), Some(1), Some(13))
    );
    assert_eq!(event.emf_uri.as_deref(), Some("u"));
}

#[test]
fn errors_have_line_and_column() {
    let at = |text: &str| {
        let error = error(text);
        (error.line, error.column)
    };
    assert_eq!(at("trace {\n  major = ;\n};"), (2, 11));
    assert_eq!(at("event {\n\n fields := struct { nope x; }; };"), (3, 21));
    assert_eq!(at("\n  \"open"), (2, 3));
    assert_eq!(at("/* open"), (1, 1));
    assert_eq!(at("trace { uuid = \"00\"; };"), (1, 16));
    assert_eq!(at("typealias integer { size = 65; } := x;"), (1, 28));
    assert_eq!(at("env { x = 99999999999999999999; };"), (1, 11));
    assert_eq!(at("event { \u{1}"), (1, 9));
    assert_eq!(at("event {"), (1, 8));
    let text = error("trace { major = }").to_string();
    assert_eq!(text, "1:17: expected a value, found `}`");
}

#[test]
fn wrong_types_are_refused() {
    for text in [
        "typealias integer { align = 8; } := x;",
        "typealias integer { size = 0; } := x;",
        "typealias integer { size = 8; align = 3; } := x;",
        "typealias integer { size = 8; align = 131072; } := x;",
        "typealias integer { size = -8; } := x;",
        "typealias integer { size = 8; } := x; typealias integer { size = 8; } := x;",
        "typealias integer { size = 8; byte_order = middle; } := x;",
        "typealias floating_point { exp_dig = 8; } := x;",
        "typealias enum : string { A } := x;",
        "typealias enum : integer { size = 8; } { A = 3 ... 2 } := x;",
        "typealias enum { A } := x;",
        "typealias variant <t> { } := x;",
        "typealias struct { string a; string a; } := x;",
        "typealias string [-1] := x;",
        "clock { freq = 0; name = x; };",
        "clock { freq = 1; };",
        "clock { name = a; }; clock { name = a; };",
        "trace { byte_order = native; };",
        "stream { event.header := string; event.header := string; };",
        "nonsense { };",
    ] {
        error(text);
    }
}

#[test]
fn nesting_is_bounded() {
    let deep = |n: usize| {
        format!(
            "typealias {}string x;{} := t;",
            "struct { ".repeat(n),
            "} x;".repeat(n)
        )
    };
    let text = deep(100_000);
    assert!(matches!(error(&text).kind, MetadataErrorKind::TooDeep(_)));
    // Through names, no expression is deep.
    let mut text = String::from("struct s0 { string x; };");
    for i in 1..100 {
        text += &format!("struct s{i} {{ struct s{} x; }};", i - 1);
    }
    assert!(matches!(error(&text).kind, MetadataErrorKind::TooDeep(_)));
    let brackets = format!("typealias string {} := t;", "[1]".repeat(10_000));
    assert!(matches!(
        error(&brackets).kind,
        MetadataErrorKind::TooDeep(_)
    ));
}

#[test]
fn declarations_are_bounded() {
    let text = format!(
        "typealias enum : integer {{ size = 8; }} {{ {} }} := t;",
        "A,".repeat(super::ITEMS_MAX as usize + 1)
    );
    assert!(matches!(
        error(&text).kind,
        MetadataErrorKind::TooMany { .. }
    ));
}

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_heap_of_tokens_panics(tokens in proptest::collection::vec(
        proptest::sample::select(vec![
            "struct", "variant", "enum", "integer", "string", "typedef", "typealias", "trace",
            "event", "fields", ":=", "=", "{", "}", "[", "]", "<", ">", ";", ",", ".", "...", "-",
            "x", "int", "3", "size", "\"s\"", "align", "(", ")", ":", "*", "\\", "'a'", "L",
        ]), 0..60)) {
        let _ = parse(&tokens.join(" "));
    }
}
