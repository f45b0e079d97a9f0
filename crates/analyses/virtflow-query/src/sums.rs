//! What one entity's lanes did, in sums.

use crate::spread::{Precision, Spread, Total, sum_ns};
use rustc_hash::FxHashMap;
use virtflow_base::{EntityId, Interval, Span};
use virtflow_model::{Cause, Confidence, State};

/// What one lane did of one kind: the parts of an interval that a budget keeps apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Doing {
    /// The state.
    pub state: State,
    /// Why.
    pub cause: Cause,
    /// 0 host, 1 guest, 2 guest of a guest.
    pub level: u8,
    /// How sure.
    pub confidence: Confidence,
}

impl Doing {
    const fn code(interval: &Interval) -> u32 {
        u32::from_le_bytes([
            interval.state,
            interval.cause,
            interval.level,
            interval.confidence,
        ])
    }

    fn from_code(code: u32) -> Option<Self> {
        let [state, cause, level, confidence] = code.to_le_bytes();
        Some(Self {
            state: State::from_code(state)?,
            cause: Cause::from_code(cause)?,
            level,
            confidence: Confidence::from_code(confidence)?,
        })
    }
}

/// When a lane lived.
#[derive(Clone, Copy, Debug)]
struct Life {
    /// From its first to its last moment.
    span: Span,
    /// How much of that no interval covers.
    away_ns: i64,
}

impl Life {
    const fn add(&mut self, span: Span) {
        self.away_ns = self
            .away_ns
            .saturating_add(Span::new(self.span.end, span.start).nanos());
        if span.end.since(self.span.end) > 0 {
            self.span.end = span.end;
        }
    }
}

/// The sums of one entity's lanes: one lane, or for a guest process one per virtual processor.
#[derive(Debug, Default)]
pub struct Sums {
    codes: Vec<u32>,
    totals: Vec<Total>,
    /// Where the last interval was added: the next is often of the same kind.
    last: usize,
    /// The life of each lane, by virtual processor.
    lanes: Vec<(Option<u32>, Life)>,
    /// Durations of waits by cause.
    waits: Vec<(Cause, Spread)>,
    /// By whom: for a physical processor who ran on it, for others who had the processor.
    by: FxHashMap<(State, Option<EntityId>), Total>,
}

impl Sums {
    /// What the lanes did.
    pub fn parts(&self) -> impl Iterator<Item = (Doing, Total)> + '_ {
        let parts = self.codes.iter().zip(&self.totals);
        parts.filter_map(|(&code, &total)| Some((Doing::from_code(code)?, total)))
    }

    /// Waits by cause.
    pub fn waits(&self) -> &[(Cause, Spread)] {
        &self.waits
    }

    /// Who had the processor meanwhile.
    pub fn by(&self) -> impl Iterator<Item = (State, Option<EntityId>, Total)> + '_ {
        self.by
            .iter()
            .map(|(&(state, by), &total)| (state, by, total))
    }

    /// How many lanes there are: one, or one per virtual processor.
    pub const fn lanes(&self) -> usize {
        self.lanes.len()
    }

    /// From the beginning of each lane to its end, summed: what its parts must add up to.
    pub fn lifetime_ns(&self) -> i64 {
        sum_ns(self.lanes.iter().map(|(_, life)| life.span.nanos()))
    }

    /// From the first moment of any of its lanes to the last one of any.
    pub fn span(&self) -> Option<Span> {
        let start = self.lanes.iter().map(|(_, life)| life.span.start).min()?;
        let end = self.lanes.iter().map(|(_, life)| life.span.end).max()?;
        Some(Span::new(start, end))
    }

    /// How much of [`Self::lifetime_ns`] no interval covers. A guest process's lane ends when the
    /// process goes on on another virtual processor, and begins anew when it comes back.
    pub fn away_ns(&self) -> i64 {
        sum_ns(self.lanes.iter().map(|(_, life)| life.away_ns))
    }

    /// All its parts added up.
    pub fn sum_ns(&self) -> i64 {
        sum_ns(self.totals.iter().map(|total| total.ns))
    }

    /// Adds an interval of which `span` is inside the range.
    pub(crate) fn add(&mut self, interval: &Interval, span: Span) {
        let (code, ns) = (Doing::code(interval), span.nanos());
        if self.codes.get(self.last) != Some(&code) {
            self.last = self
                .codes
                .iter()
                .position(|&c| c == code)
                .unwrap_or_else(|| {
                    self.codes.push(code);
                    self.totals.push(Total::default());
                    self.codes.len() - 1
                });
        }
        self.totals[self.last].add(ns);
        match self
            .lanes
            .iter_mut()
            .find(|(vcpu, _)| *vcpu == interval.vcpu)
        {
            Some((_, life)) => life.add(span),
            None => self.lanes.push((interval.vcpu, Life { span, away_ns: 0 })),
        }
        self.add_reason(interval, ns);
    }

    fn add_reason(&mut self, interval: &Interval, ns: i64) {
        let Some(state) = State::from_code(interval.state) else {
            return;
        };
        match state {
            State::Halted | State::BlockedOnHost | State::Waiting => {
                let Some(cause) = Cause::from_code(interval.cause) else {
                    return;
                };
                match self.waits.iter_mut().find(|(known, _)| *known == cause) {
                    Some((_, spread)) => spread.add(ns),
                    None => {
                        let guest_process = state == State::Waiting;
                        let precision = if guest_process {
                            Precision::Coarse
                        } else {
                            Precision::Fine
                        };
                        let mut spread = Spread::new(precision);
                        spread.add(ns);
                        self.waits.push((cause, spread));
                    }
                }
            }
            State::Running if interval.by.is_none() => {}
            State::Running
            | State::Preempted
            | State::Runnable
            | State::PreemptedOnHost
            | State::ReadyInGuest
            | State::PreemptedL0
            | State::PreemptedL1
            | State::PreemptedL2 => self.by.entry((state, interval.by)).or_default().add(ns),
            _ => {}
        }
    }
}
