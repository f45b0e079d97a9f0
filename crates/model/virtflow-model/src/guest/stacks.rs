//! Threads of guest processes, told apart by the base of FS or by their kernel stacks; and what a
//! stack says of who has the processor.
//!
//! Linux programs keep a pointer to each thread's own data in FS; kernel threads and the idle task
//! have none (arch/x86/kernel/process_64.c `__switch_to`). Whoever is in the kernel with a thread
//! pointer that was seen in user mode on the same page table is that thread. A kernel stack belongs
//! to one thread as long as that lives; the idle task is on its own when it halts. Interrupts have
//! stacks of their own, which tell nothing.

use super::ident::{Segment, Told};
use super::{GcpuIx, GuestIx, ProcIx, Who};
use crate::lane::{Lane, Status};
use crate::model::Model;
use crate::vm::not_ended;
use crate::vocab::{Cause, Evidence, Kind, State};
use rustc_hash::FxHashMap;
use virtflow_base::{EntityId, Sink, Timestamp};
use virtflow_events::GuestStack;

/// A guest thread's place in the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GthreadIx(pub(crate) usize);

/// `THREAD_SIZE` of x86-64 is 2^14 (arch/x86/include/asm/page_64_types.h), and stacks are aligned
/// to it (`CONFIG_VMAP_STACK`).
const STACK_BITS: u32 = 14;
/// The most stacks of one guest, and threads of one process, that are kept.
const STACKS_MAX: usize = 1 << 14;
const THREADS_MAX: usize = 1 << 12;
/// Exits on a stack before it says anything.
const STACK_MIN: u32 = 3;
/// A stack is one thread's where at most one exit in this many was with another's page table.
const OTHERS_SHARE: u32 = 8;
/// A stack is the idle task's where at least one exit in this many was a halt.
const HALTS_SHARE: u32 = 8;

/// Exits on one kernel stack.
#[derive(Clone, Copy, Debug, Default)]
struct Stack {
    halts: u32,
    /// The page table it was seen with first, and how often with that and with others.
    cr3: u64,
    same: u32,
    others: u32,
    /// How often an interrupt was being served.
    heads: u32,
}

impl Stack {
    const fn exits(&self) -> u32 {
        self.same.saturating_add(self.others)
    }

    const fn is_idle(&self) -> bool {
        self.halts > 0 && self.halts.saturating_mul(HALTS_SHARE) >= self.exits()
    }

    /// Whether interrupts are served on it: an interrupted thread's own stack shows few.
    const fn is_interrupts(&self) -> bool {
        self.heads.saturating_mul(2) >= self.exits()
    }

    /// The page table of the one thread that is on it.
    fn owner(&self) -> Option<u64> {
        let sure = self.same >= STACK_MIN && !self.is_idle() && !self.is_interrupts();
        (sure && self.others.saturating_mul(OTHERS_SHARE) <= self.same).then_some(self.cr3)
    }

    /// Whether it is a kernel thread's: those keep whatever page table was loaded.
    const fn is_kernels(&self) -> bool {
        self.exits() >= STACK_MIN
            && !self.is_idle()
            && !self.is_interrupts()
            && self.others.saturating_mul(2) >= self.same
    }
}

/// The kernel stacks of a guest.
#[derive(Debug, Default)]
pub(crate) struct Stacks {
    by_number: FxHashMap<u64, Stack>,
}

impl Stacks {
    /// Counts an exit on a stack; what the earlier ones say of it.
    fn seen(&mut self, rsp: u64, segment: &Segment, in_head: bool) -> Option<Stack> {
        let number = rsp >> STACK_BITS;
        if self.by_number.len() >= STACKS_MAX && !self.by_number.contains_key(&number) {
            return None;
        }
        let stack = self.by_number.entry(number).or_default();
        if stack.exits() == 0 {
            stack.cr3 = segment.exit_cr3;
        }
        let count = if stack.cr3 == segment.exit_cr3 {
            &mut stack.same
        } else {
            &mut stack.others
        };
        *count = count.saturating_add(1);
        stack.halts = stack.halts.saturating_add(u32::from(segment.halted));
        stack.heads = stack.heads.saturating_add(u32::from(in_head));
        Some(*stack)
    }

    /// Where there is no room for further ones, begins anew.
    pub(super) fn forget_if_full(&mut self) {
        if self.by_number.len() >= STACKS_MAX {
            self.by_number.clear();
        }
    }
}

/// Whether the programs on a page table have thread pointers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pointer {
    #[default]
    Unknown,
    None,
    Set,
}

/// A thread of a guest process.
#[derive(Debug)]
pub(crate) struct GuestThread {
    entity: EntityId,
    pub(super) process: ProcIx,
    pub(super) lane: Option<Lane>,
    /// The processor it has.
    pub(super) on: Option<GcpuIx>,
}

impl<S: Sink> Model<S> {
    /// What a probe read of the stack at the end of `segment`: which thread that is, and whether
    /// that says who has the processor.
    pub(super) fn stack_at(
        &mut self,
        g: GcpuIx,
        segment: &Segment,
        stack: GuestStack,
    ) -> (Option<Told>, Option<GthreadIx>) {
        // Around an entry of its own guest a hypervisor has that one's FS.
        let user = segment.user == Some(true);
        if (stack == GuestStack::NONE && !user) || segment.is_nested_instruction() {
            return (None, None);
        }
        let guest = self.gcpus[g.0].guest;
        let p = self.process(segment.exit, guest, segment.exit_cr3);
        if user && stack == GuestStack::NONE {
            // Not told; but a process may have only one.
            let mut threads = self.processes[p.0].threads.values().copied();
            let first = threads.next();
            return (None, first.filter(|_| threads.next().is_none()));
        }
        if user {
            let pointer = &mut self.processes[p.0].table.pointer;
            if let Some(fs) = stack.thread_pointer() {
                *pointer = Pointer::Set;
                return (None, self.thread_of(guest, p, "fs", fs));
            }
            if stack.has_no_thread_pointer() {
                *pointer = Pointer::None;
            }
            return (None, None);
        }
        let in_head = segment.is_injected() || self.gcpus[g.0].ident.serves();
        let stacks = &mut self.guests[guest.0].stacks;
        let known = stack
            .kernel()
            .and_then(|rsp| stacks.seen(rsp, segment, in_head));
        if let Some(fs) = stack.thread_pointer() {
            let thread = self.processes[p.0].threads.get(&fs).copied();
            return (thread.map(|_| Told::Process), thread);
        }
        let idle = known.is_some_and(|known| known.is_idle());
        if stack.has_no_thread_pointer() {
            let told = match self.processes[p.0].table.pointer {
                _ if idle => Some(Told::Idle),
                Pointer::Set => Some(Told::System),
                Pointer::None | Pointer::Unknown => None,
            };
            return (told, None);
        }
        let Some(known) = known else {
            return (None, None);
        };
        if idle {
            return (Some(Told::Idle), None);
        }
        if known.owner() == Some(segment.exit_cr3) && self.processes[p.0].table.is_proven() {
            let number = stack.kernel().unwrap_or(0) >> STACK_BITS << STACK_BITS;
            return (
                Some(Told::LikelyProcess),
                self.thread_of(guest, p, "stack", number),
            );
        }
        (known.is_kernels().then_some(Told::LikelyKernel), None)
    }

    /// The thread of `p` with this number, made known if it was not.
    fn thread_of(&mut self, guest: GuestIx, p: ProcIx, by: &str, number: u64) -> Option<GthreadIx> {
        if let Some(&thread) = self.processes[p.0].threads.get(&number) {
            return Some(thread);
        }
        if self.processes[p.0].threads.len() >= THREADS_MAX {
            return None;
        }
        let key = format!("{}/{by}:{number:x}", self.processes[p.0].key);
        let mut entity = self.new_entity(Kind::GuestThread, key);
        entity.label = format!("{by} {number:#x}").into_bytes();
        entity.parent = Some(self.processes[p.0].entity);
        entity.vm = Some(self.guests[guest.0].entity);
        entity.pid = self.guests[guest.0].pid;
        entity.cr3 = Some(self.processes[p.0].cr3);
        self.sink.entity(&entity);
        let thread = GthreadIx(self.gthreads.insert(GuestThread {
            entity: entity.id,
            process: p,
            lane: None,
            on: None,
        }));
        self.processes[p.0].threads.insert(number, thread);
        Some(thread)
    }

    /// The lanes of threads follow those of their processes on `g`.
    pub(super) fn thread_follow(&mut self, t: Timestamp, g: GcpuIx, who: Who, status: Status) {
        let gcpu = &mut self.gcpus[g.0];
        if gcpu.thread.is_none() && gcpu.thread_on.is_none() {
            return;
        }
        let here = match who {
            Who::Process(p) => gcpu
                .thread
                .filter(|thread| self.gthreads[thread.0].process == p),
            _ => None,
        };
        let before = std::mem::replace(&mut gcpu.thread_on, here);
        if let Some(before) = before.filter(|&before| Some(before) != here) {
            let level = status.level;
            let off = match who {
                Who::Nobody => Status::unknown(Cause::Ambiguous, Evidence::None),
                // Another thread of it, or not told which.
                Who::Process(p) if p == self.gthreads[before.0].process && here.is_none() => {
                    Status::unknown(Cause::Ambiguous, Evidence::None)
                }
                _ => Status::new(State::Off, status.evidence),
            };
            self.thread_leaves(t, g, before, off.level(level));
        }
        let Some(here) = here else { return };
        let thread = &mut self.gthreads[here.0];
        thread.on = Some(g);
        match &mut thread.lane {
            Some(lane) => lane.to(t, status, &mut self.sink),
            None => thread.lane = Some(Lane::new(thread.entity, None, t, status)),
        }
    }

    fn thread_leaves(&mut self, t: Timestamp, g: GcpuIx, thread: GthreadIx, status: Status) {
        let thread = &mut self.gthreads[thread.0];
        // It may have gone on elsewhere: processors are decided at different times.
        if thread.on.take_if(|on| *on == g).is_some()
            && let Some(lane) = &mut thread.lane
        {
            lane.to(t, status, &mut self.sink);
        }
    }

    /// Nothing is known of whoever was on `g`.
    pub(super) fn thread_lost(&mut self, t: Timestamp, g: GcpuIx, status: Status) {
        let gcpu = &mut self.gcpus[g.0];
        gcpu.thread = None;
        if let Some(before) = gcpu.thread_on.take() {
            self.thread_leaves(t, g, before, status);
        }
    }

    /// The process of these threads has ended.
    pub(super) fn end_threads(&mut self, p: ProcIx, seen: Timestamp) {
        for (_, thread) in std::mem::take(&mut self.processes[p.0].threads) {
            if let Some(lane) = self.gthreads[thread.0].lane.take() {
                let end = seen.max(lane.since());
                lane.finish(end, &mut self.sink);
            }
        }
    }

    pub(crate) fn finish_threads(&mut self, end: Timestamp) {
        for thread in self.gthreads.iter_mut() {
            if let Some(mut lane) = thread.lane.take() {
                lane.amend(not_ended);
                lane.finish(end, &mut self.sink);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::ident::Segment;

    fn exit(cr3: u64, halted: bool) -> Segment {
        let mut segment = Segment::entered(Timestamp::from_nanos(0), cr3, None, None);
        segment.halted = halted;
        segment
    }

    #[test]
    fn a_stack_is_a_threads_the_kernels_or_idles() {
        let mut stacks = Stacks::default();
        let (mine, workers, idle) = (
            0xffff_c900_0001_3e58,
            0xffff_c900_0002_3e58,
            0xffff_ffff_8280_3e98,
        );
        for n in 0..8 {
            let cr3 = 0x1000 * (1 + n % 3);
            let seen = [
                stacks.seen(mine, &exit(0x5000, false), false),
                stacks.seen(workers, &exit(cr3, false), false),
                stacks.seen(idle, &exit(cr3, n % 2 == 0), false),
            ];
            let [mine, workers, idle] = seen.map(Option::unwrap);
            assert!(idle.is_idle());
            if n >= 4 {
                assert_eq!(mine.owner(), Some(0x5000));
                assert!(workers.is_kernels() && workers.owner().is_none());
                assert!(idle.owner().is_none() && !idle.is_kernels());
            }
        }
    }

    #[test]
    fn the_stack_of_interrupts_tells_nothing() {
        let mut stacks = Stacks::default();
        for n in 0..8 {
            let stack = stacks.seen(0xffff_c900_0000_0f58, &exit(0x5000, false), true);
            let stack = stack.unwrap();
            assert!(stack.owner().is_none() && !stack.is_kernels(), "{n}");
        }
    }
}
