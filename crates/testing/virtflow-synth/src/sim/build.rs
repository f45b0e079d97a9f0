//! Sets the machine up as it stands when the trace begins: everything sleeps, but for the
//! tracer's own thread; guests are halted and wait for their first timers.

mod vm;

use std::collections::{BinaryHeap, VecDeque};
use std::path::Path;

use super::Sim;
use super::chance::Chance;
use super::model::{Action, Cpu, MS, Ns, Role, Run, Thread, US};
use crate::trace::{Clock, Out, Who, Window};
use crate::truth::{Status, Truth};
use crate::{Scenario, SynthError};

impl<'a> Sim<'a> {
    pub(super) fn build(scenario: &'a Scenario, dir: &Path) -> Result<Self, SynthError> {
        let clock = Clock::new(&scenario.dialect);
        let end = (scenario.seconds * 1e9) as Ns;
        let mut chance = Chance::new(scenario.seed);
        let windows = windows(scenario, end, &mut chance);
        let mut sim = Self {
            scenario,
            chance,
            out: Out::create(&dir.join("trace/kernel"), scenario, windows, Self::idle_who)?,
            truth: Truth::create(&dir.join("truth"), &scenario.machine, clock, scenario.truth)?,
            queue: BinaryHeap::new(),
            pushed: 0,
            end,
            now: 0,
            at: 0,
            cpu: 0,
            cpus: Vec::new(),
            threads: Vec::new(),
            vms: Vec::new(),
            vcpus: Vec::new(),
            guests: Vec::new(),
            procs: Vec::new(),
            dumped: 0,
        };
        let begin = clock.epoch(0);
        sim.add_cpus();
        sim.add_dump(begin);
        sim.add_hogs(begin);
        for vm in 0..scenario.vms as usize {
            sim.add_vm(vm, begin);
        }
        sim.pair();
        Ok(sim)
    }

    fn add_cpus(&mut self) {
        for n in 0..self.scenario.cpus {
            let status = Status::new("idle", 0);
            let key = format!("cpu:{n}");
            let lane = self
                .truth
                .lane("cpu", &key, &format!("CPU {n},,,,,"), status);
            self.cpus.push(Cpu {
                current: None,
                queue: VecDeque::new(),
                clock: 0,
                need_resched: false,
                ticking: false,
                in_irq: None,
                softirqs: Vec::new(),
                lane,
            });
        }
    }

    fn add_thread(&mut self, begin: i64, ids: (i32, i32), comm: &str, role: Role) -> usize {
        let (pid, tid) = ids;
        let mut name = [0; 16];
        let length = comm.len().min(15);
        name[..length].copy_from_slice(&comm.as_bytes()[..length]);
        let columns = format!("{comm},,,{tid},{pid},");
        let key = format!("thread:{tid}@{begin}");
        let lane = self
            .truth
            .lane("thread", &key, &columns, Status::new("sleeping", 0));
        self.threads.push(Thread {
            who: Who {
                pid,
                tid,
                comm: name,
            },
            ppid: 1,
            kernel: false,
            role,
            run: Run::Sleeping,
            cpu: self.threads.len() % self.cpus.len(),
            pinned: false,
            since: 0,
            slice: 0,
            preempted: false,
            generation: 0,
            left: MS,
            started: None,
            jobs: VecDeque::new(),
            busy: None,
            in_disk: None,
            lane,
        });
        self.threads.len() - 1
    }

    /// The tracer's thread, which runs on the first processor from the start.
    fn add_dump(&mut self, begin: i64) {
        let thread = self.add_thread(begin, (120, 121), "Client manageme", Role::Dump);
        let t = &mut self.threads[thread];
        t.run = Run::Running;
        t.pinned = true;
        let (who, generation) = (t.who, t.generation);
        self.truth.set(&mut t.lane, 0, Status::new("running", 0));
        let by = t.lane.key;
        self.truth
            .set(&mut self.cpus[0].lane, 0, Status::by("running", 0, by));
        self.cpus[0].current = Some(thread);
        self.out.set_who(0, who);
        self.push(10 * US, Action::Resume { thread, generation });
    }

    fn add_hogs(&mut self, begin: i64) {
        for n in 0..self.scenario.hogs as i32 {
            let ids = (200 + n, 200 + n);
            let thread = self.add_thread(begin, ids, &format!("hog{n}"), Role::Hog);
            let wake = self.chance.between(100 * US, 2 * MS);
            self.push(wake, Action::Sleep { thread });
        }
    }
}

/// What each stream may record: ragged begins and ends, and losses on processors in turn.
fn windows(scenario: &Scenario, end: Ns, chance: &mut Chance) -> Vec<Window> {
    let ragged = (scenario.ragged_ns as Ns).min(end / 3);
    let mut windows: Vec<Window> = (0..scenario.cpus)
        .map(|_| Window {
            begin: if ragged > 0 {
                chance.between(0, ragged)
            } else {
                0
            },
            end: end + MS
                - if ragged > 0 {
                    chance.between(MS, MS + ragged)
                } else {
                    0
                },
            losses: Vec::new(),
        })
        .collect();
    for n in 0..i64::from(scenario.losses) {
        let share = end / i64::from(scenario.losses);
        let from = n * share + chance.between(share / 10, share / 2);
        let length = chance.between(share / 50, share / 5).clamp(1, 20 * MS);
        let cpu = n as usize % windows.len();
        windows[cpu].losses.push((from, from + length));
    }
    windows
}
