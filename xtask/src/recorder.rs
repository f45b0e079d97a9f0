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
/// Exits that one has inside of the range and the other, a moment later, outside.
const EDGE_MAX: u64 = 2;
/// The same entry is told by both within this time.
const SAME_NS: i64 = 2_000_000;
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
    let begin = first.0.max(second.0) + SETTLE_NS;
    let end = first.1.min(second.1) - END_NS;
    if begin >= end {
        bail!("both recordings have no time in common");
    }
    println!("both recorded {:.3} s", (end - begin) as f64 / 1e9);
    let reports = [lttng, ours].map(|trace| report(&virtflow, trace, begin, end));
    let [theirs, own] = reports;
    let (theirs, own) = (vcpus(&theirs?)?, vcpus(&own?)?);
    let mut bad = 0;
    for (tid, theirs) in &theirs {
        let Some(own) = own.get(tid) else {
            println!("vCPU thread {tid}: not in ours");
            bad += 1;
            continue;
        };
        println!("vCPU thread {tid}                         LTTng %   ours %     off");
        for (state, [theirs, own]) in both(&theirs.budget, &own.budget) {
            let off = own - theirs;
            bad += usize::from(off.abs() > POINTS_MAX);
            println!("  {state:<38} {theirs:>8.2} {own:>8.2} {off:>7.2}");
        }
        for (who, [theirs, own]) in both(&theirs.taken, &own.taken) {
            let off = own - theirs;
            bad += usize::from(off.abs() > POINTS_MAX);
            println!("  taken by {who:<29} {theirs:>8.2} {own:>8.2} {off:>7.2}");
        }
        bad += usize::from(theirs.exits.abs_diff(own.exits) > EDGE_MAX);
        println!("  exits: {} and {}", theirs.exits, own.exits);
    }
    let entries = [lttng, ours].map(|trace| entries(&virtflow, trace));
    let [theirs, own] = entries;
    let (same, differ, alone) = compare(&theirs?, &own?);
    println!("page tables at entries: {same} the same, {differ} differ, {alone} only in ours");
    bad += usize::from(differ > 0 || same == 0);
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

/// When a recording begins and ends.
fn info(virtflow: &Path, trace: &Path) -> Result<(i64, i64)> {
    let info = json(virtflow, &["info", "--format", "json"], trace)?;
    let machine = &info["machines"][0];
    let (begin, end) = (machine["begin_ns"].as_i64(), machine["end_ns"].as_i64());
    Ok((begin.context("no begin")?, end.context("no end")?))
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
    budget: BTreeMap<String, f64>,
    taken: BTreeMap<String, f64>,
    exits: u64,
}

/// The vCPUs of all VMs by thread.
fn vcpus(report: &Value) -> Result<BTreeMap<i64, Vcpu>> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut found = BTreeMap::new();
    for machine in list(&report["machines"]) {
        for vcpu in list(&machine["vms"])
            .iter()
            .flat_map(|vm| list(&vm["vcpus"]))
        {
            let wall = vcpu["budget"]["wall_ns"].as_f64().unwrap_or(0.0).max(1.0);
            let share = |value: &Value| 100.0 * value.as_f64().unwrap_or(0.0) / wall;
            let mut own = Vcpu {
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

/// The time and the page table of every entry, by VMM and vCPU.
type Entries = BTreeMap<(i64, i64), Vec<(i64, u64)>>;

/// Those of a recording.
fn entries(virtflow: &Path, trace: &Path) -> Result<Entries> {
    let mut child = Command::new(virtflow)
        .args([
            "events",
            "--filter",
            "vcpu_enter_guest",
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
    let mut found = Entries::new();
    for line in BufReader::new(out).lines() {
        let event: Value = serde_json::from_str(&line?)?;
        let fields = &event["fields"];
        let number = |key: &str| fields[key].as_i64().unwrap_or(-1);
        let key = (number("vm_pid"), number("vcpu_id"));
        let time = event["time_ns"]
            .as_i64()
            .context("an event without a time")?;
        found
            .entry(key)
            .or_default()
            .push((time, fields["cr3"].as_u64().unwrap_or(0)));
    }
    child.wait()?;
    Ok(found)
}

/// How many entries of ours have the page table that LTTng's has, another one, or no counterpart.
fn compare(theirs: &Entries, own: &Entries) -> (usize, usize, usize) {
    let (mut same, mut differ, mut alone) = (0, 0, 0);
    for (key, entries) in own {
        let none = Vec::new();
        let theirs = theirs.get(key).unwrap_or(&none);
        for (time, cr3) in entries {
            let after = theirs.partition_point(|(at, _)| at <= time);
            let near = [after.checked_sub(1), Some(after)];
            let near = near.into_iter().flatten().filter_map(|at| theirs.get(at));
            match near.min_by_key(|(at, _)| (at - time).abs()) {
                Some((at, _)) if (at - time).abs() > SAME_NS => alone += 1,
                Some((_, other)) if other == cr3 => same += 1,
                Some(_) => differ += 1,
                None => alone += 1,
            }
        }
    }
    (same, differ, alone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_compared_with_the_closest() {
        let of = |entries: &[(i64, u64)]| BTreeMap::from([((1, 0), entries.to_vec())]);
        let theirs = of(&[(10_000_000, 7), (20_000_000, 8)]);
        let own = of(&[(10_001_000, 7), (19_999_000, 9), (15_000_000, 7)]);
        assert_eq!(compare(&theirs, &own), (1, 1, 1));
    }
}
