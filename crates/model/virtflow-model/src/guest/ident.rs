//! Who ran in the guest between an entry and an exit.
//!
//! No guest code runs between an exit and the next entry, so who has the guest's processor can
//! change only inside a segment `[entry, exit]`. The rules therefore label the boundaries between
//! segments and then fill the segments. Some exits are *hard*: they say by themselves who had the
//! processor (user code, a halt, the guest hypervisor's own instructions). Segments between two
//! hard exits are held, at most [`RUN_MAX`] of them, and decided together.
//!
//! An interrupt *head* is a segment inside an interrupt handler: from the injection to the end of
//! the interrupt no task switch is possible, so whoever was interrupted still has the processor.
//!
//! All lengths used as thresholds are learnt from the guest's own earlier segments. The rules, how
//! often each one errs, and what they cannot see are in docs/method.md.

use super::stacks::GthreadIx;
use crate::guest::{GcpuIx, Piece, Who};
use crate::lane::Status;
use crate::model::Model;
use crate::vocab::{Cause, Confidence, Evidence, State};
use virtflow_base::{Sink, Timestamp};
use virtflow_events::ExitInfo;

/// Segments that wait for a hard exit before they are decided without one.
const RUN_MAX: usize = 8;
/// Samples of a length that are kept.
const SAMPLES: usize = 64;
/// Fewer samples than this say nothing.
const SAMPLES_MIN: usize = 4;
/// Instruction pointers of halts that are remembered: idle loops of one guest.
const IDLE_RIPS_MAX: usize = 8;
/// Vectors in service at once that are told apart.
const IN_SERVICE_MAX: usize = 8;
/// x2APIC end-of-interrupt register (`APIC_BASE_MSR` + (`APIC_EOI` >> 4)).
const MSR_X2APIC_EOI: u32 = 0x80b;

/// A stay in the guest, from an entry to the exit that followed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) entry: Timestamp,
    pub(crate) exit: Timestamp,
    pub(crate) entry_cr3: u64,
    pub(crate) exit_cr3: u64,
    entry_rip: Option<u64>,
    pub(crate) exit_rip: Option<u64>,
    /// Whether user code ran at the exit, where that is recorded.
    pub(crate) user: Option<bool>,
    left: bool,
    pub(crate) halted: bool,
    /// The guest's hypervisor executed one of its own instructions.
    nested_instruction: bool,
    pub(crate) msr_write: bool,
    /// The exit interrupted the delivery of an event.
    delivering: bool,
    /// The exit was by a host interrupt or by memory.
    asynchronous: bool,
    pub(crate) level: u8,
    injected: Option<u8>,
    pub(crate) ended: [Option<u8>; 4],
    /// What the write of a register wrote to.
    pub(crate) msr: Option<u32>,
    /// The guest rang a disk's doorbell: the request goes on in a kernel thread.
    pub(crate) disk_doorbell: bool,
    /// The leaf that a CPUID instruction at the exit asked for.
    pub(crate) cpuid: Option<u32>,
    /// The exit was by a CPUID instruction.
    pub(crate) by_cpuid: bool,
    /// The page table at the exit is the kernel's own.
    pub(crate) kernel_table: bool,
    /// Who has the processor at the exit, by the stack that a probe read there, and which thread.
    pub(crate) told: Option<Told>,
    pub(crate) thread: Option<GthreadIx>,
    head: bool,
}

/// Who has the processor, by the registers of whoever has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// A thread of the process whose page table is loaded.
    Process,
    LikelyProcess,
    /// The guest's kernel: a thread of its own, or the idle task.
    System,
    LikelyKernel,
    Idle,
}

impl Segment {
    pub(crate) const fn entered(
        entry: Timestamp,
        cr3: u64,
        rip: Option<u64>,
        injected: Option<u8>,
    ) -> Self {
        Self {
            entry,
            exit: entry,
            entry_cr3: cr3,
            exit_cr3: cr3,
            entry_rip: rip,
            exit_rip: None,
            user: None,
            left: false,
            halted: false,
            nested_instruction: false,
            msr_write: false,
            delivering: false,
            asynchronous: false,
            level: 1,
            injected,
            ended: [None; 4],
            msr: None,
            disk_doorbell: false,
            cpuid: None,
            by_cpuid: false,
            kernel_table: false,
            told: None,
            thread: None,
            head: false,
        }
    }

    pub(crate) fn left(&mut self, t: Timestamp, info: &ExitInfo, class: Cause, level: u8) {
        self.left = true;
        self.exit = t;
        self.exit_rip = info.rip;
        self.halted = class == Cause::ExitHlt;
        self.level = level;
        self.nested_instruction = class == Cause::ExitNested;
        // SVM has one code for reads and writes and tells them apart by EXITINFO1 (APM 2, 15.11).
        self.msr_write = class == Cause::ExitMsr && (info.reason == 32 || info.info1 == 1);
        self.by_cpuid = class == Cause::ExitCpuid;
        self.delivering = info.intr_info != 0;
        self.asynchronous = matches!(class, Cause::ExitIrq | Cause::ExitMem | Cause::ExitMmio);
    }

    pub(crate) const fn is_left(&self) -> bool {
        self.left
    }

    pub(crate) fn ended(&mut self, vector: u8) {
        if let Some(slot) = self.ended.iter_mut().find(|slot| slot.is_none()) {
            *slot = Some(vector);
        }
    }

    /// Whether it began with the handler of an interrupt.
    pub(crate) const fn is_injected(&self) -> bool {
        self.injected.is_some()
    }

    /// Whether the guest's hypervisor executed one of its own instructions.
    pub(crate) const fn is_nested_instruction(&self) -> bool {
        self.nested_instruction
    }

    /// Whether the exit says by itself that the process had the processor.
    pub(crate) fn is_hard(&self) -> bool {
        self.user == Some(true) || self.nested_instruction || self.told == Some(Told::Process)
    }

    /// Whether the guest's kernel has the processor for itself, whatever page table is loaded.
    pub(crate) const fn is_systems(&self) -> bool {
        matches!(
            self.told,
            Some(Told::System | Told::LikelyKernel | Told::Idle)
        )
    }

    /// Whether a process has the processor at the exit, as far as the exit tells by itself.
    pub(crate) const fn has_process(&self) -> bool {
        matches!(self.user, Some(true))
            || matches!(self.told, Some(Told::Process | Told::LikelyProcess))
    }

    fn same(&self) -> bool {
        self.entry_cr3 == self.exit_cr3
    }

    fn nanos(&self) -> i64 {
        self.exit.since(self.entry).max(0)
    }

    /// Whether a program may begin at the exit, which its CPUID's leaf will tell.
    pub(crate) fn may_be_start(&self) -> bool {
        self.by_cpuid && self.user == Some(true)
    }

    /// Whether more of the exit may be told before the next entry.
    fn may_be_head(&self) -> bool {
        self.same() && !self.is_hard() && !self.halted
    }
}

/// The last lengths of one kind of segment.
#[derive(Debug, Default)]
struct Lengths {
    samples: Vec<i64>,
    next: usize,
    sorted: Vec<i64>,
    stale: u8,
}

impl Lengths {
    fn add(&mut self, length: i64) {
        if self.samples.len() < SAMPLES {
            self.samples.push(length);
        } else {
            self.samples[self.next] = length;
            self.next = (self.next + 1) % SAMPLES;
        }
        self.stale += 1;
        if self.stale >= 8 || self.samples.len() <= 2 * SAMPLES_MIN {
            self.stale = 0;
            self.sorted.clone_from(&self.samples);
            self.sorted.sort_unstable();
        }
    }

    /// The length at a share of `quarters` quarters of the samples.
    fn quantile(&self, quarters: usize) -> Option<i64> {
        if self.sorted.len() < SAMPLES_MIN {
            return None;
        }
        self.sorted.get(self.sorted.len() * quarters / 4).copied()
    }
}

/// Who has the guest's processor at a boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    User(u64),
    /// The guest's kernel, for itself.
    Kernel,
    Idle,
    Unknown,
}

/// The rules' memory of one guest processor.
#[derive(Debug)]
pub(crate) struct Ident {
    at: At,
    hard: bool,
    /// Whether the last exit was a halt.
    halted: bool,
    /// Which thread of the process that has the processor, if it is a process and told.
    thread: Option<GthreadIx>,
    run: Vec<Segment>,
    idle_rips: Vec<u64>,
    in_service: Vec<u8>,
    /// Nested guests: an interrupt was injected and may still be in its handler.
    armed: bool,
    /// Lengths of segments in which an interrupt's handler was followed by a switch.
    switches: Lengths,
    /// Lengths of the last segment before a halt that began in idle.
    idles: Lengths,
    /// How many segments of the run have their head decided.
    settled: usize,
}

impl Default for Ident {
    fn default() -> Self {
        Self {
            at: At::Unknown,
            hard: false,
            halted: true,
            thread: None,
            run: Vec::new(),
            idle_rips: Vec::new(),
            in_service: Vec::new(),
            armed: false,
            switches: Lengths::default(),
            idles: Lengths::default(),
            settled: 0,
        }
    }
}

impl Ident {
    pub(crate) fn forget(&mut self) {
        self.at = At::Unknown;
        self.hard = false;
        self.halted = true;
        self.thread = None;
        self.in_service.clear();
        self.armed = false;
    }

    /// Takes a closed segment; its place in the run.
    pub(crate) fn push(&mut self, segment: Segment) -> usize {
        self.run.push(segment);
        self.run.len() - 1
    }

    /// The latest segment, while it is undecided.
    pub(crate) fn last_mut(&mut self) -> Option<&mut Segment> {
        self.run.last_mut()
    }

    /// The threads that are told of.
    pub(super) fn threads(&self) -> impl Iterator<Item = GthreadIx> {
        let run = self.run.iter().map(|segment| segment.thread);
        run.chain([self.thread]).flatten()
    }

    /// When the segment at a place of the run begins.
    pub(super) fn begins(&self, at: usize) -> Option<Timestamp> {
        self.run.get(at).map(|segment| segment.entry)
    }

    /// Whether the run can be decided now.
    fn ready(&self, entering: bool) -> bool {
        let Some(last) = self.run.last() else {
            return false;
        };
        let known = entering || !(last.may_be_head() || last.may_be_start());
        known && (self.hard_exit(last).is_some() || self.run.len() >= RUN_MAX)
    }

    /// Whether an interrupt is being served, as far as is settled.
    pub(crate) const fn serves(&self) -> bool {
        !self.in_service.is_empty()
    }

    /// Who has the processor at an exit that says so, and whether beyond doubt.
    fn hard_exit(&self, s: &Segment) -> Option<(At, bool)> {
        if s.halted || s.told == Some(Told::Idle) {
            Some((At::Idle, true))
        } else if s.is_hard() {
            // A kernel with a thread pointer may be about to switch to another thread, or just have.
            Some((At::User(s.exit_cr3), s.told.is_none()))
        } else if let Some(told) = s.told {
            match told {
                Told::LikelyProcess => Some((At::User(s.exit_cr3), false)),
                Told::LikelyKernel => Some((At::Kernel, false)),
                // The idle task stays what it was.
                _ if self.run.len() == 1 && self.at == At::Idle => Some((At::Idle, false)),
                _ => Some((At::Kernel, false)),
            }
        } else if s.exit_rip.is_some_and(|rip| {
            // A halt that an interrupt ended shows the instruction after it.
            self.idle_rips.contains(&rip) || self.idle_rips.contains(&rip.wrapping_sub(1))
        }) {
            Some((At::Idle, true))
        } else {
            None
        }
    }

    /// Decides whether segment `j` lies inside an interrupt handler.
    fn settle(&mut self, j: usize) {
        let s = self.run[j];
        if let Some(vector) = s.injected {
            self.in_service.clear();
            self.in_service.push(vector);
            self.armed |= s.level > 1;
        }
        let eoi = s.ended.iter().any(Option::is_some);
        if s.level == 1 {
            self.in_service.retain(|v| !s.ended.contains(&Some(*v)));
        }
        let kernel_msr = s.msr_write && s.user != Some(true);
        let head = s.may_be_head()
            && if s.level > 1 {
                self.armed && (kernel_msr || s.delivering)
            } else {
                let injected = s.injected.is_some();
                (s.delivering && injected && !self.in_service.is_empty() && s.asynchronous)
                    || !self.in_service.is_empty()
                    || (injected
                        && eoi
                        && kernel_msr
                        && s.msr == Some(crate::causes::MSR_TSC_DEADLINE))
            };
        if s.level == 1 && s.msr == Some(MSR_X2APIC_EOI) {
            self.in_service.clear();
        } else if s.level > 1 && (kernel_msr || !s.delivering) {
            self.armed = false;
        }
        if s.user == Some(true) || s.halted {
            self.in_service.clear();
        }
        if self.in_service.len() > IN_SERVICE_MAX {
            self.in_service.clear();
        }
        let tail = !head && j > 0 && self.run[j - 1].head;
        if !s.same() && tail {
            self.switches.add(s.nanos());
        }
        if s.halted {
            if let Some(rip) = s.exit_rip
                && !self.idle_rips.contains(&rip)
                && self.idle_rips.len() < IDLE_RIPS_MAX
            {
                self.idle_rips.push(rip);
            }
            if s.same() && (j > 0 || !self.halted) && self.at == At::Idle {
                self.idles.add(s.nanos());
            }
        }
        self.run[j].head = head;
    }

    /// Labels the boundaries of the run: the state before each segment, and after the last.
    fn boundaries(&self, hard: Option<At>) -> [At; RUN_MAX + 2] {
        let mut at = [At::Unknown; RUN_MAX + 2];
        at[0] = self.at;
        for (j, s) in self.run.iter().enumerate().take(RUN_MAX + 1) {
            let before = at[j];
            let last = j + 1 == self.run.len();
            at[j + 1] = match (last, hard) {
                (true, Some(hard)) => hard,
                _ if s.head => before,
                _ => {
                    let next = match before {
                        // A process that ends gives its page table up before the processor.
                        At::User(_) if s.kernel_table => before,
                        _ if s.kernel_table && before != At::Idle => At::Kernel,
                        _ if !s.same() => At::User(s.exit_cr3),
                        At::User(_) | At::Kernel => before,
                        At::Idle if s.msr_write && s.injected.is_none() => before,
                        _ => At::Unknown,
                    };
                    if s.disk_doorbell { At::Unknown } else { next }
                }
            };
        }
        at
    }
}

/// What of a segment goes to whom.
#[derive(Clone, Copy)]
struct Part {
    from: i64,
    who: At,
    proved: bool,
    evidence: Evidence,
}

/// At most three parts of one segment; offsets from its entry in nanoseconds.
struct Parts {
    all: [Part; 3],
    count: usize,
}

const fn part(from: i64, who: At, evidence: Evidence) -> Part {
    Part {
        from,
        who,
        proved: false,
        evidence,
    }
}

#[inline]
fn parts(list: &[Part]) -> Parts {
    let mut all = [part(0, At::Unknown, Evidence::None); 3];
    for (to, from) in all.iter_mut().zip(list) {
        *to = *from;
    }
    Parts {
        all,
        count: list.len().min(3),
    }
}

impl Ident {
    /// Splits segment `j` between whoever had the processor before and after.
    fn fill(&self, j: usize, before: At, after: At, proved_run: bool, heads_only: bool) -> Parts {
        let s = &self.run[j];
        let w = s.nanos();
        let switch = self.switches.quantile(0).unwrap_or(w / 4) / 2;
        let switch = switch.min(w / 2);
        let idle = self.idles.quantile(2);
        let tail = w - idle.unwrap_or(w / 4).min(w / 2);
        // Leaving the idle loop takes about as long as going to sleep in it.
        let switch = match before {
            At::Idle => idle.unwrap_or(switch).min(w / 2),
            _ => switch,
        };
        let idle = idle.unwrap_or(0);
        let b = s.exit_cr3;
        use At::{Idle, Kernel, Unknown, User};
        if s.head {
            let proved = self.hard && heads_only && before != Unknown;
            return parts(&[Part {
                proved,
                ..part(0, before, Evidence::InterruptHead)
            }]);
        }
        let named = |from, who, evidence| match who {
            Unknown => part(from, Unknown, Evidence::None),
            who => part(from, who, evidence),
        };
        if !s.same() {
            let first = named(0, before, Evidence::Cr3Entry);
            if s.kernel_table && matches!((before, after), (User(_), User(_))) {
                return parts(&[named(0, before, Evidence::Cr3Entry)]);
            }
            let came = match before {
                User(_) if s.kernel_table => before,
                _ if s.kernel_table => Kernel,
                _ => User(b),
            };
            let then = named(switch, came, Evidence::Cr3Exit);
            return match after {
                Idle => parts(&[first, then, part(tail.max(switch), Idle, Evidence::HltExit)]),
                Unknown => parts(&[
                    first,
                    then,
                    part(switch + (w - switch) / 2, Unknown, Evidence::None),
                ]),
                User(_) | Kernel => parts(&[first, then]),
            };
        }
        match (before, after) {
            (User(_), User(_)) if s.kernel_table => parts(&[named(0, before, Evidence::Cr3Entry)]),
            (User(_), User(_)) => {
                let proved = proved_run;
                let evidence = if proved {
                    Evidence::Cr3EntryExit
                } else {
                    Evidence::Cr3Exit
                };
                parts(&[Part {
                    proved,
                    ..part(0, User(b), evidence)
                }])
            }
            (Kernel, Kernel) => parts(&[part(0, Kernel, Evidence::Cr3Exit)]),
            (User(_) | Kernel, Idle) => {
                let tick = j > 0 && self.run[j - 1].msr_write && !self.run[j - 1].head;
                if s.halted && tick && w < idle.saturating_mul(2) {
                    parts(&[part(0, Idle, Evidence::IdleLoop)])
                } else {
                    parts(&[
                        named(0, before, Evidence::Cr3Entry),
                        part(tail, Idle, Evidence::HltExit),
                    ])
                }
            }
            (Idle, User(_) | Kernel) => parts(&[
                part(0, Idle, Evidence::IdleLoop),
                named(switch, after, Evidence::Cr3Exit),
            ]),
            (Kernel, User(_)) => parts(&[
                named(0, before, Evidence::Cr3Entry),
                named(switch, after, Evidence::Cr3Exit),
            ]),
            (User(_), Kernel) => parts(&[
                named(0, before, Evidence::Cr3Entry),
                named(w / 2, after, Evidence::Cr3Exit),
            ]),
            (Idle, Idle) if !s.halted || w <= idle.saturating_mul(3) => {
                parts(&[part(0, Idle, Evidence::IdleLoop)])
            }
            (Idle, Idle) => parts(&[
                part(0, Idle, Evidence::IdleLoop),
                part(w - tail, Unknown, Evidence::None),
                part(tail, Idle, Evidence::HltExit),
            ]),
            (User(_) | Kernel, _) => parts(&[
                named(0, before, Evidence::Cr3Entry),
                part(w / 2, Unknown, Evidence::None),
            ]),
            (Unknown, User(_) | Kernel) => parts(&[
                part(0, Unknown, Evidence::None),
                named(switch, after, Evidence::Cr3Exit),
            ]),
            (Unknown, Idle) => parts(&[
                part(0, Unknown, Evidence::None),
                part(tail, Idle, Evidence::HltExit),
            ]),
            (Idle | Unknown, Unknown) => parts(&[part(0, Unknown, Evidence::None)]),
        }
    }
}

impl<S: Sink> Model<S> {
    /// Called at an entry: what the exit was about is all told.
    pub(crate) fn settle_entry(&mut self, g: GcpuIx, user_rip: Option<u64>) {
        if self.gcpus[g.0].ident.ready(true) {
            self.decide_now(g, None);
        }
        // An entry to user code says who had the processor at the exit before.
        if let Some(cr3) = user_rip {
            if !self.gcpus[g.0].ident.run.is_empty() {
                self.decide_now(g, Some(At::User(cr3)));
            }
            let ident = &mut self.gcpus[g.0].ident;
            ident.at = At::User(cr3);
            ident.hard = true;
        }
    }

    /// Decides what can be decided; everything with `force`.
    pub(crate) fn decide(&mut self, g: GcpuIx, force: bool) {
        if force || self.gcpus[g.0].ident.ready(false) {
            self.decide_now(g, None);
        }
    }

    fn decide_now(&mut self, g: GcpuIx, known: Option<At>) {
        let ident = &mut self.gcpus[g.0].ident;
        for j in ident.settled..ident.run.len() {
            ident.settle(j);
        }
        let hard = ident.run.last().and_then(|s| ident.hard_exit(s));
        let (hard, sure) = match known {
            Some(known) => (Some(known), true),
            None => (hard.map(|hard| hard.0), hard.is_some_and(|hard| hard.1)),
        };
        let at = ident.boundaries(hard);
        let others = ident.run.iter().filter(|s| !s.head).count();
        let proved_run = ident.hard
            && sure
            && matches!((at[0], hard), (At::User(_), Some(At::User(_))))
            && ident.run.iter().all(Segment::same)
            && others <= 1;
        let pieces = std::mem::take(&mut self.gcpus[g.0].pieces);
        for piece in &pieces {
            match *piece {
                Piece::Segment(j) => self.place(g, j, at[j], at[j + 1], proved_run),
                Piece::Host(t, status) => self.host_piece(t, g, status),
            }
        }
        let gcpu = &mut self.gcpus[g.0];
        gcpu.pieces = pieces;
        gcpu.pieces.clear();
        let ident = &mut gcpu.ident;
        if !ident.run.is_empty() {
            ident.at = at[ident.run.len()];
            ident.halted = ident.run.last().is_some_and(|s| s.halted);
            ident.hard = sure;
            let last = ident.run.last().and_then(|s| s.thread);
            // In user mode it may be any of several.
            let same = ident.run.iter().all(|s| s.same() && s.user != Some(true));
            ident.thread = last.or(ident.thread.filter(|_| same));
        }
        ident.run.clear();
        ident.settled = 0;
    }

    /// Gives the parts of one segment to their lanes.
    fn place(&mut self, g: GcpuIx, j: usize, before: At, after: At, proved_run: bool) {
        let ident = &self.gcpus[g.0].ident;
        let Some(&s) = ident.run.get(j) else { return };
        let heads_only = ident.run.iter().take(j).all(|s| s.head);
        let Parts { all, count } = ident.fill(j, before, after, proved_run, heads_only);
        let since = match j.checked_sub(1) {
            Some(last) => ident.run[last].thread,
            None => ident.thread,
        };
        let shadowed = self.guests[self.gcpus[g.0].guest.0].shadowed;
        for (at, part) in all.iter().take(count).enumerate() {
            let t = s.entry.plus(part.from);
            if t >= s.exit && part.from > 0 {
                continue;
            }
            let confidence = if part.proved && !shadowed {
                Confidence::Proved
            } else {
                Confidence::Likely
            };
            let state = if s.user == Some(true) {
                State::RunUser
            } else {
                State::RunKernel
            };
            let status = Status {
                confidence,
                ..Status::new(state, part.evidence)
            };
            let who = match self.who(g, t, part.who) {
                // An interrupt's handler under the idle task is the guest's kernel at work.
                Who::Idle if s.head => Who::Kernel,
                who => who,
            };
            let gcpu = &mut self.gcpus[g.0];
            gcpu.confidence = confidence;
            let stays = at == 0 && part.who == before;
            gcpu.thread = if stays { since.or(s.thread) } else { s.thread };
            let other = count == 1 && stays && since.is_some() && s.thread != since;
            self.occupy(t, g, who, status);
            if other && s.thread.is_some() {
                // Another thread of the process since some moment.
                self.gcpus[g.0].thread = s.thread;
                self.occupy(s.entry.plus(s.nanos() / 2), g, who, status);
            }
        }
        // Who has the processor at the exit keeps it until the next entry.
        let who = self.who(g, s.exit, after);
        if s.thread.is_some() {
            self.gcpus[g.0].thread = s.thread;
        }
        if self.gcpus[g.0].who != who {
            let status = Status::new(State::RunHypervisor, Evidence::KvmExit).likely();
            self.occupy(s.exit, g, who, status);
        }
    }

    fn who(&mut self, g: GcpuIx, t: Timestamp, at: At) -> Who {
        match at {
            At::User(cr3) => {
                let guest = self.gcpus[g.0].guest;
                Who::Process(self.process(t, guest, cr3))
            }
            At::Kernel => Who::Kernel,
            At::Idle => Who::Idle,
            At::Unknown => Who::Nobody,
        }
    }
}

/// User code by its address: the lower half (Documentation/arch/x86/x86_64/mm.rst).
pub(crate) fn is_user_rip(segment: &Segment) -> bool {
    segment.entry_rip.is_some_and(|rip| rip >> 63 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_forget_the_oldest() {
        let mut lengths = Lengths::default();
        assert_eq!(lengths.quantile(0), None);
        (0..8).for_each(|n| lengths.add(n));
        assert_eq!(
            (lengths.quantile(0), lengths.quantile(1)),
            (Some(0), Some(2))
        );
        (0..200).for_each(|_| lengths.add(5));
        assert_eq!(
            (lengths.quantile(0), lengths.samples.len()),
            (Some(5), SAMPLES)
        );
    }
}
