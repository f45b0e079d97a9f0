//! Files of perf: what virtflow reads of them is what `perf script` reads.

use crate::events_lost;
use serde_json::Value;
use std::process::{Command, Stdio};
use virtflow_e2e::{programs, root, run};

const SKIPPED: &str =
    "SKIPPED: no perf with Python is installed; nothing was compared with what it reads";
const FILES: [&str; 5] = ["single-vm", "lossy", "stream", "process", "callers"];
/// The number of the fields that all events have and perf makes anew, before those of the event.
const SCRIPT: &str = "\
import json
def trace_unhandled(name, context, fields, sample = None):
    own = {k: v for k, v in fields.items() if isinstance(v, (int, str)) and k != 'common_callchain'}
    print(json.dumps([name, own]))
";

fn path(name: &str) -> String {
    format!("fixtures/perf/{name}.data")
}

/// What `perf script` says of a file; `None` where there is no perf. What happened while a guest
/// ran it shows only where it is told to look at guests.
fn script(name: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new("perf")
        .args(["script", "--guest-code"])
        .args(arguments)
        .args(["-i", &path(name)])
        .current_dir(root())
        .stderr(Stdio::null())
        .output();
    let output = output.ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Of an event: time by the file's clock, processor, name, thread, fields.
type Event = (i64, u64, String, i64, Value);

/// What perf read, by its own hooks for Python; `None` where it has none.
fn theirs(name: &str) -> Option<Vec<Event>> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("events.py");
    std::fs::write(&file, SCRIPT).unwrap();
    let said = script(name, &["-s", file.to_str().unwrap()])?;
    let events = said.lines().filter_map(|line| {
        let read: Value = serde_json::from_str(line).ok()?;
        let (name, fields) = (read[0].as_str()?, &read[1]);
        // `sched__sched_switch`
        let (_, name) = name.split_once("__")?;
        let number = |field: &str| fields[field].as_i64();
        Some((
            number("common_s")? * 1_000_000_000 + number("common_ns")?,
            fields["common_cpu"].as_u64()?,
            name.to_owned(),
            number("common_pid")?,
            fields.clone(),
        ))
    });
    let events: Vec<_> = events.collect();
    (!events.is_empty()).then_some(events)
}

#[test]
fn events_are_those_that_perf_reads_field_for_field() {
    let programs = programs().unwrap();
    for name in FILES {
        let Some(mut theirs) = theirs(name) else {
            eprintln!("{SKIPPED}");
            return;
        };
        let info = format!("virtflow info {} --format json 2>/dev/null", path(name));
        let info: Value = serde_json::from_str(&run(&info, &programs).unwrap().1).unwrap();
        // perf shows the clock as it is, without the time of the day.
        let zero = &info["traces"][0]["clocks"][0]["offset_ns"];
        let zero: i64 = zero.to_string().trim_matches('"').parse().unwrap();
        let command = format!("virtflow events {} --format jsonl 2>/dev/null", path(name));
        let (_, ours) = run(&command, &programs).unwrap();
        let ours = ours.lines().map(|line| {
            let event: Value = serde_json::from_str(line).unwrap();
            (
                event["time_ns"].as_i64().unwrap() - zero,
                event["cpu"].as_u64().unwrap(),
                event["name"].as_str().unwrap().to_owned(),
                event["context"]["common_pid"].as_i64().unwrap(),
                event["fields"].clone(),
            )
        });
        let mut ours: Vec<Event> = ours.collect();
        assert!(ours.is_sorted_by_key(|event| event.0), "{name}");
        assert_eq!(ours.len(), theirs.len(), "{name}");
        assert!(ours.len() > 50, "{name}");
        // Events of the same moment may come in another order.
        let key = |event: &Event| (event.0, event.1, event.2.clone());
        ours.sort_by_key(key);
        theirs.sort_by_key(key);
        for (ours, theirs) in ours.iter().zip(&theirs) {
            let same = ours.0 == theirs.0
                && ours.1 == theirs.1
                && ours.2 == theirs.2
                && ours.3 == theirs.3;
            assert!(same, "{name}: {ours:?} is not {theirs:?}");
            for (field, value) in ours.4.as_object().unwrap() {
                // Arrays perf gives as bytes, which JSON has not.
                let Some(theirs) = theirs.4.get(field) else {
                    assert!(value.is_array(), "{name}: {field} of {ours:?}");
                    continue;
                };
                assert_eq!(value, theirs, "{name}: {field} of {ours:?}");
            }
        }
    }
}

#[test]
fn losses_are_those_that_perf_reads() {
    let said = script("lossy", &["--show-lost-events"]);
    let Some(said) = said.filter(|said| !said.is_empty()) else {
        eprintln!("{SKIPPED}");
        return;
    };
    // `perf  0 [001]  22.3: PERF_RECORD_LOST lost 55`
    let lost = said.lines().filter_map(|line| {
        let (_, rest) = line.split_once("PERF_RECORD_LOST lost ")?;
        rest.trim().parse::<u64>().ok()
    });
    let lost: u64 = lost.sum();
    assert!(lost > 0);
    assert_eq!(events_lost(&path("lossy")), lost);
}

#[test]
fn what_is_missing_is_called_as_its_tracer_would_record_it() {
    let programs = programs().unwrap();
    let mut seen = 0;
    for file in [
        "fixtures/perf/stream.data",
        "fixtures/trace-cmd/single-vm.dat",
    ] {
        let info = format!("virtflow info {file} --format json 2>/dev/null");
        let info: Value = serde_json::from_str(&run(&info, &programs).unwrap().1).unwrap();
        for missing in info["machines"][0]["missing"].as_array().unwrap() {
            let names = missing["event"].as_str().unwrap();
            for name in names.split(", ").filter(|name| name.contains(':')) {
                let begin = name.trim_end_matches('*');
                let mut known = virtflow_tracers::EVENTS
                    .iter()
                    .flat_map(|event| event.kernel);
                assert!(known.any(|kernel| kernel.starts_with(begin)), "{name}");
                seen += 1;
            }
            let told = missing["note"].as_str().unwrap() != "";
            assert!(names.contains([':', '-']) || told, "{names} of {file}");
        }
    }
    assert!(seen > 5, "{seen}");
}
