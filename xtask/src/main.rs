//! Automation of the repository: `cargo xtask --help`.

mod accuracy;
mod bench;
mod bpf;
mod ci;
mod conformance;
mod fixtures;
mod fuzz;
mod http;
mod kmod;
mod overhead;
mod python;
mod recorder;
mod repo;
mod server;
mod store_docs;
mod tidy;
mod web;

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
    Bench(bench::Args),
    Bpf(bpf::Args),
    Ci(ci::Args),
    Conformance(conformance::Args),
    Fixtures(fixtures::Args),
    Fuzz(fuzz::Args),
    Http(http::Args),
    Kmod(kmod::Args),
    Overhead(overhead::Args),
    Recorder(recorder::Args),
    StoreDocs(store_docs::Args),
    Tidy(tidy::Args),
    Web(web::Args),
}

#[expect(clippy::print_stderr, reason = "why nothing came of it")]
fn main() -> ExitCode {
    match run(&Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Accuracy(args) => accuracy::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Bpf(args) => bpf::run(args),
        Command::Ci(args) => ci::run(args),
        Command::Conformance(args) => conformance::run(args),
        Command::Fixtures(args) => fixtures::run(args),
        Command::Fuzz(args) => fuzz::run(args),
        Command::Http(args) => http::run(args),
        Command::Kmod(args) => kmod::run(args),
        Command::Overhead(args) => overhead::run(args),
        Command::Recorder(args) => recorder::run(args),
        Command::StoreDocs(args) => store_docs::run(args),
        Command::Tidy(args) => tidy::run(args),
        Command::Web(args) => web::run(args),
    }
}
