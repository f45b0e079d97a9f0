//! What a VMM's threads and vhost workers do: disk requests and packets.

use super::Sim;
use super::interrupt::Source;
use super::model::{Action, Irq, Job, MS, Ns, Signal, US};
use super::switch::{ASLEEP, IN_DISK, PREEMPTED};
use crate::trace::Ev;

/// The host's disk: `MKDEV(254, 32)`, vdc.
pub(super) const DISK: u32 = 254 << 20 | 32;
const DISK_IRQ: Source = Source::Device(32, "virtio2-req.1");
const NIC_IRQ: Source = Source::Device(33, "eth0-rx-0");
/// A disk request takes this long on average, a peer outside answers in that time.
const DISK_TIME: Ns = 400 * US;
const ANSWER_TIME: Ns = 2 * MS;
/// Sectors of 512 bytes per request.
const SECTORS: u32 = 128;

/// What became of a job.
enum Outcome {
    Done,
    /// The thread went to sleep.
    Asleep,
    /// To be tried again then.
    Later(Ns),
}

impl Sim<'_> {
    /// Gives a thread something to do. The thread must not be [`Sim::unsettled`].
    pub(super) fn give(&mut self, thread: usize, job: Job, cause: &'static str) {
        self.threads[thread].jobs.push_back(job);
        if self.threads[thread].in_disk.is_none() {
            self.wake(thread, cause);
        }
    }

    /// Finishes the job at hand and takes the next, or sleeps.
    pub(super) fn work(&mut self, thread: usize) {
        if let Some(job) = self.threads[thread].busy.take() {
            match self.perform(thread, job) {
                Outcome::Done => {}
                Outcome::Asleep => return,
                Outcome::Later(time) => {
                    self.threads[thread].busy = Some(job);
                    return self.plan(thread, time);
                }
            }
        }
        if let Some(job) = self.threads[thread].jobs.pop_front() {
            self.threads[thread].busy = Some(job);
            let done = self.at + self.chance.between(4_000, 25_000);
            self.plan(thread, done);
            if self.cpus[self.cpu].need_resched {
                self.switch(PREEMPTED);
            }
        } else {
            self.switch(ASLEEP);
        }
    }

    fn plan(&mut self, thread: usize, time: Ns) {
        let generation = self.threads[thread].generation;
        self.push(time, Action::Resume { thread, generation });
    }

    fn perform(&mut self, thread: usize, job: Job) -> Outcome {
        let touched = self.touched(job);
        if let Some(later) = self.unsettled(&touched) {
            return Outcome::Later(later);
        }
        match job {
            Job::Submit(proc) => self.give(touched[0], Job::Issue(proc), "task"),
            Job::Issue(proc) => {
                self.issue(thread);
                self.threads[thread].jobs.push_front(Job::Done(proc));
                self.switch(IN_DISK);
                let done = self.at + self.chance.around(DISK_TIME);
                self.push(done, Action::Disk { thread });
                return Outcome::Asleep;
            }
            Job::Done(proc) => self.give(touched[0], Job::Complete(proc), "task"),
            Job::Complete(proc) => {
                let vcpu = self.vcpu_of(proc);
                self.raise_line(vcpu, DISK_GSI, Signal::Disk(proc));
            }
            Job::Send(proc) => self.send(proc, &touched),
            Job::Receive(proc) => {
                let vcpu = self.vcpu_of(proc);
                let from = self.procs[proc].partner;
                self.raise_line(vcpu, NET_GSI, Signal::Net(proc, from));
            }
            Job::Release(vcpu) => self.wake(self.vcpus[vcpu].thread, "vmm"),
        }
        Outcome::Done
    }

    /// The threads that a job may wake.
    fn touched(&mut self, job: Job) -> Vec<usize> {
        match job {
            Job::Submit(proc) => {
                let vm = self.vcpus[self.vcpu_of(proc)].vm;
                let vm = &mut self.vms[vm];
                vm.next_worker = (vm.next_worker + 1) % vm.workers.len();
                vec![vm.workers[vm.next_worker]]
            }
            Job::Issue(_) => Vec::new(),
            Job::Done(proc) => vec![self.vms[self.vcpus[self.vcpu_of(proc)].vm].main],
            Job::Complete(proc) | Job::Receive(proc) => {
                vec![self.vcpus[self.vcpu_of(proc)].thread]
            }
            Job::Send(proc) => match self.procs[proc].partner {
                Some(partner) => vec![self.vms[self.vcpus[self.vcpu_of(partner)].vm].net],
                None => Vec::new(),
            },
            Job::Release(vcpu) => vec![self.vcpus[vcpu].thread],
        }
    }

    pub(super) fn vcpu_of(&self, proc: usize) -> usize {
        self.guests[self.procs[proc].guest].vcpu
    }

    fn issue(&mut self, thread: usize) {
        let who = self.threads[thread].who;
        let sector = u64::from(self.chance.bits() >> 6) * u64::from(SECTORS);
        self.threads[thread].in_disk = Some(sector);
        self.emit(Ev::BlockIssue, |p| {
            p.u32(DISK)
                .u64(sector)
                .u32(SECTORS)
                .u32(SECTORS * 512)
                .i32(who.tid)
                .u32(READ);
            p.raw(&who.comm);
        });
    }

    /// The disk has done a worker's request.
    pub(super) fn disk_done(&mut self, thread: usize) {
        if let Some(later) = self.unsettled(&[thread]) {
            return self.push(later, Action::Disk { thread });
        }
        let sector = self.threads[thread].in_disk.take().unwrap_or(0);
        self.interrupt(DISK_IRQ, |sim| {
            sim.emit(Ev::BlockComplete, |p| {
                p.u32(DISK).u64(sector).u32(SECTORS).i32(0).u32(READ);
            });
            sim.wake(thread, "disk");
        });
    }

    /// Raises the line of a VM's device for what `signal` says, and so the MSI or I/O APIC vector.
    fn raise_line(&mut self, vcpu: usize, gsi: u32, signal: Signal) {
        let (vector, apic) = (vector(signal), self.vcpus[vcpu].index);
        // With irqfd (vhost) the line is never set.
        if !(gsi == NET_GSI && self.scenario.vhost) {
            self.emit(Ev::KvmSetIrq, |p| {
                p.u32(gsi).i32(1).i32(0);
            });
        }
        let address = 0xFEE0_0000 | u64::from(apic) << 12;
        // Bit 15: level-triggered.
        let data = 0x8000 | u64::from(vector);
        self.emit(Ev::KvmMsiSetIrq, |p| {
            p.u64(address).u64(data);
        });
        let by = self.causer();
        self.accept(vcpu, Irq { signal, at: 0, by }, 1);
        self.notify(vcpu, cause(signal));
    }

    fn send(&mut self, proc: usize, touched: &[usize]) {
        let vm = self.vcpus[self.vcpu_of(proc)].vm;
        let (tap, skb) = (self.vms[vm].tap.clone(), skb_address(proc));
        self.emit(Ev::NetReceiveEntry, |p| {
            p.u64(skb);
        });
        let packet = Packet {
            skb,
            from: vm,
            to: self.procs[proc].partner.map(|to| self.vm_of(to)),
        };
        self.packet(Ev::NetReceive, &tap, packet);
        match (self.procs[proc].partner, touched.first()) {
            (Some(partner), Some(&net)) => {
                self.transmit(packet, &self.vms[self.vm_of(partner)].tap.clone(), |sim| {
                    sim.give(net, Job::Receive(partner), "net");
                });
            }
            _ => {
                self.transmit(packet, "eth0", |_| ());
                let then = self.at + self.chance.around(ANSWER_TIME);
                self.push(then, Action::Answer { proc });
            }
        }
        self.emit(Ev::NetReceiveExit, |p| {
            p.i32(0);
        });
    }

    fn vm_of(&self, proc: usize) -> usize {
        self.vcpus[self.vcpu_of(proc)].vm
    }

    /// A packet leaves by a device; `body` is what its driver does.
    fn transmit(&mut self, packet: Packet, device: &str, body: impl FnOnce(&mut Self)) {
        self.packet(Ev::NetQueue, device, packet);
        body(self);
        self.emit(Ev::NetXmit, |p| {
            p.u64(packet.skb)
                .i32(0)
                .u32(PACKET_BYTES)
                .string(device.as_bytes());
        });
    }

    /// A packet for a process comes in from outside.
    pub(super) fn answer(&mut self, proc: usize) {
        let net = self.vms[self.vm_of(proc)].net;
        if let Some(later) = self.unsettled(&[net]) {
            return self.push(later, Action::Answer { proc });
        }
        self.interrupt(NIC_IRQ, |sim| sim.raise_receive(proc));
    }

    /// NET_RX's part of it.
    pub(super) fn receive_from_outside(&mut self, proc: usize) {
        let (vm, skb) = (self.vm_of(proc), skb_address(proc) ^ 0x100);
        self.emit(Ev::NetReceiveEntry, |p| {
            p.u64(skb);
        });
        let packet = Packet {
            skb,
            from: 255,
            to: Some(vm),
        };
        self.packet(Ev::NetReceive, "eth0", packet);
        let (tap, net) = (self.vms[vm].tap.clone(), self.vms[vm].net);
        self.transmit(packet, &tap, |sim| sim.give(net, Job::Receive(proc), "net"));
        self.emit(Ev::NetReceiveExit, |p| {
            p.i32(0);
        });
    }

    fn packet(&mut self, ev: Ev, device: &str, packet: Packet) {
        let host = |vm: usize| [10, 0, (vm >> 8) as u8, vm as u8];
        let (from, to) = (host(packet.from), packet.to.map_or([192, 0, 2, 1], host));
        self.emit(ev, |p| {
            p.u64(packet.skb)
                .u32(PACKET_BYTES)
                .string(device.as_bytes());
            // IPv4, no options, UDP; big-endian as on the wire; no transport header parsed.
            let [high, low] = (PACKET_BYTES as u16).to_be_bytes();
            p.raw(&[
                1, 0x45, 0, high, low, 0x86, 0x55, 0x40, 0, 64, 17, 0xab, 0xcd,
            ]);
            p.raw(&from).raw(&to).u8(0);
        });
    }
}

const PACKET_BYTES: u32 = 116;
/// `REQ_OP_READ | REQ_SYNC` in LTTng's `rwbs`.
const READ: u32 = 33;
/// The virtio devices' lines, as the test bed has them.
const NET_GSI: u32 = 22;
const DISK_GSI: u32 = 23;

#[derive(Clone, Copy)]
struct Packet {
    skb: u64,
    from: usize,
    to: Option<usize>,
}

fn skb_address(proc: usize) -> u64 {
    0xFFFF_8881_2000_0000 + ((proc as u64) << 9)
}

/// A guest's vectors: fixed ones of Linux since 4.17 (arch/x86/include/asm/irq_vectors.h
/// `LOCAL_TIMER_VECTOR`, `RESCHEDULE_VECTOR`), and two that its I/O APIC got.
pub(super) fn vector(signal: Signal) -> u8 {
    match signal {
        Signal::Timer => 0xec,
        Signal::Reschedule => 0xfd,
        Signal::Disk(_) => 35,
        Signal::Net(..) => 36,
    }
}

/// What a vCPU that waits for it waits for.
pub(super) fn cause(signal: Signal) -> &'static str {
    match signal {
        Signal::Timer => "timer",
        Signal::Reschedule => "task",
        Signal::Disk(_) => "disk",
        Signal::Net(..) => "net",
    }
}
