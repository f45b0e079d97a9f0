//! Small traces assembled by hand for this crate's tests.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use virtflow_base::{Fill, Problems, RecordSource, Stamped};

use crate::{ByteOrder, EventView, Extract, OwnedEvent, Trace, Wanted};

pub(crate) const UUID: [u8; 16] = *b"0123456789abcdef";

/// Puts integers of any size at any bit.
#[derive(Clone, Default)]
pub(crate) struct Bits {
    pub(crate) bytes: Vec<u8>,
    pos: u64,
}

impl Bits {
    pub(crate) fn align(&mut self, bits: u64) -> &mut Self {
        self.pos = self.pos.next_multiple_of(bits);
        self.bytes.resize(self.pos.div_ceil(8) as usize, 0);
        self
    }

    /// One bit after the other, as the specification says it.
    pub(crate) fn put(&mut self, value: u64, size: u32, order: ByteOrder) -> &mut Self {
        for i in 0..size {
            let (from, to) = match order {
                ByteOrder::Little => (i, self.pos % 8),
                ByteOrder::Big => (size - 1 - i, 7 - self.pos % 8),
            };
            self.bytes.resize((self.pos / 8 + 1) as usize, 0);
            self.bytes[(self.pos / 8) as usize] |= ((value >> from & 1) as u8) << to;
            self.pos += 1;
        }
        self
    }

    /// Whole bytes, little-endian.
    pub(crate) fn le(&mut self, value: u64, size: u32) -> &mut Self {
        self.align(8).put(value, size, ByteOrder::Little)
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.align(8).bytes.extend_from_slice(bytes);
        self.pos += bytes.len() as u64 * 8;
        self
    }
}

/// A trace in a directory that goes away with it.
pub(crate) struct TestTrace {
    dir: TempDir,
}

impl TestTrace {
    pub(crate) fn new(metadata: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("metadata"), metadata).unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> &Self {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        self
    }

    pub(crate) fn open(&self) -> Arc<Trace> {
        Arc::new(Trace::open(self.dir.path()).unwrap())
    }
}

/// Keeps every event.
pub(crate) struct Keep;

impl Extract for Keep {
    type Out = OwnedEvent;

    fn extract(&mut self, event: &EventView<'_>) -> Option<OwnedEvent> {
        Some(event.to_owned())
    }
}

/// All records `extract` makes of a stream whose events are bound with `fields`.
pub(crate) fn read_with<E: Extract>(
    trace: &Arc<Trace>,
    stream: usize,
    fields: &[&str],
    extract: E,
) -> (Vec<Stamped<E::Out>>, Problems) {
    let wanted = Wanted {
        tag: 7,
        fields: fields.iter().map(|&field| field.into()).collect(),
    };
    let bound = Arc::new(trace.bind(|_| Some(wanted.clone())));
    let mut reader = trace.reader(stream, bound, extract);
    let mut records = Vec::new();
    let mut problems = Problems::default();
    while reader.fill(&mut records, 5) == Fill::More {
        problems.merge(reader.take_problems());
    }
    problems.merge(reader.take_problems());
    (records, problems)
}

pub(crate) fn read(trace: &Arc<Trace>, stream: usize) -> (Vec<Stamped<OwnedEvent>>, Problems) {
    read_with(trace, stream, &[], Keep)
}

/// Metadata as LTTng's kernel tracer writes them, with these event blocks.
pub(crate) fn lttng_metadata(events: &str) -> String {
    format!(
        r#"/* CTF 1.8 */
typealias integer {{ size = 8; align = 8; signed = false; }} := uint8_t;
typealias integer {{ size = 16; align = 8; signed = false; }} := uint16_t;
typealias integer {{ size = 32; align = 8; signed = false; }} := uint32_t;
typealias integer {{ size = 64; align = 8; signed = false; }} := uint64_t;
typealias integer {{ size = 32; align = 8; signed = true; }} := int;
typealias integer {{ size = 64; align = 8; signed = false; }} := unsigned long;
typealias integer {{ size = 5; align = 1; signed = false; }} := uint5_t;
trace {{
    major = 1; minor = 8; byte_order = le;
    uuid = "30313233-3435-3637-3839-616263646566";
    packet.header := struct {{
        uint32_t magic; uint8_t uuid[16]; uint32_t stream_id; uint64_t stream_instance_id;
    }};
}};
env {{ hostname = "h"; tracer_major = 2; }};
clock {{ name = "monotonic"; freq = 1000000000; offset = 1000; }};
typealias integer {{ size = 27; align = 1; signed = false; map = clock.monotonic.value; }}
    := uint27_clock_monotonic_t;
typealias integer {{ size = 64; align = 8; signed = false; map = clock.monotonic.value; }}
    := uint64_clock_monotonic_t;
struct packet_context {{
    uint64_clock_monotonic_t timestamp_begin;
    uint64_clock_monotonic_t timestamp_end;
    uint64_t content_size;
    uint64_t packet_size;
    uint64_t packet_seq_num;
    unsigned long events_discarded;
    uint32_t cpu_id;
}};
struct event_header_compact {{
    enum : uint5_t {{ compact = 0 ... 30, extended = 31 }} id;
    variant <id> {{
        struct {{ uint27_clock_monotonic_t timestamp; }} compact;
        struct {{ uint32_t id; uint64_clock_monotonic_t timestamp; }} extended;
    }} v;
}} align(8);
stream {{
    id = 0;
    event.header := struct event_header_compact;
    packet.context := struct packet_context;
}};
{events}"#
    )
}

/// A packet as LTTng's kernel tracer writes it.
#[derive(Clone)]
pub(crate) struct LttngPacket {
    pub(crate) begin: u64,
    pub(crate) end: u64,
    pub(crate) sequence: u64,
    pub(crate) discarded: u64,
    pub(crate) cpu: u32,
    pub(crate) instance: u64,
    pub(crate) padding: usize,
    pub(crate) events: Bits,
}

impl LttngPacket {
    pub(crate) fn new(begin: u64, end: u64) -> Self {
        Self {
            begin,
            end,
            sequence: 0,
            discarded: 0,
            cpu: 0,
            instance: 0,
            padding: 5,
            events: Bits::default(),
        }
    }

    /// An event with a compact header.
    pub(crate) fn compact(mut self, id: u64, time: u64, payload: &[u8]) -> Self {
        self.events
            .le(id | (time & 0x7ff_ffff) << 5, 32)
            .bytes(payload);
        self
    }

    /// An event with an extended header.
    pub(crate) fn extended(mut self, id: u64, time: u64, payload: &[u8]) -> Self {
        self.events.le(31, 8).le(id, 32).le(time, 64).bytes(payload);
        self
    }

    pub(crate) const HEADER: usize = 4 + 16 + 4 + 8 + 6 * 8 + 4;

    /// Its content in bits and its size in bits.
    pub(crate) fn sizes(&self) -> (u64, u64) {
        let content = Self::HEADER + self.events.bytes.len();
        (content as u64 * 8, (content + self.padding) as u64 * 8)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let (content, size) = self.sizes();
        let mut out = Bits::default();
        out.le(0xc1fc_1fc1, 32)
            .bytes(&UUID)
            .le(0, 32)
            .le(self.instance, 64);
        out.le(self.begin, 64)
            .le(self.end, 64)
            .le(content, 64)
            .le(size, 64);
        out.le(self.sequence, 64)
            .le(self.discarded, 64)
            .le(u64::from(self.cpu), 32);
        assert_eq!(out.bytes.len(), Self::HEADER);
        out.bytes(&self.events.bytes).bytes(&vec![0; self.padding]);
        out.bytes
    }
}
