//! Packages of PyPI in an environment of their own, in the target directory.

use crate::repo;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A Python that has some packages.
#[derive(Debug)]
pub(crate) struct Python {
    place: PathBuf,
}

impl Python {
    /// Makes it where it is not there yet.
    pub(crate) fn with(name: &str, packages: &[&str]) -> Result<Self> {
        let python = Self {
            place: repo::target_dir().join("python").join(name),
        };
        let marker = python.place.join("packages");
        let wanted = packages.join("\n");
        if fs::read_to_string(&marker).is_ok_and(|found| found == wanted) {
            return Ok(python);
        }
        done(
            Command::new("python3")
                .args(["-m", "venv"])
                .arg(&python.place),
        )?;
        let pip = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ];
        done(Command::new(python.tool("python")).args(pip).args(packages))?;
        fs::write(marker, wanted)?;
        Ok(python)
    }

    /// One of its programs.
    pub(crate) fn tool(&self, name: &str) -> PathBuf {
        self.place.join("bin").join(name)
    }
}

fn done(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    if output.status.success() {
        return Ok(());
    }
    bail!("{}", String::from_utf8_lossy(&output.stderr));
}
