//! What states and causes are called in a text for people.

use virtflow_query::{Cause, State, Taker, TakerKind};

/// Why, in words.
pub(crate) const fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::None => "not told",
        Cause::Timer => "timer",
        Cause::Task => "another task",
        Cause::Disk => "disk",
        Cause::Net => "network",
        Cause::Vfio => "assigned device (VFIO)",
        Cause::Console => "console or slow device",
        Cause::Spinlock => "para-virtual spinlock",
        Cause::HostMemory => "memory from the host",
        Cause::HostIo => "work of the VMM",
        Cause::VmmKick => "kick by the VMM",
        Cause::Nmi => "NMI",
        Cause::Idle => "idle (timer, no work)",
        Cause::Lost => "events were lost",
        Cause::NotRecorded => "not recorded",
        Cause::NoEvidence => "no event tells",
        Cause::Ambiguous => "events disagree",
        Cause::Irq => "hard interrupts",
        Cause::Softirq => "soft interrupts",
        Cause::Uninterruptible => "uninterruptible",
        Cause::ExitHlt => "halt (HLT)",
        Cause::ExitIrq => "host interrupt",
        Cause::ExitWindow => "interrupt window",
        Cause::ExitIpi => "inter-processor int.",
        Cause::ExitTimer => "guest timer",
        Cause::ExitApic => "virtual APIC",
        Cause::ExitIo => "port I/O",
        Cause::ExitMmioFast => "doorbell (fast MMIO)",
        Cause::ExitMmio => "memory-mapped I/O",
        Cause::ExitMem => "memory (page faults)",
        Cause::ExitSpin => "spinning (PAUSE)",
        Cause::ExitHypercall => "hypercall",
        Cause::ExitNested => "nested virtualisation",
        Cause::ExitCpuid => "CPUID",
        Cause::ExitMsr => "MSR access",
        Cause::ExitCr => "control register",
        Cause::ExitPml => "dirty log full (PML)",
        Cause::ExitFault => "exception",
        Cause::ExitOther => "other reasons",
        Cause::VmmIo => "port I/O",
        Cause::VmmMmio => "memory-mapped I/O",
        Cause::VmmIntr => "signal",
        Cause::VmmHlt => "halt",
        Cause::VmmShutdown => "shutdown",
        Cause::VmmOther => "other reasons",
    }
}

/// One of the parts of a budget: states that belong together, and how to call them.
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) states: &'static [State],
}

/// Where the time of a virtual processor goes.
pub(crate) const VCPU: &[Group] = &[
    Group {
        name: "guest code",
        states: &[State::Guest],
    },
    Group {
        name: "hypervisor (KVM)",
        states: &[State::Hypervisor],
    },
    Group {
        name: "VMM (user space)",
        states: &[State::Vmm],
    },
    Group {
        name: "halt polling",
        states: &[State::HaltPoll],
    },
    Group {
        name: "halted, ended by",
        states: &[State::Halted],
    },
    Group {
        name: "pre-empted",
        states: &[State::Preempted],
    },
    Group {
        name: "runnable (woken, no CPU yet)",
        states: &[State::Runnable],
    },
    Group {
        name: "taken by host interrupts",
        states: &[State::IrqStolen],
    },
    Group {
        name: "throttled (CPU quota)",
        states: &[State::Throttled],
    },
    Group {
        name: "asleep in the host",
        states: &[State::BlockedOnHost],
    },
    Group {
        name: "unknown",
        states: &[State::Unknown],
    },
];

/// Where the time of a nested virtual processor goes.
pub(crate) const NESTED: &[Group] = &[
    Group {
        name: "guest code",
        states: &[State::Guest],
    },
    Group {
        name: "exits handled by L0 (host KVM)",
        states: &[State::L0Handling],
    },
    Group {
        name: "exits handled by L1 (its KVM)",
        states: &[State::L1Handling],
    },
    Group {
        name: "exits handled by L2 (its KVM)",
        states: &[State::L2Handling],
    },
    Group {
        name: "halted, ended by",
        states: &[State::Halted],
    },
    Group {
        name: "pre-empted by L0 (the host)",
        states: &[State::PreemptedL0],
    },
    Group {
        name: "pre-empted by L1 (the guest)",
        states: &[State::PreemptedL1],
    },
    Group {
        name: "pre-empted by L2 (in that)",
        states: &[State::PreemptedL2],
    },
    Group {
        name: "runnable",
        states: &[State::Runnable],
    },
    Group {
        name: "unknown",
        states: &[State::Unknown],
    },
];

/// What to call a part of a group of a VM at level `own`.
pub(crate) fn part(state: State, level: u8, why: Cause, own: u8) -> String {
    match (state, level) {
        (State::Guest, n) if n <= own => format!("the guest itself (L{own})"),
        (State::Guest, n) => format!("nested guests (L{n})"),
        (State::L0Handling, _) if why == Cause::None => "entering and leaving".to_owned(),
        (State::Halted, _) if why == Cause::None => "not ended, or not told".to_owned(),
        _ => cause(why).to_owned(),
    }
}

/// The last part of a nested VM's label, which begins with those of the VMs around it.
pub(crate) fn last_part(label: &str) -> &str {
    label.rsplit('/').next().unwrap_or(label)
}

/// The level at which the VM with this key runs: each nested one is a part of its key.
fn level_of(vm_key: &str) -> usize {
    vm_key.matches('/').count() + 1
}

/// Who had the processor, seen from the VM with `own_key`, or from a VM nested in it.
pub(crate) fn taker(taker: &Taker, own_key: &str) -> String {
    let own = taker.group_key == own_key;
    let around = own_key
        .strip_prefix(&taker.group_key)
        .is_some_and(|rest| rest.starts_with('/'));
    match taker.kind {
        TakerKind::Vcpu if own => "this VM's other vCPUs".to_owned(),
        TakerKind::Vcpu if around => "other vCPUs of the VM around it".to_owned(),
        TakerKind::Vcpu => format!("vCPUs of {}", taker.group),
        TakerKind::VmHelper if own => "this VM's VMM threads".to_owned(),
        TakerKind::VmHelper if around => "VMM threads of the VM around it".to_owned(),
        TakerKind::VmHelper => format!("VMM threads of {}", taker.group),
        TakerKind::NestedVcpu => format!(
            "L{}: nested VM {}",
            level_of(&taker.group_key) - 1,
            last_part(&taker.group)
        ),
        TakerKind::Process => format!("L{}: process {}", level_of(&taker.group_key), taker.label),
        TakerKind::Thread => taker.label.clone(),
        TakerKind::Unknown => "no thread (idle), or unknown".to_owned(),
    }
}
