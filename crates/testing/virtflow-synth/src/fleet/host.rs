//! A host: its processors, its threads, and what happens on them.

use super::clock::HostClock;
use super::net::{Segment, Socket};
use super::program::{Role, Step};
use super::{Fleet, FleetScenario, truth};
use crate::sim::chance::Chance;
use crate::trace::{Ev, Out, Who, Window};
use crate::{Scenario, SynthError};
use std::collections::{BinaryHeap, VecDeque};
use std::path::Path;
use virtflow_ctf::writer::Payload;

/// Nanoseconds of true time since the beginning.
pub(super) type Ns = i64;
pub(super) const US: Ns = 1_000;
pub(super) const MS: Ns = 1_000_000;

const CPUS: usize = 2;
/// `prev_state` (include/linux/sched.h `TASK_INTERRUPTIBLE`, `TASK_UNINTERRUPTIBLE`,
/// `TASK_REPORT_MAX` of a thread that was pre-empted).
const RUNNABLE: i64 = 0;
const ASLEEP: i64 = 1;
const IN_DISK: i64 = 2;
const PREEMPTED: i64 = 0x100;
const PRIO: i32 = 20;
/// include/linux/interrupt.h
const NET_RX: u32 = 3;
const BLOCK: u32 = 4;
const NIC: (i32, &str) = (33, "eth0-rx-0");
const DISK: (i32, &str) = (32, "virtio2-req.1");
const DISK_DEV: u32 = 254 << 20 | 32;
const DISK_TIME: Ns = 400 * US;
const SECTORS: u32 = 16;
const TIMER_VECTOR: i32 = 236;
const CALL_SINGLE_VECTOR: i32 = 251;
const SLEEP_FUNCTION: u64 = 0xFFFF_FFFF_810A_2B30;
/// `LTTNG_WAIT` (LTTng-modules lttng-statedump-impl.c).
const STATUS_WAIT: i32 = 5;

/// Something that is to happen on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Action {
    /// The tracer tells what there is.
    Dump,
    /// A running thread has computed enough.
    Done { thread: usize, generation: u64 },
    /// A segment comes in.
    Packet(Segment),
    /// The disk has done a thread's request.
    Disk { thread: usize },
    /// A thread's sleep is over.
    Timer { thread: usize },
    /// A thread that another processor woke gets to its own.
    Arrive { thread: usize },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    Running,
    Woken,
    Preempted,
    Blocked(Wait),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    Net,
    Disk,
    Sleep,
}

#[derive(Debug)]
pub(super) struct Thread {
    pub(super) tid: i32,
    role: Role,
    cpu: usize,
    step: usize,
    run: Run,
    /// Since when.
    since: Ns,
    generation: u64,
    /// What is left to compute, and when it will be done.
    left: Ns,
    done_at: Ns,
    pub(super) sockets: Vec<Socket>,
    waiting: VecDeque<Segment>,
    request: Option<usize>,
    sends: u16,
}

impl Thread {
    pub(super) const fn name(&self) -> &'static str {
        self.role.comm()
    }

    fn comm(&self) -> [u8; 16] {
        let mut comm = [0; 16];
        let name = self.name().bytes();
        comm.iter_mut().zip(name).for_each(|(to, from)| *to = from);
        comm
    }
}

#[derive(Debug, Default)]
struct Cpu {
    /// How far it has come.
    at: Ns,
    current: Option<usize>,
    queue: VecDeque<usize>,
    resched: bool,
}

#[derive(Debug)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) clock: HostClock,
    pub(super) out: Out,
    pub(super) threads: Vec<Thread>,
    cpus: Vec<Cpu>,
    chance: Chance,
    /// How long a segment is on its way to each host at least.
    ways: Vec<Ns>,
    disk_free: Ns,
    skbs: u64,
    sector: u64,
}

/// The idle thread of a processor.
fn idle(cpu: usize) -> ([u8; 16], i32) {
    let mut comm = *b"swapper/0\0\0\0\0\0\0\0";
    comm[8] += cpu as u8;
    (comm, 0)
}

impl Host {
    fn new(
        scenario: &FleetScenario,
        number: usize,
        chance: &mut Chance,
        dir: &Path,
        end: Ns,
    ) -> Result<Self, SynthError> {
        let name = match number {
            0 => "client".to_owned(),
            1 => "server".to_owned(),
            2 => "store".to_owned(),
            _ => format!("host-{number}"),
        };
        let clock = HostClock::new(scenario, chance);
        let seed = u64::from(chance.bits()) << 32 | u64::from(chance.bits());
        let of_host = Scenario {
            seed,
            machine: name.clone(),
            dialect: clock.dialect(),
            ..Scenario::default()
        };
        let window = Window {
            begin: 0,
            // Bursts begin before the end and may reach over it.
            end: clock.local(end + 100 * MS),
            losses: Vec::new(),
        };
        let trace = dir.join("traces").join(&name).join("kernel");
        let who = |cpu| {
            let (comm, tid) = idle(cpu);
            Who {
                pid: tid,
                tid,
                comm,
            }
        };
        let ways = (0..scenario.hosts).map(|_| chance.between(8 * US, 16 * US));
        Ok(Self {
            out: Out::create(&trace, &of_host, vec![window; CPUS], who)?,
            name,
            clock,
            threads: Vec::new(),
            cpus: (0..CPUS).map(|_| Cpu::default()).collect(),
            ways: ways.collect(),
            chance: Chance::new(seed),
            disk_free: 0,
            skbs: 0,
            sector: 4_096,
        })
    }

    fn add(&mut self, number: usize, role: Role) {
        let index = self.threads.len();
        let waits = match role.program() {
            [Step::Receive, ..] => Wait::Net,
            _ => Wait::Sleep,
        };
        self.threads.push(Thread {
            tid: 1_000 + 100 * number as i32 + index as i32,
            role,
            cpu: index % CPUS,
            step: usize::from(waits == Wait::Sleep),
            run: Run::Blocked(waits),
            since: 0,
            generation: 0,
            left: 0,
            done_at: 0,
            sockets: Vec::new(),
            waiting: VecDeque::new(),
            request: None,
            sends: 0,
        });
    }

    /// How far the furthest processor has come.
    pub(super) fn latest(&self) -> Ns {
        self.cpus.iter().map(|cpu| cpu.at).max().unwrap_or(0)
    }

    /// Emits an event a moment later, and gives that moment.
    fn emit(&mut self, cpu: usize, ev: Ev, fill: impl FnOnce(&mut Payload)) -> Ns {
        let at = self.cpus[cpu].at + 90 + i64::from(self.chance.bits() & 255);
        self.cpus[cpu].at = at;
        self.out.event(cpu, self.clock.local(at), ev, fill);
        at
    }

    fn who(&self, cpu: usize, thread: Option<usize>) -> ([u8; 16], i32) {
        let thread = thread.map(|thread| &self.threads[thread]);
        thread.map_or_else(|| idle(cpu), |thread| (thread.comm(), thread.tid))
    }

    /// A device's interrupt and the softirq it raises.
    fn begin_interrupt(&mut self, cpu: usize, (irq, name): (i32, &str), softirq: u32) {
        self.emit(cpu, Ev::IrqEntry, |p| {
            p.i32(irq).string(name.as_bytes());
        });
        self.emit(cpu, Ev::SoftirqRaise, |p| {
            p.u32(softirq);
        });
        self.emit(cpu, Ev::IrqExit, |p| {
            p.i32(irq).i32(1);
        });
        self.emit(cpu, Ev::SoftirqEntry, |p| {
            p.u32(softirq);
        });
    }

    fn dump(&mut self) {
        self.emit(0, Ev::DumpStart, |_| ());
        for index in 0..self.threads.len() {
            let thread = &self.threads[index];
            let (tid, comm, cpu) = (thread.tid, thread.comm(), thread.cpu as u32);
            self.emit(0, Ev::DumpProcess, |p| {
                p.i32(tid).i32(tid).i32(1).raw(&comm).i32(0).i32(5).i32(0);
                p.i32(STATUS_WAIT).u32(cpu).u64(0xFFFF_8881_0022_0000);
            });
        }
        for (irq, name) in [NIC, DISK] {
            self.emit(0, Ev::DumpInterrupt, |p| {
                p.i32(irq).string(b"PCI-MSI").string(name.as_bytes()).i32(0);
            });
        }
        self.emit(0, Ev::DumpNetwork, |p| {
            p.string(b"eth0").u32(0x0A14_0001);
        });
        self.emit(0, Ev::DumpBlock, |p| {
            p.u32(DISK_DEV).string(b"vdc");
        });
        self.emit(0, Ev::DumpEnd, |_| ());
    }
}

impl Fleet {
    pub(super) fn build(scenario: &FleetScenario, dir: &Path) -> Result<Self, SynthError> {
        let mut chance = Chance::new(scenario.seed);
        let end = (scenario.seconds * 1e9) as Ns;
        let clients = scenario.clients as usize;
        let mut hosts = Vec::new();
        for number in 0..scenario.hosts as usize {
            let mut host = Host::new(scenario, number, &mut chance, dir, end)?;
            if let Some(&role) = [Role::Client, Role::Server, Role::Store].get(number) {
                (0..clients).for_each(|_| host.add(number, role));
            }
            host.add(number, Role::Chat);
            host.add(number, Role::Sink);
            (0..scenario.hogs).for_each(|_| host.add(number, Role::Hog));
            hosts.push(host);
        }
        let mut fleet = Self {
            chance,
            hosts,
            requests: truth::Requests::default(),
            queue: BinaryHeap::new(),
            pushed: 0,
            end,
        };
        fleet.connect(clients);
        fleet.start();
        Ok(fleet)
    }

    fn connect(&mut self, clients: usize) {
        for client in 0..clients {
            let port = client as u16;
            self.join((0, client, 40_000 + port), (1, client, 7_000));
            self.join((1, client, 41_000 + port), (2, client, 7_100));
        }
        let count = self.hosts.len();
        let chat = |host: usize| if host < 3 { clients } else { 0 };
        for from in 0..count {
            for to in (0..count).filter(|to| *to != from) {
                let there = (to, chat(to) + 1, 9_000);
                self.join((from, chat(from), 50_000 + to as u16), there);
            }
        }
    }

    /// Joins two threads (host, thread, port) by a connection.
    fn join(&mut self, a: (usize, usize, u16), b: (usize, usize, u16)) {
        let (seq, ack) = (self.chance.bits(), self.chance.bits());
        for (own, other, seq, ack) in [(a, b, seq, ack), (b, a, ack, seq)] {
            self.hosts[own.0].threads[own.1].sockets.push(Socket {
                local: (own.0 as u8, own.2),
                peer: (other.0 as u8, other.2),
                to: (other.0, other.1),
                seq,
                ack,
            });
        }
    }

    fn start(&mut self) {
        for host in 0..self.hosts.len() {
            self.push(0, host, Action::Dump);
            for thread in 0..self.hosts[host].threads.len() {
                if self.hosts[host].threads[thread].run == Run::Blocked(Wait::Sleep) {
                    let first = 2 * MS + self.chance.around(4 * MS);
                    self.push(first, host, Action::Timer { thread });
                }
            }
        }
    }

    pub(super) fn act(&mut self, time: Ns, host: usize, action: Action) {
        let h = &mut self.hosts[host];
        let (cpu, woken) = match action {
            Action::Dump => (0, None),
            Action::Packet(segment) => (0, Some(segment.thread)),
            Action::Disk { thread } => (CPUS - 1, Some(thread)),
            Action::Timer { thread } => (h.threads[thread].cpu, Some(thread)),
            Action::Done { thread, .. } | Action::Arrive { thread } => {
                (h.threads[thread].cpu, None)
            }
        };
        if let Action::Done { thread, generation } = action
            && h.threads[thread].generation != generation
        {
            return;
        }
        // Not before the processor is free, and whoever is woken is where it said it is.
        let settled = woken.map_or(0, |thread| h.threads[thread].since);
        let earliest = settled.max(h.cpus[cpu].at) + 1;
        if time < earliest {
            return self.push(earliest, host, action);
        }
        h.cpus[cpu].at = time;
        match action {
            Action::Dump => h.dump(),
            Action::Done { thread, .. } => {
                let t = &mut h.threads[thread];
                t.left = 0;
                t.step += 1;
                self.go(host, thread);
            }
            Action::Packet(segment) => self.receive(host, cpu, segment),
            Action::Disk { thread } => self.disk_done(host, cpu, thread),
            Action::Timer { thread } => self.timer(host, cpu, thread),
            Action::Arrive { thread } => {
                h.emit(cpu, Ev::CallSingleEntry, |p| {
                    p.i32(CALL_SINGLE_VECTOR);
                });
                self.enqueue(host, thread);
                self.hosts[host].emit(cpu, Ev::CallSingleExit, |p| {
                    p.i32(CALL_SINGLE_VECTOR);
                });
                self.after_interrupt(host, cpu);
            }
        }
    }

    fn receive(&mut self, host: usize, cpu: usize, segment: Segment) {
        let h = &mut self.hosts[host];
        h.begin_interrupt(cpu, NIC, NET_RX);
        h.skbs += 1;
        let skb = 0xFFFF_8881_4000_0000 + (h.skbs % 512) * 256;
        h.emit(cpu, Ev::NetReceive, |p| segment.write(p, skb, "eth0"));
        let thread = &mut h.threads[segment.thread];
        thread.waiting.push_back(segment);
        for socket in &mut thread.sockets {
            socket.receive(&segment);
        }
        if thread.run == Run::Blocked(Wait::Net) {
            thread.request = segment.request;
            let at = self.wake(host, cpu, segment.thread);
            let request = segment.request;
            self.requests.leg(request, segment.sender, "network", at);
        }
        self.end_softirq(host, cpu, NET_RX);
    }

    fn disk_done(&mut self, host: usize, cpu: usize, thread: usize) {
        let h = &mut self.hosts[host];
        h.begin_interrupt(cpu, DISK, BLOCK);
        let sector = h.sector + thread as u64 * 1_024;
        h.emit(cpu, Ev::BlockComplete, |p| {
            p.u32(DISK_DEV).u64(sector).u32(SECTORS).i32(0).u32(33);
        });
        h.threads[thread].step += 1;
        let request = h.threads[thread].request;
        let at = self.wake(host, cpu, thread);
        self.requests.leg(request, (host, thread), "disk", at);
        self.end_softirq(host, cpu, BLOCK);
    }

    fn end_softirq(&mut self, host: usize, cpu: usize, vec: u32) {
        self.hosts[host].emit(cpu, Ev::SoftirqExit, |p| {
            p.u32(vec);
        });
        self.after_interrupt(host, cpu);
    }

    fn timer(&mut self, host: usize, cpu: usize, thread: usize) {
        let h = &mut self.hosts[host];
        h.emit(cpu, Ev::LocalTimerEntry, |p| {
            p.i32(TIMER_VECTOR);
        });
        let (hrtimer, now) = (timer_of(thread), h.clock.local(h.cpus[cpu].at));
        h.emit(cpu, Ev::HrtimerEntry, |p| {
            p.u64(hrtimer).i64(now).u64(SLEEP_FUNCTION);
        });
        self.wake(host, cpu, thread);
        let h = &mut self.hosts[host];
        h.emit(cpu, Ev::HrtimerExit, |p| {
            p.u64(hrtimer);
        });
        h.emit(cpu, Ev::LocalTimerExit, |p| {
            p.i32(TIMER_VECTOR);
        });
        self.after_interrupt(host, cpu);
    }

    /// Wakes a thread from `cpu`; gives the moment.
    fn wake(&mut self, host: usize, cpu: usize, thread: usize) -> Ns {
        let h = &mut self.hosts[host];
        let (comm, tid) = h.who(cpu, Some(thread));
        let home = h.threads[thread].cpu;
        let at = h.emit(cpu, Ev::Waking, |p| {
            p.raw(&comm).i32(tid).i32(PRIO).i32(home as i32);
        });
        let t = &mut h.threads[thread];
        (t.run, t.since) = (Run::Woken, at);
        if home == cpu {
            self.enqueue(host, thread);
        } else {
            let soon = at + h.chance.between(500, 2_000);
            self.push(soon, host, Action::Arrive { thread });
        }
        at
    }

    /// Puts a woken thread among those that wait for its processor. Hogs make room for others; now
    /// and then one takes the processor from another thread.
    fn enqueue(&mut self, host: usize, thread: usize) {
        let h = &mut self.hosts[host];
        let cpu = h.threads[thread].cpu;
        let (comm, tid) = h.who(cpu, Some(thread));
        h.emit(cpu, Ev::Wakeup, |p| {
            p.raw(&comm).i32(tid).i32(PRIO).i32(cpu as i32);
        });
        let hog = |h: &Host, thread: usize| h.threads[thread].role == Role::Hog;
        let takes = match h.cpus[cpu].current {
            None => false,
            Some(current) if hog(h, thread) => !hog(h, current) && h.chance.happens(0.3),
            Some(current) => hog(h, current),
        };
        if takes {
            h.cpus[cpu].resched = true;
            h.cpus[cpu].queue.push_front(thread);
        } else {
            h.cpus[cpu].queue.push_back(thread);
        }
    }

    fn after_interrupt(&mut self, host: usize, cpu: usize) {
        let c = &self.hosts[host].cpus[cpu];
        match c.current {
            None if !c.queue.is_empty() => self.switch(host, cpu, RUNNABLE),
            Some(_) if c.resched => self.switch(host, cpu, PREEMPTED),
            _ => {}
        }
    }

    /// Gives the processor to the next thread, or to nobody.
    fn switch(&mut self, host: usize, cpu: usize, prev_state: i64) {
        let h = &mut self.hosts[host];
        h.cpus[cpu].resched = false;
        let (prev, next) = (h.cpus[cpu].current, h.cpus[cpu].queue.pop_front());
        let (from, to) = (h.who(cpu, prev), h.who(cpu, next));
        let at = h.emit(cpu, Ev::Switch, |p| {
            p.raw(&from.0).i32(from.1).i32(PRIO).i64(prev_state);
            p.raw(&to.0).i32(to.1).i32(PRIO);
        });
        h.cpus[cpu].current = next;
        if let Some(prev) = prev {
            let t = &mut h.threads[prev];
            t.generation += 1;
            t.since = at;
            if prev_state == PREEMPTED {
                t.run = Run::Preempted;
                t.left = (t.done_at - at).max(US);
                h.cpus[cpu].queue.push_front(prev);
            }
            let request = h.threads[prev].request;
            self.requests.leg(request, (host, prev), "running", at);
        }
        if let Some(next) = next {
            self.put_on(host, next, at);
        }
    }

    fn put_on(&mut self, host: usize, thread: usize, at: Ns) {
        let t = &mut self.hosts[host].threads[thread];
        let waited = if t.run == Run::Preempted {
            "preempted"
        } else {
            "runnable"
        };
        self.requests.leg(t.request, (host, thread), waited, at);
        (t.run, t.since) = (Run::Running, at);
        t.generation += 1;
        if t.left > 0 {
            t.done_at = at + t.left;
            let (done_at, generation) = (t.done_at, t.generation);
            self.push(done_at, host, Action::Done { thread, generation });
        } else {
            self.go(host, thread);
        }
    }

    /// A running thread goes on with its program until it computes or sleeps.
    fn go(&mut self, host: usize, thread: usize) {
        loop {
            let h = &mut self.hosts[host];
            let t = &mut h.threads[thread];
            let at = h.cpus[t.cpu].at;
            let program = t.role.program();
            match program[t.step % program.len()] {
                Step::Begin => t.request = Some(self.requests.begin(host, thread, at)),
                Step::Compute(mean) => {
                    t.left = h.chance.around(mean);
                    t.done_at = at + t.left;
                    let (done_at, generation) = (t.done_at, t.generation);
                    return self.push(done_at, host, Action::Done { thread, generation });
                }
                Step::Ask(socket) => {
                    self.send(host, thread, socket);
                }
                Step::Answer(socket) => {
                    let queued = self.send(host, thread, socket);
                    let request = self.hosts[host].threads[thread].request.take();
                    self.requests
                        .leg(request, (host, thread), "running", queued);
                }
                Step::Chat => {
                    let socket = h.chance.between(0, t.sockets.len() as i64) as usize;
                    self.send(host, thread, socket);
                }
                Step::Receive => match t.waiting.pop_front() {
                    Some(segment) => {
                        t.request = segment.request;
                        self.requests.leg(t.request, segment.sender, "network", at);
                    }
                    None => return self.block(host, thread, Wait::Net),
                },
                Step::Read => {
                    self.read(host, thread);
                    return self.block(host, thread, Wait::Disk);
                }
                Step::Sleep(mean) => {
                    t.step += 1;
                    return self.sleep(host, thread, mean);
                }
            }
            self.hosts[host].threads[thread].step += 1;
        }
    }

    fn block(&mut self, host: usize, thread: usize, wait: Wait) {
        let t = &mut self.hosts[host].threads[thread];
        t.run = Run::Blocked(wait);
        let (cpu, state) = (t.cpu, if wait == Wait::Disk { IN_DISK } else { ASLEEP });
        self.switch(host, cpu, state);
    }

    fn sleep(&mut self, host: usize, thread: usize, mean: Ns) {
        let h = &mut self.hosts[host];
        let cpu = h.threads[thread].cpu;
        let until = h.cpus[cpu].at + h.chance.around(mean) + 10 * US;
        let expires = h.clock.local(until);
        h.emit(cpu, Ev::HrtimerStart, |p| {
            p.u64(timer_of(thread)).u64(SLEEP_FUNCTION);
            p.i64(expires).i64(expires).u32(0);
        });
        let request = h.threads[thread].request;
        self.block(host, thread, Wait::Sleep);
        if let Some(request) = request {
            self.requests.end(request);
        }
        self.hosts[host].threads[thread].request = None;
        self.push(until, host, Action::Timer { thread });
    }

    fn read(&mut self, host: usize, thread: usize) {
        let h = &mut self.hosts[host];
        let (comm, tid) = h.who(0, Some(thread));
        let sector = h.sector + thread as u64 * 1_024;
        let at = h.emit(h.threads[thread].cpu, Ev::BlockIssue, |p| {
            p.u32(DISK_DEV).u64(sector).u32(SECTORS).u32(SECTORS * 512);
            p.i32(tid).u32(33).raw(&comm);
        });
        // One after the other.
        h.disk_free = h.disk_free.max(at) + h.chance.around(DISK_TIME);
        let done = h.disk_free;
        self.push(done, host, Action::Disk { thread });
    }

    /// Sends a segment; gives the moment it was queued.
    fn send(&mut self, host: usize, thread: usize, socket: usize) -> Ns {
        let h = &mut self.hosts[host];
        let bytes = h.chance.between(40, 1_200) as u16;
        h.skbs += 1;
        let skb = 0xFFFF_8881_4000_0000 + (h.skbs % 512) * 256;
        let t = &mut h.threads[thread];
        t.sends = t.sends.wrapping_add(1);
        let (cpu, id, request) = (t.cpu, t.sends, t.request);
        let socket = &mut t.sockets[socket];
        let to = socket.to.0;
        let segment = socket.send(bytes, id, (host, thread), request);
        let queued = h.emit(cpu, Ev::NetQueue, |p| segment.write(p, skb, "eth0"));
        let at = h.emit(cpu, Ev::NetXmit, |p| {
            p.u64(skb).i32(0).u32(segment.len()).string(b"eth0");
        });
        let there = at + h.ways[to] + segment.wire() + h.chance.around(10 * US);
        self.push(there, to, Action::Packet(segment));
        queued
    }
}

/// The address of the timer on a sleeping thread's stack.
const fn timer_of(thread: usize) -> u64 {
    0xFFFF_C900_0071_3CE0 + ((thread as u64) << 15)
}
