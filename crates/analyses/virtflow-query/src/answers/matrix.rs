//! Who took the processor from whom.

use super::who::Who;
use super::{inside, of_kinds, state_of};
use rustc_hash::FxHashMap;
use virtflow_history::{Store, StoreError};
use virtflow_model::{Kind, State};

/// What one lane lost to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Who wanted to run.
    pub victim: u32,
    /// Who ran meanwhile, a virtual processor rather than its thread; -1 for nobody, or nobody knows.
    pub culprit: i32,
    /// What the victim's state was: a code of the model's `State`.
    pub state: u8,
    /// For how long in all.
    pub ns: i64,
    /// How often.
    pub count: u64,
    /// The longest time.
    pub longest_ns: i64,
    /// When that began.
    pub longest_start_ns: i64,
}

/// Whether in this state somebody wants a processor that another one has.
pub(crate) const fn is_taken(state: State) -> bool {
    matches!(
        state,
        State::Preempted
            | State::Runnable
            | State::PreemptedOnHost
            | State::ReadyInGuest
            | State::PreemptedL0
            | State::PreemptedL1
            | State::PreemptedL2
    )
}

/// What the lanes of `victims` lost to whom in a range; those that take most first. Without
/// `victims`, virtual processors, those of nested VMs, and guest processes.
pub fn taken(
    store: &Store,
    victims: Option<&[u32]>,
    begin: i64,
    end: i64,
) -> Result<Vec<Taken>, StoreError> {
    let all;
    let victims = match victims {
        Some(victims) => victims,
        None => {
            all = of_kinds(store, &[Kind::Vcpu, Kind::NestedVcpu, Kind::Process]);
            &all
        }
    };
    let who = Who::new(store);
    let mut sums: FxHashMap<(u32, i32, u8), Taken> = FxHashMap::default();
    store.each_interval(victims, begin, end, |piece| {
        let Some(state) = state_of(store, piece).filter(|s| is_taken(*s)) else {
            return;
        };
        let (start, ns) = inside(piece, begin, end);
        let (victim, state) = (piece.lane.entity, state.code());
        let culprit = who.resolve(piece.by);
        let sum = sums.entry((victim, culprit, state)).or_insert(Taken {
            victim,
            culprit,
            state,
            ns: 0,
            count: 0,
            longest_ns: -1,
            longest_start_ns: 0,
        });
        sum.ns = sum.ns.saturating_add(ns);
        sum.count += 1;
        if ns > sum.longest_ns {
            (sum.longest_ns, sum.longest_start_ns) = (ns, start);
        }
    })?;
    let mut out: Vec<_> = sums.into_values().collect();
    out.sort_unstable_by_key(|t| (std::cmp::Reverse(t.ns), t.victim, t.culprit, t.state));
    Ok(out)
}
