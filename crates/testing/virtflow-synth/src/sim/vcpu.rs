//! KVM's loop of a vCPU: entries, exits, and interrupts on their way to the guest.

use super::Sim;
use super::interrupt::{APIC_FUNCTION, Source};
use super::jobs::vector;
use super::model::{Action, Context, Exit, Irq, Job, Mode, Ns, Op, Run, Signal, US};
use super::switch::{ASLEEP, STILL_RUNNABLE};
use crate::trace::Ev;
use crate::truth::NOBODY;
use crate::{Injection, Probe};

/// How often a VMM's emulation waits for the main thread.
const BLOCKS: f64 = 0.05;

impl Sim<'_> {
    pub(super) fn in_kvm(&self, vcpu: usize) -> bool {
        matches!(self.vcpus[vcpu].mode, Mode::Kvm(_))
    }

    /// The guest that the hardware runs, or will.
    pub(super) fn active(&self, vcpu: usize) -> usize {
        let vcpu = &self.vcpus[vcpu];
        vcpu.active.unwrap_or(vcpu.guest)
    }

    /// The thread has the processor again.
    pub(super) fn resume_vcpu(&mut self, vcpu: usize) {
        self.vcpus[vcpu].halted = false;
        match self.vcpus[vcpu].mode {
            Mode::Vmm(_) => self.plan_vmm(vcpu, 5 * US),
            Mode::Guest | Mode::Kvm(_) => self.enter(vcpu),
        }
    }

    /// Has KVM be ready to enter the guest a moment from now.
    pub(super) fn plan_enter(&mut self, vcpu: usize) {
        let time = self.at + self.chance.between(500, 2_000);
        let generation = self.threads[self.vcpus[vcpu].thread].generation;
        self.push(time, Action::Enter { vcpu, generation });
    }

    /// arch/x86/kvm/x86.c `vcpu_enter_guest`.
    pub(super) fn enter(&mut self, vcpu: usize) {
        let cpu = &self.cpus[self.cpu];
        if cpu.need_resched && !cpu.queue.is_empty() {
            return self.switch(STILL_RUNNABLE);
        }
        if self.vcpus[vcpu].pending.iter().any(|irq| irq.at >= self.at) {
            return self.plan_enter(vcpu);
        }
        if std::mem::take(&mut self.vcpus[vcpu].timer_pending) {
            self.accept(
                vcpu,
                Irq {
                    signal: Signal::Timer,
                    at: 0,
                    by: NOBODY,
                },
                0,
            );
        }
        self.addons_probe(vcpu);
        let irq = if self.vcpus[vcpu].active.is_none() {
            self.inject(vcpu)
        } else {
            None
        };
        let id = self.entry_id(vcpu);
        let at = self.emit(Ev::KvmEntry, |p| {
            p.u32(id);
        });
        self.vcpus[vcpu].mode = Mode::Guest;
        self.vcpus[vcpu].reflecting = false;
        self.refresh(vcpu);
        if let Some(irq) = irq
            && irq.by != NOBODY
        {
            self.truth.edge(
                "injection",
                (irq.by, irq.at),
                (self.vcpus[vcpu].lane.key, at),
            );
        }
        self.enter_probe(vcpu);
        if self.vcpus[vcpu].active.is_some() && !self.vcpus[vcpu].pending.is_empty() {
            let cpu = self.cpu;
            self.push(self.at + 300, Action::Kick { cpu, vcpu });
        }
        self.advance(self.active(vcpu));
    }

    /// LTTng's probe declares the vCPU's number where the kernel (since 5.10) passes a pointer.
    fn entry_id(&self, vcpu: usize) -> u32 {
        if self.scenario.dialect.stock {
            0x8d3a_0000_u32.wrapping_add(vcpu as u32 * 0x2780)
        } else {
            self.vcpus[vcpu].index
        }
    }

    fn addons_probe(&mut self, vcpu: usize) {
        if self.scenario.dialect.probe == Probe::Original {
            let active = self.active(vcpu);
            let (id, cr3) = (self.vcpus[vcpu].index, self.cr3(active));
            let (rip, rsp) = (self.guests[active].rip, self.stack(active));
            self.emit(Ev::AddonsEnter, |p| {
                p.u32(id).u64(cr3).u64(rsp).u64(rip);
            });
        }
    }

    /// A stack pointer: user stacks lie apart, each thread and the idle task have a kernel stack,
    /// and interrupts one of each processor's own.
    pub(super) fn stack(&self, guest: usize) -> u64 {
        let g = &self.guests[guest];
        match g.context {
            Context::Proc(p) if g.user => 0x7FFD_0000_1230 + ((p as u64) << 20),
            _ if g.in_irq => 0xFFFF_C900_0000_0F58 + ((guest as u64) << 18),
            Context::Proc(p) => KERNEL_STACKS + ((p as u64) << 14) + 0x3E58,
            Context::Kernel => 0xFFFF_C900_4001_3E58 + ((guest as u64) << 14),
            Context::Idle => 0xFFFF_C900_8001_3E98 + ((guest as u64) << 14),
        }
    }

    /// The base of FS: a thread's pointer to its own data, none in the kernel's own threads.
    pub(super) fn fs_base(&self, guest: usize) -> u64 {
        match self.guests[guest].context {
            Context::Proc(p) => thread_pointer(p),
            Context::Kernel | Context::Idle => 0,
        }
    }

    fn enter_probe(&mut self, vcpu: usize) {
        if self.scenario.dialect.probe != Probe::TestBed {
            return;
        }
        let v = &self.vcpus[vcpu];
        let (id, active) = (v.index, self.active(vcpu));
        let (cr3, l1_cr3) = (self.cr3(active), self.cr3(v.guest));
        let (rip, nested) = (self.guests[active].rip, v.active.is_some());
        let vmcb12 = if nested {
            self.guests[active].vmcb12
        } else {
            0
        };
        let pid = self.vms[v.vm].pid;
        let stacks = self.scenario.dialect.stacks;
        let (rsp, fs) = (self.stack(active), self.fs_base(active));
        let event = if stacks {
            Ev::VcpuEnterStack
        } else {
            Ev::VcpuEnter
        };
        self.emit(event, |p| {
            p.u32(id)
                .u64(cr3)
                .u64(rip)
                .u8(u8::from(nested))
                .u64(l1_cr3)
                .u64(vmcb12)
                .i32(pid);
            if stacks {
                p.u64(rsp).u64(fs);
            }
        });
    }

    /// The LAPIC accepts a vector.
    pub(super) fn accept(&mut self, vcpu: usize, irq: Irq, level_triggered: u8) {
        let (vec, apic) = (vector(irq.signal), self.vcpus[vcpu].index);
        // The kernel no longer passes `coalesced`; the stock probe records what lies there.
        let coalesced = if self.scenario.dialect.stock { 0x5a } else { 0 };
        let at = self.emit(Ev::KvmAccept, |p| {
            p.u32(apic).u16(0).u8(level_triggered).u8(vec).u8(coalesced);
        });
        if self.scenario.dialect.injection == Injection::Posted {
            self.emit(Ev::KvmApicvAccept, |p| {
                p.u32(apic).u16(0).u16(u16::from(level_triggered)).u8(vec);
            });
        }
        self.vcpus[vcpu].pending.push(Irq { at, ..irq });
    }

    /// Sees to it that a vCPU notices what is pending.
    pub(super) fn notify(&mut self, vcpu: usize, cause: &'static str) {
        let thread = self.vcpus[vcpu].thread;
        match self.threads[thread].run {
            Run::Sleeping if self.vcpus[vcpu].halted => self.wake(thread, cause),
            Run::Running if self.vcpus[vcpu].mode == Mode::Guest => {
                let soon = self.at + self.chance.between(300, 900);
                self.push(
                    soon,
                    Action::Kick {
                        cpu: self.threads[thread].cpu,
                        vcpu,
                    },
                );
            }
            _ => {}
        }
    }

    /// The IPI after it, or the posted interrupt's.
    pub(super) fn kick(&mut self, vcpu: usize) {
        let v = &self.vcpus[vcpu];
        if self.vcpu_here() != Some(vcpu) || v.mode != Mode::Guest || v.pending.is_empty() {
            return;
        }
        let posted = self.scenario.dialect.injection == Injection::Posted;
        if posted && v.active.is_none() {
            let guest = v.guest;
            self.pause(vcpu);
            self.threads[self.vcpus[vcpu].thread].generation += 1;
            self.take_posted(vcpu);
            self.advance(guest);
        } else {
            self.interrupt(Source::Reschedule, |_| ());
        }
    }

    /// The hardware gives a posted interrupt to the running guest.
    pub(super) fn take_posted(&mut self, vcpu: usize) {
        if let Some(irq) = self.inject(vcpu)
            && irq.by != NOBODY
        {
            let to = (self.vcpus[vcpu].lane.key, self.at);
            self.truth.edge("injection", (irq.by, irq.at), to);
        }
    }

    /// The guest takes the highest pending vector, if it takes any.
    pub(super) fn inject(&mut self, vcpu: usize) -> Option<Irq> {
        let guest = self.vcpus[vcpu].guest;
        if !self.guests[guest].gif || self.guests[guest].in_irq {
            return None;
        }
        let pending = &mut self.vcpus[vcpu].pending;
        let (at, _) = pending
            .iter()
            .enumerate()
            .max_by_key(|(_, irq)| vector(irq.signal))?;
        let irq = pending.remove(at);
        let vec = vector(irq.signal);
        if self.scenario.dialect.injection == Injection::Injected {
            self.emit(Ev::KvmInjVirq, |p| {
                p.u32(u32::from(vec));
            });
        }
        self.vcpus[vcpu].injected = vec;
        self.begin_irq(guest, irq.signal);
        Some(irq)
    }

    /// The LAPIC timer's hrtimer (arch/x86/kvm/lapic.c `apic_timer_fn`).
    pub(super) fn apic_timer(&mut self, vcpu: usize) {
        let thread = self.vcpus[vcpu].thread;
        if let Some(later) = self.unsettled(&[thread]) {
            let generation = self.vcpus[vcpu].timer_generation;
            return self.push(later, Action::ApicTimer { vcpu, generation });
        }
        self.interrupt(Source::Timer, |sim| {
            sim.hrtimer_expires(apic_timer_address(vcpu), APIC_FUNCTION, |sim| {
                sim.vcpus[vcpu].timer_pending = true;
                sim.vcpus[vcpu].timer_armed = false;
                if sim.vcpus[vcpu].halted {
                    sim.wake(thread, "timer");
                }
            });
        });
    }

    /// The guest stops in the middle of a step.
    pub(super) fn pause(&mut self, vcpu: usize) {
        let (guest, at) = (self.active(vcpu), self.at);
        if let Some(started) = self.guests[guest].started.take()
            && let Some(Op::Run { ns, .. }) = self.op_mut(guest)
        {
            *ns = (*ns - (at - started)).max(0);
        }
    }

    /// To user space, for a reason of `KVM_EXIT_*` (include/uapi/linux/kvm.h).
    pub(super) fn leave_kernel(&mut self, vcpu: usize, reason: u32, name: &'static str) {
        self.emit(Ev::KvmFpu, |p| {
            p.u32(0);
        });
        self.emit(Ev::KvmUserspaceExit, |p| {
            p.u32(reason).i32(0);
        });
        self.vcpus[vcpu].mode = Mode::Vmm(name);
        self.vcpus[vcpu].blocks = self.chance.happens(BLOCKS);
        self.refresh(vcpu);
        let emulated = self.chance.between(4_000, 12_000);
        self.plan_vmm(vcpu, emulated);
    }

    fn plan_vmm(&mut self, vcpu: usize, after: Ns) {
        let generation = self.threads[self.vcpus[vcpu].thread].generation;
        self.push(self.at + after, Action::Vmm { vcpu, generation });
    }

    /// The VMM goes on: waits for its main thread, or is done and calls KVM_RUN again.
    pub(super) fn vmm(&mut self, vcpu: usize) {
        if self.vcpus[vcpu].blocks {
            let main = self.vms[self.vcpus[vcpu].vm].main;
            if let Some(later) = self.unsettled(&[main]) {
                return self.plan_vmm(vcpu, later - self.at);
            }
            self.vcpus[vcpu].blocks = false;
            self.give(main, Job::Release(vcpu), "task");
            return self.switch(ASLEEP);
        }
        self.emit(Ev::KvmFpu, |p| {
            p.u32(1);
        });
        let read = std::mem::take(&mut self.vcpus[vcpu].reading);
        let exit = if read { Exit::ReadDevice } else { Exit::Eoi(0) };
        self.vcpus[vcpu].mode = Mode::Kvm(self.class(exit));
        self.refresh(vcpu);
        if read {
            self.mmio(1);
        }
        self.plan_enter(vcpu);
    }

    /// What KVM is left for, told by the guest: see [`super::exits`].
    pub(super) fn exit(&mut self, vcpu: usize, exit: Exit) {
        self.leave_guest(vcpu, exit);
        self.handle(vcpu, exit);
    }
}

/// The address of a vCPU's LAPIC timer.
pub(super) fn apic_timer_address(vcpu: usize) -> u64 {
    0xFFFF_8881_00C2_F610 + ((vcpu as u64) << 13)
}

/// Where the kernel stacks of threads begin.
pub(super) const KERNEL_STACKS: u64 = 0xFFFF_C900_C000_0000;

/// Where a thread keeps its own data.
pub(super) const fn thread_pointer(proc: usize) -> u64 {
    0x7F12_3400_0740 + ((proc as u64) << 24)
}
