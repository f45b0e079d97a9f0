//! The host's part of the report.

use crate::output::{duration_cell, share};
use crate::page::Page;
use crate::table::{Table, Tone};
use virtflow_query::{ContainerReport, HostReport, MachineReport, State, TakerKind};

pub(super) fn cpus(page: &mut Page, host: &HostReport) {
    page.heading(Tone::Strong, "PHYSICAL CPUS");
    let mut table = Table::new(
        1,
        [
            "CPU",
            "time",
            "vCPUs",
            "VMM threads",
            "other",
            "idle",
            "unknown",
        ],
    );
    for cpu in &host.cpus {
        let wall = cpu.budget.wall_ns;
        let of = |ns: i64| share(ns, wall);
        let cells = [
            cpu.key.strip_prefix("cpu:").unwrap_or(&cpu.key).to_owned(),
            duration_cell(wall),
            of(cpu.vcpu_ns),
            of(cpu.vm_helper_ns),
            of(cpu.other_ns),
            of(cpu.budget.in_states(&[State::Idle])),
            of(cpu.budget.in_states(&[State::Unknown])),
        ];
        table.row(Tone::Plain, cells);
    }
    page.table(&table);
}

/// Containers, and the threads that ran longest.
pub(super) fn threads(page: &mut Page, machine: &MachineReport, top: usize) {
    let host = &machine.host;
    let no_vms = machine.vms.is_empty() && machine.vms_left_out.is_empty();
    if !host.containers.is_empty() {
        page.heading(
            Tone::Strong,
            "CONTAINERS OF THE HOST (thread-time: summed over threads)",
        );
        let headings = [
            "container",
            "threads",
            "running",
            "runnable",
            "pre-empted",
            "asleep",
            "unknown",
        ];
        let mut table = Table::new(1, headings);
        for one in host.containers.iter().take(top) {
            let times = [
                one.running_ns,
                one.runnable_ns,
                one.preempted_ns,
                one.sleeping_ns,
                one.unknown_ns,
            ];
            let cells = [container_name(one), one.threads.to_string()];
            table.row(
                Tone::Plain,
                cells.into_iter().chain(times.map(duration_cell)),
            );
        }
        page.table(&table);
    }
    let title = if no_vms {
        "THREADS OF THE HOST"
    } else {
        "OTHER THREADS OF THE HOST"
    };
    page.heading(Tone::Strong, &format!("{title}, by time on a CPU"));
    let mut table = Table::new(
        2,
        [
            "thread",
            "part of",
            "running",
            "runnable",
            "pre-empted",
            "asleep",
            "unknown",
        ],
    );
    let shown = host
        .threads
        .iter()
        .filter(|t| t.kind != TakerKind::Vcpu && t.running_ns > 0);
    for thread in shown.take(top) {
        let container = host
            .containers
            .iter()
            .find(|c| c.key == thread.container_key);
        let group = container.map_or_else(|| thread.vm.clone(), container_name);
        let group = if group.is_empty() {
            "the host".to_owned()
        } else {
            group
        };
        let times = [
            thread.running_ns,
            thread.runnable_ns,
            thread.preempted_ns,
            thread.sleeping_ns,
            thread.unknown_ns,
        ];
        let cells = [thread.label.clone(), group];
        table.row(
            Tone::Plain,
            cells.into_iter().chain(times.map(duration_cell)),
        );
    }
    if table.is_empty() {
        page.paragraph(Tone::Plain, "No thread was seen to run.");
    } else {
        page.table(&table);
    }
}

/// Containers are called after their first command: their namespace's number tells them apart.
fn container_name(container: &ContainerReport) -> String {
    let number = container.key.rsplit(':').next().unwrap_or_default();
    format!("{}:{number}", container.label)
}
