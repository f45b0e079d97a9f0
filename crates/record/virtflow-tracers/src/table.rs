//! What is recorded: every event that the model reads and that some tracer can record.
//!
//! The kernel's names are those of `include/trace/events` and of arch/x86/kvm/trace.h, behind their
//! system; LTTng's those of lttng-modules 2.13 (`include/instrumentation/events`).

use crate::Tracer;

/// What an event is recorded for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Threads and processors; always needed.
    Sched,
    /// Interrupts and timers.
    Irq,
    /// Disks.
    Block,
    /// Packets.
    Net,
    /// Frequencies.
    Power,
    /// KVM.
    Kvm,
    /// The guests' CR3, by probes of one's own.
    Cr3,
}

impl Group {
    /// What is typed above the commands for it.
    pub(crate) const fn says(self) -> &'static str {
        match self {
            Self::Sched => "who runs, who wakes whom, threads that come and go",
            Self::Irq => "interrupts and timers of the host",
            Self::Block => "disks",
            Self::Net => "packets",
            Self::Power => "frequencies",
            Self::Kvm => "guests: entries, exits, interrupts, devices, nested VMs",
            Self::Cr3 => "the guests' CR3, if you have probes for it: the README says which",
        }
    }
}

/// An event, and what it is called.
#[derive(Debug)]
pub struct Event {
    /// What it is recorded for.
    pub group: Group,
    /// As the kernel calls it, `system:name`: the first that is there is taken, the newest name
    /// stands first. None where only LTTng has it.
    pub kernel: &'static [&'static str],
    /// As LTTng calls it, likewise. None where LTTng has no probe, or a bad one.
    pub lttng: &'static [&'static str],
    /// Whether its group says nothing without it.
    pub base: bool,
    /// Whether the kernel does not let perf record it.
    pub not_perf: bool,
}

impl Event {
    /// Its names for a tracer.
    pub const fn names(&self, tracer: Tracer) -> &'static [&'static str] {
        match tracer {
            Tracer::Lttng => self.lttng,
            Tracer::Perf if self.not_perf => &[],
            Tracer::TraceCmd | Tracer::Perf => self.kernel,
        }
    }
}

macro_rules! events {
    ($($group:ident [$($kernel:literal)*] [$($lttng:literal)*] $($but:ident)?;)*) => {
        &[$(Event {
            group: Group::$group,
            kernel: &[$($kernel),*],
            lttng: &[$($lttng),*],
            ..events!(@ $($but)?)
        }),*]
    };
    (@) => { PLAIN };
    (@ base) => { Event { base: true, ..PLAIN } };
    (@ not_perf) => { Event { not_perf: true, ..PLAIN } };
}

const PLAIN: Event = Event {
    group: Group::Sched,
    kernel: &[],
    lttng: &[],
    base: false,
    not_perf: false,
};

/// All of them, by group.
///
/// LTTng's `kvm_mmio` is left out: its probe of 2.13 crashes the vCPU's thread at a read that is not
/// satisfied (Linux 6.1). perf may not record `irq_work_exit`, as it makes such work itself
/// (arch/x86/include/asm/trace/irq_vectors.h); the entry alone would never end. The guests' CR3 is
/// told by the module virtflow_vmx (`kmod/`), and to LTTng by probes of one's own.
pub const EVENTS: &[Event] = events! {
    Sched ["sched:sched_switch"] ["sched_switch"] base;
    Sched ["sched:sched_waking" "sched:sched_wakeup"] ["sched_waking" "sched_wakeup"];
    Sched ["sched:sched_wakeup_new"] ["sched_wakeup_new"];
    Sched ["sched:sched_migrate_task"] ["sched_migrate_task"];
    Sched ["sched:sched_process_fork"] ["sched_process_fork"];
    Sched ["sched:sched_process_exec"] ["sched_process_exec"];
    Sched ["sched:sched_process_exit"] ["sched_process_exit"];
    Sched ["sched:sched_process_free"] ["sched_process_free"];
    Sched [] ["lttng_statedump_start"];
    Sched [] ["lttng_statedump_end"];
    Sched [] ["lttng_statedump_process_state"];
    Sched [] ["lttng_statedump_process_pid_ns"];
    Irq ["irq:irq_handler_entry"] ["irq_handler_entry"];
    Irq ["irq:irq_handler_exit"] ["irq_handler_exit"];
    Irq ["irq:softirq_entry"] ["irq_softirq_entry"];
    Irq ["irq:softirq_exit"] ["irq_softirq_exit"];
    Irq ["irq_vectors:local_timer_entry"] ["x86_irq_vectors_local_timer_entry"];
    Irq ["irq_vectors:local_timer_exit"] ["x86_irq_vectors_local_timer_exit"];
    Irq ["irq_vectors:reschedule_entry"] ["x86_irq_vectors_reschedule_entry"];
    Irq ["irq_vectors:reschedule_exit"] ["x86_irq_vectors_reschedule_exit"];
    Irq ["irq_vectors:call_function_single_entry"] ["x86_irq_vectors_call_function_single_entry"];
    Irq ["irq_vectors:call_function_single_exit"] ["x86_irq_vectors_call_function_single_exit"];
    Irq ["irq_vectors:call_function_entry"] ["x86_irq_vectors_call_function_entry"];
    Irq ["irq_vectors:call_function_exit"] ["x86_irq_vectors_call_function_exit"];
    Irq ["irq_vectors:irq_work_entry"] ["x86_irq_vectors_irq_work_entry"] not_perf;
    Irq ["irq_vectors:irq_work_exit"] ["x86_irq_vectors_irq_work_exit"] not_perf;
    Irq ["timer:hrtimer_expire_entry"] ["timer_hrtimer_expire_entry"];
    Irq ["timer:hrtimer_expire_exit"] ["timer_hrtimer_expire_exit"];
    Block ["block:block_rq_insert"] ["block_rq_insert"];
    Block ["block:block_rq_issue"] ["block_rq_issue"];
    Block ["block:block_rq_requeue"] ["block_rq_requeue"];
    Block ["block:block_rq_complete"] ["block_rq_complete"];
    Block [] ["lttng_statedump_block_device"];
    Net ["net:net_dev_queue"] ["net_dev_queue"];
    Net ["net:net_dev_xmit"] ["net_dev_xmit"];
    Net ["net:netif_receive_skb"] ["net_if_receive_skb"];
    Net ["net:netif_rx"] ["net_if_rx"];
    Net ["napi:napi_poll"] ["napi_poll"];
    Power ["power:cpu_frequency"] ["power_cpu_frequency"];
    Kvm ["kvm:kvm_entry"] ["kvm_x86_entry" "kvm_entry"] base;
    Kvm ["kvm:kvm_exit"] ["kvm_x86_exit" "kvm_exit"] base;
    Kvm ["kvm:kvm_userspace_exit"] ["kvm_userspace_exit"];
    Kvm ["kvm:kvm_vcpu_wakeup"] [];
    Kvm ["kvm:kvm_fpu"] ["kvm_fpu"];
    Kvm ["kvm:kvm_cpuid"] ["kvm_x86_cpuid" "kvm_cpuid"];
    Kvm ["kvm:kvm_inj_virq"] ["kvm_x86_inj_virq" "kvm_inj_virq"];
    Kvm ["kvm:kvm_apic_accept_irq"] ["kvm_x86_apic_accept_irq" "kvm_apic_accept_irq"];
    Kvm ["kvm:kvm_apicv_accept_irq"] [];
    Kvm ["kvm:kvm_apic_ipi"] ["kvm_x86_apic_ipi" "kvm_apic_ipi"];
    Kvm ["kvm:kvm_apic"] ["kvm_x86_apic" "kvm_apic"];
    Kvm ["kvm:kvm_eoi"] ["kvm_x86_eoi" "kvm_eoi"];
    Kvm ["kvm:kvm_pv_eoi"] ["kvm_x86_pv_eoi" "kvm_pv_eoi"];
    Kvm ["kvm:kvm_msr"] ["kvm_x86_msr" "kvm_msr"];
    Kvm ["kvm:kvm_set_irq"] ["kvm_set_irq"];
    Kvm ["kvm:kvm_msi_set_irq"] ["kvm_msi_set_irq"];
    Kvm ["kvm:kvm_pi_irte_update"] [];
    Kvm ["kvm:kvm_pio"] ["kvm_x86_pio" "kvm_pio"];
    Kvm ["kvm:vcpu_match_mmio"] ["kvm_x86_vcpu_match_mmio" "vcpu_match_mmio"];
    Kvm ["kvm:kvm_mmio"] [];
    Kvm ["kvm:kvm_fast_mmio"] [];
    Kvm ["kvm:kvm_cr"] ["kvm_x86_cr" "kvm_cr"];
    Kvm ["kvm:kvm_hypercall"] ["kvm_x86_hypercall" "kvm_hypercall"];
    Kvm ["kvm:kvm_write_tsc_offset"] ["kvm_x86_write_tsc_offset" "kvm_write_tsc_offset"];
    Kvm ["kvm:kvm_nested_vmenter" "kvm:kvm_nested_vmrun"] ["kvm_x86_nested_vmrun" "kvm_nested_vmrun"];
    Kvm ["kvm:kvm_nested_vmexit_inject"] ["kvm_x86_nested_vmexit_inject" "kvm_nested_vmexit_inject"];
    Kvm ["kvm:kvm_nested_intr_vmexit"] ["kvm_x86_nested_intr_vmexit" "kvm_nested_intr_vmexit"];
    Cr3 ["virtflow:virtflow_vcpu_enter"] ["vcpu_enter_guest" "addons_vcpu_enter_guest"];
    Cr3 ["virtflow:virtflow_vcpu_exit"] ["vcpu_exit_guest"];
};

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_well_formed_and_stand_once() {
        let mut seen = HashSet::new();
        for event in EVENTS {
            for name in event.kernel {
                let (system, event) = name.split_once(':').unwrap();
                assert!(!system.is_empty() && !event.is_empty());
            }
            assert!(!event.kernel.is_empty() || !event.lttng.is_empty());
            for name in event.kernel.iter().chain(event.lttng) {
                assert!(seen.insert(*name), "{name}");
                let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
                assert!(name.chars().all(plain), "{name}");
            }
        }
    }

    /// Commands have one list for each group.
    #[test]
    fn groups_stand_together() {
        let mut groups: Vec<_> = EVENTS.iter().map(|event| event.group).collect();
        groups.dedup();
        assert_eq!(groups.len(), 7);
    }
}
