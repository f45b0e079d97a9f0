//! Broken input: problems, never panics, never without end.

use proptest::prelude::*;
use virtflow_base::{LossKind, ProblemKind, RecordSource};

use crate::test_support::{Keep, LttngPacket, TestTrace, lttng_metadata, read};
use crate::{Scope, Wanted};

const EVENTS: &str = r#"
event { name = "fixed"; id = 1; stream_id = 0; fields := struct { uint32_t _n; }; };
event { name = "text"; id = 2; stream_id = 0; fields := struct { string _s; uint16_t _n; }; };
event { name = "sequence"; id = 3; stream_id = 0;
    fields := struct { uint64_t __n; uint32_t _s[__n]; }; };
event { name = "nested"; id = 4; stream_id = 0;
    fields := struct { uint64_t __n; struct { string a; } _s[__n]; }; };
event { name = "choice"; id = 5; stream_id = 0;
    fields := struct { enum : uint8_t { A = 1 } _t; variant <_t> { uint8_t A; } _v; }; };
event { name = "nothing"; id = 6; stream_id = 0;
    fields := struct { uint64_t __n; struct { } _s[__n][__n]; }; };
"#;

fn packets() -> Vec<u8> {
    let first = LttngPacket::new(10, 90)
        .compact(1, 20, &[1, 0, 0, 0])
        .compact(2, 30, b"text\0\x05\x00")
        .extended(3, 40, &[2, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
    let second = LttngPacket::new(100, 190)
        .compact(4, 120, b"\x02\0\0\0\0\0\0\0a\0bc\0")
        .compact(5, 130, &[1, 7])
        .compact(6, 140, &[3, 0, 0, 0, 0, 0, 0, 0]);
    [first.bytes(), second.bytes()].concat()
}

/// Opens, counts, reads and shows everything; how many events there were.
fn exercise(dir: &TestTrace) -> usize {
    let trace = dir.open();
    let counted = trace.count(2).total;
    let mut read_events = 0;
    for stream in 0..trace.streams().len() {
        let (events, _) = read(&trace, stream);
        read_events += events.len();
        for event in events {
            let _ = event.record.visit(&trace, &Scope::ALL, &mut |_, _| {});
        }
    }
    assert_eq!(counted, read_events as u64);
    read_events
}

#[test]
fn whole() {
    let dir = TestTrace::new(&lttng_metadata(EVENTS));
    dir.file("k_0", &packets());
    assert!(dir.open().problems().is_empty());
    assert_eq!(exercise(&dir), 6);
}

#[test]
fn cut_at_every_byte() {
    let dir = TestTrace::new(&lttng_metadata(EVENTS));
    let whole = packets();
    let mut before = 0;
    for len in 0..whole.len() {
        dir.file("k_0", &whole[..len]);
        let events = exercise(&dir);
        assert!(
            events >= before && events <= 6,
            "{len}: {before} then {events}"
        );
        before = events;
        let trace = dir.open();
        let problems = trace.problems().total();
        assert_eq!(problems > 0, len > 0 && !at_packet_end(&whole, len));
    }
}

fn at_packet_end(whole: &[u8], len: usize) -> bool {
    len == whole.len() || whole[len..].starts_with(&whole[..4])
}

#[test]
fn a_file_that_shrinks_while_it_is_read() {
    let dir = TestTrace::new(&lttng_metadata(EVENTS));
    let whole = packets();
    dir.file("k_0", &whole);
    let trace = dir.open();
    dir.file("k_0", &whole[..whole.len() / 3]);
    let (events, problems) = read(&trace, 0);
    assert!(events.len() < 6);
    assert_eq!(problems.total(), 2, "{:?}", problems.kept());
    assert!(
        problems
            .kept()
            .iter()
            .all(|problem| problem.kind == ProblemKind::Truncated)
    );
    std::fs::remove_file(dir.path().join("k_0")).unwrap();
    let (events, problems) = read(&trace, 0);
    assert!(events.is_empty());
    assert_eq!(problems.kept()[0].kind, ProblemKind::Io);
}

fn one(packet: LttngPacket) -> (Vec<ProblemKind>, usize) {
    let dir = TestTrace::new(&lttng_metadata(EVENTS));
    let good = LttngPacket::new(500, 600).compact(1, 550, &[0; 4]);
    dir.file("k_0", &[packet.bytes(), good.bytes()].concat());
    let trace = dir.open();
    let (events, problems) = read(&trace, 0);
    exercise(&dir);
    (
        problems.kept().iter().map(|problem| problem.kind).collect(),
        events.len(),
    )
}

#[test]
fn the_next_packet_is_read_after_a_broken_one() {
    let packet = || LttngPacket::new(10, 90).compact(1, 20, &[0; 4]);
    assert_eq!(one(packet()), (vec![], 2));
    assert_eq!(
        one(packet().compact(7, 30, &[])),
        (vec![ProblemKind::Undescribed], 2)
    );
    assert_eq!(
        one(packet().extended(1 << 30, 30, &[])),
        (vec![ProblemKind::Undescribed], 2)
    );
    assert_eq!(
        one(packet().compact(5, 30, &[2, 0])),
        (vec![ProblemKind::Corrupt], 2)
    );
    assert_eq!(
        one(packet().compact(2, 30, b"no end")),
        (vec![ProblemKind::Corrupt], 2)
    );
}

#[test]
fn hostile_lengths() {
    for n in [u64::MAX, 1 << 63, 1 << 40, 1 << 20] {
        let packet = |id| LttngPacket::new(10, 90).compact(id, 20, &n.to_le_bytes());
        assert_eq!(one(packet(3)), (vec![ProblemKind::Corrupt], 1));
        assert_eq!(one(packet(4)), (vec![ProblemKind::Corrupt], 1));
        // Elements of no size are read, and shown up to a bound.
        assert_eq!(one(packet(6)), (vec![], 2));
    }
}

#[test]
fn what_was_left_out_is_told_as_a_loss() {
    let dir = TestTrace::new(&lttng_metadata(EVENTS));
    let packet = LttngPacket::new(10, 90)
        .compact(1, 20, &[0; 4])
        .compact(7, 30, &[]);
    dir.file("k_0", &packet.bytes());
    let trace = dir.open();
    let bound = trace.bind(|_| Some(Wanted::default()));
    let mut reader = trace.reader(0, bound.into(), Keep);
    while reader.fill(&mut Vec::new(), 9) == virtflow_base::Fill::More {}
    let losses = reader.take_losses();
    assert_eq!(losses.len(), 1);
    assert_eq!(losses[0].kind, LossKind::Unreadable);
    assert_eq!(
        (
            losses[0].span.start.as_nanos(),
            losses[0].span.end.as_nanos()
        ),
        (1020, 1090)
    );
}

#[test]
fn events_that_take_no_space_end() {
    let dir = TestTrace::new("trace { byte_order = le; }; event { fields := struct { }; };");
    dir.file("s", &[0; 100]);
    let trace = dir.open();
    let (events, problems) = read(&trace, 0);
    assert!(events.is_empty());
    assert_eq!(problems.kept()[0].kind, ProblemKind::Corrupt);
    assert_eq!(trace.count(1).total, 0);
}

#[test]
fn an_event_larger_than_the_window_grows_it_and_one_larger_than_that_is_refused() {
    let text = |len: usize| [vec![b'x'; len], vec![0, 1, 0]].concat();
    for (len, expected) in [(300 << 10, 3), (5 << 20, 3), (17 << 20, 1)] {
        let packet = LttngPacket::new(10, 90)
            .compact(1, 15, &[0; 4])
            .compact(2, 20, &text(len))
            .compact(1, 25, &[0; 4]);
        let dir = TestTrace::new(&lttng_metadata(EVENTS));
        dir.file("k_0", &packet.bytes());
        let trace = dir.open();
        let (events, problems) = read(&trace, 0);
        assert_eq!(events.len(), expected);
        let kinds: Vec<_> = problems.kept().iter().map(|problem| problem.kind).collect();
        assert_eq!(
            kinds,
            if expected == 1 {
                vec![ProblemKind::TooLarge]
            } else {
                vec![]
            }
        );
        assert_eq!(trace.count(1).total, expected as u64);
    }
}

#[test]
fn many_windows_of_one_packet() {
    let mut packet = LttngPacket::new(0, 1 << 20);
    for i in 0..60_000_u64 {
        packet = packet.compact(2, i, format!("{i}\0ab").as_bytes());
    }
    let dir = TestTrace::new(&lttng_metadata(EVENTS));
    dir.file("k_0", &packet.bytes());
    let trace = dir.open();
    let (events, problems) = read(&trace, 0);
    assert!(problems.is_empty(), "{:?}", problems.kept());
    assert_eq!(events.len(), 60_000);
    assert_eq!(events[59_999].time.as_nanos(), 60_999);
    assert_eq!(trace.count(3).by_class, [0, 60_000, 0, 0, 0, 0]);
}

#[test]
fn a_ctf_2_trace_and_wrong_metadata_are_told_apart() {
    let error = |metadata: &str| {
        let dir = TestTrace::new(metadata);
        crate::Trace::open(dir.path()).unwrap_err().to_string()
    };
    assert!(error("\u{1e}{\"type\":\"preamble\"}").contains("`version` is missing"));
    assert!(error("trace {\n oops\n};").contains("metadata:3:1: expected `=`"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn bytes_turned_over(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let dir = TestTrace::new(&lttng_metadata(EVENTS));
        let mut bytes = packets();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        dir.file("k_0", &bytes);
        exercise(&dir);
    }

    #[test]
    fn metadata_turned_over(changes in proptest::collection::vec((any::<prop::sample::Index>(), 32_u8..127), 1..4)) {
        let mut text = lttng_metadata(EVENTS).into_bytes();
        for (at, byte) in changes {
            let at = at.index(text.len());
            text[at] = byte;
        }
        let dir = TestTrace::new(std::str::from_utf8(&text).unwrap());
        dir.file("k_0", &packets());
        if crate::Trace::open(dir.path()).is_ok() {
            exercise(&dir);
        }
    }
}
