//! Automation of the repository: `cargo xtask --help`.

mod accuracy;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Automation of the repository
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Accuracy(accuracy::Args),
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Accuracy(args) => accuracy::run(&args),
    }
}
