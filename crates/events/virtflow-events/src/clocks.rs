//! The clocks of several machines: what is known of each, once somebody found it out.

use crate::open::Recording;
use std::fmt;
use std::sync::Arc;
use virtflow_base::{CpuId, Fill, Problems, RecordSource, Stamped, StreamCoverage, Tid, Timestamp};

/// A map from the times of a machine's clock to those of the clock that all are shown on. It never
/// runs backwards.
#[derive(Clone)]
pub struct Correction(Arc<dyn Fn(Timestamp) -> Timestamp + Send + Sync>);

impl fmt::Debug for Correction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Correction")
    }
}

impl Correction {
    /// Of a map that never runs backwards.
    pub fn new(map: impl Fn(Timestamp) -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(map))
    }

    /// The time that is shown for a time of the machine's own clock.
    pub fn at(&self, own: Timestamp) -> Timestamp {
        (self.0)(own)
    }

    /// The last time of the machine's own clock for which `shown` or an earlier time is shown.
    pub(crate) fn before(&self, shown: Timestamp) -> Timestamp {
        let (mut low, mut high) = (i64::MIN, i64::MAX);
        while low < high {
            // Above the lower end, so that it ends.
            let middle = i64::midpoint(low, high).max(low + 1);
            if self.at(Timestamp::from_nanos(middle)) <= shown {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        Timestamp::from_nanos(low)
    }
}

/// What is known of a machine's clock beside the others' of the recording.
#[derive(Clone, Debug)]
pub struct MachineClock {
    /// How its times are shown; `None` as they are.
    pub correction: Option<Correction>,
    /// A word for how well it is known.
    pub state: &'static str,
    /// The machine whose clock all times are shown on.
    pub reference: usize,
    /// By messages with which machine it is known.
    pub by: Option<usize>,
    /// How far it was ahead of the reference's in the middle of its recording, in nanoseconds.
    pub ahead_ns: Option<i64>,
    /// How much faster it ran, in parts per million.
    pub drift_ppm: Option<f64>,
    /// How far from the truth its times can be anywhere, either way, in nanoseconds.
    pub error_ns: Option<i64>,
    /// Messages from it that others received.
    pub sent: u64,
    /// Messages to it that others sent.
    pub received: u64,
    /// Whose guest it is, where that is known.
    pub guest: Option<GuestClock>,
}

/// Whose guest a machine is.
#[derive(Clone, Debug)]
pub struct GuestClock {
    /// The host.
    pub host: usize,
    /// A word for what told where its clock was.
    pub how: &'static str,
    /// Its processors, each with the host's thread that is its vCPU.
    pub vcpus: Vec<(CpuId, Tid)>,
    /// Events on its processors that were compared with when their vCPUs were in guest mode.
    pub moments: u64,
    /// Those that happened then.
    pub inside: u64,
}

impl Recording {
    /// Says what is known of the clocks of its machines, once: from now on events, coverage and
    /// losses have the times that are shown. What is said later is not heard.
    pub fn set_clocks(&self, clocks: Vec<MachineClock>) {
        let _ = self.clocks.set(clocks);
    }

    /// Says that the time stamp counter of the machine of that name is its host's plus `offset`; gives
    /// whether there is such a machine.
    pub fn give_tsc_offset(&mut self, machine: &str, offset: u64) -> bool {
        let number = self.machines().iter().position(|m| m.name == machine);
        self.tsc_offsets
            .extend(number.map(|number| (number, offset)));
        number.is_some()
    }

    /// What was said of a machine's time stamp counter.
    pub fn tsc_offset(&self, machine: usize) -> Option<u64> {
        let mut offsets = self.tsc_offsets.iter();
        let of = offsets.find(|(number, _)| *number == machine)?;
        Some(of.1)
    }

    /// What was said of the machines' clocks, if anything was.
    pub fn clocks(&self) -> Option<&[MachineClock]> {
        self.clocks.get().map(Vec::as_slice)
    }

    /// What was said of one machine's clock.
    pub fn clock(&self, machine: usize) -> Option<&MachineClock> {
        self.clocks()?.get(machine)
    }

    pub(crate) fn correction(&self, machine: usize) -> Option<Correction> {
        self.clock(machine)?.correction.clone()
    }

    /// What the streams of the kernel traces of `machine` cover on the machine's own clock.
    pub fn coverage_as_told(&self, machine: usize) -> Vec<StreamCoverage> {
        let followed = self.followed(machine).is_some();
        self.kernel_traces(machine)
            .flat_map(|trace| trace.coverage(followed))
            .collect()
    }
}

/// Corrects what a stream covers.
pub(crate) fn corrected(mut coverage: StreamCoverage, correction: &Correction) -> StreamCoverage {
    let spans = coverage.losses.iter_mut().map(|loss| &mut loss.span);
    for span in spans.chain(&mut coverage.span) {
        (span.start, span.end) = (correction.at(span.start), correction.at(span.end));
    }
    coverage
}

/// A source whose times are corrected as they are read.
#[derive(Debug)]
pub struct Corrected<S> {
    source: S,
    correction: Option<Correction>,
}

impl<S> Corrected<S> {
    pub(crate) const fn new(source: S, correction: Option<Correction>) -> Self {
        Self { source, correction }
    }
}

impl<S: RecordSource> RecordSource for Corrected<S> {
    type Record = S::Record;

    fn fill(&mut self, batch: &mut Vec<Stamped<S::Record>>, max: usize) -> Fill {
        let before = batch.len();
        let fill = self.source.fill(batch, max);
        if let Some(correction) = &self.correction {
            for record in batch.iter_mut().skip(before) {
                record.time = correction.at(record.time);
            }
        }
        fill
    }

    fn take_problems(&mut self) -> Problems {
        self.source.take_problems()
    }

    fn bytes_read(&self) -> u64 {
        self.source.bytes_read()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use virtflow_base::{Loss, LossKind, Span};

    fn at(nanos: i64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    #[test]
    fn a_correction_is_found_backwards() {
        let slow = Correction::new(|t| at((t.as_nanos() / 2).saturating_add(1_000)));
        for shown in [-7, 0, 1_000, 1_001, 5_000] {
            let own = slow.before(at(shown));
            assert!(slow.at(own) <= at(shown) && slow.at(own.plus(1)) > at(shown));
        }
        let same = Correction::new(|t| t);
        for shown in [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX] {
            assert_eq!(same.before(at(shown)), at(shown));
        }
    }

    #[test]
    fn coverage_and_losses_are_corrected() {
        let later = Correction::new(|t| t.plus(10));
        let coverage = StreamCoverage {
            cpu: None,
            span: Some(Span::new(at(0), at(100))),
            losses: vec![Loss {
                span: Span::new(at(20), at(30)),
                kind: LossKind::Events(1),
            }],
        };
        let corrected = corrected(coverage, &later);
        assert_eq!(corrected.span, Some(Span::new(at(10), at(110))));
        assert_eq!(corrected.losses[0].span, Span::new(at(30), at(40)));
    }
}
