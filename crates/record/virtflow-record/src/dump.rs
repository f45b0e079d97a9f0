//! What was there when the recording began: the threads, from `/proc`, as LTTng's state dump tells
//! them (instrumentation/events/lttng-statedump.h of lttng-modules).

use crate::RecordError;
use crate::trace::Writer;
use std::fs;
use std::path::Path;
use virtflow_ctf::writer::Payload;

/// Takes the events of a dump, by the numbers of their classes.
pub(crate) trait Dumps {
    /// Takes one, with the fields that `write` writes.
    fn dump(&mut self, class: usize, write: impl FnOnce(&mut Payload)) -> Result<(), RecordError>;
}

impl Dumps for Writer<'_> {
    fn dump(&mut self, class: usize, write: impl FnOnce(&mut Payload)) -> Result<(), RecordError> {
        Self::dump(self, class, write)
    }
}

/// The events of the dump, in the order of their numbers.
pub(crate) const CLASSES: &[(&str, &str)] = &[
    ("lttng_statedump_start", ""),
    ("lttng_statedump_end", ""),
    (
        "lttng_statedump_process_state",
        "i32:tid i32:pid i32:ppid text:name i32:type i32:mode i32:submode i32:status u32:cpu",
    ),
    (
        "lttng_statedump_process_pid_ns",
        "i32:tid i32:vtid i32:vpid i32:vppid i32:ns_level u32:ns_inum",
    ),
    ("lttng_statedump_block_device", "u32:dev str:diskname"),
];

const START: usize = 0;
const END: usize = 1;
const PROCESS: usize = 2;
const PID_NAMESPACE: usize = 3;
const DISK: usize = 4;

/// A thread of `/proc`.
struct Thread {
    tid: i32,
    pid: i32,
    ppid: i32,
    name: Vec<u8>,
    status: i32,
    cpu: u32,
    user: bool,
}

/// Writes the dump.
pub(crate) fn dump(writer: &mut impl Dumps) -> Result<(), RecordError> {
    writer.dump(START, |_| ())?;
    for pid in numbers(Path::new("/proc")) {
        let process = Path::new("/proc").join(pid.to_string());
        let namespace = namespace(&process);
        for tid in numbers(&process.join("task")) {
            let Some(thread) = thread(&process, pid, tid) else {
                // It has ended meanwhile.
                continue;
            };
            writer.dump(PROCESS, |p| {
                p.u32(thread.tid.cast_unsigned());
                p.u32(thread.pid.cast_unsigned());
                p.u32(thread.ppid.cast_unsigned());
                p.text(&thread.name, 16);
                // 0 a user's thread, 1 the kernel's; mode and submode are unknown.
                p.u32(u32::from(!thread.user));
                p.u32(0).u32(0);
                p.u32(thread.status.cast_unsigned());
                p.u32(thread.cpu);
            })?;
            if let Some(inode) = namespace {
                writer.dump(PID_NAMESPACE, |p| {
                    p.u32(thread.tid.cast_unsigned());
                    p.u32(0).u32(0).u32(0).u32(0);
                    p.u32(inode);
                })?;
            }
        }
    }
    for (device, name) in disks() {
        writer.dump(DISK, |p| {
            p.u32(device);
            p.string(name.as_bytes());
        })?;
    }
    writer.dump(END, |_| ())
}

/// The entries of a directory that are numbers.
fn numbers(directory: &Path) -> Vec<i32> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut numbers: Vec<i32> = entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    numbers.sort_unstable();
    numbers
}

fn thread(process: &Path, pid: i32, tid: i32) -> Option<Thread> {
    let text = fs::read(process.join(format!("task/{tid}/stat"))).ok()?;
    // proc(5): the name may hold anything, and ends at the last parenthesis.
    let open = text.iter().position(|byte| *byte == b'(')?;
    let close = text.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(text.get(close + 2..)?).ok()?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    Some(Thread {
        tid,
        pid,
        ppid: fields.get(1)?.parse().ok()?,
        name: text.get(open + 1..close)?.to_vec(),
        status: status(fields.first()?),
        cpu: fields.get(36).and_then(|cpu| cpu.parse().ok()).unwrap_or(0),
        // The kernel's threads have no memory of their own.
        user: fields.get(20).is_some_and(|bytes| *bytes != "0"),
    })
}

/// What a thread does, by its letter in `/proc` (proc(5)), as LTTng numbers it (`enum
/// lttng_process_status`, src/lttng-statedump-impl.c of lttng-modules): 2 waits for the processor, 4 a
/// zombie, 5 waits, 7 dead.
fn status(letter: &str) -> i32 {
    match letter {
        "R" => 2,
        "Z" => 4,
        "X" | "x" => 7,
        _ => 5,
    }
}

/// The number of a process's pid namespace.
fn namespace(process: &Path) -> Option<u32> {
    let link = fs::read_link(process.join("ns/pid")).ok()?;
    let text = link.to_str()?.strip_prefix("pid:[")?.strip_suffix(']')?;
    text.parse().ok()
}

/// The disks, by the kernel's number for them (major << 20 | minor).
fn disks() -> Vec<(u32, String)> {
    let entries = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let disks = entries.filter_map(|entry| {
        let name = entry.file_name().to_str()?.to_owned();
        let text = fs::read_to_string(entry.path().join("dev")).ok()?;
        let (major, minor) = text.trim().split_once(':')?;
        let (major, minor): (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
        Some((major << 20 | minor, name))
    });
    disks.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the model reads them, 5 says that a thread waits.
    #[test]
    fn whoever_sleeps_waits() {
        assert_eq!(["S", "D", "I", "R", "Z"].map(status), [5, 5, 5, 2, 4]);
    }

    #[test]
    fn this_process_is_there() {
        let pid = std::process::id().cast_signed();
        let own = thread(&Path::new("/proc").join(pid.to_string()), pid, pid).unwrap();
        assert_eq!((own.tid, own.pid, own.user), (pid, pid, true));
        assert!(!own.name.is_empty() && own.ppid > 0);
        assert!(namespace(Path::new("/proc/self")).is_some());
    }
}
