//! Threads and their processes.

use super::out::{Class, Out};
use super::proc::{self, Stat, Status, namespace, numbers};
use super::vmm::Vmm;
use crate::trace;
use rustix::time::{ClockId, clock_gettime};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// How many threads are told; beyond, they are counted.
const THREADS_MAX: u32 = 1 << 16;
/// How much of a command line is read, to find out what a VMM was told.
const COMMAND_BYTES_MAX: u64 = 1 << 18;
/// How much of one is told; of a VMM's, as it tells of the VM.
const COMMAND_TOLD_MAX: usize = 4_096;
const VMM_COMMAND_TOLD_MAX: usize = 1 << 15;
/// The first pid and user namespaces (include/linux/proc_ns.h `PROC_PID_INIT_INO`,
/// `PROC_USER_INIT_INO`).
pub(super) const PID_NAMESPACE: u32 = 0xefff_fffc;
const USER_NAMESPACE: u32 = 0xefff_fffd;
/// Ticks of `/proc` in a second (`USER_HZ`), and nanoseconds in a tick.
const TICK_NS: u64 = 1_000_000_000 / 100;
/// What LTTng says where it does not know what a thread executes (`enum lttng_execution_mode`).
const MODE_UNKNOWN: u32 = 5;
const SUBMODE_UNKNOWN: u32 = 1;
/// Controllers of control groups that say something of processors; the second hierarchy has none
/// in its name, and systemd's is where VMs have their names.
const CONTROLLERS: [&str; 4] = ["", "cpu", "cpuset", "name=systemd"];

/// What came of reading them.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) processes: u32,
    pub(super) threads: u32,
    /// Those that ended before they could be read.
    pub(super) vanished: u32,
    /// Those that there were too many of.
    pub(super) left_out: u32,
    /// Processes that may be VMMs.
    pub(super) candidates: Vec<Candidate>,
}

/// A process that may be a VMM: by its program's name, or as it made a VM.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) path: PathBuf,
    pub(super) pid: i32,
    pub(super) ppid: i32,
    pub(super) vmm: Option<Vmm>,
    pub(super) argv: Vec<String>,
    pub(super) threads: Vec<(i32, String)>,
}

/// Tells all of them; `owners` are threads that made VMs.
pub(super) fn write(out: &mut Out<'_>, owners: &BTreeSet<i32>) -> Read {
    let mut read = Read::default();
    let boot = clock_gettime(ClockId::Boottime);
    let boot = boot.tv_sec.cast_unsigned() * 1_000_000_000 + boot.tv_nsec.cast_unsigned();
    let now = trace::now();
    // `/proc` counts from the start of the machine, with the time in which it was suspended.
    let begun = out
        .told_since()
        .map(|since| boot.saturating_sub(now.saturating_sub(since)));
    for pid in numbers(Path::new("/proc")) {
        out.look();
        process(out, pid, owners, begun, &mut read);
    }
    read
}

fn process(
    out: &mut Out<'_>,
    pid: i32,
    owners: &BTreeSet<i32>,
    begun: Option<u64>,
    read: &mut Read,
) {
    let path = Path::new("/proc").join(pid.to_string());
    let tids = numbers(&path.join("task"));
    let pid_namespace = namespace(&path, "pid");
    let mut own = None;
    let mut names = Vec::new();
    for &tid in &tids {
        if read.threads >= THREADS_MAX {
            read.left_out += 1;
            continue;
        }
        let task = path.join(format!("task/{tid}"));
        let Some(stat) = Stat::read(&task.join("stat")) else {
            read.vanished += 1;
            continue;
        };
        // The programs were at work when it began, and its own events tell of it.
        if begun.is_some_and(|begun| stat.start_ticks.saturating_mul(TICK_NS) >= begun) {
            continue;
        }
        let status = Status::read(&task.join("status"));
        read.threads += 1;
        thread(out, tid, pid, &stat, &status, pid_namespace);
        names.push((tid, String::from_utf8_lossy(&stat.name).into_owned()));
        if tid == pid {
            own = Some((stat, status));
        }
    }
    // A process has threads for as long as it is one.
    let Some((stat, status)) = own else {
        return;
    };
    read.processes += 1;
    if !stat.user {
        return;
    }
    namespaces(out, pid, &path, &status);
    let (argv, vmm) = command(out, pid, &path);
    let groups = cgroups(out, pid, &path, None);
    if vmm.is_none() && !tids.iter().any(|tid| owners.contains(tid)) {
        return;
    }
    // What runs VMs often has its threads in groups of their own.
    for tid in tids.iter().filter(|tid| **tid != pid) {
        cgroups(
            out,
            *tid,
            &path.join(format!("task/{tid}")),
            groups.as_deref(),
        );
    }
    read.candidates.push(Candidate {
        path,
        pid,
        ppid: stat.ppid,
        vmm,
        argv,
        threads: names,
    });
}

fn thread(
    out: &mut Out<'_>,
    tid: i32,
    pid: i32,
    stat: &Stat,
    status: &Status,
    pid_namespace: Option<u32>,
) {
    let now = out.status(stat.status);
    out.event(Class::Process, |p| {
        p.i32(tid).i32(pid).i32(stat.ppid);
        p.text(&stat.name, 16);
        p.i32(i32::from(!stat.user));
        p.u32(MODE_UNKNOWN).u32(SUBMODE_UNKNOWN);
        p.i32(now).u32(stat.cpu);
    });
    if let Some(inode) = pid_namespace {
        // From the innermost out, as LTTng does; of those in between only the outermost is known.
        let level = status.tids.len().saturating_sub(1);
        if level > 0 && inode != PID_NAMESPACE {
            let number = |all: &[i32]| all.last().copied().unwrap_or(0);
            out.event(Class::PidNamespace, |p| {
                p.i32(tid)
                    .i32(number(&status.tids))
                    .i32(number(&status.pids));
                p.i32(0).i32(level as i32).u32(inode);
            });
        }
        if level > 0 || inode == PID_NAMESPACE {
            out.event(Class::PidNamespace, |p| {
                p.i32(tid).i32(tid).i32(pid).i32(stat.ppid);
                p.i32(0).u32(PID_NAMESPACE);
            });
        }
    }
    if let Some(cpus) = &status.cpus {
        out.event(Class::Affinity, |p| {
            p.i32(tid).u32(proc::how_many(cpus));
            p.string(cpus.as_bytes());
        });
    }
}

/// The namespaces of a process, which are those of its threads but for those that left them.
fn namespaces(out: &mut Out<'_>, pid: i32, path: &Path, status: &Status) {
    let kinds = [
        ("cgroup", Class::CgroupNamespace),
        ("ipc", Class::IpcNamespace),
        ("mnt", Class::MntNamespace),
        ("net", Class::NetNamespace),
        ("uts", Class::UtsNamespace),
        ("time", Class::TimeNamespace),
    ];
    for (kind, class) in kinds {
        if let Some(inode) = namespace(path, kind) {
            out.event(class, |p| {
                p.i32(pid).u32(inode);
            });
        }
    }
    if let Some(inode) = namespace(path, "user") {
        // Of another than the first neither the level nor the numbers inside are known.
        let first = inode == USER_NAMESPACE;
        let told = |id: Option<i32>| id.filter(|_| first).unwrap_or(-1);
        out.event(Class::UserNamespace, |p| {
            p.i32(pid).i32(told(status.uid)).i32(told(status.gid));
            p.i32(if first { 0 } else { -1 }).u32(inode);
        });
    }
}

/// A process's command line, and which VMM it seems to be.
fn command(out: &mut Out<'_>, pid: i32, path: &Path) -> (Vec<String>, Option<Vmm>) {
    let Command {
        bytes,
        argv,
        program,
        vmm,
    } = read_command(path);
    let told_max = if vmm.is_some() {
        VMM_COMMAND_TOLD_MAX
    } else {
        COMMAND_TOLD_MAX
    };
    let shown = shown(&argv);
    let told_max = if out.tells_arguments() { told_max } else { 0 };
    let end = shown.floor_char_boundary(told_max);
    let whole = shown.len() == end && (bytes.len() as u64) < COMMAND_BYTES_MAX;
    if !bytes.is_empty() || program.is_some() {
        out.event(Class::CommandLine, |p| {
            p.i32(pid).u32(bytes.len() as u32).u8((!whole).into());
            p.string(program.unwrap_or_default().as_bytes());
            p.string(&shown.as_bytes()[..end]);
        });
    }
    (argv, vmm)
}

/// The command line of a process.
struct Command {
    bytes: Vec<u8>,
    argv: Vec<String>,
    program: Option<String>,
    vmm: Option<Vmm>,
}

fn read_command(path: &Path) -> Command {
    let bytes = proc::read(&path.join("cmdline"), COMMAND_BYTES_MAX).unwrap_or_default();
    let argv = arguments(&bytes);
    let program = proc::program(path);
    let of = |name: &String| Vmm::of_program(name);
    let vmm = program.as_ref().and_then(of).or_else(|| of(argv.first()?));
    Command {
        bytes,
        argv,
        program,
        vmm,
    }
}

/// The processes that are VMMs by their programs, with what their command lines call the VM.
pub fn named_vms() -> Vec<(i32, Option<String>)> {
    let named = numbers(Path::new("/proc")).into_iter().filter_map(|pid| {
        let path = Path::new("/proc").join(pid.to_string());
        let command = read_command(&path);
        Some((pid, command.vmm?.facts(&command.argv).name))
    });
    named.collect()
}

/// The arguments; of a line that was read in part, those that are whole.
fn arguments(bytes: &[u8]) -> Vec<String> {
    let mut all: Vec<String> = bytes
        .split(|byte| *byte == 0)
        .map(|argument| String::from_utf8_lossy(argument).into_owned())
        .collect();
    // Each ends with a zero byte, but where a process wrote its own title.
    if bytes.ends_with(&[0]) || bytes.is_empty() || bytes.len() as u64 == COMMAND_BYTES_MAX {
        all.pop();
    }
    all
}

/// Arguments as a shell would take them.
fn shown(argv: &[String]) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-+=.,:/@%^{}[]".contains(c);
    let argument = |argument: &String| {
        if !argument.is_empty() && argument.chars().all(plain) {
            return argument.clone();
        }
        format!("'{}'", argument.replace('\'', r"'\''"))
    };
    argv.iter().map(argument).collect::<Vec<_>>().join(" ")
}

/// The control groups of a thread, unless they are those `but`; gives them as they were read.
fn cgroups(out: &mut Out<'_>, tid: i32, path: &Path, but: Option<&[u8]>) -> Option<Vec<u8>> {
    let text = proc::read(&path.join("cgroup"), 1 << 16).ok()?;
    if but == Some(&text[..]) {
        return Some(text);
    }
    for (controllers, group) in groups(&text) {
        out.event(Class::Cgroup, |p| {
            p.i32(tid);
            p.string(controllers).string(group);
        });
    }
    Some(text)
}

/// `4:cpu,cpuacct:/a` and `0::/a` (cgroups(7)): controllers and group, of those that matter here.
fn groups(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    text.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut parts = line.splitn(3, |byte| *byte == b':');
        let (_, controllers, group) = (parts.next()?, parts.next()?, parts.next()?);
        let mut names = controllers.split(|byte| *byte == b',');
        let told = names.any(|name| CONTROLLERS.iter().any(|known| known.as_bytes() == name));
        told.then_some((controllers, group))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_are_shown_as_a_shell_takes_them() {
        let argv = arguments(b"qemu\0-name\0guest=web 1\0-append\0\0it's\0");
        assert_eq!(
            argv,
            ["qemu", "-name", "guest=web 1", "-append", "", "it's"]
        );
        assert_eq!(
            shown(&argv),
            r"qemu -name 'guest=web 1' -append '' 'it'\''s'"
        );
        assert_eq!(arguments(b"sshd: a [priv]"), ["sshd: a [priv]"]);
        assert!(arguments(b"").is_empty());
        let mut cut = vec![b'a'; COMMAND_BYTES_MAX as usize];
        cut[3] = 0;
        assert_eq!(arguments(&cut), ["aaa"]);
    }

    #[test]
    fn control_groups_of_either_version() {
        let text = b"12:cpu,cpuacct:/a:b\n3:memory:/m\n1:name=systemd:/machine.slice/x\n0::/u\nx\n";
        let told: Vec<_> = groups(text).map(|(_, group)| group).collect();
        let expected: [&[u8]; 3] = [b"/a:b", b"/machine.slice/x", b"/u"];
        assert_eq!(told, expected);
    }
}
