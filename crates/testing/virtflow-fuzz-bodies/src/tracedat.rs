//! Files of trace-cmd of any bytes: opened, counted, every field of every event read, and run
//! through the model.

use crate::ctf::{directory, write};
use crate::recording::{inside, whole};
use std::sync::Arc;
use virtflow_base::{Fill, RecordSource, Timestamp};
use virtflow_tracedat::writer::{ByteOrder, Entry, FileWriter, Pack, Pages, Shape};
use virtflow_tracedat::{EventView, Extract, OwnedRecord, Trace, Wanted};

/// Reads all of a file that is `input`.
pub fn tracedat(input: &[u8]) {
    let dir = directory();
    let path = dir.path().join("trace.dat");
    write(&path, input);
    let Ok(trace) = Trace::open(&path) else {
        return;
    };
    let trace = Arc::new(trace);
    streams(&trace, input.len() as u64);
    let total: u64 = trace.count(1).iter().flat_map(|c| &c.by_class).sum();
    assert_eq!(read(&trace, 1), total, "reading finds what counting does");
    assert_eq!(read(&trace, 1000), total, "however many at once");
    let told = trace.threads().names().len() + trace.threads().processes().len();
    let vcpus = trace.options().guests.iter().map(|guest| guest.vcpus.len());
    whole(&path, total, told + 2 * vcpus.sum::<usize>());
}

/// What streams say of themselves.
fn streams(trace: &Trace, file: u64) {
    let bytes: u64 = trace
        .streams()
        .iter()
        .map(virtflow_tracedat::Stream::bytes)
        .sum();
    assert!(bytes <= file, "streams do not overlap");
    for stream in trace.streams() {
        inside(stream.coverage());
    }
}

struct Keep;

impl Extract for Keep {
    type Out = OwnedRecord;

    fn extract(&mut self, event: &EventView<'_>) -> Option<OwnedRecord> {
        assert_eq!(event.fields.u64(0), None, "no slot was bound");
        Some(event.to_owned())
    }
}

/// How many events there are, read so many at once.
fn read(trace: &Arc<Trace>, at_once: usize) -> u64 {
    let bound = Arc::new(trace.bind(|_| Some(Wanted::default())));
    let mut total = 0;
    for (number, stream) in trace.streams().iter().enumerate() {
        let bound = Arc::clone(&bound);
        let mut reader = trace.reader_from(number, bound, Keep, Timestamp::MIN);
        let mut batch = Vec::new();
        loop {
            let fill = reader.fill(&mut batch, at_once);
            assert!(batch.len() <= at_once);
            assert!(batch.iter().all(|r| r.record.cpu() == stream.cpu()));
            total += batch.len() as u64;
            batch.clear();
            if fill == Fill::End {
                break;
            }
        }
    }
    total
}

/// System, name and fields of an event: declaration and size.
type Described = (&'static str, &'static str, &'static [(&'static str, usize)]);

/// The events of the seeds.
pub(crate) const EVENTS: [Described; 6] = [
    (
        "sched",
        "sched_switch",
        &[
            ("char prev_comm[16]", 16),
            ("pid_t prev_pid", 4),
            ("long prev_state", 8),
            ("pid_t next_pid", 4),
        ],
    ),
    (
        "sched",
        "sched_waking",
        &[("pid_t pid", 4), ("int target_cpu", 4)],
    ),
    (
        "kvm",
        "kvm_entry",
        &[("unsigned int vcpu_id", 4), ("unsigned long rip", 8)],
    ),
    (
        "kvm",
        "kvm_exit",
        &[
            ("unsigned int exit_reason", 4),
            ("u32 isa", 4),
            ("u64 info1", 8),
        ],
    ),
    ("irq_vectors", "local_timer_entry", &[("int vector", 4)]),
    ("net", "napi_poll", &[("__data_loc char[] dev_name", 4)]),
];

/// The number of the first of them.
pub(crate) const FIRST: usize = 300;

/// System and description of one of them.
pub(crate) fn format(number: usize) -> (String, String) {
    let (system, name, fields) = EVENTS[number];
    let mut text = format!(
        "name: {name}\nID: {}\nformat:\n\
         \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
         \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n",
        FIRST + number
    );
    let mut offset = 8;
    for (declaration, size) in fields {
        text += &format!("\tfield:{declaration};\toffset:{offset};\tsize:{size};\tsigned:1;\n");
        offset += size;
    }
    (system.to_owned(), text + "\nprint fmt: \"\"\n")
}

/// An event of thread `pid`, as `put` writes numbers; `values` are those of its fields.
pub(crate) fn bytes_of(
    put: &dyn Fn(u64, usize, &mut Vec<u8>),
    number: usize,
    pid: u64,
    values: &[u64],
) -> Vec<u8> {
    let mut out = Vec::new();
    put((FIRST + number) as u64, 2, &mut out);
    put(0, 2, &mut out);
    put(pid, 4, &mut out);
    for ((declaration, size), value) in EVENTS[number].2.iter().zip(values) {
        if declaration.starts_with("__data_loc") {
            let place = out.len() as u64 + 4;
            put(place | 5 << 16, 4, &mut out);
            out.extend_from_slice(b"tap0\0\0\0\0");
        } else if *size > 8 {
            out.extend_from_slice(&b"CPU 0/KVM\0\0\0\0\0\0\0"[..*size]);
        } else {
            put(*value, *size, &mut out);
        }
    }
    out
}

fn record(shape: Shape, number: usize, pid: u64, values: &[u64]) -> Vec<u8> {
    let put = |value, size, out: &mut Vec<u8>| shape.put(value, size, out);
    bytes_of(&put, number, pid, values)
}

/// A thread that gets the processor, runs a guest, is interrupted and sleeps.
fn page(shape: Shape, stamp: u64, missed: Option<Option<u64>>) -> Vec<u8> {
    let events = [
        record(shape, 0, 0, &[0, 0, 0, 157]),
        record(shape, 2, 157, &[0, 0xffff_8000]),
        record(shape, 3, 157, &[0x60, 2, 0]),
        record(shape, 4, 157, &[236]),
        record(shape, 5, 157, &[0]),
        record(shape, 1, 157, &[158, 1]),
        record(shape, 0, 157, &[0, 157, 0x101, 0]),
    ];
    let mut entries = vec![Entry::Extend(1 << 30), Entry::Discarded(1, 8)];
    entries.extend(events.into_iter().map(|event| Entry::Record(1000, event)));
    entries.push(Entry::Stamp(stamp + (2 << 30)));
    shape.page(stamp, &entries, missed)
}

/// Files that are as they should be.
pub(crate) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let shape = |order, long| Shape {
        order,
        long,
        page_size: 512,
    };
    let file = |shape: Shape, pack| {
        let mut file = FileWriter::new(shape);
        file.pack = pack;
        file.formats = (0..EVENTS.len()).map(format).collect();
        file.names = "141 qemu-system-x86\n157 CPU 0/KVM\n158 worker\n".to_owned();
        file.options = vec![
            (5, b"Linux host 6.1.0 x86_64\0".to_vec()),
            (2, b"CPU: 1\noverrun: 3\n\0".to_vec()),
        ];
        let pages = |from| {
            vec![
                page(shape, from, None),
                page(shape, from + (4 << 30), Some(Some(3))),
            ]
        };
        file.buffers = vec![Pages {
            name: String::new(),
            cpus: vec![pages(1000), pages(2000)],
        }];
        file
    };
    let little = shape(ByteOrder::Little, 8);
    let mut two = file(little, Pack::None);
    let mut guest = b"vm1\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0".to_vec();
    guest.extend_from_slice(&157_u32.to_le_bytes());
    two.options.push((13, guest));
    two.buffers.push(Pages {
        name: "more".to_owned(),
        cpus: vec![vec![page(little, 5000, Some(None))]],
    });
    let packed = |file: &FileWriter| file.version_7().unwrap_or_default();
    vec![
        ("version-6", file(little, Pack::None).version_6()),
        (
            "version-6-big",
            file(shape(ByteOrder::Big, 4), Pack::None).version_6(),
        ),
        ("version-6-buffers", two.version_6()),
        ("version-7", packed(&file(little, Pack::None))),
        ("version-7-buffers", packed(&two)),
        (
            "version-7-zlib",
            packed(&file(shape(ByteOrder::Big, 8), Pack::Zlib)),
        ),
        ("version-7-zstd", packed(&file(little, Pack::Zstd))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use virtflow_base::CpuId;

    #[test]
    fn seeds_are_as_they_should_be() {
        for (name, bytes) in seeds() {
            let dir = directory();
            let path = dir.path().join("trace.dat");
            write(&path, &bytes);
            let trace = Arc::new(Trace::open(&path).unwrap_or_else(|e| panic!("{name}: {e}")));
            assert!(
                trace.problems().is_empty(),
                "{name}: {:?}",
                trace.problems()
            );
            assert!(read(&trace, 10) >= 28, "{name}");
            assert_eq!(trace.streams()[1].cpu(), CpuId(1));
            tracedat(&bytes);
        }
    }
}
