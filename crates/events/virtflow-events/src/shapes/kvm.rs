//! Events of KVM for x86, and of the probes beside it.

use super::Shape;
use crate::kernel::KernelEvent as K;
use std::num::NonZeroU64;

/// KVM for x86.
/// All of the registers are known (VIRTFLOW_KNOWS_ALL of kmod/virtflow_vmx_trace.h).
const MODULE_KNOWS_ALL: u32 = 31;

pub(super) const KVM: &[Shape] = &[
    shape!(
        ["kvm_x86_entry", "kvm_entry"],
        &["?vcpu_id", "?rip", "?intr_info"],
        |s| {
            Some(K::KvmEntry {
                vcpu: s.u32_opt(0),
                rip: s.u64_opt(1),
                intr_info: s.u32_opt(2),
            })
        }
    ),
    shape!(
        ["kvm_x86_exit", "kvm_exit"],
        &[
            "exit_reason",
            "?isa",
            "?guest_rip",
            "?info1",
            "?info2",
            "?vcpu_id",
            "?intr_info"
        ],
        |s| Some(K::KvmExit(s.exit()))
    ),
    shape!(
        ["kvm_x86_inj_virq", "kvm_inj_virq"],
        &["irq|vector", "?reinjected"],
        |s| {
            Some(K::KvmInjVirq {
                vector: s.u8(0),
                reinjected: s.u64_opt(1).map(|v| v != 0),
            })
        }
    ),
    shape!(
        ["kvm_x86_inj_exception", "kvm_inj_exception"],
        &["exception"],
        |s| Some(K::KvmInjException { exception: s.u8(0) })
    ),
    shape!(
        ["kvm_x86_apic_accept_irq", "kvm_apic_accept_irq"],
        &["apicid", "dm", "vec"],
        |s| Some(K::KvmApicAccept(s.accept(false)))
    ),
    shape!(
        ["kvm_x86_apicv_accept_irq", "kvm_apicv_accept_irq"],
        &["apicid", "dm", "vec"],
        |s| Some(K::KvmApicAccept(s.accept(true)))
    ),
    shape!(
        ["kvm_x86_apic_ipi", "kvm_apic_ipi"],
        &["icr_low", "dest_id"],
        |s| Some(K::KvmApicIpi {
            icr_low: s.u32(0),
            dest_id: s.u32(1)
        })
    ),
    shape!(["kvm_x86_apic", "kvm_apic"], &["rw", "reg", "val"], |s| {
        Some(K::KvmApic {
            write: s.flag(0),
            reg: s.u32(1),
            val: s.u64(2),
        })
    }),
    shape!(
        ["kvm_x86_eoi", "kvm_eoi", "kvm_x86_pv_eoi", "kvm_pv_eoi"],
        &["apicid", "vector"],
        |s| Some(K::KvmEoi {
            apic_id: s.u32(0),
            vector: s.u32(1)
        })
    ),
    shape!(["kvm_x86_msr", "kvm_msr"], &["write", "ecx", "data"], |s| {
        Some(K::KvmMsr {
            write: s.flag(0),
            msr: s.u32(1),
            data: s.u64(2),
        })
    }),
    shape!(["kvm_x86_cr", "kvm_cr"], &["rw", "cr", "val"], |s| Some(
        K::KvmCr {
            write: s.flag(0),
            cr: s.u32(1),
            val: s.u64(2)
        }
    )),
    shape!(["kvm_x86_pio", "kvm_pio"], &["rw", "port", "size"], |s| {
        Some(K::KvmPio {
            write: s.flag(0),
            port: s.u32(1),
            size: s.u32(2),
        })
    }),
    shape!(["kvm_mmio"], &["type", "len", "gpa"], |s| Some(
        K::KvmMmio {
            kind: s.u32(0),
            len: s.u32(1),
            gpa: s.u64(2)
        }
    )),
    shape!(["kvm_fast_mmio"], &["gpa"], |s| Some(K::KvmFastMmio {
        gpa: s.u64(0)
    })),
    shape!(
        ["kvm_x86_vcpu_match_mmio", "vcpu_match_mmio"],
        &["gpa", "write"],
        |s| {
            Some(K::KvmMatchMmio {
                gpa: s.u64(0),
                write: s.flag(1),
            })
        }
    ),
    shape!(["kvm_x86_cpuid", "kvm_cpuid"], &["function"], |s| Some(
        K::KvmCpuid { function: s.u32(0) }
    )),
    shape!(
        ["kvm_x86_hypercall", "kvm_hypercall"],
        &["nr", "?a0", "?a1"],
        |s| Some(K::KvmHypercall {
            nr: s.u64(0),
            a0: s.u64(1),
            a1: s.u64(2)
        })
    ),
    shape!(
        ["kvm_x86_page_fault", "kvm_page_fault"],
        &["fault_address", "error_code"],
        |s| Some(K::KvmPageFault {
            address: s.u64(0),
            error_code: s.u64(1)
        })
    ),
    shape!(["kvm_msi_set_irq"], &["address", "data"], |s| Some(
        K::KvmMsiSetIrq {
            address: s.u64(0),
            data: s.u64(1)
        }
    )),
    shape!(["kvm_set_irq"], &["gsi", "level"], |s| Some(K::KvmSetIrq {
        gsi: s.u32(0),
        level: s.i32(1)
    })),
    shape!(["kvm_ioapic_set_irq"], &["pin", "?e"], |s| Some(
        K::KvmIoapicSetIrq {
            pin: s.u32(0),
            entry: s.u64(1)
        }
    )),
    shape!(["kvm_ack_irq"], &["irqchip", "pin"], |s| Some(
        K::KvmAckIrq {
            irqchip: s.u32(0),
            pin: s.u32(1)
        }
    )),
    shape!(["kvm_userspace_exit"], &["reason", "?errno"], |s| Some(
        K::KvmUserspaceExit {
            reason: s.u32(0),
            errno: s.i32(1)
        }
    )),
    shape!(["kvm_vcpu_wakeup"], &["ns", "waited", "?valid"], |s| Some(
        K::KvmVcpuWakeup {
            ns: s.u64(0),
            waited: s.flag(1),
            valid: s.flag(2)
        }
    )),
    shape!(
        ["kvm_halt_poll_ns"],
        &["grow", "vcpu_id", "new", "old"],
        |s| {
            Some(K::KvmHaltPollNs {
                grow: s.flag(0),
                vcpu: s.u32(1),
                new: s.u32(2),
                old: s.u32(3),
            })
        }
    ),
    shape!(["kvm_fpu"], &["load"], |s| Some(K::KvmFpu {
        load: s.flag(0)
    })),
    shape!(
        ["kvm_x86_write_tsc_offset", "kvm_write_tsc_offset"],
        &["vcpu_id", "previous_tsc_offset", "next_tsc_offset"],
        |s| {
            Some(K::KvmWriteTscOffset {
                vcpu: s.u32(0),
                previous: s.u64(1),
                next: s.u64(2),
            })
        }
    ),
    shape!(
        ["kvm_x86_hv_timer_state", "kvm_hv_timer_state"],
        &["vcpu_id", "hv_timer_in_use"],
        |s| Some(K::KvmHvTimerState {
            vcpu: s.u32(0),
            in_use: s.flag(1)
        })
    ),
    shape!(
        ["kvm_x86_pi_irte_update", "kvm_pi_irte_update"],
        &["host_irq", "vcpu_id", "gsi", "gvec", "set"],
        |s| {
            Some(K::KvmPiIrteUpdate {
                host_irq: s.u32(0),
                vcpu: s.u32(1),
                gsi: s.u32(2),
                vector: s.u32(3),
                set: s.flag(4),
            })
        }
    ),
    shape!(
        ["kvm_x86_avic_incomplete_ipi", "kvm_avic_incomplete_ipi"],
        &["vcpu", "icrh", "icrl", "id"],
        |s| {
            Some(K::KvmAvicIncompleteIpi {
                vcpu: s.u32(0),
                icr_high: s.u32(1),
                icr_low: s.u32(2),
                id: s.u32(3),
            })
        }
    ),
    shape!(
        ["kvm_x86_avic_ga_log", "kvm_avic_ga_log"],
        &["vmid", "vcpuid"],
        |s| Some(K::KvmAvicGaLog {
            vm: s.u32(0),
            vcpu: s.u32(1)
        })
    ),
    shape!(["kvm_async_pf_not_present"], &["token"], |s| Some(
        K::KvmAsyncPfNotPresent { token: s.u64(0) }
    )),
    shape!(["kvm_async_pf_ready"], &["token"], |s| Some(
        K::KvmAsyncPfReady { token: s.u64(0) }
    )),
    shape!(
        ["kvm_x86_ple_window_update", "kvm_ple_window_update"],
        &["vcpu_id", "new", "old"],
        |s| {
            Some(K::KvmPleWindow {
                vcpu: s.u32(0),
                new: s.u32(1),
                old: s.u32(2),
            })
        }
    ),
    shape!(
        ["kvm_x86_wait_lapic_expire", "kvm_wait_lapic_expire"],
        &["vcpu_id", "delta"],
        |s| Some(K::KvmWaitLapicExpire {
            vcpu: s.u32(0),
            delta: s.i64(1)
        })
    ),
    shape!(
        [
            "kvm_x86_nested_vmrun",
            "kvm_nested_vmrun",
            "kvm_x86_nested_vmenter",
            "kvm_nested_vmenter"
        ],
        &["rip", "vmcb", "nested_rip", "event_inj", "?guest_pgd"],
        |s| {
            Some(K::KvmNestedEnter {
                rip: s.u64(0),
                vmcb: s.u64(1),
                nested_rip: s.u64(2),
                event_inj: s.u32(3),
                guest_pgd: s.u64_opt(4),
            })
        }
    ),
    shape!(
        ["kvm_x86_nested_vmexit", "kvm_nested_vmexit"],
        &["exit_code|exit_reason", "?isa", "?rip|guest_rip"],
        |s| {
            Some(K::KvmNestedExit {
                exit: s.u32(0),
                isa: s.u32_opt(1),
                rip: s.u64(2),
            })
        }
    ),
    shape!(
        ["kvm_x86_nested_vmexit_inject", "kvm_nested_vmexit_inject"],
        &["exit_code", "?exit_int_info", "?isa"],
        |s| {
            Some(K::KvmNestedExitInject {
                exit: s.u32(0),
                int_info: s.u32(1),
                isa: s.u32_opt(2),
            })
        }
    ),
    shape!(
        ["kvm_x86_nested_intr_vmexit", "kvm_nested_intr_vmexit"],
        &["rip"],
        |s| Some(K::KvmNestedIntrExit { rip: s.u64(0) })
    ),
    shape!(
        ["vcpu_enter_guest", "virtflow_vcpu_enter"],
        &[
            "vcpu_id",
            "cr3",
            "rip",
            "guest_mode",
            "?l1_cr3",
            "?vmcb12|vmcs12",
            "vm_pid",
            "?rsp",
            "?fs_base",
            "?known"
        ],
        |s| {
            let known = s.u32_opt(9);
            known
                .is_none_or(|known| known == MODULE_KNOWS_ALL)
                .then(|| K::VcpuEnterGuest {
                    vcpu: s.u32(0),
                    cr3: s.u64(1),
                    rip: s.u64(2),
                    guest_mode: s.flag(3),
                    l1_cr3: NonZeroU64::new(s.u64(4)),
                    block: NonZeroU64::new(s.u64(5)),
                    vm_pid: s.tid(6),
                    stack: s.stack(7, 8),
                })
        }
    ),
    shape!(
        ["addons_vcpu_enter_guest"],
        &[
            "vcpuID|vcpu_id",
            "cr3tmp|cr3",
            "?sptmp|rsp",
            "?iptmp|rip",
            "?fs_base"
        ],
        |s| {
            Some(K::AddonsVcpuEnterGuest {
                vcpu: s.u32(0),
                cr3: s.u64(1),
                rip: s.u64_opt(3),
                stack: s.stack(2, 4),
            })
        }
    ),
    shape!(
        ["vcpu_exit_guest", "virtflow_vcpu_exit"],
        &[
            "vcpu_id",
            "cr3",
            "cpl",
            "guest_mode",
            "?rsp",
            "?fs_base",
            "?known"
        ],
        |s| {
            let known = s.u32_opt(6);
            known
                .is_none_or(|known| known == MODULE_KNOWS_ALL)
                .then(|| K::VcpuExitGuest {
                    vcpu: s.u32(0),
                    cr3: s.u64(1),
                    cpl: s.u8(2),
                    guest_mode: s.flag(3),
                    stack: s.stack(4, 5),
                })
        }
    ),
];
