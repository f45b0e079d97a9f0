//! Where windows come from: this host as it runs, or a trace.

use super::prometheus::{self, Latest};
use crate::args::{Profile, TopArgs};
use crate::output::number;
use rustix::time::{ClockId, clock_gettime};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};
use virtflow_base::Timestamp;
use virtflow_query::{
    Incoming, Live, LiveOptions, Progress, Recording, View, machines, replay as replayed,
};
use virtflow_record::{Options, Plan};

/// How long ago what can still be recorded happened at the most.
const KEPT: Duration = Duration::from_secs(30);
/// Windows on their way to the screen.
const AHEAD: usize = 2;
/// How often the recorder's rings are emptied at least, and at most.
const LOOKS: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(100)];
/// How often threads are compared with those that there are, if events were lost.
const COMPARED_EVERY: Duration = Duration::from_secs(30);

/// How often it is asked what the recorder missed: that is a file of the kernel's for each program.
const MISSED_EVERY: Duration = Duration::from_secs(5);

/// A window, and what is to be said besides.
pub(super) struct Frame {
    pub(super) view: View,
    /// Events that were lost since the beginning.
    pub(super) lost: u64,
    /// Events that the recorder missed though there was room, since the beginning.
    pub(super) missed: u64,
    /// How much of one processor virtflow itself took since the last window, from 0 up.
    pub(super) own: f64,
}

/// What a source says.
pub(super) enum Message {
    Frame(Box<Frame>),
    /// What was asked to be recorded is, or why it is not.
    Recorded(String),
    /// There is nothing more; why, and whether anything was wrong with the input.
    Ended(anyhow::Result<bool>),
}

/// What windows are told of besides their rows.
pub(super) struct Source {
    /// The host's name, or the trace's.
    pub(super) name: String,
    pub(super) messages: mpsc::Receiver<Message>,
    stop: Arc<AtomicBool>,
    record: Arc<Mutex<Option<PathBuf>>>,
    thread: Option<std::thread::JoinHandle<()>>,
    /// Whether the last while can be recorded.
    pub(super) records: bool,
}

impl Source {
    /// Asks for a trace of the last while, in this new directory.
    pub(super) fn record(&self, directory: PathBuf) {
        let mut asked = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        *asked = Some(directory);
    }

    /// Asks it to end, and waits until it has: then nothing runs in the kernel any more.
    pub(super) fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            while !thread.is_finished() {
                // Whatever it still has to say makes room.
                let _ = self.messages.recv_timeout(Duration::from_millis(10));
            }
            let _ = thread.join();
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.end();
    }
}

/// Gives windows away.
struct Out {
    sender: SyncSender<Message>,
    stop: Arc<AtomicBool>,
    latest: Option<Latest>,
    /// Whether every window is wanted, or only what is the latest.
    all: bool,
    left: Option<u64>,
    lost: u64,
    /// What the recorder missed since the beginning, where that is counted, and what of it windows have.
    missed: Option<u64>,
    missed_told: u64,
    own: (u64, Instant),
}

impl Out {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn give(&mut self, mut view: View, live: &Live) {
        if self.stopped() {
            return;
        }
        let (cpu, now) = (own_ns(), Instant::now());
        let elapsed = now.duration_since(self.own.1).as_nanos().max(1);
        let own = cpu.saturating_sub(self.own.0) as f64 / elapsed as f64;
        self.own = (cpu, now);
        self.lost = self.lost.saturating_add(view.lost);
        let missed = self.missed.unwrap_or(0);
        view.missed = self.missed.map(|all| all.saturating_sub(self.missed_told));
        self.missed_told = missed;
        if let Some(latest) = &self.latest {
            let (living, entities) = live.living();
            let kept = [
                ("threads", living.threads),
                ("vms", living.vms),
                ("vcpus", living.vcpus),
                ("guest-processes", living.processes),
                ("entities", entities),
            ];
            latest.set(prometheus::text(&live.totals(), self.missed, cpu, &kept));
        }
        let frame = Message::Frame(Box::new(Frame {
            view,
            lost: self.lost,
            missed,
            own,
        }));
        let gone = if self.all {
            self.sender.send(frame).is_err()
        } else {
            matches!(
                self.sender.try_send(frame),
                Err(TrySendError::Disconnected(_))
            )
        };
        self.left = self.left.map(|left| left.saturating_sub(1));
        if gone || self.left == Some(0) {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

/// Where a trace of the last while is wanted.
struct Asked(Arc<Mutex<Option<PathBuf>>>);

impl Asked {
    /// Writes what was asked for.
    fn write(&self, recorder: &virtflow_record::Live, out: &mut Out) {
        let asked = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(directory) = asked else { return };
        let told = match recorder.snapshot(&directory) {
            Ok(Some(written)) => format!(
                "{}: the last {:.1} s, {} events",
                directory.display(),
                written.covers.as_secs_f64(),
                number(written.events)
            ),
            Ok(None) => "nothing is kept that could be recorded".to_owned(),
            Err(error) => error.to_string(),
        };
        // Whoever asked may have gone.
        let _ = out.sender.send(Message::Recorded(told));
    }
}

/// Processor time of this process so far.
fn own_ns() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let nanos = time.tv_sec.saturating_mul(1_000_000_000) + time.tv_nsec;
    nanos.cast_unsigned()
}

/// What is asked for, started on a thread of its own; `all`: whether every window is wanted, even
/// where they are taken late.
pub(super) fn start(args: &TopArgs, all: bool, latest: Option<Latest>) -> anyhow::Result<Source> {
    let (sender, messages) = mpsc::sync_channel(AHEAD);
    let stop = Arc::new(AtomicBool::new(false));
    let record = Arc::new(Mutex::new(None));
    let out = Out {
        sender: sender.clone(),
        stop: Arc::clone(&stop),
        latest,
        all,
        left: args.windows,
        lost: 0,
        missed: None,
        missed_told: 0,
        own: (own_ns(), Instant::now()),
    };
    let every_ns = i64::try_from(args.delay.as_nanos()).unwrap_or(i64::MAX);
    let mut options = LiveOptions {
        every_ns,
        vm: args.vm.clone(),
        entry_probed: false,
        vcpus_named: false,
        migrations_told: false,
    };
    let (name, run): (String, Box<dyn FnOnce() -> anyhow::Result<bool> + Send>) = match &args.replay
    {
        Some(path) => {
            let (recording, machine) = open(path, args.machine.as_deref())?;
            let name = machine_name(&recording, machine);
            let speed = (!all).then_some(args.speed);
            let run = move || replay(&recording, machine, options, speed, out);
            (name, Box::new(run))
        }
        None => {
            let plan = Plan::new(Options {
                groups: Profile::groups(args.profile),
                ring_bytes: u32::try_from(args.buffer).unwrap_or(u32::MAX),
                ..Options::default()
            })?;
            options.entry_probed = plan.tracepoints().any(|name| name == "kvm_entry");
            let of_vcpus = ["kvm_entry", "kvm_exit", "kvm_userspace_exit"];
            options.migrations_told = plan.tracepoints().any(|name| name == "sched_migrate_task");
            options.vcpus_named = !plan.tracepoints().any(|name| of_vcpus.contains(&name));
            let name = rustix::system::uname();
            let name = name.nodename().to_string_lossy().into_owned();
            let memory = usize::try_from(args.memory).unwrap_or(usize::MAX);
            let keep = (!all).then_some((KEPT, memory));
            let recorder = virtflow_record::Live::start(plan, keep)?;
            let asked_for = Asked(Arc::clone(&record));
            (
                name,
                Box::new(move || watch(recorder, options, out, &asked_for)),
            )
        }
    };
    let thread = std::thread::Builder::new()
        .name("top".to_owned())
        .spawn(move || {
            // Whoever asked may have gone.
            let _ = sender.send(Message::Ended(run()));
        })?;
    Ok(Source {
        name,
        messages,
        stop,
        record,
        thread: Some(thread),
        records: !all && args.replay.is_none(),
    })
}

fn open(path: &Path, machine: Option<&str>) -> anyhow::Result<(Recording, usize)> {
    let recording = Recording::open_all(&[path])?;
    let all = machines(&recording);
    let chosen = match machine {
        Some(wanted) => {
            let mut all = all.iter().copied();
            all.find(|&machine| machine_name(&recording, machine) == wanted)
        }
        None => all.first().copied(),
    };
    let Some(chosen) = chosen else {
        let names: Vec<_> = all.iter().map(|&m| machine_name(&recording, m)).collect();
        let what = format!(
            "{}: no such machine; there are: {}",
            path.display(),
            names.join(", ")
        );
        return Err(crate::args::UsageError(what).into());
    };
    Ok((recording, chosen))
}

fn machine_name(recording: &Recording, machine: usize) -> String {
    let machine = recording.machines().get(machine);
    machine.map_or_else(String::new, |machine| machine.name.clone())
}

/// Shows a trace, as fast as it is taken, or with its own speed times `speed`.
fn replay(
    recording: &Recording,
    machine: usize,
    options: LiveOptions,
    speed: Option<f64>,
    mut out: Out,
) -> anyhow::Result<bool> {
    let progress = Progress::default();
    let began = Instant::now();
    let mut first: Option<Timestamp> = None;
    let (_, problems) = replayed(recording, machine, options, &progress, |view, live| {
        if let Some(speed) = speed {
            let first = *first.get_or_insert(view.start);
            let nanos = view.end.since(first).max(0) as f64 / speed;
            let due = began + Duration::from_nanos(nanos as u64);
            while !out.stopped() && Instant::now() < due {
                let left = due.saturating_duration_since(Instant::now());
                std::thread::sleep(left.min(LOOKS[1]));
            }
        }
        out.give(view, live);
        if out.stopped() {
            progress.stop();
        }
    });
    Ok(!problems.is_empty())
}

/// Watches this host until it is stopped.
fn watch(
    mut recorder: virtflow_record::Live,
    options: LiveOptions,
    mut out: Out,
    asked_for: &Asked,
) -> anyhow::Result<bool> {
    let every = Duration::from_nanos(options.every_ns.unsigned_abs());
    let pause = (every / 5).clamp(LOOKS[0], LOOKS[1]);
    let descriptions = recorder.descriptions().iter();
    let descriptions = descriptions.map(|d| (&*d.text, d.only_if));
    let mut incoming = Incoming::new(descriptions, recorder.offset(), recorder.began())?;
    let began = incoming.time(recorder.began());
    let mut live = Live::new(recorder.cpus(), began, options);
    for record in recorder.dump(|record| incoming.take(record)) {
        for fact in incoming.facts(&record) {
            live.know(&fact);
        }
    }
    let mut views = Vec::new();
    let mut compared = Instant::now();
    out.missed = Some(recorder.missed().total());
    let mut counted = Instant::now();
    while !out.stopped() {
        let looked = Instant::now();
        let polled = recorder.poll(|record| incoming.take(record));
        let asked = incoming.time(polled.asked);
        for (cpu, span, events) in incoming.losses(&polled.lost, asked) {
            live.lose(cpu, span, events);
        }
        let until = incoming.time(polled.until);
        incoming.give(until, |t, record| {
            live.event(t, record, &mut |view| views.push(view));
        });
        live.advance(until, &mut |view| views.push(view));
        if counted.elapsed() > MISSED_EVERY {
            counted = Instant::now();
            out.missed = Some(recorder.missed().total());
        }
        for view in views.drain(..) {
            out.give(view, &live);
        }
        if compared.elapsed() > COMPARED_EVERY {
            compared = Instant::now();
            live.compare_threads(|tid| Path::new("/proc").join(tid.to_string()).exists());
        }
        asked_for.write(&recorder, &mut out);
        let pause = if polled.is_busy { LOOKS[0] } else { pause };
        std::thread::sleep((looked + pause).saturating_duration_since(Instant::now()));
    }
    Ok(out.lost > 0 || recorder.missed().total() > 0)
}
