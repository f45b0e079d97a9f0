//! The fleet's own promises.

use super::{FleetScenario, generate_fleet};
use std::collections::BTreeMap;
use std::path::Path;

fn scenario() -> FleetScenario {
    FleetScenario {
        seconds: 1.0,
        ..FleetScenario::default()
    }
}

fn files(dir: &Path, all: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, all);
        } else {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let parent = path.parent().unwrap().parent().unwrap();
            let key = format!("{}/{name}", parent.file_name().unwrap().display());
            all.insert(key, std::fs::read(&path).unwrap());
        }
    }
}

fn made(scenario: &FleetScenario) -> BTreeMap<String, Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    generate_fleet(scenario, dir.path().join("out")).unwrap();
    let mut all = BTreeMap::new();
    files(&dir.path().join("out"), &mut all);
    all
}

#[test]
fn the_same_seed_gives_the_same_fleet() {
    let first = made(&scenario());
    assert!(first.len() >= 3 + 3 * 3, "{:?}", first.keys());
    assert!(first == made(&scenario()));
    let other = FleetScenario {
        seed: 2,
        ..scenario()
    };
    assert!(first != made(&other));
}

#[test]
fn paths_tile_their_requests() {
    let dir = tempfile::tempdir().unwrap();
    let summary = generate_fleet(&scenario(), dir.path()).unwrap();
    assert!(summary.requests > 200, "{summary:?}");
    let table = |file: &str| -> Vec<Vec<String>> {
        let text = std::fs::read_to_string(dir.path().join("truth").join(file)).unwrap();
        let rows = text.lines().skip(1);
        rows.map(|row| row.split(',').map(ToOwned::to_owned).collect())
            .collect()
    };
    let number = |text: &String| text.parse::<i64>().unwrap();
    let mut paths: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
    for row in table("paths.csv") {
        paths.entry(row[0].clone()).or_default().push(row);
    }
    let requests = table("requests.csv");
    assert_eq!(requests.len() as u64, summary.requests);
    for request in requests {
        let path = &paths[&request[0]];
        let mut at = number(&request[3]);
        for leg in path {
            assert_eq!(number(&leg[5]), at, "{leg:?}");
            assert!(number(&leg[6]) > at, "{leg:?}");
            at = number(&leg[6]);
        }
        assert_eq!(at, number(&request[4]));
        // There and back along the chain, with one wait for the disk.
        let count = |what: &str| path.iter().filter(|leg| leg[4] == what).count();
        assert_eq!((count("network"), count("disk")), (4, 1), "{path:?}");
        let ends = [path.first().unwrap(), path.last().unwrap()];
        assert!(ends.iter().all(|leg| leg[3] == "client"), "{path:?}");
    }
    // Somebody was pre-empted now and then.
    assert!(paths.values().flatten().any(|leg| leg[4] == "preempted"));
}
