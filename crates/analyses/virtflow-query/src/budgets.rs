//! Where the time went: sums over intervals and exits, kept while the pass runs.
//!
//! Memory grows with what lives in the trace (lanes, causes, pairs of victim and culprit), never
//! with its length.

use hdrhistogram::Histogram;
use rustc_hash::FxHashMap;
use virtflow_base::{Edge, Entity, EntityId, Exit, Interval, Sink, Span};
use virtflow_model::{Cause, Confidence, Kind, State};

/// What one lane did of one kind: the parts of an interval that a budget keeps apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Doing {
    /// The state.
    pub state: State,
    /// Why.
    pub cause: Cause,
    /// 0 host, 1 guest, 2 guest of a guest.
    pub level: u8,
    /// How sure.
    pub confidence: Confidence,
}

/// How long and how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Nanoseconds.
    pub ns: i64,
    /// Intervals.
    pub count: u64,
}

impl Total {
    /// Adds one more stretch.
    pub const fn add(&mut self, ns: i64) {
        self.ns += ns;
        self.count += 1;
    }

    /// Adds another total.
    pub const fn merge(&mut self, other: Self) {
        self.ns += other.ns;
        self.count += other.count;
    }
}

/// Durations with their spread: a total and a histogram of two significant digits.
#[derive(Clone, Debug)]
pub struct Spread {
    /// The sum.
    pub total: Total,
    histogram: Histogram<u32>,
}

impl Spread {
    /// The histogram of a virtual processor's numbers is good to 1 %, that of a process to 10 %:
    /// there are thousands of processes.
    fn new(significant_digits: u8) -> Option<Self> {
        Some(Self { total: Total::default(), histogram: Histogram::new(significant_digits).ok()? })
    }

    fn add(&mut self, ns: i64) {
        self.total.add(ns);
        self.histogram.saturating_record(u64::try_from(ns).unwrap_or(0).max(1));
    }

    /// The duration below which this share (0 to 1) of them lies, in nanoseconds.
    pub fn quantile(&self, share: f64) -> u64 {
        self.histogram.value_at_quantile(share)
    }

    /// The mean in nanoseconds.
    pub fn mean(&self) -> i64 {
        self.total.ns / i64::try_from(self.total.count.max(1)).unwrap_or(1)
    }

    /// Adds another's durations to these.
    pub fn merge(&mut self, other: &Self) {
        self.total.merge(other.total);
        // Both were made by `new`, and a histogram that resizes itself takes any value.
        let _ = self.histogram.add(&other.histogram);
    }
}

/// What exits of one reason cost one virtual processor.
#[derive(Clone, Debug)]
pub struct ExitCost {
    /// From the exit to the next entry.
    pub latency: Spread,
    /// Of it in the kernel, in nanoseconds.
    pub kernel_ns: i64,
    /// Of it in the VMM.
    pub vmm_ns: i64,
    /// Of it off the processor.
    pub off_cpu_ns: i64,
    /// How many of them the host's hypervisor gave to the guest's.
    pub reflected: u64,
}

/// The key of an exit's cost: virtual processor, whether out of a nested guest, instruction set,
/// reason.
pub type ExitKey = (EntityId, Option<EntityId>, u32, u32);

/// A [`Sink`] that keeps sums.
#[derive(Debug)]
pub struct Budgets {
    range: Span,
    /// Entities by number, in their latest form.
    pub entities: Vec<Entity>,
    /// What each lane did.
    pub lanes: FxHashMap<(EntityId, Doing), Total>,
    /// Per lane and cause of a wait, its durations.
    pub waits: FxHashMap<(EntityId, Cause), Spread>,
    /// Who held the processor while a virtual processor wanted it: (victim, culprit, was woken).
    pub steals: FxHashMap<(EntityId, Option<EntityId>, bool), Total>,
    /// What exits cost.
    pub exits: FxHashMap<ExitKey, ExitCost>,
    /// Edges by kind.
    pub edges: FxHashMap<u8, u64>,
    /// All that the intervals cover.
    pub covered: Option<Span>,
}

impl Budgets {
    /// Sums over what lies in `range`.
    pub fn new(range: Span) -> Self {
        Self {
            range,
            entities: Vec::new(),
            lanes: FxHashMap::default(),
            waits: FxHashMap::default(),
            steals: FxHashMap::default(),
            exits: FxHashMap::default(),
            edges: FxHashMap::default(),
            covered: None,
        }
    }

    /// The kind of an entity.
    pub fn kind(&self, id: EntityId) -> Option<Kind> {
        self.entities.get(id.0 as usize).and_then(|e| Kind::from_code(e.kind))
    }
}

impl Sink for Budgets {
    fn entity(&mut self, entity: &Entity) {
        let at = entity.id.0 as usize;
        if at < self.entities.len() {
            self.entities[at] = entity.clone();
        } else {
            self.entities.push(entity.clone());
        }
    }

    fn interval(&mut self, interval: &Interval) {
        let Some(span) = interval.span.intersect(self.range) else { return };
        let (Some(state), Some(cause), Some(confidence)) = (
            State::from_code(interval.state),
            Cause::from_code(interval.cause),
            Confidence::from_code(interval.confidence),
        ) else {
            return;
        };
        let covered = self.covered.get_or_insert(span);
        covered.start = covered.start.min(span.start);
        covered.end = covered.end.max(span.end);
        let doing = Doing { state, cause, level: interval.level, confidence };
        let ns = span.nanos();
        self.lanes.entry((interval.entity, doing)).or_default().add(ns);
        match state {
            State::Halted | State::BlockedOnHost | State::Waiting => {
                let key = (interval.entity, cause);
                if let Some(spread) = self.waits.get_mut(&key) {
                    spread.add(ns);
                } else if let Some(mut spread) = Spread::new(if state == State::Waiting { 1 } else { 2 }) {
                    spread.add(ns);
                    self.waits.insert(key, spread);
                }
            }
            State::Preempted | State::Runnable | State::PreemptedOnHost | State::PreemptedL0 | State::PreemptedL1 => {
                let key = (interval.entity, interval.by, state == State::Runnable);
                self.steals.entry(key).or_default().add(ns);
            }
            _ => {}
        }
    }

    fn edge(&mut self, edge: &Edge) {
        if self.range.contains(edge.to_time) {
            *self.edges.entry(edge.kind).or_default() += 1;
        }
    }

    fn exit(&mut self, exit: &Exit) {
        if !exit.entered_again || !self.range.contains(exit.span.start) {
            return;
        }
        let key = (exit.vcpu, exit.nested, exit.isa, exit.reason);
        let cost = match self.exits.entry(key) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                let Some(latency) = Spread::new(2) else { return };
                entry.insert(ExitCost { latency, kernel_ns: 0, vmm_ns: 0, off_cpu_ns: 0, reflected: 0 })
            }
        };
        cost.latency.add(exit.span.nanos());
        cost.kernel_ns += exit.kernel_ns;
        cost.vmm_ns += exit.vmm_ns;
        cost.off_cpu_ns += exit.off_cpu_ns;
        cost.reflected += u64::from(exit.reflected);
    }
}
