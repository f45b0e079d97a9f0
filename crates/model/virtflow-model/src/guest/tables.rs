//! Page tables of guests: which process each one stands for.
//!
//! A guest process is a canonical CR3 of one guest. Page tables are used again after their process
//! has ended, so a process is a CR3 and a generation. A new generation begins where a program is
//! seen to start on a page table that was used before: programs ask the processor for its features
//! once, at their start (glibc: `init_cpu_features`, sysdeps/x86/cpu-features.c), and CPUID always
//! exits. It also begins where the page table was not seen for a long time.

use super::stacks::Pointer;
use crate::guest::ident::Segment;
use crate::guest::{GcpuIx, GuestIx, ProcIx, Process, Who};
use crate::model::Model;
use crate::vm::VmIx;
use crate::vocab::Kind;
use crate::waits::LaneWaits;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use virtflow_base::{Sink, Timestamp};

/// A CR3 not seen for this long is taken for another process's when it comes back (nanoseconds).
pub(super) const GENERATION_AGE: i64 = 60_000_000_000;
/// Kernel exits, and stays, without a user exit after which a page table is the kernel's own.
const KERNEL_TABLE_EXITS: u32 = 64;
const KERNEL_TABLE_STAYS: u32 = 8;
/// Places in pages at which programs ask for the vendor: one for each C library and linker.
const STARTS_MAX: usize = 32;
/// The part of an instruction's address that loading a program elsewhere does not change.
const PAGE_OFFSET: u64 = 0xfff;
/// The physical-address bits of CR3 (Intel SDM 3, 2.5; `CR3_ADDR_MASK`), 52 at the most.
const CR3_ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// `X86_CR3_PTI_PCID_USER_BIT` and `PTI_USER_PGTABLE_BIT` (arch/x86/include/asm/processor-flags.h,
/// arch/x86/include/asm/pgtable.h).
const CR3_PTI_USER_PCID: u64 = 1 << 11;
const CR3_PTI_USER_PGD: u64 = 1 << 12;

/// How a page table was used in this generation.
#[derive(Debug, Default)]
pub(crate) struct Use {
    pub(crate) generation: u32,
    /// Exits in user and in kernel mode.
    user: u32,
    kernel: u32,
    /// How often it was loaded at an exit and another at the entry before.
    stays: u32,
    /// Whether its programs have thread pointers, by the last exit in user mode.
    pub(crate) pointer: Pointer,
    /// When it was first seen, if its program was seen to start.
    pub(crate) started: Option<Timestamp>,
    /// Whose page table was loaded when it was loaded last.
    pub(crate) after: Option<ProcIx>,
    /// Who started its program: whoever's page table was loaded right before (vfork), or the one
    /// that was before that, if it was a copy (fork).
    pub(crate) parents: [Option<ProcIx>; 2],
}

impl Use {
    /// Whether user code ran on it, or nothing tells whether user code runs.
    pub(crate) const fn is_proven(&self) -> bool {
        self.user > 0
    }

    /// Whether only the guest's kernel ever ran on it, often: it is its own (Linux: `init_mm`).
    const fn is_kernel(&self) -> bool {
        !self.is_proven() && self.kernel >= KERNEL_TABLE_EXITS && self.stays >= KERNEL_TABLE_STAYS
    }
}

/// Whether a guest keeps two page tables per process (KPTI), learnt from samples.
#[derive(Debug, Default)]
pub(crate) struct Pti {
    last: Option<(u64, bool)>,
    pairs: u32,
    refuted: bool,
}

impl Pti {
    /// How often user and kernel mode followed one another on the two tables of a pair, without a
    /// contradiction, that makes it sure.
    const PAIRS: u32 = 4;

    fn sample(&mut self, cr3: u64, user: bool) {
        self.refuted |= (cr3 & CR3_PTI_USER_PGD != 0) != user;
        let table = cr3 & CR3_ADDRESS & !CR3_PTI_USER_PGD;
        if self.last.replace((table, user)) == Some((table, !user)) {
            self.pairs = self.pairs.saturating_add(1);
        }
    }

    const fn sure(&self) -> bool {
        !self.refuted && self.pairs >= Self::PAIRS
    }
}

/// What a guest's page tables have taught.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(crate) pti: Pti,
    /// Where in a page the first CPUID of programs stands.
    starts: Vec<(u64, Start)>,
    /// The last CPUID of user code: the page table and the place.
    last: Option<(u64, u64)>,
}

/// How sure it is that programs begin at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// A program that was new began there.
    Possible,
    /// It then asked for more elsewhere, as C libraries do.
    Sure,
    /// It asked there again: it is something that the program does over and over.
    No,
}

impl Tables {
    pub(crate) fn sample(&mut self, cr3: u64, user: bool) {
        self.pti.sample(cr3, user);
    }

    /// CR3 without its flag bits, and without the bit that tells PTI's two page tables apart.
    pub(crate) const fn canonical(&self, cr3: u64) -> u64 {
        let pair = cr3 & CR3_PTI_USER_PCID != 0 || self.pti.sure();
        let address = cr3 & CR3_ADDRESS;
        if pair {
            address & !CR3_PTI_USER_PGD
        } else {
            address
        }
    }

    /// User code on a page table executed CPUID at `rip`.
    fn asked(&mut self, cr3: u64, rip: u64) {
        let place = rip & PAGE_OFFSET;
        let Some((before, first)) = self.last.replace((cr3, place)) else {
            return;
        };
        let known = self.starts.iter_mut().find(|(known, _)| *known == first);
        if let Some((_, start)) = known.filter(|_| before == cr3) {
            match *start {
                Start::Possible if place != first => *start = Start::Sure,
                _ if place == first => *start = Start::No,
                _ => {}
            }
        }
    }

    /// Whether the CPUID at `rip` is one that programs begin with. `fresh`: nothing else was seen
    /// to run on its page table before, which is how such places are learnt.
    fn is_start(&mut self, rip: u64, fresh: bool) -> bool {
        let place = rip & PAGE_OFFSET;
        let known = self.starts.iter().find(|(known, _)| *known == place);
        match known {
            Some((_, Start::No)) => false,
            Some((_, Start::Sure)) => true,
            Some((_, Start::Possible)) => fresh,
            None => {
                if fresh && self.starts.len() < STARTS_MAX {
                    self.starts.push((place, Start::Possible));
                }
                fresh
            }
        }
    }
}

impl<S: Sink> Model<S> {
    pub(crate) fn canonical_in(&self, guest: GuestIx, cr3: u64) -> u64 {
        self.guests[guest.0].tables.canonical(cr3)
    }

    pub(crate) fn canonical(&self, vm: VmIx, cr3: u64) -> u64 {
        self.canonical_in(self.vms[vm.0].guest, cr3)
    }

    /// The process of `guest` with this canonical CR3, made known if it was not.
    #[inline]
    pub(crate) fn process(&mut self, t: Timestamp, guest: GuestIx, cr3: u64) -> ProcIx {
        if let Some((known, p)) = self.guests[guest.0].recent
            && known == cr3
        {
            let seen = &mut self.processes[p.0].seen;
            if t.since(*seen) < GENERATION_AGE {
                *seen = t.max(*seen);
                return p;
            }
        }
        self.other_process(t, guest, cr3)
    }

    /// One that is not the one that was asked for last, or was not seen for long.
    #[inline(never)]
    fn other_process(&mut self, t: Timestamp, guest: GuestIx, cr3: u64) -> ProcIx {
        let of = &mut self.guests[guest.0];
        let p = match of.recent {
            Some((known, p)) if known == cr3 => p,
            _ => match of.processes.get(&cr3) {
                Some(&p) => p,
                None => {
                    let generation = of.forgotten;
                    return self.new_process(t, guest, cr3, generation);
                }
            },
        };
        of.recent = Some((cr3, p));
        if t.since(self.processes[p.0].seen) < GENERATION_AGE {
            self.processes[p.0].seen = self.processes[p.0].seen.max(t);
            return p;
        }
        let generation = self.processes[p.0].table.generation + 1;
        self.end_process(p);
        self.new_process(t, guest, cr3, generation)
    }

    fn new_process(&mut self, t: Timestamp, guest: GuestIx, cr3: u64, generation: u32) -> ProcIx {
        let (vm, pid) = (self.guests[guest.0].entity, self.guests[guest.0].pid);
        // Its hypervisor's table for the process is not the process's own.
        let shadowed = self.guests[guest.0].shadowed;
        let what = if shadowed { "root" } else { "cr3" };
        let key = format!("{}/{what}:{cr3:x}#{generation}", self.guests[guest.0].key);
        let mut entity = self.new_entity(Kind::Process, key.clone());
        // As in the key, where there was another one before.
        let again = match generation {
            0 => String::new(),
            n => format!("#{n}"),
        };
        entity.label = format!("{what} {cr3:#x}{again}").into_bytes();
        entity.parent = Some(vm);
        entity.vm = Some(vm);
        entity.pid = pid;
        entity.cr3 = (!shadowed).then_some(cr3);
        self.sink.entity(&entity);
        let p = ProcIx(self.processes.insert(Process {
            entity: entity.id,
            key,
            cr3,
            threads: FxHashMap::default(),
            lanes: Vec::new(),
            ended: Vec::new(),
            seen: t,
            table: Use {
                generation,
                ..Use::default()
            },
            gaps: VecDeque::new(),
            waits: LaneWaits::default(),
        }));
        let of = &mut self.guests[guest.0];
        of.processes.insert(cr3, p);
        of.recent = Some((cr3, p));
        p
    }

    /// Counts an exit for its page table. Whether that is the kernel's own.
    pub(crate) fn table_at(&mut self, guest: GuestIx, segment: &Segment) -> bool {
        let p = self.process(segment.exit, guest, segment.exit_cr3);
        let process = &mut self.processes[p.0];
        let seen = &mut process.table;
        if segment.entry_cr3 != segment.exit_cr3 {
            seen.stays = seen.stays.saturating_add(1);
        }
        if segment.user.is_none() || segment.is_hard() {
            seen.user = seen.user.saturating_add(1);
            process.lanes.iter_mut().for_each(|l| l.lane.believe());
        } else {
            seen.kernel = seen.kernel.saturating_add(1);
        }
        process.table.is_kernel()
    }

    /// User code executed CPUID at the end of `segment` on `g`. If it asked for the vendor (leaf 0),
    /// and that is how programs begin, the page table is a new process's since it came.
    pub(crate) fn program_may_start(&mut self, g: GcpuIx, segment: &Segment) {
        let Some(rip) = segment.exit_rip else { return };
        let guest = self.gcpus[g.0].guest;
        self.guests[guest.0].tables.asked(segment.exit_cr3, rip);
        // Where the guest's own hypervisor handles it, the leaf is not told.
        if segment.cpuid.is_some_and(|leaf| leaf != 0) {
            return;
        }
        let p = self.process(segment.exit, guest, segment.exit_cr3);
        let fresh = self.processes[p.0].table.user <= 1;
        if !self.guests[guest.0].tables.is_start(rip, fresh) {
            return;
        }
        let waits = &self.gcpus[g.0].waits;
        let (came, copy) = match waits.here_since(p) {
            Some(came) => (came, self.processes[p.0].table.after),
            None => (segment.entry, waits.current()),
        };
        let before = copy.and_then(|copy| self.processes[copy.0].table.after);
        let p = if fresh {
            p
        } else {
            self.reborn(g, p, segment, came)
        };
        let table = &mut self.processes[p.0].table;
        table.started = Some(came);
        table.parents = [copy, before];
    }

    /// The page table of `old` is another process's since `came`.
    fn reborn(&mut self, g: GcpuIx, old: ProcIx, segment: &Segment, came: Timestamp) -> ProcIx {
        let guest = self.gcpus[g.0].guest;
        let generation = self.processes[old.0].table.generation + 1;
        // What was taken for its coming back was the other one's beginning.
        self.processes[old.0].gaps.retain(|gap| gap.on < came);
        self.processes[old.0].seen = came;
        self.guests[guest.0].device_waiters.retain(|&p| p != old);
        self.gcpus[g.0].waits.ended(old);
        if self.gcpus[g.0].who == Who::Process(old) {
            self.gcpus[g.0].who = Who::Nobody;
        }
        self.end_process(old);
        let p = self.new_process(segment.exit, guest, segment.exit_cr3, generation);
        let seen = &mut self.processes[p.0].table;
        seen.user = 1;
        seen.stays = 1;
        p
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pti_needs_pairs_of_both_modes_and_no_contradiction() {
        let mut pti = Pti::default();
        pti.sample(0x5000, true);
        for i in 0..Pti::PAIRS {
            assert!(!pti.sure());
            let user = i % 2 == 1;
            pti.sample(if user { 0x5000 } else { 0x4000 }, user);
        }
        assert!(pti.sure());
        pti.sample(0x5000, false);
        assert!(!pti.sure());
    }

    #[test]
    fn tables_that_do_not_belong_together_are_no_pairs() {
        let mut pti = Pti::default();
        for _ in 0..100 {
            pti.sample(0x1000, true);
            pti.sample(0x4000, false);
        }
        assert!(!pti.sure());
    }

    #[test]
    fn a_program_starts_where_others_did() {
        let mut tables = Tables::default();
        assert!(!tables.is_start(0x7f00_0000_1abc, false));
        tables.asked(0x1000, 0x7f00_0000_1abc);
        assert!(tables.is_start(0x7f00_0000_1abc, true));
        assert!(!tables.is_start(0x7f12_3456_7abc, false), "not sure yet");
        tables.asked(0x1000, 0x7f00_0000_1ac8);
        tables.asked(0x2000, 0x7f12_3456_7abc);
        assert!(tables.is_start(0x7f12_3456_7abc, false));
        assert!(!tables.is_start(0x7f12_3456_7abd, false));
    }

    #[test]
    fn what_a_program_does_over_and_over_is_no_start() {
        let mut tables = Tables::default();
        tables.asked(0x1000, 0x40_1abc);
        assert!(tables.is_start(0x40_1abc, true));
        tables.asked(0x1000, 0x40_1abc);
        assert!(!tables.is_start(0x40_1abc, true));
    }
}
