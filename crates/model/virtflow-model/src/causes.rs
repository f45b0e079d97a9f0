//! Why a virtual processor slept: the interrupt that ended it (what vectors mean is learnt in
//! `vectors.rs`), and who woke it. The rules and how often they err are in docs/method.md.

use crate::host::{Context, CpuIx, Current, ThreadIx, Wake};
use crate::model::Model;
use crate::nested::{NestedIx, injected_vector};
use crate::vm::{VcpuIx, VmIx};
use crate::vocab::{Cause, Confidence, Evidence, State};
use crate::waits::is_device;
use rustc_hash::FxHashMap;
use virtflow_base::{Edge, EntityId, Interval, Sink, Timestamp};
use virtflow_events::{ApicAccept, KernelEvent as K};

/// `MSR_IA32_TSC_DEADLINE` (arch/x86/include/asm/msr-index.h).
pub(crate) const MSR_TSC_DEADLINE: u32 = 0x6e0;
/// x2APIC: `APIC_BASE_MSR` + (`APIC_LVTT` >> 4) and (`APIC_ICR` >> 4).
const MSR_X2APIC_LVTT: u32 = 0x832;
const MSR_X2APIC_ICR: u32 = 0x830;
/// `APIC_LVTT` (arch/x86/include/asm/apicdef.h).
const APIC_LVTT: u32 = 0x320;
/// Delivery modes as `kvm_apic_accept_irq` shows them (`APIC_DM_*`).
const DM_LOWEST_PRIORITY: u16 = 0x100;
const DM_REMOTE_READ: u16 = 0x300;
const DM_NMI: u16 = 0x400;
/// Accepted interrupts without any injection after which a processor's are taken to be posted,
/// where the tracer has no event for that.
const POSTED_AFTER: u32 = 16;
/// The most vectors that may be accepted and not injected at once.
const ACCEPTED_MAX: usize = 32;

/// What of the host's timers was learnt.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    /// How often the expiry of a function woke a virtual processor.
    woke: FxHashMap<u64, u32>,
}

impl Timers {
    /// The most functions kept: a kernel has a few dozen timer callbacks.
    const FUNCTIONS_MAX: usize = 1024;

    fn vote(&mut self, function: u64) {
        if self.woke.len() < Self::FUNCTIONS_MAX || self.woke.contains_key(&function) {
            *self.woke.entry(function).or_default() += 1;
        }
    }
}

/// A sleep of a virtual processor that is not explained yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    halted: bool,
    /// The nested vCPU that halted; `None` where the guest itself did.
    within: Option<NestedIx>,
    pub(crate) wake: Option<Wake>,
    accepted: Option<u8>,
    injected: Option<u8>,
    kicked: bool,
    nmi: bool,
    /// Whether an edge tells who raised the interrupt that ended it.
    told: bool,
    /// The cause, once known, while it is not yet known whether anything was done after it.
    judged: Option<(Cause, Confidence, Evidence)>,
}

impl<S: Sink> Model<S> {
    pub(crate) fn begin_sleep(&mut self, v: VcpuIx, t: Timestamp, halted: bool) {
        self.flush_judged(v, None);
        self.give_up_sleep(v, t, Cause::NoEvidence);
        self.vcpus[v.0].pending = Some(Pending {
            halted,
            within: self.vcpus[v.0].nested.current(),
            wake: None,
            accepted: None,
            injected: None,
            kicked: false,
            nmi: false,
            told: false,
            judged: None,
        });
    }

    /// Whether a halt now is one of the guest, or nested guest, that was woken last.
    pub(crate) fn halts_where_it_slept(&self, v: VcpuIx) -> bool {
        let vcpu = &self.vcpus[v.0];
        let current = vcpu.nested.current();
        vcpu.pending
            .is_some_and(|pending| pending.within == current)
    }

    pub(crate) fn note_wake(&mut self, v: VcpuIx, t: Timestamp) {
        let x = self.vcpus[v.0].thread;
        let wake = self.threads[x.0].wake;
        if let Some(Wake {
            context: Some(Context::Hrtimer(function)),
            ..
        }) = wake
        {
            self.timers.vote(function);
        }
        self.guest_woken(v, t);
        self.accepted_in_interrupt(v, t);
        let Some(pending) = &mut self.vcpus[v.0].pending else {
            return;
        };
        if pending.wake.is_none() {
            pending.wake = wake;
        }
    }

    /// The events of virtual interrupts, wherever they are recorded.
    pub(crate) fn interrupt(&mut self, t: Timestamp, c: CpuIx, event: &K) {
        match *event {
            K::KvmInjVirq { vector, reinjected } => {
                if let Some(v) = self.running_vcpu(t, c, event) {
                    self.injected(t, v, vector, reinjected);
                }
            }
            K::KvmApicAccept(accept) => self.accepted(t, c, accept),
            K::KvmApicIpi { icr_low, .. } => self.sent_ipi(t, c, event, icr_low),
            K::KvmMsr {
                write: true,
                msr,
                data,
            } => {
                let Some(v) = self.running_vcpu(t, c, event) else {
                    return;
                };
                self.guest_wrote_msr(t, v, msr, data);
                match msr {
                    MSR_X2APIC_LVTT => self.learn_timer(v, data),
                    MSR_X2APIC_ICR => self.sent_ipi(t, c, event, low32(data)),
                    _ => {}
                }
            }
            K::KvmApic {
                write: true,
                reg: APIC_LVTT,
                val,
            } => {
                if let Some(v) = self.running_vcpu(t, c, event) {
                    self.learn_timer(v, val);
                }
            }
            K::KvmCpuid { function } => {
                if let Some(v) = self.running_vcpu(t, c, event) {
                    self.guest_cpuid(v, function);
                }
            }
            K::KvmEoi { vector, .. } => {
                if let Some(v) = self.running_vcpu(t, c, event) {
                    self.guest_eoi(v, vector);
                }
            }
            K::KvmSetIrq { gsi, level } if level != 0 => {
                if let Current::Thread(x) = self.cpus[c.0].current {
                    self.threads[x.0].line = Some(gsi);
                }
            }
            K::KvmPiIrteUpdate {
                vcpu,
                vector,
                set: true,
                ..
            } => {
                if let Current::Thread(x) = self.cpus[c.0].current
                    && let Some(vm) = self.vm_of_thread(x)
                {
                    let vector = low8(vector.into());
                    self.vms[vm.0].vectors.delivered(vcpu, vector, Cause::Vfio);
                }
            }
            K::KvmMsiSetIrq { data, .. } => self.msi(c, data),
            K::KvmVcpuWakeup { waited, .. } => {
                if let Some(v) = self.running_vcpu(t, c, event) {
                    if waited {
                        self.halt_ended_unentered(v);
                    } else {
                        self.polled(t, v);
                    }
                }
            }
            K::KvmMmio { kind, gpa, .. } if kind == KVM_TRACE_MMIO_WRITE => {
                if let Some(v) = self.running_vcpu(t, c, event)
                    && self.vcpus[v.0].rang != Some(gpa)
                {
                    self.guest_doorbell(t, v, gpa);
                }
            }
            K::KvmMatchMmio { gpa, write: true } => {
                if let Some(v) = self.running_vcpu(t, c, event)
                    && self.vcpus[v.0].rang != Some(gpa)
                {
                    self.guest_doorbell(t, v, gpa);
                    self.vcpus[v.0].rang = Some(gpa);
                }
            }
            K::KvmFastMmio { gpa } => {
                if let Some(v) = self.running_vcpu(t, c, event) {
                    self.guest_doorbell(t, v, gpa);
                }
            }
            K::KvmPio {
                write: true, port, ..
            } => {
                if let Some(v) = self.running_vcpu(t, c, event) {
                    self.guest_doorbell(t, v, u64::from(port));
                }
            }
            K::KvmCr {
                write: true,
                cr: 3,
                val,
            } => {
                if let Some(v) = self.running_vcpu(t, c, event) {
                    self.guest_cr3_written(t, v, val);
                }
            }
            _ => {}
        }
    }

    fn injected(&mut self, t: Timestamp, v: VcpuIx, vector: u8, reinjected: Option<bool>) {
        let vcpu = &mut self.vcpus[v.0];
        if let Some(pending) = &mut vcpu.pending
            && pending.injected.is_none()
        {
            pending.injected = Some(vector);
        }
        // What was not accepted since it was last injected is being injected again.
        let before = vcpu.accepted.len();
        vcpu.accepted.retain(|&accepted| accepted != vector);
        vcpu.injections = vcpu.injections.saturating_add(1);
        let fresh = vcpu.accepted.len() < before || vcpu.accepts == 0;
        let fresh = reinjected != Some(true) && fresh;
        let raised = vcpu
            .raised
            .iter()
            .position(|(raised, ..)| *raised == vector);
        if let Some(at) = raised {
            let (_, by, since) = vcpu.raised.swap_remove(at);
            if let Some(pending) = &mut vcpu.pending {
                pending.told = true;
            }
            self.raised_edge(v, by, since, t, Evidence::InjectedVector);
        }
        if fresh {
            self.guest_injected(t, v, vector);
        }
    }

    fn accepted(&mut self, t: Timestamp, c: CpuIx, accept: ApicAccept) {
        let ApicAccept {
            apic_id,
            delivery_mode,
            vector,
            posted,
        } = accept;
        let context = self.cpus[c.0].contexts.last();
        if context.is_some_and(|context| !matches!(context, Context::Hrtimer(_))) {
            // Whoever runs here has nothing to do with it.
            self.cpus[c.0].accepted = Some((apic_id, vector));
            return;
        }
        let Current::Thread(x) = self.cpus[c.0].current else {
            return;
        };
        let Some(vm) = self.vm_of_thread(x) else {
            return;
        };
        let target = self.vms[vm.0]
            .vcpus
            .iter()
            .copied()
            .find(|v| self.vcpus[v.0].number == apic_id);
        let own = self.threads[x.0].vcpu;
        if matches!(delivery_mode, 0 | DM_LOWEST_PRIORITY) {
            let in_irq = !self.cpus[c.0].contexts.is_empty();
            match own {
                Some(v) if Some(v) == target && !in_irq && !self.vcpus[v.0].sent_ipi => {
                    self.vms[vm.0].vectors.is_timer(vector);
                }
                None if !in_irq => self.learn_device(vm, x, apic_id, vector),
                _ => {}
            }
        }
        if let Some(v) = target {
            if own != Some(v) && self.cpus[c.0].contexts.is_empty() {
                self.raised(t, v, x, vector, posted);
            }
            self.accepted_by(t, v, delivery_mode, vector, posted);
        }
    }

    /// Thread `x` raised an interrupt of `v`.
    fn raised(&mut self, t: Timestamp, v: VcpuIx, x: ThreadIx, vector: u8, posted: bool) {
        let by = self.threads[x.0].entity.id;
        let vcpu = &mut self.vcpus[v.0];
        if posted {
            if let Some(pending) = &mut vcpu.pending {
                pending.told = true;
            }
            self.raised_edge(v, by, t, t, Evidence::AcceptedVector);
        } else if vcpu.raised.len() < ACCEPTED_MAX
            && !vcpu.raised.iter().any(|(raised, ..)| *raised == vector)
        {
            vcpu.raised.push((vector, by, t));
        }
    }

    fn raised_edge(
        &mut self,
        v: VcpuIx,
        from: EntityId,
        from_time: Timestamp,
        to_time: Timestamp,
        evidence: Evidence,
    ) {
        self.sink.edge(&Edge {
            from,
            from_time,
            to: self.vcpus[v.0].entity.id,
            to_time,
            kind: crate::EdgeKind::Injection.code(),
            confidence: Confidence::Proved.code(),
            evidence: evidence.code(),
        });
    }

    /// `v` was woken from an interrupt in which somebody's APIC accepted a vector: it was its.
    fn accepted_in_interrupt(&mut self, v: VcpuIx, t: Timestamp) {
        let Some(Wake {
            cpu,
            context: Some(_),
            device,
            ..
        }) = self.threads[self.vcpus[v.0].thread.0].wake
        else {
            return;
        };
        let (vm, number) = (self.vcpus[v.0].vm, self.vcpus[v.0].number);
        let accepted = &mut self.cpus[cpu.0].accepted;
        let Some((_, vector)) = accepted.take_if(|(apic, _)| *apic == number) else {
            return;
        };
        if let Some(device) = device {
            self.vms[vm.0].vectors.delivered(number, vector, device);
        }
        self.accepted_by(t, v, 0, vector, false);
    }

    /// KVM returned to the VMM: a sleep that no interrupt ended was ended by the VMM's own kick.
    pub(crate) fn returned_to_vmm(&mut self, v: VcpuIx, t: Timestamp) {
        let Some(pending) = self.vcpus[v.0].pending else {
            return;
        };
        let waker = match pending.wake {
            Some(Wake {
                waker: Current::Thread(x),
                context: None,
                ..
            }) => x,
            _ => return,
        };
        let interrupted = pending.accepted.or(pending.injected).is_some();
        let own = self.vm_of_thread(waker) == Some(self.vcpus[v.0].vm);
        if pending.judged.is_some() || interrupted || !own || self.threads[waker.0].vcpu.is_some() {
            return;
        }
        let (confidence, evidence) = (Confidence::Likely, Evidence::WakerContext);
        self.injection_edge(v, t, &pending, confidence, evidence);
        self.vcpus[v.0].pending = None;
        if pending.halted {
            self.explain_halted(v, Cause::VmmKick, confidence, evidence);
        }
    }

    /// The APIC of `v` accepted a vector.
    fn accepted_by(&mut self, t: Timestamp, v: VcpuIx, mode: u16, vector: u8, posted: bool) {
        let vcpu = &mut self.vcpus[v.0];
        vcpu.accepts = vcpu.accepts.saturating_add(1);
        let is_posted = posted || (vcpu.injections == 0 && vcpu.accepts >= POSTED_AFTER);
        if vcpu.accepted.len() < ACCEPTED_MAX && !vcpu.accepted.contains(&vector) {
            vcpu.accepted.push(vector);
        }
        if let Some(pending) = &mut vcpu.pending {
            match mode {
                DM_REMOTE_READ => pending.kicked = true,
                DM_NMI => pending.nmi = true,
                _ if pending.accepted.is_none() => pending.accepted = Some(vector),
                _ => {}
            }
        }
        // The hardware gives it to the guest: nobody will tell of an injection.
        if is_posted && matches!(mode, 0 | DM_LOWEST_PRIORITY) {
            self.guest_posted(t, v, vector);
        }
    }

    fn sent_ipi(&mut self, t: Timestamp, c: CpuIx, event: &K, icr_low: u32) {
        let Some(v) = self.running_vcpu(t, c, event) else {
            return;
        };
        self.vcpus[v.0].sent_ipi = true;
        let vm = self.vcpus[v.0].vm;
        self.vms[vm.0].vectors.is_ipi(low8(icr_low.into()));
    }

    fn learn_timer(&mut self, v: VcpuIx, lvtt: u64) {
        let vm = self.vcpus[v.0].vm;
        self.vms[vm.0].vectors.is_timer(low8(lvtt));
    }

    /// An MSI: its vector belongs to the interrupt line the same thread raised just before.
    fn msi(&mut self, c: CpuIx, data: u64) {
        let Current::Thread(x) = self.cpus[c.0].current else {
            return;
        };
        let Some(vm) = self.vm_of_thread(x) else {
            return;
        };
        let line = self.threads[x.0].line.take();
        let class = self.device_of(x);
        let msi = self.vms[vm.0].vectors.raised(low8(data), line, class);
        self.threads[x.0].msi = Some(msi);
    }

    /// A thread of the VMM works for a device.
    pub(crate) fn works_for(&mut self, x: ThreadIx, class: Cause) {
        self.threads[x.0].device = Some(class);
        if let Some(vm) = self.vm_of_thread(x) {
            self.vms[vm.0].vectors.answered(Some(class));
        }
    }

    /// A thread of the VMM delivered a vector to one of its APICs.
    fn learn_device(&mut self, vm: VmIx, x: ThreadIx, apic: u32, vector: u8) {
        let msi = self.threads[x.0].msi.take();
        let class = self.device_of(x);
        let vectors = &mut self.vms[vm.0].vectors;
        match (msi.filter(|msi| msi.vector == vector), class) {
            (Some(msi), _) => vectors.accepted(apic, msi),
            (None, Some(class)) => vectors.delivered(apic, vector, class),
            (None, None) => {}
        }
    }

    /// What a vector announces to `v`.
    pub(crate) fn class_of(&self, v: VcpuIx, vector: u8) -> Option<Cause> {
        let vcpu = &self.vcpus[v.0];
        self.vms[vcpu.vm.0].vectors.class(vcpu.number, vector)
    }

    /// What device a thread of a VMM is working for.
    fn device_of(&self, x: ThreadIx) -> Option<Cause> {
        let thread = &self.threads[x.0];
        if thread.vcpu.is_some() {
            return None;
        }
        if thread.comm.as_bytes().starts_with(b"vhost-") {
            return Some(Cause::Net);
        }
        thread.device
    }

    /// The VM a host thread works for.
    pub(crate) fn vm_of_thread(&mut self, x: ThreadIx) -> Option<VmIx> {
        if let Some(vm) = self.threads[x.0].vm {
            return Some(vm);
        }
        let thread = &self.threads[x.0];
        // vhost workers of older kernels are named after the VMM (drivers/vhost/vhost.c).
        let owner = std::str::from_utf8(thread.comm.as_bytes())
            .ok()
            .and_then(|name| name.strip_prefix("vhost-"))
            .and_then(|pid| pid.parse().ok())
            .map(virtflow_base::Tid);
        let vm = owner
            .or(thread.pid)
            .and_then(|pid| self.vm_by_pid.get(&pid).copied());
        self.threads[x.0].vm = vm;
        vm
    }

    /// KVM says that it polled instead of sleeping.
    fn polled(&mut self, t: Timestamp, v: VcpuIx) {
        let Some(lane) = &mut self.vcpus[v.0].lane else {
            return;
        };
        let status = lane.status();
        if status.state == State::Hypervisor && status.cause == Cause::ExitHlt {
            lane.amend(|s| {
                s.state = State::HaltPoll;
                s.cause = Cause::None;
                s.evidence = Evidence::VcpuWakeup;
            });
            self.vcpu_to(v, t, status);
        }
    }

    /// A guest entry ends a sleep: the cause is what can be told by now.
    pub(crate) fn explain_sleep(&mut self, v: VcpuIx, t: Timestamp, event: &K) {
        self.vcpus[v.0].sent_ipi = false;
        let Some(mut pending) = self.vcpus[v.0].pending else {
            return;
        };
        if pending.judged.is_some() {
            return;
        }
        if let K::KvmEntry {
            intr_info: Some(info),
            ..
        } = *event
            && pending.injected.is_none()
        {
            pending.injected = injected_vector(info);
        }
        let (cause, confidence, evidence) = self.cause_of(v, &pending);
        self.injection_edge(v, t, &pending, confidence, evidence);
        if !pending.halted {
            self.vcpus[v.0].pending = None;
            return;
        }
        pending.judged = Some((cause, confidence, evidence));
        self.vcpus[v.0].pending = Some(pending);
        if cause != Cause::Timer {
            self.flush_judged(v, None);
        }
    }

    /// The decision, first match wins; docs/method.md explains the order.
    pub(crate) fn cause_of(
        &mut self,
        v: VcpuIx,
        pending: &Pending,
    ) -> (Cause, Confidence, Evidence) {
        if pending.kicked {
            return (
                Cause::Spinlock,
                Confidence::Proved,
                Evidence::AcceptedVector,
            );
        }
        if pending.nmi {
            return (Cause::Nmi, Confidence::Proved, Evidence::AcceptedVector);
        }
        let (vm, apic) = (self.vcpus[v.0].vm, self.vcpus[v.0].number);
        let vectors = &self.vms[vm.0].vectors;
        let by_vector = match (pending.accepted, pending.injected) {
            (Some(vector), _) => vectors
                .class(apic, vector)
                .map(|c| (c, Evidence::AcceptedVector)),
            (None, Some(vector)) => vectors
                .class(apic, vector)
                .map(|c| (c, Evidence::InjectedVector)),
            (None, None) => None,
        };
        let clear = pending
            .accepted
            .or(pending.injected)
            .is_none_or(|vector| vectors.is_clear(apic, vector));
        let by_waker = pending
            .wake
            .as_ref()
            .and_then(|wake| self.cause_of_wake(v, wake));
        match (by_waker, by_vector) {
            (Some(waker), Some((vector, evidence))) if waker == vector => {
                self.counts.causes_agreed += 1;
                let confidence = if clear {
                    Confidence::Proved
                } else {
                    Confidence::Likely
                };
                (waker, confidence, evidence)
            }
            // What a thread of the VMM worked for last is known less well than what its interrupts
            // mean: they have the votes of all of its work.
            (Some(waker), Some((vector, evidence))) if is_device(waker) && is_device(vector) => {
                self.counts.causes_disagreed += 1;
                (vector, Confidence::Likely, evidence)
            }
            (Some(waker), Some(_)) => {
                // Something else arrived while the woken thread waited for the processor.
                self.counts.causes_disagreed += 1;
                (waker, Confidence::Likely, Evidence::WakerContext)
            }
            (Some(waker), None) => (waker, Confidence::Likely, Evidence::WakerContext),
            (None, Some((vector, evidence))) => (vector, Confidence::Likely, evidence),
            (None, None) => (Cause::NoEvidence, Confidence::Proved, Evidence::None),
        }
    }

    /// What the context of a wake-up says about its cause.
    fn cause_of_wake(&mut self, v: VcpuIx, wake: &Wake) -> Option<Cause> {
        if let Some(Context::Hrtimer(_)) = wake.context {
            return Some(Cause::Timer);
        }
        let own = self.vcpus[v.0].vm;
        if wake.context.is_some() {
            // A device of the VM's own interrupts the host only to wake it (VT-d's posted
            // interrupts, the GA log of AMD's IOMMU): no event tells which.
            let assigned = self.vms[own.0].vectors.is_assigned(self.vcpus[v.0].number);
            return wake.device.or(assigned.then_some(Cause::Vfio));
        }
        let Current::Thread(x) = wake.waker else {
            return None;
        };
        if self.threads[x.0].vcpu.is_some() {
            return (self.threads[x.0].vm == Some(own)).then_some(Cause::Task);
        }
        if self.vm_of_thread(x) == Some(own) {
            return self.device_of(x);
        }
        let assigned = self.vms[own.0].vectors.is_assigned(self.vcpus[v.0].number);
        assigned.then_some(Cause::Vfio)
    }

    fn injection_edge(
        &mut self,
        v: VcpuIx,
        t: Timestamp,
        pending: &Pending,
        confidence: Confidence,
        evidence: Evidence,
    ) {
        let Some(Wake {
            at,
            waker: Current::Thread(x),
            context: None,
            ..
        }) = pending.wake
        else {
            return;
        };
        if pending.told {
            return;
        }
        self.sink.edge(&Edge {
            from: self.threads[x.0].entity.id,
            from_time: at,
            to: self.vcpus[v.0].entity.id,
            to_time: t,
            kind: crate::EdgeKind::Injection.code(),
            confidence: confidence.code(),
            evidence: evidence.code(),
        });
    }

    /// Lets a judged sleep go: `worked` is false when the guest halted again without doing
    /// anything for a process, true when it did, `None` when that cannot be told.
    pub(crate) fn flush_judged(&mut self, v: VcpuIx, worked: Option<bool>) {
        let Some(Pending {
            judged: Some((cause, confidence, evidence)),
            ..
        }) = self.vcpus[v.0].pending
        else {
            return;
        };
        self.vcpus[v.0].pending = None;
        let (cause, confidence, evidence) = if worked == Some(false) {
            (Cause::Idle, Confidence::Likely, Evidence::IdleLoop)
        } else {
            (cause, confidence, evidence)
        };
        self.explain_halted(v, cause, confidence, evidence);
    }

    fn explain_halted(
        &mut self,
        v: VcpuIx,
        cause: Cause,
        confidence: Confidence,
        evidence: Evidence,
    ) {
        // Where it is not seen when the thread was woken, the end of its sleep is not, either.
        let confidence = match self.followed {
            Some(_) => Confidence::Likely,
            None => confidence,
        };
        let change = |i: &mut Interval| {
            i.cause = cause.code();
            i.confidence = confidence.code();
            i.evidence = evidence.code();
        };
        if let Some(lane) = &mut self.vcpus[v.0].lane {
            lane.explain(change, State::Halted, &mut self.sink);
        }
    }

    /// A sleep that no entry followed.
    pub(crate) fn give_up_sleep(&mut self, v: VcpuIx, _t: Timestamp, why: Cause) {
        self.flush_judged(v, None);
        let Some(pending) = self.vcpus[v.0].pending.take() else {
            return;
        };
        if pending.halted {
            self.explain_halted(v, why, Confidence::Proved, Evidence::None);
        }
    }

    /// What a vector that a guest's hypervisor injects into its guest announces. Nothing of the
    /// nested guest's devices can be seen from the host, so only what the outer guest's vectors
    /// mean for the nested one is used: a guest's timer is the timer of all guests like it.
    pub(crate) fn nested_cause(&self, v: VcpuIx, vector: u8) -> Cause {
        match self.class_of(v, vector) {
            Some(Cause::Timer) => Cause::Timer,
            Some(Cause::Task) => Cause::Task,
            _ => Cause::Ambiguous,
        }
    }
}

/// `KVM_TRACE_MMIO_WRITE` (include/trace/events/kvm.h).
const KVM_TRACE_MMIO_WRITE: u32 = 2;

fn low8(v: u64) -> u8 {
    u8::try_from(v & 0xff).unwrap_or_default()
}

fn low32(v: u64) -> u32 {
    u32::try_from(v & 0xffff_ffff).unwrap_or_default()
}
