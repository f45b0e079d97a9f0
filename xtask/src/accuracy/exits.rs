//! Agreement 2: every VM exit, by vCPU and reason.
//!
//! Each raw `kvm_x86_exit` must start one row of our vCPU lane that is neither guest nor unknown, at its
//! very time (or end the lane, where nothing follows it); each end of a `guest` row must be a raw exit.
//! Our tables have classes of exits, not reasons: the cause of a `hypervisor` row must be a class that
//! the reason can have ([`CLASSES`]). The counts so found, by reason, are compared with
//! `exit_counts_in_trace`; in a trace with loss with the raw exits outside the loss windows instead, as
//! the truth's own counts then go astray.

use super::case::{Case, HostVcpu};
use super::on_off::lane;
use super::ours::Row;
use super::raw::Raw;
use super::report::{Agreement, Table, Verdict};
use super::span::{Ns, Span};
use super::truth::Truth;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The classes that AMD's exit codes (arch/x86/include/uapi/asm/svm.h) can have: some codes tell only
/// with their fields what they are about.
const CLASSES: &[(u32, &[&str])] = &[
    (0x60, &["exit-irq"]),
    (0x61, &["exit-irq", "exit-other"]),
    (0x64, &["exit-window"]),
    (0x72, &["exit-cpuid"]),
    (0x77, &["exit-spin"]),
    (0x78, &["exit-hlt"]),
    (0x7b, &["exit-io"]),
    (0x7c, &["exit-msr", "exit-timer", "exit-ipi", "exit-apic"]),
    (0x80, &["exit-nested"]),
    (0x81, &["exit-hypercall"]),
    (0x82, &["exit-nested"]),
    (0x83, &["exit-nested"]),
    (0x84, &["exit-nested"]),
    (0x85, &["exit-nested"]),
    (
        0x400,
        &[
            "exit-mem",
            "exit-mmio",
            "exit-mmio-fast",
            "exit-apic",
            "exit-ipi",
            "exit-timer",
        ],
    ),
];

fn can_be(reason: u32, class: &str) -> bool {
    match CLASSES.iter().find(|(code, _)| *code == reason) {
        Some((_, classes)) => classes.contains(&class),
        None => !class.is_empty(),
    }
}

type Names = BTreeMap<u32, BTreeMap<String, i64>>;

#[derive(Default)]
struct Counts {
    raw: BTreeMap<u32, i64>,
    found: BTreeMap<u32, i64>,
    /// Our classes of each reason, with how often.
    names: Names,
    extra: i64,
}

/// The reason's number in `MSR(0x7c)`.
fn code(text: &str) -> Option<u32> {
    u32::from_str_radix(text.split_once("(0x")?.1.trim_end_matches(')'), 16).ok()
}

fn count(case: &Case, vcpu: &HostVcpu, lossy: bool) -> Counts {
    let counts_here = |at: Ns| !lossy || case.within.contains(at);
    let rows = lane(case, vcpu);
    let by_start: HashMap<Ns, &Row> = rows.iter().map(|(span, row)| (span.start, *row)).collect();
    let last_guest_end = rows
        .last()
        .filter(|(_, row)| &*row.state == "guest")
        .map(|(span, _)| span.end);
    let is_ours = |vcpu_id: i64| {
        case.vcpus
            .iter()
            .filter(|other| i64::from(other.vcpu) == vcpu_id)
            .count()
            == 1
    };
    let mut counts = Counts::default();
    let mut exits = BTreeSet::new();
    for exit in &case.replay.exits {
        // After loss the thread may be unknown: the vCPU's number tells if only one VM has it.
        let mine = match exit.tid {
            Some(tid) => tid == vcpu.tid,
            None => i64::from(vcpu.vcpu) == exit.vcpu && is_ours(exit.vcpu),
        };
        if !mine || !counts_here(exit.at) {
            continue;
        }
        exits.insert(exit.at);
        *counts.raw.entry(exit.reason).or_default() += 1;
        let row = by_start.get(&exit.at);
        let found = match row {
            Some(row) => !matches!(&*row.state, "guest" | "unknown"),
            None => last_guest_end == Some(exit.at),
        };
        if !found {
            continue;
        }
        *counts.found.entry(exit.reason).or_default() += 1;
        if let Some(row) = row.filter(|row| &*row.state == "hypervisor") {
            let names = counts.names.entry(exit.reason).or_default();
            *names.entry(row.cause.to_string()).or_default() += 1;
        }
    }
    let ends = rows
        .windows(2)
        .filter(|pair| &*pair[0].1.state == "guest" && pair[0].0.end == pair[1].0.start);
    let ends = ends
        .filter(|pair| !matches!(&*pair[1].1.state, "guest" | "unknown"))
        .map(|pair| pair[0].0.end);
    counts.extra = ends
        .filter(|at| counts_here(*at) && !exits.contains(at))
        .map(|_| 1)
        .sum();
    counts
}

/// The exits of a trace by vCPU and reason, as the truth writes them, from its raw events alone; those
/// before the thread on the processor is known are not in it.
pub(super) fn counted(truth: &Truth, raw: &Raw) -> BTreeMap<String, BTreeMap<String, u64>> {
    let all = Span::new(Ns::MIN / 2, Ns::MAX / 2);
    let vcpus = super::case::host_vcpus(truth);
    let tids: Vec<i64> = vcpus.iter().map(|vcpu| vcpu.tid).collect();
    let replay = super::threads::replay(raw, &tids, all);
    let names = truth.exit_counts_in_trace.values().flat_map(BTreeMap::keys);
    let names: BTreeMap<u32, &String> =
        names.filter_map(|name| Some((code(name)?, name))).collect();
    let mut out: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for exit in &replay.exits {
        let Some(vcpu) = vcpus.iter().find(|vcpu| Some(vcpu.tid) == exit.tid) else {
            continue;
        };
        let reason = names
            .get(&exit.reason)
            .map_or_else(|| format!("(0x{:x})", exit.reason), |name| (*name).clone());
        *out.entry(vcpu.name.clone())
            .or_default()
            .entry(reason)
            .or_default() += 1;
    }
    out
}

/// What should have been found, by reason.
fn wanted(case: &Case, vcpu: &HostVcpu, counts: &Counts, lossy: bool) -> BTreeMap<u32, i64> {
    match case.truth.exit_counts_in_trace.get(&vcpu.name) {
        Some(truth) if !lossy => {
            let number =
                |(name, count): (&String, &u64)| Some((code(name)?, i64::try_from(*count).ok()?));
            truth.iter().filter_map(number).collect()
        }
        _ => counts.raw.clone(),
    }
}

/// How many exits are in a class that their reason cannot have.
fn misnamed(names: &Names) -> i64 {
    let wrong = names.iter().flat_map(|(&reason, classes)| {
        let wrong = classes
            .iter()
            .filter(move |(class, _)| !can_be(reason, class));
        wrong.map(|(_, count)| count)
    });
    wrong.sum()
}

fn shown(names: &Names) -> String {
    let class = |(class, count): (&String, &i64)| {
        let class = if class.is_empty() { "(none)" } else { class };
        format!("{class} {count}")
    };
    let reason = |(reason, classes): (&u32, &BTreeMap<String, i64>)| {
        let classes: Vec<_> = classes.iter().map(class).collect();
        format!("0x{reason:x} = {}", classes.join(" + "))
    };
    names.iter().map(reason).collect::<Vec<_>>().join(", ")
}

pub(crate) fn agree(case: &Case) -> Agreement {
    let goal =
        "exact: each exit of the trace found once, in a class that its reason can have".to_owned();
    let mut out = Agreement::new(2, "exits", goal);
    let lossy = case.lost_events > 0;
    let headers = vec![
        "vCPU",
        "in truth",
        "raw events",
        "found",
        "missed",
        "extra",
        "wrong reasons",
    ];
    let mut table = Table {
        title: String::new(),
        headers,
        rows: Vec::new(),
    };
    let mut names = Names::new();
    let (mut good, mut all, mut found_all) = (true, 0, 0);
    for vcpu in &case.vcpus {
        let counts = count(case, vcpu, lossy);
        let wanted = wanted(case, vcpu, &counts, lossy);
        let sum = |map: &BTreeMap<u32, i64>| map.values().sum::<i64>();
        let wrong = wanted
            .iter()
            .filter(|(reason, count)| counts.found.get(reason) != Some(count))
            .count();
        let missed = sum(&counts.raw) - sum(&counts.found);
        good &= wrong == 0 && counts.extra == 0 && missed == 0;
        all += sum(&wanted);
        found_all += sum(&counts.found);
        let numbers = [
            sum(&wanted),
            sum(&counts.raw),
            sum(&counts.found),
            missed,
            counts.extra,
        ];
        let numbers = numbers
            .iter()
            .map(i64::to_string)
            .chain([wrong.to_string()]);
        table
            .rows
            .push(std::iter::once(vcpu.name.clone()).chain(numbers).collect());
        for (reason, classes) in counts.names {
            let sums = names.entry(reason).or_default();
            for (class, count) in classes {
                *sums.entry(class).or_default() += count;
            }
        }
    }
    let misnamed = misnamed(&names);
    if all > 0 {
        out.verdict = Verdict::of(good && misnamed == 0);
        out.score = format!("{found_all} of {all} exits, {misnamed} in a wrong class");
    }
    out.figure("misnamed", misnamed);
    out.notes.push(format!("our classes: {}", shown(&names)));
    if lossy {
        out.notes.push(
            "lossy trace: exits outside loss windows only; \"in truth\" is the raw count there"
                .into(),
        );
    }
    out.figure("wanted", all);
    out.figure("found", found_all);
    out.tables.push(table);
    out
}

/// Whether a span of guest mode ends where a raw exit is; used by the cross-check of agreement 3.
pub(crate) fn share_in(raw: &super::span::Spans, spans: &[Span]) -> (Ns, Ns) {
    (
        spans.iter().map(|span| raw.overlap(*span)).sum(),
        spans.iter().map(|span| span.len()).sum(),
    )
}
