//! Nested virtual processors: what each did, as shares of the time compared.

use super::case::Case;
use super::compare::{Tally, show, walk};
use super::lanes::Row;

/// Compares the nested lanes from the first time the nested guest was entered.
pub(crate) fn check(case: &Case, tally: &mut Tally) {
    let (begin, end) = case.common();
    for truth in case.truth.of("nested-vcpu") {
        let first = |row: &&Row| row.start >= begin && row.state == "guest";
        let Some(from) = truth.rows.iter().find(first).map(|row| row.start) else {
            continue;
        };
        // Without a CR3 the nested VM has another name; there is one per VM here.
        let outer = truth
            .vm
            .split_once("/L2:")
            .map_or(truth.vm, |(outer, _)| outer);
        let block = truth.key.rsplit('/').next().unwrap_or_default();
        let of_vm = || {
            let lanes = case.ours.lanes.of("nested-vcpu");
            lanes.filter(|lane| lane.key.starts_with(outer))
        };
        let Some(ours) = of_vm().find(|l| l.key.ends_with(block)).or(of_vm().next()) else {
            tally.add(("nested-vcpu", "no lane", "a lane"), 0, || {
                format!("  {}: {}", case.name, truth.key)
            });
            continue;
        };
        for other in of_vm().filter(|lane| lane.key != ours.key) {
            tally.add(("nested-vcpu", "a lane", "no lane"), 0, || {
                format!(
                    "  {}: {}\n{}",
                    case.name,
                    other.key,
                    other.near(from, case.zero())
                )
            });
        }
        walk(ours, truth, from, end, |at| {
            if case.lossy(at.start) {
                return;
            }
            tally.compared("nested-vcpu", at.end - at.start);
            let (a, b) = (at.ours.state, at.truth.state);
            if a != b {
                tally.add(("nested-vcpu", a, b), at.end - at.start, || {
                    show(case, ours, truth, &at)
                });
            }
        });
    }
}
