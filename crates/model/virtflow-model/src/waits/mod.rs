//! Why guest processes waited, and which one woke another.
//!
//! A process that leaves a guest's processor and comes back waited for something. What, is told by
//! the events of the processor since anything else ran there: interrupts injected afresh, clock
//! writes of the guest (a guest that leaves idle programs its tick again), its halts. A process
//! that comes back straight after idle shows what it waits for; one that comes back after another
//! process is judged by what it did before. A disk request is owned by whoever rang the bell.
//! The rules and how often they err are in docs/method.md.

mod cpu;
mod gap;
mod ticks;

pub(crate) use cpu::WaitCpu;
pub(crate) use gap::{Gap, LaneWaits, Source};

use cpu::{Announced, Before, Event, How};
use gap::OpenGap;

use crate::guest::ident::Segment;
use crate::guest::{GcpuIx, GuestIx, ProcIx};
use crate::model::Model;
use crate::nested::NestedIx;
use crate::vm::{VcpuIx, VmIx};
use crate::vocab::{Cause, Confidence, EdgeKind, Evidence};
use virtflow_base::{Sink, Span, Timestamp};

/// Whoever was pre-empted by a tick and is back within this time was not seen to wait between
/// (nanoseconds): a slice of Linux's fair scheduler (`sched_slice`, kernel/sched/fair.c) for few.
const SLICE: i64 = 4_000_000;
/// Device requests under way in one guest that are owned.
const REQUESTS_MAX: usize = 256;

/// Whether a cause is a device of the virtual machine.
pub(crate) const fn is_device(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::Disk | Cause::Net | Cause::Console | Cause::Vfio
    )
}

impl<S: Sink> Model<S> {
    /// A vector was injected afresh into `v`'s own guest: an entry begins with its handler.
    pub(crate) fn guest_injected(&mut self, t: Timestamp, v: VcpuIx, vector: u8) {
        let class = self.class_of(v, vector);
        let g = self.vcpus[v.0].gcpu;
        self.wait_injected(t, g, vector, class);
    }

    /// A vector was posted to `v`'s own guest, which takes it at no event and ends it at none.
    pub(crate) fn guest_posted(&mut self, t: Timestamp, v: VcpuIx, vector: u8) {
        let class = self.class_of(v, vector);
        let g = self.vcpus[v.0].gcpu;
        self.wait_announced(t, g, class);
    }

    /// The guest's hypervisor injects a vector into its guest.
    pub(crate) fn nested_guest_injected(
        &mut self,
        t: Timestamp,
        v: VcpuIx,
        n: NestedIx,
        vector: Option<u8>,
    ) {
        let Some(vector) = vector else { return };
        let vm = self.vcpus[v.0].vm;
        let class = match self.class_of(v, vector) {
            Some(class @ (Cause::Timer | Cause::Task)) => Some(class),
            _ => None,
        };
        let g = self.vms[vm.0].nested[n.0].gcpu;
        self.wait_injected(t, g, vector, class);
    }

    fn wait_injected(&mut self, t: Timestamp, g: GcpuIx, vector: u8, class: Option<Cause>) {
        let waits = &mut self.gcpus[g.0].waits;
        waits.injected_now = Some(vector);
        if class.is_some_and(is_device) {
            waits.in_service = Some(vector);
        }
        self.wait_announced(t, g, class);
    }

    fn wait_announced(&mut self, t: Timestamp, g: GcpuIx, class: Option<Cause>) {
        let guest = self.gcpus[g.0].guest;
        let waits = &mut self.gcpus[g.0].waits;
        waits.last_injected = Some((t, class));
        waits.in_timer |= class == Some(Cause::Timer);
        let event = match class {
            Some(Cause::Timer) if waits.deadline.is_own() => Event::OwnTimer(waits.rang()),
            class => Event::Injected(class),
        };
        waits.push(t, event);
        if let Event::OwnTimer(Some(p)) = event {
            self.processes[p.0].waits.rang = Some(t);
        }
        if let Some(device) = class.filter(|c| is_device(*c)) {
            self.request_answered(t, guest, device);
        }
    }

    /// The oldest request of a device class is answered.
    fn request_answered(&mut self, t: Timestamp, guest: GuestIx, class: Cause) {
        self.mark_waiters(guest, |gap| {
            if gap.request.is_some_and(|(_, asked)| asked == class) {
                gap.answered.get_or_insert(t);
            }
        });
        for i in 0..self.guests[guest.0].gcpus.len() {
            let GcpuIx(g) = self.guests[guest.0].gcpus[i];
            let requests = &self.gcpus[g].waits.requests;
            let answered = requests.iter().position(|p| {
                self.processes[p.0]
                    .waits
                    .request
                    .is_some_and(|(_, c)| c == class)
            });
            if let Some(at) = answered {
                if let Some(p) = self.gcpus[g].waits.requests.remove(at) {
                    self.processes[p.0].waits.request = None;
                }
                return;
            }
        }
    }

    /// Applies `mark` to the waits of `guest` that began with a request under way.
    fn mark_waiters(&mut self, guest: GuestIx, mark: impl Fn(&mut OpenGap)) {
        for &p in &self.guests[guest.0].device_waiters {
            let open = self.processes[p.0].waits.open.iter_mut();
            open.filter(|gap| gap.request.is_some()).for_each(&mark);
        }
    }

    /// Something ran or halted: a wait whose device has answered by now was over by then.
    fn after_answers(&mut self, guest: GuestIx, t: Timestamp) {
        self.mark_waiters(guest, |gap| {
            if gap.answered.is_some() {
                gap.after_answer.get_or_insert(t);
            }
        });
    }

    pub(crate) fn guest_eoi(&mut self, v: VcpuIx, vector: u32) {
        let g = self.gcpu_of(v);
        let Ok(vector) = u8::try_from(vector) else {
            return;
        };
        let gcpu = &mut self.gcpus[g.0];
        if gcpu.waits.in_service == Some(vector) {
            gcpu.waits.in_service = None;
            gcpu.waits.ticked = true;
        }
        if let Some(open) = &mut gcpu.open {
            open.ended(vector);
        }
    }

    /// The guest wrote a register.
    pub(crate) fn guest_wrote_msr(&mut self, t: Timestamp, v: VcpuIx, msr: u32, data: u64) {
        let g = self.gcpu_of(v);
        let gcpu = &mut self.gcpus[g.0];
        match &mut gcpu.open {
            Some(open) => open.msr = Some(msr),
            None => {
                if let Some(last) = gcpu.ident.last_mut() {
                    last.msr = Some(msr);
                }
            }
        }
        if msr == crate::causes::MSR_TSC_DEADLINE {
            gcpu.waits.push(t, Event::ArmedTimer);
            gcpu.waits.armed(t, data);
        }
    }

    /// Who last rang for the network in `vm`: the sender of what its VMM passes on.
    pub(crate) fn sender(&self, vm: VmIx) -> Option<Source> {
        self.guests[self.vms[vm.0].guest.0].sent
    }

    /// A packet of somebody else's is on its way into `vm`.
    pub(crate) fn packet_comes(&mut self, vm: VmIx, sender: Source) {
        let guest = self.vms[vm.0].guest;
        self.guests[guest.0].packet = Some(sender);
    }

    /// The packet that ended a wait which began at `off`.
    fn packet_for(&mut self, guest: GuestIx, off: Timestamp) -> Option<Source> {
        self.guests[guest.0]
            .packet
            .take()
            .filter(|packet| packet.at > off)
    }

    /// The guest wrote where a device listens.
    pub(crate) fn guest_doorbell(&mut self, t: Timestamp, v: VcpuIx, address: u64) {
        let vm = self.vcpus[v.0].vm;
        let class = self.vms[vm.0].vectors.rung(address);
        let g = self.gcpu_of(v);
        let Some(class) = class else { return };
        let gcpu = &mut self.gcpus[g.0];
        if gcpu.waits.in_service.is_some() {
            return;
        }
        if class == Cause::Disk {
            self.guests[gcpu.guest.0].calls_disks = true;
            let open = gcpu.open.as_mut().filter(|open| open.is_left());
            if let Some(segment) = open.or(gcpu.ident.last_mut()) {
                segment.disk_doorbell = true;
            }
        }
        let Some(p) = gcpu.waits.current else { return };
        let guest = gcpu.guest;
        if class == Cause::Net {
            self.guests[guest.0].sent = Some(Source {
                kind: EdgeKind::Packet,
                from: self.processes[p.0].entity,
                at: t,
            });
        }
        if !self.processes[p.0].waits.running.contains(&g) {
            let from = self.gcpus[g.0].waits.woken.unwrap_or(t);
            self.back(g, p, from, t, How::Doorbell);
        }
        let waits = &mut self.gcpus[g.0].waits;
        waits.idle = false;
        let request = &mut self.processes[p.0].waits.request;
        if request.is_none() && waits.requests.len() < REQUESTS_MAX {
            waits.requests.push_back(p);
            *request = Some((t, class));
        } else if class == Cause::Disk
            && let Some(request) = request
        {
            *request = (t, class);
        }
    }

    pub(crate) fn guest_woken(&mut self, v: VcpuIx, t: Timestamp) {
        let g = self.vcpus[v.0].gcpu;
        self.gcpus[g.0].waits.woken = Some(t);
    }

    /// An entry with this CR3.
    pub(crate) fn wait_entry(&mut self, g: GcpuIx, t: Timestamp, cr3: u64) {
        let guest = self.gcpus[g.0].guest;
        let p = self.process(t, guest, cr3);
        let waits = &self.gcpus[g.0].waits;
        let (current, last_exit) = (waits.current, waits.last_exit);
        let (ticked, idle) = (waits.ticked_before, waits.idle);
        if current != Some(p) {
            if let Some(current) = current {
                self.gone(g, current, last_exit);
                if ticked && !idle {
                    self.preempted_in_guest(g, current, p);
                }
            }
            self.back(g, p, last_exit, t, How::Changed);
            self.ran(g, p, t);
            self.gcpus[g.0].waits.idle = false;
        }
        self.gcpus[g.0].waits.last_entry = t;
    }

    /// An exit whose segment is known.
    pub(crate) fn wait_exit(&mut self, g: GcpuIx, segment: &Segment) {
        let (guest, t) = (self.gcpus[g.0].guest, segment.exit);
        let p = self.process(t, guest, segment.exit_cr3);
        let waits = &mut self.gcpus[g.0].waits;
        let (current, last_entry, idle, woken) =
            (waits.current, waits.last_entry, waits.idle, waits.woken);
        let ticked = std::mem::take(&mut waits.ticked);
        waits.ticked_before = ticked;
        // Where the guest's own hypervisor handles it, only that a register was written is told.
        if segment.level > 1 && segment.msr_write && std::mem::take(&mut waits.in_timer) {
            waits.ticked = true;
        }
        if current != Some(p) {
            if let Some(current) = current {
                self.gone(g, current, last_entry);
                if ticked && !idle {
                    self.preempted_in_guest(g, current, p);
                }
            }
            self.back(g, p, last_entry, t, How::Changed);
            self.ran(g, p, last_entry);
        } else if segment.is_hard() && !self.processes[p.0].waits.running.contains(&g) {
            let from = if idle {
                woken.unwrap_or(last_entry)
            } else {
                last_entry
            };
            self.back(g, p, from, t, How::UserMode);
            self.gcpus[g.0].waits.idle = false;
        } else if segment.is_hard() {
            // It goes on: what came before woke nobody who took the processor from it.
            self.ran(g, p, t);
        }
        if segment.is_systems() && !segment.halted {
            self.gone(g, p, t);
        }
        if segment.halted {
            self.gone(g, p, t);
            self.after_answers(guest, t);
            let waits = &mut self.gcpus[g.0].waits;
            waits.halted();
            waits.halted_at = t;
            waits.idle = true;
            waits.woken = None;
            waits.tail.clear();
            waits.before = Before::Halt;
        }
        self.gcpus[g.0].waits.last_exit = t;
    }

    /// `p` was seen to have the processor: what came before belongs to the waits of others.
    fn ran(&mut self, g: GcpuIx, p: ProcIx, t: Timestamp) {
        let guest = self.gcpus[g.0].guest;
        self.after_answers(guest, t);
        let waits = &mut self.gcpus[g.0].waits;
        if waits.current != Some(p) {
            self.processes[p.0].table.after = waits.current;
            waits.current = Some(p);
            waits.came = t;
        }
        waits.before = Before::Process(p, t);
        while waits.tail.front().is_some_and(|(at, _)| *at <= t) {
            waits.tail.pop_front();
        }
    }

    fn gone(&mut self, g: GcpuIx, p: ProcIx, t: Timestamp) {
        let guest = self.gcpus[g.0].guest;
        let waits = &mut self.processes[p.0].waits;
        let Some(at) = waits.running.iter().position(|&on| on == g) else {
            return;
        };
        waits.running.swap_remove(at);
        waits.left += 1;
        let request = waits.request;
        let gap = OpenGap {
            lane: g,
            off: t,
            request,
            answered: None,
            after_answer: None,
            preempted: None,
        };
        waits.open.push(gap);
        let waiters = &mut self.guests[guest.0].device_waiters;
        if request.is_some() && waiters.len() < REQUESTS_MAX {
            waiters.push(p);
        }
    }

    /// `p` has just gone: right after a tick, so it did not wait for anything.
    fn preempted_in_guest(&mut self, g: GcpuIx, p: ProcIx, by: ProcIx) {
        let by = self.processes[by.0].entity;
        let mut open = self.processes[p.0].waits.open.iter_mut();
        if let Some(gap) = open.rfind(|gap| gap.lane == g) {
            gap.preempted = Some(by);
            let waits = &mut self.processes[p.0].waits;
            waits.taken += 1;
            waits.left -= 1;
        }
    }

    /// `p` has the processor again since some moment between `from` and `t`.
    fn back(&mut self, g: GcpuIx, p: ProcIx, from: Timestamp, t: Timestamp, how: How) {
        let guest = self.gcpus[g.0].guest;
        let waits = &mut self.processes[p.0].waits;
        if waits.running.contains(&g) {
            return;
        }
        waits.running.push(g);
        self.seen_again(g, p);
        let waits = &mut self.processes[p.0].waits;
        // A thread that waited on another processor has moved, if none waited on this one.
        let own = waits.open.iter().position(|gap| gap.lane == g);
        let Some(at) = own.or_else(|| (!waits.open.is_empty()).then_some(0)) else {
            return;
        };
        let OpenGap {
            lane,
            mut off,
            request,
            answered,
            after_answer,
            preempted,
        } = waits.open.remove(at);
        if waits.open.iter().all(|gap| gap.request.is_none()) {
            self.guests[guest.0].device_waiters.retain(|&w| w != p);
        }
        // Whoever is ready gets an idle processor at once, and a busy one before long. If it did
        // not, it was back and went to wait unseen.
        let halted = self.gcpus[g.0].waits.halted_at > off;
        let waits = &mut self.processes[p.0].waits;
        let soon = waits.never_waits() || t.since(off) < SLICE;
        if preempted.is_some() && !halted && soon {
            let gap = Gap {
                lane,
                off,
                on: t,
                cause: Cause::None,
                confidence: Confidence::Likely,
                evidence: Evidence::TimeSlice,
                by: None,
                preempted,
                ready: None,
                open: None,
            };
            return self.gap_explained(p, gap);
        }
        // What a disk answers was asked for; a packet may be for anybody.
        let packet = request
            .map(|(_, class)| class)
            .filter(|&class| class != Cause::Disk && answered.is_some());
        let entity = self.processes[p.0].entity;
        let waits = &mut self.processes[p.0].waits;
        if let (Some((asked, device @ Cause::Disk)), Some(answered)) = (request, answered) {
            waits.by_device += 1;
            // If something ran or halted after the answer, this was not the end of the wait.
            let end = after_answer.filter(|&at| at > answered && at < from);
            let gap = Gap {
                lane,
                off,
                on: end.unwrap_or(t),
                cause: device,
                confidence: Confidence::Likely,
                evidence: Evidence::InjectedVector,
                by: Some(Source {
                    kind: EdgeKind::Disk,
                    from: entity,
                    at: asked,
                }),
                preempted: None,
                ready: None,
                open: None,
            };
            self.gap_explained(p, gap);
            match end {
                Some(end) => off = end,
                None => return,
            }
        }
        let mut gap = self.judge(g, p, Span::new(off, t), from, how, packet);
        if gap.cause == Cause::Net {
            gap.by = self.packet_for(guest, gap.off);
        }
        self.gap_explained(p, Gap { lane, ..gap });
    }

    /// The cause of the wait of `p`, and the process that woke it, if one did. `from` is the
    /// earliest moment at which it can have been back.
    /// `packet`: what it had called, if that has sent something since.
    fn judge(
        &mut self,
        g: GcpuIx,
        p: ProcIx,
        span: Span,
        from: Timestamp,
        how: How,
        packet: Option<Cause>,
    ) -> Gap {
        let calls_disks = self.guests[self.gcpus[g.0].guest.0].calls_disks;
        let cpu = &self.gcpus[g.0].waits;
        let until = if how == How::Changed {
            from
        } else {
            Timestamp::MAX
        };
        let Announced {
            cause: announced,
            own_timer,
            at: announced_at,
        } = cpu.announced(p, until);
        let last = cpu
            .last_injected
            .filter(|(t, _)| *t >= span.start)
            .and_then(|(_, class)| class);
        let before = cpu.before;
        let mut gap = Gap {
            lane: g,
            off: span.start,
            on: span.end,
            cause: announced.unwrap_or(Cause::Task),
            confidence: Confidence::Likely,
            evidence: Evidence::VectorThenRun,
            by: None,
            preempted: None,
            ready: None,
            open: None,
        };
        let waker = match before {
            Before::Process(q, at) if q != p => Some((self.processes[q.0].entity, at)),
            _ => None,
        };
        // Whoever had the processor at the announcement kept it from `p` until then.
        gap.ready = announced_at.zip(waker.map(|(q, _)| q));
        let child = match before {
            Before::Process(q, _) => {
                let table = &self.processes[q.0].table;
                table.started >= Some(span.start) && table.parents.contains(&Some(p))
            }
            _ => false,
        };
        let waits = &mut self.processes[p.0].waits;
        waits.waits += 1;
        let rang = waits.rang.take().filter(|&at| at >= span.start);
        if rang.is_some() {
            gap.cause = Cause::Timer;
            gap.ready = rang.zip(waker.map(|(q, _)| q));
        }
        if own_timer || rang.is_some() {
            waits.after_idle_timer += u32::from(rang.is_some());
            waits.own_timers += 1;
            return gap;
        }
        if waker.is_some() {
            if child && matches!(announced, None | Some(Cause::Timer)) {
                waits.by_task += 1;
                gap.cause = Cause::Task;
                gap.evidence = Evidence::ChildThenRun;
                gap.by = waker.map(Source::wake_up);
                gap.ready = None;
                return gap;
            }
            if let Some(device) = packet
                && !announced.is_some_and(is_device)
            {
                waits.by_device += 1;
                gap.cause = device;
                gap.evidence = Evidence::InjectedVector;
                gap.ready = None;
                return gap;
            }
            // Whoever called no disk was not woken by one, where calls are seen.
            let contested = match announced {
                None | Some(Cause::Timer) => true,
                Some(Cause::Disk) => calls_disks,
                _ => false,
            };
            if contested {
                waits.by_task += u32::from(announced.is_none());
                waits.contested += 1;
                gap.by = waker.map(Source::wake_up);
                gap.open = Some(announced.is_none());
            }
            return gap;
        }
        if announced.is_none() && last == Some(Cause::Timer) {
            gap.cause = Cause::Timer;
        }
        if announced.is_none() {
            gap.evidence = Evidence::AfterProcess;
        }
        if gap.cause == Cause::Timer {
            waits.after_idle_timer += 1;
        } else {
            waits.after_idle_other += 1;
        }
        gap
    }
}
