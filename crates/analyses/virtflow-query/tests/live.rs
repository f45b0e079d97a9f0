//! Windows over real recordings come to what the report over the whole says.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the message")]

use std::collections::BTreeMap;
use std::path::Path;
use virtflow_base::Span;
use virtflow_query::{
    Budgets, Cause, Kind, LiveOptions, LiveRow, Options, Progress, Recording, State, TotalKind,
    View, analyze, machines, replay,
};

const FIXTURES: [&str; 5] = [
    "seed-nested",
    "single-vm-lossy",
    "two-vms-network",
    "host-containers",
    "three-levels",
];

fn opened(fixture: &str) -> Recording {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../fixtures");
    Recording::open_all(&[path.join(fixture)]).unwrap()
}

fn options(every_ns: i64) -> LiveOptions {
    LiveOptions {
        every_ns,
        vm: None,
        entry_probed: false,
        vcpus_named: false,
        migrations_told: false,
    }
}

type Sums = BTreeMap<(String, u32, State, Cause), i64>;

/// Time by state of every processor, real, virtual and nested, as the report has it.
fn whole(recording: &Recording, machine: usize) -> (Sums, BTreeMap<String, i64>) {
    let sink = Budgets::new(Span::ALL);
    let progress = Progress::default();
    let (budgets, _) = analyze(recording, machine, &Options::default(), sink, &progress);
    let mut sums = Sums::new();
    let mut walls = BTreeMap::new();
    for entity in budgets.entities() {
        let kind = Kind::from_code(entity.kind).unwrap();
        let Some(of) = budgets.sums(entity.id) else {
            continue;
        };
        walls.insert(entity.key.clone(), of.lifetime_ns() - of.away_ns());
        let (vm, number) = match kind {
            Kind::Cpu => (String::new(), entity.key[4..].parse().unwrap()),
            Kind::Vcpu | Kind::NestedVcpu => {
                let vm = budgets.entity(entity.vm.unwrap()).unwrap();
                let vm = String::from_utf8(vm.label.clone()).unwrap();
                (vm, entity.vcpu.unwrap())
            }
            _ => continue,
        };
        for (doing, total) in of.parts() {
            let key = (vm.clone(), number, doing.state, doing.cause);
            *sums.entry(key).or_default() += total.ns;
        }
    }
    (sums, walls)
}

/// The same since the beginning, from what windows were made of; and all windows.
fn windows(recording: &Recording, machine: usize, every_ns: i64) -> (Sums, Vec<View>) {
    let progress = Progress::default();
    let mut views = Vec::new();
    let (live, _) = replay(
        recording,
        machine,
        options(every_ns),
        &progress,
        |view, _| {
            views.push(view);
        },
    );
    let mut sums = Sums::new();
    for of in live.finish().of {
        assert!(of.kind != TotalKind::Cpu || of.vm.is_empty());
        for (state, cause, ns) in of.total.states() {
            *sums
                .entry((of.vm.clone(), of.number, state, cause))
                .or_default() += ns;
        }
    }
    (sums, views)
}

fn lanes(view: &View) -> Vec<&LiveRow> {
    let mut rows = Vec::new();
    view.rows(&mut |row, _| rows.push(row));
    rows
}

#[test]
fn sums_since_the_beginning_are_those_of_the_report() {
    for fixture in FIXTURES {
        let recording = opened(fixture);
        for machine in machines(&recording) {
            let (expected, _) = whole(&recording, machine);
            for every in [1_000_000_000, 70_000_001] {
                let (sums, _) = windows(&recording, machine, every);
                assert_eq!(sums, expected, "{fixture} by {every}");
            }
        }
    }
}

#[test]
fn shares_of_a_window_add_up_to_it() {
    for fixture in FIXTURES {
        let recording = opened(fixture);
        let (_, views) = windows(&recording, 0, 100_000_000);
        assert!(!views.is_empty());
        for (at, view) in views.iter().enumerate() {
            for row in lanes(view) {
                let sum: i64 = row.shares.all().iter().sum();
                let states: i64 = row.states.iter().map(|part| part.total_ns).sum();
                assert_eq!(
                    (row.residual_ns, sum),
                    (0, row.wall_ns),
                    "{fixture} {row:?}"
                );
                assert_eq!(states, sum, "{fixture} {row:?}");
                let lanes = i64::try_from(row.lanes).unwrap();
                assert!(row.wall_ns <= lanes * view.nanos(), "{fixture} {row:?}");
            }
            for cpu in &view.cpus {
                assert_eq!(cpu.wall_ns, view.nanos(), "{fixture}");
            }
            if at > 0 {
                assert_eq!(view.start, views[at - 1].end);
            }
        }
    }
}

/// Where a lane lives its whole life in windows, they come to its life.
#[test]
fn windows_of_a_lane_come_to_its_life() {
    let recording = opened("seed-nested");
    let (_, walls) = whole(&recording, 0);
    let (_, views) = windows(&recording, 0, 100_000_000);
    let mut sums: BTreeMap<&str, i64> = BTreeMap::new();
    for view in &views {
        for row in lanes(view) {
            *sums.entry(&row.key).or_default() += row.wall_ns;
        }
    }
    let cpus: Vec<_> = sums
        .iter()
        .filter(|(key, _)| key.starts_with("cpu:"))
        .collect();
    assert_eq!(cpus.len(), 2);
    for (key, sum) in cpus {
        assert_eq!(walls[*key], *sum, "{key}");
    }
    // A vCPU is known from its first entry on; what its thread did before comes late.
    let vcpus = sums
        .iter()
        .filter(|(key, _)| key.contains("vcpu:") && !key.contains("/L2"));
    for (key, sum) in vcpus.filter(|(key, _)| walls.contains_key(**key)) {
        assert!(
            (0..=100_000_000).contains(&(walls[*key] - sum)),
            "{key}: {} {sum}",
            walls[*key]
        );
    }
}

#[test]
fn losses_are_unknown_and_counted() {
    let recording = opened("single-vm-lossy");
    let (_, views) = windows(&recording, 0, 100_000_000);
    let unknown = views.iter().flat_map(|view| &view.cpus);
    assert!(unknown.map(|cpu| cpu.shares.unknown_ns).sum::<i64>() > 0);
}
