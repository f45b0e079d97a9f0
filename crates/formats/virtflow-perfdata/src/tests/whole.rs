//! Files that are as they should be.

use super::*;
use crate::writer::CONTEXT_SWITCH;
use virtflow_base::{CpuId, Loss, LossKind, Span};

fn span(from: i64, to: i64) -> Span {
    Span::new(Timestamp::from_nanos(from), Timestamp::from_nanos(to))
}

#[test]
fn files_and_streams_of_either_order_of_bytes_say_the_same() {
    for order in [ByteOrder::Little, ByteOrder::Big] {
        let file = usual(order);
        for (bytes, is_stream) in [(file.file(), false), (file.stream(), true)] {
            let trace = open(&bytes).unwrap();
            assert_eq!((trace.is_stream(), trace.order()), (is_stream, order));
            let (events, problems) = read(&trace);
            let event = |name: &str, cpu, time, number| (name.to_owned(), cpu, time, number);
            let expected = [
                event("tick", 0, 100, 1),
                event("tick", 1, 110, 2),
                event("tock", 0, 120, 3),
                event("tock", 1, 130, 4),
                event("tick", 0, 140, 5),
                event("tock", 1, 150, 6),
            ];
            assert_eq!(events, expected);
            assert!(problems.is_empty());
            assert_eq!(trace.count().by_class, [3, 3]);
            let features = trace.features();
            assert_eq!(
                (&*features.hostname, &*features.release, &*features.version),
                ("host", "6.1.0", "6.1")
            );
            assert_eq!(trace.clock().name(), "perf");
            assert_eq!((trace.streams(), trace.others()), (2, 1));
            let others = ["1 samples of events that are no tracepoints; left out"];
            assert_eq!(told(trace.problems()), others);
        }
    }
}

#[test]
fn a_loss_falls_between_what_its_processor_said() {
    let trace = open(&usual(ByteOrder::Little).file()).unwrap();
    let [zero, one] = trace.coverage() else {
        panic!("two processors");
    };
    assert_eq!((zero.cpu, one.cpu), (Some(CpuId(0)), Some(CpuId(1))));
    assert_eq!(
        (zero.span, one.span),
        (Some(span(100, 151)), Some(span(100, 151)))
    );
    let loss = Loss {
        span: span(110, 130),
        kind: LossKind::Events(9),
    };
    assert_eq!((zero.losses.len(), &one.losses[..]), (0, &[loss][..]));
}

#[test]
fn threads_are_those_of_the_beginning() {
    let trace = open(&usual(ByteOrder::Little).stream()).unwrap();
    let threads = trace.threads();
    assert_eq!(threads.name(33), Some(&b"CPU 0/KVM"[..]));
    assert_eq!(threads.process(33), Some(30));
    assert_eq!(threads.name(99), Some(&b"saved"[..]));
}

#[test]
fn packed_records_are_those_that_were_packed_wherever_they_are_cut() {
    let plain = usual(ByteOrder::Little);
    let expected = read(&open(&plain.file()).unwrap()).0;
    let rounds = rounds(&plain);
    let (inside, last) = rounds.split_at(4);
    let inside = inside.concat();
    for cut in (0..inside.len()).step_by(7) {
        let (first, second) = inside.split_at(cut);
        let mut file = writer(ByteOrder::Little);
        let packed = file.packed(&[first.to_vec(), second.to_vec()]).unwrap();
        file.records = [packed, last.concat()].concat();
        let trace = open(&file.file()).unwrap();
        assert_eq!(read(&trace).0, expected, "cut at {cut}");
        assert_eq!(
            trace.problems().total(),
            1,
            "cycles: {:?}",
            trace.problems()
        );
    }
}

#[test]
fn without_rounds_all_is_sorted_and_with_them_whatever_the_memory() {
    let mut file = usual(ByteOrder::Little);
    let marked = open(&file.file()).unwrap();
    let mark = file.round();
    let unmarked = rounds(&file).into_iter().filter(|record| *record != mark);
    file.records = unmarked.collect::<Vec<_>>().concat();
    let unmarked = open(&file.file()).unwrap();
    for held_max in [1, 100, usize::MAX] {
        for at_once in [1, 2, 100] {
            let expected = read(&marked).0;
            assert_eq!(read_with(&marked, i64::MIN, held_max, at_once).0, expected);
            assert_eq!(
                read_with(&unmarked, i64::MIN, held_max, at_once).0,
                expected
            );
        }
    }
}

#[test]
fn a_round_that_breaks_its_promise_is_not_believed() {
    let mut file = usual(ByteOrder::Little);
    let late = event(&file, 0, 90, 1, 0);
    file.records.extend(file.round());
    file.records.extend(late);
    let trace = open(&file.file()).unwrap();
    assert_eq!(numbers(&trace), [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_recording_of_threads_says_so() {
    let mut file = usual(ByteOrder::Little);
    assert!(!open(&file.file()).unwrap().is_of_threads());
    let map = file.thread_map(&[33, 40]);
    file.records.extend(map);
    let trace = open(&file.file()).unwrap();
    assert!(trace.is_of_threads());
    assert_eq!(trace.followed().collect::<Vec<_>>(), [33, 40]);
    assert!(!trace.tells_switches());
    assert!(trace.records_every("tick") && !trace.records_every("tack"));
    assert!(told(trace.problems())[0].contains("which --switch-events would have told"));
    file.recorded[2].flags = CONTEXT_SWITCH;
    let trace = open(&file.file()).unwrap();
    assert!(trace.tells_switches());
    assert!(told(trace.problems())[0].contains("what others did is not in it, and is unknown"));
}

#[test]
fn what_samples_lack_is_told() {
    let mut file = usual(ByteOrder::Little);
    for (bit, lacks) in [
        (1_u64 << 2, "when they happened"),
        (1 << 7, "on which processor they happened"),
        (1 << 10, "their fields"),
    ] {
        file.recorded[1].sample_type = SAMPLE_TYPE & !bit;
        let trace = open(&file.file()).unwrap();
        let expected = format!("samples of `tock` do not say {lacks}; they are left out");
        assert!(told(trace.problems()).contains(&expected));
        assert!(!read(&trace).0.iter().any(|(name, ..)| name == "tock"));
    }
}

#[test]
fn callers_and_counters_are_stepped_over() {
    let mut file = writer(ByteOrder::Little);
    // Counters and callers stand before the raw data.
    file.recorded.truncate(1);
    file.recorded[0].sample_type = SAMPLE_TYPE | 1 << 4 | 1 << 5;
    let plain = event(&file, 0, 100, 0, 1);
    let (before, raw) = plain[8..].split_at(32);
    let mut body = before.to_vec();
    for word in [55_u64, 2, 0xffff_ffff_8100_0000, 0xffff_ffff_8100_1111] {
        file.put(word, 8, &mut body);
    }
    body.extend_from_slice(raw);
    file.records = file.record(9, &body);
    let trace = open(&file.file()).unwrap();
    assert_eq!(numbers(&trace), [1]);
    assert!(trace.problems().is_empty());
    // A count of callers that is not true.
    let at = file.records.len() - raw.len() - 24;
    file.records[at..at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
    let trace = open(&file.file()).unwrap();
    assert!(told(trace.problems())[0].contains("too short"));
    assert!(numbers(&trace).is_empty());
}

#[test]
fn the_second_kind_of_packed_records_says_how_long_it_is() {
    let mut file = writer(ByteOrder::Little);
    let packed = file.packed(&[rounds(&file).concat()]).unwrap();
    let mut body = Vec::new();
    file.put(packed.len() as u64 - 8, 8, &mut body);
    body.extend_from_slice(&packed[8..]);
    body.resize(body.len().next_multiple_of(8), 0);
    file.records = file.record(83, &body);
    assert_eq!(numbers(&open(&file.file()).unwrap()), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn what_belongs_to_other_tools_is_stepped_over() {
    let mut file = usual(ByteOrder::Little);
    // Bytes of a processor's own tracer, as long as the record says.
    let mut body = Vec::new();
    for word in [24_u64, 0, 0, 0, 0] {
        file.put(word, 8, &mut body);
    }
    let mut auxiliary = file.record(71, &body);
    auxiliary.extend([0xff; 24]);
    let records = std::mem::take(&mut file.records);
    file.records = [auxiliary, file.record(12_345, &[1, 2, 3]), records].concat();
    let trace = open(&file.stream()).unwrap();
    assert_eq!(numbers(&trace), [1, 2, 3, 4, 5, 6]);
    assert_eq!(
        trace.problems().total(),
        1,
        "cycles: {:?}",
        trace.problems()
    );
}

#[test]
fn more_lost_samples_than_were_told_are_a_contradiction() {
    let mut file = usual(ByteOrder::Little);
    let counted = |file: &mut FileWriter, count| {
        let mut body = Vec::new();
        file.put(count, 8, &mut body);
        // It ends as other records do, without a time.
        body.resize(40, 0);
        let record = file.record(13, &body);
        file.records.extend(record);
        told(open(&file.file()).unwrap().problems())
    };
    assert_eq!(counted(&mut file, 9).len(), 1, "as many as were told");
    let problems = counted(&mut file, 4);
    assert!(problems[0].contains("counted 13 lost samples, of which the records tell 9"));
}
