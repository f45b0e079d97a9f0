//! Kernel events of any values, from the writer to the sums.

use crate::check::Checked;
use crate::classes::{self, Dialect};
use crate::ctf::directory;
use crate::script::{self, CPUS, Event, Options, Val};
use std::collections::BTreeSet;
use std::path::Path;
use virtflow_base::{
    CpuId, EntityId, Loss, LossKind, Sink, Span, Stamped, StreamCoverage, Tid, Timestamp,
};
use virtflow_ctf::writer::{
    Clock, Field, HeaderKind, Payload, StreamConfig, StreamIdentity, TraceConfig, TraceWriter,
};
use virtflow_events::{KernelEvent, KernelRecord, Recording};
use virtflow_model::{self as model, Collected, Followed, Model};
use virtflow_query::{Budgets, Progress, Rows, analyze, machines};

const COMPACT: u8 = 1;
const WITH_CONTEXT: u8 = 1 << 1;
const WITH_DUMP: u8 = 1 << 2;
const WITH_NESTED: u8 = 1 << 3;
const PROVED_ONLY: u8 = 1 << 4;
const LARGE_PACKETS: u8 = 1 << 5;
const ENTRY_PROBED: u8 = 1 << 6;
/// What no trace should have is taken for a recording of some threads.
const FOLLOWED: u8 = 1 << 7;

/// Intervals, edges and exits that one event may make, at the most, on average: everything there
/// is may change with every event, but nothing may grow faster than that.
const FOUND_PER_EVENT_AND_LANE: u64 = 8;

/// Segments that are noted.
const SEGMENTS: usize = 8;

/// Events written, opened, merged, and run through the model twice: as the pipeline does it, and
/// with clocks and coverage that no trace should have.
pub fn pipeline(input: &[u8]) {
    let (options, events) = script::read(input);
    let dir = directory();
    write(dir.path(), options, &events);
    let recording = Recording::open(dir.path()).expect("what the writer writes can be opened");
    let choices = model::Options {
        interrupts: true,
        counters: true,
        proved_only: options.flags & PROVED_ONLY != 0,
        // Few, so that there is soon no room.
        segments: SEGMENTS,
        entry_probed: options.flags & ENTRY_PROBED != 0,
        // And events that then do tell of them.
        vcpus_named: options.flags & ENTRY_PROBED == 0,
        migrations_told: options.flags & PROVED_ONLY == 0,
        followed: None,
    };
    for machine in machines(&recording) {
        let range = range(options.range);
        let mut rows = 0_u64;
        let sink = Checked::new(Budgets::new(range), Rows::new(range, |_| rows += 1));
        let progress = Progress::default();
        let (sink, outcome) = analyze(&recording, machine, &choices, sink, &progress);
        assert!(!outcome.stopped);
        let segments = &outcome.segments;
        assert!(segments.queued.len() + segments.woke.len() <= SEGMENTS);
        assert!(outcome.counts.events <= events.len() as u64);
        budgets(&sink, options.range == 0);
        bounded(sink.found, outcome.counts.events, sink.kinds().len());
        let read = merged(&recording, machine, model::reads);
        assert_eq!(read.len() as u64, outcome.counts.events);
        let all = merged(&recording, machine, |_| true);
        hostile(
            &recording.coverage(machine),
            &all,
            options,
            &events,
            &choices,
        );
    }
}

fn write(dir: &Path, options: Options, events: &[Event]) {
    let (freq, offset_s, offset) = match options.clock % 8 {
        0 | 1 => (1_000_000_000, 0, 0),
        2 => (1, 0, 0),
        3 => (u64::MAX, 0, 0),
        4 => (1_000_000_000, i64::MIN, 0),
        5 => (1_000_000_000, i64::MAX, i64::MAX),
        6 => (1_000_000_000, -9_000_000_000, 0),
        _ => (3, 1 << 40, -1),
    };
    let with_context = options.flags & WITH_CONTEXT != 0;
    let config = TraceConfig {
        format: virtflow_ctf::writer::Format::Ctf18,
        stream: StreamConfig {
            header: if options.flags & COMPACT == 0 {
                HeaderKind::Large
            } else {
                HeaderKind::Compact
            },
            packet_bytes_max: if options.flags & LARGE_PACKETS == 0 {
                512
            } else {
                1 << 16
            },
            packet_bytes_multiple: 1,
            ..StreamConfig::default()
        },
        clock: Clock {
            freq,
            offset_s,
            offset,
            ..Clock::default()
        },
        env: vec![("hostname".into(), "fuzzed".into())],
        event_context: if with_context {
            vec![Field::signed("_tid", 32)]
        } else {
            Vec::new()
        },
    };
    let dialect = Dialect {
        dump: options.flags & WITH_DUMP != 0,
        nested: options.flags & WITH_NESTED != 0,
    };
    // Long metadata would be most of the work.
    let mut used = [false; classes::COUNT];
    used[classes::number("lttng_statedump_process_state")] = true;
    used[classes::number("kvm_x86_nested_vmrun")] = true;
    for event in events {
        used[event.class] = true;
    }
    let classes = classes::kernel(dialect, &used);
    let slots = classes::slots();
    let trace = TraceWriter::create(dir, &config, &classes).expect("a trace");
    let mut streams: [_; CPUS.len()] = std::array::from_fn(|_| None);
    let mut payload = Payload::new(config.stream.byte_order);
    for event in events {
        let stream = streams[event.stream].get_or_insert_with(|| {
            let identity = StreamIdentity {
                file_name: format!("k_{}", event.stream),
                stream_id: 0,
                instance: event.stream as u64,
                cpu: CPUS[event.stream],
            };
            (trace.stream(identity).expect("a stream"), 0_u64, 0_u64)
        });
        let (writer, lost, sequence) = stream;
        if event.lost + event.missing > 0 || event.packet {
            // Refused where no packet is open.
            let _ = writer.end_packet(event.time);
            *lost += event.lost;
            *sequence += event.missing + 1;
            writer.set_discarded(*lost);
            if event.missing > 0 {
                writer.set_sequence(*sequence << 8);
            }
        }
        payload.clear();
        if with_context {
            payload.bits(event.context, 32);
        }
        for (value, slot) in event.values.iter().zip(&slots[event.class]) {
            match *value {
                Val::Int(value) => payload.bits(value, slot.bits),
                Val::Text(text) if slot.bits == 0 => payload.string(text),
                Val::Text(text) => payload.text(text, usize::from(slot.bits)),
            };
        }
        let id = u32::try_from(event.class).unwrap_or(u32::MAX);
        writer
            .event(event.time, id, payload.as_bytes())
            .expect("an event in order");
    }
    for (writer, ..) in streams.into_iter().flatten() {
        writer.finish().expect("the last packet");
    }
}

const fn range(which: u8) -> Span {
    let at = Timestamp::from_nanos;
    match which % 8 {
        1 => Span::new(at(1 << 20), at((1 << 20) + 4096)),
        2 => Span::new(at(5), at(5)),
        3 => Span::new(at(9), at(-9)),
        4 => Span::new(Timestamp::MAX, Timestamp::MIN),
        5 => Span::new(Timestamp::MIN, at(1 << 21)),
        _ => Span::ALL,
    }
}

/// The sums of what the checked lanes gave.
fn budgets<S: Sink>(sink: &Checked<Budgets, S>, whole: bool) {
    let budgets = &sink.first;
    assert_eq!(budgets.entities().count(), sink.kinds().len());
    for number in 0..sink.kinds().len() {
        let id = EntityId(u32::try_from(number).unwrap_or(u32::MAX));
        let Some(sums) = budgets.sums(id) else {
            continue;
        };
        let (life, sum) = (sums.lifetime_ns(), sums.sum_ns());
        assert!(sum <= life, "{:?}: {sum} of {life}", budgets.entity(id));
        if whole && !sink.has_gaps(number) && life < i64::MAX {
            assert_eq!(sum, life, "{:?}", budgets.entity(id));
        }
        assert!(sums.parts().all(|(_, total)| total.ns >= 0));
        for (_, wait) in sums.waits() {
            assert!(wait.total.ns >= 0 && wait.max_ns >= 0);
        }
    }
}

fn bounded(found: u64, events: u64, entities: usize) {
    let most = (events + 64) * (entities as u64 + 8) * FOUND_PER_EVENT_AND_LANE;
    assert!(found <= most, "{found} found in {events} events");
}

fn merged(
    recording: &Recording,
    machine: usize,
    wanted: impl Fn(&str) -> bool,
) -> Vec<Stamped<KernelRecord>> {
    let mut events = recording.kernel_events(machine, wanted, 2);
    let mut all = Vec::new();
    while let Some((_, run)) = events.next_run() {
        all.extend_from_slice(run);
    }
    all
}

/// The same events under a clock that goes back and a coverage that cannot be.
fn hostile(
    coverage: &[StreamCoverage],
    all: &[Stamped<KernelRecord>],
    options: Options,
    events: &[Event],
    choices: &model::Options,
) {
    let coverage = impossible(coverage, all, options.coverage);
    let sink = Checked::new(Collected::default(), Budgets::new(Span::ALL));
    let followed = (options.flags & FOLLOWED != 0).then_some(Followed {
        traced: options.merged & 4 == 0,
        both_ways: options.merged & 8 != 0,
    });
    let choices = model::Options {
        followed,
        ..choices.clone()
    };
    let mut model = Model::new(&coverage, choices, sink);
    let mut told = BTreeSet::new();
    for (number, event) in all.iter().enumerate() {
        if options.merged & 1 != 0 {
            model.know(&event.record);
        }
        let thread = event.record.context.map(|context| context.tid);
        if let Some(tid) = thread.filter(|tid| followed.is_some() && tid.0 % 4 != 0)
            && told.insert(tid)
        {
            model.event(event.time, &follow(tid));
        }
        let back = events.get(number).map_or(0, |event| event.back);
        let back = if options.merged & 2 != 0 { -back } else { back };
        model.event(event.time.plus(back.saturating_neg()), &event.record);
    }
    let (sink, counts) = model.finish();
    assert_eq!(counts.events, (all.len() + told.len()) as u64);
    let losses: usize = coverage.iter().map(|c| c.losses.len() + 1).sum();
    bounded(
        sink.found,
        counts.events + 2 * losses as u64,
        sink.kinds().len(),
    );
}

/// That a thread is recorded.
fn follow(tid: Tid) -> KernelRecord {
    KernelRecord {
        cpu: CpuId(0),
        context: None,
        event: KernelEvent::ThreadFollowed {
            tid,
            pid: None,
            parent: None,
        },
    }
}

fn impossible(
    coverage: &[StreamCoverage],
    all: &[Stamped<KernelRecord>],
    which: u8,
) -> Vec<StreamCoverage> {
    let mut coverage = coverage.to_vec();
    let lost = |start, end| Loss {
        span: Span::new(start, end),
        kind: LossKind::Unreadable,
    };
    match which % 8 {
        1 => coverage.clear(),
        2 => {
            for stream in &mut coverage {
                if let Some(span) = &mut stream.span {
                    std::mem::swap(&mut span.start, &mut span.end);
                }
            }
        }
        3 => {
            for stream in &mut coverage {
                stream.losses.push(lost(Timestamp::MIN, Timestamp::MAX));
                stream.losses.push(lost(Timestamp::MAX, Timestamp::MIN));
            }
        }
        4 => {
            // Every few events a loss, each inside the other.
            for stream in &mut coverage {
                for event in all.iter().step_by(7) {
                    stream.losses.push(lost(event.time, event.time.plus(1000)));
                }
            }
        }
        5 => {
            let twice: Vec<_> = coverage.iter().rev().cloned().collect();
            coverage.extend(twice);
        }
        6 => coverage.push(StreamCoverage {
            cpu: Some(CpuId(u32::MAX)),
            span: Some(Span::ALL),
            losses: vec![lost(Timestamp::MIN, Timestamp::MIN)],
        }),
        7 => {
            for stream in &mut coverage {
                stream.cpu = None;
            }
        }
        _ => {}
    }
    coverage
}
