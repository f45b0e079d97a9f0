//! Keeps the lanes of a vCPU, of what runs on it and of its nested guests in step with the model.

use super::Sim;
use super::model::{Context, Life, Mode, Run};
use crate::truth::{NOBODY, Status, Truth};

/// Where a vCPU is, as its lanes see it.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Guest,
    Kvm(&'static str),
    Vmm(&'static str),
    Irq(&'static str),
    Halted,
    Blocked,
    Runnable,
    Preempted(u32),
}

impl Sim<'_> {
    fn where_is(&self, vcpu: usize) -> Place {
        let vcpu = &self.vcpus[vcpu];
        let thread = &self.threads[vcpu.thread];
        match thread.run {
            Run::Sleeping if vcpu.halted => Place::Halted,
            Run::Sleeping => Place::Blocked,
            Run::Runnable if thread.preempted => Place::Preempted(thread.lane.by()),
            Run::Runnable | Run::Waking => Place::Runnable,
            Run::Running => match (self.cpus[thread.cpu].in_irq, vcpu.mode) {
                (Some(kind), _) => Place::Irq(kind),
                (None, Mode::Guest) => Place::Guest,
                (None, Mode::Kvm(class)) => Place::Kvm(class),
                (None, Mode::Vmm(reason)) => Place::Vmm(reason),
            },
        }
    }

    /// Brings all lanes of `vcpu` up to date, as of [`Sim::at`].
    pub(super) fn refresh(&mut self, vcpu: usize) {
        let place = self.where_is(vcpu);
        let v = &mut self.vcpus[vcpu];
        let level = if v.active.is_some() { 2 } else { 1 };
        let status = match place {
            Place::Guest => Status::new("guest", level),
            Place::Kvm(class) => Status::because("hypervisor", 0, class),
            Place::Vmm(reason) => Status::because("vmm", 0, reason),
            Place::Irq(kind) => Status::because("irq-stolen", 0, kind),
            Place::Halted => Status::new("halted", 0),
            Place::Blocked => Status::because("blocked-on-host", 0, "vmm"),
            Place::Runnable => Status::new("runnable", 0),
            Place::Preempted(by) => Status::by("preempted", 0, by),
        };
        self.truth.set(&mut v.lane, self.at, status);
        let guest = v.guest;
        self.refresh_context(guest, place);
        for n in 0..self.vcpus[vcpu].nested.len() {
            let nested = self.vcpus[vcpu].nested[n];
            self.refresh_nested(vcpu, nested, place);
        }
    }

    /// The lane of whatever the guest runs at level 1.
    fn refresh_context(&mut self, guest: usize, place: Place) {
        let g = &self.guests[guest];
        let nested_runs = self.vcpus[g.vcpu].active.is_some();
        let status = match place {
            Place::Guest if nested_runs => Status::new("run-kernel", 2),
            Place::Guest if g.user => Status::new("run-user", 1),
            Place::Guest => Status::new("run-kernel", 1),
            Place::Kvm(_) | Place::Vmm(_) | Place::Irq(_) | Place::Blocked => {
                Status::new("run-hypervisor", 1)
            }
            Place::Halted => Status::because("waiting", 1, "idle"),
            Place::Runnable => Status::new("preempted-on-host", 1),
            Place::Preempted(by) => Status::by("preempted-on-host", 1, by),
        };
        self.set_context(guest, status);
    }

    fn refresh_nested(&mut self, vcpu: usize, nested: usize, place: Place) {
        let v = &self.vcpus[vcpu];
        let l1 = &self.guests[v.guest];
        let hypervised = l1.context == Context::Proc(self.guests[nested].hypervisor);
        let ours = v.active == Some(nested) || (hypervised && v.reflecting);
        let off = match place {
            Place::Runnable => Some(NOBODY),
            Place::Preempted(by) => Some(by),
            _ => None,
        };
        let state = match (off, self.guests[nested].halted) {
            (_, true) => Status::new("halted", 2),
            (Some(by), _) if ours || hypervised => Status::by("preempted-l0", 2, by),
            _ if ours && place == Place::Guest => Status::new("guest", 2),
            _ if ours => Status::new("l0-handling", 2),
            _ if hypervised => Status::new("l1-handling", 2),
            _ => Status::by("preempted-l1", 2, self.context_key(v.guest)),
        };
        let g = &mut self.guests[nested];
        if let Some(lane) = &mut g.lane {
            self.truth.set(lane, self.at, state);
        }
        let user = g.user;
        let status = match state.state {
            "guest" if user => Status::new("run-user", 2),
            "guest" => Status::new("run-kernel", 2),
            "halted" => Status::because("waiting", 2, "idle"),
            "preempted-l0" | "preempted-l1" => Status::by("preempted-on-host", 2, state.by),
            _ => Status::new("run-hypervisor", 2),
        };
        self.set_context(nested, status);
    }

    /// The key of whatever a guest's processor executes for.
    pub(super) fn context_key(&self, guest: usize) -> u32 {
        let g = &self.guests[guest];
        match g.context {
            Context::Proc(p) => self.procs[p].lane.key,
            Context::Kernel => g.kernel_lane.key,
            Context::Idle => g.idle_lane.key,
        }
    }

    fn set_context(&mut self, guest: usize, status: Status) {
        let g = &mut self.guests[guest];
        let lane = match g.context {
            Context::Proc(p) => {
                if let Some(lane) = &mut self.procs[p].thread {
                    self.truth.set(lane, self.at, status);
                }
                let leader = self.procs[p].leader;
                &mut self.procs[leader].lane
            }
            Context::Kernel => &mut g.kernel_lane,
            Context::Idle => &mut g.idle_lane,
        };
        self.truth.set(lane, self.at, status);
    }

    /// The lane of what the guest ran, now that it no longer does.
    pub(super) fn leave_context(&mut self, guest: usize) {
        let level = self.guests[guest].level;
        let status = match self.guests[guest].context {
            Context::Proc(p) if self.procs[p].life == Life::None => {
                let proc = &self.procs[p];
                for lane in [Some(&proc.lane), proc.thread.as_ref()]
                    .into_iter()
                    .flatten()
                {
                    self.truth.write(lane, self.at);
                }
                return;
            }
            Context::Proc(p) => match self.procs[p].life {
                Life::Waiting(cause) => Status::because("waiting", level, cause),
                Life::Current | Life::Ready | Life::None => Status::new("ready-in-guest", level),
            },
            Context::Kernel | Context::Idle => Status::because("waiting", level, "idle"),
        };
        self.set_context(guest, status);
        if let Context::Proc(p) = self.guests[guest].context
            && self.has_ready(p)
        {
            let leader = self.procs[p].leader;
            let status = Status::new("ready-in-guest", level);
            self.truth
                .set(&mut self.procs[leader].lane, self.at, status);
        }
    }

    /// Whether another thread of its process wants the processor.
    fn has_ready(&self, proc: usize) -> bool {
        let leader = self.procs[proc].leader;
        let mut all = self.procs.iter().enumerate();
        self.scenario.threads > 0
            && all.any(|(n, p)| n != proc && p.leader == leader && p.life == Life::Ready)
    }

    /// A nested guest, if it is halted, is woken for this cause.
    pub(super) fn end_nested_halt(&mut self, nested: usize, cause: &'static str) {
        let g = &mut self.guests[nested];
        if !std::mem::take(&mut g.halted) {
            return;
        }
        if let Some(lane) = &mut g.lane {
            Truth::blame(lane, cause, NOBODY);
        }
        let vcpu = g.vcpu;
        self.refresh(vcpu);
    }

    /// Writes what is on in each lane at the end.
    pub(super) fn close_lanes(&mut self) {
        let end = self.end;
        let lanes = (self.cpus.iter().map(|cpu| &cpu.lane))
            .chain(self.threads.iter().map(|thread| &thread.lane))
            .chain(self.vcpus.iter().map(|vcpu| &vcpu.lane))
            .chain(self.guests.iter().flat_map(|g| g.lane.iter()))
            .chain(
                self.guests
                    .iter()
                    .flat_map(|g| [&g.kernel_lane, &g.idle_lane]),
            )
            .chain(
                self.procs
                    .iter()
                    .enumerate()
                    .filter(|(n, proc)| proc.leader == *n && proc.life != Life::None)
                    .map(|(_, proc)| &proc.lane),
            )
            .chain(
                self.procs
                    .iter()
                    .filter(|proc| proc.life != Life::None)
                    .flat_map(|proc| proc.thread.iter()),
            );
        for lane in lanes {
            self.truth.write(lane, end);
        }
    }
}
