//! Writes events to their processor's stream, with the losses that were asked for.

use std::path::Path;

use virtflow_ctf::writer::{
    self, EnvValue, Field, Payload, StreamConfig, StreamIdentity, StreamWriter, TraceConfig,
    TraceWriter,
};

use super::catalogue::{self, Ev};
use super::clock::Clock;
use crate::{Scenario, SynthError};

/// Who runs on a processor, for the contexts of its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) pid: i32,
    pub(crate) tid: i32,
    pub(crate) comm: [u8; 16],
}

/// What a stream may record: inside its coverage, outside its losses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Window {
    pub(crate) begin: i64,
    pub(crate) end: i64,
    /// Half-open stretches whose events are discarded, in order.
    pub(crate) losses: Vec<(i64, i64)>,
}

#[derive(Debug)]
struct Stream {
    writer: StreamWriter,
    window: Window,
    next_loss: usize,
    lost_here: u64,
    discarded: u64,
    begun: bool,
    /// The time of the last event seen, lost or not.
    last: i64,
    who: Who,
}

/// A loss that happened: processor, from, to (ns into the trace), events.
pub(crate) type Loss = (usize, i64, i64, u64);

/// The trace being written.
#[derive(Debug)]
pub(crate) struct Out {
    streams: Vec<Stream>,
    recorded: [bool; Ev::COUNT],
    payload: Payload,
    contexts: bool,
    clock: Clock,
    pub(crate) events: u64,
    losses: Vec<Loss>,
    /// The first thing that went wrong; nothing is written after it.
    failed: Option<SynthError>,
    /// What was written: processor and class.
    #[cfg(test)]
    pub(crate) log: Vec<(usize, Ev)>,
}

impl Out {
    pub(crate) fn create(
        dir: &Path,
        scenario: &Scenario,
        windows: Vec<Window>,
        idle: impl Fn(usize) -> Who,
    ) -> Result<Self, SynthError> {
        let dialect = &scenario.dialect;
        let config = trace_config(scenario);
        let trace = TraceWriter::create(dir, &config, &catalogue::classes(dialect))?;
        let mut streams = Vec::new();
        for (cpu, window) in windows.into_iter().enumerate() {
            streams.push(Stream {
                writer: trace.stream(StreamIdentity::of_cpu("k", cpu as u32))?,
                window,
                next_loss: 0,
                lost_here: 0,
                discarded: 0,
                begun: false,
                last: 0,
                who: idle(cpu),
            });
        }
        let recorded = std::array::from_fn(|n| catalogue::CLASSES[n].0.recorded(dialect));
        Ok(Self {
            streams,
            recorded,
            payload: Payload::new(dialect.byte_order),
            contexts: dialect.contexts,
            clock: Clock::new(dialect),
            events: 0,
            losses: Vec::new(),
            failed: None,
            #[cfg(test)]
            log: Vec::new(),
        })
    }

    /// Who runs on `cpu` from now on.
    pub(crate) fn set_who(&mut self, cpu: usize, who: Who) {
        self.streams[cpu].who = who;
    }

    /// Writes an event of `cpu`, `time` nanoseconds into the trace.
    pub(crate) fn event(&mut self, cpu: usize, time: i64, ev: Ev, fill: impl FnOnce(&mut Payload)) {
        if !self.recorded[ev as usize] || self.failed.is_some() {
            return;
        }
        let stream = &mut self.streams[cpu];
        self.payload.clear();
        if self.contexts {
            let Who { pid, tid, comm } = stream.who;
            self.payload.i32(pid).i32(tid).raw(&comm);
        }
        fill(&mut self.payload);
        #[cfg(test)]
        self.log.push((cpu, ev));
        match stream.put(&self.clock, time, ev, self.payload.as_bytes()) {
            Ok(Put::Kept) => self.events += 1,
            Ok(Put::KeptAfterLoss(from, to, events)) => {
                self.events += 1;
                self.losses.push((cpu, from, to, events));
            }
            Ok(Put::Dropped) => {}
            Err(error) => self.failed = Some(error.into()),
        }
    }

    /// Whether anything failed so far.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// Ends all streams, at `end` nanoseconds into the trace at the latest. Gives the bytes of the
    /// streams, what time each covers, and all losses.
    pub(crate) fn finish(mut self, end: i64) -> Result<Finished, SynthError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let mut finished = Finished {
            losses: self.losses,
            ..Finished::default()
        };
        for (cpu, mut stream) in self.streams.drain(..).enumerate() {
            let last = stream
                .window
                .end
                .min(end)
                .max(stream.window.begin)
                .max(stream.last);
            finished.coverage.push((stream.window.begin, last));
            if !stream.begun {
                stream
                    .writer
                    .begin_packet(self.clock.cycles(stream.window.begin))?;
            } else if stream.lost_here > 0 {
                let (from, to) = stream.window.losses[stream.next_loss];
                let from = from.max(stream.window.begin);
                stream
                    .writer
                    .begin_packet(self.clock.cycles(to.min(last)))?;
                finished
                    .losses
                    .push((cpu, from, to.min(last), stream.lost_here));
            }
            stream
                .writer
                .set_discarded(stream.discarded + stream.lost_here);
            stream.writer.end_packet(self.clock.cycles(last))?;
            finished.bytes += stream.writer.finish()?.bytes;
        }
        Ok(finished)
    }
}

/// What the trace came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Finished {
    pub(crate) bytes: u64,
    /// What each stream covers, from and to in nanoseconds into the trace.
    pub(crate) coverage: Vec<(i64, i64)>,
    pub(crate) losses: Vec<Loss>,
}

enum Put {
    Kept,
    /// The first event after a loss of so many events between two moments.
    KeptAfterLoss(i64, i64, u64),
    Dropped,
}

impl Stream {
    /// A loss ends the packet before it; the packet after it tells how much was discarded, as
    /// LTTng's counter does.
    fn put(
        &mut self,
        clock: &Clock,
        time: i64,
        ev: Ev,
        payload: &[u8],
    ) -> Result<Put, writer::WriteError> {
        if time < self.window.begin || time >= self.window.end {
            return Ok(Put::Dropped);
        }
        if !self.begun {
            self.writer.begin_packet(clock.cycles(self.window.begin))?;
            self.begun = true;
        }
        self.last = time;
        let cycles = clock.cycles(time);
        let mut put = Put::Kept;
        if let Some(&(from, to)) = self.window.losses.get(self.next_loss)
            && time >= from
        {
            // Its stream may begin inside it.
            let from = from.max(self.window.begin);
            if time < to {
                if self.lost_here == 0 {
                    self.writer.end_packet(clock.cycles(from))?;
                }
                self.lost_here += 1;
                return Ok(Put::Dropped);
            }
            self.next_loss += 1;
            if self.lost_here > 0 {
                self.writer.begin_packet(clock.cycles(to))?;
                self.discarded += self.lost_here;
                self.writer.set_discarded(self.discarded);
                put = Put::KeptAfterLoss(from, to, std::mem::take(&mut self.lost_here));
            }
        }
        self.writer.event(cycles, ev as u32, payload)?;
        Ok(put)
    }
}

fn trace_config(scenario: &Scenario) -> TraceConfig {
    let dialect = &scenario.dialect;
    let mut uuid = *b"virtflow-synth\0\0";
    uuid[8..].copy_from_slice(&scenario.seed.to_be_bytes());
    let stream = StreamConfig {
        uuid,
        byte_order: dialect.byte_order,
        header: dialect.header,
        packet_bytes_max: scenario.packet_bytes_max,
        ..StreamConfig::default()
    };
    let monotonic = writer::Clock::default();
    let clock = writer::Clock {
        name: match dialect.tsc {
            true => "x86_tsc".to_owned(),
            false => monotonic.name,
        },
        freq: dialect.clock_freq,
        offset_s: dialect.clock_offset_s,
        offset: dialect.clock_offset,
        ..writer::Clock::default()
    };
    let text = |name: &str, value: &str| (name.to_owned(), EnvValue::from(value));
    let number = |name: &str, value| (name.to_owned(), EnvValue::Integer(value));
    let ctf2 = dialect.format == writer::Format::Ctf2;
    let env = vec![
        text("hostname", &scenario.machine),
        text("domain", "kernel"),
        text("sysname", "Linux"),
        text("kernel_release", "6.1.0-56-amd64"),
        text("kernel_version", "#1 SMP PREEMPT_DYNAMIC"),
        text("tracer_name", "lttng-modules"),
        number("tracer_major", 2),
        // CTF 2 came with 2.14.
        number("tracer_minor", if ctf2 { 14 } else { 13 }),
        number("tracer_patchlevel", if ctf2 { 0 } else { 9 }),
        text("trace_buffering_scheme", "global"),
        text("trace_name", "synth"),
        text("trace_creation_datetime", "20261122T200635+0000"),
    ];
    let contexts = vec![
        Field::signed("_pid", 32),
        Field::signed("_tid", 32),
        Field::text("_procname", 16),
    ];
    let event_context = if dialect.contexts {
        contexts
    } else {
        Vec::new()
    };
    TraceConfig {
        format: dialect.format,
        stream,
        clock,
        env,
        event_context,
    }
}
