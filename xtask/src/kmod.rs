//! `cargo xtask kmod`: the kernel module of `kmod/`, compiled against kernels' headers.
//!
//! It is loaded nowhere: it does something only on Intel's processors. What can be checked without
//! one is that it compiles without a warning, and that what it makes is what BPF programs look for.

use crate::repo;
use anyhow::{Context, Result, bail};
use clap::Parser;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Where Debian's packages `linux-headers-*` put them.
const HEADERS: &str = "/usr/src";
/// What the module must have: its tracepoints, where a kernel finds those that BPF programs ask for
/// by name (`__bpf_raw_tp_map`), and a licence with which it may use the kernel's.
const HAS: [&str; 5] = [
    "virtflow_vcpu_enter",
    "virtflow_vcpu_exit",
    "__bpf_raw_tp_map",
    "license=GPL",
    "depends=kvm",
];

/// Compile the kernel module of kmod/ (needs Debian's linux-headers-amd64)
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Directories of kernels' headers; all of Debian's that are installed if none is given
    headers: Vec<PathBuf>,
}

/// Runs the command.
#[expect(clippy::print_stdout, reason = "what was compiled")]
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let headers = if args.headers.is_empty() {
        installed()
    } else {
        args.headers.clone()
    };
    if headers.is_empty() {
        println!("kmod: SKIPPED: no kernel's headers here: install Debian's linux-headers-amd64");
    }
    for of in &headers {
        let scratch = tempfile::tempdir()?;
        let module = build(of, scratch.path())?;
        println!("kmod: {}: {} bytes", of.display(), module.len());
    }
    Ok(ExitCode::SUCCESS)
}

fn installed() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(HEADERS).into_iter().flatten().flatten();
    let mut all: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.join("Module.symvers").exists())
        .collect();
    all.sort();
    all
}

/// The module, built in a directory of its own against these headers.
fn build(headers: &Path, scratch: &Path) -> Result<Vec<u8>> {
    copy(scratch)?;
    let output = Command::new("make")
        .arg("-C")
        .arg(scratch)
        .arg(format!("HEADERS={}", headers.display()))
        .args(["W=1", "KCFLAGS=-Werror"])
        .output()
        .context("make: install Debian's make and gcc")?;
    if !output.status.success() {
        bail!(
            "kmod: {}: {}",
            headers.display(),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let path = scratch.join("virtflow_vmx.ko");
    let module = std::fs::read(&path).with_context(|| path.display().to_string())?;
    for text in HAS {
        let has = module.windows(text.len()).any(|of| of == text.as_bytes());
        if !has {
            bail!("kmod: {}: no {text} in the module", headers.display());
        }
    }
    Ok(module)
}

/// Puts the sources into a directory: a kernel's build writes beside them.
pub(crate) fn copy(to: &Path) -> Result<()> {
    let from = repo::root().join("kmod");
    for entry in std::fs::read_dir(&from).with_context(|| from.display().to_string())? {
        let path = entry?.path();
        let name = path.file_name().context("a file without a name")?;
        std::fs::copy(&path, to.join(name)).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What does not compile is told, and so is a directory that has no headers.
    #[test]
    fn without_headers_nothing_is_built() {
        let scratch = tempfile::tempdir().unwrap();
        let empty = tempfile::tempdir().unwrap();
        assert!(build(empty.path(), scratch.path()).is_err());
        assert!(scratch.path().join("virtflow_vmx.c").exists());
    }
}
