//! Events come out as they went in.

use std::sync::Arc;

use virtflow_base::{CpuId, Fill, ProblemKind, RecordSource, Timestamp};

use crate::test_support::{Bits, Keep, LttngPacket, TestTrace, lttng_metadata, read, read_with};
use crate::{ByteOrder, EventView, Extract, Item, OwnedEvent, Scope, Trace, Value, Wanted};

const EVENTS: &str = r#"
event { name = "sched_switch"; id = 2; stream_id = 0; fields := struct {
    integer { size = 8; align = 8; signed = 1; encoding = UTF8; } _prev_comm[16];
    int _prev_tid; uint64_t _state; }; };
event { name = "open"; id = 3; stream_id = 0; fields := struct {
    string _path; int _fd; uint8_t __len; uint8_t _data[__len]; uint16_t _after; }; };
event { name = "net"; id = 300; stream_id = 0; fields := struct {
    enum : uint8_t { "_none" = 0, "_ip" = 1 } _kind;
    variant <_kind> {
        struct { } _none;
        struct {
            integer { size = 4; align = 4; byte_order = be; } _version;
            integer { size = 4; align = 4; byte_order = be; } _ihl;
            integer { size = 16; align = 8; byte_order = be; base = 16; } _id;
            integer { size = 16; align = 8; byte_order = be; base = 16; } _address[2];
            integer { size = 12; align = 4; } _odd[2];
        } _ip;
    } _header;
    floating_point { exp_dig = 8; mant_dig = 24; align = 8; } _ratio; }; };
"#;

fn switch(comm: &str, tid: i32, state: u64) -> Vec<u8> {
    let mut payload = comm.as_bytes().to_vec();
    payload.resize(16, 0);
    payload.extend(tid.to_le_bytes());
    payload.extend(state.to_le_bytes());
    payload
}

fn trace() -> (TestTrace, Arc<Trace>) {
    let open = b"/etc/passwd\0\xff\xff\xff\xff\x03abc\x34\x12";
    let ratio = 1.5_f32.to_le_bytes();
    let address = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0];
    let ip = [&[1, 0x45, 0xab, 0xcd][..], &address, &ratio].concat();
    let mut packet = LttngPacket::new(0x0fff_fff0, 0x2000_0000);
    packet.cpu = 9;
    let packet = packet
        .compact(2, 0x0fff_fff1, &switch("swapper/0", -1, 7))
        .compact(3, 0x1000_0001, open)
        .extended(300, 0x1800_0000, &ip)
        .extended(300, 0x1800_0001, &[&[0][..], &ratio].concat());
    let dir = TestTrace::new(&lttng_metadata(EVENTS));
    dir.file("k_9", &packet.bytes());
    let trace = dir.open();
    (dir, trace)
}

/// What the slots of an event hold.
#[derive(Debug, PartialEq)]
struct Slots {
    tag: u32,
    cpu: Option<CpuId>,
    ints: Vec<Option<i64>>,
    bytes: Vec<Option<Vec<u8>>>,
    has: Vec<bool>,
    float: Option<f64>,
}

struct TakeSlots(usize);

impl Extract for TakeSlots {
    type Out = Slots;

    fn extract(&mut self, event: &EventView<'_>) -> Option<Slots> {
        Some(Slots {
            tag: event.tag(),
            cpu: event.cpu(),
            ints: (0..self.0).map(|slot| event.i64(slot)).collect(),
            bytes: (0..self.0)
                .map(|slot| event.bytes(slot).map(<[u8]>::to_vec))
                .collect(),
            has: (0..self.0).map(|slot| event.has(slot)).collect(),
            float: (0..self.0).find_map(|slot| event.f64(slot)),
        })
    }
}

#[test]
fn times_wrap_and_are_replaced() {
    let (_dir, trace) = trace();
    let (events, problems) = read(&trace, 0);
    assert!(problems.is_empty(), "{:?}", problems.kept());
    let times: Vec<i64> = events
        .iter()
        .map(|event| event.time.as_nanos() - 1000)
        .collect();
    assert_eq!(times, [0x0fff_fff1, 0x1000_0001, 0x1800_0000, 0x1800_0001]);
    assert_eq!(events[1].record.cycles(), 0x1000_0001);
}

#[test]
fn slots_at_fixed_places() {
    let (_dir, trace) = trace();
    let fields = ["prev_tid", "prev_comm", "nothing", "_state"];
    let (events, _) = read_with(&trace, 0, &fields, TakeSlots(4));
    let slots = &events[0].record;
    assert_eq!((slots.tag, slots.cpu), (7, Some(CpuId(9))));
    assert_eq!(slots.ints, [Some(-1), None, None, Some(7)]);
    assert_eq!(slots.bytes[1].as_deref(), Some(&b"swapper/0"[..]));
    assert_eq!(slots.has, [true, true, false, true]);
}

#[test]
fn slots_behind_strings_and_sequences() {
    let (_dir, trace) = trace();
    let fields = ["fd", "path", "data", "after", "_len"];
    let (events, _) = read_with(&trace, 0, &fields, TakeSlots(5));
    let slots = &events[1].record;
    assert_eq!(slots.ints, [Some(-1), None, None, Some(0x1234), Some(3)]);
    assert_eq!(slots.bytes[1].as_deref(), Some(&b"/etc/passwd"[..]));
    assert_eq!(slots.bytes[2].as_deref(), Some(&b"abc"[..]));
}

#[test]
fn slots_inside_variants_come_and_go() {
    let (_dir, trace) = trace();
    let fields = [
        "header.ip.version",
        "header.ip.ihl",
        "header.ip.id",
        "ratio",
        "kind",
        "header.ip.address",
        "header.ip.odd",
    ];
    let (events, _) = read_with(&trace, 0, &fields, TakeSlots(7));
    let with = &events[2].record;
    let ints = [Some(4), Some(5), Some(0xabcd), None, Some(1), None, None];
    assert_eq!(with.ints, ints);
    assert_eq!(with.float, Some(1.5));
    // Whole bytes as they lie; elements with odd bits are no bytes.
    assert_eq!(with.bytes[5].as_deref(), Some(&[0x20, 1, 0xd, 0xb8][..]));
    assert_eq!((with.has[6], &with.bytes[6]), (true, &None));
    let without = &events[3].record;
    let has = [false, false, false, true, true, false, false];
    assert_eq!(without.has, has);
    assert_eq!((without.ints[4], without.float), (Some(0), Some(1.5)));
}

#[test]
fn values_of_kept_events() {
    let (_dir, trace) = trace();
    let (events, _) = read(&trace, 0);
    let net: &OwnedEvent = &events[2].record;
    assert_eq!(net.class(&trace).unwrap().name(), "net");
    let value = net.value(&trace, Scope::Payload).unwrap().unwrap();
    let kind = value.get("kind").unwrap();
    assert_eq!(
        kind,
        &Value::Enum {
            value: 1,
            labels: vec!["_ip".into()]
        }
    );
    let header = value.get("header").unwrap();
    assert_eq!(header.get("ihl").and_then(Value::as_int), Some(5));
    let packet = net.value(&trace, Scope::PacketContext).unwrap().unwrap();
    assert_eq!(packet.get("cpu_id").and_then(Value::as_int), Some(9));
    let header = net.value(&trace, Scope::EventHeader).unwrap().unwrap();
    assert_eq!(header.get("id").and_then(Value::as_int), Some(31));
    let v = header.get("v").unwrap();
    assert_eq!(
        v.get("timestamp").and_then(Value::as_int),
        Some(0x1800_0000)
    );
    let mut texts = Vec::new();
    let mut note = |name: &str, item: Item<'_>| {
        if let Item::Text(text) = item {
            texts.push((name.to_owned(), text.to_vec()));
        }
    };
    events[1]
        .record
        .visit(&trace, &Scope::ALL, &mut note)
        .unwrap();
    assert_eq!(texts, [("path".to_owned(), b"/etc/passwd".to_vec())]);
    assert_eq!(net.value(&trace, Scope::EventContext), Ok(None));
}

#[test]
fn the_body_is_the_payload_as_it_lies() {
    struct Body;
    impl Extract for Body {
        type Out = Vec<u8>;
        fn extract(&mut self, event: &EventView<'_>) -> Option<Vec<u8>> {
            event.body().map(<[u8]>::to_vec)
        }
    }
    let (_dir, trace) = trace();
    let (events, _) = read_with(&trace, 0, &[], Body);
    assert_eq!(events[0].record, switch("swapper/0", -1, 7));
}

#[test]
fn only_bound_events_come_and_only_as_many_as_asked() {
    let (_dir, trace) = trace();
    let bound = trace.bind(|class| (class.name() == "net").then(Wanted::default));
    assert!(!bound.is_bound(0) && bound.is_bound(2));
    let mut reader = trace.reader(0, Arc::new(bound), Keep);
    let mut batch = Vec::new();
    assert_eq!(reader.fill(&mut batch, 0), Fill::More);
    assert_eq!(reader.fill(&mut batch, 1), Fill::More);
    assert_eq!(batch.len(), 1);
    assert!(reader.bytes_read() > 0 && reader.bytes_read() < trace.streams()[0].bytes());
    while reader.fill(&mut batch, 1) == Fill::More {}
    assert_eq!(batch.len(), 2);
    assert_eq!(reader.bytes_read(), trace.streams()[0].bytes());
    let nothing = trace.bind(|_| None);
    assert_eq!(
        trace
            .reader(99, Arc::new(nothing), Keep)
            .fill(&mut batch, 1),
        Fill::End
    );
}

#[test]
fn time_running_backwards_is_told_once_a_packet_and_passed_on() {
    let packet = (0..3).fold(LttngPacket::new(100, 200), |packet, i| {
        packet.extended(2, 190 - i, &switch("x", 1, 1))
    });
    let dir = TestTrace::new(&lttng_metadata(EVENTS));
    dir.file("k_0", &[packet.bytes(), packet.bytes()].concat());
    let trace = dir.open();
    let (events, problems) = read(&trace, 0);
    let times: Vec<i64> = events.iter().map(|event| event.time.as_nanos()).collect();
    assert_eq!(times, [1190, 1189, 1188, 1190, 1189, 1188]);
    assert_eq!(problems.total(), 2);
    assert_eq!(problems.kept()[0].kind, ProblemKind::TimeBackwards);
}

/// Big-endian, a header of odd sizes, contexts, alignments up to 64.
#[test]
fn odd_headers_and_contexts() {
    let text = "trace { major = 1; minor = 8; byte_order = be; };
        clock { name = c; freq = 1000; offset_s = 5; };
        typealias integer { size = 8; } := u8;
        stream {
            event.header := struct { integer { size = 3; align = 1; } id;
                integer { size = 10; align = 1; map = clock.c.value; } timestamp; } align(32);
            event.context := struct { u8 cpu; integer { size = 32; align = 32; signed = 1; } tid; };
        };
        event { name = a; id = 5; context := struct { u8 n; };
            fields := struct { integer { size = 64; align = 64; } s[n]; }; };
        event { name = b; id = 1;
            fields := struct { integer { size = 5; align = 1; signed = 1; } x; }; };";
    let mut bits = Bits::default();
    let be = ByteOrder::Big;
    bits.put(5, 3, be).put(1000, 10, be).align(32);
    bits.put(1, 8, be).align(32).put(u64::MAX - 6, 32, be);
    bits.put(2, 8, be).align(64).put(11, 64, be).put(12, 64, be);
    bits.align(32).put(1, 3, be).put(3, 10, be).align(32);
    bits.put(2, 8, be)
        .align(32)
        .put(8, 32, be)
        .put(0b11110, 5, be);
    let dir = TestTrace::new(text);
    dir.file("s", &bits.bytes);
    let trace = dir.open();
    let (events, problems) = read_with(&trace, 0, &["x", "ctx.tid", "ctx.n"], TakeSlots(3));
    assert!(problems.is_empty(), "{:?}", problems.kept());
    assert_eq!(events[0].time, Timestamp::from_nanos(6_000_000_000));
    assert_eq!(events[0].record.ints, [None, Some(-7), Some(2)]);
    assert_eq!(events[1].time, Timestamp::from_nanos(6_027_000_000));
    assert_eq!(events[1].record.ints, [Some(-2), Some(8), None]);
    let (events, _) = read(&trace, 0);
    let payload = events[0]
        .record
        .value(&trace, Scope::Payload)
        .unwrap()
        .unwrap();
    let Some(Value::Array(elements)) = payload.get("s") else {
        panic!("{payload:?}")
    };
    let elements: Vec<_> = elements.iter().filter_map(Value::as_int).collect();
    assert_eq!(elements, [11, 12]);
}

#[test]
fn large_headers() {
    let text = lttng_metadata(EVENTS)
        .replace(
            "uint5_t { compact = 0 ... 30, extended = 31 }",
            "uint16_t { compact = 0 ... 65534, extended = 65535 }",
        )
        .replace("size = 27; align = 1;", "size = 32; align = 8;");
    let mut packet = LttngPacket::new(0xffff_fff0, 0x2_0000_0000);
    packet
        .events
        .le(2, 16)
        .le(0xffff_fff5, 32)
        .bytes(&switch("a", 1, 1));
    packet.events.le(2, 16).le(3, 32).bytes(&switch("b", 2, 2));
    packet
        .events
        .le(65535, 16)
        .le(2, 32)
        .le(0x1_8000_0000, 64)
        .bytes(&switch("c", 3, 3));
    let dir = TestTrace::new(&text);
    dir.file("k_0", &packet.bytes());
    let trace = dir.open();
    let stream = &trace.metadata().stream_classes()[0];
    assert!(matches!(stream.header, crate::plan::HeaderPlan::Fixed(fixed) if fixed.large));
    let (events, problems) = read_with(&trace, 0, &["prev_tid"], TakeSlots(1));
    assert!(problems.is_empty(), "{:?}", problems.kept());
    let got: Vec<_> = events
        .iter()
        .map(|event| (event.time.as_nanos() - 1000, event.record.ints[0]))
        .collect();
    assert_eq!(
        got,
        [
            (0xffff_fff5, Some(1)),
            (0x1_0000_0003, Some(2)),
            (0x1_8000_0000, Some(3))
        ]
    );
}
