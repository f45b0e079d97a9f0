//! `cargo xtask tidy`: what the compiler and clippy do not check.
//!
//! Each check is a function from what it looks at to the list of what is wrong, so that its tests can
//! show that it fails.

mod files;
mod invariants;
mod licences;
mod manifests;
mod walls;

use crate::repo;
use anyhow::{Context, Result};
use cargo_metadata::MetadataCommand;
use clap::Parser;
use std::process::ExitCode;

/// Check the walls between layers, licences, manifests and files
#[derive(Debug, Parser)]
pub(crate) struct Args {}

/// What is wrong, one line each.
type Complaints = Vec<String>;

/// Runs the command.
#[expect(clippy::print_stderr, reason = "what a check is for")]
pub(crate) fn run(_: &Args) -> Result<ExitCode> {
    let complaints = all()?;
    for complaint in &complaints {
        eprintln!("tidy: {complaint}");
    }
    if complaints.is_empty() {
        Ok(ExitCode::SUCCESS)
    } else {
        eprintln!("tidy: {} complaints", complaints.len());
        Ok(ExitCode::FAILURE)
    }
}

fn all() -> Result<Complaints> {
    let root = repo::root();
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .other_options(["--locked".to_owned(), "--all-features".to_owned()])
        .exec()
        .context("cargo metadata")?;
    let files = repo::files()?;
    let members = manifests::members(&metadata);
    let mut out = walls::dependencies(&members);
    out.extend(walls::words(&files));
    out.extend(licences::check(
        metadata
            .packages
            .iter()
            .filter(|package| package.source.is_some())
            .map(|package| (package.name.as_str(), package.license.as_deref())),
    ));
    out.extend(manifests::check(&members, &files));
    out.extend(files::check(&files));
    out.extend(invariants::check(&files));
    Ok(out)
}
