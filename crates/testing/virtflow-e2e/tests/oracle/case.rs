//! One scenario, generated and analysed.

use std::path::Path;

use virtflow_base::{Edge, Entity, Exit, Interval, LossKind, Sample, Sink, Span, StreamCoverage};
use virtflow_query::{Budgets, Options, Progress, Recording, Row as QueryRow, Rows, analyze};
use virtflow_synth::{Dialect, Scenario, generate};

use super::lanes::Lanes;

/// What a recording was made into.
#[derive(Debug)]
pub(crate) struct Analysed {
    pub(crate) lanes: Lanes,
    pub(crate) budgets: Budgets,
    pub(crate) coverage: Vec<StreamCoverage>,
    /// Problems with the input, and contradictions between events.
    pub(crate) problems: u64,
    pub(crate) contradictions: u64,
}

/// Both sinks at once.
struct Both<F> {
    rows: Rows<F>,
    budgets: Budgets,
}

impl<F: FnMut(QueryRow<'_>)> Sink for Both<F> {
    fn entity(&mut self, entity: &Entity) {
        self.rows.entity(entity);
        Sink::entity(&mut self.budgets, entity);
    }

    fn interval(&mut self, interval: &Interval) {
        self.rows.interval(interval);
        self.budgets.interval(interval);
    }

    fn edge(&mut self, edge: &Edge) {
        self.rows.edge(edge);
    }

    fn exit(&mut self, exit: &Exit) {
        self.budgets.exit(exit);
    }

    fn sample(&mut self, _: &Sample) {}
}

/// Runs the pipeline over the trace in `dir`.
pub(crate) fn analysed(dir: &Path) -> Analysed {
    let recording = Recording::open(dir).unwrap();
    let mut lanes = Lanes::default();
    let sink = Both {
        rows: Rows::new(Span::ALL, |row: QueryRow<'_>| {
            if let QueryRow::Interval(row) = row {
                lanes.take(&row);
            }
        }),
        budgets: Budgets::new(Span::ALL),
    };
    let (both, outcome) = analyze(
        &recording,
        0,
        &Options::default(),
        sink,
        &Progress::default(),
    );
    let budgets = both.budgets;
    Analysed {
        lanes,
        budgets,
        coverage: outcome.coverage,
        problems: outcome.problems.total(),
        contradictions: outcome.counts.contradictions,
    }
}

/// A scenario's trace as we see it, and its truth.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) ours: Analysed,
    pub(crate) truth: Lanes,
    /// Begin and end of what the truth says was lost, and of what the trace does.
    pub(crate) losses: Vec<(i64, i64)>,
    lost: Vec<(i64, i64)>,
    /// Whether stamps are as fine as the simulation: else events of two processors may share one,
    /// and their order is lost.
    pub(crate) fine: bool,
    /// VMs that we call by another process than the VMM's, by our names.
    pub(crate) misnamed: Vec<&'static str>,
    /// What each processor's stream covers.
    pub(crate) covered: Vec<(i64, i64)>,
}

impl Case {
    pub(crate) fn new(name: String, scenario: &Scenario) -> Self {
        let dir = tempfile::tempdir().unwrap();
        generate(scenario, dir.path()).unwrap();
        let fine = scenario.dialect.clock_freq == 1_000_000_000;
        Self {
            fine,
            ..Self::read(name, dir.path())
        }
    }

    fn read(name: String, dir: &Path) -> Self {
        let table = |file: &str| -> Vec<Vec<i64>> {
            let text = std::fs::read_to_string(dir.join("truth").join(file)).unwrap();
            let rows = text.lines().skip(1);
            rows.map(|row| row.split(',').skip(1).map(|n| n.parse().unwrap()).collect())
                .collect()
        };
        let losses = table("losses.csv").into_iter().map(|r| (r[1], r[2]));
        let covered = table("coverage.csv").into_iter().map(|r| (r[1], r[2]));
        let truth = Lanes::read(&dir.join("truth/intervals.csv"));
        let mut ours = analysed(&dir.join("trace"));
        let misnamed = ours.lanes.name_vms_as(&truth);
        let lost = ours.coverage.iter().flat_map(|stream| &stream.losses);
        let lost = lost.filter(|loss| loss.kind != LossKind::Events(0));
        Self {
            name,
            lost: lost
                .map(|loss| (loss.span.start.as_nanos(), loss.span.end.as_nanos()))
                .collect(),
            ours,
            truth,
            losses: losses.collect(),
            fine: true,
            misnamed,
            covered: covered.collect(),
        }
    }

    /// When the truth begins.
    pub(crate) fn zero(&self) -> i64 {
        self.truth
            .iter()
            .map(super::lanes::Lane::begin)
            .min()
            .unwrap()
    }

    /// From when to when every stream covers.
    pub(crate) fn common(&self) -> (i64, i64) {
        let begin = self.covered.iter().map(|c| c.0).max().unwrap();
        let end = self.covered.iter().map(|c| c.1).min().unwrap();
        (begin, end)
    }

    /// Whether the trace tells that events about `t` were lost, on any processor: a loss can only
    /// be placed between the packets around it.
    pub(crate) fn lossy(&self, t: i64) -> bool {
        self.lost.iter().any(|&(from, to)| from <= t && t <= to)
    }

    /// Whether any were lost.
    pub(crate) const fn has_losses(&self) -> bool {
        !self.lost.is_empty()
    }
}

/// A small machine: two processors, three VMs of which one runs a nested one.
pub(crate) fn scenario(dialect: &str, seed: u64) -> Scenario {
    let dialect: Dialect = dialect.parse().unwrap();
    Scenario {
        seed,
        seconds: 1.0,
        cpus: 2,
        vms: 3,
        vcpus: 1,
        nested: 1,
        hidden_switches: 0.0,
        dialect,
        ..Scenario::default()
    }
}
