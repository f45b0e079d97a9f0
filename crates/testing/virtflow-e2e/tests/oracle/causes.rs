//! Why virtual processors and guest processes waited.

use std::collections::BTreeMap;

use super::case::Case;
use super::lanes::{Lane, Row};
use super::processes::{is_process, own_name};

/// Causes by the truth, and what we say.
#[derive(Debug, Default)]
pub(crate) struct Confusion {
    counts: BTreeMap<(&'static str, &'static str), u64>,
    pub(crate) proved: u64,
    pub(crate) wrong_proved: u64,
    pub(crate) first_wrong: Option<String>,
    pub(crate) first_wrong_proved: Option<String>,
}

impl Confusion {
    /// In parts per thousand: how many waits we explain rightly.
    pub(crate) fn right_pm(&self) -> u64 {
        let all: u64 = self.counts.values().sum();
        let right = self.counts.iter().filter(|((a, b), _)| a == b);
        right.map(|(_, n)| n).sum::<u64>() * 1000 / all.max(1)
    }

    pub(crate) fn wrong_proved_pm(&self) -> u64 {
        self.wrong_proved * 1000 / self.proved.max(1)
    }

    /// The mean over causes with at least 30 waits of the share we explain rightly, in parts per
    /// thousand.
    pub(crate) fn macro_recall_pm(&self) -> u64 {
        let mut classes: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for (&(truth, ours), &n) in &self.counts {
            let class = classes.entry(truth).or_default();
            class.0 += n;
            class.1 += if truth == ours { n } else { 0 };
        }
        let recalls = classes.values().filter(|class| class.0 >= 30);
        let recalls: Vec<u64> = recalls.map(|(n, right)| right * 1000 / n).collect();
        recalls.iter().sum::<u64>() / (recalls.len() as u64).max(1)
    }

    pub(crate) fn waits(&self) -> u64 {
        self.counts.values().sum()
    }

    /// `truth>ours=count` of all, for people.
    pub(crate) fn shown(&self) -> String {
        let pairs = self.counts.iter();
        let shown: Vec<String> = pairs
            .map(|((truth, ours), n)| format!("{truth}>{ours}={n}"))
            .collect();
        shown.join(" ")
    }

    fn add(
        &mut self,
        truth: &'static str,
        ours: &Row,
        name: &'static str,
        show: impl Fn() -> String,
    ) {
        *self.counts.entry((truth, name)).or_default() += 1;
        let wrong = truth != name;
        if wrong && self.first_wrong.is_none() {
            self.first_wrong = Some(show());
        }
        let told = !matches!(name, "no-evidence" | "not-recorded" | "lost" | "ambiguous");
        if ours.proved && told && matches!(ours.state, "halted" | "waiting") {
            self.proved += 1;
            self.wrong_proved += u64::from(wrong);
            if wrong && self.first_wrong_proved.is_none() {
                self.first_wrong_proved = Some(show());
            }
        }
    }
}

fn told(case: &Case, ours: &Lane, truth: &Lane, row: &Row) -> String {
    let zero = case.zero();
    format!(
        "  {}: {} {}\n    truth {}\n   ours nearby:\n{}",
        case.name,
        truth.kind,
        truth.key,
        row.shown(zero),
        ours.near(row.end - 1, zero),
    )
}

/// The truth's waits that we can have seen whole.
fn waits<'a>(
    case: &'a Case,
    truth: &'a Lane,
    state: &'static str,
) -> impl Iterator<Item = (usize, &'a Row)> {
    let (begin, end) = case.common();
    let ran = truth
        .rows
        .iter()
        .find(|row| row.start > begin && row.state != state);
    let from = ran.map_or(i64::MAX, |row| row.start);
    let rows = truth.rows.iter().enumerate();
    rows.filter(move |(_, row)| {
        row.state == state
            && row.start > from
            && row.end < end
            && !case.lossy(row.start)
            && !case.lossy(row.end)
    })
}

/// Halts of virtual processors. We may say `idle` where no process ran before the next halt.
pub(crate) fn halts(case: &Case, confusion: &mut Confusion) {
    for truth in case.truth.of("vcpu") {
        let Some(ours) = case.ours.lanes.get("vcpu", truth.key) else {
            continue;
        };
        let processes: Vec<&Lane> = case
            .truth
            .of("process")
            .filter(|lane| is_process(lane) && lane.key.starts_with(truth.vm))
            .collect();
        for (n, row) in waits(case, truth, "halted") {
            let Some(at) = ours.at(row.end - 1) else {
                continue;
            };
            let next = truth.rows[n + 1..].iter().find(|row| row.state == "halted");
            let until = next.map_or(truth.end(), |row| row.start);
            let idle = at.cause == "idle" && !processes.iter().any(|p| ran(p, row.end, until));
            let name = match at.state {
                "halted" if idle => row.cause,
                "halted" => at.cause,
                state => state,
            };
            confusion.add(row.cause, at, name, || told(case, ours, truth, row));
        }
    }
}

/// Whether a process ran in between.
fn ran(lane: &Lane, from: i64, to: i64) -> bool {
    let first = lane.rows.partition_point(|row| row.end <= from);
    let rows = lane.rows[first..].iter().take_while(|row| row.start < to);
    rows.into_iter()
        .any(|row| matches!(row.state, "run-user" | "run-kernel"))
}

/// Waits of guest processes.
pub(crate) fn process_waits(case: &Case, confusion: &mut Confusion) {
    for truth in case.truth.of("process").filter(|lane| is_process(lane)) {
        let outer = truth.key.split('/').next().unwrap_or_default();
        let nested = truth.key.contains("/L2:");
        let same = |lane: &&Lane| {
            lane.key.starts_with(outer)
                && lane.key.contains("/L2:") == nested
                && own_name(lane.key) == own_name(truth.key)
                && (nested || lane.key == truth.key)
        };
        let Some(ours) = case.ours.lanes.of("process").find(same) else {
            continue;
        };
        for (_, row) in waits(case, truth, "waiting") {
            if row.start < ours.begin() {
                continue;
            }
            let Some(mut at) = ours.at(row.end - 1) else {
                continue;
            };
            // Ready from the interrupt on that announces the end: its handler ends the wait.
            if at.state == "ready-in-guest" && at.start > row.start {
                at = ours.at(at.start - 1).unwrap_or(at);
            }
            let name = if at.state == "waiting" {
                at.cause
            } else {
                at.state
            };
            confusion.add(row.cause, at, name, || told(case, ours, truth, row));
        }
    }
}
