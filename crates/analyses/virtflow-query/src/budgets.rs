//! Where the time went: sums over intervals and exits, kept while the pass runs.
//!
//! Memory grows with what lives in the trace (lanes, causes, pairs of victim and culprit), never
//! with its length. An interval costs an index, a search among the few things its lane ever did,
//! and one hash where somebody else is to blame.

use crate::spread::{Precision, Spread};
use crate::sums::Sums;
use rustc_hash::{FxHashMap, FxHashSet};
use virtflow_base::{Edge, Entity, EntityId, Exit, Interval, Sample, Sink, Span};
use virtflow_model::Kind;

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
}

impl ExitCost {
    /// Of no exit yet.
    pub fn new() -> Self {
        Self {
            latency: Spread::new(Precision::Fine),
            kernel_ns: 0,
            vmm_ns: 0,
            off_cpu_ns: 0,
        }
    }

    fn add(&mut self, exit: &Exit) {
        self.latency.add(exit.span.nanos());
        self.kernel_ns = self.kernel_ns.saturating_add(exit.kernel_ns);
        self.vmm_ns = self.vmm_ns.saturating_add(exit.vmm_ns);
        self.off_cpu_ns = self.off_cpu_ns.saturating_add(exit.off_cpu_ns);
    }

    /// Adds another's exits to these.
    pub fn merge(&mut self, other: &Self) {
        self.latency.merge(&other.latency);
        self.kernel_ns = self.kernel_ns.saturating_add(other.kernel_ns);
        self.vmm_ns = self.vmm_ns.saturating_add(other.vmm_ns);
        self.off_cpu_ns = self.off_cpu_ns.saturating_add(other.off_cpu_ns);
    }
}

impl Default for ExitCost {
    fn default() -> Self {
        Self::new()
    }
}

/// What is kept apart about exits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExitKey {
    /// The virtual processor.
    pub vcpu: EntityId,
    /// The nested one that ran, for an exit out of a nested guest.
    pub nested: Option<EntityId>,
    /// Whose codes: 1 VMX, 2 SVM, 0 not recorded.
    pub isa: u32,
    /// The hardware's exit code.
    pub reason: u32,
    /// Whether the host's hypervisor gave it to the guest's.
    pub reflected: bool,
}

/// A [`Sink`] that keeps sums.
#[derive(Debug)]
pub struct Budgets {
    range: Span,
    /// Entities by number, in their latest form.
    entities: Vec<Entity>,
    /// Entities of which nothing is to be said.
    left_out: FxHashSet<EntityId>,
    /// Sums by entity.
    sums: Vec<Option<Box<Sums>>>,
    /// What exits cost.
    exits: FxHashMap<ExitKey, ExitCost>,
    /// Exits that no entry followed before the recording ended.
    open_exits: FxHashMap<EntityId, u64>,
}

impl Budgets {
    /// Sums over what lies in `range`.
    pub fn new(range: Span) -> Self {
        Self {
            range,
            entities: Vec::new(),
            left_out: FxHashSet::default(),
            sums: Vec::new(),
            exits: FxHashMap::default(),
            open_exits: FxHashMap::default(),
        }
    }

    /// All entities, in the order in which they were met, but those that are left out.
    pub fn entities(&self) -> impl Iterator<Item = &Entity> {
        let all = self.entities.iter();
        all.filter(|entity| !self.left_out.contains(&entity.id))
    }

    /// Says nothing of an entity: it is another machine's.
    pub(crate) fn leave_out(&mut self, id: EntityId) {
        self.left_out.insert(id);
    }

    /// An entity.
    pub fn entity(&self, id: EntityId) -> Option<&Entity> {
        self.entities.get(id.0 as usize)
    }

    /// The kind of an entity.
    pub fn kind(&self, id: EntityId) -> Option<Kind> {
        self.entity(id).and_then(|e| Kind::from_code(e.kind))
    }

    /// The sums of an entity; `None` when it has no interval in the range.
    pub fn sums(&self, id: EntityId) -> Option<&Sums> {
        self.sums.get(id.0 as usize)?.as_deref()
    }

    /// From the first to the last moment of any lane inside the range.
    pub fn covered(&self) -> Option<Span> {
        let spans = || self.sums.iter().flatten().filter_map(|sums| sums.span());
        let start = spans().map(|span| span.start).min()?;
        let end = spans().map(|span| span.end).max()?;
        Some(Span::new(start, end))
    }

    /// What exits cost.
    pub const fn exits(&self) -> &FxHashMap<ExitKey, ExitCost> {
        &self.exits
    }

    /// How many exits of a virtual processor no entry followed before the recording ended.
    pub fn open_exits(&self, vcpu: EntityId) -> u64 {
        self.open_exits.get(&vcpu).copied().unwrap_or(0)
    }
}

impl Sink for Budgets {
    fn entity(&mut self, entity: &Entity) {
        let at = entity.id.0 as usize;
        if at < self.entities.len() {
            self.entities[at] = entity.clone();
        } else {
            self.entities.push(entity.clone());
            self.sums.push(None);
        }
    }

    fn interval(&mut self, interval: &Interval) {
        let Some(span) = interval.span.intersect(self.range) else {
            return;
        };
        let Some(sums) = self.sums.get_mut(interval.entity.0 as usize) else {
            return;
        };
        sums.get_or_insert_default().add(interval, span);
    }

    fn edge(&mut self, _: &Edge) {}

    fn exit(&mut self, exit: &Exit) {
        if !self.range.contains(exit.span.start) {
            return;
        }
        if !exit.entered_again {
            *self.open_exits.entry(exit.vcpu).or_default() += 1;
            return;
        }
        let Exit {
            vcpu,
            nested,
            isa,
            reason,
            reflected,
            ..
        } = *exit;
        self.exits
            .entry(ExitKey {
                vcpu,
                nested,
                isa,
                reason,
                reflected,
            })
            .or_default()
            .add(exit);
    }

    fn sample(&mut self, _: &Sample) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spread::Total;
    use virtflow_base::Timestamp;
    use virtflow_model::{Cause, Confidence, State};

    fn interval(entity: u32, from: i64, to: i64, state: State, vcpu: Option<u32>) -> Interval {
        Interval {
            entity: EntityId(entity),
            span: Span::new(Timestamp::from_nanos(from), Timestamp::from_nanos(to)),
            state: state.code(),
            level: 0,
            cause: Cause::None.code(),
            confidence: Confidence::Proved.code(),
            evidence: 0,
            vcpu,
            by: None,
        }
    }

    fn entity(id: u32, kind: Kind) -> Entity {
        Entity {
            id: EntityId(id),
            kind: kind.code(),
            key: format!("{}:{id}", kind.as_str()),
            label: Vec::new(),
            parent: None,
            vm: None,
            vcpu: None,
            tid: None,
            pid: None,
            cr3: None,
        }
    }

    #[test]
    fn parts_add_up_to_the_life_inside_the_range() {
        let range = Span::new(Timestamp::from_nanos(10), Timestamp::from_nanos(100));
        let mut budgets = Budgets::new(range);
        Sink::entity(&mut budgets, &entity(0, Kind::Vcpu));
        for (from, to, state) in [
            (0, 20, State::Guest),
            (20, 50, State::Halted),
            (50, 500, State::Guest),
        ] {
            budgets.interval(&interval(0, from, to, state, Some(0)));
        }
        let sums = budgets.sums(EntityId(0)).unwrap();
        assert_eq!(
            (sums.lifetime_ns(), sums.sum_ns(), sums.lanes()),
            (90, 90, 1)
        );
        let guest = sums
            .parts()
            .find(|(doing, _)| doing.state == State::Guest)
            .unwrap()
            .1;
        assert_eq!(guest, Total { ns: 60, count: 2 });
        assert_eq!(sums.waits()[0].1.total.ns, 30);
    }

    #[test]
    fn gaps_and_lanes_are_told_apart() {
        let mut budgets = Budgets::new(Span::ALL);
        Sink::entity(&mut budgets, &entity(0, Kind::Process));
        budgets.interval(&interval(0, 0, 10, State::RunUser, Some(0)));
        budgets.interval(&interval(0, 15, 20, State::RunUser, Some(0)));
        budgets.interval(&interval(0, 5, 10, State::RunUser, Some(1)));
        let sums = budgets.sums(EntityId(0)).unwrap();
        assert_eq!(
            (sums.lanes(), sums.lifetime_ns(), sums.sum_ns()),
            (2, 25, 20)
        );
        assert_eq!(sums.away_ns(), 5);
    }

    #[test]
    fn what_was_never_announced_is_left_out() {
        let mut budgets = Budgets::new(Span::ALL);
        budgets.interval(&interval(3, 0, 10, State::Guest, None));
        assert!(budgets.sums(EntityId(3)).is_none());
    }
}
