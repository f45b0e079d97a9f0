//! Guest processes: their lanes on each virtual processor, beside the `kernel` and `idle` lanes.
//!
//! A process is a canonical CR3 of one guest. Which one had a guest's processor is decided by
//! `ident.rs`, a few exits late; this file turns the decisions into lanes. The host's part of a
//! lane (the hypervisor works, the host pre-empts) follows the vCPU's own lane, or, for a nested
//! guest, the nested vCPU's.

pub(crate) mod ident;
mod occupant;
pub(crate) mod stacks;
mod stay;
mod sweep;
pub(crate) mod tables;

use self::ident::{Ident, Segment};
use self::occupant::{explain_gaps, list, unlist};
use self::stacks::{GthreadIx, Stacks};
use self::tables::{Tables, Use};
use crate::lane::{Lane, Status};
use crate::model::Model;
use crate::vm::VcpuIx;
use crate::vocab::{Cause, Confidence, Evidence, Kind, State};
use crate::waits::{Gap, LaneWaits, Source, WaitCpu};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use virtflow_base::{Entity, EntityId, Sink, Timestamp};

/// A guest's place in the model: a VM's own, or a nested VM's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GuestIx(pub(crate) usize);

/// A guest's processor's place in the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GcpuIx(pub(crate) usize);

/// A guest process's place in the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ProcIx(pub(crate) usize);

/// Intervals of all guest processes together that are held until their waits are explained.
const HELD_MAX: usize = 1 << 20;
/// How many of them one process may have in any case.
const HELD_MIN: usize = 256;
/// How many explained gaps of a process wait for the identity rules to reach them.
const GAPS_MAX: usize = 192;
/// Host states between undecided segments that are kept before a decision is forced.
const PIECES_MAX: usize = 256;
/// One guest: what its processes are.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) entity: EntityId,
    pub(crate) key: String,
    pub(crate) pid: Option<i32>,
    level: u8,
    pub(crate) processes: FxHashMap<u64, ProcIx>,
    /// The one that was asked for last: it mostly is again.
    recent: Option<(u64, ProcIx)>,
    pub(crate) tables: Tables,
    /// Whether a hypervisor above this host's catches its writes of CR3: what is loaded then are
    /// that hypervisor's tables (shadow paging), one for each of the guest's as long as it keeps
    /// them.
    pub(crate) shadowed: bool,
    pub(crate) stacks: Stacks,
    /// Its processors.
    pub(crate) gcpus: Vec<GcpuIx>,
    /// Who rang for the network last, and the packet of another guest that comes in.
    pub(crate) sent: Option<Source>,
    pub(crate) packet: Option<Source>,
    /// Whether a disk's doorbell was ever seen to be rung.
    pub(crate) calls_disks: bool,
    /// The generation of page tables that are not known: more than any that was forgotten had.
    forgotten: u32,
    /// Processes that left with a request under way.
    pub(crate) device_waiters: Vec<ProcIx>,
}

/// Who has a guest's processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Process(ProcIx),
    Kernel,
    Idle,
    Nobody,
}

/// What lies between two decisions: a stay in the guest, or what the host did.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Piece {
    Segment(usize),
    Host(Timestamp, Status),
}

/// A guest's processor: a vCPU, or a nested vCPU.
#[derive(Debug)]
pub(crate) struct GuestCpu {
    pub(crate) guest: GuestIx,
    /// Its guest's.
    level: u8,
    pub(crate) number: u32,
    kernel: Option<Lane>,
    idle: Option<Lane>,
    pub(crate) who: Who,
    /// The process that had the processor before nobody was known to.
    limbo: Option<ProcIx>,
    pub(crate) open: Option<Segment>,
    pub(crate) pieces: Vec<Piece>,
    /// What the host did since the last exit, while whose that was is not told.
    after_exit: Vec<(Timestamp, Status)>,
    /// Whose exit the last one was is not told yet.
    undetermined: bool,
    pub(crate) ident: Ident,
    pub(crate) waits: WaitCpu,
    host: Option<Status>,
    /// How sure the present occupant is.
    pub(crate) confidence: Confidence,
    /// Which thread the rules find on it, and which lane says that it has it.
    thread: Option<GthreadIx>,
    thread_on: Option<GthreadIx>,
    /// Processes that have a lane here: those seen since the last loss, and the others.
    processes: [Vec<ProcIx>; 2],
}

/// A process on one processor of its guest.
#[derive(Debug)]
pub(crate) struct ProcessLane {
    gcpu: GcpuIx,
    pub(crate) lane: Lane,
    /// Its place among the processes of its processor.
    listed: (usize, usize),
}

/// The lists of [`GuestCpu::processes`].
const SEEN: usize = 0;
const LOST: usize = 1;

/// A guest process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) entity: EntityId,
    pub(crate) key: String,
    pub(crate) cr3: u64,
    /// Its threads by thread pointer, or by stack.
    pub(crate) threads: FxHashMap<u64, GthreadIx>,
    pub(crate) lanes: Vec<ProcessLane>,
    /// Until when its earlier lanes lived, by processor: processors are decided at different times,
    /// and a new lane must not begin before the last one ended.
    pub(crate) ended: Vec<(GcpuIx, Timestamp)>,
    pub(crate) seen: Timestamp,
    /// How its page table was used.
    pub(crate) table: Use,
    /// Waits already explained, waiting for the lane to reach them.
    pub(crate) gaps: VecDeque<Gap>,
    pub(crate) waits: LaneWaits,
}

impl<S: Sink> Model<S> {
    /// The guest of a VM, or of a nested VM.
    pub(crate) fn new_guest(&mut self, entity: &Entity, level: u8) -> GuestIx {
        GuestIx(self.guests.insert(Guest {
            entity: entity.id,
            key: entity.key.clone(),
            pid: entity.pid,
            level,
            processes: FxHashMap::default(),
            recent: None,
            shadowed: false,
            tables: Tables::default(),
            stacks: Stacks::default(),
            gcpus: Vec::new(),
            sent: None,
            packet: None,
            calls_disks: false,
            forgotten: 0,
            device_waiters: Vec::new(),
        }))
    }

    /// A processor of `guest`, with its `kernel` and `idle` lanes; `key` is its own entity's.
    pub(crate) fn new_guest_cpu(
        &mut self,
        t: Timestamp,
        guest: GuestIx,
        key: &str,
        number: u32,
    ) -> GcpuIx {
        let off =
            Status::unknown(Cause::NoEvidence, Evidence::None).level(self.guests[guest.0].level);
        let mut lane = |name: &str| {
            let (vm, pid) = (self.guests[guest.0].entity, self.guests[guest.0].pid);
            let mut entity = self.new_entity(Kind::Process, format!("{key}/{name}"));
            entity.label = name.as_bytes().to_vec();
            entity.parent = Some(vm);
            entity.vm = Some(vm);
            entity.vcpu = Some(number);
            entity.pid = pid;
            self.sink.entity(&entity);
            Some(Lane::new(entity.id, Some(number), t, off))
        };
        let kernel = lane("kernel");
        let idle = lane("idle");
        let g = GcpuIx(self.gcpus.insert(GuestCpu {
            guest,
            level: self.guests[guest.0].level,
            number,
            kernel,
            idle,
            who: Who::Nobody,
            limbo: None,
            open: None,
            pieces: Vec::new(),
            after_exit: Vec::new(),
            undetermined: false,
            ident: Ident::default(),
            waits: WaitCpu::default(),
            host: None,
            confidence: Confidence::Likely,
            thread: None,
            thread_on: None,
            processes: [Vec::new(), Vec::new()],
        }));
        self.guests[guest.0].gcpus.push(g);
        g
    }

    /// The guest's processor that `v` is for now: the nested one while one is loaded.
    pub(crate) fn gcpu_of(&self, v: VcpuIx) -> GcpuIx {
        let vcpu = &self.vcpus[v.0];
        match vcpu.nested.current() {
            Some(n) => self.vms[vcpu.vm.0].nested[n.0].gcpu,
            None => vcpu.gcpu,
        }
    }

    /// The CR3 that was last seen on `v` in its own guest.
    pub(crate) fn guest_cr3(&self, v: VcpuIx) -> Option<u64> {
        self.vcpus[v.0].cr3
    }

    /// Ends a process where it was last seen; a wait that was under way is none.
    pub(crate) fn end_process(&mut self, p: ProcIx) {
        let seen = self.processes[p.0].seen;
        self.end_threads(p, seen);
        let lanes = std::mem::take(&mut self.processes[p.0].lanes);
        for mut process_lane in lanes {
            let (g, listed) = (process_lane.gcpu, process_lane.listed);
            unlist(&mut self.gcpus, &mut self.processes, g, listed);
            let process = &mut self.processes[p.0];
            explain_gaps(
                &mut process_lane,
                process.entity,
                &mut process.gaps,
                &process.waits,
                &mut self.sink,
            );
            let lane = process_lane.lane;
            let end = match lane.status().state {
                State::Waiting => lane.since(),
                _ => seen.max(lane.since()),
            };
            lane.finish(end, &mut self.sink);
        }
    }

    /// Decides what is undecided of `v`'s guest and of the nested guests on it, and says which
    /// processors of guests these are.
    fn decide_all(&mut self, v: VcpuIx) -> Vec<GcpuIx> {
        let vm = self.vcpus[v.0].vm;
        let nested = self.vms[vm.0].nested.iter().filter(|n| n.on == v);
        let own = self.vcpus[v.0].gcpu;
        let all: Vec<_> = nested.map(|n| n.gcpu).chain([own]).collect();
        for &g in &all {
            self.gcpus[g.0].open = None;
            self.determine(g);
            self.follow_exit(g);
            self.decide(g, true);
        }
        all
    }

    /// Nothing is known of what runs in `v`'s guest from `t` on.
    pub(crate) fn guest_lost(&mut self, v: VcpuIx, t: Timestamp, status: Status) {
        let lost = match status.cause {
            // Of followed threads nothing was lost that was recorded.
            Cause::Lost if self.followed.is_none() => {
                Status::unknown(Cause::Lost, Evidence::LossCounter)
            }
            _ => status,
        };
        for g in self.decide_all(v) {
            self.occupy(
                t,
                g,
                Who::Nobody,
                Status::unknown(lost.cause, Evidence::None),
            );
            self.gcpus[g.0].ident.forget();
            self.gcpus[g.0].waits.forget();
            // What a process did meanwhile is not a wait that can be explained.
            self.lose_processes(t, g, lost);
        }
        self.vcpus[v.0].cr3 = None;
    }

    fn lose_processes(&mut self, t: Timestamp, g: GcpuIx, lost: Status) {
        let level = self.gcpus[g.0].level;
        self.gcpus[g.0].limbo = None;
        let lost = lost.level(level);
        self.thread_lost(t, g, lost);
        self.guests_own(t, g, Who::Nobody, lost);
        let mut seen = std::mem::take(&mut self.gcpus[g.0].processes[SEEN]);
        seen.sort_unstable();
        for p in seen {
            let listed = list(&mut self.gcpus, g, p, LOST);
            let process = &mut self.processes[p.0];
            let Process {
                entity,
                lanes,
                gaps,
                waits,
                ..
            } = process;
            let Some(l) = lanes.iter_mut().find(|l| l.gcpu == g) else {
                continue;
            };
            explain_gaps(l, *entity, gaps, waits, &mut self.sink);
            l.lane.to(t, lost, &mut self.sink);
            l.listed = listed;
            process.waits.forget(g);
        }
    }

    pub(crate) fn finish_guest(&mut self, v: VcpuIx, end: Timestamp) {
        for g in self.decide_all(v) {
            self.finish_guest_cpu(g, end);
        }
    }

    fn finish_guest_cpu(&mut self, g: GcpuIx, end: Timestamp) {
        let lists = self.gcpus[g.0].processes.each_mut();
        let mut here = lists.map(std::mem::take).concat();
        here.sort_unstable();
        for p in here {
            let process = &mut self.processes[p.0];
            while let Some(at) = process.lanes.iter().position(|l| l.gcpu == g) {
                let mut l = process.lanes.swap_remove(at);
                explain_gaps(
                    &mut l,
                    process.entity,
                    &mut process.gaps,
                    &process.waits,
                    &mut self.sink,
                );
                if l.lane.status().state == State::Waiting {
                    l.lane.amend(|s| {
                        if s.state == State::Waiting {
                            s.cause = Cause::NotRecorded;
                        }
                    });
                }
                l.lane.finish(end, &mut self.sink);
            }
        }
        let gcpu = &mut self.gcpus[g.0];
        for lane in [gcpu.kernel.take(), gcpu.idle.take()].into_iter().flatten() {
            lane.finish(end, &mut self.sink);
        }
    }
}

/// What the probe at an exit tells comes a little after the exit; the host's states since then
/// follow the segment.
impl<S: Sink> Model<S> {}
