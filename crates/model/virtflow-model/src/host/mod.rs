//! The host's own processors and threads: who runs, who wants to, who took the processor.

pub(crate) mod counters;
pub(crate) mod followed;
mod interrupts;
mod irq;
mod life;
mod sched;
pub(crate) mod segments;
mod sweep;

use crate::lane::{Lane, Status};
use crate::model::Model;
use crate::vectors::Msi;
use crate::vm::{VcpuIx, VmIx};
use crate::vocab::{Cause, Evidence, Kind, State};
use crate::waits::Source;
use virtflow_base::{Entity, EntityId, Sink, Span, Tid, Timestamp};
use virtflow_events::{Comm, KernelEvent as K};

/// A processor's place in the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CpuIx(pub(crate) usize);

/// A thread's place in the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ThreadIx(pub(crate) usize);

/// How deep interrupts may nest: hard in soft, and the timer's callbacks inside.
const IRQ_DEPTH_MAX: usize = 16;

/// How many threads may wait for one processor and be followed, each time somebody else gets it:
/// beyond, who had the processor stays who had it first.
const WAITERS_MAX: usize = 512;

/// How many stretches of a thread's past are kept in case it turns out to be a virtual processor.
const HISTORY_MAX: usize = 128;

/// The first pid namespace, of which the host's own threads are (include/linux/proc_ns.h
/// `PROC_PID_INIT_INO`).
pub(crate) const HOST_NAMESPACE: u32 = 0xefff_fffc;

/// The most threads whose namespace is told before anything else of them is.
const UNBORN_MAX: usize = 1 << 12;

/// How deep pid namespaces may nest (include/linux/pid_namespace.h `MAX_PID_NS_LEVEL`).
const NAMESPACES_MAX: usize = 32;

/// The states of a thread's `prev_state` that mean it sleeps, by whatever kernel wrote it; the
/// marks for "was pre-empted" and for reporting lie above (include/linux/sched.h `TASK_REPORT`).
const SLEEPING_STATES: u32 = 0xff;
/// Soft interrupts by number (include/linux/interrupt.h): timers' and high-resolution timers',
/// the network's, the block devices'.
const TIMER_SOFTIRQS: [u32; 2] = [1, 8];
const NET_SOFTIRQS: [u32; 2] = [2, 3];
const BLOCK_SOFTIRQ: u32 = 4;
/// `TASK_UNINTERRUPTIBLE`.
const UNINTERRUPTIBLE: u32 = 0x2;
/// `EXIT_DEAD`, `EXIT_ZOMBIE` and `TASK_DEAD` as they show in `prev_state`.
const DEAD_STATES: u32 = 0x10 | 0x20 | 0x80;
/// What the handlers of devices given to VMs are called (drivers/vfio/pci/vfio_pci_intrs.c).
const VFIO: &[u8] = b"vfio";
/// LTTng's statedump: the process waits (`enum lttng_process_status`, lttng-statedump-impl.c).
const STATEDUMP_WAIT: u32 = 5;

/// How a thread sleeps that was switched away in a sleeping state.
const fn sleep_of(prev_state: u32) -> State {
    if prev_state & UNINTERRUPTIBLE != 0 {
        State::Uninterruptible
    } else {
        State::Sleeping
    }
}

/// Who runs on a processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Current {
    Unknown,
    Idle,
    Thread(ThreadIx),
}

/// In what context something happens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Context {
    Irq,
    Softirq(u32),
    Vector,
    Hrtimer(u64),
}

/// A physical processor.
#[derive(Debug)]
pub(crate) struct Cpu {
    pub(crate) lane: Option<Lane>,
    pub(crate) current: Current,
    pub(crate) contexts: Vec<Context>,
    /// Its interrupts, where they are wanted.
    pub(crate) lines: Vec<interrupts::Line>,
    /// As the kernel numbers it.
    pub(crate) number: u32,
    entity: EntityId,
    /// What its frequency was last set to, in kilohertz; negative while not known.
    khz: i64,
    /// Threads that want this processor and do not have it.
    pub(crate) waiters: Vec<ThreadIx>,
    /// Threads that were last seen here and of which anything is known.
    known: Vec<ThreadIx>,
    pub(crate) covered: bool,
    /// When its latest event was.
    pub(crate) heard: Timestamp,
    /// How many losses of its tracer this is the time of.
    pub(crate) losses: u32,
    /// Whether its tracer lost events about now: what it does record says nothing of its state.
    pub(crate) lossy: bool,
    /// What the host's devices did last on this processor, for telling wake-ups apart.
    pub(crate) device: Option<Cause>,
    /// The request that a disk completed last in the interrupt that runs here.
    pub(crate) served: Option<counters::Served>,
    /// The segment that came in last in the interrupt that runs here.
    pub(crate) arrived: Option<counters::Arrived>,
    /// A packet that a VMM's thread has just given to the host's network, and of which VM.
    pub(crate) packet: Option<(VmIx, Source)>,
    /// The vector that some VM's APIC accepted in the interrupt that runs here: whose it is, the
    /// wake-up that follows tells.
    pub(crate) accepted: Option<(u32, u8)>,
}

impl Cpu {
    pub(crate) fn new(entity: EntityId, number: u32, begins: Timestamp) -> Self {
        let status = Status::unknown(Cause::NotRecorded, Evidence::Coverage);
        Self {
            lane: Some(Lane::new(entity, None, begins, status)),
            current: Current::Unknown,
            contexts: Vec::new(),
            lines: Vec::new(),
            number,
            entity,
            khz: -1,
            waiters: Vec::new(),
            known: Vec::new(),
            covered: false,
            heard: begins,
            losses: 0,
            lossy: false,
            device: None,
            served: None,
            arrived: None,
            packet: None,
            accepted: None,
        }
    }

    pub(super) fn to(&mut self, t: Timestamp, status: Status, sink: &mut impl Sink) {
        if let Some(lane) = &mut self.lane {
            lane.to(t, status, sink);
        }
    }
}

/// What the scheduler has a thread do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sched {
    /// Not known; the next event about the thread says what it did since.
    Unresolved,
    Running(CpuIx),
    Runnable,
    Preempted,
    Sleeping,
    /// Outside what was recorded, or lost.
    Lost,
}

/// Who woke a thread, and from where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wake {
    pub(crate) at: Timestamp,
    /// The processor on which it was woken.
    pub(crate) cpu: CpuIx,
    pub(crate) waker: Current,
    pub(crate) context: Option<Context>,
    /// What a device did just before in the same context.
    pub(crate) device: Option<Cause>,
}

/// A stretch of a thread's past.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Past {
    pub(crate) span: Span,
    pub(crate) status: Status,
}

/// A thread of the host.
#[derive(Debug)]
pub(crate) struct Thread {
    pub(crate) tid: Tid,
    pub(crate) entity: Entity,
    pub(crate) pid: Option<Tid>,
    pub(crate) comm: Comm,
    pub(crate) lane: Option<Lane>,
    pub(crate) sched: Sched,
    pub(crate) cpu: Option<CpuIx>,
    /// Its place among those known on a processor.
    listed: Option<(CpuIx, usize)>,
    /// The processor it wants and does not have.
    pub(crate) waits_for: Option<CpuIx>,
    pub(crate) vcpu: Option<VcpuIx>,
    pub(crate) vm: Option<VmIx>,
    pub(crate) wake: Option<Wake>,
    /// What the scheduler did with it before it was known for a virtual processor; empty and
    /// `forgotten` when there was too much.
    pub(crate) past: Vec<Past>,
    pub(crate) exiting: bool,
    pub(crate) statedump_waits: bool,
    pub(crate) container: Option<u32>,
    /// What device it works for since it was last woken, as far as can be told.
    pub(crate) device: Option<Cause>,
    /// A wake-up has begun while it still ran, and has not ended.
    pub(crate) woken_running: bool,
    /// The interrupt line of a VM that it raised last.
    pub(crate) line: Option<u32>,
    /// The MSI that it raised last.
    pub(crate) msi: Option<Msi>,
    /// It entered a guest, and of which process's is not told yet.
    pub(crate) entered: Option<(Timestamp, K)>,
    /// It came back from `KVM_RUN`, and is not known for a virtual processor.
    pub(crate) returned: bool,
    /// Its name may still be that of the thread that made it.
    pub(crate) inherited_name: bool,
}

/// Threads that share a pid namespace other than the host's.
#[derive(Debug)]
pub(crate) struct Container {
    entity: Entity,
    /// How many namespaces are around its own, as far as was told.
    level: Option<u32>,
    /// The next of these, if it is not the host's.
    inside: Option<u32>,
}

impl<S: Sink> Model<S> {
    /// The thread called `tid`, made known if it was not.
    pub(crate) fn thread(&mut self, tid: Tid, comm: &Comm) -> ThreadIx {
        if let Some(&x) = self.thread_by_tid.get(&tid) {
            if !comm.is_empty() && self.threads[x.0].comm != *comm {
                self.rename(x, comm);
            }
            return x;
        }
        self.new_thread(tid, comm, self.begins, Sched::Unresolved)
    }

    pub(super) fn new_thread(
        &mut self,
        tid: Tid,
        comm: &Comm,
        since: Timestamp,
        sched: Sched,
    ) -> ThreadIx {
        let mut entity = self.new_entity(Kind::Thread, format!("thread:{tid}@{since}"));
        entity.tid = Some(tid.0);
        entity.label = comm.as_bytes().to_vec();
        self.sink.entity(&entity);
        let status = Status::unknown(Cause::NoEvidence, Evidence::None);
        let x = ThreadIx(self.threads.insert(Thread {
            tid,
            pid: None,
            comm: *comm,
            lane: Some(Lane::new(entity.id, None, since, status)),
            entity,
            sched,
            cpu: None,
            listed: None,
            waits_for: None,
            vcpu: None,
            vm: None,
            wake: None,
            past: Vec::new(),
            exiting: false,
            statedump_waits: false,
            container: None,
            device: None,
            woken_running: false,
            line: None,
            msi: None,
            entered: None,
            returned: false,
            inherited_name: false,
        }));
        self.thread_by_tid.insert(tid, x);
        if self.vm_by_pid.contains_key(&tid) {
            self.set_pid(x, tid);
        }
        if let Some(inum) = self.unborn.remove(&tid) {
            self.innermost(tid, inum);
        }
        x
    }

    fn rename(&mut self, x: ThreadIx, comm: &Comm) {
        let thread = &mut self.threads[x.0];
        thread.comm = *comm;
        thread.inherited_name = false;
        thread.entity.label = comm.as_bytes().to_vec();
        self.sink.entity(&thread.entity);
        self.vcpu_renamed(x);
        self.vcpu_by_name(x);
    }

    /// Notes which process a thread belongs to.
    pub(crate) fn set_pid(&mut self, x: ThreadIx, pid: Tid) {
        let thread = &mut self.threads[x.0];
        if thread.pid != Some(pid) {
            thread.pid = Some(pid);
            thread.entity.pid = Some(pid.0);
            self.sink.entity(&thread.entity);
            self.vcpu_by_name(x);
        }
    }

    /// Moves a thread's lane, and keeps its past while it may yet be a virtual processor.
    pub(super) fn thread_to(&mut self, x: ThreadIx, t: Timestamp, sched: Sched, status: Status) {
        self.threads[x.0].sched = sched;
        self.list(x);
        let thread = &mut self.threads[x.0];
        let Some(lane) = &mut thread.lane else { return };
        if thread.vcpu.is_none() && thread.past.len() < HISTORY_MAX && lane.since() < t {
            thread.past.push(Past {
                span: Span::new(lane.since(), t),
                status: lane.status(),
            });
        }
        lane.to(t, status, &mut self.sink);
    }

    /// Sees to it that `x` is listed where it was last seen, as long as anything is known of it.
    fn list(&mut self, x: ThreadIx) {
        let thread = &mut self.threads[x.0];
        let known = thread.lane.is_some() && thread.sched != Sched::Unresolved;
        let place = thread.cpu.filter(|_| known);
        if thread.listed.map(|(c, _)| c) == place {
            return;
        }
        if let Some((c, at)) = thread.listed.take() {
            let list = &mut self.cpus[c.0].known;
            list.swap_remove(at);
            if let Some(moved) = list.get(at) {
                self.threads[moved.0].listed = Some((c, at));
            }
        }
        if let Some(c) = place {
            let list = &mut self.cpus[c.0].known;
            self.threads[x.0].listed = Some((c, list.len()));
            list.push(x);
        }
    }

    /// The stream of `c` begins.
    pub(crate) fn cpu_covered(&mut self, t: Timestamp, c: CpuIx) {
        if self.followed.is_some() {
            // Only its threads are.
            return;
        }
        let status = Status::unknown(Cause::NoEvidence, Evidence::None);
        self.cpus[c.0].to(t, status, &mut self.sink);
    }

    /// Everything on `c`, and everything that was last seen there, is unknown from `t` on.
    pub(crate) fn forget(&mut self, t: Timestamp, c: CpuIx, cause: Cause, evidence: Evidence) {
        let cpu = &mut self.cpus[c.0];
        cpu.current = Current::Unknown;
        cpu.contexts.clear();
        cpu.device = None;
        cpu.to(t, Status::unknown(cause, evidence), &mut self.sink);
        let cpu = &self.cpus[c.0];
        let mut here = [&cpu.known[..], &cpu.waiters[..]].concat();
        here.sort_unstable();
        here.dedup();
        for x in here {
            let thread = &self.threads[x.0];
            if thread.lane.is_some() && thread.sched != Sched::Unresolved {
                self.lose_thread(t, x, cause, evidence);
            }
        }
    }

    pub(super) fn lose_thread(
        &mut self,
        t: Timestamp,
        x: ThreadIx,
        cause: Cause,
        evidence: Evidence,
    ) {
        self.wait_on(x, None);
        self.settle(x);
        let status = Status::unknown(cause, evidence);
        self.thread_to(x, t, Sched::Lost, status);
        self.vcpu_lost(t, x, status);
    }

    /// A loss on `c` is over: what it hid is told by the next event about it.
    pub(crate) fn unresolve(&mut self, t: Timestamp, c: CpuIx) {
        let status = Status::unknown(Cause::Lost, Evidence::None);
        if self.followed.is_some() {
            self.leave_cpu(t, c);
        } else {
            self.cpus[c.0].to(t, status, &mut self.sink);
        }
        let mut here = self.cpus[c.0].known.clone();
        here.sort_unstable();
        for x in here {
            if self.threads[x.0].sched == Sched::Lost {
                self.thread_to(x, t, Sched::Unresolved, status);
                self.vcpu_lost(t, x, status);
            }
        }
    }

    pub(crate) fn finish_host(&mut self, end: Timestamp) {
        if self.followed.is_some() {
            self.finish_followed();
        }
        self.finish_lines(end);
        for thread in self.threads.iter_mut() {
            let Some(mut lane) = thread.lane.take() else {
                continue;
            };
            if thread.sched == Sched::Unresolved && thread.statedump_waits {
                let slept = Status::new(State::Sleeping, Evidence::Statedump).likely();
                lane.amend(|s| *s = slept);
            }
            lane.finish(end, &mut self.sink);
        }
        for cpu in &mut self.cpus {
            if let Some(lane) = cpu.lane.take() {
                lane.finish(end, &mut self.sink);
            }
        }
    }
}
