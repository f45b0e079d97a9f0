//! What the edges of the execution graph cost: `graph_bench TRACE [ROUNDS]` runs the report's pass
//! without and with them, in turn.

use std::path::Path;
use std::time::Instant;
use virtflow_base::{Edge, Entity, Exit, Interval, Sample, Sink, Span};
use virtflow_query::{Budgets, Options, Progress, Recording, analyze};

/// The report's sums, and how many edges there were.
struct Counted {
    budgets: Budgets,
    edges: u64,
}

impl Sink for Counted {
    fn entity(&mut self, entity: &Entity) {
        Sink::entity(&mut self.budgets, entity);
    }

    fn interval(&mut self, interval: &Interval) {
        self.budgets.interval(interval);
    }

    fn edge(&mut self, _: &Edge) {
        self.edges += 1;
    }

    fn exit(&mut self, exit: &Exit) {
        self.budgets.exit(exit);
    }

    fn sample(&mut self, _: &Sample) {}
}

fn pass(recording: &Recording, counters: bool) -> (f64, u64) {
    let options = Options {
        counters,
        ..Options::default()
    };
    let sink = Counted {
        budgets: Budgets::new(Span::ALL),
        edges: 0,
    };
    let begun = Instant::now();
    let (sink, _) = analyze(recording, 0, &options, sink, &Progress::default());
    (begun.elapsed().as_secs_f64(), sink.edges)
}

#[expect(clippy::print_stdout, reason = "what it measured")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("graph_bench TRACE [ROUNDS]")?;
    let rounds: usize = args.next().map_or(Ok(5), |n| n.parse())?;
    let recording = Recording::open(Path::new(&path))?;
    let (mut without, mut with, mut edges) = (f64::MAX, f64::MAX, 0);
    for _ in 0..rounds {
        without = without.min(pass(&recording, false).0);
        let (seconds, count) = pass(&recording, true);
        with = with.min(seconds);
        edges = count;
    }
    println!(
        "without devices {without:.3} s, with devices and their edges {with:.3} s ({edges} edges): {:.2}x",
        with / without
    );
    Ok(())
}
