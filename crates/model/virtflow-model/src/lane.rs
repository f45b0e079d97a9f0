//! A lane: one entity's states, one after the other, without gap or overlap.

use crate::vocab::{Cause, Confidence, Evidence, State};
use virtflow_base::{EntityId, Interval, Sink, Span, Timestamp};

/// What a lane does, and how that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) state: State,
    pub(crate) level: u8,
    pub(crate) cause: Cause,
    pub(crate) confidence: Confidence,
    pub(crate) evidence: Evidence,
    pub(crate) by: Option<EntityId>,
}

impl Status {
    /// A proved state of the host itself.
    pub(crate) const fn new(state: State, evidence: Evidence) -> Self {
        Self {
            state,
            level: 0,
            cause: Cause::None,
            confidence: Confidence::Proved,
            evidence,
            by: None,
        }
    }

    /// Unknown, and why.
    pub(crate) const fn unknown(cause: Cause, evidence: Evidence) -> Self {
        Self::new(State::Unknown, evidence).because(cause)
    }

    pub(crate) const fn because(mut self, cause: Cause) -> Self {
        self.cause = cause;
        self
    }

    pub(crate) const fn by(mut self, by: Option<EntityId>) -> Self {
        self.by = by;
        self
    }

    pub(crate) const fn level(mut self, level: u8) -> Self {
        self.level = level;
        self
    }

    pub(crate) const fn likely(mut self) -> Self {
        self.confidence = Confidence::Likely;
        self
    }
}

/// The states of one entity in time order. Intervals go to the sink as they end, unless the lane
/// holds them because the first of them is not explained yet.
#[derive(Debug)]
pub(crate) struct Lane {
    entity: EntityId,
    vcpu: Option<u32>,
    since: Timestamp,
    status: Status,
    held: Vec<Interval>,
    holding: bool,
    /// Nothing is told until it is believed that there is such a lane.
    doubted: bool,
}

impl Lane {
    /// How many intervals wait for an explanation before it is given up: a virtual processor that
    /// is woken enters its guest within a few, a guest process shows what it waits for in some
    /// tens of waits, between which it may run for long.
    pub(crate) const HELD_MAX: usize = 1 << 14;

    pub(crate) const fn new(
        entity: EntityId,
        vcpu: Option<u32>,
        since: Timestamp,
        status: Status,
    ) -> Self {
        Self {
            entity,
            vcpu,
            since,
            status,
            held: Vec::new(),
            holding: false,
            doubted: false,
        }
    }

    pub(crate) const fn status(&self) -> Status {
        self.status
    }

    pub(crate) const fn since(&self) -> Timestamp {
        self.since
    }

    /// Ends the present state at `t` and begins another.
    pub(crate) fn to(&mut self, t: Timestamp, status: Status, sink: &mut impl Sink) {
        if status == self.status {
            return;
        }
        self.close(t, sink);
        self.status = status;
    }

    /// Changes the present state as a whole, from its beginning.
    pub(crate) fn amend(&mut self, change: impl FnOnce(&mut Status)) {
        change(&mut self.status);
    }

    /// What is told of the present state is not so, at the earliest from `since` on.
    pub(crate) fn doubt_from(&mut self, since: Timestamp, unknown: Status, sink: &mut impl Sink) {
        if self.status.state == State::Unknown {
            // That is known for a better reason.
        } else if self.since < since {
            self.to(since, unknown, sink);
        } else {
            self.status = unknown;
        }
    }

    /// Ends the present state at `t`; the same state goes on.
    fn close(&mut self, t: Timestamp, sink: &mut impl Sink) {
        if t <= self.since {
            return;
        }
        let interval = self.as_interval(Span::new(self.since, t));
        self.since = t;
        if self.holding {
            self.hold_back(interval, sink);
        } else {
            sink.interval(&interval);
        }
    }

    /// Keeps an interval until it is explained, or there are too many.
    #[inline(never)]
    fn hold_back(&mut self, interval: Interval, sink: &mut impl Sink) {
        self.held.push(interval);
        if self.held.len() < Self::HELD_MAX {
            return;
        }
        if self.doubted {
            self.held.clear();
        } else {
            self.explain(|i| i.cause = Cause::NoEvidence.code(), State::Halted, sink);
        }
    }

    /// The present state as an interval.
    pub(crate) const fn as_interval(&self, span: Span) -> Interval {
        let Status {
            state,
            level,
            cause,
            confidence,
            evidence,
            by,
        } = self.status;
        Interval {
            entity: self.entity,
            span,
            state: state.code(),
            level,
            cause: cause.code(),
            confidence: confidence.code(),
            evidence: evidence.code(),
            vcpu: self.vcpu,
            by,
        }
    }

    /// From now on ended intervals wait for [`Self::explain`].
    pub(crate) const fn hold(&mut self) {
        self.holding = true;
    }

    /// Holds everything back until it is believed; what is not by the lane's end was never said.
    pub(crate) const fn doubt(&mut self) {
        self.doubted = true;
        self.holding = true;
    }

    /// What is held may be told, once it is explained.
    pub(crate) const fn believe(&mut self) {
        self.doubted = false;
    }

    pub(crate) const fn is_doubted(&self) -> bool {
        self.doubted
    }

    pub(crate) const fn is_holding(&self) -> bool {
        self.holding
    }

    /// What waits.
    pub(crate) fn held_intervals(&self) -> &[Interval] {
        &self.held
    }

    /// How many intervals wait.
    pub(crate) const fn held(&self) -> usize {
        self.held.len()
    }

    /// Explains the held intervals that are in `state`, and the present one if it is, and lets all
    /// of them go.
    pub(crate) fn explain(
        &mut self,
        change: impl Fn(&mut Interval),
        state: State,
        sink: &mut impl Sink,
    ) {
        for mut interval in self.held.drain(..) {
            if interval.state == state.code() {
                change(&mut interval);
            }
            sink.interval(&interval);
        }
        self.holding = false;
    }

    /// Lets the held intervals go, those in `state` as whatever `tell` makes of each.
    pub(crate) fn release<S: Sink>(
        &mut self,
        state: State,
        sink: &mut S,
        mut tell: impl FnMut(Interval, &mut S),
    ) {
        for interval in self.held.drain(..) {
            if interval.state == state.code() {
                tell(interval, sink);
            } else {
                sink.interval(&interval);
            }
        }
        self.holding = false;
    }

    /// Ends the lane's life at `t`.
    pub(crate) fn finish(mut self, t: Timestamp, sink: &mut impl Sink) {
        self.close(t, sink);
        if self.doubted {
            return;
        }
        for interval in &self.held {
            sink.interval(interval);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::Collected;

    fn at(t: i64) -> Timestamp {
        Timestamp::from_nanos(t)
    }

    #[test]
    fn a_lane_tiles_and_back_fills() {
        let mut sink = Collected::default();
        let running = Status::new(State::Running, Evidence::SchedSwitch);
        let mut lane = Lane::new(EntityId(7), None, at(0), running);
        lane.to(at(5), running, &mut sink);
        lane.to(
            at(10),
            Status::new(State::Halted, Evidence::HltSwitch),
            &mut sink,
        );
        lane.hold();
        lane.to(at(20), running, &mut sink);
        assert_eq!(sink.intervals.len(), 1, "the halt waits for its cause");
        lane.explain(|i| i.cause = Cause::Timer.code(), State::Halted, &mut sink);
        lane.finish(at(30), &mut sink);
        let spans: Vec<_> = sink
            .intervals
            .iter()
            .map(|i| (i.span.start.as_nanos(), i.span.end.as_nanos(), i.cause))
            .collect();
        assert_eq!(
            spans,
            [(0, 10, 0), (10, 20, Cause::Timer.code()), (20, 30, 0)]
        );
    }

    #[test]
    fn time_that_stands_still_makes_no_interval() {
        let mut sink = Collected::default();
        let mut lane = Lane::new(
            EntityId(0),
            None,
            at(5),
            Status::new(State::Running, Evidence::None),
        );
        lane.to(at(5), Status::new(State::Idle, Evidence::None), &mut sink);
        lane.to(
            at(3),
            Status::new(State::Sleeping, Evidence::None),
            &mut sink,
        );
        assert!(sink.intervals.is_empty());
        assert_eq!(lane.since(), at(5));
    }
}
