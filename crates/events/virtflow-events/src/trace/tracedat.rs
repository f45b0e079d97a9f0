//! Files of trace-cmd.

use super::facts::Facts;
use super::{Kernel, Which};
use crate::any::AnyEvent;
use crate::bind::{KERNEL_SYSCALLS, SYSCALL_ENTRY};
use crate::kernel::{Context, KernelEvent, KernelRecord};
use crate::open::{ClockInfo, TraceInfo};
use crate::shapes::{self, Shape, Slots};
use std::sync::Arc;
use virtflow_base::{Problems, Tid, Timestamp};
use virtflow_ctf::{Base, FieldError, IntType, Item, Scope};
use virtflow_tracedat::{
    Bound, EventFormat, EventView, Extract, Field, FieldValue, OwnedRecord, Slot, StreamReader,
    Trace, Wanted,
};

/// Ticks per second of clocks that count nanoseconds.
const NANOS: u64 = 1_000_000_000;

pub(super) fn machine(trace: &Trace) -> (String, String) {
    let mut words = trace.options().uname.split_whitespace().skip(1);
    let mut word = || words.next().unwrap_or("").to_owned();
    (word(), word())
}

pub(super) fn info(trace: &Trace, machine: usize) -> TraceInfo {
    let mut clocks: Vec<ClockInfo> = Vec::new();
    for buffer in trace.buffers() {
        let clock = buffer.clock();
        if clocks.iter().all(|known| known.name != clock.name()) {
            clocks.push(ClockInfo {
                name: clock.name().to_owned(),
                frequency: clock.frequency().unwrap_or(NANOS),
                uuid: None,
                offset_ns: clock.offset_ns().into(),
            });
        }
    }
    // The version that was built from no repository says so, too.
    let version = trace.options().version.split_whitespace().next();
    TraceInfo {
        path: trace.path().to_owned(),
        format: if trace.version() == 6 {
            "trace.dat 6"
        } else {
            "trace.dat 7"
        },
        machine,
        domain: "kernel".to_owned(),
        tracer: ["trace-cmd", version.unwrap_or("")]
            .join(" ")
            .trim()
            .to_owned(),
        clocks,
        streams: trace.streams().len(),
        bytes: trace
            .streams()
            .iter()
            .map(virtflow_tracedat::Stream::bytes)
            .sum(),
    }
}

/// Counts by event, and what was met on the way.
pub(super) fn count(trace: &Trace, threads: usize) -> (Vec<u64>, Problems) {
    let mut sums = vec![0; trace.formats().len()];
    let mut problems = Problems::default();
    for counts in trace.count(threads) {
        for (sum, count) in sums.iter_mut().zip(counts.by_class) {
            *sum += count;
        }
        problems.merge(counts.problems);
    }
    (sums, problems)
}

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

/// The kernel's events of one buffer of a file, bound.
pub(crate) struct KernelBinding {
    bound: Arc<Bound>,
    kinds: Vec<BoundKind>,
}

impl KernelBinding {
    /// Of the events that `is_of` says are of this buffer those whose kind is wanted, or all that a
    /// [`KernelEvent`] can be made of: each tells which thread runs.
    fn new(
        trace: &Trace,
        which: Which,
        wanted: &dyn Fn(&str) -> bool,
        is_of: impl Fn(usize) -> bool,
    ) -> Self {
        let mut kinds = Vec::new();
        let mut class = 0;
        let bound = trace.bind(|format| {
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

pub(super) fn kernel_readers(
    trace: &Arc<Trace>,
    which: Which,
    wanted: &dyn Fn(&str) -> bool,
) -> Vec<Kernel> {
    let owners = owners(trace);
    let bindings = (0..trace.buffers().len()).map(|buffer| {
        let is_of = |class| {
            owners
                .as_ref()
                .is_none_or(|owners| owners.get(class) == Some(&buffer))
        };
        Arc::new(KernelBinding::new(trace, which, wanted, is_of))
    });
    let bindings: Vec<_> = bindings.collect();
    let mut readers = Vec::new();
    let spans = trace.streams().iter().filter_map(|s| s.coverage().span);
    let first = trace.streams().first();
    if let (Some(begin), Some(first)) = (spans.map(|span| span.start).min(), first) {
        let (threads, guests) = (trace.threads(), &trace.options().guests);
        readers.push(Kernel::Facts(Facts::new(
            threads,
            guests,
            begin,
            first.cpu(),
        )));
    }
    for (number, stream) in trace.streams().iter().enumerate() {
        let Some(binding) = bindings.get(stream.buffer()) else {
            continue;
        };
        let extract = KernelExtract {
            binding: Arc::clone(binding),
        };
        let reader = trace.reader(number, Arc::clone(&binding.bound), extract);
        readers.push(Kernel::TraceDat(reader));
    }
    readers
}

/// Of a file with several buffers, whose each event is: the buffer's that has most of it. An event
/// that two instances recorded happened once.
fn owners(trace: &Trace) -> Option<Vec<usize>> {
    if trace.buffers().len() < 2 {
        return None;
    }
    let mut sums = vec![vec![0_u64; trace.formats().len()]; trace.buffers().len()];
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    for (stream, counts) in trace.streams().iter().zip(trace.count(threads)) {
        if let Some(sums) = sums.get_mut(stream.buffer()) {
            for (sum, count) in sums.iter_mut().zip(counts.by_class) {
                *sum += count;
            }
        }
    }
    let owner = |class: usize| {
        let counts = sums
            .iter()
            .map(|sums| sums.get(class).copied().unwrap_or(0));
        // The first of those that have as many.
        let most = counts
            .enumerate()
            .max_by_key(|(buffer, count)| (*count, std::cmp::Reverse(*buffer)));
        most.map_or(0, |(buffer, _)| buffer)
    };
    Some((0..trace.formats().len()).map(owner).collect())
}

/// Makes [`KernelRecord`]s of one stream's events.
pub(crate) struct KernelExtract {
    binding: Arc<KernelBinding>,
}

impl Extract for KernelExtract {
    type Out = KernelRecord;

    #[inline]
    fn extract(&mut self, event: &EventView<'_>) -> Option<KernelRecord> {
        let bound = self.binding.kinds.get(event.tag() as usize)?;
        let fields = event.fields();
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
            pid: Tid(-1),
        });
        Some(KernelRecord {
            cpu: event.cpu(),
            context,
            event: kernel_event,
        })
    }
}

pub(super) fn any_readers(
    trace: &Arc<Trace>,
    number: usize,
    choose: &dyn Fn(&str) -> bool,
    from: Timestamp,
) -> impl Iterator<Item = StreamReader<AnyExtract>> {
    let bound = trace.bind(|format| choose(format.name()).then(Wanted::default));
    let bound = Arc::new(bound);
    (0..trace.streams().len()).map(move |stream| {
        let extract = AnyExtract {
            trace: Arc::clone(trace),
            number,
        };
        trace.reader_from(stream, Arc::clone(&bound), extract, from)
    })
}

/// Keeps every event, decoded when it is asked for.
pub(crate) struct AnyExtract {
    trace: Arc<Trace>,
    number: usize,
}

impl Extract for AnyExtract {
    type Out = AnyEvent;

    fn extract(&mut self, event: &EventView<'_>) -> Option<AnyEvent> {
        Some(AnyEvent::of_trace_dat(
            Arc::clone(&self.trace),
            self.number,
            event.to_owned(),
        ))
    }
}

/// Gives the fields of a record as those of a CTF event: its processor in the context of the
/// packet, what all events have in that of the stream, its own as payload.
pub(crate) fn items(
    trace: &Trace,
    record: &OwnedRecord,
    scopes: &[Scope],
    take: &mut dyn FnMut(&str, Item<'_>),
) -> Result<(), FieldError> {
    let Some(format) = record.format(trace) else {
        return Ok(());
    };
    let (bytes, order) = (record.bytes(), trace.order());
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
