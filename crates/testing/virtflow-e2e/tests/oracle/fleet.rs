//! Several hosts, each on a clock of its own: how far from the truth their one clock is.

mod paths;

use std::collections::HashMap;
use std::path::Path;

use virtflow_base::Timestamp;
use virtflow_events::KernelEvent;
use virtflow_query::{ClockAlignment, Recording, align};
use virtflow_synth::{FleetScenario, generate_fleet};

/// What the alignment may be off anywhere, in nanoseconds.
const OFF_MAX_NS: i64 = 20_000;

fn fleet(seed: u64, hosts: u32, seconds: f64, dir: &Path) {
    let scenario = FleetScenario {
        seed,
        hosts,
        seconds,
        ..FleetScenario::default()
    };
    generate_fleet(&scenario, dir).unwrap();
}

/// What each machine's clock shows at the same moments.
fn clocks(dir: &Path) -> HashMap<String, Vec<i64>> {
    let mut all: HashMap<String, Vec<i64>> = HashMap::new();
    let text = std::fs::read_to_string(dir.join("truth/clocks.csv")).unwrap();
    for row in text.lines().skip(1) {
        let mut cells = row.split(',');
        let machine = cells.next().unwrap().to_owned();
        let shown = cells.nth(1).unwrap().parse().unwrap();
        all.entry(machine).or_default().push(shown);
    }
    all
}

/// How far from the truth all machines' times are at most, and at most by their own account.
fn off(dir: &Path) -> (i64, i64) {
    let recording = Recording::open(&dir.join("traces")).unwrap();
    align(&recording);
    let truth = clocks(dir);
    let known: Vec<_> = (0..recording.machines().len())
        .map(|machine| ClockAlignment::of(&recording, machine).unwrap())
        .collect();
    let (mut worst, mut told) = (0, 0);
    for (machine, clock) in known.iter().enumerate() {
        let name = &recording.machines()[machine].name;
        let error = clock.error_ns.unwrap();
        let correction = &recording.clock(machine).unwrap().correction;
        assert_eq!(correction.is_none(), clock.state == "reference", "{name}");
        assert!(clock.state == "reference" || clock.state == "accurate");
        for (&own, &reference) in truth[name].iter().zip(&truth[&clock.reference]) {
            let own = Timestamp::from_nanos(own);
            let shown = correction.as_ref().map_or(own, |c| c.at(own)).as_nanos();
            let off = (shown - reference).abs();
            assert!(off <= error, "{name}: {off} ns off, {error} told");
            worst = worst.max(off);
        }
        told = told.max(error);
    }
    (worst, told)
}

#[test]
fn three_hosts_have_one_clock() {
    for seed in 1..=8 {
        let dir = tempfile::tempdir().unwrap();
        fleet(seed, 3, 5.0, dir.path());
        let (off, told) = off(dir.path());
        println!("seed {seed}: off by at most {off} ns, {told} ns by its own account");
        assert!(off < OFF_MAX_NS, "seed {seed}: {off}");
    }
}

#[test]
fn many_hosts_over_a_longer_time_have_one_clock() {
    let dir = tempfile::tempdir().unwrap();
    fleet(11, 6, 60.0, dir.path());
    let (off, told) = off(dir.path());
    println!("off by at most {off} ns, {told} ns by its own account");
    assert!(off < OFF_MAX_NS, "{off}");
}

/// On the one clock no segment is received before it was queued, and no machine's time runs
/// backwards.
#[test]
fn on_one_clock_nothing_arrives_before_it_was_sent() {
    let dir = tempfile::tempdir().unwrap();
    fleet(3, 3, 3.0, dir.path());
    let recording = Recording::open(&dir.path().join("traces")).unwrap();
    let early = |recording: &Recording| {
        let mut queued = HashMap::new();
        let mut received = Vec::new();
        for machine in 0..recording.machines().len() {
            let mut events = recording.kernel_events(machine, |kind| kind.starts_with("net_"), 1);
            let mut last = Timestamp::MIN;
            while let Some((_, run)) = events.next_run() {
                for event in run {
                    assert!(event.time >= last);
                    last = event.time;
                    match event.record.event {
                        KernelEvent::NetQueue(packet) => {
                            queued.insert(packet.flow, event.time);
                        }
                        KernelEvent::NetReceive(packet) => {
                            received.push((packet.flow, event.time));
                        }
                        _ => {}
                    }
                }
            }
        }
        assert!(received.len() > 5_000, "{}", received.len());
        let early = received.iter().filter(|(flow, time)| queued[flow] > *time);
        early.count()
    };
    assert!(early(&recording) > 1_000);
    align(&recording);
    assert_eq!(early(&recording), 0);
}

/// Hosts of two fleets that never met, at the same time: nothing is moved, and that is said.
#[test]
fn machines_that_never_met_are_not_aligned() {
    let dir = tempfile::tempdir().unwrap();
    fleet(1, 3, 1.0, &dir.path().join("a"));
    fleet(2, 3, 1.0, &dir.path().join("b"));
    let paths = ["a/traces/client", "b/traces/store"].map(|path| dir.path().join(path));
    let recording = Recording::open_all(&paths).unwrap();
    align(&recording);
    let store = ClockAlignment::of(&recording, 1).unwrap();
    assert_eq!((store.state.as_str(), store.error_ns), ("absent", None));
    assert_eq!(recording.coverage(1), recording.coverage_as_told(1));
    // One machine alone has nothing to be said about its clock.
    let alone = Recording::open(&paths[0]).unwrap();
    align(&alone);
    assert!(ClockAlignment::of(&alone, 0).is_none());
}
