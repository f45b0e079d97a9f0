//! What to install where something is missing.

use crate::Tracer;

/// A family of distributions, by the words of `/etc/os-release` (`ID`, then `ID_LIKE`), and what to
/// type there for LTTng, trace-cmd and perf.
struct Family {
    ids: &'static [&'static str],
    name: &'static str,
    install: [&'static str; 3],
}

const FAMILIES: [Family; 5] = [
    Family {
        ids: &["ubuntu"],
        name: "Ubuntu",
        install: [
            "apt install lttng-tools lttng-modules-dkms",
            "apt install trace-cmd",
            "apt install linux-tools-$(uname -r)",
        ],
    },
    Family {
        ids: &["debian"],
        name: "Debian",
        install: [
            "apt install lttng-tools lttng-modules-dkms",
            "apt install trace-cmd",
            "apt install linux-perf",
        ],
    },
    Family {
        ids: &["fedora", "rhel", "centos"],
        name: "Fedora, RHEL",
        install: [
            "dnf install lttng-tools, and lttng-modules from its sources",
            "dnf install trace-cmd",
            "dnf install perf",
        ],
    },
    Family {
        ids: &["suse", "opensuse", "sles"],
        name: "SUSE",
        install: [
            "zypper install lttng-tools lttng-modules",
            "zypper install trace-cmd",
            "zypper install perf",
        ],
    },
    Family {
        ids: &["arch"],
        name: "Arch",
        install: [
            "lttng-tools and lttng-modules from their sources",
            "pacman -S trace-cmd",
            "pacman -S perf",
        ],
    },
];

/// How to install a tracer, on the distribution that runs.
pub(crate) fn install(tracer: Tracer) -> String {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    install_on(tracer, &release)
}

fn install_on(tracer: Tracer, release: &str) -> String {
    let of = |family: &Family| match tracer {
        Tracer::Lttng => family.install[0],
        Tracer::TraceCmd => family.install[1],
        Tracer::Perf => family.install[2],
    };
    match family(release) {
        Some(family) => format!("install it: {}", of(family)),
        None => {
            let all = FAMILIES.iter().map(|f| format!("{}: {}", f.name, of(f)));
            format!("install it. {}", all.collect::<Vec<_>>().join(". "))
        }
    }
}

fn family(release: &str) -> Option<&'static Family> {
    let value = |key: &str| {
        let mut lines = release.lines();
        let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        value.unwrap_or_default().trim_matches('"').to_lowercase()
    };
    let (id, like) = (value("ID"), value("ID_LIKE"));
    let mut words = id.split(' ').chain(like.split(' '));
    words.find_map(|word| {
        let word = word.split('-').next().unwrap_or(word);
        FAMILIES.iter().find(|family| family.ids.contains(&word))
    })
}

/// What to do where a tracer that is there lacks an event.
pub(crate) fn event(tracer: Tracer, kvm: bool) -> String {
    match (tracer, kvm) {
        (Tracer::Lttng, true) => {
            "have KVM loaded, and lttng-modules built against the full source of the kernel: \
             with headers alone, as Debian's lttng-modules-dkms is built, it has no probe of \
             x86's KVM"
                .to_owned()
        }
        (Tracer::Lttng, false) => {
            let install = install(tracer);
            format!("its kernel modules are not there or not those of this kernel; {install}")
        }
        (_, true) => "load KVM: modprobe kvm_amd, or modprobe kvm_intel".to_owned(),
        (_, false) => "the kernel must be built with CONFIG_EVENT_TRACING".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_told_by_what_they_say_of_themselves() {
        let on = |release: &str| install_on(Tracer::Perf, release);
        assert!(on("NAME=\"Debian GNU/Linux\"\nID=debian\n").ends_with("linux-perf"));
        assert!(on("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n").contains("linux-tools"));
        assert!(on("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n").contains("dnf"));
        assert!(on("ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n").contains("zypper"));
        assert!(on("ID=arch\n").contains("pacman"));
        let all = on("ID=other\n");
        assert!(FAMILIES.iter().all(|f| all.contains(f.name)), "{all}");
    }
}
