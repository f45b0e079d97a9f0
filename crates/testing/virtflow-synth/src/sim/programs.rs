//! What guest processes do, over and over.

use super::Sim;
use super::model::{Exit, MS, Ns, Op, Program, US};

impl Sim<'_> {
    /// Plans the next round of a process that has nothing left to do.
    pub(super) fn refill(&mut self, proc: usize) {
        match self.procs[proc].program {
            Program::Burn => {
                self.burst(proc, 3 * MS);
                if self.chance.happens(0.5) {
                    self.nap(proc, 4 * MS);
                }
            }
            Program::Read => {
                self.burst(proc, 200 * US);
                self.request(proc, Exit::KickDisk(proc), "disk");
            }
            Program::Client => {
                self.burst(proc, 150 * US);
                self.request(proc, Exit::KickNet(proc), "net");
            }
            Program::Server => {
                self.add(proc, &[Op::Block("net")]);
                self.burst(proc, 100 * US);
                self.add(proc, &[kernel(2 * US), Op::Exit(Exit::KickNet(proc))]);
            }
            Program::Produce => {
                self.burst(proc, 300 * US);
                self.add(proc, &[kernel(US), Op::Pipe]);
                self.nap(proc, 2 * MS);
            }
            Program::Consume => {
                self.add(proc, &[Op::Block("task")]);
                self.burst(proc, 200 * US);
            }
            Program::Sleep => {
                self.burst(proc, 100 * US);
                self.nap(proc, 3 * MS);
            }
            Program::Hypervise(nested) => {
                let run = kernel(self.chance.between(600, 1_500));
                self.add(proc, &[run]);
                if self.chance.happens(0.5) {
                    self.add(proc, &[Op::Exit(Exit::ReadMsr), kernel(300)]);
                }
                let enter = Op::Exit(Exit::RunNested(nested));
                self.add(proc, &[Op::Exit(Exit::LoadState), kernel(400), enter]);
            }
        }
    }

    fn add(&mut self, proc: usize, ops: &[Op]) {
        self.procs[proc].ops.extend(ops);
    }

    /// User time of this mean, now and then with an exit that no one waits for.
    fn burst(&mut self, proc: usize, mean: Ns) {
        let ns = self.chance.around(mean);
        let user = |ns| Op::Run { ns, user: true };
        match self.chance.bits() % 10 {
            0 => {
                let exit = Op::Exit(Exit::Page);
                self.add(proc, &[user(ns / 2), exit, user(ns / 2)]);
            }
            1 => {
                let exit = Op::Exit(Exit::Cpuid);
                self.add(proc, &[user(ns / 3), exit, user(ns / 2)]);
            }
            _ => self.add(proc, &[user(ns)]),
        }
        let entry = self.chance.between(300, 2_000);
        self.add(proc, &[kernel(entry)]);
    }

    fn nap(&mut self, proc: usize, mean: Ns) {
        let ns = self.chance.around(mean);
        self.add(proc, &[Op::Sleep(ns), kernel(400), Op::Block("timer")]);
    }

    fn request(&mut self, proc: usize, exit: Exit, cause: &'static str) {
        self.add(proc, &[Op::Exit(exit), kernel(600), Op::Block(cause)]);
    }
}

const fn kernel(ns: Ns) -> Op {
    Op::Run { ns, user: false }
}
