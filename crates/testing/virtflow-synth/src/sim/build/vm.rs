//! Sets up a VM: its VMM's threads, its vCPUs, their guests and processes.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::super::Sim;
use super::super::model::{
    Action, Context, Guest, Life, MS, Mode, Proc, Program, Role, Timer, US, Vcpu, Vm,
};
use super::super::vcpu::{KERNEL_STACKS, thread_pointer};
use crate::Probe;
use crate::truth::{Lane, Status};

/// Disk workers per VM.
const WORKERS: usize = 4;
/// Where the first page table of each guest lies; user halves lie 4 KiB above.
const FIRST_CR3: u64 = 0x0487_C000;
const CR3_STEP: u64 = 0x2000;
/// Those of shells and their programs.
const SHELLS_CR3: u64 = 0x1487_C000;
const FIRST_VMCB12: u64 = 0x07A5_8000;

impl Sim<'_> {
    pub(super) fn add_vm(&mut self, vm: usize, begin: i64) {
        let scenario = self.scenario;
        let room = (scenario.vcpus as i32 + 16).max(100);
        let pid = 10_000 + vm as i32 * room;
        let pinned = self.chance.happens(scenario.pinned);
        let main = self.add_thread(begin, (pid, pid), "qemu-system-x86", Role::Jobs);
        let workers = (1..=WORKERS as i32)
            .map(|n| self.add_thread(begin, (pid, pid + n), "worker", Role::Jobs))
            .collect();
        let net = if scenario.vhost {
            // vhost's worker is a kernel thread named for the VMM's pid (drivers/vhost/vhost.c).
            let tid = pid + WORKERS as i32 + 1;
            let net = self.add_thread(begin, (tid, tid), &format!("vhost-{pid}"), Role::Jobs);
            self.threads[net].kernel = true;
            self.threads[net].ppid = 2;
            net
        } else {
            main
        };
        let tap = format!("tap{}", vm + 1);
        self.vms.push(Vm {
            pid,
            main,
            net,
            workers,
            next_worker: 0,
            tap,
        });
        for index in 0..scenario.vcpus {
            let tid = pid + WORKERS as i32 + 2 + index as i32;
            let vcpu = self.vcpus.len();
            let comm = format!("CPU {index}/KVM");
            let thread = self.add_thread(begin, (pid, tid), &comm, Role::Vcpu(vcpu));
            self.threads[thread].pinned = pinned;
            self.add_vcpu(vm, index, thread, begin);
        }
    }

    fn add_vcpu(&mut self, vm: usize, index: u32, thread: usize, begin: i64) {
        let (vcpu, pid) = (self.vcpus.len(), self.vms[vm].pid);
        let vm_key = format!("vm:{pid}@{begin}");
        let tid = self.threads[thread].who.tid;
        let columns = format!("vCPU {index},{vm_key},{index},{tid},{pid},");
        let key = format!("{vm_key}/vcpu:{index}");
        let lane = self
            .truth
            .lane("vcpu", &key, &columns, Status::new("halted", 0));
        let guest = self.guests.len();
        self.vcpus.push(Vcpu {
            vm,
            index,
            thread,
            mode: Mode::Kvm("hlt"),
            halted: true,
            guest,
            nested: Vec::new(),
            active: None,
            reflecting: false,
            pending: Vec::new(),
            timer_pending: false,
            timer_generation: 0,
            timer_armed: true,
            eoi: None,
            injected: 0,
            reading: false,
            blocks: false,
            lane,
        });
        self.add_guest(vcpu, 1, &vm_key, index, None);
        for n in 0..self.scenario.processes {
            let cr3 = FIRST_CR3 + u64::from(index * (self.scenario.processes + 1) + n) * CR3_STEP;
            let program = PROGRAMS[n as usize % PROGRAMS.len()];
            self.add_proc(guest, &vm_key, index, program, cr3, n);
        }
        let first = self.procs.len() - self.scenario.processes as usize;
        for n in 0..self.scenario.threads.min(self.scenario.processes) {
            self.add_second(first + n as usize);
        }
        for n in 0..self.scenario.shells {
            self.add_shell(guest, &vm_key, index, n);
        }
        if index == 0 && (vm as u32) < self.scenario.nested {
            self.add_nested(vcpu, &vm_key);
        }
        let first = self.guests[guest]
            .timers
            .peek()
            .map_or(MS, |&Reverse((due, _))| due);
        self.guests[guest].armed = Some(first);
        self.push(
            first,
            Action::ApicTimer {
                vcpu,
                generation: 0,
            },
        );
    }

    /// A nested guest: its hypervisor's process in L1, and its own processes.
    fn add_nested(&mut self, vcpu: usize, vm_key: &str) {
        let l1 = self.vcpus[vcpu].guest;
        let nested = self.guests.len();
        let hypervisor = self.procs.len();
        let n = self.scenario.processes;
        let cr3 = FIRST_CR3 + u64::from(n) * CR3_STEP;
        self.add_proc(l1, vm_key, 0, Program::Hypervise(nested), cr3, n);
        let nested_key = format!("{vm_key}/L2:{cr3:x}");
        self.add_guest(vcpu, 2, &nested_key, 0, Some(hypervisor));
        for n in 0..3 {
            let cr3 = FIRST_CR3 + u64::from(n) * CR3_STEP;
            let program = [Program::Burn, Program::Sleep, Program::Sleep][n as usize];
            self.add_proc(nested, &nested_key, 0, program, cr3, n);
        }
        self.vcpus[vcpu].nested.push(nested);
    }

    fn add_guest(
        &mut self,
        vcpu: usize,
        level: u8,
        vm_key: &str,
        index: u32,
        hypervisor: Option<usize>,
    ) {
        let vmcb12 = FIRST_VMCB12 + vcpu as u64 * 0x1000;
        let prefix = match level {
            1 => format!("{vm_key}/vcpu:{index}"),
            _ => format!("{vm_key}/vcpu:{vmcb12:x}"),
        };
        let (tid, pid) = self.ids(vcpu);
        let waiting = Status::because("waiting", level, "idle");
        let mut extra = |name: &str| {
            let columns = format!("{name},{vm_key},{index},{tid},{pid},");
            self.truth
                .lane("process", &format!("{prefix}/{name}"), &columns, waiting)
        };
        let (kernel_lane, idle_lane) = (extra("kernel"), extra("idle"));
        let lane: Option<Lane> = hypervisor.map(|_| {
            let columns = format!("nested vCPU,{vm_key},{index},{tid},{pid},");
            self.truth
                .lane("nested-vcpu", &prefix, &columns, Status::new("halted", 2))
        });
        let tick = self.chance.between(0, 4 * MS);
        self.guests.push(Guest {
            vcpu,
            level,
            context: Context::Idle,
            loaded: 0,
            kernel: VecDeque::new(),
            idle: VecDeque::new(),
            queue: VecDeque::new(),
            timers: BinaryHeap::new(),
            armed: None,
            tick,
            in_irq: false,
            gif: true,
            user: false,
            rip: 0xFFFF_FFFF_81A5_92EA,
            started: None,
            resched: false,
            timer_pending: false,
            hypervisor: hypervisor.unwrap_or(0),
            vmcb12,
            halted: hypervisor.is_some(),
            kernel_lane,
            idle_lane,
            lane,
        });
    }

    fn ids(&self, vcpu: usize) -> (i32, i32) {
        let who = self.threads[self.vcpus[vcpu].thread].who;
        (who.tid, who.pid)
    }

    fn add_proc(
        &mut self,
        guest: usize,
        vm_key: &str,
        index: u32,
        program: Program,
        cr3: u64,
        n: u32,
    ) {
        let level = self.guests[guest].level;
        let (tid, pid) = self.ids(self.guests[guest].vcpu);
        let label = format!("{}-{index}.{n}", name(program));
        let columns = format!("{label},{vm_key},{index},{tid},{pid},{cr3:#x}");
        let key = format!("{vm_key}/cr3:{cr3:x}#0");
        let waiting = Status::because("waiting", level, "timer");
        let lane = self.truth.lane("process", &key, &columns, waiting);
        let proc = self.procs.len();
        let thread = self.add_thread_lane(&key, &columns, proc, waiting);
        // The last one added counts as the one that ran before the guest halted.
        self.guests[guest].loaded = proc;
        self.procs.push(Proc {
            guest,
            program,
            cr3,
            pcid: 1,
            life: Life::Waiting("timer"),
            ops: VecDeque::new(),
            mail: 0,
            partner: None,
            requested: 0,
            generation: 0,
            leader: proc,
            lane,
            thread,
        });
        let first = self.chance.between(300 * US, 5 * MS);
        self.guests[guest]
            .timers
            .push(Reverse((first, Timer::Proc(proc))));
    }

    /// A process that starts programs, and the place of the one it has started.
    fn add_shell(&mut self, guest: usize, vm_key: &str, index: u32, n: u32) {
        let loaded = self.guests[guest].loaded;
        let cr3 = SHELLS_CR3 + u64::from(index * self.scenario.shells + n) * 2 * CR3_STEP;
        let (shell, child) = (self.procs.len(), self.procs.len() + 1);
        self.add_proc(guest, vm_key, index, Program::Shell(child), cr3, n);
        self.add_proc(
            guest,
            vm_key,
            index,
            Program::Child(shell),
            cr3 + CR3_STEP,
            n,
        );
        self.guests[guest]
            .timers
            .retain(|Reverse((_, timer))| *timer != Timer::Proc(child));
        self.guests[guest].loaded = loaded;
        self.procs[child].life = Life::None;
    }

    /// The VM's key, and the columns after the key of a process's rows.
    pub(in super::super) fn proc_columns(&self, proc: usize) -> (String, String) {
        let (key, columns) = self.procs[proc].lane.key_and_columns();
        let vm_key = key.rsplit_once('/').map_or(key, |(vm, _)| vm);
        (vm_key.to_owned(), columns.to_owned())
    }

    /// A second thread of a process.
    fn add_second(&mut self, leader: usize) {
        let proc = self.procs.len();
        let Proc {
            guest,
            cr3,
            ref lane,
            ..
        } = self.procs[leader];
        let (lane, level) = (lane.clone(), self.guests[guest].level);
        let waiting = Status::because("waiting", level, "timer");
        let (key, columns) = lane.key_and_columns();
        let thread = self.add_thread_lane(key, columns, proc, waiting);
        self.procs.push(Proc {
            guest,
            program: Program::Sleep,
            cr3,
            pcid: 1,
            life: Life::Waiting("timer"),
            ops: VecDeque::new(),
            mail: 0,
            partner: None,
            requested: 0,
            generation: 0,
            leader,
            lane,
            thread,
        });
        let first = self.chance.between(300 * US, 5 * MS);
        self.guests[guest]
            .timers
            .push(Reverse((first, Timer::Proc(proc))));
    }

    /// The lane of a thread, where the dialect tells threads apart, by what it tells them by.
    pub(in super::super) fn add_thread_lane(
        &mut self,
        key: &str,
        columns: &str,
        proc: usize,
        status: Status,
    ) -> Option<Lane> {
        let dialect = &self.scenario.dialect;
        let name = match dialect.probe {
            Probe::Original => format!("stack:{:x}", KERNEL_STACKS + ((proc as u64) << 14)),
            Probe::TestBed if dialect.stacks => format!("fs:{:x}", thread_pointer(proc)),
            _ => return None,
        };
        let key = format!("{key}/{name}");
        Some(self.truth.lane("guest-thread", &key, columns, status))
    }

    /// Joins producers with consumers (of the next vCPU) and clients with servers: of each two
    /// VMs, the second one's clients are servers.
    pub(super) fn pair(&mut self) {
        let (per_vm, per_vcpu) = (
            self.scenario.vcpus as usize,
            self.scenario.processes as usize,
        );
        let first = |sim: &Self, vcpu: usize| {
            let guest = sim.vcpus[vcpu].guest;
            sim.procs
                .iter()
                .position(|proc| proc.guest == guest)
                .unwrap_or(0)
        };
        let firsts: Vec<usize> = (0..self.vcpus.len())
            .map(|vcpu| first(self, vcpu))
            .collect();
        for (vcpu, &base) in firsts.iter().enumerate() {
            let (vm, index) = (vcpu / per_vm, vcpu % per_vm);
            let next = vm * per_vm + (index + 1) % per_vm;
            for n in 0..per_vcpu {
                let proc = base + n;
                match self.procs[proc].program {
                    Program::Produce if n + 1 < per_vcpu => {
                        self.procs[proc].partner = Some(firsts[next] + n + 1);
                    }
                    Program::Client if vm % 2 == 0 && vm + 1 < self.vms.len() => {
                        let server = firsts[vcpu + per_vm] + n;
                        self.procs[proc].partner = Some(server);
                        self.procs[server].partner = Some(proc);
                        self.procs[server].program = Program::Server;
                    }
                    _ => {}
                }
            }
        }
    }
}

const PROGRAMS: [Program; 6] = [
    Program::Burn,
    Program::Read,
    Program::Client,
    Program::Produce,
    Program::Consume,
    Program::Sleep,
];

const fn name(program: Program) -> &'static str {
    match program {
        Program::Burn => "burn",
        Program::Read => "read",
        Program::Client | Program::Server => "net",
        Program::Produce => "produce",
        Program::Consume => "consume",
        Program::Sleep => "sleep",
        Program::Hypervise(_) => "hypervisor",
        Program::Shell(_) => "shell",
        Program::Child(_) => "child",
    }
}
