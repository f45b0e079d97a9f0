//! Exit reasons: their names and their classes.
//!
//! Codes are the kernel's (arch/x86/include/uapi/asm/vmx.h and svm.h); the class is what a reader
//! wants to know first and what the state machines act on.

use crate::vocab::Cause;
use virtflow_events::ExitInfo;

/// Intel VMX (`KVM_ISA_VMX`).
pub const ISA_VMX: u32 = 1;
/// AMD SVM (`KVM_ISA_SVM`).
pub const ISA_SVM: u32 = 2;

/// VMX's basic exit reason is in the low 16 bits; the rest are flags (Intel SDM 24.9.1).
const VMX_REASON_MASK: u32 = 0xffff;
/// SVM: exits by an exception are 0x40 plus its number.
const SVM_EXCEPTIONS: std::ops::Range<u32> = 0x40..0x60;

const VMX: &[(u32, &str, Cause)] = &[
    (0, "EXCEPTION_NMI", Cause::ExitFault),
    (1, "EXTERNAL_INTERRUPT", Cause::ExitIrq),
    (2, "TRIPLE_FAULT", Cause::ExitFault),
    (3, "INIT_SIGNAL", Cause::ExitOther),
    (4, "SIPI", Cause::ExitOther),
    (7, "INTERRUPT_WINDOW", Cause::ExitWindow),
    (8, "NMI_WINDOW", Cause::ExitWindow),
    (9, "TASK_SWITCH", Cause::ExitOther),
    (10, "CPUID", Cause::ExitCpuid),
    (12, "HLT", Cause::ExitHlt),
    (13, "INVD", Cause::ExitOther),
    (14, "INVLPG", Cause::ExitMem),
    (15, "RDPMC", Cause::ExitOther),
    (16, "RDTSC", Cause::ExitOther),
    (18, "VMCALL", Cause::ExitHypercall),
    (19, "VMCLEAR", Cause::ExitNested),
    (20, "VMLAUNCH", Cause::ExitNested),
    (21, "VMPTRLD", Cause::ExitNested),
    (22, "VMPTRST", Cause::ExitNested),
    (23, "VMREAD", Cause::ExitNested),
    (24, "VMRESUME", Cause::ExitNested),
    (25, "VMWRITE", Cause::ExitNested),
    (26, "VMOFF", Cause::ExitNested),
    (27, "VMON", Cause::ExitNested),
    (28, "CR_ACCESS", Cause::ExitCr),
    (29, "DR_ACCESS", Cause::ExitCr),
    (30, "IO_INSTRUCTION", Cause::ExitIo),
    (31, "MSR_READ", Cause::ExitMsr),
    (32, "MSR_WRITE", Cause::ExitMsr),
    (33, "INVALID_STATE", Cause::ExitOther),
    (34, "MSR_LOAD_FAIL", Cause::ExitOther),
    (36, "MWAIT", Cause::ExitHlt),
    (37, "MONITOR_TRAP_FLAG", Cause::ExitOther),
    (39, "MONITOR", Cause::ExitOther),
    (40, "PAUSE", Cause::ExitSpin),
    (41, "MCE_DURING_ENTRY", Cause::ExitOther),
    (43, "TPR_BELOW_THRESHOLD", Cause::ExitApic),
    (44, "APIC_ACCESS", Cause::ExitApic),
    (45, "EOI_INDUCED", Cause::ExitApic),
    (46, "GDTR_IDTR", Cause::ExitOther),
    (47, "LDTR_TR", Cause::ExitOther),
    (48, "EPT_VIOLATION", Cause::ExitMem),
    (49, "EPT_MISCONFIG", Cause::ExitMmio),
    (50, "INVEPT", Cause::ExitNested),
    (51, "RDTSCP", Cause::ExitOther),
    (52, "PREEMPTION_TIMER", Cause::ExitTimer),
    (53, "INVVPID", Cause::ExitNested),
    (54, "WBINVD", Cause::ExitOther),
    (55, "XSETBV", Cause::ExitOther),
    (56, "APIC_WRITE", Cause::ExitApic),
    (57, "RDRAND", Cause::ExitOther),
    (58, "INVPCID", Cause::ExitMem),
    (59, "VMFUNC", Cause::ExitNested),
    (60, "ENCLS", Cause::ExitOther),
    (61, "RDSEED", Cause::ExitOther),
    (62, "PML_FULL", Cause::ExitPml),
    (63, "XSAVES", Cause::ExitOther),
    (64, "XRSTORS", Cause::ExitOther),
    (67, "UMWAIT", Cause::ExitHlt),
    (68, "TPAUSE", Cause::ExitHlt),
    (74, "BUS_LOCK", Cause::ExitOther),
    (75, "NOTIFY", Cause::ExitOther),
    (77, "TDCALL", Cause::ExitOther),
    (84, "MSR_READ_IMM", Cause::ExitMsr),
    (85, "MSR_WRITE_IMM", Cause::ExitMsr),
];

const SVM: &[(u32, &str, Cause)] = &[
    (0x00, "READ_CR0", Cause::ExitCr),
    (0x03, "READ_CR3", Cause::ExitCr),
    (0x04, "READ_CR4", Cause::ExitCr),
    (0x08, "READ_CR8", Cause::ExitApic),
    (0x10, "WRITE_CR0", Cause::ExitCr),
    (0x13, "WRITE_CR3", Cause::ExitCr),
    (0x14, "WRITE_CR4", Cause::ExitCr),
    (0x18, "WRITE_CR8", Cause::ExitApic),
    (0x4e, "EXCP_PF", Cause::ExitMem),
    (0x60, "INTR", Cause::ExitIrq),
    (0x61, "NMI", Cause::ExitIrq),
    (0x62, "SMI", Cause::ExitOther),
    (0x63, "INIT", Cause::ExitOther),
    (0x64, "VINTR", Cause::ExitWindow),
    (0x65, "CR0_SEL_WRITE", Cause::ExitCr),
    (0x66, "IDTR_READ", Cause::ExitOther),
    (0x67, "GDTR_READ", Cause::ExitOther),
    (0x6a, "IDTR_WRITE", Cause::ExitOther),
    (0x6b, "GDTR_WRITE", Cause::ExitOther),
    (0x6e, "RDTSC", Cause::ExitOther),
    (0x6f, "RDPMC", Cause::ExitOther),
    (0x70, "PUSHF", Cause::ExitOther),
    (0x71, "POPF", Cause::ExitOther),
    (0x72, "CPUID", Cause::ExitCpuid),
    (0x73, "RSM", Cause::ExitOther),
    (0x74, "IRET", Cause::ExitWindow),
    (0x75, "SWINT", Cause::ExitOther),
    (0x76, "INVD", Cause::ExitOther),
    (0x77, "PAUSE", Cause::ExitSpin),
    (0x78, "HLT", Cause::ExitHlt),
    (0x79, "INVLPG", Cause::ExitMem),
    (0x7a, "INVLPGA", Cause::ExitNested),
    (0x7b, "IOIO", Cause::ExitIo),
    (0x7c, "MSR", Cause::ExitMsr),
    (0x7d, "TASK_SWITCH", Cause::ExitOther),
    (0x7e, "FERR_FREEZE", Cause::ExitOther),
    (0x7f, "SHUTDOWN", Cause::ExitFault),
    (0x80, "VMRUN", Cause::ExitNested),
    (0x81, "VMMCALL", Cause::ExitHypercall),
    (0x82, "VMLOAD", Cause::ExitNested),
    (0x83, "VMSAVE", Cause::ExitNested),
    (0x84, "STGI", Cause::ExitNested),
    (0x85, "CLGI", Cause::ExitNested),
    (0x86, "SKINIT", Cause::ExitOther),
    (0x87, "RDTSCP", Cause::ExitOther),
    (0x88, "ICEBP", Cause::ExitOther),
    (0x89, "WBINVD", Cause::ExitOther),
    (0x8a, "MONITOR", Cause::ExitOther),
    (0x8b, "MWAIT", Cause::ExitHlt),
    (0x8c, "MWAIT_COND", Cause::ExitHlt),
    (0x8d, "XSETBV", Cause::ExitOther),
    (0x8e, "RDPRU", Cause::ExitOther),
    (0x8f, "EFER_WRITE_TRAP", Cause::ExitMsr),
    (0xa2, "INVPCID", Cause::ExitMem),
    (0xa5, "BUS_LOCK", Cause::ExitOther),
    (0xa6, "IDLE_HLT", Cause::ExitHlt),
    (0x400, "NPF", Cause::ExitMem),
    (0x401, "AVIC_INCOMPLETE_IPI", Cause::ExitIpi),
    (0x402, "AVIC_UNACCELERATED_ACCESS", Cause::ExitApic),
    (0x403, "VMGEXIT", Cause::ExitOther),
    (0x8000_0004, "VMGEXIT_AP_HLT_LOOP", Cause::ExitHlt),
];

fn find(isa: u32, reason: u32) -> Option<(&'static str, Cause)> {
    let (table, reason) = if isa == ISA_VMX {
        (VMX, reason & VMX_REASON_MASK)
    } else {
        (SVM, reason)
    };
    let at = table.binary_search_by_key(&reason, |row| row.0).ok()?;
    table.get(at).map(|row| (row.1, row.2))
}

/// Codes whose class is looked up by number: nearly all.
const NEAR: usize = 0x100;

/// The classes of a table's codes below [`NEAR`].
const fn near(table: &[(u32, &str, Cause)], otherwise: Cause) -> [Cause; NEAR] {
    let mut classes = [otherwise; NEAR];
    let mut at = 0;
    while at < table.len() {
        if (table[at].0 as usize) < NEAR {
            classes[table[at].0 as usize] = table[at].2;
        }
        at += 1;
    }
    classes
}

const fn near_svm() -> [Cause; NEAR] {
    let mut classes = near(SVM, Cause::ExitOther);
    let mut code = 0;
    while code < SVM_EXCEPTIONS.end {
        if matches!(classes[code as usize], Cause::ExitOther) {
            classes[code as usize] = if code < SVM_EXCEPTIONS.start {
                Cause::ExitCr
            } else {
                Cause::ExitFault
            };
        }
        code += 1;
    }
    classes
}

static VMX_NEAR: [Cause; NEAR] = near(VMX, Cause::ExitOther);
static SVM_NEAR: [Cause; NEAR] = near_svm();

/// The class of an exit. A code that no table has is [`Cause::ExitOther`].
#[inline]
pub fn class(isa: u32, reason: u32) -> Cause {
    let (near, code) = if isa == ISA_VMX {
        (&VMX_NEAR, reason & VMX_REASON_MASK)
    } else {
        (&SVM_NEAR, reason)
    };
    match near.get(code as usize) {
        Some(class) => *class,
        None => far(isa, reason),
    }
}

#[cold]
fn far(isa: u32, reason: u32) -> Cause {
    match find(isa, reason) {
        Some((_, class)) => class,
        None if isa != ISA_VMX && SVM_EXCEPTIONS.contains(&reason) => Cause::ExitFault,
        None if isa != ISA_VMX && reason < SVM_EXCEPTIONS.start => Cause::ExitCr,
        None => Cause::ExitOther,
    }
}

/// The guest-physical address that the guest wrote to, where the exit itself tells that it is no
/// memory: on SVM, a nested page fault with the reserved bit set, which KVM gives the entries of
/// device memory (arch/x86/kvm/mmu/spte.c `make_mmio_spte`; error code bits: `PFERR_WRITE_MASK`,
/// `PFERR_RSVD_MASK`, arch/x86/include/asm/kvm_host.h).
pub(crate) const fn mmio_write(isa: u32, info: &ExitInfo) -> Option<u64> {
    const NPF: u32 = 0x400;
    const WRITE_AND_RESERVED: u64 = 0xa;
    let device = info.info1 & WRITE_AND_RESERVED == WRITE_AND_RESERVED;
    if isa == ISA_SVM && info.reason == NPF && device {
        Some(info.info2)
    } else {
        None
    }
}

/// The kernel's name of an exit; a code that no table has is shown as its number.
pub fn name(isa: u32, reason: u32) -> String {
    match find(isa, reason) {
        Some((name, _)) => name.to_owned(),
        None if isa != ISA_VMX && SVM_EXCEPTIONS.contains(&reason) => {
            format!("EXCP_{}", reason - SVM_EXCEPTIONS.start)
        }
        None if isa == ISA_VMX => format!("{reason}"),
        None => format!("{reason:#x}"),
    }
}

/// Whether the exit is a write of CR3 (VMX: exit qualification, Intel SDM table 28-3: the register
/// in bits 3 to 0, 0 in bits 5 and 4 for a move to it).
pub(crate) const fn writes_cr3(isa: u32, info: &ExitInfo) -> bool {
    const WRITE_CR3: u32 = 0x13;
    const CR_ACCESS: u32 = 28;
    if isa == ISA_VMX {
        info.reason & VMX_REASON_MASK == CR_ACCESS && info.info1 & 0x3f == 3
    } else {
        info.reason == WRITE_CR3
    }
}

/// Whether the exit is the guest's own hypervisor starting or resuming its guest.
pub fn starts_nested(isa: u32, reason: u32) -> bool {
    if isa == ISA_VMX {
        matches!(reason & VMX_REASON_MASK, 20 | 24)
    } else {
        reason == 0x80
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted() {
        assert!(VMX.is_sorted_by_key(|row| row.0));
        assert!(SVM.is_sorted_by_key(|row| row.0));
    }

    #[test]
    fn known_and_unknown_codes() {
        assert_eq!(class(ISA_VMX, 12), Cause::ExitHlt);
        assert_eq!(class(ISA_VMX, 0x8000_0000 | 33), Cause::ExitOther);
        assert_eq!(class(ISA_SVM, 0x78), Cause::ExitHlt);
        assert_eq!(class(ISA_SVM, 0x400), Cause::ExitMem);
        assert_eq!(class(ISA_SVM, 0x4d), Cause::ExitFault);
        assert_eq!(class(ISA_SVM, 0x21), Cause::ExitCr);
        for (isa, table) in [(ISA_VMX, VMX), (ISA_SVM, SVM)] {
            for &(code, _, of) in table {
                assert_eq!(class(isa, code), of, "{isa} {code:#x}");
            }
        }
        for code in 0..0x500 {
            assert_eq!(class(ISA_SVM, code), far(ISA_SVM, code), "{code:#x}");
            assert_eq!(class(ISA_VMX, code), far(ISA_VMX, code), "{code}");
        }
        assert_eq!(name(ISA_SVM, 0x4d), "EXCP_13");
        assert_eq!(name(ISA_SVM, 0x777), "0x777");
        assert_eq!(name(ISA_VMX, 999), "999");
        let exit = |reason, info1| ExitInfo {
            reason,
            isa: None,
            rip: None,
            info1,
            info2: 0,
            vcpu: None,
            intr_info: 0,
        };
        assert!(writes_cr3(ISA_SVM, &exit(0x13, 0)) && writes_cr3(ISA_VMX, &exit(28, 0x303)));
        assert!(!writes_cr3(ISA_SVM, &exit(0x14, 0)) && !writes_cr3(ISA_VMX, &exit(28, 0x313)));
        assert!(!writes_cr3(ISA_VMX, &exit(28, 4)) && !writes_cr3(ISA_VMX, &exit(30, 3)));
        assert!(starts_nested(ISA_VMX, 24) && starts_nested(ISA_SVM, 0x80));
    }
}
