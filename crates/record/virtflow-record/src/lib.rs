//! Records what the analyses need, by BPF programs in the kernel, as a CTF trace.
//!
//! | module | |
//! |---|---|
//! | `events` | which tracepoints, and what events their records become |
//! | `block` | what is told of a disk's request that ended badly |
//! | `btf` | the kernel's type information |
//! | `kernel` | where the fields that the programs read are in this kernel |
//! | `load` | the programs, loaded and attached, and the rings that they write to |
//! | `look` | what is known before the rings are emptied |
//! | `order` | records in the order in which they happened |
//! | `trace` | records written as a trace |
//! | `flight` | records of the last while, kept until somebody wants them as a trace |
//! | `live` | records as they happen, for whoever asks |
//! | `watch` | whether a thread waits for a processor too long |
//! | `wait` | waiting until there is something to do |
//! | `dump` | what was there when the recording began, and when it ended, from `/proc` |
//!
//! The programs are C (`bpf/record.bpf.c`) and committed as an object; `cargo xtask bpf --check`
//! builds it anew and compares.

mod block;
mod btf;
mod dump;
mod events;
mod flight;
mod kernel;
mod live;
mod load;
mod look;
mod order;
mod running;
mod trace;
mod wait;
mod watch;

pub use dump::{Part, availability, is_of_the_host, named_vms};
pub use events::Group;
pub use live::{Description, Live, Polled};
pub use load::{Cost, Missed, Missing, Plan, RING_BYTES, permission};
pub use watch::Delay;

use crate::dump::{What, When};
use crate::flight::Flight;
use crate::load::Ring;
use crate::look::{Looked, Looks};
use crate::order::Order;
use crate::trace::{Layout, Writer};
use crate::wait::Wait;
use crate::watch::Watch;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use virtflow_ctf::writer::WriteError;

/// Why nothing could be recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The kernel does not tell its types.
    #[error("{}: {}; the kernel must be built with CONFIG_DEBUG_INFO_BTF", .0.display(), .1)]
    Btf(PathBuf, String),
    /// The kernel does not take the programs.
    #[error("the kernel does not take the BPF programs: {0}")]
    Load(String),
    /// A tracepoint without which nothing can be said is not there.
    #[error("{0} cannot be recorded on this kernel, and nothing can be said without it")]
    Needed(&'static str),
    /// The process may not.
    #[error(
        "recording needs CAP_BPF and CAP_PERFMON ({missing}); run as root, or once: \
         setcap cap_bpf,cap_perfmon,cap_sys_ptrace=ep {}", .program.display()
    )]
    Permission {
        /// This program.
        program: PathBuf,
        /// What of it this process has not.
        missing: &'static str,
    },
    /// The trace cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The trace could not be written any further.
    #[error("{why}; what was written before is a whole trace: {}", .directory.display())]
    Cut {
        /// Where it is.
        directory: PathBuf,
        /// Why.
        why: WriteError,
    },
    /// Something of the system cannot be read.
    #[error("{}: {}", .0.display(), .1)]
    System(PathBuf, std::io::Error),
}

/// How to record.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which tracepoints.
    pub groups: Vec<Group>,
    /// Room for records that are not written yet, in bytes for each processor: made a power of two within
    /// [`RING_BYTES`].
    pub ring_bytes: u32,
    /// The processes of the VMs whose KVM events are recorded; all where there are none. What else
    /// happens on the host is recorded in any case: it may be what a VM waits for.
    pub vms: Vec<i32>,
    /// Asks the kernel to measure what the programs cost, which itself costs a little.
    pub measure: bool,
    /// The state dump tells the arguments of processes, which may hold secrets.
    pub arguments: bool,
}

impl Default for Options {
    fn default() -> Self {
        use Group::{Block, Detail, Irq, Kvm, Net, Power, Sched};
        Self {
            groups: vec![Sched, Irq, Block, Net, Power, Kvm, Detail],
            ring_bytes: 1 << 22,
            vms: Vec::new(),
            measure: false,
            arguments: true,
        }
    }
}

/// What of the recording is kept, and where.
#[derive(Clone, Debug)]
pub enum Keep {
    /// All, in a trace in this new directory.
    All {
        /// Where.
        directory: PathBuf,
        /// The recording ends when the trace has so many bytes.
        bytes_max: Option<u64>,
    },
    /// What happened last, in memory, until [`Next::Snapshot`] asks for it.
    Last {
        /// How long ago at the most.
        window: Duration,
        /// How much at the most, in bytes.
        memory: usize,
        /// Threads that wait for a processor for longer than this are told ([`Summary::delay`]).
        longest: Option<Duration>,
        /// Only threads of these processes count there, where there are any.
        of: Vec<i32>,
    },
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Go on.
    Go,
    /// End the recording.
    Stop,
    /// Write what a flight recorder has as a trace into this new directory, and go on.
    Snapshot(PathBuf),
}

/// A part of a recording that was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Where.
    pub directory: PathBuf,
    /// Events of the trace.
    pub events: u64,
    /// Records of that time for which there was no room.
    pub lost: u64,
    /// Bytes of the trace.
    pub bytes: u64,
    /// How long a time.
    pub covers: Duration,
}

/// What was recorded so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Events that were written; with a flight recorder, records that went through it.
    pub events: u64,
    /// Records for which there was no room.
    pub lost: u64,
    /// What was not recorded though there was room, when it is over.
    pub missed: Missed,
    /// Bytes of the trace.
    pub bytes: u64,
    /// How long was recorded, when it is over.
    pub covers: Duration,
    /// The trace has as many bytes as it may have.
    pub is_full: bool,
    /// What a flight recorder has written.
    pub snapshots: Vec<Snapshot>,
    /// What a flight recorder could not write, and why.
    pub unwritten: Vec<String>,
    /// The longest wait for a processor that became too long since the last question.
    pub delay: Option<Delay>,
    /// Tracepoints at which the kernel let no program run, and why.
    pub refused: Vec<(&'static str, String)>,
    /// What the programs cost, where that was asked for.
    pub cost: Option<Vec<Cost>>,
}

/// How often the rings are emptied at least.
const EVERY: Duration = Duration::from_secs(2);
/// How often where little happens: the recorder's own switches should be few of few.
const EVERY_WHEN_QUIET: Duration = Duration::from_secs(15);
/// Fewer records a second than these since the last look, and little happens.
const IS_QUIET: u64 = 8192;
/// How often where somebody wants to know at once who waits too long, and at the most where a trace may
/// soon have the size that it may have.
const EVERY_TO_WATCH: Duration = Duration::from_millis(100);
/// How long at the most something waits to be written where not little happens, in nanoseconds: that is lost
/// where the recorder is killed.
const WRITTEN_WITHIN_NS: u64 = 5_000_000_000;
/// How often where they were found rather full.
const EVERY_WHEN_BUSY: Duration = Duration::from_millis(10);

/// Where records go.
enum Sink<'l> {
    Trace(Box<Writer<'l>>, Option<u64>),
    Memory(Flight, Option<Watch>),
}

impl<'l> Sink<'l> {
    fn new(keep: &Keep, layout: &'l Layout, began: u64) -> Result<Self, RecordError> {
        Ok(match keep {
            Keep::All {
                directory,
                bytes_max,
            } => {
                let writer = Writer::create(directory, layout, began)?;
                Self::Trace(Box::new(writer), *bytes_max)
            }
            Keep::Last {
                window,
                memory,
                longest,
                of,
            } => {
                let flight = Flight::new(trace::cpus(), *window, *memory, began);
                Self::Memory(
                    flight,
                    longest.map(|longest| Watch::new(longest, of.clone())),
                )
            }
        })
    }

    /// Where a trace cannot be written any further: what there is of it is made whole.
    /// All that happened before `until` is in it.
    fn cut(self, keep: &Keep, until: u64, missed: &Missed, error: RecordError) -> RecordError {
        if let Self::Trace(writer, _) = self {
            // The first reason is the one to tell.
            let _rest = writer.finish(until, missed);
        }
        cut(keep, error)
    }

    /// Takes what happened before a look at the rings, of which the next comes within `every`.
    fn take(
        &mut self,
        order: &mut Order,
        looked: &Looked,
        every: Duration,
        summary: &mut Summary,
    ) -> Result<(), RecordError> {
        let until = looked.until;
        summary.lost = looked.lost;
        match self {
            Self::Trace(writer, bytes_max) => {
                order.give(until, |record| writer.write(&record))?;
                let longest = WRITTEN_WITHIN_NS.saturating_sub(nanos(every));
                writer.flush(until, longest, &looked.untold)?;
                summary.events = writer.events();
                summary.bytes = writer.bytes();
                summary.is_full = bytes_max.is_some_and(|max| summary.bytes >= max);
            }
            Self::Memory(flight, watch) => {
                order.give(until, |record| {
                    summary.events += u64::from(record.loss().is_none());
                    flight.keep(&record);
                    if let Some(watch) = watch {
                        watch.see(&record);
                    }
                    Ok::<(), RecordError>(())
                })?;
                flight.settle(until);
                summary.delay = watch
                    .as_mut()
                    .and_then(|watch| watch.look(until, summary.lost));
            }
        }
        Ok(())
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// How long to wait for the next look.
struct Pace {
    every: Duration,
    /// Since when these records came, in nanoseconds.
    since: u64,
    records: u64,
}

impl Pace {
    /// Nothing is known of the rate yet: a ring that fills up says so.
    const fn new(began: u64) -> Self {
        Self {
            every: EVERY_WHEN_QUIET,
            since: began,
            records: 0,
        }
    }

    /// After a look that found so many records from before this time. Looks close together tell nothing of
    /// the rate.
    fn after(&mut self, records: u64, until: u64) -> Duration {
        self.records = self.records.saturating_add(records);
        let over = until.saturating_sub(self.since);
        if u128::from(over) >= EVERY_TO_WATCH.as_nanos() {
            let enough = u128::from(self.records) * Duration::from_secs(1).as_nanos();
            let is_quiet = enough < u128::from(IS_QUIET) * u128::from(over);
            self.every = if is_quiet { EVERY_WHEN_QUIET } else { EVERY };
            (self.since, self.records) = (until, 0);
        }
        self.every
    }
}

/// How long until a trace that has grown to `bytes` over this time will have `bytes_max`, as it grew so
/// far, but no less than is worth a look.
fn until_full(over: Duration, bytes: u64, bytes_max: u64) -> Duration {
    let left = u128::from(bytes_max.saturating_sub(bytes));
    let nanos = over.as_nanos().saturating_mul(left) / u128::from(bytes.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).max(EVERY_TO_WATCH)
}

/// When a recording ends by itself, and when somebody is asked what to do next, which is at least every
/// fifteen seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Until<'a> {
    /// Somebody is asked at once when something can be read here.
    pub wake: Option<BorrowedFd<'a>>,
    /// How long is recorded.
    pub over: Option<Duration>,
}

/// An error that ends a trace.
fn cut(keep: &Keep, error: RecordError) -> RecordError {
    match (keep, error) {
        (Keep::All { directory, .. }, RecordError::Write(why)) => RecordError::Cut {
            directory: directory.clone(),
            why,
        },
        (_, error) => error,
    }
}

/// Records until `next` says so, which is asked with what was recorded so far.
///
/// # Errors
/// Where the kernel does not take the programs, or the trace cannot be written. What was written
/// until then is a whole trace.
pub fn record(
    plan: Plan,
    keep: &Keep,
    ends: Until<'_>,
    mut next: impl FnMut(&Summary) -> Next,
) -> Result<Summary, RecordError> {
    let layout = Layout::new(&plan);
    let mut ring = plan.attach()?;
    let wait = Wait::new(&ring, ends.wake)?;
    // From here on all tracepoints are recorded, and up to where the first one is not any more.
    ring.drain(|_| ());
    let mut looks = Looks::from_now(&ring);
    let missed_before = ring.missed();
    let began = trace::now();
    let over = ends.over.and_then(|over| Instant::now().checked_add(over));
    let mut sink = Sink::new(keep, &layout, began)?;
    let mut order = Order::new(trace::cpus(), began);
    let mut summary = Summary {
        refused: ring.refused.clone(),
        ..Summary::default()
    };
    let has_dumps = matches!(sink, Sink::Trace(..));
    if has_dumps {
        dump(&mut order, &mut ring, layout.dump(When::Start));
    }
    let watches = matches!(
        &keep,
        Keep::Last {
            longest: Some(_),
            ..
        }
    );
    let mut taken_until = began;
    let mut pace = Pace::new(began);
    loop {
        let looked = looks.look(&ring);
        let mut records = 0;
        let is_busy = ring.drain(|record| {
            records += 1;
            order.take(record);
        });
        let mut every = if watches {
            EVERY_TO_WATCH
        } else {
            pace.after(records, looked.until)
        };
        if let Err(error) = sink.take(&mut order, &looked, every, &mut summary) {
            let missed = ring.missed().since(&missed_before);
            return Err(sink.cut(keep, taken_until, &missed, error));
        }
        taken_until = looked.until;
        if let Keep::All {
            bytes_max: Some(bytes_max),
            ..
        } = keep
        {
            let over = Duration::from_nanos(taken_until.saturating_sub(began));
            every = every.min(until_full(over, summary.bytes, *bytes_max));
        }
        match next(&summary) {
            Next::Go => {}
            Next::Stop => break,
            Next::Snapshot(directory) => {
                if let Sink::Memory(flight, _) = &sink {
                    let missed = ring.missed().since(&missed_before);
                    match flight.write(&directory, &layout, &looked, &missed) {
                        Ok(written) => summary.snapshots.push(written),
                        // The next one may find room.
                        Err(error) => summary.unwritten.push(error.to_string()),
                    }
                }
            }
        }
        let left = over.map(|over| over.saturating_duration_since(Instant::now()));
        if summary.is_full || left.is_some_and(|left| left.is_zero()) {
            break;
        }
        if is_busy {
            // However full they are: whoever is woken all the time does nothing else.
            std::thread::sleep(EVERY_WHEN_BUSY);
        } else {
            wait.wait(left.map_or(every, |left| left.min(every)));
        }
    }
    if has_dumps {
        dump(&mut order, &mut ring, layout.dump(When::End));
    }
    summary.cost = ring.cost();
    let end = trace::now();
    summary.missed = ring.missed().since(&missed_before);
    summary.covers = Duration::from_nanos(end.saturating_sub(began));
    ring.detach();
    // Nothing happens any more that it would miss.
    let looked = Looked {
        until: end,
        ..looks.look(&ring)
    };
    ring.drain(|record| order.take(record));
    let mut taken = sink.take(&mut order, &looked, EVERY, &mut summary);
    if let Sink::Trace(writer, _) = &mut sink {
        let mut untold = looked.untold.iter();
        taken = taken.and_then(|()| untold.try_for_each(|(cpu, loss)| writer.lose(*cpu, *loss)));
    }
    match (taken, sink) {
        (Err(error), sink) => return Err(sink.cut(keep, taken_until, &summary.missed, error)),
        (Ok(()), Sink::Trace(writer, _)) => {
            (summary.events, summary.bytes) = writer
                .finish(end, &summary.missed)
                .map_err(|e| cut(keep, e))?;
        }
        (Ok(()), Sink::Memory(..)) => {}
    }
    Ok(summary)
}

/// Makes a state dump while the programs are at work, which tell who comes and goes meanwhile.
fn dump(order: &mut Order, ring: &mut Ring, what: What) {
    let mut drain = |order: &mut Order| {
        ring.drain(|record| order.take(record));
    };
    dump::dump(order, what, &mut drain);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_host_is_looked_at_less_often() {
        let at = |millis: u64| millis * 1_000_000;
        let mut pace = Pace::new(at(5));
        assert_eq!(pace.after(1_000, at(6)), EVERY_WHEN_QUIET);
        assert_eq!(pace.after(9_000, at(1_005)), EVERY);
        assert_eq!(pace.after(0, at(1_006)), EVERY);
        assert_eq!(pace.after(8_000, at(2_005)), EVERY_WHEN_QUIET);
        assert_eq!(pace.after(u64::MAX, at(2_006)), EVERY_WHEN_QUIET);
        assert_eq!(pace.after(u64::MAX, at(3_000)), EVERY);
    }

    #[test]
    fn a_trace_is_looked_at_before_it_has_its_size() {
        let seconds = Duration::from_secs;
        assert_eq!(until_full(seconds(2), 1_000, 4_000), seconds(6));
        // Nothing is there yet, or it is there already.
        assert!(until_full(seconds(2), 0, 4_000) > seconds(3600));
        assert_eq!(until_full(seconds(2), 5_000, 4_000), EVERY_TO_WATCH);
        assert!(until_full(Duration::MAX, 1, u64::MAX) > seconds(3600));
    }
}
