//! What a VMM was told about its VM, by its command line. What it was not told is not known: a
//! default of the program is not looked up.

mod cloud_hypervisor;
mod crosvm;
mod firecracker;
mod options;
mod qemu;
mod qemu_disks;

/// How many disks, and how many network devices, of one VM are told.
pub(crate) const DEVICES_MAX: usize = 256;

/// A program that runs VMs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vmm {
    Qemu,
    CloudHypervisor,
    Firecracker,
    Crosvm,
}

impl Vmm {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Qemu => "qemu",
            Self::CloudHypervisor => "cloud-hypervisor",
            Self::Firecracker => "firecracker",
            Self::Crosvm => "crosvm",
        }
    }

    /// By the path of a program; `kvm` and `qemu-kvm` are what distributions call QEMU.
    pub(crate) fn of_program(path: &str) -> Option<Self> {
        let path = path.strip_suffix(" (deleted)").unwrap_or(path);
        match path.rsplit('/').next()? {
            "kvm" | "qemu-kvm" => Some(Self::Qemu),
            name if name.starts_with("qemu-system-") => Some(Self::Qemu),
            "cloud-hypervisor" | "cloud-hypervisor-static" => Some(Self::CloudHypervisor),
            "firecracker" => Some(Self::Firecracker),
            "crosvm" => Some(Self::Crosvm),
            _ => None,
        }
    }

    /// Reads a command line, the program's own name first.
    pub(crate) fn facts(self, argv: &[String]) -> VmFacts {
        let arguments = argv.get(1..).unwrap_or_default();
        let mut facts = match self {
            Self::Qemu => qemu::facts(arguments),
            Self::CloudHypervisor => cloud_hypervisor::facts(arguments),
            Self::Firecracker => firecracker::facts(arguments),
            Self::Crosvm => crosvm::facts(arguments),
        };
        facts.disks.truncate(DEVICES_MAX);
        facts.nets.truncate(DEVICES_MAX);
        facts
    }
}

/// What is known of a VM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct VmFacts {
    pub(crate) name: Option<String>,
    /// How many it begins with.
    pub(crate) vcpus: Option<u32>,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) machine: Option<String>,
    pub(crate) cpu_model: Option<String>,
    pub(crate) disks: Vec<Disk>,
    pub(crate) nets: Vec<Net>,
    /// A file that tells more.
    pub(crate) config_file: Option<String>,
}

impl VmFacts {
    /// Adds what a configuration file tells.
    pub(crate) fn read_config(&mut self, text: &[u8]) {
        firecracker::read_config(self, text);
        self.disks.truncate(DEVICES_MAX);
        self.nets.truncate(DEVICES_MAX);
    }
}

/// A disk of a VM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Disk {
    pub(crate) id: Option<String>,
    /// The host's file or device, or what else the VMM names.
    pub(crate) path: Option<String>,
    pub(crate) format: Option<String>,
    /// The cache mode in the VMM's own words.
    pub(crate) cache: Option<String>,
    /// How the VMM reads and writes, in its own words.
    pub(crate) aio: Option<String>,
    pub(crate) readonly: Option<bool>,
}

/// A network device of a VM, as the host has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Net {
    pub(crate) id: Option<String>,
    /// `tap`, `bridge`, `user`, `vhost-user` and what else the VMM knows.
    pub(crate) kind: Option<String>,
    /// The host's interface.
    pub(crate) ifname: Option<String>,
    pub(crate) vhost: Option<bool>,
    /// An open file of the VMM that is the interface.
    pub(crate) fd: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn programs_by_name() {
        let of = Vmm::of_program;
        assert_eq!(of("/usr/bin/qemu-system-x86_64"), Some(Vmm::Qemu));
        assert_eq!(of("/usr/libexec/qemu-kvm (deleted)"), Some(Vmm::Qemu));
        assert_eq!(of("cloud-hypervisor"), Some(Vmm::CloudHypervisor));
        assert_eq!(of("/firecracker"), Some(Vmm::Firecracker));
        assert_eq!(of("/usr/bin/crosvm"), Some(Vmm::Crosvm));
        assert_eq!(of("/usr/bin/qemu-img"), None);
        assert_eq!(of(""), None);
    }

    /// Words that the parsers look for, and what may stand around them.
    fn word() -> impl Strategy<Value = String> {
        prop_oneof![
            "[-]{0,2}(name|smp|m|drive|blockdev|device|netdev|nic|cpus|memory|mem|disk|net|block|id|config-file|cpu|machine)",
            "[-=,.{}\\[\\]\":a-z0-9]{0,40}",
            "(size|boot|path|file|guest|cpus|id|fd|node-name|num-cores)=[-=,.{}\\[\\]\"0-9kKMGTPEZ]{0,30}",
            "\\{(\"(driver|file|node-name|filename|cache|type|id)\":(\"[a-z0-9]{0,4}\"|\\{|\\}|1|true),?){0,8}\\}?",
            ".{0,20}",
        ]
    }

    proptest! {
        #[test]
        fn no_command_line_panics(argv in proptest::collection::vec(word(), 0..20)) {
            for vmm in [Vmm::Qemu, Vmm::CloudHypervisor, Vmm::Firecracker, Vmm::Crosvm] {
                let facts = vmm.facts(&argv);
                prop_assert!(facts.disks.len() <= DEVICES_MAX && facts.nets.len() <= DEVICES_MAX);
            }
        }

        #[test]
        fn no_config_panics(text in proptest::collection::vec(word(), 0..20)) {
            VmFacts::default().read_config(text.concat().as_bytes());
        }
    }

    #[test]
    fn nobody_is_made_to_remember_more_than_so_much() {
        let mut argv = vec!["qemu-system-x86_64".to_owned()];
        for n in 0..5_000 {
            argv.push("-blockdev".to_owned());
            // Each is below the next, and the first below the last: a circle.
            let file = (n + 4_999) % 5_000;
            argv.push(format!("driver=raw,node-name=n{n},file=n{file}"));
            argv.push("-drive".to_owned());
            argv.push(format!("file=/d{n}"));
        }
        assert_eq!(Vmm::Qemu.facts(&argv).disks.len(), DEVICES_MAX);
    }
}
