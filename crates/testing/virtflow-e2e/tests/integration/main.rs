//! Runs every golden file, and the README's own commands.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the message")]

mod serve;
mod store;

use std::path::PathBuf;
use std::process::Command;
use virtflow_e2e::{check, check_file, programs, root, run};

const FIXTURES: [&str; 5] = [
    "seed-nested",
    "single-vm-lossy",
    "two-vms-network",
    "host-containers",
    "three-levels",
];

fn golden_files() -> std::io::Result<Vec<PathBuf>> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden");
    let files: std::io::Result<Vec<PathBuf>> = std::fs::read_dir(dir)?
        .map(|entry| Ok(entry?.path()))
        .collect();
    let mut files = files?;
    files.retain(|path| path.extension().is_some_and(|end| end == "md"));
    files.sort();
    Ok(files)
}

#[test]
fn golden_files_show_what_virtflow_shows() {
    let programs = programs().unwrap();
    let files = golden_files().unwrap();
    assert!(!files.is_empty());
    let wrong: Vec<String> = files
        .iter()
        .filter_map(|file| check_file(file, &programs).unwrap())
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_readmes_commands_show_what_it_says() {
    let readme = root().join("README.md");
    if readme.exists() {
        let wrong = check_file(&readme, &programs().unwrap()).unwrap();
        assert!(wrong.is_none(), "{}", wrong.unwrap_or_default());
    }
}

#[test]
fn a_golden_file_can_be_wrong() {
    let programs = programs().unwrap();
    let file = "```console\n$ virtflow events fixtures/host-containers --count\n1\n$ exit 3\n```\n";
    let (new, differences) = check(file, &programs).unwrap();
    assert!(differences.contains("- 1\n+ 14044"), "{differences}");
    assert!(
        differences.contains("exit code 3, expected 0"),
        "{differences}"
    );
    assert_eq!(
        new,
        file.replace("\n1\n", "\n14044\n")
            .replace("exit 3\n", "exit 3\n? 3\n")
    );
}

#[test]
fn no_line_of_a_report_is_wider_than_80_columns() {
    let programs = programs().unwrap();
    for fixture in FIXTURES {
        let (code, report) =
            run(&format!("virtflow report fixtures/{fixture}"), &programs).unwrap();
        assert_eq!(code, 0, "{report}");
        let wide: Vec<_> = report
            .lines()
            .filter(|line| line.chars().count() > 80)
            .collect();
        assert!(wide.is_empty(), "{fixture}: {wide:#?}");
    }
}

#[test]
fn events_are_printed_as_babeltrace2_prints_them() {
    if Command::new("babeltrace2")
        .arg("--version")
        .output()
        .is_err()
    {
        eprintln!("SKIPPED: babeltrace2 is not installed");
        return;
    }
    let programs = programs().unwrap();
    for fixture in FIXTURES {
        let ours = run(
            &format!("virtflow events fixtures/{fixture} 2>/dev/null"),
            &programs,
        )
        .unwrap();
        let theirs = run(
            &format!("babeltrace2 fixtures/{fixture}/trace 2>/dev/null"),
            &programs,
        )
        .unwrap();
        let differs = ours
            .1
            .lines()
            .zip(theirs.1.lines())
            .find(|(ours, theirs)| ours != theirs);
        assert_eq!(differs, None, "{fixture}");
        assert_eq!(
            ours.1.lines().count(),
            theirs.1.lines().count(),
            "{fixture}"
        );
    }
}
