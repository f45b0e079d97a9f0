//! What KVM does about an exit, and the events of it (arch/x86/kvm/x86.c, lapic.c, svm/svm.c).

use super::Sim;
use super::interrupt::APIC_FUNCTION;
use super::jobs::cause;
use super::model::{Context, Exit, Irq, Job, Ns, Signal};
use super::switch::ASLEEP;
use super::vcpu::apic_timer_address;
use crate::trace::Ev;
use crate::{Injection, Isa};

/// Registers of virtio-mmio devices: queue notification and interrupt status
/// (include/uapi/linux/virtio_mmio.h), the network's device and the disk's.
pub(super) const NET_REGISTER: u64 = 0xFEB0_2C50;
pub(super) const DISK_REGISTER: u64 = 0xFEB0_2E50;
pub(super) const DISK_STATUS: u64 = 0xFEB0_2E60;

/// MSRs (arch/x86/include/asm/msr-index.h, apicdef.h): TSC deadline, x2APIC ICR and EOI, debug.
const TSC_DEADLINE: u32 = 0x6e0;
const X2APIC_ICR: u32 = 0x830;
const X2APIC_EOI: u32 = 0x80b;
const DEBUGCTL: u32 = 0x1d9;

/// `KVM_EXIT_MMIO` and `KVM_EXIT_IOAPIC_EOI` (include/uapi/linux/kvm.h).
const EXIT_MMIO: u32 = 6;
const EXIT_IOAPIC_EOI: u32 = 26;

/// Guest TSC ticks per nanosecond, times ten.
const TSC_PER_10_NS: u64 = 26;

impl Sim<'_> {
    /// Handles an exit whose events up to the handler are emitted.
    pub(super) fn handle(&mut self, vcpu: usize, exit: Exit) {
        if let (Some(nested), false) = (self.vcpus[vcpu].active, matches!(exit, Exit::RunNested(_)))
        {
            return self.handle_nested(vcpu, nested, exit);
        }
        match exit {
            Exit::Interrupt | Exit::Window => {}
            Exit::Halt => return self.halt(vcpu),
            Exit::Deadline(time) => self.program_timer(vcpu, time),
            Exit::ReadMsr => {
                self.msr(0, DEBUGCTL, 0);
                self.decode(vcpu);
            }
            Exit::Eoi(vec) => {
                self.eoi(vcpu, vec);
                // The I/O APIC is the VMM's (split irqchip) and it had asked to be told.
                if self.chance.happens(0.5) {
                    return self.leave_kernel(vcpu, EXIT_IOAPIC_EOI, "ioapic-eoi");
                }
            }
            Exit::Ipi(target) => self.ipi(vcpu, target),
            Exit::Cpuid { leaf, .. } => {
                self.emit(Ev::KvmCpuid, |p| {
                    p.u32(leaf)
                        .u64(13)
                        .u64(0x6874_7541)
                        .u64(0x444D_4163)
                        .u64(0x6974_6E65);
                });
                self.decode(vcpu);
            }
            Exit::Page => self.page_fault(0x0761_3000, 4),
            Exit::KickDisk(proc) => self.kick_device(vcpu, proc, DISK_REGISTER),
            Exit::KickNet(proc) => self.kick_device(vcpu, proc, NET_REGISTER),
            Exit::ReadDevice => return self.read_device(vcpu),
            Exit::LoadCr3(proc) => self.load_cr3(vcpu, proc),
            Exit::SaveState | Exit::LoadState => self.decode(vcpu),
            Exit::RunNested(nested) => self.run_nested(vcpu, nested),
        }
        self.plan_enter(vcpu);
    }

    fn halt(&mut self, vcpu: usize) {
        self.decode(vcpu);
        let v = &self.vcpus[vcpu];
        if !v.pending.is_empty() || v.timer_pending {
            return self.plan_enter(vcpu);
        }
        self.vcpus[vcpu].halted = true;
        self.switch(ASLEEP);
    }

    fn program_timer(&mut self, vcpu: usize, time: Ns) {
        let timer = apic_timer_address(vcpu);
        if self.vcpus[vcpu].timer_armed {
            self.emit(Ev::HrtimerCancel, |p| {
                p.u64(timer);
            });
        }
        let v = &mut self.vcpus[vcpu];
        v.timer_generation += 1;
        let generation = v.timer_generation;
        v.timer_armed = time > self.at;
        if time > self.at {
            let expires = self.monotonic(time);
            // HRTIMER_MODE_ABS_HARD
            self.hrtimer_starts(timer, APIC_FUNCTION, expires, 8);
            let time = time.max(self.at + 1);
            self.push(time, super::model::Action::ApicTimer { vcpu, generation });
        } else {
            self.vcpus[vcpu].timer_pending = true;
        }
        self.msr(
            1,
            TSC_DEADLINE,
            self.monotonic(time) as u64 * TSC_PER_10_NS / 10,
        );
        self.decode(vcpu);
    }

    fn msr(&mut self, write: u32, ecx: u32, data: u64) {
        self.emit(Ev::KvmMsr, |p| {
            p.u32(write).u32(ecx).u64(data).u8(0);
        });
    }

    fn eoi(&mut self, vcpu: usize, vec: u8) {
        let apic = self.vcpus[vcpu].index;
        self.emit(Ev::KvmApic, |p| {
            p.u32(1).u32(0xb0).u32(0);
        });
        self.emit(Ev::KvmEoi, |p| {
            p.u32(apic).i32(i32::from(vec));
        });
        self.msr(1, X2APIC_EOI, 0);
        self.decode(vcpu);
    }

    fn ipi(&mut self, vcpu: usize, target: usize) {
        let irq = Irq {
            signal: Signal::Reschedule,
            at: 0,
            by: self.vcpus[vcpu].lane.key,
        };
        let vec = u32::from(super::jobs::vector(irq.signal));
        let apic = self.vcpus[target].index;
        self.emit(Ev::KvmApicIpi, |p| {
            p.u32(vec).u32(apic);
        });
        self.accept(target, irq, 0);
        self.notify(target, cause(irq.signal));
        if self.scenario.dialect.injection == Injection::Injected {
            self.emit(Ev::KvmApic, |p| {
                p.u32(1).u32(0x300).u32(vec);
            });
            self.msr(1, X2APIC_ICR, u64::from(apic) << 32 | u64::from(vec));
        }
        self.decode(vcpu);
    }

    fn page_fault(&mut self, address: u64, error: u32) {
        // The stock probe's fields are shifted: a pointer, then the low half of the address.
        let shifted = self.scenario.dialect.stock;
        let (address, error) = if shifted {
            (0xFFFF_8881_8D3A_0000, address as u32)
        } else {
            (address, error)
        };
        self.emit(Ev::KvmPageFault, |p| {
            p.u64(address).u32(error);
        });
    }

    /// The events of an access to a device's register, up to the access itself.
    fn touch_device(&mut self, vcpu: usize, register: u64, write: u8) {
        // On VMX such pages are misconfigured, and no fault is told.
        if self.scenario.dialect.isa == Isa::Svm {
            self.page_fault(register, 12 | u32::from(write) << 1);
        }
        self.emulate(vcpu);
        self.emit(Ev::KvmMatchMmio, |p| {
            p.u64(0xFFFF_C900_0000_0000 | (register & 0xfff))
                .u64(register)
                .u8(write)
                .u8(1);
        });
    }

    /// A virtio request: an ioeventfd wakes whoever serves the device.
    fn kick_device(&mut self, vcpu: usize, proc: usize, register: u64) {
        self.touch_device(vcpu, register, 1);
        self.emit(Ev::KvmMmio, |p| {
            p.u32(2).u32(4).u64(register).u32(4).u32(1);
        });
        let vm = &self.vms[self.vcpus[vcpu].vm];
        if register == DISK_REGISTER {
            self.give(vm.main, Job::Submit(proc), "vmm");
        } else {
            self.give(vm.net, Job::Send(proc), "vmm");
        }
    }

    fn read_device(&mut self, vcpu: usize) {
        self.touch_device(vcpu, DISK_STATUS, 0);
        self.mmio(0);
        self.vcpus[vcpu].reading = true;
        self.leave_kernel(vcpu, EXIT_MMIO, "mmio");
    }

    /// `kvm_mmio`: 0, a read not yet satisfied; 1, its value.
    pub(super) fn mmio(&mut self, kind: u32) {
        self.emit(Ev::KvmMmio, |p| {
            p.u32(kind).u32(4).u64(DISK_STATUS);
            if kind == 0 {
                p.u32(0)
            } else {
                p.u32(4).u32(1)
            };
        });
    }

    /// The guest's switch of page tables exits; it runs the other process from then on.
    fn load_cr3(&mut self, vcpu: usize, proc: usize) {
        let p = &self.procs[proc];
        let pcid = if self.scenario.dialect.pcid {
            super::processes::next_pcid(p.pcid)
        } else {
            0
        };
        let (guest, value) = (p.guest, p.cr3 | pcid);
        self.emit(Ev::KvmCr, |p| {
            p.u32(1).u32(3).u64(value);
        });
        self.switch_context(guest, Context::Proc(proc));
        self.decode(vcpu);
    }

    /// On hardware without next-RIP saving, as the test bed's, KVM decodes the instruction to step
    /// over it; VMX always knows its length.
    pub(super) fn decode(&mut self, vcpu: usize) {
        if self.scenario.dialect.isa == Isa::Svm {
            self.emulate(vcpu);
        }
    }

    /// The instruction emulator fetches and decodes (about 3.3 page table entries on average).
    fn emulate(&mut self, vcpu: usize) {
        if !self.scenario.dialect.noise {
            return;
        }
        let rip = self.guests[self.vcpus[vcpu].guest].rip;
        self.emit(Ev::PagetableWalk, |p| {
            p.u64(rip).u32(16);
        });
        let elements = if self.chance.happens(0.3) { 4 } else { 3 };
        for level in 0..elements {
            self.emit(Ev::PagingElement, |p| {
                p.u64(44_126_311 + u64::from(level)).u32(4 - level);
            });
        }
        self.emit(Ev::EmulateInsn, |p| {
            p.u64(rip).u32(0).u8(2);
            p.raw(&[
                15, 48, 102, 144, 195, 204, 204, 204, 204, 72, 193, 226, 32, 72, 137,
            ]);
            p.u8(9).u8(0);
        });
    }
}
