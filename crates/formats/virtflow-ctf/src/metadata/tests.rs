//! Tests of resolving names and assembling classes.

use super::{EnvValue, FieldType, Metadata, Scope, assemble};
use crate::bits::ByteOrder;
use crate::error::{MetadataError, MetadataErrorKind};
use crate::plan::HeaderPlan;
use crate::test_support::lttng_metadata;

const BEGIN: &str = "trace { major = 1; minor = 8; byte_order = be; };
    typealias integer { size = 8; } := u8; typealias integer { size = 8; signed = true; } := i8;";

fn metadata(rest: &str) -> Metadata {
    assemble(&format!("{BEGIN} {rest}"), None, None).unwrap_or_else(|error| panic!("{error}"))
}

fn error(rest: &str) -> MetadataErrorKind {
    assemble(&format!("{BEGIN} {rest}"), None, None)
        .expect_err(rest)
        .kind
}

#[test]
fn lttng_headers_are_recognised() {
    let text = lttng_metadata(
        r#"event { name = "a"; id = 3; stream_id = 0; fields := struct { int _x; }; };"#,
    );
    let metadata = assemble(&text, None, None).unwrap();
    assert!(matches!(metadata.streams[0].header, HeaderPlan::Fixed(fixed) if !fixed.large));
    assert_eq!(metadata.event_classes()[0].name(), "a");
    assert_eq!(
        metadata.event_classes()[0].fields().unwrap().fields()[0].name(),
        "x"
    );
    assert_eq!(metadata.env_text("hostname"), Some("h"));
    assert_eq!(metadata.env()[1].1, EnvValue::Int(2));
    let body = &metadata.events[0].body;
    assert_eq!((body.size, body.ops.len()), (32, 0));
}

#[test]
fn headers_that_only_look_alike_are_not() {
    let text = lttng_metadata("").replace("extended = 31", "extended = 30 ... 31");
    let metadata = assemble(&text, None, None).unwrap();
    assert!(matches!(
        metadata.streams[0].header,
        HeaderPlan::General { has_id: true, .. }
    ));
}

#[test]
fn native_order_is_the_traces_wherever_it_stands() {
    let text = "typealias integer { size = 16; } := u16; trace { byte_order = be; };
        event { fields := struct { u16 a; integer { size = 16; byte_order = le; } b; }; };";
    let metadata = assemble(text, Some(ByteOrder::Little), None).unwrap();
    let fields = metadata.events[0].fields.as_ref().unwrap().fields();
    let orders: Vec<_> = fields
        .iter()
        .map(|f| f.ty.int().unwrap().byte_order())
        .collect();
    assert_eq!(orders, [ByteOrder::Big, ByteOrder::Little]);
}

#[test]
fn lengths_and_tags_find_their_fields() {
    // The innermost field of a name, then enclosing structures, then earlier scopes.
    let text = "stream { packet.context := struct { u8 n; u8 p; };
            event.header := struct { u8 id; struct { u8 h; } s; };
            event.context := struct { u8 c; }; };
        event { id = 0; context := struct { u8 e; };
            fields := struct {
                u8 n; struct { u8 n; u8 a[n]; u8 b[event.fields.n]; u8 c[s.h]; } inner;
                u8 d[n]; u8 e[stream.packet.context.n]; u8 f[p]; u8 g[c]; u8 h[event.context.e];
                u8 i[inner.n]; u8 j[stream.event.header.s.h]; u8 k[stream.event.context.c];
            }; };";
    let metadata = metadata(text);
    let payload = metadata.events[0].fields.as_ref().unwrap();
    let len = |field: &FieldType| match field {
        FieldType::Sequence(sequence) => sequence.len,
        other => panic!("{other:?}"),
    };
    let reg = |field: &FieldType| field.int().and_then(|int| int.reg);
    let FieldType::Struct(inner) = &payload.field("inner").unwrap().ty else {
        panic!()
    };
    let outer_n = reg(&payload.field("n").unwrap().ty);
    let inner_n = reg(&inner.field("n").unwrap().ty);
    assert!(outer_n.is_some() && inner_n.is_some() && outer_n != inner_n);
    assert_eq!(Some(len(&inner.field("a").unwrap().ty)), inner_n);
    assert_eq!(Some(len(&inner.field("b").unwrap().ty)), outer_n);
    let stream = &metadata.streams[0];
    let header = stream.scope(Scope::EventHeader).unwrap();
    let FieldType::Struct(s) = &header.field("s").unwrap().ty else {
        panic!()
    };
    let h = reg(&s.field("h").unwrap().ty);
    assert_eq!(Some(len(&inner.field("c").unwrap().ty)), h);
    let packet = stream.scope(Scope::PacketContext).unwrap();
    let context = stream.scope(Scope::StreamContext).unwrap();
    let own = metadata.events[0].context().unwrap();
    for (name, expected) in [
        ("d", outer_n),
        ("e", reg(&packet.field("n").unwrap().ty)),
        ("f", reg(&packet.field("p").unwrap().ty)),
        ("g", reg(&context.field("c").unwrap().ty)),
        ("h", reg(&own.field("e").unwrap().ty)),
        ("i", inner_n),
        ("j", h),
        ("k", reg(&context.field("c").unwrap().ty)),
    ] {
        assert_eq!(
            Some(len(&payload.field(name).unwrap().ty)),
            expected,
            "{name}"
        );
    }
}

#[test]
fn tags_must_be_enumerations_read_before() {
    let event = |fields: &str| format!("event {{ fields := struct {{ {fields} }}; }};");
    let unknown =
        |fields: &str| matches!(error(&event(fields)), MetadataErrorKind::UnknownField(_));
    assert!(unknown("u8 a[n]; u8 n;"));
    assert!(unknown("string n; u8 a[n];"));
    assert!(unknown("struct { u8 x; } s[2]; u8 a[s.x];"));
    assert!(unknown(
        "enum : u8 { A } t; variant <t> { u8 A; } v; u8 a[v.A];"
    ));
    assert!(unknown("u8 a[event.fields.later]; u8 later;"));
    let invalid = |fields: &str| matches!(error(&event(fields)), MetadataErrorKind::Invalid(_));
    assert!(invalid("u8 t; variant <t> { u8 A; } v;"));
    assert!(invalid("variant { u8 A; } v;"));
}

#[test]
fn options_are_chosen_by_label_sign_and_order() {
    let text = "event { fields := struct {
        enum : i8 { NEG = -128 ... -1, ZERO = 0, BIG = 1 ... 1000, NEG = 5, NONE = 6 } t;
        variant <t> { u8 BIG; u8 NEG; u8 ZERO; } v; }; };";
    let metadata = metadata(text);
    let FieldType::Variant(v) = &metadata.events[0].fields.as_ref().unwrap().fields()[1].ty else {
        panic!();
    };
    let choose = |value: i64| {
        v.choose(value as u64)
            .map(|option| v.options()[option].name())
    };
    assert_eq!(choose(-128), Some("NEG"));
    assert_eq!(choose(0), Some("ZERO"));
    assert_eq!(choose(127), Some("BIG"));
    assert_eq!(
        choose(5),
        Some("BIG"),
        "the first mapping of a value counts"
    );
}

#[test]
fn what_is_given_twice_or_not_at_all() {
    assert!(matches!(
        error("stream { id = 1; }; stream { id = 1; };"),
        MetadataErrorKind::Duplicate(_)
    ));
    assert!(matches!(
        error("event { id = 1; }; event { id = 1; };"),
        MetadataErrorKind::Duplicate(what) if what == "event 1"
    ));
    assert!(matches!(
        error("stream { id = 1; }; stream { id = 2; }; event { stream_id = 3; };"),
        MetadataErrorKind::UnknownStream(3)
    ));
    assert!(matches!(
        error("event { fields := struct { integer { size = 8; map = clock.c.value; } x; }; };"),
        MetadataErrorKind::UnknownClock(name) if name == "c"
    ));
    assert!(matches!(
        error("event { fields := string; };"),
        MetadataErrorKind::Invalid(_)
    ));
    let no_order = assemble("trace { major = 1; };", None, None).unwrap_err();
    assert_eq!(no_order.kind, MetadataErrorKind::Missing("byte_order"));
    let version: MetadataError = assemble("trace { major = 2; };", None, None).unwrap_err();
    assert!(matches!(version.kind, MetadataErrorKind::Invalid(_)));
}

#[test]
fn names_that_double_are_bounded() {
    let mut text = String::from("struct s0 { u8 a; u8 b; };");
    for i in 1..40 {
        text += &format!(
            "struct s{i} {{ struct s{} a; struct s{} b; }};",
            i - 1,
            i - 1
        );
    }
    text += "event { fields := struct s39; };";
    assert!(matches!(error(&text), MetadataErrorKind::TooMany { .. }));
}

#[test]
fn unmapped_time_stamps_count_the_only_clock() {
    let text = "clock { name = c; freq = 1000; };
        stream { packet.context := struct { u8 timestamp_begin; };
            event.header := struct { u8 timestamp; }; }; event { };";
    let metadata = metadata(text);
    let header = metadata.streams[0].scope(Scope::EventHeader).unwrap();
    assert_eq!(header.fields()[0].ty.int().unwrap().clock(), Some(0));
    assert_eq!(metadata.streams[0].clock(), Some(0));
    assert_eq!(metadata.clocks()[0].name(), "c");
}
