//! One walk over all records when a file is opened: what was recorded, what each processor saw and lost,
//! which threads there were, and how the records are ordered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use virtflow_base::{LossKind, ProblemKind, Problems};
use virtflow_tracefs::{ByteOrder, Threads};

use crate::attr::{Attr, Attrs};
use crate::bytes::{Bytes, until_nul};
use crate::features::Features;
use crate::head::Head;
use crate::input::{Input, Places};
use crate::own;
use crate::records::{Record, Records, Step, kind};
use crate::seen::Cpus;
use crate::tracing::{TRACING_MAX, Tracing};

/// Bytes of the file between places at which reading may begin.
const MARK_EVERY: u64 = 4 << 20;
/// In `misc` of lost samples: a filter left them out (`PERF_RECORD_MISC_LOST_SAMPLES_BPF`).
const LEFT_OUT: u16 = 1 << 15;
/// The most threads that are told to be recorded, and whose namespaces are told.
const THREADS_MAX: usize = 1 << 17;
/// Samples whose number of a thread is compared with the kernel's own.
const COMPARED: usize = 64;
/// The thread of a record that is of a processor rather than of one.
const NO_THREAD: u64 = u64::MAX;

/// How records lie in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// By time.
    Sorted,
    /// Each round holds no event earlier than what the round before the last had: so much is sorted at once.
    Rounds,
    /// Neither: all must be sorted at once.
    None,
}

/// What a walk found.
#[derive(Debug)]
pub(crate) struct Survey {
    order: ByteOrder,
    pub(crate) attrs: Attrs,
    pub(crate) features: Features,
    pub(crate) tracing: Option<Tracing>,
    /// Names and processes of threads when the recording began.
    pub(crate) threads: Threads,
    /// The pid namespace of each thread when the recording began.
    pub(crate) namespaces: BTreeMap<i32, u32>,
    pub(crate) cpus: Cpus,
    /// The threads that were recorded from the beginning, if not whole processors were.
    pub(crate) followed: BTreeSet<i32>,
    /// Of the first samples the number of the thread as the sample tells it, and the record.
    pub(crate) compared: Vec<(i32, [u8; 8])>,
    /// Whether some threads were recorded rather than whole processors.
    pub(crate) of_threads: bool,
    /// Lost records that were told where they were lost, and lost samples that were counted.
    pub(crate) told: u64,
    pub(crate) counted: u64,
    /// Samples that are no tracepoints, and such of which nothing is known.
    pub(crate) others: u64,
    pub(crate) strangers: u64,
    /// Places to begin at, each with the latest time stamp before it.
    pub(crate) marks: Vec<(u64, u64)>,
    pub(crate) problems: Problems,
    places: Arc<Places>,
    rounds: Rounds,
    packed: bool,
    sampled: bool,
}

impl Survey {
    pub(crate) fn new(head: Head) -> Self {
        let Head { order, attrs, .. } = head;
        Self {
            order,
            attrs,
            features: Features::default(),
            tracing: None,
            threads: Threads::default(),
            namespaces: BTreeMap::new(),
            cpus: Cpus::default(),
            followed: BTreeSet::new(),
            compared: Vec::new(),
            of_threads: false,
            told: 0,
            counted: 0,
            others: 0,
            strangers: 0,
            marks: Vec::new(),
            problems: Problems::default(),
            places: Arc::default(),
            rounds: Rounds::default(),
            packed: false,
            sampled: false,
        }
    }

    pub(crate) const fn byte_order(&self) -> ByteOrder {
        self.order
    }

    /// How events are ordered.
    pub(crate) const fn order(&self) -> Order {
        let Rounds {
            unsorted,
            late,
            rounds,
            ..
        } = self.rounds;
        match (unsorted, late, rounds) {
            (false, ..) => Order::Sorted,
            (_, false, 1..) => Order::Rounds,
            _ => Order::None,
        }
    }

    /// Where the bytes are that problems are told of.
    pub(crate) fn lies_in(&mut self, places: &Arc<Places>) {
        self.places = Arc::clone(places);
    }

    /// Whether any sample was met.
    pub(crate) const fn has_samples(&self) -> bool {
        self.sampled
    }

    /// Walks over all records.
    pub(crate) fn walk(&mut self, input: &Input, mut records: Records) {
        let mut marked = records.at();
        loop {
            match records.next(input) {
                Step::End => break,
                Step::Record(record) => self.record(input, &record),
                Step::Trouble(at, kind, what) => {
                    self.cpus.torn();
                    self.note(at, kind, what);
                }
            }
            if records.at().saturating_sub(marked) >= MARK_EVERY {
                marked = records.at();
                self.marks.push((marked, self.rounds.latest));
            }
        }
        if self.packed {
            // What is packed can only be read from its beginning.
            self.marks.clear();
        }
        self.attrs.settle();
    }

    pub(crate) fn note(&mut self, at: u64, kind: ProblemKind, what: String) {
        let problem = self.places.problem(Some(at), kind, what);
        self.problems.push(problem);
    }

    fn record(&mut self, input: &Input, record: &Record<'_>) {
        let mut all = Bytes::new(record.body, self.order);
        let read = match record.kind {
            kind::SAMPLE => {
                self.sample(record);
                Some(())
            }
            kind::FINISHED_ROUND => {
                self.rounds.end();
                Some(())
            }
            kind::COMPRESSED | kind::COMPRESSED_2 => {
                self.packed = true;
                Some(())
            }
            kind::LOST => self.lost(record, &mut all),
            kind::LOST_SAMPLES => self.lost_samples(record, &mut all),
            kind::THROTTLE | kind::UNTHROTTLE => self.throttled(record, &mut all),
            kind::COMM => self.comm(record, &mut all),
            kind::FORK => self.fork(record, &mut all),
            kind::NAMESPACES => self.namespaces(record, &mut all),
            kind::SWITCH | kind::EXIT => {
                self.timed(record);
                Some(())
            }
            kind::ATTR => self.attr(&mut all),
            kind::FEATURE => self.feature(record, &mut all),
            kind::TRACING_DATA => self.tracing(input, record, &mut all),
            kind::ID_INDEX => self.index(&mut all),
            kind::THREAD_MAP => self.thread_map(&mut all),
            _ => Some(()),
        };
        if read.is_none() {
            let what = format!("a record of kind {} is too short", record.kind);
            self.note(record.at, ProblemKind::Corrupt, what);
        }
    }

    fn sample(&mut self, record: &Record<'_>) {
        self.sampled = true;
        let found = self.attrs.of_sample(record.body, self.order);
        let Some(attr) = found.and_then(|number| self.attrs.all.get(number)) else {
            self.strangers += 1;
            return;
        };
        if !attr.is_tracepoint() {
            self.others += 1;
            return;
        }
        if attr.lacks().is_some() {
            return;
        }
        let Some(sample) = attr.layout.sample(record.body, self.order) else {
            let what = "a sample too short for what it should hold; left out".to_owned();
            return self.note(record.at, ProblemKind::Corrupt, what);
        };
        if !self.cpus.event(sample.cpu, sample.time) {
            let what = format!("an event of processor {}: too many; left out", sample.cpu);
            return self.note(record.at, ProblemKind::TooLarge, what);
        }
        self.rounds.event(sample.time);
        if self.compared.len() < COMPARED
            && let (Some((_, thread)), Some(first)) = (sample.thread, sample.raw.first_chunk())
        {
            self.compared.push((thread, *first));
        }
    }

    /// Another record of the kernel that becomes an event: it stands in the order of time.
    fn timed(&mut self, record: &Record<'_>) -> bool {
        let end = self.attrs.end(record.body, self.order);
        let time = end.time.filter(|time| *time != 0);
        if let Some(time) = time {
            self.rounds.event(time);
            if let (kind::SWITCH, Some(cpu)) = (record.kind, end.cpu) {
                self.cpus.event(cpu, time);
            }
        }
        time.is_some()
    }

    fn lost(&mut self, record: &Record<'_>, all: &mut Bytes<'_>) -> Option<()> {
        let (_, lost) = (all.u64()?, all.u64()?);
        let end = self.attrs.end(record.body, self.order);
        self.told = self.told.saturating_add(lost);
        let time = end.time.unwrap_or(u64::MAX);
        let cpu = end.cpu.filter(|_| end.time.is_some());
        self.cpus.lost(cpu, time, LossKind::Events(lost));
        Some(())
    }

    /// Those of the kernel have a time. perf adds what the kernel counted when it ends.
    fn lost_samples(&mut self, record: &Record<'_>, all: &mut Bytes<'_>) -> Option<()> {
        let lost = all.u64()?;
        if record.misc & LEFT_OUT != 0 {
            return Some(());
        }
        let end = self.attrs.end(record.body, self.order);
        match end.time {
            Some(time) if time != 0 => {
                self.told = self.told.saturating_add(lost);
                self.cpus.lost(end.cpu, time, LossKind::Events(lost));
            }
            _ => self.counted = self.counted.saturating_add(lost),
        }
        Some(())
    }

    fn throttled(&mut self, record: &Record<'_>, all: &mut Bytes<'_>) -> Option<()> {
        let (time, id) = (all.u64()?, all.u64()?);
        let of = self.attrs.of_id(id).and_then(|n| self.attrs.all.get(n));
        let end = self.attrs.end(record.body, self.order);
        if let Some(cpu) = end.cpu
            && of.is_none_or(Attr::is_tracepoint)
        {
            let begins = record.kind == kind::THROTTLE;
            self.cpus.throttled(cpu, time, begins);
        }
        Some(())
    }

    /// Names that perf found when it began have no time.
    fn comm(&mut self, record: &Record<'_>, all: &mut Bytes<'_>) -> Option<()> {
        let (process, thread) = (all.u32()?.cast_signed(), all.u32()?.cast_signed());
        let end = self.attrs.end(record.body, self.order);
        let is_first = end.time.map_or(!self.sampled, |time| time == 0);
        if is_first {
            let rest = record.body.get(all.at()..)?;
            self.threads.name_one(thread, until_nul(rest));
            self.threads.group_one(thread, process);
        }
        Some(())
    }

    /// Those that perf found when it began have no time.
    fn namespaces(&mut self, record: &Record<'_>, all: &mut Bytes<'_>) -> Option<()> {
        if !self.timed(record)
            && let Some((thread, namespace)) = own::pid_namespace(all)
            && self.namespaces.len() < THREADS_MAX
        {
            self.namespaces.insert(thread, namespace);
        }
        Some(())
    }

    fn fork(&mut self, record: &Record<'_>, all: &mut Bytes<'_>) -> Option<()> {
        self.timed(record);
        let (process, _) = (all.u32()?.cast_signed(), all.u32()?);
        let (thread, _) = (all.u32()?.cast_signed(), all.u32()?);
        if all.u64()? == 0 {
            self.threads.group_one(thread, process);
        }
        Some(())
    }

    fn attr(&mut self, all: &mut Bytes<'_>) -> Option<()> {
        let mut size = *all;
        let size = size.u32().and_then(|_| size.u32())?;
        let attr = Attr::parse(all.take(size.into())?, self.order)?;
        let ids = std::iter::from_fn(|| all.u64());
        self.attrs.push(attr, ids).then_some(())
    }

    fn feature(&mut self, record: &Record<'_>, all: &mut Bytes<'_>) -> Option<()> {
        let feature = u32::try_from(all.u64()?).ok()?;
        let bytes = record.body.get(all.at()..)?;
        self.features.take(feature, bytes, self.order);
        Some(())
    }

    /// What follows the record is no part of it.
    fn tracing(&mut self, input: &Input, record: &Record<'_>, all: &mut Bytes<'_>) -> Option<()> {
        let size = all.u32()?;
        if self.tracing.is_some() {
            // One is enough, and each takes time.
            return Some(());
        }
        let at = record.at + 8 + record.body.len() as u64;
        match input.whole(at, size.into(), TRACING_MAX, "copy of tracefs") {
            Ok(bytes) => self.described(at, &bytes),
            Err(error) => self.note(at, ProblemKind::Truncated, error.what()),
        }
        Some(())
    }

    /// Takes a copy of tracefs that lies at byte `at`.
    pub(crate) fn described(&mut self, at: u64, bytes: &[u8]) {
        let mut tracing = Tracing::parse(bytes);
        for (inside, kind, what) in std::mem::take(&mut tracing.trouble) {
            self.note(at.saturating_add(inside as u64), kind, what);
        }
        self.tracing.get_or_insert(tracing);
    }

    /// Which number is of which processor and thread.
    fn index(&mut self, all: &mut Bytes<'_>) -> Option<()> {
        for _ in 0..all.u64()? {
            let (id, _, cpu, thread) = (all.u64()?, all.u64()?, all.u64()?, all.u64()?);
            let of = self.attrs.of_id(id).and_then(|n| self.attrs.all.get(n));
            if !of.is_some_and(Attr::is_tracepoint) {
                continue;
            }
            self.follow(thread);
            if let Ok(cpu) = u32::try_from(cpu) {
                self.cpus.add(cpu);
            }
        }
        Some(())
    }

    fn thread_map(&mut self, all: &mut Bytes<'_>) -> Option<()> {
        for _ in 0..all.u64()? {
            let thread = all.u64()?;
            self.follow(thread);
            all.take(16)?;
        }
        Some(())
    }

    /// Notes that a thread was recorded, rather than a processor.
    fn follow(&mut self, thread: u64) {
        if thread == NO_THREAD {
            return;
        }
        self.of_threads = true;
        if let Ok(thread) = i32::try_from(thread)
            && self.followed.len() < THREADS_MAX
        {
            self.followed.insert(thread);
        }
    }
}

/// How well rounds keep what they promise.
#[derive(Clone, Copy, Debug, Default)]
struct Rounds {
    rounds: u64,
    /// The latest time stamp, and what it was when the last round ended and the one before.
    latest: u64,
    last: u64,
    before: u64,
    unsorted: bool,
    late: bool,
}

impl Rounds {
    const fn event(&mut self, time: u64) {
        if time >= self.latest {
            self.latest = time;
        } else {
            self.unsorted = true;
            self.late |= time < self.before;
        }
    }

    const fn end(&mut self) {
        self.rounds += 1;
        self.before = self.last;
        self.last = self.latest;
    }
}
