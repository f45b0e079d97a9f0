//! What a VM did, and the VMs nested in it.

use super::exits::{ExitReport, count, exits_of};
use super::guest::GuestReport;
use super::lane::Budget;
use super::names::{Names, label};
use super::takers::{Taker, takers};
use super::waits::Waits;
use serde::Serialize;
use virtflow_base::{Entity, text};
use virtflow_model::Kind;

/// A VM.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct VmReport {
    /// Its key.
    pub key: String,
    /// What to call it.
    pub label: String,
    /// The process of its VMM.
    pub pid: Option<i32>,
    /// Its virtual processors.
    pub vcpus: Vec<VcpuReport>,
    /// Where the time of all of them went.
    pub budget: Budget,
    /// Waits of all of them: halts by what ended them, and sleeps in the host.
    pub waits: Waits,
    /// Exits of all of them, those out of nested guests among them.
    pub exits: Vec<ExitReport>,
    /// What ran inside.
    pub guest: GuestReport,
    /// VMs nested in it.
    pub nested: Vec<NestedVmReport>,
}

/// A virtual processor.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct VcpuReport {
    /// Its key.
    pub key: String,
    /// Its number.
    pub vcpu: Option<u32>,
    /// The host thread it is.
    pub tid: Option<i32>,
    /// The name of that thread.
    pub thread: String,
    /// Where its time went.
    pub budget: Budget,
    /// Its waits.
    pub waits: Waits,
    /// Who had the physical processor while it wanted it.
    pub taken_by: Vec<Taker>,
    /// How many exits were followed by an entry.
    pub exit_count: u64,
    /// How many were not, before the recording ended or events were lost.
    pub open_exit_count: u64,
    /// Its exits.
    pub exits: Vec<ExitReport>,
}

/// A VM inside a VM.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NestedVmReport {
    /// Its key.
    pub key: String,
    /// What to call it.
    pub label: String,
    /// The CR3 of the hypervisor's process that runs it, in hexadecimal.
    pub hypervisor_cr3: Option<String>,
    /// Its virtual processors.
    pub vcpus: Vec<NestedVcpuReport>,
    /// At which level it runs: 2 in a VM of the host, 3 in one of these.
    pub level: u8,
    /// Where the time of all of them went.
    pub budget: Budget,
    /// Waits of all of them.
    pub waits: Waits,
    /// Exits out of it: handled by the host's hypervisor (L0), or reflected to the guest's (L1).
    /// What L1 then takes is the state `l1-handling`.
    pub exits: Vec<ExitReport>,
    /// What ran inside.
    pub guest: GuestReport,
    /// VMs nested in it.
    pub nested: Vec<NestedVmReport>,
}

/// A virtual processor of a nested VM.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NestedVcpuReport {
    /// Its key.
    pub key: String,
    /// Its number among those of its VM, in the order in which they were met.
    pub vcpu: Option<u32>,
    /// Where its time went.
    pub budget: Budget,
    /// Its waits.
    pub waits: Waits,
    /// Who ran instead: on the host (L0) or in the guest that runs it (L1).
    pub taken_by: Vec<Taker>,
}

impl VmReport {
    pub(super) fn new(names: &Names<'_>, vm: &Entity) -> Self {
        let lanes: Vec<_> = names.in_vm(Kind::Vcpu, vm.id).collect();
        let mut vcpus: Vec<_> = lanes
            .iter()
            .map(|vcpu| VcpuReport::new(names, vcpu))
            .collect();
        vcpus.sort_by(|a, b| (a.vcpu, &a.key).cmp(&(b.vcpu, &b.key)));
        Self {
            key: vm.key.clone(),
            label: label(vm),
            pid: vm.pid,
            budget: Budget::sum(vcpus.iter().map(|vcpu| &vcpu.budget)),
            waits: Waits::new(lanes.iter().filter_map(|vcpu| names.budgets.sums(vcpu.id))),
            exits: exits_of(names.budgets, |key| {
                lanes.iter().any(|vcpu| vcpu.id == key.vcpu)
            }),
            vcpus,
            guest: GuestReport::new(names, vm.id),
            nested: nested_in(names, vm, 2),
        }
    }
}

impl VcpuReport {
    fn new(names: &Names<'_>, vcpu: &Entity) -> Self {
        let sums = names.budgets.sums(vcpu.id);
        let exits = exits_of(names.budgets, |key| key.vcpu == vcpu.id);
        Self {
            key: vcpu.key.clone(),
            vcpu: vcpu.vcpu,
            tid: vcpu.tid,
            thread: text(&vcpu.label),
            budget: Budget::new(sums),
            waits: Waits::new(sums),
            taken_by: takers(sums, names),
            exit_count: count(&exits),
            open_exit_count: names.budgets.open_exits(vcpu.id),
            exits,
        }
    }
}

/// The VMs whose parent is `vm`, which are at this level.
fn nested_in(names: &Names<'_>, vm: &Entity, level: u8) -> Vec<NestedVmReport> {
    let nested = names
        .of(Kind::NestedVm)
        .filter(|n| n.parent == Some(vm.id) && n.id != vm.id);
    nested
        .map(|vm| NestedVmReport::new(names, vm, level))
        .collect()
}

impl NestedVmReport {
    fn new(names: &Names<'_>, vm: &Entity, level: u8) -> Self {
        let lanes: Vec<_> = names.in_vm(Kind::NestedVcpu, vm.id).collect();
        let vcpus: Vec<_> = lanes
            .iter()
            .map(|vcpu| NestedVcpuReport::new(names, vcpu))
            .collect();
        Self {
            key: vm.key.clone(),
            label: label(vm),
            hypervisor_cr3: vm.cr3.map(|cr3| format!("{cr3:#x}")),
            level,
            budget: Budget::sum(vcpus.iter().map(|vcpu| &vcpu.budget)),
            waits: Waits::new(lanes.iter().filter_map(|vcpu| names.budgets.sums(vcpu.id))),
            exits: exits_of(names.budgets, |key| {
                lanes.iter().any(|vcpu| Some(vcpu.id) == key.nested)
            }),
            vcpus,
            guest: GuestReport::new(names, vm.id),
            nested: nested_in(names, vm, level.saturating_add(1)),
        }
    }
}

impl NestedVcpuReport {
    fn new(names: &Names<'_>, vcpu: &Entity) -> Self {
        let sums = names.budgets.sums(vcpu.id);
        Self {
            key: vcpu.key.clone(),
            vcpu: vcpu.vcpu,
            budget: Budget::new(sums),
            waits: Waits::new(sums),
            taken_by: takers(sums, names),
        }
    }
}
