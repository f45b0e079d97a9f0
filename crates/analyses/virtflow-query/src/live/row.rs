//! What one thing did in a window.

use super::window::Sum;
use crate::report::{word_of_cause, word_of_confidence, word_of_state};
use serde::{Serialize, Serializer};
use virtflow_model::{Cause, Confidence, State, Yet};

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum RowKind {
    /// A physical processor.
    Cpu,
    /// A virtual machine: the sum of its virtual processors.
    Vm,
    /// A virtual processor.
    Vcpu,
    /// A virtual machine inside another: the sum of its virtual processors.
    NestedVm,
    /// A virtual processor of a nested VM.
    NestedVcpu,
    /// A process of a guest, over all virtual processors.
    Process,
    /// The guest's kernel for itself, over all virtual processors.
    GuestKernel,
    /// The guest's idle tasks.
    GuestIdle,
    /// A thread of a guest process.
    GuestThread,
    /// A thread of the host.
    Thread,
}

impl RowKind {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Vm => "vm",
            Self::Vcpu => "vcpu",
            Self::NestedVm => "nested-vm",
            Self::NestedVcpu => "nested-vcpu",
            Self::Process => "process",
            Self::GuestKernel => "guest-kernel",
            Self::GuestIdle => "guest-idle",
            Self::GuestThread => "guest-thread",
            Self::Thread => "thread",
        }
    }
}

/// Where the time went, in nanoseconds. All of them add up to `wall_ns` less `residual_ns`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Shares {
    /// A virtual processor: guest code. A guest's process: user and kernel code. Else: on a
    /// processor.
    pub run_ns: i64,
    /// A hypervisor worked for it: the host's, for nested ones also the guest's.
    pub hypervisor_ns: i64,
    /// The VMM's own code.
    pub vmm_ns: i64,
    /// The guest halted its virtual processor.
    pub halted_ns: i64,
    /// It waited: asleep in the host, or in the guest.
    pub wait_ns: i64,
    /// It wanted to run, and somebody else had the processor.
    pub no_cpu_ns: i64,
    /// A processor had nothing to run.
    pub idle_ns: i64,
    /// No event tells, or events were lost.
    pub unknown_ns: i64,
    /// Not decided yet: what comes next will tell.
    pub pending_ns: i64,
}

impl Shares {
    fn add(&mut self, state: State, yet: Yet, ns: i64) {
        let share = match state {
            _ if yet == Yet::Pending => &mut self.pending_ns,
            State::Unknown => &mut self.unknown_ns,
            State::Running | State::Guest | State::RunUser | State::RunKernel => &mut self.run_ns,
            State::Hypervisor
            | State::HaltPoll
            | State::L0Handling
            | State::L1Handling
            | State::L2Handling
            | State::RunHypervisor => &mut self.hypervisor_ns,
            State::Vmm => &mut self.vmm_ns,
            State::Halted => &mut self.halted_ns,
            State::Idle => &mut self.idle_ns,
            // Another one's time (`Sum::parts` leaves it out).
            State::Off => return,
            State::Sleeping | State::Uninterruptible | State::BlockedOnHost | State::Waiting => {
                &mut self.wait_ns
            }
            State::Runnable
            | State::Preempted
            | State::IrqStolen
            | State::Throttled
            | State::PreemptedL0
            | State::PreemptedL1
            | State::PreemptedL2
            | State::ReadyInGuest
            | State::PreemptedOnHost => &mut self.no_cpu_ns,
        };
        *share = share.saturating_add(ns);
    }

    /// All of them.
    pub const fn all(&self) -> [i64; 9] {
        [
            self.run_ns,
            self.hypervisor_ns,
            self.vmm_ns,
            self.halted_ns,
            self.wait_ns,
            self.no_cpu_ns,
            self.idle_ns,
            self.unknown_ns,
            self.pending_ns,
        ]
    }

    fn merge(&mut self, other: &Self) {
        let Self {
            run_ns,
            hypervisor_ns,
            vmm_ns,
            halted_ns,
            wait_ns,
            no_cpu_ns,
            idle_ns,
            unknown_ns,
            pending_ns,
        } = self;
        let own = [
            run_ns,
            hypervisor_ns,
            vmm_ns,
            halted_ns,
            wait_ns,
            no_cpu_ns,
            idle_ns,
            unknown_ns,
            pending_ns,
        ];
        for (own, other) in own.into_iter().zip(other.all()) {
            *own = own.saturating_add(other);
        }
    }
}

/// How much of what is told of a stretch is known.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde wants it")]
fn word_of_yet<S: Serializer>(yet: &Yet, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(match yet {
        Yet::Known => "",
        Yet::WhyPending => "cause",
        Yet::Pending => "state",
    })
}

/// Time in one state for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StatePart {
    /// The state, as in docs/method.md; where it is pending, what it was before.
    #[serde(serialize_with = "word_of_state")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub state: State,
    /// 0 the host, 1 a guest, 2 a guest of a guest.
    pub level: u8,
    /// Why; empty where the state needs no reason or it is pending.
    #[serde(serialize_with = "word_of_cause")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub cause: Cause,
    /// `proved` or `likely`.
    #[serde(serialize_with = "word_of_confidence")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub confidence: Confidence,
    /// What is not decided yet: empty for nothing, `cause`, or `state`.
    #[serde(serialize_with = "word_of_yet")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub pending: Yet,
    /// How long.
    pub total_ns: i64,
}

/// Who had the processor while it wanted to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TakenBy {
    /// Whose: the VM's label, or the thread's own.
    pub group: String,
    /// Which one.
    pub label: String,
    /// Its key; empty where nobody is known.
    pub key: String,
    /// How long.
    pub total_ns: i64,
}

/// Exits of one reason that an entry followed in the window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ExitCount {
    /// The hardware's name of it.
    pub reason: String,
    /// How many.
    pub count: u64,
}

/// What one thing did in a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Row {
    /// What it is.
    pub kind: RowKind,
    /// Its key, unique on its machine.
    pub key: String,
    /// What to call it.
    pub label: String,
    /// The key of what it is listed under; empty at the top.
    pub parent_key: String,
    /// The host's thread that it is.
    pub tid: Option<i32>,
    /// The host's process that it is part of.
    pub pid: Option<i32>,
    /// How long its lanes lived in the window, summed over `lanes`.
    pub wall_ns: i64,
    /// `wall_ns` less the sum of all shares: 0 when the lanes tile.
    pub residual_ns: i64,
    /// How many lanes: for a VM one per virtual processor, for a process one per virtual processor
    /// that it was seen on.
    pub lanes: usize,
    /// Where the time went.
    #[serde(flatten)]
    pub shares: Shares,
    /// The same in full, longest first.
    pub states: Vec<StatePart>,
    /// Who had the processor while it wanted to run, longest first.
    pub taken_by: Vec<TakenBy>,
    /// Exits that an entry followed.
    pub exits: u64,
    /// The same by reason, most first.
    pub exit_reasons: Vec<ExitCount>,
    /// What is listed under it.
    #[serde(skip)]
    pub children: Vec<Self>,
}

impl Row {
    /// An empty one.
    pub(super) fn new(kind: RowKind, key: &str, label: String, parent_key: &str) -> Self {
        Self {
            kind,
            key: key.to_owned(),
            label,
            parent_key: parent_key.to_owned(),
            tid: None,
            pid: None,
            wall_ns: 0,
            residual_ns: 0,
            lanes: 0,
            shares: Shares::default(),
            states: Vec::new(),
            taken_by: Vec::new(),
            exits: 0,
            exit_reasons: Vec::new(),
            children: Vec::new(),
        }
    }

    /// Rows as one: the sum of `children`, which are listed under it.
    pub fn of(kind: RowKind, key: &str, label: &str, children: Vec<Self>) -> Self {
        let mut row = Self::new(kind, key, label.to_owned(), "");
        children.iter().for_each(|child| row.merge(child));
        row.children = children;
        row
    }

    /// Adds what lanes did.
    pub(super) fn fill(&mut self, sum: &Sum) {
        self.wall_ns = sum.wall_ns();
        self.lanes = sum.lanes();
        for part in sum.parts() {
            self.shares.add(part.state, part.pending, part.total_ns);
            self.states.push(part);
        }
        self.residual_ns = self.wall_ns.saturating_sub(sum.sum_ns());
        self.exits = sum.exits().map(|(_, count)| count).sum();
        let reasons = sum.exits().map(|((isa, reason), count)| ExitCount {
            reason: virtflow_model::exits::name(isa, reason),
            count,
        });
        self.exit_reasons = reasons.collect();
        self.sort();
    }

    /// Adds another's figures to these.
    pub(super) fn merge(&mut self, other: &Self) {
        self.wall_ns = self.wall_ns.saturating_add(other.wall_ns);
        self.residual_ns = self.residual_ns.saturating_add(other.residual_ns);
        self.lanes += other.lanes;
        self.shares.merge(&other.shares);
        for part in &other.states {
            let same = |own: &&mut StatePart| {
                StatePart {
                    total_ns: part.total_ns,
                    ..**own
                } == *part
            };
            match self.states.iter_mut().find(same) {
                Some(own) => own.total_ns = own.total_ns.saturating_add(part.total_ns),
                None => self.states.push(*part),
            }
        }
        for taken in &other.taken_by {
            let mut own = self.taken_by.iter_mut();
            match own.find(|own| (&own.key, &own.label) == (&taken.key, &taken.label)) {
                Some(own) => own.total_ns = own.total_ns.saturating_add(taken.total_ns),
                None => self.taken_by.push(taken.clone()),
            }
        }
        self.exits = self.exits.saturating_add(other.exits);
        for exit in &other.exit_reasons {
            let mut own = self.exit_reasons.iter_mut();
            match own.find(|own| own.reason == exit.reason) {
                Some(own) => own.count = own.count.saturating_add(exit.count),
                None => self.exit_reasons.push(exit.clone()),
            }
        }
        self.sort();
    }

    pub(super) fn sort(&mut self) {
        self.states.sort_by_key(|part| {
            let (state, cause) = (part.state, part.cause);
            (std::cmp::Reverse(part.total_ns), state, cause, part.level)
        });
        self.taken_by
            .sort_by(|a, b| (b.total_ns, &a.key).cmp(&(a.total_ns, &b.key)));
        self.exit_reasons
            .sort_by(|a, b| (b.count, &a.reason).cmp(&(a.count, &b.reason)));
    }

    /// The row without what is listed under it.
    pub fn alone(&self) -> Self {
        Self {
            key: self.key.clone(),
            label: self.label.clone(),
            parent_key: self.parent_key.clone(),
            states: self.states.clone(),
            taken_by: self.taken_by.clone(),
            exit_reasons: self.exit_reasons.clone(),
            children: Vec::new(),
            ..*self
        }
    }

    /// The time of which its shares are shares: that of its lanes; of a guest's processes and
    /// threads, which may have lanes on several virtual processors at once, that of the window.
    pub fn of_ns(&self, window_ns: i64) -> i64 {
        match self.kind {
            RowKind::Process
            | RowKind::GuestKernel
            | RowKind::GuestIdle
            | RowKind::GuestThread
            | RowKind::Thread => window_ns,
            RowKind::Cpu
            | RowKind::Vm
            | RowKind::Vcpu
            | RowKind::NestedVm
            | RowKind::NestedVcpu => self.wall_ns,
        }
    }
}
