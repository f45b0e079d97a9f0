use std::process::Command;

use super::{VARIANTS, generate_logged, variant};

/// babeltrace2 reads every dialect to the end, and complains about nothing but the losses that
/// were asked for.
#[test]
fn babeltrace_reads_every_dialect() {
    for &(words, change) in VARIANTS {
        if words.contains("ctf2") && !reads_ctf2() {
            eprintln!("SKIPPED: babeltrace2 2.1 is not installed, so nobody checked {words}");
            continue;
        }
        let (dir, scenario) = (tempfile::tempdir().unwrap(), variant(words, change));
        let (summary, _) = generate_logged(&scenario, dir.path());
        let run = Command::new("babeltrace2")
            .arg(dir.path().join("trace"))
            .output();
        let Ok(out) = run else {
            eprintln!("SKIPPED: babeltrace2 is not installed, so nobody checked these traces");
            return;
        };
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{words}: {said}");
        let lost = |line: &&str| line.contains("WARNING: Tracer discarded");
        let losses = said.lines().filter(lost).count();
        let complaints: Vec<&str> = said.lines().filter(|line| !lost(line)).collect();
        assert!(
            complaints.iter().all(|line| line.trim().is_empty()),
            "{words}: {complaints:?}"
        );
        let truth = std::fs::read_to_string(dir.path().join("truth/losses.csv")).unwrap();
        // A window without an event loses nothing.
        assert_eq!(losses, truth.lines().count() - 1, "{words}");
        let text = String::from_utf8_lossy(&out.stdout);
        assert_eq!(text.lines().count() as u64, summary.events, "{words}");
    }
}

/// Whether the babeltrace2 that is installed is of version 2.1 or later, which reads CTF 2.
fn reads_ctf2() -> bool {
    let out = Command::new("babeltrace2").arg("--version").output();
    let said = out.map(|out| String::from_utf8_lossy(&out.stdout).into_owned());
    let version = said.unwrap_or_default();
    let mut parts = version.split_whitespace().nth(1).unwrap_or("").split('.');
    let mut part = || parts.next().and_then(|part| part.parse::<u32>().ok());
    (part(), part()) >= (Some(2), Some(1))
}

/// The truth of losses and the trace's own counters agree.
#[test]
fn losses_are_counted() {
    let (dir, scenario) = (
        tempfile::tempdir().unwrap(),
        variant("testbed", |s| (s.losses, s.cpus) = (6, 2)),
    );
    generate_logged(&scenario, dir.path());
    let text = std::fs::read_to_string(dir.path().join("truth/losses.csv")).unwrap();
    let mut total = 0_u64;
    for line in text.lines().skip(1) {
        let row: Vec<u64> = line
            .split(',')
            .skip(1)
            .map(|word| word.parse().unwrap())
            .collect();
        assert!(row[1] < row[2] && row[3] > 0, "{line}");
        total += row[3];
    }
    let counted: u64 = (0..2)
        .map(|cpu| {
            let index = dir.path().join(format!("trace/kernel/index/k_{cpu}.idx"));
            let bytes = std::fs::read(index).unwrap();
            let last = bytes.len() - 72;
            u64::from_be_bytes(bytes[last + 40..last + 48].try_into().unwrap())
        })
        .sum();
    assert_eq!(counted, total);
    assert!(total > 0);
}
