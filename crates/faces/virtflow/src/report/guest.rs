//! What ran inside a guest.

use super::words::cause;
use crate::output::{duration, duration_cell, share};
use crate::page::Page;
use crate::table::{Table, Tone};
use std::collections::BTreeMap;
use virtflow_query::{Budget, Cause, GuestReport, NestedVmReport, ProcessReport, State};

/// How many causes stand side by side.
const CAUSES: usize = 5;

/// Processes, the guest's kernel and its idle loop; `nested` are the VMs that some of the
/// processes run.
pub(super) fn guest(page: &mut Page, guest: &GuestReport, nested: &[NestedVmReport], top: usize) {
    if guest.is_empty() {
        return;
    }
    page.section("Its processes, told apart by their page tables (CR3), over all its vCPUs");
    ran(page, guest, nested, top);
    unknown(page, guest);
    if guest.waits.raw.count > 0 {
        page.section("What its processes waited for");
        super::budget::waits(page, &guest.waits, top);
        page.gap();
        waited(page, guest, nested, top);
    }
}

/// What to call a process: by its page table, and as a VMM where it is one.
fn name(process: &ProcessReport, nested: &[NestedVmReport]) -> String {
    let label = process.label.strip_prefix("cr3 ").unwrap_or(&process.label);
    let runs = nested
        .iter()
        .any(|vm| vm.hypervisor_cr3.is_some() && vm.hypervisor_cr3 == process.cr3);
    if runs {
        format!("{label} (L2)")
    } else {
        label.to_owned()
    }
}

fn ran(page: &mut Page, guest: &GuestReport, nested: &[NestedVmReport], top: usize) {
    let headings = [
        "process (CR3)",
        "ran",
        "user",
        "kernel",
        "KVM+VMM",
        "no CPU",
        "waited",
        "proved",
    ];
    let mut table = Table::new(1, headings);
    for process in guest.processes.iter().take(top) {
        let name = name(process, nested);
        row(
            &mut table,
            Tone::Plain,
            &name,
            &process.budget,
            process.ran_ns,
            process.ran_proved_ns,
        );
    }
    if guest.processes.len() > top {
        let rest = &guest.processes[top..];
        let budget = Budget::sum(rest.iter().map(|p| &p.budget));
        let sum = |of: fn(&ProcessReport) -> i64| rest.iter().map(of).sum();
        let name = format!("{} more", rest.len());
        row(
            &mut table,
            Tone::Faint,
            &name,
            &budget,
            sum(|p| p.ran_ns),
            sum(|p| p.ran_proved_ns),
        );
    }
    table.rule();
    let ran = [State::RunUser, State::RunKernel, State::RunHypervisor];
    let proved = |budget: &Budget, states: &[State]| {
        budget
            .ns(|s| states.contains(&s.state) && s.confidence == virtflow_query::Confidence::Proved)
    };
    let kernel = &guest.kernel;
    if kernel.in_states(&ran) > 0 {
        row(
            &mut table,
            Tone::Plain,
            "guest kernel",
            kernel,
            kernel.in_states(&ran),
            proved(kernel, &ran),
        );
    }
    if guest.idle.lanes > 0 {
        let idle = guest.idle.in_states(&[State::Idle]);
        let cells = ["guest idle".to_owned(), duration_cell(idle)];
        let dash = || "-".to_owned();
        let proved = share(proved(&guest.idle, &[State::Idle]), idle);
        table.row(
            Tone::Plain,
            cells
                .into_iter()
                .chain([dash(), dash(), dash(), dash(), dash(), proved]),
        );
    }
    page.table(&table);
    page.paragraph(Tone::Faint, "ran = user + kernel + KVM and VMM working for it. proved: share of ran \
        that the events leave no other answer for; the rest is likely. No CPU: its vCPU was pre-empted. (L2): runs a nested VM.");
}

fn row(table: &mut Table, tone: Tone, name: &str, budget: &Budget, ran: i64, proved: i64) {
    let of = |states: &[State]| duration_cell(budget.in_states(states));
    table.row(
        tone,
        [
            name.to_owned(),
            duration_cell(ran),
            of(&[State::RunUser]),
            of(&[State::RunKernel]),
            of(&[State::RunHypervisor]),
            of(&[State::PreemptedOnHost, State::ReadyInGuest]),
            of(&[State::Waiting]),
            share(proved, ran),
        ],
    );
}

/// How much of the lanes' time is unknown, and why; and whether they tile.
fn unknown(page: &mut Page, guest: &GuestReport) {
    let processes = Budget::sum(guest.processes.iter().map(|p| &p.budget));
    let lanes = [
        ("processes", &processes),
        ("guest kernel", &guest.kernel),
        ("guest idle", &guest.idle),
    ];
    for (name, budget) in lanes {
        if budget.residual_ns != 0 {
            let residual = duration(budget.residual_ns);
            let text = format!("{name}: wall time less sum (residual) is {residual}.");
            page.paragraph(Tone::Warning, &text);
        }
        let why = budget.by_cause(State::Unknown);
        if why.is_empty() {
            continue;
        }
        let why = why
            .iter()
            .map(|(why, total)| format!("{} {}", cause(*why), duration(total.ns)));
        let why = why.collect::<Vec<_>>().join(", ");
        let ns = budget.in_states(&[State::Unknown]);
        let share = share(ns, budget.wall_ns);
        let (ns, of) = (duration(ns), duration(budget.wall_ns));
        let text = format!("Unknown of {name}: {ns} of {of} of their lanes ({share}): {why}.");
        page.paragraph(Tone::Warning, &text);
    }
}

/// Per process, the causes of its waits side by side.
fn waited(page: &mut Page, guest: &GuestReport, nested: &[NestedVmReport], top: usize) {
    let mut causes: Vec<Cause> = guest.waits.by_cause.iter().map(|wait| wait.cause).collect();
    causes.truncate(CAUSES);
    let headings = ["process (CR3)"]
        .into_iter()
        .chain(causes.iter().map(|c| short(*c)))
        .chain(["other"]);
    let mut table = Table::new(1, headings);
    for process in guest.processes.iter().take(top) {
        let waits: BTreeMap<Cause, i64> = process
            .waits
            .by_cause
            .iter()
            .map(|w| (w.cause, w.durations.total_ns))
            .collect();
        let all: i64 = waits.values().sum();
        let told: Vec<i64> = causes
            .iter()
            .map(|c| waits.get(c).copied().unwrap_or(0))
            .collect();
        let other = all - told.iter().sum::<i64>();
        let cells = told.into_iter().chain([other]).map(duration_cell);
        table.row(
            Tone::Plain,
            [name(process, nested)].into_iter().chain(cells),
        );
    }
    page.table(&table);
}

/// A cause as a heading.
const fn short(why: Cause) -> &'static str {
    match why {
        Cause::None => "not told",
        Cause::Task => "task",
        Cause::Net => "network",
        Cause::Console => "console",
        Cause::NoEvidence => "no evidence",
        Cause::Ambiguous => "ambiguous",
        Cause::NotRecorded => "not recorded",
        why => why.as_str(),
    }
}
