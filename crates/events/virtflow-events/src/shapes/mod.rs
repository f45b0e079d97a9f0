//! The alias table: which event of which tracer and kernel is which [`KernelEvent`], and what its
//! fields are called there.
//!
//! A [`Shape`] is bound by the names in a trace's own metadata, never by a version number. Names
//! are Linux's (include/trace/events, arch/x86/kvm/trace.h), LTTng's since 2016 (`kvm_x86_*`,
//! `timer_hrtimer_*`) and LTTng's before that.

use crate::kernel::{
    ApicAccept, BlockRequest, ExitInfo, GuestStack, KernelEvent as K, NamespaceKind, NetPacket,
};
use crate::text::Text;
use virtflow_base::{CpuId, Tid};
use virtflow_ctf::EventView;
use virtflow_tracefs::RecordView;

/// An event's fields by the slots it was bound with, whatever format it lies in.
pub(crate) trait Fields {
    /// Whether it has the field of the slot.
    fn has(&self, slot: usize) -> bool;
    /// The integer of the slot; signed ones as 64-bit two's complement.
    fn u64(&self, slot: usize) -> Option<u64>;
    /// The bytes of the slot.
    fn bytes(&self, slot: usize) -> Option<&[u8]>;
}

impl Fields for EventView<'_> {
    #[inline]
    fn has(&self, slot: usize) -> bool {
        EventView::has(self, slot)
    }
    #[inline]
    fn u64(&self, slot: usize) -> Option<u64> {
        EventView::u64(self, slot)
    }
    #[inline]
    fn bytes(&self, slot: usize) -> Option<&[u8]> {
        EventView::bytes(self, slot)
    }
}

impl Fields for RecordView<'_> {
    #[inline]
    fn has(&self, slot: usize) -> bool {
        RecordView::has(self, slot)
    }
    #[inline]
    fn u64(&self, slot: usize) -> Option<u64> {
        RecordView::u64(self, slot)
    }
    #[inline]
    fn bytes(&self, slot: usize) -> Option<&[u8]> {
        RecordView::bytes(self, slot)
    }
}

/// How one kind of event is called, what it must have, and how it is built.
pub(crate) struct Shape {
    /// Every name it goes by.
    pub(crate) names: &'static [&'static str],
    /// One slot each: alternatives separated by `|`; a leading `?` makes the slot optional.
    pub(crate) fields: &'static [&'static str],
    /// Builds the event from its slots; `None` where a value cannot be what it should be. Both are
    /// the same text, compiled for events of CTF and for the kernel's own records.
    pub(crate) ctf: fn(&Slots<'_, EventView<'_>>) -> Option<K>,
    pub(crate) raw: fn(&Slots<'_, RecordView<'_>>) -> Option<K>,
}

impl Shape {
    /// The first of its names.
    pub(crate) const fn name(&self) -> &'static str {
        match self.names {
            [first, ..] => first,
            [] => VECTORS,
        }
    }
}

/// The slots of one event, as the kernel's types.
pub(crate) struct Slots<'a, V>(pub(crate) &'a V);

impl<V: Fields> Slots<'_, V> {
    fn u64(&self, slot: usize) -> u64 {
        self.0.u64(slot).unwrap_or(0)
    }
    fn u64_opt(&self, slot: usize) -> Option<u64> {
        self.0.u64(slot)
    }
    fn u32(&self, slot: usize) -> u32 {
        self.u64(slot) as u32
    }
    fn u32_opt(&self, slot: usize) -> Option<u32> {
        self.0.u64(slot).map(|v| v as u32)
    }
    fn u8(&self, slot: usize) -> u8 {
        self.u64(slot) as u8
    }
    fn i64(&self, slot: usize) -> i64 {
        self.u64(slot) as i64
    }
    fn i32(&self, slot: usize) -> i32 {
        self.u64(slot) as i32
    }
    fn i16(&self, slot: usize) -> i16 {
        self.u64(slot) as i16
    }
    fn has(&self, slot: usize) -> bool {
        self.0.has(slot)
    }
    fn flag(&self, slot: usize) -> bool {
        self.u64(slot) != 0
    }
    fn tid(&self, slot: usize) -> Tid {
        Tid(self.i32(slot))
    }
    fn tid_opt(&self, slot: usize) -> Option<Tid> {
        self.0.u64(slot).map(|v| Tid(v as i32))
    }
    fn cpu(&self, slot: usize) -> CpuId {
        CpuId(self.u32(slot))
    }
    fn text<const N: usize>(&self, slot: usize) -> Text<N> {
        self.0.bytes(slot).map_or_else(Text::default, Text::new)
    }
    fn stack(&self, rsp: usize, fs_base: usize) -> GuestStack {
        GuestStack::new(self.u64_opt(rsp), self.u64_opt(fs_base))
    }
    fn exit(&self) -> ExitInfo {
        ExitInfo {
            reason: self.u32(0),
            isa: self.u32_opt(1),
            rip: self.u64_opt(2),
            info1: self.u64(3),
            info2: self.u64(4),
            vcpu: self.u32_opt(5),
            intr_info: self.u32(6),
        }
    }
    fn accept(&self, posted: bool) -> ApicAccept {
        ApicAccept {
            apic_id: self.u32(0),
            delivery_mode: self.u32(1) as u16,
            vector: self.u8(2),
            posted,
        }
    }
    fn block(&self) -> BlockRequest {
        BlockRequest {
            dev: self.u32(0),
            sector: self.u64(1),
            sectors: self.u32(2),
            tid: self.tid_opt(3),
        }
    }
    fn packet(&self) -> NetPacket {
        NetPacket {
            skb: self.u64(0),
            len: self.u32(1),
            flow: 0,
            device: self.text(2),
        }
    }
    /// A packet whose event tells its headers ([`PACKET`]).
    fn packet_with_headers(&self) -> NetPacket {
        NetPacket {
            flow: flow::of(self.0),
            ..self.packet()
        }
    }
    fn namespace(&self, kind: NamespaceKind) -> K {
        K::StatedumpNamespace {
            tid: self.tid(0),
            kind,
            inum: self.u32(1),
            level: self.u32_opt(2),
        }
    }
}

const WAKE: &[&str] = &["tid|pid", "target_cpu", "?comm"];
const BLOCK: &[&str] = &["dev", "sector", "nr_sector", "?tid"];
const PACKET: &[&str] = flow::PACKET;
const NAMESPACE: &[&str] = &["tid", "ns_inum", "?ns_level"];

/// A shape without its fields' names.
macro_rules! shape {
    ($names:expr, $fields:expr, $build:expr) => {
        Shape {
            names: &$names,
            fields: $fields,
            ctf: $build,
            raw: $build,
        }
    };
}

mod flow;
mod host;
mod kvm;
mod statedump;

/// What stands for the names of all vectors.
const VECTORS: &str = "x86_irq_vectors_*";
/// LTTng's one event per host vector: `x86_irq_vectors_local_timer_entry` and its like.
const VECTOR_PREFIXES: [&str; 2] = ["x86_irq_vectors_", "irq_vectors_"];
/// What the kernel's own events of host vectors are called, without `_entry` and `_exit`
/// (arch/x86/include/asm/trace/irq_vectors.h).
const VECTOR_NAMES: [&str; 11] = [
    "local_timer",
    "spurious_apic",
    "error_apic",
    "x86_platform_ipi",
    "irq_work",
    "reschedule",
    "call_function",
    "call_function_single",
    "threshold_apic",
    "deferred_error_apic",
    "thermal_apic",
];
const VECTOR_ENTRY: Shape = shape!([], &["vector"], |s| Some(K::VectorEntry {
    vector: s.u32(0)
}));
const VECTOR_EXIT: Shape = shape!([], &["vector"], |s| Some(K::VectorExit {
    vector: s.u32(0)
}));

const TABLES: [&[Shape]; 4] = [host::SCHED, host::DEVICES, kvm::KVM, statedump::STATEDUMP];

/// The shape of the event called `name`, if it is one the model can use.
pub(crate) fn find(name: &str) -> Option<&'static Shape> {
    static ENTRY: Shape = VECTOR_ENTRY;
    static EXIT: Shape = VECTOR_EXIT;
    let is_vector = |of: &str| {
        let mut prefixes = VECTOR_PREFIXES.iter();
        prefixes.any(|prefix| name.starts_with(prefix)) || VECTOR_NAMES.contains(&of)
    };
    match name.rsplit_once('_') {
        Some((of, "entry")) if is_vector(of) => return Some(&ENTRY),
        Some((of, "exit")) if is_vector(of) => return Some(&EXIT),
        _ if is_vector("") => return None,
        _ => {}
    }
    TABLES
        .into_iter()
        .flatten()
        .find(|shape| shape.names.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_stands_once() {
        let mut names: Vec<_> = TABLES.into_iter().flatten().flat_map(|s| s.names).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn vectors_share_a_shape() {
        assert!(find("x86_irq_vectors_local_timer_entry").is_some());
        assert!(find("x86_irq_vectors_local_timer_exit").is_some());
        assert!(find("local_timer_entry").is_some() && find("reschedule_exit").is_some());
        assert!(find("vector_alloc").is_none() && find("irq_vectors_vector_alloc").is_none());
        assert!(find("kvm_mmu_get_page").is_none());
    }

    #[test]
    fn vectors_have_no_name_that_another_event_has() {
        for name in VECTOR_NAMES {
            for end in ["entry", "exit"] {
                let name = format!("{name}_{end}");
                let mut all = TABLES.into_iter().flatten();
                assert!(
                    all.all(|shape| !shape.names.contains(&name.as_str())),
                    "{name}"
                );
            }
        }
    }
}
