//! LTTng: a session with one channel, buffers for each processor.
//!
//! Options as in lttng-create(1), lttng-enable-channel(1), lttng-add-context(1) and
//! lttng-enable-event(1) of version 2.13.

use crate::plan::{Plan, Typed, words};
use std::path::Path;

pub(crate) const CANNOT: &[&str] =
    &["KVM's halt polling, kvm_vcpu_wakeup (it counts as the hypervisor's time)"];

/// What to say above the commands.
pub(crate) const NOTES: &[&str] = &[
    "Needs lttng-tools, lttng-modules, and root, or the group `tracing` where root's lttng-sessiond \
     runs; `lttng create` starts one where none runs, and it goes on running.",
    "Of an event that is not there LTTng says so and enables the others. No kvm_x86_* at all: \
     lttng-modules was built without the kernel's full source, as Debian's is.",
    "LTTng 2.13's probes of KVM record fields of older kernels: on Linux 6.1 kvm_x86_entry.vcpu_id \
     and kvm_x86_cpuid are wrong, kvm_x86_nested_vmrun never fires. virtflow knows. kvm_mmio is left \
     out: it can crash a vCPU's thread.",
];

const CHANNEL: &str = "--channel=k";
/// Sub-buffers of each processor. Sixteen of 1 MiB lost nothing in any recording of VMs of ours.
const SUB_BUFFERS: u32 = 16;

/// The commands up to the one that starts the recording.
pub(crate) fn before(plan: &Plan, session: &str, output: &Path) -> Vec<Typed> {
    let lttng = plan.program();
    let of = format!("--session={session}");
    let output = format!("--output={}", output.display());
    let kib = plan.buffer_mib() * 1024 / SUB_BUFFERS;
    let size = if kib.is_multiple_of(1024) {
        format!("--subbuf-size={}M", kib / 1024)
    } else {
        format!("--subbuf-size={kib}K")
    };
    let number = format!("--num-subbuf={SUB_BUFFERS}");
    let channel = [
        &lttng,
        "enable-channel",
        "--kernel",
        &of,
        "--discard",
        &size,
        &number,
        "k",
    ];
    let context = [
        &lttng,
        "add-context",
        "--kernel",
        &of,
        CHANNEL,
        "--type=pid",
        "--type=tid",
    ];
    let mut typed = vec![
        ("", words(&[&lttng, "create", session, &output])),
        ("room for each processor", words(&channel)),
        ("who runs, told by every event", words(&context)),
    ];
    for (group, events) in plan.groups() {
        let events = events.join(",");
        let enable = [&lttng, "enable-event", "--kernel", &of, CHANNEL, &events];
        typed.push((group.says(), words(&enable)));
    }
    typed.push(("", words(&[&lttng, "start", session])));
    typed
}

/// The commands that end the recording.
pub(crate) fn after(plan: &Plan, session: &str) -> [Vec<String>; 2] {
    let lttng = plan.program();
    ["stop", "destroy"].map(|what| words(&[&lttng, what, session]))
}

/// All of it as a person would type it.
pub(crate) fn typed(plan: &Plan) -> Vec<Typed> {
    const SESSION: &str = "virtflow";
    let mut typed = before(plan, SESSION, &plan.wanted.output);
    let meanwhile = plan.meanwhile();
    let nothing = meanwhile.is_empty();
    if !nothing {
        typed.push(("", meanwhile));
    }
    let [stop, destroy] = after(plan, SESSION);
    typed.push((
        if nothing {
            "when you have seen enough"
        } else {
            ""
        },
        stop,
    ));
    typed.push(("", destroy));
    typed
}
