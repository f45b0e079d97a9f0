//! The host's context switch: who gets the processor, and what that does to the lanes.

use super::Sim;
use super::model::{Action, MS, Ns, Role, Run, US};
use crate::trace::{Ev, Who};
use crate::truth::{NOBODY, Status, Truth};

/// `prev_state` values of the kernel (include/linux/sched.h `TASK_*`): still runnable; pre-empted
/// (`TASK_REPORT_MAX`); asleep; asleep in the disk.
pub(super) const STILL_RUNNABLE: i64 = 0;
pub(super) const PREEMPTED: i64 = 0x100;
pub(super) const ASLEEP: i64 = 1;
pub(super) const IN_DISK: i64 = 2;

/// LTTng shows priorities without the real-time ones: nice 0 is 20.
pub(super) const PRIO: i32 = 20;

/// The host's HZ is 250.
const TICK: Ns = 4 * MS;
/// How many other processors an idle one looks at for work.
const NEIGHBOURS: usize = 8;

impl Sim<'_> {
    /// The idle thread of a processor.
    pub(super) fn idle_who(cpu: usize) -> Who {
        let mut comm = [0; 16];
        let name = format!("swapper/{cpu}");
        comm[..name.len().min(15)].copy_from_slice(&name.as_bytes()[..name.len().min(15)]);
        Who {
            pid: 0,
            tid: 0,
            comm,
        }
    }

    fn who(&self, thread: Option<usize>) -> Who {
        thread.map_or_else(|| Self::idle_who(self.cpu), |t| self.threads[t].who)
    }

    /// The thread on this processor, if any, gives way with this `prev_state`.
    pub(super) fn switch(&mut self, prev_state: i64) {
        let prev = self.cpus[self.cpu].current;
        let stays = matches!(prev_state, STILL_RUNNABLE | PREEMPTED);
        let next = self.pick(stays && prev.is_some());
        self.cpus[self.cpu].need_resched = false;
        if next == prev || (next.is_none() && stays && prev.is_some()) {
            return;
        }
        let (from, to) = (self.who(prev), self.who(next));
        let at = self.emit(Ev::Switch, |p| {
            p.raw(&from.comm).i32(from.tid).i32(PRIO).i64(prev_state);
            p.raw(&to.comm).i32(to.tid).i32(PRIO);
        });
        self.out.set_who(self.cpu, to);
        self.cpus[self.cpu].current = next;
        if let Some(prev) = prev {
            self.put_off(prev, prev_state, next);
        }
        let status = match next {
            Some(next) => Status::by("running", 0, self.threads[next].lane.key),
            None => Status::new("idle", 0),
        };
        self.truth.set(&mut self.cpus[self.cpu].lane, at, status);
        if let Some(next) = next {
            self.put_on(next);
        }
    }

    fn put_off(&mut self, thread: usize, prev_state: i64, next: Option<usize>) {
        let stays = matches!(prev_state, STILL_RUNNABLE | PREEMPTED);
        let by = match next {
            Some(next) => self.key_of(next),
            None => NOBODY,
        };
        let (at, cpu) = (self.at, self.cpu);
        let t = &mut self.threads[thread];
        t.generation += 1;
        t.since = at;
        t.preempted = stays;
        if let Some(started) = t.started.take() {
            t.left = (t.left - (at - started)).max(US);
        }
        let status = if stays {
            t.run = Run::Runnable;
            self.cpus[cpu].queue.push_back(thread);
            Status::by("preempted", 0, by)
        } else {
            t.run = Run::Sleeping;
            let deeply = prev_state == IN_DISK;
            let state = if deeply {
                "uninterruptible"
            } else {
                "sleeping"
            };
            Status::new(state, 0)
        };
        self.truth.set(&mut t.lane, at, status);
        if let Role::Vcpu(vcpu) = t.role {
            self.refresh(vcpu);
        }
    }

    fn put_on(&mut self, thread: usize) {
        let (at, cpu) = (self.at, self.cpu);
        let t = &mut self.threads[thread];
        t.run = Run::Running;
        t.cpu = cpu;
        (t.since, t.slice) = (at, at);
        t.generation += 1;
        let generation = t.generation;
        self.truth.set(&mut t.lane, at, Status::new("running", 0));
        if let Role::Vcpu(vcpu) = t.role {
            self.refresh(vcpu);
        }
        let soon = at + self.chance.between(800, 4_000);
        self.push(soon, Action::Resume { thread, generation });
        if !self.cpus[cpu].ticking {
            self.cpus[cpu].ticking = true;
            let next = (at / TICK + 1) * TICK + cpu as Ns * 17 * US % TICK;
            self.push(next, Action::Tick { cpu });
        }
    }

    /// The next thread of this processor's queue; else, if it would be idle, one from another's.
    fn pick(&mut self, occupied: bool) -> Option<usize> {
        if let Some(thread) = self.cpus[self.cpu].queue.pop_front() {
            return Some(thread);
        }
        if occupied {
            return None;
        }
        let count = self.cpus.len();
        for step in 1..count.min(NEIGHBOURS + 1) {
            let other = (self.cpu + step) % count;
            let free = |&&thread: &&usize| {
                let thread = &self.threads[thread];
                !thread.pinned && thread.since < self.now
            };
            if let Some(&thread) = self.cpus[other].queue.iter().find(free) {
                self.cpus[other].queue.retain(|&queued| queued != thread);
                self.migrate(thread, other, self.cpu);
                return Some(thread);
            }
        }
        None
    }

    /// Tells that a thread changes its processor.
    pub(super) fn migrate(&mut self, thread: usize, from: usize, to: usize) {
        let who = self.threads[thread].who;
        self.emit(Ev::Migrate, |p| {
            p.raw(&who.comm)
                .i32(who.tid)
                .i32(PRIO)
                .i32(from as i32)
                .i32(to as i32);
        });
        self.threads[thread].cpu = to;
    }

    /// The key a thread is blamed by: a vCPU's is the vCPU's.
    pub(super) fn key_of(&self, thread: usize) -> u32 {
        match self.threads[thread].role {
            Role::Vcpu(vcpu) => self.vcpus[vcpu].lane.key,
            _ => self.threads[thread].lane.key,
        }
    }

    /// Who causes what happens on this processor now: nobody in an interrupt or when idle.
    pub(super) fn causer(&self) -> u32 {
        match (self.cpus[self.cpu].in_irq, self.cpus[self.cpu].current) {
            (None, Some(thread)) => self.key_of(thread),
            _ => NOBODY,
        }
    }

    /// Notes why a sleeping thread is woken, and by whom.
    pub(super) fn blame_sleep(&mut self, thread: usize, cause: &'static str, by: u32) {
        let t = &mut self.threads[thread];
        Truth::blame(&mut t.lane, cause, by);
        if let Role::Vcpu(vcpu) = t.role {
            Truth::blame(&mut self.vcpus[vcpu].lane, cause, by);
        }
    }

    /// The host's scheduler tick (kernel/time/tick-sched.c `tick_sched_timer`).
    pub(super) fn tick(&mut self) {
        let cpu = self.cpu;
        let Some(current) = self.cpus[cpu].current else {
            self.cpus[cpu].ticking = false;
            return;
        };
        let (now, timer) = (self.now, 0xFFFF_8881_B9E2_35C0 + ((cpu as u64) << 20));
        let busy = !self.cpus[cpu].queue.is_empty();
        let ran_out = now - self.threads[current].slice >= 3 * MS;
        let softirq = self.chance.bits() % 8;
        self.interrupt(super::interrupt::Source::Timer, |sim| {
            sim.hrtimer_expires(timer, super::interrupt::TICK_FUNCTION, |sim| {
                if softirq < 6 {
                    sim.raise(if softirq < 3 { 9 } else { 7 });
                }
            });
            let expires = sim.monotonic(now + TICK);
            sim.hrtimer_starts(timer, super::interrupt::TICK_FUNCTION, expires, 0);
            if busy && ran_out {
                sim.cpus[cpu].need_resched = true;
            }
        });
        self.push(now + TICK, Action::Tick { cpu });
    }
}
