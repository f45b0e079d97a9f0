//! Files of perf of any bytes: opened, counted, every field of every event read, and run through the
//! model.

use crate::ctf::{directory, write};
use crate::recording::{inside, whole};
use crate::tracedat::{EVENTS, FIRST, bytes_of, format};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use virtflow_base::{Fill, RecordSource, Timestamp};
use virtflow_perfdata::writer::{
    At, ByteOrder, CONTEXT_SWITCH, FileWriter, INHERIT, Recorded, SAMPLE_TYPE,
};
use virtflow_perfdata::{Bound, EventView, Extract, Trace, Wanted};

/// What an input begins with that is a directory, as `perf record --threads` makes: behind it how many parts there
/// are and, in two bytes each, how long they are; then the parts, `data.0` and so on, and what is left is `data`.
const DIRECTORY: &[u8] = b"DIRECTORY";
/// More parts than that are not made.
const PARTS_MAX: u8 = 8;

/// Writes the files of an input; the one to open.
fn files(input: &[u8], dir: &Path) -> PathBuf {
    let Some((count, mut lengths)) = input
        .strip_prefix(DIRECTORY)
        .and_then(<[u8]>::split_first)
        .filter(|(count, _)| **count <= PARTS_MAX)
    else {
        let path = dir.join("perf.data");
        write(&path, input);
        return path;
    };
    let (heads, mut rest) = lengths.split_at(lengths.len().min(2 * usize::from(*count)));
    lengths = heads;
    let mut number = 0;
    while let Some((length, others)) = lengths.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes(*length));
        let (part, after) = rest.split_at(rest.len().min(length));
        write(&dir.join(format!("data.{number}")), part);
        (number, lengths, rest) = (number + 1, others, after);
    }
    let path = dir.join("data");
    write(&path, rest);
    path
}

/// Reads all of a file that is `input`, or of the files that it is made of.
pub fn perfdata(input: &[u8]) {
    let dir = directory();
    let path = files(input, dir.path());
    let Ok(trace) = Trace::open(&path) else {
        return;
    };
    let trace = Arc::new(trace);
    for coverage in trace.coverage() {
        inside(coverage);
    }
    let total: u64 = trace.count().by_class.iter().sum();
    let times = read(&trace, 1);
    assert_eq!(
        times.len() as u64,
        total,
        "reading finds what counting does"
    );
    assert!(times.is_sorted(), "in order of time");
    assert_eq!(read(&trace, 1000), times, "however many at once");
    let own = Bound::new(trace.all_formats(), |format| {
        (format.system() == "perf").then(Wanted::default)
    });
    let own = read_bound(&trace, own, 7);
    assert!(own.is_sorted(), "in order of time");
    let told = trace.threads().names().len() + trace.threads().processes().len();
    let told = told + trace.namespaces().count() + trace.followed().count();
    whole(&path, total, told + own.len());
}

struct Keep;

impl Extract for Keep {
    type Out = u32;

    fn extract(&mut self, event: &EventView<'_>) -> Option<u32> {
        assert_eq!(event.fields.u64(0), None, "no slot was bound");
        Some(event.cpu.0)
    }
}

/// When events were, read so many at once.
fn read(trace: &Arc<Trace>, at_once: usize) -> Vec<Timestamp> {
    let bound = trace.bind(|_| Some(Wanted::default()));
    read_bound(trace, bound, at_once)
}

fn read_bound(trace: &Arc<Trace>, bound: Bound, at_once: usize) -> Vec<Timestamp> {
    let mut reader = trace.reader(Arc::new(bound), Keep, Timestamp::MIN);
    let (mut times, mut batch) = (Vec::new(), Vec::new());
    loop {
        let fill = reader.fill(&mut batch, at_once);
        assert!(batch.len() <= at_once);
        times.extend(batch.drain(..).map(|event| event.time));
        if fill == Fill::End {
            return times;
        }
    }
}

fn id(event: usize, cpu: u32) -> u64 {
    (1000 + 10 * event) as u64 + u64::from(cpu)
}

/// A thread that gets the processor, runs a guest, is interrupted and sleeps, in two rounds, on two processors.
fn records(file: &FileWriter) -> Vec<Vec<u8>> {
    let put = |value, size, out: &mut Vec<u8>| file.put(value, size, out);
    let at = |event, time, cpu, thread| At {
        time,
        cpu,
        thread: (141, thread),
        id: id(event, cpu),
    };
    let one = |event: usize, time, cpu, thread: i32, values: &[u64]| {
        let raw = bytes_of(&put, event, thread.cast_unsigned().into(), values);
        file.sample(at(event, time, cpu, thread), &raw)
    };
    let named = At {
        thread: (141, 157),
        ..At::default()
    };
    vec![
        file.comm(named, "CPU 0/KVM"),
        one(0, 1000, 0, 0, &[0, 0, 0, 157]),
        one(2, 3000, 0, 157, &[0, 0xffff_8000]),
        one(3, 4000, 0, 157, &[0x60, 2, 0]),
        one(0, 1500, 1, 0, &[0, 0, 0, 158]),
        one(1, 2500, 1, 158, &[157, 1]),
        file.round(),
        one(4, 5000, 0, 157, &[236]),
        one(5, 6000, 0, 157, &[0]),
        file.lost(at(0, 5500, 1, 158), 3),
        one(1, 5600, 1, 158, &[157, 0]),
        file.round(),
        one(0, 9000, 0, 157, &[0, 157, 1, 0]),
    ]
}

/// The same of two threads alone, and what perf tells of them itself.
fn of_threads(file: &FileWriter) -> Vec<u8> {
    let at = |time, cpu, thread| At {
        time,
        cpu,
        thread: (141, thread),
        id: id(0, cpu),
    };
    let own = [
        file.thread_map(&[157, 158]),
        file.namespaces(at(0, 0, 0), (141, 157), [1, 2, 3, 4]),
        file.switch(at(900, 0, 157), false, false),
        file.switch(at(1400, 1, 158), false, false),
        file.fork(at(1600, 1, 158), (141, 159)),
        file.namespaces(at(1601, 1, 158), (141, 159), [1, 2, 3, 5]),
        file.switch(at(9100, 0, 157), true, false),
        file.switch(at(9200, 1, 158), true, true),
        file.exit(at(9300, 1, 159)),
    ];
    [own.concat(), records(file).concat()].concat()
}

/// The feature that says that there are files of records beside this one.
const DIR_FORMAT: u32 = 24;

/// What [`files`] makes such a directory of: each processor's records in a file of their own.
fn in_parts(file: &FileWriter) -> Vec<u8> {
    let mut data = file.clone();
    data.features
        .push((DIR_FORMAT, vec![1, 0, 0, 0, 0, 0, 0, 0]));
    let records = records(file);
    // Names are told in the first file; of the others these are the other processor's.
    let is_other = |at: usize| matches!(at, 4 | 5 | 9 | 10);
    let of = |other: bool| -> Vec<u8> {
        let own = records.iter().enumerate().skip(1);
        let own = own.filter(|(at, record)| is_other(*at) == other || **record == file.round());
        own.flat_map(|(_, record)| record.clone()).collect()
    };
    data.records = records[0].clone();
    let parts = [of(false), of(true)];
    let mut input = [DIRECTORY, &[2]].concat();
    for part in &parts {
        let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
        input.extend(length.to_le_bytes());
    }
    [input, parts.concat(), data.file()].concat()
}

/// Files that are as they should be.
pub(crate) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let file = |order| {
        let mut file = FileWriter::new(order);
        file.formats = (0..EVENTS.len()).map(format).collect();
        let recorded = |event| Recorded {
            kind: 2,
            config: (FIRST + event) as u64,
            ids: vec![id(event, 0), id(event, 1)],
            sample_type: SAMPLE_TYPE,
            flags: 0,
        };
        file.recorded = (0..EVENTS.len()).map(recorded).collect();
        file.features = vec![(3, file.text("host")), (4, file.text("6.1.0"))];
        file.records = records(&file).concat();
        file
    };
    let (little, big) = (file(ByteOrder::Little), file(ByteOrder::Big));
    let mut packed = little.clone();
    let pieces: Vec<_> = records(&little).chunks(4).map(<[_]>::concat).collect();
    packed.records = packed.packed(&pieces).unwrap_or_default();
    let mut threads = little.clone();
    threads.recorded[0].flags = CONTEXT_SWITCH | INHERIT;
    threads.records = of_threads(&threads);
    let mut unmarked = little.clone();
    let mark = little.round();
    let all = records(&little).into_iter();
    unmarked.records = all
        .filter(|record| *record != mark)
        .collect::<Vec<_>>()
        .concat();
    vec![
        ("file", little.file()),
        ("file-big", big.file()),
        ("file-packed", packed.file()),
        ("file-threads", threads.file()),
        ("stream", little.stream()),
        ("stream-unmarked", unmarked.stream()),
        ("directory", in_parts(&little)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_as_they_should_be() {
        for (name, bytes) in seeds() {
            let dir = directory();
            let trace = Trace::open(&files(&bytes, dir.path())).map(Arc::new);
            let found = trace.map(|trace| {
                let events = read(&trace, 10).len();
                (events, trace.streams(), trace.problems().total())
            });
            // That not all was recorded is told as a problem.
            let problems = (name == "file-threads").into();
            assert_eq!(found.ok(), Some((9, 2, problems)), "{name}");
            perfdata(&bytes);
        }
    }
}
