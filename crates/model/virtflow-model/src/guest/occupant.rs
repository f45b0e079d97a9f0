//! Lanes of guest processes: who has a guest's processor, and what became of the others.

use super::{
    GAPS_MAX, GcpuIx, GuestCpu, HELD_MAX, HELD_MIN, LOST, PIECES_MAX, Piece, ProcIx, Process,
    ProcessLane, SEEN, Who,
};
use crate::guest::ident::Segment;
use crate::lane::{Lane, Status};
use crate::model::Model;
use crate::vm::VcpuIx;
use crate::vocab::{Cause, Confidence, Evidence, State};
use crate::waits::{Gap, LaneWaits, Source};
use std::collections::VecDeque;
use virtflow_base::{Edge, EntityId, Interval, Sink, Span, Timestamp};

impl<S: Sink> Model<S> {
    /// `who` has guest processor `g` from `t` on, in `status`.
    pub(crate) fn occupy(&mut self, t: Timestamp, g: GcpuIx, who: Who, status: Status) {
        let level = self.gcpus[g.0].level;
        let status = status.level(level);
        let before = self.gcpus[g.0].who;
        if before != who {
            self.leave(t, g, before, who);
            self.arrive(t, g, who, status);
            self.gcpus[g.0].who = who;
            self.guests_own(t, g, who, status);
        } else if self.proved_only {
            self.guests_own(t, g, who, status);
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
        self.thread_follow(t, g, who, status);
    }

    /// The guest's own lanes while they do not have the processor, or nobody is known to.
    pub(super) fn guests_own(&mut self, t: Timestamp, g: GcpuIx, who: Who, status: Status) {
        let off = match (who, status.state) {
            (Who::Nobody, State::Unknown) => Status::unknown(status.cause, status.evidence),
            (Who::Nobody, _) => Status::unknown(Cause::Ambiguous, Evidence::None),
            // That another one has the processor is only likely.
            _ if self.proved_only && status.confidence == Confidence::Likely => {
                Status::unknown(Cause::Ambiguous, Evidence::None)
            }
            _ => Status::new(State::Off, Evidence::None),
        };
        let off = off.level(status.level);
        let gcpu = &mut self.gcpus[g.0];
        if who != Who::Kernel {
            to(&mut gcpu.kernel, t, off, &mut self.sink);
        }
        if who != Who::Idle {
            to(&mut gcpu.idle, t, off, &mut self.sink);
        }
    }

    pub(super) fn leave(&mut self, t: Timestamp, g: GcpuIx, who: Who, next: Who) {
        let level = self.gcpus[g.0].level;
        match who {
            Who::Kernel | Who::Idle => {}
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

    pub(super) fn begin_wait(&mut self, t: Timestamp, g: GcpuIx, p: ProcIx) {
        let level = self.gcpus[g.0].level;
        let waiting = Status::new(State::Waiting, Evidence::None)
            .because(Cause::NoEvidence)
            .level(level);
        if let Some(lane) = lane_on(&mut self.processes[p.0], g) {
            lane.to(t, waiting, &mut self.sink);
            lane.hold();
        }
    }

    pub(super) fn arrive(&mut self, t: Timestamp, g: GcpuIx, who: Who, status: Status) {
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

    /// The lane above this guest's processor changed: the host's part of its lanes follows.
    pub(crate) fn guest_host(&mut self, g: GcpuIx, t: Timestamp, host: Status) {
        let level = self.gcpus[g.0].level;
        let status = as_process(host, level);
        let gcpu = &mut self.gcpus[g.0];
        if gcpu.host == status {
            return;
        }
        gcpu.host = status;
        let Some(status) = status else { return };
        let left = gcpu.open.as_ref().is_some_and(Segment::is_left);
        if left && gcpu.after_exit.len() < PIECES_MAX {
            // Who had the processor at the exit is not told yet.
            gcpu.after_exit.push((t, status));
        } else {
            self.host_state(t, g, status);
        }
    }

    fn host_state(&mut self, t: Timestamp, g: GcpuIx, status: Status) {
        if self.gcpus[g.0].pieces.is_empty() {
            self.host_piece(t, g, status);
        } else {
            self.gcpus[g.0].pieces.push(Piece::Host(t, status));
            if self.gcpus[g.0].pieces.len() >= PIECES_MAX {
                self.decide(g, true);
            }
        }
    }

    /// The segment before the host's states of late is known.
    pub(super) fn follow_exit(&mut self, g: GcpuIx) {
        if self.gcpus[g.0].after_exit.is_empty() {
            return;
        }
        let mut after = std::mem::take(&mut self.gcpus[g.0].after_exit);
        for (t, status) in after.drain(..) {
            self.host_state(t, g, status);
        }
        self.gcpus[g.0].after_exit = after;
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
}

/// Puts a process with a lane on `g` into a list.
pub(super) fn list(gcpus: &mut [GuestCpu], g: GcpuIx, p: ProcIx, which: usize) -> (usize, usize) {
    let list = &mut gcpus[g.0].processes[which];
    list.push(p);
    (which, list.len() - 1)
}

/// Takes the process at a place of a list of `g` out of it.
pub(super) fn unlist(
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

pub(super) fn to(lane: &mut Option<Lane>, t: Timestamp, status: Status, sink: &mut impl Sink) {
    if let Some(lane) = lane {
        lane.to(t, status, sink);
    }
}

pub(super) fn lane_on(process: &mut Process, g: GcpuIx) -> Option<&mut Lane> {
    process
        .lanes
        .iter_mut()
        .find(|l| l.gcpu == g)
        .map(|l| &mut l.lane)
}

/// Explains the held waits by the gaps that fall into them, and tells who woke the process. Where the process was back
/// between two of them without being seen to run, what it did there is not known.
pub(super) fn explain_gaps(
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
pub(super) fn ready_after(part: &Interval, gap: &Gap, sink: &mut impl Sink) {
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
pub(super) fn as_process(host: Status, level: u8) -> Option<Status> {
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
