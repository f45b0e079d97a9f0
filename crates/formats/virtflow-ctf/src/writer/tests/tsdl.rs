use super::*;
use crate::writer::metadata::text;

#[test]
fn a_negative_offset_becomes_seconds() {
    let clock = Clock {
        freq: 10,
        offset: -1,
        ..Clock::default()
    };
    let config = TraceConfig {
        clock,
        ..TraceConfig::default()
    };
    let tsdl = text(&config, &[]).unwrap();
    assert!(tsdl.contains("\toffset_s = -1;\n"), "{tsdl}");
    assert!(tsdl.contains("\toffset = 9;\n"), "{tsdl}");
}

#[test]
fn names_and_types_that_tsdl_has_not_are_refused() {
    let config = TraceConfig::default();
    let with = |field: Field| text(&config, &[EventClass::new(0, "e", vec![field])]);
    assert!(matches!(
        with(Field::unsigned("a b", 8)),
        Err(WriteError::BadName(_))
    ));
    assert!(matches!(
        with(Field::unsigned("event", 8)),
        Err(WriteError::BadName(_))
    ));
    assert!(matches!(
        with(Field::unsigned("_x", 65)),
        Err(WriteError::BadType { .. })
    ));
    let nested = FieldType::Array(Box::new(FieldType::Text(4)), 2);
    assert!(matches!(
        with(Field::new("_x", nested)),
        Err(WriteError::BadType { .. })
    ));
    assert!(with(Field::unsigned("_event", 64)).is_ok());
}
