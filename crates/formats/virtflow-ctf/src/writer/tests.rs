//! The bytes that are written, and what babeltrace2 makes of them.

mod babeltrace;
mod formats;
mod layout;
mod tsdl;

use std::path::Path;

use super::*;

/// One class with every kind of field, and one for many small events.
fn classes() -> Vec<EventClass> {
    classes_in(ByteOrder::Little)
}

fn classes_in(order: ByteOrder) -> Vec<EventClass> {
    let big = order == ByteOrder::Big;
    let pairs = FieldType::Struct(vec![Field::unsigned("_a", 8), Field::signed("_b", 16)]);
    let colours = FieldType::Enum(
        IntegerType::unsigned(8),
        vec![("red".into(), 0, 0), ("blue".into(), 1, 9)],
    );
    let sequence = FieldType::Sequence {
        length: "_n".into(),
        element: Box::new(FieldType::Integer(IntegerType::signed(32))),
    };
    let numbers = FieldType::Array(Box::new(FieldType::Integer(IntegerType::unsigned(24))), 2);
    let all = vec![
        Field::text("_comm", 16),
        Field::signed("_neg", 64),
        Field::hex("_addr", 64),
        Field::unsigned("_odd", 13),
        Field::string("_name"),
        Field::unsigned("_n", 8),
        Field::new("_seq", sequence),
        Field::new("_numbers", numbers),
        Field::new("_pair", pairs),
        Field::new("_colour", colours),
    ];
    let one = Field::unsigned("_value", 32);
    let raw = "enum : integer { size = 8; align = 8; signed = 0; } { \"_x\" = 0, \"_y\" = 1 } _tag;\n\
               variant <_tag> { string _x; integer { size = 32; align = 8; signed = 0; } _y; } _v;";
    let ctf2 = r#"{"name":"tag","field-class":{"type":"fixed-length-unsigned-integer","length":8,
            "byte-order":"little-endian","alignment":8,"mappings":{"_x":[[0,0]],"_y":[[1,1]]}}},
        {"name":"v","field-class":{"type":"variant","selector-field-location":{"path":["tag"]},"options":[
            {"name":"x","selector-field-ranges":[[0,0]],"field-class":{"type":"null-terminated-string"}},
            {"name":"y","selector-field-ranges":[[1,1]],"field-class":{"type":"fixed-length-unsigned-integer",
             "length":32,"byte-order":"ORDER-endian","alignment":8}}]}}"#;
    let raw = Verbatim {
        tsdl: raw.into(),
        ctf2: Some(ctf2.replace("ORDER", if big { "big" } else { "little" })),
    };
    vec![
        EventClass::new(0, "all", all),
        EventClass::new(7, "one", vec![one]),
        EventClass {
            id: 70_000,
            name: "raw".into(),
            fields: vec![Field::new("", FieldType::Verbatim(raw))],
        },
    ]
}

fn values() -> Vec<Value> {
    let list = |items: &[i64]| Value::List(items.iter().map(|&i| Value::from(i)).collect());
    vec![
        "CPU 0/KVM".into(),
        (-5).into(),
        Value::Integer(0xffff_8881_0000_0000),
        0x1abc.into(),
        "a name".into(),
        2.into(),
        list(&[-1, 7]),
        list(&[1, 0x00ff_fffe]),
        list(&[3, -300]),
        4.into(),
    ]
}

/// A trace of two streams with every class, long gaps, several packets and a loss.
fn write(dir: &Path, order: ByteOrder, header: HeaderKind) -> Result<(), WriteError> {
    write_in(Format::Ctf18, dir, order, header)
}

fn write_in(
    format: Format,
    dir: &Path,
    order: ByteOrder,
    header: HeaderKind,
) -> Result<(), WriteError> {
    let stream = StreamConfig {
        uuid: *b"0123456789abcdef",
        byte_order: order,
        header,
        packet_bytes_max: 4096,
        packet_bytes_multiple: 512,
    };
    let clock = Clock {
        freq: 2_500_000_000,
        offset_s: 100,
        offset: -1,
        ..Clock::default()
    };
    let env = vec![("hostname".to_owned(), EnvValue::from("a \"host\""))];
    let context = vec![Field::signed("_tid", 32)];
    let config = TraceConfig {
        format,
        stream,
        clock,
        env,
        event_context: context,
    };
    let classes = classes_in(order);
    let trace = TraceWriter::create(dir, &config, &classes)?;
    for cpu in 0..2 {
        let mut out = trace.stream(StreamIdentity::of_cpu("k", cpu))?;
        let mut payload = Payload::new(order);
        payload.i32(42);
        classes[0].encode(&values(), &mut payload)?;
        out.event(1_000, 0, payload.as_bytes())?;
        out.event(1_000 + (1 << 40), 0, payload.as_bytes())?;
        payload.clear().i32(-1).u8(1).u32(99);
        out.event(1_001 + (1 << 40), 70_000, payload.as_bytes())?;
        for n in 0..2_000_u32 {
            payload.clear().i32(43).u32(n);
            out.event(
                2_000 + (1 << 40) + u64::from(n) * 1_000_000,
                7,
                payload.as_bytes(),
            )?;
        }
        out.set_discarded(3);
        let totals = out.finish()?;
        assert_eq!(totals.events, 2_003);
    }
    Ok(())
}
