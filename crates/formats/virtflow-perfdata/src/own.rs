//! What perf tells of threads in records of its own, as events: they come in order of time with those of
//! tracepoints, and are found by name like them, but are not listed.

use virtflow_tracefs::{ByteOrder, EventFormat, Formats};

use crate::attr::{Attr, End};
use crate::bytes::Bytes;
use crate::held::Waiting;
use crate::records::{Record, kind};
use crate::trace::Trace;

/// In `misc` of a switch: away from a processor, and although the thread would run on
/// (`PERF_RECORD_MISC_SWITCH_OUT`, `_OUT_PREEMPT`).
const OUT: u16 = 1 << 13;
const OUT_PREEMPT: u16 = 1 << 14;
/// Which of a thread's namespaces is that of its number (`PID_NS_INDEX`).
const PID_NAMESPACE: u64 = 3;

/// Names, and those of their fields: three numbers of 32 bits behind the number of the event.
const EVENTS: [(u32, &str, [&str; 3]); 4] = [
    (
        kind::SWITCH,
        "PERF_RECORD_SWITCH",
        ["tid", "out", "preempt"],
    ),
    (
        kind::NAMESPACES,
        "PERF_RECORD_NAMESPACES",
        ["tid", "pid_ns", ""],
    ),
    (kind::FORK, "PERF_RECORD_FORK", ["tid", "pid", "parent_tid"]),
    (kind::EXIT, "PERF_RECORD_EXIT", ["tid", "pid", ""]),
];
/// Bytes of such an event.
pub(crate) const SIZE: usize = 16;
/// How many numbers of events are tried, from the highest down, until one is free.
const TRIES: u16 = 64;

/// Describes them behind all others; false where there was no room.
pub(crate) fn describe(formats: &mut Formats) -> bool {
    EVENTS.iter().all(|(_, name, fields)| {
        let mut numbers = (u16::MAX - TRIES..=u16::MAX).rev();
        numbers.any(|number| described(number, name, fields).is_some_and(|one| formats.push(one)))
    })
}

fn described(number: u16, name: &str, fields: &[&str; 3]) -> Option<EventFormat> {
    let mut text = format!(
        "name: {name}\nID: {number}\nformat:\n\
         \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\n"
    );
    for (place, field) in fields
        .iter()
        .enumerate()
        .filter(|(_, field)| !field.is_empty())
    {
        let offset = 4 + 4 * place;
        text += &format!("\tfield:u32 {field};\toffset:{offset};\tsize:4;\tsigned:0;\n");
    }
    EventFormat::parse("perf", text.as_bytes()).ok()
}

/// The event of a record of `trace`, and its bytes.
pub(crate) fn event(trace: &Trace, record: &Record<'_>) -> Option<(Waiting, [u8; SIZE])> {
    let place = EVENTS.iter().position(|(kind, ..)| *kind == record.kind)?;
    let class = trace.own_classes()? + place;
    if record.kind != kind::NAMESPACES && !trace.is_of_threads() {
        // Tracepoints tell that of all threads.
        return None;
    }
    let (order, attrs) = (trace.order(), &trace.survey().attrs);
    let end = attrs.end(record.body, order);
    // Those without a time tell what was before.
    let time = end.time.filter(|time| *time != 0)?;
    let cpu = end.cpu.filter(|cpu| trace.has(*cpu))?;
    let inherits = |same| attrs.all.iter().any(|attr: &Attr| attr.inherits(same));
    let words = words(record, order, &end, inherits)?;
    let event = Waiting::new(time, cpu, class as u32, None);
    Some((event, bytes(words, order)))
}

fn words(
    record: &Record<'_>,
    order: ByteOrder,
    end: &End,
    inherits: impl Fn(bool) -> bool,
) -> Option<[u32; 3]> {
    let mut all = Bytes::new(record.body, order);
    match record.kind {
        kind::SWITCH => {
            let out = record.misc & (OUT | OUT_PREEMPT) != 0;
            let preempt = record.misc & OUT_PREEMPT != 0;
            let thread = end.thread?.cast_unsigned();
            Some([thread, out.into(), preempt.into()])
        }
        kind::NAMESPACES => {
            let (thread, namespace) = pid_namespace(&mut all)?;
            Some([thread.cast_unsigned(), namespace, 0])
        }
        _ => {
            let (process, parent_process) = (all.u32()?, all.u32()?);
            let (thread, parent) = (all.u32()?, all.u32()?);
            let is_fork = record.kind == kind::FORK;
            if is_fork && !inherits(process == parent_process) {
                return None;
            }
            Some([thread, process, if is_fork { parent } else { 0 }])
        }
    }
}

/// Of a record of a thread's namespaces the thread, and the number of that of its number; `None`
/// where the record does not tell.
pub(crate) fn pid_namespace(all: &mut Bytes<'_>) -> Option<(i32, u32)> {
    let (_process, thread) = (all.u32()?, all.u32()?.cast_signed());
    if all.u64()? <= PID_NAMESPACE {
        return None;
    }
    all.take(16 * PID_NAMESPACE)?;
    let (_device, inode) = (all.u64()?, all.u64()?);
    // 0 where it could not be looked up.
    let inode = u32::try_from(inode).ok().filter(|inode| *inode != 0)?;
    Some((thread, inode))
}

fn bytes(words: [u32; 3], order: ByteOrder) -> [u8; SIZE] {
    let mut all = [0; SIZE];
    // What comes first of the number of the event is not looked at: its class is known.
    for (room, word) in all.chunks_exact_mut(4).skip(1).zip(words) {
        room.copy_from_slice(&match order {
            ByteOrder::Little => word.to_le_bytes(),
            ByteOrder::Big => word.to_be_bytes(),
        });
    }
    all
}
