//! Sums since the beginning, of what there are few of: processors, real, virtual and nested.

use super::window::{Code, Known, Windows, code_of};
use crate::report::label;
use virtflow_base::{EntityId, Interval, text};
use virtflow_model::{Cause, Kind, State};

/// The sums of one processor.
#[derive(Clone, Debug, Default)]
pub struct Total {
    states: Vec<(Code, i64)>,
    exits: Vec<((u32, u32), u64)>,
}

impl Total {
    pub(super) const fn is_kept(kind: Kind) -> bool {
        matches!(kind, Kind::Cpu | Kind::Vcpu | Kind::NestedVcpu)
    }

    pub(super) fn add(&mut self, interval: &Interval) {
        let ns = interval.span.nanos();
        // How sure it is and at which level is not kept apart.
        let [state, cause, ..] = code_of(interval).to_le_bytes();
        let code = u32::from_le_bytes([state, cause, 0, 0]);
        match self.states.iter_mut().find(|(own, _)| *own == code) {
            Some((_, sum)) => *sum = sum.saturating_add(ns),
            None => self.states.push((code, ns)),
        }
    }

    pub(super) fn exit(&mut self, isa: u32, reason: u32) {
        match self.exits.iter_mut().find(|(own, _)| *own == (isa, reason)) {
            Some((_, count)) => *count += 1,
            None => self.exits.push(((isa, reason), 1)),
        }
    }

    /// Time by state and cause, in nanoseconds.
    pub fn states(&self) -> impl Iterator<Item = (State, Cause, i64)> + '_ {
        self.states.iter().filter_map(|&(code, ns)| {
            let [state, cause, ..] = code.to_le_bytes();
            Some((State::from_code(state)?, Cause::from_code(cause)?, ns))
        })
    }

    /// Exits that an entry followed, by the hardware's name of the reason.
    pub fn exits(&self) -> impl Iterator<Item = (String, u64)> + '_ {
        let exits = self.exits.iter();
        exits.map(|&((isa, reason), count)| (virtflow_model::exits::name(isa, reason), count))
    }

    /// All time that was told, in nanoseconds.
    pub fn told_ns(&self) -> i64 {
        let all = self.states.iter().map(|(_, ns)| *ns);
        all.fold(0, i64::saturating_add)
    }
}

/// Whose sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TotalKind {
    /// A physical processor.
    Cpu,
    /// A virtual processor.
    Vcpu,
    /// A virtual processor of a nested VM.
    NestedVcpu,
}

/// The sums of one processor, and which it is.
#[derive(Clone, Debug)]
pub struct TotalOf {
    /// What it is.
    pub kind: TotalKind,
    /// The label of its VM; empty for a physical one.
    pub vm: String,
    /// Its number.
    pub number: u32,
    /// The sums.
    pub total: Total,
}

/// Sums since the beginning.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// By processor.
    pub of: Vec<TotalOf>,
    /// Events that the model took.
    pub events: u64,
    /// Events that were lost, by the processor's number.
    pub lost: Vec<u64>,
}

impl Windows {
    pub(super) fn totals(&self, vm: Option<&str>, events: u64, lost: Vec<u64>) -> Totals {
        let of = self.entities().filter_map(|known| self.total_of(known, vm));
        let mut of: Vec<_> = of.collect();
        of.sort_by(|a, b| (a.kind, &a.vm, a.number).cmp(&(b.kind, &b.vm, b.number)));
        Totals { of, events, lost }
    }

    fn total_of(&self, known: &Known, wanted: Option<&str>) -> Option<TotalOf> {
        let total = known.total.as_deref()?.clone();
        let entity = &known.entity;
        let (kind, number) = match known.kind {
            Kind::Cpu => {
                let number = entity.key.rsplit_once(':')?.1.parse().ok()?;
                (TotalKind::Cpu, number)
            }
            Kind::Vcpu => (TotalKind::Vcpu, entity.vcpu?),
            _ => (TotalKind::NestedVcpu, entity.vcpu?),
        };
        let vm = entity.vm.and_then(|vm: EntityId| self.entity(vm));
        if kind != TotalKind::Cpu && !self.is_wanted(entity.vm, wanted) {
            return None;
        }
        Some(TotalOf {
            kind,
            vm: vm.map_or_else(String::new, |vm| match vm.kind {
                Kind::NestedVm => text(&vm.entity.label),
                _ => label(&vm.entity),
            }),
            number,
            total,
        })
    }
}
