//! The host's scheduler: switches, wake-ups, migrations.

use super::segments::Woke;
use super::{
    BLOCK_SOFTIRQ, Context, CpuIx, Current, DEAD_STATES, NET_SOFTIRQS, SLEEPING_STATES, Sched,
    TIMER_SOFTIRQS, ThreadIx, WAITERS_MAX, Wake, sleep_of,
};
use crate::lane::{Lane, Status};
use crate::model::Model;
use crate::vocab::{Cause, Confidence, EdgeKind, Evidence, State};
use virtflow_base::{CpuId, Edge, EntityId, Sink, Tid, Timestamp};
use virtflow_events::{Comm, KernelEvent as K};

impl<S: Sink> Model<S> {
    /// The first event about a thread since it was lost sight of says what it did until now.
    pub(super) fn resolve(&mut self, x: ThreadIx, status: Status) {
        if self.threads[x.0].sched != Sched::Unresolved {
            return;
        }
        self.split_at_coverage(x);
        self.split_at_loss(x);
        self.resolve_from(x, Timestamp::MIN, status);
    }

    /// The same, but what it did before `since` is not told.
    fn resolve_from(&mut self, x: ThreadIx, since: Timestamp, status: Status) {
        if self.threads[x.0].sched != Sched::Unresolved {
            return;
        }
        self.split_at_coverage(x);
        if let Some(lane) = &mut self.threads[x.0].lane {
            if lane.since() < since {
                self.thread_to(x, since.min(self.now), Sched::Unresolved, status);
            } else {
                lane.amend(|s| *s = status);
            }
        }
        self.vcpu_resolved(x, status);
    }

    /// What a thread did before all processors were recorded is not told for that reason.
    fn split_at_coverage(&mut self, x: ThreadIx) {
        if let Some(lane) = &mut self.threads[x.0].lane
            && lane.since() < self.covered_from
        {
            lane.amend(|s| *s = Status::unknown(Cause::NotRecorded, Evidence::Coverage));
            let untold = Status::unknown(Cause::NoEvidence, Evidence::None);
            lane.to(self.covered_from.min(self.now), untold, &mut self.sink);
        }
    }

    /// What a thread did of which nothing was heard while events were lost is lost, wherever that was.
    fn split_at_loss(&mut self, x: ThreadIx) {
        let until = if self.cpus.iter().any(|cpu| cpu.lossy) {
            self.now
        } else {
            self.lost_until
        };
        let lost = Status::unknown(Cause::Lost, Evidence::LossCounter);
        let untold = Status::unknown(Cause::Lost, Evidence::None);
        let is_before = |lane: &&mut Lane| lane.since() < until;
        if let Some(lane) = self.threads[x.0].lane.as_mut().filter(is_before) {
            lane.amend(|s| *s = lost);
            self.thread_to(x, until, Sched::Unresolved, untold);
        }
        if let Some(v) = self.vcpu_of(x)
            && let Some(lane) = self.vcpus[v.0].lane.as_mut().filter(is_before)
        {
            lane.amend(|s| *s = lost);
            lane.to(until, untold, &mut self.sink);
        }
    }

    /// Why nothing is told of what happens on a processor now.
    fn why_dark(&self, c: CpuIx) -> Option<(Cause, Evidence)> {
        let cpu = &self.cpus[c.0];
        if cpu.lossy {
            return Some((Cause::Lost, Evidence::LossCounter));
        }
        let is_told = cpu.covered || !self.coverage_told || self.followed.is_some();
        (!is_told).then_some((Cause::NotRecorded, Evidence::Coverage))
    }

    /// Since when nothing was told of who has processor `c`, if nothing is: then no switch was there,
    /// and whoever has it at last has had it since.
    fn untold_since(&self, c: CpuIx) -> Option<Timestamp> {
        let lane = self.cpus[c.0].lane.as_ref()?;
        let status = lane.status();
        (status.state == State::Unknown && status.evidence == Evidence::None).then(|| lane.since())
    }

    /// Notes which processor a thread wants.
    pub(super) fn wait_on(&mut self, x: ThreadIx, c: Option<CpuIx>) {
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
    pub(super) fn occupant_changed(&mut self, t: Timestamp, c: CpuIx) {
        for i in 0..self.cpus[c.0].waiters.len() {
            let x = self.cpus[c.0].waiters[i];
            self.still_waiting(t, x, c);
        }
    }

    pub(super) fn still_waiting(&mut self, t: Timestamp, x: ThreadIx, c: CpuIx) {
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
    pub(super) fn throttled(&mut self, t: Timestamp, c: CpuIx) {
        if !self.migrations_told || self.cpus.iter().any(|cpu| cpu.lossy) {
            return;
        }
        for i in 0..self.cpus[c.0].waiters.len() {
            let x = self.cpus[c.0].waiters[i];
            let lane = self.threads[x.0].lane.as_ref();
            let is_told = lane.is_some_and(|lane| self.lost_until <= lane.since());
            if self.threads[x.0].sched == Sched::Preempted && is_told {
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
            self.doubt_cpu(c, Timestamp::MIN);
            self.lose_occupant(t, c, x);
        } else if self.cpus[c.0].current == Current::Unknown {
            // The idle thread ran since the processor could be seen.
            if self.untold_since(c).is_some()
                && let Some(lane) = &mut self.cpus[c.0].lane
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

    /// Sees to it that `x` is known to run on `c`.
    pub(super) fn check_current(&mut self, t: Timestamp, c: CpuIx, x: ThreadIx) {
        let current = self.cpus[c.0].current;
        if current == Current::Thread(x) {
            return;
        }
        if let Current::Thread(other) = current {
            self.counts.contradictions += 1;
            self.lose_occupant(t, c, other);
        }
        let running = Status::new(State::Running, Evidence::FirstEvent);
        let sched = self.threads[x.0].sched;
        let untold = self.untold_since(c).filter(|since| {
            // It was elsewhere, or slept, since nothing is told of the processor?
            let lane = self.threads[x.0].lane.as_ref();
            let told_later = lane.is_some_and(|lane| lane.since() > *since)
                || matches!(sched, Sched::Running(other) if other != c);
            current == Current::Unknown && (sched == Sched::Unresolved || !told_later)
        });
        match (sched, untold) {
            (Sched::Unresolved, Some(since)) => self.resolve_from(x, since, running),
            // Somebody else was thought to have the processor: when it came nothing tells.
            (Sched::Unresolved, None) => {
                self.counts.contradictions += u64::from(current == Current::Idle);
                self.split_at_coverage(x);
                self.lose_thread(t, x, Cause::NoEvidence, Evidence::SchedSwitch);
            }
            (Sched::Running(elsewhere), _) if elsewhere != c => {
                self.left_unseen(t, x, elsewhere);
            }
            (Sched::Running(_), _) => {}
            _ => {
                self.doubt(x, Timestamp::MIN);
                self.lose_thread(t, x, Cause::NoEvidence, Evidence::SchedSwitch);
                // Where neither the thread nor the processor was known, nothing is contradicted.
                let is_known = sched != Sched::Lost || current != Current::Unknown;
                self.counts.contradictions += u64::from(is_known);
            }
        }
        self.threads[x.0].sched = Sched::Running(c);
        self.threads[x.0].cpu = Some(c);
        self.list(x);
        let by = Some(self.threads[x.0].entity.id);
        if current != Current::Unknown {
            self.doubt_cpu(c, Timestamp::MIN);
        } else if untold.is_some()
            && let Some(lane) = &mut self.cpus[c.0].lane
        {
            lane.amend(|s| *s = running.by(by));
        }
        self.cpus[c.0].current = Current::Thread(x);
    }

    /// `x` is found on `c` by an event that is no switch: where nothing says since when, since now.
    pub(crate) fn found_running(&mut self, t: Timestamp, c: CpuIx, x: ThreadIx) {
        self.check_current(t, c, x);
        let running = Status::new(State::Running, Evidence::FirstEvent);
        let lane = self.threads[x.0].lane.as_ref();
        if lane.is_some_and(|lane| lane.status().state != State::Running) {
            let by = Some(self.threads[x.0].entity.id);
            self.cpus[c.0].to(t, running.by(by), &mut self.sink);
            self.thread_to(x, t, Sched::Running(c), running);
            self.vcpu_switched_in(t, x);
        }
    }

    /// Something happened to a thread that was not told, at the earliest at `since`: from then, or from
    /// the last that was told of it if that is later, what it did is not known.
    fn doubt(&mut self, x: ThreadIx, since: Timestamp) {
        let unknown = Status::unknown(Cause::NoEvidence, Evidence::SchedSwitch);
        let Some(lane) = &self.threads[x.0].lane else {
            return;
        };
        // That is known for a better reason.
        if lane.status().state == State::Unknown {
            return;
        }
        if let Some(lane) = &self.threads[x.0].lane
            && lane.since() < since
        {
            self.thread_to(x, since, self.threads[x.0].sched, unknown);
        } else if let Some(lane) = &mut self.threads[x.0].lane {
            lane.amend(|s| *s = unknown);
        }
        if let Some(v) = self.vcpu_of(x)
            && let Some(lane) = &mut self.vcpus[v.0].lane
        {
            lane.doubt_from(since, unknown, &mut self.sink);
        }
    }

    /// Somebody else has `c` now: if `x` was still thought to have it, when it left is not known.
    fn lose_occupant(&mut self, t: Timestamp, c: CpuIx, x: ThreadIx) {
        if self.threads[x.0].sched == Sched::Running(c) {
            self.doubt(x, Timestamp::MIN);
            self.lose_thread(t, x, Cause::NoEvidence, Evidence::SchedSwitch);
        }
    }

    /// A thread that was thought to have processor `c` has another one.
    fn left_unseen(&mut self, t: Timestamp, x: ThreadIx, c: CpuIx) {
        self.counts.contradictions += 1;
        self.doubt(x, Timestamp::MIN);
        self.lose_thread(t, x, Cause::NoEvidence, Evidence::SchedSwitch);
        if self.cpus[c.0].current == Current::Thread(x) {
            self.doubt_cpu(c, Timestamp::MIN);
            self.cpus[c.0].current = Current::Unknown;
            // Who has it next may have come at any time since.
            let unknown = Status::unknown(Cause::NoEvidence, Evidence::SchedSwitch);
            self.cpus[c.0].to(t, unknown, &mut self.sink);
        }
    }

    /// Who has a processor changed without being told, at the earliest at `since`: see [`Self::doubt`].
    fn doubt_cpu(&mut self, c: CpuIx, since: Timestamp) {
        let unknown = Status::unknown(Cause::NoEvidence, Evidence::SchedSwitch);
        if let Some(lane) = &mut self.cpus[c.0].lane {
            lane.doubt_from(since, unknown, &mut self.sink);
        }
        for i in 0..self.cpus[c.0].waiters.len() {
            let x = self.cpus[c.0].waiters[i];
            self.blame_nobody(x, since);
        }
    }

    /// A thread still waits, but who keeps it waiting, at the earliest since `since`, is not known.
    fn blame_nobody(&mut self, x: ThreadIx, since: Timestamp) {
        let blames = |lane: &&Lane| {
            let waits = matches!(lane.status().state, State::Runnable | State::Preempted);
            waits && lane.status().by.is_some()
        };
        if let Some(lane) = self.threads[x.0].lane.as_ref().filter(blames) {
            let (t, status) = (since.max(lane.since()), lane.status().by(None));
            self.thread_to(x, t, self.threads[x.0].sched, status);
        }
        if let Some(v) = self.vcpu_of(x)
            && let Some(lane) = self.vcpus[v.0].lane.as_ref().filter(blames)
        {
            let (t, status) = (since.max(lane.since()), lane.status().by(None));
            self.vcpu_to(v, t, status);
        }
    }

    pub(super) fn switch_out(
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
            let status = Status::new(sleep_of(prev_state), Evidence::SchedSwitch);
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

    pub(super) fn switch_in(&mut self, t: Timestamp, c: CpuIx, x: ThreadIx) {
        match self.threads[x.0].sched {
            Sched::Sleeping => self.wake_unseen(x),
            Sched::Unresolved => {
                self.resolve(
                    x,
                    Status::new(State::Runnable, Evidence::FirstEvent).likely(),
                );
            }
            Sched::Running(other) if other != c => self.left_unseen(t, x, other),
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
    pub(super) fn wake_unseen(&mut self, x: ThreadIx) {
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
        if let Some((target, (cause, evidence))) = target.and_then(|c| Some((c, self.why_dark(c)?)))
        {
            self.threads[x.0].cpu = Some(target);
            self.lose_thread(t, x, cause, evidence);
            return;
        }
        let ended_by = self.ended_by(t, x, &wake);
        self.vcpu_sleep_ended(x, ended_by);
        self.wait_on(x, target);
        let by = target.and_then(|target| self.occupant(target));
        let status = Status::new(State::Runnable, Evidence::SchedWaking).by(by);
        self.thread_to(x, t, Sched::Runnable, status);
        self.vcpu_woken(t, x, by);
    }

    /// Says what ended a thread's sleep: another thread that ran, or what an interrupt was about;
    /// and gives the thread, or the disk.
    fn ended_by(&mut self, t: Timestamp, x: ThreadIx, wake: &Wake) -> Option<EntityId> {
        let waker = match (wake.context, wake.waker) {
            (None, Current::Thread(w)) if w != x => Some(self.threads[w.0].entity.id),
            _ => None,
        };
        let cause = match (wake.context, wake.device) {
            (None, _) if waker.is_some() => Cause::Task,
            (None, _) => Cause::NoEvidence,
            (Some(Context::Hrtimer(_)), _) => Cause::Timer,
            (Some(Context::Softirq(vec)), _) if TIMER_SOFTIRQS.contains(&vec) => Cause::Timer,
            (Some(_), Some(device)) => device,
            (Some(Context::Softirq(BLOCK_SOFTIRQ)), None) => Cause::Disk,
            (Some(Context::Softirq(vec)), None) if NET_SOFTIRQS.contains(&vec) => Cause::Net,
            (Some(Context::Softirq(_)), None) => Cause::Softirq,
            (Some(Context::Irq | Context::Vector), None) => Cause::Irq,
        };
        let served = self.cpus[wake.cpu.0]
            .served
            .filter(|_| wake.device == Some(Cause::Disk) && waker.is_none());
        let woken = self.threads[x.0].entity.id;
        let arrived = self.cpus[wake.cpu.0]
            .arrived
            .filter(|_| wake.device == Some(Cause::Net) && waker.is_none());
        let by = waker
            .or(served.map(|served| served.disk))
            .or(arrived.map(|arrived| arrived.device));
        if let Some(lane) = &mut self.threads[x.0].lane
            && lane.status().state.is_sleep()
        {
            lane.amend(|status| {
                status.cause = cause;
                status.by = by;
            });
        }
        if let Some(served) = served
            && let Some((issued, issuer)) = served.issued
        {
            // Nobody known issued it: then it comes from the disk itself.
            self.sink.edge(&Edge {
                from: issuer.unwrap_or(served.disk),
                from_time: issued,
                to: woken,
                to_time: t,
                kind: EdgeKind::Disk.code(),
                confidence: Confidence::Likely.code(),
                evidence: Evidence::BlockRequest.code(),
            });
        }
        if let Some(arrived) = arrived {
            if arrived.sent.is_none() {
                self.segments.woke(Woke {
                    flow: arrived.flow,
                    received: arrived.at,
                    woken,
                    at: t,
                });
            }
            // From whoever sent it; from the device where that is another machine's.
            let from = arrived.sent.unwrap_or((arrived.device, arrived.at));
            self.packet_edge(from, (woken, t));
        }
        if let Some(waker) = waker {
            self.sink.edge(&Edge {
                from: waker,
                from_time: t,
                to: woken,
                to_time: t,
                kind: EdgeKind::WakeUp.code(),
                confidence: Confidence::Proved.code(),
                evidence: Evidence::SchedWaking.code(),
            });
        }
        by
    }

    /// What device a thread was woken for: one that was at work in the waker's context, or the
    /// one its waker, a helper in the same process, works for.
    pub(super) fn device_of_wake(&self, x: ThreadIx, wake: &Wake) -> Option<Cause> {
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
            if let Some((cause, evidence)) = self.why_dark(dest) {
                self.threads[x.0].cpu = Some(dest);
                self.lose_thread(t, x, cause, evidence);
                return;
            }
            self.wait_on(x, Some(dest));
            self.still_waiting(t, x, dest);
        }
    }

    /// A thread was seen on a processor, and no switch to it: where another one was thought to run,
    /// it is not known when that left.
    pub(crate) fn seen_running(&mut self, t: Timestamp, c: CpuIx, tid: Tid, pid: Tid) {
        let known = match self.cpus[c.0].current {
            Current::Unknown => {
                self.context_tid(t, c, tid);
                true
            }
            Current::Idle => tid.0 == 0,
            Current::Thread(x) => self.threads[x.0].tid == tid,
        };
        if !known {
            self.counts.contradictions += 1;
            // Of each event before it was seen who ran.
            let since = self.cpus[c.0].heard;
            self.doubt_cpu(c, since);
            if let Current::Thread(other) = self.cpus[c.0].current
                && self.threads[other.0].sched == Sched::Running(c)
            {
                self.doubt(other, since);
                self.lose_thread(t, other, Cause::NoEvidence, Evidence::FirstEvent);
            }
            if tid.0 == 0 {
                self.seen_idle(t, c);
            } else {
                let x = self.thread(tid, &Comm::default());
                // Nor is it known since when it runs, nor of one that slept since when it is awake.
                match self.threads[x.0].sched {
                    Sched::Unresolved => self.lose_thread(t, x, Cause::NoEvidence, Evidence::None),
                    Sched::Runnable | Sched::Preempted => self.doubt(x, since),
                    Sched::Sleeping => self.doubt(x, Timestamp::MIN),
                    Sched::Running(_) | Sched::Lost => {}
                }
                self.switch_in(t, c, x);
            }
            self.occupant_changed(t, c);
        }
        if let Current::Thread(x) = self.cpus[c.0].current
            && self.threads[x.0].pid.is_none()
        {
            self.set_pid(x, pid);
        }
    }

    /// Nothing runs on a processor, since when is not told.
    fn seen_idle(&mut self, t: Timestamp, c: CpuIx) {
        self.cpus[c.0].current = Current::Idle;
        let status = Status::new(State::Idle, Evidence::FirstEvent);
        self.cpus[c.0].to(t, status, &mut self.sink);
    }

    /// A context field says who runs.
    pub(crate) fn context_tid(&mut self, t: Timestamp, c: CpuIx, tid: Tid) {
        if self.cpus[c.0].current != Current::Unknown {
            return;
        }
        if tid.0 == 0 {
            self.seen_idle(t, c);
        } else {
            let x = self.thread(tid, &Comm::default());
            self.found_running(t, c, x);
        }
    }
}
