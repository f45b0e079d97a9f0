//! `virtflow record`: a trace of this host, by BPF programs in its kernel.

use crate::args::{Format, RecordArgs, UsageError};
use crate::output::{self, duration, number, size};
use crate::page::Page;
use crate::table::Tone;
use crate::{EXIT_INTERRUPTED, Finish};
use anyhow::Context;
use serde::Serialize;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use virtflow_record::{Missing, Options, Plan, Summary, record};

pub(crate) fn run(args: &RecordArgs) -> anyhow::Result<Finish> {
    let plan = Plan::new(Options {
        groups: args.profile.groups(),
        ring_bytes: args.buffer.saturating_mul(1 << 20),
    })?;
    if args.dry_run {
        return dry_run(args, &plan);
    }
    let directory = match &args.output {
        Some(directory) => directory.clone(),
        None => PathBuf::from(format!(
            "virtflow-{}",
            jiff::Zoned::now().strftime("%Y%m%d-%H%M%S")
        )),
    };
    if directory.exists() {
        let what = format!(
            "{}: exists; name another directory with -o",
            directory.display()
        );
        return Err(UsageError(what).into());
    }
    let interrupted = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&interrupted);
    ctrlc::set_handler(move || {
        // The first one ends the recording, which then is whole; a second one all.
        if asked.fetch_add(1, Ordering::Relaxed) > 0 {
            std::process::exit(EXIT_INTERRUPTED);
        }
    })?;
    let mut child = None;
    let begun = Instant::now();
    let mut failed = None;
    let missing = plan.missing().len();
    let summary = record(plan, &directory, |_| {
        // It begins when the programs are at work.
        if child.is_none() && !args.command.is_empty() && failed.is_none() {
            match start(&args.command) {
                Ok(started) => child = Some(started),
                Err(error) => failed = Some(error),
            }
        }
        let ended = child
            .as_mut()
            .is_some_and(|child| !matches!(child.try_wait(), Ok(None)));
        let over = args.duration.is_some_and(|whole| begun.elapsed() >= whole);
        ended || over || failed.is_some() || interrupted.load(Ordering::Relaxed) > 0
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    let code = child.map(|mut child| child.wait()).transpose()?;
    if let Some(code) = code.filter(|code| !code.success()) {
        output::complain(&format!(
            "virtflow: warning: {} ended with {code}",
            args.command[0]
        ));
    }
    tell(args, &summary, begun.elapsed(), missing)
}

fn start(command: &[String]) -> anyhow::Result<Child> {
    let [program, arguments @ ..] = command else {
        anyhow::bail!("no command");
    };
    let started = Command::new(program).args(arguments).spawn();
    started.with_context(|| format!("{program}: cannot be started"))
}

/// What `record` says as JSON.
#[derive(Serialize)]
struct Said<'a> {
    format: &'static str,
    version: u32,
    directory: &'a std::path::Path,
    events: u64,
    lost: u64,
    bytes: u64,
    elapsed_ns: u64,
    refused: Vec<&'a str>,
}

fn tell(
    args: &RecordArgs,
    summary: &Summary,
    took: Duration,
    missing: usize,
) -> anyhow::Result<Finish> {
    let nanos = i64::try_from(took.as_nanos()).unwrap_or(i64::MAX);
    if args.format == Format::Json {
        output::json(&Said {
            format: "virtflow-record",
            version: 1,
            directory: &summary.directory,
            events: summary.events,
            lost: summary.lost,
            bytes: summary.bytes,
            elapsed_ns: nanos.cast_unsigned(),
            refused: summary.refused.iter().map(|(name, _)| *name).collect(),
        })?;
    } else {
        let mut page = Page::default();
        page.line(Tone::Strong, &summary.directory.display().to_string());
        let rate = summary.events as f64 / took.as_secs_f64().max(1e-9);
        page.line(
            Tone::Plain,
            &format!(
                "{} events in {}, {}; {} a second",
                number(summary.events),
                duration(nanos),
                size(summary.bytes),
                number(rate as u64),
            ),
        );
        page.line(
            Tone::Plain,
            &format!("next: virtflow report {}", summary.directory.display()),
        );
        page.print()?;
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
    if summary.lost > 0 {
        output::complain(&format!(
            "virtflow: warning: {} events were LOST: there was no room for them; give more with --buffer",
            number(summary.lost)
        ));
        return Ok(Finish::Incomplete);
    }
    Ok(Finish::Complete)
}

/// What would be recorded.
#[derive(Serialize)]
struct Planned<'a> {
    format: &'static str,
    version: u32,
    tracepoints: Vec<&'a str>,
    missing_tracepoints: Vec<&'a str>,
    missing_fields: Vec<&'a str>,
}

fn dry_run(args: &RecordArgs, plan: &Plan) -> anyhow::Result<Finish> {
    let missing = plan.missing().iter();
    let planned = Planned {
        format: "virtflow-record-plan",
        version: 1,
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
    };
    if args.format == Format::Json {
        output::json(&planned)?;
        return Ok(Finish::Complete);
    }
    let mut page = Page::default();
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
    page.print()?;
    Ok(Finish::Complete)
}
