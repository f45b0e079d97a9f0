//! `cargo xtask ci`: everything that must hold, in the order in which it fails fastest.

use crate::{fixtures, repo};
use anyhow::Result;
use clap::Parser;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

/// Run everything: format, walls, lints, tests, doc tests, fixtures
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Only these steps, by name
    steps: Vec<String>,
    /// Print the steps and do nothing
    #[arg(long)]
    list: bool,
}

/// The step after which all programs are there.
const PROGRAMS: &str = "programs";

struct Step {
    name: &'static str,
    what: Work,
}

enum Work {
    /// cargo with these arguments.
    Cargo(Vec<&'static str>),
    /// Ourselves, once more.
    Xtask(&'static [&'static str]),
    /// The same, if babeltrace2 is installed.
    WithBabeltrace2(&'static [&'static str]),
    /// The same, if this program is there.
    With(&'static str, &'static [&'static str]),
    Fixtures,
}

fn steps(nextest: bool) -> Vec<Step> {
    let tests = if nextest {
        vec![
            "nextest",
            "run",
            "--workspace",
            "--locked",
            "--no-fail-fast",
        ]
    } else {
        vec![
            "test",
            "--workspace",
            "--locked",
            "--all-targets",
            "--quiet",
        ]
    };
    let step = |name, what| Step { name, what };
    vec![
        step("format", Work::Cargo(vec!["fmt", "--all", "--", "--check"])),
        step("tidy", Work::Xtask(&["tidy"])),
        step("fixtures", Work::Fixtures),
        step(
            "lints",
            Work::Cargo(vec![
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--quiet",
                "--",
                "-D",
                "warnings",
            ]),
        ),
        // What the whole-program tests run, with all that is tested: built for itself it would have
        // fewer features, and most of it be built twice.
        step(
            PROGRAMS,
            Work::Cargo(vec![
                "build",
                "--workspace",
                "--quiet",
                "--locked",
                "--lib",
                "--bins",
                "--tests",
            ]),
        ),
        step("tests", Work::Cargo(tests)),
        step(
            "conformance",
            Work::WithBabeltrace2(&["conformance", "fixtures", "--generated", "5000"]),
        ),
        step("bpf", Work::With(crate::bpf::CLANG, &["bpf", "--check"])),
        step("kmod", Work::With("make", &["kmod"])),
        step("store-docs", Work::With("python3", &["store-docs"])),
        step("http", Work::With("python3", &["http"])),
        step("web", Work::With("npm", &["web", "--check"])),
        step("browser", Work::With("npm", &["web", "--browser"])),
        step(
            "doc-tests",
            Work::Cargo(vec!["test", "--workspace", "--locked", "--doc", "--quiet"]),
        ),
    ]
}

/// Runs the command.
#[expect(clippy::print_stdout, reason = "progress for whoever waits")]
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let nextest = succeeds(repo::cargo().args(["nextest", "--version"]));
    let all = steps(nextest);
    if let Some(unknown) = args
        .steps
        .iter()
        .find(|name| all.iter().all(|step| step.name != **name))
    {
        anyhow::bail!("no step {unknown}; there are {}", names(&all));
    }
    if args.list {
        println!("{}", names(&all));
        return Ok(ExitCode::SUCCESS);
    }
    if !has_babeltrace2() {
        println!("ci: SKIPPED: babeltrace2 is not installed; what compares with it does nothing");
    }
    if !succeeds(Command::new("trace-cmd").args(["list", "-c"])) {
        println!("ci: SKIPPED: trace-cmd is not installed; what compares with it does nothing");
    }
    if !succeeds(Command::new("perf").arg("--version")) {
        println!("ci: SKIPPED: perf is not installed; what compares with it does nothing");
    }
    let start = Instant::now();
    // Asked now: a step may build us anew, and then we are not what lies there any more.
    let ourselves = std::env::current_exe()?;
    let mut programs = None;
    for step in all {
        if !args.steps.is_empty() && args.steps.iter().all(|name| name != step.name) {
            continue;
        }
        println!("ci: {} ...", step.name);
        let began = Instant::now();
        let good = work(&step.what, &ourselves, programs)?;
        let seconds = began.elapsed().as_secs_f64();
        if !good {
            println!("ci: {} FAILED after {seconds:.1} s", step.name);
            return Ok(ExitCode::FAILURE);
        }
        println!("ci: {} ok, {seconds:.1} s", step.name);
        if step.name == PROGRAMS {
            // Where we are ourselves, whatever cargo was told.
            programs = ourselves.parent();
        }
    }
    println!("ci: all ok, {:.1} s", start.elapsed().as_secs_f64());
    Ok(ExitCode::SUCCESS)
}

fn names(steps: &[Step]) -> String {
    let names: Vec<_> = steps.iter().map(|step| step.name).collect();
    names.join(" ")
}

#[expect(clippy::print_stdout, reason = "progress for whoever waits")]
fn work(work: &Work, ourselves: &Path, programs: Option<&Path>) -> Result<bool> {
    let given = programs.map(|programs| (repo::PROGRAMS, programs));
    Ok(match work {
        Work::Cargo(arguments) => repo::cargo()
            .args(arguments)
            .envs(given)
            .status()?
            .success(),
        Work::WithBabeltrace2(_) if !has_babeltrace2() => {
            println!("ci: SKIPPED, without babeltrace2");
            true
        }
        Work::With(program, _) if !succeeds(Command::new(program).arg("--version")) => {
            println!("ci: SKIPPED: there is no {program}");
            true
        }
        Work::Xtask(arguments) | Work::WithBabeltrace2(arguments) | Work::With(_, arguments) => {
            Command::new(ourselves)
                .args(*arguments)
                .envs(given)
                .current_dir(repo::root())
                .status()?
                .success()
        }
        Work::Fixtures => {
            let changed = fixtures::changed(&repo::root().join("fixtures"))?;
            for complaint in &changed {
                println!("fixtures: {complaint}");
            }
            changed.is_empty()
        }
    })
}

fn has_babeltrace2() -> bool {
    succeeds(Command::new("babeltrace2").arg("--version"))
}

fn succeeds(command: &mut Command) -> bool {
    let quiet = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_has_its_own_name() {
        for nextest in [true, false] {
            let mut names: Vec<_> = steps(nextest).iter().map(|step| step.name).collect();
            assert_eq!(names.len(), 14);
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), 14);
        }
    }

    #[test]
    fn what_cannot_be_run_does_not_succeed() {
        assert!(!succeeds(&mut Command::new("no-such-program-here")));
        assert!(!work(&Work::Cargo(vec!["no-such-command"]), Path::new(""), None).unwrap());
    }
}
