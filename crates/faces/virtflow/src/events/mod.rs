//! `virtflow events`: decoded events in time order, one per line.
//!
//! The text is babeltrace2's, byte for byte where it can be, so that the two can be compared with
//! `diff` and scripts that read the one can read the other; its times are UTC unless `--local`.

mod clock;
mod line;

use crate::args::{EventsArgs, EventsFormat};
use crate::output::{complain, number};
use crate::progress::Bar;
use crate::traces::Traces;
use crate::{Finish, range, rows};
use anyhow::Context;
use std::io::Write;
use virtflow_base::{Problems, Timestamp};
use virtflow_query::store::Store;
use virtflow_query::{AnyEvent, Glob, Numbers, Recording, StreamReport, event_json, threads};

/// What is gathered before it is written.
const BUFFER_BYTES: usize = 1 << 16;

pub(crate) fn run(args: &EventsArgs) -> anyhow::Result<Finish> {
    let recording = open(&args.traces)?;
    if args.count {
        return count(&recording);
    }
    let globs: Vec<_> = args.filter.iter().map(|glob| Glob(glob.trim())).collect();
    warn_of_unknown(&recording, &globs);
    let bar = Bar::new(recording.bytes());
    let begins = (0..recording.machines().len())
        .filter_map(|machine| virtflow_query::bounds(&recording.coverage(machine)))
        .map(|bounds| bounds.0)
        .min()
        .unwrap_or_default();
    let span = range::parse(args.range.as_deref(), begins, args.local)?;
    let choose = |name: &str| globs.is_empty() || globs.iter().any(|glob| glob.matches(name));
    let mut events = recording.events(choose, threads());
    let mut writer = Writer::new(&recording, args);
    'all: while let Some((_, run)) = events.next_run() {
        for event in run {
            if event.time >= span.end {
                break 'all;
            }
            if event.time >= span.start {
                writer.write(event.time, &event.record)?;
            }
        }
        bar.progress.read(events.bytes_read());
    }
    drop(bar);
    writer.flush()?;
    let mut problems = recording.problems();
    problems.merge(events.problems().clone());
    Ok(tell(&recording, &problems))
}

/// Opens a trace; of a store the one it was made of.
fn open(traces: &Traces) -> anyhow::Result<Recording> {
    let Some(path) = traces.store() else {
        return traces.recording();
    };
    virtflow_query::store::trace_of(&Store::open(path)?).with_context(|| {
        format!(
            "{}: a store holds no events, and the trace that it was made of cannot be opened",
            path.display()
        )
    })
}

fn count(recording: &Recording) -> anyhow::Result<Finish> {
    let counted = recording.count(threads());
    writeln!(std::io::stdout(), "{}", counted.total)?;
    let mut problems = recording.problems();
    problems.merge(counted.problems);
    Ok(tell(recording, &problems))
}

/// Says on standard error what is missing.
fn tell(recording: &Recording, problems: &Problems) -> Finish {
    rows::tell_problems(problems);
    let streams: Vec<_> = (0..recording.machines().len())
        .flat_map(|machine| recording.coverage(machine))
        .map(|coverage| StreamReport::new(&coverage))
        .collect();
    let events: u64 = streams.iter().map(|s| s.events_lost).sum();
    let packets: u64 = streams.iter().map(|s| s.packets_lost).sum();
    if events > 0 || packets > 0 {
        complain(&format!(
            "virtflow: warning: the tracer lost {} events and {} packets; `virtflow info` says where",
            number(events),
            number(packets)
        ));
    }
    let whole = streams.iter().all(StreamReport::is_whole);
    if whole && problems.is_empty() {
        Finish::Complete
    } else {
        Finish::Incomplete
    }
}

/// A name filter that no event of the trace matches is most likely a slip.
fn warn_of_unknown(recording: &Recording, globs: &[Glob<'_>]) {
    let described: Vec<_> = (0..recording.machines().len())
        .flat_map(|machine| recording.described(machine))
        .collect();
    for glob in globs
        .iter()
        .filter(|glob| !described.iter().any(|name| glob.matches(name)))
    {
        complain(&format!(
            "virtflow: warning: no event of this trace is called {:?}; `virtflow info` lists them",
            glob.0
        ));
    }
}

/// Writes events in either form.
struct Writer {
    format: EventsFormat,
    /// The machine's name, by trace.
    machines: Vec<String>,
    clock: clock::Clock,
    before: Option<Timestamp>,
    buffer: Vec<u8>,
}

impl Writer {
    fn new(recording: &Recording, args: &EventsArgs) -> Self {
        let machine = |trace: &virtflow_query::TraceInfo| {
            recording
                .machines()
                .get(trace.machine)
                .map_or_else(String::new, |m| m.name.clone())
        };
        Self {
            format: args.format,
            machines: recording.traces().iter().map(machine).collect(),
            clock: clock::Clock::new(args.local),
            before: None,
            buffer: Vec::with_capacity(2 * BUFFER_BYTES),
        }
    }

    fn write(&mut self, time: Timestamp, event: &AnyEvent) -> std::io::Result<()> {
        let machine = self.machines.get(event.trace()).map_or("", String::as_str);
        match self.format {
            EventsFormat::Text => {
                self.clock.write(time, self.before, &mut self.buffer);
                line::write(event, machine, &mut self.buffer);
                self.before = Some(time);
            }
            EventsFormat::Jsonl => {
                event_json(time, event, machine, Numbers::Exact, &mut self.buffer);
            }
        }
        self.buffer.push(b'\n');
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        out.write_all(&self.buffer)?;
        self.buffer.clear();
        out.flush()
    }
}
