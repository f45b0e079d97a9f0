//! The host itself: its processors, its threads, its containers.

use super::lane::Budget;
use super::names::{Names, Who, label};
use super::takers::TakerKind;
use serde::Serialize;
use virtflow_base::Entity;
use virtflow_model::{Kind, State};

/// The host.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct HostReport {
    /// Its processors.
    pub cpus: Vec<CpuReport>,
    /// Its threads, the one that ran longest first.
    pub threads: Vec<ThreadReport>,
    /// Its containers, the one that ran longest first.
    pub containers: Vec<ContainerReport>,
}

/// A processor of the host.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CpuReport {
    /// Its key: `cpu:<number>`.
    pub key: String,
    /// Where its time went.
    pub budget: Budget,
    /// Of the time it ran: virtual processors.
    pub vcpu_ns: i64,
    /// Other threads that work for VMs.
    pub vm_helper_ns: i64,
    /// Everything else.
    pub other_ns: i64,
}

/// A thread of the host.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ThreadReport {
    /// Its key.
    pub key: String,
    /// Its name and number.
    pub label: String,
    /// Its number.
    pub tid: Option<i32>,
    /// The number of its process.
    pub pid: Option<i32>,
    /// What it is.
    pub kind: TakerKind,
    /// The VM it works for; empty for none.
    pub vm: String,
    /// The key of the container it lives in; empty for none.
    pub container_key: String,
    /// How long it lived inside the analysed range.
    pub wall_ns: i64,
    /// On a processor.
    pub running_ns: i64,
    /// Woken, and waiting for its turn.
    pub runnable_ns: i64,
    /// Without the processor that another one took.
    pub preempted_ns: i64,
    /// Asleep.
    pub sleeping_ns: i64,
    /// Of that, asleep so that no signal wakes it.
    pub uninterruptible_ns: i64,
    /// Not known.
    pub unknown_ns: i64,
}

/// Processes of the host that share a pid namespace. All its times are summed over its threads
/// and may exceed wall time.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ContainerReport {
    /// Its key.
    pub key: String,
    /// What to call it.
    pub label: String,
    /// How many threads it had.
    pub threads: usize,
    /// On a processor.
    pub running_ns: i64,
    /// Woken, and waiting for a turn.
    pub runnable_ns: i64,
    /// Without the processor that another one took.
    pub preempted_ns: i64,
    /// Asleep.
    pub sleeping_ns: i64,
    /// Not known.
    pub unknown_ns: i64,
}

impl HostReport {
    pub(super) fn new(names: &Names<'_>) -> Self {
        let mut cpus: Vec<_> = names
            .of(Kind::Cpu)
            .map(|cpu| CpuReport::new(names, cpu))
            .collect();
        cpus.sort_by_key(|cpu| {
            cpu.key
                .strip_prefix("cpu:")
                .and_then(|n| n.parse::<u32>().ok())
        });
        let mut threads: Vec<_> = names
            .of(Kind::Thread)
            .filter_map(|thread| ThreadReport::new(names, thread))
            .collect();
        threads.sort_by(|a, b| {
            b.running_ns
                .cmp(&a.running_ns)
                .then_with(|| a.key.cmp(&b.key))
        });
        let mut containers: Vec<_> = names
            .of(Kind::Container)
            .map(|container| ContainerReport::new(container, &threads))
            .collect();
        containers.sort_by(|a, b| {
            b.running_ns
                .cmp(&a.running_ns)
                .then_with(|| a.key.cmp(&b.key))
        });
        Self {
            cpus,
            threads,
            containers,
        }
    }
}

impl CpuReport {
    fn new(names: &Names<'_>, cpu: &Entity) -> Self {
        let sums = names.budgets.sums(cpu.id);
        let mut report = Self {
            key: cpu.key.clone(),
            budget: Budget::new(sums),
            vcpu_ns: 0,
            vm_helper_ns: 0,
            other_ns: 0,
        };
        for (_, by, total) in sums.into_iter().flat_map(|s| s.by()) {
            *match names.who(by).kind {
                TakerKind::Vcpu => &mut report.vcpu_ns,
                TakerKind::VmHelper => &mut report.vm_helper_ns,
                _ => &mut report.other_ns,
            } += total.ns;
        }
        report
    }
}

impl ThreadReport {
    fn new(names: &Names<'_>, thread: &Entity) -> Option<Self> {
        let budget = Budget::new(Some(names.budgets.sums(thread.id)?));
        let Who { kind, group, .. } = names.who(Some(thread.id));
        let container_key = container(names, thread)
            .map(|c| c.key.clone())
            .unwrap_or_default();
        Some(Self {
            key: thread.key.clone(),
            label: label(thread),
            tid: thread.tid,
            pid: thread.pid,
            vm: if kind == TakerKind::Thread {
                String::new()
            } else {
                group
            },
            kind,
            container_key,
            wall_ns: budget.wall_ns,
            running_ns: budget.in_states(&[State::Running]),
            runnable_ns: budget.in_states(&[State::Runnable]),
            preempted_ns: budget.in_states(&[State::Preempted, State::Throttled]),
            sleeping_ns: budget.in_states(&[State::Sleeping, State::Uninterruptible]),
            uninterruptible_ns: budget.in_states(&[State::Uninterruptible]),
            unknown_ns: budget.in_states(&[State::Unknown]),
        })
    }
}

/// The innermost container that an entity is in.
fn container<'a>(names: &Names<'a>, entity: &Entity) -> Option<&'a Entity> {
    const DEPTH_MAX: usize = 8;
    let mut at = names.budgets.entity(entity.parent?)?;
    for _ in 0..DEPTH_MAX {
        if at.kind == Kind::Container.code() {
            return Some(at);
        }
        at = names.budgets.entity(at.parent?)?;
    }
    None
}

impl ContainerReport {
    fn new(container: &Entity, threads: &[ThreadReport]) -> Self {
        let mut report = Self {
            key: container.key.clone(),
            label: label(container),
            threads: 0,
            running_ns: 0,
            runnable_ns: 0,
            preempted_ns: 0,
            sleeping_ns: 0,
            unknown_ns: 0,
        };
        for thread in threads.iter().filter(|t| t.container_key == report.key) {
            report.threads += 1;
            report.running_ns = report.running_ns.saturating_add(thread.running_ns);
            report.runnable_ns = report.runnable_ns.saturating_add(thread.runnable_ns);
            report.preempted_ns = report.preempted_ns.saturating_add(thread.preempted_ns);
            report.sleeping_ns = report.sleeping_ns.saturating_add(thread.sleeping_ns);
            report.unknown_ns = report.unknown_ns.saturating_add(thread.unknown_ns);
        }
        report
    }
}
