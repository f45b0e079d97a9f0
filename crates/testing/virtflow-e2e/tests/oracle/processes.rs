//! Guest processes: whoever we say runs, runs.

use std::collections::BTreeMap;

use super::case::Case;
use super::lanes::{Lane, Row};

/// How much of what we say about who runs is right.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Score {
    pub(crate) right_ns: i64,
    pub(crate) wrong_ns: i64,
}

impl Score {
    fn add(&mut self, right: bool, ns: i64) {
        if right {
            self.right_ns += ns;
        } else {
            self.wrong_ns += ns;
        }
    }

    pub(crate) fn wrong_ppm(&self) -> i64 {
        self.wrong_ns * 1_000_000 / (self.right_ns + self.wrong_ns).max(1)
    }
}

/// The scores of one scenario, or of several.
#[derive(Debug, Default)]
pub(crate) struct Scores {
    pub(crate) proved: Score,
    pub(crate) likely: Score,
    /// Time that the truth has in processes, in the guest, and how much of it we name.
    pub(crate) in_processes_ns: i64,
    pub(crate) lanes: usize,
    pub(crate) first_wrong_proved: Option<String>,
    pub(crate) first_wrong_likely: Option<String>,
}

/// The truth's occupants of one guest's processor, one after the other.
type Occupants<'a> = Vec<(i64, i64, &'a Lane, &'a Row)>;

/// A process or kernel or idle lane has the guest's processor in these states.
fn has_processor(row: &Row) -> bool {
    matches!(
        row.state,
        "run-user" | "run-kernel" | "run-hypervisor" | "preempted-on-host"
    )
}

fn runs(row: &Row) -> bool {
    matches!(row.state, "run-user" | "run-kernel")
}

pub(crate) fn is_process(lane: &Lane) -> bool {
    lane.key.contains("/cr3:")
}

/// Which processor of which guest a process's lane is about. Each nested VM has one, whatever it
/// is called.
fn processor(lane: &Lane) -> String {
    match lane.key.find("/L2:") {
        Some(at) => format!("{}/L2", &lane.key[..at]),
        None => format!("{}/{}", lane.vm, lane.vcpu),
    }
}

fn occupants(case: &Case) -> BTreeMap<String, Occupants<'_>> {
    let mut all: BTreeMap<String, Occupants<'_>> = BTreeMap::new();
    for lane in case.truth.of("process") {
        let here = all.entry(processor(lane)).or_default();
        let rows = lane.rows.iter().filter(|row| has_processor(row));
        here.extend(rows.map(|row| (row.start, row.end, lane, row)));
    }
    for here in all.values_mut() {
        here.sort_by_key(|occupant| occupant.0);
    }
    all
}

/// The name of a process without its nested VM's, which without a CR3 is another.
pub(crate) fn own_name(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

/// Compares who runs.
pub(crate) fn check(case: &Case, scores: &mut Scores) {
    let truth = occupants(case);
    for here in truth.values() {
        let inside = here.iter().filter(|o| is_process(o.2) && runs(o.3));
        scores.in_processes_ns += inside.map(|o| o.1 - o.0).sum::<i64>();
    }
    for lane in case
        .ours
        .lanes
        .of("process")
        .filter(|lane| is_process(lane))
    {
        scores.lanes += 1;
        let here = truth.get(&processor(lane)).map_or(&[][..], Vec::as_slice);
        for row in lane.rows.iter().filter(|row| runs(row)) {
            judge(case, scores, lane, row, here);
        }
    }
}

fn judge(
    case: &Case,
    scores: &mut Scores,
    lane: &Lane,
    row: &Row,
    here: &[(i64, i64, &Lane, &Row)],
) {
    let mut at = here.partition_point(|occupant| occupant.1 <= row.start);
    let mut t = row.start;
    while t < row.end {
        let occupant = here.get(at).filter(|o| o.0 < row.end);
        let (end, right) = match occupant {
            Some(&(start, ..)) if start > t => (start, false),
            Some(&(_, end, who, _)) => (end.min(row.end), own_name(who.key) == own_name(lane.key)),
            None => (row.end, false),
        };
        at += usize::from(occupant.is_some_and(|o| o.0 <= t));
        let (score, first) = if row.proved {
            (&mut scores.proved, &mut scores.first_wrong_proved)
        } else {
            (&mut scores.likely, &mut scores.first_wrong_likely)
        };
        score.add(right, end - t);
        if !right && first.is_none() {
            *first = Some(wrong(case, lane, row, t, occupant));
        }
        t = end;
    }
}

fn wrong(
    case: &Case,
    lane: &Lane,
    row: &Row,
    t: i64,
    occupant: Option<&(i64, i64, &Lane, &Row)>,
) -> String {
    let zero = case.zero();
    let (who, near) = occupant.map_or(("nobody", String::new()), |o| (o.2.key, o.2.near(t, zero)));
    format!(
        "  {}: {} at {} ns after the begin ({t})\n    ours  {}\n    truth: {who} has the processor\n   ours nearby:\n{}   the truth's occupant nearby:\n{near}",
        case.name,
        lane.key,
        t - zero,
        row.shown(zero),
        lane.near(t, zero),
    )
}
