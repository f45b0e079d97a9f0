//! `virtflow compare`: what the host's trace alone says of a guest, beside what the guest's own says.

use crate::analyze::analysed;
use crate::args::{CompareArgs, Format, UsageError};
use crate::output::{self, duration, duration_cell, share};
use crate::page::Page;
use crate::table::{Table, Tone};
use crate::{Finish, range};
use anyhow::Context;
use serde::Serialize;
use virtflow_query::store::{Store, facts};
use virtflow_query::{Agreement, BesideProcess, Difference, Facts, Guest, GuestOf, Who, beside};

/// The version of the JSON.
const VERSION: u32 = 1;
/// Differences that are shown of each guest.
const DIFFERENCES: usize = 10;

pub(crate) fn run(args: &CompareArgs) -> anyhow::Result<Finish> {
    let scratch = tempfile::tempdir().context("no place for the analysis")?;
    let store = analysed(&args.traces, args.no_cache, scratch.path())?;
    let told = facts(&store)?;
    let guests = Guest::all(&store, &told);
    if guests.is_empty() {
        return Err(no_guest(&told).into());
    }
    let range = range::of(args.range.as_deref(), &told, args.local)?;
    let who = Who::new(&store);
    let mut all = Vec::new();
    for guest in &guests {
        let machine = &told[guest.machine as usize];
        let Some(of) = machine.clock.as_ref().and_then(|c| c.guest.clone()) else {
            continue;
        };
        let Some((begin, end)) = guest.span(&store) else {
            continue;
        };
        let begin = begin.max(range.start.as_nanos());
        let end = end.min(range.end.as_nanos());
        if begin >= end {
            let what = "--range: there, the host and the guest were not both recorded";
            return Err(UsageError(what.to_owned()).into());
        }
        let processes = beside(&store, guest, (begin, end), args.top, args.of.as_deref())?;
        all.push(Compared {
            machine: machine.name.clone(),
            vm: who.name(guest.vm),
            error_ns: machine.clock.as_ref().and_then(|c| c.error_ns),
            of,
            begin_ns: begin,
            end_ns: end,
            processes: processes
                .into_iter()
                .map(|said| Process::new(&store, &who, said))
                .collect(),
        });
    }
    if let Some(of) = &args.of
        && all.iter().all(|guest| guest.processes.is_empty())
    {
        let what = format!("--of {of}: no process that ran in a guest has that in its name");
        return Err(UsageError(what).into());
    }
    match args.format {
        Format::Json => output::json(&Said {
            format: "virtflow-compare",
            version: VERSION,
            guests: all,
        })?,
        Format::Text => page(&args.traces.to_string(), &all).print()?,
    }
    Ok(if told.iter().all(Facts::is_complete) {
        Finish::Complete
    } else {
        Finish::Incomplete
    })
}

/// There is nothing to compare.
fn no_guest(told: &[Facts]) -> UsageError {
    let names: Vec<_> = told.iter().map(|machine| machine.name.as_str()).collect();
    let what = if let [only] = &names[..] {
        format!("these are traces of {only} alone; give the host's trace and the guest's")
    } else {
        format!(
            "none of {} is known to be a guest of another: nothing tells its clock, or the host's trace lacks \
             kvm_x86_entry, kvm_x86_exit or sched_switch; see CLOCKS in `virtflow info`",
            names.join(", ")
        )
    };
    UsageError(what)
}

#[derive(Serialize)]
struct Said {
    format: &'static str,
    version: u32,
    guests: Vec<Compared>,
}

/// A guest. Times are nanoseconds, beginnings and ends since the Unix epoch.
#[derive(Serialize)]
struct Compared {
    machine: String,
    vm: String,
    of: GuestOf,
    error_ns: Option<i64>,
    begin_ns: i64,
    end_ns: i64,
    processes: Vec<Process>,
}

/// A process, and what it is by the host's trace.
#[derive(Serialize)]
struct Process {
    key: Option<String>,
    label: Option<String>,
    #[serde(flatten)]
    said: BesideProcess,
}

impl Process {
    fn new(store: &Store, who: &Who<'_>, said: BesideProcess) -> Self {
        let record = said.process.and_then(|p| store.entities().get(p as usize));
        Self {
            key: record.map(|record| record.key.clone()),
            label: said.process.map(|process| who.own_name(process)),
            said,
        }
    }
}

fn page(traces: &str, all: &[Compared]) -> Page {
    let mut page = Page::default();
    page.line(Tone::Strong, &format!("virtflow compare {}", traces));
    for guest in all {
        of_guest(&mut page, guest);
    }
    page
}

fn of_guest(page: &mut Page, guest: &Compared) {
    page.heading(Tone::Strong, &format!("{}: {}", guest.machine, guest.vm));
    let whole = guest.end_ns - guest.begin_ns;
    let error = guest.error_ns.map_or_else(|| "?".to_owned(), duration);
    page.paragraph(
        Tone::Plain,
        &format!(
            "Both recorded the same {}. The guest's clock is known to within {error}.",
            duration(whole)
        ),
    );
    page.section("Processes: how long they ran");
    page.table(&cpu_time(guest));
    page.paragraph(
        Tone::Plain,
        "Guest: by the guest's own trace, with the time in which its vCPU had no processor, which it cannot \
         see; host: by the host's trace alone; both: by both at the same time.",
    );
    let compared: Vec<(&Process, &Agreement)> = guest
        .processes
        .iter()
        .filter_map(|process| Some((process, process.said.path.as_ref()?)))
        .collect();
    if compared.is_empty() {
        let none = "None of them was there long enough, by both, to compare critical paths.";
        return page.paragraph(Tone::Warning, none);
    }
    page.section("Critical paths: whose time it was and what that did");
    page.table(&paths(&compared));
    page.paragraph(
        Tone::Plain,
        "Same: the same process did, or waited for, the same; hidden: of it, its vCPU had no processor; kernel: \
         the guest's path goes through a thread that the host does not tell apart, ours says what was waited \
         for; unknown, untold: ours, the guest's says that it does not know.",
    );
    let rows = differences(&compared);
    if !rows.is_empty() {
        page.section("Where they differ most");
        page.table(&differing(&rows, &compared));
    }
}

fn cpu_time(guest: &Compared) -> Table {
    let mut table = Table::new(
        2,
        [
            "guest process",
            "by the host",
            "guest",
            "host",
            "both",
            "of guest's",
        ],
    );
    for process in &guest.processes {
        let said = &process.said;
        let tone = if said.process.is_some() {
            Tone::Plain
        } else {
            Tone::Warning
        };
        let label = process.label.as_deref().unwrap_or("not told apart");
        let label = label.trim_start_matches("process ");
        table.row(
            tone,
            [
                said.name.clone(),
                label.split(" of ").next().unwrap_or(label).to_owned(),
                duration_cell(said.ran_ns),
                duration_cell(said.ours_ns),
                duration_cell(said.both_ns),
                share(said.both_ns, said.ran_ns),
            ],
        );
    }
    table
}

fn paths(compared: &[(&Process, &Agreement)]) -> Table {
    let columns = [
        "path of", "length", "same", "hidden", "kernel", "unknown", "untold", "differ",
    ];
    let mut table = Table::new(1, columns);
    let row = |table: &mut Table, name: String, all: &[&Agreement]| {
        let sum = |of: fn(&Agreement) -> i64| all.iter().map(|path| of(path)).sum::<i64>();
        let whole = sum(Agreement::whole_ns);
        let part = |of| share(sum(of), whole);
        table.row(
            Tone::Plain,
            [
                name,
                duration_cell(whole),
                part(|path| path.same_ns),
                part(|path| path.hidden_ns),
                part(|path| path.kernel_ns),
                part(|path| path.unknown_ns),
                part(|path| path.untold_ns),
                part(Agreement::differ_ns),
            ],
        );
    };
    for (process, path) in compared {
        row(&mut table, process.said.name.clone(), &[path]);
    }
    if compared.len() > 1 {
        let all: Vec<_> = compared.iter().map(|(_, path)| *path).collect();
        table.rule();
        row(&mut table, "all".to_owned(), &all);
    }
    table
}

/// The differences of all paths, the longest first.
fn differences(compared: &[(&Process, &Agreement)]) -> Vec<Difference> {
    let mut all: Vec<Difference> = Vec::new();
    for difference in compared.iter().flat_map(|(_, path)| &path.differences) {
        let same = |d: &&mut Difference| d.guest == difference.guest && d.ours == difference.ours;
        match all.iter_mut().find(same) {
            Some(known) => known.ns += difference.ns,
            None => all.push(difference.clone()),
        }
    }
    all.sort_by(|a, b| b.ns.cmp(&a.ns).then_with(|| a.guest.cmp(&b.guest)));
    all
}

fn differing(rows: &[Difference], compared: &[(&Process, &Agreement)]) -> Table {
    let whole = compared.iter().map(|(_, path)| path.whole_ns()).sum();
    let mut table = Table::new(
        2,
        ["the guest says", "the host's trace says", "time", "share"],
    );
    for row in rows.iter().take(DIFFERENCES) {
        table.row(
            Tone::Plain,
            [
                row.guest.clone(),
                row.ours.clone(),
                duration_cell(row.ns),
                share(row.ns, whole),
            ],
        );
    }
    table
}
