//! Agreement 8: the critical path of a guest process, from the host's trace alone, beside the one
//! through the guest's own scheduler log.
//!
//! Of each guest the processes that ran most. Both paths are those of the same time; of every nanosecond
//! it is compared whose it was (which address space) and what that did: it ran, wanted the guest's
//! processor, or waited for a timer, disk, network, console, task. What only the host can tell (a vCPU that had
//! no processor) is running to the guest. A host's worker in a process's wait (the VMM, a disk, another VM) is, to the guest,
//! that wait.

use super::case::{Case, Guest};
use super::guestlog::{SpaceId, Who};
use super::ours::{Name, process_key};
use super::report::{Agreement, Table, Verdict, ms, percent_text};
use super::span::{Ns, Span};
use super::tasks::{self, Class, Did, Does};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::process::{Command, Stdio};

/// Processes of each guest, by the time that they ran.
const PROCESSES: usize = 4;
/// A process that was there for a shorter time is left out.
const LIFE_LEAST: Ns = 200_000_000;
/// Differences that are shown.
const DIFFERENCES: usize = 8;

/// What `virtflow critical-path --format json` says, as far as it is used here.
#[derive(Debug, Deserialize)]
struct Told {
    steps: Vec<ToldStep>,
    waits: Vec<ToldWait>,
}

#[derive(Debug, Deserialize)]
struct ToldStep {
    begin_ns: Ns,
    end_ns: Ns,
    key: String,
    state: String,
    cause: String,
    inside: Option<usize>,
}

#[derive(Debug, Deserialize)]
struct ToldWait {
    key: String,
    cause: String,
    inside: Option<usize>,
}

/// What a path says of a moment, in the guest's own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Said {
    /// The CR3 of whose it was; `None` for the guest's kernel.
    cr3: Option<u64>,
    does: Option<Does>,
    /// The host alone knows that its vCPU had no processor.
    hidden: bool,
}

impl Told {
    /// What a step is to the guest called `vm`.
    fn said(&self, step: &ToldStep, vm: &str) -> Said {
        let cr3 = |key: &str| {
            process_key(key)
                .filter(|(of, _)| *of == vm)
                .map(|(_, cr3)| cr3)
        };
        let hidden = step.state.starts_with("preempted-");
        if let Some(cr3) = cr3(&step.key) {
            let does = match step.state.as_str() {
                state if state.starts_with("run-") || hidden => Some(Does::Runs),
                "ready-in-guest" => Some(Does::Ready),
                "waiting" => Some(Does::Waits(Class::parse(&step.cause))),
                _ => None,
            };
            return Said {
                cr3: Some(cr3),
                does,
                hidden,
            };
        }
        let mut at = step.inside;
        while let Some(wait) = at.and_then(|at| self.waits.get(at)) {
            if let Some(cr3) = cr3(&wait.key) {
                let does = Some(Does::Waits(Class::parse(&wait.cause)));
                return Said {
                    cr3: Some(cr3),
                    does,
                    hidden: false,
                };
            }
            at = wait.inside;
        }
        Said {
            cr3: None,
            does: None,
            hidden: false,
        }
    }
}

/// How long paths agree.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sums {
    whole: Ns,
    same: Ns,
    /// Of that: the vCPU had no processor meanwhile.
    hidden: Ns,
    /// The same wait, which the guest sees as that of a kernel thread in between.
    kernel: Ns,
    /// We know nothing.
    unknown: Ns,
    /// What the guest says and what we say, where they differ.
    differ: BTreeMap<(String, String), Ns>,
}

impl Sums {
    fn add(&mut self, truth: (Option<u64>, Option<Does>), ours: Said, ns: Ns) {
        self.whole += ns;
        let (cr3, does) = truth;
        let Some(said) = ours.does else {
            self.unknown += ns;
            return;
        };
        if cr3.is_some() && cr3 == ours.cr3 && does == Some(said) {
            self.same += ns;
            self.hidden += if ours.hidden { ns } else { 0 };
            return;
        }
        if cr3.is_none() && does.is_some() && matches!(said, Does::Waits(_)) {
            self.kernel += ns;
            return;
        }
        let other = if cr3 == ours.cr3 { "" } else { "another: " };
        let guest = match (cr3, does) {
            (_, None) => "nothing".to_owned(),
            (None, Some(does)) => format!("kernel: {}", words(does)),
            (Some(_), Some(does)) => words(does),
        };
        let key = (guest, format!("{other}{}", words(said)));
        *self.differ.entry(key).or_default() += ns;
    }

    fn merge(&mut self, other: &Self) {
        self.whole += other.whole;
        self.same += other.same;
        self.hidden += other.hidden;
        self.kernel += other.kernel;
        self.unknown += other.unknown;
        for (key, ns) in &other.differ {
            *self.differ.entry(key.clone()).or_default() += ns;
        }
    }

    fn differing(&self) -> Ns {
        self.differ.values().sum()
    }

    fn row(&self, name: String) -> Vec<String> {
        let share = |ns| percent_text(ns, self.whole);
        vec![
            name,
            ms(self.whole),
            share(self.same),
            share(self.hidden),
            share(self.kernel),
            share(self.unknown),
            share(self.differing()),
        ]
    }
}

fn words(does: Does) -> String {
    match does {
        Does::Runs => "runs".to_owned(),
        Does::Ready => "ready".to_owned(),
        Does::Waits(class) => format!("waits: {}", class.as_str()),
    }
}

/// Compares both paths over `span`.
fn compare(guest: &Guest, truth: &virtflow_graph::Path<i64, Did>, told: &Told, vm: &str) -> Sums {
    let mut sums = Sums::default();
    let mut at = told.steps.iter().peekable();
    for step in &truth.steps {
        let (who, does) = step.what.unzip();
        let cr3 = match who {
            Some(Who::User(space)) => guest.log.spaces.get(space).map(|space| space.cr3),
            _ => None,
        };
        while let Some(ours) = at.peek() {
            let ns = ours.end_ns.min(step.end) - ours.begin_ns.max(step.begin);
            if ns > 0 {
                sums.add((cr3, does), told.said(ours, vm), ns);
            }
            if ours.end_ns > step.end {
                break;
            }
            at.next();
        }
    }
    sums
}

/// The longest stretch of a process's life in which it can be compared.
fn stretch(guest: &Guest, space: SpaceId) -> Option<Span> {
    let life = guest.log.spaces.get(space)?.life;
    let longest = guest.within.cut(life).max_by_key(|span| span.len())?;
    (longest.len() >= LIFE_LEAST).then_some(longest)
}

/// The processes that ran most, and how long.
fn busiest(guest: &Guest) -> Vec<(SpaceId, Span)> {
    let mut ran: HashMap<SpaceId, Ns> = HashMap::new();
    for timeline in guest.log.cpus.values() {
        for (span, who) in timeline {
            if let Who::User(space) = who {
                *ran.entry(*space).or_default() += guest.within.overlap(*span);
            }
        }
    }
    let mut some: Vec<_> = ran
        .into_iter()
        .filter_map(|(space, ns)| Some((ns, space, stretch(guest, space)?)))
        .collect();
    some.sort_by_key(|&(ns, space, _)| (std::cmp::Reverse(ns), space));
    some.truncate(PROCESSES);
    some.into_iter()
        .map(|(_, space, span)| (space, span))
        .collect()
}

/// Our key of an address space: the one with its CR3 that ran most while it lived.
fn key_of(case: &Case, guest: &Guest, space: SpaceId, span: Span) -> Option<Name> {
    let cr3 = guest.log.spaces.get(space)?.cr3;
    let mut ran: BTreeMap<&Name, Ns> = BTreeMap::new();
    for row in case
        .process_rows(guest)
        .filter(|row| row.cr3 == Some(cr3) && row.runs())
    {
        if let Some(both) = row.span.meet(span) {
            *ran.entry(&row.key).or_default() += both.len();
        }
    }
    let most = ran.into_iter().max_by_key(|(_, ns)| *ns)?;
    Some(most.0.clone())
}

fn told(virtflow: &Path, store: &Path, key: &str, span: Span) -> Result<Told> {
    let mut command = Command::new(virtflow);
    command
        .args(["critical-path", "--format", "json", "--of", key, "--range"])
        .arg(format!("{}..{}", span.start, span.end))
        .arg(store)
        .stdin(Stdio::null());
    let output = command.output().context("cannot run virtflow")?;
    if output.stdout.is_empty() {
        bail!(
            "{command:?} failed ({}): {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    serde_json::from_slice(&output.stdout).with_context(|| format!("{command:?}"))
}

pub(crate) fn agree(case: &Case, virtflow: &Path, folder: &Path) -> Result<Agreement> {
    let goal = "none: shown".to_owned();
    let mut out = Agreement::new(8, "critical paths of guest processes", goal);
    let scratch = tempfile::tempdir().context("no place for a store")?;
    let store = scratch.path().join("store");
    let analyzed = Command::new(virtflow)
        .arg("analyze")
        .arg(folder.join("trace"))
        .arg("-o")
        .arg(&store)
        .stdin(Stdio::null())
        .output()
        .context("cannot run virtflow")?;
    if !store.exists() {
        bail!(
            "analyze failed: {}",
            String::from_utf8_lossy(&analyzed.stderr).trim()
        );
    }
    let headers = vec![
        "process", "ms", "same", "hidden", "kernel", "unknown", "differ",
    ];
    let mut table = Table {
        title: "same worker and kind (hidden: of it without a host CPU)".to_owned(),
        headers,
        rows: Vec::new(),
    };
    let mut all = Sums::default();
    for guest in &case.guests {
        let Some(vm) = guest.vm_key.as_deref() else {
            continue;
        };
        for (space, span) in busiest(guest) {
            let Some(key) = key_of(case, guest, space, span) else {
                continue;
            };
            let told = told(virtflow, &store, &key, span)?;
            // Ours begins where we first know the process.
            let (Some(first), Some(last)) = (told.steps.first(), told.steps.last()) else {
                continue;
            };
            let both = Span::new(first.begin_ns.max(span.start), last.end_ns.min(span.end));
            let of = &guest.log.spaces[space];
            let truth = tasks::path(&guest.log, of.pid, both);
            let sums = compare(guest, &truth, &told, vm);
            table
                .rows
                .push(sums.row(format!("{}/{}", guest.name, of.comm)));
            all.merge(&sums);
        }
    }
    if all.whole > 0 {
        out.verdict = Verdict::Shown;
        out.score = format!(
            "{} the same worker and kind, {} more through a kernel thread",
            percent_text(all.same, all.whole),
            percent_text(all.kernel, all.whole)
        );
        table.rows.push(all.row("all".to_owned()));
    }
    out.figure("whole_ns", all.whole);
    out.figure("same_ns", all.same);
    out.figure("hidden_ns", all.hidden);
    out.figure("kernel_ns", all.kernel);
    out.figure("unknown_ns", all.unknown);
    out.tables.push(table);
    let mut differ: Vec<_> = all.differ.iter().collect();
    differ.sort_by_key(|(key, ns)| (std::cmp::Reverse(**ns), (*key).clone()));
    let rows = differ
        .into_iter()
        .take(DIFFERENCES)
        .map(|((guest, ours), ns)| {
            vec![
                guest.clone(),
                ours.clone(),
                ms(*ns),
                percent_text(*ns, all.whole),
            ]
        });
    out.tables.push(Table {
        title: "where they differ most".to_owned(),
        headers: vec!["the guest says", "we say", "ms", "share"],
        rows: rows.collect(),
    });
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_the_host_is_the_guests_wait() {
        let text = r#"{"steps": [
            {"begin_ns": 0, "end_ns": 10, "key": "vm:1@0/cr3:2000#0", "state": "preempted-on-host",
             "cause": "", "inside": null},
            {"begin_ns": 10, "end_ns": 20, "key": "thread:9@0", "state": "running", "cause": "",
             "inside": 1},
            {"begin_ns": 20, "end_ns": 30, "key": "thread:9@0", "state": "running", "cause": "",
             "inside": null}],
          "waits": [
            {"key": "vm:1@0/cr3:3000#0", "cause": "disk", "inside": null},
            {"key": "vm:2@0/cr3:3000#0", "cause": "net", "inside": 0}]}"#;
        let told: Told = serde_json::from_str(text).unwrap();
        let said: Vec<_> = told.steps.iter().map(|s| told.said(s, "vm:1@0")).collect();
        let runs = Some(Does::Runs);
        let disk = Some(Does::Waits(Class::Disk));
        assert_eq!(
            said,
            [
                Said {
                    cr3: Some(0x2000),
                    does: runs,
                    hidden: true
                },
                Said {
                    cr3: Some(0x3000),
                    does: disk,
                    hidden: false
                },
                Said {
                    cr3: None,
                    does: None,
                    hidden: false
                },
            ]
        );
        let mut sums = Sums::default();
        sums.add((Some(0x2000), runs), said[0], 10);
        sums.add((None, Some(Does::Runs)), said[1], 10);
        sums.add((Some(0x3000), runs), said[1], 5);
        sums.add((Some(0x3000), runs), said[2], 1);
        assert_eq!((sums.whole, sums.same, sums.hidden), (26, 10, 10));
        assert_eq!((sums.kernel, sums.unknown, sums.differing()), (10, 1, 5));
    }
}
