//! Inputs that the corpora begin with: traces that are as they should be, for the fuzzer to spoil.

use crate::classes::{self, number};
use crate::ctf::{STREAM_MARK, ctf2_metadata, directory, lttng_metadata};
use crate::script::{AGAIN, BACK, CHANNEL, CONTEXT, LOST, MINUTE, MISSING, PACKET, STEP};
use std::fs;
use virtflow_ctf::writer::{ByteOrder, HeaderKind, StreamConfig, StreamIdentity, TraceWriter};

/// An input: of which target, called what, the bytes.
pub type Seed = (&'static str, &'static str, Vec<u8>);

/// All of them.
pub fn all() -> Vec<Seed> {
    let mut seeds = metadata();
    seeds.extend(packets());
    seeds.extend(pipeline());
    let perfdata = crate::perfdata::seeds().into_iter();
    seeds.extend(perfdata.map(|(name, bytes)| ("perfdata", name, bytes)));
    let tracedat = crate::tracedat::seeds().into_iter();
    seeds.extend(tracedat.map(|(name, bytes)| ("tracedat", name, bytes)));
    seeds
}

/// Small texts, one for each part of the language.
const TEXTS: [(&str, &str); 9] = [
    ("least", "/* CTF 1.8 */ trace { major = 1; minor = 8; byte_order = le; }; stream { }; event { name = e; };"),
    (
        "integers",
        "trace { major = 1; minor = 8; byte_order = be; };
typealias integer { size = 0x10; align = 8; signed = true; base = hex; encoding = UTF8; byte_order = network; } := short_t;
stream { event.header := struct { integer { size = 8; } id; integer { size = 64; map = clock.c.value; } timestamp; }; };
clock { name = c; uuid = \"30313233-3435-3637-3839-616263646566\"; freq = 1000; precision = 1; offset_s = -5; offset = 07; absolute = FALSE; description = \"a\\n\\x41\\101\"; };
event { id = 1; name = \"a:b\"; loglevel = 5; fields := struct { short_t _x; short_t _y[3]; } align(32); };",
    ),
    (
        "variants",
        "trace { major = 1; minor = 8; byte_order = le; };
struct outer { enum : integer { size = 4; } { a = 1 ... 3, b, c = -1, \"d e\" } tag; variant <tag> { integer { size = 4; } a; string b; struct { } c; } v; };
variant later { integer { size = 8; } a; string b; };
stream { id = 3; event.header := struct { integer { size = 8; } id; }; event.context := struct { struct outer o; }; };
event { stream_id = 3; id = 0; name = e; context := struct { variant later <stream.event.context.o.tag> x; }; fields := struct { variant later <stream.event.context.o.tag> y; }; };",
    ),
    (
        "sequences",
        "trace { major = 1; minor = 8; byte_order = le; };
typedef integer { size = 8; } u8, pair[2];
stream { packet.context := struct { u8 n; u8 content_size; u8 packet_size; }; event.header := struct { u8 id; }; };
event { id = 0; name = e; fields := struct { u8 len; u8 bytes[len]; struct { u8 k; u8 s[k]; } list[len][2]; pair p; u8 more[stream.packet.context.n]; }; };",
    ),
    (
        "floats",
        "trace { major = 1; minor = 8; byte_order = be; };
stream { event.header := struct { integer { size = 1; } id; }; };
event { id = 0; name = e; fields := struct { floating_point { exp_dig = 8; mant_dig = 24; } a; floating_point { exp_dig = 11; mant_dig = 53; align = 64; byte_order = le; } b; floating_point { exp_dig = 5; mant_dig = 11; } half; }; };",
    ),
    (
        "deep",
        "trace { major = 1; minor = 8; byte_order = le; };
stream { };
event { name = e; fields := struct { struct { struct { struct { struct { struct { integer { size = 3; } a; } b[2]; } c[2]; } d[2]; } e[2]; } f[2]; }; };",
    ),
    (
        "env",
        "trace { major = 1; minor = 8; byte_order = le; uuid = \"76697274-666c-6f77-2d66-757a7a696e67\"; packet.header := struct { integer { size = 32; } magic; integer { size = 8; } uuid[16]; integer { size = 32; } stream_id; }; };
env { hostname = \"h\"; domain = \"kernel\"; tracer_major = 2; negative = -0x10; };
callsite { name = e; func = f; file = \"x.c\"; line = 1; ip = 0x1; };
stream { id = 0; }; stream { id = 1; };
event { id = 0; stream_id = 1; name = e; model.emf.uri = \"http://x\"; };",
    ),
    (
        "c_names",
        "trace { major = 1; minor = 8; byte_order = le; };
typealias integer { size = 32; signed = 1; } := const unsigned long int *;
typedef struct s { string { encoding = ASCII; } text; } named_t;
struct s;
stream { event.header := struct { }; };
event { name = e; fields := struct { const unsigned long int * p; named_t n; }; };",
    ),
    ("comments", "/* CTF 1.8 */ // line\n/* block ** / */ trace /*x*/ { major = 1; minor = 8; byte_order = le; }; stream{};event{name=\"\";id=0;};event{name=b;id=1;};"),
];

fn metadata() -> Vec<Seed> {
    let mut seeds: Vec<Seed> = Vec::new();
    for (name, text) in TEXTS {
        let mut input = text.as_bytes().to_vec();
        input.extend(STREAM_MARK);
        input.extend((0..64).map(|n: u8| n.wrapping_mul(37)));
        seeds.push(("metadata", name, input));
    }
    let lttng = lttng_metadata(ByteOrder::Little, HeaderKind::Compact);
    seeds.push(("metadata", "lttng", lttng.into()));
    let mut with_stream = lttng.as_bytes().to_vec();
    with_stream.extend(STREAM_MARK);
    with_stream.extend(stream(ByteOrder::Little, HeaderKind::Compact).0);
    seeds.push(("metadata", "lttng-and-stream", with_stream));
    let big = lttng_metadata(ByteOrder::Big, HeaderKind::Large);
    seeds.push(("metadata", "lttng-big", big.into()));
    for (name, fragments) in FRAGMENTS {
        let mut input = Vec::new();
        for fragment in fragments.split('\n') {
            input.push(0x1e);
            input.extend(fragment.as_bytes());
            input.push(b'\n');
        }
        input.extend(STREAM_MARK);
        input.extend((0..64).map(|n: u8| n.wrapping_mul(37)));
        seeds.push(("metadata", name, input));
    }
    seeds.push(("metadata", "ctf2-lttng-big", ctf2_metadata(ByteOrder::Big)));
    let mut with_stream = ctf2_metadata(ByteOrder::Little);
    with_stream.extend(STREAM_MARK);
    with_stream.extend(stream(ByteOrder::Little, HeaderKind::Compact).0);
    seeds.push(("metadata", "ctf2-lttng-and-stream", with_stream));
    seeds
}

/// Small metadata streams of CTF 2, a fragment on each line.
const FRAGMENTS: [(&str, &str); 4] = [
    (
        "ctf2-fixed",
        r#"{"type":"preamble","version":2,"uuid":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16],"attributes":{"a":{"b":[null,1.5,true]}}}
{"type":"data-stream-class"}
{"type":"event-record-class","name":"e","payload-field-class":{"type":"structure","minimum-alignment":32,"member-classes":[{"name":"a","field-class":{"type":"fixed-length-bit-array","length":12,"byte-order":"big-endian","bit-order":"first-to-last"}},{"name":"m","field-class":{"type":"fixed-length-bit-map","length":9,"byte-order":"big-endian","flags":{"x":[[0,3],[8,8]],"y":[[2,5]]}}},{"name":"b","field-class":{"type":"fixed-length-boolean","length":3,"byte-order":"big-endian"}},{"name":"i","field-class":{"type":"fixed-length-signed-integer","length":16,"byte-order":"little-endian","alignment":8,"preferred-display-base":16,"mappings":{"l":[[-4,4],[9,9]]}}},{"name":"f","field-class":{"type":"fixed-length-floating-point-number","length":16,"byte-order":"little-endian"}},{"name":"w","field-class":{"type":"fixed-length-unsigned-integer","length":70,"byte-order":"little-endian"}}]}}"#,
    ),
    (
        "ctf2-variable",
        r#"{"type":"preamble","version":2}
{"type":"field-class-alias","name":"leb","field-class":{"type":"variable-length-unsigned-integer"}}
{"type":"field-class-alias","name":"text","field-class":{"type":"null-terminated-string","encoding":"utf-16le"}}
{"type":"data-stream-class"}
{"type":"event-record-class","name":"e","payload-field-class":{"type":"structure","member-classes":[{"name":"n","field-class":"leb"},{"name":"t","field-class":"text"},{"name":"d","field-class":{"type":"dynamic-length-string","encoding":"utf-32be","length-field-location":{"path":["n"]}}},{"name":"s","field-class":{"type":"static-length-string","length":5}},{"name":"p","field-class":{"type":"dynamic-length-blob","length-field-location":{"origin":"event-record-payload","path":["n"]}}},{"name":"q","field-class":{"type":"static-length-blob","length":2}},{"name":"v","field-class":{"type":"static-length-array","length":2,"minimum-alignment":16,"element-field-class":{"type":"variable-length-signed-integer"}}}]}}"#,
    ),
    (
        "ctf2-chosen",
        r#"{"type":"preamble","version":2}
{"type":"data-stream-class","event-record-header-field-class":{"type":"structure","member-classes":[{"name":"has","field-class":{"type":"fixed-length-boolean","length":1,"byte-order":"little-endian"}},{"name":"sel","field-class":{"type":"fixed-length-signed-integer","length":3,"byte-order":"little-endian"}}]}}
{"type":"event-record-class","name":"e","payload-field-class":{"type":"structure","member-classes":[{"name":"o","field-class":{"type":"optional","selector-field-location":{"origin":"event-record-header","path":["has"]},"field-class":{"type":"structure","member-classes":[{"name":"len","field-class":{"type":"variable-length-unsigned-integer"}},{"name":"v","field-class":{"type":"variant","selector-field-location":{"origin":"event-record-header","path":["sel"]},"options":[{"selector-field-ranges":[[-4,-1],[2,2]],"field-class":{"type":"dynamic-length-blob","length-field-location":{"path":["len"]}}},{"name":"b","selector-field-ranges":[[0,1],[3,3]],"field-class":{"type":"structure","member-classes":[{"name":"x","field-class":{"type":"dynamic-length-blob","length-field-location":{"path":[null,"len"]}}}]}}]}}]}}},{"name":"after","field-class":{"type":"dynamic-length-array","length-field-location":{"path":["o","len"]},"element-field-class":{"type":"fixed-length-unsigned-integer","length":4,"byte-order":"little-endian"}}}]}}"#,
    ),
    (
        "ctf2-roles",
        r#"{"type":"preamble","version":2}
{"type":"clock-class","id":"c","namespace":"n","name":"m","uid":"30313233-3435-3637-3839-616263646566","frequency":3,"origin":{"name":"o","uid":"u"},"offset-from-origin":{"seconds":-5,"cycles":2},"precision":1,"accuracy":2}
{"type":"trace-class","environment":{"hostname":"h","tracer_major":2},"packet-header-field-class":{"type":"structure","member-classes":[{"name":"id","field-class":{"type":"fixed-length-unsigned-integer","length":8,"byte-order":"little-endian","roles":["data-stream-class-id"]}},{"name":"n","field-class":{"type":"variable-length-unsigned-integer","roles":["data-stream-id"]}}]}}
{"type":"data-stream-class","default-clock-class-id":"c","packet-context-field-class":{"type":"structure","member-classes":[{"name":"begin","field-class":{"type":"variable-length-unsigned-integer","roles":["default-clock-timestamp","packet-sequence-number"]}},{"name":"end","field-class":{"type":"fixed-length-unsigned-integer","length":16,"byte-order":"little-endian","roles":["packet-end-default-clock-timestamp"]}}]},"event-record-header-field-class":{"type":"structure","member-classes":[{"name":"t","field-class":{"type":"variable-length-unsigned-integer","roles":["default-clock-timestamp"]}},{"name":"i","field-class":{"type":"fixed-length-unsigned-integer","length":1,"byte-order":"little-endian","roles":["event-record-class-id"]}}]}}
{"type":"event-record-class","id":0,"name":"a","attributes":{"lttng.org,2009":{"log-level":6}}}
{"type":"event-record-class","id":1,"name":"b"}"#,
    ),
];

/// A stream of every class with payloads of rising bytes, and its index.
fn stream(order: ByteOrder, header: HeaderKind) -> (Vec<u8>, Vec<u8>) {
    let dir = directory();
    let config = StreamConfig {
        uuid: *b"virtflow-fuzzing",
        byte_order: order,
        header,
        packet_bytes_max: 400,
        packet_bytes_multiple: 8,
    };
    let metadata = lttng_metadata(order, header);
    let trace = TraceWriter::copy(dir.path(), metadata.as_bytes(), &config).expect("a trace");
    let identity = StreamIdentity::of_cpu("k", 0);
    let mut writer = trace.stream(identity).expect("a stream");
    // How long an event of each class is, for the bytes it is given below.
    let lengths: [usize; 13] = [60, 106, 10, 9, 2, 6, 20, 0, 1, 1, 1, 1, 8];
    for (class, length) in classes::any_shape().iter().zip(lengths) {
        let payload: Vec<u8> = match class.id {
            2 => b"one\0second.two\0"[..].into(),
            3 => vec![1, 0, 2, 0, 3, 0, 2, 9, 8, 1, 7, b'x', 0, 4],
            5 => vec![1, 0x5a, 1, b'y', 0, 7],
            _ => (0..length)
                .map(|n| u8::try_from(n % 7).unwrap_or(0))
                .collect(),
        };
        let time = u64::from(class.id) + 1000;
        writer.event(time, class.id, &payload).expect("an event");
        if class.id == 7 {
            writer.set_discarded(3);
        }
    }
    writer.finish().expect("the last packet");
    (
        fs::read(dir.path().join("k_0")).expect("the stream"),
        fs::read(dir.path().join("index").join("k_0.idx")).expect("the index"),
    )
}

fn packets() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (name, flags, order, header) in [
        ("large", 0, ByteOrder::Little, HeaderKind::Large),
        ("compact", 1 << 2, ByteOrder::Little, HeaderKind::Compact),
        ("large-big", 1 << 3, ByteOrder::Big, HeaderKind::Large),
        ("compact-big", 3 << 2, ByteOrder::Big, HeaderKind::Compact),
    ] {
        let (stream, index) = stream(order, header);
        let mut input = vec![flags | 2, 0, 0];
        input.extend(&stream);
        seeds.push(("packets", name, input.clone()));
        let length = u16::try_from(index.len()).unwrap_or(0).to_le_bytes();
        let mut input = vec![flags | 3, length[0], length[1]];
        input.extend(&index);
        input.extend(&stream);
        let indexed = match name {
            "large" => "large-index",
            "compact" => "compact-index",
            "large-big" => "large-big-index",
            _ => "compact-big-index",
        };
        seeds.push(("packets", indexed, input));
        if name == "large" {
            let mut two = vec![flags | 2 | 1 << 4, 0, 0];
            two.extend(&stream);
            two.extend(&stream);
            seeds.push(("packets", "two-files", two));
            let mut cut = vec![flags, 0, 0];
            cut.extend(&stream[..stream.len() - 20]);
            seeds.push(("packets", "cut", cut));
        }
    }
    seeds
}

/// Writes a script.
struct Script(Vec<u8>);

impl Script {
    /// With flags for the trace, and what is odd about clock, range, coverage and merging.
    fn new(options: [u8; 5]) -> Self {
        Self(options.to_vec())
    }

    fn event(&mut self, name: &str, values: &[u8]) -> &mut Self {
        let class = number(name);
        assert_eq!(values.len(), classes::slots()[class].len(), "{name}");
        self.0.push(u8::try_from(class).unwrap_or(0));
        self.code(values)
    }

    fn code(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend(bytes);
        self
    }

    /// From one thread to another, by the low digits of their numbers; `idle` is thread 0.
    fn switch(&mut self, prev: u8, state: u8, next: u8) -> &mut Self {
        self.event("sched_switch", &[1, prev, state, 3, next, 0])
    }

    fn enter(&mut self, vcpu: u8, cr3: u8) -> &mut Self {
        self.event("kvm_x86_entry", &[vcpu, 7, 0])
            .event("vcpu_enter_guest", &[vcpu, cr3, 7, 0, 0, 0, 10])
    }

    fn exit(&mut self, vcpu: u8, reason: u8, cr3: u8, cpl: u8) -> &mut Self {
        self.event("kvm_x86_exit", &[reason, 1, 9, 0, 0, vcpu, 0])
            .event("vcpu_exit_guest", &[vcpu, cr3, cpl, 0])
    }
}

/// The idle thread, as a byte.
const IDLE: u8 = 200;
/// Exit codes, as bytes of [`crate::script`]'s table.
const HLT: u8 = 0;
const INTERRUPT: u8 = 1;
const MSR: u8 = 5;
const VMRESUME: u8 = 9;

fn pipeline() -> Vec<Seed> {
    let mut seeds: Vec<Seed> = Vec::new();
    let mut add = |name, script: &Script| seeds.push(("pipeline", name, script.0.clone()));

    let mut s = Script::new([0, 0, 0, 0, 0]);
    s.switch(IDLE, 0, 4).enter(0, 1).exit(0, INTERRUPT, 1, 3);
    s.enter(0, 1).exit(0, MSR, 2, 0);
    s.event("kvm_x86_msr", &[1, 241, 5]);
    s.enter(0, 2).exit(0, HLT, 1, 0).switch(4, 1, IDLE);
    s.event("sched_waking", &[1, 4, 0, 0]).switch(IDLE, 0, 4);
    s.event("kvm_x86_inj_virq", &[236, 0]);
    s.enter(0, 1).exit(0, INTERRUPT, 3, 3);
    s.code(&[AGAIN, 15, 40, 2]);
    add("halt-and-wake", &s);

    let mut s = Script::new([12, 0, 0, 0, 1]);
    s.event("lttng_statedump_start", &[]);
    s.event("lttng_statedump_process_state", &[4, 10, 10, 1, 0, 5, 0]);
    s.event("lttng_statedump_process_pid_ns", &[4, 9, 1]);
    s.event("lttng_statedump_end", &[]);
    s.switch(IDLE, 0, 4).enter(0, 1).exit(0, VMRESUME, 1, 0);
    s.event("kvm_x86_nested_vmrun", &[1, 5, 7, 248]);
    s.event("kvm_x86_entry", &[0, 7, 0]);
    s.event("vcpu_enter_guest", &[0, 3, 7, 1, 1, 5, 10]);
    s.exit(0, HLT, 3, 0);
    s.event("kvm_x86_nested_vmexit", &[HLT, 1, 9]);
    s.event("kvm_x86_nested_vmexit_inject", &[HLT, 0, 1]);
    s.enter(0, 1).exit(0, INTERRUPT, 2, 0);
    s.code(&[AGAIN, 9, 30, 2]);
    add("nested", &s);

    let mut s = Script::new([0, 0, 0, 0, 0]);
    s.switch(IDLE, 0, 4).enter(0, 1).exit(0, VMRESUME, 1, 0);
    s.event("kvm_x86_entry", &[0, 7, 0]);
    s.event("vcpu_enter_guest", &[0, 3, 7, 1, 1, 5, 10]);
    s.exit(0, VMRESUME, 1, 0);
    s.code(&[AGAIN, 5, 200, 6]);
    add("nested-storm", &s);

    let mut s = Script::new([2, 0, 0, 4, 0]);
    s.code(&[CONTEXT, 4]).switch(IDLE, 0, 4).enter(1, 1);
    s.code(&[LOST, 9]).exit(1, HLT, 1, 0);
    s.code(&[CHANNEL + 1, CONTEXT, 5]).enter(2, 2);
    s.code(&[MISSING, 3]).exit(2, HLT, 2, 0).code(&[PACKET]);
    s.switch(5, 1, 6).code(&[CHANNEL]).enter(1, 1);
    s.code(&[AGAIN, 7, 20, 3]);
    add("losses", &s);

    let mut s = Script::new([33, 0, 0, 3, 0]);
    s.switch(IDLE, 0, 4).enter(0, 1).exit(0, INTERRUPT, 2, 3);
    s.code(&[AGAIN, 3, 255, 2]);
    s.code(&[MINUTE, AGAIN, 3, 20, 0]);
    add("cr3-churn", &s);

    let mut s = Script::new([0, 0, 0, 4, 0]);
    s.event("sched_process_fork", &[4, 5, 10, 10, 1, 3]);
    s.event("sched_wakeup_new", &[1, 5, 0, 0]);
    s.switch(4, 0, 5);
    s.event("sched_migrate_task", &[4, 0, 1]);
    s.event("sched_process_exec", &[5, 6]);
    s.event("sched_process_exit", &[5]);
    s.event("sched_process_free", &[5]);
    s.switch(5, 5, 4);
    s.code(&[AGAIN, 7, 100, 1]);
    add("tid-churn", &s);

    let mut s = Script::new([0, 0, 0, 0, 0]);
    s.switch(IDLE, 0, 4).enter(0, 1);
    s.event("irq_handler_entry", &[5, 3]);
    s.event("block_rq_complete", &[1, 2, 3]);
    s.event("irq_softirq_entry", &[4]);
    s.event("net_if_receive_skb", &[1, 2, 3]);
    s.event("sched_waking", &[3, 6, 0, 1]);
    s.event("irq_softirq_exit", &[4]);
    s.event("irq_handler_exit", &[5]);
    s.code(&[CHANNEL + 1]).switch(IDLE, 0, 6);
    s.event("kvm_set_irq", &[11, 1]);
    s.event("kvm_msi_set_irq", &[1, 40]);
    s.event("kvm_x86_apic_accept_irq", &[0, 0, 40]);
    s.code(&[CHANNEL]).exit(0, 18, 1, 0);
    s.event("kvm_mmio", &[2, 4, 9]);
    s.event("kvm_fast_mmio", &[9]);
    s.event("kvm_x86_inj_virq", &[40, 0]);
    s.enter(0, 1);
    s.event("kvm_x86_eoi", &[0, 40]);
    s.event("kvm_userspace_exit", &[2, 0]);
    s.event("kvm_fpu", &[1]);
    s.event("timer_hrtimer_expire_entry", &[1, 2, 3]);
    s.event("sched_waking", &[1, 4, 0, 0]);
    s.event("timer_hrtimer_expire_exit", &[1]);
    s.code(&[AGAIN, 15, 30, 4]);
    add("devices", &s);

    let mut s = Script::new([0, 6, 1, 2, 3]);
    s.code(&[STEP, 40, BACK, 50]).switch(IDLE, 0, 4).enter(0, 1);
    s.code(&[STEP, 62]).exit(0, HLT, 1, 0);
    s.code(&[STEP, 63, BACK, 62]).switch(4, 1, 5);
    s.code(&[CHANNEL + 4]).switch(5, 0, 4);
    s.code(&[CHANNEL + 5]).switch(4, 0, 5);
    s.code(&[CHANNEL + 6]).switch(5, 1, 4);
    s.code(&[CHANNEL + 7]).switch(201, 0, 203);
    add("extremes", &s);

    let mut s = Script::new([16, 2, 0, 1, 2]);
    s.switch(IDLE, 0, 4);
    s.event("addons_vcpu_enter_guest", &[0, 1, 2, 7]);
    s.event("kvm_x86_entry", &[0, 7, 0]);
    s.event("kvm_x86_exit", &[15, 2, 9, 0, 0, 0, 0]);
    s.event("kvm_x86_cr", &[1, 3, 4]);
    s.event("kvm_x86_pio", &[1, 80, 1]);
    s.code(&[AGAIN, 5, 100, 2]);
    add("original", &s);
    seeds
}
