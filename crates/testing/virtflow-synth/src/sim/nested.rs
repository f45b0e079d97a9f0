//! Nested guests: L1's hypervisor runs them, L0 sees every exit first
//! (arch/x86/kvm/svm/nested.c, vmx/nested.c).

use super::Sim;
use super::model::{Exit, Irq, Op, Signal, Timer};
use crate::trace::Ev;
use crate::truth::NOBODY;
use std::cmp::Reverse;

/// An external interrupt with a vector, as SVM's `event_inj`: valid, type 0.
const EVENT_VALID: u32 = 0x8000_0000;

impl Sim<'_> {
    /// L1 asks for its guest to be run. The vCPU already counts as running it.
    pub(super) fn run_nested(&mut self, vcpu: usize, nested: usize) {
        self.decode(vcpu);
        let l1_rip = self.guests[self.vcpus[vcpu].guest].rip + 3;
        let g = &mut self.guests[nested];
        let takes_timer = g.timer_pending && !g.in_irq;
        let event = if takes_timer { EVENT_VALID | 0xec } else { 0 };
        let (vmcb, rip) = (g.vmcb12, g.rip);
        if takes_timer {
            g.timer_pending = false;
            self.begin_irq(nested, Signal::Timer);
        }
        self.emit(Ev::NestedVmrun, |p| {
            p.u64(l1_rip)
                .u64(vmcb)
                .u64(rip)
                .u32(0x0300_0101)
                .u32(event)
                .u8(1);
        });
        self.emit(Ev::NestedIntercepts, |p| {
            p.u16(16).u16(16).u32(0x6_0042).u64(0xBD4C_8027);
        });
    }

    /// An exit out of L2: L0 handles it, or L1 must.
    pub(super) fn handle_nested(&mut self, vcpu: usize, nested: usize, exit: Exit) {
        match exit {
            Exit::Interrupt => {
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
                if !self.vcpus[vcpu].pending.is_empty() {
                    let rip = self.guests[nested].rip;
                    self.emit(Ev::NestedIntr, |p| {
                        p.u64(rip);
                    });
                    self.reflect(vcpu, nested, exit);
                }
            }
            Exit::Page => {
                self.emit(Ev::KvmPageFault, |p| {
                    p.u64(0x0761_3000).u32(4);
                });
            }
            exit => self.reflect(vcpu, nested, exit),
        }
        self.plan_enter(vcpu);
    }

    /// L1 gets the exit: its hypervisor saves state, looks at the reason, and comes back to run
    /// its guest again.
    fn reflect(&mut self, vcpu: usize, nested: usize, exit: Exit) {
        let (code, isa) = (self.code(exit), self.scenario.dialect.isa as u32);
        self.emit(Ev::NestedInject, |p| {
            p.u32(code).u64(0).u64(0).u32(0).u32(4).u32(isa);
        });
        let v = &mut self.vcpus[vcpu];
        v.active = None;
        v.reflecting = true;
        let l1 = v.guest;
        self.guests[l1].gif = false;
        self.guests[l1].user = false;
        self.guests[l1].rip = 0xFFFF_FFFF_C04E_C20C;
        let hypervisor = self.guests[nested].hypervisor;
        let work = self.chance.between(1_000, 4_000);
        let run = |ns| Op::Run { ns, user: false };
        let ops = &mut self.procs[hypervisor].ops;
        ops.extend([
            run(400),
            Op::Exit(Exit::SaveState),
            run(300),
            Op::Exit(Exit::LoadState),
            run(300),
            Op::Gif,
            run(work),
        ]);
        match exit {
            Exit::Deadline(time) => {
                ops.push_back(Op::Rearm);
                let timers = &mut self.guests[l1].timers;
                timers.retain(|Reverse((_, timer))| *timer != Timer::Nested(nested));
                timers.push(Reverse((time, Timer::Nested(nested))));
            }
            Exit::Halt => ops.push_back(Op::Block("timer")),
            _ => {}
        }
    }
}
