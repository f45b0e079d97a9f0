//! Golden tests: Markdown files whose `console` blocks are run, and must show what they show.
//!
//! ````text
//! ```console
//! $ virtflow events fixtures/host-containers --count
//! 14044
//! $ virtflow info nowhere
//! ? 3
//! virtflow: ...
//! ```
//! ````
//!
//! A command is what follows `$ `, for a shell at the repository's root with the workspace's own `virtflow` (also
//! written `cargo run --release -- `) and `virtflow-synth` on its path. Then come, if it is not 0, its exit code after
//! `? `, and what it prints, errors included. A line `...` stands for any number of lines, `[..]` in a line for anything.
//!
//! With `VIRTFLOW_GOLDEN=overwrite` in the environment the files are changed to what is shown instead, but for
//! lines with wild cards that fit. Look at the difference before you commit it.

mod block;
mod matching;

pub use block::{Command, Part, parts};
pub use matching::{fits, overwritten};

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process;

/// The repository.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(3).unwrap_or(here).to_owned()
}

/// Builds the workspace's programs as the caller was built, and says in which directory they are;
/// where `VIRTFLOW_PROGRAMS` names a directory, they are there already.
///
/// # Errors
/// When cargo cannot be run or the programs do not build.
pub fn programs() -> io::Result<PathBuf> {
    if let Some(programs) = std::env::var_os("VIRTFLOW_PROGRAMS") {
        return Ok(programs.into());
    }
    let test = std::env::current_exe()?;
    let directory = test.ancestors().nth(2).unwrap_or(&test).to_owned();
    let mut cargo =
        process::Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args([
            "build",
            "--quiet",
            "--locked",
            "-p",
            "virtflow",
            "-p",
            "virtflow-synth",
        ])
        .current_dir(root());
    if directory.ends_with("release") {
        cargo.arg("--release");
    }
    if cargo.status()?.success() {
        Ok(directory)
    } else {
        Err(io::Error::other("virtflow does not build"))
    }
}

/// What a command did: its exit code, and what it printed.
///
/// # Errors
/// When there is no shell.
pub fn run(command: &str, programs: &Path) -> io::Result<(i32, String)> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(
        std::iter::once(programs.to_owned()).chain(std::env::split_paths(&path)),
    )
    .map_err(io::Error::other)?;
    let command = command.replace("cargo run --release -- ", "virtflow ");
    let output = process::Command::new("sh")
        .args(["-c", &format!("exec 2>&1\n{command}")])
        .current_dir(root())
        .env("PATH", path)
        .env("LC_ALL", "C.UTF-8")
        .env("NO_COLOR", "1")
        .env("TZ", "UTC")
        .env("COLUMNS", "80")
        // What was analysed before this run must not show.
        .env("VIRTFLOW_CACHE", programs.join("no-cache"))
        .stdin(process::Stdio::null())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok((output.status.code().unwrap_or(-1), text))
}

/// Runs the commands of a file and gives the file as it should be, and in words what differs.
///
/// # Errors
/// When a command cannot be run at all.
pub fn check(text: &str, programs: &Path) -> io::Result<(String, String)> {
    let (mut new, mut differences) = (String::new(), String::new());
    for part in parts(text) {
        let command = match part {
            Part::Prose(line) => {
                new.push_str(line);
                continue;
            }
            Part::Command(command) => command,
        };
        let (code, shown) = run(&command.shell(), programs)?;
        let good = code == command.code && fits(&command.expected, &shown);
        new.push_str(&command.typed);
        if code != 0 {
            // Writing to a String cannot fail.
            let _ = writeln!(new, "? {code}");
        }
        if good {
            new.push_str(&command.expected);
        } else {
            new.push_str(&overwritten(&command.expected, &shown));
            let _ = writeln!(
                differences,
                "{}exit code {code}, expected {}\n{}",
                command.typed,
                command.code,
                matching::difference(&command.expected, &shown)
            );
        }
    }
    Ok((new, differences))
}

/// Checks a file, or rewrites it if the environment asks for that.
///
/// # Errors
/// When the file cannot be read or written, or a command cannot be run at all.
pub fn check_file(path: &Path, programs: &Path) -> io::Result<Option<String>> {
    let text = std::fs::read_to_string(path)?;
    let (new, differences) = check(&text, programs)?;
    if differences.is_empty() {
        return Ok(None);
    }
    if std::env::var_os("VIRTFLOW_GOLDEN").is_some_and(|value| value == "overwrite") {
        std::fs::write(path, new)?;
        return Ok(None);
    }
    Ok(Some(format!("{}\n{differences}", path.display())))
}
