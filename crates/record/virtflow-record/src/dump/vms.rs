//! VMs: which processes run them, what these were told, and their vCPUs.
//!
//! That a process runs a VM is proved by KVM, which lists the VMs in debugfs, or by the process's
//! open files; the name of its program only makes it likely.

use super::out::{Class, Out};
use super::proc::{self, entries};
use super::roles;
use super::threads::{Candidate, Read};
use super::vmm::{Disk, Net, VmFacts};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Where KVM tells of its VMs (virt/kvm/kvm_main.c `kvm_create_vm_debugfs`).
pub(super) const DEBUGFS: &str = "/sys/kernel/debug/kvm";
/// How many open files of a process are looked at.
const FILES_MAX: usize = 8_192;
/// How much of a configuration file is read; a longer one is left alone.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// A VM in debugfs: a folder that is called by the thread that made the VM, and by the number that
/// the open file of the VM had there.
#[derive(Debug)]
pub(super) struct Listed {
    /// The thread that made it, and those that last ran its vCPUs, by newer kernels.
    pub(super) threads: Vec<i32>,
    file: i32,
    path: PathBuf,
}

pub(super) fn of_debugfs() -> impl Iterator<Item = Listed> {
    entries(Path::new(DEBUGFS)).into_iter().filter_map(|name| {
        let (creator, file) = name.split_once('-')?;
        let path = Path::new(DEBUGFS).join(&name);
        let mut threads = vec![creator.parse().ok()?];
        threads.extend(vcpus_of(&path).filter_map(|(_, vcpu)| thread_of(&vcpu)));
        Some(Listed {
            threads,
            file: file.parse().ok()?,
            path,
        })
    })
}

/// The folders of a VM's vCPUs, by number.
fn vcpus_of(vm: &Path) -> impl Iterator<Item = (u32, PathBuf)> {
    entries(vm).into_iter().filter_map(|name| {
        let number = name.strip_prefix("vcpu")?.parse().ok()?;
        Some((number, vm.join(&name)))
    })
}

fn thread_of(vcpu: &Path) -> Option<i32> {
    proc::number(&vcpu.join("pid")).filter(|tid| *tid > 0)
}

/// What a process's open files say.
#[derive(Debug, Default, PartialEq, Eq)]
struct Files {
    vms: u32,
    vcpus: u32,
}

/// Links that name a VM and its vCPUs (virt/kvm/kvm_main.c `anon_inode_getfile`).
fn files(process: &Path) -> Files {
    let mut files = Files::default();
    let links = fs::read_dir(process.join("fd"))
        .into_iter()
        .flatten()
        .flatten();
    for link in links
        .take(FILES_MAX)
        .filter_map(|entry| fs::read_link(entry.path()).ok())
    {
        match link.to_str() {
            Some("anon_inode:kvm-vm") => files.vms += 1,
            Some(link) if link.starts_with("anon_inode:kvm-vcpu") => files.vcpus += 1,
            _ => {}
        }
    }
    files
}

/// Tells all of them.
pub(super) fn write(out: &mut Out<'_>, read: &Read) {
    let listed: Vec<Listed> = of_debugfs().collect();
    for candidate in &read.candidates {
        let own = |vm: &&Listed| {
            let mut threads = candidate.threads.iter();
            threads.any(|(tid, _)| vm.threads.contains(tid))
        };
        let vms: Vec<&Listed> = listed.iter().filter(own).collect();
        out.look();
        let files = files(&candidate.path);
        let proved = !vms.is_empty() || files.vms > 0;
        if !proved && is_part_of_another(candidate, &read.candidates) {
            continue;
        }
        let facts = facts(candidate);
        vm(out, candidate, proved, &files, &facts);
        facts
            .disks
            .iter()
            .for_each(|of| disk(out, candidate.pid, of));
        facts.nets.iter().for_each(|of| net(out, candidate, of));
        let vcpus: BTreeMap<i32, u32> = vms
            .iter()
            .flat_map(|vm| vcpus(out, candidate.pid, vm))
            .collect();
        threads(out, candidate, &vcpus);
    }
}

/// A child that was made for one of a VM's devices has its parent's command line.
fn is_part_of_another(candidate: &Candidate, all: &[Candidate]) -> bool {
    let parent = all.iter().find(|other| other.pid == candidate.ppid);
    parent.is_some_and(|parent| parent.argv == candidate.argv)
}

fn facts(candidate: &Candidate) -> VmFacts {
    let Some(vmm) = candidate.vmm else {
        return VmFacts::default();
    };
    let mut facts = vmm.facts(&candidate.argv);
    let text = facts
        .config_file
        .as_deref()
        .and_then(|file| config(&candidate.path, file));
    if let Some(text) = text {
        facts.read_config(&text);
    }
    facts
}

/// A file as a process sees it: below its own root, whatever links say, and only what is a file.
fn config(process: &Path, file: &str) -> Option<Vec<u8>> {
    let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(process.join("root"), directory, Mode::empty()).ok()?;
    let seen = fs::read_link(process.join("cwd")).ok()?;
    let path = seen.join(file);
    let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    // Opening it for nothing has no effect, whatever it is.
    let handle = OFlags::PATH | OFlags::CLOEXEC;
    let found = rustix::fs::openat2(&root, &path, handle, Mode::empty(), inside).ok()?;
    let found = File::from(found);
    let about = found.metadata().ok()?;
    if !about.is_file() || about.len() > CONFIG_BYTES_MAX {
        return None;
    }
    use std::os::fd::AsRawFd;
    let again = format!("/proc/self/fd/{}", found.as_raw_fd());
    let mut text = Vec::new();
    let opened = File::open(again).ok()?;
    opened.take(CONFIG_BYTES_MAX).read_to_end(&mut text).ok()?;
    Some(text)
}

fn word(of: Option<&String>) -> &[u8] {
    of.map_or(b"", |word| word.as_bytes())
}

/// 1 yes, 0 no, -1 not told.
fn told(of: Option<bool>) -> u8 {
    of.map_or(u8::MAX, u8::from)
}

fn vm(out: &mut Out<'_>, candidate: &Candidate, proved: bool, files: &Files, facts: &VmFacts) {
    out.event(Class::Vm, |p| {
        p.i32(candidate.pid).u8(proved.into());
        p.u32(facts.vcpus.unwrap_or(0)).u32(files.vcpus);
        p.u64(facts.memory_bytes.unwrap_or(0));
        p.string(candidate.vmm.map_or("", super::vmm::Vmm::name).as_bytes());
        p.string(word(facts.name.as_ref()));
        p.string(word(facts.machine.as_ref()));
        p.string(word(facts.cpu_model.as_ref()));
    });
}

fn disk(out: &mut Out<'_>, pid: i32, disk: &Disk) {
    out.event(Class::VmDisk, |p| {
        p.i32(pid).u8(told(disk.readonly));
        for of in [&disk.id, &disk.path, &disk.format, &disk.cache, &disk.aio] {
            p.string(word(of.as_ref()));
        }
    });
}

fn net(out: &mut Out<'_>, candidate: &Candidate, net: &Net) {
    let opened = || interface(&candidate.path, net.fd?);
    let ifname = net.ifname.clone().or_else(opened);
    out.event(Class::VmNet, |p| {
        p.i32(candidate.pid).u8(told(net.vhost));
        for of in [&net.id, &net.kind, &ifname] {
            p.string(word(of.as_ref()));
        }
    });
}

/// The interface that an open file of a process is (drivers/net/tun.c `tun_chr_show_fdinfo`).
fn interface(process: &Path, fd: u32) -> Option<String> {
    let text = proc::fact(&process.join(format!("fdinfo/{fd}")))?;
    let name = text.lines().find_map(|line| line.strip_prefix("iff:"))?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// What debugfs tells of the vCPUs of a VM; gives their threads where it names them.
fn vcpus(out: &mut Out<'_>, pid: i32, vm: &Listed) -> Vec<(i32, u32)> {
    let mut threads = Vec::new();
    for (vcpu, path) in vcpus_of(&vm.path) {
        let tid = thread_of(&path);
        threads.extend(tid.map(|tid| (tid, vcpu)));
        let Some(offset) = proc::number::<i64>(&path.join("tsc-offset")) else {
            continue;
        };
        let ratio = proc::number(&path.join("tsc-scaling-ratio"));
        let bits = proc::number(&path.join("tsc-scaling-ratio-frac-bits"));
        let guest_mode = proc::number(&path.join("guest_mode"));
        out.event(Class::VcpuTsc, |p| {
            p.i32(pid).i32(vm.file).u32(vcpu).i32(tid.unwrap_or(0));
            p.i32(guest_mode.unwrap_or(-1)).i64(offset);
            p.u64(ratio.unwrap_or(0)).u32(bits.unwrap_or(0));
        });
    }
    threads
}

/// What the threads of a VMM do: vCPUs as KVM knows them, the others by their names.
fn threads(out: &mut Out<'_>, candidate: &Candidate, vcpus: &BTreeMap<i32, u32>) {
    for (tid, name) in &candidate.threads {
        let known = vcpus.get(tid).map(|vcpu| roles::Role {
            name: "vcpu",
            vcpu: Some(*vcpu),
        });
        let named = || roles::of(candidate.vmm, name, *tid == candidate.pid);
        let Some(role) = known.or_else(named) else {
            continue;
        };
        out.event(Class::Role, |p| {
            p.i32(*tid).i32(candidate.pid).u8(known.is_some().into());
            p.i32(role.vcpu.map_or(-1, u32::cast_signed));
            p.string(role.name.as_bytes());
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_a_file_below_the_root_of_its_process() {
        let place = tempfile::tempdir().unwrap();
        let own = Path::new("/proc/self");
        let there = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
        fs::write(there("vm.json"), b"{}").unwrap();
        fs::write(there("long"), vec![b' '; CONFIG_BYTES_MAX as usize + 1]).unwrap();
        std::os::unix::fs::symlink("vm.json", there("link")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", there("device")).unwrap();
        assert_eq!(config(own, &there("vm.json")).as_deref(), Some(&b"{}"[..]));
        assert_eq!(config(own, &there("link")).as_deref(), Some(&b"{}"[..]));
        for wrong in ["", "long", "device", "none", "../../../../../../dev/zero"] {
            assert_eq!(config(own, &there(wrong)), None, "{wrong}");
        }
        assert_eq!(config(own, "/proc/self/cwd/Cargo.toml"), None);
    }

    #[test]
    fn a_process_without_vms_has_none() {
        assert_eq!(files(Path::new("/proc/self")), Files::default());
        assert_eq!(interface(Path::new("/proc/self"), 0), None);
    }
}
