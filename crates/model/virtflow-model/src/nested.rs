//! Virtual machines inside virtual machines: which level runs, and what became of each nested
//! virtual processor while its host's processor did something else.
//!
//! A nested vCPU is named by the guest-physical address of its control block (`vmcb12`, `vmcs12`),
//! a nested VM by the CR3 of the process of the guest's hypervisor that runs it. It may be run by
//! any virtual processor of the guest, so its lane belongs to the VM, not to the vCPU.

use crate::exits;
use crate::guest::{GcpuIx, GuestIx};
use crate::lane::{Lane, Status};
use crate::model::Model;
use crate::vm::{Mode, VcpuIx, VmIx, not_ended};
use crate::vocab::{Cause, Evidence, Kind, State};
use virtflow_base::{Entity, EntityId, Sink, Timestamp};
use virtflow_events::KernelEvent as K;

/// A nested vCPU's place in its VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NestedIx(pub(crate) usize);

/// The most nested vCPUs kept for one VM; a trace that names more is not believed.
const NESTED_MAX: usize = 1 << 14;

/// What a nested vCPU is about, seen from its own hypervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Its context is loaded: it runs, or the host's hypervisor handles its exit.
    Loaded,
    /// The host's hypervisor gives its exit to the guest's, or enters it for that one.
    Reflected,
    /// The guest's hypervisor has the exit.
    InL1,
    /// It halted and the guest's hypervisor knows.
    Halted,
    /// The guest's hypervisor runs something else.
    PreemptedL1(Option<EntityId>),
}

/// A virtual processor of a nested VM.
#[derive(Debug)]
pub(crate) struct NestedVcpu {
    pub(crate) vm: Entity,
    pub(crate) entity: Entity,
    pub(crate) hypervisor_cr3: Option<u64>,
    lane: Option<Lane>,
    phase: Phase,
    /// The host's vCPU that ran it last.
    pub(crate) on: VcpuIx,
    guest: GuestIx,
    pub(crate) gcpu: GcpuIx,
}

impl NestedVcpu {
    pub(crate) fn status(&self) -> Option<Status> {
        self.lane.as_ref().map(Lane::status)
    }
}

/// The nested side of one vCPU of the host.
#[derive(Debug, Default)]
pub(crate) struct Nested {
    /// Whose context is loaded: the next entry goes there.
    current: Option<(EntityId, NestedIx)>,
    /// Whose hypervisor ran last on this vCPU.
    last: Option<NestedIx>,
    /// The guest's hypervisor asked for a nested entry, and no tracepoint has told of it; with the
    /// CR3 that it had at its last entry.
    asked: Option<Option<u64>>,
}

impl Nested {
    /// 1 for a guest, 2 for a guest of a guest.
    pub(crate) const fn level(&self) -> u8 {
        if self.current.is_some() { 2 } else { 1 }
    }

    pub(crate) const fn current(&self) -> Option<NestedIx> {
        match self.current {
            Some((_, n)) => Some(n),
            None => None,
        }
    }

    pub(crate) const fn current_entity(&self) -> Option<EntityId> {
        match self.current {
            Some((entity, _)) => Some(entity),
            None => None,
        }
    }

    pub(crate) const fn forget(&mut self) {
        self.current = None;
        self.last = None;
        self.asked = None;
    }
}

impl<S: Sink> Model<S> {
    /// KVM's nested tracepoints.
    pub(crate) fn nested(&mut self, t: Timestamp, v: VcpuIx, event: &K) {
        match *event {
            K::KvmNestedEnter {
                vmcb, event_inj, ..
            } => {
                self.nested_traced = true;
                let Some(n) = self.nested_vcpu(t, v, vmcb, None) else {
                    return;
                };
                self.nested_load(t, v, n);
                self.nested_injected(t, v, n, event_inj);
            }
            K::KvmNestedExitInject { exit, isa, .. } => {
                if let Some(open) = &mut self.vcpus[v.0].exit {
                    open.reflected = true;
                }
                let isa = isa.unwrap_or(exits::ISA_SVM);
                let phase = match exits::class(isa, exit) {
                    Cause::ExitHlt => Phase::Halted,
                    _ => Phase::Reflected,
                };
                self.nested_reflect(t, v, phase);
            }
            _ => {}
        }
    }

    /// `n`'s context is loaded on `v`.
    fn nested_load(&mut self, t: Timestamp, v: VcpuIx, n: NestedIx) {
        let vm = self.vcpus[v.0].vm;
        let entity = self.vms[vm.0].nested[n.0].entity.id;
        self.left_level(v, self.vcpus[v.0].gcpu);
        let nested = &mut self.vcpus[v.0].nested;
        let last = nested.last.replace(n);
        nested.current = Some((entity, n));
        nested.asked = None;
        if let Some(other) = last.filter(|&other| other != n) {
            self.nested_phase(t, vm, other, |phase| match phase {
                Phase::InL1 | Phase::Reflected => Phase::PreemptedL1(Some(entity)),
                other => other,
            });
        }
        self.vms[vm.0].nested[n.0].on = v;
        self.nested_phase(t, vm, n, |_| Phase::Loaded);
    }

    /// The host's hypervisor gave an exit of the nested guest to the guest's.
    fn nested_reflect(&mut self, t: Timestamp, v: VcpuIx, phase: Phase) {
        let vm = self.vcpus[v.0].vm;
        let Some((_, n)) = self.vcpus[v.0].nested.current.take() else {
            return;
        };
        self.left_level(v, self.vms[vm.0].nested[n.0].gcpu);
        self.nested_phase(t, vm, n, |_| phase);
        if phase == Phase::Halted
            && let Some(lane) = &mut self.vms[vm.0].nested[n.0].lane
        {
            lane.hold();
        }
    }

    fn nested_phase(
        &mut self,
        t: Timestamp,
        vm: VmIx,
        n: NestedIx,
        change: impl FnOnce(Phase) -> Phase,
    ) {
        let nested = &mut self.vms[vm.0].nested[n.0];
        nested.phase = change(nested.phase);
        let v = nested.on;
        let status = self.vcpus[v.0].lane.as_ref().map(Lane::status);
        if let Some(status) = status {
            self.nested_to(t, vm, n, status);
        }
    }

    /// The lane of whatever nested vCPU is on `v` follows `v`.
    pub(crate) fn nested_follow(&mut self, v: VcpuIx, t: Timestamp, status: Status) {
        let Some(n) = self.vcpus[v.0].nested.last else {
            return;
        };
        let vm = self.vcpus[v.0].vm;
        if self.vms[vm.0].nested[n.0].on == v {
            self.nested_to(t, vm, n, status);
        }
    }

    fn nested_to(&mut self, t: Timestamp, vm: VmIx, n: NestedIx, host: Status) {
        let nested = &mut self.vms[vm.0].nested[n.0];
        if nested.phase == Phase::Reflected && host.state == State::Guest {
            nested.phase = Phase::InL1;
        }
        let own = matches!(nested.phase, Phase::Loaded | Phase::Reflected);
        let (state, evidence) = match (nested.phase, host.state) {
            (_, State::Unknown) => (State::Unknown, host.evidence),
            (Phase::Halted, _) => (State::Halted, Evidence::NestedInject),
            (Phase::PreemptedL1(_), _) => (State::PreemptedL1, Evidence::Cr3Entry),
            (_, State::Preempted | State::Runnable | State::Throttled) => {
                (State::PreemptedL0, host.evidence)
            }
            (Phase::Loaded, State::Guest) => (State::Guest, Evidence::NestedEnter),
            _ if own => (State::L0Handling, Evidence::KvmExit),
            _ => (State::L1Handling, Evidence::NestedInject),
        };
        let mut status = Status::new(state, evidence).level(2);
        match (state, nested.phase) {
            (State::Unknown, _) => status.cause = host.cause,
            (State::PreemptedL0, _) => status.by = host.by,
            (State::PreemptedL1, Phase::PreemptedL1(by)) => status = status.by(by).likely(),
            (State::L0Handling, _) if host.state == State::Hypervisor => status.cause = host.cause,
            _ => {}
        }
        let g = nested.gcpu;
        if let Some(lane) = &mut nested.lane {
            lane.to(t, status, &mut self.sink);
        }
        self.guest_host(g, t, status);
    }

    /// The first nested entry after a halt carries what ended it.
    fn nested_injected(&mut self, t: Timestamp, v: VcpuIx, n: NestedIx, event_inj: u32) {
        let vm = self.vcpus[v.0].vm;
        let vector = injected_vector(event_inj);
        self.nested_guest_injected(t, v, n, vector);
        let cause = vector.map_or(Cause::NoEvidence, |vector| self.nested_cause(v, vector));
        let Some(lane) = &mut self.vms[vm.0].nested[n.0].lane else {
            return;
        };
        if !lane.is_holding() {
            return;
        }
        let evidence = if vector.is_some() {
            Evidence::NestedInjection
        } else {
            Evidence::NestedEnter
        };
        let explain = |i: &mut virtflow_base::Interval| {
            i.cause = cause.code();
            i.evidence = evidence.code();
        };
        lane.explain(explain, State::Halted, &mut self.sink);
    }

    /// Called before an entry: without tracepoints, what the guest's hypervisor asked for decides.
    pub(crate) fn nested_entry(&mut self, v: VcpuIx, t: Timestamp) {
        let vcpu = &mut self.vcpus[v.0];
        // A probe that tells more comes with the entry.
        if self.nested_traced || vcpu.probed || vcpu.nested.current.is_some() {
            return;
        }
        if let Some(cr3) = vcpu.nested.asked.take()
            && let Some(n) = self.nested_vcpu(t, v, 0, cr3)
        {
            self.nested_load(t, v, n);
        }
    }

    /// Called after an exit.
    pub(crate) fn nested_exit(&mut self, v: VcpuIx, t: Timestamp, isa: u32, reason: u32) {
        let class = exits::class(isa, reason);
        if exits::starts_nested(isa, reason) {
            let cr3 = self.guest_cr3(v);
            let nested = &mut self.vcpus[v.0].nested;
            if nested.current.is_none() {
                nested.asked = Some(cr3);
                let (vm, last) = (self.vcpus[v.0].vm, self.vcpus[v.0].nested.last);
                if let Some(n) = last {
                    // The host's hypervisor does what is asked for.
                    self.nested_phase(t, vm, n, |phase| match phase {
                        Phase::InL1 => Phase::Reflected,
                        other => other,
                    });
                }
            }
        } else if !self.nested_traced && self.vcpus[v.0].nested.current.is_some() {
            // Only the guest's hypervisor executes its instructions, and it takes its guest's halts.
            match class {
                Cause::ExitNested => self.nested_reflect(t, v, Phase::InL1),
                Cause::ExitHlt => self.nested_reflect(t, v, Phase::Halted),
                _ => {}
            }
        }
    }

    /// The probe at an entry says which level is entered.
    pub(crate) fn nested_probe(
        &mut self,
        t: Timestamp,
        v: VcpuIx,
        guest_mode: bool,
        block: u64,
        l1_cr3: u64,
    ) {
        let current = self.vcpus[v.0].nested.current();
        // It tells of what has been since the entry.
        let t = if self.vcpus[v.0].mode == Mode::Guest {
            self.vcpus[v.0].entered_at
        } else {
            t
        };
        if guest_mode {
            let Some(n) = self.nested_vcpu(t, v, block, Some(l1_cr3)) else {
                return;
            };
            if current != Some(n) {
                self.nested_load(t, v, n);
                self.relevel(t, v);
            }
        } else if current.is_some() {
            self.nested_reflect(t, v, Phase::InL1);
            self.relevel(t, v);
        }
    }

    /// Without nested tracepoints, a CR3 read before an entry says whether the guest's hypervisor
    /// has the processor again: the entry loads the CR3 of the process that runs the nested VM.
    pub(crate) fn nested_cr3_seen(&mut self, t: Timestamp, v: VcpuIx, cr3: u64) {
        let vm = self.vcpus[v.0].vm;
        if self.nested_traced {
            return;
        }
        let Some(n) = self.vcpus[v.0].nested.current() else {
            return;
        };
        if self.vms[vm.0].nested[n.0].hypervisor_cr3 == Some(self.canonical(vm, cr3)) {
            self.nested_reflect(t, v, Phase::Reflected);
        }
    }

    /// The level of an entry turned out to be another: the entry's interval is still open.
    fn relevel(&mut self, t: Timestamp, v: VcpuIx) {
        let vcpu = &mut self.vcpus[v.0];
        let level = vcpu.nested.level();
        if vcpu.mode == Mode::Guest
            && let Some(lane) = &mut vcpu.lane
        {
            lane.amend(|s| s.level = level);
            let status = lane.status();
            self.nested_follow(v, t, status);
        }
    }

    /// The guest is entered with `cr3`. Another process of the guest where its hypervisor ran means
    /// that the nested vCPU waits for it.
    pub(crate) fn nested_l1_process(&mut self, t: Timestamp, v: VcpuIx, cr3: u64) {
        let vm = self.vcpus[v.0].vm;
        let Some(n) = self.vcpus[v.0].nested.last else {
            return;
        };
        let nested = &self.vms[vm.0].nested[n.0];
        if nested.on != v {
            return;
        }
        let (Some(own), phase) = (nested.hypervisor_cr3, nested.phase) else {
            return;
        };
        let cr3 = self.canonical(vm, cr3);
        match phase {
            Phase::InL1 | Phase::Reflected if cr3 != own => {
                let guest = self.vms[vm.0].guest;
                let process = self.process(t, guest, cr3);
                let by = Some(self.processes[process.0].entity);
                self.nested_phase(t, vm, n, |_| Phase::PreemptedL1(by));
            }
            Phase::PreemptedL1(_) if cr3 == own => self.nested_phase(t, vm, n, |_| Phase::InL1),
            _ => {}
        }
    }

    /// The nested vCPU of `v`'s VM with this control block, made known if it was not.
    fn nested_vcpu(
        &mut self,
        t: Timestamp,
        v: VcpuIx,
        block: u64,
        l1_cr3: Option<u64>,
    ) -> Option<NestedIx> {
        let vm = self.vcpus[v.0].vm;
        if let Some(&n) = self.vms[vm.0].nested_by_block.get(&block) {
            return Some(n);
        }
        if self.vms[vm.0].nested.len() >= NESTED_MAX {
            return None;
        }
        let cr3 = l1_cr3
            .or_else(|| self.guest_cr3(v))
            .map(|cr3| self.canonical(vm, cr3));
        let (entity, guest) = self.nested_vm(vm, cr3, block);
        let order = self.vms[vm.0]
            .nested
            .iter()
            .filter(|n| n.vm.id == entity.id)
            .count();
        let mut vcpu = self.new_entity(Kind::NestedVcpu, format!("{}/vcpu:{block:x}", entity.key));
        vcpu.parent = Some(entity.id);
        vcpu.vm = Some(entity.id);
        vcpu.vcpu = u32::try_from(order).ok();
        vcpu.pid = entity.pid;
        vcpu.cr3 = cr3;
        vcpu.label = format!("vcpu {order}").into_bytes();
        self.sink.entity(&vcpu);
        let status = Status::unknown(Cause::NoEvidence, Evidence::None).level(2);
        let lane = Some(Lane::new(vcpu.id, vcpu.vcpu, t, status));
        let gcpu = self.new_guest_cpu(t, guest, &vcpu.key, vcpu.vcpu.unwrap_or(0));
        let nested = NestedVcpu {
            vm: entity,
            entity: vcpu,
            hypervisor_cr3: cr3,
            lane,
            phase: Phase::InL1,
            on: v,
            guest,
            gcpu,
        };
        let vm = &mut self.vms[vm.0];
        let n = NestedIx(vm.nested.len());
        vm.nested.push(nested);
        vm.nested_by_block.insert(block, n);
        Some(n)
    }

    /// The nested VM that the hypervisor process with `cr3` runs; without a CR3 each control block
    /// is its own.
    fn nested_vm(&mut self, vm: VmIx, cr3: Option<u64>, block: u64) -> (Entity, GuestIx) {
        if let Some(known) = self.vms[vm.0]
            .nested
            .iter()
            .find(|n| cr3.is_some() && n.hypervisor_cr3 == cr3)
        {
            return (known.vm.clone(), known.guest);
        }
        let name = cr3.unwrap_or(block);
        let outer = &self.vms[vm.0].entity;
        let (key, parent, pid) = (format!("{}/L2:{name:x}", outer.key), outer.id, outer.pid);
        let label = format!("{}/L2:{name:x}", String::from_utf8_lossy(&outer.label));
        let mut entity = self.new_entity(Kind::NestedVm, key);
        entity.label = label.into_bytes();
        entity.parent = Some(parent);
        entity.vm = Some(parent);
        entity.pid = pid;
        entity.cr3 = cr3;
        self.sink.entity(&entity);
        let guest = self.new_guest(&entity, 2);
        (entity, guest)
    }

    pub(crate) fn finish_nested(&mut self, v: VcpuIx, end: Timestamp) {
        let vm = self.vcpus[v.0].vm;
        for nested in self.vms[vm.0].nested.iter_mut().filter(|n| n.on == v) {
            let Some(mut lane) = nested.lane.take() else {
                continue;
            };
            lane.explain(
                |i| i.cause = Cause::NotRecorded.code(),
                State::Halted,
                &mut self.sink,
            );
            lane.amend(not_ended);
            lane.finish(end, &mut self.sink);
        }
    }
}

/// The external interrupt in an SVM `EVENTINJ` or VMX entry-interruption field: bit 31 valid, bits
/// 10:8 the type (0 external), bits 7:0 the vector (AMD APM 2, 15.20; Intel SDM 3, 24.8.3).
pub(crate) fn injected_vector(field: u32) -> Option<u8> {
    let external = field & (1 << 31) != 0 && (field >> 8) & 7 == 0;
    external.then(|| (field & 0xff).try_into().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_valid_external_interrupts_are_vectors() {
        assert_eq!(injected_vector(0x8000_00ec), Some(236));
        assert_eq!(injected_vector(0x0000_00ec), None);
        assert_eq!(injected_vector(0x8000_0302), None);
    }
}
