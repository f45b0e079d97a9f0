//! Virtual machines and their virtual processors: where a vCPU thread is, and why.
//!
//! A vCPU is whatever host thread enters and leaves guest mode; its number comes from
//! `kvm_exit.vcpu_id`, else from the thread's name, else from the order of appearance. The number
//! in `kvm_entry` is never believed: LTTng's stock probe records half of a pointer there.

use crate::causes::Pending;
use crate::exits;
use crate::guest::{GcpuIx, GuestIx};
use crate::host::{Context, CpuIx, Current, Past, Sched, ThreadIx};
use crate::lane::{Lane, Status};
use crate::model::Model;
use crate::nested::{Block, Nested, NestedIx, NestedVcpu};
use crate::unentered::Told;
use crate::vectors::Vectors;
use crate::vocab::{Cause, EdgeKind, Evidence, Kind, State};
use rustc_hash::{FxHashMap, FxHashSet};
use virtflow_base::{Edge, Entity, EntityId, Exit, Sink, Span, Tid, Timestamp};
use virtflow_events::{Comm, ExitInfo, KernelEvent as K};

/// A VM's place in the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct VmIx(pub(crate) usize);

/// A vCPU's place in the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct VcpuIx(pub(crate) usize);

/// The most vCPUs KVM gives one VM on x86 (`KVM_MAX_VCPUS`, arch/x86/include/asm/kvm_host.h).
pub(crate) const VCPUS_MAX: u32 = 4096;

/// Where a vCPU thread is while it has a processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Unknown,
    Guest,
    Hypervisor(Cause),
    Vmm(Cause),
}

/// A virtual machine of the host.
#[derive(Debug)]
pub(crate) struct Vm {
    pub(crate) entity: Entity,
    pub(crate) vcpus: Vec<VcpuIx>,
    pub(crate) guest: GuestIx,
    pub(crate) vectors: Vectors,
    pub(crate) nested: Vec<NestedVcpu>,
    /// Nested vCPUs by their control block.
    pub(crate) nested_by_block: FxHashMap<Block, NestedIx>,
}

/// An exit that no entry has ended yet.
#[derive(Debug)]
pub(crate) struct OpenExit {
    pub(crate) at: Timestamp,
    pub(crate) reason: u32,
    pub(crate) isa: u32,
    pub(crate) class: Cause,
    pub(crate) nested: Option<EntityId>,
    pub(crate) reflected: bool,
    kernel_ns: i64,
    vmm_ns: i64,
    off_cpu_ns: i64,
    mark: Timestamp,
}

impl OpenExit {
    fn account(&mut self, t: Timestamp, mode: Mode, on_cpu: bool) {
        let ns = t.since(self.mark);
        self.mark = t;
        match mode {
            _ if !on_cpu => self.off_cpu_ns = self.off_cpu_ns.saturating_add(ns),
            Mode::Vmm(_) => self.vmm_ns = self.vmm_ns.saturating_add(ns),
            _ => self.kernel_ns = self.kernel_ns.saturating_add(ns),
        }
    }
}

/// A virtual processor.
#[derive(Debug)]
pub(crate) struct Vcpu {
    pub(crate) vm: VmIx,
    pub(crate) number: u32,
    pub(crate) thread: ThreadIx,
    pub(crate) entity: Entity,
    pub(crate) lane: Option<Lane>,
    pub(crate) mode: Mode,
    pub(crate) told: Told,
    pub(crate) on_cpu: bool,
    pub(crate) exit: Option<OpenExit>,
    /// The last exit's class and code, for as long as the guest has not been entered again.
    pub(crate) last_exit: Option<(Cause, u32)>,
    pub(crate) entered_at: Timestamp,
    /// The sleep that no guest entry has explained yet.
    pub(crate) pending: Option<Pending>,
    pub(crate) nested: Nested,
    /// Vectors its APIC accepted and KVM has not injected yet.
    pub(crate) accepted: Vec<u8>,
    /// Of those, what another thread raised, and when.
    pub(crate) raised: Vec<(u8, EntityId, Timestamp)>,
    /// How many it accepted, and how many were injected into it.
    pub(crate) accepts: u32,
    pub(crate) injections: u32,
    /// Whether it sent an interrupt since its last entry.
    pub(crate) sent_ipi: bool,
    /// The guest's processor that it is.
    pub(crate) gcpu: GcpuIx,
    /// The CR3 last seen in its own guest, as it was read.
    pub(crate) cr3: Option<u64>,
    /// The CR3 and instruction pointer that the next entry will load.
    pub(crate) next_cr3: Option<(u64, Option<u64>)>,
    /// The CR3 that the guest wrote last, where writes exit.
    pub(crate) written_cr3: Option<u64>,
    /// Where the guest wrote at the last exit, until it is known who did, and after.
    pub(crate) doorbell: Option<u64>,
    pub(crate) rang: Option<u64>,
    /// Whether a probe reads its CR3.
    pub(crate) probed: bool,
}

impl<S: Sink> Model<S> {
    fn status_of(&self, v: VcpuIx) -> Status {
        let vcpu = &self.vcpus[v.0];
        match vcpu.mode {
            Mode::Guest => Status::new(State::Guest, Evidence::KvmEntry).level(vcpu.nested.level()),
            Mode::Hypervisor(class) => {
                Status::new(State::Hypervisor, Evidence::KvmExit).because(class)
            }
            Mode::Vmm(reason) => Status::new(State::Vmm, Evidence::UserspaceExit).because(reason),
            Mode::Unknown => Status::unknown(Cause::NoEvidence, Evidence::None),
        }
    }

    /// Moves a vCPU's lane, and the lanes of what it runs with it.
    pub(crate) fn vcpu_to(&mut self, v: VcpuIx, t: Timestamp, status: Status) {
        if let Some(lane) = &mut self.vcpus[v.0].lane {
            lane.to(t, status, &mut self.sink);
        }
        self.nested_follow(v, t, status);
        self.guest_follow(v, t, status);
    }

    /// Moves a vCPU to another mode at `t`.
    pub(crate) fn vcpu_mode(&mut self, v: VcpuIx, t: Timestamp, mode: Mode) {
        let vcpu = &mut self.vcpus[v.0];
        if let Some(exit) = &mut vcpu.exit {
            exit.account(t, vcpu.mode, vcpu.on_cpu);
        }
        vcpu.mode = mode;
        let status = self.status_of(v);
        self.vcpu_to(v, t, status);
    }

    pub(crate) fn vcpu_of(&self, x: ThreadIx) -> Option<VcpuIx> {
        self.threads[x.0].vcpu
    }

    pub(crate) fn vcpu_switched_out(
        &mut self,
        t: Timestamp,
        x: ThreadIx,
        sleeps: bool,
        by: Option<EntityId>,
    ) {
        let Some(v) = self.vcpu_of(x) else { return };
        let vcpu = &mut self.vcpus[v.0];
        if let Some(exit) = &mut vcpu.exit {
            exit.account(t, vcpu.mode, true);
        }
        vcpu.on_cpu = false;
        if !sleeps {
            self.vcpu_to(
                v,
                t,
                Status::new(State::Preempted, Evidence::SchedSwitch).by(by),
            );
            return;
        }
        let uninterruptible = self.threads[x.0]
            .lane
            .as_ref()
            .is_some_and(|l| l.status().state == State::Uninterruptible);
        let status =
            match self.vcpus[v.0].mode {
                Mode::Hypervisor(Cause::ExitHlt) => Status::new(State::Halted, Evidence::HltSwitch),
                Mode::Hypervisor(Cause::ExitMem) if uninterruptible => {
                    Status::new(State::BlockedOnHost, Evidence::KvmExit)
                        .because(Cause::HostMemory)
                        .likely()
                }
                Mode::Vmm(_) => Status::new(State::BlockedOnHost, Evidence::UserspaceExit)
                    .because(Cause::HostIo),
                _ => Status::new(State::BlockedOnHost, Evidence::SchedSwitch)
                    .because(Cause::NoEvidence),
            };
        self.begin_sleep(v, t, status.state == State::Halted);
        self.vcpu_to(v, t, status);
        self.sleeps_unentered(v);
        if status.state == State::Halted
            && let Some(lane) = &mut self.vcpus[v.0].lane
        {
            lane.hold();
        }
    }

    pub(crate) fn vcpu_switched_in(&mut self, t: Timestamp, x: ThreadIx) {
        let Some(v) = self.vcpu_of(x) else { return };
        let vcpu = &mut self.vcpus[v.0];
        if let Some(exit) = &mut vcpu.exit {
            exit.account(t, vcpu.mode, false);
        }
        vcpu.on_cpu = true;
        self.steal_edge(v, t);
        let status = self.status_of(v);
        self.vcpu_to(v, t, status);
    }

    /// `v` has the processor again, and whoever had it until now kept it from it.
    fn steal_edge(&mut self, v: VcpuIx, t: Timestamp) {
        let Some(lane) = &self.vcpus[v.0].lane else {
            return;
        };
        let status = lane.status();
        if let (State::Preempted | State::Runnable, Some(from)) = (status.state, status.by) {
            self.sink.edge(&Edge {
                from,
                from_time: lane.since(),
                to: self.vcpus[v.0].entity.id,
                to_time: t,
                kind: EdgeKind::Steal.code(),
                confidence: status.confidence.code(),
                evidence: Evidence::SchedSwitch.code(),
            });
        }
    }

    pub(crate) fn vcpu_woken(&mut self, t: Timestamp, x: ThreadIx, by: Option<EntityId>) {
        let Some(v) = self.vcpu_of(x) else { return };
        self.note_wake(v, t);
        self.vcpu_to(
            v,
            t,
            Status::new(State::Runnable, Evidence::SchedWaking).by(by),
        );
    }

    /// A vCPU's thread is woken: by whom, or for what device.
    pub(crate) fn vcpu_sleep_ended(&mut self, x: ThreadIx, by: Option<EntityId>) {
        if let Some(v) = self.vcpu_of(x)
            && let Some(lane) = &mut self.vcpus[v.0].lane
            && lane.status().state.is_wait()
        {
            lane.amend(|status| status.by = by);
        }
    }

    /// Somebody else has the processor that a vCPU's thread wants.
    pub(crate) fn vcpu_still_waits(&mut self, t: Timestamp, x: ThreadIx, by: Option<EntityId>) {
        let Some(v) = self.vcpu_of(x) else { return };
        let Some(lane) = &self.vcpus[v.0].lane else {
            return;
        };
        let status = lane.status();
        match status.state {
            State::Runnable | State::Preempted => self.vcpu_to(v, t, status.by(by)),
            State::Throttled => {
                let status = Status::new(State::Preempted, Evidence::SchedSwitch);
                self.vcpu_to(v, t, status.by(by));
            }
            _ => {}
        }
    }

    /// Nobody has the processor, and yet a vCPU's thread that wants it does not get it.
    pub(crate) fn vcpu_throttled(&mut self, t: Timestamp, x: ThreadIx) {
        if let Some(v) = self.vcpu_of(x) {
            let status = Status::new(State::Throttled, Evidence::SchedSwitch);
            self.vcpu_to(v, t, status.likely());
        }
    }

    /// A host interrupt began under the thread that runs on `c`.
    pub(crate) fn vcpu_stolen(&mut self, t: Timestamp, c: CpuIx, context: Context) {
        let Current::Thread(x) = self.cpus[c.0].current else {
            return;
        };
        let Some(v) = self.vcpu_of(x) else { return };
        if matches!(self.vcpus[v.0].mode, Mode::Guest) {
            return;
        }
        let cause = if matches!(context, Context::Softirq(_)) {
            Cause::Softirq
        } else {
            Cause::Irq
        };
        self.vcpu_to(
            v,
            t,
            Status::new(State::IrqStolen, Evidence::IrqEntry).because(cause),
        );
    }

    /// The last host interrupt on `c` ended.
    pub(crate) fn vcpu_given_back(&mut self, t: Timestamp, c: CpuIx) {
        let Current::Thread(x) = self.cpus[c.0].current else {
            return;
        };
        let Some(v) = self.vcpu_of(x) else { return };
        let status = self.status_of(v);
        self.vcpu_to(v, t, status);
    }

    /// Nothing is known about a vCPU from `t` on.
    pub(crate) fn vcpu_lost(&mut self, t: Timestamp, x: ThreadIx, status: Status) {
        let Some(v) = self.vcpu_of(x) else { return };
        self.give_up_sleep(v, t, status.cause);
        self.slept_unentered(v);
        self.end_exit(v, t, false);
        let vcpu = &mut self.vcpus[v.0];
        vcpu.last_exit = None;
        vcpu.mode = Mode::Unknown;
        vcpu.on_cpu = false;
        vcpu.nested.forget();
        self.guest_lost(v, t, status);
        self.vcpu_to(v, t, status);
    }

    /// The first event after a loss told what the thread had done since.
    pub(crate) fn vcpu_resolved(&mut self, x: ThreadIx, status: Status) {
        let Some(v) = self.vcpu_of(x) else { return };
        let Some(lane) = &mut self.vcpus[v.0].lane else {
            return;
        };
        match status.state {
            State::Runnable => lane.amend(|s| *s = status),
            State::Sleeping | State::Uninterruptible => lane.amend(|s| {
                *s = Status::new(State::BlockedOnHost, Evidence::FirstEvent)
                    .because(Cause::NoEvidence);
            }),
            _ => {}
        }
    }

    pub(crate) fn vcpu_renamed(&mut self, x: ThreadIx) {
        let Some(v) = self.vcpu_of(x) else { return };
        let label = self.threads[x.0].entity.label.clone();
        let vcpu = &mut self.vcpus[v.0];
        vcpu.entity.label = label;
        self.sink.entity(&vcpu.entity);
    }

    pub(crate) fn vcpu_ended(&mut self, t: Timestamp, x: ThreadIx) {
        if let Some(v) = self.threads[x.0].vcpu.take() {
            self.finish_vcpu(v, t);
            let vm = self.vcpus[v.0].vm;
            self.vms[vm.0].vcpus.retain(|&other| other != v);
        }
    }

    pub(crate) fn finish_vcpus(&mut self, end: Timestamp) {
        for v in (0..self.vcpus.len()).map(VcpuIx) {
            if self.vcpus[v.0].lane.is_some() {
                self.finish_vcpu(v, end);
            }
        }
    }

    fn finish_vcpu(&mut self, v: VcpuIx, end: Timestamp) {
        self.give_up_sleep(v, end, Cause::NotRecorded);
        self.end_exit(v, end, false);
        self.finish_guest(v, end);
        self.finish_nested(v, end);
        if let Some(mut lane) = self.vcpus[v.0].lane.take() {
            lane.amend(not_ended);
            lane.finish(end, &mut self.sink);
        }
    }

    fn end_exit(&mut self, v: VcpuIx, t: Timestamp, entered_again: bool) {
        let vcpu = &mut self.vcpus[v.0];
        let Some(mut exit) = vcpu.exit.take() else {
            return;
        };
        exit.account(t, vcpu.mode, vcpu.on_cpu);
        self.sink.exit(&Exit {
            vcpu: vcpu.entity.id,
            nested: exit.nested,
            span: Span::new(exit.at, t),
            entered_again,
            reason: exit.reason,
            isa: exit.isa,
            class: exit.class.code(),
            kernel_ns: exit.kernel_ns,
            vmm_ns: exit.vmm_ns,
            off_cpu_ns: exit.off_cpu_ns,
            reflected: exit.reflected,
        });
    }

    /// The vCPU whose thread runs on `c`, made known if it was not.
    #[inline]
    pub(crate) fn running_vcpu(&mut self, t: Timestamp, c: CpuIx, event: &K) -> Option<VcpuIx> {
        match self.cpus[c.0].current {
            Current::Thread(x) => match self.threads[x.0].vcpu {
                Some(v) if self.vcpus[v.0].mode != Mode::Unknown => Some(v),
                _ => self.vcpu_by_event(t, c, event),
            },
            _ => self.vcpu_by_event(t, c, event),
        }
    }

    /// The same where it is not plain: the event has to tell, or says something of what was before.
    fn vcpu_by_event(&mut self, t: Timestamp, c: CpuIx, event: &K) -> Option<VcpuIx> {
        let x = match self.cpus[c.0].current {
            Current::Thread(x) => x,
            Current::Idle => return None,
            Current::Unknown => {
                let v = self.known_again(event)?;
                let x = self.vcpus[v.0].thread;
                self.context_tid(t, c, self.threads[x.0].tid);
                self.vcpus[v.0].on_cpu = true;
                x
            }
        };
        if let Some(v) = self.threads[x.0].vcpu {
            self.was_in_kernel(v, event);
            return Some(v);
        }
        if matches!(event, K::KvmUserspaceExit { .. }) {
            return self.returned_unentered(t, x);
        }
        // A probe will tell in a moment whose entry it is.
        let unnamed = self.threads[x.0].pid.is_none();
        if self.entry_probed && unnamed && matches!(event, K::KvmEntry { .. }) {
            self.threads[x.0].entered = Some((t, *event));
            return None;
        }
        let entered = self.threads[x.0].entered.take();
        let (vcpu, pid) = match *event {
            K::KvmEntry { .. } => (None, None),
            K::KvmExit(ExitInfo { vcpu, .. }) => (vcpu, None),
            K::VcpuEnterGuest { vcpu, vm_pid, .. } => (Some(vcpu), Some(vm_pid)),
            K::VcpuExitGuest { vcpu, .. } => (Some(vcpu), None),
            K::AddonsVcpuEnterGuest { vcpu, .. } => (Some(vcpu), None),
            _ => return None,
        };
        let Some((at, entry)) = entered else {
            return self.new_vcpu(t, x, vcpu, pid, Told::Entries);
        };
        let v = self.new_vcpu(at, x, vcpu, pid, Told::Entries)?;
        self.entry(at, v, &entry);
        Some(v)
    }

    /// After a loss, which vCPU an event tells of although nothing tells who runs: the one its
    /// fields name, or the only one with its number.
    fn known_again(&self, event: &K) -> Option<VcpuIx> {
        let (number, vm) = match *event {
            K::VcpuEnterGuest { vcpu, vm_pid, .. } => (vcpu, Some(*self.vm_by_pid.get(&vm_pid)?)),
            K::KvmExit(ExitInfo { vcpu, .. }) => (vcpu?, None),
            K::VcpuExitGuest { vcpu, .. } => (vcpu, None),
            _ => return None,
        };
        let fits = |v: &VcpuIx| {
            let vcpu = &self.vcpus[v.0];
            let elsewhere = matches!(self.threads[vcpu.thread.0].sched, Sched::Running(_));
            vcpu.lane.is_some()
                && vcpu.number == number
                && vm.is_none_or(|vm| vm == vcpu.vm)
                && !elsewhere
        };
        let mut all = (0..self.vcpus.len()).map(VcpuIx).filter(fits);
        let only = all.next()?;
        all.next().is_none().then_some(only)
    }

    /// The first event of a vCPU since it was lost sight of is on the way into the guest: it had
    /// been in the kernel since it got the processor.
    fn was_in_kernel(&mut self, v: VcpuIx, event: &K) {
        let vcpu = &mut self.vcpus[v.0];
        if vcpu.mode != Mode::Unknown
            || vcpu.told != Told::Entries
            || !matches!(
                event,
                K::KvmEntry { .. } | K::KvmInjVirq { .. } | K::AddonsVcpuEnterGuest { .. }
            )
        {
            return;
        }
        let (Some(lane), Some(thread)) = (&mut vcpu.lane, &self.threads[vcpu.thread.0].lane) else {
            return;
        };
        let on_processor =
            thread.status().state == State::Running && thread.since() <= lane.since();
        if on_processor && lane.status().state == State::Unknown {
            let status = Status::new(State::Hypervisor, Evidence::FirstEvent);
            lane.amend(|s| *s = status.because(Cause::ExitOther).likely());
        }
    }

    pub(crate) fn new_vcpu(
        &mut self,
        t: Timestamp,
        x: ThreadIx,
        number: Option<u32>,
        pid: Option<Tid>,
        told: Told,
    ) -> Option<VcpuIx> {
        let pid = pid
            .or(self.threads[x.0].pid)
            .unwrap_or(self.threads[x.0].tid);
        if self.threads[x.0].pid.is_none() {
            self.set_pid(x, pid);
            // By its name, now that its process is known.
            if let Some(v) = self.threads[x.0].vcpu {
                return Some(v);
            }
        }
        let vm = self.vm(pid);
        self.threads[x.0].vm = Some(vm);
        let known = u32::try_from(self.vms[vm.0].vcpus.len()).unwrap_or(u32::MAX);
        if known >= VCPUS_MAX {
            return None;
        }
        // Two threads are two vCPUs, whatever they are called.
        let vcpus = self.vms[vm.0].vcpus.iter();
        let taken: FxHashSet<u32> = vcpus.map(|v| self.vcpus[v.0].number).collect();
        let is_free = |n: &u32| !taken.contains(n);
        let number = number
            .filter(|&n| n < VCPUS_MAX)
            .or_else(|| number_in_name(&self.threads[x.0].comm))
            .filter(is_free)
            .or_else(|| (known..=u32::MAX).find(is_free))?;
        let mut entity = self.new_entity(
            Kind::Vcpu,
            format!("{}/vcpu:{number}", self.vms[vm.0].entity.key),
        );
        entity.label = self.threads[x.0].entity.label.clone();
        entity.parent = Some(self.vms[vm.0].entity.id);
        entity.vm = entity.parent;
        entity.vcpu = Some(number);
        entity.tid = Some(self.threads[x.0].tid.0);
        entity.pid = Some(pid.0);
        self.sink.entity(&entity);
        let key = entity.key.clone();
        let gcpu = self.new_guest_cpu(t, self.vms[vm.0].guest, &key, number);
        let lane = self.backfilled_lane(entity.id, x, t, told);
        let v = VcpuIx(self.vcpus.insert(Vcpu {
            vm,
            number,
            thread: x,
            entity,
            lane: Some(lane),
            mode: Mode::Unknown,
            told,
            on_cpu: true,
            exit: None,
            last_exit: None,
            entered_at: t,
            pending: None,
            nested: Nested::default(),
            accepted: Vec::new(),
            raised: Vec::new(),
            accepts: 0,
            injections: 0,
            sent_ipi: false,
            gcpu,
            cr3: None,
            next_cr3: None,
            written_cr3: None,
            doorbell: None,
            rang: None,
            probed: false,
        }));
        self.vms[vm.0].vcpus.push(v);
        self.threads[x.0].vcpu = Some(v);
        Some(v)
    }

    /// A vCPU's lane from what the scheduler did with its thread before it first used KVM.
    fn backfilled_lane(&mut self, entity: EntityId, x: ThreadIx, t: Timestamp, told: Told) -> Lane {
        let past = std::mem::take(&mut self.threads[x.0].past);
        let (since, present) = match &self.threads[x.0].lane {
            Some(lane) => (lane.since(), lane.status()),
            None => (t, Status::unknown(Cause::NoEvidence, Evidence::None)),
        };
        let begins = past.first().map_or(since, |p| p.span.start);
        let mut lane = Lane::new(
            entity,
            None,
            begins,
            Status::unknown(Cause::NoEvidence, Evidence::None),
        );
        for Past { span, status } in past {
            lane.to(span.start, as_vcpu(status, told), &mut self.sink);
        }
        lane.to(since, as_vcpu(present, told), &mut self.sink);
        lane
    }

    /// The VM whose VMM is process `pid`, made known if it was not.
    fn vm(&mut self, pid: Tid) -> VmIx {
        if let Some(&vm) = self.vm_by_pid.get(&pid) {
            return vm;
        }
        let leader = self.thread_by_tid.get(&pid).copied();
        let (start, comm) = match leader {
            Some(x) => (
                self.threads[x.0]
                    .entity
                    .key
                    .rsplit_once('@')
                    .map(|k| k.1.to_owned()),
                self.threads[x.0].comm,
            ),
            None => (None, Comm::default()),
        };
        let start = start.unwrap_or_else(|| self.begins.to_string());
        let mut entity = self.new_entity(Kind::Vm, format!("vm:{pid}@{start}"));
        entity.label = self.vm_label(pid, &comm);
        entity.pid = Some(pid.0);
        self.sink.entity(&entity);
        let guest = self.new_guest(&entity, 1);
        let vm = VmIx(self.vms.insert(Vm {
            entity,
            vcpus: Vec::new(),
            guest,
            vectors: Vectors::default(),
            nested: Vec::new(),
            nested_by_block: FxHashMap::default(),
        }));
        self.vm_by_pid.insert(pid, vm);
        if let Some(x) = leader.filter(|x| self.threads[x.0].pid.is_none()) {
            self.set_pid(x, pid);
        }
        vm
    }

    /// Everything KVM says.
    #[inline(always)]
    pub(crate) fn kvm(&mut self, t: Timestamp, c: CpuIx, event: &K) {
        match *event {
            K::KvmEntry { vcpu, .. } => {
                if vcpu.is_some_and(|n| n >= VCPUS_MAX) {
                    self.counts.misdeclared_vcpu_ids += 1;
                }
                if let Some(v) = self.running_vcpu(t, c, event) {
                    self.entry(t, v, event);
                }
            }
            K::KvmExit(info) => {
                if let Some(v) = self.running_vcpu(t, c, event) {
                    self.exit(t, v, &info);
                }
            }
            K::KvmUserspaceExit { reason, .. } => {
                if let Some(v) = self.running_vcpu(t, c, event) {
                    self.returned_to_vmm(v, t);
                    let mode = self.mode_returned(v, vmm_reason(reason));
                    self.vcpu_mode(v, t, mode);
                }
            }
            K::KvmFpu { load } => {
                let Some(v) = self.running_vcpu(t, c, event) else {
                    return;
                };
                if self.vcpus[v.0].told != Told::Entries {
                    self.run_unentered(v, t);
                } else if load && matches!(self.vcpus[v.0].mode, Mode::Vmm(_) | Mode::Unknown) {
                    // KVM goes on with what it had returned for.
                    let class = self.vcpus[v.0].last_exit.map_or(Cause::ExitOther, |e| e.0);
                    self.vcpu_mode(v, t, Mode::Hypervisor(class));
                }
            }
            K::VcpuEnterGuest { .. } | K::VcpuExitGuest { .. } | K::AddonsVcpuEnterGuest { .. } => {
                if let Some(v) = self.running_vcpu(t, c, event) {
                    self.probe(t, v, event);
                }
            }
            K::KvmNestedEnter { .. }
            | K::KvmNestedExit { .. }
            | K::KvmNestedExitInject { .. }
            | K::KvmNestedIntrExit { .. } => {
                if let Some(v) = self.running_vcpu(t, c, event) {
                    self.nested(t, v, event);
                }
            }
            _ => self.interrupt(t, c, event),
        }
    }

    fn entry(&mut self, t: Timestamp, v: VcpuIx, event: &K) {
        self.cpus_settled(v, t);
        self.entries_told(v);
        self.explain_sleep(v, t, event);
        self.end_exit(v, t, true);
        self.nested_entry(v, t);
        self.vcpus[v.0].entered_at = t;
        self.vcpus[v.0].rang = None;
        self.vcpu_mode(v, t, Mode::Guest);
        self.guest_entry(t, v, event);
    }

    fn exit(&mut self, t: Timestamp, v: VcpuIx, info: &ExitInfo) {
        let isa = info.isa.unwrap_or(exits::ISA_VMX);
        let class = exits::class(isa, info.reason);
        self.entries_told(v);
        let vcpu = &mut self.vcpus[v.0];
        vcpu.last_exit = Some((class, info.reason));
        let nested = vcpu.nested.current_entity();
        vcpu.exit = Some(OpenExit {
            at: t,
            reason: info.reason,
            isa,
            class,
            nested,
            reflected: false,
            kernel_ns: 0,
            vmm_ns: 0,
            off_cpu_ns: 0,
            mark: t,
        });
        self.guest_exit(v, t, isa, info, class);
        self.vcpus[v.0].doorbell = exits::mmio_write(isa, info);
        self.vcpu_mode(v, t, Mode::Hypervisor(class));
        self.nested_exit(v, t, isa, info);
    }

    /// A vCPU that enters its guest is on its processor with no interrupt open, whatever was lost.
    fn cpus_settled(&mut self, v: VcpuIx, _t: Timestamp) {
        let x = self.vcpus[v.0].thread;
        if let Sched::Running(c) = self.threads[x.0].sched {
            self.cpus[c.0].contexts.clear();
            self.cpus[c.0].device = None;
        }
        self.vcpus[v.0].on_cpu = true;
    }
}

/// A halt that goes on to the end of what was recorded has no cause that could be known.
pub(crate) fn not_ended(status: &mut Status) {
    if status.state == State::Halted && status.cause == Cause::None {
        status.cause = Cause::NotRecorded;
    }
}

/// `CPU 3/KVM` (QEMU), `fc_vcpu 3` (Firecracker), `vcpu3` (Cloud Hypervisor), `crosvm_vcpu3`.
pub(crate) fn number_in_name(comm: &Comm) -> Option<u32> {
    let name = std::str::from_utf8(comm.as_bytes()).ok()?;
    let digits = name
        .strip_prefix("CPU ")
        .and_then(|rest| rest.strip_suffix("/KVM"))
        .or_else(|| name.strip_prefix("fc_vcpu "))
        .or_else(|| name.strip_prefix("vcpu"))
        .or_else(|| name.strip_prefix("crosvm_vcpu"))?;
    digits.parse().ok()
}

/// `KVM_EXIT_*` (include/uapi/linux/kvm.h).
const fn vmm_reason(reason: u32) -> Cause {
    match reason {
        2 => Cause::VmmIo,
        5 => Cause::VmmHlt,
        6 => Cause::VmmMmio,
        8 => Cause::VmmShutdown,
        10 => Cause::VmmIntr,
        _ => Cause::VmmOther,
    }
}

/// What a host thread's state says about the vCPU it turned out to be.
fn as_vcpu(status: Status, told: Told) -> Status {
    if told != Told::Entries && status.state == State::Running {
        return Status::unknown(Cause::NoEvidence, Evidence::None);
    }
    // That it ran before the first switch that was seen does not say where.
    let seen = status.evidence != Evidence::FirstEvent;
    let (state, cause) = match status.state {
        State::Running if seen => (State::Vmm, Cause::VmmOther),
        State::Running => (State::Unknown, Cause::NoEvidence),
        State::Sleeping | State::Uninterruptible => (State::BlockedOnHost, Cause::NoEvidence),
        other => (other, status.cause),
    };
    Status {
        state,
        cause,
        evidence: Evidence::FirstEvent,
        ..status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names() {
        assert_eq!(number_in_name(&Comm::new(b"CPU 12/KVM")), Some(12));
        assert_eq!(number_in_name(&Comm::new(b"fc_vcpu 3")), Some(3));
        assert_eq!(number_in_name(&Comm::new(b"crosvm_vcpu1")), Some(1));
        assert_eq!(number_in_name(&Comm::new(b"worker")), None);
    }
}
