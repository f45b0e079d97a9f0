//! What to simulate and in which dialect to tell it.

mod words;

use crate::SynthError;
use virtflow_ctf::writer::{ByteOrder, Format, HeaderKind};

/// A host and what happens on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// All chance comes from here.
    pub seed: u64,
    /// How long the trace is, in seconds.
    pub seconds: f64,
    /// Stop after about this many events, if that comes first.
    pub events: Option<u64>,
    /// Host processors, one stream each.
    pub cpus: u32,
    /// Virtual machines.
    pub vms: u32,
    /// Virtual processors of each.
    pub vcpus: u32,
    /// Guest processes of each virtual processor.
    pub processes: u32,
    /// How many of the processes of each virtual processor have a second thread.
    pub threads: u32,
    /// Further processes of each virtual processor that start short programs, one after the other
    /// on the same page table.
    pub shells: u32,
    /// Host threads that burn processor time.
    pub hogs: u32,
    /// How many of the VMs run a nested VM (on their first virtual processor).
    pub nested: u32,
    /// The share of VMs whose vCPU threads are pinned to a processor; 0 to 1.
    pub pinned: f64,
    /// Network by vhost workers instead of QEMU's main thread.
    pub vhost: bool,
    /// The probability that a guest's context switch has no exit just before and just after it,
    /// so that its moment cannot be seen from the host.
    pub hidden_switches: f64,
    /// How many windows of lost events there are, on processors in turn.
    pub losses: u32,
    /// Streams begin late and end early by up to this many nanoseconds each.
    pub ragged_ns: u64,
    /// Whether to write the truth (it may be larger than the trace).
    pub truth: bool,
    /// The first column of the truth and the trace's host name.
    pub machine: String,
    /// The most bytes of a packet.
    pub packet_bytes_max: usize,
    /// How the tracer speaks.
    pub dialect: Dialect,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            seed: 1,
            seconds: 1.0,
            events: None,
            cpus: 2,
            vms: 2,
            vcpus: 1,
            processes: 5,
            threads: 0,
            shells: 0,
            hogs: 1,
            nested: 0,
            pinned: 0.5,
            vhost: false,
            hidden_switches: 0.1,
            losses: 0,
            ragged_ns: 0,
            truth: true,
            machine: "synth".into(),
            packet_bytes_max: 1 << 20,
            dialect: Dialect::default(),
        }
    }
}

/// The hardware's virtualisation extension; the numbers of `kvm_exit`'s `isa` field
/// (arch/x86/kvm/trace.h `KVM_ISA_VMX`, `KVM_ISA_SVM`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isa {
    /// Intel.
    Vmx = 1,
    /// AMD, as the test bed's.
    #[default]
    Svm = 2,
}

/// How interrupts reach a guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Injection {
    /// By `kvm_inj_virq` before an entry.
    #[default]
    Injected,
    /// By the hardware (APICv, AVIC): `kvm_apicv_accept_irq`, no injection, no exit.
    Posted,
}

/// Who tells CR3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Probe {
    /// Nobody.
    None,
    /// The test bed's `vcpu_enter_guest` after the entry and `vcpu_exit_guest` after the exit.
    #[default]
    TestBed,
    /// The original's `addons_vcpu_enter_guest`, before the injection.
    Original,
}

/// How the tracer and the machine under it speak. The default is the test bed's dialect.
#[derive(Clone, Debug, PartialEq)]
pub struct Dialect {
    /// Whose exit codes.
    pub isa: Isa,
    /// `kvm_entry` instead of `kvm_x86_entry` and so on (before LTTng-modules 2.8).
    pub old_names: bool,
    /// How interrupts reach guests.
    pub injection: Injection,
    /// Guests have page table isolation: two CR3s per process, bits 12 and 11 apart.
    pub pti: bool,
    /// Guests use PCIDs: the low bits of a process's CR3 change from run to run.
    pub pcid: bool,
    /// No nested paging: each change of CR3 exits.
    pub shadow: bool,
    /// Who tells CR3.
    pub probe: Probe,
    /// Whether the test bed's probes read the stack pointer and the base of FS, too.
    pub stacks: bool,
    /// Whether `kvm_x86_nested_*` are recorded.
    pub nested_events: bool,
    /// Whether `sched_waking` is recorded.
    pub waking: bool,
    /// LTTng's KVM probes as shipped: some declare other arguments than the kernel passes.
    pub stock: bool,
    /// Whether `kvm_mmu_*` and `kvm_x86_emulate_insn` are recorded.
    pub noise: bool,
    /// Whether events carry the contexts `pid`, `tid` and `procname`.
    pub contexts: bool,
    /// Whether packets' TCP headers are described.
    pub tcp: bool,
    /// The order of bytes.
    pub byte_order: ByteOrder,
    /// The language of the metadata.
    pub format: Format,
    /// The event header.
    pub header: HeaderKind,
    /// Whether the clock is the processors' time stamp counter, `x86_tsc` (a TSDL identifier has no hyphen).
    pub tsc: bool,
    /// The clock's frequency in Hz.
    pub clock_freq: u64,
    /// The clock's offset from the epoch: whole seconds.
    pub clock_offset_s: i64,
    /// The clock's offset from the epoch: further cycles.
    pub clock_offset: i64,
    /// The clock's reading when the trace begins, in cycles.
    pub clock_start: u64,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            isa: Isa::Svm,
            old_names: false,
            injection: Injection::Injected,
            pti: false,
            pcid: false,
            shadow: false,
            probe: Probe::TestBed,
            stacks: false,
            nested_events: true,
            waking: true,
            stock: false,
            noise: true,
            contexts: false,
            tcp: false,
            byte_order: ByteOrder::Little,
            format: Format::Ctf18,
            header: HeaderKind::Large,
            tsc: false,
            clock_freq: 1_000_000_000,
            clock_offset_s: 0,
            clock_offset: 1_795_377_968_586_483_918,
            clock_start: 34_772_000_000,
        }
    }
}

/// Limits that keep the numbering of threads, vectors and CR3s apart.
const VMS_MAX: u32 = 10_000;
const PROCESSES_MAX: u32 = 10_000;

impl Scenario {
    /// Whether it can be simulated.
    ///
    /// # Errors
    /// [`SynthError::Scenario`] with the reason why not.
    pub fn check(&self) -> Result<(), SynthError> {
        let wrong = |why| Err(SynthError::Scenario(why));
        if self.cpus == 0 || self.cpus > 4096 {
            return wrong("a host has 1 to 4096 processors");
        }
        if !self.seconds.is_finite() || self.seconds <= 0.0 || self.seconds > 1e6 {
            return wrong("a trace lasts more than 0 and at most a million seconds");
        }
        if self.vms > VMS_MAX || self.vcpus == 0 || self.vcpus > 255 {
            return wrong("there are at most 10000 VMs with 1 to 255 vCPUs each");
        }
        if self.processes == 0 || self.processes > PROCESSES_MAX {
            return wrong("a vCPU has 1 to 10000 processes");
        }
        if self.nested > self.vms {
            return wrong("there are more nested VMs than VMs");
        }
        if self.dialect.clock_freq == 0 || self.dialect.clock_freq > 100_000_000_000 {
            return wrong("the clock has a frequency of 1 Hz to 100 GHz");
        }
        let share = 0.0..=1.0;
        if !share.contains(&self.pinned) || !share.contains(&self.hidden_switches) {
            return wrong("shares and probabilities lie between 0 and 1");
        }
        Ok(())
    }
}
