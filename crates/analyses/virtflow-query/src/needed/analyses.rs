//! Which analyses a trace is good for.

use super::has;
use super::table::NEEDS;
use serde::Serialize;

/// One of the analyses, and whether the trace has what it needs.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Analysis {
    /// What it answers.
    pub name: &'static str,
    /// `yes`, `partly` or `no`.
    pub possible: Possible,
    /// The events it lacks.
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
}

/// An analysis, the events it cannot do without, and those that make it better.
pub(super) type Rests = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

pub(super) const ANALYSES: &[Rests] = &[
    (
        "host threads and CPUs",
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
        &["sched_switch", "lttng_statedump_process_pid_ns"],
        &["sched_process_fork"],
    ),
    (
        "vCPUs: where the time went",
        &["sched_switch", "kvm_x86_exit", "kvm_x86_entry"],
        &["sched_waking", "kvm_userspace_exit", "kvm_fpu"],
    ),
    (
        "pre-emption: who by whom",
        &["sched_switch", "kvm_x86_exit"],
        &["sched_waking"],
    ),
    (
        "exit reasons and latency",
        &["kvm_x86_exit", "kvm_x86_entry"],
        &["sched_switch", "kvm_userspace_exit"],
    ),
    (
        "causes of waits",
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
        &["sched_switch", "kvm_x86_exit", "vcpu_enter_guest"],
        &["vcpu_exit_guest"],
    ),
    (
        "nested VMs",
        &["sched_switch", "kvm_x86_exit"],
        &[
            "kvm_x86_nested_vmrun",
            "kvm_x86_nested_vmexit_inject",
            "kvm_x86_nested_intr_vmexit",
            "vcpu_enter_guest",
        ],
    ),
];

/// Which analyses a trace is good for that has only these events.
pub(crate) fn analyses(described: &[&str]) -> Vec<Analysis> {
    let lacks = |name: &&&str| {
        !NEEDS
            .iter()
            .any(|need| need.name == **name && has(described, need))
    };
    ANALYSES
        .iter()
        .map(|&(name, must, better)| {
            let hard: Vec<_> = must.iter().filter(lacks).copied().collect();
            let soft: Vec<_> = better.iter().filter(lacks).copied().collect();
            let possible = match (hard.is_empty(), soft.is_empty()) {
                (false, _) => Possible::No,
                (true, false) => Possible::Partly,
                (true, true) => Possible::Yes,
            };
            Analysis {
                name,
                possible,
                missing: [hard, soft].concat(),
            }
        })
        .collect()
}
