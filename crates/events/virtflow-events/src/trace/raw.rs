//! The kernel's own records, as files of trace-cmd and of perf hold them: bound by their
//! descriptions, made events of.

use super::Which;
use crate::any::AnyEvent;
use crate::bind::{KERNEL_SYSCALLS, SYSCALL_ENTRY};
use crate::kernel::{Context, KernelEvent, KernelRecord};
use crate::shapes::{self, Shape, Slots};
use std::sync::Arc;
use virtflow_base::Tid;
use virtflow_ctf::{Base, FieldError, IntType, Item, Scope};
use virtflow_tracefs::{
    Bound, Described, EventFormat, EventView, Extract, Field, FieldValue, OwnedRecord, Slot, Wanted,
};

/// What an event is, and where the number of its thread is: the slot after its own.
struct BoundKind {
    kind: Kind,
    context: usize,
}

enum Kind {
    Shape(&'static Shape),
    /// The number of the call in the first slot.
    SyscallEntry,
    /// The same, and what it returned in the second.
    SyscallExit,
}

/// The kernel's events of a file, or of one of its buffers, bound.
pub(crate) struct KernelBinding {
    bound: Arc<Bound>,
    kinds: Vec<BoundKind>,
}

impl KernelBinding {
    /// Of the events that `is_of` says are to be read those whose kind is wanted, or all that a
    /// [`KernelEvent`] can be made of: each tells which thread runs.
    pub(super) fn new(
        formats: &[EventFormat],
        which: Which,
        wanted: &dyn Fn(&str) -> bool,
        is_of: impl Fn(usize) -> bool,
    ) -> Self {
        let mut kinds = Vec::new();
        let mut class = 0;
        let bound = Bound::new(formats, |format| {
            class += 1;
            let (kind, name, mut slots) = kind_of(format)?;
            let is_wanted = which == Which::OrTellsThread || wanted(name);
            if !is_wanted || !is_of(class - 1) {
                return None;
            }
            let tag = u32::try_from(kinds.len()).ok()?;
            kinds.push(BoundKind {
                kind,
                context: slots.len(),
            });
            slots.push(format.field("common_pid").map(Slot::new));
            Some(Wanted { tag, slots })
        });
        Self {
            bound: Arc::new(bound),
            kinds,
        }
    }

    pub(super) const fn bound(&self) -> &Arc<Bound> {
        &self.bound
    }
}

/// What an event is, what it is called in the alias table, and where its fields are; `None` where
/// it is no event of ours, or lacks a field it must have.
fn kind_of(format: &EventFormat) -> Option<(Kind, &'static str, Vec<Option<Slot>>)> {
    let name = format.name();
    let mut syscalls = KERNEL_SYSCALLS.into_iter();
    if let Some((_, called)) = syscalls.find(|(prefix, _)| name.starts_with(prefix)) {
        let number = own(format, "id").or_else(|| own(format, "__syscall_nr"));
        let slots = vec![number.map(Slot::new), own(format, "ret").map(Slot::new)];
        let kind = if called == SYSCALL_ENTRY {
            Kind::SyscallEntry
        } else {
            Kind::SyscallExit
        };
        return Some((kind, called, slots));
    }
    let shape = shapes::find(name)?;
    let slots = shape.fields.iter().map(|field| slot(format, field));
    let slots = slots.collect::<Option<_>>()?;
    Some((Kind::Shape(shape), shape.name(), slots))
}

fn own<'f>(format: &'f EventFormat, name: &str) -> Option<&'f Field> {
    format.fields().iter().find(|field| field.name() == name)
}

/// The first of a slot's alternatives that the event has; `None` where it must have one.
pub(crate) fn slot(format: &EventFormat, field: &str) -> Option<Option<Slot>> {
    let (optional, names) = match field.strip_prefix('?') {
        Some(names) => (true, names),
        None => (false, field),
    };
    let found = names.split('|').find_map(|name| own(format, name));
    match found {
        Some(field) => Some(Some(Slot::new(field))),
        None if optional => Some(None),
        None => None,
    }
}

/// Makes [`KernelRecord`]s of one stream's events.
pub(crate) struct KernelExtract {
    binding: Arc<KernelBinding>,
}

impl KernelExtract {
    pub(super) const fn new(binding: Arc<KernelBinding>) -> Self {
        Self { binding }
    }
}

impl Extract for KernelExtract {
    type Out = KernelRecord;

    #[inline]
    fn extract(&mut self, event: &EventView<'_>) -> Option<KernelRecord> {
        let bound = self.binding.kinds.get(event.tag as usize)?;
        let fields = &event.fields;
        let syscall = || fields.u64(0).unwrap_or(0) as u32;
        let kernel_event = match bound.kind {
            Kind::Shape(shape) => (shape.raw)(&Slots(fields))?,
            Kind::SyscallEntry => KernelEvent::SyscallEntry { syscall: syscall() },
            Kind::SyscallExit => KernelEvent::SyscallExit {
                syscall: syscall(),
                ret: fields.i64(1).unwrap_or(0),
            },
        };
        let thread = fields.u64(bound.context);
        let context = thread.map(|tid| Context {
            tid: Tid(tid as i32),
            pid: Tid(event.process.unwrap_or(-1)),
        });
        Some(KernelRecord {
            cpu: event.cpu,
            context,
            event: kernel_event,
        })
    }
}

/// Keeps every event, decoded when it is asked for.
pub(crate) struct AnyExtract {
    described: Arc<Described>,
    number: usize,
}

impl AnyExtract {
    pub(super) const fn new(described: Arc<Described>, number: usize) -> Self {
        Self { described, number }
    }
}

impl Extract for AnyExtract {
    type Out = AnyEvent;

    fn extract(&mut self, event: &EventView<'_>) -> Option<AnyEvent> {
        Some(AnyEvent::of_raw(
            Arc::clone(&self.described),
            self.number,
            event.to_owned(),
        ))
    }
}

/// Gives the fields of a record as those of a CTF event: its processor in the context of the
/// packet, what all events have in that of the stream, its own as payload.
pub(crate) fn items(
    described: &Described,
    record: &OwnedRecord,
    scopes: &[Scope],
    take: &mut dyn FnMut(&str, Item<'_>),
) -> Result<(), FieldError> {
    let Some(format) = record.format(&described.formats) else {
        return Ok(());
    };
    let (bytes, order) = (record.bytes(), described.order);
    let mut whole = true;
    for &scope in scopes {
        if !matches!(
            scope,
            Scope::PacketContext | Scope::StreamContext | Scope::Payload
        ) {
            continue;
        }
        take("", Item::ScopeBegin(scope));
        match scope {
            Scope::PacketContext => {
                let ty = IntType::plain(32, false, Base::Decimal);
                let value = record.cpu().0.into();
                take("cpu_id", Item::Int { value, ty: &ty });
            }
            Scope::StreamContext => {
                whole &= format.visit_common(bytes, order, &mut |field, value| {
                    // The number of the event says no more than its name.
                    if field.name() != "common_type" {
                        item(field, value, take);
                    }
                });
            }
            _ => {
                whole &= format.visit(bytes, order, &mut |field, value| item(field, value, take));
            }
        }
        take("", Item::ScopeEnd(scope));
    }
    if whole {
        Ok(())
    } else {
        Err(FieldError::Short)
    }
}

fn item(field: &Field, value: FieldValue<'_>, take: &mut dyn FnMut(&str, Item<'_>)) {
    let (name, signed) = (field.name(), field.is_signed());
    match value {
        FieldValue::Int { value, size } => {
            let base = if field.is_pointer() {
                Base::Hexadecimal
            } else {
                Base::Decimal
            };
            let ty = IntType::plain(8 * size, signed, base);
            take(name, Item::Int { value, ty: &ty });
        }
        FieldValue::Text(text) => take(name, Item::Text(text)),
        FieldValue::Array(elements) => {
            let ty = IntType::plain(8 * elements.size(), signed, Base::Decimal);
            let len = elements.len() as u64;
            take(name, Item::ArrayBegin { len });
            for value in elements.iter() {
                take("", Item::Int { value, ty: &ty });
            }
            take(name, Item::ArrayEnd);
        }
    }
}
