//! The simulation: a queue of actions in time order, each of which happens on one host processor.
//!
//! An action begins at its time ([`Sim::now`]) and moves [`Sim::at`] on as it emits events, so that
//! it is a burst of some microseconds on its processor; an action whose processor is still in a
//! burst waits for its end. What an action does to *others* (waking a thread, delivering an
//! interrupt) is sound because of two rules: a thread whose last change of state lies ahead of
//! `now` is left alone until then ([`Sim::unsettled`]), and a woken thread of another processor
//! arrives there by an action of its own.

mod build;
pub(crate) mod chance;
mod exits;
mod guest;
mod handlers;
mod host;
mod interrupt;
mod jobs;
mod lanes;
mod model;
mod nested;
mod processes;
mod programs;
mod statedump;
mod switch;
mod vcpu;

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;

use virtflow_ctf::writer::Payload;

use crate::trace::{Ev, Out};
use crate::truth::Truth;
use crate::{Scenario, SynthError};
use chance::Chance;
use model::{Action, Cpu, Guest, Ns, Proc, Thread, Vcpu, Vm};

/// What was generated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Events in the trace.
    pub events: u64,
    /// Bytes of the trace's streams.
    pub bytes: u64,
    /// Rows of `intervals.csv`.
    pub intervals: u64,
    /// How long the trace is, in nanoseconds.
    pub nanos: i64,
}

/// Writes the trace of `scenario` to `out_dir/trace/kernel` and its truth to `out_dir/truth`.
///
/// # Errors
/// When the scenario cannot be simulated or the files cannot be written.
pub fn generate(scenario: &Scenario, out_dir: impl AsRef<Path>) -> Result<Summary, SynthError> {
    scenario.check()?;
    let mut sim = Sim::build(scenario, out_dir.as_ref())?;
    sim.run();
    sim.finish()
}

/// The whole machine and its recording.
pub(crate) struct Sim<'a> {
    scenario: &'a Scenario,
    chance: Chance,
    out: Out,
    truth: Truth,
    queue: BinaryHeap<Reverse<(Ns, u64, Action)>>,
    pushed: u64,
    end: Ns,
    /// When the action at hand began.
    now: Ns,
    /// How far it has come.
    at: Ns,
    /// Where it happens.
    cpu: usize,
    cpus: Vec<Cpu>,
    threads: Vec<Thread>,
    vms: Vec<Vm>,
    vcpus: Vec<Vcpu>,
    guests: Vec<Guest>,
    procs: Vec<Proc>,
    /// Where the statedump stands.
    dumped: usize,
}

impl Sim<'_> {
    fn run(&mut self) {
        let target = self.scenario.events.unwrap_or(u64::MAX);
        while let Some(Reverse((time, _, action))) = self.queue.pop() {
            if time >= self.end || self.out.events >= target || self.out.has_failed() {
                break;
            }
            let Some(cpu) = self.place(action) else {
                continue;
            };
            let free = self.cpus[cpu].clock;
            if free > time {
                self.push(free, action);
                continue;
            }
            (self.now, self.at, self.cpu) = (time, time, cpu);
            self.act(action);
            self.cpus[cpu].clock = self.at + 1;
        }
        let latest = self.cpus.iter().map(|cpu| cpu.clock).max().unwrap_or(0);
        self.end = latest.max(self.end.min(self.now));
    }

    fn finish(mut self) -> Result<Summary, SynthError> {
        self.close_lanes();
        let (events, nanos) = (self.out.events, self.end);
        let finished = self.out.finish(self.end)?;
        let intervals = self.truth.finish(&finished.losses, &finished.coverage)?;
        Ok(Summary {
            events,
            bytes: finished.bytes,
            intervals,
            nanos,
        })
    }

    /// Has `action` happen at `time`.
    fn push(&mut self, time: Ns, action: Action) {
        self.pushed += 1;
        self.queue.push(Reverse((time, self.pushed, action)));
    }

    /// On which processor an action happens; `None` for one that came to nothing.
    fn place(&self, action: Action) -> Option<usize> {
        let still = |thread: usize, generation| {
            let thread = &self.threads[thread];
            (thread.generation == generation).then_some(thread.cpu)
        };
        match action {
            Action::Tick { cpu } | Action::Arrive { cpu, .. } | Action::Kick { cpu, .. } => {
                Some(cpu)
            }
            Action::Disk { thread } => Some(thread % self.cpus.len()),
            Action::Answer { proc } => Some(proc % self.cpus.len()),
            Action::Sleep { thread } => Some(self.threads[thread].cpu),
            Action::Resume { thread, generation } => still(thread, generation),
            Action::Guest { vcpu, generation }
            | Action::Enter { vcpu, generation }
            | Action::Vmm { vcpu, generation } => still(self.vcpus[vcpu].thread, generation),
            Action::ApicTimer { vcpu, generation } => {
                let vcpu = &self.vcpus[vcpu];
                (vcpu.timer_generation == generation).then(|| self.threads[vcpu.thread].cpu)
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Tick { .. } => self.tick(),
            Action::Arrive { thread, ipi, .. } => self.arrive(thread, ipi),
            Action::Kick { vcpu, .. } => self.kick(vcpu),
            Action::Resume { thread, .. } => self.resume(thread),
            Action::Sleep { thread } => self.sleep_over(thread),
            Action::Guest { vcpu, .. } => self.go_on(vcpu),
            Action::Enter { vcpu, .. } => self.enter(vcpu),
            Action::Vmm { vcpu, .. } => self.vmm(vcpu),
            Action::ApicTimer { vcpu, .. } => self.apic_timer(vcpu),
            Action::Disk { thread } => self.disk_done(thread),
            Action::Answer { proc } => self.answer(proc),
        }
    }

    /// Emits an event of this processor a moment later, and gives that moment.
    fn emit(&mut self, ev: Ev, fill: impl FnOnce(&mut Payload)) -> Ns {
        self.at += 90 + i64::from(self.chance.bits() & 255);
        self.out.event(self.cpu, self.at, ev, fill);
        self.at
    }

    /// The trace clock's nanoseconds (CLOCK_MONOTONIC) at a moment of the simulation.
    fn monotonic(&self, time: Ns) -> i64 {
        MONOTONIC_START + time
    }
}

/// What CLOCK_MONOTONIC reads when the trace begins.
const MONOTONIC_START: i64 = 34_772_000_000;
