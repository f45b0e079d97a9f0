//! What the recording did not see.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use virtflow_base::{LossKind, Span, StreamCoverage};

/// What one stream saw and lost.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StreamReport {
    /// The processor the stream belongs to, where it says so.
    pub cpu: Option<u32>,
    /// The beginning of its first packet; `null` for an empty stream.
    pub begin_ns: Option<i64>,
    /// The end of its last packet.
    pub end_ns: Option<i64>,
    /// How long that is.
    pub covered_ns: i64,
    /// Events that the tracer had no room for.
    pub events_lost: u64,
    /// Packets that are missing, with an unknown number of events.
    pub packets_lost: u64,
    /// Places that could not be read, with an unknown number of events.
    pub unreadable: u64,
    /// How much of `covered_ns` lies in stretches in which something was lost.
    pub lost_ns: i64,
    /// Those stretches.
    pub losses: Vec<LossReport>,
}

/// One loss.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LossReport {
    /// From the last event known to be whole, or the beginning of the stream.
    pub begin_ns: i64,
    /// To the first one after the loss, or the end of the stream.
    pub end_ns: i64,
    /// `events`, `packets` or `unreadable`.
    pub kind: Cow<'static, str>,
    /// How many; 0 where that cannot be known.
    pub count: u64,
}

impl StreamReport {
    /// Of what a stream covers.
    pub fn new(coverage: &StreamCoverage) -> Self {
        let mut report = Self {
            cpu: coverage.cpu.map(|cpu| cpu.0),
            begin_ns: coverage.span.map(|s| s.start.as_nanos()),
            end_ns: coverage.span.map(|s| s.end.as_nanos()),
            covered_ns: coverage.span.map_or(0, Span::nanos),
            events_lost: 0,
            packets_lost: 0,
            unreadable: 0,
            lost_ns: 0,
            losses: Vec::new(),
        };
        for loss in &coverage.losses {
            let (kind, count) = match loss.kind {
                LossKind::Events(n) => ("events", n),
                LossKind::Packets(n) => ("packets", n),
                LossKind::Unreadable => ("unreadable", 0),
            };
            match loss.kind {
                LossKind::Events(n) => report.events_lost += n,
                LossKind::Packets(n) => report.packets_lost += n,
                LossKind::Unreadable => report.unreadable += 1,
            }
            let covered = coverage.span.unwrap_or(loss.span);
            let begin_ns = loss.span.start.max(covered.start).as_nanos();
            let end_ns = loss.span.end.min(covered.end).as_nanos().max(begin_ns);
            report.losses.push(LossReport {
                begin_ns,
                end_ns,
                kind: kind.into(),
                count,
            });
        }
        report.lost_ns = union(coverage);
        report
    }

    /// Whether anything was lost.
    pub const fn is_whole(&self) -> bool {
        self.losses.is_empty()
    }
}

/// How much of what the stream covers lies in losses, which may overlap.
fn union(coverage: &StreamCoverage) -> i64 {
    let Some(covered) = coverage.span else {
        return 0;
    };
    let mut spans: Vec<_> = coverage
        .losses
        .iter()
        .filter_map(|l| l.span.intersect(covered))
        .collect();
    spans.sort_by_key(|s| s.start);
    let (mut total, mut until) = (0, covered.start);
    for span in spans {
        total += Span::new(span.start.max(until), span.end).nanos();
        until = until.max(span.end);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use virtflow_base::{CpuId, Loss, Timestamp};

    fn span(a: i64, b: i64) -> Span {
        Span::new(Timestamp::from_nanos(a), Timestamp::from_nanos(b))
    }

    #[test]
    fn overlapping_losses_count_once_and_inside_what_is_covered() {
        let losses = vec![
            Loss {
                span: span(i64::MIN, 5),
                kind: LossKind::Unreadable,
            },
            Loss {
                span: span(10, 30),
                kind: LossKind::Events(7),
            },
            Loss {
                span: span(20, 40),
                kind: LossKind::Packets(2),
            },
        ];
        let coverage = StreamCoverage {
            cpu: Some(CpuId(1)),
            span: Some(span(0, 100)),
            losses,
        };
        let report = StreamReport::new(&coverage);
        assert_eq!(
            (report.events_lost, report.packets_lost, report.unreadable),
            (7, 2, 1)
        );
        assert_eq!((report.lost_ns, report.covered_ns), (35, 100));
    }
}
