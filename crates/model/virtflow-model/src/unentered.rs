//! vCPUs of which no entry into the guest is told, and no exit.
//!
//! KVM's vendor modules make these events, and not all do (PVM's does not), or a trace was recorded
//! without them. The rest of KVM still tells that a thread is a vCPU, what its VMM is asked for and how a
//! halt ended; the scheduler tells when it had a processor, and who had it instead. While it runs in
//! `KVM_RUN`, nothing tells the guest from the hypervisor: that is unknown.
//!
//! Where nothing of KVM was recorded at all, a dump of what threads do, or what VMMs call them, still
//! tells which are vCPUs: when one had a processor, and who had it instead.

use crate::host::{Sched, ThreadIx};
use crate::model::Model;
use crate::vm::{Mode, VCPUS_MAX, VcpuIx, number_in_name};
use crate::vocab::{Cause, Evidence, State};
use virtflow_base::{Interval, Sink, Tid, Timestamp};
use virtflow_events::{Comm, Text};

/// What tells of a vCPU where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Entries and exits.
    Entries,
    /// The beginning and the end of `KVM_RUN` (`kvm_fpu`).
    Runs,
    /// The end of `KVM_RUN` only.
    Returns,
    /// Nothing: its thread is called so, or a dump says what it is.
    Name,
}

/// What our recorder's dump calls the role of a vCPU's thread.
const VCPU_ROLE: &[u8] = b"vcpu";

impl<S: Sink> Model<S> {
    /// A thread of no known vCPU came back from `KVM_RUN`. Where it had come back before, and no entry
    /// was between, there will be none; the first may have been kept from entering by a signal, and
    /// an entry tells more of the vCPU.
    pub(crate) fn returned_unentered(&mut self, t: Timestamp, x: ThreadIx) -> Option<VcpuIx> {
        if !std::mem::replace(&mut self.threads[x.0].returned, true) {
            return None;
        }
        let v = self.new_vcpu(t, x, None, None, Told::Returns)?;
        self.counts.unentered_vcpus += 1;
        Some(v)
    }

    /// A dump says what a thread of a VMM does.
    pub(crate) fn has_role(&mut self, tid: Tid, pid: Tid, vcpu: Option<u32>, role: &Text<8>) {
        if self.vcpus_named && tid.0 != 0 && role.as_bytes() == VCPU_ROLE {
            let x = self.thread(tid, &Comm::default());
            self.set_pid(x, pid);
            if let Some(number) = vcpu.or_else(|| number_in_name(&self.threads[x.0].comm)) {
                self.named_vcpu(x, number);
            }
        }
    }

    /// What a thread is called, and its process, may say that it is a vCPU.
    #[inline]
    pub(crate) fn vcpu_by_name(&mut self, x: ThreadIx) {
        if self.vcpus_named
            && !self.threads[x.0].inherited_name
            && let Some(number) = number_in_name(&self.threads[x.0].comm)
        {
            self.named_vcpu(x, number);
        }
    }

    /// A thread is a vCPU, and no event will tell of it as one.
    fn named_vcpu(&mut self, x: ThreadIx, number: u32) {
        let thread = &self.threads[x.0];
        let (None, Some(pid), true) = (thread.vcpu, thread.pid, thread.lane.is_some()) else {
            return;
        };
        // Another has that name already: what this one is, its name does not tell.
        let taken = self.vm_by_pid.get(&pid).is_some_and(|vm| {
            let mut vcpus = self.vms[vm.0].vcpus.iter();
            vcpus.any(|v| self.vcpus[v.0].number == number)
        });
        if taken || number >= VCPUS_MAX {
            return;
        }
        let on_cpu = matches!(thread.sched, Sched::Running(_));
        if let Some(v) = self.new_vcpu(self.now, x, Some(number), None, Told::Name) {
            self.vcpus[v.0].on_cpu = on_cpu;
            self.counts.named_vcpus += 1;
        }
    }

    /// An entry or an exit is told: so will be all others.
    #[inline]
    pub(crate) fn entries_told(&mut self, v: VcpuIx) {
        if self.vcpus[v.0].told != Told::Entries {
            self.slept_unentered(v);
            let told = std::mem::replace(&mut self.vcpus[v.0].told, Told::Entries);
            let count = match told {
                Told::Name => &mut self.counts.named_vcpus,
                _ => &mut self.counts.unentered_vcpus,
            };
            *count = count.saturating_sub(1);
        }
    }

    /// Where a vCPU is that came back from `KVM_RUN`, for `reason`: with its VMM, if it will be told
    /// when it goes back.
    pub(crate) fn mode_returned(&mut self, v: VcpuIx, reason: Cause) -> Mode {
        match self.vcpus[v.0].told {
            Told::Entries => Mode::Vmm(reason),
            Told::Runs => {
                self.slept_unentered(v);
                Mode::Vmm(reason)
            }
            Told::Returns | Told::Name => {
                self.slept_unentered(v);
                Mode::Unknown
            }
        }
    }

    /// `KVM_RUN` of a vCPU begins or ends, whose entries are not told.
    pub(crate) fn run_unentered(&mut self, v: VcpuIx, t: Timestamp) {
        self.vcpus[v.0].told = Told::Runs;
        if self.vcpus[v.0].mode != Mode::Unknown {
            self.vcpu_mode(v, t, Mode::Unknown);
        }
    }

    /// What a vCPU sleeps for in `KVM_RUN` is told when it goes on, if at all.
    pub(crate) fn sleeps_unentered(&mut self, v: VcpuIx) {
        let vcpu = &self.vcpus[v.0];
        if vcpu.told == Told::Entries || vcpu.mode != Mode::Unknown {
            return;
        }
        self.slept_unentered(v);
        if let Some(lane) = &mut self.vcpus[v.0].lane {
            lane.hold();
        }
    }

    /// KVM says that a halt is over in which the thread slept.
    pub(crate) fn halt_ended_unentered(&mut self, v: VcpuIx) {
        let vcpu = &mut self.vcpus[v.0];
        if vcpu.told == Told::Entries {
            return;
        }
        let Some(pending) = vcpu.pending.take() else {
            return;
        };
        let (cause, confidence, _) = self.cause_of(v, &pending);
        self.explain_unentered(v, |i| {
            i.state = State::Halted.code();
            i.cause = cause.code();
            i.confidence = confidence.code();
            i.evidence = Evidence::VcpuWakeup.code();
        });
    }

    /// It did something else since: what it slept for will not be told.
    pub(crate) fn slept_unentered(&mut self, v: VcpuIx) {
        if self.vcpus[v.0].told != Told::Entries {
            self.explain_unentered(v, |_| {});
        }
    }

    fn explain_unentered(&mut self, v: VcpuIx, change: impl Fn(&mut Interval)) {
        if let Some(lane) = &mut self.vcpus[v.0].lane
            && lane.is_holding()
        {
            lane.explain(change, State::BlockedOnHost, &mut self.sink);
        }
    }
}
