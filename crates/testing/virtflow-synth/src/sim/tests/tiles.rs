use std::collections::HashMap;

use super::{Ev, VARIANTS, generate_logged, variant};

/// A lane is told apart by its kind, key and vCPU.
type Lanes = HashMap<[String; 3], Vec<(i64, i64, String)>>;

fn lanes(dir: &std::path::Path) -> Lanes {
    let mut lanes = Lanes::new();
    let text = std::fs::read_to_string(dir.join("truth/intervals.csv")).unwrap();
    for line in text.lines().skip(1) {
        let row: Vec<&str> = line.split(',').collect();
        assert_eq!(row.len(), 17, "{line}");
        let lane = [row[3], row[4], row[7]].map(str::to_owned);
        let interval = (
            row[1].parse().unwrap(),
            row[2].parse().unwrap(),
            row[11].to_owned(),
        );
        lanes.entry(lane).or_default().push(interval);
    }
    lanes
}

#[test]
fn lanes_tile() {
    for &(words, change) in VARIANTS {
        let (dir, scenario) = (tempfile::tempdir().unwrap(), variant(words, change));
        generate_logged(&scenario, dir.path());
        let lanes = lanes(dir.path());
        let (vms, vcpus) = (
            scenario.vms as usize,
            (scenario.vms * scenario.vcpus) as usize,
        );
        let count = |kind: &str| lanes.keys().filter(|lane| lane[0] == kind).count();
        assert_eq!(count("cpu"), scenario.cpus as usize, "{words}");
        assert_eq!(count("vcpu"), vcpus, "{words}");
        assert_eq!(count("nested-vcpu"), scenario.nested as usize, "{words}");
        let workers = vms * (5 + usize::from(scenario.vhost));
        assert_eq!(
            count("thread"),
            1 + scenario.hogs as usize + workers + vcpus,
            "{words}"
        );
        let mut spans = lanes.values().map(|lane| {
            for pair in lane.windows(2) {
                assert_eq!(pair[0].1, pair[1].0, "{words}: {pair:?}");
            }
            assert!(lane.iter().all(|(start, end, _)| start < end), "{words}");
            (lane[0].0, lane[lane.len() - 1].1)
        });
        let first = spans.next().unwrap();
        assert!(
            spans.all(|span| span == first),
            "{words}: lanes begin and end together"
        );
    }
}

/// The truth's guest stretches are the trace's entries.
#[test]
fn each_entry_is_a_stretch_in_the_guest() {
    for &(words, change) in &VARIANTS[..8] {
        let (dir, scenario) = (tempfile::tempdir().unwrap(), variant(words, change));
        let (_, log) = generate_logged(&scenario, dir.path());
        let entries = log.iter().filter(|(_, ev)| *ev == Ev::KvmEntry).count();
        let stretches: usize = lanes(dir.path())
            .iter()
            .filter(|(lane, _)| lane[0] == "vcpu")
            .map(|(_, lane)| lane.iter().filter(|(.., state)| state == "guest").count())
            .sum();
        assert_eq!(entries, stretches, "{words}");
        assert!(entries > 300, "{words}: {entries} entries");
    }
}

/// On each processor one thread runs, and it is the one its lane names.
#[test]
fn one_thread_runs_per_processor() {
    let (dir, scenario) = (
        tempfile::tempdir().unwrap(),
        variant("testbed", |s| s.vcpus = 2),
    );
    generate_logged(&scenario, dir.path());
    let lanes = lanes(dir.path());
    let time = |kind: &str| -> i64 {
        let lanes = lanes.iter().filter(|(lane, _)| lane[0] == kind);
        lanes
            .flat_map(|(_, lane)| lane)
            .filter(|i| i.2 == "running")
            .map(|i| i.1 - i.0)
            .sum()
    };
    assert_eq!(time("cpu"), time("thread"));
}

/// A process of two processors is woken on the one a moment before it went to sleep on the other.
#[test]
fn clocks_of_processors_a_moment_apart() {
    let dir = tempfile::tempdir().unwrap();
    let scenario = crate::Scenario {
        seed: 973_379,
        seconds: 0.2,
        cpus: 3,
        vms: 1,
        vcpus: 2,
        nested: 1,
        hidden_switches: 0.0,
        packet_bytes_max: 16 << 10,
        dialect: "shadow".parse().unwrap(),
        ..crate::Scenario::default()
    };
    assert!(crate::generate(&scenario, dir.path()).is_ok());
}
