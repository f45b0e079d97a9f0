//! The hosts' clocks: ahead or behind, fast or slow, and that by more or less as time goes.

use super::host::{Host, Ns};
use super::{BEGIN_NS, FleetScenario};
use crate::Dialect;
use crate::sim::chance::Chance;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

/// How often the truth tells what a clock shows.
const STEP: Ns = 10_000_000;

/// A host's clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct HostClock {
    /// What it is ahead at the beginning, in nanoseconds.
    offset: i64,
    /// How much faster than true time it runs on average.
    rate: f64,
    /// By how much more or less at most, and in how many radians per nanosecond that comes and goes.
    swing: f64,
    turn: f64,
    /// What its counter shows at the beginning.
    start: u64,
}

impl HostClock {
    pub(super) fn new(scenario: &FleetScenario, chance: &mut Chance) -> Self {
        let mut either = |most: f64| (chance.unit() * 2.0 - 1.0) * most;
        let offset = (either(scenario.apart_s / 2.0) * 1e9) as i64;
        let rate = either(scenario.drift_ppm / 1e6);
        let turn = std::f64::consts::TAU / (chance.between(100, 400) as f64 * 1e9);
        // `swing * turn` is the most by which the rate changes in a nanosecond.
        let swing = scenario.wander_ppm / 1e6 / 60e9 / turn;
        let start = chance.between(10_000, 1_000_000) as u64 * 1_000_000_000;
        Self {
            offset,
            rate,
            swing,
            turn,
            start,
        }
    }

    /// Nanoseconds that have passed on it, `t` nanoseconds of true time into the scenario.
    pub(super) fn local(&self, t: Ns) -> i64 {
        let along = self.turn * t as f64;
        let swung = self.swing * (1.0 - along.cos()) / self.turn;
        t + (self.rate * t as f64 + swung).round() as i64
    }

    /// What it shows then, in nanoseconds since the Unix epoch.
    pub(super) fn shows(&self, t: Ns) -> i64 {
        BEGIN_NS + self.offset + self.local(t)
    }

    /// A dialect whose trace clock this is.
    pub(super) fn dialect(&self) -> Dialect {
        Dialect {
            tcp: true,
            noise: false,
            clock_start: self.start,
            clock_offset: BEGIN_NS + self.offset - self.start as i64,
            ..Dialect::default()
        }
    }
}

/// Writes `clocks.csv`.
pub(super) fn write(truth: &Path, hosts: &[Host], end: Ns) -> io::Result<()> {
    let mut text = String::from("machine,true_ns,clock_ns\n");
    for host in hosts {
        let steps = (0..=end / STEP).map(|step| step * STEP).chain([end]);
        for t in steps {
            let _ = writeln!(
                text,
                "{},{},{}",
                host.name,
                BEGIN_NS + t,
                host.clock.shows(t)
            );
        }
    }
    std::fs::write(truth.join("clocks.csv"), text)
}
