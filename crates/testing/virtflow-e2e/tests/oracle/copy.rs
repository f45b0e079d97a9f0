//! Copies of traces: a stretch of time, other names.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use virtflow_base::{Fill, RecordSource, Timestamp};
use virtflow_ctf::writer::{ByteOrder, HeaderKind, StreamConfig, StreamIdentity, TraceWriter};
use virtflow_ctf::{EventView, Extract, Trace, Wanted};

/// An event as it is written again.
struct Copied {
    cycles: u64,
    id: u32,
    name: String,
    bytes: Vec<u8>,
}

struct Copy;

impl Extract for Copy {
    type Out = Copied;

    fn extract(&mut self, event: &EventView<'_>) -> Option<Copied> {
        Some(Copied {
            cycles: event.cycles(),
            id: event.class().id().try_into().unwrap(),
            name: event.class().name().to_owned(),
            bytes: event.body().unwrap().into(),
        })
    }
}

/// Writes the events of `range` (since the epoch) of the trace in `source` to `out`, each changed
/// by `change`. For traces in the test bed's dialect: a clock of 1 GHz, large headers.
pub(crate) fn copy(source: &Path, out: &Path, range: Range<i64>, change: impl Fn(&str, &mut [u8])) {
    let trace = Arc::new(Trace::open(source).unwrap());
    let [clock] = trace.metadata().clocks() else {
        panic!("one clock")
    };
    let zero = clock.time(0);
    let cycles = |t: i64| u64::try_from(Timestamp::from_nanos(t).since(zero)).unwrap();
    let metadata = std::fs::read(source.join("metadata")).unwrap();
    let config = StreamConfig {
        uuid: trace.metadata().uuid().unwrap(),
        byte_order: ByteOrder::Little,
        header: HeaderKind::Large,
        packet_bytes_max: 64 << 20,
        packet_bytes_multiple: 4096,
    };
    let writer = TraceWriter::copy(out, &metadata, &config).unwrap();
    let bound = Arc::new(trace.bind(|_| Some(Wanted::default())));
    for (number, stream) in trace.streams().iter().enumerate() {
        let first = stream.packets().first().unwrap().begin().unwrap();
        let last = stream.packets().last().unwrap().end().unwrap();
        let identity = StreamIdentity {
            file_name: stream
                .path()
                .file_name()
                .unwrap()
                .to_string_lossy()
                .into_owned(),
            stream_id: stream.class_id().try_into().unwrap(),
            instance: stream.instance_id().unwrap_or_default(),
            cpu: stream.cpu().unwrap().0,
        };
        let mut to = writer.stream(identity).unwrap();
        let (begin, end) = (
            range.start.max(first.as_nanos()),
            range.end.min(last.as_nanos()),
        );
        to.begin_packet(cycles(begin)).unwrap();
        let mut events = trace.reader(number, Arc::clone(&bound), Copy);
        let mut batch = Vec::new();
        while events.fill(&mut batch, 4096) == Fill::More || !batch.is_empty() {
            for event in batch.drain(..) {
                if range.contains(&event.time.as_nanos()) {
                    let mut event = event.record;
                    change(&event.name, &mut event.bytes);
                    to.event(event.cycles, event.id, &event.bytes).unwrap();
                }
            }
        }
        to.end_packet(cycles(end)).unwrap();
        to.finish().unwrap();
    }
}
