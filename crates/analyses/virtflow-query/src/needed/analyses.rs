//! Which analyses a trace is good for.

use super::table::NEEDS;
use super::{Asked, has};
use serde::Serialize;

/// One of the analyses, and whether the trace has what it needs.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Analysis {
    /// What it answers.
    pub name: &'static str,
    /// How far it can go.
    pub possible: Possible,
    /// The events it lacks, as the trace's tracer calls them; for one with nothing to show, those of which there was none.
    pub missing: Vec<&'static str>,
}

/// How far an analysis can go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Possible {
    /// The trace has all it needs.
    Yes,
    /// It lacks something; what it says is true, but less.
    Partly,
    /// It lacks what it stands on.
    No,
    /// The trace was made for it, but what it is about did not happen.
    NothingSeen,
}

/// An analysis, the event without which it has nothing to show, those it cannot do without, and those that make it better.
pub(super) type Rests = (
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

pub(super) const ANALYSES: &[Rests] = &[
    (
        "host threads and CPUs",
        "sched_switch",
        &["sched_switch"],
        &[
            "sched_waking",
            "lttng_statedump_process_state",
            "sched_process_fork",
            "irq_handler_entry",
            "irq_softirq_entry",
            "x86_irq_vectors_*",
        ],
    ),
    (
        "containers",
        "lttng_statedump_process_pid_ns",
        &["sched_switch", "lttng_statedump_process_pid_ns"],
        &["sched_process_fork"],
    ),
    (
        "vCPUs: where the time went",
        "kvm_x86_exit",
        &["sched_switch", "kvm_x86_exit", "kvm_x86_entry"],
        &["sched_waking", "kvm_userspace_exit", "kvm_fpu"],
    ),
    (
        "pre-emption: who by whom",
        "kvm_x86_exit",
        &["sched_switch", "kvm_x86_exit"],
        &["sched_waking"],
    ),
    (
        "exit reasons and latency",
        "kvm_x86_exit",
        &["kvm_x86_exit", "kvm_x86_entry"],
        &["sched_switch", "kvm_userspace_exit"],
    ),
    (
        "causes of waits",
        "kvm_x86_exit",
        &["sched_switch", "kvm_x86_exit"],
        &[
            "sched_waking",
            "kvm_x86_inj_virq",
            "kvm_x86_apic_accept_irq",
            "kvm_set_irq, kvm_msi_set_irq",
            "timer_hrtimer_expire_entry",
            "block_rq_complete",
            "net_if_receive_skb, net_dev_xmit",
        ],
    ),
    (
        "guest processes",
        "vcpu_enter_guest",
        &["sched_switch", "kvm_x86_exit", "vcpu_enter_guest"],
        &["vcpu_exit_guest"],
    ),
    (
        "nested VMs",
        "kvm_x86_nested_vmrun",
        &["sched_switch", "kvm_x86_exit"],
        &[
            "kvm_x86_nested_vmrun",
            "kvm_x86_nested_vmexit_inject",
            "kvm_x86_nested_intr_vmexit",
            "vcpu_enter_guest",
        ],
    ),
];

/// Which analyses a trace is good for that describes only these events and saw only those; what it lacks by
/// the names of whoever is `asked`.
pub(crate) fn analyses(described: &[&str], seen: &[&str], asked: Asked) -> Vec<Analysis> {
    let among = |name: &str, events: &[&str]| {
        let need = NEEDS.iter().find(|need| need.name == name);
        need.is_some_and(|need| has(events, need))
    };
    let lacks = |name: &&&str| !among(name, described);
    ANALYSES
        .iter()
        .map(|&(name, sign, must, better)| {
            let hard: Vec<_> = must.iter().filter(lacks).copied().collect();
            let soft: Vec<_> = better.iter().filter(lacks).copied().collect();
            let (possible, missing) = if !hard.is_empty() {
                (Possible::No, [hard, soft].concat())
            } else if among(sign, described) && !among(sign, seen) {
                (Possible::NothingSeen, vec![sign])
            } else if soft.is_empty() {
                (Possible::Yes, soft)
            } else {
                (Possible::Partly, soft)
            };
            Analysis {
                name,
                possible,
                missing: missing
                    .into_iter()
                    .map(|name| asked.name_of(name))
                    .collect(),
            }
        })
        .collect()
}
