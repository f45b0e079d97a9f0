//! What exits cost, by reason.

use super::waits::Durations;
use super::words::word_of_cause;
use crate::budgets::{Budgets, ExitCost, ExitKey};
use serde::Serialize;
use virtflow_model::{Cause, exits};

/// Exits of one reason.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ExitReport {
    /// Whose codes: 1 VMX, 2 SVM, 0 not recorded.
    pub isa: u32,
    /// The hardware's exit code.
    pub reason: u32,
    /// Its name; its number where it has none.
    pub name: String,
    /// Its class.
    #[serde(serialize_with = "word_of_cause")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub class: Cause,
    /// Whether the host's hypervisor gave them to the guest's own: only exits of nested guests.
    pub reflected: bool,
    /// From the exit to the next entry.
    #[serde(flatten)]
    pub latency: Durations,
    /// Of it on the processor in the kernel.
    pub kernel_ns: i64,
    /// Of it on the processor in the VMM.
    pub vmm_ns: i64,
    /// Of it off the processor.
    pub off_cpu_ns: i64,
}

impl ExitReport {
    fn new(isa: u32, reason: u32, reflected: bool, cost: &ExitCost) -> Self {
        Self {
            isa,
            reason,
            name: exits::name(isa, reason),
            class: exits::class(isa, reason),
            reflected,
            latency: Durations::new(&cost.latency),
            kernel_ns: cost.kernel_ns,
            vmm_ns: cost.vmm_ns,
            off_cpu_ns: cost.off_cpu_ns,
        }
    }
}

/// The exits that `choose` takes, by reason and by who handled them, costliest first.
pub(super) fn exits_of(budgets: &Budgets, choose: impl Fn(&ExitKey) -> bool) -> Vec<ExitReport> {
    let mut all: std::collections::BTreeMap<(u32, u32, bool), ExitCost> =
        std::collections::BTreeMap::new();
    for (key, cost) in budgets.exits().iter().filter(|(key, _)| choose(key)) {
        all.entry((key.isa, key.reason, key.reflected))
            .or_default()
            .merge(cost);
    }
    let mut rows: Vec<_> = all
        .iter()
        .map(|(&(isa, reason, reflected), cost)| ExitReport::new(isa, reason, reflected, cost))
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.latency.total_ns));
    rows
}

/// The exits of one virtual processor by reason, nested ones among them.
pub(super) fn count(rows: &[ExitReport]) -> u64 {
    rows.iter().map(|row| row.latency.count).sum()
}
