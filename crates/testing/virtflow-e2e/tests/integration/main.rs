//! Runs every golden file, and the README's own commands.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the message")]

mod containers;
mod dumps;
mod kvm;
mod perf;
mod perf_threads;
mod record;
mod serve;
mod store;
mod top;
mod trace_cmd;
mod tracers;

use std::path::PathBuf;
use std::process::Command;
use virtflow_e2e::{check, check_file, programs, root, run};

const FIXTURES: [&str; 6] = [
    "seed-nested",
    "single-vm-lossy",
    "two-vms-network",
    "host-containers",
    "three-levels",
    "host-and-guest",
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

/// How many events `virtflow info` says that all streams of a trace lost.
fn events_lost(path: &str) -> u64 {
    let command = format!("virtflow info {path} --format json");
    let (_, said) = run(&command, &programs().unwrap()).unwrap();
    let info: serde_json::Value = serde_json::from_str(&said).unwrap();
    let streams = info["machines"][0]["streams"].as_array().unwrap();
    let lost = streams.iter().map(|s| s["events_lost"].as_u64().unwrap());
    lost.sum()
}

#[test]
fn no_line_of_a_report_is_wider_than_80_columns() {
    let programs = programs().unwrap();
    let files = ["trace-cmd/single-vm.dat", "perf/single-vm.data"];
    for fixture in FIXTURES.into_iter().chain(files) {
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

/// The first lines that `virtflow` shows of a directory's traces, and its exit code.
fn shown(command: &str, directory: &std::path::Path) -> (String, i32) {
    let program = programs().unwrap().join("virtflow");
    let output = Command::new(program)
        .args([command, directory.to_str().unwrap()])
        .args((command == "report").then_some("--no-cache"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (text, output.status.code().unwrap())
}

#[test]
fn info_and_report_say_how_clocks_were_aligned() {
    let dir = tempfile::tempdir().unwrap();
    for (seed, name) in [(1, "one"), (2, "other")] {
        let scenario = virtflow_synth::FleetScenario {
            seed,
            seconds: 0.5,
            ..virtflow_synth::FleetScenario::default()
        };
        virtflow_synth::generate_fleet(&scenario, dir.path().join(name)).unwrap();
    }
    for command in ["info", "report"] {
        let (text, code) = shown(command, &dir.path().join("one/traces"));
        assert_eq!(code, 0, "{text}");
        assert!(text.contains("CLOCKS: aligned\n"), "{text}");
        assert!(text.contains("on the clock of client."), "{text}");
        // What is long is the directory.
        let wide = |line: &&str| line.chars().count() > 80 && !line.contains("/traces");
        assert_eq!(text.lines().find(wide), None);
    }
    // A client, and a store that never heard of it.
    let (one, other) = (
        dir.path().join("one/traces"),
        dir.path().join("other/traces"),
    );
    std::fs::remove_dir_all(one.join("server")).unwrap();
    std::fs::remove_dir_all(one.join("store")).unwrap();
    std::fs::rename(other.join("store"), one.join("store")).unwrap();
    for command in ["info", "report"] {
        let (text, _) = shown(command, &one);
        assert!(text.contains("CLOCKS: 1 of 1 are not aligned\n"), "{text}");
        assert!(text.contains("store: no TCP segment was seen"), "{text}");
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
            &format!("virtflow events fixtures/{fixture}/trace 2>/dev/null"),
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
