//! What `record` says, before and afterwards.

use crate::Finish;
use crate::args::{Format, RecordArgs};
use crate::output::{self, duration, number, size};
use crate::page::Page;
use crate::table::Tone;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use virtflow_record::{Cost, Missing, Plan, Snapshot, Summary, availability};

/// What `record` says as JSON.
#[derive(Serialize)]
struct Said<'a> {
    format: &'static str,
    version: u32,
    directory: &'a Path,
    events: u64,
    lost: u64,
    /// What was not recorded though there was room, by tracepoint; where there is any.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    missed: BTreeMap<&'a str, u64>,
    bytes: u64,
    elapsed_ns: u64,
    /// What the command ended with, if it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    command_status: Option<u8>,
    refused: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshots: Option<Vec<SaidSnapshot<'a>>>,
    /// How many a flight recorder was to write and could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    unwritten: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<SaidCost>,
}

/// What a flight recorder wrote.
#[derive(Serialize)]
struct SaidSnapshot<'a> {
    directory: &'a Path,
    events: u64,
    lost: u64,
    bytes: u64,
    covers_ns: u64,
}

/// What the programs cost, by the kernel's own account.
#[derive(Serialize)]
struct SaidCost {
    runs: u64,
    ns: u64,
    ns_per_run: f64,
    tracepoints: Vec<OfTracepoint>,
}

/// What the program of a tracepoint cost.
#[derive(Serialize)]
struct OfTracepoint {
    name: &'static str,
    runs: u64,
    ns: u64,
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl From<&Vec<Cost>> for SaidCost {
    fn from(costs: &Vec<Cost>) -> Self {
        let ran = costs.iter().filter(|cost| cost.runs > 0);
        let tracepoints: Vec<OfTracepoint> = ran
            .map(|cost| OfTracepoint {
                name: cost.name,
                runs: cost.runs,
                ns: nanos(cost.time),
            })
            .collect();
        let (runs, ns) = tracepoints
            .iter()
            .fold((0, 0), |(runs, ns), of| (runs + of.runs, ns + of.ns));
        Self {
            runs,
            ns,
            ns_per_run: ns as f64 / runs.max(1) as f64,
            tracepoints,
        }
    }
}

/// Says what a recording came to.
pub(super) fn tell(
    args: &RecordArgs,
    directory: &Path,
    summary: &Summary,
    missing: usize,
    command_status: Option<u8>,
) -> anyhow::Result<Finish> {
    let is_flight = args.flight_recorder.is_some();
    if args.cost && summary.cost.is_none() {
        output::complain(
            "virtflow: warning: --cost: the kernel does not tell; it asks for CAP_SYS_ADMIN",
        );
    }
    if args.format == Format::Json {
        let snapshots = summary.snapshots.iter().map(|of| SaidSnapshot {
            directory: &of.directory,
            events: of.events,
            lost: of.lost,
            bytes: of.bytes,
            covers_ns: nanos(of.covers),
        });
        output::json(&Said {
            format: "virtflow-record",
            version: 1,
            directory,
            events: summary.events,
            lost: summary.lost,
            missed: summary.missed.0.iter().copied().collect(),
            bytes: summary.bytes,
            elapsed_ns: nanos(summary.covers),
            command_status,
            refused: summary.refused.iter().map(|(name, _)| *name).collect(),
            snapshots: is_flight.then(|| snapshots.collect()),
            unwritten: is_flight.then_some(summary.unwritten.len()),
            cost: summary.cost.as_ref().map(SaidCost::from),
        })?;
    } else {
        page(directory, is_flight, summary).print()?;
    }
    for (name, why) in &summary.refused {
        output::complain(&format!("virtflow: {name} is not recorded: {why}"));
    }
    if missing > 0 {
        let some = format!(
            "virtflow: {missing} things cannot be recorded on this kernel: --dry-run says which"
        );
        output::complain(&some);
    }
    if !summary.unwritten.is_empty() {
        let unwritten = summary.unwritten.len();
        anyhow::bail!("{unwritten} of the traces that were asked for could not be written");
    }
    if summary.missed.total() > 0 {
        output::complain(&format!(
            "virtflow: warning: events were MISSED, nobody knows when: {}; the kernel does not run a \
             program that is at work on the CPU already",
            summary.missed
        ));
    }
    if summary.lost > 0 {
        output::complain(&format!(
            "virtflow: warning: {} events were LOST: there was no room for them; give more with --buffer",
            number(summary.lost)
        ));
        return Ok(Finish::Incomplete);
    }
    Ok(if summary.missed.total() > 0 {
        Finish::Incomplete
    } else {
        Finish::Complete
    })
}

/// The same for people.
fn page(directory: &Path, is_flight: bool, summary: &Summary) -> Page {
    let took = summary.covers;
    let mut page = Page::default();
    let rate = summary.events as f64 / took.as_secs_f64().max(1e-9);
    let in_all = format!(
        "{} events in {}",
        number(summary.events),
        duration(nanos(took).cast_signed())
    );
    let rate = format!("{} a second", number(rate as u64));
    if is_flight {
        page.line(Tone::Plain, &format!("{in_all}; {rate}"));
        for of in &summary.snapshots {
            page.line(Tone::Plain, &snapshot(of));
        }
        if summary.snapshots.is_empty() && summary.unwritten.is_empty() {
            page.line(
                Tone::Plain,
                "nothing was written: no SIGUSR1 came, and no wait was too long",
            );
        }
    } else {
        page.line(Tone::Strong, &directory.display().to_string());
        let bytes = size(summary.bytes);
        page.line(Tone::Plain, &format!("{in_all}, {bytes}; {rate}"));
        if summary.is_full {
            page.line(Tone::Plain, "ended by --max-size");
        }
    }
    if let Some(cost) = summary.cost.as_ref().map(SaidCost::from) {
        let per = format!(
            "the BPF programs ran {} times, {:.0} ns each",
            number(cost.runs),
            cost.ns_per_run
        );
        page.line(Tone::Plain, &per);
    }
    let last = summary.snapshots.last().map(|of| of.directory.as_path());
    if let Some(trace) = last.or((!is_flight).then_some(directory)) {
        page.line(
            Tone::Plain,
            &format!("next: virtflow report {}", trace.display()),
        );
    }
    page
}

/// A snapshot in a line.
pub(super) fn snapshot(of: &Snapshot) -> String {
    format!(
        "{}: the last {}, {} events, {}{}",
        of.directory.display(),
        duration(nanos(of.covers).cast_signed()),
        number(of.events),
        size(of.bytes),
        if of.lost > 0 {
            format!("; {} LOST", number(of.lost))
        } else {
            String::new()
        }
    )
}

/// What would be recorded.
#[derive(Serialize)]
pub(super) struct Planned<'a> {
    pub(super) format: &'static str,
    pub(super) version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tracer: Option<&'a str>,
    pub(super) tracepoints: Vec<&'a str>,
    pub(super) missing_tracepoints: Vec<&'a str>,
    pub(super) missing_fields: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) guest_registers: Option<&'a str>,
    /// Why this process may not record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) may_not: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) state_dump: Vec<Dumped>,
}

/// A part of the state dump, and why it is not available if it is not.
#[derive(Serialize)]
pub(super) struct Dumped {
    part: &'static str,
    available: bool,
    why: Option<String>,
}

fn dumped() -> Vec<Dumped> {
    let parts = availability().into_iter();
    parts
        .map(|part| Dumped {
            part: part.name,
            available: part.why_not.is_none(),
            why: part.why_not,
        })
        .collect()
}

/// Says what would be recorded.
pub(super) fn dry_run(args: &RecordArgs, plan: &Plan) -> anyhow::Result<Finish> {
    let missing = plan.missing().iter();
    let planned = Planned {
        format: "virtflow-record-plan",
        version: 1,
        tracer: None,
        tracepoints: plan.tracepoints().collect(),
        missing_tracepoints: missing
            .clone()
            .filter_map(|missing| match missing {
                Missing::Tracepoint(name) => Some(*name),
                Missing::Field(_) => None,
            })
            .collect(),
        missing_fields: missing
            .filter_map(|missing| match missing {
                Missing::Field(name) => Some(*name),
                Missing::Tracepoint(_) => None,
            })
            .collect(),
        guest_registers: Some(plan.guest_registers()),
        may_not: virtflow_record::permission()
            .err()
            .map(|error| error.to_string()),
        state_dump: dumped(),
    };
    show_plan(args, &planned)
}

pub(super) fn show_plan(args: &RecordArgs, planned: &Planned<'_>) -> anyhow::Result<Finish> {
    if args.format == Format::Json {
        output::json(planned)?;
        return Ok(Finish::Complete);
    }
    let mut page = Page::default();
    if let Some(why) = &planned.may_not {
        page.paragraph(Tone::Warning, &format!("not by you: {why}"));
    }
    page.heading(
        Tone::Strong,
        &format!(
            "TRACEPOINTS THAT WOULD BE RECORDED: {}",
            planned.tracepoints.len()
        ),
    );
    page.paragraph(Tone::Plain, &planned.tracepoints.join(", "));
    let none = |names: &[&str]| {
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        }
    };
    page.heading(Tone::Strong, "WHAT THIS KERNEL LACKS");
    page.fact("tracepoints", &none(&planned.missing_tracepoints));
    page.fact("fields", &none(&planned.missing_fields));
    if let Some(registers) = planned.guest_registers {
        page.heading(Tone::Strong, "REGISTERS OF GUESTS");
        page.paragraph(Tone::Plain, registers);
    }
    if !planned.state_dump.is_empty() {
        page.heading(Tone::Strong, "WHAT THE STATE DUMP WOULD TELL");
    }
    for part in &planned.state_dump {
        let why = part.why.as_ref();
        let why = why.map_or_else(|| "yes".to_owned(), |why| format!("not available: {why}"));
        let tone = if part.available {
            Tone::Plain
        } else {
            Tone::Warning
        };
        page.labelled(tone, 2, part.part, 30, &why);
    }
    page.print()?;
    Ok(Finish::Complete)
}
