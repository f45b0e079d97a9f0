//! What is only likely, left out where that was asked for.

use crate::vocab::{Cause, Confidence, Evidence, State};
use virtflow_base::{Edge, Entity, Exit, Interval, Sample, Sink};

/// A sink that is told only what is proved, where that was asked for: what is likely is unknown, and an
/// edge that is likely is none. That a virtual processor halted is proved always; what ended that may
/// not be.
#[derive(Debug)]
pub(crate) struct Proved<S> {
    pub(crate) sink: S,
    only: bool,
}

impl<S> Proved<S> {
    pub(crate) const fn new(sink: S, only: bool) -> Self {
        Self { sink, only }
    }
}

const LIKELY: u8 = Confidence::Likely.code();

impl<S: Sink> Sink for Proved<S> {
    fn entity(&mut self, entity: &Entity) {
        self.sink.entity(entity);
    }

    #[inline]
    fn interval(&mut self, interval: &Interval) {
        if !self.only || interval.confidence != LIKELY {
            return self.sink.interval(interval);
        }
        let state = if interval.state == State::Halted.code() {
            interval.state
        } else {
            State::Unknown.code()
        };
        self.sink.interval(&Interval {
            state,
            cause: Cause::Ambiguous.code(),
            confidence: Confidence::Proved.code(),
            evidence: Evidence::None.code(),
            by: None,
            ..*interval
        });
    }

    fn edge(&mut self, edge: &Edge) {
        if !self.only || edge.confidence != LIKELY {
            self.sink.edge(edge);
        }
    }

    fn exit(&mut self, exit: &Exit) {
        self.sink.exit(exit);
    }

    fn sample(&mut self, sample: &Sample) {
        self.sink.sample(sample);
    }
}
