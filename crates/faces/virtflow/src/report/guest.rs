//! What ran inside a guest.

use super::words::cause;
use crate::output::{duration, duration_cell, share};
use crate::page::Page;
use crate::table::{Table, Tone};
use std::collections::BTreeMap;
use virtflow_query::{
    Budget, Cause, GuestReport, GuestThreadReport, NestedVmReport, ProcessReport, State,
};

/// How many causes stand side by side.
const CAUSES: usize = 5;
/// How many processes stand side by side, and how many threads of each one below the other.
const VICTIMS: usize = 4;
const THREADS: usize = 3;
/// What somebody does who has the guest's processor.
const RAN: [State; 3] = [State::RunUser, State::RunKernel, State::RunHypervisor];

/// Processes, the guest's kernel and its idle loop; `nested` are the VMs that some of the
/// processes run.
pub(super) fn guest(page: &mut Page, guest: &GuestReport, nested: &[NestedVmReport], top: usize) {
    if guest.is_empty() {
        return;
    }
    page.section("Its processes, told apart by their page tables (CR3), over all its vCPUs");
    let seen =
        [&guest.kernel, &guest.idle].map(|own| own.in_states(&RAN) + own.in_states(&[State::Idle]));
    if guest.processes.is_empty() && seen == [0, 0] {
        page.paragraph(
            Tone::Plain,
            "None is seen: no event tells what runs in this guest.",
        );
    } else {
        ran(page, guest, nested, top);
    }
    unknown(page, guest);
    wanted(page, guest, top);
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
        .find(|vm| vm.hypervisor_cr3.is_some() && vm.hypervisor_cr3 == process.cr3);
    match runs {
        Some(vm) => format!("{label} (L{})", vm.level),
        None => label.to_owned(),
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
        threads(&mut table, process, top);
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
    let proved = |budget: &Budget, states: &[State]| {
        budget
            .ns(|s| states.contains(&s.state) && s.confidence == virtflow_query::Confidence::Proved)
    };
    let kernel = &guest.kernel;
    if kernel.in_states(&RAN) > 0 {
        row(
            &mut table,
            Tone::Plain,
            "guest kernel",
            kernel,
            kernel.in_states(&RAN),
            proved(kernel, &RAN),
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
        that the events leave no other answer for; the rest is likely. No CPU: its vCPU was pre-empted, or another process had it. (L2): runs a nested VM.");
}

/// The threads of a process that has several.
fn threads(table: &mut Table, process: &ProcessReport, top: usize) {
    if process.threads.len() < 2 {
        return;
    }
    for thread in process.threads.iter().take(top.min(THREADS)) {
        let name = format!("  {}", thread.label);
        let (ran, proved) = (thread.ran_ns, thread.ran_proved_ns);
        row(table, Tone::Faint, &name, &thread.budget, ran, proved);
    }
    if process.threads.len() > THREADS {
        let rest = &process.threads[THREADS..];
        let budget = Budget::sum(rest.iter().map(|t| &t.budget));
        let sum = |of: fn(&GuestThreadReport) -> i64| rest.iter().map(of).sum();
        let name = format!("  {} more threads", rest.len());
        let (ran, proved) = (sum(|t| t.ran_ns), sum(|t| t.ran_proved_ns));
        row(table, Tone::Faint, &name, &budget, ran, proved);
    }
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

/// Who had the virtual processors while processes wanted them: one row for each that had one, the
/// processes that waited longest for it side by side.
fn wanted(page: &mut Page, guest: &GuestReport, top: usize) {
    let ready = |process: &ProcessReport| process.budget.in_states(&[State::ReadyInGuest]);
    let mut victims: Vec<_> = guest.processes.iter().filter(|p| ready(p) > 0).collect();
    if victims.is_empty() {
        return;
    }
    victims.sort_by_key(|process| std::cmp::Reverse(ready(process)));
    let mut rows: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for (at, process) in victims.iter().enumerate() {
        for taker in process.taken_by.iter().filter(|taker| taker.ready_ns > 0) {
            let row = rows.entry(&taker.label).or_default();
            row.resize(victims.len(), 0);
            row[at] += taker.ready_ns;
        }
    }
    let sum = |row: &[i64]| row.iter().sum::<i64>();
    let mut rows: Vec<_> = rows.into_iter().collect();
    rows.sort_by_key(|(_, row)| std::cmp::Reverse(sum(row)));
    let total: i64 = rows.iter().map(|(_, row)| sum(row)).sum();
    page.section("Who had the vCPU while its processes wanted it (ready in the guest)");
    let plain = |label: &str| label.strip_prefix("cr3 ").unwrap_or(label).to_owned();
    let shown = victims.len().min(VICTIMS);
    let headings = ["process (CR3)", "time", "share"].map(String::from);
    let columns = victims[..shown].iter().map(|p| plain(&p.label));
    let mut table = Table::new(1, headings.into_iter().chain(columns));
    let mut add = |tone: Tone, name: String, row: &[i64]| {
        let cells = [name, duration_cell(sum(row)), share(sum(row), total)];
        let own = row[..shown].iter().map(|ns| duration_cell(*ns));
        table.row(tone, cells.into_iter().chain(own));
    };
    let together = |rows: &[(&str, Vec<i64>)]| {
        let column = |at: usize| rows.iter().map(|(_, row)| row[at]).sum();
        (0..victims.len()).map(column).collect::<Vec<i64>>()
    };
    for (name, row) in rows.iter().take(top) {
        add(Tone::Plain, plain(name), row);
    }
    if rows.len() > top {
        let name = format!("{} more", rows.len() - top);
        add(Tone::Faint, name, &together(&rows[top..]));
    }
    add(Tone::Strong, "all".to_owned(), &together(&rows));
    page.table(&table);
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
