//! Waking threads, and what the host's own threads do when they run.

use super::Sim;
use super::interrupt::{SLEEP_FUNCTION, Source};
use super::model::{Action, MS, Ns, Role, Run, US};
use super::switch::{ASLEEP, PREEMPTED, PRIO, STILL_RUNNABLE};
use crate::trace::Ev;
use crate::truth::Status;

/// A hog's mean burst and sleep.
const BURST: Ns = 6 * MS;
const PAUSE: Ns = 3 * MS;

impl Sim<'_> {
    /// Until when one of `threads` is still in a burst that will put it to sleep; whoever wants
    /// to wake it then comes back.
    pub(super) fn unsettled(&self, threads: &[usize]) -> Option<Ns> {
        let ahead = |&&thread: &&usize| {
            let thread = &self.threads[thread];
            thread.since > self.now && thread.run != Run::Running
        };
        threads
            .iter()
            .filter(ahead)
            .map(|&thread| self.threads[thread].since + 1)
            .max()
    }

    /// Wakes a thread if it sleeps (kernel/sched/core.c `try_to_wake_up`).
    pub(super) fn wake(&mut self, thread: usize, cause: &'static str) {
        if self.threads[thread].run != Run::Sleeping {
            return;
        }
        let by = self.causer();
        let (who, from) = (self.threads[thread].who, self.threads[thread].cpu);
        let fields = move |p: &mut virtflow_ctf::writer::Payload, cpu: usize| {
            p.raw(&who.comm).i32(who.tid).i32(PRIO).i32(cpu as i32);
        };
        let at = self.emit(Ev::Waking, |p| fields(p, from));
        self.blame_sleep(thread, cause, by);
        let t = &mut self.threads[thread];
        t.run = Run::Waking;
        t.preempted = false;
        t.since = at;
        self.truth.set(&mut t.lane, at, Status::new("runnable", 0));
        if let Role::Vcpu(vcpu) = t.role {
            self.refresh(vcpu);
        }
        if by != crate::truth::NOBODY {
            self.truth
                .edge("wake-up", (by, at), (self.key_of(thread), at));
        }
        let cpu = self.select(thread);
        if cpu != from {
            self.migrate(thread, from, cpu);
        }
        let local = cpu == self.cpu;
        let ipi = !local && self.cpus[cpu].current.is_none();
        if !ipi {
            self.emit(Ev::Wakeup, |p| fields(p, cpu));
        }
        if local {
            self.enqueue(thread);
        } else {
            let soon = self.at + self.chance.between(300, 2_000);
            self.push(soon, Action::Arrive { cpu, thread, ipi });
        }
    }

    /// The processor for a woken thread: its last one, or an idle one nearby.
    fn select(&self, thread: usize) -> usize {
        let t = &self.threads[thread];
        let idle = |cpu: &usize| {
            let cpu = &self.cpus[*cpu];
            cpu.current.is_none() && cpu.queue.is_empty()
        };
        if t.pinned || idle(&t.cpu) {
            return t.cpu;
        }
        let count = self.cpus.len();
        (1..count.min(9))
            .map(|step| (t.cpu + step) % count)
            .find(idle)
            .unwrap_or(t.cpu)
    }

    fn enqueue(&mut self, thread: usize) {
        let cpu = self.cpu;
        self.threads[thread].run = Run::Runnable;
        if self.preempts(thread) {
            self.cpus[cpu].need_resched = true;
            self.cpus[cpu].queue.push_front(thread);
        } else {
            self.cpus[cpu].queue.push_back(thread);
        }
    }

    /// Whether a woken thread takes the processor at once: from hogs, and often from who had it
    /// for a while.
    fn preempts(&mut self, thread: usize) -> bool {
        let Some(current) = self.cpus[self.cpu].current else {
            return false;
        };
        let hog = |thread: usize| self.threads[thread].role == Role::Hog;
        if hog(thread) {
            return false;
        }
        hog(current) || (self.at - self.threads[current].slice > MS && self.chance.happens(0.6))
    }

    /// A thread that another processor woke reaches this one.
    pub(super) fn arrive(&mut self, thread: usize, ipi: bool) {
        let who = self.threads[thread].who;
        let cpu = self.cpu as i32;
        if ipi {
            self.interrupt(Source::CallSingle, |sim| {
                sim.emit(Ev::Wakeup, |p| {
                    p.raw(&who.comm).i32(who.tid).i32(PRIO).i32(cpu);
                });
                sim.enqueue(thread);
            });
            return;
        }
        self.enqueue(thread);
        if self.cpus[self.cpu].current.is_none() {
            self.switch(STILL_RUNNABLE);
        } else if self.cpus[self.cpu].need_resched {
            self.interrupt(Source::Reschedule, |_| ());
        }
    }

    /// After an interrupt that did not come out of a guest.
    pub(super) fn after_interrupt(&mut self) {
        let cpu = &self.cpus[self.cpu];
        match cpu.current {
            None if !cpu.queue.is_empty() => self.switch(STILL_RUNNABLE),
            Some(thread) if cpu.need_resched => match self.threads[thread].role {
                // KVM looks for itself before the next entry.
                Role::Vcpu(vcpu) if self.in_kvm(vcpu) => {}
                _ => self.switch(PREEMPTED),
            },
            _ => {}
        }
    }

    /// A thread goes on.
    pub(super) fn resume(&mut self, thread: usize) {
        match self.threads[thread].role {
            Role::Hog => self.burn(thread),
            Role::Jobs => self.work(thread),
            Role::Vcpu(vcpu) => self.resume_vcpu(vcpu),
            Role::Dump => self.dump(thread),
        }
    }

    fn burn(&mut self, thread: usize) {
        let t = &mut self.threads[thread];
        let generation = t.generation;
        if t.started.is_none() {
            t.started = Some(self.at);
            let done = self.at + t.left;
            self.push(done, Action::Resume { thread, generation });
            return;
        }
        t.started = None;
        t.left = self.chance.around(BURST);
        let pause = self.chance.around(PAUSE);
        let wake_at = self.at + pause;
        let (timer, expires) = (sleep_timer(thread), self.monotonic(wake_at));
        self.hrtimer_starts(timer, SLEEP_FUNCTION, expires, 0);
        self.switch(ASLEEP);
        self.push(wake_at.max(self.at + US), Action::Sleep { thread });
    }

    /// The timer of a sleeping thread expires (kernel/time/hrtimer.c `hrtimer_wakeup`).
    pub(super) fn sleep_over(&mut self, thread: usize) {
        if let Some(later) = self.unsettled(&[thread]) {
            return self.push(later, Action::Sleep { thread });
        }
        self.interrupt(Source::Timer, |sim| {
            sim.hrtimer_expires(sleep_timer(thread), SLEEP_FUNCTION, |sim| {
                sim.wake(thread, "timer");
            });
        });
    }
}

/// The address of the timer on a sleeping thread's stack.
fn sleep_timer(thread: usize) -> u64 {
    0xFFFF_C900_0071_3CE0 + ((thread as u64) << 15)
}
