//! `cargo xtask overhead`: what a recording costs what is recorded.
//!
//! sysbench's processor, memory, file and thread tests run without a recording and with one, in
//! turn and in changing order, many times; the difference is told with its confidence interval, and
//! beside it what the BPF programs cost by the kernel's own account.

use crate::repo;
use anyhow::{Context, Result, bail};
use clap::Parser;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// What sysbench does, in the order of the table.
const TESTS: &[(&str, &[&str])] = &[
    ("cpu", &["cpu"]),
    ("memory", &["memory", "--memory-total-size=1T"]),
    (
        "fileio",
        &[
            "fileio",
            "--file-total-size=64M",
            "--file-num=8",
            "--file-test-mode=rndrw",
        ],
    ),
    // Nothing but switches: the worst case.
    ("threads", &["threads", "--threads=8"]),
];
/// How long the recorder's own switches are counted at least: in a second a test that computes switches some
/// hundred times, of which even one look at the rings is more than one per cent.
const SHARE_SECONDS: u32 = 10;
/// How long a recorder may take until it records.
const STARTS_WITHIN: Duration = Duration::from_secs(20);

/// Measure what a recording costs (needs root and Debian's sysbench)
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// How often each test runs with and without a recording
    #[arg(long, default_value_t = 20)]
    runs: u32,
    /// Seconds that each takes
    #[arg(long, default_value_t = 1)]
    seconds: u32,
    /// Recorders: virtflow, virtflow-full (all it can record), virtflow-cost (and the kernel measures what the programs cost),
    /// lttng, trace-cmd, perf
    #[arg(long, value_delimiter = ',', default_value = "virtflow,virtflow-cost")]
    with: Vec<String>,
}

/// What a test came to with one recorder, run by run.
#[derive(Debug, Default)]
struct Measured {
    /// How much slower than without, as a share.
    slower: Vec<f64>,
    events: f64,
    lost: f64,
    seconds: f64,
    runs: f64,
    run_ns: f64,
}

/// Runs the command.
#[expect(clippy::print_stdout, reason = "the table")]
#[expect(clippy::print_stderr, reason = "progress")]
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let virtflow = repo::release_binary("virtflow")?;
    let scratch = tempfile::tempdir()?;
    sysbench(
        scratch.path(),
        &["fileio", "--file-total-size=64M", "--file-num=8", "prepare"],
    )?;
    println!(
        "n = {}, {} s each; slower by, with the 95 % confidence interval",
        args.runs, args.seconds
    );
    println!("test      recorder     slower %         interval   events/s     lost  ns/event");
    for (name, test) in TESTS {
        let mut measured: Vec<Measured> = args.with.iter().map(|_| Measured::default()).collect();
        for round in 0..args.runs {
            eprintln!("{name} {} of {}", round + 1, args.runs);
            for (at, with) in args.with.iter().enumerate() {
                let plain = || rate(scratch.path(), test, args.seconds);
                let recorded =
                    |into: &mut Measured| recording(&virtflow, scratch.path(), with, into, plain);
                // Which comes first changes, so that what drifts hits both.
                let (without, recorded) = if round % 2 == 0 {
                    let without = plain()?;
                    (without, recorded(&mut measured[at])?)
                } else {
                    let recorded = recorded(&mut measured[at])?;
                    (plain()?, recorded)
                };
                measured[at].slower.push(1.0 - recorded / without);
            }
        }
        for (with, of) in args.with.iter().zip(&measured) {
            println!("{}", row(name, with, of));
        }
    }
    let seconds = args.seconds.max(SHARE_SECONDS);
    println!("the recorder's own share of all recorded switches, over {seconds} s");
    for (name, test) in TESTS {
        let plain = || rate(scratch.path(), test, seconds);
        let (own, all) = own_switches(&virtflow, scratch.path(), plain)?;
        let share = f64::from(own) / f64::from(all.max(1)) * 100.0;
        println!("{name:<9} {own:>6} of {all:>8} {share:>8.2} %");
    }
    Ok(ExitCode::SUCCESS)
}

fn row(name: &str, with: &str, of: &Measured) -> String {
    let (mean, half) = mean(&of.slower);
    let interval = format!(
        "{:+.2} .. {:+.2}",
        (mean - half) * 100.0,
        (mean + half) * 100.0
    );
    let per_event = if of.runs > 0.0 {
        format!("{:.0}", of.run_ns / of.runs)
    } else {
        "-".to_owned()
    };
    format!(
        "{name:<9} {with:<11} {:>8.2} {interval:>18} {:>10.0} {:>8.0} {per_event:>9}",
        mean * 100.0,
        of.events / of.seconds.max(1e-9),
        of.lost,
    )
}

/// The mean, and half of its 95 % confidence interval (of the normal distribution from 30 on; Student's
/// t for fewer).
fn mean(values: &[f64]) -> (f64, f64) {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let error = (squares / (n - 1.0).max(1.0) / n).sqrt();
    // Two-sided 97.5 % quantiles for n - 1 degrees of freedom, at the next smaller n.
    let quantiles = [
        (2, 12.71),
        (3, 4.30),
        (5, 2.78),
        (10, 2.26),
        (20, 2.09),
        (30, 2.05),
        (60, 1.96),
    ];
    let at = quantiles
        .iter()
        .rev()
        .find(|(from, _)| *from <= values.len());
    (mean, error * at.map_or(f64::INFINITY, |(_, t)| *t))
}

/// What sysbench does a second.
fn rate(dir: &Path, test: &[&str], seconds: u32) -> Result<f64> {
    let time = format!("--time={seconds}");
    let mut arguments = test.to_vec();
    arguments.extend([time.as_str(), "run"]);
    let text = sysbench(dir, &arguments)?;
    let number = |what: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(what));
        let number = line.and_then(|rest| rest.trim().trim_end_matches('s').parse::<f64>().ok());
        number.with_context(|| format!("sysbench {}: no {what}", test[0]))
    };
    Ok(number("total number of events:")? / number("total time:")?)
}

fn sysbench(dir: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("sysbench")
        .current_dir(dir)
        .args(arguments)
        .output()
        .context("sysbench: install Debian's sysbench")?;
    if !output.status.success() {
        bail!(
            "sysbench {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Measures while it is recorded.
fn recording(
    virtflow: &Path,
    dir: &Path,
    with: &str,
    into: &mut Measured,
    what: impl FnOnce() -> Result<f64>,
) -> Result<f64> {
    let trace = dir.join("trace");
    let recorder = start(virtflow, &trace, with)?;
    let rate = what()?;
    let said = stop(recorder)?;
    let number = |value: &Value| value.as_f64().unwrap_or(0.0);
    into.events += number(&said["events"]);
    into.lost += number(&said["lost"]);
    into.seconds += number(&said["elapsed_ns"]) / 1e9;
    into.runs += number(&said["cost"]["runs"]);
    into.run_ns += number(&said["cost"]["ns"]);
    std::fs::remove_dir_all(&trace)?;
    Ok(rate)
}

/// A recorder that records.
fn start(virtflow: &Path, trace: &Path, with: &str) -> Result<Child> {
    let mut command = Command::new(virtflow);
    command
        .args(["record", "--format", "json", "-o"])
        .arg(trace);
    match with {
        "virtflow" => &mut command,
        "virtflow-full" => command.arg("--profile=full"),
        // The same, and the kernel measures, which costs a little.
        "virtflow-cost" => command.arg("--cost"),
        other => command.args(["--with", other]),
    };
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| virtflow.display().to_string())?;
    let begun = Instant::now();
    while !trace.exists() && begun.elapsed() < STARTS_WITHIN {
        std::thread::sleep(Duration::from_millis(20));
    }
    // Until the state dump is written, too.
    std::thread::sleep(Duration::from_millis(500));
    Ok(child)
}

/// Ends a recorder: what it says.
fn stop(child: Child) -> Result<Value> {
    let pid = child.id().to_string();
    let sent = Command::new("sh")
        .args(["-c", &format!("kill -INT {pid}")])
        .status()?;
    let output = child.wait_with_output()?;
    if !sent.success() {
        bail!("the recorder ended by itself: {}", output.status);
    }
    serde_json::from_slice(&output.stdout).context("what the recorder said")
}

/// How many switches are the recorder's own, and how many there are while something runs.
fn own_switches(
    virtflow: &Path,
    dir: &Path,
    what: impl FnOnce() -> Result<f64>,
) -> Result<(u32, u32)> {
    let trace: PathBuf = dir.join("own");
    let recorder = start(virtflow, &trace, "virtflow")?;
    let pid = recorder.id();
    what()?;
    stop(recorder)?;
    let output = Command::new(virtflow)
        .args(["events", "--filter", "sched_switch", "--format", "jsonl"])
        .arg(&trace)
        .output()?;
    std::fs::remove_dir_all(&trace)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let (mut all, mut own) = (0, 0);
    for line in text.lines() {
        let event: Value = serde_json::from_str(line)?;
        let is = |name: &str| event["fields"][name].as_u64() == Some(u64::from(pid));
        all += 1;
        own += u32::from(is("prev_tid") || is("next_tid"));
    }
    Ok((own, all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_has_an_interval() {
        let (mean_of_same, half) = mean(&[0.5; 20]);
        assert!((mean_of_same - 0.5).abs() < 1e-12 && half < 1e-12);
        let values: Vec<f64> = (0..20)
            .map(|n| if n % 2 == 0 { 1.0 } else { 3.0 })
            .collect();
        let (middle, half) = mean(&values);
        // The standard deviation is 1.026, the error of the mean 0.2294, with t = 2.09.
        assert!(
            (middle - 2.0).abs() < 1e-12 && (half - 0.4795).abs() < 1e-3,
            "{half}"
        );
    }
}
