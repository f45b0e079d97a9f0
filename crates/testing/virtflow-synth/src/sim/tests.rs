//! Tests of the whole generator.

mod babeltrace;
mod same_bytes;
mod speed;
mod test_bed;
mod tiles;

use std::path::Path;

use super::{Sim, Summary};
use crate::trace::Ev;
use crate::{Dialect, Scenario};

/// A dialect's words, and what else to change.
type Variant = (&'static str, fn(&mut Scenario));

/// Every dialect and option at least once.
const VARIANTS: &[Variant] = &[
    ("testbed", |_| ()),
    ("testbed", |s| (s.nested, s.vcpus, s.cpus) = (2, 2, 3)),
    ("vmx,contexts", |s| {
        (s.nested, s.hogs, s.pinned) = (1, 3, 1.0)
    }),
    ("posted", |s| (s.vcpus, s.vms) = (2, 1)),
    ("vmx,posted,no-nested-events", |s| {
        (s.nested, s.vcpus, s.vhost) = (1, 2, true)
    }),
    ("pti,pcid", |s| s.hidden_switches = 1.0),
    ("shadow,big-endian,compact", |s| s.nested = 1),
    ("vmx,old-names,original-probe", |s| s.pinned = 0.0),
    ("stock,no-waking,no-noise", |s| s.nested = 1),
    ("no-probe,freq=1000000,offset-s=-5,offset=-3", |s| s.vms = 1),
    ("freq=2500000000,contexts,compact", |s| {
        (s.losses, s.ragged_ns) = (4, 40_000_000)
    }),
    ("big-endian", |s| {
        (s.packet_bytes_max, s.losses) = (16 << 10, 1)
    }),
    ("testbed", |s| {
        (s.cpus, s.vms, s.vcpus, s.processes) = (16, 12, 3, 7)
    }),
    ("ctf2,contexts", |s| (s.vhost, s.losses) = (true, 2)),
    ("ctf2,big-endian,compact,freq=2500000000", |s| s.nested = 1),
];

/// A variant, a fifth of a second long.
fn variant(words: &str, change: fn(&mut Scenario)) -> Scenario {
    let dialect: Dialect = words.parse().unwrap();
    let mut scenario = Scenario {
        seconds: 0.2,
        dialect,
        ..Scenario::default()
    };
    change(&mut scenario);
    scenario
}

/// Generates, and gives what was written, too.
fn generate_logged(scenario: &Scenario, dir: &Path) -> (Summary, Vec<(usize, Ev)>) {
    let mut sim = Sim::build(scenario, dir).unwrap();
    sim.run();
    let log = std::mem::take(&mut sim.out.log);
    (sim.finish().unwrap(), log)
}
