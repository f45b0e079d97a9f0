//! Binding the kernel's events in one CTF trace: names and fields looked up once.

use crate::kernel::{Context, KernelEvent, KernelRecord};
use crate::shapes::{self, Shape, Slots};
use std::sync::Arc;
use virtflow_base::{CpuId, Tid};
use virtflow_ctf::{
    Bound, EventClass, EventView, Extract, Field, FieldPath, FieldType, Scope, Trace, Wanted,
};

/// LTTng's prefixes of system calls' events, entry and exit.
pub(crate) const SYSCALL_ENTRY: &str = "syscall_entry_";
pub(crate) const SYSCALL_EXIT: &str = "syscall_exit_";
/// What the kernel's own events of system calls begin with: one for all (`sys_enter`), or one each
/// (`sys_enter_openat`; kernel/trace/trace_syscalls.c, include/trace/events/syscalls.h).
pub(crate) const KERNEL_SYSCALLS: [(&str, &str); 2] =
    [("sys_enter", SYSCALL_ENTRY), ("sys_exit", SYSCALL_EXIT)];

enum Kind {
    Shape(&'static Shape),
    SyscallEntry(u32),
    SyscallExit(u32),
}

struct BoundKind {
    kind: Kind,
    /// The slot of the `tid` context field, after the event's own; that of `pid` follows.
    context: usize,
}

impl Kind {
    const fn name(&self) -> &'static str {
        match self {
            Self::Shape(shape) => shape.name(),
            Self::SyscallEntry(_) => SYSCALL_ENTRY,
            Self::SyscallExit(_) => SYSCALL_EXIT,
        }
    }
}

/// What an event of this name is called in the alias table, whatever tracer and kernel made it: the
/// first of its names, and for system calls what their names begin with. `None` for an event of
/// which no [`KernelEvent`] is made.
pub fn kind(name: &str) -> Option<&'static str> {
    let own = [SYSCALL_ENTRY, SYSCALL_EXIT].map(|prefix| (prefix, prefix));
    let mut prefixes = own.into_iter().chain(KERNEL_SYSCALLS);
    let syscall = prefixes.find(|(prefix, _)| name.starts_with(prefix));
    let syscall = syscall.map(|(_, kind)| kind);
    syscall.or_else(|| shapes::find(name).map(Shape::name))
}

/// The kernel's events of one trace, bound.
pub(crate) struct KernelBinding {
    bound: Arc<Bound>,
    kinds: Vec<BoundKind>,
}

impl std::fmt::Debug for KernelBinding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KernelBinding")
            .field("kinds", &self.kinds.len())
            .finish_non_exhaustive()
    }
}

impl KernelBinding {
    /// Finds every event of `trace` that a [`KernelEvent`] can be made of and whose [`kind`] is
    /// wanted, or that tells by its context which thread runs.
    pub(crate) fn new(trace: &Trace, wanted: impl Fn(&str) -> bool) -> Self {
        Self::of(trace, |kind, class| {
            wanted(kind) || tells_thread(trace, class)
        })
    }

    /// Finds those whose [`kind`] is wanted, and no others.
    pub(crate) fn only(trace: &Trace, wanted: impl Fn(&str) -> bool) -> Self {
        Self::of(trace, |kind, _| wanted(kind))
    }

    fn of(trace: &Trace, wanted: impl Fn(&str, &EventClass) -> bool) -> Self {
        let mut kinds = Vec::new();
        let bound = trace.bind(|class| {
            let (kind, mut fields) = kind_of(class)?;
            if !wanted(kind.name(), class) {
                return None;
            }
            let tag = u32::try_from(kinds.len()).ok()?;
            kinds.push(BoundKind {
                kind,
                context: fields.len(),
            });
            fields.push(FieldPath::from("ctx.tid"));
            fields.push(FieldPath::from("ctx.pid"));
            Some(Wanted { tag, fields })
        });
        Self {
            bound: Arc::new(bound),
            kinds,
        }
    }

    pub(crate) const fn bound(&self) -> &Arc<Bound> {
        &self.bound
    }
}

/// Whether the contexts of its events name the thread that runs.
fn tells_thread(trace: &Trace, class: &EventClass) -> bool {
    let stream = trace.metadata().stream_classes().get(class.stream_class());
    let shared = stream.and_then(|stream| stream.scope(Scope::StreamContext));
    let mut contexts = [class.context(), shared].into_iter().flatten();
    contexts.any(|context| context.field("tid").is_some())
}

/// What an event class is and where its fields are; `None` where it is no event of ours, or lacks
/// a field it must have.
fn kind_of(class: &EventClass) -> Option<(Kind, Vec<FieldPath>)> {
    let name = class.name();
    let index = u32::try_from(class.index()).ok()?;
    if name.starts_with(SYSCALL_ENTRY) {
        return Some((Kind::SyscallEntry(index), Vec::new()));
    }
    if name.starts_with(SYSCALL_EXIT) {
        return Some((Kind::SyscallExit(index), vec![FieldPath::from("ret")]));
    }
    let shape = shapes::find(name)?;
    let fields = shape
        .fields
        .iter()
        .map(|field| slot(class, field))
        .collect::<Option<_>>()?;
    Some((Kind::Shape(shape), fields))
}

/// The first of a slot's alternatives that the class has.
fn slot(class: &EventClass, field: &str) -> Option<FieldPath> {
    let (optional, names) = match field.strip_prefix('?') {
        Some(names) => (true, names),
        None => (false, field),
    };
    let has = |path: &&str| {
        let mut names = path.split('.');
        let first = names.next().zip(class.fields());
        let first = first.and_then(|(name, fields)| fields.field(name));
        let found = names.try_fold(first.map(Field::field_type), |ty, name| {
            let inner = match ty? {
                FieldType::Struct(fields) => fields.field(name)?.field_type(),
                FieldType::Variant(variant) => {
                    let mut options = variant.options().iter();
                    options.find(|option| option.name() == name)?.field_type()
                }
                _ => return None,
            };
            Some(Some(inner))
        });
        found.flatten().is_some_and(readable)
    };
    match names.split('|').find(has) {
        Some(name) => Some(FieldPath::from(name)),
        None if optional => Some(FieldPath::from("ctx.")),
        None => None,
    }
}

/// Whether a slot can give the field's value.
const fn readable(ty: &FieldType) -> bool {
    !matches!(ty, FieldType::Struct(_) | FieldType::Variant(_))
}

/// Makes [`KernelRecord`]s of one stream's events.
#[derive(Debug)]
pub(crate) struct KernelExtract {
    binding: Arc<KernelBinding>,
}

impl KernelExtract {
    pub(crate) const fn new(binding: Arc<KernelBinding>) -> Self {
        Self { binding }
    }
}

impl Extract for KernelExtract {
    type Out = KernelRecord;

    #[inline]
    fn extract(&mut self, event: &EventView<'_>) -> Option<KernelRecord> {
        let bound = self.binding.kinds.get(event.tag() as usize)?;
        let kernel_event = match bound.kind {
            Kind::Shape(shape) => (shape.ctf)(&Slots(event))?,
            Kind::SyscallEntry(syscall) => KernelEvent::SyscallEntry { syscall },
            Kind::SyscallExit(syscall) => KernelEvent::SyscallExit {
                syscall,
                ret: event.i64(0).unwrap_or(0),
            },
        };
        let id = |slot| {
            event
                .i64(slot)
                .and_then(|id| i32::try_from(id).ok())
                .map(Tid)
        };
        let context = id(bound.context).map(|tid| Context {
            tid,
            pid: id(bound.context + 1).unwrap_or(Tid(-1)),
        });
        Some(KernelRecord {
            cpu: event.cpu().unwrap_or(CpuId(0)),
            context,
            event: kernel_event,
        })
    }
}
