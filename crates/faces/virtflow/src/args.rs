//! The command line, as typed.

use crate::traces::Traces;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

const AFTER_HELP: &str = "\
Exit codes: 0 all well; 2 wrong usage; 3 the input cannot be read, or nothing
can be recorded or written; 4 with --strict, something is missing: lost events,
broken input, an early stop. `record` ends as the command that it ran.

TRACE is a directory: an LTTng session, its kernel/ directory, a rotated chunk,
a directory that holds several traces, or a store that `virtflow analyze` wrote;
or a file of trace-cmd (trace.dat) or perf (perf.data).

Analyses are kept below $XDG_CACHE_HOME/virtflow (~/.cache/virtflow), up to
20 GiB or VIRTFLOW_CACHE_LIMIT bytes; VIRTFLOW_CACHE names another directory.";

/// What every virtual machine did, from the host's kernel trace alone.
#[derive(Debug, Parser)]
#[command(name = "virtflow", version, about, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// Whether anything missing is an error.
    pub(crate) const fn strict(&self) -> bool {
        match &self.command {
            Command::Record(a) => a.strict,
            Command::Top(a) => a.strict,
            Command::Report(a) => a.input.strict,
            Command::Info(a) => a.strict,
            Command::Events(a) => a.strict,
            Command::Intervals(a) => a.input.strict,
            Command::Edges(a) => a.input.strict,
            Command::Counters(a) => a.input.strict,
            Command::Analyze(a) => a.strict,
            Command::Serve(_)
            | Command::CriticalPath(_)
            | Command::Compare(_)
            | Command::Render(_)
            | Command::Cache { .. }
            | Command::Completions { .. }
            | Command::Man { .. } => false,
        }
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Record a trace of this host, by BPF programs in its kernel or by LTTng, trace-cmd or perf
    Record(RecordArgs),
    /// Watch VMs, vCPUs, nested VMs and guest processes as they run
    Top(TopArgs),
    /// Say where the time of every VM, vCPU, nested VM and guest process went
    Report(ReportArgs),
    /// Show traces on a page in the browser
    Serve(ServeArgs),
    /// Draw a view as SVG or PNG, or write what it shows as CSV
    Render(RenderArgs),
    /// Analyse once and keep what was found as Parquet tables, a store
    Analyze(AnalyzeArgs),
    /// Say what a trace holds, what it lost, and which analyses it is good for
    Info(InfoArgs),
    /// Print decoded events
    Events(EventsArgs),
    /// Print every interval of every lane as CSV or JSON lines
    Intervals(IntervalsArgs),
    /// Print every edge (who woke, interrupted, answered or pre-empted whom) as CSV or JSON lines
    Edges(EdgesArgs),
    /// Print every value of every counter (frequencies, disks' queues and latencies, packets) as CSV
    /// or JSON lines
    Counters(CountersArgs),
    /// Say why a piece of work took as long as it did: whose time it was while it waited
    CriticalPath(CriticalPathArgs),
    /// Say how far the host's trace alone agrees with a guest's own trace: who ran when, and why a
    /// piece of work took as long as it did
    Compare(CompareArgs),
    /// List or remove analyses that were kept
    Cache {
        /// What to do with them
        #[command(subcommand)]
        what: CacheCommand,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages
    Man {
        /// Into this directory, which is made where it is not there
        directory: PathBuf,
    },
}

/// What all analyses take.
#[derive(Debug, Args)]
pub(crate) struct Input {
    /// The traces
    #[command(flatten)]
    pub(crate) traces: Traces,
    /// Only this stretch of time: 12.5s..14s or +300ms.. from the beginning of the trace,
    /// 10:02:03.5..10:02:04 of the day, or epoch nanoseconds
    #[arg(long, value_name = "A..B", allow_hyphen_values = true)]
    pub(crate) range: Option<String>,
    /// Times of the day are local, not UTC
    #[arg(long)]
    pub(crate) local: bool,
    /// Exit with 4 when something is missing: lost events, broken input
    #[arg(long)]
    pub(crate) strict: bool,
}

/// Text or JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// What is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// What the analyses read: threads, interrupts, timers, disks, packets, frequencies, KVM; nothing
    /// is recorded where the kernel has no tracepoints of KVM
    Vm,
    /// Besides that: idle states, KVM's page faults and polling, AVIC
    Full,
    /// Threads only
    Minimal,
}

impl Profile {
    /// The tracepoints that belong to one; where none is named, what the analyses read and is there.
    pub(crate) fn groups(profile: Option<Self>) -> Vec<virtflow_record::Group> {
        use virtflow_record::Group::{Block, Irq, Kvm, Net, Power, Sched};
        match profile {
            Some(Self::Full) => virtflow_record::Options::default().groups,
            Some(Self::Vm) | None => vec![Sched, Irq, Block, Net, Power, Kvm],
            Some(Self::Minimal) => vec![Sched],
        }
    }
}

/// Who records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum With {
    /// BPF programs of virtflow's own
    Virtflow,
    /// LTTng, by lttng
    Lttng,
    /// The kernel's ftrace, by trace-cmd
    TraceCmd,
    /// The kernel's perf events, by perf
    Perf,
}

/// `virtflow record`.
#[derive(Debug, Args)]
pub(crate) struct RecordArgs {
    /// The new directory for the trace [default: virtflow-DATE-TIME]. trace-cmd and perf write
    /// DIR/trace.dat and DIR/perf.data, or the new file itself where DIR ends in .dat or .data
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
    /// Who records [default: virtflow]
    #[arg(long, value_enum, value_name = "TRACER")]
    pub(crate) with: Option<With>,
    /// Print what a person would type to record with TRACER, or with each of the other tracers, and
    /// record nothing. All that is of use is in it; with --dry-run, only what is there on this host
    #[arg(long)]
    pub(crate) print_commands: bool,
    /// For how long: 10s, 500ms, 2m [default: until the command ends or Ctrl-C]
    #[arg(short, long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) duration: Option<std::time::Duration>,
    /// What to record [default: vm, or what of it is there where KVM has no tracepoints]
    #[arg(long, value_enum)]
    pub(crate) profile: Option<Profile>,
    /// KVM events of these VMs only, by process or name; what else happens on the host is recorded
    /// all the same
    #[arg(long, value_name = "NAME|PID")]
    pub(crate) vm: Vec<String>,
    /// Room for events that are not written yet, for each processor: from 64K to 1G [default: 4M, with
    /// other tracers 16M]
    #[arg(long, value_name = "SIZE", value_parser = parse_buffer)]
    pub(crate) buffer: Option<u64>,
    /// End the recording when the trace has this size: 500M, 2G
    #[arg(long, value_name = "SIZE", value_parser = parse_size, conflicts_with = "flight_recorder")]
    pub(crate) max_size: Option<u64>,
    /// Keep the last while in memory only: each SIGUSR1 writes it as a trace of its own into DIR
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) flight_recorder: Option<std::time::Duration>,
    /// With --flight-recorder: write also when a thread (with --vm: one of its VM) waits for a
    /// processor for longer than this
    #[arg(long, value_name = "TIME", value_parser = parse_duration, requires = "flight_recorder")]
    pub(crate) on_delay: Option<std::time::Duration>,
    /// With --flight-recorder: how many of its traces are kept; the oldest go
    #[arg(long, value_name = "N", default_value_t = 5, requires = "flight_recorder", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) keep: u32,
    /// With --flight-recorder: the most memory it takes
    #[arg(long, value_name = "SIZE", default_value = "512M", requires = "flight_recorder", value_parser = parse_size)]
    pub(crate) memory: u64,
    /// Leave the arguments of processes out of the trace: they may hold secrets. What VMs are called
    /// and made of is told all the same
    #[arg(long)]
    pub(crate) no_arguments: bool,
    /// Say what the BPF programs cost, as the kernel measures it
    #[arg(long)]
    pub(crate) cost: bool,
    /// Say what would be recorded and what is missing for it here, and record nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Text for people or JSON for programs
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Exit with 4 when events were lost
    #[arg(long)]
    pub(crate) strict: bool,
    /// A command to run meanwhile; the recording ends with it, and virtflow as it. Where the recording
    /// ends before, the command goes on; where a signal ends the recording, the command is ended
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

/// A size: bytes, or with K, M, G (of 1,024).
fn parse_size(text: &str) -> Result<u64, String> {
    let number = text.trim_end_matches(['K', 'M', 'G']);
    let shift = match text.strip_prefix(number) {
        Some("") => Some(0),
        Some("K") => Some(10),
        Some("M") => Some(20),
        Some("G") => Some(30),
        _ => None,
    };
    let size = shift.and_then(|shift| number.parse::<u64>().ok()?.checked_mul(1 << shift));
    size.filter(|size| *size > 0)
        .ok_or_else(|| "a size is a number of bytes, or with K, M or G: 64K, 4M, 2G".to_owned())
}

/// As much as a ring can have (`RING_BYTES`).
fn parse_buffer(text: &str) -> Result<u64, String> {
    let size = parse_size(text)?;
    if virtflow_record::RING_BYTES.contains(&size) {
        Ok(size)
    } else {
        Err("it may have from 64K to 1G for each processor".to_owned())
    }
}

/// By what rows are sorted, most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SortKey {
    /// Guest code, or on a processor
    Run,
    /// A hypervisor worked for it
    Kvm,
    /// The VMM's own code
    Vmm,
    /// Halted, or with nothing to run
    Idle,
    /// Waited
    Wait,
    /// Wanted to run, and somebody else had the processor
    Nocpu,
    /// Unknown or not decided yet
    Unknown,
    /// Exits
    Exits,
    /// By name
    Name,
}

/// What `top` writes in batch mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TopFormat {
    /// For people
    Text,
    /// For programs: JSON lines (docs/schema/top-1.json); implies --batch
    Jsonl,
}

/// `virtflow top`.
#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    /// What to record [default: vm, or what of it is there where KVM has no tracepoints]
    #[arg(long, value_enum)]
    pub(crate) profile: Option<Profile>,
    /// Room for events that were not taken yet, for each processor: from 64K to 1G
    #[arg(long, value_name = "SIZE", default_value = "4M", value_parser = parse_buffer)]
    pub(crate) buffer: u64,
    /// The most memory that the last 30 s take, which the key r writes as a trace
    #[arg(long, value_name = "SIZE", default_value = "256M", value_parser = parse_size)]
    pub(crate) memory: u64,
    /// How long a window is
    #[arg(short, long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    pub(crate) delay: std::time::Duration,
    /// Write window after window to standard output instead of showing a screen
    #[arg(short, long)]
    pub(crate) batch: bool,
    /// End after so many windows
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) windows: Option<u64>,
    /// What batch mode writes
    #[arg(long, value_enum, default_value_t = TopFormat::Text)]
    pub(crate) format: TopFormat,
    /// By what to sort, most first
    #[arg(long, value_enum, value_name = "COLUMN", default_value_t = SortKey::Run)]
    pub(crate) sort: SortKey,
    /// Only rows that have this in their name or key, and those around them
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) filter: String,
    /// Only the VMs whose label or key contains this, or whose VMM has this pid
    #[arg(long, value_name = "NAME")]
    pub(crate) vm: Option<String>,
    /// In batch mode, how many rows of each list to show
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) top: usize,
    /// Give sums since the beginning to Prometheus at http://ADDRESS:PORT/metrics; a port alone is
    /// that of 127.0.0.1
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = parse_address)]
    pub(crate) listen: Option<SocketAddr>,
    /// Show a trace as if it happened now, instead of this host
    #[arg(long, value_name = "TRACE")]
    pub(crate) replay: Option<PathBuf>,
    /// Of a trace of several machines, which one [default: the first]
    #[arg(long, value_name = "NAME", requires = "replay")]
    pub(crate) machine: Option<String>,
    /// How fast a trace is shown on the screen: 2 is twice as fast as it happened
    #[arg(long, value_name = "N", default_value_t = 1.0, requires = "replay", value_parser = parse_speed)]
    pub(crate) speed: f64,
    /// Exit with 4 when events were lost
    #[arg(long)]
    pub(crate) strict: bool,
}

/// An address and port, or a port of this machine alone.
fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix(':').unwrap_or(text).parse::<u16>();
    match port {
        Ok(port) => Ok(SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, port))),
        Err(_) => text
            .parse()
            .map_err(|_| format!("{text:?} is no ADDRESS:PORT, as 127.0.0.1:9753")),
    }
}

fn parse_speed(text: &str) -> Result<f64, String> {
    let speed = text.parse::<f64>().ok();
    let speed = speed.filter(|speed| (0.001..=1e6).contains(speed));
    speed.ok_or_else(|| format!("{text:?} is no speed, as 2 or 0.5"))
}

fn parse_duration(text: &str) -> Result<std::time::Duration, String> {
    let wrong = || format!("{text:?} is no length of time, as 500ms, 10s, 2m or 1h");
    // Seconds, where no unit is named, as of `sleep` and `timeout`.
    let seconds = text.parse::<f64>().ok();
    let seconds = seconds.and_then(|number| std::time::Duration::try_from_secs_f64(number).ok());
    let length = match seconds {
        Some(length) => length,
        None => {
            let length: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
            length.try_into().map_err(|_| wrong())?
        }
    };
    if length.is_zero() {
        return Err(format!("{text:?} is no time at all"));
    }
    Ok(length)
}

/// `virtflow report`.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    pub(crate) input: Input,
    /// Turn what is only likely into unknown
    #[arg(long)]
    pub(crate) proved_only: bool,
    /// Only the VMs whose label or key contains this, or whose VMM has this pid
    #[arg(long, value_name = "NAME")]
    pub(crate) vm: Option<String>,
    /// How many rows of each table to show
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub(crate) top: usize,
    /// Text for people or JSON for programs
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Read the trace even if it was analysed before
    #[arg(long)]
    pub(crate) no_cache: bool,
}

/// `virtflow analyze`.
#[derive(Debug, Args)]
pub(crate) struct AnalyzeArgs {
    /// The traces' directories; several, of one machine or more, make one store
    #[command(flatten)]
    pub(crate) traces: Traces,
    /// The store to write; one that is there is replaced. Without it, the store is kept where
    /// other commands find it (see `virtflow cache`)
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
    /// Turn what is only likely into unknown
    #[arg(long)]
    pub(crate) proved_only: bool,
    /// Text for people or JSON for programs
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Exit with 4 when something is missing: lost events, broken input
    #[arg(long)]
    pub(crate) strict: bool,
}

/// `virtflow serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Traces' directories, or stores
    #[arg(value_name = "TRACE", required_unless_present = "root")]
    pub(crate) traces: Vec<PathBuf>,
    /// Where to listen [default: 127.0.0.1:7711, or any free port if that is taken]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// What others must know to see anything; needed, and made by chance unless given, where they
    /// can reach the server [env: VIRTFLOW_TOKEN]
    #[arg(long, value_name = "SECRET")]
    pub(crate) token: Option<String>,
    /// A name by which browsers ask for this server, beside its address and localhost
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Vec<String>,
    /// Let the page open traces and stores that lie below this directory
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// Do not keep the analyses, and do not use those that were kept
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Do not open the browser
    #[arg(long)]
    pub(crate) no_open: bool,
    /// Serve a built page from this directory, not the one in the program: to develop it
    #[arg(long, value_name = "DIR")]
    pub(crate) web_root: Option<PathBuf>,
}

/// What can be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RenderView {
    /// Virtual machines, their vCPUs, nested VMs and theirs
    Vms,
    /// Guest processes by VM
    Processes,
    /// Host CPUs, interrupts, frequencies, disks, network devices and threads
    Resources,
    /// What stands out in all of the trace, as sentences
    Overview,
    /// Where the time of each CPU, vCPU and process went
    Budgets,
    /// What vCPUs and processes waited for
    Waits,
    /// Who kept whom from running
    Matrix,
    /// What exits cost, by VM
    Exits,
    /// What everything does at the beginning of the range
    States,
    /// Whose time it was while a worker waited, with who woke whom (needs --of)
    CriticalPath,
}

/// `virtflow render`.
#[derive(Debug, Args)]
pub(crate) struct RenderArgs {
    /// The traces
    #[command(flatten)]
    pub(crate) traces: Traces,
    /// The file to write; its ending says what: .svg, .png or .csv
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// What to draw
    #[arg(long, value_enum, default_value_t = RenderView::Vms)]
    pub(crate) view: RenderView,
    /// Only the VMs whose label or key contains this, or whose VMM has this pid
    #[arg(long, value_name = "NAME")]
    pub(crate) vm: Option<String>,
    /// For critical-path, of whom: the number of a host thread, a key, or a part of a name
    #[arg(long, value_name = "WHO")]
    pub(crate) of: Option<String>,
    /// Only this stretch of time (as for report)
    #[arg(long, value_name = "A..B", allow_hyphen_values = true)]
    pub(crate) range: Option<String>,
    /// Times of the day are local, not UTC
    #[arg(long)]
    pub(crate) local: bool,
    /// How wide, in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 1400, value_parser = clap::value_parser!(u32).range(400..=16_000))]
    pub(crate) width: u32,
    /// How many rows at most
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub(crate) rows: usize,
    /// PNG: this many pixels for each, for sharp print
    #[arg(long, value_name = "FACTOR", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=8))]
    pub(crate) scale: u8,
    /// Do not keep the analysis, and do not use one that was kept
    #[arg(long)]
    pub(crate) no_cache: bool,
}

/// `virtflow cache`.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// List them, the last used first
    Ls {
        /// Text for people or JSON for programs
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Remove some of them, or all
    Rm {
        /// Names as `ls` shows them, beginnings of such names, or directories of traces
        #[arg(required_unless_present = "all", value_name = "NAME")]
        names: Vec<String>,
        /// Remove all
        #[arg(long, conflicts_with = "names")]
        all: bool,
    },
}

/// `virtflow info`.
#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// The traces
    #[command(flatten)]
    pub(crate) traces: Traces,
    /// Text for people or JSON for programs
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Show every event name, not only the most frequent
    #[arg(long)]
    pub(crate) all: bool,
    /// Exit with 4 when something is missing: lost events, broken input
    #[arg(long)]
    pub(crate) strict: bool,
}

/// `virtflow events`.
#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// The traces
    #[command(flatten)]
    pub(crate) traces: Traces,
    /// Only this stretch of time (as for report)
    #[arg(long, value_name = "A..B", allow_hyphen_values = true)]
    pub(crate) range: Option<String>,
    /// Times of the day are local, not UTC
    #[arg(long)]
    pub(crate) local: bool,
    /// Only events whose name matches one of these, with * for anything: sched_*,kvm_x86_exit
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) filter: Vec<String>,
    /// Read every event and print only how many there are
    #[arg(long, conflicts_with_all = ["range", "filter"])]
    pub(crate) count: bool,
    /// Text, or one JSON object per line
    #[arg(long, value_enum, default_value_t = EventsFormat::Text)]
    pub(crate) format: EventsFormat,
    /// Exit with 4 when something is missing: lost events, broken input
    #[arg(long)]
    pub(crate) strict: bool,
}

/// Text or JSON lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EventsFormat {
    /// For people
    Text,
    /// One object per line
    Jsonl,
}

/// CSV or JSON lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RowsFormat {
    /// RFC 4180
    Csv,
    /// One object per line
    Jsonl,
}

/// `virtflow intervals`.
#[derive(Debug, Args)]
pub(crate) struct IntervalsArgs {
    #[command(flatten)]
    pub(crate) input: Input,
    /// Turn what is only likely into unknown
    #[arg(long)]
    pub(crate) proved_only: bool,
    /// Only lanes of this kind: cpu, thread, vcpu, nested-vcpu, process, guest-thread, or
    /// interrupt, which are left out otherwise
    #[arg(long, value_name = "K")]
    pub(crate) kind: Option<String>,
    /// Only the lane with this key, and those below it
    #[arg(long, value_name = "KEY")]
    pub(crate) entity: Option<String>,
    /// CSV or JSON lines
    #[arg(long, value_enum, default_value_t = RowsFormat::Csv)]
    pub(crate) format: RowsFormat,
}

/// `virtflow edges`.
#[derive(Debug, Args)]
pub(crate) struct EdgesArgs {
    #[command(flatten)]
    pub(crate) input: Input,
    /// Leave out what is only likely
    #[arg(long)]
    pub(crate) proved_only: bool,
    /// Only edges of this kind: wake-up, injection, packet, disk, steal
    #[arg(long, value_name = "K")]
    pub(crate) kind: Option<String>,
    /// CSV or JSON lines
    #[arg(long, value_enum, default_value_t = RowsFormat::Csv)]
    pub(crate) format: RowsFormat,
}

/// `virtflow counters`.
#[derive(Debug, Args)]
pub(crate) struct CountersArgs {
    #[command(flatten)]
    pub(crate) input: Input,
    /// Only this counter: frequency, queue, latency, transferred, received, sent
    #[arg(long, value_name = "C")]
    pub(crate) counter: Option<String>,
    /// Only the entity with this key: cpu:0, disk:8:0, net:tap1
    #[arg(long, value_name = "KEY")]
    pub(crate) entity: Option<String>,
    /// CSV or JSON lines
    #[arg(long, value_enum, default_value_t = RowsFormat::Csv)]
    pub(crate) format: RowsFormat,
}

/// `virtflow compare`.
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// The traces
    #[command(flatten)]
    pub(crate) traces: Traces,
    /// Only the guest's processes whose name contains this
    #[arg(long, value_name = "NAME")]
    pub(crate) of: Option<String>,
    /// How many processes of each guest, of those that ran longest
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub(crate) top: usize,
    /// Only this stretch of time, as of `report`
    #[arg(long, value_name = "A..B", allow_hyphen_values = true)]
    pub(crate) range: Option<String>,
    /// Times of the day are local, not UTC
    #[arg(long)]
    pub(crate) local: bool,
    /// Text for people or JSON for programs
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Read the traces even if they were analysed before
    #[arg(long)]
    pub(crate) no_cache: bool,
}

/// `virtflow critical-path`.
#[derive(Debug, Args)]
pub(crate) struct CriticalPathArgs {
    /// The traces
    #[command(flatten)]
    pub(crate) traces: Traces,
    /// Of whom: the number of a host thread, a key (as `intervals` prints it), or a part of a name;
    /// may be given several times. A container (container:NUMBER, or its name in `report`) is
    /// followed as one worker: it runs while any of its threads does, wants a CPU while one does and
    /// none runs, and waits while all wait, for what the first of them to go on waited for. Without
    /// it: the workers that did most, one line each
    #[arg(long, value_name = "WHO")]
    pub(crate) of: Vec<String>,
    /// What the path is made of; if not given, the coarsest that has workers like WHO
    #[arg(long, value_enum, value_name = "GRAIN")]
    pub(crate) grain: Option<GrainArg>,
    /// Only this stretch of time (as for report)
    #[arg(long, value_name = "A..B", allow_hyphen_values = true)]
    pub(crate) range: Option<String>,
    /// Times of the day are local, not UTC
    #[arg(long)]
    pub(crate) local: bool,
    /// How many rows of each table to show
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) top: usize,
    /// Print every step of the path, in time order, instead of the longest ones
    #[arg(long)]
    pub(crate) steps: bool,
    /// Text, JSON, or a graph for Graphviz
    #[arg(long, value_enum, default_value_t = PathFormat::Text)]
    pub(crate) format: PathFormat,
    /// Do not keep the analysis, and do not use one that was kept
    #[arg(long)]
    pub(crate) no_cache: bool,
}

/// What a critical path is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GrainArg {
    /// Threads of the host, also where they are vCPUs
    Thread,
    /// vCPUs, and threads of the host
    Vcpu,
    /// Guest processes where it is known which one ran, else as vcpu
    Process,
}

/// How a critical path is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PathFormat {
    /// For people
    Text,
    /// For programs
    Json,
    /// For Graphviz's dot
    Dot,
}

/// A value that clap cannot check.
#[derive(Debug)]
pub(crate) struct UsageError(pub(crate) String);

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}
