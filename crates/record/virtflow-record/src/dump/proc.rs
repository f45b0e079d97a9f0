//! Files of `/proc` and `/sys`, read as far as they are wanted. Whatever they tell of may end
//! meanwhile; then there is nothing to be told.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// The most that is read of a file that tells one thing.
const FACT_BYTES_MAX: u64 = 4_096;

/// At most `max` bytes of a file.
pub(super) fn read(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A file that holds one thing.
pub(super) fn fact(path: &Path) -> Option<String> {
    let bytes = read(path, FACT_BYTES_MAX).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// A file that holds one number.
pub(super) fn number<N: std::str::FromStr>(path: &Path) -> Option<N> {
    fact(path)?.parse().ok()
}

/// The entries of a directory, in order.
pub(super) fn entries(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort_unstable();
    names
}

/// The entries of a directory that are numbers, in order.
pub(super) fn numbers(directory: &Path) -> Vec<i32> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut numbers: Vec<i32> = entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    numbers.sort_unstable();
    numbers
}

/// A thread, by its `stat` (proc_pid_stat(5)).
#[derive(Debug)]
pub(super) struct Stat {
    pub(super) ppid: i32,
    pub(super) name: Vec<u8>,
    /// In LTTng's words (`enum lttng_process_status`, lttng-statedump-impl.c).
    pub(super) status: i32,
    pub(super) cpu: u32,
    pub(super) user: bool,
    /// When it began, in ticks since the system did.
    pub(super) start_ticks: u64,
}

/// `PF_KTHREAD` (include/linux/sched.h).
const KERNEL_THREAD: u32 = 0x0020_0000;
/// LTTng's words for what a thread does.
const WAIT_CPU: i32 = 2;
const ZOMBIE: i32 = 4;
const WAIT: i32 = 5;
const DEAD: i32 = 7;

impl Stat {
    pub(super) fn read(path: &Path) -> Option<Self> {
        Self::parse(&read(path, FACT_BYTES_MAX).ok()?)
    }

    fn parse(text: &[u8]) -> Option<Self> {
        // The name may hold anything, and ends at the last parenthesis.
        let open = text.iter().position(|byte| *byte == b'(')?;
        let close = text.iter().rposition(|byte| *byte == b')')?;
        let rest = std::str::from_utf8(text.get(close + 2..)?).ok()?;
        // The third field of the manual is the first here.
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let flags: u32 = fields.get(6)?.parse().ok()?;
        Some(Self {
            ppid: fields.get(1)?.parse().ok()?,
            name: without_work(text.get(open + 1..close)?).to_vec(),
            status: match *fields.first()? {
                // LTTng leaves it to the reader, too, whether it has a processor.
                "R" => WAIT_CPU,
                "Z" => ZOMBIE,
                "X" | "x" => DEAD,
                _ => WAIT,
            },
            cpu: fields.get(36).and_then(|cpu| cpu.parse().ok()).unwrap_or(0),
            user: flags & KERNEL_THREAD == 0,
            start_ticks: fields.get(19)?.parse().ok()?,
        })
    }
}

/// A worker's own name, as events have it: `/proc` adds what it works on (kernel/workqueue.c
/// `wq_worker_comm`).
fn without_work(name: &[u8]) -> &[u8] {
    const WORKER: &[u8] = b"kworker/";
    // A rescuer (`kworker/R-name`) has a dash of its own.
    if !name.starts_with(WORKER) || name.starts_with(b"kworker/R-") {
        return name;
    }
    let mut parts = name.splitn(2, |byte| matches!(byte, b'-' | b'+'));
    parts.next().unwrap_or(name)
}

/// What `status` says of a thread (proc_pid_status(5)).
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Status {
    /// Its number, and that of its process, in each pid namespace from ours inwards.
    pub(super) tids: Vec<i32>,
    pub(super) pids: Vec<i32>,
    pub(super) uid: Option<i32>,
    pub(super) gid: Option<i32>,
    /// The processors it may run on, as a list (`0-3,8`).
    pub(super) cpus: Option<String>,
}

impl Status {
    pub(super) fn read(path: &Path) -> Self {
        // Masks of many processors and nodes take some room.
        read(path, 1 << 16).map_or_else(|_| Self::default(), |text| Self::parse(&text))
    }

    fn parse(text: &[u8]) -> Self {
        let mut status = Self::default();
        for line in text.split(|byte| *byte == b'\n') {
            let Some((key, value)) = std::str::from_utf8(line)
                .ok()
                .and_then(|line| line.split_once(':'))
            else {
                continue;
            };
            let numbers = || value.split_ascii_whitespace().map_while(|n| n.parse().ok());
            match key {
                "NSpid" => status.tids = numbers().collect(),
                "NStgid" => status.pids = numbers().collect(),
                "Uid" => status.uid = numbers().next(),
                "Gid" => status.gid = numbers().next(),
                "Cpus_allowed_list" => status.cpus = Some(value.trim().to_owned()),
                _ => {}
            }
        }
        status
    }
}

/// How many processors a list (`0-3,8`) names.
pub(super) fn how_many(list: &str) -> u32 {
    let ranges = list.split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        last.checked_sub(first)?.checked_add(1)
    });
    ranges.fold(0, u32::saturating_add)
}

/// The number of a namespace of a process: `ns/pid` is a link to `pid:[4026531836]`.
pub(super) fn namespace(process: &Path, kind: &str) -> Option<u32> {
    let link = fs::read_link(process.join("ns").join(kind)).ok()?;
    let (_, number) = link.to_str()?.split_once(":[")?;
    number.strip_suffix(']')?.parse().ok()
}

/// The program that a process runs, as far as it may be known.
pub(super) fn program(process: &Path) -> Option<String> {
    let link = fs::read_link(process.join("exe")).ok()?;
    Some(link.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_thread() {
        let own = Path::new("/proc/self");
        let stat = Stat::read(&own.join("stat")).unwrap();
        assert!(stat.user && stat.ppid > 0 && stat.start_ticks > 0);
        assert!(!stat.name.is_empty());
        let status = Status::read(&own.join("status"));
        let pid = std::process::id().cast_signed();
        assert_eq!(
            (status.tids.first(), status.pids.last()),
            (Some(&pid), Some(&pid))
        );
        assert!(how_many(&status.cpus.unwrap()) > 0);
        assert!(namespace(own, "pid").is_some());
        let program = program(own).unwrap();
        assert_eq!(Path::new(&program), std::env::current_exe().unwrap());
    }

    #[test]
    fn workers_have_the_name_that_events_have() {
        let of = |name: &str| String::from_utf8(without_work(name.as_bytes()).to_vec()).unwrap();
        assert_eq!(of("kworker/1:1H-kblockd"), "kworker/1:1H");
        assert_eq!(of("kworker/u4:0+events_unbound"), "kworker/u4:0");
        assert_eq!(of("kworker/0:2"), "kworker/0:2");
        assert_eq!(of("kworker/R-rcu_gp"), "kworker/R-rcu_gp");
        assert_eq!(of("my-thread"), "my-thread");
    }

    #[test]
    fn statuses_are_lttngs() {
        let of = |state: &str| {
            let text = format!("7 (a) b) {state} 1 7 7 0 -1 4194304 {}", "0 ".repeat(44));
            let stat = Stat::parse(text.as_bytes()).unwrap();
            assert_eq!(
                (stat.name, stat.ppid, stat.user),
                (b"a) b".to_vec(), 1, true)
            );
            stat.status
        };
        assert_eq!(
            ["R", "S", "D", "I", "T", "Z", "X"].map(of),
            [2, 5, 5, 5, 5, 4, 7]
        );
        for broken in ["", "7 (a", "7 a)", "7 (a)", "7 (a) R", "7 )a( R 1 2 3"] {
            assert!(Stat::parse(broken.as_bytes()).is_none(), "{broken}");
        }
    }

    #[test]
    fn a_status_of_a_container() {
        let text = b"Name:\tsh\nUid:\t1000\t1000\t0\t0\nNStgid:\t812\t1\nNSpid:\t813\t2\n\
            Cpus_allowed_list:\t0-3,8,10-11\n\xff: 1\n";
        let status = Status::parse(text);
        assert_eq!(
            (&status.tids[..], &status.pids[..]),
            (&[813, 2][..], &[812, 1][..])
        );
        assert_eq!((status.uid, status.gid), (Some(1000), None));
        assert_eq!(how_many(&status.cpus.unwrap()), 7);
        assert_eq!((how_many(""), how_many("3-1,x")), (0, 0));
        assert_eq!(how_many("0-4294967295,1"), 1);
    }
}
