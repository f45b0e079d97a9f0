//! The seam between the model and everything below it: entities, intervals and edges.
//!
//! States, causes and the rest are small codes here, so that what keeps them need not know what a
//! virtual machine is; `virtflow-model` gives the codes their names.

use crate::{EntityId, Span, Timestamp};

/// Something that has states or takes part in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entity {
    /// Its dense number.
    pub id: EntityId,
    /// What it is: a code of the model's `Kind`.
    pub kind: u8,
    /// Unique for good together with its machine.
    pub key: String,
    /// What people call it; bytes, as the trace has it. May change, may come late.
    pub label: Vec<u8>,
    /// What it is a part of.
    pub parent: Option<EntityId>,
    /// The virtual machine it belongs to (for a nested one's things: the nested one).
    pub vm: Option<EntityId>,
    /// Which virtual processor, for those that have or are one.
    pub vcpu: Option<u32>,
    /// The host thread it is or runs on.
    pub tid: Option<i32>,
    /// The host process it is part of; for a VM's things, the VMM's.
    pub pid: Option<i32>,
    /// The canonical CR3, for guest processes and nested VMs.
    pub cr3: Option<u64>,
}

/// A state of a lane for a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Whose.
    pub entity: EntityId,
    /// When.
    pub span: Span,
    /// A code of the model's `State`.
    pub state: u8,
    /// 0 the host, 1 a guest, 2 a guest of a guest.
    pub level: u8,
    /// A code of the model's `Cause`.
    pub cause: u8,
    /// 0 proved, 1 likely: the model's `Confidence`.
    pub confidence: u8,
    /// A code of the model's `Evidence`: the rule that decided.
    pub evidence: u8,
    /// On which virtual processor, for lanes of a process.
    pub vcpu: Option<u32>,
    /// Who took the processor, or who woke it.
    pub by: Option<EntityId>,
}

/// A cause that leads from one entity to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Where it starts.
    pub from: EntityId,
    /// When it starts.
    pub from_time: Timestamp,
    /// Where it ends.
    pub to: EntityId,
    /// When it ends.
    pub to_time: Timestamp,
    /// A code of the model's `EdgeKind`.
    pub kind: u8,
    /// 0 proved, 1 likely.
    pub confidence: u8,
    /// A code of the model's `Evidence`.
    pub evidence: u8,
}

/// One stay of a virtual processor outside its guest: from a VM exit to the entry that followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The virtual processor.
    pub vcpu: EntityId,
    /// The nested virtual processor that ran, when the exit was out of a nested guest.
    pub nested: Option<EntityId>,
    /// From the exit to the next entry; to the end of what was recorded when there was none.
    pub span: Span,
    /// Whether an entry ended it.
    pub entered_again: bool,
    /// The hardware's exit code.
    pub reason: u32,
    /// Whose codes: 1 VMX, 2 SVM, 0 not recorded.
    pub isa: u32,
    /// A code of the model's `Cause`: the class of the exit.
    pub class: u8,
    /// Nanoseconds of the span on the processor in the kernel.
    pub kernel_ns: i64,
    /// Nanoseconds of the span on the processor in the VMM.
    pub vmm_ns: i64,
    /// Nanoseconds of the span off the processor.
    pub off_cpu_ns: i64,
    /// Whether the host's hypervisor reflected it to the guest's.
    pub reflected: bool,
}

/// One value of a counter of an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Whose.
    pub entity: EntityId,
    /// When.
    pub time: Timestamp,
    /// A code of the model's `Counter`.
    pub counter: u8,
    /// In the counter's unit. `None`, of a counter whose values hold until the next, says that its
    /// value is not known from here on.
    pub value: Option<i64>,
}

/// Takes what the model finds, in the order in which it is explained.
///
/// An entity is announced before it is first used; it is announced again, whole, when something
/// about it became known later. Intervals of one lane come in time order and tile its life.
pub trait Sink {
    /// A new entity, or a known one with something new about it.
    fn entity(&mut self, entity: &Entity);
    /// A finished interval.
    fn interval(&mut self, interval: &Interval);
    /// An edge.
    fn edge(&mut self, edge: &Edge);
    /// A finished exit.
    fn exit(&mut self, exit: &Exit);
    /// A value of a counter. Those of one counter of one entity come in time order.
    fn sample(&mut self, sample: &Sample);
}
