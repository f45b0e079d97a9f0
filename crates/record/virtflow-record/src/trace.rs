//! Records, put in order and written as a trace.

use crate::dump::{What, When};
use crate::events::{Shape, Shapes, classes, fields};
use crate::order::{Loss, Record};
use crate::{Missed, Plan, RecordError};
use rustix::time::{ClockId, clock_gettime};
use std::path::Path;
use virtflow_ctf::writer::{
    Clock, EnvValue, EventClass, StreamIdentity, StreamWriter, TraceConfig, TraceWriter,
};

/// The highest number of a processor that a kernel can be built for (NR_CPUS of arch/x86/Kconfig).
const CPU_MAX: u32 = 8_191;
/// How often the clocks are read to tell one from the other.
const CLOCK_READS: usize = 32;

/// The events of a trace: their descriptions, and how records become them.
#[derive(Debug)]
pub(crate) struct Layout {
    all: Vec<EventClass>,
    shapes: Shapes,
    /// The dumps tell the arguments of processes.
    arguments: bool,
}

impl Layout {
    /// Of what can occur.
    pub(crate) fn new(plan: &Plan) -> Self {
        let (mut all, mut shapes) = classes(plan.tells());
        let dump_classes = all.len() as u32;
        for (id, (name, of)) in (dump_classes..).zip(crate::dump::CLASSES) {
            all.push(EventClass::new(id, *name, fields(of)));
            shapes.push(vec![Shape::whole(id)]);
        }
        let recorded: Vec<u32> = plan
            .kinds()
            .filter_map(|kind| shapes.get(usize::from(kind)))
            .flatten()
            .map(|shape| shape.id)
            .collect();
        all.retain(|class| class.id >= dump_classes || recorded.contains(&class.id));
        Self {
            all,
            shapes,
            arguments: plan.options().arguments,
        }
    }

    /// Which dump is made for it.
    pub(crate) const fn dump(&self, when: When) -> What {
        What {
            when,
            arguments: self.arguments,
        }
    }
}

struct Cpu {
    stream: StreamWriter,
    written: u64,
    /// How many records were lost so far.
    lost: u64,
}

impl Cpu {
    /// Ends the packet at `end`, and begins the next one.
    fn next_packet(&mut self, end: u64) -> Result<(), RecordError> {
        let end = end.max(self.written);
        if self.stream.is_open() {
            self.stream.end_packet(end)?;
        }
        self.stream.begin_packet(end)?;
        self.written = end;
        Ok(())
    }
}

/// A trace that is being written.
pub(crate) struct Writer<'l> {
    layout: &'l Layout,
    trace: TraceWriter,
    config: TraceConfig,
    cpus: Vec<Cpu>,
    payload: Vec<u8>,
    events: u64,
}

/// What the clock of all records shows now (CLOCK_MONOTONIC).
pub(crate) fn now() -> u64 {
    nanos(ClockId::Monotonic) as u64
}

fn nanos(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// Nanoseconds from the Unix epoch to the zero of the monotonic clock: of several readings the one
/// between the two closest ones of the latter.
pub(crate) fn clock_offset() -> i64 {
    let reads = (0..CLOCK_READS).map(|_| {
        let before = nanos(ClockId::Monotonic);
        let real = nanos(ClockId::Realtime);
        let after = nanos(ClockId::Monotonic);
        (after - before, real - i64::midpoint(before, after))
    });
    reads.min().map_or(0, |(_, offset)| offset)
}

fn boot_id() -> Option<[u8; 16]> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let id = uuid::Uuid::parse_str(text.trim()).ok()?;
    Some(*id.as_bytes())
}

impl<'l> Writer<'l> {
    /// A new trace in `directory` of what happens from `began` on.
    pub(crate) fn create(
        directory: &Path,
        layout: &'l Layout,
        began: u64,
    ) -> Result<Self, RecordError> {
        let mut config = config();
        config.stream.uuid = *uuid::Uuid::new_v4().as_bytes();
        let trace = TraceWriter::create(directory, &config, &layout.all)?;
        let cpus = (0..cpus()).map(|cpu| {
            let mut stream = trace.stream(StreamIdentity::of_cpu("k", cpu))?;
            stream.begin_packet(began)?;
            Ok(Cpu {
                stream,
                written: began,
                lost: 0,
            })
        });
        let cpus = cpus.collect::<Result<_, RecordError>>()?;
        Ok(Self {
            layout,
            trace,
            config,
            cpus,
            payload: Vec::new(),
            events: 0,
        })
    }

    /// Writes the events of a record. Those of a processor come in order.
    pub(crate) fn write(&mut self, record: &Record<'_>) -> Result<(), RecordError> {
        if let Some(loss) = record.loss() {
            return self.lose(record.cpu, loss);
        }
        let Some(cpu) = self.cpus.get_mut(record.cpu as usize) else {
            return Ok(());
        };
        let time = record.time.max(cpu.written);
        let shapes = self.layout.shapes.get(usize::from(record.kind));
        let shapes = shapes.into_iter().flatten();
        for shape in shapes.filter(|shape| shape.is_of(record.fields)) {
            let payload = part(record.fields, shape.parts, &mut self.payload);
            cpu.stream.event(time, shape.id, payload)?;
            self.events += 1;
        }
        cpu.written = time;
        Ok(())
    }

    /// Says what was lost of a processor. A packet of its own says so: what is known of other times
    /// stays known.
    pub(crate) fn lose(&mut self, cpu: u32, loss: Loss) -> Result<(), RecordError> {
        let Some(cpu) = self.cpus.get_mut(cpu as usize) else {
            return Ok(());
        };
        cpu.next_packet(loss.first)?;
        cpu.lost += loss.count;
        cpu.stream.set_discarded(cpu.lost);
        cpu.next_packet(loss.last)
    }

    /// Writes what has been waiting for longer than some nanoseconds for a packet to be full; not of
    /// processors of which something was lost that comes to be told later, and lies in between.
    pub(crate) fn flush(
        &mut self,
        now: u64,
        longest: u64,
        untold: &[(u32, Loss)],
    ) -> Result<(), RecordError> {
        for (number, cpu) in (0..).zip(&mut self.cpus) {
            let begun = cpu.stream.begun();
            let is_old = begun.is_some_and(|begun| now.saturating_sub(begun) > longest);
            if is_old && untold.iter().all(|(of, _)| *of != number) {
                cpu.next_packet(now)?;
            }
        }
        Ok(())
    }

    /// Events so far.
    pub(crate) const fn events(&self) -> u64 {
        self.events
    }

    /// Bytes so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.cpus.iter().map(|cpu| cpu.stream.bytes()).sum()
    }

    /// Ends the trace at `end`, of which some was `missed`: its events and its bytes. What cannot be
    /// written is left out of it, and the first reason told; it is whole all the same.
    pub(crate) fn finish(mut self, end: u64, missed: &Missed) -> Result<(u64, u64), RecordError> {
        let mut bytes = 0;
        let mut wrong = None;
        for cpu in self.cpus {
            let mut stream = cpu.stream;
            let mut ended = Ok(());
            if stream.is_open() {
                ended = stream.end_packet(end.max(cpu.written));
            }
            match ended.and_then(|()| stream.finish()) {
                Ok(totals) => bytes += totals.bytes,
                Err(error) => wrong = wrong.or(Some(error)),
            }
        }
        if missed.total() > 0 {
            let missed = EnvValue::Text(missed.to_string());
            self.config.env.push(("missed_events".to_owned(), missed));
            let told = self.trace.restate(&self.config, &self.layout.all);
            wrong = wrong.or(told.err());
        }
        wrong.map_or(Ok((self.events, bytes)), |error| Err(error.into()))
    }
}

/// The parts of a record that are an event's fields.
fn part<'a>(fields: &'a [u8], parts: &[(usize, usize)], room: &'a mut Vec<u8>) -> &'a [u8] {
    match parts {
        [] => fields,
        [(from, to)] => fields.get(*from..*to).unwrap_or_default(),
        several => {
            room.clear();
            for (from, to) in several {
                room.extend_from_slice(fields.get(*from..*to).unwrap_or_default());
            }
            room
        }
    }
}

/// How many processors the kernel may ever have.
pub(crate) fn cpus() -> u32 {
    let last = numbers("possible").into_iter().max();
    last.map_or(1, |last| last + 1)
}

/// The processors that are at work.
pub(crate) fn online() -> Vec<u32> {
    numbers("online")
}

/// A list of processors, as "0-3,8" (Documentation/admin-guide/cputopology.rst of the kernel).
fn numbers(which: &str) -> Vec<u32> {
    let path = format!("/sys/devices/system/cpu/{which}");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let ranges = text.trim().split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse().ok()?..=last.parse::<u32>().ok()?.min(CPU_MAX))
    });
    ranges.flatten().collect()
}

fn config() -> TraceConfig {
    let system = rustix::system::uname();
    let text = |name: &str, value: &str| (name.to_owned(), EnvValue::from(value));
    let number = |name: &str, value| (name.to_owned(), EnvValue::Integer(value));
    let version = |at| {
        let mut parts = env!("CARGO_PKG_VERSION").split('.');
        parts
            .nth(at)
            .and_then(|part| part.parse().ok())
            .unwrap_or(0)
    };
    let machine = system.nodename().to_string_lossy().into_owned();
    TraceConfig {
        clock: Clock {
            uuid: boot_id(),
            offset: clock_offset(),
            ..Clock::default()
        },
        env: vec![
            text("hostname", &machine),
            text("domain", "kernel"),
            text("sysname", "Linux"),
            text("kernel_release", &system.release().to_string_lossy()),
            text("kernel_version", &system.version().to_string_lossy()),
            text("tracer_name", "virtflow"),
            number("tracer_major", version(0)),
            number("tracer_minor", version(1)),
            number("tracer_patchlevel", version(2)),
        ],
        ..TraceConfig::default()
    }
}
