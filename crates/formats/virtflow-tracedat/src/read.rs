//! Reading events: block by block, page by page.

use std::sync::Arc;

use virtflow_base::{
    Fill, Place, Problem, ProblemKind, Problems, RecordSource, Stamped, Timestamp,
};
use virtflow_tracefs::{Bound, EventView, Extract, RecordView};

use crate::buffer::Stream;
use crate::clock::Clock;
use crate::page::{Next, Records};
use crate::trace::Trace;

/// Blocks read by one call of `fill` that finds nothing.
const BLOCKS_MAX: u32 = 8;

/// What of reading a stream outlives a call.
struct State {
    /// The block in work, or the next one.
    block: usize,
    loaded: bool,
    bytes: Vec<u8>,
    packed: Vec<u8>,
    /// The page of the block in work, and where one is in it.
    page: usize,
    records: Option<Records>,
    /// The time stamp of the last event.
    last: u64,
    /// Whether time running backwards was told of the page in work.
    told: bool,
    passed: u64,
    problems: Problems,
}

/// What a step came to.
enum Step {
    /// The visitor had enough.
    Paused,
    /// A block is done.
    More,
    /// The last block is done.
    End,
}

impl State {
    fn new(block: usize) -> Self {
        Self {
            block,
            loaded: false,
            bytes: Vec::new(),
            packed: Vec::new(),
            page: 0,
            records: None,
            last: 0,
            told: false,
            passed: 0,
            problems: Problems::default(),
        }
    }

    fn problem(&mut self, trace: &Trace, number: usize, kind: ProblemKind, what: String) {
        let Some(stream) = trace.streams().get(number) else {
            return;
        };
        let size = stream.layout.size;
        let within = self.records.map_or(0, |records| records.at() as u64);
        let at = stream.data.place_of_page(self.block, self.page, size);
        let place = Place {
            file: Arc::clone(&trace.input.path),
            stream: u32::try_from(number).ok(),
            packet: None,
            offset: Some(at.saturating_add(within)),
        };
        self.problems.push(Problem { kind, place, what });
    }

    /// Gives the events of a block to `visit`, each with its description's number, its time stamp
    /// and its bytes, until it has enough: it says whether it goes on.
    fn step(
        &mut self,
        trace: &Trace,
        number: usize,
        stream: &Stream,
        mut visit: impl FnMut(usize, u64, &[u8]) -> bool,
    ) -> Step {
        let layout = stream.layout;
        if !self.loaded {
            if self.block >= stream.data.blocks(layout.size) {
                return Step::End;
            }
            let mut bytes = std::mem::take(&mut self.bytes);
            let mut packed = std::mem::take(&mut self.packed);
            let data = &stream.data;
            let loaded = data.load(
                &trace.input,
                self.block,
                layout.size,
                &mut bytes,
                &mut packed,
            );
            (self.bytes, self.packed, self.page) = (bytes, packed, 0);
            self.loaded = true;
            if let Err((kind, what)) = loaded {
                self.problem(trace, number, kind, what);
            }
        }
        let bytes = std::mem::take(&mut self.bytes);
        let size = layout.size as usize;
        let mut paused = false;
        while let Some(page) = bytes.get(self.page * size..(self.page + 1) * size) {
            if self.page(trace, number, stream, page, &mut visit) {
                paused = true;
                break;
            }
            self.page += 1;
        }
        self.bytes = bytes;
        if paused {
            return Step::Paused;
        }
        self.loaded = false;
        let (_, passed) = stream.data.place_of(self.block, layout.size);
        self.passed = self.passed.saturating_add(passed);
        self.block += 1;
        Step::More
    }

    /// Gives the events of a page; whether the visitor had enough before it was done.
    fn page(
        &mut self,
        trace: &Trace,
        number: usize,
        stream: &Stream,
        page: &[u8],
        visit: &mut impl FnMut(usize, u64, &[u8]) -> bool,
    ) -> bool {
        let layout = stream.layout;
        let mut records = match self.records.take() {
            Some(records) => records,
            None => match layout.head(page) {
                Some(head) => {
                    self.told = false;
                    layout.records(head)
                }
                None => {
                    let what = "a page that holds more than fits into it; left out";
                    self.problem(trace, number, ProblemKind::Corrupt, what.to_owned());
                    return false;
                }
            },
        };
        let formats = &trace.described().formats;
        loop {
            let (start, end) = match records.next(page, layout.order) {
                Next::Record { start, end } => (start, end),
                Next::End => return false,
                Next::Broken { at } => {
                    self.records = Some(records);
                    let what = format!(
                        "no entry of the ring buffer at byte {at} of its page; the rest of the \
                         page was left out"
                    );
                    self.problem(trace, number, ProblemKind::Corrupt, what);
                    self.records = None;
                    return false;
                }
            };
            let stamp = records.stamp();
            if stamp < self.last && !self.told {
                self.told = true;
                self.records = Some(records);
                let what = "time runs backwards in the page".to_owned();
                self.problem(trace, number, ProblemKind::TimeBackwards, what);
                self.records = None;
            }
            self.last = stamp;
            let record = page.get(start..end).unwrap_or_default();
            let Some(class) = formats.of(record, layout.order) else {
                self.records = Some(records);
                let what = match formats.id_of(record, layout.order) {
                    Some(id) => format!("an event of number {id}, which is not described"),
                    None => "an event too short for its number".to_owned(),
                };
                self.problem(trace, number, ProblemKind::Undescribed, what);
                self.records = None;
                continue;
            };
            if !visit(class, stamp, record) {
                self.records = Some(records);
                return true;
            }
        }
    }
}

/// Reads one stream of a trace.
pub struct StreamReader<E> {
    trace: Arc<Trace>,
    bound: Arc<Bound>,
    extract: E,
    stream: usize,
    clock: Clock,
    state: State,
}

impl<E: Extract> StreamReader<E> {
    pub(crate) fn new(
        trace: Arc<Trace>,
        stream: usize,
        bound: Arc<Bound>,
        extract: E,
        from: Timestamp,
    ) -> Self {
        let found = trace.streams().get(stream);
        let block = found.map_or(0, |stream| stream.block_of(from));
        let buffer = found.and_then(|stream| trace.buffers().get(stream.buffer));
        let clock = buffer.map_or_else(|| Clock::new("", None, 0), |b| b.clock.clone());
        Self {
            trace,
            bound,
            extract,
            stream,
            clock,
            state: State::new(block),
        }
    }
}

impl<E: Extract> RecordSource for StreamReader<E> {
    type Record = E::Out;

    fn fill(&mut self, batch: &mut Vec<Stamped<E::Out>>, max: usize) -> Fill {
        let Self {
            trace,
            bound,
            extract,
            stream: number,
            clock,
            state,
        } = self;
        let Some(stream) = trace.streams().get(*number) else {
            return Fill::End;
        };
        if max == 0 {
            return Fill::More;
        }
        let full = batch.len().saturating_add(max);
        for _ in 0..BLOCKS_MAX {
            let step = state.step(trace, *number, stream, |class, stamp, record| {
                let Some(wanted) = bound.get(class) else {
                    return true;
                };
                let time = clock.time(stamp);
                let view = EventView {
                    fields: RecordView::new(record, stream.layout.order, &wanted.slots),
                    tag: wanted.tag,
                    class,
                    stream: *number,
                    cpu: stream.cpu,
                    time,
                    process: None,
                };
                if let Some(record) = extract.extract(&view) {
                    batch.push(Stamped { time, record });
                }
                batch.len() < full
            });
            match step {
                Step::End => return Fill::End,
                Step::Paused => return Fill::More,
                Step::More => {}
            }
        }
        Fill::More
    }

    fn take_problems(&mut self) -> Problems {
        std::mem::take(&mut self.state.problems)
    }

    fn bytes_read(&self) -> u64 {
        self.state.passed
    }
}

/// How many events a stream has.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// By the number of the description.
    pub by_class: Vec<u64>,
    /// What was met on the way, that of opening the trace not included.
    pub problems: Problems,
}

impl Counts {
    pub(crate) fn of(trace: &Trace, number: usize) -> Self {
        let mut by_class = vec![0; trace.formats().len()];
        let mut state = State::new(0);
        if let Some(stream) = trace.streams().get(number) {
            let mut count = |class: usize, _: u64, _: &[u8]| {
                if let Some(count) = by_class.get_mut(class) {
                    *count += 1;
                }
                true
            };
            while !matches!(state.step(trace, number, stream, &mut count), Step::End) {}
        }
        Self {
            by_class,
            problems: state.problems,
        }
    }
}
