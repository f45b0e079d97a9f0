//! `cargo xtask http`: the server against its own OpenAPI description, by schemathesis.

use crate::python::Python;
use crate::repo;
use crate::server::Server;
use anyhow::Result;
use clap::Parser;
use std::fs;
use std::process::{Command, ExitCode};

const PACKAGES: [&str; 1] = ["schemathesis==4.32.5"];

/// Try all routes with requests made from the OpenAPI description
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Requests per route
    #[arg(long, default_value_t = 40)]
    examples: u32,
    /// Where the requests begin
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let python = Python::with("http", &PACKAGES)?;
    let server = Server::start(
        &repo::test_binary("virtflow")?,
        &[repo::root().join("fixtures/host-containers")],
    )?;
    let base = format!("{}api/v1", server.address());
    // Other ids are tried by the ordinary tests: here most requests should reach the one source.
    let config = repo::target_dir().join("schemathesis.toml");
    fs::write(&config, "[parameters]\n\"path.id\" = \"s0\"\n")?;
    let status = Command::new(python.tool("schemathesis"))
        .arg("--config-file")
        .arg(&config)
        .arg("run")
        .arg(repo::root().join("crates/faces/virtflow-server/src/routes/openapi.json"))
        .args(["--url", &base])
        // News never end.
        .args(["--exclude-path", "/progress"])
        // Closing the only source would leave nothing to ask.
        .args(["--exclude-method", "DELETE"])
        .args(["--max-examples", &args.examples.to_string()])
        .args(["--seed", &args.seed.to_string()])
        .args(["--checks", "all", "--exclude-checks"])
        // A request with a wrong member more is understood: members may be added later.
        .arg("positive_data_acceptance,negative_data_rejection,ignored_auth,unsupported_method")
        .args(["--no-color", "--phases", "examples,coverage,fuzzing"])
        .current_dir(repo::target_dir())
        .status()?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
