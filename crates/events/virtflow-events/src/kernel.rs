//! The typed events the model lives on, whatever tracer and kernel wrote them.
//!
//! Names are the kernel's own (include/trace/events/*.h, arch/x86/kvm/trace.h); a field that some
//! kernels or tracers do not record is an `Option`, and `None` means exactly that.

use crate::text::{Comm, Text};
use std::num::NonZeroU64;
use virtflow_base::{CpuId, Tid};

/// One event of a host's kernel, without its time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KernelRecord {
    /// The processor on which it was recorded.
    pub cpu: CpuId,
    /// The thread in whose context it was recorded, where the tracer added it as a context field.
    pub context: Option<Context>,
    /// The event.
    pub event: KernelEvent,
}

/// The context fields `tid` and `pid` of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The thread.
    pub tid: Tid,
    /// Its process; negative where it is not recorded.
    pub pid: Tid,
}

impl Context {
    /// The process, if it was recorded.
    pub fn process(&self) -> Option<Tid> {
        (self.pid.0 >= 0).then_some(self.pid)
    }
}

/// What a vCPU thread does at a `kvm_exit` ([`KernelEvent::KvmExit`] and the nested forms).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitInfo {
    /// The hardware's exit code; what it means depends on `isa`.
    pub reason: u32,
    /// 1 VMX, 2 SVM (arch/x86/include/asm/kvm_host.h `KVM_ISA_*`); `None` where not recorded.
    pub isa: Option<u32>,
    /// The guest's instruction pointer.
    pub rip: Option<u64>,
    /// VMX exit qualification, SVM EXITINFO1.
    pub info1: u64,
    /// VMX IDT-vectoring information, SVM EXITINFO2.
    pub info2: u64,
    /// The event whose delivery the exit interrupted; 0 for none, or not recorded.
    pub intr_info: u32,
    /// The vCPU's number in its VM.
    pub vcpu: Option<u32>,
}

/// An interrupt accepted by a virtual APIC (`kvm_apic_accept_irq`, arch/x86/kvm/trace.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApicAccept {
    /// The destination APIC.
    pub apic_id: u32,
    /// Delivery mode: 0 fixed, 0x200 SMI, 0x300 remote read (PV kick), 0x400 NMI, 0x500 INIT.
    pub delivery_mode: u16,
    /// The vector.
    pub vector: u8,
    /// Whether it was posted to the hardware (APICv, AVIC) and so will not be injected.
    pub posted: bool,
}

/// A request of a block device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockRequest {
    /// The device's number, as the kernel encodes it (`dev_t`).
    pub dev: u32,
    /// The first sector, of 512 bytes.
    pub sector: u64,
    /// How many sectors.
    pub sectors: u32,
    /// The thread that made it, where recorded.
    pub tid: Option<Tid>,
}

/// A network packet passing a point of the host's stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetPacket {
    /// The address of its `sk_buff`: an identity for as long as the packet lives.
    pub skb: u64,
    /// Its length in bytes.
    pub len: u32,
    /// What names its TCP segment on the wire: a hash of addresses, ports, sequence numbers and
    /// flags, the same wherever the segment is seen. 0 where the event tells no TCP header.
    pub flow: u64,
    /// The network device.
    pub device: Text<16>,
}

/// A typed event.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(
    missing_docs,
    reason = "variants and fields carry the kernel's own names"
)]
#[non_exhaustive]
pub enum KernelEvent {
    // sched (include/trace/events/sched.h)
    SchedSwitch {
        prev: Tid,
        next: Tid,
        prev_state: u32,
        prev_comm: Comm,
        next_comm: Comm,
        next_prio: i16,
    },
    SchedWaking {
        tid: Tid,
        target_cpu: CpuId,
        comm: Comm,
    },
    SchedWakeup {
        tid: Tid,
        target_cpu: CpuId,
        comm: Comm,
    },
    SchedWakeupNew {
        tid: Tid,
        target_cpu: CpuId,
        comm: Comm,
    },
    SchedMigrate {
        tid: Tid,
        orig_cpu: CpuId,
        dest_cpu: CpuId,
    },
    ProcessFork {
        parent: Tid,
        parent_pid: Option<Tid>,
        child: Tid,
        child_pid: Option<Tid>,
        child_comm: Comm,
        child_ns: Option<u32>,
    },
    ProcessExec {
        tid: Tid,
        old_tid: Tid,
    },
    ProcessExit {
        tid: Tid,
    },
    ProcessFree {
        tid: Tid,
    },
    ProcessWait {
        tid: Tid,
    },
    PiSetprio {
        tid: Tid,
        old_prio: i16,
        new_prio: i16,
    },
    // interrupts (irq.h, arch/x86/include/asm/trace/irq_vectors.h)
    IrqEntry {
        irq: i32,
        name: Text<24>,
    },
    IrqExit {
        irq: i32,
    },
    SoftirqEntry {
        vec: u32,
    },
    SoftirqExit {
        vec: u32,
    },
    SoftirqRaise {
        vec: u32,
    },
    VectorEntry {
        vector: u32,
    },
    VectorExit {
        vector: u32,
    },
    // timers (timer.h)
    HrtimerStart {
        hrtimer: u64,
        function: u64,
        expires: i64,
    },
    HrtimerCancel {
        hrtimer: u64,
    },
    HrtimerExpireEntry {
        hrtimer: u64,
        function: u64,
        now: i64,
    },
    HrtimerExpireExit {
        hrtimer: u64,
    },
    // block, net, napi
    BlockBioQueue(BlockRequest),
    BlockInsert(BlockRequest),
    BlockIssue(BlockRequest),
    /// The device gave it back: it will be issued again.
    BlockRequeue(BlockRequest),
    BlockComplete(BlockRequest),
    NetQueue(NetPacket),
    NetXmit {
        packet: NetPacket,
        /// Whether the driver took it (`NETDEV_TX_OK`).
        taken: bool,
    },
    NetReceive(NetPacket),
    NetRx(NetPacket),
    NapiPoll {
        device: Text<16>,
    },
    // power
    CpuFrequency {
        cpu: CpuId,
        khz: u32,
    },
    CpuIdle {
        cpu: CpuId,
        state: u32,
    },
    // signal, io_uring, system calls
    SignalGenerate {
        sig: i32,
        pid: Tid,
        comm: Comm,
    },
    SignalDeliver {
        sig: i32,
    },
    IoUringSubmit {
        ctx: u64,
        opcode: u8,
    },
    IoUringComplete {
        ctx: u64,
        res: i32,
    },
    SyscallEntry {
        syscall: u32,
    },
    SyscallExit {
        syscall: u32,
        ret: i64,
    },
    // KVM (arch/x86/kvm/trace.h, include/trace/events/kvm.h)
    KvmEntry {
        vcpu: Option<u32>,
        rip: Option<u64>,
        intr_info: Option<u32>,
    },
    KvmExit(ExitInfo),
    KvmInjVirq {
        vector: u8,
        reinjected: Option<bool>,
    },
    KvmInjException {
        exception: u8,
    },
    KvmApicAccept(ApicAccept),
    KvmApicIpi {
        icr_low: u32,
        dest_id: u32,
    },
    KvmApic {
        write: bool,
        reg: u32,
        val: u64,
    },
    KvmEoi {
        apic_id: u32,
        vector: u32,
    },
    KvmMsr {
        write: bool,
        msr: u32,
        data: u64,
    },
    KvmCr {
        write: bool,
        cr: u32,
        val: u64,
    },
    KvmPio {
        write: bool,
        port: u32,
        size: u32,
    },
    KvmMmio {
        kind: u32,
        len: u32,
        gpa: u64,
    },
    KvmFastMmio {
        gpa: u64,
    },
    /// An access whose address KVM remembered, before it is carried out.
    KvmMatchMmio {
        gpa: u64,
        write: bool,
    },
    KvmCpuid {
        function: u32,
    },
    KvmHypercall {
        nr: u64,
        a0: u64,
        a1: u64,
    },
    KvmPageFault {
        address: u64,
        error_code: u64,
    },
    KvmMsiSetIrq {
        address: u64,
        data: u64,
    },
    KvmSetIrq {
        gsi: u32,
        level: i32,
    },
    KvmIoapicSetIrq {
        pin: u32,
        entry: u64,
    },
    KvmAckIrq {
        irqchip: u32,
        pin: u32,
    },
    KvmUserspaceExit {
        reason: u32,
        errno: i32,
    },
    KvmVcpuWakeup {
        ns: u64,
        waited: bool,
        valid: bool,
    },
    KvmHaltPollNs {
        grow: bool,
        vcpu: u32,
        new: u32,
        old: u32,
    },
    KvmFpu {
        load: bool,
    },
    KvmWriteTscOffset {
        vcpu: u32,
        previous: u64,
        next: u64,
    },
    KvmHvTimerState {
        vcpu: u32,
        in_use: bool,
    },
    KvmPiIrteUpdate {
        host_irq: u32,
        vcpu: u32,
        gsi: u32,
        vector: u32,
        set: bool,
    },
    KvmAvicIncompleteIpi {
        vcpu: u32,
        icr_high: u32,
        icr_low: u32,
        id: u32,
    },
    KvmAvicGaLog {
        vm: u32,
        vcpu: u32,
    },
    KvmAsyncPfNotPresent {
        token: u64,
    },
    KvmAsyncPfReady {
        token: u64,
    },
    KvmPleWindow {
        vcpu: u32,
        new: u32,
        old: u32,
    },
    KvmWaitLapicExpire {
        vcpu: u32,
        delta: i64,
    },
    KvmNestedEnter {
        rip: u64,
        vmcb: u64,
        nested_rip: u64,
        event_inj: u32,
        guest_pgd: Option<u64>,
    },
    KvmNestedExit {
        exit: u32,
        isa: Option<u32>,
        rip: u64,
    },
    KvmNestedExitInject {
        exit: u32,
        int_info: u32,
        isa: Option<u32>,
    },
    KvmNestedIntrExit {
        rip: u64,
    },
    /// Right after the entry: the test bed's tracepoint, the recorder's event, and that of the module
    /// `virtflow_vmx`.
    VcpuEnterGuest {
        vcpu: u32,
        cr3: u64,
        rip: u64,
        guest_mode: bool,
        /// The page table of the guest's hypervisor while a nested guest is entered.
        l1_cr3: Option<NonZeroU64>,
        /// Where in its memory the nested guest's control block (`vmcb12`, `vmcs12`) is.
        block: Option<NonZeroU64>,
        vm_pid: Tid,
        stack: GuestStack,
    },
    /// The original's tracepoint, before the injection.
    AddonsVcpuEnterGuest {
        vcpu: u32,
        cr3: u64,
        rip: Option<u64>,
        stack: GuestStack,
    },
    /// Likewise right after the exit.
    VcpuExitGuest {
        vcpu: u32,
        cr3: u64,
        cpl: u8,
        guest_mode: bool,
        stack: GuestStack,
    },
    /// What a recording tells of a thread beside its events: true from the beginning.
    ThreadTold {
        tid: Tid,
        pid: Option<Tid>,
        comm: Comm,
    },
    /// A recording that is not of whole processors is of this thread, from here on; with whoever made
    /// it, where it was made while it was recorded.
    ThreadFollowed {
        tid: Tid,
        pid: Option<Tid>,
        parent: Option<Tid>,
    },
    /// Such a thread ends: nothing of it is recorded any more.
    ThreadLeft {
        tid: Tid,
    },
    /// A recorded thread gets a processor, or loses it; perf's own word on it
    /// (include/uapi/linux/perf_event.h `PERF_RECORD_SWITCH`).
    ThreadSwitch {
        tid: Tid,
        out: bool,
        preempted: bool,
    },
    // LTTng's dump of what was there when tracing started
    StatedumpStart,
    StatedumpEnd,
    StatedumpProcess {
        tid: Tid,
        pid: Tid,
        ppid: Tid,
        kind: u32,
        status: u32,
        cpu: CpuId,
        comm: Comm,
    },
    StatedumpNamespace {
        tid: Tid,
        kind: NamespaceKind,
        inum: u32,
        /// How many are around it; where that is not told it is the innermost that the thread is in.
        level: Option<u32>,
    },
    StatedumpInterrupt {
        irq: u32,
        name: Text<24>,
        action: Text<24>,
    },
    StatedumpBlockDevice {
        dev: u32,
        name: Text<24>,
    },
    StatedumpNetworkInterface {
        name: Text<16>,
    },
    StatedumpCpuTopology {
        cpu: CpuId,
    },
    StatedumpFileDescriptor {
        fd: i32,
        filename: Text<24>,
    },
    /// Our own recorder's: who runs on the processor, where no switch to it was recorded.
    ThreadRuns {
        tid: Tid,
        pid: Tid,
    },
    /// Our own recorder's: what a VMM calls its VM; often nothing.
    StatedumpVm {
        pid: Tid,
        name: Text<48>,
    },
    /// Our own recorder's: what a thread of a VMM does, and for which vCPU where it does it for one.
    StatedumpRole {
        tid: Tid,
        vm_pid: Tid,
        vcpu: Option<u32>,
        role: Text<8>,
    },
}

/// What a probe read of a guest's registers that tells the threads of its processes apart: the
/// base of FS, which Linux programs keep their thread pointer in (it is 0 in kernel threads), and
/// the stack pointer, of which only an address in the kernel tells anything.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct GuestStack(u64);

impl GuestStack {
    /// Nothing was read, or nothing that tells.
    pub const NONE: Self = Self(0);
    /// FS has no base, and the stack is not the kernel's.
    const NO_POINTER: Self = Self(1);
    /// Cleared in a kernel's stack pointer where FS is known to have no base.
    const NO_POINTER_BIT: u64 = 1 << 62;

    /// From the registers, as far as they were recorded.
    pub const fn new(rsp: Option<u64>, fs_base: Option<u64>) -> Self {
        match (rsp, fs_base) {
            (_, Some(fs)) if fs != 0 => Self(fs & !(1 << 63)),
            (Some(rsp), fs) if rsp >> 47 == 0x1ffff => match fs {
                Some(_) => Self(rsp & !Self::NO_POINTER_BIT),
                None => Self(rsp),
            },
            (_, Some(_)) => Self::NO_POINTER,
            _ => Self::NONE,
        }
    }

    /// The thread pointer of a user thread.
    pub const fn thread_pointer(self) -> Option<u64> {
        if self.0 >> 63 == 0 && self.0 > Self::NO_POINTER.0 {
            Some(self.0)
        } else {
            None
        }
    }

    /// Whether FS was read and has no base.
    pub const fn has_no_thread_pointer(self) -> bool {
        self.0 == Self::NO_POINTER.0 || (self.0 >> 63 == 1 && self.0 & Self::NO_POINTER_BIT == 0)
    }

    /// The kernel's stack pointer.
    pub const fn kernel(self) -> Option<u64> {
        if self.0 >> 63 == 1 {
            Some(self.0 | Self::NO_POINTER_BIT)
        } else {
            None
        }
    }
}

impl std::fmt::Debug for GuestStack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.thread_pointer(), self.kernel()) {
            (Some(fs), _) => write!(f, "fs {fs:#x}"),
            (_, Some(rsp)) => write!(f, "kernel {rsp:#x}"),
            _ => f.write_str("none"),
        }
    }
}

/// A kind of namespace, as LTTng's state dump names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the kernel's own names")]
pub enum NamespaceKind {
    Pid,
    Mnt,
    Net,
    Ipc,
    Uts,
    User,
    Cgroup,
    Time,
}

const _: () = assert!(
    size_of::<KernelRecord>() <= 80,
    "an event stays within a cache line or so"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_tells_a_thread_by_fs_or_by_the_kernels_stack() {
        const RSP: u64 = 0xffff_c900_0012_3f58;
        let told = |rsp, fs| {
            let stack = GuestStack::new(rsp, fs);
            let (pointer, none) = (stack.thread_pointer(), stack.has_no_thread_pointer());
            (pointer, none, stack.kernel())
        };
        assert_eq!(told(None, None), (None, false, None));
        assert_eq!(told(Some(0x7ffe_1234), None), (None, false, None));
        assert_eq!(told(Some(RSP), None), (None, false, Some(RSP)));
        assert_eq!(told(Some(RSP), Some(0)), (None, true, Some(RSP)));
        assert_eq!(told(Some(0x7ffe_1234), Some(0)), (None, true, None));
        assert_eq!(told(Some(RSP), Some(0x7f00)), (Some(0x7f00), false, None));
    }
}
