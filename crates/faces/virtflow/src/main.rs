//! The `virtflow` command: arguments, progress, tables and exit codes. Everything it says comes
//! from `virtflow-query`.

mod analyze;
mod args;
mod cache;
mod compare;
mod critical;
mod events;
mod info;
mod output;
mod page;
mod progress;
mod range;
mod record;
mod render;
mod report;
mod rows;
mod serve;
mod table;
mod top;
mod traces;

use anyhow::Context;
use args::{Cli, Command};
use clap::{CommandFactory, Parser};
use std::io::Write;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a command came to, for the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    /// All of the input was read and understood.
    Complete,
    /// Something is missing: lost events, broken input, an early stop.
    Incomplete,
    /// The command that was run ended with this.
    Ended(u8),
}

/// Usage errors: what clap itself exits with.
const EXIT_USAGE: u8 = 2;
/// The input could not be read.
const EXIT_INPUT: u8 = 3;
/// `--strict`, and something is missing.
const EXIT_INCOMPLETE: u8 = 4;
/// Interrupted twice: what shells give for SIGINT.
pub(crate) const EXIT_INTERRUPTED: i32 = 130;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(Finish::Incomplete) if cli.strict() => ExitCode::from(EXIT_INCOMPLETE),
        Ok(Finish::Ended(code)) => ExitCode::from(code),
        Ok(_) => ExitCode::SUCCESS,
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&format!("virtflow: {}", output::chain(&error)));
            let usage = error.downcast_ref::<range::RangeError>().is_some()
                || error.downcast_ref::<args::UsageError>().is_some();
            ExitCode::from(if usage { EXIT_USAGE } else { EXIT_INPUT })
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<Finish> {
    match &cli.command {
        Command::Record(args) => record::run(args),
        Command::Top(args) => top::run(args),
        Command::Report(args) => report::run(args),
        Command::Analyze(args) => analyze::run(args),
        Command::Render(args) => render::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Cache { what } => cache::run(what),
        Command::Info(args) => info::run(args),
        Command::Events(args) => events::run(args),
        Command::Intervals(args) => rows::intervals(args),
        Command::Edges(args) => rows::edges(args),
        Command::CriticalPath(args) => critical::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Counters(args) => rows::counters(args),
        Command::Completions { shell } => {
            // Where a pipe is closed early, writing a script to it panics.
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "virtflow", &mut script);
            std::io::stdout().write_all(&script)?;
            Ok(Finish::Complete)
        }
        Command::Man { directory } => {
            let write = || {
                std::fs::create_dir_all(directory)?;
                clap_mangen::generate_to(Cli::command(), directory)
            };
            write().with_context(|| format!("{}: no manual pages there", directory.display()))?;
            Ok(Finish::Complete)
        }
    }
}
