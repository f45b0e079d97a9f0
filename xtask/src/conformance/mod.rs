//! `cargo xtask conformance`: every event, field and time stamp against Debian's babeltrace2.
//!
//! For each trace below the given directories, babeltrace2 runs with its sink `text.details`, which
//! shows each message with its stream, its time in cycles and nanoseconds, and every field. Beside it
//! virtflow's reader writes each event of the same stream in the same form, and the texts are compared
//! byte by byte, so the order of events between streams does not matter. Also compared: each packet's
//! begin and end, its context, and the events and packets that are told as lost.
//!
//! What that sink does not show is not compared: labels of enumerations (their numbers are), and digits
//! of floating point numbers after the sixth behind the point.

mod compare;
mod generated;
mod ours;
mod render;
#[cfg(test)]
mod tests;
mod told;

use anyhow::{Context, Result};
use clap::Parser;
use compare::Outcome;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

/// Compare every event, field and time stamp with babeltrace2
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Directories that hold traces, at any depth
    #[arg(required_unless_present = "generated")]
    dirs: Vec<PathBuf>,
    /// Also traces of so many events, made for this in every dialect that virtflow-synth knows
    #[arg(long, value_name = "EVENTS")]
    generated: Option<u64>,
    /// Differences of each trace that are shown; all are counted
    #[arg(long, default_value_t = 10)]
    show: usize,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let mut sum = Outcome::default();
    let mut traces = 0;
    for dir in &args.dirs {
        traces += directory(dir, args.show, &mut sum)?;
    }
    if let Some(events) = args.generated {
        for dialect in generated::DIALECTS {
            let scratch = tempfile::tempdir()?;
            let dir = generated::write(scratch.path(), dialect, events)?;
            traces += directory(&dir, args.show, &mut sum)?;
        }
    }
    say(&format!("{traces} traces: {}", sum.counts()));
    Ok(if sum.differences == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Compares the traces of a directory; how many there were.
fn directory(dir: &Path, show: usize, sum: &mut Outcome) -> Result<usize> {
    let traces = virtflow_ctf::discover(dir)?;
    for trace in &traces {
        let start = Instant::now();
        let outcome =
            conform(trace, show).with_context(|| format!("comparing {}", trace.display()))?;
        say(&format!(
            "{}: {}, {:.1} s",
            trace.display(),
            outcome.counts(),
            start.elapsed().as_secs_f64()
        ));
        for difference in &outcome.shown {
            say(&format!("  {difference}"));
        }
        for (fault, count) in &outcome.faults {
            say(&format!(
                "  babeltrace2's own fault, {count} times: {fault}"
            ));
        }
        sum.add(outcome);
    }
    Ok(traces.len())
}

#[expect(clippy::print_stdout, reason = "the report")]
fn say(text: &str) {
    println!("{text}");
}

/// Compares one trace.
fn conform(trace: &Path, show: usize) -> Result<Outcome> {
    let complaints = tempfile::NamedTempFile::new()?;
    let mut child = Command::new("babeltrace2")
        .arg("--component=in:source.ctf.fs")
        .arg(format!("--params=inputs=[\"{}\"]", trace.display()))
        .arg("--component=out:sink.text.details")
        .arg("--params=color=\"never\",compact=no,with-metadata=no")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(complaints.reopen()?)
        .spawn()
        .context("cannot run babeltrace2; install it: apt-get install babeltrace2")?;
    let stdout = child.stdout.take().context("babeltrace2 has no output")?;
    let mut outcome = compare::compare(trace, BufReader::with_capacity(1 << 20, stdout), show)?;
    if !child.wait()?.success() {
        let text = std::fs::read(complaints.path())?;
        let text = String::from_utf8_lossy(&text);
        let cause = text.lines().rfind(|line| !line.trim().is_empty());
        outcome.differ(
            show,
            format!("babeltrace2 gave up: {}", cause.unwrap_or_default().trim()),
        );
    }
    Ok(outcome)
}
