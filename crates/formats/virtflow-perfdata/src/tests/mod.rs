//! Files written as perf writes them, read whole and broken.

mod broken;
mod own;
mod parts;
mod whole;

use crate::writer::{At, FileWriter, Recorded, SAMPLE_TYPE};
use crate::{ByteOrder, Error, EventView, Extract, OwnedRecord, Trace, Wanted};
use std::io::Write;
use std::sync::Arc;
use virtflow_base::{Fill, Problems, RecordSource, Timestamp};
use virtflow_tracefs::FieldValue;

/// The numbers of the two events of these files, `tick` and `tock`, and of what is no tracepoint.
const TICK: u64 = 7;
const TOCK: u64 = 300;
/// What they are numbered with, on processors 0 and 1.
const IDS: [[u64; 2]; 3] = [[70, 71], [80, 81], [90, 91]];

fn described(name: &str, id: u64) -> (String, String) {
    let text = format!(
        "name: {name}\nID: {id}\nformat:\n\
         \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
         \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n\
         \tfield:u32 number;\toffset:8;\tsize:4;\tsigned:0;\n\nprint fmt: \"\"\n"
    );
    ("timer".to_owned(), text)
}

fn recorded(kind: u32, config: u64, ids: [u64; 2]) -> Recorded {
    Recorded {
        kind,
        config,
        ids: ids.to_vec(),
        sample_type: SAMPLE_TYPE,
        flags: 0,
    }
}

/// A file of `tick`, `tock` and cycles.
fn writer(order: ByteOrder) -> FileWriter {
    let mut file = FileWriter::new(order);
    file.formats = vec![described("tick", TICK), described("tock", TOCK)];
    file.recorded = vec![
        recorded(2, TICK, IDS[0]),
        recorded(2, TOCK, IDS[1]),
        recorded(0, 0, IDS[2]),
    ];
    file.features = vec![
        (3, file.text("host")),
        (4, file.text("6.1.0")),
        (5, file.text("6.1")),
    ];
    file
}

/// The sample of an event: its kind as a number in [`IDS`].
fn event(file: &FileWriter, which: usize, time: u64, cpu: u32, number: u64) -> Vec<u8> {
    let mut raw = Vec::new();
    file.put([TICK, TOCK, 0][which], 2, &mut raw);
    file.put(0, 2, &mut raw);
    file.put(33, 4, &mut raw);
    file.put(number, 4, &mut raw);
    file.sample(at(which, time, cpu), &raw)
}

fn at(which: usize, time: u64, cpu: u32) -> At {
    At {
        time,
        cpu,
        thread: (30, 33),
        id: IDS[which][cpu as usize % 2],
    }
}

/// Two rounds of both processors: numbers by time, and a loss on processor 1.
fn rounds(file: &FileWriter) -> Vec<Vec<u8>> {
    let first_at = At {
        thread: (30, 33),
        ..At::default()
    };
    vec![
        file.comm(first_at, "CPU 0/KVM"),
        event(file, 0, 100, 0, 1),
        event(file, 1, 120, 0, 3),
        event(file, 0, 110, 1, 2),
        file.round(),
        event(file, 2, 121, 0, 0),
        event(file, 0, 140, 0, 5),
        file.lost(at(0, 130, 1), 9),
        event(file, 1, 130, 1, 4),
        file.round(),
        event(file, 1, 150, 1, 6),
    ]
}

fn usual(order: ByteOrder) -> FileWriter {
    let mut file = writer(order);
    file.records = rounds(&file).concat();
    file
}

fn open(bytes: &[u8]) -> Result<Arc<Trace>, Error> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    Trace::open(file.path()).map(Arc::new)
}

struct Keep;

impl Extract for Keep {
    type Out = (OwnedRecord, Option<i32>);

    fn extract(&mut self, event: &EventView<'_>) -> Option<Self::Out> {
        Some((event.to_owned(), event.process))
    }
}

/// Name, processor, time and number of each event, and what was met.
type Read = (Vec<(String, u32, i64, i128)>, Problems);

fn read_with(trace: &Arc<Trace>, from: i64, held_max: usize, at_once: usize) -> Read {
    let bound = Arc::new(trace.bind(|_| Some(Wanted::default())));
    let from = Timestamp::from_nanos(from);
    let mut reader = trace.reader_that_holds(bound, Keep, from, held_max);
    let (mut all, mut batch) = (Vec::new(), Vec::new());
    while reader.fill(&mut batch, at_once) == Fill::More {}
    for stamped in batch {
        let (record, process) = stamped.record;
        assert_eq!(process, Some(30));
        let format = record.format(&trace.described().formats).unwrap();
        let field = format.field("number").unwrap();
        let Some(FieldValue::Int { value, .. }) = field.value(record.bytes(), trace.order()) else {
            continue;
        };
        let (cpu, time) = (record.cpu().0, stamped.time.as_nanos());
        assert_eq!(trace.coverage()[record.stream()].cpu, Some(record.cpu()));
        all.push((format.name().to_owned(), cpu, time, value));
    }
    (all, reader.take_problems())
}

fn read(trace: &Arc<Trace>) -> Read {
    read_with(trace, i64::MIN, usize::MAX, 3)
}

/// The numbers alone.
fn numbers(trace: &Arc<Trace>) -> Vec<i128> {
    let (events, _) = read(trace);
    events.into_iter().map(|(.., number)| number).collect()
}

fn told(problems: &Problems) -> Vec<String> {
    problems.kept().iter().map(|p| p.what.clone()).collect()
}
