//! `cargo xtask fuzz`: libFuzzer on the targets of `fuzz/`, one after the other.
//!
//! What a run finds on its way goes to the target directory; the corpus in git is only read. An
//! input that fails lies in `fuzz/artifacts`: once what it found is mended, it belongs into
//! `fuzz/corpus/<target>` as a regression, which the ordinary tests replay.

use crate::repo;
use anyhow::{Context, Result, bail};
use clap::Parser;
use std::fs;
use std::process::{Command, ExitCode};

const TARGETS: [&str; 5] = ["metadata", "packets", "perfdata", "pipeline", "tracedat"];
/// A hostile trace may not make the process larger than this, in MiB.
const MEMORY_MAX: &str = "512";
/// Nor keep it longer than this at one input, in seconds.
const TIME_MAX: &str = "10";
const INPUT_BYTES_MAX: &str = "8192";

/// Fuzz everything that reads traces; needs `cargo install cargo-fuzz --locked`
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Only these targets: metadata, packets, perfdata, pipeline, tracedat
    #[arg(value_parser = TARGETS)]
    targets: Vec<String>,
    /// How long to fuzz each target
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    minutes: u64,
}

/// Runs the command.
#[expect(clippy::print_stdout, reason = "progress for whoever waits")]
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let chosen =
        |target: &&str| args.targets.is_empty() || args.targets.iter().any(|t| t == target);
    let mut code = ExitCode::SUCCESS;
    for target in TARGETS.into_iter().filter(chosen) {
        println!("fuzz: {target}, {} min ...", args.minutes);
        if !fuzz(target, args.minutes * 60)? {
            println!("fuzz: {target} FAILED; its input lies in fuzz/artifacts/{target}");
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

fn fuzz(target: &str, seconds: u64) -> Result<bool> {
    let found = repo::target_dir().join("fuzz-corpus").join(target);
    fs::create_dir_all(&found).with_context(|| format!("cannot create {}", found.display()))?;
    let root = repo::root();
    let mut command = Command::new("cargo");
    command
        .current_dir(&root)
        // Coverage is no stable option; nothing else of a nightly compiler is needed. There is no
        // unsafe code to sanitise, and comparisons traced one by one make it half as fast.
        .env("RUSTC_BOOTSTRAP", "1")
        .args(["fuzz", "run", "-s", "none", "--no-trace-compares", target])
        .arg(&found)
        .arg(root.join("fuzz/corpus").join(target))
        .arg("--")
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-rss_limit_mb={MEMORY_MAX}"))
        .arg(format!("-timeout={TIME_MAX}"))
        .arg(format!("-max_len={INPUT_BYTES_MAX}"));
    let dictionary = root.join("fuzz/dict").join(format!("{target}.dict"));
    if dictionary.exists() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    match command.status() {
        Ok(status) => Ok(status.success()),
        Err(error) => bail!("cannot run cargo fuzz: {error}; `cargo install cargo-fuzz --locked`"),
    }
}
