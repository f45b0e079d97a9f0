//! What of guests is not told yet, and what of them is over and named by nobody.

use super::stacks::GthreadIx;
use super::tables::GENERATION_AGE;
use super::{GcpuIx, Guest, GuestCpu, GuestIx, Piece, ProcIx, Who};
use crate::live::{Yet, not_told};
use crate::model::Model;
use virtflow_base::{Interval, Sink, Timestamp};

impl GuestCpu {
    /// Up to when it is decided who has the processor.
    fn decided(&self, until: Timestamp) -> Timestamp {
        let piece = self.pieces.first().and_then(|piece| match *piece {
            Piece::Segment(at) => self.ident.begins(at),
            Piece::Host(t, _) => Some(t),
        });
        let since = piece.or_else(|| self.open.map(|open| open.entry));
        since.map_or(until, |since| since.min(until))
    }

    /// Whether its life is over.
    pub(crate) const fn is_over(&self) -> bool {
        self.kernel.is_none() && self.idle.is_none()
    }

    /// Every process that is named.
    fn processes_named(&self) -> impl Iterator<Item = ProcIx> {
        let who = match self.who {
            Who::Process(p) => Some(p),
            Who::Kernel | Who::Idle | Who::Nobody => None,
        };
        let listed = self.processes.iter().flatten().copied();
        let noted = self.waits.processes().chain(listed);
        noted.chain(who).chain(self.limbo)
    }

    fn threads_named(&self) -> impl Iterator<Item = GthreadIx> {
        let open = self.open.and_then(|open| open.thread);
        let now = [self.thread, self.thread_on, open];
        now.into_iter().flatten().chain(self.ident.threads())
    }
}

impl Guest {
    /// Whoever was asked for last is over.
    pub(crate) const fn forget_recent(&mut self) {
        self.recent = None;
    }
}

impl<S: Sink> Model<S> {
    pub(crate) fn guests_not_told(&self, until: Timestamp, tell: &mut impl FnMut(&Interval, Yet)) {
        let decided = |g: GcpuIx| self.gcpus[g.0].decided(until);
        for at in self.gcpus.places() {
            let gcpu = &self.gcpus[at];
            for lane in [&gcpu.kernel, &gcpu.idle] {
                not_told(lane.as_ref(), decided(GcpuIx(at)), until, tell);
            }
        }
        for at in self.processes.places() {
            for on in &self.processes[at].lanes {
                not_told(Some(&on.lane), decided(on.gcpu), until, tell);
            }
        }
        for at in self.gthreads.places() {
            let thread = &self.gthreads[at];
            not_told(
                thread.lane.as_ref(),
                thread.on.map_or(until, decided),
                until,
                tell,
            );
        }
    }

    /// Ends processes that would be taken for others if they came back.
    pub(crate) fn end_quiet_processes(&mut self) {
        let guests: Vec<usize> = self.guests.places().collect();
        for guest in guests {
            let of = &self.guests[guest];
            let here = |p: ProcIx| {
                of.gcpus.iter().any(|g| {
                    let gcpu = &self.gcpus[g.0];
                    gcpu.who == Who::Process(p)
                        || gcpu.limbo == Some(p)
                        || gcpu.waits.current() == Some(p)
                })
            };
            let quiet = |p: &ProcIx| {
                self.now.since(self.processes[p.0].seen) >= GENERATION_AGE && !here(*p)
            };
            let mut over: Vec<ProcIx> = of.processes.values().copied().filter(quiet).collect();
            over.sort_unstable();
            for p in over {
                self.forget_process(GuestIx(guest), p);
            }
            self.guests[guest].stacks.forget_if_full();
        }
    }

    fn forget_process(&mut self, guest: GuestIx, p: ProcIx) {
        self.end_process(p);
        let process = &self.processes[p.0];
        let (cr3, next) = (process.cr3, process.table.generation.saturating_add(1));
        let of = &mut self.guests[guest.0];
        of.processes.remove(&cr3);
        of.recent = of.recent.filter(|(_, recent)| *recent != p);
        of.device_waiters.retain(|&waiter| waiter != p);
        of.forgotten = of.forgotten.max(next);
        for g in &of.gcpus {
            self.gcpus[g.0].waits.answers_no_more(p);
        }
    }

    /// Lets the places of guests' processors be used again that are over; `named` are in use.
    pub(crate) fn release_guest_cpus(&mut self, named: &[bool]) {
        let over: Vec<GcpuIx> = self
            .gcpus
            .places()
            .filter(|&at| self.gcpus[at].is_over() && named.get(at) != Some(&true))
            .map(GcpuIx)
            .collect();
        if over.is_empty() {
            return;
        }
        for process in self.processes.iter_mut() {
            process.ended.retain(|(on, _)| !over.contains(on));
            process.gaps.retain(|gap| !over.contains(&gap.lane));
            over.iter().for_each(|&g| process.waits.forget(g));
        }
        for thread in self.gthreads.iter_mut() {
            thread.on = thread.on.filter(|on| !over.contains(on));
        }
        for guest in self.guests.iter_mut() {
            guest.gcpus.retain(|g| !over.contains(g));
        }
        over.iter().for_each(|g| self.gcpus.release(g.0));
    }

    /// Lets the places of processes and threads of guests be used again that are over and that
    /// nobody names.
    pub(crate) fn release_processes(&mut self) {
        let mut named = vec![false; self.processes.len()];
        let mut threads = vec![false; self.gthreads.len()];
        for at in self.gcpus.places() {
            let gcpu = &self.gcpus[at];
            gcpu.processes_named().for_each(|p| named[p.0] = true);
            gcpu.threads_named().for_each(|x| threads[x.0] = true);
        }
        for at in self.guests.places() {
            let guest = &self.guests[at];
            let recent = guest.recent.map(|(_, p)| p);
            let waiters = guest.device_waiters.iter().copied().chain(recent);
            for p in guest.processes.values().copied() {
                let process = &self.processes[p.0];
                named[p.0] = true;
                let kin = process.table.parents.iter().flatten();
                kin.chain(&process.table.after)
                    .for_each(|q| named[q.0] = true);
                process.threads.values().for_each(|x| threads[x.0] = true);
            }
            waiters.for_each(|p| named[p.0] = true);
        }
        for at in self.gthreads.places() {
            if self.gthreads[at].lane.is_some() || threads[at] {
                threads[at] = true;
                named[self.gthreads[at].process.0] = true;
            }
        }
        for process in self.processes.iter_mut() {
            let is_there = |q: &ProcIx| named[q.0];
            process.table.after = process.table.after.filter(is_there);
            process.table.parents = process.table.parents.map(|q| q.filter(is_there));
        }
        for (at, named) in named.into_iter().enumerate() {
            if !named {
                self.processes.release(at);
            }
        }
        for (at, named) in threads.into_iter().enumerate() {
            if !named {
                self.gthreads.release(at);
            }
        }
    }
}
