//! `virtflow record`: a trace of this host, by BPF programs in its kernel, or by another tracer.

mod flight;
mod place;
mod said;
mod with;

use crate::args::{Profile, RecordArgs, UsageError};
use crate::{EXIT_INTERRUPTED, Finish, output};
use anyhow::Context;
use flight::Snapshots;
use place::Place;
use rustix::fs::{Access, access};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use virtflow_record::{
    Keep, Next, Options, Plan, Summary, Until, is_of_the_host, named_vms, record,
};
use virtflow_tracers::exit_code;

/// How long a command may take to end.
const ENDS_WITHIN: Duration = Duration::from_secs(5);
/// How long until it is said that it is waited for.
const PATIENCE: Duration = Duration::from_millis(500);
/// The room for records of each processor, in bytes.
const BUFFER: u32 = 4 << 20;

pub(crate) fn run(args: &RecordArgs) -> anyhow::Result<Finish> {
    there_is(&args.command)?;
    if let Some(tracers) = with::tracers(args)? {
        return with::run(args, &tracers);
    }
    // Before anything that takes a while: who asks early is not turned away.
    let asked = Asked::new()?;
    let vms = processes(&args.vm)?;
    let plan = Plan::new(Options {
        groups: Profile::groups(args.profile),
        ring_bytes: args
            .buffer
            .map_or(BUFFER, |bytes| u32::try_from(bytes).unwrap_or(u32::MAX)),
        vms: vms.clone(),
        measure: args.cost,
        arguments: !args.no_arguments,
    })?;
    if args.dry_run {
        return said::dry_run(args, &plan);
    }
    if args.profile == Some(Profile::Vm) && plan.tracepoints().all(|name| name != "kvm_entry") {
        anyhow::bail!(
            "this kernel has no tracepoint kvm_entry: nothing would be told of VMs; load KVM \
             (modprobe kvm_amd or kvm_intel), or leave --profile vm out"
        );
    }
    let place = Place::new(args)?;
    let directory = place.path().to_owned();
    let keep = keep(args, &directory, vms);
    let mut snapshots = Snapshots::new(args, directory.clone());
    let mut command = Meanwhile::new(&args.command);
    let missing = plan.missing().len();
    let ends = Until {
        wake: Some(asked.wake.as_fd()),
        over: args.duration,
    };
    let mut says = args.command.is_empty() && args.duration.is_none();
    let mut summary = record(plan, &keep, ends, |summary: &Summary| {
        // It begins when the programs are at work.
        let ended = command.has_ended();
        if std::mem::take(&mut says) && std::io::stderr().is_terminal() {
            output::complain("virtflow: recording; Ctrl-C ends it");
        }
        // What is asked for is written before it ends.
        let to_write = asked.to_write.swap(false, Ordering::Relaxed);
        match snapshots.next(summary, to_write) {
            Next::Go if ended || asked.to_stop.load(Ordering::Relaxed) => Next::Stop,
            next => next,
        }
    })?;
    snapshots.told(&mut summary);
    let ended = command.finish(asked.to_stop.load(Ordering::Relaxed))?;
    let told = said::tell(args, &directory, &summary, missing, ended)?;
    Ok(match (told, ended) {
        (Finish::Incomplete, _) if args.strict => Finish::Incomplete,
        (_, Some(code)) if code != 0 => Finish::Ended(code),
        (told, _) => told,
    })
}

/// Whether there is such a command: where not, nothing is recorded for it.
fn there_is(command: &[String]) -> anyhow::Result<()> {
    let Some(program) = command.first() else {
        return Ok(());
    };
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let may_run = |path: &Path| path.is_file() && access(path, Access::EXEC_OK).is_ok();
    let in_path = || std::env::split_paths(&paths).any(|path| may_run(&path.join(program)));
    if may_run(Path::new(program)) && program.contains('/') || !program.contains('/') && in_path() {
        return Ok(());
    }
    Err(UsageError(format!(
        "{program}: there is no such command, or it may not be run"
    ))
    .into())
}

fn keep(args: &RecordArgs, directory: &Path, vms: Vec<i32>) -> Keep {
    match args.flight_recorder {
        None => Keep::All {
            directory: directory.to_owned(),
            bytes_max: args.max_size,
        },
        Some(window) => Keep::Last {
            window,
            memory: usize::try_from(args.memory).unwrap_or(usize::MAX),
            longest: args.on_delay,
            of: vms,
        },
    }
}

/// The processes of VMs, by number or name.
fn processes(vms: &[String]) -> anyhow::Result<Vec<i32>> {
    if !vms.is_empty() && !is_of_the_host() {
        let what = "--vm: in a pid namespace of its own virtflow does not know the host's numbers; \
                    run it on the host (docker: --pid=host)";
        return Err(UsageError(what.to_owned()).into());
    }
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
        if let Some(pid) = pid.filter(|pid| there.iter().all(|(of, _)| of != pid)) {
            output::complain(&format!(
                "virtflow: warning: --vm {pid}: nothing says that this process runs a VM; KVM events of no other \
                 are recorded"
            ));
        }
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
    /// Has something to read when one came, or when the command ended.
    wake: UnixStream,
}

impl Asked {
    fn new() -> std::io::Result<Self> {
        let (to_stop, to_write) = (Arc::default(), Arc::default());
        let (wake, woken) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
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
        // A file that grows too large (`ulimit -f`) is an error like a full disk.
        signal_hook::flag::register(SIGXFSZ, Arc::default())?;
        // After the flags, so that they are set when it wakes.
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGCHLD] {
            signal_hook::low_level::pipe::register(signal, woken.try_clone()?)?;
        }
        Ok(Self {
            to_stop,
            to_write,
            wake,
        })
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

    /// How it ended; where it has not, it is ended if a signal ended the recording, too, and goes on
    /// otherwise.
    fn finish(mut self, is_to_end: bool) -> anyhow::Result<Option<u8>> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let Some(child) = self.child.as_mut() else {
            return Ok(None);
        };
        let Some(status) = child.try_wait()? else {
            if !is_to_end {
                return Ok(None);
            }
            let status = end(child)?;
            self.child = None;
            return Ok(Some(self.told(status)));
        };
        self.child = None;
        Ok(Some(self.told(status)))
    }

    /// How it ended, which is said where that is not well.
    fn told(&self, status: ExitStatus) -> u8 {
        if !status.success() {
            output::complain(&format!(
                "virtflow: warning: {} ended with {status}",
                self.command[0]
            ));
        }
        exit_code(status)
    }
}

impl Drop for Meanwhile<'_> {
    /// The recording is over, well or not, and what it was to record is not.
    fn drop(&mut self) {
        if let Some(child) = &mut self.child
            && matches!(child.try_wait(), Ok(None))
        {
            output::complain(&format!(
                "virtflow: {} goes on (process {})",
                self.command[0],
                child.id()
            ));
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
    let mut told = false;
    while asked.elapsed() < ENDS_WITHIN {
        if !told && asked.elapsed() > PATIENCE {
            told = true;
            output::complain(&format!(
                "virtflow: waiting for process {} to end; it is killed after {} s, a second Ctrl-C leaves it",
                child.id(),
                ENDS_WITHIN.as_secs()
            ));
        }
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
