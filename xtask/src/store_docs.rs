//! `cargo xtask store-docs`: the questions of docs/store.md, asked with the real DuckDB and pandas.

use crate::python::Python;
use crate::repo;
use anyhow::{Context, Result, bail};
use clap::Parser;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

/// The packages of PyPI, and the versions whose output the page shows.
const PACKAGES: [&str; 3] = ["duckdb==2.0.1", "pandas==3.1.1", "pyarrow==26.0.1"];
const PAGE: &str = "docs/store.md";
const FIXTURE: &str = "fixtures/seed-nested";
/// Stands before each answer.
const ANSWER: &str = "```text\n";

/// Ask the questions of docs/store.md and compare the answers
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Write the answers into the page instead
    #[arg(long)]
    bless: bool,
}

/// Runs the command.
#[expect(clippy::print_stdout, reason = "the result")]
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let python = Python::with("store-docs", &PACKAGES)?;
    let store = repo::target_dir().join("store-docs").join("store");
    analyze(&store)?;
    let page = repo::root().join(PAGE);
    let output = Command::new(python.tool("python"))
        .arg(repo::root().join("xtask/src/store_docs.py"))
        .arg(&page)
        .current_dir(&store)
        .output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    let answers: Vec<String> = serde_json::from_slice(&output.stdout)?;
    let text = fs::read_to_string(&page)?;
    let fresh = with_answers(&text, &answers)?;
    if fresh == text {
        println!(
            "store-docs: {} answers are as {PAGE} shows them",
            answers.len()
        );
        return Ok(ExitCode::SUCCESS);
    }
    if args.bless {
        fs::write(&page, fresh)?;
        println!("store-docs: {PAGE} has the answers of now");
        return Ok(ExitCode::SUCCESS);
    }
    for answer in answers
        .iter()
        .filter(|answer| !text.contains(answer.as_str()))
    {
        println!("store-docs: {PAGE} does not show this answer:\n{answer}");
    }
    Ok(ExitCode::FAILURE)
}

/// The page with these answers in their places.
fn with_answers(page: &str, answers: &[String]) -> Result<String> {
    let mut parts = page.split(ANSWER);
    let mut out = parts.next().unwrap_or_default().to_owned();
    let mut left = answers.iter();
    for part in parts {
        let (_, rest) = part.split_once("```").context("an answer has no end")?;
        let answer = left
            .next()
            .context("there are more answers than questions")?;
        out.push_str(ANSWER);
        out.push_str(answer);
        out.push_str("```");
        out.push_str(rest);
    }
    if left.next().is_some() {
        bail!("there are more questions than answers");
    }
    Ok(out)
}

fn analyze(store: &Path) -> Result<()> {
    let status = Command::new(repo::test_binary("virtflow")?)
        .current_dir(repo::root())
        .arg("analyze")
        .arg(FIXTURE)
        .arg("-o")
        .arg(store)
        .stdout(std::process::Stdio::null())
        .status()?;
    if !status.success() {
        bail!("virtflow cannot analyse {FIXTURE}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_go_to_their_places() {
        let page = "a\n```text\nold\n```\nb\n```text\n```\nc\n";
        let answers = ["1\n".to_owned(), "2\n".to_owned()];
        let fresh = with_answers(page, &answers).unwrap();
        assert_eq!(fresh, "a\n```text\n1\n```\nb\n```text\n2\n```\nc\n");
        assert!(with_answers(page, &answers[..1]).is_err());
    }
}
