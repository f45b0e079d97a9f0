//! `virtflow info`.

mod vms;

use crate::args::{Format, InfoArgs};
use crate::output::{duration, duration_cell, number, share};
use crate::page::Page;
use crate::report::trace::{Times, clocks, losses, missing, problems};
use crate::table::{Table, Tone};
use crate::{Finish, output};
use std::path::Path;
use virtflow_query::store::{self, Store};
use virtflow_query::{Facts, Info, MachineInfo, Possible, SourceReport, info};

/// How many event names are shown unless all are asked for.
const NAMES: usize = 30;
const PROBLEMS: usize = 20;

pub(crate) fn run(args: &InfoArgs) -> anyhow::Result<Finish> {
    if let Some(store) = args.traces.store() {
        return of_store(args, store);
    }
    let recording = args.traces.recording()?;
    let info = info(&recording);
    match args.format {
        Format::Json => output::json(&info)?,
        Format::Text => text(&info, args).print()?,
    }
    Ok(if info.is_complete() {
        Finish::Complete
    } else {
        Finish::Incomplete
    })
}

/// Of a store: what it was made of and what is in it. Its manifest is its JSON form.
fn of_store(args: &InfoArgs, store: &Path) -> anyhow::Result<Finish> {
    let store = Store::open(store)?;
    let facts = store::facts(&store)?;
    let complete = facts.iter().all(Facts::is_complete);
    let manifest = store.manifest();
    if args.format == Format::Json {
        output::json(manifest)?;
    } else {
        let mut page = Page::default();
        let title = format!("virtflow info {}", args.traces);
        page.line(Tone::Strong, &title);
        for machine in &facts {
            losses(
                &mut page,
                &machine.streams,
                machine.begin_ns,
                &machine.problems,
                machine.checks.switches_contradicted,
            );
        }
        let told: Vec<_> = facts
            .iter()
            .map(|m| (m.name.as_str(), m.clock.as_ref()))
            .collect();
        clocks(&mut page, &told);
        contents(&mut page, &store)?;
        for machine in &facts {
            machine.traces.iter().for_each(|t| source(&mut page, t));
        }
        for machine in &facts {
            let machine = of_facts(machine);
            streams(&mut page, &machine);
            vms::show(&mut page, &machine.vms);
        }
        for machine in &facts {
            missing(&mut page, &machine.missing(true));
            problems(&mut page, &machine.problems, PROBLEMS);
        }
        page.print()?;
    }
    Ok(if complete {
        Finish::Complete
    } else {
        Finish::Incomplete
    })
}

/// A machine as [`streams`] and [`vms::show`] show it.
fn of_facts(facts: &Facts) -> MachineInfo {
    MachineInfo {
        name: facts.name.clone(),
        kernel: facts.kernel.clone(),
        clock: facts.clock.clone(),
        begin_ns: facts.begin_ns,
        end_ns: facts.end_ns,
        streams: facts.streams.clone(),
        vms: facts.vms.clone(),
        analyses: Vec::new(),
        missing: Vec::new(),
    }
}

fn contents(page: &mut Page, store: &Store) -> anyhow::Result<()> {
    let manifest = store.manifest();
    let sum = |of: fn(&store::Chunk) -> u64| number(manifest.chunks.iter().map(of).sum());
    page.heading(Tone::Strong, "STORE");
    page.fact("written by", &manifest.written_by);
    let only = if manifest.options["proved_only"] == true {
        "only what is proved"
    } else {
        "proved and likely"
    };
    page.fact("states", only);
    page.fact("size", &output::size(store.bytes()?));
    page.fact("entities", &number(store.entities().len() as u64));
    page.fact("intervals", &sum(|c| c.intervals));
    page.fact("exits", &sum(|c| c.exits));
    page.fact("edges", &sum(|c| c.edges));
    page.fact("chunks", &number(manifest.chunks.len() as u64));
    let changed = manifest.sources.iter().filter(|file| {
        let now = std::fs::metadata(&file.path);
        now.is_ok_and(|now| now.len() != file.bytes)
    });
    let gone = manifest
        .sources
        .iter()
        .filter(|file| !std::path::Path::new(&file.path).exists());
    page.fact(
        "made from",
        &format!(
            "{} files, of which {} have another size now, and {} are gone",
            number(manifest.sources.len() as u64),
            changed.count(),
            gone.count()
        ),
    );
    Ok(())
}

fn text(info: &Info, args: &InfoArgs) -> Page {
    let mut page = Page::default();
    page.line(Tone::Strong, &format!("virtflow info {}", info.path));
    for machine in &info.machines {
        losses(
            &mut page,
            &machine.streams,
            machine.begin_ns,
            &info.problems,
            0,
        );
    }
    let told = info.machines.iter();
    let told: Vec<_> = told.map(|m| (m.name.as_str(), m.clock.as_ref())).collect();
    clocks(&mut page, &told);
    for trace in &info.traces {
        source(&mut page, trace);
    }
    for machine in &info.machines {
        streams(&mut page, machine);
        vms::show(&mut page, &machine.vms);
    }
    events(&mut page, info, if args.all { usize::MAX } else { NAMES });
    for machine in &info.machines {
        analyses(&mut page, machine);
        missing(&mut page, &machine.missing);
    }
    problems(&mut page, &info.problems, PROBLEMS);
    page
}

fn source(page: &mut Page, trace: &SourceReport) {
    page.heading(Tone::Strong, "TRACE");
    let is_directory = trace.format.starts_with("CTF");
    let kind = if is_directory { "directory" } else { "file" };
    page.fact(kind, &trace.path);
    page.fact("format", &trace.format);
    page.fact(
        "tracer",
        if trace.tracer.is_empty() {
            "not told"
        } else {
            &trace.tracer
        },
    );
    page.fact(
        "domain",
        if trace.domain.is_empty() {
            "not told"
        } else {
            &trace.domain
        },
    );
    page.fact("machine", &trace.machine);
    page.fact(
        "size",
        &format!("{} in {} streams", output::size(trace.bytes), trace.streams),
    );
    for clock in &trace.clocks {
        let text = format!(
            "{}, {} Hz, zero at {} ns of the Unix epoch",
            clock.name,
            number(clock.frequency),
            clock.offset_ns
        );
        page.fact("clock", &text);
    }
}

fn streams(page: &mut Page, machine: &MachineInfo) {
    page.heading(Tone::Strong, &format!("MACHINE {}", machine.name));
    page.fact(
        "kernel",
        if machine.kernel.is_empty() {
            "not told"
        } else {
            &machine.kernel
        },
    );
    let (Some(begin), Some(end)) = (machine.begin_ns, machine.end_ns) else {
        page.fact("recorded", "nothing: its streams are empty");
        return;
    };
    page.fact("recorded", &Times::new(false).span(begin, end));
    page.section("Streams, from the beginning of the trace");
    let mut table = Table::new(
        1,
        [
            "CPU",
            "from",
            "to",
            "covers",
            "share",
            "events lost",
            "packets lost",
        ],
    );
    for stream in &machine.streams {
        let at = |ns: Option<i64>| {
            ns.map_or_else(
                || "-".to_owned(),
                |ns| format!("+{}", duration_cell(ns - begin)),
            )
        };
        let tone = if stream.is_whole() {
            Tone::Plain
        } else {
            Tone::Warning
        };
        table.row(
            tone,
            [
                stream
                    .cpu
                    .map_or_else(|| "-".to_owned(), |cpu| cpu.to_string()),
                at(stream.begin_ns),
                at(stream.end_ns),
                duration(stream.covered_ns),
                share(stream.covered_ns, end - begin),
                number(stream.events_lost),
                number(stream.packets_lost),
            ],
        );
    }
    page.table(&table);
}

fn events(page: &mut Page, info: &Info, names: usize) {
    page.heading(
        Tone::Strong,
        &format!("EVENTS: {}", number(info.events_total)),
    );
    if info.events.is_empty() {
        page.paragraph(Tone::Plain, "The recording holds no event.");
        return;
    }
    let mut table = Table::new(1, ["name", "count", "share", "used"]);
    let total = i64::try_from(info.events_total).unwrap_or(i64::MAX);
    for event in info.events.iter().take(names) {
        let count = i64::try_from(event.count).unwrap_or(i64::MAX);
        let used = if event.used { "yes" } else { "no" };
        table.row(
            Tone::Plain,
            [
                event.name.clone(),
                number(event.count),
                share(count, total),
                used.to_owned(),
            ],
        );
    }
    page.table(&table);
    let used: u64 = info.events.iter().filter(|e| e.used).map(|e| e.count).sum();
    let used = share(i64::try_from(used).unwrap_or(i64::MAX), total);
    let rest = info.events.len().saturating_sub(names);
    let more = if rest > 0 {
        format!("{rest} more names (--all). ")
    } else {
        String::new()
    };
    page.paragraph(
        Tone::Faint,
        &format!("{more}{used} of the events are of use to the analyses; the others cost room."),
    );
}

fn analyses(page: &mut Page, machine: &MachineInfo) {
    page.heading(Tone::Strong, "WHAT THE TRACE IS GOOD FOR");
    for analysis in &machine.analyses {
        let (tone, word) = match analysis.possible {
            Possible::Yes => (Tone::Plain, "yes"),
            Possible::Partly => (Tone::Warning, "partly"),
            Possible::No => (Tone::Warning, "no"),
            Possible::NothingSeen => (Tone::Faint, "none"),
        };
        let list = analysis.missing.join(", ");
        let why = match analysis.possible {
            Possible::Yes => String::new(),
            Possible::NothingSeen => format!("recorded, but there was no {list}"),
            Possible::Partly | Possible::No => format!("without {list}"),
        };
        page.labelled(tone, 2, &format!("{:<30}{word}", analysis.name), 40, &why);
    }
}
