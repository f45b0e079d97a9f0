//! Recordings of some threads only: what these do is told, and nothing of anybody else.
//!
//! Each event happened in a recorded thread, or is the wake-up of one. So it is seen when such a thread
//! loses its processor, and, where the recorder tells that itself, when it gets one. Who else runs
//! meanwhile is not seen, nor that nobody does.

use super::{CpuIx, Current, DEAD_STATES, SLEEPING_STATES, Sched, ThreadIx, sleep_of};
use crate::lane::Status;
use crate::model::{Followed, Model};
use crate::vocab::{Cause, Evidence, State};
use rustc_hash::FxHashSet;
use virtflow_base::{Sink, Tid, Timestamp};
use virtflow_events::{Comm, KernelEvent as K, KernelRecord};

/// What `prev_state` of a thread means that its recorder says was switched away: it runs on, or sleeps.
const RUNS_ON: u32 = 0;
const SLEEPS: u32 = 1;
/// `EXIT_DEAD` and `EXIT_ZOMBIE`.
const ENDED_STATES: u32 = 0x10 | 0x20;
/// Nothing was recorded that would tell.
const UNRECORDED: Status = Status::unknown(Cause::NotRecorded, Evidence::Coverage);

/// Which threads were recorded, and what tells when they run.
#[derive(Debug)]
pub(crate) struct Recorded {
    by: Followed,
    threads: FxHashSet<Tid>,
}

impl Recorded {
    pub(crate) fn new(by: Followed) -> Self {
        Self {
            by,
            threads: FxHashSet::default(),
        }
    }
}

impl<S: Sink> Model<S> {
    fn is_followed(&self, tid: Tid) -> bool {
        let recorded = self.followed.as_ref();
        recorded.is_some_and(|recorded| recorded.threads.contains(&tid))
    }

    fn told_by(&self) -> Followed {
        let recorded = self.followed.as_ref();
        recorded.map_or_else(Followed::default, |recorded| recorded.by)
    }

    /// Takes the next event.
    pub(crate) fn event_of_followed(&mut self, t: Timestamp, c: CpuIx, record: &KernelRecord) {
        match record.event {
            K::ThreadFollowed { tid, pid, parent } => self.follow(t, tid, pid, parent),
            K::ThreadLeft { tid } if self.is_followed(tid) => self.left(t, tid),
            K::ThreadTold { tid, pid, comm } if self.is_followed(tid) => {
                self.thread_told(tid, pid, &comm);
            }
            K::StatedumpNamespace { tid, .. } if self.is_followed(tid) => {
                self.dispatch_seldom(t, c, &record.event);
            }
            K::ThreadTold { .. } | K::ThreadLeft { .. } | K::StatedumpNamespace { .. } => {}
            K::ThreadSwitch {
                tid,
                out,
                preempted,
            } if self.is_followed(tid) => {
                let x = self.thread(tid, &Comm::default());
                if !out {
                    self.comes(t, c, x);
                } else if !self.told_by().traced {
                    let state = if preempted { RUNS_ON } else { SLEEPS };
                    self.leaves(t, c, x, state);
                }
            }
            K::SchedSwitch {
                prev,
                next,
                prev_state,
                prev_comm,
                next_comm,
                ..
            } if self.is_followed(prev) => {
                self.set_process(record, prev, &prev_comm);
                let x = self.thread(prev, &prev_comm);
                self.leaves(t, c, x, prev_state);
                if self.is_followed(next) {
                    let x = self.thread(next, &next_comm);
                    self.comes(t, c, x);
                }
            }
            K::SchedWaking { tid, .. }
            | K::SchedWakeup { tid, .. }
            | K::SchedWakeupNew { tid, .. } => {
                self.runs_in(t, c, record);
                if self.is_followed(tid) {
                    self.wakes(t, c, &record.event, tid);
                }
            }
            K::ProcessFork {
                child, child_comm, ..
            } => {
                self.runs_in(t, c, record);
                if self.is_followed(child) {
                    self.thread(child, &child_comm);
                }
            }
            K::ProcessExit { tid } if self.is_followed(tid) => self.exiting(tid),
            // Of others, or of what is not seen as a whole.
            K::SchedSwitch { .. }
            | K::ThreadSwitch { .. }
            | K::ProcessExit { .. }
            | K::ProcessFree { .. }
            | K::SchedMigrate { .. }
            | K::CpuFrequency { .. } => self.runs_in(t, c, record),
            _ => {
                self.runs_in(t, c, record);
                if matches!(self.cpus[c.0].current, Current::Thread(_)) {
                    self.dispatch_seldom(t, c, &record.event);
                }
            }
        }
    }

    /// A thread is recorded from now on; that of `parent` begins.
    fn follow(&mut self, t: Timestamp, tid: Tid, pid: Option<Tid>, parent: Option<Tid>) {
        if tid.0 == 0 || parent.is_some_and(|parent| !self.is_followed(parent)) {
            return;
        }
        if let Some(recorded) = &mut self.followed {
            recorded.threads.insert(tid);
        }
        match parent {
            Some(parent) => {
                let maker = self.thread_by_tid.get(&parent);
                let comm = maker.map_or_else(Comm::default, |x| self.threads[x.0].comm);
                self.fork(t, parent, None, tid, pid, &comm, None);
            }
            None => self.thread_told(tid, pid, &Comm::default()),
        }
    }

    /// The thread in which something happened runs.
    fn runs_in(&mut self, t: Timestamp, c: CpuIx, record: &KernelRecord) {
        let Some(context) = record.context.filter(|_| !self.cpus[c.0].lossy) else {
            return;
        };
        if self.is_followed(context.tid) {
            self.set_process(record, context.tid, &Comm::default());
            let x = self.thread(context.tid, &Comm::default());
            self.runs(t, c, x);
        } else {
            self.vacate(t, c);
        }
    }

    fn set_process(&mut self, record: &KernelRecord, tid: Tid, comm: &Comm) {
        let process = record.context.and_then(|context| context.process());
        let x = self.thread(tid, comm);
        if let Some(pid) = process.filter(|_| self.threads[x.0].pid.is_none()) {
            self.set_pid(x, pid);
        }
    }

    /// What `x` did before it has `c`; nothing where it had it already.
    fn before(&mut self, t: Timestamp, c: CpuIx, x: ThreadIx) -> Option<Sched> {
        if self.cpus[c.0].current == Current::Thread(x) {
            return None;
        }
        self.vacate(t, c);
        let sched = self.threads[x.0].sched;
        if let Sched::Running(other) = sched {
            self.counts.contradictions += 1;
            self.leave_cpu(t, other);
            self.was(x, Status::unknown(Cause::NoEvidence, Evidence::None));
        }
        Some(sched)
    }

    /// Something happened in `x` on `c`: it has that processor, and if it was not seen to get it,
    /// what it did until now is not known.
    fn runs(&mut self, t: Timestamp, c: CpuIx, x: ThreadIx) {
        match self.before(t, c, x) {
            None => return,
            Some(Sched::Unresolved | Sched::Sleeping | Sched::Runnable | Sched::Preempted) => {
                self.was(x, UNRECORDED);
                self.vcpu_lost(t, x, UNRECORDED);
            }
            Some(Sched::Running(_) | Sched::Lost) => {}
        }
        self.takes(t, c, x, Evidence::FirstEvent);
    }

    /// `x` was seen to get processor `c`.
    fn comes(&mut self, t: Timestamp, c: CpuIx, x: ThreadIx) {
        match self.before(t, c, x) {
            None => return,
            // It has not run since: that it lost the processor again would have been seen. Nothing tells
            // of its wake-up, and so not how long it wanted a processor.
            Some(Sched::Sleeping) => self.slept_at_first(x),
            Some(Sched::Unresolved) => self.was(x, UNRECORDED),
            Some(Sched::Running(_) | Sched::Runnable | Sched::Preempted | Sched::Lost) => {}
        }
        self.takes(t, c, x, Evidence::SchedSwitch);
    }

    /// `x` has `c` from now on.
    fn takes(&mut self, t: Timestamp, c: CpuIx, x: ThreadIx, evidence: Evidence) {
        self.wait_on(x, None);
        let cpu = &mut self.cpus[c.0];
        cpu.current = Current::Thread(x);
        let running = Status::new(State::Running, evidence);
        let by = Some(self.threads[x.0].entity.id);
        self.cpus[c.0].to(t, running.by(by), &mut self.sink);
        self.threads[x.0].cpu = Some(c);
        self.threads[x.0].woken_running = false;
        self.thread_to(x, t, Sched::Running(c), running);
        self.vcpu_switched_in(t, x);
    }

    /// `x` loses its processor.
    fn leaves(&mut self, t: Timestamp, c: CpuIx, x: ThreadIx, prev_state: u32) {
        self.runs(t, c, x);
        let ended = prev_state & ENDED_STATES != 0
            || (self.threads[x.0].exiting && prev_state & DEAD_STATES != 0);
        let ended = ended || (self.threads[x.0].exiting && !self.told_by().traced);
        if ended {
            self.left(t, self.threads[x.0].tid);
            return;
        } else if self.told_by().both_ways {
            self.switch_out(t, c, x, prev_state, None);
            // Who has the processor is not seen, nor whether it still waits for this one.
            self.wait_on(x, None);
        } else {
            self.leaves_unseen(t, x, prev_state);
        }
        self.leave_cpu(t, c);
    }

    /// `x` loses its processor, and it may not be seen when it gets one. What it does until then is told
    /// when that is, or its wake-up.
    fn leaves_unseen(&mut self, t: Timestamp, x: ThreadIx, prev_state: u32) {
        let status = Status::unknown(Cause::NotRecorded, Evidence::SchedSwitch);
        self.vcpu_lost(t, x, status);
        self.threads[x.0].wake = None;
        let woken = std::mem::take(&mut self.threads[x.0].woken_running);
        let (sched, state, evidence) = if prev_state & SLEEPING_STATES == 0 {
            (Sched::Preempted, State::Preempted, Evidence::SchedSwitch)
        } else if woken {
            (Sched::Runnable, State::Runnable, Evidence::SchedWaking)
        } else {
            (Sched::Sleeping, sleep_of(prev_state), Evidence::SchedSwitch)
        };
        self.thread_to(x, t, sched, Status::new(state, evidence));
    }

    /// A recorded thread is woken.
    fn wakes(&mut self, t: Timestamp, c: CpuIx, event: &K, tid: Tid) {
        match *event {
            K::SchedWaking {
                target_cpu, comm, ..
            } => self.waking(t, c, tid, target_cpu, &comm),
            K::SchedWakeup {
                target_cpu, comm, ..
            }
            | K::SchedWakeupNew {
                target_cpu, comm, ..
            } => self.woken(t, c, tid, target_cpu, &comm),
            _ => {}
        }
        let Some(&x) = self.thread_by_tid.get(&tid) else {
            return;
        };
        // Who has the processor is not seen.
        self.wait_on(x, None);
        if self.threads[x.0].sched != Sched::Runnable {
            return;
        }
        if let Some(lane) = &mut self.threads[x.0].lane {
            lane.amend(|s| s.by = None);
        }
        if !self.told_by().both_ways {
            // It may get a processor at any moment.
            let status = Status::unknown(Cause::NotRecorded, Evidence::SchedWaking);
            self.vcpu_lost(t, x, status);
        } else if let Some(v) = self.vcpu_of(x)
            && let Some(lane) = &mut self.vcpus[v.0].lane
        {
            lane.amend(|s| s.by = None);
        }
    }

    /// A thread is at its end.
    fn left(&mut self, t: Timestamp, tid: Tid) {
        if let Some(recorded) = &mut self.followed {
            recorded.threads.remove(&tid);
        }
        let Some(&x) = self.thread_by_tid.get(&tid) else {
            return;
        };
        if let Sched::Running(c) = self.threads[x.0].sched {
            self.leave_cpu(t, c);
        }
        self.settle(x);
        self.end_thread(t, x);
    }

    /// Whoever was thought to have `c` has lost it, and that was not seen.
    fn vacate(&mut self, t: Timestamp, c: CpuIx) {
        if let Current::Thread(other) = self.cpus[c.0].current {
            self.counts.contradictions += 1;
            self.lose_thread(t, other, Cause::NoEvidence, Evidence::None);
            self.leave_cpu(t, c);
        }
    }

    /// Nobody who was recorded has `c` any more.
    pub(super) fn leave_cpu(&mut self, t: Timestamp, c: CpuIx) {
        let cpu = &mut self.cpus[c.0];
        cpu.current = Current::Unknown;
        cpu.contexts.clear();
        cpu.device = None;
        cpu.packet = None;
        cpu.to(t, UNRECORDED, &mut self.sink);
    }

    /// What `x` did until now was something else than was thought.
    fn was(&mut self, x: ThreadIx, status: Status) {
        let keeps = |lane: &Status| lane.state == State::Unknown && lane.cause == Cause::Lost;
        let lane = self.threads[x.0].lane.as_mut();
        if let Some(lane) = lane.filter(|lane| !keeps(&lane.status())) {
            lane.amend(|s| *s = status);
        }
        if let Some(v) = self.vcpu_of(x)
            && let Some(lane) = &mut self.vcpus[v.0].lane
            && !keeps(&lane.status())
        {
            lane.amend(|s| *s = status);
        }
    }

    fn slept_at_first(&mut self, x: ThreadIx) {
        if let Some(lane) = &mut self.threads[x.0].lane {
            lane.amend(|s| *s = s.likely());
        }
        if let Some(v) = self.vcpu_of(x)
            && let Some(lane) = &mut self.vcpus[v.0].lane
        {
            lane.amend(|s| *s = s.likely());
        }
        self.wake_unseen(x);
    }

    /// Whether a thread of which that was seen last may have a processor by now.
    pub(super) fn may_run_unseen(&self, sched: Sched) -> bool {
        self.followed.is_some()
            && !self.told_by().both_ways
            && matches!(sched, Sched::Sleeping | Sched::Runnable | Sched::Preempted)
    }

    /// Nothing more is heard of a thread: if it is off its processor nothing says that it still is,
    /// unless that would be seen.
    pub(super) fn settle(&mut self, x: ThreadIx) {
        if self.followed.is_none() {
            return;
        }
        match self.threads[x.0].sched {
            Sched::Unresolved => self.was(x, UNRECORDED),
            sched if self.may_run_unseen(sched) => self.was(x, UNRECORDED),
            Sched::Sleeping => self.slept_at_first(x),
            _ => {}
        }
    }

    /// The recording ends.
    pub(super) fn finish_followed(&mut self) {
        for place in self.threads.places().collect::<Vec<_>>() {
            self.settle(ThreadIx(place));
        }
    }
}
