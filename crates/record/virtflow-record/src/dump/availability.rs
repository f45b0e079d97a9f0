//! What of the dump this system tells to this process, and why not.

use super::proc;
use super::threads::PID_NAMESPACE;
use super::vms::DEBUGFS;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// A part of the state dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it tells.
    pub name: &'static str,
    /// Why it is not available, and what makes it so; `None` where it is.
    pub why_not: Option<String>,
}

const DEBUGFS_ROOT: &str = "/sys/kernel/debug";

/// `CAP_SYS_PTRACE` (include/uapi/linux/capability.h).
const SYS_PTRACE: u32 = 19;

/// All parts.
pub fn availability() -> Vec<Part> {
    let listed = |path: &str, without: &str| {
        let path = Path::new(path);
        denied(fs::read_dir(path).err(), path, without)
    };
    let of_others = || not_of_the_host().or_else(of_others);
    let parts = [
        (
            "threads and command lines",
            not_of_the_host().or_else(hidden),
        ),
        ("programs of processes", of_others()),
        ("namespaces", of_others()),
        (
            "control groups",
            file("/proc/self/cgroup", "the kernel has no control groups"),
        ),
        ("affinity of threads", not_of_the_host()),
        ("VMs by open files", of_others()),
        (
            "VMs by KVM, TSC of vCPUs",
            not_of_the_host().or_else(debugfs),
        ),
        (
            "KVM module parameters",
            listed("/sys/module/kvm/parameters", "KVM is not there"),
        ),
        (
            "block devices",
            listed("/sys/class/block", "sysfs is not mounted"),
        ),
        (
            "network devices",
            listed("/sys/class/net", "sysfs is not mounted"),
        ),
        (
            "interrupts",
            listed("/sys/kernel/irq", "the kernel is older than Linux 4.9"),
        ),
        ("CPU topology", file("/proc/cpuinfo", "proc is not mounted")),
        (
            "CPU frequency limits",
            listed(
                "/sys/devices/system/cpu/cpu0/cpufreq",
                "no driver sets frequencies",
            ),
        ),
    ];
    let parts = parts.into_iter();
    parts
        .map(|(name, why_not)| Part { name, why_not })
        .collect()
}

/// `/proc` may be mounted so that processes of others are not shown. The first process is one, and
/// everybody has it.
fn hidden() -> Option<String> {
    let path = Path::new("/proc/1/stat");
    let remedy = "proc is mounted with hidepid; run as root, or with CAP_SYS_PTRACE";
    denied(fs::File::open(path).err(), path, remedy)
}

/// Links of another user's process are shown to who may trace it (ptrace(2)).
fn of_others() -> Option<String> {
    let status = proc::read(Path::new("/proc/self/status"), 1 << 16).ok()?;
    let may = may(&String::from_utf8_lossy(&status), SYS_PTRACE);
    (!may).then(|| {
        "only of this user's own processes without CAP_SYS_PTRACE; run as root, or with it"
            .to_owned()
    })
}

/// Whether a status has a capability in effect.
fn may(status: &str, capability: u32) -> bool {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let all = line.and_then(|all| u64::from_str_radix(all.trim(), 16).ok());
    all.is_some_and(|all| all >> capability & 1 == 1)
}

/// Whether `/proc` has the host's numbers for threads, which are those of the events.
pub fn is_of_the_host() -> bool {
    not_of_the_host().is_none()
}

fn not_of_the_host() -> Option<String> {
    match proc::namespace(Path::new("/proc/self"), "pid") {
        Some(PID_NAMESPACE) => None,
        Some(_) => Some(
            "virtflow runs in a pid namespace of its own, and its numbers are not the host's; \
             run it in the host's"
                .to_owned(),
        ),
        None => Some("/proc/self/ns/pid cannot be read; mount proc".to_owned()),
    }
}

fn file(path: &str, without: &str) -> Option<String> {
    let path = Path::new(path);
    denied(fs::File::open(path).err(), path, without)
}

fn denied(error: Option<std::io::Error>, path: &Path, remedy: &str) -> Option<String> {
    let error = error?;
    let remedy = if remedy.is_empty() {
        String::new()
    } else {
        format!("; {remedy}")
    };
    Some(format!("{}: {error}{remedy}", path.display()))
}

fn debugfs() -> Option<String> {
    let error = match fs::read_dir(DEBUGFS) {
        Ok(_) => return None,
        Err(error) => error,
    };
    if error.kind() == ErrorKind::PermissionDenied {
        return Some(format!(
            "{DEBUGFS}: {error}; run as root, or with CAP_DAC_READ_SEARCH"
        ));
    }
    // A mounted one has entries.
    let mut root = fs::read_dir(DEBUGFS_ROOT).into_iter().flatten();
    if root.next().is_none() {
        return Some(format!(
            "debugfs is not mounted; mount -t debugfs none {DEBUGFS_ROOT}"
        ));
    }
    Some(format!(
        "{DEBUGFS}: {error}; KVM is not there, or tells nothing in debugfs"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_in_effect() {
        assert!(may("CapPrm:\t0\nCapEff:\t0000000000080000\n", SYS_PTRACE));
        assert!(!may(
            "CapPrm:\t80000\nCapEff:\t0000000000040000\n",
            SYS_PTRACE
        ));
        assert!(!may("", SYS_PTRACE));
    }

    #[test]
    fn each_part_says_why_it_is_missing() {
        for part in availability() {
            assert!(!part.name.is_empty());
            assert!(part.why_not.is_none_or(|why| !why.is_empty()));
        }
        let none = std::io::Error::from(ErrorKind::PermissionDenied);
        let remedy = "run as root";
        let why = denied(Some(none), Path::new("/proc/1/exe"), remedy).unwrap();
        assert_eq!(why, "/proc/1/exe: permission denied; run as root");
        assert_eq!(denied(None, Path::new("/"), remedy), None);
    }
}
