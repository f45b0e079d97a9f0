//! Runs the commands of a plan, and leaves nothing behind whatever happens.

mod lttng;

use crate::plan::{ENDS_WITHIN, Plan};
use crate::{Tracer, TracerError, perf, remedy, tracecmd};
use rustix::process::{Pid, Signal, kill_process};
use std::io::ErrorKind;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How often somebody looks whether it is over.
const EVERY: Duration = Duration::from_millis(20);
/// How long a tracer that was asked to end has before what it runs is asked, too.
const PATIENCE: Duration = Duration::from_millis(300);
/// What `timeout` ends with where it had to end what it ran.
const TIMED_OUT: i32 = 124;
/// The same, where that had to be killed.
const KILLED: i32 = 137;

/// What was recorded.
#[derive(Debug)]
pub struct Driven {
    /// The directory or the file.
    pub trace: PathBuf,
    /// For how long the tracer was at work.
    pub elapsed: Duration,
    /// How the command ended, or the tracer for it, where that was not well.
    pub ended: Option<String>,
    /// What the command ended with, as shells tell it, where the tracer says so.
    pub code: Option<u8>,
}

/// Records by a plan until its duration is over, its command has ended, or `interrupted`, which
/// counts the signals that asked for an end.
///
/// # Errors
/// Where the tracer fails. An LTTng session is destroyed before.
pub fn drive(plan: &Plan, interrupted: &AtomicUsize) -> Result<Driven, TracerError> {
    match plan.tracer {
        Tracer::Lttng => lttng::record(plan, interrupted),
        Tracer::TraceCmd => one(plan, &tracecmd::argv(plan), interrupted),
        Tracer::Perf => one(plan, &perf::argv(plan), interrupted),
    }
}

/// A command of a tracer that is waited for. It has a process group of its own, so that no Ctrl-C
/// reaches it: what ends a session is not interrupted.
pub(crate) struct Step<'a> {
    tracer: Tracer,
    argv: &'a [String],
}

impl<'a> Step<'a> {
    pub(crate) const fn new(tracer: Tracer, argv: &'a [String]) -> Self {
        Self { tracer, argv }
    }

    /// What it says, however it ends.
    pub(crate) fn output(&self) -> Result<Output, TracerError> {
        let output = command(self.argv)
            .process_group(0)
            .stdin(Stdio::null())
            .output();
        output.map_err(|error| cannot_start(self.tracer, self.argv, error))
    }

    /// Runs it; it must end well.
    pub(crate) fn run(&self) -> Result<(), TracerError> {
        let output = self.output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(failed(self.argv, output.status, said(&output)))
    }
}

/// What a command said that failed, as one line.
pub(crate) fn said(output: &Output) -> Option<String> {
    let texts = [&output.stderr, &output.stdout].map(|text| String::from_utf8_lossy(text));
    let lines: Vec<_> = texts
        .iter()
        .flat_map(|text| text.lines())
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .take(5)
        .collect();
    (!lines.is_empty()).then(|| lines.join("; "))
}

fn command(argv: &[String]) -> Command {
    let (program, arguments) = argv
        .split_first()
        .map_or(("", argv), |(p, a)| (p.as_str(), a));
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

fn cannot_start(tracer: Tracer, argv: &[String], error: std::io::Error) -> TracerError {
    let program = argv.first().cloned().unwrap_or_default();
    // A directory of the path that may not be read hides that it is in none.
    let is_missing = match error.kind() {
        ErrorKind::NotFound => true,
        ErrorKind::PermissionDenied => !program.contains('/') && !is_in_path(&program),
        _ => false,
    };
    if is_missing {
        let remedy = remedy::install(tracer);
        TracerError::NotInstalled { program, remedy }
    } else {
        TracerError::System(program.into(), error)
    }
}

fn is_in_path(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|path| path.join(program).is_file())
}

fn failed(argv: &[String], status: ExitStatus, said: Option<String>) -> TracerError {
    // The lists of events would hide what is said.
    TracerError::Failed {
        command: argv.get(..2).unwrap_or(argv).join(" "),
        status: status.to_string(),
        said: said.map_or_else(String::new, |said| format!(": {said}")),
    }
}

/// The directory that is made for a trace; it goes again if nothing comes to lie in it.
struct Directory(Option<PathBuf>);

impl Directory {
    fn make(path: Option<PathBuf>) -> Result<Self, TracerError> {
        let Some(path) = path.filter(|path| !path.exists()) else {
            return Ok(Self(None));
        };
        let made = std::fs::create_dir_all(&path);
        made.map_err(|error| TracerError::System(path.clone(), error))?;
        Ok(Self(Some(path)))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // One that holds something stays.
            let _ = std::fs::remove_dir(path);
        }
    }
}

/// Records by a tracer that is one command, which runs what is to be recorded.
fn one(plan: &Plan, argv: &[String], interrupted: &AtomicUsize) -> Result<Driven, TracerError> {
    let _directory = Directory::make(plan.directory())?;
    let mut command = if plan.wanted.command.is_empty() {
        let mut alone = command(argv);
        // What the tracer says stands in the way; of a command it is the command's. No Ctrl-C of the
        // terminal reaches it: one that comes while it starts would end it without a trace.
        alone.stdout(Stdio::null()).process_group(0);
        alone
    } else {
        // The command is the terminal's as any is. Until the tracer says what a Ctrl-C does, it does
        // nothing; what it then starts has that from it.
        let deaf = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh"].map(str::to_owned);
        command(&[&deaf, argv].concat())
    };
    let begun = Instant::now();
    let child = command.spawn();
    let child = child.map_err(|error| cannot_start(plan.tracer, argv, error))?;
    let status = attend(child, plan.tracer, argv, interrupted)?;
    let trace = plan.trace();
    let written = std::fs::metadata(&trace).is_ok_and(|file| file.len() > 0);
    if !written {
        // Nobody has use for an empty file.
        let _ = std::fs::remove_file(&trace);
    }
    let signals = interrupted.load(Ordering::Relaxed);
    if signals > 1 || signals > 0 && !written {
        return Err(TracerError::Interrupted(match (plan.tracer, written) {
            (Tracer::TraceCmd, true) => {
                "the kernel may still be tracing: `trace-cmd reset` ends it for everybody"
            }
            (Tracer::TraceCmd, false) => {
                "nothing was recorded; the kernel may still be tracing: `trace-cmd reset` ends it for \
                 everybody"
            }
            (_, true) => "the trace is not whole",
            (_, false) => "nothing was recorded",
        }));
    }
    // perf ends as its command ended, and after a signal by that signal.
    let elapsed = begun.elapsed();
    let timed_out = plan
        .wanted
        .duration
        .is_some_and(|whole| match status.code() {
            Some(TIMED_OUT) => true,
            // Somebody else may have killed it before.
            Some(KILLED) => elapsed >= whole + ENDS_WITHIN,
            _ => false,
        });
    let well = status.success() || timed_out || signals > 0;
    let of_command = plan.tracer == Tracer::Perf && !plan.wanted.command.is_empty();
    if !written || !(well || of_command) {
        return Err(failed(argv, status, None));
    }
    Ok(Driven {
        trace,
        elapsed,
        ended: (!well).then(|| format!("perf, or the command, ended with {status}")),
        code: (of_command && !timed_out && signals == 0).then(|| exit_code(status)),
    })
}

/// What a command ended with, as shells tell it: 128 and the signal, where one ended it.
pub fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    u8::try_from(code.unwrap_or(1)).unwrap_or(u8::MAX)
}

/// Waits for a tracer's end. After an interruption it is asked to end as Ctrl-C does, once it is
/// ready for that (trace-cmd takes seconds to begin, and would be gone without a trace), and then what
/// it runs: the tracers wait for that. What perf runs is killed where it does not end; what trace-cmd runs
/// are also its own recorders.
fn attend(
    mut child: Child,
    tracer: Tracer,
    argv: &[String],
    interrupted: &AtomicUsize,
) -> Result<ExitStatus, TracerError> {
    let pid = Pid::from_child(&child);
    let (mut asked, mut asked_all, mut forced): (Option<Instant>, _, _) = (None, false, false);
    loop {
        let ended = child.try_wait();
        let program = argv.first().cloned().unwrap_or_default();
        let ended = ended.map_err(|error| TracerError::System(program.into(), error))?;
        if let Some(status) = ended {
            return Ok(status);
        }
        let signals = interrupted.load(Ordering::Relaxed);
        match asked {
            None if signals > 0 && is_ready(pid) => {
                asked = Some(Instant::now());
                signal(pid, Signal::INT);
            }
            Some(since) if !asked_all && since.elapsed() > PATIENCE => {
                asked_all = true;
                children(pid).for_each(|child| signal(child, Signal::INT));
            }
            _ => {}
        }
        if signals > 1 && !forced {
            forced = true;
            signal(pid, Signal::TERM);
        }
        let waited = asked.is_some_and(|since| since.elapsed() > ENDS_WITHIN);
        if tracer == Tracer::Perf && (waited || forced) {
            kill_below(pid);
        }
        std::thread::sleep(EVERY);
    }
}

/// Whether a tracer makes a trace of what it has when it is asked to end: it catches the signal, or
/// has begun its work already.
fn is_ready(pid: Pid) -> bool {
    let path = format!("/proc/{}/status", pid.as_raw_nonzero());
    let status = std::fs::read_to_string(path).unwrap_or_default();
    catches(&status, Signal::INT) || children(pid).next().is_some()
}

/// Whether a process catches a signal, by its status (Documentation/filesystems/proc.rst of the
/// kernel: a bit for each signal, from 1).
fn catches(status: &str, signal: Signal) -> bool {
    let mut lines = status.lines();
    let bits = lines
        .find_map(|line| line.strip_prefix("SigCgt:"))
        .and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    bits.is_some_and(|bits| bits >> (signal.as_raw() - 1) & 1 == 1)
}

/// The processes that a process made.
fn children(pid: Pid) -> impl Iterator<Item = Pid> {
    let of = pid.as_raw_nonzero();
    let text = std::fs::read_to_string(format!("/proc/{of}/task/{of}/children"));
    let pids: Vec<_> = text
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|pid| Pid::from_raw(pid.parse().ok()?))
        .collect();
    pids.into_iter()
}

/// Kills what a process made, and what that made.
fn kill_below(pid: Pid) {
    let mut all: Vec<_> = children(pid).collect();
    let mut at = 0;
    while let Some(&next) = all.get(at) {
        all.extend(children(next));
        at += 1;
    }
    all.into_iter().for_each(|pid| signal(pid, Signal::KILL));
}

fn signal(pid: Pid, signal: Signal) {
    // It may have ended in between.
    let _ = kill_process(pid, signal);
}

#[cfg(test)]
mod tests;
