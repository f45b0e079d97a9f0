//! How long waits were, by what ended them.

use super::words::word_of_cause;
use crate::spread::Spread;
use crate::sums::Sums;
use serde::Serialize;
use virtflow_model::Cause;

/// Durations of one kind.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Durations {
    /// How many.
    pub count: u64,
    /// Their sum.
    pub total_ns: i64,
    /// Their mean.
    pub mean_ns: i64,
    /// Half of them are not longer.
    pub p50_ns: i64,
    /// 99 % of them are not longer.
    pub p99_ns: i64,
    /// The longest.
    pub max_ns: i64,
}

impl Durations {
    pub(super) fn new(spread: &Spread) -> Self {
        Self {
            count: spread.total.count,
            total_ns: spread.total.ns,
            mean_ns: spread.total.mean(),
            p50_ns: spread.quantile(0.5),
            p99_ns: spread.quantile(0.99),
            max_ns: spread.max_ns,
        }
    }
}

/// Waits for one cause.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Wait {
    /// What ended them.
    #[serde(serialize_with = "word_of_cause")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub cause: Cause,
    /// How long they were.
    #[serde(flatten)]
    pub durations: Durations,
}

/// Waits by cause. `idle` are a guest's timer ticks that found nothing to do: counted among the
/// waits of `raw`, left out of those of `filtered`.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Waits {
    /// By cause, longest in sum first.
    pub by_cause: Vec<Wait>,
    /// All of them.
    pub raw: Durations,
    /// All but `idle`.
    pub filtered: Durations,
}

impl Waits {
    pub(super) fn new<'a>(sums: impl IntoIterator<Item = &'a Sums>) -> Self {
        let mut causes: Vec<(Cause, Spread)> = Vec::new();
        for (cause, spread) in sums.into_iter().flat_map(Sums::waits) {
            match causes.iter_mut().find(|(known, _)| known == cause) {
                Some((_, sum)) => sum.merge(spread),
                None => causes.push((*cause, spread.clone())),
            }
        }
        causes.sort_by_key(|(cause, spread)| (std::cmp::Reverse(spread.total.ns), *cause));
        let sum = |causes: &mut dyn Iterator<Item = &(Cause, Spread)>| {
            Durations::new(&Spread::sum(causes.map(|(_, spread)| spread)))
        };
        let raw = sum(&mut causes.iter());
        let idles = causes.iter().any(|(cause, _)| *cause == Cause::Idle);
        let filtered = if idles {
            sum(&mut causes.iter().filter(|(cause, _)| *cause != Cause::Idle))
        } else {
            raw.clone()
        };
        Self {
            raw,
            filtered,
            by_cause: causes
                .iter()
                .map(|(cause, spread)| Wait {
                    cause: *cause,
                    durations: Durations::new(spread),
                })
                .collect(),
        }
    }
}
