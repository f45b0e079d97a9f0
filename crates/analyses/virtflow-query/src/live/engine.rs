//! The model, moved on by events as they come, and windows that end.

use super::totals::Totals;
use super::view::View;
use super::window::Windows;
use std::collections::VecDeque;
use virtflow_base::{CpuId, Interval, LossKind, Span, StreamCoverage, Tid, Timestamp};
use virtflow_events::KernelRecord;
use virtflow_model::{Followed, Living, Model, Options, Yet};

/// Windows without an event between two events; beyond, one long window stands for them.
const EMPTY_MAX: i64 = 600;
/// More processors than that there are not (`CONFIG_NR_CPUS_RANGE_END` of x86).
pub(super) const CPUS_MAX: usize = 1 << 13;
/// The shortest window, in nanoseconds.
const EVERY_MIN: i64 = 1_000_000;

/// How to watch.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// How long a window is, in nanoseconds.
    pub every_ns: i64,
    /// Only VMs whose label or key contains this, or whose VMM has this number.
    pub vm: Option<String>,
    /// Whether a probe tells the VMM's process right after an entry.
    pub entry_probed: bool,
    /// Whether nothing of KVM's is recorded.
    pub vcpus_named: bool,
    /// See the model's.
    pub migrations_told: bool,
}

/// How many events a loss was at least.
const fn at_least(loss: LossKind) -> u64 {
    match loss {
        LossKind::Events(events) => events,
        LossKind::Packets(packets) => packets,
        LossKind::Unreadable => 1,
    }
}

/// What happens, by windows of time.
pub struct Live {
    model: Model<Windows>,
    every: i64,
    /// When the window that is open ends.
    next: Option<Timestamp>,
    /// What the model has not told yet, kept for its room.
    open: Vec<(Interval, Yet)>,
    events: u64,
    lost: u64,
    /// By processor, since the beginning.
    all_lost: Vec<u64>,
    all_events: u64,
    /// Whether anything was lost since threads were last compared with those that there are.
    unsure: bool,
    /// Losses of a recording: since when, whose, and how many events at least.
    known: VecDeque<(Timestamp, CpuId, u64)>,
    vm: Option<String>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl Live {
    /// Of a recorder that began at `began` and records `cpus` processors.
    pub fn new(cpus: u32, began: Timestamp, options: LiveOptions) -> Self {
        let coverage = (0..cpus).map(|cpu| StreamCoverage {
            cpu: Some(CpuId(cpu)),
            span: Some(Span::new(began, Timestamp::MAX)),
            losses: Vec::new(),
        });
        let coverage: Vec<_> = coverage.collect();
        let mut live = Self::over(&coverage, options, None);
        live.begin(began);
        live
    }

    /// Over streams of which it is known what they cover; of a recording of some threads, what tells when
    /// these run.
    pub(super) fn over(
        coverage: &[StreamCoverage],
        options: LiveOptions,
        followed: Option<Followed>,
    ) -> Self {
        let mut known: Vec<_> = coverage
            .iter()
            .flat_map(|stream| stream.losses.iter().map(move |loss| (stream.cpu, loss)))
            .filter_map(|(cpu, loss)| Some((loss.span.start, cpu?, at_least(loss.kind))))
            .collect();
        known.sort_unstable_by_key(|(start, cpu, _)| (*start, *cpu));
        let of_model = Options {
            entry_probed: options.entry_probed,
            vcpus_named: options.vcpus_named,
            migrations_told: options.migrations_told,
            followed,
            ..Options::default()
        };
        Self {
            model: Model::new(coverage, of_model, Windows::default()),
            every: options.every_ns.max(EVERY_MIN),
            next: None,
            open: Vec::new(),
            events: 0,
            lost: 0,
            all_lost: Vec::new(),
            all_events: 0,
            unsure: false,
            known: known.into(),
            vm: options.vm,
        }
    }

    /// The first window begins.
    pub(super) fn begin(&mut self, t: Timestamp) {
        if self.next.is_none() {
            self.model.begin(t);
            self.model.sink_mut().begin(t);
            self.next = Some(t.plus(self.every));
        }
    }

    /// Takes a fact that holds from the beginning, as of a state dump.
    pub fn know(&mut self, record: &KernelRecord) {
        self.model.know(record);
    }

    /// Takes the next event, and gives the windows that ended before it.
    pub fn event(&mut self, t: Timestamp, record: &KernelRecord, done: &mut impl FnMut(View)) {
        self.begin(t);
        self.until(t, done);
        self.events += 1;
        self.model.event(t, record);
    }

    /// Nothing more comes of what was before `t`: gives the windows that ended by then.
    pub fn advance(&mut self, t: Timestamp, done: &mut impl FnMut(View)) {
        self.until(t, done);
        self.model.advance(t);
    }

    /// So many events of a processor were lost.
    pub fn lose(&mut self, cpu: CpuId, span: Span, events: u64) {
        self.unsure = true;
        self.count_lost(cpu, events);
        self.model.lose(cpu, span);
    }

    fn count_lost(&mut self, cpu: CpuId, events: u64) {
        self.lost = self.lost.saturating_add(events);
        let at = cpu.0 as usize;
        if at < CPUS_MAX {
            self.all_lost.resize(self.all_lost.len().max(at + 1), 0);
            self.all_lost[at] = self.all_lost[at].saturating_add(events);
        }
    }

    /// After losses, ends the threads that are not there any more.
    pub fn compare_threads(&mut self, there: impl FnMut(Tid) -> bool) {
        if std::mem::take(&mut self.unsure) {
            self.model.end_threads_unless(there);
        }
    }

    /// Ends the window that is open at `t`, where it has not ended before.
    pub fn end(&mut self, t: Timestamp, done: &mut impl FnMut(View)) {
        self.until(t, done);
        if self.model.sink().begins() < t {
            done(self.close(t));
        }
    }

    fn until(&mut self, t: Timestamp, done: &mut impl FnMut(View)) {
        while let Some(next) = self.next
            && next <= t
        {
            done(self.close(next));
            let missed = t.since(next) / self.every;
            if missed > EMPTY_MAX {
                self.next = Some(next.plus(missed * self.every));
            }
        }
    }

    /// Ends the window at `t` and begins the next.
    fn close(&mut self, t: Timestamp) -> View {
        self.model.advance(t);
        while let Some((_, cpu, events)) = self.known.pop_front_if(|(start, ..)| *start < t) {
            self.count_lost(cpu, events);
        }
        self.open.clear();
        let open = &mut self.open;
        self.model
            .not_told(t, &mut |interval, yet| open.push((*interval, yet)));
        let windows = self.model.sink_mut();
        let mut view = windows.view(t, &self.open, self.vm.as_deref());
        view.events = std::mem::take(&mut self.events);
        view.lost = std::mem::take(&mut self.lost);
        self.all_events = self.all_events.saturating_add(view.events);
        self.next = Some(t.plus(self.every));
        self.model.sweep();
        view
    }

    /// Sums since the beginning.
    pub fn totals(&self) -> Totals {
        self.model
            .sink()
            .totals(self.vm.as_deref(), self.all_events, self.all_lost.clone())
    }

    /// Ends everything where it is; sums since the beginning.
    pub fn finish(self) -> Totals {
        let (windows, _) = self.model.finish();
        windows.totals(self.vm.as_deref(), self.all_events, self.all_lost)
    }

    /// How much the model keeps, and how many entities are known besides.
    pub fn living(&self) -> (Living, usize) {
        (self.model.living(), self.model.sink().known())
    }
}
