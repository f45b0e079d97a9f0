//! What a path comes to by container, VM and machine.

use super::{Did, Who};
use crate::answers::matrix::is_taken;
use crate::answers::who::Group;
use std::collections::BTreeMap;
use virtflow_graph::Sum;
use virtflow_model::State;

/// How much of a path was the time of one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupSum {
    /// Whose.
    pub group: Group,
    /// Nanoseconds: the sum of the next four.
    pub ns: i64,
    /// In which it did something.
    pub ran_ns: i64,
    /// In which it wanted a processor.
    pub wanted_ns: i64,
    /// In which it waited for something to happen, or had nothing to do.
    pub waited_ns: i64,
    /// Of which nobody knows anything.
    pub unknown_ns: i64,
    /// Nanoseconds, whosever, in which a processor was wanted that this group had.
    pub had_ns: i64,
}

/// The sums of a path by what its workers are part of; most first.
pub(super) fn by_group(who: &Who<'_>, sums: &[Sum<u32, Did>]) -> Vec<GroupSum> {
    let mut groups: BTreeMap<Group, GroupSum> = BTreeMap::new();
    let mut of = |entity: u32, add: &dyn Fn(&mut GroupSum)| {
        let group = who.group(entity);
        add(groups.entry(group).or_insert(GroupSum {
            group,
            ns: 0,
            ran_ns: 0,
            wanted_ns: 0,
            waited_ns: 0,
            unknown_ns: 0,
            had_ns: 0,
        }));
    };
    for sum in sums {
        let state = sum.what.and_then(|did| State::from_code(did.state));
        of(sum.worker, &|group| {
            group.ns += sum.ns;
            *match state {
                None | Some(State::Unknown) => &mut group.unknown_ns,
                Some(state) if state.is_run() => &mut group.ran_ns,
                Some(State::Throttled) => &mut group.wanted_ns,
                Some(state) if is_taken(state) => &mut group.wanted_ns,
                Some(_) => &mut group.waited_ns,
            } += sum.ns;
        });
        if let Some(by) = sum.what.and_then(|did| u32::try_from(did.by).ok()) {
            of(by, &|group| group.had_ns += sum.ns);
        }
    }
    let mut out: Vec<GroupSum> = groups.into_values().collect();
    out.sort_by_key(|sum| (std::cmp::Reverse(sum.ns), sum.group));
    out
}
