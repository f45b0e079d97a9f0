//! The kernel's own events, as files of perf hold them, become the same typed events as LTTng's.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the message")]

use virtflow_base::{CpuId, Tid};
use virtflow_events::{Comm, KernelEvent as K, KernelRecord, NamespaceKind, Recording};
use virtflow_perfdata::writer::{At, ByteOrder, CONTEXT_SWITCH, FileWriter, Recorded, SAMPLE_TYPE};

const WAKING: u64 = 77;
const VECTOR: u64 = 78;

fn described(system: &str, name: &str, id: u64, fields: &str) -> (String, String) {
    let text = format!(
        "name: {name}\nID: {id}\nformat:\n\
         \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
         \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n{fields}\n"
    );
    (system.to_owned(), text)
}

fn file() -> FileWriter {
    let mut file = FileWriter::new(ByteOrder::Little);
    file.formats = vec![
        described(
            "sched",
            "sched_waking",
            WAKING,
            "\tfield:char comm[16];\toffset:8;\tsize:16;\tsigned:0;\n\
             \tfield:pid_t pid;\toffset:24;\tsize:4;\tsigned:1;\n\
             \tfield:int target_cpu;\toffset:28;\tsize:4;\tsigned:1;\n",
        ),
        described(
            "irq_vectors",
            "local_timer_entry",
            VECTOR,
            "\tfield:int vector;\toffset:8;\tsize:4;\tsigned:1;\n",
        ),
    ];
    let recorded = |config, id| Recorded {
        kind: 2,
        config,
        ids: vec![id],
        sample_type: SAMPLE_TYPE,
        flags: 0,
    };
    file.recorded = vec![recorded(WAKING, 5), recorded(VECTOR, 6)];
    file.features = vec![(3, file.text("host"))];
    let begin = At {
        thread: (141, 157),
        ..At::default()
    };
    let named = file.comm(begin, "CPU 0/KVM");
    let at = |time, cpu, id| At {
        time,
        cpu,
        thread: (141, 157),
        id,
    };
    let raw = |number: u64, rest: &[u8]| {
        let mut out = Vec::new();
        file.put(number, 2, &mut out);
        file.put(0, 2, &mut out);
        file.put(157, 4, &mut out);
        out.extend_from_slice(rest);
        out
    };
    let woken = [
        &b"worker\0\0\0\0\0\0\0\0\0\0"[..],
        &[9, 0, 0, 0, 1, 0, 0, 0],
    ]
    .concat();
    let records = [
        named,
        file.sample(at(2_000, 1, 6), &raw(VECTOR, &[236, 0, 0, 0])),
        file.sample(at(1_000, 0, 5), &raw(WAKING, &woken)),
        file.round(),
    ];
    file.records = records.concat();
    file
}

fn opened(file: &FileWriter) -> Recording {
    let path = std::env::temp_dir().join(format!(
        "virtflow-perf-{}-{:?}.data",
        std::process::id(),
        std::thread::current().id()
    ));
    std::fs::write(&path, file.file()).unwrap();
    let recording = Recording::open(&path).unwrap();
    // It is open; its name is of no use any more.
    std::fs::remove_file(&path).unwrap();
    recording
}

fn read(recording: &Recording) -> Vec<(i64, KernelRecord)> {
    let mut events = recording.kernel_events(0, |_| true, 2);
    let mut all = Vec::new();
    while let Some((_, run)) = events.next_run() {
        all.extend(run.iter().map(|e| (e.time.as_nanos(), e.record)));
    }
    all
}

#[test]
fn samples_become_events_with_their_thread_and_process() {
    let recording = opened(&file());
    assert_eq!(recording.machines()[0].name, "host");
    assert_eq!(recording.traces()[0].format, "perf.data");
    let all = read(&recording);
    let told: Vec<_> = all
        .iter()
        .map(|(time, record)| (*time, record.cpu, record.event))
        .collect();
    let fact = K::ThreadTold {
        tid: Tid(157),
        pid: Some(Tid(141)),
        comm: Comm::new(b"CPU 0/KVM"),
    };
    let waking = K::SchedWaking {
        tid: Tid(9),
        target_cpu: CpuId(1),
        comm: Comm::new(b"worker"),
    };
    assert!(told.contains(&(1_000, CpuId(0), fact)));
    assert!(told.contains(&(1_000, CpuId(0), waking)));
    assert_eq!(
        told.last(),
        Some(&(2_000, CpuId(1), K::VectorEntry { vector: 236 }))
    );
    let context = all.last().unwrap().1.context.unwrap();
    assert_eq!((context.tid, context.process()), (Tid(157), Some(Tid(141))));
}

#[test]
fn of_some_threads_that_no_switch_is_told_of_nothing_is_analysed() {
    let mut file = file();
    let map = file.thread_map(&[157]);
    file.records.extend(map);
    let recording = opened(&file);
    assert!(read(&recording).is_empty());
    assert!(recording.followed(0).is_none());
    assert!(
        recording
            .coverage(0)
            .iter()
            .all(|stream| stream.span.is_none())
    );
    assert_eq!(recording.count(1).total, 2);
    let problems = recording.problems();
    let problem = &problems.kept()[1];
    assert!(problem.what.contains("listed and not analysed"));
}

#[test]
fn some_threads_are_followed_by_what_perf_tells_of_their_switches() {
    let mut file = file();
    file.recorded[0].flags = CONTEXT_SWITCH;
    let at = |time| At {
        time,
        cpu: 1,
        thread: (141, 157),
        id: 5,
    };
    let before = At { time: 0, ..at(0) };
    let records = [
        file.thread_map(&[157]),
        // Of the kernel's names those of others are not of interest.
        file.namespaces(before, (141, 157), [1, 2, 3, 4]),
        file.switch(at(2_100), true, true),
    ];
    file.records.extend(records.concat());
    let recording = opened(&file);
    assert!(recording.followed(0).unwrap().both_ways);
    let all = read(&recording);
    let tid = Tid(157);
    let expected = [
        K::ThreadFollowed {
            tid,
            pid: Some(Tid(141)),
            parent: None,
        },
        K::ThreadTold {
            tid,
            pid: Some(Tid(141)),
            comm: Comm::new(b"CPU 0/KVM"),
        },
        K::StatedumpNamespace {
            tid,
            kind: NamespaceKind::Pid,
            inum: 4,
            level: None,
        },
    ];
    let events: Vec<_> = all.iter().map(|(_, record)| record.event).collect();
    assert_eq!(events[..3], expected);
    let switch = K::ThreadSwitch {
        tid,
        out: true,
        preempted: true,
    };
    assert_eq!(events.last(), Some(&switch));
    assert_eq!(recording.count(1).total, 2, "it is not listed");
}
