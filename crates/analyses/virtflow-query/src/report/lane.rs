//! What a lane did.

use super::words::{word_of_cause, word_of_confidence, word_of_state};
use crate::spread::{Total, sum_ns};
use crate::sums::Sums;
use serde::Serialize;
use virtflow_model::{Cause, Confidence, State};

/// Where the time of one entity went. Its states are all there is: they sum to `wall_ns`.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Budget {
    /// How long its lanes lived inside the analysed range, summed over `lanes`. A guest process's
    /// lane does not live while the process is on another virtual processor.
    pub wall_ns: i64,
    /// `wall_ns` less the sum of all states: 0 when the lanes tile.
    pub residual_ns: i64,
    /// How many lanes: 1, or for a guest process one per virtual processor that it was seen on.
    pub lanes: usize,
    /// What they did, longest first.
    pub states: Vec<StateTime>,
}

/// Time in one state for one reason.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StateTime {
    /// The state, as in docs/method.md.
    #[serde(serialize_with = "word_of_state")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub state: State,
    /// 0 the host, 1 a guest, 2 a guest of a guest.
    pub level: u8,
    /// Why; empty where the state needs no reason.
    #[serde(serialize_with = "word_of_cause")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub cause: Cause,
    /// `proved` or `likely`.
    #[serde(serialize_with = "word_of_confidence")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub confidence: Confidence,
    /// How long.
    pub total_ns: i64,
    /// In how many intervals.
    pub count: u64,
}

impl Budget {
    /// Of an entity with one lane, without gaps.
    pub(super) fn new(sums: Option<&Sums>) -> Self {
        Self::lasting(sums, 0)
    }

    /// Of a guest process, whose lanes come and go.
    pub(super) fn of_process(sums: Option<&Sums>) -> Self {
        Self::lasting(sums, sums.map_or(0, Sums::away_ns))
    }

    fn lasting(sums: Option<&Sums>, away_ns: i64) -> Self {
        let Some(sums) = sums else {
            return Self::default();
        };
        let mut states: Vec<_> = sums
            .parts()
            .map(|(doing, total)| StateTime {
                state: doing.state,
                level: doing.level,
                cause: doing.cause,
                confidence: doing.confidence,
                total_ns: total.ns,
                count: total.count,
            })
            .collect();
        states.sort_by_key(|s| {
            (
                std::cmp::Reverse(s.total_ns),
                s.state,
                s.cause,
                s.level,
                s.confidence,
            )
        });
        let wall_ns = sums.lifetime_ns().saturating_sub(away_ns);
        Self {
            wall_ns,
            residual_ns: wall_ns.saturating_sub(sums.sum_ns()),
            lanes: sums.lanes(),
            states,
        }
    }

    /// Time in the states that `choose` takes.
    pub fn ns(&self, choose: impl Fn(&StateTime) -> bool) -> i64 {
        let chosen = self.states.iter().filter(|s| choose(s));
        sum_ns(chosen.map(|s| s.total_ns))
    }

    /// Time in any of these states.
    pub fn in_states(&self, states: &[State]) -> i64 {
        self.ns(|s| states.contains(&s.state))
    }

    /// Time in a state, by cause, longest first.
    pub fn by_cause(&self, state: State) -> Vec<(Cause, Total)> {
        let mut all: Vec<(Cause, Total)> = Vec::new();
        for s in self.states.iter().filter(|s| s.state == state) {
            let total = Total {
                ns: s.total_ns,
                count: s.count,
            };
            match all.iter_mut().find(|(cause, _)| *cause == s.cause) {
                Some((_, sum)) => sum.merge(total),
                None => all.push((s.cause, total)),
            }
        }
        all.sort_by_key(|(cause, total)| (std::cmp::Reverse(total.ns), *cause));
        all
    }

    /// The budgets of several entities as one.
    pub fn sum<'a>(budgets: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut all = Self::default();
        for budget in budgets {
            all.wall_ns = all.wall_ns.saturating_add(budget.wall_ns);
            all.residual_ns = all.residual_ns.saturating_add(budget.residual_ns);
            all.lanes += budget.lanes;
            for state in &budget.states {
                let same = |s: &&mut StateTime| {
                    (s.state, s.cause, s.level, s.confidence)
                        == (state.state, state.cause, state.level, state.confidence)
                };
                match all.states.iter_mut().find(same) {
                    Some(sum) => {
                        sum.total_ns = sum.total_ns.saturating_add(state.total_ns);
                        sum.count += state.count;
                    }
                    None => all.states.push(state.clone()),
                }
            }
        }
        all.states.sort_by_key(|s| {
            (
                std::cmp::Reverse(s.total_ns),
                s.state,
                s.cause,
                s.level,
                s.confidence,
            )
        });
        all
    }
}
