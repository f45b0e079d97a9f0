//! The model's words: kinds of entities, states, causes, confidence, evidence, edges.
//!
//! Each is a small code with a kebab-case name. Codes may be added, never changed: stores keep them.

macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant = $code,)* }

        impl $name {
            /// All of them, in the order of their codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// Its code, as a [`virtflow_base::Sink`] sees it.
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The one with this code.
            pub fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

vocabulary! {
    /// What an entity is. The first six, and interrupts, are lanes: each has exactly one state at
    /// each moment.
    Kind {
        /// A physical processor.
        Cpu = 0 "cpu",
        /// A thread of the host.
        Thread = 1 "thread",
        /// A virtual processor.
        Vcpu = 2 "vcpu",
        /// A virtual processor of a nested VM.
        NestedVcpu = 3 "nested-vcpu",
        /// A process of a guest on one virtual processor.
        Process = 4 "process",
        /// A thread of a guest.
        GuestThread = 5 "guest-thread",
        /// A physical host.
        Machine = 6 "machine",
        /// A virtual machine.
        Vm = 7 "vm",
        /// A virtual machine inside another.
        NestedVm = 8 "nested-vm",
        /// A group of host processes that share a pid namespace other than the first.
        Container = 9 "container",
        /// A block or network device of the host.
        Device = 10 "device",
        /// An interrupt, or soft interrupt, of one number on one physical processor.
        Interrupt = 11 "interrupt",
    }
}

vocabulary! {
    /// What a lane does. Which ones occur depends on the lane's [`Kind`].
    State {
        /// Nothing supports any other answer; the cause says why.
        Unknown = 0 "unknown",
        /// A thread or a physical processor runs.
        Running = 1 "running",
        /// A physical processor, or a guest on a virtual one, has nothing to do.
        Idle = 2 "idle",
        /// Wants the processor after it was woken.
        Runnable = 3 "runnable",
        /// Lost the processor to somebody else while it wanted to run.
        Preempted = 4 "preempted",
        /// A host thread sleeps; the cause is what ended it.
        Sleeping = 5 "sleeping",
        /// A host thread sleeps so that no signal wakes it: for a disk or a lock, mostly.
        Uninterruptible = 6 "uninterruptible",
        /// A virtual processor runs guest code.
        Guest = 10 "guest",
        /// The host's hypervisor works for a virtual processor; the cause is the exit's class.
        Hypervisor = 11 "hypervisor",
        /// The VMM's own code runs; the cause is why KVM returned to it.
        Vmm = 12 "vmm",
        /// KVM polls for an interrupt instead of sleeping.
        HaltPoll = 13 "halt-poll",
        /// The guest halted its virtual processor.
        Halted = 14 "halted",
        /// The host's interrupt work uses the processor under a virtual processor's thread.
        IrqStolen = 15 "irq-stolen",
        /// Sleeps in the host for something other than the guest's halt, or nothing tells for what.
        BlockedOnHost = 16 "blocked-on-host",
        /// Held back by a CPU quota.
        Throttled = 17 "throttled",
        /// Nested: the host's hypervisor handles an exit of the nested guest.
        L0Handling = 20 "l0-handling",
        /// Nested: the guest's hypervisor handles an exit of the nested guest.
        L1Handling = 21 "l1-handling",
        /// Nested: the host gave the processor to somebody else.
        PreemptedL0 = 22 "preempted-l0",
        /// Nested: the guest's hypervisor runs somebody else.
        PreemptedL1 = 23 "preempted-l1",
        /// Nested in a nested VM: the hypervisor in that one handles an exit of this one.
        L2Handling = 24 "l2-handling",
        /// Nested in a nested VM: that one runs another process than this one's hypervisor.
        PreemptedL2 = 25 "preempted-l2",
        /// A guest process runs its own code.
        RunUser = 30 "run-user",
        /// A guest process runs in the guest's kernel, or the guest's kernel runs for itself.
        RunKernel = 31 "run-kernel",
        /// The host's hypervisor works while this guest process is on the virtual processor.
        RunHypervisor = 32 "run-hypervisor",
        /// Wants the virtual processor, which another guest process has.
        ReadyInGuest = 33 "ready-in-guest",
        /// A guest process waits.
        Waiting = 34 "waiting",
        /// A guest process is on a virtual processor that has no physical one.
        PreemptedOnHost = 35 "preempted-on-host",
        /// The `kernel` or `idle` lane while something else has the virtual processor.
        Off = 36 "off",
    }
}

vocabulary! {
    /// Why: what ended a wait, the class of an exit, or what is missing.
    Cause {
        /// The state needs no reason.
        None = 0 "",
        /// A timer.
        Timer = 1 "timer",
        /// Another task.
        Task = 2 "task",
        /// A disk.
        Disk = 3 "disk",
        /// The network.
        Net = 4 "net",
        /// A device given to the VM.
        Vfio = 5 "vfio",
        /// A console or other slow device.
        Console = 6 "console",
        /// A lock that a para-virtual guest spins on.
        Spinlock = 7 "spinlock",
        /// Memory that the host had taken away.
        HostMemory = 8 "host-memory",
        /// Work of the VMM.
        HostIo = 9 "host-io",
        /// The VMM interrupted its virtual processor.
        VmmKick = 10 "vmm-kick",
        /// A non-maskable interrupt.
        Nmi = 11 "nmi",
        /// Nothing to do: woken only for housekeeping.
        Idle = 12 "idle",
        /// Unknown: the tracer lost events.
        Lost = 20 "lost",
        /// Unknown: before, after or outside what was recorded.
        NotRecorded = 21 "not-recorded",
        /// Unknown: no event tells.
        NoEvidence = 22 "no-evidence",
        /// Unknown: events tell more than one thing.
        Ambiguous = 23 "ambiguous",
        /// Host interrupt.
        Irq = 30 "irq",
        /// Host soft interrupt.
        Softirq = 31 "softirq",
        /// Uninterruptible sleep, as stores of earlier versions tell it.
        Uninterruptible = 32 "uninterruptible",
        /// Exit: the guest halted.
        ExitHlt = 40 "exit-hlt",
        /// Exit: an interrupt for the host.
        ExitIrq = 41 "exit-irq",
        /// Exit: the guest can take an interrupt now.
        ExitWindow = 42 "exit-window",
        /// Exit: an interrupt sent to another virtual processor.
        ExitIpi = 43 "exit-ipi",
        /// Exit: the guest's timer, set or expired.
        ExitTimer = 44 "exit-timer",
        /// Exit: the virtual APIC.
        ExitApic = 45 "exit-apic",
        /// Exit: port input or output.
        ExitIo = 46 "exit-io",
        /// Exit: a doorbell answered in the kernel.
        ExitMmioFast = 47 "exit-mmio-fast",
        /// Exit: memory-mapped input or output.
        ExitMmio = 48 "exit-mmio",
        /// Exit: memory that was not mapped.
        ExitMem = 49 "exit-mem",
        /// Exit: the guest spins.
        ExitSpin = 50 "exit-spin",
        /// Exit: a hypercall.
        ExitHypercall = 51 "exit-hypercall",
        /// Exit: virtualisation instructions of the guest's own hypervisor.
        ExitNested = 52 "exit-nested",
        /// Exit: CPUID.
        ExitCpuid = 53 "exit-cpuid",
        /// Exit: a model-specific register.
        ExitMsr = 54 "exit-msr",
        /// Exit: a control or debug register.
        ExitCr = 55 "exit-cr",
        /// Exit: the log of written pages is full.
        ExitPml = 56 "exit-pml",
        /// Exit: an exception.
        ExitFault = 57 "exit-fault",
        /// Exit: another reason.
        ExitOther = 58 "exit-other",
        /// VMM: port input or output.
        VmmIo = 70 "vmm-io",
        /// VMM: memory-mapped input or output.
        VmmMmio = 71 "vmm-mmio",
        /// VMM: interrupted by a signal.
        VmmIntr = 72 "vmm-intr",
        /// VMM: the guest halted and the VMM handles it.
        VmmHlt = 73 "vmm-hlt",
        /// VMM: the guest shut down or crashed.
        VmmShutdown = 74 "vmm-shutdown",
        /// VMM: another reason.
        VmmOther = 75 "vmm-other",
    }
}

impl State {
    /// Whether a host thread sleeps.
    pub const fn is_sleep(self) -> bool {
        matches!(self, Self::Sleeping | Self::Uninterruptible)
    }

    /// Whether it does something, so that it can wake another.
    pub const fn is_run(self) -> bool {
        matches!(
            self,
            Self::Running
                | Self::Guest
                | Self::Hypervisor
                | Self::Vmm
                | Self::HaltPoll
                | Self::IrqStolen
                | Self::L0Handling
                | Self::L1Handling
                | Self::L2Handling
                | Self::RunUser
                | Self::RunKernel
                | Self::RunHypervisor
        )
    }

    /// Whether it waits for something to happen, which is what its cause is then.
    pub const fn is_wait(self) -> bool {
        matches!(
            self,
            Self::Sleeping
                | Self::Uninterruptible
                | Self::Halted
                | Self::BlockedOnHost
                | Self::Waiting
        )
    }
}

impl Kind {
    /// Whether it is a lane: something that has exactly one state at each moment.
    pub const fn is_lane(self) -> bool {
        matches!(
            self,
            Self::Cpu
                | Self::Thread
                | Self::Vcpu
                | Self::NestedVcpu
                | Self::Process
                | Self::GuestThread
                | Self::Interrupt
        )
    }
}

impl Cause {
    /// Whether it says why something is unknown.
    pub const fn is_unknown(self) -> bool {
        matches!(
            self,
            Self::Lost | Self::NotRecorded | Self::NoEvidence | Self::Ambiguous
        )
    }
}

vocabulary! {
    /// How sure a state is.
    Confidence {
        /// The events leave no other answer.
        Proved = 0 "proved",
        /// A rule decided that can err; docs/method.md says how often it did.
        Likely = 1 "likely",
    }
}

vocabulary! {
    /// The rule that decided. Each is explained in docs/method.md.
    Evidence {
        /// No rule applied.
        None = 0 "",
        /// A context switch.
        SchedSwitch = 1 "sched-switch",
        /// A wake-up.
        SchedWaking = 2 "sched-waking",
        /// A VM entry.
        KvmEntry = 3 "kvm-entry",
        /// A VM exit.
        KvmExit = 4 "kvm-exit",
        /// KVM returned to the VMM.
        UserspaceExit = 5 "userspace-exit",
        /// KVM loaded the guest's floating-point state: KVM_RUN began.
        KvmFpu = 6 "kvm-fpu",
        /// The thread slept after the guest's HLT.
        HltSwitch = 7 "hlt-switch",
        /// A host interrupt's entry and exit.
        IrqEntry = 8 "irq-entry",
        /// KVM said how the halt ended.
        VcpuWakeup = 9 "vcpu-wakeup",
        /// A process began.
        Fork = 10 "fork",
        /// A process ended.
        ProcessExit = 11 "process-exit",
        /// The tracer's state dump.
        Statedump = 12 "statedump",
        /// The first event about a thread says what it must have done before.
        FirstEvent = 13 "first-event",
        /// The bounds of the recorded streams.
        Coverage = 14 "coverage",
        /// The tracer's count of lost events.
        LossCounter = 15 "loss-counter",
        /// The vector KVM injected.
        InjectedVector = 20 "injected-vector",
        /// The earliest vector the virtual APIC accepted.
        AcceptedVector = 21 "accepted-vector",
        /// The vector recorded by the VM entry.
        EntryVector = 22 "entry-vector",
        /// Who woke the thread, and in what context.
        WakerContext = 23 "waker-context",
        /// The vector the guest's hypervisor injected into a nested guest.
        NestedInjection = 24 "nested-injection",
        /// A nested exit reflected to the guest's hypervisor.
        NestedInject = 25 "nested-inject",
        /// A nested entry.
        NestedEnter = 26 "nested-enter",
        /// The same CR3 at an entry and at the exit that followed.
        Cr3EntryExit = 30 "cr3-entry-exit",
        /// The CR3 at the exit.
        Cr3Exit = 31 "cr3-exit",
        /// The CR3 at the entry.
        Cr3Entry = 32 "cr3-entry",
        /// The same CR3 at one entry and the next.
        Cr3NextEntry = 33 "cr3-next-entry",
        /// The guest ran user code at the exit.
        UserMode = 34 "user-mode",
        /// The guest halted at the end.
        HltExit = 35 "hlt-exit",
        /// The guest resumed in its idle loop and halted again.
        IdleLoop = 36 "idle-loop",
        /// Inside an interrupt's handler no task switch is possible.
        InterruptHead = 38 "interrupt-head",
        /// A write of CR3 that the host saw.
        CrWrite = 37 "cr-write",
        /// The process appeared right after a vector.
        VectorThenRun = 40 "vector-then-run",
        /// The process appeared after another one ran, with no vector between.
        AfterProcess = 41 "after-process",
        /// The request that a disk completed right before, and who had issued it.
        BlockRequest = 44 "block-request",
        /// The TCP segment that came in right before, and who had sent it.
        Segment = 45 "segment",
        /// The process left at an interrupt without waiting.
        TimeSlice = 42 "time-slice",
        /// A program that the process had started during the wait ran right before it was back.
        ChildThenRun = 43 "child-then-run",
    }
}

vocabulary! {
    /// What an edge is.
    EdgeKind {
        /// One task made another runnable.
        WakeUp = 0 "wake-up",
        /// An interrupt was given to a virtual processor.
        Injection = 1 "injection",
        /// A packet went from one to the other.
        Packet = 2 "packet",
        /// A disk answered.
        Disk = 3 "disk",
        /// One took the processor of another.
        Steal = 4 "steal",
    }
}

vocabulary! {
    /// What is counted or measured of an entity.
    Counter {
        /// The frequency a physical processor was set to, in kilohertz.
        Frequency = 0 "frequency",
        /// Requests that a disk was given and has not completed, as far as they were seen.
        Queue = 1 "queue",
        /// Nanoseconds from a request's issue to its completion, when it is completed.
        Latency = 2 "latency",
        /// Bytes of a request, when it is completed.
        Transferred = 3 "transferred",
        /// Bytes of a packet that a network device gave to the host.
        Received = 4 "received",
        /// Bytes of a packet that the host gave to a network device.
        Sent = 5 "sent",
    }
}

impl Counter {
    /// Whether a value holds until the next; otherwise it says something of one moment.
    pub const fn holds(self) -> bool {
        matches!(self, Self::Frequency | Self::Queue)
    }

    /// What its values are in.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Frequency => "kHz",
            Self::Queue => "requests",
            Self::Latency => "ns",
            Self::Transferred | Self::Received | Self::Sent => "bytes",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_are_unique() {
        for &state in State::ALL {
            assert_eq!(State::from_code(state.code()), Some(state));
        }
        let mut names: Vec<_> = Cause::ALL.iter().map(|c| c.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Cause::ALL.len());
        assert_eq!(Evidence::from_code(255), None);
    }
}
