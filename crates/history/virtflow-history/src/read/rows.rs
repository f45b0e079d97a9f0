//! Rows as they are handed out.

/// An entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityRecord {
    /// Its number.
    pub entity: u32,
    /// The machine's number.
    pub machine: u32,
    /// A code of the writer's vocabulary.
    pub kind: u8,
    /// Unique for good together with the machine.
    pub key: String,
    /// What people call it; bytes that are no text are `\xNN`.
    pub label: String,
    /// What it is a part of.
    pub parent: Option<u32>,
    /// The virtual machine it belongs to.
    pub vm: Option<u32>,
    /// Which virtual processor.
    pub vcpu: Option<u32>,
    /// The host thread.
    pub tid: Option<i32>,
    /// The host process.
    pub pid: Option<i32>,
    /// The canonical CR3, in hexadecimal; empty without one.
    pub cr3: String,
    /// The beginning of its first interval; 0 without one.
    pub begin_ns: i64,
    /// The end of its last one.
    pub end_ns: i64,
    /// How many there are.
    pub intervals: u64,
}

/// Something that does one thing at a time: an entity, or a process on one virtual processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lane {
    /// The entity.
    pub entity: u32,
    /// The virtual processor; -1 for entities with one lane.
    pub vcpu: i32,
}

/// An interval, or what a lane did in a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Whose.
    pub lane: Lane,
    /// From.
    pub start: i64,
    /// To.
    pub end: i64,
    /// The number of what it did: [`super::Store::doing`].
    pub doing: u32,
    /// Who took the processor, or woke it; -1 for nobody, and in buckets but of lanes of which who
    /// ran is kept at any scale.
    pub by: i32,
    /// How much of the time from `start` to `end`.
    pub ns: i64,
    /// Whether it is one interval.
    pub exact: bool,
}

/// An edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdgeRecord {
    /// Where it starts.
    pub from: u32,
    /// When.
    pub from_ns: i64,
    /// Where it ends.
    pub to: u32,
    /// When.
    pub to_ns: i64,
    /// A code of the writer's vocabulary.
    pub kind: u8,
    /// How sure.
    pub confidence: u8,
    /// By which rule.
    pub evidence: u8,
}

/// An exit of a virtual processor, until it was entered again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitRecord {
    /// The virtual processor.
    pub vcpu: u32,
    /// The nested one that ran, or -1.
    pub nested: i32,
    /// When it left.
    pub start: i64,
    /// When it was entered again.
    pub end: i64,
    /// Whether it was.
    pub entered_again: bool,
    /// Whose codes: 1 VMX, 2 SVM, 0 not recorded.
    pub isa: u32,
    /// The hardware's code.
    pub reason: u32,
    /// A code of the writer's vocabulary.
    pub class: u8,
    /// Whether it was given on to the guest's hypervisor.
    pub reflected: bool,
    /// Nanoseconds in the kernel.
    pub kernel_ns: i64,
    /// Nanoseconds in the VMM.
    pub vmm_ns: i64,
    /// Nanoseconds off the processor.
    pub off_cpu_ns: i64,
}
