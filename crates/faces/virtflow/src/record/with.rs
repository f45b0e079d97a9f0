//! `virtflow record --with`: another tracer records.

use super::place::{Place, named};
use super::said::{Planned, show_plan};
use crate::args::{Format, Profile, RecordArgs, UsageError, With};
use crate::output::{self, duration, number, size};
use crate::page::Page;
use crate::table::Tone;
use crate::{EXIT_INTERRUPTED, Finish};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use virtflow_query::{Info, Recording, info};
use virtflow_tracers::{Driven, Group, Plan, Tracer, TracerError, Wanted, drive};

/// The tracers that are meant; none is virtflow itself.
pub(super) fn tracers(args: &RecordArgs) -> anyhow::Result<Option<Vec<Tracer>>> {
    let one = match args.with {
        Some(With::Lttng) => Some(Tracer::Lttng),
        Some(With::TraceCmd) => Some(Tracer::TraceCmd),
        Some(With::Perf) => Some(Tracer::Perf),
        Some(With::Virtflow) if args.print_commands => {
            let what =
                "--print-commands: virtflow records by itself; there is nothing else to type";
            return Err(UsageError(what.to_owned()).into());
        }
        None if args.print_commands => None,
        None | Some(With::Virtflow) => return Ok(None),
    };
    let ours_alone = [
        ("--vm", !args.vm.is_empty()),
        ("--max-size", args.max_size.is_some()),
        ("--flight-recorder", args.flight_recorder.is_some()),
        ("--cost", args.cost),
        ("--no-arguments", args.no_arguments),
    ];
    if let Some((option, _)) = ours_alone.iter().find(|(_, is_there)| *is_there) {
        let other = if one.is_some() {
            "--with"
        } else {
            "--print-commands"
        };
        let what = format!("{option}: only virtflow's own recorder has it; leave {other} out");
        return Err(UsageError(what).into());
    }
    Ok(Some(
        one.map_or_else(|| Tracer::ALL.to_vec(), |one| vec![one]),
    ))
}

pub(super) fn run(args: &RecordArgs, tracers: &[Tracer]) -> anyhow::Result<Finish> {
    if args.print_commands {
        return print(args, tracers);
    }
    let Some(&tracer) = tracers.first() else {
        return Ok(Finish::Complete);
    };
    if args.dry_run {
        let plan = Plan::new(tracer, wanted(args, named(args)))?;
        return dry_run(args, &plan);
    }
    let place = Place::new(args)?;
    let plan = Plan::new(tracer, wanted(args, place.path().to_owned()))?;
    warn(&plan);
    let interrupted = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&interrupted);
    // The first one ends the recording, which then is whole; a second one does not wait for that.
    ctrlc::set_handler(move || {
        asked.fetch_add(1, Ordering::Relaxed);
    })?;
    match drive(&plan, &interrupted) {
        Ok(driven) => tell(args, &plan, &driven),
        Err(error @ TracerError::Interrupted(_)) => {
            output::complain(&format!("virtflow: {error}"));
            drop(place);
            std::process::exit(EXIT_INTERRUPTED)
        }
        Err(error) => Err(error.into()),
    }
}

fn wanted(args: &RecordArgs, output: PathBuf) -> Wanted {
    use Group::{Block, Cr3, Irq, Kvm, Net, Power, Sched};
    let all = vec![Sched, Irq, Block, Net, Power, Kvm, Cr3];
    // Who asks for VMs has nothing of a trace without.
    let (groups, must) = match args.profile {
        Some(Profile::Minimal) => (vec![Sched], vec![Sched]),
        Some(Profile::Vm) => (all, vec![Sched, Kvm]),
        Some(Profile::Full) | None => (all, vec![Sched]),
    };
    Wanted {
        output,
        duration: args.duration,
        command: args.command.clone(),
        groups,
        must,
        buffer_mib: args.buffer.map_or(16, |bytes| {
            u32::try_from(bytes.div_ceil(1 << 20)).unwrap_or(u32::MAX)
        }),
    }
}

/// What `--print-commands` says as JSON.
#[derive(Serialize)]
struct Printed {
    format: &'static str,
    version: u32,
    tracers: Vec<Commands>,
}

#[derive(Serialize)]
struct Commands {
    tracer: &'static str,
    trace: PathBuf,
    commands: Vec<Vec<String>>,
    not_told: Vec<&'static str>,
    missing: Vec<&'static str>,
}

fn print(args: &RecordArgs, tracers: &[Tracer]) -> anyhow::Result<Finish> {
    let mut plans = Vec::new();
    for &tracer in tracers {
        let wanted = wanted(args, named(args));
        if !args.dry_run {
            plans.push(Plan::of_all(tracer, wanted));
            continue;
        }
        match Plan::new(tracer, wanted) {
            Ok(plan) => plans.push(plan),
            Err(error) if tracers.len() > 1 => output::complain(&format!("virtflow: {error}")),
            Err(error) => return Err(error.into()),
        }
    }
    if args.format == Format::Json {
        let tracers = plans.iter().map(|plan| Commands {
            tracer: plan.tracer().program(),
            trace: plan.trace(),
            commands: plan.commands(),
            not_told: plan.cannot(),
            missing: plan.missing().to_vec(),
        });
        output::json(&Printed {
            format: "virtflow-record-commands",
            version: 1,
            tracers: tracers.collect(),
        })?;
        return Ok(Finish::Complete);
    }
    let mut page = Page::default();
    for (at, plan) in plans.iter().enumerate() {
        if at > 0 {
            page.gap();
        }
        for line in plan.script().lines() {
            page.line(Tone::Plain, line);
        }
    }
    page.print()?;
    Ok(Finish::Complete)
}

fn dry_run(args: &RecordArgs, plan: &Plan) -> anyhow::Result<Finish> {
    warn(plan);
    show_plan(
        args,
        &Planned {
            format: "virtflow-record-plan",
            version: 1,
            tracer: Some(plan.tracer().program()),
            tracepoints: plan.events().collect(),
            missing_tracepoints: plan.missing().to_vec(),
            missing_fields: Vec::new(),
            guest_registers: None,
            may_not: None,
            state_dump: Vec::new(),
        },
    )
}

fn warn(plan: &Plan) {
    if let Some(started) = plan.started() {
        output::complain(&format!(
            "virtflow: {started} was started, and goes on running"
        ));
    }
    for warning in plan.warnings() {
        output::complain(&format!("virtflow: warning: {warning}"));
    }
}

/// What `record --with` says as JSON.
#[derive(Serialize)]
struct Said<'a> {
    format: &'static str,
    version: u32,
    tracer: &'static str,
    /// What to give to other commands: a directory or a file.
    trace: &'a Path,
    /// Of what was written, read back; absent where it cannot be read.
    events: Option<u64>,
    lost: Option<u64>,
    bytes: u64,
    elapsed_ns: u64,
    missing: &'a [&'static str],
    not_told: Vec<&'static str>,
}

fn tell(args: &RecordArgs, plan: &Plan, driven: &Driven) -> anyhow::Result<Finish> {
    let read = Recording::open_all(std::slice::from_ref(&driven.trace));
    let read = read.map(|recording| info(&recording));
    let elapsed = u64::try_from(driven.elapsed.as_nanos()).unwrap_or(u64::MAX);
    let of = |what: fn(&Info) -> u64| read.as_ref().ok().map(what);
    let said = Said {
        format: "virtflow-record",
        version: 1,
        tracer: plan.tracer().program(),
        trace: &driven.trace,
        events: of(|info| info.events_total),
        lost: of(lost),
        bytes: bytes(&driven.trace),
        // LTTng's streams begin before it records, others' commands do.
        elapsed_ns: of(span).unwrap_or(u64::MAX).min(elapsed),
        missing: plan.missing(),
        not_told: plan.cannot(),
    };
    if args.format == Format::Json {
        output::json(&said)?;
    } else {
        page(&said).print()?;
    }
    if let Some(ended) = &driven.ended {
        output::complain(&format!("virtflow: warning: {ended}"));
    }
    if !said.missing.is_empty() {
        let missing = said.missing.len();
        let some = format!(
            "virtflow: {missing} events are not there to record: --dry-run beside --with says which"
        );
        output::complain(&some);
    }
    let told = match &read {
        Ok(info) => complete(info, &said),
        Err(error) => anyhow::bail!("what was recorded cannot be read back: {error}"),
    };
    Ok(match (told, driven.code) {
        (Finish::Incomplete, _) if args.strict => Finish::Incomplete,
        (_, Some(code)) if code != 0 => Finish::Ended(code),
        (told, _) => told,
    })
}

fn page(said: &Said<'_>) -> Page {
    let mut page = Page::default();
    let trace = said.trace.display();
    page.line(Tone::Strong, &trace.to_string());
    let took = i64::try_from(said.elapsed_ns).unwrap_or(i64::MAX);
    let (took, size) = (duration(took), size(said.bytes));
    let line = match said.events {
        Some(events) => {
            let rate = events as f64 / (said.elapsed_ns as f64 / 1e9).max(1e-9);
            format!(
                "{} events in {took}, {size}; {} a second",
                number(events),
                number(rate as u64)
            )
        }
        None => format!("{took}, {size}"),
    };
    page.line(Tone::Plain, &line);
    for what in &said.not_told {
        page.labelled(Tone::Faint, 0, "not told:", 10, what);
    }
    if said.events.is_some() {
        page.line(Tone::Plain, &format!("next: virtflow report {trace}"));
    }
    page
}

/// Says what was lost, and that nothing was recorded.
fn complete(info: &Info, said: &Said<'_>) -> Finish {
    let lost = said.lost.unwrap_or(0);
    if lost > 0 {
        output::complain(&format!(
            "virtflow: warning: {} events were LOST: there was no room for them; give more with --buffer",
            number(lost)
        ));
    }
    if info.events_total == 0 {
        output::complain(
            "virtflow: warning: the trace holds NO EVENT: the command ended before the tracer had begun, or was not found",
        );
    }
    if info.is_complete() && info.events_total > 0 {
        return Finish::Complete;
    }
    if lost == 0 && info.events_total > 0 {
        output::complain(
            "virtflow: warning: the trace is not whole: `virtflow info` says what is wrong",
        );
    }
    Finish::Incomplete
}

fn lost(info: &Info) -> u64 {
    let streams = info.machines.iter().flat_map(|machine| &machine.streams);
    streams.map(|stream| stream.events_lost).sum()
}

/// How long was recorded.
fn span(info: &Info) -> u64 {
    let spans = info.machines.iter().filter_map(|machine| {
        let (begin, end) = (machine.begin_ns?, machine.end_ns?);
        end.checked_sub(begin)?.try_into().ok()
    });
    spans.max().unwrap_or(0)
}

/// How much room a file or what lies in a directory takes.
fn bytes(path: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else {
        return std::fs::metadata(path).map_or(0, |file| file.len());
    };
    entries.flatten().map(|entry| bytes(&entry.path())).sum()
}
