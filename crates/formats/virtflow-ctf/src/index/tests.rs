//! Tests of finding packets: by LTTng's index, by their headers, and in broken files.

use proptest::prelude::*;
use virtflow_base::{CpuId, LossKind, ProblemKind, Timestamp};

use crate::Trace;
use crate::test_support::{LttngPacket, TestTrace, lttng_metadata, read};

const EVENTS: &str = r#"event { name = "tick"; id = 1; stream_id = 0;
    fields := struct { uint32_t _n; }; };"#;

fn packet(number: u64) -> LttngPacket {
    let begin = 100 * number;
    let mut packet = LttngPacket::new(begin, begin + 90);
    packet.sequence = number;
    packet.cpu = 3;
    (0..4).fold(packet, |packet, i| {
        packet.compact(1, begin + i, &[i as u8, 0, 0, 0])
    })
}

fn packets(n: u64) -> Vec<LttngPacket> {
    (0..n).map(packet).collect()
}

fn file(packets: &[LttngPacket]) -> Vec<u8> {
    packets.iter().flat_map(LttngPacket::bytes).collect()
}

fn index(packets: &[LttngPacket]) -> Vec<u8> {
    let mut out = Vec::new();
    for word in [0xc1f1_dcc1_u32, 1, 1, 72] {
        out.extend(word.to_be_bytes());
    }
    let mut offset = 0;
    for packet in packets {
        let (content, size) = packet.sizes();
        let words = [
            offset,
            size,
            content,
            packet.begin,
            packet.end,
            packet.discarded,
            0,
            packet.instance,
            packet.sequence,
        ];
        words
            .iter()
            .for_each(|word: &u64| out.extend(word.to_be_bytes()));
        offset += size / 8;
    }
    out
}

fn trace(file: &[u8], index: Option<&[u8]>) -> (TestTrace, std::sync::Arc<Trace>) {
    let dir = TestTrace::new(&lttng_metadata(EVENTS));
    dir.file("k_3", file);
    if let Some(index) = index {
        dir.file("index/k_3.idx", index);
    }
    let trace = dir.open();
    (dir, trace)
}

#[test]
fn a_right_index_says_what_the_packets_say() {
    let packets = packets(3);
    let (_scanned_dir, scanned) = trace(&file(&packets), None);
    let (_indexed_dir, indexed) = trace(&file(&packets), Some(&index(&packets)));
    assert!(indexed.problems().is_empty() && scanned.problems().is_empty());
    assert_eq!(
        indexed.streams()[0].packets(),
        scanned.streams()[0].packets()
    );
    assert_eq!(
        indexed.streams()[0].coverage(),
        scanned.streams()[0].coverage()
    );
    let stream = &indexed.streams()[0];
    assert_eq!((stream.cpu(), stream.class_id()), (Some(CpuId(3)), 0));
    assert_eq!(stream.instance_id(), Some(0));
    assert_eq!(
        stream.packets()[1].begin(),
        Some(Timestamp::from_nanos(1100))
    );
    assert_eq!(indexed.count(2).total, 12);
}

#[test]
fn wrong_indexes_are_ignored_with_a_problem() {
    let packets = packets(3);
    let right = index(&packets);
    let mut wrong = vec![
        right[..right.len() - 1].to_vec(),
        right[..16 + 72].to_vec(),
        vec![],
    ];
    for at in [0, 12, 16 + 7, 16 + 15, 16 + 72 + 7, 16 + 24, 16 + 55] {
        let mut copy = right.clone();
        copy[at] ^= 1;
        wrong.push(copy);
    }
    for wrong in wrong {
        let (_dir, trace) = trace(&file(&packets), Some(&wrong));
        assert_eq!(trace.problems().total(), 1);
        assert_eq!(trace.problems().kept()[0].kind, ProblemKind::Contradiction);
        assert_eq!(trace.streams()[0].packets().len(), 3);
        assert_eq!(trace.count(1).total, 12);
    }
}

#[test]
fn a_packet_is_believed_rather_than_its_index() {
    let packets = packets(3);
    let mut wrong = index(&packets);
    wrong[16 + 72 + 31] ^= 1;
    let (_dir, trace) = trace(&file(&packets), Some(&wrong));
    assert!(trace.problems().is_empty());
    let counts = trace.count(1);
    assert_eq!(counts.total, 12);
    assert_eq!(counts.problems.kept()[0].kind, ProblemKind::Contradiction);
}

proptest! {
    #[test]
    fn indexes_turned_over(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let packets = packets(3);
        let mut wrong = index(&packets);
        for (at, byte) in changes {
            let at = at.index(wrong.len());
            wrong[at] = byte;
        }
        let (_dir, trace) = trace(&file(&packets), Some(&wrong));
        prop_assert!(trace.count(1).total <= 12);
        let (events, _) = read(&trace, 0);
        prop_assert_eq!(events.len() as u64, trace.count(2).total);
    }
}

#[test]
fn empty_files_and_other_files() {
    let dir = TestTrace::new(&lttng_metadata(EVENTS));
    dir.file("k_0", &[]).file(".hidden", b"x").file("README", b"not a stream at all, but long enough to hold a header of its own, which is nowhere near 0xc1fc1fc1");
    let trace = dir.open();
    assert!(trace.streams().is_empty());
    assert_eq!(trace.problems().total(), 1, "{:?}", trace.problems().kept());
    assert_eq!(trace.count(4).total, 0);
}

#[test]
fn losses_of_events_and_packets() {
    let mut packets = packets(3);
    (
        packets[1].discarded,
        packets[2].discarded,
        packets[2].sequence,
    ) = (5, 5, 4);
    let (_dir, trace) = trace(&file(&packets), Some(&index(&packets)));
    let losses = &trace.streams()[0].coverage().losses;
    assert_eq!(losses.len(), 2);
    assert_eq!(losses[0].kind, LossKind::Events(5));
    assert_eq!(losses[0].span.start, Timestamp::from_nanos(1090));
    assert_eq!(losses[0].span.end, Timestamp::from_nanos(1190));
    assert_eq!(losses[1].kind, LossKind::Packets(2));
}

#[test]
fn files_of_one_stream_are_joined_in_order_of_time() {
    let packets = packets(3);
    let dir = TestTrace::new(&lttng_metadata(EVENTS));
    dir.file("k_0_1", &file(&packets[..1]))
        .file("k_0_0", &file(&packets[1..]));
    let mut other = packet(7);
    other.instance = 1;
    dir.file("k_1_0", &other.bytes());
    let trace = dir.open();
    assert_eq!(trace.streams().len(), 2);
    let stream = &trace.streams()[0];
    assert_eq!(stream.paths().len(), 2);
    assert!(stream.path().ends_with("k_0_1"));
    let (events, problems) = read(&trace, 0);
    assert!(problems.is_empty(), "{:?}", problems.kept());
    assert!(events.is_sorted_by_key(|event| event.time));
    assert_eq!(events.len(), 12);
}

#[test]
fn behind_broken_bytes_the_next_packet_is_found() {
    let packets = packets(3);
    let mut bytes = file(&packets);
    let second = (packets[0].sizes().1 / 8) as usize;
    bytes[second] ^= 0xff;
    let (_dir, trace) = trace(&bytes, None);
    let stream = &trace.streams()[0];
    assert_eq!(stream.packets().len(), 2);
    assert_eq!(trace.problems().kept()[0].kind, ProblemKind::Corrupt);
    assert!(
        stream
            .coverage()
            .losses
            .iter()
            .any(|loss| loss.kind == LossKind::Unreadable
                && loss.span.start == Timestamp::from_nanos(1090)
                && loss.span.end == Timestamp::from_nanos(1200))
    );
    assert_eq!(trace.count(1).total, 8);
}

#[test]
fn a_cut_file_covers_up_to_its_last_event() {
    let packets = packets(2);
    let bytes = file(&packets);
    // The last event lacks its last byte.
    let cut = bytes.len() - packets[1].padding - 1;
    let (_dir, trace) = trace(&bytes[..cut], Some(&index(&packets)));
    let kinds: Vec<_> = trace
        .problems()
        .kept()
        .iter()
        .map(|problem| problem.kind)
        .collect();
    assert_eq!(kinds, [ProblemKind::Contradiction, ProblemKind::Truncated]);
    let loss = trace.streams()[0].coverage().losses[0];
    assert_eq!(loss.kind, LossKind::Unreadable);
    assert_eq!(loss.span.start, Timestamp::from_nanos(1102));
    assert_eq!(loss.span.end, Timestamp::from_nanos(1190));
    let counts = trace.count(1);
    assert_eq!(counts.total, 7);
    assert_eq!(counts.problems.kept()[0].kind, ProblemKind::Truncated);
}

#[test]
fn packets_without_times_get_those_of_their_events() {
    let metadata = "trace { byte_order = le; };
        typealias integer { size = 8; } := u8;
        typealias integer { size = 8; map = clock.c.value; } := time8;
        clock { name = c; freq = 1000000000; };
        stream { packet.context := struct { u8 packet_size; u8 content_size; };
            event.header := struct { time8 timestamp; }; };
        event { fields := struct { u8 x; }; };";
    let dir = TestTrace::new(metadata);
    // Two packets of four bytes, one event each; the clock goes once around between them.
    dir.file("s", &[32, 32, 200, 1, 32, 32, 100, 2]);
    let trace = dir.open();
    assert!(trace.problems().is_empty(), "{:?}", trace.problems().kept());
    let span = trace.streams()[0].coverage().span.unwrap();
    assert_eq!((span.start.as_nanos(), span.end.as_nanos()), (200, 356));
    let (events, _) = read(&trace, 0);
    assert_eq!(events[1].time.as_nanos(), 356);
}

#[test]
fn nothing_but_beginnings_of_packets_is_one_hole_and_no_work() {
    let packet = packet(0).bytes();
    let mut bytes = packet.clone();
    (0..20_000).for_each(|_| bytes.extend(&packet[..20]));
    let (_dir, trace) = trace(&bytes, None);
    assert_eq!(trace.streams()[0].packets().len(), 1);
    let losses = &trace.streams()[0].coverage().losses;
    assert_eq!(losses.len(), 1, "not one for each beginning: {losses:?}");
}
