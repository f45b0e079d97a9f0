//! The table of events that answers rest on.

/// Why LTTng does not record it, and why others do not.
const NO_PROBE: &str = "LTTng has no probe for it";
pub(super) const ONLY_LTTNG: &str = "not by this tracer; LTTng and `virtflow record` tell it";

/// Something that events of any of these names give.
pub(super) struct Need {
    /// How to ask for it, in LTTng's names.
    pub(super) name: &'static str,
    /// How to ask perf and trace-cmd for it, by the kernel's `system:name`; empty where they cannot.
    pub(super) kernel: &'static str,
    /// How to ask perf for it, if it is no event.
    pub(super) in_perf: &'static str,
    /// Names by which a trace may have it; a trailing `*` stands for anything.
    pub(super) any_of: &'static [&'static str],
    pub(super) gives: &'static str,
    pub(super) without: &'static str,
    /// Whether it matters for a host without VMs.
    pub(super) host: bool,
    /// Why it may be missing although asked for.
    pub(super) note: &'static str,
    /// Whether LTTng as it is can record it.
    pub(super) lttng: bool,
}

const fn need(
    name: &'static str,
    any_of: &'static [&'static str],
    gives: &'static str,
    without: &'static str,
) -> Need {
    Need {
        name,
        kernel: "",
        in_perf: "",
        any_of,
        gives,
        without,
        host: false,
        note: "",
        lttng: true,
    }
}

impl Need {
    const fn kernel(mut self, kernel: &'static str) -> Self {
        self.kernel = kernel;
        self
    }

    const fn in_perf(mut self, option: &'static str) -> Self {
        self.in_perf = option;
        self
    }

    const fn host(mut self) -> Self {
        self.host = true;
        self
    }

    /// It takes a probe or a tracer of another kind.
    const fn not_lttng(mut self) -> Self {
        self.lttng = false;
        self
    }

    const fn note(mut self, note: &'static str) -> Self {
        self.note = note;
        self
    }
}

/// In the order of how much their absence hides.
pub(super) const NEEDS: &[Need] = &[
    need(
        "sched_switch",
        &["sched_switch"],
        "who has each CPU",
        "everything: no thread, vCPU or CPU has a known state",
    )
    .kernel("sched:sched_switch")
    .host(),
    need(
        "kvm_x86_exit",
        &["kvm_x86_exit", "kvm_exit"],
        "when guest code stops, and why",
        "guest time, exit reasons and halts: vCPUs are only on or off the CPU",
    )
    .kernel("kvm:kvm_exit"),
    need(
        "kvm_x86_entry",
        &["kvm_x86_entry", "kvm_entry"],
        "when guest code starts",
        "guest time and exit costs: the hypervisor's work cannot be told from the guest's",
    )
    .kernel("kvm:kvm_entry"),
    need(
        "sched_waking",
        &["sched_waking"],
        "who woke whom, and when",
        "runnable time is counted as sleep; waits lack the waker as evidence; no wake-up edges",
    )
    .kernel("sched:sched_waking")
    .host(),
    need(
        "kvm_userspace_exit",
        &["kvm_userspace_exit"],
        "when KVM returns to the VMM, and why",
        "the VMM's time is counted as the hypervisor's",
    )
    .kernel("kvm:kvm_userspace_exit"),
    need(
        "kvm_x86_inj_virq",
        &["kvm_x86_inj_virq", "kvm_inj_virq"],
        "the interrupt that ended a halt",
        "causes of waits rest on accepted vectors and wakers alone",
    )
    .kernel("kvm:kvm_inj_virq")
    .note("also absent where interrupts are posted by the hardware (APICv, AVIC)"),
    need(
        "kvm_x86_apic_accept_irq",
        &[
            "kvm_x86_apic_accept_irq",
            "kvm_apic_accept_irq",
            "kvm_x86_apicv_accept_irq",
            "kvm_apicv_accept_irq",
        ],
        "which vector a vCPU got first, and from whom",
        "disk, network and IPI vectors cannot be learnt: fewer waits have a cause",
    )
    .kernel("kvm:kvm_apic_accept_irq, kvm:kvm_apicv_accept_irq"),
    need(
        "kvm_set_irq, kvm_msi_set_irq",
        &["kvm_set_irq", "kvm_msi_set_irq"],
        "which device raised an interrupt",
        "disk waits cannot be told from network waits",
    )
    .kernel("kvm:kvm_set_irq, kvm:kvm_msi_set_irq"),
    need(
        "vcpu_enter_guest",
        &[
            "vcpu_enter_guest",
            "virtflow_vcpu_enter",
            "addons_vcpu_enter_guest",
        ],
        "the guest's CR3: which guest process runs",
        "guest processes, kernel and idle time of guests",
    )
    .note("not part of the kernel: `virtflow record`, or a probe of its own; see the README")
    .not_lttng(),
    need(
        "vcpu_exit_guest",
        &["vcpu_exit_guest", "virtflow_vcpu_exit"],
        "the guest's CR3 and privilege at the exit",
        "fewer guest processes are proved; user and kernel time are told by RIP alone",
    )
    .note("a probe of its own; with rsp and fs_base it tells threads, kernel and idle")
    .not_lttng(),
    need(
        "kvm_x86_nested_vmrun",
        &[
            "kvm_x86_nested_vmrun",
            "kvm_nested_vmrun",
            "kvm_x86_nested_vmenter",
            "kvm_nested_vmenter",
        ],
        "when a nested guest is entered, for which of the guest's vCPUs",
        "nested VMs are told by VMRUN/VMRESUME exits alone: interrupts for L2 are not seen",
    )
    .kernel("kvm:kvm_nested_vmenter, kvm:kvm_nested_vmrun"),
    need(
        "kvm_x86_nested_vmexit_inject",
        &["kvm_x86_nested_vmexit_inject", "kvm_nested_vmexit_inject"],
        "which nested exits go to the guest's hypervisor",
        "exits handled by L0 cannot be told from those reflected to L1",
    )
    .kernel("kvm:kvm_nested_vmexit_inject"),
    need(
        "kvm_x86_nested_intr_vmexit",
        &["kvm_x86_nested_intr_vmexit", "kvm_nested_intr_vmexit"],
        "nested exits for an interrupt of the guest's hypervisor",
        "some reflected exits look handled by L0",
    )
    .kernel("kvm:kvm_nested_intr_vmexit"),
    need(
        "kvm_x86_eoi, kvm_x86_pv_eoi",
        &["kvm_x86_eoi", "kvm_eoi", "kvm_x86_pv_eoi", "kvm_pv_eoi"],
        "the end of a guest's interrupt handlers",
        "who is interrupted is told by time alone: fewer guest processes are proved",
    )
    .kernel("kvm:kvm_eoi, kvm:kvm_pv_eoi"),
    need(
        "kvm_x86_msr, kvm_x86_apic",
        &["kvm_x86_msr", "kvm_msr", "kvm_x86_apic", "kvm_apic"],
        "when a guest sets its timer, and for when",
        "a process's own timers cannot be told from the guest's ticks",
    )
    .kernel("kvm:kvm_msr, kvm:kvm_apic"),
    need(
        "kvm_x86_vcpu_match_mmio, kvm_x86_pio",
        &[
            "kvm_x86_vcpu_match_mmio",
            "vcpu_match_mmio",
            "kvm_x86_pio",
            "kvm_pio",
            "kvm_fast_mmio",
            "kvm_mmio",
        ],
        "when a guest calls a device",
        "which process asked a disk, and waits for it",
    )
    .kernel("kvm:vcpu_match_mmio, kvm:kvm_pio"),
    need(
        "kvm_x86_cpuid",
        &["kvm_x86_cpuid", "kvm_cpuid"],
        "where a program begins: C libraries ask for the processor's features",
        "a short program counts as the process whose page table it was given",
    )
    .kernel("kvm:kvm_cpuid"),
    need(
        "timer_hrtimer_expire_entry",
        &["timer_hrtimer_expire_entry", "hrtimer_expire_entry"],
        "the expiry of a guest's timer",
        "timer waits are told by their vector alone",
    )
    .kernel("timer:hrtimer_expire_entry"),
    need(
        "irq_handler_entry",
        &["irq_handler_entry"],
        "device interrupts of the host",
        "time stolen by device interrupts counts as guest or hypervisor time",
    )
    .kernel("irq:irq_handler_entry")
    .host(),
    need(
        "irq_softirq_entry",
        &["irq_softirq_entry", "softirq_entry"],
        "soft interrupts of the host",
        "time stolen by soft interrupts counts as hypervisor time",
    )
    .kernel("irq:softirq_entry")
    .host(),
    need(
        "x86_irq_vectors_*",
        &[
            "x86_irq_vectors_*",
            "irq_vectors_*",
            "local_timer_entry",
            "reschedule_entry",
        ],
        "timer and inter-processor interrupts of the host",
        "their time counts as hypervisor time; wakers in interrupts are not recognised",
    )
    .kernel("irq_vectors:local_timer_*, irq_vectors:reschedule_*, irq_vectors:call_function_*")
    .host(),
    need(
        "block_rq_complete",
        &["block_rq_complete"],
        "answers of disks",
        "disk waits cannot be told from others that the VMM's main thread ends",
    )
    .kernel("block:block_rq_complete")
    .host(),
    need(
        "block_rq_issue",
        &["block_rq_issue"],
        "requests given to disks",
        "the queues and latencies of the host's disks",
    )
    .kernel("block:block_rq_issue")
    .host(),
    need(
        "net_if_receive_skb, net_dev_xmit",
        &[
            "net_if_receive_skb",
            "netif_receive_skb",
            "net_if_rx",
            "netif_rx",
            "net_dev_queue",
            "net_dev_xmit",
        ],
        "network packets",
        "network waits cannot be told from others that the VMM's main thread ends",
    )
    .kernel("net:netif_receive_skb, net:netif_rx, net:net_dev_queue, net:net_dev_xmit")
    .host(),
    need(
        "kvm_fpu",
        &["kvm_fpu"],
        "the beginning and the end of KVM_RUN",
        "the end of the VMM's time is seen only at the next KVM event",
    )
    .kernel("kvm:kvm_fpu"),
    need(
        "kvm_vcpu_wakeup",
        &["kvm_vcpu_wakeup"],
        "KVM's halt polling",
        "halt polling counts as hypervisor time of HLT exits",
    )
    .kernel("kvm:kvm_vcpu_wakeup")
    .note(NO_PROBE)
    .not_lttng(),
    need(
        "kvm_x86_cr",
        &["kvm_x86_cr", "kvm_cr"],
        "writes of CR3 under shadow paging",
        "process switches inside one stay in the guest, without nested paging",
    )
    .kernel("kvm:kvm_cr"),
    need(
        "lttng_statedump_process_state",
        &["lttng_statedump_process_state", "PERF_RECORD_COMM"],
        "names and processes of threads that were there before",
        "VMs have no name, and threads are not joined to their process until they say so",
    )
    .host(),
    need(
        "lttng_statedump_process_pid_ns",
        &["lttng_statedump_process_pid_ns", "PERF_RECORD_NAMESPACES"],
        "which threads live in a container",
        "containers",
    )
    .in_perf("--namespaces")
    .host(),
    need(
        "sched_process_fork",
        &["sched_process_fork"],
        "new threads, and whose they are",
        "new threads belong to no process until they say so",
    )
    .kernel("sched:sched_process_fork")
    .host(),
    need(
        "sched_process_free, sched_process_exit",
        &["sched_process_free", "sched_process_exit"],
        "the end of threads",
        "a reused thread number looks like the old thread",
    )
    .kernel("sched:sched_process_free, sched:sched_process_exit")
    .host(),
];
