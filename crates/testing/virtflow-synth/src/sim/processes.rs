//! The guest's scheduler: waking, blocking and switching processes.

use super::Sim;
use super::model::{Context, Exit, Life, Op, Proc, Program};
use crate::truth::{NOBODY, Status, Truth};

impl Sim<'_> {
    /// Wakes a process, by another process if `by` names one.
    pub(super) fn wake_proc(&mut self, proc: usize, cause: &'static str, by: Option<usize>) {
        let at = self.at;
        let key = by.map_or(NOBODY, |by| self.procs[by].lane.key);
        let to = (self.procs[proc].lane.key, at);
        match (cause, by) {
            ("net", Some(by)) => {
                self.truth
                    .edge("packet", (key, self.procs[by].requested), to);
            }
            (_, Some(_)) => self.truth.edge("wake-up", (key, at), to),
            ("disk", None) => self
                .truth
                .edge("disk", (to.0, self.procs[proc].requested), to),
            _ => {}
        }
        let p = &mut self.procs[proc];
        if !matches!(p.life, Life::Waiting(_)) {
            p.mail += 1;
            return;
        }
        p.life = Life::Ready;
        let leader = p.leader;
        let g = &mut self.guests[p.guest];
        let ready = Status::new("ready-in-guest", g.level);
        if g.context != Context::Proc(proc) {
            // The clock of the processor that wakes it may be a little behind that of the one on which
            // it went to sleep: then it does not sleep at all.
            if let Some(lane) = &mut p.thread {
                Truth::blame(lane, cause, key);
                self.truth.set(lane, at.max(lane.start), ready);
            }
            // Its process waits as long as none of its threads runs or wants to.
            let lane = &mut self.procs[leader].lane;
            if lane.state() == "waiting" {
                Truth::blame(lane, cause, key);
                self.truth.set(lane, at.max(lane.start), ready);
            }
        }
        g.queue.push_back(proc);
        let idle = g.context == Context::Idle;
        g.resched |= idle || self.chance.happens(0.5);
    }

    /// The current process waits, unless what it waits for has come.
    pub(super) fn block(&mut self, guest: usize, cause: &'static str) {
        let Context::Proc(p) = self.guests[guest].context else {
            return;
        };
        if let Program::Hypervise(nested) = self.procs[p].program
            && self.guests[nested].timer_pending
        {
            // A halted guest with an interrupt waiting is run at once.
            return self.end_nested_halt(nested, "timer");
        }
        let proc = &mut self.procs[p];
        if proc.mail > 0 {
            proc.mail -= 1;
            return;
        }
        proc.life = Life::Waiting(cause);
        self.schedule(guest);
    }

    /// The current process writes to a pipe: its reader is woken, by IPI if its vCPU idles.
    pub(super) fn pipe(&mut self, guest: usize) {
        let Context::Proc(p) = self.guests[guest].context else {
            return;
        };
        let Some(partner) = self.procs[p].partner else {
            return;
        };
        let waited = matches!(self.procs[partner].life, Life::Waiting(_));
        self.wake_proc(partner, "task", Some(p));
        let there = &self.guests[self.procs[partner].guest];
        if self.procs[partner].guest == guest {
            if self.guests[guest].resched {
                self.guests[guest].kernel.push_front(Op::Schedule);
            }
        } else if waited && there.context == Context::Idle {
            let target = there.vcpu;
            self.guests[guest]
                .kernel
                .push_front(Op::Exit(Exit::Ipi(target)));
        }
    }

    /// A program begins on the page table of `child`: its lane begins.
    fn begin_lane(&mut self, child: usize) {
        let Proc { guest, cr3, .. } = self.procs[child];
        let level = self.guests[guest].level;
        let (vm_key, columns) = self.proc_columns(child);
        let key = format!("{vm_key}/cr3:{cr3:x}#{}", self.procs[child].generation);
        let ready = Status::new("ready-in-guest", level);
        self.procs[child].lane = self
            .truth
            .lane_from("process", &key, &columns, ready, self.at);
        self.procs[child].thread = self.add_thread_lane(&key, &columns, child, ready);
        if let Some(lane) = &mut self.procs[child].thread {
            lane.begin(self.at);
        }
    }

    /// The current process starts a program.
    pub(super) fn spawn(&mut self, guest: usize, child: usize) {
        self.begin_lane(child);
        self.procs[child].life = Life::Ready;
        self.procs[child].ops.clear();
        self.plan_program(child);
        self.guests[guest].queue.push_back(child);
    }

    /// The current process ends: whoever started it is woken.
    pub(super) fn end_process(&mut self, guest: usize) {
        let Context::Proc(p) = self.guests[guest].context else {
            return;
        };
        if let Program::Child(parent) = self.procs[p].program {
            self.wake_proc(parent, "task", Some(p));
        }
        self.procs[p].life = Life::None;
        self.procs[p].generation += 1;
        self.schedule(guest);
    }

    /// Decides who runs next and plans the switch.
    pub(super) fn schedule(&mut self, guest: usize) {
        self.guests[guest].resched = false;
        let context = self.guests[guest].context;
        let stays = match context {
            Context::Proc(p) => self.procs[p].life == Life::Current,
            Context::Kernel | Context::Idle => false,
        };
        let next = match self.guests[guest].queue.pop_front() {
            Some(p) => Context::Proc(p),
            None if stays => return,
            None => Context::Idle,
        };
        if next == context {
            if let Context::Proc(p) = next {
                self.procs[p].life = Life::Current;
            }
            return;
        }
        let mut run = |low, high| Op::Run {
            ns: self.chance.between(low, high),
            user: false,
        };
        let (before, after) = (run(400, 1_000), run(300, 800));
        let mut ops = vec![before, Op::Switch(next), after];
        if let Context::Proc(p) = next
            && self.procs[p].leader != self.procs[self.guests[guest].loaded].leader
        {
            if self.scenario.dialect.shadow && self.guests[guest].level == 1 {
                // The exit's handler does the switch, too: it is when CR3 changes.
                ops[1] = Op::Exit(Exit::LoadCr3(p));
            } else if !self.chance.happens(self.scenario.hidden_switches) {
                let brief = Op::Run {
                    ns: 150,
                    user: false,
                };
                let look = Op::Exit(Exit::ReadMsr);
                ops = vec![before, look, brief, Op::Switch(next), brief, look, after];
            }
        }
        for op in ops.into_iter().rev() {
            self.guests[guest].kernel.push_front(op);
        }
    }

    /// Another process, a kernel thread or idle runs from now on.
    pub(super) fn switch_context(&mut self, guest: usize, next: Context) {
        let last = self.guests[guest].context;
        if let Context::Proc(p) = last
            && self.procs[p].life == Life::Current
            && next != last
        {
            self.procs[p].life = Life::Ready;
            self.guests[guest].queue.push_back(p);
        }
        if next != last {
            self.leave_context(guest);
        }
        self.guests[guest].context = next;
        // The idle loop begins anew.
        self.guests[guest].idle.clear();
        if let Context::Proc(p) = next {
            self.procs[p].life = Life::Current;
            self.procs[p].pcid = next_pcid(self.procs[p].pcid);
            self.guests[guest].loaded = p;
        }
        self.refresh(self.guests[guest].vcpu);
    }
}

/// Linux keeps six address spaces per processor (arch/x86/mm/tlb.c `TLB_NR_DYN_ASIDS`); here a
/// process gets another one each time it runs.
pub(super) const fn next_pcid(pcid: u64) -> u64 {
    pcid % 6 + 1
}
