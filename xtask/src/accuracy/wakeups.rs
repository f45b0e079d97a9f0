//! Agreement 6: which guest process woke which.
//!
//! True: `wake` rows not from an interrupt whose woken and waker are different user processes (address
//! spaces). Ours: edges of a kind with "wake" in its name between two process keys of the VM. One of
//! each match if waker's and woken's CR3 are the same and an end of the edge is within 1 ms of the row;
//! each is used once, the earliest first. Both are counted inside the guest's window.

use super::case::{Case, Guest};
use super::goals::WAKE_UP_NS;
use super::ours::process_key;
use super::report::{Agreement, Table, Verdict, percent_text};
use super::span::Ns;
use std::collections::BTreeMap;

/// Wake-ups by (waker's CR3, woken's CR3), sorted; an edge of ours has two times.
type ByPair = BTreeMap<(u64, u64), Vec<(Ns, Ns)>>;

/// Matched, true and our wake-ups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) matched: i64,
    pub(crate) truth: i64,
    pub(crate) ours: i64,
}

fn close(truth: Ns, ours: (Ns, Ns)) -> bool {
    (truth - ours.0).abs() <= WAKE_UP_NS || (truth - ours.1).abs() <= WAKE_UP_NS
}

fn matches(truth: &[(Ns, Ns)], ours: &[(Ns, Ns)]) -> i64 {
    let mut used = vec![false; ours.len()];
    let mut count = 0;
    for (at, _) in truth {
        let free = ours
            .iter()
            .enumerate()
            .find(|(index, edge)| !used[*index] && close(*at, **edge));
        if let Some((index, _)) = free {
            used[index] = true;
            count += 1;
        }
    }
    count
}

pub(crate) fn guest_counts(case: &Case, guest: &Guest) -> Counts {
    let (mut truth, mut ours) = (ByPair::new(), ByPair::new());
    for wake in guest
        .log
        .wakes
        .iter()
        .filter(|wake| guest.within.contains(wake.at))
    {
        let pair = (
            guest.log.spaces[wake.from].cr3,
            guest.log.spaces[wake.to].cr3,
        );
        truth.entry(pair).or_default().push((wake.at, wake.at));
    }
    let edges = case
        .ours
        .edges
        .iter()
        .filter(|edge| edge.kind.contains("wake") && guest.within.contains(edge.from_ns));
    for edge in edges {
        let (Some((vm, from)), Some((to_vm, to))) =
            (process_key(&edge.from), process_key(&edge.to))
        else {
            continue;
        };
        if guest.vm_key.as_deref() == Some(vm) && vm == to_vm && edge.from != edge.to {
            ours.entry((from, to))
                .or_default()
                .push((edge.from_ns, edge.to_ns));
        }
    }
    let count = |pairs: &ByPair| {
        pairs
            .values()
            .map(|list| i64::try_from(list.len()).unwrap_or(i64::MAX))
            .sum()
    };
    let (n_truth, n_ours) = (count(&truth), count(&ours));
    ours.values_mut().for_each(|list| list.sort_unstable());
    let matched = truth
        .iter()
        .map(|(pair, list)| ours.get(pair).map_or(0, |edges| matches(list, edges)))
        .sum();
    Counts {
        matched,
        truth: n_truth,
        ours: n_ours,
    }
}

pub(crate) fn agree(case: &Case) -> Agreement {
    let goal = "none: shown, all VMs together".to_owned();
    let mut out = Agreement::new(6, "wake-ups between guest processes", goal);
    let headers = vec!["VM", "in the log", "ours", "both", "precision", "recall"];
    let mut table = Table {
        title: String::new(),
        headers,
        rows: Vec::new(),
    };
    let mut all = Counts::default();
    for guest in &case.guests {
        let Counts {
            matched,
            truth,
            ours,
        } = guest_counts(case, guest);
        all = Counts {
            matched: all.matched + matched,
            truth: all.truth + truth,
            ours: all.ours + ours,
        };
        let shares = [percent_text(matched, ours), percent_text(matched, truth)];
        let numbers = [truth, ours, matched].map(|number| number.to_string());
        table.rows.push(
            std::iter::once(guest.name.clone())
                .chain(numbers)
                .chain(shares)
                .collect(),
        );
    }
    if all.truth > 0 {
        out.verdict = Verdict::Shown;
        out.score = format!(
            "precision {}, recall {}",
            percent_text(all.matched, all.ours),
            percent_text(all.matched, all.truth)
        );
    }
    out.figure("true", all.truth);
    out.figure("ours", all.ours);
    out.figure("matched", all.matched);
    out.tables.push(table);
    out
}
