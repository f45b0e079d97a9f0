//! Events that move no state machine, so that nobody needs to decode them for the model.

/// By the first of their names in `virtflow_events`' alias table, in order.
const UNREAD: &[&str] = &[
    "io_uring_complete",
    "io_uring_submit_req",
    "irq_softirq_raise",
    "kvm_ack_irq",
    "kvm_async_pf_not_present",
    "kvm_async_pf_ready",
    "kvm_halt_poll_ns",
    "kvm_ioapic_set_irq",
    "kvm_x86_avic_ga_log",
    "kvm_x86_avic_incomplete_ipi",
    "kvm_x86_hv_timer_state",
    "kvm_x86_hypercall",
    "kvm_x86_inj_exception",
    "kvm_x86_page_fault",
    "kvm_x86_ple_window_update",
    "kvm_x86_wait_lapic_expire",
    "kvm_x86_write_tsc_offset",
    "lttng_statedump_cpu_topology",
    "lttng_statedump_file_descriptor",
    "lttng_statedump_interrupt",
    "lttng_statedump_network_interface",
    "power_cpu_idle",
    "sched_pi_setprio",
    "sched_process_wait",
    "signal_deliver",
    "signal_generate",
    "syscall_entry_",
    "syscall_exit_",
    "timer_hrtimer_cancel",
    "timer_hrtimer_start",
];

/// Whether events of this kind say anything to the model, besides what their contexts say.
pub fn reads(kind: &str) -> bool {
    UNREAD.binary_search(&kind).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_sorted_and_known_by_these_names() {
        assert!(UNREAD.is_sorted());
        for &name in UNREAD {
            assert_eq!(virtflow_events::kind(name), Some(name));
            assert!(!reads(name));
        }
        assert!(reads("sched_switch") && reads("kvm_x86_exit"));
    }
}
