//! `cargo xtask recorder`: what `virtflow record` wrote beside what LTTng wrote of the same time.
//!
//! Both recordings come from one run of the test bed, an emulated KVM host (docs/recording.md). They must give the same budgets, name the same culprits, count the
//! same exits, and have the same page table at every entry.

mod testbed;

use crate::repo;
use anyhow::{Context, Result, bail};
use clap::Parser;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// What budgets may differ by, in hundredths of a lane's time.
const POINTS_MAX: f64 = 1.0;
/// The state of a vCPU in its guest, as a budget names it.
const GUEST: &str = "guest ";
/// Exits that one has inside of the range and the other, a moment later, outside.
const EDGE_MAX: u64 = 2;
/// Until then a halt may have begun before the later recording.
const SETTLE_NS: i64 = 1_500_000_000;
/// After that a halt may end only when one of them has ended.
const END_NS: i64 = 1_500_000_000;

/// Compare a recording of `virtflow record` with LTTng's of the same time
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// LTTng's trace
    #[arg(required_unless_present = "testbed", requires = "ours")]
    lttng: Option<PathBuf>,
    /// Ours
    ours: Option<PathBuf>,
    /// Make both in this copy of the test bed, which is built where it is not yet (6 GB; as root)
    #[arg(long, value_name = "DIR", conflicts_with = "lttng")]
    testbed: Option<PathBuf>,
    /// The test bed's scenarios: a one VM, b two that share a processor, c a nested VM, d a network
    #[arg(long, value_delimiter = ',', default_value = "a,b,c,d")]
    scenario: Vec<String>,
    /// Take the guest's registers from our kernel module, made to read the VMCB there, and not from
    /// what BPF programs read themselves
    #[arg(long, requires = "testbed")]
    module: bool,
}

/// Runs the command.
#[expect(clippy::print_stdout, reason = "which scenario it is")]
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let mut bad = 0;
    if let (Some(lttng), Some(ours)) = (&args.lttng, &args.ours) {
        bad = compare_traces(lttng, ours)?;
    }
    if let Some(bed) = &args.testbed {
        for (scenario, lttng, ours) in testbed::record(bed, &args.scenario, args.module)? {
            println!("SCENARIO {scenario}");
            bad += compare_traces(&lttng, &ours)?;
        }
    }
    Ok(if bad == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// How many differences are too large.
#[expect(clippy::print_stdout, reason = "the comparison")]
fn compare_traces(lttng: &Path, ours: &Path) -> Result<usize> {
    let virtflow = repo::release_binary("virtflow")?;
    let (first, second) = (info(&virtflow, lttng)?, info(&virtflow, ours)?);
    // By the clock that both have.
    let ahead = second.clock_began - first.clock_began;
    let begin = first.begin.max(second.begin - ahead) + SETTLE_NS;
    let end = first.end.min(second.end - ahead) - END_NS;
    if begin >= end {
        bail!("both recordings have no time in common");
    }
    println!("both recorded {:.3} s", (end - begin) as f64 / 1e9);
    let theirs = report(&virtflow, lttng, begin, end);
    let own = report(&virtflow, ours, begin + ahead, end + ahead);
    let (theirs, own) = (vcpus(&theirs?)?, vcpus(&own?)?);
    let their_stretches = stretches(&virtflow, lttng, first.clock_began);
    let own_stretches = stretches(&virtflow, ours, second.clock_began);
    let (their_stretches, own_stretches) = (their_stretches?, own_stretches?);
    let (mut bad, mut all) = (0, Compared::default());
    let mut by_vcpu = BTreeMap::new();
    for (key, own) in &own_stretches {
        let theirs = their_stretches.get(key).map_or(&[][..], Vec::as_slice);
        let found = compare(theirs, own);
        all.same += found.same;
        all.differ += found.differ;
        all.alone += found.alone;
        by_vcpu.insert(*key, found);
    }
    for (tid, theirs) in &theirs {
        let Some(own) = own.get(tid) else {
            println!("vCPU thread {tid}: not in ours");
            bad += 1;
            continue;
        };
        println!("vCPU thread {tid}                         LTTng %   ours %     off");
        let probes = by_vcpu.get(&own.key).copied().unwrap_or_default();
        let probes_ns = probes.probes_ns();
        let probes = 100.0 * (probes_ns as f64) * (own.exits as f64) / own.wall_ns;
        for (state, [theirs, own]) in both(&theirs.budget, &own.budget) {
            let off = own - theirs;
            let by_probes = if state == GUEST { probes } else { 0.0 };
            bad += usize::from((off - by_probes).abs() > POINTS_MAX);
            println!("  {state:<38} {theirs:>8.2} {own:>8.2} {off:>7.2}");
            if state == GUEST {
                println!(
                    "    of it LTTng's probes at exits        {:>8} {:>8} {probes:>7.2}  \
                     ({probes_ns} ns each more than at entries)",
                    "", ""
                );
            }
        }
        for (who, [theirs, own]) in both(&theirs.taken, &own.taken) {
            let off = own - theirs;
            bad += usize::from(off.abs() > POINTS_MAX);
            println!("  taken by {who:<29} {theirs:>8.2} {own:>8.2} {off:>7.2}");
        }
        bad += usize::from(theirs.exits.abs_diff(own.exits) > EDGE_MAX);
        println!("  exits: {} and {}", theirs.exits, own.exits);
    }
    println!(
        "page tables at entries: {} the same, {} differ, {} only in ours",
        all.same, all.differ, all.alone
    );
    bad += usize::from(all.differ > 0 || all.same == 0);
    if !is_whole(&virtflow, ours)? {
        println!("events were lost, or something is wrong in our trace: virtflow info says what");
        bad += 1;
    }
    println!("{}", if bad == 0 { "PASS" } else { "FAIL" });
    Ok(bad)
}

/// Whether nothing is wrong in a trace, and nothing is missing.
fn is_whole(virtflow: &Path, trace: &Path) -> Result<bool> {
    let mut info = Command::new(virtflow);
    let info = info.args(["info", "--strict"]).arg(trace);
    let quiet = info.stdin(Stdio::null()).stdout(Stdio::null());
    Ok(quiet.status().context("cannot run virtflow")?.success())
}

fn json(virtflow: &Path, arguments: &[&str], trace: &Path) -> Result<Value> {
    let output = Command::new(virtflow)
        .args(arguments)
        .arg(trace)
        .stdin(Stdio::null())
        .output()
        .context("cannot run virtflow")?;
    serde_json::from_slice(&output.stdout).with_context(|| {
        format!(
            "{}: {}",
            trace.display(),
            String::from_utf8_lossy(&output.stderr)
        )
    })
}

/// When a recording begins and ends, and when it thinks that its clock began: by up to a millisecond two
/// tracers of an emulated host measure that otherwise.
struct Times {
    begin: i64,
    end: i64,
    clock_began: i64,
}

fn info(virtflow: &Path, trace: &Path) -> Result<Times> {
    let info = json(virtflow, &["info", "--format", "json"], trace)?;
    let (machine, clock) = (&info["machines"][0], &info["traces"][0]["clocks"][0]);
    Ok(Times {
        begin: machine["begin_ns"].as_i64().context("no begin")?,
        end: machine["end_ns"].as_i64().context("no end")?,
        clock_began: clock["offset_ns"].as_i64().context("no clock")?,
    })
}

fn report(virtflow: &Path, trace: &Path, begin: i64, end: i64) -> Result<Value> {
    let range = format!("{begin}..{end}");
    let arguments = [
        "report",
        "--format",
        "json",
        "--no-cache",
        "--range",
        &range,
    ];
    json(virtflow, &arguments, trace)
}

/// What a report says of a vCPU: shares of its time in hundredths.
#[derive(Debug, Default)]
struct Vcpu {
    /// Its VMM and its number.
    key: (i64, i64),
    wall_ns: f64,
    budget: BTreeMap<String, f64>,
    taken: BTreeMap<String, f64>,
    exits: u64,
}

/// The vCPUs of all VMs by thread.
fn vcpus(report: &Value) -> Result<BTreeMap<i64, Vcpu>> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut found = BTreeMap::new();
    for machine in list(&report["machines"]) {
        for (vm, vcpu) in list(&machine["vms"]).iter().flat_map(|vm| {
            list(&vm["vcpus"])
                .into_iter()
                .map(|vcpu| (vm["pid"].as_i64(), vcpu))
        }) {
            let wall = vcpu["budget"]["wall_ns"].as_f64().unwrap_or(0.0).max(1.0);
            let share = |value: &Value| 100.0 * value.as_f64().unwrap_or(0.0) / wall;
            let mut own = Vcpu {
                key: (vm.unwrap_or(-1), vcpu["vcpu"].as_i64().unwrap_or(-1)),
                wall_ns: wall,
                exits: vcpu["exit_count"].as_u64().unwrap_or(0),
                ..Vcpu::default()
            };
            for state in list(&vcpu["budget"]["states"]) {
                let text = |key: &str| state[key].as_str().unwrap_or("").to_owned();
                let name = format!("{} {}", text("state"), text("cause"));
                *own.budget.entry(name).or_default() += share(&state["total_ns"]);
            }
            for taker in list(&vcpu["taken_by"]) {
                let name = taker["label"].as_str().unwrap_or("").to_owned();
                let ns = share(&taker["preempted_ns"]) + share(&taker["runnable_ns"]);
                *own.taken.entry(name).or_default() += ns;
            }
            let tid = vcpu["tid"].as_i64().context("a vCPU without a thread")?;
            found.insert(tid, own);
        }
    }
    if found.is_empty() {
        bail!("a report without a vCPU");
    }
    Ok(found)
}

/// What either has, the larger first.
fn both(one: &BTreeMap<String, f64>, other: &BTreeMap<String, f64>) -> Vec<(String, [f64; 2])> {
    let names = one
        .keys()
        .chain(other.keys().filter(|name| !one.contains_key(*name)));
    let mut all: Vec<(String, [f64; 2])> = names
        .map(|name| {
            let of = |all: &BTreeMap<String, f64>| all.get(name).copied().unwrap_or(0.0);
            (name.clone(), [of(one), of(other)])
        })
        .collect();
    all.sort_by(|a, b| b.1[0].total_cmp(&a.1[0]).then_with(|| a.0.cmp(&b.0)));
    all
}

/// One stretch in a guest, by the events at its two ends.
#[derive(Clone, Copy, Debug, Default)]
struct Stretch {
    entry: i64,
    /// Not where the recording ends within.
    exit: Option<i64>,
    cr3: u64,
}

/// The stretches in a guest of every vCPU in order, by VMM and vCPU.
type Stretches = BTreeMap<(i64, i64), Vec<Stretch>>;

/// Those of a recording.
fn stretches(virtflow: &Path, trace: &Path, clock_began: i64) -> Result<Stretches> {
    let mut child = Command::new(virtflow)
        .args([
            "events",
            "--filter",
            "kvm_x86_entry,vcpu_enter_guest,kvm_x86_exit",
            "--format",
            "jsonl",
        ])
        .arg(trace)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run virtflow")?;
    let out = child.stdout.take().context("no output")?;
    let mut found = Stretches::new();
    // By processor: when it entered a guest, and whose stretch is not over yet.
    let mut entered: BTreeMap<i64, i64> = BTreeMap::new();
    let mut within: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
    for line in BufReader::new(out).lines() {
        let event: Value = serde_json::from_str(&line?)?;
        let fields = &event["fields"];
        let number = |key: &str| fields[key].as_i64().unwrap_or(-1);
        let time = event["time_ns"]
            .as_i64()
            .context("an event without a time")?
            - clock_began;
        let cpu = event["cpu"]
            .as_i64()
            .context("an event without a processor")?;
        match event["name"].as_str() {
            Some("kvm_x86_entry") => {
                entered.insert(cpu, time);
            }
            Some("vcpu_enter_guest") => {
                let key = (number("vm_pid"), number("vcpu_id"));
                within.insert(cpu, key);
                found.entry(key).or_default().push(Stretch {
                    entry: entered.remove(&cpu).unwrap_or(time),
                    exit: None,
                    cr3: fields["cr3"].as_u64().unwrap_or(0),
                });
            }
            _ => {
                let key = within.remove(&cpu);
                let list = key.and_then(|key| found.get_mut(&key));
                if let Some(last) = list.and_then(|list| list.last_mut()) {
                    last.exit = Some(time);
                }
            }
        }
    }
    child.wait()?;
    Ok(found)
}

/// What the stretches of one vCPU, or all, have in common in both recordings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Compared {
    same: usize,
    differ: usize,
    /// Outside of LTTng's recording.
    alone: usize,
    /// How much later than LTTng's ours are, all entries and all exits of `pairs` together.
    entry_ns: i64,
    exit_ns: i64,
    pairs: i64,
}

impl Compared {
    /// How much longer a stretch in the guest is in ours: both recorders stand at the same
    /// tracepoints, ours after LTTng, so what LTTng's probes at an exit take is guest time in ours,
    /// and what they take at an entry is guest time in LTTng's.
    fn probes_ns(self) -> i64 {
        (self.exit_ns - self.entry_ns) / self.pairs.max(1)
    }
}

/// Compares the stretches of one vCPU one by one.
///
/// Which belongs to which is not told by time alone: where the machine stands still between the two
/// probes, the next entry may be closer. Both lists are whole and in order, so one shift is right for
/// all, and it is the one that most pairs of closest entries have.
fn compare(theirs: &[Stretch], own: &[Stretch]) -> Compared {
    let mut votes: BTreeMap<i64, usize> = BTreeMap::new();
    for (index, one) in own.iter().enumerate() {
        let after = theirs.partition_point(|other| other.entry <= one.entry);
        let near = [after.checked_sub(1), Some(after)].into_iter().flatten();
        let near = near.filter_map(|at| Some((at, theirs.get(at)?.entry.abs_diff(one.entry))));
        if let Some((at, _)) = near.min_by_key(|(_, apart)| *apart) {
            *votes.entry(at as i64 - index as i64).or_default() += 1;
        }
    }
    let shift = votes.iter().max_by_key(|(_, count)| **count);
    let shift = shift.map_or(0, |(shift, _)| *shift);
    let mut found = Compared::default();
    for (index, one) in own.iter().enumerate() {
        let at = usize::try_from(index as i64 + shift).ok();
        let Some(other) = at.and_then(|at| theirs.get(at)) else {
            found.alone += 1;
            continue;
        };
        if other.cr3 == one.cr3 {
            found.same += 1;
        } else {
            found.differ += 1;
        }
        if let (Some(exit), Some(other_exit)) = (one.exit, other.exit) {
            found.pairs += 1;
            found.entry_ns += one.entry - other.entry;
            found.exit_ns += exit - other_exit;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(list: &[(i64, i64, u64)]) -> Vec<Stretch> {
        let stretch = |&(entry, exit, cr3)| Stretch {
            entry,
            exit: Some(exit),
            cr3,
        };
        list.iter().map(stretch).collect()
    }

    #[test]
    fn entries_are_compared_in_order_also_where_the_machine_stood_still() {
        let theirs = of(&[
            (0, 9, 6),
            (10, 19, 7),
            (20, 29, 8),
            (30, 39, 9),
            (40, 49, 5),
        ]);
        // The third is 9 late, and closer to the one after it.
        let own = of(&[
            (11, 22, 7),
            (29, 32, 8),
            (31, 42, 9),
            (41, 52, 4),
            (51, 62, 3),
        ]);
        let found = compare(&theirs, &own);
        assert_eq!((found.same, found.differ, found.alone), (3, 1, 1));
        assert_eq!((found.entry_ns, found.exit_ns, found.pairs), (12, 12, 4));
    }

    #[test]
    fn what_the_other_recorders_probes_take_within_ours_is_told() {
        let theirs = of(&[(0, 100, 1), (200, 300, 1)]);
        let own = of(&[(10, 114, 1), (212, 318, 1)]);
        assert_eq!(compare(&theirs, &own).probes_ns(), 5);
    }
}
