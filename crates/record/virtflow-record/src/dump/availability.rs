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

const PTRACE: &str = "run as root, or with CAP_SYS_PTRACE";
const DEBUGFS_ROOT: &str = "/sys/kernel/debug";

/// All parts.
pub fn availability() -> Vec<Part> {
    // The first process is another's, and everybody has it.
    let other = |name: &str| Path::new("/proc/1").join(name);
    let of_other = |name: &str| denied(fs::read_link(other(name)).err(), &other(name), PTRACE);
    let listed = |path: &str, without: &str| {
        let path = Path::new(path);
        denied(fs::read_dir(path).err(), path, without)
    };
    let hidden = || denied(fs::read(other("stat")).err(), &other("stat"), PTRACE);
    let parts = [
        (
            "threads and command lines",
            not_of_the_host().or_else(hidden),
        ),
        ("programs", not_of_the_host().or_else(|| of_other("exe"))),
        (
            "namespaces",
            not_of_the_host().or_else(|| of_other("ns/pid")),
        ),
        (
            "control groups",
            file("/proc/self/cgroup", "the kernel has no control groups"),
        ),
        ("affinity", file("/proc/self/status", "")),
        (
            "VMs, proved by open files",
            not_of_the_host()
                .or_else(|| denied(fs::read_dir(other("fd")).err(), &other("fd"), PTRACE)),
        ),
        (
            "TSC offsets of vCPUs, VMs proved by KVM",
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
            listed(
                "/sys/kernel/irq",
                "the kernel does not list them (before Linux 4.9)",
            ),
        ),
        ("CPU topology", file("/proc/cpuinfo", "")),
        (
            "CPU frequency limits",
            listed(
                "/sys/devices/system/cpu/cpu0/cpufreq",
                "no driver sets them",
            ),
        ),
    ];
    let parts = parts.into_iter();
    parts
        .map(|(name, why_not)| Part { name, why_not })
        .collect()
}

/// Whether `/proc` has the host's numbers for threads, which are those of the events.
pub(super) fn is_of_the_host() -> bool {
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
    fn each_part_says_why_it_is_missing() {
        for part in availability() {
            assert!(!part.name.is_empty());
            assert!(part.why_not.is_none_or(|why| !why.is_empty()));
        }
        let none = std::io::Error::from(ErrorKind::PermissionDenied);
        let why = denied(Some(none), Path::new("/proc/1/exe"), PTRACE).unwrap();
        assert_eq!(
            why,
            "/proc/1/exe: permission denied; run as root, or with CAP_SYS_PTRACE"
        );
        assert_eq!(denied(None, Path::new("/"), PTRACE), None);
    }
}
