//! Files of perf of any bytes: opened, counted, every field of every event read, and run through the
//! model.

use crate::ctf::{directory, write};
use crate::recording::{inside, whole};
use crate::tracedat::{EVENTS, FIRST, bytes_of, format};
use std::sync::Arc;
use virtflow_base::{Fill, RecordSource, Timestamp};
use virtflow_perfdata::writer::{
    At, ByteOrder, CONTEXT_SWITCH, FileWriter, INHERIT, Recorded, SAMPLE_TYPE,
};
use virtflow_perfdata::{Bound, EventView, Extract, Trace, Wanted};

/// Reads all of a file that is `input`.
pub fn perfdata(input: &[u8]) {
    let dir = directory();
    let path = dir.path().join("perf.data");
    write(&path, input);
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
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_as_they_should_be() {
        for (name, bytes) in seeds() {
            let dir = directory();
            let path = dir.path().join("perf.data");
            write(&path, &bytes);
            let trace = Trace::open(&path).map(Arc::new);
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
