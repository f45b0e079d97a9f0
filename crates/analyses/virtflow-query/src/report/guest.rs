//! What ran inside a guest: its processes, its kernel, its idle loop.

use super::lane::Budget;
use super::names::{Names, label};
use super::takers::{Taker, takers};
use super::waits::Waits;
use rustc_hash::FxHashMap;
use serde::Serialize;
use virtflow_base::{Entity, EntityId};
use virtflow_model::{Confidence, Kind, State};

/// The lanes inside one guest.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct GuestReport {
    /// Its processes, the one that ran longest first.
    pub processes: Vec<ProcessReport>,
    /// Its kernel working for itself: threads of the kernel, interrupts in the idle loop.
    pub kernel: Budget,
    /// Its idle loop.
    pub idle: Budget,
    /// Waits of its processes by cause.
    pub waits: Waits,
}

/// A process of a guest, told by its page tables. Threads of one process share them.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ProcessReport {
    /// Its key.
    pub key: String,
    /// What to call it.
    pub label: String,
    /// Its canonical CR3 in hexadecimal.
    pub cr3: Option<String>,
    /// Time on a virtual processor that had a physical one: user, kernel and hypervisor.
    pub ran_ns: i64,
    /// How much of that is proved to be this process.
    pub ran_proved_ns: i64,
    /// Where its time went, over all virtual processors it was seen on.
    pub budget: Budget,
    /// Its waits by cause.
    pub waits: Waits,
    /// Who had the processor while it was on a virtual processor that had none, and who had the
    /// virtual processor while it wanted that.
    pub taken_by: Vec<Taker>,
    /// Its threads, where a probe tells them apart, the one that ran longest first.
    pub threads: Vec<GuestThreadReport>,
}

/// A thread of a guest process.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct GuestThreadReport {
    /// Its key.
    pub key: String,
    /// What to call it: by its thread pointer, or by its kernel stack.
    pub label: String,
    /// Time on a virtual processor that had a physical one: user, kernel and hypervisor.
    pub ran_ns: i64,
    /// How much of that is proved to be this thread.
    pub ran_proved_ns: i64,
    /// Where its time went.
    pub budget: Budget,
}

/// The states in which a guest process has a physical processor.
const RAN: [State; 3] = [State::RunUser, State::RunKernel, State::RunHypervisor];

impl GuestReport {
    pub(super) fn new(names: &Names<'_>, vm: EntityId) -> Self {
        let mut report = Self::default();
        let mut kernel = Vec::new();
        let mut idle = Vec::new();
        let mut sums = Vec::new();
        let mut threads: FxHashMap<EntityId, Vec<GuestThreadReport>> = FxHashMap::default();
        for entity in names.in_vm(Kind::GuestThread, vm) {
            if let Some(process) = entity.parent {
                let thread = GuestThreadReport::new(names, entity);
                threads.entry(process).or_default().push(thread);
            }
        }
        for entity in names.in_vm(Kind::Process, vm) {
            let Some(sum) = names.budgets.sums(entity.id) else {
                continue;
            };
            match own_lane(entity) {
                Some(Own::Kernel) => kernel.push(Budget::new(Some(sum))),
                Some(Own::Idle) => idle.push(Budget::new(Some(sum))),
                None => {
                    let threads = threads.remove(&entity.id).unwrap_or_default();
                    report
                        .processes
                        .push(ProcessReport::new(names, entity, threads));
                    sums.push(sum);
                }
            }
        }
        report
            .processes
            .sort_by(|a, b| b.ran_ns.cmp(&a.ran_ns).then_with(|| a.key.cmp(&b.key)));
        report.kernel = Budget::sum(&kernel);
        report.idle = Budget::sum(&idle);
        report.waits = Waits::new(sums);
        report
    }

    /// Whether anything at all is known of it.
    pub const fn is_empty(&self) -> bool {
        self.processes.is_empty() && self.kernel.lanes == 0 && self.idle.lanes == 0
    }
}

enum Own {
    Kernel,
    Idle,
}

/// The lanes of the guest's own that every virtual processor has besides those of processes.
fn own_lane(entity: &Entity) -> Option<Own> {
    match (entity.cr3, entity.key.rsplit_once('/')?.1) {
        (None, "kernel") => Some(Own::Kernel),
        (None, "idle") => Some(Own::Idle),
        _ => None,
    }
}

impl ProcessReport {
    fn new(names: &Names<'_>, entity: &Entity, mut threads: Vec<GuestThreadReport>) -> Self {
        let sums = names.budgets.sums(entity.id);
        let budget = Budget::of_process(sums);
        threads.sort_by(|a, b| b.ran_ns.cmp(&a.ran_ns).then_with(|| a.key.cmp(&b.key)));
        Self {
            key: entity.key.clone(),
            label: label(entity),
            cr3: entity.cr3.map(|cr3| format!("{cr3:#x}")),
            ran_ns: budget.in_states(&RAN),
            ran_proved_ns: budget
                .ns(|s| RAN.contains(&s.state) && s.confidence == Confidence::Proved),
            waits: Waits::new(sums),
            taken_by: takers(sums, names),
            budget,
            threads,
        }
    }
}

impl GuestThreadReport {
    fn new(names: &Names<'_>, entity: &Entity) -> Self {
        let budget = Budget::new(names.budgets.sums(entity.id));
        Self {
            key: entity.key.clone(),
            label: label(entity),
            ran_ns: budget.in_states(&RAN),
            ran_proved_ns: budget
                .ns(|s| RAN.contains(&s.state) && s.confidence == Confidence::Proved),
            budget,
        }
    }
}
