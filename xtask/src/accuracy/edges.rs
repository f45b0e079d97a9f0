//! Causal edges of generated traces, whose every cause is known: how many of the true ones are found,
//! and how many of ours are true.
//!
//! An edge is found if one of ours has the same kind, the same ends and, at both, the same time within
//! [`EDGE_NS`]; each is used once. What a trace loses or does not cover is not compared.

use super::report::{Table, percent_text};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use virtflow_synth::{Dialect, Scenario, generate};

/// How far apart the ends of the same edge may be, in nanoseconds: a guest's wake-up is seen at the
/// exits around it.
const EDGE_NS: i64 = 1_000_000;

/// Dialects that are tried, each with what else is changed.
const DIALECTS: [&str; 9] = [
    "testbed",
    "vmx",
    "posted",
    "pti",
    "shadow",
    "original-probe",
    "no-probe",
    "stacks",
    "vmx,original-probe,no-nested-events,pti,pcid",
];
const SEEDS: [u64; 2] = [1, 2];

/// What edges are told apart: kind, and between what.
type Class = (String, &'static str);

/// Times of both ends of edges, by class and keys of the ends.
type Edges = BTreeMap<(Class, String, String), Vec<(i64, i64)>>;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    truth: i64,
    ours: i64,
    both: i64,
}

/// A key without when its threads began.
fn plain(key: &str) -> String {
    let parts = key
        .split('/')
        .map(|part| part.split('@').next().unwrap_or(part));
    parts.collect::<Vec<_>>().join("/")
}

fn between(from: &str, to: &str) -> &'static str {
    let guest = |key: &str| key.contains("/cr3:") || key.contains("/root:");
    match (guest(from), guest(to)) {
        (true, true) => "guest processes",
        _ => "host threads and vCPUs",
    }
}

/// Edges of a table, of kinds that the truth tells; `threads` are virtual processors' keys by threads'.
fn edges(text: &str, threads: &BTreeMap<String, String>) -> Result<Edges> {
    let mut out = Edges::new();
    let text = match text
        .strip_prefix('#')
        .and_then(|rest| rest.split_once('\n'))
    {
        Some((_, rest)) => rest,
        None => text,
    };
    for line in text.lines().skip(1) {
        let row: Vec<&str> = line.split(',').collect();
        let [_, from_ns, from, to_ns, to, kind, ..] = row[..] else {
            anyhow::bail!("not a row of edges: {line:?}");
        };
        let name = |key: &str| {
            let key = plain(key);
            threads.get(&key).cloned().unwrap_or(key)
        };
        let (from, to) = (name(from), name(to));
        let class = (kind.to_owned(), between(&from, &to));
        let times = (from_ns.parse()?, to_ns.parse()?);
        out.entry((class, from, to)).or_default().push(times);
    }
    out.values_mut().for_each(|list| list.sort_unstable());
    Ok(out)
}

fn matches(truth: &[(i64, i64)], ours: &[(i64, i64)]) -> i64 {
    let mut used = vec![false; ours.len()];
    let mut both = 0;
    for at in truth {
        let first = ours.partition_point(|edge| edge.0 < at.0.saturating_sub(EDGE_NS));
        let near = |edge: &(i64, i64)| {
            edge.0.abs_diff(at.0) <= EDGE_NS.unsigned_abs()
                && edge.1.abs_diff(at.1) <= EDGE_NS.unsigned_abs()
        };
        let candidates = (first..ours.len()).take_while(|&i| ours[i].0 <= at.0 + EDGE_NS);
        if let Some(found) = candidates.filter(|&i| !used[i]).find(|&i| near(&ours[i])) {
            used[found] = true;
            both += 1;
        }
    }
    both
}

fn compare(truth: &Edges, ours: &Edges, counts: &mut BTreeMap<Class, Counts>) {
    for ((class, from, to), list) in truth {
        let sums = counts.entry(class.clone()).or_default();
        sums.truth += i64::try_from(list.len()).unwrap_or(i64::MAX);
        if let Some(own) = ours.get(&(class.clone(), from.clone(), to.clone())) {
            sums.both += matches(list, own);
        }
    }
    for ((class, ..), list) in ours {
        // A kind that the truth does not tell between such ends is not compared.
        if let Some(sums) = counts.get_mut(class) {
            sums.ours += i64::try_from(list.len()).unwrap_or(i64::MAX);
        }
    }
}

/// Virtual processors' keys by their threads', from the truth's lanes.
fn threads(lanes: &str) -> BTreeMap<String, String> {
    let rows = lanes
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect::<Vec<_>>());
    let vcpus = rows.filter(|row| row.len() > 8 && row[3] == "vcpu");
    vcpus
        .map(|row| (format!("thread:{}", row[8]), plain(row[4])))
        .collect()
}

/// Generates traces of each dialect and compares.
pub(crate) fn table(virtflow: &Path) -> Result<Table> {
    let mut counts: BTreeMap<Class, Counts> = BTreeMap::new();
    for dialect in DIALECTS {
        for seed in SEEDS {
            let dir = tempfile::tempdir().context("no place for a trace")?;
            let scenario = Scenario {
                seed,
                vms: 3,
                nested: 1,
                dialect: dialect.parse::<Dialect>()?,
                ..Scenario::default()
            };
            generate(&scenario, dir.path())?;
            let read = |name: &str| std::fs::read_to_string(dir.path().join("truth").join(name));
            let threads = threads(&read("intervals.csv")?);
            let truth = edges(&read("edges.csv")?, &threads)?;
            let output = Command::new(virtflow)
                .arg("edges")
                .arg(dir.path().join("trace"))
                .args(["--format", "csv"])
                .stdin(Stdio::null())
                .output()
                .context("cannot run virtflow")?;
            let ours = edges(&String::from_utf8_lossy(&output.stdout), &threads)?;
            compare(&truth, &ours, &mut counts);
        }
    }
    let rows = counts.into_iter().map(|((kind, ends), n)| {
        vec![
            format!("{kind}, {ends}"),
            n.truth.to_string(),
            n.ours.to_string(),
            percent_text(n.both, n.ours),
            percent_text(n.both, n.truth),
        ]
    });
    let count = DIALECTS.len() * SEEDS.len();
    Ok(Table {
        title: format!("CAUSAL EDGES OF {count} GENERATED TRACES"),
        headers: vec!["edge", "true", "ours", "precision", "recall"],
        rows: rows.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_matched_once_by_ends_and_times() {
        let head = "machine,from_ns,from_key,to_ns,to_key,kind,confidence,evidence\n";
        let truth = format!(
            "{head}m,0,thread:1@0,0,thread:2@0,wake-up,proved,x\n\
             m,5000000,vm:1@0/cr3:a#0,5000000,vm:1@0/cr3:b#0,wake-up,proved,x\n\
             m,9000000,thread:7@0,9000000,vm:1@0/vcpu:0,injection,proved,x\n"
        );
        let ours = format!(
            "#virtflow-edges 1\n{head}m,900000,thread:1@5,900000,thread:2@5,wake-up,proved,x\n\
             m,900001,thread:1@5,900001,thread:2@5,wake-up,proved,x\n\
             m,7000000,vm:1@0/cr3:a#0,7000000,vm:1@0/cr3:b#0,wake-up,likely,x\n\
             m,9000000,thread:7@0,9000010,thread:8@0,injection,proved,x\n\
             m,1,thread:1@0,2,vm:1@0/vcpu:0,steal,proved,x\n"
        );
        let threads: BTreeMap<_, _> = [("thread:8".to_owned(), "vm:1/vcpu:0".to_owned())].into();
        let mut counts = BTreeMap::new();
        compare(
            &edges(&truth, &threads).unwrap(),
            &edges(&ours, &threads).unwrap(),
            &mut counts,
        );
        let class = |kind: &str, ends| counts[&(kind.to_owned(), ends)];
        let counted = |truth, ours, both| Counts { truth, ours, both };
        assert_eq!(class("wake-up", "host threads and vCPUs"), counted(1, 2, 1));
        assert_eq!(class("wake-up", "guest processes"), counted(1, 1, 0));
        assert_eq!(
            class("injection", "host threads and vCPUs"),
            counted(1, 1, 1)
        );
        assert_eq!(counts.len(), 3);
    }
}
