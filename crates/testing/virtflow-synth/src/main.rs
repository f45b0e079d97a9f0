//! `virtflow-synth`: writes a trace of a KVM host that never was, and the truth about it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use virtflow_synth::{Dialect, FleetScenario, Scenario, generate, generate_fleet, generate_script};

/// Writes a trace of a KVM host that never was to DIR/trace/kernel, and the truth about it to
/// DIR/truth.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Where to; created where missing
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Write the events that this file tells, and no truth; a line is: microseconds, cpu and its
    /// number, the event's name, fields as name=value
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// All chance comes from here
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Words apart by commas, each changing one thing of the test bed's dialect: testbed, vmx,
    /// svm, old-names, posted, pti, pcid, shadow, no-probe, original-probe, stacks,
    /// no-nested-events, no-waking, stock, no-noise, contexts, big-endian, compact, ctf2, freq=HZ, offset-s=SECONDS,
    /// offset=CYCLES, start=CYCLES
    #[arg(long, default_value = "testbed")]
    dialect: Dialect,
    /// How long the trace is, in simulated seconds
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Stop after about this many events, if that comes first
    #[arg(long)]
    events: Option<u64>,
    /// Host processors, one stream each
    #[arg(long, default_value_t = 2)]
    cpus: u32,
    /// Virtual machines
    #[arg(long, default_value_t = 2)]
    vms: u32,
    /// Virtual processors of each
    #[arg(long, default_value_t = 1)]
    vcpus: u32,
    /// Guest processes of each virtual processor
    #[arg(long, default_value_t = 5)]
    processes: u32,
    /// How many of these have a second thread
    #[arg(long, default_value_t = 0)]
    threads: u32,
    /// Further processes of each virtual processor that start short programs
    #[arg(long, default_value_t = 0)]
    shells: u32,
    /// Host threads that burn processor time
    #[arg(long, default_value_t = 1)]
    hogs: u32,
    /// How many of the VMs run a nested VM
    #[arg(long, default_value_t = 0)]
    nested: u32,
    /// The share of VMs whose vCPU threads are pinned
    #[arg(long, default_value_t = 0.5)]
    pinned: f64,
    /// Network by vhost workers
    #[arg(long)]
    vhost: bool,
    /// The probability that no exit shows when a guest switches processes
    #[arg(long, default_value_t = 0.1)]
    hidden_switches: f64,
    /// Windows of lost events
    #[arg(long, default_value_t = 0)]
    losses: u32,
    /// Streams begin late and end early by up to this many milliseconds
    #[arg(long, default_value_t = 0)]
    ragged_ms: u64,
    /// The most bytes of a packet
    #[arg(long, default_value_t = 1 << 20)]
    packet_bytes: usize,
    /// The machine's name
    #[arg(long, default_value = "synth")]
    machine: String,
    /// Write the trace only
    #[arg(long)]
    no_truth: bool,
    /// Instead of a host with VMs, so many hosts that ask each other over a network, each traced on
    /// a clock of its own: to DIR/traces/HOST. Of the other options, --seed, --seconds and --hogs
    /// (of each host) apply
    #[arg(long, value_name = "HOSTS", num_args = 0..=1, default_missing_value = "3")]
    fleet: Option<u32>,
    /// With --fleet: threads of the client
    #[arg(long, default_value_t = 2, requires = "fleet")]
    clients: u32,
}

impl Args {
    fn scenario(&self) -> Scenario {
        Scenario {
            seed: self.seed,
            seconds: self.seconds,
            events: self.events,
            cpus: self.cpus,
            vms: self.vms,
            vcpus: self.vcpus,
            processes: self.processes,
            threads: self.threads,
            shells: self.shells,
            hogs: self.hogs,
            nested: self.nested,
            pinned: self.pinned,
            vhost: self.vhost,
            hidden_switches: self.hidden_switches,
            losses: self.losses,
            ragged_ns: self.ragged_ms * 1_000_000,
            truth: !self.no_truth,
            machine: self.machine.clone(),
            packet_bytes_max: self.packet_bytes,
            dialect: self.dialect.clone(),
        }
    }
}

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program's output"
)]
fn main() -> ExitCode {
    let args = Args::parse();
    let begun = Instant::now();
    if let Some(path) = &args.script {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                eprintln!("virtflow-synth: cannot read {}: {error}", path.display());
                return ExitCode::FAILURE;
            }
        };
        return match generate_script(&text, &args.out) {
            Ok(events) => {
                println!("{events} events");
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("virtflow-synth: {}: {error}", path.display());
                ExitCode::FAILURE
            }
        };
    }
    if let Some(hosts) = args.fleet {
        let scenario = FleetScenario {
            seed: args.seed,
            seconds: args.seconds,
            hosts,
            clients: args.clients,
            hogs: args.hogs,
            ..FleetScenario::default()
        };
        return match generate_fleet(&scenario, &args.out) {
            Ok(summary) => {
                println!(
                    "{} events, {:.1} MB, {} hosts, {} requests; {:.2} s",
                    summary.events,
                    summary.bytes as f64 / 1e6,
                    hosts,
                    summary.requests,
                    begun.elapsed().as_secs_f64(),
                );
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("virtflow-synth: {error}");
                ExitCode::FAILURE
            }
        };
    }
    match generate(&args.scenario(), &args.out) {
        Ok(summary) => {
            let seconds = begun.elapsed().as_secs_f64();
            println!(
                "{} events, {:.1} MB, {:.3} simulated seconds, {} rows of truth; {:.2} s, {:.2} million events/s",
                summary.events,
                summary.bytes as f64 / 1e6,
                summary.nanos as f64 / 1e9,
                summary.intervals,
                seconds,
                summary.events as f64 / seconds / 1e6,
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("virtflow-synth: {error}");
            ExitCode::FAILURE
        }
    }
}
