//! The guest's kernel: a scheduler, timers, interrupts. What it does takes time only in
//! [`Op::Run`] steps, and only while its vCPU is in guest mode.

use std::cmp::Reverse;

use super::Sim;
use super::model::{Action, Context, Exit, MS, Ns, Op, Signal, Timer};
use crate::Injection;

/// The guests' HZ is 250.
const TICK: Ns = 4 * MS;
/// How often work of a finished disk request is left to a kernel thread.
const KERNEL_THREAD: f64 = 0.15;

impl Sim<'_> {
    /// The step at hand is over, or the guest goes on after an event.
    pub(super) fn go_on(&mut self, vcpu: usize) {
        let guest = self.active(vcpu);
        if self.guests[guest].started.take().is_some() {
            self.pop_op(guest);
        }
        self.advance(guest);
    }

    /// The step a guest is at.
    pub(super) fn op_mut(&mut self, guest: usize) -> Option<&mut Op> {
        let g = &mut self.guests[guest];
        if !g.kernel.is_empty() {
            return g.kernel.front_mut();
        }
        match g.context {
            Context::Proc(p) => self.procs[p].ops.front_mut(),
            Context::Idle => g.idle.front_mut(),
            Context::Kernel => None,
        }
    }

    fn pop_op(&mut self, guest: usize) {
        let g = &mut self.guests[guest];
        if g.kernel.pop_front().is_some() {
            return;
        }
        match g.context {
            Context::Proc(p) => self.procs[p].ops.pop_front(),
            Context::Idle => g.idle.pop_front(),
            Context::Kernel => None,
        };
    }

    /// The next step; what runs is asked for more when it has none.
    fn next_op(&mut self, guest: usize) -> Op {
        loop {
            if let Some(&mut op) = self.op_mut(guest) {
                return op;
            }
            match self.guests[guest].context {
                Context::Proc(p) => self.refill(p),
                Context::Idle if self.guests[guest].queue.is_empty() => {
                    let ns = self.chance.between(500, 1_500);
                    let halt = [Op::Rearm, Op::Run { ns, user: false }, Op::Exit(Exit::Halt)];
                    self.guests[guest].idle.extend(halt);
                }
                Context::Idle | Context::Kernel => {
                    self.guests[guest].kernel.push_back(Op::Schedule)
                }
            }
        }
    }

    /// Lets the guest run until a step takes time or exits.
    pub(super) fn advance(&mut self, guest: usize) {
        let vcpu = self.guests[guest].vcpu;
        let thread = self.vcpus[vcpu].thread;
        loop {
            let op = self.next_op(guest);
            let generation = self.threads[thread].generation;
            let goes_on = Action::Guest { vcpu, generation };
            if let Op::Run { ns, user } = op {
                if self.guests[guest].user != user {
                    self.guests[guest].user = user;
                    self.refresh(vcpu);
                }
                self.guests[guest].started = Some(self.at);
                return self.push(self.at + ns, goes_on);
            }
            // What touches others happens at the beginning of a burst.
            if self.at > self.now {
                return self.push(self.at + 1, goes_on);
            }
            if let Op::Exit(exit) = op {
                if let Some(later) = self.exit_waits(vcpu, exit) {
                    return self.push(later, goes_on);
                }
                self.pop_op(guest);
                return self.exit(vcpu, exit);
            }
            self.pop_op(guest);
            self.step(guest, op);
        }
    }

    /// Until when an exit waits because of the thread it wakes.
    fn exit_waits(&self, vcpu: usize, exit: Exit) -> Option<Ns> {
        let vm = &self.vms[self.vcpus[vcpu].vm];
        match exit {
            Exit::KickDisk(_) => self.unsettled(&[vm.main]),
            Exit::KickNet(_) => self.unsettled(&[vm.net]),
            Exit::Ipi(target) => self.unsettled(&[self.vcpus[target].thread]),
            _ => None,
        }
    }

    fn step(&mut self, guest: usize, op: Op) {
        match op {
            Op::Run { .. } | Op::Exit(_) => {}
            Op::Expire => self.expire(guest),
            Op::Rearm => self.rearm(guest),
            Op::Eoi => self.acknowledge(guest),
            Op::EndIrq => self.end_irq(guest),
            Op::Wake(proc, cause, by) => self.wake_proc(proc, cause, by),
            Op::Schedule => self.schedule(guest),
            Op::Switch(context) => self.switch_context(guest, context),
            Op::Sleep(ns) => {
                if let Context::Proc(p) = self.guests[guest].context {
                    let wake = Reverse((self.at + ns, Timer::Proc(p)));
                    self.guests[guest].timers.push(wake);
                    self.guests[guest].kernel.push_front(Op::Rearm);
                }
            }
            Op::Block(cause) => self.block(guest, cause),
            Op::Pipe => self.pipe(guest),
            Op::Spawn(child) => self.spawn(guest, child),
            Op::End => self.end_process(guest),
            Op::Gif => {
                self.guests[guest].gif = true;
                self.take_pending(guest);
            }
        }
    }

    /// The guest takes an interrupt.
    pub(super) fn begin_irq(&mut self, guest: usize, signal: Signal) {
        let mut run = |low, high| Op::Run {
            ns: self.chance.between(low, high),
            user: false,
        };
        let (first, second) = (run(900, 3_000), run(400, 1_500));
        let posted = self.scenario.dialect.injection == Injection::Posted;
        let device = |wake: Op| {
            let eoi = Op::Exit(Exit::Eoi(super::jobs::vector(signal)));
            let last = if posted { second } else { eoi };
            vec![first, wake, last, second, Op::EndIrq]
        };
        let mut ops = match signal {
            Signal::Timer => vec![first, Op::Eoi, Op::Expire, Op::Rearm, second, Op::EndIrq],
            Signal::Reschedule => vec![first, Op::Eoi, Op::EndIrq],
            Signal::Net(proc, from) => device(Op::Wake(proc, "net", from)),
            Signal::Disk(proc) => device(Op::Wake(proc, "disk", None)),
        };
        if let Signal::Disk(_) = signal {
            if self.chance.happens(0.3) {
                ops.insert(1, Op::Exit(Exit::ReadDevice));
            }
            if self.chance.happens(KERNEL_THREAD) {
                let wake = ops
                    .iter()
                    .position(|op| matches!(op, Op::Wake(..)))
                    .unwrap_or(0);
                let wake = ops.remove(wake);
                let ns = self.chance.between(5_000, 40_000);
                let work = Op::Run { ns, user: false };
                ops.extend([Op::Switch(Context::Kernel), work, wake, Op::Schedule]);
            }
        }
        let g = &mut self.guests[guest];
        g.in_irq = true;
        g.resched |= signal == Signal::Reschedule && !g.queue.is_empty();
        for op in ops.into_iter().rev() {
            g.kernel.push_front(op);
        }
    }

    /// A paravirtual EOI, which the next exit tells; virtual APICs need none.
    fn acknowledge(&mut self, guest: usize) {
        let g = &self.guests[guest];
        let injected = self.scenario.dialect.injection == Injection::Injected;
        if g.level == 1 && injected {
            let v = &mut self.vcpus[g.vcpu];
            v.eoi = Some(if v.injected == 0 { 0xec } else { v.injected });
        }
    }

    fn end_irq(&mut self, guest: usize) {
        self.guests[guest].in_irq = false;
        if self.guests[guest].resched {
            self.guests[guest].kernel.push_front(Op::Schedule);
        }
        self.take_pending(guest);
    }

    /// Interrupts are on again: the hardware gives the next (posted), or KVM asked to be told.
    fn take_pending(&mut self, guest: usize) {
        let g = &self.guests[guest];
        if g.level != 1 || self.vcpus[g.vcpu].pending.is_empty() {
            return;
        }
        if self.scenario.dialect.injection == Injection::Injected {
            self.guests[guest].kernel.push_front(Op::Exit(Exit::Window));
        } else {
            self.take_posted(g.vcpu);
        }
    }

    /// The timer interrupt: whoever is due is woken, and the tick looks at the time slice.
    fn expire(&mut self, guest: usize) {
        let at = self.at;
        self.guests[guest].armed = None;
        if at >= self.guests[guest].tick {
            let g = &mut self.guests[guest];
            g.tick += (at - g.tick) / TICK * TICK + TICK;
            g.resched |= !g.queue.is_empty();
        }
        while let Some(&Reverse((due, timer))) = self.guests[guest].timers.peek() {
            if due > at {
                break;
            }
            self.guests[guest].timers.pop();
            match timer {
                Timer::Proc(proc) => self.wake_proc(proc, "timer", None),
                Timer::Nested(nested) => {
                    self.guests[nested].timer_pending = true;
                    if self.guests[nested].halted {
                        self.end_nested_halt(nested, "timer");
                        self.wake_proc(self.guests[nested].hypervisor, "timer", None);
                    }
                }
            }
        }
    }

    /// Programs the LAPIC timer for whatever is due first; an idle guest has no tick.
    fn rearm(&mut self, guest: usize) {
        let g = &mut self.guests[guest];
        let timer = g.timers.peek().map(|&Reverse((due, _))| due);
        let tick = (g.context != Context::Idle).then_some(g.tick);
        let next = timer.into_iter().chain(tick).min();
        if let Some(next) = next
            && g.armed != Some(next)
        {
            g.armed = Some(next);
            g.kernel.push_front(Op::Exit(Exit::Deadline(next)));
        }
    }
}
