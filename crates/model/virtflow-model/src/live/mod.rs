//! For models that go on for days: what is not told yet, losses as they come, and what is over
//! forgotten.
//!
//! None of this is called where a recording is read from its beginning to its end.

mod sweep;

use crate::lane::{Lane, Status};
use crate::model::{Bound, Model};
use crate::vocab::{Cause, Evidence, State};
use virtflow_base::{CpuId, Interval, Sink, Span, Tid, Timestamp};

pub use sweep::Living;

/// How much of a stretch that is not told yet is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Yet {
    /// All but when it ends.
    Known,
    /// The state; its cause will be told by what ends it.
    WhyPending,
    /// Nothing: what comes next decides what it was.
    Pending,
}

/// How long a thread must have done nothing before it may be found to be gone (nanoseconds): its end
/// may be among what was recorded and did not come yet.
const GONE_AFTER: i64 = 5_000_000_000;

impl<S: Sink> Model<S> {
    /// The sink, to take out of it what it has.
    pub const fn sink_mut(&mut self) -> &mut S {
        &mut self.sink.sink
    }

    /// Nothing more comes of what was before `t`.
    pub fn advance(&mut self, t: Timestamp) {
        self.begin(t);
        let t = t.max(self.now);
        self.cross_until(t);
        self.now = t;
    }

    /// Events of `cpu` were lost; of the past only what was not taken yet can be lost.
    pub fn lose(&mut self, cpu: CpuId, span: Span) {
        let start = span.start.max(self.now);
        for (at, bound) in [
            (start, Bound::LossBegins),
            (span.end.max(start), Bound::LossEnds),
        ] {
            self.bound(at, cpu, bound);
        }
    }

    /// Ends the threads that have done nothing for long and are not `there` any more: that they
    /// ended was lost.
    pub fn end_threads_unless(&mut self, mut there: impl FnMut(Tid) -> bool) {
        let t = self.now;
        for x in self.quiet_threads(GONE_AFTER) {
            if !there(self.threads[x.0].tid) {
                self.end_thread(t, x);
            }
        }
    }

    /// Tells what of each lane is not told yet, up to `until`, at which no event may have been
    /// taken. With what was told it tiles the lane's life. Of a lane that is not believed yet an
    /// empty interval is told: it is there.
    pub fn not_told(&self, until: Timestamp, tell: &mut impl FnMut(&Interval, Yet)) {
        self.host_not_told(until, tell);
        for vcpu in self.vcpus.iter() {
            not_told(vcpu.lane.as_ref(), until, until, tell);
        }
        for at in self.vms.places() {
            for nested in &self.vms[at].nested {
                not_told(nested.lane(), until, until, tell);
            }
        }
        self.guests_not_told(until, tell);
    }
}

/// Tells what of a lane is not told yet. From `decided` on it is not known what it does.
pub(crate) fn not_told(
    lane: Option<&Lane>,
    decided: Timestamp,
    until: Timestamp,
    tell: &mut impl FnMut(&Interval, Yet),
) {
    let Some(lane) = lane else { return };
    if lane.is_doubted() {
        // Nothing but that it is there.
        return tell(&lane.as_interval(Span::new(until, until)), Yet::Pending);
    }
    for interval in lane.held_intervals() {
        let is_wait = State::from_code(interval.state).is_some_and(State::is_wait);
        tell(interval, if is_wait { Yet::WhyPending } else { Yet::Known });
    }
    let decided = decided.clamp(lane.since(), until.max(lane.since()));
    let status = lane.status();
    let unexplained = matches!(status.cause, Cause::None | Cause::NoEvidence);
    let yet = if status.state.is_wait() && unexplained {
        Yet::WhyPending
    } else if status == Status::unknown(Cause::NoEvidence, Evidence::None) {
        Yet::Pending
    } else {
        Yet::Known
    };
    for (span, yet) in [
        (Span::new(lane.since(), decided), yet),
        (Span::new(decided, until), Yet::Pending),
    ] {
        if !span.is_empty() {
            tell(&lane.as_interval(span), yet);
        }
    }
}
