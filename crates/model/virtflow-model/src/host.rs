//! The host's own processors and threads: who runs, who wants to, who took the processor.

use crate::lane::{Lane, Status};
use crate::model::Model;
use crate::vectors::Msi;
use crate::vm::{VcpuIx, VmIx};
use crate::vocab::{Cause, Evidence, Kind, State};
use crate::waits::Source;
use virtflow_base::{CpuId, Entity, EntityId, Sink, Span, Tid, Timestamp};
use virtflow_events::{Comm, KernelEvent as K, NamespaceKind};

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

/// The states of a thread's `prev_state` that mean it sleeps, by whatever kernel wrote it; the
/// marks for "was pre-empted" and for reporting lie above (include/linux/sched.h `TASK_REPORT`).
const SLEEPING_STATES: u32 = 0xff;
/// `TASK_UNINTERRUPTIBLE`.
const UNINTERRUPTIBLE: u32 = 0x2;
/// `EXIT_DEAD`, `EXIT_ZOMBIE` and `TASK_DEAD` as they show in `prev_state`.
const DEAD_STATES: u32 = 0x10 | 0x20 | 0x80;
/// LTTng's statedump: the process waits (`enum lttng_process_status`, lttng-statedump-impl.c).
/// What the handlers of devices given to VMs are called (drivers/vfio/pci/vfio_pci_intrs.c).
const VFIO: &[u8] = b"vfio";
const STATEDUMP_WAIT: u32 = 5;

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
    /// Threads that want this processor and do not have it.
    pub(crate) waiters: Vec<ThreadIx>,
    /// Threads that were last seen here and of which anything is known.
    known: Vec<ThreadIx>,
    pub(crate) covered: bool,
    /// How many losses of its tracer this is the time of.
    pub(crate) losses: u32,
    /// Whether its tracer lost events about now: what it does record says nothing of its state.
    pub(crate) lossy: bool,
    /// What the host's devices did last on this processor, for telling wake-ups apart.
    pub(crate) device: Option<Cause>,
    /// A packet that a VMM's thread has just given to the host's network, and of which VM.
    pub(crate) packet: Option<(VmIx, Source)>,
    /// The vector that some VM's APIC accepted in the interrupt that runs here: whose it is, the
    /// wake-up that follows tells.
    pub(crate) accepted: Option<(u32, u8)>,
}

impl Cpu {
    pub(crate) fn new(entity: EntityId, begins: Timestamp) -> Self {
        let status = Status::unknown(Cause::NotRecorded, Evidence::Coverage);
        Self {
            lane: Some(Lane::new(entity, None, begins, status)),
            current: Current::Unknown,
            contexts: Vec::new(),
            waiters: Vec::new(),
            known: Vec::new(),
            covered: false,
            losses: 0,
            lossy: false,
            device: None,
            packet: None,
            accepted: None,
        }
    }

    fn to(&mut self, t: Timestamp, status: Status, sink: &mut impl Sink) {
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

    fn new_thread(&mut self, tid: Tid, comm: &Comm, since: Timestamp, sched: Sched) -> ThreadIx {
        let mut entity = self.new_entity(Kind::Thread, format!("thread:{tid}@{since}"));
        entity.tid = Some(tid.0);
        entity.label = comm.as_bytes().to_vec();
        self.sink.entity(&entity);
        let status = Status::unknown(Cause::NoEvidence, Evidence::None);
        let x = ThreadIx(self.threads.len());
        self.threads.push(Thread {
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
        });
        self.thread_by_tid.insert(tid, x);
        if self.vm_by_pid.contains_key(&tid) {
            self.set_pid(x, tid);
        }
        x
    }

    fn rename(&mut self, x: ThreadIx, comm: &Comm) {
        let thread = &mut self.threads[x.0];
        thread.comm = *comm;
        thread.entity.label = comm.as_bytes().to_vec();
        self.sink.entity(&thread.entity);
        self.vcpu_renamed(x);
    }

    /// Notes which process a thread belongs to.
    pub(crate) fn set_pid(&mut self, x: ThreadIx, pid: Tid) {
        let thread = &mut self.threads[x.0];
        if thread.pid != Some(pid) {
            thread.pid = Some(pid);
            thread.entity.pid = Some(pid.0);
            self.sink.entity(&thread.entity);
        }
    }

    /// Moves a thread's lane, and keeps its past while it may yet be a virtual processor.
    fn thread_to(&mut self, x: ThreadIx, t: Timestamp, sched: Sched, status: Status) {
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

    /// The first event about a thread since it was lost sight of says what it did until now.
    fn resolve(&mut self, x: ThreadIx, status: Status) {
        let thread = &mut self.threads[x.0];
        if thread.sched != Sched::Unresolved {
            return;
        }
        if let Some(lane) = &mut thread.lane {
            if lane.since() < self.covered_from {
                lane.amend(|s| *s = Status::unknown(Cause::NotRecorded, Evidence::Coverage));
                lane.to(self.covered_from.min(self.now), status, &mut self.sink);
            } else {
                lane.amend(|s| *s = status);
            }
        }
        self.vcpu_resolved(x, status);
    }

    /// Notes which processor a thread wants.
    fn wait_on(&mut self, x: ThreadIx, c: Option<CpuIx>) {
        let before = std::mem::replace(&mut self.threads[x.0].waits_for, c);
        if before == c {
            return;
        }
        if let Some(before) = before {
            self.cpus[before.0].waiters.retain(|&w| w != x);
        }
        if let Some(c) = c
            && self.cpus[c.0].waiters.len() < WAITERS_MAX
        {
            self.cpus[c.0].waiters.push(x);
        }
    }

    /// Somebody else has processor `c` now: those who want it wait for somebody else.
    fn occupant_changed(&mut self, t: Timestamp, c: CpuIx) {
        for i in 0..self.cpus[c.0].waiters.len() {
            let x = self.cpus[c.0].waiters[i];
            self.still_waiting(t, x, c);
        }
    }

    fn still_waiting(&mut self, t: Timestamp, x: ThreadIx, c: CpuIx) {
        let by = self.occupant(c);
        let Some(lane) = &self.threads[x.0].lane else {
            return;
        };
        let status = lane.status();
        if matches!(status.state, State::Runnable | State::Preempted) && status.by != by {
            let sched = self.threads[x.0].sched;
            self.thread_to(x, t, sched, status.by(by));
            self.vcpu_still_waits(t, x, by);
        }
    }

    /// `c` has nothing to run although threads that were pre-empted are in its queue: they have
    /// used up what their group may use (`throttle_cfs_rq`, kernel/sched/fair.c).
    fn throttled(&mut self, t: Timestamp, c: CpuIx) {
        for i in 0..self.cpus[c.0].waiters.len() {
            let x = self.cpus[c.0].waiters[i];
            if self.threads[x.0].sched == Sched::Preempted {
                self.vcpu_throttled(t, x);
            }
        }
    }

    /// Who holds processor `c`, as an entity; `None` when it idles or is not known.
    pub(crate) fn occupant(&self, c: CpuIx) -> Option<EntityId> {
        match self.cpus[c.0].current {
            Current::Thread(x) => Some(self.threads[x.0].entity.id),
            Current::Idle | Current::Unknown => None,
        }
    }

    pub(crate) fn sched_switch(&mut self, t: Timestamp, c: CpuIx, event: &K) {
        let K::SchedSwitch {
            prev,
            next,
            prev_state,
            prev_comm,
            next_comm,
            ..
        } = event
        else {
            return;
        };
        self.cpus[c.0].contexts.clear();
        self.cpus[c.0].device = None;
        self.cpus[c.0].packet = None;
        if prev.0 != 0 {
            let x = self.thread(*prev, prev_comm);
            self.check_current(t, c, x);
            let next = (next.0 != 0).then(|| self.thread(*next, next_comm));
            self.switch_out(t, c, x, *prev_state, next);
        } else if let Current::Thread(x) = self.cpus[c.0].current {
            self.counts.contradictions += 1;
            self.lose_thread(t, x, Cause::NoEvidence, Evidence::SchedSwitch);
        } else if self.cpus[c.0].current == Current::Unknown {
            // The idle thread ran since the processor could be seen.
            if let Some(lane) = &mut self.cpus[c.0].lane
                && lane.status().cause != Cause::NotRecorded
            {
                lane.amend(|s| *s = Status::new(State::Idle, Evidence::FirstEvent));
            }
        }
        if next.0 == 0 {
            self.cpus[c.0].current = Current::Idle;
            let status = Status::new(State::Idle, Evidence::SchedSwitch);
            self.cpus[c.0].to(t, status, &mut self.sink);
        } else {
            let x = self.thread(*next, next_comm);
            self.switch_in(t, c, x);
        }
        self.occupant_changed(t, c);
        if next.0 == 0 {
            self.throttled(t, c);
        }
    }

    /// The stream of `c` begins.
    pub(crate) fn cpu_covered(&mut self, t: Timestamp, c: CpuIx) {
        let status = Status::unknown(Cause::NoEvidence, Evidence::None);
        self.cpus[c.0].to(t, status, &mut self.sink);
    }

    /// Sees to it that `x` is known to run on `c`.
    fn check_current(&mut self, t: Timestamp, c: CpuIx, x: ThreadIx) {
        let current = self.cpus[c.0].current;
        if current == Current::Thread(x) {
            return;
        }
        if let Current::Thread(other) = current {
            self.counts.contradictions += 1;
            self.lose_thread(t, other, Cause::NoEvidence, Evidence::SchedSwitch);
        }
        let running = Status::new(State::Running, Evidence::FirstEvent);
        match self.threads[x.0].sched {
            Sched::Unresolved => self.resolve(x, running),
            Sched::Running(_) => {}
            _ => {
                self.lose_thread(t, x, Cause::NoEvidence, Evidence::SchedSwitch);
                self.counts.contradictions += 1;
            }
        }
        self.threads[x.0].sched = Sched::Running(c);
        self.threads[x.0].cpu = Some(c);
        self.list(x);
        let by = Some(self.threads[x.0].entity.id);
        if let Some(lane) = &mut self.cpus[c.0].lane
            && lane.status().state == State::Unknown
            && lane.status().cause != Cause::NotRecorded
        {
            lane.amend(|s| *s = running.by(by));
        }
        self.cpus[c.0].current = Current::Thread(x);
    }

    fn switch_out(
        &mut self,
        t: Timestamp,
        c: CpuIx,
        x: ThreadIx,
        prev_state: u32,
        next: Option<ThreadIx>,
    ) {
        self.threads[x.0].cpu = Some(c);
        let by = next.map(|n| self.threads[n.0].entity.id);
        if self.threads[x.0].exiting && prev_state & DEAD_STATES != 0 {
            self.end_thread(t, x);
            return;
        }
        if prev_state & SLEEPING_STATES == 0 {
            self.wait_on(x, Some(c));
            let status = Status::new(State::Preempted, Evidence::SchedSwitch).by(by);
            self.thread_to(x, t, Sched::Preempted, status);
        } else {
            let mut status = Status::new(State::Sleeping, Evidence::SchedSwitch);
            if prev_state & UNINTERRUPTIBLE != 0 {
                status = status.because(Cause::Uninterruptible);
            }
            self.thread_to(x, t, Sched::Sleeping, status);
        }
        self.vcpu_switched_out(t, x, prev_state & SLEEPING_STATES != 0, by);
        let wake = self.threads[x.0].wake;
        if std::mem::take(&mut self.threads[x.0].woken_running) && prev_state & SLEEPING_STATES != 0
        {
            let status = Status::new(State::Runnable, Evidence::SchedWaking).by(by);
            self.threads[x.0].wake = wake;
            self.wait_on(x, Some(c));
            self.thread_to(x, t, Sched::Runnable, status);
            self.vcpu_woken(t, x, by);
        }
    }

    fn switch_in(&mut self, t: Timestamp, c: CpuIx, x: ThreadIx) {
        match self.threads[x.0].sched {
            Sched::Sleeping => self.wake_unseen(x),
            Sched::Unresolved => {
                self.resolve(
                    x,
                    Status::new(State::Runnable, Evidence::FirstEvent).likely(),
                );
            }
            Sched::Running(other) if other != c => {
                self.counts.contradictions += 1;
                if self.cpus[other.0].current == Current::Thread(x) {
                    self.cpus[other.0].current = Current::Unknown;
                }
            }
            _ => {}
        }
        self.wait_on(x, None);
        self.cpus[c.0].current = Current::Thread(x);
        let by = Some(self.threads[x.0].entity.id);
        let running = Status::new(State::Running, Evidence::SchedSwitch);
        self.cpus[c.0].to(t, running.by(by), &mut self.sink);
        self.threads[x.0].cpu = Some(c);
        self.threads[x.0].woken_running = false;
        self.thread_to(x, t, Sched::Running(c), running);
        self.vcpu_switched_in(t, x);
    }

    /// A sleeping thread runs and nothing told of its wake-up. If events were lost meanwhile, so
    /// was the wake-up, and with it what the thread did since.
    fn wake_unseen(&mut self, x: ThreadIx) {
        let Some(lane) = &mut self.threads[x.0].lane else {
            return;
        };
        if self.lost_until <= lane.since() {
            return;
        }
        let lost = Status::unknown(Cause::Lost, Evidence::LossCounter);
        lane.amend(|s| *s = lost);
        if let Some(v) = self.vcpu_of(x)
            && let Some(lane) = &mut self.vcpus[v.0].lane
        {
            lane.amend(|s| *s = lost);
        }
    }

    pub(crate) fn waking(&mut self, t: Timestamp, c: CpuIx, tid: Tid, target: CpuId, comm: &Comm) {
        if tid.0 == 0 {
            return;
        }
        let x = self.thread(tid, comm);
        let cpu = &self.cpus[c.0];
        let wake = Wake {
            at: t,
            cpu: c,
            waker: cpu.current,
            context: cpu.contexts.last().copied(),
            device: cpu.device,
        };
        match self.threads[x.0].sched {
            Sched::Unresolved => {
                self.resolve(x, Status::new(State::Sleeping, Evidence::FirstEvent));
            }
            Sched::Sleeping | Sched::Lost => {}
            Sched::Running(_) => {
                // Woken on its way to sleep: it will be runnable as soon as it is off.
                self.threads[x.0].wake = Some(wake);
                self.threads[x.0].woken_running = true;
                return;
            }
            Sched::Runnable | Sched::Preempted => return,
        }
        self.threads[x.0].wake = Some(wake);
        self.threads[x.0].device = self.device_of_wake(x, &wake);
        if let Some((from, sender)) = self.cpus[c.0].packet
            && let Some(vm) = self.vm_of_thread(x).filter(|&vm| vm != from)
        {
            self.packet_comes(vm, sender);
        }
        let target = self.cpu(target).or(self.threads[x.0].cpu);
        if let Some(target) = target.filter(|target| self.cpus[target.0].lossy) {
            self.threads[x.0].cpu = Some(target);
            self.lose_thread(t, x, Cause::Lost, Evidence::LossCounter);
            return;
        }
        self.wait_on(x, target);
        let by = target.and_then(|target| self.occupant(target));
        let status = Status::new(State::Runnable, Evidence::SchedWaking).by(by);
        self.thread_to(x, t, Sched::Runnable, status);
        self.vcpu_woken(t, x, by);
    }

    /// What device a thread was woken for: one that was at work in the waker's context, or the
    /// one its waker, a helper in the same process, works for.
    fn device_of_wake(&self, x: ThreadIx, wake: &Wake) -> Option<Cause> {
        if wake.device.is_some() {
            return wake.device;
        }
        let Current::Thread(waker) = wake.waker else {
            return None;
        };
        let (waker, woken) = (&self.threads[waker.0], &self.threads[x.0]);
        let helper = wake.context.is_none() && waker.vcpu.is_none() && waker.pid == woken.pid;
        if helper && waker.pid.is_some() {
            waker.device
        } else {
            None
        }
    }

    /// `sched_wakeup`: says where the thread was put; where there is no `sched_waking` it is one.
    pub(crate) fn woken(&mut self, t: Timestamp, c: CpuIx, tid: Tid, target: CpuId, comm: &Comm) {
        let known = self
            .thread_by_tid
            .get(&tid)
            .map(|x| self.threads[x.0].sched);
        match known {
            Some(Sched::Runnable) => self.migrate(t, tid, target),
            Some(Sched::Running(_)) => {
                if let Some(&x) = self.thread_by_tid.get(&tid) {
                    self.threads[x.0].woken_running = false;
                }
            }
            Some(Sched::Preempted) => {}
            Some(Sched::Sleeping | Sched::Lost | Sched::Unresolved) | None => {
                self.waking(t, c, tid, target, comm);
            }
        }
    }

    pub(crate) fn migrate(&mut self, t: Timestamp, tid: Tid, dest: CpuId) {
        let Some(&x) = self.thread_by_tid.get(&tid) else {
            return;
        };
        let Some(dest) = self.cpu(dest) else { return };
        if matches!(self.threads[x.0].sched, Sched::Runnable | Sched::Preempted) {
            self.wait_on(x, Some(dest));
            self.still_waiting(t, x, dest);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of the event")]
    pub(crate) fn fork(
        &mut self,
        t: Timestamp,
        parent: Tid,
        parent_pid: Option<Tid>,
        child: Tid,
        child_pid: Option<Tid>,
        comm: &Comm,
        ns: Option<u32>,
    ) {
        if child.0 == 0 {
            return;
        }
        if let Some(&old) = self.thread_by_tid.get(&child) {
            self.end_thread(t, old);
        }
        let x = self.new_thread(child, comm, t, Sched::Sleeping);
        let status = Status::new(State::Sleeping, Evidence::Fork);
        if let Some(lane) = &mut self.threads[x.0].lane {
            lane.amend(|s| *s = status);
        }
        if let Some(pid) = child_pid {
            self.set_pid(x, pid);
        }
        if let Some(&p) = self.thread_by_tid.get(&parent) {
            if let Some(pid) = parent_pid.filter(|_| self.threads[p.0].pid.is_none()) {
                self.set_pid(p, pid);
            }
            self.threads[x.0].vm = self.threads[p.0].vm;
            // A thread outside all containers has the namespace of the one that forked it.
            let container = match (ns, self.threads[p.0].container) {
                (Some(ns), _) if Some(ns) != self.host_namespace => Some(ns),
                (None, parent) => parent,
                _ => None,
            };
            if let Some(inum) = container {
                self.put_in_container(x, inum);
            }
        }
    }

    pub(crate) fn exec(&mut self, tid: Tid, old_tid: Tid) {
        if tid == old_tid {
            return;
        }
        // A thread that was not the leader takes the leader's number.
        if let Some(x) = self.thread_by_tid.remove(&old_tid) {
            self.threads[x.0].tid = tid;
            self.thread_by_tid.insert(tid, x);
        }
    }

    pub(crate) fn exiting(&mut self, tid: Tid) {
        if let Some(x) = self.thread_by_tid.get(&tid) {
            self.threads[x.0].exiting = true;
        }
    }

    pub(crate) fn freed(&mut self, t: Timestamp, tid: Tid) {
        if let Some(&x) = self.thread_by_tid.get(&tid)
            && self.threads[x.0].exiting
        {
            self.end_thread(t, x);
        }
    }

    /// Ends a thread's life.
    fn end_thread(&mut self, t: Timestamp, x: ThreadIx) {
        self.vcpu_ended(t, x);
        self.wait_on(x, None);
        let thread = &mut self.threads[x.0];
        if let Some(lane) = thread.lane.take() {
            lane.finish(t, &mut self.sink);
        }
        thread.past = Vec::new();
        if self.thread_by_tid.get(&thread.tid) == Some(&x) {
            self.thread_by_tid.remove(&thread.tid);
        }
        self.list(x);
    }

    pub(crate) fn statedump(&mut self, tid: Tid, pid: Tid, status: u32, comm: &Comm) {
        if tid.0 == 0 {
            return;
        }
        let x = self.thread(tid, comm);
        self.threads[x.0].statedump_waits = status == STATEDUMP_WAIT;
        self.set_pid(x, pid);
    }

    /// Notes that a thread lives in a pid namespace other than the host's: a container, named
    /// after the first thread seen in it.
    fn put_in_container(&mut self, x: ThreadIx, inum: u32) {
        if self.threads[x.0].container == Some(inum) {
            return;
        }
        self.threads[x.0].container = Some(inum);
        let entity = match self.containers.get(&inum) {
            Some(&entity) => entity,
            None => {
                let mut entity = self.new_entity(Kind::Container, format!("container:{inum}"));
                entity.label = self.threads[x.0].entity.label.clone();
                self.sink.entity(&entity);
                self.containers.insert(inum, entity.id);
                entity.id
            }
        };
        let thread = &mut self.threads[x.0];
        thread.entity.parent = Some(entity);
        self.sink.entity(&thread.entity);
    }

    pub(crate) fn namespace(&mut self, tid: Tid, kind: NamespaceKind, inum: u32, level: u32) {
        if kind == NamespaceKind::Pid && level == 0 {
            self.host_namespace = Some(inum);
        }
        if kind == NamespaceKind::Pid
            && level > 0
            && let Some(&x) = self.thread_by_tid.get(&tid)
        {
            self.put_in_container(x, inum);
        }
    }

    /// A context field says who runs.
    pub(crate) fn context_tid(&mut self, t: Timestamp, c: CpuIx, tid: Tid) {
        if self.cpus[c.0].current != Current::Unknown {
            return;
        }
        if tid.0 == 0 {
            self.cpus[c.0].current = Current::Idle;
            let status = Status::new(State::Idle, Evidence::FirstEvent);
            self.cpus[c.0].to(t, status, &mut self.sink);
        } else {
            let x = self.thread(tid, &Comm::default());
            self.check_current(t, c, x);
        }
    }

    pub(crate) fn irq_enter(&mut self, t: Timestamp, c: CpuIx, event: &K) {
        let context = match *event {
            K::SoftirqEntry { vec } => Context::Softirq(vec),
            K::VectorEntry { .. } => Context::Vector,
            K::HrtimerExpireEntry { function, .. } => Context::Hrtimer(function),
            _ => Context::Irq,
        };
        let contexts = &mut self.cpus[c.0].contexts;
        if contexts.len() < IRQ_DEPTH_MAX {
            contexts.push(context);
        }
        if contexts.len() == 1 {
            self.cpus[c.0].device = None;
            self.cpus[c.0].accepted = None;
            self.vcpu_stolen(t, c, context);
        }
        if let K::IrqEntry { name, .. } = event
            && name.as_bytes().starts_with(VFIO)
        {
            self.cpus[c.0].device = Some(Cause::Vfio);
        }
    }

    pub(crate) fn irq_leave(&mut self, t: Timestamp, c: CpuIx, event: &K) {
        let contexts = &mut self.cpus[c.0].contexts;
        let matches = |context: &Context| {
            matches!(
                (context, event),
                (Context::Irq, K::IrqExit { .. })
                    | (Context::Softirq(_), K::SoftirqExit { .. })
                    | (Context::Vector, K::VectorExit { .. })
                    | (Context::Hrtimer(_), K::HrtimerExpireExit { .. })
            )
        };
        // What was entered later and never left was cut off by a loss.
        if let Some(at) = contexts.iter().rposition(matches) {
            contexts.truncate(at);
        }
        if contexts.is_empty() {
            self.cpus[c.0].device = None;
            self.cpus[c.0].accepted = None;
            self.vcpu_given_back(t, c);
        }
    }

    /// Notes what a device did, for the wake-ups that follow in the same context.
    pub(crate) fn device_event(&mut self, c: CpuIx, event: &K) {
        let cpu = &mut self.cpus[c.0];
        let in_irq = !cpu.contexts.is_empty();
        match event {
            K::BlockComplete(_) => cpu.device = Some(Cause::Disk),
            K::NetQueue(_) => cpu.device = Some(Cause::Net),
            K::NetXmit(_) => cpu.device = None,
            K::NetReceive(_) | K::NetRx(_) | K::NapiPoll { .. } if in_irq => {
                cpu.device = Some(Cause::Net);
            }
            _ => {}
        }
        if let (Current::Thread(x), false) = (cpu.current, in_irq) {
            match event {
                K::BlockIssue(_) | K::BlockInsert(_) | K::BlockBioQueue(_) => {
                    self.works_for(x, Cause::Disk);
                }
                K::NetReceive(_) => {
                    self.works_for(x, Cause::Net);
                    // What the VMM passes on is what its guest sent; whom it reaches wakes up next.
                    let vm = self.threads[x.0].vm;
                    self.cpus[c.0].packet = vm.and_then(|vm| Some((vm, self.sender(vm)?)));
                }
                _ => {}
            }
        }
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

    fn lose_thread(&mut self, t: Timestamp, x: ThreadIx, cause: Cause, evidence: Evidence) {
        self.wait_on(x, None);
        let status = Status::unknown(cause, evidence);
        self.thread_to(x, t, Sched::Lost, status);
        self.vcpu_lost(t, x, status);
    }

    /// A loss on `c` is over: what it hid is told by the next event about it.
    pub(crate) fn unresolve(&mut self, t: Timestamp, c: CpuIx) {
        let status = Status::unknown(Cause::Lost, Evidence::None);
        self.cpus[c.0].to(t, status, &mut self.sink);
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
        for thread in &mut self.threads {
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
