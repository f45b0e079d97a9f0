//! The repository: where it is and what is in it.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace's directory.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// The cargo that runs us.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// In this environment variable: the directory in which programs are that tests run, built already.
pub(crate) const PROGRAMS: &str = "VIRTFLOW_PROGRAMS";

/// Builds the binary of `package` as the tests are built, if it is not yet, and says where it is.
pub(crate) fn test_binary(package: &str) -> Result<PathBuf> {
    if let Some(programs) = std::env::var_os(PROGRAMS) {
        return Ok(PathBuf::from(programs).join(package));
    }
    let status = cargo().args(["build", "--quiet", "-p", package]).status()?;
    if !status.success() {
        bail!("{package} does not build");
    }
    Ok(target_dir().join("debug").join(package))
}

/// Builds the release binary of `package` and says where it is.
pub(crate) fn release_binary(package: &str) -> Result<PathBuf> {
    let status = cargo()
        .args(["build", "--quiet", "--release", "-p", package])
        .status()?;
    if !status.success() {
        bail!("{package} does not build");
    }
    Ok(target_dir().join("release").join(package))
}

/// A file of the repository.
#[derive(Debug)]
pub(crate) struct Source {
    /// From the root, with `/`.
    pub(crate) path: String,
    pub(crate) bytes: Vec<u8>,
}

impl Source {
    #[cfg(test)]
    pub(crate) fn of(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            bytes: text.as_bytes().to_vec(),
        }
    }

    /// Its text; `None` for a binary file.
    pub(crate) fn text(&self) -> Option<&str> {
        let text = str::from_utf8(&self.bytes).ok()?;
        (!text.contains('\0')).then_some(text)
    }
}

/// Every file that git tracks, or would if it were added now.
pub(crate) fn files() -> Result<Vec<Source>> {
    let root = root();
    let output = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(&root)
        .output()
        .context("cannot run git")?;
    if !output.status.success() {
        bail!("git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    }
    let mut files = Vec::new();
    for name in output
        .stdout
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty())
    {
        let path = String::from_utf8_lossy(name).into_owned();
        // A file that is deleted and not yet committed is none.
        if let Ok(bytes) = std::fs::read(root.join(&path)) {
            files.push(Source { path, bytes });
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.dedup_by(|a, b| a.path == b.path);
    Ok(files)
}
