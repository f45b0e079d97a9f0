//! Recordings of several files (`perf record --threads`).

use super::*;
use std::path::Path;
use virtflow_base::LossKind;

/// The feature that says that there are files of records beside this one.
const DIR_FORMAT: u32 = 24;

/// Writes a recording whose records lie in `parts`, and opens it.
fn opened(dir: &Path, parts: &[Vec<u8>]) -> Arc<Trace> {
    let mut file = writer(ByteOrder::Little);
    let first = At {
        thread: (30, 33),
        ..At::default()
    };
    file.records = file.comm(first, "CPU 0/KVM");
    file.features
        .push((DIR_FORMAT, vec![1, 0, 0, 0, 0, 0, 0, 0]));
    std::fs::write(dir.join("data"), file.file()).unwrap();
    for (number, part) in parts.iter().enumerate() {
        std::fs::write(dir.join(format!("data.{number}")), part).unwrap();
    }
    Arc::new(Trace::open(&dir.join("data")).unwrap())
}

/// Of each processor its own records: each part in order, both together not.
fn parts() -> [Vec<u8>; 2] {
    let file = writer(ByteOrder::Little);
    let of = |cpu, times: [u64; 3]| {
        let events = times.map(|time| event(&file, 0, time, cpu, time));
        [events.concat(), file.round()].concat()
    };
    [of(0, [100, 300, 500]), of(1, [200, 400, 600])]
}

#[test]
fn events_of_all_parts_come_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let trace = opened(dir.path(), &parts());
    assert_eq!(numbers(&trace), [100, 200, 300, 400, 500, 600]);
    assert_eq!(trace.count().by_class, [6, 0]);
    assert!(trace.problems().is_empty(), "{:?}", trace.problems());
    assert_eq!(trace.streams(), 2);
    for held_max in [1, 100] {
        assert_eq!(read_with(&trace, i64::MIN, held_max, 2).0, read(&trace).0);
    }
}

#[test]
fn each_part_is_packed_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let file = writer(ByteOrder::Little);
    let packed = parts().map(|part| file.packed(&[part]).unwrap());
    // One that nothing was written to.
    let [first, second] = packed;
    let trace = opened(dir.path(), &[first, Vec::new(), second]);
    assert_eq!(numbers(&trace), [100, 200, 300, 400, 500, 600]);
}

#[test]
fn a_part_that_is_cut_or_not_there_is_told_and_lost() {
    let dir = tempfile::tempdir().unwrap();
    let [mut first, second] = parts();
    first.truncate(first.len() - 20);
    let trace = opened(dir.path(), &[first, second]);
    assert_eq!(numbers(&trace), [100, 200, 300, 400, 600]);
    let problem = &trace.problems().kept()[0];
    assert!(problem.place.file.ends_with("data.0"));
    let size = std::fs::metadata(dir.path().join("data.0")).unwrap().len();
    assert!(problem.place.offset.is_some_and(|offset| offset < size));
    std::fs::remove_file(dir.path().join("data.0")).unwrap();
    let trace = Trace::open(&dir.path().join("data")).map(Arc::new).unwrap();
    assert_eq!(numbers(&trace), [200, 400, 600]);
    assert!(told(trace.problems())[0].contains("some are not there"));
    let lost = trace.coverage().iter().flat_map(|stream| &stream.losses);
    assert!(
        lost.into_iter()
            .any(|loss| loss.kind == LossKind::Unreadable)
    );
    std::fs::remove_file(dir.path().join("data.1")).unwrap();
    let trace = Trace::open(&dir.path().join("data")).map(Arc::new).unwrap();
    assert!(told(trace.problems())[0].contains("some are not there"));
}

#[test]
fn without_threads_a_directory_has_all_in_its_first_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = usual(ByteOrder::Little);
    file.features
        .push((DIR_FORMAT, vec![1, 0, 0, 0, 0, 0, 0, 0]));
    // `--kcore`
    std::fs::create_dir(dir.path().join("kcore_dir")).unwrap();
    // No part of it.
    std::fs::create_dir(dir.path().join("data.0")).unwrap();
    std::fs::write(dir.path().join("data"), file.file()).unwrap();
    let trace = Trace::open(&dir.path().join("data")).map(Arc::new).unwrap();
    assert_eq!(numbers(&trace), [1, 2, 3, 4, 5, 6]);
    assert!(
        !told(trace.problems())
            .iter()
            .any(|what| what.contains("not there"))
    );
}
