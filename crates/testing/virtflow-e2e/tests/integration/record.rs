//! `virtflow record` on the kernel that runs, where it lets BPF programs in.

use crate::store::Place;

/// A recording of two hundred short sleeps, or nothing where the kernel permits none.
#[expect(clippy::print_stderr, reason = "a skipped test must be loud")]
fn recorded(place: &Place) -> Option<serde_json::Value> {
    let trace = place.at("trace");
    let work = "for i in $(seq 200); do sleep 0.002; done";
    let output = place.run(&[
        "record",
        "--format",
        "json",
        "-o",
        trace.to_str().unwrap(),
        "--",
        "sh",
        "-c",
        work,
    ]);
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        eprintln!("SKIPPED: this kernel lets virtflow record nothing: {why}");
        let told = ["BPF", "CAP_BPF", "CONFIG_DEBUG_INFO_BTF"];
        assert!(told.iter().any(|word| why.contains(word)), "{why}");
        return None;
    }
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn a_live_recording() {
    let place = Place::new();
    let Some(said) = recorded(&place) else { return };
    let trace = place.at("trace");
    let trace = trace.to_str().unwrap();
    let events: u64 = place
        .said(&["events", trace, "--count"])
        .trim()
        .parse()
        .unwrap();
    assert_eq!(said["events"].as_u64(), Some(events));
    let of = |names: &str| {
        let text = place.said(&["events", trace, "--filter", names, "--format", "jsonl"]);
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        lines
    };
    // Every sleep was forked by the shell, ran as `sleep`, and ended.
    let forks = of("sched_process_fork");
    let made = |name: &str| {
        let by = forks
            .iter()
            .filter(|fork| fork["fields"]["parent_comm"] == name);
        by.count()
    };
    assert!(made("sh") >= 200, "{} forks", forks.len());
    let switches = of("sched_switch");
    let to = |name: &str| {
        let to = switches
            .iter()
            .filter(|switch| switch["fields"]["next_comm"] == name);
        to.count()
    };
    assert!(to("sleep") >= 200, "{} switches", switches.len());
    // The recorder, which made the shell, looks ten times a second and is woken by nothing else.
    let maker = forks
        .iter()
        .find(|fork| fork["fields"]["parent_comm"] == "virtflow");
    let recorder = &maker.unwrap()["fields"]["parent_tid"];
    let own = switches
        .iter()
        .filter(|switch| switch["fields"]["next_tid"] == *recorder);
    let own = own.count();
    let seconds = said["elapsed_ns"].as_f64().unwrap() / 1e9;
    assert!((own as f64) < 50.0 * seconds + 50.0, "{own} in {seconds} s");
    // Each processor's events are in the order in which they happened.
    let mut last = std::collections::HashMap::new();
    for switch in &switches {
        let (cpu, time) = (switch["cpu"].as_u64(), switch["time_ns"].as_i64());
        assert!(last.insert(cpu, time).is_none_or(|before| before <= time));
    }
    let report: serde_json::Value =
        serde_json::from_str(&place.said(&["report", trace, "--format", "json"])).unwrap();
    let threads = report["machines"][0]["host"]["threads"].as_array().unwrap();
    let names: Vec<_> = threads.iter().filter_map(|t| t["label"].as_str()).collect();
    assert!(
        names.iter().any(|name| name.starts_with("sh:")),
        "{names:?}"
    );
    assert_eq!(said["lost"].as_u64(), Some(0));
}

#[test]
fn a_recording_does_not_overwrite() {
    let place = Place::new();
    let there = place.at("there");
    std::fs::create_dir(&there).unwrap();
    let output = place.run(&["record", "-d", "1s", "-o", there.to_str().unwrap()]);
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    // Without the kernel's types it does not come to that.
    assert!(matches!(output.status.code(), Some(2 | 3)), "{why}");
    assert!(
        why.contains("exists; name another") || why.contains("BTF"),
        "{why}"
    );
    assert_eq!(std::fs::read_dir(&there).unwrap().count(), 0);
}
