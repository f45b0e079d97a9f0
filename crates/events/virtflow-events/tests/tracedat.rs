//! The kernel's own events, as files of trace-cmd hold them, become the same typed events as LTTng's.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the message")]

use virtflow_base::{CpuId, Tid, Timestamp};
use virtflow_events::{Comm, KernelEvent as K, KernelRecord, Recording};
use virtflow_tracedat::writer::{ByteOrder, Entry, FileWriter, Pages, Shape};

const SHAPE: Shape = Shape {
    order: ByteOrder::Little,
    long: 8,
    page_size: 4096,
};

/// A description, numbered by its place: declarations and sizes.
struct Event(&'static str, &'static str, &'static [(&'static str, usize)]);

const EVENTS: [Event; 7] = [
    Event(
        "sched",
        "sched_switch",
        &[
            ("char prev_comm[16]", 16),
            ("pid_t prev_pid", 4),
            ("int prev_prio", 4),
            ("long prev_state", 8),
            ("char next_comm[16]", 16),
            ("pid_t next_pid", 4),
            ("int next_prio", 4),
        ],
    ),
    Event(
        "sched",
        "sched_process_fork",
        &[
            ("char parent_comm[16]", 16),
            ("pid_t parent_pid", 4),
            ("char child_comm[16]", 16),
            ("pid_t child_pid", 4),
        ],
    ),
    Event("irq_vectors", "local_timer_entry", &[("int vector", 4)]),
    Event(
        "raw_syscalls",
        "sys_exit",
        &[("long id", 8), ("long ret", 8)],
    ),
    Event(
        "kvm",
        "kvm_inj_virq",
        &[
            ("unsigned int vector", 4),
            ("bool soft", 1),
            ("bool reinjected", 1),
        ],
    ),
    Event(
        "net",
        "net_dev_xmit",
        &[
            ("void * skbaddr", 8),
            ("unsigned int len", 4),
            ("int rc", 4),
            ("__data_loc char[] name", 4),
        ],
    ),
    // Nothing that is known lacks what it must have.
    Event("sched", "sched_waking", &[("char comm[16]", 16)]),
];

enum Val {
    Int(i64),
    Text(&'static str),
}
use Val::{Int, Text};

fn format(number: usize) -> (String, String) {
    let Event(system, name, fields) = &EVENTS[number];
    let mut text = format!(
        "name: {name}\nID: {}\nformat:\n\
         \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
         \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n",
        number + 1
    );
    let mut offset = 8_usize;
    for (declaration, size) in *fields {
        offset = offset.next_multiple_of((*size).min(8));
        text += &format!("\tfield:{declaration};\toffset:{offset};\tsize:{size};\tsigned:1;\n");
        offset += size;
    }
    ((*system).to_owned(), text + "\n")
}

fn record(number: usize, thread: i64, values: &[Val]) -> Entry {
    let mut out = Vec::new();
    let put = |value: i64, size, out: &mut Vec<u8>| SHAPE.put(value as u64, size, out);
    put(number as i64 + 1, 2, &mut out);
    put(0, 2, &mut out);
    put(thread, 4, &mut out);
    let mut behind = Vec::new();
    let fields = EVENTS[number].2;
    let mut end = 8_usize;
    for (_, size) in fields {
        end = end.next_multiple_of((*size).min(8)) + size;
    }
    for ((declaration, size), value) in fields.iter().zip(values) {
        out.resize(out.len().next_multiple_of((*size).min(8)), 0);
        match value {
            Int(value) => put(*value, *size, &mut out),
            Text(text) if declaration.starts_with("__data_loc") => {
                behind = text.as_bytes().to_vec();
                behind.push(0);
                put((end | behind.len() << 16) as i64, 4, &mut out);
            }
            Text(text) => {
                let at = out.len();
                out.extend_from_slice(text.as_bytes());
                out.resize(at + size, 0);
            }
        }
    }
    out.extend(behind);
    out.resize(out.len().next_multiple_of(4), 0);
    Entry::Record(10, out)
}

fn written(buffers: Vec<Pages>, names: &str, options: Vec<(u16, Vec<u8>)>) -> Recording {
    let mut file = FileWriter::new(SHAPE);
    file.formats = (0..EVENTS.len()).map(format).collect();
    file.names = names.to_owned();
    file.options = options;
    file.buffers = buffers;
    let path = std::env::temp_dir().join(format!(
        "virtflow-{}-{:?}.dat",
        std::process::id(),
        std::thread::current().id()
    ));
    std::fs::write(&path, file.version_7().unwrap()).unwrap();
    let recording = Recording::open(&path).unwrap();
    // It is open; its name is of no use any more.
    std::fs::remove_file(&path).unwrap();
    recording
}

fn buffer(name: &str, cpus: Vec<Vec<Entry>>) -> Pages {
    let page = |entries: Vec<Entry>| vec![SHAPE.page(1_000, &entries, None)];
    Pages {
        name: name.to_owned(),
        cpus: cpus.into_iter().map(page).collect(),
    }
}

fn read(recording: &Recording) -> Vec<(i64, KernelRecord)> {
    let mut events = recording.kernel_events(0, |_| true, 2);
    let mut all = Vec::new();
    while let Some((_, run)) = events.next_run() {
        all.extend(run.iter().map(|e| (e.time.as_nanos(), e.record)));
    }
    all
}

fn kinds(events: &[(i64, KernelRecord)]) -> Vec<K> {
    events.iter().map(|(_, record)| record.event).collect()
}

#[test]
fn names_and_fields_of_the_kernel_are_known() {
    let switch = [
        Text("CPU 0/KVM"),
        Int(157),
        Int(120),
        // Pre-empted: the kernel's mark above all states.
        Int(0x100),
        Text("swapper/0"),
        Int(0),
        Int(120),
    ];
    let entries = vec![
        record(0, 157, &switch),
        record(1, 7, &[Text("bash"), Int(7), Text("ls"), Int(9)]),
        record(2, 0, &[Int(236)]),
        record(3, 7, &[Int(61), Int(-10)]),
        record(4, 157, &[Int(236), Int(0), Int(1)]),
        record(5, 7, &[Int(0x10), Int(60), Int(0), Text("tap0")]),
        record(6, 7, &[Text("bash")]),
    ];
    let recording = written(vec![buffer("", vec![entries])], "", Vec::new());
    assert_eq!(recording.traces()[0].format, "trace.dat 7");
    let all = read(&recording);
    assert_eq!(all[0].0, 1_010);
    let context = all[0].1.context.unwrap();
    assert_eq!((context.tid, context.process()), (Tid(157), None));
    let expected = [
        K::SchedSwitch {
            prev: Tid(157),
            next: Tid(0),
            prev_state: 0x100,
            prev_comm: Comm::new(b"CPU 0/KVM"),
            next_comm: Comm::new(b"swapper/0"),
            next_prio: 120,
        },
        // What the kernel calls pid is the thread; of its process it says nothing.
        K::ProcessFork {
            parent: Tid(7),
            parent_pid: None,
            child: Tid(9),
            child_pid: None,
            child_comm: Comm::new(b"ls"),
            child_ns: None,
        },
        K::VectorEntry { vector: 236 },
        K::SyscallExit {
            syscall: 61,
            ret: -10,
        },
        K::KvmInjVirq {
            vector: 236,
            reinjected: Some(true),
        },
    ];
    let kinds = kinds(&all);
    assert_eq!(kinds[..5], expected);
    assert!(
        matches!(kinds[5], K::NetXmit { packet, taken: true } if packet.device.as_bytes() == b"tap0")
    );
    assert_eq!(kinds.len(), 6, "an event without its fields is left out");
}

#[test]
fn an_event_that_two_instances_recorded_happened_once() {
    let tick = || record(2, 0, &[Int(236)]);
    let buffers = vec![
        buffer("", vec![vec![tick()], vec![tick()]]),
        buffer(
            "more",
            vec![
                vec![tick(), tick()],
                vec![tick(), record(3, 7, &[Int(1), Int(2)])],
            ],
        ),
    ];
    let recording = written(buffers, "", Vec::new());
    assert_eq!(recording.count(1).total, 6);
    let vectors = |kind: &K| matches!(kind, K::VectorEntry { .. });
    let kinds = kinds(&read(&recording));
    assert_eq!(
        kinds.iter().filter(|kind| vectors(kind)).count(),
        3,
        "those of the buffer with most"
    );
    assert_eq!(kinds.len(), 4);
}

#[test]
fn threads_are_told_before_anything_happens() {
    let names = "141 qemu-system-x86\n157 CPU 0/KVM\n158 CPU 1/KVM\n7 bash\n";
    let told = |options| {
        let entries = vec![record(2, 0, &[Int(236)])];
        let recording = written(vec![buffer("", vec![entries])], names, options);
        let all = read(&recording);
        assert!(all[0].0 <= 1_010 && all[0].1.cpu == CpuId(0));
        assert_eq!(
            recording.coverage(0)[0].span.unwrap().start,
            Timestamp::from_nanos(1_000)
        );
        let facts = kinds(&all).into_iter().filter_map(|kind| match kind {
            K::ThreadTold { tid, pid, comm } => Some((
                tid.0,
                pid.map(|pid| pid.0),
                String::from_utf8_lossy(comm.as_bytes()).into_owned(),
            )),
            _ => None,
        });
        facts.collect::<Vec<_>>()
    };
    let fact = |tid, pid, name: &str| (tid, pid, name.to_owned());
    let by_names = [
        fact(7, None, "bash"),
        fact(141, Some(141), "qemu-system-x86"),
        fact(157, Some(141), "CPU 0/KVM"),
        fact(158, Some(141), "CPU 1/KVM"),
    ];
    assert_eq!(told(Vec::new()), by_names);
    // The kernel's own list counts for more than names.
    let list = told(vec![(8, b"157 140\n158 140\n".to_vec())]);
    assert_eq!(
        list[1..],
        [
            fact(141, None, "qemu-system-x86"),
            fact(157, Some(140), "CPU 0/KVM"),
            fact(158, Some(140), "CPU 1/KVM"),
        ]
    );
}
