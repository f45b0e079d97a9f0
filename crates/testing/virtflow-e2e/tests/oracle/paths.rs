//! Critical paths of host threads and virtual processors: ours against those of the truth's lanes.

use super::case::Case;
use super::compare::Tally;
use super::lanes::{Lane, Lanes, Row, word};
use std::collections::BTreeMap;
use virtflow_graph::{EndedBy, Lines, Segment, Step, critical_path};

/// The lanes as the graph asks for them; workers are keys.
struct LaneLines {
    lines: BTreeMap<&'static str, Vec<Row>>,
    /// Virtual processors by their threads' keys.
    vcpus: BTreeMap<&'static str, &'static str>,
}

impl LaneLines {
    fn new(lanes: &Lanes, vcpus: &BTreeMap<&'static str, &'static str>) -> Self {
        let own = lanes
            .iter()
            .filter(|l| ["thread", "vcpu"].contains(&l.kind));
        let lines = own.filter(|l| !vcpus.contains_key(l.key));
        Self {
            lines: lines.map(|lane| (lane.key, lane.rows.clone())).collect(),
            vcpus: vcpus.clone(),
        }
    }
}

fn waits(state: &str) -> bool {
    ["sleeping", "uninterruptible", "halted", "blocked-on-host"].contains(&state)
}

fn runs(state: &str) -> bool {
    let states = [
        "running",
        "guest",
        "hypervisor",
        "vmm",
        "halt-poll",
        "irq-stolen",
    ];
    states.contains(&state)
}

impl Lines for LaneLines {
    type Worker = &'static str;
    type What = &'static str;
    type Error = std::convert::Infallible;

    fn before(
        &mut self,
        worker: &'static str,
        t: i64,
    ) -> Result<Option<Segment<&'static str, &'static str>>, Self::Error> {
        let line = self.lines.get(worker).map_or(&[][..], Vec::as_slice);
        let at = line.partition_point(|row| row.start < t);
        let row = at.checked_sub(1).map(|at| line[at]);
        Ok(row.filter(|row| row.end >= t).map(|row| {
            let by = self.vcpus.get(row.by).copied().unwrap_or(row.by);
            Segment {
                worker,
                begin: row.start,
                end: row.end,
                what: row.state,
                blocked: waits(row.state),
                runs: runs(row.state),
                ended_by: if by.is_empty() {
                    EndedBy::Nothing
                } else {
                    EndedBy::Worker(by)
                },
            }
        }))
    }

    fn born(&mut self, _: &'static str) -> Result<Option<(i64, &'static str)>, Self::Error> {
        Ok(None)
    }

    fn last_end(&mut self, worker: &'static str, t: i64) -> Result<Option<i64>, Self::Error> {
        let line = self.lines.get(worker).map_or(&[][..], Vec::as_slice);
        let at = line.partition_point(|row| row.end <= t);
        Ok(at.checked_sub(1).map(|at| line[at].end))
    }
}

/// Compares the path of every thread and virtual processor, over all that is covered.
pub(crate) fn check(case: &Case, tally: &mut Tally) {
    // What is lost is unknown, and stamps that are too coarse leave open who came first.
    if case.has_losses() || !case.fine {
        return;
    }
    let vcpus: BTreeMap<_, _> = case
        .truth
        .of("vcpu")
        .map(|lane| (word(&format!("thread:{}", lane.tid)), lane.key))
        .collect();
    let mut ours = LaneLines::new(&case.ours.lanes, &vcpus);
    let mut truth = LaneLines::new(&case.truth, &vcpus);
    let (begin, end) = case.common();
    // What a virtual processor does is known from its first entry on.
    let entered = case.truth.of("vcpu").filter_map(|lane| {
        let first = |row: &&Row| row.start >= begin && row.state == "guest";
        lane.rows.iter().find(first).map(|row| row.start)
    });
    let begin = entered.max().unwrap_or(begin);
    let workers: Vec<&'static str> = truth.lines.keys().copied().collect();
    for worker in workers {
        // Who is first named in the middle is not known before.
        let Some(from) = first_known(&case.ours.lanes, worker) else {
            continue;
        };
        let from = from.max(begin);
        if from >= end {
            continue;
        }
        let a = critical_path(&mut ours, worker, from, end).unwrap().steps;
        let b = critical_path(&mut truth, worker, from, end).unwrap().steps;
        compare(case, worker, &a, &b, tally);
    }
}

fn first_known(lanes: &Lanes, key: &str) -> Option<i64> {
    let known = |lane: &Lane| {
        let rows = lane.rows.iter();
        rows.clone()
            .find(|row| row.state != "unknown")
            .map(|row| row.start)
    };
    lanes
        .get("vcpu", key)
        .or_else(|| lanes.get("thread", key))
        .and_then(known)
}

type PathStep = Step<&'static str, &'static str>;

fn compare(case: &Case, worker: &str, ours: &[PathStep], truth: &[PathStep], tally: &mut Tally) {
    let mut at = ours.iter().peekable();
    for b in truth {
        while let Some(a) = at.peek() {
            let (from, to) = (a.begin.max(b.begin), a.end.min(b.end));
            if to > from {
                tally.compared("path", to - from);
                let what = if a.worker == b.worker {
                    label(a)
                } else {
                    "another worker"
                };
                if what != label(b) {
                    tally.add(("path", what, label(b)), to - from, || {
                        let zero = case.zero();
                        let (from, to) = (from - zero, to - zero);
                        let (x, y) = (a.worker, b.worker);
                        format!("  {}: of {worker} {from}..{to}: {x}, not {y}", case.name)
                    });
                }
            }
            if a.end > b.end {
                break;
            }
            at.next();
        }
    }
}

fn label(step: &PathStep) -> &'static str {
    step.what.unwrap_or("unknown")
}

/// Whose time it was is never another's; what it did may differ where the lanes leave it open
/// (`floors`).
#[test]
fn paths_are_those_of_the_truth() {
    let mut tally = Tally::default();
    let scenario = super::case::scenario("testbed", 3);
    check(&Case::new("paths".into(), &scenario), &mut tally);
    // More than a second was compared: so many threads are there.
    assert!(tally.ppm("path", 1_000_000_000) < 1_000_000);
    let another = tally
        .rows()
        .filter(|((_, ours, _), _)| ours == "another worker");
    assert_eq!(another.count(), 0);
    let differs: i64 = tally.rows().map(|(_, differing)| differing.ns).sum();
    assert!(tally.ppm("path", differs) < 1_000, "{differs} ns differ");
}
