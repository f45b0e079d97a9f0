//! Guest processes: their lanes on each virtual processor, beside the `kernel` and `idle` lanes.
//!
//! A process is a canonical CR3 of one guest. Which one had a guest's processor is decided by
//! `ident.rs`, a few exits late; this file turns the decisions into lanes. The host's part of a
//! lane (the hypervisor works, the host pre-empts) follows the vCPU's own lane, or, for a nested
//! guest, the nested vCPU's.

use crate::ident::{Ident, Segment, is_user_rip};
use crate::lane::{Lane, Status};
use crate::model::Model;
use crate::tables::{Tables, Use};
use crate::vm::{Mode, VcpuIx};
use crate::vocab::{Cause, Confidence, Evidence, Kind, State};
use crate::waits::{Gap, LaneWaits, Source, WaitCpu};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use virtflow_base::{Edge, Entity, EntityId, Interval, Sink, Span, Timestamp};
use virtflow_events::{ExitInfo, KernelEvent as K};

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
    pub(crate) tables: Tables,
    /// Its processors.
    pub(crate) gcpus: Vec<GcpuIx>,
    /// Who rang for the network last, and the packet of another guest that comes in.
    pub(crate) sent: Option<Source>,
    pub(crate) packet: Option<Source>,
    /// Whether a disk's doorbell was ever seen to be rung.
    pub(crate) calls_disks: bool,
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
    pub(crate) number: u32,
    kernel: Option<Lane>,
    idle: Option<Lane>,
    pub(crate) who: Who,
    /// The process that had the processor before nobody was known to.
    limbo: Option<ProcIx>,
    pub(crate) open: Option<Segment>,
    pub(crate) pieces: Vec<Piece>,
    /// Whose exit the last one was is not told yet.
    undetermined: bool,
    pub(crate) ident: Ident,
    pub(crate) waits: WaitCpu,
    host: Option<Status>,
    /// How sure the present occupant is.
    pub(crate) confidence: Confidence,
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

/// Puts a process with a lane on `g` into a list.
fn list(gcpus: &mut [GuestCpu], g: GcpuIx, p: ProcIx, which: usize) -> (usize, usize) {
    let list = &mut gcpus[g.0].processes[which];
    list.push(p);
    (which, list.len() - 1)
}

/// Takes the process at a place of a list of `g` out of it.
fn unlist(
    gcpus: &mut [GuestCpu],
    processes: &mut [Process],
    g: GcpuIx,
    (which, at): (usize, usize),
) {
    let list = &mut gcpus[g.0].processes[which];
    list.swap_remove(at);
    if let Some(moved) = list.get(at)
        && let Some(l) = processes[moved.0].lanes.iter_mut().find(|l| l.gcpu == g)
    {
        l.listed = (which, at);
    }
}

/// A guest process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) entity: EntityId,
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
        self.guests.push(Guest {
            entity: entity.id,
            key: entity.key.clone(),
            pid: entity.pid,
            level,
            processes: FxHashMap::default(),
            tables: Tables::default(),
            gcpus: Vec::new(),
            sent: None,
            packet: None,
            calls_disks: false,
            device_waiters: Vec::new(),
        });
        GuestIx(self.guests.len() - 1)
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
        self.gcpus.push(GuestCpu {
            guest,
            number,
            kernel,
            idle,
            who: Who::Nobody,
            limbo: None,
            open: None,
            pieces: Vec::new(),
            undetermined: false,
            ident: Ident::default(),
            waits: WaitCpu::default(),
            host: None,
            confidence: Confidence::Likely,
            processes: [Vec::new(), Vec::new()],
        });
        let g = GcpuIx(self.gcpus.len() - 1);
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

    /// `who` has guest processor `g` from `t` on, in `status`.
    pub(crate) fn occupy(&mut self, t: Timestamp, g: GcpuIx, who: Who, status: Status) {
        let who = if self.proved_only && status.confidence == Confidence::Likely {
            Who::Nobody
        } else {
            who
        };
        let level = self.guests[self.gcpus[g.0].guest.0].level;
        let status = status.level(level);
        let before = self.gcpus[g.0].who;
        if before != who {
            self.leave(t, g, before, who);
            self.arrive(t, g, who, status);
            self.gcpus[g.0].who = who;
        }
        match who {
            Who::Process(p) => {
                if let Some(lane) = lane_on(&mut self.processes[p.0], g) {
                    lane.to(t, status, &mut self.sink);
                }
            }
            Who::Kernel => to(&mut self.gcpus[g.0].kernel, t, status, &mut self.sink),
            Who::Idle => {
                let idle = Status {
                    state: State::Idle,
                    cause: Cause::None,
                    by: None,
                    ..status
                };
                to(&mut self.gcpus[g.0].idle, t, idle, &mut self.sink);
            }
            Who::Nobody => {}
        }
    }

    fn leave(&mut self, t: Timestamp, g: GcpuIx, who: Who, next: Who) {
        let level = self.guests[self.gcpus[g.0].guest.0].level;
        let off = Status::new(State::Off, Evidence::None).level(level);
        match who {
            Who::Kernel => to(&mut self.gcpus[g.0].kernel, t, off, &mut self.sink),
            Who::Idle => to(&mut self.gcpus[g.0].idle, t, off, &mut self.sink),
            Who::Process(p) if next == Who::Nobody => {
                self.gcpus[g.0].limbo = Some(p);
                let unknown = Status::unknown(Cause::Ambiguous, Evidence::None).level(level);
                if let Some(lane) = lane_on(&mut self.processes[p.0], g) {
                    lane.to(t, unknown, &mut self.sink);
                }
            }
            Who::Process(p) => self.begin_wait(t, g, p),
            Who::Nobody => {
                if let Some(p) = self.gcpus[g.0].limbo.take()
                    && next != Who::Process(p)
                {
                    self.begin_wait(t, g, p);
                }
            }
        }
    }

    fn begin_wait(&mut self, t: Timestamp, g: GcpuIx, p: ProcIx) {
        let level = self.guests[self.gcpus[g.0].guest.0].level;
        let waiting = Status::new(State::Waiting, Evidence::None)
            .because(Cause::NoEvidence)
            .level(level);
        if let Some(lane) = lane_on(&mut self.processes[p.0], g) {
            lane.to(t, waiting, &mut self.sink);
            lane.hold();
        }
    }

    fn arrive(&mut self, t: Timestamp, g: GcpuIx, who: Who, status: Status) {
        let Who::Process(p) = who else {
            let kernel_or_idle = match who {
                Who::Kernel => Some((&mut self.gcpus[g.0].kernel, State::RunKernel)),
                Who::Idle => Some((&mut self.gcpus[g.0].idle, State::Idle)),
                _ => None,
            };
            if let Some((lane, state)) = kernel_or_idle {
                to(lane, t, Status { state, ..status }, &mut self.sink);
            }
            return;
        };
        let process = &mut self.processes[p.0];
        process.seen = process.seen.max(t);
        let here = process.lanes.iter().any(|l| l.gcpu == g);
        if !here {
            // A process that waits on another processor of its guest has moved.
            let waiting = |l: &ProcessLane| l.lane.status().state == State::Waiting;
            let moved = process.lanes.iter().position(waiting);
            let number = self.gcpus[g.0].number;
            if let Some(at) = moved {
                let mut old = process.lanes.swap_remove(at);
                explain_gaps(
                    &mut old,
                    process.entity,
                    &mut process.gaps,
                    &process.waits,
                    &mut self.sink,
                );
                let end = t.max(old.lane.since());
                process.ended.retain(|(on, _)| *on != old.gcpu);
                process.ended.push((old.gcpu, end));
                let (from, listed) = (old.gcpu, old.listed);
                old.lane.finish(t, &mut self.sink);
                unlist(&mut self.gcpus, &mut self.processes, from, listed);
            }
            let listed = list(&mut self.gcpus, g, p, SEEN);
            let process = &mut self.processes[p.0];
            let ended = process
                .ended
                .iter()
                .find(|(on, _)| *on == g)
                .map_or(t, |(_, end)| *end);
            let mut lane = Lane::new(process.entity, Some(number), t.max(ended), status);
            if !process.table.is_proven() {
                lane.doubt();
            }
            process.lanes.push(ProcessLane {
                gcpu: g,
                lane,
                listed,
            });
            return;
        }
        self.seen_again(g, p);
        let held_max = (HELD_MAX / self.processes.len()).clamp(HELD_MIN, Lane::HELD_MAX / 2);
        let process = &mut self.processes[p.0];
        if let Some(l) = process.lanes.iter_mut().find(|l| l.gcpu == g) {
            l.lane.to(t, status, &mut self.sink);
            // A process whose ways are not known yet is explained when they are.
            let known = process.waits.is_known() || process.gaps.len() >= GAPS_MAX / 2;

            if l.lane.is_holding() && (known || l.lane.held() > held_max) {
                explain_gaps(
                    l,
                    process.entity,
                    &mut process.gaps,
                    &process.waits,
                    &mut self.sink,
                );
            }
        }
    }

    /// A process is seen where a loss had hidden it.
    pub(crate) fn seen_again(&mut self, g: GcpuIx, p: ProcIx) {
        let on = self.processes[p.0].lanes.iter().find(|l| l.gcpu == g);
        let Some(listed) = on.map(|l| l.listed).filter(|listed| listed.0 == LOST) else {
            return;
        };
        unlist(&mut self.gcpus, &mut self.processes, g, listed);
        let listed = list(&mut self.gcpus, g, p, SEEN);
        let mut lanes = self.processes[p.0].lanes.iter_mut();
        if let Some(l) = lanes.find(|l| l.gcpu == g) {
            l.listed = listed;
        }
    }

    /// Notes why a process waited, for its lane to take up when it gets there; and who woke it.
    pub(crate) fn gap_explained(&mut self, p: ProcIx, gap: Gap) {
        let process = &mut self.processes[p.0];
        if process.gaps.len() >= GAPS_MAX {
            process.gaps.pop_front();
        }
        process.gaps.push_back(gap);
    }

    /// All is known of the exit at the end of `segment`.
    fn determined(&mut self, g: GcpuIx, segment: &Segment) {
        if segment.may_be_start() {
            self.program_may_start(g, segment);
        }
        self.wait_exit(g, segment);
    }

    /// The event that would have told more of the last exit did not come.
    fn determine(&mut self, g: GcpuIx) {
        let gcpu = &mut self.gcpus[g.0];
        if std::mem::take(&mut gcpu.undetermined)
            && let Some(&mut segment) = gcpu.ident.last_mut()
        {
            self.determined(g, &segment);
        }
    }

    /// The guest executed CPUID and asked for this leaf.
    pub(crate) fn guest_cpuid(&mut self, v: VcpuIx, leaf: u32) {
        let g = self.gcpu_of(v);
        let gcpu = &mut self.gcpus[g.0];
        if let Some(open) = &mut gcpu.open {
            open.cpuid = Some(leaf);
        } else if gcpu.undetermined
            && let Some(last) = gcpu.ident.last_mut()
        {
            last.cpuid = Some(leaf);
            self.determine(g);
        }
    }

    /// The lane above this guest's processor changed: the host's part of its lanes follows.
    pub(crate) fn guest_host(&mut self, g: GcpuIx, t: Timestamp, host: Status) {
        let level = self.guests[self.gcpus[g.0].guest.0].level;
        let status = as_process(host, level);
        if self.gcpus[g.0].host == status {
            return;
        }
        self.gcpus[g.0].host = status;
        let Some(status) = status else { return };
        if self.gcpus[g.0].pieces.is_empty() {
            self.host_piece(t, g, status);
        } else {
            self.gcpus[g.0].pieces.push(Piece::Host(t, status));
            if self.gcpus[g.0].pieces.len() >= PIECES_MAX {
                self.decide(g, true);
            }
        }
    }

    pub(crate) fn host_piece(&mut self, t: Timestamp, g: GcpuIx, status: Status) {
        let who = self.gcpus[g.0].who;
        if who != Who::Nobody {
            let confidence = self.gcpus[g.0].confidence;
            self.occupy(
                t,
                g,
                who,
                Status {
                    confidence,
                    ..status
                },
            );
        }
    }

    pub(crate) fn guest_follow(&mut self, v: VcpuIx, t: Timestamp, status: Status) {
        self.guest_host(self.vcpus[v.0].gcpu, t, status);
    }

    /// Nothing is known of what runs in `v`'s guest from `t` on.
    pub(crate) fn guest_lost(&mut self, v: VcpuIx, t: Timestamp) {
        let vm = self.vcpus[v.0].vm;
        let nested = self.vms[vm.0]
            .nested
            .iter()
            .filter(|n| n.on == v)
            .map(|n| n.gcpu);
        let all: Vec<_> = nested.chain([self.vcpus[v.0].gcpu]).collect();
        for g in all {
            self.gcpus[g.0].open = None;
            self.determine(g);
            self.decide(g, true);
            self.occupy(
                t,
                g,
                Who::Nobody,
                Status::unknown(Cause::Lost, Evidence::None),
            );
            self.gcpus[g.0].ident.forget();
            self.gcpus[g.0].waits.forget();
            // What a process did meanwhile is not a wait that can be explained.
            self.lose_processes(t, g);
        }
        self.vcpus[v.0].cr3 = None;
    }

    fn lose_processes(&mut self, t: Timestamp, g: GcpuIx) {
        let level = self.guests[self.gcpus[g.0].guest.0].level;
        self.gcpus[g.0].limbo = None;
        let lost = Status::unknown(Cause::Lost, Evidence::LossCounter).level(level);
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
        let vm = self.vcpus[v.0].vm;
        let nested = self.vms[vm.0]
            .nested
            .iter()
            .filter(|n| n.on == v)
            .map(|n| n.gcpu);
        let all: Vec<_> = nested.chain([self.vcpus[v.0].gcpu]).collect();
        for g in all {
            self.gcpus[g.0].open = None;
            self.determine(g);
            self.decide(g, true);
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

    /// The probes that read a guest's CR3.
    pub(crate) fn probe(&mut self, t: Timestamp, v: VcpuIx, event: &K) {
        match *event {
            K::VcpuEnterGuest {
                cr3,
                rip,
                guest_mode,
                l1_cr3,
                vmcb12,
                ..
            } => {
                self.nested_probe(t, v, guest_mode, vmcb12, l1_cr3);
                self.open_segment(v, cr3, Some(rip));
                self.nested_cr3_seen(t, v, cr3, true);
            }
            K::VcpuExitGuest {
                cr3,
                cpl,
                guest_mode,
                ..
            } => {
                if guest_mode == self.vcpus[v.0].nested.current().is_some() {
                    self.nested_cr3_seen(t, v, cr3, false);
                }
                self.close_segment(v, cr3, Some(cpl == 3));
            }
            K::AddonsVcpuEnterGuest { cr3, rip, .. } => {
                self.nested_entry(v, t);
                self.nested_cr3_before(t, v, cr3);
                // No guest code ran since the exit: this is the CR3 of the exit as well.
                self.close_segment(v, cr3, None);
                self.vcpus[v.0].next_cr3 = Some((cr3, rip));
                self.nested_cr3_seen(t, v, cr3, true);
            }
            _ => {}
        }
    }

    /// A write of CR3 that the host saw, with shadow paging.
    pub(crate) fn guest_cr3_written(&mut self, _t: Timestamp, v: VcpuIx, cr3: u64) {
        let vcpu = &mut self.vcpus[v.0];
        vcpu.written_cr3 = Some(cr3);
    }

    pub(crate) fn guest_entry(&mut self, _t: Timestamp, v: VcpuIx, event: &K) {
        let rip = if let K::KvmEntry { rip, .. } = *event {
            rip
        } else {
            None
        };
        let vcpu = &mut self.vcpus[v.0];
        let known = vcpu.next_cr3.take().map(|(cr3, at)| (cr3, at.or(rip)));
        let known = known.or_else(|| {
            vcpu.written_cr3
                .filter(|_| !vcpu.probed)
                .map(|cr3| (cr3, rip))
        });
        if let Some((cr3, rip)) = known {
            self.open_segment(v, cr3, rip);
        }
    }

    pub(crate) fn guest_exit(&mut self, v: VcpuIx, t: Timestamp, info: &ExitInfo, class: Cause) {
        let g = self.gcpu_of(v);
        let level = self.guests[self.gcpus[g.0].guest.0].level;
        if let Some(open) = &mut self.gcpus[g.0].open {
            open.left(t, info, class, level);
        }
        self.judge_idle(v, info, class);
        let vcpu = &self.vcpus[v.0];
        if let (Some(cr3), false) = (vcpu.written_cr3, vcpu.probed) {
            self.close_segment(v, cr3, None);
        }
    }

    /// Whether the guest did anything since it was woken, for telling idle from waiting.
    fn judge_idle(&mut self, v: VcpuIx, info: &ExitInfo, class: Cause) {
        let user = info.rip.is_some_and(|rip| rip >> 63 == 0);
        if user {
            self.flush_judged(v, Some(true));
        } else if class == Cause::ExitHlt {
            self.flush_judged(v, Some(false));
        }
    }

    fn open_segment(&mut self, v: VcpuIx, cr3: u64, rip: Option<u64>) {
        let g = self.gcpu_of(v);
        let entry_cr3 = self.canonical_in(self.gcpus[g.0].guest, cr3);
        let vcpu = &self.vcpus[v.0];
        if vcpu.mode != Mode::Guest {
            return;
        }
        let at = vcpu.entered_at;
        self.determine(g);
        let injected = std::mem::take(&mut self.gcpus[g.0].waits.injected_now);
        self.gcpus[g.0].open = Some(Segment::entered(at, entry_cr3, rip, injected));
        let user = self.gcpus[g.0].open.as_ref().is_some_and(is_user_rip);
        self.settle_entry(g, user.then_some(entry_cr3));
        self.wait_entry(g, at, entry_cr3);
    }

    /// The level of `g` was left: the CR3 that is read next is not its own.
    pub(crate) fn left_level(&mut self, v: VcpuIx, g: GcpuIx) {
        if let Some(open) = self.gcpus[g.0].open
            && open.is_left()
        {
            self.close_segment_of(v, g, open.entry_cr3, None);
        }
    }

    fn close_segment(&mut self, v: VcpuIx, cr3: u64, user: Option<bool>) {
        self.vcpus[v.0].probed |= user.is_some();
        self.close_segment_of(v, self.gcpu_of(v), cr3, user);
    }

    fn close_segment_of(&mut self, v: VcpuIx, g: GcpuIx, cr3: u64, user: Option<bool>) {
        let guest = self.gcpus[g.0].guest;
        if let Some(user) = user {
            self.guests[guest.0].tables.sample(cr3, user);
        }
        let cr3 = self.canonical_in(guest, cr3);
        let Some(mut segment) = self.gcpus[g.0].open.take() else {
            return;
        };
        if !segment.is_left() {
            return;
        }
        segment.exit_cr3 = cr3;
        segment.user = user.or_else(|| segment.exit_rip.map(|rip| rip >> 63 == 0));
        if segment.entry_cr3 != cr3 || segment.user == Some(true) {
            self.flush_judged(v, Some(true));
        }
        segment.kernel_table = self.table_at(guest, &segment);
        if segment.may_be_start() && segment.cpuid.is_none() {
            // Whose exit it is will be told by the event that names the leaf.
            self.gcpus[g.0].undetermined = true;
        } else {
            self.determined(g, &segment);
        }
        let at = self.gcpus[g.0].ident.push(segment);
        self.gcpus[g.0].pieces.push(Piece::Segment(at));
        if let Some(address) = self.vcpus[v.0].doorbell.take() {
            self.guest_doorbell(segment.exit, v, address);
            self.vcpus[v.0].rang = Some(address);
        }
        self.follow_after_exit(g, v, segment.exit);
        self.decide(g, false);
    }
}

/// What the probe at an exit tells comes a little after the exit; the host's states since then
/// follow the segment.
impl<S: Sink> Model<S> {
    fn follow_after_exit(&mut self, g: GcpuIx, v: VcpuIx, exit: Timestamp) {
        let status = match self.vcpus[v.0].nested.current() {
            Some(n) => self.vms[self.vcpus[v.0].vm.0].nested[n.0].status(),
            None => self.vcpus[v.0].lane.as_ref().map(Lane::status),
        };
        if let Some(status) = status {
            self.gcpus[g.0].host = None;
            self.guest_host(g, exit, status);
        }
    }
}

fn to(lane: &mut Option<Lane>, t: Timestamp, status: Status, sink: &mut impl Sink) {
    if let Some(lane) = lane {
        lane.to(t, status, sink);
    }
}

fn lane_on(process: &mut Process, g: GcpuIx) -> Option<&mut Lane> {
    process
        .lanes
        .iter_mut()
        .find(|l| l.gcpu == g)
        .map(|l| &mut l.lane)
}

/// Explains the held waits by the gaps that fall into them, and tells who woke the process. Where the process was back
/// between two of them without being seen to run, what it did there is not known.
fn explain_gaps(
    on: &mut ProcessLane,
    entity: EntityId,
    gaps: &mut VecDeque<Gap>,
    waits: &LaneWaits,
    sink: &mut impl Sink,
) {
    if on.lane.is_doubted() {
        return;
    }
    let here = |gap: &Gap| gap.lane == on.gcpu;
    for gap in gaps.iter_mut().filter(|gap| here(gap)) {
        *gap = gap.decided(waits);
        if let Some(Source { kind, from, at }) = gap.by {
            sink.edge(&Edge {
                from,
                from_time: at,
                to: entity,
                to_time: gap.on,
                kind: kind.code(),
                confidence: gap.confidence.code(),
                evidence: gap.evidence.code(),
            });
        }
    }
    on.lane.release(State::Waiting, sink, |interval, sink| {
        let Span { start: begin, end } = interval.span;
        let mut start = begin;
        let mut inside = gaps
            .iter()
            .copied()
            .filter(|gap| gap.off < end && gap.on > begin)
            .peekable();
        if inside.peek().is_none() {
            sink.interval(&interval);
        }
        while let Some(gap) = inside.next() {
            let next = inside.peek().map(|gap| gap.off);
            let until = if next.is_some() { gap.on.min(end) } else { end };
            let state = match gap.preempted {
                Some(_) => State::ReadyInGuest,
                None => State::Waiting,
            };
            let part = Interval {
                span: Span::new(start, until),
                state: state.code(),
                cause: gap.cause.code(),
                confidence: gap.confidence.code(),
                evidence: gap.evidence.code(),
                by: gap.taken_by(),
                ..interval
            };
            if until > start {
                ready_after(&part, &gap, sink);
                start = until;
            }
            if let Some(next) = next.filter(|next| *next > start) {
                sink.interval(&Interval {
                    span: Span::new(start, next),
                    state: State::Unknown.code(),
                    cause: Cause::Ambiguous.code(),
                    ..interval
                });
                start = next;
            }
        }
    });
    gaps.retain(|gap| gap.lane != on.gcpu);
}

/// Tells a wait, and from when on it was one for the processor alone.
fn ready_after(part: &Interval, gap: &Gap, sink: &mut impl Sink) {
    let Span { start, end } = part.span;
    let Some((since, by)) = gap.ready.filter(|(since, _)| *since < end) else {
        return sink.interval(part);
    };
    let since = since.max(start);
    if since > start {
        sink.interval(&Interval {
            span: Span::new(start, since),
            ..*part
        });
    }
    sink.interval(&Interval {
        span: Span::new(since, end),
        state: State::ReadyInGuest.code(),
        cause: Cause::None.code(),
        by: Some(by),
        ..*part
    });
}

/// What the host's state of a vCPU means for whatever its guest had on it; `None` in the guest.
fn as_process(host: Status, level: u8) -> Option<Status> {
    let state = match host.state {
        State::Guest if host.level == level => return None,
        State::Preempted
        | State::Runnable
        | State::Throttled
        | State::PreemptedL0
        | State::PreemptedL1
        | State::PreemptedL2 => State::PreemptedOnHost,
        State::Unknown => return None,
        _ => State::RunHypervisor,
    };
    Some(Status {
        state,
        cause: Cause::None,
        ..host
    })
}
