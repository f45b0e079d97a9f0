use std::time::Instant;

use crate::{Scenario, generate};

/// Prints how fast it is (`cargo test --release -- --nocapture speed`); holds no more than that it
/// is not absurdly slow, for other work may share the machine.
#[test]
fn speed_of_generation() {
    for truth in [true, false] {
        let scenario = Scenario {
            seconds: 1e5,
            events: Some(300_000),
            cpus: 8,
            vms: 8,
            vcpus: 2,
            nested: 2,
            truth,
            ..Scenario::default()
        };
        let dir = tempfile::tempdir().unwrap();
        let begun = Instant::now();
        let summary = generate(&scenario, dir.path()).unwrap();
        let rate = summary.events as f64 / begun.elapsed().as_secs_f64();
        eprintln!("{:.2} million events/s, truth {truth}", rate / 1e6);
        assert!(summary.events >= 300_000);
        assert!(rate > 50_000.0, "{rate} events/s");
    }
}
