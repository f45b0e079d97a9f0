//! One run of a program: wall time and peak memory.

use anyhow::{Context, Result, bail};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use wait4::Wait4;

/// What a run took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    pub(super) wall: Duration,
    /// On all processors.
    pub(super) cpu: Duration,
    /// Most bytes of memory that were resident at once.
    pub(super) peak: u64,
}

/// Runs a program; what it prints goes nowhere.
pub(super) fn measure(command: &mut Command) -> Result<Measured> {
    let start = Instant::now();
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let used = child.wait4()?;
    let wall = start.elapsed();
    if !used.status.success() {
        bail!(
            "{} failed: {}",
            command.get_program().display(),
            used.status
        );
    }
    Ok(Measured {
        wall,
        cpu: used.rusage.utime + used.rusage.stime,
        peak: used.rusage.maxrss,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_failure_are_seen() {
        let used = measure(Command::new("sh").args(["-c", "echo hidden"])).unwrap();
        assert!((100_000..1 << 32).contains(&used.peak), "bytes: {used:?}");
        assert!(measure(Command::new("sh").args(["-c", "exit 3"])).is_err());
        assert!(measure(&mut Command::new("no-such-program-here")).is_err());
    }
}
