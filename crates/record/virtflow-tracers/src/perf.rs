//! perf: one command. Options as in perf-record(1) of Linux 6.1.

use crate::plan::{Plan, words};

pub(crate) const FILE: &str = "perf.data";

pub(crate) const CANNOT: &[&str] = &[];

/// What to say above the commands.
pub(crate) const NOTES: &[&str] = &[
    "Needs perf (linux-perf, linux-tools) and root.",
    "-k: the clock that others can be compared with. -m: room for each CPU, locked in memory. -c 1: \
     every event. --namespaces: which threads live in a container. -B -N: no build ids, which nobody asks for here. perf refuses a list with an event \
     that this kernel lacks: take it out; without KVM loaded (modprobe kvm_amd or kvm_intel) that is \
     all of kvm:.",
];

pub(crate) fn argv(plan: &Plan) -> Vec<String> {
    let file = plan.trace().display().to_string();
    let room = format!("{}M", plan.buffer_mib());
    let program = plan.program();
    let mut argv = words(&[&program, "record", "-a", "-c", "1", "-k", "CLOCK_MONOTONIC"]);
    argv.extend(words(&[
        "-m",
        &room,
        "--namespaces",
        "-B",
        "-N",
        "-o",
        &file,
    ]));
    for (_, events) in plan.groups() {
        argv.extend(words(&["-e", &events.join(",")]));
    }
    let meanwhile = plan.meanwhile();
    if !meanwhile.is_empty() {
        argv.push("--".to_owned());
        argv.extend(meanwhile);
    }
    argv
}
