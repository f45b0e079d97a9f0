//! A `virtflow serve` for tests, which ends with its value.

use anyhow::{Context, Result};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// A server that is running.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    address: String,
    /// Kept open: the server writes to it.
    _out: BufReader<ChildStdout>,
}

impl Server {
    /// Serves traces on a free port and keeps nothing.
    pub(crate) fn start(program: &Path, traces: &[PathBuf]) -> Result<Self> {
        let mut child = Command::new(program)
            .arg("serve")
            .args(traces)
            .args(["--no-open", "--no-cache", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let out = child.stdout.take().context("no output")?;
        let mut out = BufReader::new(out);
        let mut address = String::new();
        out.read_line(&mut address)?;
        Ok(Self {
            child,
            address: address.trim().to_owned(),
            _out: out,
        })
    }

    /// Where it is: `http://127.0.0.1:1234/`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Asked first, so that it removes what it keeps for the time.
        let _ = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        let _ = self.child.wait();
    }
}
