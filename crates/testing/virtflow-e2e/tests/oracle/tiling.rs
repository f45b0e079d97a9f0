//! Lanes tile, and budgets add up, whatever the dialect and whatever was lost.

use proptest::prelude::*;

use super::case::{Case, scenario};
use super::lanes::Lane;

/// In this time a machine with ragged streams tells something.
const FIRST_EVENT_NS: i64 = 60_000_000;

/// Every lane of ours tiles its life, and every budget adds up to it.
pub(crate) fn check(case: &Case, wrong: &mut Vec<String>) {
    // What is known begins with the first event, in one of the streams.
    let lanes = || case.ours.lanes.iter();
    let begin = lanes().map(Lane::begin).min().unwrap_or_default();
    let covered = case.covered.iter().map(|c| c.0).min().unwrap();
    if begin < covered || begin > covered + FIRST_EVENT_NS {
        wrong.push(format!(
            "{}: lanes begin at {begin}, streams at {covered}",
            case.name
        ));
    }
    let end = case.covered.iter().map(|c| c.1).max().unwrap();
    for lane in lanes() {
        if let Some(why) = broken(case, lane, begin, end) {
            let (kind, key, at) = (lane.kind, lane.key, lane.begin());
            let near = lane.near(at, case.zero());
            wrong.push(format!("{}: {kind} {key} {why}:\n{near}", case.name));
        }
    }
    let budgets = &case.ours.budgets;
    for entity in budgets.entities() {
        let Some(sums) = budgets.sums(entity.id) else {
            continue;
        };
        let (sum, life) = (sums.sum_ns(), sums.lifetime_ns());
        if sum != life {
            let (name, key) = (&case.name, &entity.key);
            wrong.push(format!(
                "{name}: {key}: {sum} ns in states, {life} ns of life"
            ));
        }
    }
    // A loss is told by the trace wherever the truth has one, and nowhere else.
    for &(from, to) in &case.losses {
        if !(case.lossy(from) && case.lossy(to)) {
            wrong.push(format!(
                "{}: a loss from {from} to {to} is not told",
                case.name
            ));
        }
    }
    let (first, last) = case.common();
    let ragged = (first, last) != (covered, end);
    if case.fine && case.losses.is_empty() && !ragged && case.ours.contradictions > 0 {
        let count = case.ours.contradictions;
        wrong.push(format!("{}: {count} contradictions", case.name));
    }
    if case.ours.problems > 0 {
        let problems = case.ours.problems;
        wrong.push(format!("{}: {problems} problems with the trace", case.name));
    }
}

/// What is wrong with a lane: a gap, an overlap, an empty or an unordered row; or that it does not
/// live as long as it should, for all threads here live as long as the trace.
fn broken(case: &Case, lane: &Lane, begin: i64, end: i64) -> Option<String> {
    let gap = lane
        .rows
        .windows(2)
        .find(|pair| pair[0].end != pair[1].start);
    if let Some([a, b]) = gap {
        return Some(format!("does not tile between {} and {}", a.end, b.start));
    }
    if let Some(row) = lane.rows.iter().find(|row| row.start >= row.end) {
        return Some(format!("has an empty row at {}", row.start));
    }
    // MODEL: a vCPU's lane lacks what its thread's has before all streams had begun.
    let late = lane.kind == "vcpu" && lane.begin() <= case.common().0;
    let whole = matches!(lane.kind, "cpu" | "thread" | "vcpu");
    if whole && lane.begin() != begin && !late {
        return Some(format!("begins at {} and not at {begin}", lane.begin()));
    }
    // A program that ended.
    let theirs = case.truth.get(lane.kind, lane.key);
    let ended = theirs.is_some_and(|theirs| theirs.end() < end);
    if lane.end() != end && !ended {
        return Some(format!("ends at {} and not at {end}", lane.end()));
    }
    None
}

fn cases() -> u32 {
    let asked = std::env::var("VIRTFLOW_ORACLE_CASES").ok();
    asked.and_then(|n| n.parse().ok()).unwrap_or(12)
}

const WORDS: &[&str] = &[
    "vmx",
    "old-names",
    "posted",
    "pti",
    "pcid",
    "shadow",
    "no-probe",
    "original-probe",
    "stock",
    "no-nested-events",
    "no-waking",
    "contexts",
    "big-endian",
    "compact",
    "ctf2",
    "no-noise",
    "freq=2333333333,offset-s=-5,offset=-3",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_dialect_tiles(
        seed in 0_u64..1_000_000,
        words in proptest::sample::subsequence(WORDS, 0..6),
        losses in 0_u32..4,
        ragged_ms in prop_oneof![Just(0_u64), 1_u64..60],
        machine in (1_u32..4, 1_u32..4, 1_u32..3, 0_u32..2),
    ) {
        let mut scenario = scenario(&words.join(","), seed);
        (scenario.cpus, scenario.vms, scenario.vcpus, scenario.nested) = machine;
        scenario.seconds = 0.2;
        scenario.losses = losses;
        scenario.ragged_ns = ragged_ms * 1_000_000;
        scenario.packet_bytes_max = 16 << 10;
        let case = Case::new(format!("{scenario:?}"), &scenario);
        let mut wrong = Vec::new();
        check(&case, &mut wrong);
        prop_assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
