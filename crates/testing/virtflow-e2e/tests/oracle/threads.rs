//! Threads of guest processes, where a probe tells them apart.

use super::case::Case;
use super::lanes::{Lane, Row};

/// How much of what we say that threads run is right, and how much of what they run we say.
#[derive(Debug, Default)]
pub(crate) struct Threads {
    pub(crate) ours_ns: i64,
    pub(crate) truth_ns: i64,
    pub(crate) right_ns: i64,
    pub(crate) lanes: usize,
    pub(crate) first_wrong: Option<String>,
}

impl Threads {
    pub(crate) fn wrong_ppm(&self) -> i64 {
        (self.ours_ns - self.right_ns) * 1_000_000 / self.ours_ns.max(1)
    }

    pub(crate) fn found_pm(&self) -> i64 {
        self.right_ns * 1000 / self.truth_ns.max(1)
    }
}

fn has_processor(row: &&Row) -> bool {
    matches!(
        row.state,
        "run-user" | "run-kernel" | "run-hypervisor" | "preempted-on-host"
    )
}

fn length(lane: &Lane) -> i64 {
    let rows = lane.rows.iter().filter(has_processor);
    rows.map(|row| row.end - row.start).sum()
}

/// Compares the threads of both.
pub(crate) fn check(case: &Case, threads: &mut Threads) {
    for truth in case.truth.of("guest-thread") {
        threads.truth_ns += length(truth);
    }
    for lane in case.ours.lanes.of("guest-thread") {
        threads.lanes += 1;
        threads.ours_ns += length(lane);
        let truth = case.truth.get("guest-thread", lane.key);
        let mut theirs = truth
            .into_iter()
            .flat_map(|truth| truth.rows.iter().filter(has_processor))
            .peekable();
        for row in lane.rows.iter().filter(has_processor) {
            let mut right = 0;
            while let Some(their) = theirs.peek().filter(|their| their.start < row.end) {
                right += (their.end.min(row.end) - their.start.max(row.start)).max(0);
                if their.end > row.end {
                    break;
                }
                theirs.next();
            }
            threads.right_ns += right;
            if right * 2 < row.end - row.start && threads.first_wrong.is_none() {
                let zero = case.zero();
                let near = truth.map_or_else(String::new, |truth| truth.near(row.start, zero));
                threads.first_wrong = Some(format!(
                    "  {}: {}\n    ours  {}\n   the truth nearby:\n{near}",
                    case.name,
                    lane.key,
                    row.shown(zero)
                ));
            }
        }
    }
}
