//! The same events in CTF 1.8 and in CTF 2, read back.

use std::sync::Arc;

use super::*;
use crate::plan::HeaderPlan;
use crate::test_support::read;
use crate::{Scope, Trace};

/// Everything of every event of every stream, as text.
fn told(dir: &Path) -> Vec<String> {
    let trace = Arc::new(Trace::open(dir).unwrap());
    assert!(trace.problems().is_empty(), "{:?}", trace.problems().kept());
    // LTTng's headers are read the fast way in both.
    let header = &trace.metadata().stream_classes()[0].header;
    assert!(matches!(header, HeaderPlan::Fixed(_)));
    let mut told = Vec::new();
    for stream in 0..trace.streams().len() {
        let coverage = trace.streams()[stream].coverage();
        told.push(format!("{coverage:?}"));
        let (events, problems) = read(&trace, stream);
        assert!(problems.is_empty(), "{:?}", problems.kept());
        for event in events {
            let event = event.record;
            let mut line = format!("{} {:?}", event.time(), event.cpu());
            line.push_str(event.class(&trace).unwrap().name());
            for scope in Scope::ALL {
                // Which blob or array of bytes the uuid is, differs.
                if scope != Scope::PacketHeader {
                    line.push_str(&format!(" {:?}", event.value(&trace, scope).unwrap()));
                }
            }
            told.push(line);
        }
    }
    told
}

#[test]
fn both_formats_say_the_same() {
    for order in [ByteOrder::Little, ByteOrder::Big] {
        for header in [HeaderKind::Compact, HeaderKind::Large] {
            let [first, second] = [Format::Ctf18, Format::Ctf2].map(|format| {
                let dir = tempfile::tempdir().unwrap();
                write_in(format, dir.path(), order, header).unwrap();
                (
                    told(dir.path()),
                    std::fs::read(dir.path().join("k_0")).unwrap(),
                )
            });
            assert_eq!(first.0.len(), 2 + 2 * 2_003);
            for (first, second) in first.0.iter().zip(&second.0) {
                assert_eq!(first, second, "{order:?} {header:?}");
            }
            assert_eq!(first.0.len(), second.0.len());
            assert!(first.1 == second.1, "streams are the same bytes");
        }
    }
}

#[test]
fn what_is_known_at_the_end_is_told_in_the_environment() {
    for format in [Format::Ctf18, Format::Ctf2] {
        let dir = tempfile::tempdir().unwrap();
        let mut config = TraceConfig {
            format,
            ..TraceConfig::default()
        };
        let classes = [EventClass::new(0, "tick", vec![Field::unsigned("_x", 32)])];
        let writer = TraceWriter::create(dir.path(), &config, &classes).unwrap();
        let mut stream = writer.stream(StreamIdentity::of_cpu("k", 0)).unwrap();
        stream.begin_packet(1).unwrap();
        stream.event(2, 0, &[0; 4]).unwrap();
        stream.end_packet(3).unwrap();
        stream.finish().unwrap();
        let before = told(dir.path());
        let missed = ("missed_events".to_owned(), EnvValue::from("3 tick"));
        config.env.push(missed);
        writer.restate(&config, &classes).unwrap();
        assert_eq!(told(dir.path()), before);
        let trace = Trace::open(dir.path()).unwrap();
        assert_eq!(trace.metadata().env_text("missed_events"), Some("3 tick"));
        assert!(!dir.path().join("metadata.new").exists());
    }
}

#[test]
fn ctf2_says_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    write_in(Format::Ctf2, dir.path(), ByteOrder::Big, HeaderKind::Large).unwrap();
    let trace = Trace::open(dir.path()).unwrap();
    let metadata = trace.metadata();
    assert_eq!(metadata.format(), "CTF 2");
    assert_eq!(metadata.uuid(), Some(*b"0123456789abcdef"));
    assert_eq!(metadata.byte_order(), crate::ByteOrder::Big);
    assert_eq!(metadata.env_text("hostname"), Some("a \"host\""));
    // 100 s - 1 cycle.
    assert_eq!(
        (
            metadata.clocks()[0].offset_s(),
            metadata.clocks()[0].offset()
        ),
        (99, 2_499_999_999)
    );
}

#[test]
fn tsdl_alone_cannot_be_written_in_ctf2() {
    let dir = tempfile::tempdir().unwrap();
    let config = TraceConfig {
        format: Format::Ctf2,
        ..TraceConfig::default()
    };
    let class = EventClass::verbatim(1, "tsdl", "string _x;");
    let refused = TraceWriter::create(dir.path(), &config, &[class]);
    assert!(matches!(refused, Err(WriteError::BadType { .. })));
}
