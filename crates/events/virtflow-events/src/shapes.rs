//! The alias table: which event of which tracer and kernel is which [`KernelEvent`], and what its
//! fields are called there.
//!
//! A [`Shape`] is bound by the names in a trace's own metadata, never by a version number. Names
//! are Linux's (include/trace/events, arch/x86/kvm/trace.h), LTTng's since 2016 (`kvm_x86_*`,
//! `timer_hrtimer_*`) and LTTng's before that.

use crate::kernel::{
    ApicAccept, BlockRequest, ExitInfo, GuestStack, KernelEvent as K, NamespaceKind, NetPacket,
};
use crate::text::Text;
use virtflow_base::{CpuId, Tid};
use virtflow_ctf::EventView;

/// How one kind of event is called, what it must have, and how it is built.
pub(crate) struct Shape {
    /// Every name it goes by.
    pub(crate) names: &'static [&'static str],
    /// One slot each: alternatives separated by `|`; a leading `?` makes the slot optional.
    pub(crate) fields: &'static [&'static str],
    /// Builds the event from its slots; `None` where a value cannot be what it should be.
    pub(crate) build: fn(&Slots<'_, '_>) -> Option<K>,
}

impl Shape {
    /// The first of its names.
    pub(crate) const fn name(&self) -> &'static str {
        match self.names {
            [first, ..] => first,
            [] => VECTORS,
        }
    }
}

/// The slots of one event, as the kernel's types.
pub(crate) struct Slots<'a, 'b>(pub(crate) &'a EventView<'b>);

impl Slots<'_, '_> {
    fn u64(&self, slot: usize) -> u64 {
        self.0.u64(slot).unwrap_or(0)
    }
    fn u64_opt(&self, slot: usize) -> Option<u64> {
        self.0.u64(slot)
    }
    fn u32(&self, slot: usize) -> u32 {
        self.u64(slot) as u32
    }
    fn u32_opt(&self, slot: usize) -> Option<u32> {
        self.0.u64(slot).map(|v| v as u32)
    }
    fn u8(&self, slot: usize) -> u8 {
        self.u64(slot) as u8
    }
    fn i64(&self, slot: usize) -> i64 {
        self.u64(slot) as i64
    }
    fn i32(&self, slot: usize) -> i32 {
        self.u64(slot) as i32
    }
    fn i16(&self, slot: usize) -> i16 {
        self.u64(slot) as i16
    }
    fn flag(&self, slot: usize) -> bool {
        self.u64(slot) != 0
    }
    fn tid(&self, slot: usize) -> Tid {
        Tid(self.i32(slot))
    }
    fn tid_opt(&self, slot: usize) -> Option<Tid> {
        self.0.u64(slot).map(|v| Tid(v as i32))
    }
    fn cpu(&self, slot: usize) -> CpuId {
        CpuId(self.u32(slot))
    }
    fn text<const N: usize>(&self, slot: usize) -> Text<N> {
        self.0.bytes(slot).map_or_else(Text::default, Text::new)
    }
    fn stack(&self, rsp: usize, fs_base: usize) -> GuestStack {
        GuestStack::new(self.u64_opt(rsp), self.u64_opt(fs_base))
    }
    fn exit(&self) -> ExitInfo {
        ExitInfo {
            reason: self.u32(0),
            isa: self.u32_opt(1),
            rip: self.u64_opt(2),
            info1: self.u64(3),
            info2: self.u64(4),
            vcpu: self.u32_opt(5),
            intr_info: self.u32(6),
        }
    }
    fn accept(&self, posted: bool) -> ApicAccept {
        ApicAccept {
            apic_id: self.u32(0),
            delivery_mode: self.u32(1) as u16,
            vector: self.u8(2),
            posted,
        }
    }
    fn block(&self) -> BlockRequest {
        BlockRequest {
            dev: self.u32(0),
            sector: self.u64(1),
            sectors: self.u32(2),
            tid: self.tid_opt(3),
        }
    }
    fn packet(&self) -> NetPacket {
        NetPacket {
            skb: self.u64(0),
            len: self.u32(1),
            device: self.text(2),
        }
    }
    fn namespace(&self, kind: NamespaceKind) -> K {
        K::StatedumpNamespace {
            tid: self.tid(0),
            kind,
            inum: self.u32(1),
            level: self.u32(2),
        }
    }
}

const WAKE: &[&str] = &["tid|pid", "target_cpu", "?comm"];
const BLOCK: &[&str] = &["dev", "sector", "nr_sector", "?tid"];
const PACKET: &[&str] = &["skbaddr", "len", "?name"];
const NAMESPACE: &[&str] = &["tid", "ns_inum", "?ns_level"];

macro_rules! shape {
    ($names:expr, $fields:expr, $build:expr) => {
        Shape {
            names: &$names,
            fields: &$fields,
            build: $build,
        }
    };
}

/// Scheduler, interrupts, timers, power, signals.
const SCHED: &[Shape] = &[
    shape!(
        ["sched_switch"],
        [
            "prev_tid|prev_pid",
            "next_tid|next_pid",
            "?prev_state",
            "?prev_comm",
            "?next_comm",
            "?next_prio"
        ],
        |s| {
            Some(K::SchedSwitch {
                prev: s.tid(0),
                next: s.tid(1),
                prev_state: s.u32(2),
                prev_comm: s.text(3),
                next_comm: s.text(4),
                next_prio: s.i16(5),
            })
        }
    ),
    Shape {
        names: &["sched_waking"],
        fields: WAKE,
        build: |s| {
            Some(K::SchedWaking {
                tid: s.tid(0),
                target_cpu: s.cpu(1),
                comm: s.text(2),
            })
        },
    },
    Shape {
        names: &["sched_wakeup"],
        fields: WAKE,
        build: |s| {
            Some(K::SchedWakeup {
                tid: s.tid(0),
                target_cpu: s.cpu(1),
                comm: s.text(2),
            })
        },
    },
    Shape {
        names: &["sched_wakeup_new"],
        fields: WAKE,
        build: |s| {
            Some(K::SchedWakeupNew {
                tid: s.tid(0),
                target_cpu: s.cpu(1),
                comm: s.text(2),
            })
        },
    },
    shape!(
        ["sched_migrate_task"],
        ["tid|pid", "orig_cpu", "dest_cpu"],
        |s| {
            Some(K::SchedMigrate {
                tid: s.tid(0),
                orig_cpu: s.cpu(1),
                dest_cpu: s.cpu(2),
            })
        }
    ),
    shape!(
        ["sched_process_fork"],
        [
            "parent_tid|parent_pid",
            "child_tid|child_pid",
            "?parent_pid",
            "?child_pid",
            "?child_comm",
            "?child_ns_inum"
        ],
        |s| {
            Some(K::ProcessFork {
                parent: s.tid(0),
                child: s.tid(1),
                parent_pid: s.tid_opt(2),
                child_pid: s.tid_opt(3),
                child_comm: s.text(4),
                child_ns: s.u32_opt(5),
            })
        }
    ),
    shape!(
        ["sched_process_exec"],
        ["tid|pid", "old_tid|old_pid"],
        |s| Some(K::ProcessExec {
            tid: s.tid(0),
            old_tid: s.tid(1)
        })
    ),
    shape!(["sched_process_exit"], ["tid|pid"], |s| Some(
        K::ProcessExit { tid: s.tid(0) }
    )),
    shape!(["sched_process_free"], ["tid|pid"], |s| Some(
        K::ProcessFree { tid: s.tid(0) }
    )),
    shape!(["sched_process_wait"], ["tid|pid"], |s| Some(
        K::ProcessWait { tid: s.tid(0) }
    )),
    shape!(
        ["sched_pi_setprio"],
        ["tid|pid", "oldprio", "newprio"],
        |s| {
            Some(K::PiSetprio {
                tid: s.tid(0),
                old_prio: s.i16(1),
                new_prio: s.i16(2),
            })
        }
    ),
    shape!(["irq_handler_entry"], ["irq", "?name"], |s| Some(
        K::IrqEntry {
            irq: s.i32(0),
            name: s.text(1)
        }
    )),
    shape!(["irq_handler_exit"], ["irq"], |s| Some(K::IrqExit {
        irq: s.i32(0)
    })),
    shape!(["irq_softirq_entry", "softirq_entry"], ["vec"], |s| Some(
        K::SoftirqEntry { vec: s.u32(0) }
    )),
    shape!(["irq_softirq_exit", "softirq_exit"], ["vec"], |s| Some(
        K::SoftirqExit { vec: s.u32(0) }
    )),
    shape!(["irq_softirq_raise", "softirq_raise"], ["vec"], |s| Some(
        K::SoftirqRaise { vec: s.u32(0) }
    )),
    shape!(
        ["timer_hrtimer_start", "hrtimer_start"],
        ["hrtimer", "function", "?expires"],
        |s| {
            Some(K::HrtimerStart {
                hrtimer: s.u64(0),
                function: s.u64(1),
                expires: s.i64(2),
            })
        }
    ),
    shape!(
        ["timer_hrtimer_cancel", "hrtimer_cancel"],
        ["hrtimer"],
        |s| Some(K::HrtimerCancel { hrtimer: s.u64(0) })
    ),
    shape!(
        ["timer_hrtimer_expire_entry", "hrtimer_expire_entry"],
        ["hrtimer", "function", "?now"],
        |s| {
            Some(K::HrtimerExpireEntry {
                hrtimer: s.u64(0),
                function: s.u64(1),
                now: s.i64(2),
            })
        }
    ),
    shape!(
        ["timer_hrtimer_expire_exit", "hrtimer_expire_exit"],
        ["hrtimer"],
        |s| Some(K::HrtimerExpireExit { hrtimer: s.u64(0) })
    ),
    shape!(
        ["power_cpu_frequency", "cpu_frequency"],
        ["state", "cpu_id"],
        |s| Some(K::CpuFrequency {
            khz: s.u32(0),
            cpu: s.cpu(1)
        })
    ),
    shape!(["power_cpu_idle", "cpu_idle"], ["state", "cpu_id"], |s| {
        Some(K::CpuIdle {
            state: s.u32(0),
            cpu: s.cpu(1),
        })
    }),
    shape!(["signal_generate"], ["sig", "pid", "?comm"], |s| Some(
        K::SignalGenerate {
            sig: s.i32(0),
            pid: s.tid(1),
            comm: s.text(2)
        }
    )),
    shape!(["signal_deliver"], ["sig"], |s| Some(K::SignalDeliver {
        sig: s.i32(0)
    })),
    shape!(
        ["io_uring_submit_req", "io_uring_submit_sqe"],
        ["ctx", "opcode"],
        |s| Some(K::IoUringSubmit {
            ctx: s.u64(0),
            opcode: s.u8(1)
        })
    ),
    shape!(["io_uring_complete"], ["ctx", "res"], |s| Some(
        K::IoUringComplete {
            ctx: s.u64(0),
            res: s.i32(1)
        }
    )),
];

/// Block devices and the network.
const DEVICES: &[Shape] = &[
    Shape {
        names: &["block_bio_queue"],
        fields: BLOCK,
        build: |s| Some(K::BlockBioQueue(s.block())),
    },
    Shape {
        names: &["block_rq_insert"],
        fields: BLOCK,
        build: |s| Some(K::BlockInsert(s.block())),
    },
    Shape {
        names: &["block_rq_issue"],
        fields: BLOCK,
        build: |s| Some(K::BlockIssue(s.block())),
    },
    Shape {
        names: &["block_rq_complete"],
        fields: BLOCK,
        build: |s| Some(K::BlockComplete(s.block())),
    },
    Shape {
        names: &["net_dev_queue"],
        fields: PACKET,
        build: |s| Some(K::NetQueue(s.packet())),
    },
    Shape {
        names: &["net_dev_xmit"],
        fields: PACKET,
        build: |s| Some(K::NetXmit(s.packet())),
    },
    Shape {
        names: &["net_if_receive_skb", "netif_receive_skb"],
        fields: PACKET,
        build: |s| Some(K::NetReceive(s.packet())),
    },
    Shape {
        names: &["net_if_rx", "netif_rx"],
        fields: PACKET,
        build: |s| Some(K::NetRx(s.packet())),
    },
    shape!(["napi_poll"], ["dev_name"], |s| Some(K::NapiPoll {
        device: s.text(0)
    })),
];

/// KVM for x86.
const KVM: &[Shape] = &[
    shape!(
        ["kvm_x86_entry", "kvm_entry"],
        ["?vcpu_id", "?rip", "?intr_info"],
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
        [
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
        ["irq|vector", "?reinjected"],
        |s| {
            Some(K::KvmInjVirq {
                vector: s.u8(0),
                reinjected: s.u64_opt(1).map(|v| v != 0),
            })
        }
    ),
    shape!(
        ["kvm_x86_inj_exception", "kvm_inj_exception"],
        ["exception"],
        |s| Some(K::KvmInjException { exception: s.u8(0) })
    ),
    shape!(
        ["kvm_x86_apic_accept_irq", "kvm_apic_accept_irq"],
        ["apicid", "dm", "vec"],
        |s| Some(K::KvmApicAccept(s.accept(false)))
    ),
    shape!(
        ["kvm_x86_apicv_accept_irq", "kvm_apicv_accept_irq"],
        ["apicid", "dm", "vec"],
        |s| Some(K::KvmApicAccept(s.accept(true)))
    ),
    shape!(
        ["kvm_x86_apic_ipi", "kvm_apic_ipi"],
        ["icr_low", "dest_id"],
        |s| Some(K::KvmApicIpi {
            icr_low: s.u32(0),
            dest_id: s.u32(1)
        })
    ),
    shape!(
        ["kvm_x86_apic", "kvm_apic"],
        ["rw", "reg", "val"],
        |s| Some(K::KvmApic {
            write: s.flag(0),
            reg: s.u32(1),
            val: s.u64(2)
        })
    ),
    shape!(
        ["kvm_x86_eoi", "kvm_eoi", "kvm_x86_pv_eoi", "kvm_pv_eoi"],
        ["apicid", "vector"],
        |s| Some(K::KvmEoi {
            apic_id: s.u32(0),
            vector: s.u32(1)
        })
    ),
    shape!(["kvm_x86_msr", "kvm_msr"], ["write", "ecx", "data"], |s| {
        Some(K::KvmMsr {
            write: s.flag(0),
            msr: s.u32(1),
            data: s.u64(2),
        })
    }),
    shape!(["kvm_x86_cr", "kvm_cr"], ["rw", "cr", "val"], |s| Some(
        K::KvmCr {
            write: s.flag(0),
            cr: s.u32(1),
            val: s.u64(2)
        }
    )),
    shape!(
        ["kvm_x86_pio", "kvm_pio"],
        ["rw", "port", "size"],
        |s| Some(K::KvmPio {
            write: s.flag(0),
            port: s.u32(1),
            size: s.u32(2)
        })
    ),
    shape!(["kvm_mmio"], ["type", "len", "gpa"], |s| Some(K::KvmMmio {
        kind: s.u32(0),
        len: s.u32(1),
        gpa: s.u64(2)
    })),
    shape!(["kvm_fast_mmio"], ["gpa"], |s| Some(K::KvmFastMmio {
        gpa: s.u64(0)
    })),
    shape!(
        ["kvm_x86_vcpu_match_mmio", "vcpu_match_mmio"],
        ["gpa", "write"],
        |s| {
            Some(K::KvmMatchMmio {
                gpa: s.u64(0),
                write: s.flag(1),
            })
        }
    ),
    shape!(["kvm_x86_cpuid", "kvm_cpuid"], ["function"], |s| Some(
        K::KvmCpuid { function: s.u32(0) }
    )),
    shape!(
        ["kvm_x86_hypercall", "kvm_hypercall"],
        ["nr", "?a0", "?a1"],
        |s| Some(K::KvmHypercall {
            nr: s.u64(0),
            a0: s.u64(1),
            a1: s.u64(2)
        })
    ),
    shape!(
        ["kvm_x86_page_fault", "kvm_page_fault"],
        ["fault_address", "error_code"],
        |s| Some(K::KvmPageFault {
            address: s.u64(0),
            error_code: s.u64(1)
        })
    ),
    shape!(["kvm_msi_set_irq"], ["address", "data"], |s| Some(
        K::KvmMsiSetIrq {
            address: s.u64(0),
            data: s.u64(1)
        }
    )),
    shape!(["kvm_set_irq"], ["gsi", "level"], |s| Some(K::KvmSetIrq {
        gsi: s.u32(0),
        level: s.i32(1)
    })),
    shape!(["kvm_ioapic_set_irq"], ["pin", "?e"], |s| Some(
        K::KvmIoapicSetIrq {
            pin: s.u32(0),
            entry: s.u64(1)
        }
    )),
    shape!(["kvm_ack_irq"], ["irqchip", "pin"], |s| Some(
        K::KvmAckIrq {
            irqchip: s.u32(0),
            pin: s.u32(1)
        }
    )),
    shape!(["kvm_userspace_exit"], ["reason", "?errno"], |s| Some(
        K::KvmUserspaceExit {
            reason: s.u32(0),
            errno: s.i32(1)
        }
    )),
    shape!(["kvm_vcpu_wakeup"], ["ns", "waited", "?valid"], |s| Some(
        K::KvmVcpuWakeup {
            ns: s.u64(0),
            waited: s.flag(1),
            valid: s.flag(2)
        }
    )),
    shape!(
        ["kvm_halt_poll_ns"],
        ["grow", "vcpu_id", "new", "old"],
        |s| {
            Some(K::KvmHaltPollNs {
                grow: s.flag(0),
                vcpu: s.u32(1),
                new: s.u32(2),
                old: s.u32(3),
            })
        }
    ),
    shape!(["kvm_fpu"], ["load"], |s| Some(K::KvmFpu {
        load: s.flag(0)
    })),
    shape!(
        ["kvm_x86_write_tsc_offset", "kvm_write_tsc_offset"],
        ["vcpu_id", "previous_tsc_offset", "next_tsc_offset"],
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
        ["vcpu_id", "hv_timer_in_use"],
        |s| Some(K::KvmHvTimerState {
            vcpu: s.u32(0),
            in_use: s.flag(1)
        })
    ),
    shape!(
        ["kvm_x86_pi_irte_update", "kvm_pi_irte_update"],
        ["host_irq", "vcpu_id", "gsi", "gvec", "set"],
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
        ["vcpu", "icrh", "icrl", "id"],
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
        ["vmid", "vcpuid"],
        |s| Some(K::KvmAvicGaLog {
            vm: s.u32(0),
            vcpu: s.u32(1)
        })
    ),
    shape!(["kvm_async_pf_not_present"], ["token"], |s| Some(
        K::KvmAsyncPfNotPresent { token: s.u64(0) }
    )),
    shape!(["kvm_async_pf_ready"], ["token"], |s| Some(
        K::KvmAsyncPfReady { token: s.u64(0) }
    )),
    shape!(
        ["kvm_x86_ple_window_update", "kvm_ple_window_update"],
        ["vcpu_id", "new", "old"],
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
        ["vcpu_id", "delta"],
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
        ["rip", "vmcb", "nested_rip", "event_inj", "?guest_pgd"],
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
    Shape {
        names: &["kvm_x86_nested_vmexit", "kvm_nested_vmexit"],
        fields: &["exit_code|exit_reason", "?isa", "?rip|guest_rip"],
        build: |s| {
            Some(K::KvmNestedExit {
                exit: s.u32(0),
                isa: s.u32_opt(1),
                rip: s.u64(2),
            })
        },
    },
    shape!(
        ["kvm_x86_nested_vmexit_inject", "kvm_nested_vmexit_inject"],
        ["exit_code", "?exit_int_info", "?isa"],
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
        ["rip"],
        |s| Some(K::KvmNestedIntrExit { rip: s.u64(0) })
    ),
    shape!(
        ["vcpu_enter_guest"],
        [
            "vcpu_id",
            "cr3",
            "rip",
            "guest_mode",
            "l1_cr3",
            "vmcb12",
            "vm_pid",
            "?rsp",
            "?fs_base"
        ],
        |s| {
            Some(K::VcpuEnterGuest {
                vcpu: s.u32(0),
                cr3: s.u64(1),
                rip: s.u64(2),
                guest_mode: s.flag(3),
                l1_cr3: s.u64(4),
                vmcb12: s.u64(5),
                vm_pid: s.tid(6),
                stack: s.stack(7, 8),
            })
        }
    ),
    shape!(
        ["addons_vcpu_enter_guest"],
        [
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
        ["vcpu_exit_guest"],
        ["vcpu_id", "cr3", "cpl", "guest_mode", "?rsp", "?fs_base"],
        |s| {
            Some(K::VcpuExitGuest {
                vcpu: s.u32(0),
                cr3: s.u64(1),
                cpl: s.u8(2),
                guest_mode: s.flag(3),
                stack: s.stack(4, 5),
            })
        }
    ),
];

/// LTTng's state dump.
const STATEDUMP: &[Shape] = &[
    shape!(["lttng_statedump_start"], [], |_| Some(K::StatedumpStart)),
    shape!(["lttng_statedump_end"], [], |_| Some(K::StatedumpEnd)),
    shape!(
        ["lttng_statedump_process_state"],
        ["tid", "pid", "ppid", "?type", "?status", "?cpu", "?name"],
        |s| {
            Some(K::StatedumpProcess {
                tid: s.tid(0),
                pid: s.tid(1),
                ppid: s.tid(2),
                kind: s.u32(3),
                status: s.u32(4),
                cpu: s.cpu(5),
                comm: s.text(6),
            })
        }
    ),
    Shape {
        names: &["lttng_statedump_process_pid_ns"],
        fields: NAMESPACE,
        build: |s| Some(s.namespace(NamespaceKind::Pid)),
    },
    Shape {
        names: &["lttng_statedump_process_mnt_ns"],
        fields: NAMESPACE,
        build: |s| Some(s.namespace(NamespaceKind::Mnt)),
    },
    Shape {
        names: &["lttng_statedump_process_net_ns"],
        fields: NAMESPACE,
        build: |s| Some(s.namespace(NamespaceKind::Net)),
    },
    Shape {
        names: &["lttng_statedump_process_ipc_ns"],
        fields: NAMESPACE,
        build: |s| Some(s.namespace(NamespaceKind::Ipc)),
    },
    Shape {
        names: &["lttng_statedump_process_uts_ns"],
        fields: NAMESPACE,
        build: |s| Some(s.namespace(NamespaceKind::Uts)),
    },
    Shape {
        names: &["lttng_statedump_process_user_ns"],
        fields: NAMESPACE,
        build: |s| Some(s.namespace(NamespaceKind::User)),
    },
    Shape {
        names: &["lttng_statedump_process_cgroup_ns"],
        fields: NAMESPACE,
        build: |s| Some(s.namespace(NamespaceKind::Cgroup)),
    },
    Shape {
        names: &["lttng_statedump_process_time_ns"],
        fields: NAMESPACE,
        build: |s| Some(s.namespace(NamespaceKind::Time)),
    },
    shape!(
        ["lttng_statedump_interrupt"],
        ["irq", "?name", "?action"],
        |s| {
            Some(K::StatedumpInterrupt {
                irq: s.u32(0),
                name: s.text(1),
                action: s.text(2),
            })
        }
    ),
    shape!(["lttng_statedump_block_device"], ["dev", "diskname"], |s| {
        Some(K::StatedumpBlockDevice {
            dev: s.u32(0),
            name: s.text(1),
        })
    }),
    shape!(["lttng_statedump_network_interface"], ["name"], |s| Some(
        K::StatedumpNetworkInterface { name: s.text(0) }
    )),
    shape!(["lttng_statedump_cpu_topology"], ["cpu_id"], |s| Some(
        K::StatedumpCpuTopology { cpu: s.cpu(0) }
    )),
    shape!(
        ["lttng_statedump_file_descriptor"],
        ["fd", "filename"],
        |s| Some(K::StatedumpFileDescriptor {
            fd: s.i32(0),
            filename: s.text(1)
        })
    ),
];

/// LTTng's one event per host vector: `x86_irq_vectors_local_timer_entry` and its like.
const VECTORS: &str = "x86_irq_vectors_*";
const VECTOR_PREFIXES: [&str; 2] = ["x86_irq_vectors_", "irq_vectors_"];
const VECTOR_ENTRY: Shape = shape!([], ["vector"], |s| Some(K::VectorEntry {
    vector: s.u32(0)
}));
const VECTOR_EXIT: Shape = shape!([], ["vector"], |s| Some(K::VectorExit { vector: s.u32(0) }));

const TABLES: [&[Shape]; 4] = [SCHED, DEVICES, KVM, STATEDUMP];

/// The shape of the event called `name`, if it is one the model can use.
pub(crate) fn find(name: &str) -> Option<&'static Shape> {
    static ENTRY: Shape = VECTOR_ENTRY;
    static EXIT: Shape = VECTOR_EXIT;
    if VECTOR_PREFIXES
        .iter()
        .any(|prefix| name.starts_with(prefix))
    {
        return match name.rsplit_once('_')?.1 {
            "entry" => Some(&ENTRY),
            "exit" => Some(&EXIT),
            _ => None,
        };
    }
    TABLES
        .into_iter()
        .flatten()
        .find(|shape| shape.names.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_stands_once() {
        let mut names: Vec<_> = TABLES.into_iter().flatten().flat_map(|s| s.names).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn vectors_share_a_shape() {
        assert!(find("x86_irq_vectors_local_timer_entry").is_some());
        assert!(find("x86_irq_vectors_local_timer_exit").is_some());
        assert!(find("kvm_mmu_get_page").is_none());
    }
}
