//! Stays in a guest: each from an entry to the exit that followed, with what the probes told.

use super::ident::{Segment, is_user_rip};
use super::{GcpuIx, Piece};
use crate::exits;
use crate::model::Model;
use crate::vm::{Mode, VcpuIx};
use crate::vocab::Cause;
use virtflow_base::{Sink, Timestamp};
use virtflow_events::{ExitInfo, GuestStack, KernelEvent as K};

impl<S: Sink> Model<S> {
    /// All is known of the exit at the end of `segment`.
    pub(super) fn determined(&mut self, g: GcpuIx, segment: &Segment) {
        if segment.may_be_start() {
            self.program_may_start(g, segment);
        }
        self.wait_exit(g, segment);
    }

    /// The event that would have told more of the last exit did not come.
    pub(super) fn determine(&mut self, g: GcpuIx) {
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

    /// The probes that read a guest's CR3.
    pub(crate) fn probe(&mut self, t: Timestamp, v: VcpuIx, event: &K) {
        match *event {
            K::VcpuEnterGuest {
                cr3,
                rip,
                guest_mode,
                l1_cr3,
                block,
                ..
            } => {
                self.nested_probe(
                    t,
                    v,
                    guest_mode,
                    block.map(u64::from),
                    l1_cr3.map(u64::from),
                );
                self.open_segment(v, cr3, Some(rip));
                self.nested_cr3_seen(t, v, cr3, true);
            }
            K::VcpuExitGuest {
                cr3,
                cpl,
                guest_mode,
                stack,
                ..
            } => {
                if guest_mode == self.vcpus[v.0].nested.current().is_some() {
                    self.nested_cr3_seen(t, v, cr3, false);
                }
                self.close_segment(v, cr3, Some(cpl == 3), stack);
            }
            K::AddonsVcpuEnterGuest {
                cr3, rip, stack, ..
            } => {
                self.nested_entry(v, t);
                self.nested_cr3_before(t, v, cr3);
                // No guest code ran since the exit: this is the CR3 of the exit as well.
                self.close_segment(v, cr3, None, stack);
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

    pub(crate) fn guest_exit(
        &mut self,
        v: VcpuIx,
        t: Timestamp,
        isa: u32,
        info: &ExitInfo,
        class: Cause,
    ) {
        let g = self.gcpu_of(v);
        let level = self.gcpus[g.0].level;
        let gcpu = &mut self.gcpus[g.0];
        if let Some(open) = &mut gcpu.open {
            // Where KVM entered again in a hurry, no probe told of it: it is one stay.
            gcpu.after_exit.clear();
            open.left(t, info, class, level);
        }
        self.judge_idle(v, isa, info, class);
        let vcpu = &self.vcpus[v.0];
        if let (Some(cr3), false) = (vcpu.written_cr3, vcpu.probed) {
            self.close_segment(v, cr3, None, GuestStack::NONE);
        }
    }

    /// Whether the guest did anything since it was woken, for telling idle from waiting. To let a
    /// guest of its own run is doing something; when that one halts, this one has not halted yet.
    pub(super) fn judge_idle(&mut self, v: VcpuIx, isa: u32, info: &ExitInfo, class: Cause) {
        let user = info.rip.is_some_and(|rip| rip >> 63 == 0);
        if user || exits::starts_nested(isa, info.reason) {
            self.flush_judged(v, Some(true));
        } else if class == Cause::ExitHlt && self.halts_where_it_slept(v) {
            self.flush_judged(v, Some(false));
        }
    }

    pub(super) fn open_segment(&mut self, v: VcpuIx, cr3: u64, rip: Option<u64>) {
        let g = self.gcpu_of(v);
        let entry_cr3 = self.canonical_in(self.gcpus[g.0].guest, cr3);
        let vcpu = &self.vcpus[v.0];
        if vcpu.mode != Mode::Guest {
            return;
        }
        let at = vcpu.entered_at;
        self.determine(g);
        self.follow_exit(g);
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
            self.close_segment_of(v, g, open.entry_cr3, None, GuestStack::NONE);
        }
    }

    pub(super) fn close_segment(
        &mut self,
        v: VcpuIx,
        cr3: u64,
        user: Option<bool>,
        stack: GuestStack,
    ) {
        self.vcpus[v.0].probed |= user.is_some();
        self.close_segment_of(v, self.gcpu_of(v), cr3, user, stack);
    }

    pub(super) fn close_segment_of(
        &mut self,
        v: VcpuIx,
        g: GcpuIx,
        cr3: u64,
        user: Option<bool>,
        stack: GuestStack,
    ) {
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
        segment.kernel_table = self.table_at(guest, &segment);
        (segment.told, segment.thread) = self.stack_at(g, &segment, stack);
        if segment.entry_cr3 != cr3 || segment.has_process() {
            self.flush_judged(v, Some(true));
        }
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
        self.follow_exit(g);
        self.decide(g, false);
    }
}
