//! What stands out, as plain sentences with the place where it can be seen.

use super::matrix::{Taken, taken};
use super::of_kinds;
use super::who::Who;
use rustc_hash::FxHashMap;
use virtflow_base::duration;
use virtflow_history::{Store, StoreError};
use virtflow_model::{Kind, State};

/// What kind of finding it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FindingKind {
    /// The tracer lost something.
    Loss,
    /// The longest time a virtual processor was kept from running.
    Preemption,
    /// The most time one took from another.
    Steal,
    /// What nesting cost a nested VM.
    Nested,
    /// Where most is unknown.
    Unknown,
}

impl FindingKind {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Preemption => "preemption",
            Self::Steal => "steal",
            Self::Nested => "nested",
            Self::Unknown => "unknown",
        }
    }
}

/// Something that stands out.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What kind of thing.
    pub kind: FindingKind,
    /// One plain sentence.
    pub title: String,
    /// What it rests on.
    pub detail: String,
    /// Whose.
    pub entity: Option<u32>,
    /// Where to look.
    pub begin_ns: i64,
    /// Until when.
    pub end_ns: i64,
    /// How long.
    pub ns: i64,
    /// Of what there was, if it is a share of something.
    pub share: Option<f64>,
}

/// Less than this is not worth a sentence.
const SHARE_MIN: f64 = 0.001;

/// What stands out in a whole store: losses first, then the biggest of each kind.
pub fn findings(store: &Store) -> Result<Vec<Finding>, StoreError> {
    let Some((begin, end)) = store.span() else {
        return Ok(Vec::new());
    };
    let who = Who::new(store);
    let mut out = Vec::new();
    out.extend(loss(store));
    let lanes = of_kinds(store, &[Kind::Vcpu, Kind::NestedVcpu]);
    let lost = taken(store, Some(&lanes), begin, end)?;
    out.extend(longest(&lost, &who));
    let budgets = Budgets::new(store, &lanes, begin, end)?;
    out.extend(steal(store, &lost, &who, &budgets));
    out.extend(nested(store, &who, &budgets));
    let processes = of_kinds(store, &[Kind::Process]);
    let all = Budgets::new(store, &[lanes, processes].concat(), begin, end)?;
    out.extend(unknown(store, &who, &all));
    Ok(out)
}

/// How long each lane did what.
struct Budgets(FxHashMap<u32, FxHashMap<u8, i64>>);

impl Budgets {
    fn new(store: &Store, lanes: &[u32], begin: i64, end: i64) -> Result<Self, StoreError> {
        let mut sums: FxHashMap<u32, FxHashMap<u8, i64>> = FxHashMap::default();
        for cost in store.budget(lanes, begin, end)? {
            let state = store.doing(cost.doing).state;
            let of_lane = sums.entry(cost.lane.entity).or_default();
            *of_lane.entry(state).or_default() += cost.ns;
        }
        Ok(Self(sums))
    }

    fn of(&self, entity: u32, states: &[State]) -> i64 {
        let Some(sums) = self.0.get(&entity) else {
            return 0;
        };
        states.iter().filter_map(|s| sums.get(&s.code())).sum()
    }

    fn whole(&self, entity: u32) -> i64 {
        self.0.get(&entity).map_or(0, |sums| sums.values().sum())
    }
}

fn share(part: i64, whole: i64) -> f64 {
    if whole > 0 {
        part as f64 / whole as f64
    } else {
        0.0
    }
}

fn percent(share: f64) -> String {
    let value = share * 100.0;
    format!("{value:.*} %", usize::from(value < 10.0))
}

fn loss(store: &Store) -> Option<Finding> {
    let losses = &store.manifest().losses;
    let first = losses.first()?;
    let events: u64 = losses
        .iter()
        .filter(|l| l.kind == "events")
        .filter_map(|l| l.count)
        .sum();
    let longest = losses
        .iter()
        .max_by_key(|l| l.end_ns.saturating_sub(l.begin_ns))
        .unwrap_or(first);
    let ns = losses
        .iter()
        .map(|l| l.end_ns.saturating_sub(l.begin_ns))
        .fold(0, i64::saturating_add);
    let what = if events > 0 {
        format!("The tracer lost {events} events")
    } else {
        "The tracer lost packets, or some could not be read".to_owned()
    };
    Some(Finding {
        kind: FindingKind::Loss,
        title: format!(
            "{what} in {} {}; what happened in them is unknown.",
            losses.len(),
            if losses.len() == 1 {
                "stretch"
            } else {
                "stretches"
            }
        ),
        detail: format!("{} of the processors' time lie in losses.", duration(ns)),
        entity: None,
        begin_ns: longest.begin_ns,
        end_ns: longest.end_ns,
        ns,
        share: None,
    })
}

fn longest(lost: &[Taken], who: &Who<'_>) -> Option<Finding> {
    let preempted = |t: &&Taken| {
        matches!(
            State::from_code(t.state),
            Some(
                State::Preempted
                    | State::Runnable
                    | State::PreemptedL0
                    | State::PreemptedL1
                    | State::PreemptedL2
            )
        )
    };
    let worst = lost.iter().filter(preempted).max_by_key(|t| t.longest_ns)?;
    let by = culprit(who, worst.culprit);
    Some(Finding {
        kind: FindingKind::Preemption,
        title: format!(
            "The longest pre-emption: {} wanted to run for {} while {by} had the CPU.",
            who.name(worst.victim),
            duration(worst.longest_ns),
        ),
        detail: format!(
            "It lost {} to it in {} stretches in all.",
            duration(worst.ns),
            worst.count
        ),
        entity: Some(worst.victim),
        begin_ns: worst.longest_start_ns,
        end_ns: worst.longest_start_ns.saturating_add(worst.longest_ns),
        ns: worst.longest_ns,
        share: None,
    })
}

fn culprit(who: &Who<'_>, culprit: i32) -> String {
    u32::try_from(culprit).map_or_else(|_| "nobody".to_owned(), |c| who.name(c))
}

/// The most that one virtual processor lost to one virtual machine, or to one thread that is of
/// none.
fn steal(store: &Store, lost: &[Taken], who: &Who<'_>, budgets: &Budgets) -> Option<Finding> {
    let vcpu = |t: &&Taken| {
        let victim = store.entities().get(t.victim as usize);
        t.culprit >= 0 && victim.is_some_and(|e| e.kind == Kind::Vcpu.code())
    };
    let mut sums: FxHashMap<(u32, u32), (i64, u64)> = FxHashMap::default();
    for one in lost.iter().filter(vcpu) {
        let by = u32::try_from(one.culprit).ok()?;
        let by = who.vm_of(by).unwrap_or(by);
        let sum = sums.entry((one.victim, by)).or_default();
        *sum = (sum.0 + one.ns, sum.1 + one.count);
    }
    let (&(victim, by), &(ns, count)) = sums
        .iter()
        .max_by_key(|((victim, by), (ns, _))| (*ns, *victim, *by))?;
    let of = share(ns, budgets.whole(victim));
    let own = who.vm_of(victim) == Some(by);
    let record = store.entities().get(victim as usize)?;
    Some(Finding {
        kind: FindingKind::Steal,
        title: format!(
            "The largest steal: {} lost {} ({} of its time) to {}{}.",
            who.name(victim),
            duration(ns),
            percent(of),
            if own { "other vCPUs of " } else { "" },
            who.name(by),
        ),
        detail: format!("In {count} stretches, wanting to run or pre-empted."),
        entity: Some(victim),
        begin_ns: record.begin_ns,
        end_ns: record.end_ns,
        ns,
        share: Some(of),
    })
}

fn nested(store: &Store, who: &Who<'_>, budgets: &Budgets) -> Option<Finding> {
    let lanes = of_kinds(store, &[Kind::NestedVcpu]);
    let handling = [State::L0Handling, State::L1Handling, State::L2Handling];
    let cost = |&lane: &u32| {
        (
            budgets.of(lane, &handling),
            budgets.of(lane, &[State::Guest]),
        )
    };
    let (lane, (ns, guest)) = lanes
        .into_iter()
        .map(|lane| (lane, cost(&lane)))
        .max_by_key(|(_, (ns, _))| *ns)
        .filter(|(_, (ns, _))| *ns > 0)?;
    let record = store.entities().get(lane as usize)?;
    let of = share(ns, ns + guest);
    let l0 = budgets.of(lane, &[State::L0Handling]);
    Some(Finding {
        kind: FindingKind::Nested,
        title: format!(
            "Nesting: for {} of its own code, {} needed {} of hypervisors ({} of the two).",
            duration(guest),
            who.vm_of(lane)
                .map_or_else(|| who.name(lane), |vm| who.name(vm)),
            duration(ns),
            percent(of),
        ),
        detail: format!(
            "{} in the host's hypervisor (L0), {} in the guest's (L1 and above).",
            duration(l0),
            duration(ns - l0)
        ),
        entity: Some(lane),
        begin_ns: record.begin_ns,
        end_ns: record.end_ns,
        ns,
        share: Some(of),
    })
}

fn unknown(store: &Store, who: &Who<'_>, budgets: &Budgets) -> Option<Finding> {
    let (&entity, ns) = budgets
        .0
        .keys()
        .map(|entity| (entity, budgets.of(*entity, &[State::Unknown])))
        .max_by_key(|(entity, ns)| (*ns, **entity))?;
    let of = share(ns, budgets.whole(entity));
    if of < SHARE_MIN {
        return None;
    }
    let all: i64 = budgets
        .0
        .keys()
        .map(|e| budgets.of(*e, &[State::Unknown]))
        .sum();
    let whole: i64 = budgets.0.keys().map(|e| budgets.whole(*e)).sum();
    let record = store.entities().get(entity as usize)?;
    Some(Finding {
        kind: FindingKind::Unknown,
        title: format!(
            "Unknown: of {}, {} ({}) cannot be told.",
            who.name(entity),
            duration(ns),
            percent(of)
        ),
        detail: format!(
            "Over all virtual processors and guest processes: {}.",
            percent(share(all, whole))
        ),
        entity: Some(entity),
        begin_ns: record.begin_ns,
        end_ns: record.end_ns,
        ns,
        share: Some(of),
    })
}
