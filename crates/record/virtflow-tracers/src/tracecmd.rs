//! trace-cmd: one command. Options as in trace-cmd-record(1) of version 3.1.

use crate::plan::{Plan, words};

pub(crate) const FILE: &str = "trace.dat";

pub(crate) const CANNOT: &[&str] = &[
    "processes and containers (VMs are told by the names of their vCPUs' threads, which QEMU gives \
     them with -name debug-threads=on, as libvirt does)",
];

/// What to say above the commands.
pub(crate) const NOTES: &[&str] = &[
    "Needs trace-cmd and root. It takes the kernel's tracing for itself: nobody else may use the \
     top-level instance meanwhile.",
    "-C mono: the default clock need not agree between CPUs. --date: times count from the Unix \
     epoch. -b: KiB for each CPU. -i: what this kernel lacks is left out; without KVM loaded \
     (modprobe kvm_amd or kvm_intel) that is all of KVM.",
];

pub(crate) fn argv(plan: &Plan) -> Vec<String> {
    let file = plan.trace().display().to_string();
    let kib = (plan.buffer_mib() * 1024).to_string();
    let program = plan.program();
    let head = [
        &program, "record", "-q", "-i", "--date", "-C", "mono", "-b", &kib, "-o", &file,
    ];
    let mut argv = words(&head);
    argv.extend(plan.events().flat_map(|event| words(&["-e", event])));
    argv.extend(plan.meanwhile());
    argv
}
