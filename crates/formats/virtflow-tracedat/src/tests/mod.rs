//! Whole files, written and read, whole and broken.

mod broken;
mod whole;

use crate::writer::{Entry, FileWriter, Pack, Pages, Shape};
use crate::{ByteOrder, EventView, Extract, OwnedRecord, Trace, Wanted};
use std::io::Write;
use std::sync::Arc;
use virtflow_base::{Fill, Problems, RecordSource, Timestamp};
use virtflow_tracefs::FieldValue;

const TICK: &str = "name: tick\nID: 7\nformat:\n\
    \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
    \tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n\
    \tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n\
    \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n\
    \tfield:u32 number;\toffset:8;\tsize:4;\tsigned:0;\n\n\
    print fmt: \"%u\", REC->number\n";

const SHAPE: Shape = Shape {
    order: ByteOrder::Little,
    long: 8,
    page_size: 256,
};

fn tick(shape: Shape, delta: u32, number: u32) -> Entry {
    let mut record = Vec::new();
    shape.put(7, 2, &mut record);
    shape.put(0, 2, &mut record);
    shape.put(143, 4, &mut record);
    shape.put(number.into(), 4, &mut record);
    Entry::Record(delta, record)
}

/// Two buffers of two processors each; in all 2 * (12 + 9) + 1 ticks. Before the second page of
/// processor 1 of the first buffer, three were lost.
fn file(shape: Shape, pack: Pack) -> FileWriter {
    let ticks = |from: u32, count: u32| -> Vec<Entry> {
        (from..from + count).map(|n| tick(shape, 10, n)).collect()
    };
    let page = |stamp: u64, from: u32, count: u32| shape.page(stamp, &ticks(from, count), None);
    let mut file = FileWriter::new(shape);
    file.pack = pack;
    file.formats = vec![("timer".to_owned(), TICK.to_owned())];
    file.names = "143 CPU 0/KVM\n7 kworker/0:1\n".to_owned();
    file.options = vec![(5, b"Linux vfhost 6.1.0 x86_64\0".to_vec())];
    file.buffers = vec![
        Pages {
            name: String::new(),
            cpus: vec![
                vec![page(1_000, 0, 4), page(2_000, 4, 4), page(3_000, 8, 4)],
                vec![
                    page(1_500, 20, 4),
                    shape.page(2_500, &ticks(24, 5), Some(Some(3))),
                ],
            ],
        },
        Pages {
            name: "calls".to_owned(),
            cpus: vec![
                vec![page(1_100, 40, 10), page(4_000, 50, 11)],
                vec![page(5_000, 70, 1)],
            ],
        },
    ];
    file
}

struct Keep;

impl Extract for Keep {
    type Out = OwnedRecord;

    fn extract(&mut self, event: &EventView<'_>) -> Option<OwnedRecord> {
        Some(event.to_owned())
    }
}

fn on_disk(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn open(bytes: &[u8]) -> Result<Arc<Trace>, crate::Error> {
    Trace::open(on_disk(bytes).path()).map(Arc::new)
}

/// Stream, time and number of each tick, and what was wrong on the way.
fn read(trace: &Arc<Trace>) -> (Vec<(usize, i64, i128)>, Problems) {
    read_from(trace, Timestamp::MIN)
}

fn read_from(trace: &Arc<Trace>, from: Timestamp) -> (Vec<(usize, i64, i128)>, Problems) {
    let bound = Arc::new(trace.bind(|_| Some(Wanted::default())));
    let (mut all, mut problems) = (Vec::new(), Problems::default());
    for stream in 0..trace.streams().len() {
        let mut reader = trace.reader_from(stream, Arc::clone(&bound), Keep, from);
        let mut batch = Vec::new();
        // Pausing at any record gives the same.
        while reader.fill(&mut batch, 3) == Fill::More {}
        problems.merge(reader.take_problems());
        for stamped in batch {
            let record = stamped.record;
            let format = record.format(&trace.described().formats).unwrap();
            let field = format.field("number");
            let value = field.and_then(|field| field.value(record.bytes(), trace.order()));
            let Some(FieldValue::Int { value, .. }) = value else {
                continue;
            };
            all.push((record.stream(), stamped.time.as_nanos(), value));
        }
    }
    (all, problems)
}
