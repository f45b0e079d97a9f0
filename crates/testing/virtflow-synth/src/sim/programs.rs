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
            Program::Shell(child) => {
                self.burst(proc, 100 * US);
                self.add(proc, &[kernel(30 * US), Op::Spawn(child), kernel(2 * US)]);
                self.add(proc, &[Op::Block("task")]);
                self.burst(proc, 40 * US);
                self.nap(proc, 5 * MS);
            }
            // All it does is planned at its beginning.
            Program::Child(_) => self.add(proc, &[kernel(500), Op::End]),
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

    /// A program from its beginning to its end: the C library asks what the processor can do (glibc's
    /// `init_cpu_features`), then it works.
    pub(super) fn plan_program(&mut self, proc: usize) {
        let user = |ns| Op::Run { ns, user: true };
        let exec = self.chance.between(50_000, 150_000);
        self.add(proc, &[kernel(exec), user(1_000)]);
        for (n, leaf) in [0, 1, 7, 0xD, 0x8000_0000, 0x8000_0001]
            .into_iter()
            .enumerate()
        {
            let place = 0xABC + 0x12 * n as u16;
            let asked = Op::Exit(Exit::Cpuid { leaf, place });
            let between = self.chance.between(200, 900);
            self.add(proc, &[asked, user(between)]);
        }
        self.burst(proc, 600 * US);
        self.add(proc, &[kernel(20 * US), Op::End]);
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
                let exit = Op::Exit(Exit::Cpuid {
                    leaf: 0x15,
                    place: 0xD40,
                });
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
