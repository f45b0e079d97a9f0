//! What there is: processors, threads, VMs, guests and their processes. Things are known by their
//! place in the tables of [`super::Sim`].

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::trace::Who;
use crate::truth::Lane;

/// Nanoseconds since the trace began.
pub(super) type Ns = i64;

pub(super) const US: Ns = 1_000;
pub(super) const MS: Ns = 1_000_000;

/// Something that happens at a time. The order of the variants means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Action {
    /// The host's scheduler tick.
    Tick { cpu: usize },
    /// A woken thread reaches the queue of its processor, there announced by an IPI or not.
    Arrive {
        cpu: usize,
        thread: usize,
        ipi: bool,
    },
    /// An IPI (or a posted interrupt) tells a vCPU that something is pending.
    Kick { cpu: usize, vcpu: usize },
    /// A thread goes on with what it does.
    Resume { thread: usize, generation: u32 },
    /// The timer of a sleeping thread expires.
    Sleep { thread: usize },
    /// What the guest does comes to its next step.
    Guest { vcpu: usize, generation: u32 },
    /// KVM is ready to enter the guest.
    Enter { vcpu: usize, generation: u32 },
    /// The VMM has done what the guest asked for.
    Vmm { vcpu: usize, generation: u32 },
    /// The vCPU's LAPIC timer expires.
    ApicTimer { vcpu: usize, generation: u32 },
    /// The disk has done the request of a worker thread.
    Disk { thread: usize },
    /// A packet for a process comes in from outside.
    Answer { proc: usize },
}

#[derive(Debug)]
pub(super) struct Cpu {
    pub(super) current: Option<usize>,
    pub(super) queue: VecDeque<usize>,
    /// From when on it is free for another burst.
    pub(super) clock: Ns,
    pub(super) need_resched: bool,
    pub(super) ticking: bool,
    /// `irq` or `softirq` while in one.
    pub(super) in_irq: Option<&'static str>,
    /// Softirqs raised and not yet run.
    pub(super) softirqs: Vec<Softirq>,
    pub(super) lane: Lane,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Softirq {
    Plain(u32),
    /// NET_RX with a packet for a process.
    Receive(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Run {
    Running,
    /// In a processor's queue.
    Runnable,
    /// On the way there.
    Waking,
    Sleeping,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Hog,
    /// Works on jobs: QEMU's main thread, its disk workers, a vhost worker.
    Jobs,
    Vcpu(usize),
    /// The tracer's own thread, which writes the statedump.
    Dump,
}

#[derive(Debug)]
pub(super) struct Thread {
    pub(super) who: Who,
    pub(super) ppid: i32,
    pub(super) kernel: bool,
    pub(super) role: Role,
    pub(super) run: Run,
    /// Where it runs or ran last.
    pub(super) cpu: usize,
    pub(super) pinned: bool,
    /// When its state changed last; ahead of `now` while its processor is in that burst.
    pub(super) since: Ns,
    /// When it got the processor.
    pub(super) slice: Ns,
    /// Whether it lost the processor against its will.
    pub(super) preempted: bool,
    /// Counts what was planned for it; older plans are void.
    pub(super) generation: u32,
    /// A hog's burst: how much is left, and since when it burns.
    pub(super) left: Ns,
    pub(super) started: Option<Ns>,
    pub(super) jobs: VecDeque<Job>,
    pub(super) busy: Option<Job>,
    /// The sector of the request it waits for in the disk.
    pub(super) in_disk: Option<u64>,
    pub(super) lane: Lane,
}

/// What the threads of a VMM and of vhost do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Job {
    /// Hand a process's disk request to a worker.
    Submit(usize),
    /// Issue it to the host's disk.
    Issue(usize),
    /// It is done: tell the main thread.
    Done(usize),
    /// Inject the disk's interrupt.
    Complete(usize),
    /// Send a process's packet to its peer.
    Send(usize),
    /// Take in a packet for a process and inject the interrupt.
    Receive(usize),
    /// Let a vCPU thread go on that waits for the main thread.
    Release(usize),
}

#[derive(Debug)]
pub(super) struct Vm {
    pub(super) pid: i32,
    pub(super) main: usize,
    /// Handles the network: the main thread or a vhost worker.
    pub(super) net: usize,
    pub(super) workers: Vec<usize>,
    pub(super) next_worker: usize,
    pub(super) tap: String,
}

/// Where a vCPU's thread is while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Guest,
    /// In KVM, because of this class of exit.
    Kvm(&'static str),
    /// In user space, for this reason.
    Vmm(&'static str),
}

#[derive(Debug)]
pub(super) struct Vcpu {
    pub(super) vm: usize,
    pub(super) index: u32,
    pub(super) thread: usize,
    pub(super) mode: Mode,
    /// Whether it sleeps because the guest halted.
    pub(super) halted: bool,
    /// The guest that runs on it at level 1.
    pub(super) guest: usize,
    /// Guests of level 2.
    pub(super) nested: Vec<usize>,
    /// The one of them that the hardware runs, or will at the next entry.
    pub(super) active: Option<usize>,
    /// An exit of the nested guest was reflected and its hypervisor not yet entered.
    pub(super) reflecting: bool,
    /// Accepted by the LAPIC, not yet taken by the guest.
    pub(super) pending: Vec<Irq>,
    /// The LAPIC timer expired and its vector is not yet accepted.
    pub(super) timer_pending: bool,
    pub(super) timer_generation: u32,
    pub(super) timer_armed: bool,
    /// A vector whose end the next exit tells (paravirtual EOI).
    pub(super) eoi: Option<u8>,
    /// The vector injected at the last entry.
    pub(super) injected: u8,
    /// The MMIO read for which it is in user space is not yet done.
    pub(super) reading: bool,
    /// It waits, or will wait, for the main thread there.
    pub(super) blocks: bool,
    pub(super) lane: Lane,
}

/// What an interrupt of a guest is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Timer,
    Reschedule,
    /// The disk request of a process is done.
    Disk(usize),
    /// A packet for a process, and its sender if that is a process here.
    Net(usize, Option<usize>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Irq {
    pub(super) signal: Signal,
    /// When the LAPIC accepted it.
    pub(super) at: Ns,
    /// Who made it.
    pub(super) by: u32,
}

/// What a guest's processor executes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Context {
    Proc(usize),
    Kernel,
    Idle,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    Proc(usize),
    /// The emulated LAPIC timer of a nested guest.
    Nested(usize),
}

/// One (virtual) processor as the kernel in the guest sees it.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) vcpu: usize,
    /// 1, or 2 for a nested one.
    pub(super) level: u8,
    pub(super) context: Context,
    /// The process whose page table is loaded; stays through kernel threads and idle (lazy TLB).
    pub(super) loaded: usize,
    /// What the kernel does next; comes before what the context does.
    pub(super) kernel: VecDeque<Op>,
    /// What the idle loop does next.
    pub(super) idle: VecDeque<Op>,
    pub(super) queue: VecDeque<usize>,
    pub(super) timers: BinaryHeap<Reverse<(Ns, Timer)>>,
    /// For when the LAPIC timer is programmed.
    pub(super) armed: Option<Ns>,
    pub(super) tick: Ns,
    pub(super) in_irq: bool,
    /// Whether interrupts are on as far as an L1 hypervisor's world switch goes (SVM's GIF).
    pub(super) gif: bool,
    pub(super) user: bool,
    /// Where it stopped last.
    pub(super) rip: u64,
    /// Since when the step at hand runs.
    pub(super) started: Option<Ns>,
    pub(super) resched: bool,
    /// For a nested guest: its timer expired (as its hypervisor knows).
    pub(super) timer_pending: bool,
    /// For a nested guest: its hypervisor's process, and its VMCB's (VMCS's) address.
    pub(super) hypervisor: usize,
    pub(super) vmcb12: u64,
    pub(super) halted: bool,
    pub(super) kernel_lane: Lane,
    pub(super) idle_lane: Lane,
    /// For a nested guest.
    pub(super) lane: Option<Lane>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// Long bursts, some sleep.
    Burn,
    /// Short bursts and disk reads.
    Read,
    /// Sends a packet and waits for the answer.
    Client,
    /// Waits for a packet and answers it.
    Server,
    /// Writes to a pipe and sleeps.
    Produce,
    /// Reads from a pipe.
    Consume,
    /// Short bursts and sleeps.
    Sleep,
    /// Runs a nested guest.
    Hypervise(usize),
    /// Starts a program in this other process, waits for its end, sleeps.
    Shell(usize),
    /// A short program that this process started.
    Child(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Current,
    Ready,
    Waiting(&'static str),
    /// Not begun yet, or ended.
    None,
}

/// A thread of a guest process; most processes have one.
#[derive(Debug)]
pub(super) struct Proc {
    pub(super) guest: usize,
    pub(super) program: Program,
    /// The kernel's half of its page tables.
    pub(super) cr3: u64,
    pub(super) pcid: u64,
    pub(super) life: Life,
    pub(super) ops: VecDeque<Op>,
    /// Wake-ups that came while it did not wait.
    pub(super) mail: u32,
    /// The other end of its pipe or connection.
    pub(super) partner: Option<usize>,
    /// When its last request left the guest.
    pub(super) requested: Ns,
    /// How many programs began on its page table.
    pub(super) generation: u32,
    /// The first thread of its process, which has the lane of all of them.
    pub(super) leader: usize,
    pub(super) lane: Lane,
    /// Its own, where threads can be told apart.
    pub(super) thread: Option<Lane>,
}

/// A step of what a guest does. Only `Run` takes time by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Op {
    Run {
        ns: Ns,
        user: bool,
    },
    Exit(Exit),
    /// The timer interrupt's work: expire timers, account the tick.
    Expire,
    /// Program the LAPIC timer if the next deadline is another.
    Rearm,
    /// The interrupt is acknowledged.
    Eoi,
    EndIrq,
    /// Wake a process; its cause, and by which process.
    Wake(usize, &'static str, Option<usize>),
    /// Let another process run if one should.
    Schedule,
    Switch(Context),
    /// The current process asks to be woken after so long.
    Sleep(Ns),
    /// The current process waits, unless what it waits for has come.
    Block(&'static str),
    /// The current process writes to its partner's pipe.
    Pipe,
    /// The current process starts a program, or ends.
    Spawn(usize),
    End,
    /// A nested guest's hypervisor takes interrupts again.
    Gif,
}

/// Why a guest exits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Exit {
    /// A host interrupt.
    Interrupt,
    /// The guest takes interrupts again.
    Window,
    Halt,
    /// Write of the TSC deadline MSR, with the moment it stands for.
    Deadline(Ns),
    /// Read of some MSR.
    ReadMsr,
    /// End of a level-triggered interrupt.
    Eoi(u8),
    /// IPI to a vCPU.
    Ipi(usize),
    /// The leaf asked for, and where in its page the instruction stands.
    Cpuid {
        leaf: u32,
        place: u16,
    },
    /// A page KVM must map.
    Page,
    /// A process's virtio request: disk or network.
    KickDisk(usize),
    KickNet(usize),
    /// A read of a device register that the VMM emulates.
    ReadDevice,
    /// Shadow paging: the page table of a process is loaded.
    LoadCr3(usize),
    /// L1's world switch.
    SaveState,
    LoadState,
    /// Run a nested guest.
    RunNested(usize),
}
