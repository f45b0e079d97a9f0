//! Virtual machines inside virtual machines, to any depth: which level runs, and what became of
//! each nested virtual processor while its host's processor did something else.
//!
//! A nested vCPU is named by the guest-physical address of its control block (`vmcb12`, `vmcs12`),
//! a nested VM by the CR3 of the process of the guest's hypervisor that runs it. It may be run by
//! any virtual processor of the guest, so its lane belongs to the VM, not to the vCPU.
//!
//! The host runs all deeper guests as guests of its own guest: what a guest at level 2 wants to run
//! at level 3 its hypervisor at level 1 carries out with another control block. So a block that is
//! entered right after a guest at level 2 executed VMRUN (VMLAUNCH, VMRESUME) is a level deeper, and
//! whose it is tells the CR3 that asked.

use crate::exits;
use crate::guest::{GcpuIx, GuestIx};
use crate::lane::{Lane, Status};
use crate::model::Model;
use crate::vm::{Mode, VcpuIx, VmIx, not_ended};
use crate::vocab::{Cause, Evidence, Kind, State};
use virtflow_base::{Entity, EntityId, Sink, Timestamp};
use virtflow_events::{ExitInfo, KernelEvent as K};

/// A nested vCPU's place in its VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NestedIx(pub(crate) usize);

/// The most nested vCPUs kept for one VM; a trace that names more is not believed.
const NESTED_MAX: usize = 1 << 14;
/// The deepest level that is told apart from the one before.
const LEVEL_MAX: u8 = 16;

/// What a nested vCPU is about, seen from its own hypervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Its context is loaded: it runs, or the host's hypervisor handles its exit.
    Loaded,
    /// A guest of its own runs, or somebody works for that one.
    Runs(NestedIx),
    /// The host's hypervisor gives its exit to the guest's, or enters it for that one.
    Reflected,
    /// The guest's hypervisor has the exit.
    InL1,
    /// Level 3 and deeper: its own hypervisor, in the nested VM around it, has the exit.
    InOwn,
    /// It halted and its hypervisor knows.
    Halted,
    /// The guest's hypervisor runs something else.
    PreemptedL1(Option<EntityId>),
    /// Level 3 and deeper: the nested VM around it runs another process.
    PreemptedL2(Option<EntityId>),
}

/// What names a nested vCPU: its control block; where no event tells it, the page table of its
/// hypervisor's process and the vCPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Block {
    At(u64),
    Of(Option<u64>, VcpuIx),
}

/// A virtual processor of a nested VM.
#[derive(Debug)]
pub(crate) struct NestedVcpu {
    pub(crate) vm: Entity,
    pub(crate) entity: Entity,
    pub(crate) hypervisor_cr3: Option<u64>,
    pub(crate) block: Block,
    level: u8,
    /// In which nested vCPU its hypervisor runs; `None` in the guest itself.
    parent: Option<NestedIx>,
    /// The CR3 last seen in it.
    cr3: Option<u64>,
    lane: Option<Lane>,
    phase: Phase,
    /// The nested vCPU in it that ran last.
    child: Option<NestedIx>,
    /// The host's vCPU that ran it last.
    pub(crate) on: VcpuIx,
    pub(crate) guest: GuestIx,
    pub(crate) gcpu: GcpuIx,
}

impl NestedVcpu {
    pub(crate) const fn lane(&self) -> Option<&Lane> {
        self.lane.as_ref()
    }

    pub(crate) fn status(&self) -> Option<Status> {
        self.lane.as_ref().map(Lane::status)
    }
}

/// The nested side of one vCPU of the host.
#[derive(Debug, Default)]
pub(crate) struct Nested {
    /// Whose context is loaded: the next entry goes there; and its level.
    current: Option<(EntityId, NestedIx, u8)>,
    /// Whose context was loaded last on this vCPU.
    last: Option<NestedIx>,
    /// The guest's hypervisor asked for a nested entry, and no tracepoint has told of it; with the
    /// CR3 that it had at its last entry.
    asked: Option<Option<u64>>,
    /// A nested guest asked for an entry of a guest of its own, and whether all the hypervisors
    /// below it have passed it on.
    deeper: Option<(NestedIx, bool)>,
}

impl Nested {
    /// 1 for a guest, 2 for a guest of a guest.
    pub(crate) const fn level(&self) -> u8 {
        match self.current {
            Some((_, _, level)) => level,
            None => 1,
        }
    }

    pub(crate) const fn current(&self) -> Option<NestedIx> {
        match self.current {
            Some((_, n, _)) => Some(n),
            None => None,
        }
    }

    pub(crate) const fn current_entity(&self) -> Option<EntityId> {
        match self.current {
            Some((entity, ..)) => Some(entity),
            None => None,
        }
    }

    pub(crate) const fn forget(&mut self) {
        self.current = None;
        self.last = None;
        self.asked = None;
        self.deeper = None;
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
                let Some(n) = self.nested_vcpu(t, v, Block::At(vmcb), None) else {
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
        let NestedVcpu { entity, level, .. } = &self.vms[vm.0].nested[n.0];
        let (entity, level) = (entity.id, *level);
        self.left_level(v, self.vcpus[v.0].gcpu);
        let nested = &mut self.vcpus[v.0].nested;
        let last = nested.last.replace(n);
        nested.current = Some((entity, n, level));
        nested.asked = None;
        if let Some(other) = last.filter(|&other| other != n) {
            let mine = self.vms[vm.0].nested[other.0].parent == Some(n);
            let next = if mine {
                Phase::InOwn
            } else {
                Phase::PreemptedL1(Some(entity))
            };
            self.nested_phase(t, vm, other, |phase| match phase {
                Phase::InL1 | Phase::Reflected => next,
                Phase::PreemptedL1(_) if mine => next,
                other => other,
            });
        }
        let mut inner = n;
        while let Some(outer) = self.vms[vm.0].nested[inner.0].parent {
            let nested = &mut self.vms[vm.0].nested[outer.0];
            (nested.on, nested.phase, nested.child) = (v, Phase::Runs(inner), Some(inner));
            inner = outer;
        }
        self.vms[vm.0].nested[n.0].on = v;
        self.nested_phase(t, vm, n, |_| Phase::Loaded);
    }

    /// The host's hypervisor gave an exit of the nested guest to the guest's.
    fn nested_reflect(&mut self, t: Timestamp, v: VcpuIx, phase: Phase) {
        let vm = self.vcpus[v.0].vm;
        let Some((_, n, _)) = self.vcpus[v.0].nested.current.take() else {
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

    /// The lanes of whatever nested vCPU is on `v`, and of those around it, follow `v`.
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
        let status = match nested.phase {
            // As the one it runs, or the one that its hypervisor runs on.
            Phase::Runs(inner) => self.vms[vm.0].nested[inner.0].status(),
            Phase::InOwn | Phase::PreemptedL2(_) => nested
                .parent
                .and_then(|outer| self.vms[vm.0].nested[outer.0].status()),
            _ => Some(host),
        };
        let Some(status) = status else { return };
        self.nested_status(t, vm, n, status);
        let mut inner = n;
        while let Some(outer) = self.vms[vm.0].nested[inner.0].parent
            && self.vms[vm.0].nested[outer.0].phase == Phase::Runs(inner)
            && let Some(status) = self.vms[vm.0].nested[inner.0].status()
        {
            self.nested_status(t, vm, outer, status);
            inner = outer;
        }
        let mut outer = n;
        while let Some(inner) = self.vms[vm.0].nested[outer.0].child
            && matches!(
                self.vms[vm.0].nested[inner.0].phase,
                Phase::InOwn | Phase::PreemptedL2(_)
            )
            && let Some(status) = self.vms[vm.0].nested[outer.0].status()
        {
            self.nested_status(t, vm, inner, status);
            outer = inner;
        }
    }

    /// Moves the lane of `n`: `upon` is the state of what its phase says that it depends on.
    fn nested_status(&mut self, t: Timestamp, vm: VmIx, n: NestedIx, upon: Status) {
        let nested = &mut self.vms[vm.0].nested[n.0];
        let level = nested.level;
        let own = matches!(nested.phase, Phase::Loaded | Phase::Reflected);
        let (state, evidence) = match (nested.phase, upon.state) {
            (_, State::Unknown) => (State::Unknown, upon.evidence),
            (Phase::Halted, _) => (State::Halted, Evidence::NestedInject),
            (Phase::PreemptedL1(_), _) => (State::PreemptedL1, Evidence::Cr3Entry),
            (Phase::PreemptedL2(_), _) => (State::PreemptedL2, Evidence::Cr3Entry),
            (Phase::Runs(_), state) => (state, upon.evidence),
            (Phase::InOwn, State::Guest | State::Halted) => {
                (State::L2Handling, Evidence::NestedInject)
            }
            (Phase::InOwn, state) => (state, upon.evidence),
            (_, State::Preempted | State::Runnable | State::Throttled) => {
                (State::PreemptedL0, upon.evidence)
            }
            (Phase::Loaded, State::Guest) => (State::Guest, Evidence::NestedEnter),
            _ if own => (State::L0Handling, Evidence::KvmExit),
            _ => (State::L1Handling, Evidence::NestedInject),
        };
        let mut status = Status::new(state, evidence).level(level);
        match (state, nested.phase) {
            (State::Unknown, _) => status.cause = upon.cause,
            (State::PreemptedL1, Phase::PreemptedL1(by))
            | (State::PreemptedL2, Phase::PreemptedL2(by)) => status = status.by(by).likely(),
            (State::PreemptedL0 | State::PreemptedL1 | State::PreemptedL2, _) => {
                (status.by, status.confidence) = (upon.by, upon.confidence);
            }
            (State::L0Handling, _)
                if matches!(upon.state, State::Hypervisor | State::L0Handling) =>
            {
                status.cause = upon.cause;
            }
            (State::Guest | State::Halted, Phase::Runs(_)) => {
                (status.level, status.cause) = (upon.level, upon.cause);
            }
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
        let Some(cr3) = vcpu.nested.asked.take() else {
            return;
        };
        let own = cr3.map(|cr3| self.canonical(self.vcpus[v.0].vm, cr3));
        if let Some(n) = self.nested_vcpu(t, v, Block::Of(own, v), cr3) {
            self.nested_load(t, v, n);
        }
    }

    /// Called after an exit.
    pub(crate) fn nested_exit(&mut self, v: VcpuIx, t: Timestamp, isa: u32, info: &ExitInfo) {
        let reason = info.reason;
        let class = exits::class(isa, reason);
        let (vm, current) = (self.vcpus[v.0].vm, self.vcpus[v.0].nested.current());
        if exits::starts_nested(isa, reason) {
            match current {
                Some(n) => self.nested_asks(v, n),
                None => {
                    let cr3 = self.guest_cr3(v);
                    let nested = &mut self.vcpus[v.0].nested;
                    nested.asked = Some(cr3);
                    if let Some(n) = nested.last {
                        // The host's hypervisor does what is asked for.
                        self.nested_phase(t, vm, n, |phase| match phase {
                            Phase::InL1 => Phase::Reflected,
                            other => other,
                        });
                    }
                }
            }
        }
        if let Some(n) = current.filter(|_| exits::writes_cr3(isa, info)) {
            let guest = self.gcpus[self.vms[vm.0].nested[n.0].gcpu.0].guest;
            self.guests[guest.0].shadowed = true;
        }
        if !self.nested_traced && current.is_some() {
            // Only the guest's hypervisor executes its instructions, and it takes its guest's halts.
            match class {
                Cause::ExitNested => self.nested_reflect(t, v, Phase::InL1),
                Cause::ExitHlt => self.nested_reflect(t, v, Phase::Halted),
                _ => {}
            }
        }
    }

    /// A nested guest asks for an entry of a guest of its own; or passes on what one in it asked for.
    fn nested_asks(&mut self, v: VcpuIx, n: NestedIx) {
        let vm = self.vcpus[v.0].vm;
        let level = self.vms[vm.0].nested[n.0].level;
        let pending = self.vcpus[v.0].nested.deeper;
        let deeper = match pending {
            Some((inner, _)) if self.is_around(vm, n, inner) => (inner, true),
            // The guest's hypervisor carries it out without anybody between.
            _ => (n, level == 2),
        };
        self.vcpus[v.0].nested.deeper = (level < LEVEL_MAX).then_some(deeper);
    }

    /// Whether `inner` runs in `outer`, however deep.
    fn is_around(&self, vm: VmIx, outer: NestedIx, inner: NestedIx) -> bool {
        let nested = &self.vms[vm.0].nested;
        let around = |n: &NestedIx| nested[n.0].parent;
        std::iter::successors(around(&inner), around).any(|n| n == outer)
    }

    /// The probe at an entry says which level is entered.
    pub(crate) fn nested_probe(
        &mut self,
        t: Timestamp,
        v: VcpuIx,
        guest_mode: bool,
        block: Option<u64>,
        l1_cr3: Option<u64>,
    ) {
        let current = self.vcpus[v.0].nested.current();
        // It tells of what has been since the entry.
        let t = if self.vcpus[v.0].mode == Mode::Guest {
            self.vcpus[v.0].entered_at
        } else {
            t
        };
        if guest_mode {
            let vm = self.vcpus[v.0].vm;
            // Then the nested tracepoints alone say which nested guest it is.
            let Some(block) = block.map(Block::At) else {
                return;
            };
            if current.is_some_and(|n| self.vms[vm.0].nested[n.0].block == block) {
                return;
            }
            let Some(n) = self.nested_vcpu(t, v, block, l1_cr3) else {
                return;
            };
            self.nested_load(t, v, n);
            self.relevel(t, v);
        } else if current.is_some() {
            self.nested_reflect(t, v, Phase::InL1);
            self.relevel(t, v);
        }
    }

    /// Without nested tracepoints, a CR3 read before an entry says whether the guest's hypervisor
    /// has the processor again: the entry loads the CR3 of the process that runs the nested VM.
    pub(crate) fn nested_cr3_before(&mut self, t: Timestamp, v: VcpuIx, cr3: u64) {
        let vm = self.vcpus[v.0].vm;
        if self.nested_traced {
            return;
        }
        let Some(n) = self.vcpus[v.0].nested.current() else {
            return;
        };
        let nested = &self.vms[vm.0].nested;
        let around = |n: &NestedIx| nested[n.0].parent;
        let outermost = std::iter::successors(Some(n), around).last().unwrap_or(n);
        if nested[outermost.0].hypervisor_cr3 == Some(self.canonical(vm, cr3)) {
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

    /// A CR3 is seen in the guest that is entered on `v`, or was left. Another process where a
    /// hypervisor ran means that the nested vCPU waits for it.
    pub(crate) fn nested_cr3_seen(&mut self, t: Timestamp, v: VcpuIx, cr3: u64, entered: bool) {
        let vm = self.vcpus[v.0].vm;
        let t = match self.vcpus[v.0].mode {
            Mode::Guest => self.vcpus[v.0].entered_at,
            _ => t,
        };
        let current = self.vcpus[v.0].nested.current();
        let (guest, inner) = match current {
            Some(n) => {
                let nested = &mut self.vms[vm.0].nested[n.0];
                nested.cr3 = Some(cr3);
                (nested.guest, nested.child)
            }
            None => {
                self.vcpus[v.0].cr3 = Some(cr3);
                (self.vms[vm.0].guest, self.vcpus[v.0].nested.last)
            }
        };
        let Some(inner) = inner.filter(|_| entered) else {
            return;
        };
        let nested = &self.vms[vm.0].nested;
        let around = |n: &NestedIx| nested[n.0].parent;
        let hypervisor = std::iter::successors(Some(inner), around)
            .take_while(|&n| Some(n) != current)
            .last()
            .and_then(|n| nested[n.0].hypervisor_cr3);
        let (Some(own), true) = (hypervisor, nested[inner.0].on == v) else {
            return;
        };
        let phase = nested[inner.0].phase;
        let cr3 = self.canonical_in(guest, cr3);
        let other = match (phase, current) {
            (Phase::InL1 | Phase::Reflected, None) | (Phase::InOwn, Some(_)) if cr3 != own => true,
            (Phase::PreemptedL1(_), None) | (Phase::PreemptedL2(_), Some(_)) if cr3 == own => false,
            _ => return,
        };
        let phase = match (other, current) {
            (false, None) => Phase::InL1,
            (false, Some(_)) => Phase::InOwn,
            (true, _) => {
                let process = self.process(t, guest, cr3);
                let by = Some(self.processes[process.0].entity);
                match current {
                    None => Phase::PreemptedL1(by),
                    Some(_) => Phase::PreemptedL2(by),
                }
            }
        };
        self.nested_phase(t, vm, inner, |_| phase);
    }

    /// The nested vCPU of `v`'s VM with this control block, made known if it was not.
    fn nested_vcpu(
        &mut self,
        t: Timestamp,
        v: VcpuIx,
        block: Block,
        l1_cr3: Option<u64>,
    ) -> Option<NestedIx> {
        let vm = self.vcpus[v.0].vm;
        if let Some((outer, passed_on)) = self.vcpus[v.0].nested.deeper {
            let nested = &self.vms[vm.0].nested;
            let around = |n: &NestedIx| nested[n.0].parent;
            let through =
                std::iter::successors(around(&outer), around).find(|n| nested[n.0].block == block);
            let resumed = nested[outer.0].block == block;
            if passed_on && (!resumed || nested[outer.0].level > 2) && through.is_none() {
                self.vcpus[v.0].nested.deeper = None;
                return self.nested_inside(t, v, outer, block);
            }
            if let Some(n) = through {
                return Some(n);
            }
            self.vcpus[v.0].nested.deeper = None;
            if resumed {
                return Some(outer);
            }
        }
        if let Some(&n) = self.vms[vm.0].nested_by_block.get(&block) {
            return Some(n);
        }
        let cr3 = l1_cr3
            .or_else(|| self.guest_cr3(v))
            .map(|cr3| self.canonical(vm, cr3));
        self.new_nested(t, v, None, cr3, block)
    }

    /// The nested vCPU that the process with the CR3 last seen in `outer` runs on `block`.
    fn nested_inside(
        &mut self,
        t: Timestamp,
        v: VcpuIx,
        outer: NestedIx,
        block: Block,
    ) -> Option<NestedIx> {
        let vm = self.vcpus[v.0].vm;
        let NestedVcpu { guest, cr3, .. } = self.vms[vm.0].nested[outer.0];
        let cr3 = cr3.map(|cr3| self.canonical_in(guest, cr3));
        let known = self.vms[vm.0]
            .nested
            .iter()
            .position(|n| n.parent == Some(outer) && n.block == block && n.hypervisor_cr3 == cr3);
        match known.map(NestedIx) {
            Some(n) => {
                self.vms[vm.0].nested_by_block.insert(block, n);
                Some(n)
            }
            None => self.new_nested(t, v, Some(outer), cr3, block),
        }
    }

    fn new_nested(
        &mut self,
        t: Timestamp,
        v: VcpuIx,
        parent: Option<NestedIx>,
        cr3: Option<u64>,
        block: Block,
    ) -> Option<NestedIx> {
        let vm = self.vcpus[v.0].vm;
        if self.vms[vm.0].nested.len() >= NESTED_MAX {
            return None;
        }
        let level = parent.map_or(2, |n| self.vms[vm.0].nested[n.0].level + 1);
        let (entity, guest) = self.nested_vm(vm, parent, level, cr3, block);
        let order = self.vms[vm.0]
            .nested
            .iter()
            .filter(|n| n.vm.id == entity.id)
            .count();
        let name = block.name(self.vcpus[v.0].number);
        let mut vcpu = self.new_entity(Kind::NestedVcpu, format!("{}/vcpu:{name:x}", entity.key));
        vcpu.parent = Some(entity.id);
        vcpu.vm = Some(entity.id);
        vcpu.vcpu = u32::try_from(order).ok();
        vcpu.pid = entity.pid;
        vcpu.cr3 = cr3;
        vcpu.label = format!("vcpu {order}").into_bytes();
        self.sink.entity(&vcpu);
        let status = Status::unknown(Cause::NoEvidence, Evidence::None).level(level);
        let lane = Some(Lane::new(vcpu.id, vcpu.vcpu, t, status));
        let gcpu = self.new_guest_cpu(t, guest, &vcpu.key, vcpu.vcpu.unwrap_or(0));
        let nested = NestedVcpu {
            vm: entity,
            entity: vcpu,
            hypervisor_cr3: cr3,
            block,
            level,
            parent,
            cr3: None,
            lane,
            phase: Phase::InL1,
            child: None,
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
    fn nested_vm(
        &mut self,
        vm: VmIx,
        parent: Option<NestedIx>,
        level: u8,
        cr3: Option<u64>,
        block: Block,
    ) -> (Entity, GuestIx) {
        let all = &self.vms[vm.0].nested;
        let around = |n: Option<NestedIx>| n.map(|n| all[n.0].vm.id);
        let known = all.iter().find(|n| {
            cr3.is_some() && n.hypervisor_cr3 == cr3 && around(n.parent) == around(parent)
        });
        if let Some(known) = known {
            return (known.vm.clone(), known.guest);
        }
        let name = cr3.unwrap_or(block.name(0));
        let outer = parent.map_or(&self.vms[vm.0].entity, |n| &all[n.0].vm);
        let (key, parent, pid) = (
            format!("{}/L{level}:{name:x}", outer.key),
            outer.id,
            outer.pid,
        );
        let label = format!(
            "{}/L{level}:{name:x}",
            String::from_utf8_lossy(&outer.label)
        );
        let mut entity = self.new_entity(Kind::NestedVm, key);
        entity.label = label.into_bytes();
        entity.parent = Some(parent);
        entity.vm = Some(parent);
        entity.pid = pid;
        entity.cr3 = cr3;
        self.sink.entity(&entity);
        let guest = self.new_guest(&entity, level);
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

impl Block {
    /// The number that stands for it in a key.
    const fn name(self, vcpu: u32) -> u64 {
        match self {
            Self::At(address) => address,
            Self::Of(..) => vcpu as u64,
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
