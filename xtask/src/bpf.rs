//! `cargo xtask bpf`: the recorder's BPF programs, built from their C.
//!
//! Users need no compiler for BPF: the object is committed, and this says whether it is what the
//! source gives.

use crate::repo;
use anyhow::{Context, Result, bail};
use clap::Parser;
use std::path::Path;
use std::process::{Command, ExitCode};

/// The compiler whose output is committed: Debian 12's.
pub(crate) const CLANG: &str = "clang-14";
const STRIP: &str = "llvm-strip-14";
const SOURCE: &str = "bpf/record.bpf.c";
const OBJECT: &str = "bpf/record.bpf.o";

/// Build the recorder's BPF programs (needs clang-14 and llvm-14)
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Change nothing; fail if the committed object is not what the source gives
    #[arg(long)]
    check: bool,
}

/// Runs the command.
#[expect(clippy::print_stdout, reason = "what was made, for whoever made it")]
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let crate_dir = repo::root().join("crates/record/virtflow-record");
    let scratch = tempfile::tempdir()?;
    let made = scratch.path().join("record.bpf.o");
    build(&crate_dir, &made)?;
    let new = std::fs::read(&made)?;
    let path = crate_dir.join(OBJECT);
    if !args.check {
        std::fs::write(&path, &new).with_context(|| path.display().to_string())?;
        println!("bpf: {} bytes", new.len());
        return Ok(ExitCode::SUCCESS);
    }
    if std::fs::read(&path).ok().as_ref() != Some(&new) {
        println!("bpf: {OBJECT} is not what {SOURCE} gives: run `cargo xtask bpf`");
        return Ok(ExitCode::FAILURE);
    }
    println!("bpf: as it should be");
    Ok(ExitCode::SUCCESS)
}

fn build(dir: &Path, to: &Path) -> Result<()> {
    let prefix = format!("-ffile-prefix-map={}=.", dir.display());
    let compile = [
        "-g",
        "-O2",
        "-target",
        "bpf",
        "-Wall",
        "-Wno-unused-function",
        "-Werror",
    ];
    run_in(
        dir,
        Command::new(CLANG)
            .args(compile)
            .args([&prefix, "-c", SOURCE, "-o"])
            .arg(to),
    )?;
    run_in(dir, Command::new(STRIP).arg("-g").arg(to))
}

fn run_in(dir: &Path, command: &mut Command) -> Result<()> {
    let status = command
        .current_dir(dir)
        .status()
        .with_context(|| format!("{command:?}: install Debian's clang-14 and llvm-14"))?;
    if !status.success() {
        bail!("{command:?}: {status}");
    }
    Ok(())
}
