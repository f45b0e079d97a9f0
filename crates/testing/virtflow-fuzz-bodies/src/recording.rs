//! What must hold of a recording, whatever its file holds.

use crate::check::Checked;
use std::path::Path;
use virtflow_base::{Span, StreamCoverage};
use virtflow_events::{Recording, Scope};
use virtflow_model::Options;
use virtflow_query::{Budgets, Progress, Rows, analyze, machines};

const SCOPES: [Scope; 3] = [Scope::PacketContext, Scope::StreamContext, Scope::Payload];

/// Reads all of a file that could be opened a moment ago and has `total` events, and runs it through
/// the model, which is told at most `facts` things besides.
pub(crate) fn whole(path: &Path, total: u64, facts: usize) {
    let Ok(recording) = Recording::open(path) else {
        unreachable!("it could be opened a moment ago");
    };
    assert_eq!(recording.count(2).total, total);
    let mut any = 0;
    let mut events = recording.events(|_| true, 1);
    while let Some((_, run)) = events.next_run() {
        for event in run {
            any += 1;
            // An event may be too short for its fields.
            let _ = event.record.visit(&SCOPES, &mut |_, _| {});
            let _ = event.record.value(Scope::Payload);
        }
    }
    assert_eq!(any, total, "merging loses nothing");
    for machine in machines(&recording) {
        let range = Span::ALL;
        let sink = Checked::new(Budgets::new(range), Rows::new(range, |_| {}));
        let options = Options::default();
        let (_, outcome) = analyze(&recording, machine, &options, sink, &Progress::default());
        assert!(outcome.counts.events <= total + facts as u64);
    }
}

/// What a stream lost, it lost inside of what it covers.
pub(crate) fn inside(coverage: &StreamCoverage) {
    let Some(span) = coverage.span else {
        return;
    };
    assert!(span.start <= span.end);
    for loss in &coverage.losses {
        assert!(span.start <= loss.span.start && loss.span.end <= span.end);
    }
}
