//! `virtflow record` on the kernel that runs, where it lets BPF programs in.

use crate::store::Place;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A recording of what a shell does into `trace`, or nothing where the kernel permits none.
fn recorded(place: &Place, more: &[&str], work: &str) -> Option<serde_json::Value> {
    let trace = place.at("trace");
    let mut arguments = vec!["record", "--format", "json", "-o", trace.to_str().unwrap()];
    arguments.extend(more);
    arguments.extend(["--", "sh", "-c", work]);
    said(&place.run(&arguments))
}

#[expect(clippy::print_stderr, reason = "a skipped test must be loud")]
fn said(output: &Output) -> Option<serde_json::Value> {
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
    let work = "for i in $(seq 200); do sleep 0.002; done";
    let Some(said) = recorded(&place, &[], work) else {
        return;
    };
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
    // It begins when all tracepoints are recorded, and ends before the first is not any more.
    for (begin, end) in [
        ("irq_softirq_entry", "irq_softirq_exit"),
        ("timer_hrtimer_expire_entry", "timer_hrtimer_expire_exit"),
    ] {
        let (begins, ends) = (of(begin).len(), of(end).len());
        assert!(begins > 0 && begins.abs_diff(ends) < 64, "{begin}: {begins}, {ends}");
    }
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

/// More than there is room for: what is lost is counted, by processor, and said first.
#[test]
fn a_flood() {
    let place = Place::new();
    let flood = "for i in 1 2 3; do \
        dd if=/dev/zero bs=1 count=200000 2>/dev/null | cat >/dev/null & done; wait";
    let Some(said) = recorded(&place, &["--buffer", "64K", "--profile", "full"], flood) else {
        return;
    };
    let lost = said["lost"].as_u64().unwrap();
    assert!(lost > 0, "{said}");
    let trace = place.at("trace");
    let trace = trace.to_str().unwrap();
    let info: serde_json::Value =
        serde_json::from_str(&place.said(&["info", trace, "--format", "json"])).unwrap();
    let streams = info["machines"][0]["streams"].as_array().unwrap();
    let told = streams.iter().map(|s| s["events_lost"].as_u64().unwrap());
    assert_eq!(told.sum::<u64>(), lost);
    let report = place.said(&["report", trace]);
    let first = report.find("LOST EVENTS").unwrap();
    let number = lost.to_string();
    assert!(report[first..].contains(&number[..1]), "{report}");
    assert!(first < report.find("VMS").or(report.find("HOST")).unwrap());
    let strict = place.run(&["report", "--strict", trace]);
    assert_eq!(strict.status.code(), Some(4));
}

/// A flight recorder writes when it is asked, and only what happened last.
#[test]
fn a_flight_recorder() {
    let place = Place::new();
    let directory = place.at("flight");
    let begun = Instant::now();
    let recorder = place
        .virtflow()
        .args(["record", "--flight-recorder", "1s", "-d", "6s", "--keep", "2"])
        .args(["--format", "json", "-o", directory.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let ask = |after: f64| {
        let at = begun + Duration::from_secs_f64(after);
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        let pid = recorder.id().to_string();
        let _sent = Command::new("sh").args(["-c", &format!("kill -USR1 {pid}")]).status();
    };
    // Before the programs are there, nobody listens, and the signal ends it.
    ask(3.0);
    ask(4.0);
    ask(5.0);
    let Some(said) = said(&recorder.wait_with_output().unwrap()) else {
        return;
    };
    let snapshots = said["snapshots"].as_array().unwrap();
    // The first one went when the third came.
    assert_eq!(snapshots.len(), 2, "{said}");
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 2);
    for snapshot in snapshots {
        let covers = snapshot["covers_ns"].as_f64().unwrap() / 1e9;
        assert!((0.9..1.1).contains(&covers), "{said}");
        let trace = snapshot["directory"].as_str().unwrap();
        let count = place.said(&["events", trace, "--count"]);
        assert_eq!(count.trim().parse::<u64>().ok(), snapshot["events"].as_u64());
        let report: serde_json::Value =
            serde_json::from_str(&place.said(&["report", trace, "--format", "json"])).unwrap();
        let threads = report["machines"][0]["host"]["threads"].as_array().unwrap();
        assert!(threads.len() > 3, "{}", threads.len());
    }
}

/// It ends where it has the size that it may have.
#[test]
fn a_recording_of_some_size() {
    let place = Place::new();
    let more = ["--max-size", "256K", "-d", "60s"];
    let work = "while :; do /bin/true; done";
    let Some(said) = recorded(&place, &more, work) else {
        return;
    };
    let bytes = said["bytes"].as_u64().unwrap();
    assert!((256 << 10..4 << 20).contains(&bytes), "{said}");
}
