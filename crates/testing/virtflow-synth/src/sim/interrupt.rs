//! Interrupts of the host: what they do to the guest they come out of, and the timer's events.
//!
//! Where the exit's event stands differs: on SVM, `kvm_exit` is emitted with interrupts on again,
//! after the handlers (arch/x86/kvm/svm/svm.c `svm_handle_exit`); on VMX right after the exit,
//! before them (arch/x86/kvm/vmx/vmx.c `vmx_vcpu_run`).

use super::Sim;
use super::model::{Exit, Mode, Ns, Role, Run, Softirq};
use crate::Isa;
use crate::trace::Ev;

/// Addresses of timer functions, as raw as in a real trace.
pub(super) const TICK_FUNCTION: u64 = 0xFFFF_FFFF_8116_8830;
pub(super) const SLEEP_FUNCTION: u64 = 0xFFFF_FFFF_8115_5160;
pub(super) const APIC_FUNCTION: u64 = 0xFFFF_FFFF_C03C_EEF0;

/// Host vectors (arch/x86/include/asm/irq_vectors.h).
const LOCAL_TIMER_VECTOR: i32 = 0xec;
const RESCHEDULE_VECTOR: i32 = 0xfd;
const CALL_SINGLE_VECTOR: i32 = 0xfb;

/// NET_RX_SOFTIRQ (include/linux/interrupt.h).
const NET_RX: u32 = 3;

/// Where an interrupt comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Timer,
    Reschedule,
    CallSingle,
    /// A device's line and the name of its handler.
    Device(i32, &'static str),
}

impl Sim<'_> {
    /// An interrupt on this processor; `body` is what its handler does.
    pub(super) fn interrupt(&mut self, source: Source, body: impl FnOnce(&mut Self)) {
        let cpu = self.cpu;
        let vcpu = self.vcpu_here();
        let guest = vcpu.filter(|&vcpu| self.vcpus[vcpu].mode == Mode::Guest);
        let vmx = self.scenario.dialect.isa == Isa::Vmx;
        if let Some(vcpu) = guest {
            self.pause(vcpu);
            if vmx {
                self.leave_guest(vcpu, Exit::Interrupt);
            }
        }
        self.enter_irq(source, vcpu);
        body(self);
        self.leave_irq(source);
        self.run_softirqs(vcpu);
        self.cpus[cpu].in_irq = None;
        if let Some(vcpu) = guest {
            self.vcpus[vcpu].mode = Mode::Kvm("irq");
        }
        if let Some(vcpu) = vcpu {
            self.refresh(vcpu);
        }
        match guest {
            Some(vcpu) => {
                if !vmx {
                    self.leave_guest(vcpu, Exit::Interrupt);
                }
                self.handle(vcpu, Exit::Interrupt);
            }
            None => self.after_interrupt(),
        }
    }

    /// The vCPU whose thread is on this processor.
    pub(super) fn vcpu_here(&self) -> Option<usize> {
        let thread = self.cpus[self.cpu].current?;
        match self.threads[thread].role {
            Role::Vcpu(vcpu) if self.threads[thread].run == Run::Running => Some(vcpu),
            _ => None,
        }
    }

    fn enter_irq(&mut self, source: Source, vcpu: Option<usize>) {
        match source {
            Source::Timer => self.emit(Ev::LocalTimerEntry, |p| {
                p.i32(LOCAL_TIMER_VECTOR);
            }),
            Source::Reschedule => self.emit(Ev::RescheduleEntry, |p| {
                p.i32(RESCHEDULE_VECTOR);
            }),
            Source::CallSingle => self.emit(Ev::CallSingleEntry, |p| {
                p.i32(CALL_SINGLE_VECTOR);
            }),
            Source::Device(irq, name) => self.emit(Ev::IrqEntry, |p| {
                p.i32(irq).string(name.as_bytes());
            }),
        };
        self.cpus[self.cpu].in_irq = Some("irq");
        if let Some(vcpu) = vcpu {
            self.refresh(vcpu);
        }
    }

    fn leave_irq(&mut self, source: Source) {
        match source {
            Source::Timer => self.emit(Ev::LocalTimerExit, |p| {
                p.i32(LOCAL_TIMER_VECTOR);
            }),
            Source::Reschedule => self.emit(Ev::RescheduleExit, |p| {
                p.i32(RESCHEDULE_VECTOR);
            }),
            Source::CallSingle => self.emit(Ev::CallSingleExit, |p| {
                p.i32(CALL_SINGLE_VECTOR);
            }),
            Source::Device(irq, _) => self.emit(Ev::IrqExit, |p| {
                p.i32(irq).i32(1);
            }),
        };
    }

    /// Marks a softirq to be run after the interrupt.
    pub(super) fn raise(&mut self, vec: u32) {
        self.emit(Ev::SoftirqRaise, |p| {
            p.u32(vec);
        });
        self.cpus[self.cpu].softirqs.push(Softirq::Plain(vec));
    }

    /// Marks NET_RX, with a packet for a process, to be run after the interrupt.
    pub(super) fn raise_receive(&mut self, proc: usize) {
        self.emit(Ev::SoftirqRaise, |p| {
            p.u32(NET_RX);
        });
        self.cpus[self.cpu].softirqs.push(Softirq::Receive(proc));
    }

    fn run_softirqs(&mut self, vcpu: Option<usize>) {
        let softirqs = std::mem::take(&mut self.cpus[self.cpu].softirqs);
        for &softirq in &softirqs {
            let vec = match softirq {
                Softirq::Plain(vec) => vec,
                Softirq::Receive(_) => NET_RX,
            };
            self.emit(Ev::SoftirqEntry, |p| {
                p.u32(vec);
            });
            self.cpus[self.cpu].in_irq = Some("softirq");
            if let Some(vcpu) = vcpu {
                self.refresh(vcpu);
            }
            if let Softirq::Receive(proc) = softirq {
                self.receive_from_outside(proc);
            }
            self.emit(Ev::SoftirqExit, |p| {
                p.u32(vec);
            });
        }
        let mut softirqs = softirqs;
        softirqs.clear();
        self.cpus[self.cpu].softirqs = softirqs;
    }

    /// A timer expires; `body` is its function.
    pub(super) fn hrtimer_expires(
        &mut self,
        timer: u64,
        function: u64,
        body: impl FnOnce(&mut Self),
    ) {
        let now = self.monotonic(self.at);
        self.emit(Ev::HrtimerEntry, |p| {
            p.u64(timer).i64(now).u64(function);
        });
        body(self);
        self.emit(Ev::HrtimerExit, |p| {
            p.u64(timer);
        });
    }

    /// A timer is started, to expire at `expires` (CLOCK_MONOTONIC).
    pub(super) fn hrtimer_starts(&mut self, timer: u64, function: u64, expires: Ns, mode: u32) {
        self.emit(Ev::HrtimerStart, |p| {
            p.u64(timer)
                .u64(function)
                .i64(expires)
                .i64(expires)
                .u32(mode);
        });
    }
}
