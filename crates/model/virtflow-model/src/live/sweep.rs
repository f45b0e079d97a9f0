//! What is over and is named by nobody any more is forgotten, so that a model that goes on for days
//! takes no more room than what lives.

use crate::guest::GuestIx;
use crate::model::Model;
use crate::nested::Block;
use crate::vm::VmIx;
use virtflow_base::Sink;

/// How many of each a model keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Living {
    /// Threads of the host.
    pub threads: usize,
    /// Containers.
    pub containers: usize,
    /// Virtual machines.
    pub vms: usize,
    /// Virtual processors, without nested ones.
    pub vcpus: usize,
    /// Guests: virtual machines and nested ones.
    pub guests: usize,
    /// Processors of guests.
    pub guest_cpus: usize,
    /// Processes of guests.
    pub processes: usize,
    /// Threads of guests.
    pub guest_threads: usize,
    /// Numbers of entities that were given so far; these are never given again.
    pub entities: u32,
}

impl<S: Sink> Model<S> {
    /// How much is kept.
    pub fn living(&self) -> Living {
        Living {
            threads: self.threads.in_use(),
            containers: self.containers.len(),
            vms: self.vms.in_use(),
            vcpus: self.vcpus.in_use(),
            guests: self.guests.in_use(),
            guest_cpus: self.gcpus.in_use(),
            processes: self.processes.in_use(),
            guest_threads: self.gthreads.in_use(),
            entities: self.entities,
        }
    }

    /// Forgets what is over: threads and VMs that ended, and processes of guests that were not seen
    /// for so long that they would be taken for others.
    pub fn sweep(&mut self) {
        self.end_quiet_processes();
        self.release_vms();
        self.release_processes();
        self.release_threads();
        self.forget_containers();
    }

    /// A VM is over when its VMM's first thread, all of its virtual processors and all that its
    /// threads made are.
    fn release_vms(&mut self) {
        let mut named = vec![false; self.vms.len()];
        for thread in self.threads.iter().filter(|thread| thread.lane.is_some()) {
            thread.vm.into_iter().for_each(|vm| named[vm.0] = true);
        }
        let packets = self.cpus.iter().filter_map(|cpu| cpu.packet);
        packets.for_each(|(vm, _)| named[vm.0] = true);
        self.vm_by_pid.retain(|pid, vm| {
            let lives = self.thread_by_tid.contains_key(pid) || !self.vms[vm.0].vcpus.is_empty();
            named[vm.0] |= lives;
            lives
        });
        let places: Vec<usize> = self.vms.places().collect();
        for vm in places {
            if named[vm] || !self.vms[vm].vcpus.is_empty() {
                continue;
            }
            let nested = self.vms[vm].nested.iter().map(|nested| nested.guest);
            let guests: Vec<GuestIx> = nested.chain([self.vms[vm].guest]).collect();
            for guest in guests {
                self.release_guest(guest);
            }
            self.vms.release(vm);
        }
        self.release_vcpus();
    }

    /// Ends what is left of a guest whose VM is over.
    fn release_guest(&mut self, guest: GuestIx) {
        let mut all: Vec<_> = self.guests[guest.0].processes.values().copied().collect();
        all.sort_unstable();
        for p in all {
            self.end_process(p);
        }
        let of = &mut self.guests[guest.0];
        of.processes.clear();
        of.device_waiters.clear();
        of.forget_recent();
        for g in std::mem::take(&mut of.gcpus) {
            self.gcpus.release(g.0);
        }
        self.guests.release(guest.0);
    }

    fn release_vcpus(&mut self) {
        let mut vcpus = vec![false; self.vcpus.len()];
        let mut gcpus = vec![false; self.gcpus.len()];
        for VmIx(vm) in self.vms.places().map(VmIx) {
            let vm = &self.vms[vm];
            vm.vcpus.iter().for_each(|v| vcpus[v.0] = true);
            for nested in &vm.nested {
                vcpus[nested.on.0] = true;
                gcpus[nested.gcpu.0] = true;
                if let Block::Of(_, v) = nested.block {
                    vcpus[v.0] = true;
                }
            }
        }
        for (at, named) in vcpus.iter().enumerate() {
            if *named {
                gcpus[self.vcpus[at].gcpu.0] = true;
            } else {
                self.vcpus.release(at);
            }
        }
        self.release_guest_cpus(&gcpus);
    }
}
