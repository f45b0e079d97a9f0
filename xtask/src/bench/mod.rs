//! `cargo xtask bench`: how fast, beside babeltrace2 and beside reading the same bytes with `cat`.
//!
//! The trace is generated, of the size that is asked for: 64 host processors (streams), 100 VMs of which
//! 5 run a nested one, 2,000 guest processes, the events of the test bed. The programs run in turn, one
//! after the other, several rounds, after all bytes were read once; the shortest time of each counts and
//! the median is shown. Nothing here is a test: times on a shared machine are not to be relied on.

mod measure;
mod table;

use crate::{repo, web};
use anyhow::{Context, Result, bail};
use clap::Parser;
use measure::{Measured, measure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use table::Row;

/// Measure speed and memory beside babeltrace2 and cat
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Size of the generated trace: bytes, or with K, M or G behind
    #[arg(long, default_value = "200M", value_parser = number)]
    size: u64,
    /// How often each program runs
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// The seed of the generated traces
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Measure on these traces instead of a generated one
    #[arg(long)]
    trace: Vec<PathBuf>,
    /// Measure on the shared traces too, which lie in this folder
    #[arg(long)]
    shared: Option<PathBuf>,
    /// Instead, how cost and memory grow: traces of 1, 10 and 100 million events, without babeltrace2
    #[arg(long)]
    scale: bool,
    /// Instead, how quickly a generated store of so many intervals answers
    #[arg(long, value_parser = number)]
    store: Option<u64>,
    /// With --store, also how long frames of the page take while it is moved about
    #[arg(long, requires = "store")]
    frames: bool,
    /// Over how many entities, for --store
    #[arg(long, default_value_t = 5000)]
    entities: u64,
    /// Numbers of events for --scale
    #[arg(long, value_delimiter = ',', default_value = "1M,10M,100M", value_parser = number)]
    events: Vec<u64>,
    /// Where generated traces go; they are removed afterwards [default: bench in the target directory]
    #[arg(long)]
    scratch: Option<PathBuf>,
}

/// `1500`, `200M`, `1G`: powers of ten.
fn number(text: &str) -> std::result::Result<u64, String> {
    let (digits, factor) = match text.char_indices().next_back() {
        Some((at, 'k' | 'K')) => (&text[..at], 1_000),
        Some((at, 'M')) => (&text[..at], 1_000_000),
        Some((at, 'G')) => (&text[..at], 1_000_000_000),
        _ => (text, 1),
    };
    let number = digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(factor));
    number.ok_or_else(|| format!("{text:?} is not a number with K, M, G or nothing behind"))
}

#[expect(clippy::print_stdout, reason = "the report")]
fn say(text: &str) {
    println!("{text}");
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let virtflow = repo::release_binary("virtflow")?;
    let scratch = args
        .scratch
        .clone()
        .unwrap_or_else(|| repo::target_dir().join("bench"));
    if let Some(intervals) = args.store {
        store(args, intervals, &virtflow, &scratch)?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.scale {
        scale(args, &virtflow, &scratch)?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.trace.is_empty() {
        let trace = Generated::of_size(args, &scratch)?;
        compare(&trace.dir, &virtflow, &scratch, args.rounds)?;
    }
    for trace in &args.trace {
        compare(trace, &virtflow, &scratch, args.rounds)?;
    }
    if let Some(shared) = &args.shared {
        let mut folders: Vec<PathBuf> = fs::read_dir(shared)?
            .filter_map(|entry| Some(entry.ok()?.path().join("trace")))
            .collect();
        folders.retain(|folder| folder.is_dir());
        folders.sort();
        for folder in folders {
            compare(&folder, &virtflow, &scratch, args.rounds)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A generated trace, removed when it is no longer used.
struct Generated {
    dir: PathBuf,
}

impl Drop for Generated {
    fn drop(&mut self) {
        // What is left over lies in the target directory and harms nobody.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Generated {
    fn of_events(args: &Args, scratch: &Path, events: u64) -> Result<Self> {
        let synth = repo::release_binary("virtflow-synth")?;
        let dir = scratch.join(format!("{events}-events"));
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        let generated = Self { dir };
        let status = Command::new(&synth)
            .arg("--out")
            .arg(&generated.dir)
            .args([
                "--cpus",
                "64",
                "--vms",
                "100",
                "--processes",
                "20",
                "--nested",
                "5",
            ])
            .args([
                "--seconds",
                "1000000",
                "--no-truth",
                "--seed",
                &args.seed.to_string(),
            ])
            .args(["--events", &events.to_string()])
            .status()
            .with_context(|| format!("cannot run {}", synth.display()))?;
        if !status.success() {
            bail!("{} failed", synth.display());
        }
        Ok(generated)
    }

    /// A first, smaller one tells how many bytes an event takes.
    fn of_size(args: &Args, scratch: &Path) -> Result<Self> {
        let events = 1_000_000;
        let sample = Self::of_events(args, scratch, events)?;
        let bytes: u64 = stream_files(&sample.dir)?
            .iter()
            .map(|(_, bytes)| bytes)
            .sum();
        drop(sample);
        let wanted = u128::from(args.size) * u128::from(events) / u128::from(bytes.max(1));
        Self::of_events(args, scratch, u64::try_from(wanted)?)
    }
}

/// The stream files of a trace and their sizes.
fn stream_files(trace: &Path) -> Result<Vec<(PathBuf, u64)>> {
    let mut out = Vec::new();
    for directory in virtflow_ctf::discover(trace)? {
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            let data = entry.metadata()?;
            if data.is_file() && entry.file_name() != "metadata" {
                out.push((entry.path(), data.len()));
            }
        }
    }
    Ok(out)
}

/// The size of all files below a directory.
fn size(directory: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let data = entry.metadata()?;
        bytes += if data.is_dir() {
            size(&entry.path())?
        } else {
            data.len()
        };
    }
    Ok(bytes)
}

/// A large store and how quickly it answers.
fn store(args: &Args, intervals: u64, virtflow: &Path, scratch: &Path) -> Result<()> {
    let place = scratch.join(format!("{intervals}-intervals"));
    say(&format!(
        "a store of {intervals} intervals over {} entities",
        args.entities
    ));
    let status = Command::new(env!("CARGO"))
        .args([
            "run",
            "--quiet",
            "--release",
            "--package",
            "virtflow-history",
        ])
        .args(["--example", "store_bench", "--"])
        .args([intervals.to_string(), args.entities.to_string()])
        .arg((args.rounds * 20).to_string())
        .arg(&place)
        .status()?;
    let shown = if status.success() && args.frames {
        web::frames(virtflow, &place)
    } else {
        Ok(())
    };
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    if !status.success() {
        bail!("the store's benchmark failed");
    }
    shown
}

/// How many events virtflow counts in a trace.
fn events_in(virtflow: &Path, trace: &Path) -> Result<u64> {
    let output = Command::new(virtflow)
        .args(["events", "--count"])
        .arg(trace)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim()
        .parse()
        .with_context(|| format!("virtflow does not count: {text:?}"))
}

/// The programs in turn, on one trace.
fn compare(trace: &Path, virtflow: &Path, scratch: &Path, rounds: usize) -> Result<()> {
    let files = stream_files(trace)?;
    let bytes: u64 = files.iter().map(|(_, bytes)| bytes).sum();
    let events = events_in(virtflow, trace)?;
    let program = |name: &str, arguments: &[&str]| {
        let mut command = Command::new(virtflow);
        command.args(arguments).arg(trace);
        (name.to_owned(), command)
    };
    fs::create_dir_all(scratch)?;
    let store = scratch.join("store");
    let mut babeltrace2 = Command::new("babeltrace2");
    babeltrace2.arg(trace).arg("--component=sink.utils.dummy");
    let mut cat = Command::new("cat");
    cat.args(files.iter().map(|(path, _)| path));
    let mut programs = vec![
        ("cat".to_owned(), cat),
        ("babeltrace2 (dummy sink)".to_owned(), babeltrace2),
        program("virtflow events --count", &["events", "--count"]),
        program("virtflow report", &["report", "--no-cache"]),
        program(
            "virtflow analyze",
            &["analyze", "-o", &store.to_string_lossy()],
        ),
    ];
    let mut measured: Vec<Vec<Measured>> = programs.iter().map(|_| Vec::new()).collect();
    // Once without counting, so that the bytes are in memory.
    measure(&mut programs[0].1)?;
    for _ in 0..rounds.max(1) {
        for (results, (name, command)) in measured.iter_mut().zip(&mut programs) {
            results.push(measure(command).with_context(|| name.clone())?);
        }
    }
    let names = programs.iter().map(|(name, _)| name.clone());
    let rows: Vec<Row> = names
        .zip(&measured)
        .map(|(name, results)| Row::new(name, results, events, bytes))
        .collect();
    say(&table::text(
        trace,
        events,
        bytes,
        files.len(),
        rounds,
        &rows,
    ));
    let kept = fs::read_to_string(store.join("manifest.json"))?;
    let kept: serde_json::Value = serde_json::from_str(&kept)?;
    let intervals: u64 = kept["chunks"].as_array().map_or(0, |chunks| {
        chunks.iter().filter_map(|c| c["intervals"].as_u64()).sum()
    });
    say(&table::store_line(size(&store)?, intervals, events, bytes));
    fs::remove_dir_all(&store)?;
    Ok(())
}

/// Cost and memory against size.
fn scale(args: &Args, virtflow: &Path, scratch: &Path) -> Result<()> {
    let mut lines = vec![table::SCALE_HEADER.to_owned()];
    for &wanted in &args.events {
        let trace = Generated::of_events(args, scratch, wanted)?;
        let bytes: u64 = stream_files(&trace.dir)?
            .iter()
            .map(|(_, bytes)| bytes)
            .sum();
        let events = events_in(virtflow, &trace.dir)?;
        for arguments in [&["events", "--count"][..], &["report", "--no-cache"]] {
            let mut command = Command::new(virtflow);
            command.args(arguments).arg(&trace.dir);
            let results = (0..args.rounds.max(1))
                .map(|_| measure(&mut command))
                .collect::<Result<Vec<_>>>()?;
            let row = Row::new(arguments.join(" "), &results, events, bytes);
            lines.push(table::scale_line(events, &row));
        }
    }
    say(&lines.join("\n"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_letters() {
        assert_eq!(number("200M"), Ok(200_000_000));
        assert_eq!(
            (number("7"), number("1G"), number("3k")),
            (Ok(7), Ok(1_000_000_000), Ok(3_000))
        );
        assert!(number("M").is_err() && number("1.5G").is_err() && number("").is_err());
        assert!(number("99999999999999G").is_err());
    }
}
