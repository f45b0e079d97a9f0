//! `virtflow record`: a trace of this host, by BPF programs in its kernel, or by another tracer.

mod flight;
mod said;
mod with;

use crate::args::{RecordArgs, UsageError};
use crate::{EXIT_INTERRUPTED, Finish, output};
use anyhow::Context;
use flight::Snapshots;
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use virtflow_record::{Keep, Next, Options, Plan, Summary, named_vms, record};

/// How long a command may take to end.
const ENDS_WITHIN: Duration = Duration::from_secs(5);
/// The room for records of each processor, in bytes.
const BUFFER: u32 = 4 << 20;

pub(crate) fn run(args: &RecordArgs) -> anyhow::Result<Finish> {
    if let Some(tracers) = with::tracers(args)? {
        return with::run(args, &tracers);
    }
    // Before anything that takes a while: who asks early is not turned away.
    let asked = Asked::new()?;
    let vms = processes(&args.vm)?;
    let plan = Plan::new(Options {
        groups: args.profile.groups(),
        ring_bytes: args
            .buffer
            .map_or(BUFFER, |bytes| u32::try_from(bytes).unwrap_or(u32::MAX)),
        vms: vms.clone(),
        measure: args.cost,
    })?;
    if args.dry_run {
        return said::dry_run(args, &plan);
    }
    let directory = new_directory(args)?;
    let keep = keep(args, &directory);
    let mut snapshots = Snapshots::new(args, directory.clone(), vms);
    let mut command = Meanwhile::new(&args.command);
    let begun = Instant::now();
    let missing = plan.missing().len();
    let mut summary = record(plan, &keep, |summary: &Summary| {
        // It begins when the programs are at work.
        let ended = command.has_ended();
        let over = args.duration.is_some_and(|whole| begun.elapsed() >= whole);
        if ended || over || asked.to_stop.load(Ordering::Relaxed) {
            return Next::Stop;
        }
        let to_write = asked.to_write.swap(false, Ordering::Relaxed);
        snapshots.next(summary, to_write)
    })?;
    snapshots.told(&mut summary);
    command.finish()?;
    said::tell(args, &directory, &summary, begun.elapsed(), missing)
}

/// Where the trace goes.
fn output_directory(args: &RecordArgs) -> PathBuf {
    match &args.output {
        Some(directory) => directory.clone(),
        None => PathBuf::from(format!(
            "virtflow-{}",
            jiff::Zoned::now().strftime("%Y%m%d-%H%M%S")
        )),
    }
}

/// Where the trace goes, where nothing is yet.
fn new_directory(args: &RecordArgs) -> anyhow::Result<PathBuf> {
    let directory = output_directory(args);
    if directory.exists() {
        let what = format!(
            "{}: exists; name another directory with -o",
            directory.display()
        );
        return Err(UsageError(what).into());
    }
    Ok(directory)
}

fn keep(args: &RecordArgs, directory: &std::path::Path) -> Keep {
    match args.flight_recorder {
        None => Keep::All {
            directory: directory.to_owned(),
            bytes_max: args.max_size,
        },
        Some(window) => Keep::Last {
            window,
            memory: usize::try_from(args.memory).unwrap_or(usize::MAX),
            longest: args.on_delay,
        },
    }
}

/// The processes of VMs, by number or name.
fn processes(vms: &[String]) -> anyhow::Result<Vec<i32>> {
    let there = if vms.is_empty() {
        Vec::new()
    } else {
        named_vms()
    };
    let pids = vms.iter().map(|vm| {
        let is_it = |(_, name): &&(i32, Option<String>)| name.as_ref() == Some(vm);
        let mut named = there.iter().filter(is_it).map(|(pid, _)| *pid);
        match (named.next(), named.next()) {
            (Some(pid), None) => return Ok(pid),
            (Some(first), Some(second)) => {
                let what = format!("--vm {vm}: several are called so: name {first} or {second}");
                return Err(UsageError(what).into());
            }
            _ => {}
        }
        let pid = vm.parse::<i32>().ok();
        let pid = pid.filter(|pid| PathBuf::from(format!("/proc/{pid}")).exists());
        pid.ok_or_else(|| {
            let names: Vec<String> = there.iter().map(as_told).collect();
            let names = if names.is_empty() {
                "no VM runs here".to_owned()
            } else {
                format!("here are {}", names.join(", "))
            };
            UsageError(format!(
                "--vm {vm}: there is no such VM or process; {names}"
            ))
            .into()
        })
    });
    pids.collect()
}

fn as_told((pid, name): &(i32, Option<String>)) -> String {
    name.as_ref()
        .map_or_else(|| pid.to_string(), |name| format!("{name} ({pid})"))
}

/// What signals ask for.
struct Asked {
    /// The first one ends the recording, which then is whole; a second one all.
    to_stop: Arc<AtomicBool>,
    to_write: Arc<AtomicBool>,
}

impl Asked {
    fn new() -> std::io::Result<Self> {
        let (to_stop, to_write) = (Arc::default(), Arc::default());
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            let stop: &Arc<AtomicBool> = &to_stop;
            signal_hook::flag::register_conditional_shutdown(
                signal,
                EXIT_INTERRUPTED,
                Arc::clone(stop),
            )?;
            signal_hook::flag::register(signal, Arc::clone(stop))?;
        }
        signal_hook::flag::register(SIGUSR1, Arc::clone(&to_write))?;
        Ok(Self { to_stop, to_write })
    }
}

/// The command that runs meanwhile, if there is one.
struct Meanwhile<'a> {
    command: &'a [String],
    child: Option<Child>,
    failed: Option<anyhow::Error>,
}

impl<'a> Meanwhile<'a> {
    const fn new(command: &'a [String]) -> Self {
        Self {
            command,
            child: None,
            failed: None,
        }
    }

    /// Whether it has ended; the first time it is started.
    fn has_ended(&mut self) -> bool {
        if self.child.is_none() && !self.command.is_empty() && self.failed.is_none() {
            match start(self.command) {
                Ok(started) => self.child = Some(started),
                Err(error) => self.failed = Some(error),
            }
        }
        let child = self.child.as_mut();
        let ended = child.is_some_and(|child| !matches!(child.try_wait(), Ok(None)));
        ended || self.failed.is_some()
    }

    /// Ends it where it has not ended by itself: it was started to be recorded.
    fn finish(mut self) -> anyhow::Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        let Some(code) = child.try_wait()? else {
            end(&mut child)?;
            return Ok(());
        };
        if !code.success() {
            output::complain(&format!(
                "virtflow: warning: {} ended with {code}",
                self.command[0]
            ));
        }
        Ok(())
    }
}

impl Drop for Meanwhile<'_> {
    /// Where the recording failed, nobody waits for what it was to record.
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ended = end(child);
        }
    }
}

/// Asks a child to end, and has it ended where it does not.
fn end(child: &mut Child) -> std::io::Result<ExitStatus> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended meanwhile.
        let _sent = kill_process(pid, Signal::TERM);
    }
    let asked = Instant::now();
    while asked.elapsed() < ENDS_WITHIN {
        if let Some(code) = child.try_wait()? {
            return Ok(code);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill()?;
    child.wait()
}

fn start(command: &[String]) -> anyhow::Result<Child> {
    let [program, arguments @ ..] = command else {
        anyhow::bail!("no command");
    };
    let started = Command::new(program).args(arguments).spawn();
    started.with_context(|| format!("{program}: cannot be started"))
}
