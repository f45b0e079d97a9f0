//! Records, put in order and written as a trace.

use crate::events::{Shapes, classes, fields};
use crate::{Plan, RecordError};
use rustix::time::{ClockId, clock_gettime};
use std::path::{Path, PathBuf};
use virtflow_ctf::writer::{
    ByteOrder, Clock, EnvValue, EventClass, Payload, StreamIdentity, StreamWriter, TraceConfig,
    TraceWriter,
};

/// The bytes of a record before its fields: time, kind, processor, thread, process.
const HEAD_BYTES: usize = 20;
/// A record may come this much later than another one that happened after it: an interrupt that is
/// recorded itself came in between.
pub(crate) const LATE_NS: u64 = 2_000_000;
/// How often the clocks are read to tell one from the other.
const CLOCK_READS: usize = 32;

/// What was recorded so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Where.
    pub directory: PathBuf,
    /// Events that were written.
    pub events: u64,
    /// Records for which there was no room.
    pub lost: u64,
    /// Bytes of the trace.
    pub bytes: u64,
    /// Tracepoints at which the kernel let no program run, and why.
    pub refused: Vec<(&'static str, String)>,
}

/// A record that waits for what may have happened before it.
struct Record {
    time: u64,
    kind: u16,
    /// Where its fields are.
    from: usize,
    to: usize,
}

struct Cpu {
    stream: StreamWriter,
    waiting: Vec<Record>,
    bytes: Vec<u8>,
    written: u64,
}

/// A trace that is being written.
pub(crate) struct Writer {
    cpus: Vec<Cpu>,
    shapes: Shapes,
    dump_classes: u32,
    payload: Vec<u8>,
    summary: Summary,
    began: u64,
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

impl Writer {
    pub(crate) fn create(directory: &Path, plan: &Plan) -> Result<Self, RecordError> {
        let (mut all, shapes) = classes();
        let dump_classes = all.len() as u32;
        all.extend(
            (dump_classes..)
                .zip(crate::dump::CLASSES)
                .map(|(id, (name, of))| EventClass::new(id, *name, fields(of))),
        );
        // Only what can occur is described.
        let recorded: Vec<u32> = plan
            .kinds()
            .filter_map(|kind| shapes.get(usize::from(kind)))
            .flatten()
            .map(|(id, _)| *id)
            .collect();
        all.retain(|class| class.id >= dump_classes || recorded.contains(&class.id));
        let mut config = config();
        config.stream.uuid = *uuid::Uuid::new_v4().as_bytes();
        let trace = TraceWriter::create(directory, &config, &all)?;
        let began = now();
        let cpus = (0..cpus()).map(|cpu| {
            let mut stream = trace.stream(StreamIdentity::of_cpu("k", cpu))?;
            stream.begin_packet(began)?;
            Ok(Cpu {
                stream,
                waiting: Vec::new(),
                bytes: Vec::new(),
                written: began,
            })
        });
        Ok(Self {
            cpus: cpus.collect::<Result<_, RecordError>>()?,
            shapes,
            dump_classes,
            payload: Vec::new(),
            summary: Summary {
                directory: directory.to_owned(),
                ..Summary::default()
            },
            began,
        })
    }

    pub(crate) const fn summary(&self) -> &Summary {
        &self.summary
    }

    pub(crate) fn refused(&mut self, refused: &[(&'static str, String)]) {
        self.summary.refused = refused.to_vec();
    }

    /// Takes a record out of the ring; one that is none is left out.
    pub(crate) fn take(&mut self, record: &[u8]) {
        let Some((head, fields)) = record.split_at_checked(HEAD_BYTES) else {
            return;
        };
        let number = |from: usize, to: usize| {
            head[from..to]
                .iter()
                .rev()
                .fold(0_u64, |n, byte| n << 8 | u64::from(*byte))
        };
        let (time, kind, cpu) = (number(0, 8), number(8, 10), number(10, 12));
        if let Some(cpu) = self.cpus.get_mut(cpu as usize) {
            let from = cpu.bytes.len();
            cpu.bytes.extend_from_slice(fields);
            cpu.waiting.push(Record {
                time,
                kind: kind as u16,
                from,
                to: cpu.bytes.len(),
            });
        }
    }

    /// Writes what happened before `before`, less a little; `lost` says how many records each
    /// processor had no room for.
    pub(crate) fn flush(&mut self, before: u64, lost: &[u64]) -> Result<(), RecordError> {
        let until = if before == u64::MAX {
            before
        } else {
            before.saturating_sub(LATE_NS)
        };
        for (number, cpu) in self.cpus.iter_mut().enumerate() {
            let lost = lost.get(number).copied().unwrap_or(0);
            cpu.stream.set_discarded(lost);
            cpu.waiting.sort_by_key(|record| record.time);
            let ready = cpu.waiting.partition_point(|record| record.time < until);
            for record in cpu.waiting.drain(..ready) {
                // What is too late is told as having happened when it can still be written.
                let time = record.time.max(cpu.written);
                let fields = cpu.bytes.get(record.from..record.to).unwrap_or_default();
                let shapes = self.shapes.get(usize::from(record.kind));
                for (id, parts) in shapes.into_iter().flatten() {
                    let payload = part(fields, parts, &mut self.payload);
                    cpu.stream.event(time, *id, payload)?;
                    self.summary.events += 1;
                }
                cpu.written = time;
            }
            if cpu.waiting.is_empty() {
                cpu.bytes.clear();
            } else if cpu.waiting[0].from > cpu.bytes.len() / 2 {
                let gone = cpu.waiting[0].from;
                cpu.bytes.drain(..gone);
                for record in &mut cpu.waiting {
                    (record.from, record.to) = (record.from - gone, record.to - gone);
                }
            }
        }
        self.summary.lost = lost.iter().sum();
        Ok(())
    }

    /// Writes an event of the state dump, on the first processor, as at the beginning.
    pub(crate) fn dump(
        &mut self,
        class: usize,
        write: impl FnOnce(&mut Payload),
    ) -> Result<(), RecordError> {
        let mut payload = Payload::new(ByteOrder::Little);
        write(&mut payload);
        if let Some(cpu) = self.cpus.first_mut() {
            let id = self.dump_classes + class as u32;
            cpu.stream.event(self.began, id, payload.as_bytes())?;
            self.summary.events += 1;
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<Summary, RecordError> {
        let end = now();
        for cpu in self.cpus {
            let mut stream = cpu.stream;
            if stream.is_open() {
                stream.end_packet(end.max(cpu.written))?;
            }
            self.summary.bytes += stream.finish()?.bytes;
        }
        Ok(self.summary)
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
    let text = std::fs::read_to_string("/sys/devices/system/cpu/possible").unwrap_or_default();
    let last = text
        .trim()
        .rsplit([',', '-'])
        .next()
        .and_then(|last| last.parse::<u32>().ok());
    last.map_or(1, |last| last.saturating_add(1)).min(8_192)
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
