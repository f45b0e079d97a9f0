//! A trace: its events' descriptions, what its processors saw, and the ways to read it.

use std::path::Path;
use std::sync::Arc;

use virtflow_base::{ProblemKind, Problems, StreamCoverage, Timestamp};
use virtflow_tracefs::{
    Bound, ByteOrder, Described, EventFormat, Extract, RecordView, Slot, Threads, Wanted,
};

use crate::attr::Attr;
use crate::clock::Clock;
use crate::error::Error;
use crate::features::{FEATURE_MAX, Features, number};
use crate::head::{Kind, head};
use crate::input::Input;
use crate::own;
use crate::read::{Counts, Reader};
use crate::records::Records;
use crate::sorter::HELD_MAX;
use crate::survey::Survey;
use crate::tracing::TRACING_MAX;

/// What is told of a recording of several files that are not all there.
const LACKS_PARTS: &str = "its events are in files beside it (`data.0` and so on, \
                           `perf record --threads`), of which some are not there: keep the directory together";

/// An open trace. It keeps its files open.
#[derive(Debug)]
pub struct Trace {
    input: Input,
    /// Where its records lie.
    ranges: Vec<(u64, u64)>,
    is_stream: bool,
    survey: Survey,
    described: Arc<Described>,
    /// How many descriptions there are of tracepoints; those of what perf itself tells follow.
    listed: usize,
    /// Whether these are there, and are to be believed.
    has_own: bool,
    threads: Threads,
    clock: Clock,
    /// Where records have the number of their thread: all at the same place.
    thread: Option<Slot>,
    /// The processors that were recorded, by number.
    cpus: Vec<u32>,
    coverage: Vec<StreamCoverage>,
    problems: Problems,
}

impl Trace {
    /// Opens a file and steps through its records once.
    ///
    /// # Errors
    /// Where its head cannot be read or understood, where it holds no tracepoints, and where perf
    /// had no time to write what they are. What is wrong with records is among [`Self::problems`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let mut input = Input::open(path)?;
        let head = head(&input)?;
        let kind = head.kind.clone();
        let (begin, end) = (head.data.0, head.data.1.min(input.len));
        let is_short = head.data.1 > input.len || kind == Kind::Unfinished;
        let features_at = head.data.1;
        let mut survey = Survey::new(head);
        let mut ranges = vec![(begin, end)];
        let mut are_missing = false;
        survey.lies_in(&input.places);
        if let Kind::File(features) = &kind {
            read_features(&input, features_at, features, &mut survey);
            if features.contains(&number::DIR_FORMAT) {
                let (parts, missing) = input.add_parts()?;
                are_missing = missing || parts.is_empty();
                ranges.extend(parts);
                survey.lies_in(&input.places);
            }
        }
        survey.walk(&input, Records::new(survey.byte_order(), begin, &ranges));
        // Without `--threads` (`--kcore`) all samples are in the first.
        if are_missing && (ranges.len() > 1 || !survey.has_samples()) {
            survey.cpus.torn();
            survey.note(end, ProblemKind::Truncated, LACKS_PARTS.to_owned());
        }
        let path = || path.to_owned();
        let Some(tracing) = survey.tracing.take() else {
            return Err(match kind {
                Kind::Unfinished => Error::Unfinished { path: path() },
                _ if !survey.attrs.all.iter().any(Attr::is_tracepoint) => {
                    Error::NoTracepoints { path: path() }
                }
                _ => input.wrong(end, "no descriptions of its events"),
            });
        };
        if !survey.attrs.all.iter().any(Attr::is_tracepoint) {
            return Err(Error::NoTracepoints { path: path() });
        }
        let mut described = Described {
            formats: tracing.formats,
            order: survey.byte_order(),
        };
        let thread = thread_slot(&described);
        let listed = described.formats.all().len();
        let has_own = numbers_are_the_kernels(&survey, thread.as_ref(), described.order)
            && own::describe(&mut described.formats);
        let mut threads = tracing.threads;
        for (thread, name) in survey.threads.names() {
            threads.name_one(thread, name);
        }
        for (thread, process) in survey.threads.processes() {
            threads.group_one(thread, process);
        }
        let mut attrs = survey.attrs.all.iter().filter(|attr| attr.is_tracepoint());
        let clock = Clock::new(attrs.find_map(Attr::clock), survey.features.clock);
        if is_short {
            survey.cpus.torn();
            let what = "the file ends before its records do: perf was stopped, or it was cut";
            survey.note(end, ProblemKind::Truncated, what.to_owned());
        }
        let problems = problems(&input, &survey, &described, has_own);
        Ok(Self {
            ranges,
            is_stream: kind == Kind::Stream,
            thread,
            listed,
            has_own,
            described: Arc::new(described),
            threads,
            cpus: survey.cpus.numbers(),
            coverage: survey.cpus.cover(&clock),
            clock,
            problems,
            survey,
            input,
        })
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.input.path
    }

    /// Whether it was written as a stream (`perf record -o -`) rather than as a file.
    pub const fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// Which byte of its numbers comes first.
    pub fn order(&self) -> ByteOrder {
        self.described.order
    }

    /// The descriptions of the events it may hold.
    pub fn formats(&self) -> &[EventFormat] {
        self.all_formats().get(..self.listed).unwrap_or_default()
    }

    /// The same, and behind them those of what perf tells in records of its own:
    /// `PERF_RECORD_SWITCH` (a recorded thread `tid` gets a processor, or is `out`, although it would
    /// run on: `preempt`), `PERF_RECORD_FORK` (`tid` of process `pid`, made by `parent_tid`, is recorded
    /// from now on) and `PERF_RECORD_EXIT`, all three of recordings of threads only, and
    /// `PERF_RECORD_NAMESPACES` (`tid` has its number in the namespace `pid_ns`).
    pub fn all_formats(&self) -> &[EventFormat] {
        self.described.formats.all()
    }

    /// The names of perf's own records that tell something of threads here: `PERF_RECORD_COMM` names and
    /// processes, `PERF_RECORD_NAMESPACES` where they have their numbers.
    pub fn tells(&self) -> impl Iterator<Item = &'static str> + use<> {
        let mut attrs = self.survey.attrs.all.iter();
        let namespaces = self.has_own && attrs.any(Attr::tells_namespaces);
        let names = self.survey.threads.names().len() > 0;
        let all = [
            names.then_some("PERF_RECORD_COMM"),
            namespaces.then_some("PERF_RECORD_NAMESPACES"),
        ];
        all.into_iter().flatten()
    }

    /// Where descriptions of perf's own records begin among all.
    pub(crate) fn own_classes(&self) -> Option<usize> {
        self.has_own.then_some(self.listed)
    }

    /// The same, for whoever keeps records longer than the trace.
    pub const fn described(&self) -> &Arc<Described> {
        &self.described
    }

    /// What perf noted beside the events.
    pub const fn features(&self) -> &Features {
        &self.survey.features
    }

    /// What it tells of threads: as they were when the recording began, and of others as the kernel
    /// had their names when it ended.
    pub const fn threads(&self) -> &Threads {
        &self.threads
    }

    /// The clock of its time stamps.
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Whether some threads were recorded (`-p`, `-t`, or those of a command) rather than processors:
    /// then what else a processor did is not in it.
    pub const fn is_of_threads(&self) -> bool {
        self.survey.of_threads
    }

    /// The threads that were recorded from the beginning, where not whole processors were.
    pub fn followed(&self) -> impl Iterator<Item = i32> {
        self.survey.followed.iter().copied()
    }

    /// Whether records tell when a thread gets a processor and when it loses it (`--switch-events`).
    pub fn tells_switches(&self) -> bool {
        tells_switches(&self.survey, self.has_own)
    }

    /// Whether each event called `name` was recorded, with all that it says.
    pub fn records_every(&self, name: &str) -> bool {
        let mut attrs = self.survey.attrs.all.iter().filter(|attr| {
            let format = self.described.formats.of_id(attr.config);
            attr.is_tracepoint() && format.is_some_and(|format| format.name() == name)
        });
        attrs.any(|attr| attr.is_every() && attr.lacks().is_none())
    }

    /// The pid namespace of each thread when the recording began, where it was recorded
    /// (`--namespaces`).
    pub fn namespaces(&self) -> impl Iterator<Item = (i32, u32)> {
        self.survey.namespaces.iter().map(|(tid, ns)| (*tid, *ns))
    }

    /// How many samples are of other events than tracepoints.
    pub const fn others(&self) -> u64 {
        self.survey.others
    }

    /// What its processors saw of time, and lost, by number: a stream is what happened on one of
    /// them. Last, and of no processor, what was lost of nobody knows which.
    pub fn coverage(&self) -> &[StreamCoverage] {
        &self.coverage
    }

    /// How many streams there are.
    pub fn streams(&self) -> usize {
        self.cpus.len()
    }

    /// How many bytes its records take.
    pub fn bytes(&self) -> u64 {
        let sizes = self
            .ranges
            .iter()
            .map(|(start, end)| end.saturating_sub(*start));
        sizes.sum()
    }

    /// What was met while opening.
    pub const fn problems(&self) -> &Problems {
        &self.problems
    }

    /// Asks `choose` for each event which of its fields are wanted, if the event is.
    pub fn bind(&self, choose: impl FnMut(&EventFormat) -> Option<Wanted>) -> Bound {
        Bound::new(self.formats(), choose)
    }

    /// A reader that gives what `extract` makes of the events in `bound`, of all streams and in order of time.
    /// Most of what lies before `from` is left out; the first events may still be earlier.
    pub fn reader<E: Extract>(
        self: &Arc<Self>,
        bound: Arc<Bound>,
        extract: E,
        from: Timestamp,
    ) -> Reader<E> {
        self.reader_that_holds(bound, extract, from, HELD_MAX)
    }

    /// The same with at most `held_max` bytes of events in memory.
    pub(crate) fn reader_that_holds<E: Extract>(
        self: &Arc<Self>,
        bound: Arc<Bound>,
        extract: E,
        from: Timestamp,
        held_max: usize,
    ) -> Reader<E> {
        Reader::new(Arc::clone(self), bound, extract, from, held_max)
    }

    /// Counts its events.
    pub fn count(&self) -> Counts {
        Counts::of(self)
    }

    pub(crate) const fn input(&self) -> &Input {
        &self.input
    }

    pub(crate) const fn survey(&self) -> &Survey {
        &self.survey
    }

    /// Where its records begin.
    pub(crate) fn begin(&self) -> u64 {
        self.ranges.first().map_or(0, |(start, _)| *start)
    }

    /// The stretches in which they lie.
    pub(crate) fn ranges(&self) -> &[(u64, u64)] {
        &self.ranges
    }

    /// The thread of a record, by the kernel's own number.
    #[inline]
    pub(crate) fn thread_of(&self, record: &[u8]) -> Option<i32> {
        let view = RecordView::new(record, self.order(), std::slice::from_ref(&self.thread));
        i32::try_from(view.i64(0)?).ok()
    }

    /// The stream of a processor.
    #[inline]
    pub(crate) fn stream_of(&self, cpu: u32) -> usize {
        // Mostly all processors were recorded.
        match self.cpus.get(cpu as usize) {
            Some(known) if *known == cpu => cpu as usize,
            _ => self.cpus.binary_search(&cpu).unwrap_or(usize::MAX),
        }
    }

    /// Whether a processor is among its streams.
    #[inline]
    pub(crate) fn has(&self, cpu: u32) -> bool {
        self.stream_of(cpu) != usize::MAX
    }

    /// Where records begin of which one may be as late as `from`.
    pub(crate) fn place_of(&self, from: Timestamp) -> u64 {
        let marks = &self.survey.marks;
        let before = marks.partition_point(|(_, latest)| self.clock.time(*latest) < from);
        let mark = before.checked_sub(1).and_then(|last| marks.get(last));
        mark.map_or_else(|| self.begin(), |(place, _)| *place)
    }
}

fn tells_switches(survey: &Survey, has_own: bool) -> bool {
    has_own && survey.attrs.all.iter().any(Attr::tells_switches)
}

/// Whether perf numbers threads as the kernel's own records do: in a container it does not, and then
/// its records name threads that the events do not.
fn numbers_are_the_kernels(survey: &Survey, thread: Option<&Slot>, order: ByteOrder) -> bool {
    let slots = [thread.copied()];
    // Of a thread that is no more perf knows no number (kernel/events/core.c `perf_event_pid_type`).
    let mut known = survey.compared.iter().filter(|(told, _)| *told != -1);
    known.all(|(told, record)| {
        let own = RecordView::new(record, order, &slots).i64(0);
        own.is_none_or(|own| own == i64::from(*told))
    })
}

fn thread_slot(described: &Described) -> Option<Slot> {
    let field = described.formats.all().first()?.field("common_pid")?;
    Some(Slot::new(field))
}

/// Reads what follows the records of a file: of each feature its place and size, then the features.
fn read_features(input: &Input, at: u64, features: &[u32], survey: &mut Survey) {
    let order = survey.byte_order();
    let table = match input.whole(at, 16 * features.len() as u64, FEATURE_MAX, "features") {
        Ok(table) => table,
        Err(error) => {
            return survey.note(at, ProblemKind::Truncated, error.what());
        }
    };
    for (feature, section) in features.iter().zip(table.chunks_exact(16)) {
        let (Some(at), Some(size)) = (order.u64(section, 0), order.u64(section, 8)) else {
            continue;
        };
        let most = match *feature {
            number::TRACING_DATA => TRACING_MAX,
            number::HOSTNAME
            | number::OSRELEASE
            | number::VERSION
            | number::NRCPUS
            | number::CLOCK_DATA => FEATURE_MAX,
            _ => continue,
        };
        match input.whole(at, size, most, "a feature") {
            Ok(bytes) if *feature == number::TRACING_DATA => survey.described(at, &bytes),
            Ok(bytes) => survey.features.take(*feature, &bytes, order),
            Err(error) => survey.note(at, ProblemKind::Truncated, error.what()),
        }
    }
}

/// What is wrong, or is to be known before one believes what follows.
fn problems(input: &Input, survey: &Survey, described: &Described, has_own: bool) -> Problems {
    let mut problems = survey.problems.clone();
    let mut note = |kind: ProblemKind, what: String| {
        problems.push(input.places.problem(None, kind, what));
    };
    if survey.of_threads {
        let rest = if tells_switches(survey, has_own) {
            "what others did is not in it, and is unknown"
        } else {
            "what others did is not in it, nor when these got a processor: from losing it to its \
             next event a thread is unknown, which --switch-events would have told"
        };
        let what =
            format!("some threads were recorded, not whole processors: {rest}. -a records all");
        note(ProblemKind::Unsupported, what);
    }
    for attr in survey.attrs.all.iter().filter(|attr| attr.is_tracepoint()) {
        let Some(format) = described.formats.of_id(attr.config) else {
            let what = format!(
                "an event of number {} was recorded and is not described; it is left out",
                attr.config
            );
            note(ProblemKind::Undescribed, what);
            continue;
        };
        let name = format.name();
        if let Some(lacks) = attr.lacks() {
            let what = format!("samples of `{name}` do not say {lacks}; they are left out");
            note(ProblemKind::Unsupported, what);
        }
        if !attr.is_every() {
            let what =
                format!("not every `{name}` was recorded, but some (-F, or -c of more than 1)");
            note(ProblemKind::Unsupported, what);
        }
    }
    if !survey.attrs.are_told_apart() {
        let what = "samples of its events have their numbers at different places; which is of which \
                    cannot be told";
        note(ProblemKind::Unsupported, what.to_owned());
    }
    if survey.counted > survey.told {
        let what = format!(
            "the kernel counted {} lost samples, of which the records tell {}: when the others \
             were lost is not known",
            survey.counted, survey.told
        );
        note(ProblemKind::Contradiction, what);
    }
    if survey.strangers > 0 {
        let what = format!(
            "{} samples of events that the file does not tell of; left out",
            survey.strangers
        );
        note(ProblemKind::Undescribed, what);
    }
    if survey.others > 0 {
        let what = format!(
            "{} samples of events that are no tracepoints; left out",
            survey.others
        );
        note(ProblemKind::Unsupported, what);
    }
    problems
}
