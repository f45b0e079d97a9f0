//! A VM's part of the report.

use super::budget::{Lane, budgets, takers, waits};
use super::guest;
use super::words::{NESTED, VCPU, last_part};
use crate::output::{duration, duration_cell, number, per_cent, share};
use crate::page::Page;
use crate::table::{Table, Tone};
use virtflow_query::{ExitReport, NestedVmReport, State, VmReport};

/// All VMs, a line each.
pub(super) fn summary(page: &mut Page, vms: &[VmReport]) {
    page.heading(Tone::Strong, "VIRTUAL MACHINES");
    page.paragraph(Tone::Faint, "In per cent of the time of all its virtual processors (vCPUs). No CPU: it wanted \
        to run and another thread or an interrupt had the CPU. Asleep: in the host, for a reason of the host, or no event tells for what.");
    let headings = [
        "VM", "vCPUs", "guest", "KVM", "VMM", "halted", "no CPU", "asleep", "unknown",
    ];
    let mut table = Table::new(1, headings);
    for vm in vms {
        let of = |states: &[State]| per_cent(vm.budget.in_states(states), vm.budget.wall_ns);
        let shares = [
            of(&[State::Guest]),
            of(&[State::Hypervisor, State::HaltPoll]),
            of(&[State::Vmm]),
            of(&[State::Halted]),
            of(&[
                State::Preempted,
                State::Runnable,
                State::IrqStolen,
                State::Throttled,
            ]),
            of(&[State::BlockedOnHost]),
            of(&[State::Unknown]),
        ];
        let cells = [vm.label.clone(), vm.vcpus.len().to_string()];
        table.row(Tone::Plain, cells.into_iter().chain(shares));
        for nested in &vm.nested {
            nested_summary(&mut table, nested, 1);
        }
    }
    page.table(&table);
}

fn nested_summary(table: &mut Table, vm: &NestedVmReport, depth: usize) {
    let of = |states: &[State]| per_cent(vm.budget.in_states(states), vm.budget.wall_ns);
    let shares = [
        of(&[State::Guest]),
        of(&[State::L0Handling, State::L1Handling, State::L2Handling]),
        "-".to_owned(),
        of(&[State::Halted]),
        of(&[
            State::PreemptedL0,
            State::PreemptedL1,
            State::PreemptedL2,
            State::Runnable,
        ]),
        "-".to_owned(),
        of(&[State::Unknown]),
    ];
    let cells = [
        format!("{}{}", "  ".repeat(depth), last_part(&vm.label)),
        vm.vcpus.len().to_string(),
    ];
    table.row(Tone::Plain, cells.into_iter().chain(shares));
    for nested in &vm.nested {
        nested_summary(table, nested, depth + 1);
    }
}

/// One VM.
pub(super) fn detail(page: &mut Page, vm: &VmReport, top: usize) {
    page.heading(Tone::Strong, &format!("VM {}", vm.label));
    let threads = vm
        .vcpus
        .iter()
        .filter_map(|v| Some(format!("vCPU {} = thread {}", v.vcpu?, v.tid?)));
    let threads: Vec<_> = threads.take(top).collect();
    page.paragraph(
        Tone::Faint,
        &format!("key {}; {}", vm.key, threads.join(", ")),
    );
    let lanes: Vec<_> = vm
        .vcpus
        .iter()
        .map(|vcpu| Lane {
            name: vcpu
                .vcpu
                .map_or_else(|| vcpu.key.clone(), |n| format!("vCPU {n}")),
            budget: &vcpu.budget,
            takers: &vcpu.taken_by,
        })
        .collect();
    page.section("Where the time of its vCPUs went");
    budgets(page, &vm.budget, &lanes, (VCPU, 1), top);
    if vm.waits.raw.count > 0 {
        page.section("Its waits: halts and sleeps in the host, by what ended them");
        waits(page, &vm.waits, top);
        if vm
            .waits
            .by_cause
            .iter()
            .any(|w| w.cause == virtflow_query::Cause::Idle)
        {
            page.paragraph(
                Tone::Faint,
                "idle: ended by a timer, after which the guest only halted again.",
            );
        }
    }
    if vm.vcpus.iter().any(|vcpu| !vcpu.taken_by.is_empty()) {
        page.section("Who had the CPU while its vCPUs wanted to run (pre-empted or runnable)");
        takers(page, &lanes, &vm.key, top);
    }
    exits(page, vm, top);
    guest::guest(page, &vm.guest, &vm.nested, top);
    for nested in &vm.nested {
        nested_vm(page, nested, top);
    }
}

fn exits(page: &mut Page, vm: &VmReport, top: usize) {
    if vm.exits.is_empty() {
        return;
    }
    let count: u64 = vm.vcpus.iter().map(|vcpu| vcpu.exit_count).sum();
    let open: u64 = vm.vcpus.iter().map(|vcpu| vcpu.open_exit_count).sum();
    page.section("Why its vCPUs left guest code, and how long until they entered it again");
    let headings = [
        "exit reason",
        "count",
        "total",
        "median",
        "p99",
        "kernel",
        "VMM",
        "off CPU",
    ];
    let mut table = Table::new(1, headings);
    let mut rows = by_reason(&vm.exits);
    rows.sort_by_key(|(_, e)| std::cmp::Reverse(e.latency.total_ns));
    for (name, exit) in rows.iter().take(top) {
        let d = &exit.latency;
        let parts = [exit.kernel_ns, exit.vmm_ns, exit.off_cpu_ns].map(|ns| share(ns, d.total_ns));
        let times = [d.total_ns, d.p50_ns, d.p99_ns].map(duration_cell);
        let cells = [name.clone(), number(d.count)];
        table.row(Tone::Plain, cells.into_iter().chain(times).chain(parts));
    }
    page.table(&table);
    let more = if rows.len() > top {
        format!("{} more reasons. ", rows.len() - top)
    } else {
        String::new()
    };
    let open = if open > 0 {
        format!(" and {open} that no entry followed")
    } else {
        String::new()
    };
    page.paragraph(
        Tone::Faint,
        &format!("{more}In all {} exits{open}.", number(count)),
    );
}

/// Exits by name: those that were reflected are told apart.
fn by_reason(exits: &[ExitReport]) -> Vec<(String, &ExitReport)> {
    let named = exits.iter().map(|exit| {
        let reflected = if exit.reflected { " (to L1)" } else { "" };
        (format!("{}{reflected}", exit.name), exit)
    });
    named.collect()
}

/// One VM inside another.
fn nested_vm(page: &mut Page, vm: &NestedVmReport, top: usize) {
    page.heading(Tone::Strong, &format!("NESTED VM {}", vm.label));
    let by = vm.hypervisor_cr3.as_deref().unwrap_or("(not recorded)");
    page.paragraph(
        Tone::Faint,
        &format!(
            "key {}; run by the L{} process with CR3 {by}",
            vm.key,
            vm.level - 1
        ),
    );
    let lanes: Vec<_> = vm
        .vcpus
        .iter()
        .map(|vcpu| Lane {
            name: vcpu
                .vcpu
                .map_or_else(|| vcpu.key.clone(), |n| format!("vCPU {n}")),
            budget: &vcpu.budget,
            takers: &vcpu.taken_by,
        })
        .collect();
    page.section(if vm.level == 2 {
        "Where the time of its vCPUs went (L0: this host, L1: the VM around it)"
    } else {
        "Where the time of its vCPUs went (L0: this host, L1: the VM, L2: in that)"
    });
    budgets(page, &vm.budget, &lanes, (NESTED, vm.level), top);
    nested_exits(page, vm, top);
    if vm.waits.raw.count > 0 {
        page.section("Its halts, by what ended them");
        waits(page, &vm.waits, top);
    }
    if vm.vcpus.iter().any(|vcpu| !vcpu.taken_by.is_empty()) {
        page.section("Who had the CPU instead: on the host, or (L1, L2) in the VMs around it");
        takers(page, &lanes, &vm.key, top);
    }
    guest::guest(page, &vm.guest, &vm.nested, top);
    for nested in &vm.nested {
        nested_vm(page, nested, top);
    }
}

fn nested_exits(page: &mut Page, vm: &NestedVmReport, top: usize) {
    if vm.exits.is_empty() {
        return;
    }
    page.section("Exits out of it: handled by L0, or reflected to L1");
    let headings = [
        "exit reason",
        "by",
        "count",
        "total",
        "mean",
        "median",
        "p99",
        "KVM",
        "off CPU",
    ];
    let mut table = Table::new(2, headings);
    for exit in vm.exits.iter().take(top) {
        let d = &exit.latency;
        let by = if exit.reflected { "L1" } else { "L0" };
        let cells = [exit.name.clone(), by.to_owned(), number(d.count)];
        let times = [d.total_ns, d.mean_ns, d.p50_ns, d.p99_ns].map(duration_cell);
        let parts = [exit.kernel_ns, exit.off_cpu_ns].map(|ns| share(ns, d.total_ns));
        table.row(Tone::Plain, cells.into_iter().chain(times).chain(parts));
    }
    page.table(&table);
    let count = |reflected: bool| -> u64 {
        vm.exits
            .iter()
            .filter(|e| e.reflected == reflected)
            .map(|e| e.latency.count)
            .sum()
    };
    let l1 = vm.budget.in_states(&[State::L1Handling]);
    let mean = l1 / i64::try_from(count(true).max(1)).unwrap_or(1);
    page.paragraph(
        Tone::Faint,
        &format!(
            "by: who handled it. Times are from the exit to the next entry, of it or of L1, on L0. L0 handled {} exits \
             itself; {} went to L1, which then took {} for them, {} each (exits handled by L1, above).",
            number(count(false)),
            number(count(true)),
            duration(l1),
            duration(mean),
        ),
    );
}
