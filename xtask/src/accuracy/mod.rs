//! `cargo xtask accuracy`: the eight agreements of virtflow with what the guests themselves logged.
//!
//! The definition is `traces/README.md`, "How agreement with the truth is counted"; each agreement's
//! module says how it is counted here and what was decided where the definition leaves room. virtflow
//! is a black box: its binary runs on each folder and its CSV is read.

mod case;
mod causes;
mod cpu_time;
mod culprits;
mod edges;
mod exits;
mod goals;
mod guestlog;
mod on_off;
mod ours;
mod paths;
mod raw;
mod report;
mod span;
mod tasks;
#[cfg(test)]
mod tests;
mod threads;
mod truth;
mod wakeups;
mod who_runs;

use anyhow::{Context, Result, bail};
use case::Case;
use causes::Confusion;
use clap::{Parser, ValueEnum};
use ours::Ours;
use report::{Folder, Report, ms};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// Compare virtflow's answers with what the guests themselves logged
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Folders with `trace/` and `truth.json`, or folders of such folders
    #[arg(required_unless_present = "generated")]
    dirs: Vec<PathBuf>,
    /// Compare causal edges of generated traces, too
    #[arg(long)]
    generated: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// This binary, instead of one built from the workspace
    #[arg(long)]
    virtflow: Option<PathBuf>,
    /// Exit with 1 if a goal fails
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let virtflow = match &args.virtflow {
        Some(path) => path.clone(),
        None => crate::repo::release_binary("virtflow")?,
    };
    let mut report = Report::default();
    let mut pooled = Confusion::default();
    for folder in folders(&args.dirs)? {
        match judge(&virtflow, &folder) {
            Ok((folder, confusion)) => {
                report.folders.push(folder);
                pooled.merge(&confusion);
            }
            Err(error) => report
                .problems
                .push(format!("{}: {error:#}", folder.display())),
        }
    }
    if report.folders.len() > 1 {
        let recall = pooled
            .macro_recall()
            .map_or_else(|| "-".to_owned(), |recall| format!("{recall:.1} %"));
        report.pooled.push(pooled.table(&format!(
            "WAIT CAUSES OF ALL FOLDERS: macro recall {recall}"
        )));
    }
    if args.generated {
        report.pooled.push(edges::table(&virtflow)?);
    }
    let text = match args.format {
        Format::Text => report.text(),
        Format::Json => serde_json::to_string_pretty(&report)? + "\n",
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(if args.strict && report.failed() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// The folders with a trace and its truth among `dirs` and right below them.
fn folders(dirs: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let is_case = |path: &Path| path.join("truth.json").is_file() && path.join("trace").is_dir();
    let mut out = Vec::new();
    for dir in dirs {
        if is_case(dir) {
            out.push(dir.clone());
            continue;
        }
        let entries =
            std::fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
        let paths = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<std::io::Result<Vec<_>>>()?;
        let mut below: Vec<_> = paths.into_iter().filter(|path| is_case(path)).collect();
        if below.is_empty() {
            bail!(
                "{} holds no trace/ with a truth.json, nor do folders in it",
                dir.display()
            );
        }
        below.sort();
        out.append(&mut below);
    }
    Ok(out)
}

/// Runs one of virtflow's tables over a trace.
fn table(virtflow: &Path, what: &str, trace: &Path) -> Result<Vec<u8>> {
    let mut command = Command::new(virtflow);
    command
        .arg(what)
        .arg(trace)
        .args(["--format", "csv"])
        .stdin(Stdio::null());
    let output = command
        .output()
        .with_context(|| format!("cannot run {}", virtflow.display()))?;
    if !output.status.success() {
        bail!(
            "{command:?} failed ({}): {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(output.stdout)
}

fn judge(virtflow: &Path, folder: &Path) -> Result<(Folder, Confusion)> {
    let trace = folder.join("trace");
    let ours = Ours::parse(
        &table(virtflow, "intervals", &trace)?,
        &table(virtflow, "edges", &trace)?,
    )?;
    let case = Case::read(folder, ours)?;
    let (mut judged, confusion) = agreements(&case);
    judged
        .agreements
        .push(paths::agree(&case, virtflow, folder)?);
    Ok((judged, confusion))
}

fn agreements(case: &Case) -> (Folder, Confusion) {
    let (wait_causes, confusion) = causes::agree(case);
    let agreements = vec![
        on_off::agree(case),
        exits::agree(case),
        who_runs::agree(case),
        cpu_time::agree(case),
        wait_causes,
        wakeups::agree(case),
        culprits::agree(case),
    ];
    (
        Folder {
            name: case.name.clone(),
            facts: facts(case),
            agreements,
        },
        confusion,
    )
}

/// Interrupt number to class, per VM; and exits per vCPU and reason.
pub(crate) type CutFacts = (
    BTreeMap<String, BTreeMap<String, String>>,
    BTreeMap<String, BTreeMap<String, u64>>,
);

/// What the truth of `trace`, a cut of `folder`'s, needs beside a part of the truth: the interrupts'
/// classes, which may be spread over logs, and the exits in it, by the raw events.
pub(crate) fn facts_of_cut(folder: &Path, trace: &Path) -> Result<CutFacts> {
    let truth = truth::Truth::read(folder)?;
    let classes = |vm: &truth::Vm| {
        let classes = truth::irq_classes(vm, folder).into_iter();
        let classes = classes
            .map(|(irq, class)| (irq.to_string(), class))
            .collect();
        (vm.name.clone(), classes)
    };
    let interrupts = truth.vms.iter().map(classes).collect();
    let raw = raw::Raw::read(trace, truth.clock.ctf_offset_ns)?;
    Ok((interrupts, exits::counted(&truth, &raw)))
}

fn facts(case: &Case) -> Vec<String> {
    let guest = |guest: &case::Guest| format!("{} {} ms", guest.name, ms(guest.within.total()));
    let windows: Vec<_> = case.guests.iter().map(guest).collect();
    let mut facts = vec![format!(
        "all CPUs recorded for {} ms; of that compared with guests' logs: {}",
        ms(case.coverage.len()),
        if windows.is_empty() {
            "no guest".to_owned()
        } else {
            windows.join(", ")
        }
    )];
    let (ours, raw) = (&case.lost_ours, &case.lost_raw);
    if case.lost_events > 0 || ours.total() > 0 {
        facts.push(format!(
            "LOSS: {} events in windows of {} ms by babeltrace2; virtflow calls {} ms lost ({} ms of it outside those windows); goals bind outside both",
            case.lost_events,
            ms(raw.total()),
            ms(ours.total()),
            ms(ours.subtract(raw).total())
        ));
    }
    facts
}
