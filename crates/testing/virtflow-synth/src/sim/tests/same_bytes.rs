use super::{VARIANTS, generate_logged, variant};

fn files(dir: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for part in ["trace/kernel", "trace/kernel/index", "truth"] {
        for entry in std::fs::read_dir(dir.join(part)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                files.push((path.display().to_string(), std::fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
        .into_iter()
        .map(|(path, bytes)| (path[dir.display().to_string().len()..].to_owned(), bytes))
        .collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let (words, change) = VARIANTS[1];
    let mut scenario = variant(words, change);
    let dirs: [_; 3] = std::array::from_fn(|_| tempfile::tempdir().unwrap());
    generate_logged(&scenario, dirs[0].path());
    generate_logged(&scenario, dirs[1].path());
    scenario.seed = 2;
    generate_logged(&scenario, dirs[2].path());
    let [first, again, other] = dirs.each_ref().map(|dir| files(dir.path()));
    assert!(first.len() >= 11);
    assert!(first == again, "same seed, same bytes");
    assert!(first != other, "another seed, other bytes");
}

/// A scenario that cannot be is refused before anything is written.
#[test]
fn nonsense_is_refused() {
    for change in [
        |s: &mut crate::Scenario| s.cpus = 0,
        |s: &mut crate::Scenario| s.seconds = f64::NAN,
        |s: &mut crate::Scenario| s.nested = 9,
        |s: &mut crate::Scenario| s.pinned = 1.5,
        |s: &mut crate::Scenario| s.dialect.clock_freq = 0,
    ] {
        let mut scenario = crate::Scenario::default();
        change(&mut scenario);
        let dir = tempfile::tempdir().unwrap();
        assert!(crate::generate(&scenario, dir.path()).is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
    assert!("testbed,nonsense".parse::<crate::Dialect>().is_err());
    assert!("freq=x".parse::<crate::Dialect>().is_err());
}
