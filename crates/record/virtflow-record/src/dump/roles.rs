//! What a VMM's threads do, by the names that VMMs give them.

use super::vmm::Vmm;

/// A thread's role, and the number of its vCPU where it is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Role {
    pub(super) name: &'static str,
    pub(super) vcpu: Option<u32>,
}

const fn role(name: &'static str) -> Option<Role> {
    Some(Role { name, vcpu: None })
}

/// `main` for the first thread of the process; `None` for a name that says nothing.
pub(super) fn of(vmm: Option<Vmm>, name: &str, first: bool) -> Option<Role> {
    let number = match vmm {
        // accel/kvm/kvm-accel-ops.c; the others name a thread in the same way in their sources.
        Some(Vmm::Qemu) => between(name, "CPU ", "/KVM"),
        Some(Vmm::CloudHypervisor) => between(name, "vcpu", ""),
        Some(Vmm::Firecracker) => between(name, "fc_vcpu ", ""),
        Some(Vmm::Crosvm) => between(name, "crosvm_vcpu", ""),
        None => None,
    };
    if number.is_some() {
        return Some(Role {
            name: "vcpu",
            vcpu: number,
        });
    }
    match vmm {
        _ if first => role("main"),
        // vhost_task_create (kernel/vhost_task.c) makes it a thread of the VMM.
        _ if name.starts_with("vhost-") => role("vhost"),
        Some(Vmm::Qemu) => match name {
            "worker" => role("worker"),
            "vnc_worker" => role("display"),
            "call_rcu" => role("rcu"),
            _ if name.starts_with("IO ") => role("iothread"),
            _ if name.contains("migration") || name.starts_with("multifd") => role("migration"),
            _ => None,
        },
        Some(Vmm::CloudHypervisor) => match name {
            "vmm" => role("vmm"),
            "http-server" => role("api"),
            _ if name.starts_with('_') => role("device"),
            _ => None,
        },
        Some(Vmm::Firecracker) if name == "fc_api" => role("api"),
        _ => None,
    }
}

fn between(name: &str, before: &str, after: &str) -> Option<u32> {
    name.strip_prefix(before)?.strip_suffix(after)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_threads() {
        let of = |vmm, name, first| {
            let role = of(Some(vmm), name, first)?;
            Some((role.name, role.vcpu))
        };
        assert_eq!(of(Vmm::Qemu, "CPU 12/KVM", false), Some(("vcpu", Some(12))));
        assert_eq!(of(Vmm::Qemu, "CPU 0/TCG", false), None);
        assert_eq!(of(Vmm::Qemu, "qemu-system-x86", true), Some(("main", None)));
        assert_eq!(
            of(Vmm::Qemu, "IO mon_iothread", false),
            Some(("iothread", None))
        );
        assert_eq!(of(Vmm::Qemu, "vhost-812", false), Some(("vhost", None)));
        assert_eq!(
            of(Vmm::CloudHypervisor, "vcpu3", false),
            Some(("vcpu", Some(3)))
        );
        assert_eq!(
            of(Vmm::CloudHypervisor, "_disk0_q0", false),
            Some(("device", None))
        );
        assert_eq!(
            of(Vmm::Firecracker, "fc_vcpu 1", false),
            Some(("vcpu", Some(1)))
        );
        assert_eq!(of(Vmm::Firecracker, "fc_api", false), Some(("api", None)));
        assert_eq!(
            of(Vmm::Crosvm, "crosvm_vcpu0", false),
            Some(("vcpu", Some(0)))
        );
        assert_eq!(of(Vmm::Crosvm, "anything", false), None);
    }
}
