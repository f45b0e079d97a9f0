//! Reading events: all of a file's, in order of time.

use std::sync::Arc;

use virtflow_base::{CpuId, Fill, ProblemKind, Problems, RecordSource, Stamped, Timestamp};
use virtflow_tracefs::{Bound, EventView, Extract, RecordView};

use crate::held::Waiting;
use crate::own;
use crate::records::{Record, Records, Step, kind};
use crate::sorter::{HELD_MAX, Sorter};
use crate::trace::Trace;

/// Records stepped through by one call of `fill` that finds nothing.
const RECORDS_MAX: u32 = 1 << 16;
/// What must be put in order at once may take so many times the file's length on disk.
const SPILL_RATIO_MAX: u64 = 64;

/// Reads the events of a file.
pub struct Reader<E> {
    trace: Arc<Trace>,
    bound: Arc<Bound>,
    extract: E,
    walk: Walk,
    sorter: Sorter,
    ended: bool,
}

impl<E: Extract> Reader<E> {
    pub(crate) fn new(
        trace: Arc<Trace>,
        bound: Arc<Bound>,
        extract: E,
        from: Timestamp,
        held_max: usize,
    ) -> Self {
        let walk = Walk::new(&trace, trace.place_of(from));
        let sorter = Sorter::new(
            trace.survey().order(),
            held_max.min(HELD_MAX),
            trace.input().total().saturating_mul(SPILL_RATIO_MAX),
        );
        Self {
            trace,
            bound,
            extract,
            walk,
            sorter,
            ended: false,
        }
    }

    /// Steps through records until there is something to hand out, but not for ever.
    fn advance(&mut self) {
        let Self {
            trace,
            bound,
            walk,
            sorter,
            ended,
            ..
        } = self;
        for _ in 0..RECORDS_MAX {
            let (at, trouble) = match walk.next(trace) {
                Next::End => {
                    sorter.end();
                    *ended = true;
                    return;
                }
                Next::Round => {
                    sorter.round();
                    (0, Ok(()))
                }
                Next::Event(at, event, record) if bound.get(event.class as usize).is_some() => {
                    (at, sorter.take(event, record))
                }
                _ => continue,
            };
            if let Err(error) = trouble {
                let what = format!(
                    "more events must be put in order than there is room for, on disk too \
                     ({error}); some come late"
                );
                walk.problem(trace, at, ProblemKind::TimeBackwards, what);
            }
            if sorter.is_ready() {
                return;
            }
        }
    }
}

impl<E: Extract> RecordSource for Reader<E> {
    type Record = E::Out;

    fn fill(&mut self, batch: &mut Vec<Stamped<E::Out>>, max: usize) -> Fill {
        if max == 0 {
            return Fill::More;
        }
        let full = batch.len().saturating_add(max);
        if !self.sorter.is_ready() && !self.ended {
            self.advance();
        }
        let Self {
            trace,
            bound,
            extract,
            walk,
            sorter,
            ended,
        } = self;
        let order = trace.order();
        while batch.len() < full {
            let given = sorter.give(|event, record| {
                let class = event.class as usize;
                let Some(wanted) = bound.get(class) else {
                    return;
                };
                let time = trace.clock().time(event.time);
                let view = EventView {
                    fields: RecordView::new(record, order, &wanted.slots),
                    tag: wanted.tag,
                    class,
                    stream: trace.stream_of(event.cpu),
                    cpu: CpuId(event.cpu),
                    time,
                    process: event.process,
                };
                if let Some(record) = extract.extract(&view) {
                    batch.push(Stamped { time, record });
                }
            });
            match given {
                Ok(true) => {}
                Ok(false) if *ended => return Fill::End,
                Ok(false) => return Fill::More,
                Err(error) => {
                    let what = format!("events that were put in order could not be read: {error}");
                    walk.problem(trace, 0, ProblemKind::Io, what);
                    return Fill::End;
                }
            }
        }
        Fill::More
    }

    fn take_problems(&mut self) -> Problems {
        std::mem::take(&mut self.walk.problems)
    }

    fn bytes_read(&self) -> u64 {
        let at = self.walk.records.at();
        at.saturating_sub(self.trace.begin())
            .min(self.trace.bytes())
    }
}

/// Walks over the events of a file as they lie there.
struct Walk {
    records: Records,
    problems: Problems,
    /// The bytes of the last event that perf told itself.
    own: [u8; own::SIZE],
}

/// What the walk came to.
enum Next<'w> {
    /// An event that is described: its place, what it says, its record.
    Event(u64, Waiting, &'w [u8]),
    Round,
    Other,
    End,
}

impl Walk {
    fn new(trace: &Trace, at: u64) -> Self {
        Self {
            records: Records::new(trace.order(), at, trace.ranges()),
            problems: Problems::default(),
            own: [0; own::SIZE],
        }
    }

    fn problem(&mut self, trace: &Trace, at: u64, kind: ProblemKind, what: String) {
        let places = &trace.input().places;
        self.problems.push(places.problem(Some(at), kind, what));
    }

    #[inline]
    fn next(&mut self, trace: &Trace) -> Next<'_> {
        let record = match self.records.next(trace.input()) {
            Step::Record(record) => record,
            Step::End => return Next::End,
            // Told when the file was opened.
            Step::Trouble(..) => return Next::Other,
        };
        match record.kind {
            kind::SAMPLE => match event(trace, &record) {
                Ok(Some((event, raw))) => Next::Event(record.at, event, raw),
                Ok(None) => Next::Other,
                Err(what) => {
                    let places = &trace.input().places;
                    let problem = places.problem(Some(record.at), ProblemKind::Undescribed, what);
                    self.problems.push(problem);
                    Next::Other
                }
            },
            kind::FINISHED_ROUND => Next::Round,
            kind::SWITCH | kind::NAMESPACES | kind::FORK | kind::EXIT => {
                match own::event(trace, &record) {
                    Some((event, bytes)) => {
                        self.own = bytes;
                        Next::Event(record.at, event, &self.own)
                    }
                    None => Next::Other,
                }
            }
            _ => Next::Other,
        }
    }
}

/// The event of a sample; `None` for one that is no tracepoint, or that opening the file told of.
#[inline]
fn event<'b>(trace: &Trace, record: &Record<'b>) -> Result<Option<(Waiting, &'b [u8])>, String> {
    let attrs = &trace.survey().attrs;
    let (order, formats) = (trace.order(), &trace.described().formats);
    let Some(number) = attrs.of_sample(record.body, order) else {
        return Ok(None);
    };
    let Some(attr) = attrs.all.get(number).filter(|attr| attr.is_tracepoint()) else {
        return Ok(None);
    };
    let Some(sample) = attr.layout.sample(record.body, order) else {
        return Ok(None);
    };
    let Some(class) = formats.of(sample.raw, order) else {
        return Err(match formats.id_of(sample.raw, order) {
            Some(id) => format!("an event of number {id}, which is not described; left out"),
            None => "an event too short for its number; left out".to_owned(),
        });
    };
    let id = formats.id_of(sample.raw, order);
    if attrs.all.len() > 1 && attr.layout.id.is_some() && id != Some(attr.config) {
        return Err(format!(
            "an event of number {}, where one of number {} was recorded; left out",
            id.unwrap_or(0),
            attr.config
        ));
    }
    if !trace.has(sample.cpu) {
        return Ok(None);
    }
    let process = sample.thread.and_then(|(process, thread)| {
        // perf in a container numbers them otherwise than the kernel's records do.
        let same = trace.thread_of(sample.raw) == Some(thread);
        same.then_some(process)
    });
    let class = class as u32;
    let event = Waiting::new(sample.time, sample.cpu, class, process);
    Ok(Some((event, sample.raw)))
}

/// How many events a file has.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// By the number of the description.
    pub by_class: Vec<u64>,
    /// What was met on the way, that of opening the trace not included.
    pub problems: Problems,
}

impl Counts {
    pub(crate) fn of(trace: &Trace) -> Self {
        let mut by_class = vec![0; trace.formats().len()];
        let mut walk = Walk::new(trace, trace.begin());
        loop {
            match walk.next(trace) {
                Next::End => break,
                Next::Event(_, event, _) => {
                    if let Some(count) = by_class.get_mut(event.class as usize) {
                        *count += 1;
                    }
                }
                Next::Round | Next::Other => {}
            }
        }
        Self {
            by_class,
            problems: walk.problems,
        }
    }
}
