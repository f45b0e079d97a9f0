//! Leaving a guest: exit codes, the events of an exit, and what CR3 reads.

use super::Sim;
use super::model::{Exit, Mode};
use crate::trace::Ev;
use crate::{Injection, Isa, Probe};

/// SVM's exit code and VMX's basic exit reason of an exit (arch/x86/include/uapi/asm/svm.h
/// `SVM_EXIT_*`, arch/x86/include/uapi/asm/vmx.h `EXIT_REASON_*`).
const fn codes(exit: Exit) -> (u32, u32) {
    match exit {
        Exit::Interrupt => (0x060, 1),
        Exit::Window => (0x064, 7),
        Exit::Halt => (0x078, 12),
        Exit::Deadline(_) | Exit::Eoi(_) | Exit::Ipi(_) => (0x07c, 32),
        Exit::ReadMsr => (0x07c, 31),
        Exit::Cpuid { .. } => (0x072, 10),
        Exit::Page => (0x400, 48),
        Exit::KickDisk(_) | Exit::KickNet(_) | Exit::ReadDevice => (0x400, 49),
        Exit::LoadCr3(_) => (0x013, 28),
        Exit::SaveState => (0x083, 23),
        Exit::LoadState => (0x082, 25),
        Exit::RunNested(_) => (0x080, 24),
    }
}

/// With virtual APICs, an IPI's ICR write exits as such: SVM_EXIT_AVIC_INCOMPLETE_IPI,
/// EXIT_REASON_APIC_WRITE.
const POSTED_IPI: (u32, u32) = (0x401, 56);

impl Sim<'_> {
    /// The exit code in the dialect's ISA.
    pub(super) fn code(&self, exit: Exit) -> u32 {
        let posted = self.scenario.dialect.injection == Injection::Posted;
        let (svm, vmx) = match exit {
            Exit::Ipi(_) if posted => POSTED_IPI,
            exit => codes(exit),
        };
        if self.scenario.dialect.isa == Isa::Vmx {
            vmx
        } else {
            svm
        }
    }

    /// A class of exits, as far as the code alone tells it.
    pub(super) fn class(&self, exit: Exit) -> &'static str {
        let vmx = self.scenario.dialect.isa == Isa::Vmx;
        let posted = self.scenario.dialect.injection == Injection::Posted;
        match exit {
            Exit::Interrupt => "irq",
            Exit::Window => "window",
            Exit::Halt => "hlt",
            Exit::Ipi(_) if posted => {
                if vmx {
                    "apic"
                } else {
                    "ipi"
                }
            }
            Exit::Deadline(_) | Exit::Eoi(_) | Exit::Ipi(_) | Exit::ReadMsr => "msr",
            Exit::Cpuid { .. } => "cpuid",
            Exit::Page => "mem",
            Exit::KickDisk(_) | Exit::KickNet(_) | Exit::ReadDevice => {
                if vmx {
                    "mmio"
                } else {
                    "mem"
                }
            }
            Exit::LoadCr3(_) => "cr",
            Exit::SaveState | Exit::LoadState | Exit::RunNested(_) => "nested",
        }
    }

    /// What the hardware (or, with shadow paging, KVM) holds as the guest's CR3. With page table
    /// isolation (arch/x86/entry/calling.h) user mode has bits 12 and 11 set; PCIDs are the low
    /// bits, from 1 up (arch/x86/mm/tlb.c `kern_pcid`).
    pub(super) fn cr3(&self, guest: usize) -> u64 {
        let g = &self.guests[guest];
        let proc = &self.procs[g.loaded];
        let user = g.user && self.scenario.dialect.pti;
        let pcid = if self.scenario.dialect.pcid {
            proc.pcid
        } else {
            0
        };
        let tagged_user = user && self.scenario.dialect.pcid;
        proc.cr3 | u64::from(user) << 12 | pcid | u64::from(tagged_user) << 11
    }

    /// The events of an exit up to where KVM handles it.
    pub(super) fn leave_guest(&mut self, vcpu: usize, exit: Exit) {
        self.threads[self.vcpus[vcpu].thread].generation += 1;
        let nested = self.vcpus[vcpu].active;
        let guest = self.active(vcpu);
        self.tell_eoi(vcpu);
        let rip = self.stop_at(guest, exit);
        let isa = self.scenario.dialect.isa as u32;
        let (code, id) = (self.code(exit), self.vcpus[vcpu].index);
        let (info1, info2) = info(exit);
        let vec = u32::from(std::mem::take(&mut self.vcpus[vcpu].injected));
        self.emit(Ev::KvmExit, |p| {
            p.u32(code)
                .u64(rip)
                .u32(isa)
                .u64(info1)
                .u64(info2)
                .u32(vec)
                .u32(0)
                .u32(id);
        });
        let (cr3, user) = (self.cr3(guest), self.guests[guest].user);
        let (rsp, fs) = (self.stack(guest), self.fs_base(guest));
        self.vcpus[vcpu].mode = Mode::Kvm(self.class(exit));
        match (exit, nested) {
            (Exit::RunNested(n), None) => {
                self.vcpus[vcpu].active = Some(n);
                // Only before its first run: later its timer ended the halt.
                self.end_nested_halt(n, "timer");
            }
            (Exit::Halt, Some(n)) => self.guests[n].halted = true,
            (Exit::KickDisk(proc) | Exit::KickNet(proc), _) => self.procs[proc].requested = self.at,
            _ => {}
        }
        self.refresh(vcpu);
        if self.scenario.dialect.probe == Probe::TestBed {
            let stacks = self.scenario.dialect.stacks;
            let event = if stacks {
                Ev::VcpuExitStack
            } else {
                Ev::VcpuExit
            };
            self.emit(event, |p| {
                p.u32(id).u64(cr3).u8(if user { 3 } else { 0 });
                p.u8(u8::from(nested.is_some()));
                if stacks {
                    p.u64(rsp).u64(fs);
                }
            });
        }
        if nested.is_some() {
            // The kernel passes (vcpu, isa) where the stock probe expects the fields.
            let stock = self.scenario.dialect.stock;
            let (rip, code) = if stock {
                (0xFFFF_8881_8D3A_0000, isa)
            } else {
                (rip, code)
            };
            self.emit(Ev::NestedVmexit, |p| {
                p.u64(rip)
                    .u32(code)
                    .u64(info1)
                    .u64(info2)
                    .u32(0)
                    .u32(0)
                    .u32(isa);
            });
        }
    }

    /// Paravirtual EOIs are noticed at the exit after them, just before its event.
    fn tell_eoi(&mut self, vcpu: usize) {
        if self.vcpus[vcpu].active.is_some() {
            return;
        }
        if let Some(vec) = self.vcpus[vcpu].eoi.take() {
            let apic = self.vcpus[vcpu].index;
            self.emit(Ev::KvmEoi, |p| {
                p.u32(apic).i32(i32::from(vec));
            });
            self.emit(Ev::KvmPvEoi, |p| {
                p.u32(apic).i32(i32::from(vec));
            });
        }
    }

    /// Where the guest is: its instruction if one exits, else anywhere.
    fn stop_at(&mut self, guest: usize, exit: Exit) -> u64 {
        let anywhere = u64::from(self.chance.bits() & 0xffff);
        let rip = match exit {
            Exit::Halt => 0xFFFF_FFFF_81A5_92EA,
            Exit::Deadline(_) | Exit::Ipi(_) => 0xFFFF_FFFF_8107_E914,
            Exit::ReadMsr => 0xFFFF_FFFF_8107_E7C3,
            Exit::Eoi(_) => 0xFFFF_FFFF_8107_5059,
            Exit::RunNested(_) => 0xFFFF_FFFF_C04E_C209,
            Exit::LoadState => 0xFFFF_FFFF_C04E_C190,
            Exit::SaveState => 0xFFFF_FFFF_C04E_C279,
            // Programs are loaded anywhere, by whole pages.
            Exit::Cpuid { place, .. } => 0x7F00_0000_0000 + (anywhere << 12 | u64::from(place)),
            _ if self.guests[guest].user => 0x40_1000 + anywhere,
            _ => 0xFFFF_FFFF_8100_0000 + anywhere,
        };
        self.guests[guest].rip = rip;
        rip
    }
}

/// `exit_info_1` and `exit_info_2` (SVM), near enough to VMX's qualification.
const fn info(exit: Exit) -> (u64, u64) {
    match exit {
        Exit::Deadline(_) | Exit::Eoi(_) | Exit::Ipi(_) => (1, 0),
        Exit::KickDisk(_) => (0x1_0000_000E, super::handlers::DISK_REGISTER),
        Exit::KickNet(_) => (0x1_0000_000E, super::handlers::NET_REGISTER),
        Exit::ReadDevice => (0x1_0000_000C, super::handlers::DISK_STATUS),
        Exit::Page => (0x1_0000_0004, 0x0761_3000),
        _ => (0, 0),
    }
}
