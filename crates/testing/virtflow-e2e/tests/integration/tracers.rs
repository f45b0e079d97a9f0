//! `virtflow record --with`: the table of events, and the tracers that are installed, driven live.

use crate::store::Place;
use serde_json::Value;
use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use virtflow_ctf::writer::{EnvValue, EventClass, Field, StreamIdentity, TraceConfig, TraceWriter};
use virtflow_e2e::root;
use virtflow_query::{Recording, info};
use virtflow_tracers::EVENTS;

/// What an event of the kernel is called without its system.
fn bare(name: &str) -> &str {
    name.split_once(':').map_or(name, |(_, name)| name)
}

/// What `info` says is missing of a trace that has nothing.
fn needed(place: &Place) -> Vec<String> {
    let class = EventClass::new(0, "kvm_nothing", vec![Field::unsigned("_x", 32)]);
    let config = TraceConfig {
        env: vec![("domain".to_owned(), EnvValue::from("kernel"))],
        ..TraceConfig::default()
    };
    let trace = TraceWriter::create(place.at("nothing"), &config, &[class]).unwrap();
    let mut stream = trace.stream(StreamIdentity::of_cpu("k", 0)).unwrap();
    stream.begin_packet(1).unwrap();
    stream.event(2, 0, &[0; 4]).unwrap();
    stream.end_packet(3).unwrap();
    stream.finish().unwrap();
    let info = info(&Recording::open_all(&[place.at("nothing")]).unwrap());
    let missing = info.machines[0].missing.iter();
    let names = missing.flat_map(|missing| missing.event.split(", "));
    names.map(str::to_owned).collect()
}

#[test]
fn what_info_says_must_be_recorded_is_recorded() {
    let needed = needed(&Place::new());
    assert!(needed.len() > 30, "{needed:?}");
    for name in needed {
        let is = |event: &&str| match name.strip_suffix('*') {
            Some(prefix) => event.starts_with(prefix),
            None => bare(event) == name,
        };
        let mut names = EVENTS.iter().flat_map(|e| e.lttng.iter().chain(e.kernel));
        assert!(names.any(is), "{name} is in no row");
    }
}

#[test]
fn what_is_recorded_is_of_use_and_means_the_same_to_every_tracer() {
    // They move no state; clocks of guests are told by them.
    let of_clocks = ["kvm_x86_hypercall", "kvm_x86_write_tsc_offset"];
    for event in EVENTS {
        let kinds: BTreeSet<_> = [event.kernel.first(), event.lttng.first()]
            .into_iter()
            .flatten()
            .map(|name| virtflow_events::kind(bare(name)))
            .collect();
        let [Some(kind)] = kinds.into_iter().collect::<Vec<_>>()[..] else {
            panic!("{event:?}: of several kinds, or of none")
        };
        assert!(
            virtflow_model::reads(kind) || of_clocks.contains(&kind),
            "{kind}"
        );
        // Another name is read, too.
        for name in event.kernel.iter().chain(event.lttng) {
            assert!(virtflow_events::kind(bare(name)).is_some(), "{name}");
        }
    }
}

/// Where parts of the kernel's tracing that have nothing to do with events are not to be written,
/// trace-cmd gives up. There it sees files in their stead.
const COVERED: &str = "for f in /proc/sys/kernel/ftrace_enabled /sys/kernel/tracing/set_ftrace_filter \
    /sys/kernel/tracing/set_ftrace_notrace /sys/kernel/tracing/set_ftrace_pid; do \
    echo 1 > \"$0/${f##*/}\" && mount --bind \"$0/${f##*/}\" $f || exit 9; done; exec \"$@\"";

/// How virtflow is run where trace-cmd would not work.
fn covered(place: &Place) -> Command {
    let files = place.at("covered");
    std::fs::create_dir_all(&files).unwrap();
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", COVERED]).arg(files);
    command.arg(place.virtflow().get_program());
    command
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Records with trace-cmd in one way or the other; nothing where it cannot be.
#[expect(clippy::print_stderr, reason = "a skipped test must be loud")]
fn trace_cmd(place: &Place, arguments: &[&str]) -> Option<Value> {
    let with = ["record", "--format", "json", "--with", "trace-cmd"];
    let run = |mut command: Command| command.args(with).args(arguments).output().unwrap();
    let mut output = run(place.virtflow());
    if !output.status.success() && told(&output).contains("ftrace") {
        output = run(covered(place));
    }
    if !output.status.success() {
        let why = told(&output);
        eprintln!("SKIPPED: trace-cmd records nothing here: {why}");
        let reasons = [
            "not installed",
            "as root",
            "Operation not permitted",
            "unshare",
        ];
        assert!(reasons.iter().any(|reason| why.contains(reason)), "{why}");
        return None;
    }
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// How many events of each name virtflow reads of a trace.
fn events(place: &Place, trace: &Path) -> Value {
    let info = place.said(&["info", "--format", "json", trace.to_str().unwrap()]);
    serde_json::from_str(&info).unwrap()
}

fn count(info: &Value, name: &str) -> u64 {
    let events = info["events"].as_array().unwrap();
    let event = events.iter().find(|event| event["name"] == name);
    event.map_or(0, |event| event["count"].as_u64().unwrap())
}

const WORK: [&str; 4] = [
    "--",
    "sh",
    "-c",
    "for i in $(seq 100); do sleep 0.002; done",
];

/// One test, for the kernel has one tracing of this kind.
#[test]
fn trace_cmd_is_driven() {
    let place = Place::new();
    let directory = place.at("trace");
    let output = ["-o", directory.to_str().unwrap()];
    let Some(said) = trace_cmd(&place, &[&output[..], &WORK].concat()) else {
        return;
    };
    let trace = directory.join("trace.dat");
    assert_eq!(said["trace"].as_str(), trace.to_str());
    assert_eq!(said["lost"], 0);
    let info = events(&place, &directory);
    assert_eq!(said["events"], info["events_total"]);
    assert!(count(&info, "sched_process_fork") >= 100, "{info}");
    assert!(count(&info, "sched_switch") >= 200, "{info}");
    assert_eq!(info["traces"][0]["clocks"][0]["name"], "mono");
    let unused = info["events"].as_array().unwrap().iter();
    let unused: Vec<_> = unused.filter(|event| event["used"] == false).collect();
    assert!(unused.is_empty(), "{unused:?}");
    let report = place.said(&["report", "--format", "json", directory.to_str().unwrap()]);
    let report: Value = serde_json::from_str(&report).unwrap();
    let threads = report["machines"][0]["host"]["threads"].as_array().unwrap();
    let labels: Vec<_> = threads.iter().filter_map(|t| t["label"].as_str()).collect();
    assert!(
        labels.iter().any(|label| label.starts_with("sh:")),
        "{labels:?}"
    );

    // For a time, into a file.
    let file = place.at("timed.dat");
    let timed = [
        "-d",
        "1s",
        "--profile",
        "minimal",
        "-o",
        file.to_str().unwrap(),
    ];
    let said = trace_cmd(&place, &timed).unwrap();
    let elapsed = said["elapsed_ns"].as_u64().unwrap();
    assert!((900_000_000..5_000_000_000).contains(&elapsed), "{said}");
    assert!(file.is_file() && count(&events(&place, &file), "irq_handler_entry") == 0);

    // Until somebody interrupts: a trace that is whole.
    let file = place.at("interrupted.dat");
    let mut child = covered(&place)
        .args([
            "record",
            "--with",
            "trace-cmd",
            "-o",
            file.to_str().unwrap(),
        ])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // Its first file is there when it records.
    let begun = Instant::now();
    while !place.at("interrupted.dat.cpu0").exists() {
        assert!(begun.elapsed() < Duration::from_secs(60) && child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(300));
    interrupt(&child.id().to_string());
    assert!(child.wait().unwrap().success());
    assert!(count(&events(&place, &file), "sched_switch") > 0);
}

fn interrupt(pid: &str) {
    let sent = Command::new("kill").args(["-s", "INT", "--", pid]).status();
    assert!(sent.unwrap().success());
}

#[test]
fn perf_is_driven() {
    let place = Place::new();
    let directory = place.at("trace");
    let with = ["record", "--format", "json", "--with", "perf", "-o"];
    let arguments = [&with[..], &[directory.to_str().unwrap()], &WORK].concat();
    let output = place.run(&arguments);
    if !output.status.success() {
        let why = told(&output);
        eprintln!("SKIPPED: perf records nothing here: {why}");
        let reasons = ["not installed", "as root", "ermission", "not permitted"];
        assert!(reasons.iter().any(|reason| why.contains(reason)), "{why}");
        return;
    }
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let file = directory.join("perf.data");
    assert_eq!(said["trace"].as_str(), file.to_str());
    let script = Command::new("perf")
        .args(["script", "-F", "event", "-i"])
        .arg(&file)
        .output()
        .unwrap();
    let script = String::from_utf8(script.stdout).unwrap();
    let names: Vec<_> = script
        .lines()
        .map(|line| line.trim().trim_end_matches(':'))
        .collect();
    let of = |name: &str| names.iter().filter(|is| **is == name).count();
    assert!(of("sched:sched_process_fork") >= 100, "{}", names.len());
    assert!(of("sched:sched_switch") >= 200 && of("irq:softirq_entry") > 0);
    let header = Command::new("perf")
        .args(["report", "--header-only", "-i"])
        .arg(&file)
        .output()
        .unwrap();
    let header = String::from_utf8_lossy(&header.stdout).into_owned();
    assert!(header.contains("clockid"), "{header}");
    let info = events(&place, &file);
    assert_eq!(said["events"], info["events_total"]);
    assert_eq!(
        count(&info, "sched_switch"),
        of("sched:sched_switch") as u64
    );
    // A command that fails is told, virtflow ends as it did, and the trace is there.
    let file = place.at("failed.data");
    let failed = [
        &with[..],
        &[file.to_str().unwrap(), "--", "sh", "-c", "exit 5"],
    ]
    .concat();
    let output = place.run(&failed);
    assert!(
        output.status.code() == Some(5) && told(&output).contains("exit status: 5"),
        "{output:?}"
    );
    assert!(file.is_file());
}

/// A program in the stead of `lttng` that writes a fixture as its trace and notes its calls.
const LTTNG: &str = "#!/bin/sh\necho \"$1\" >> \"${0%/*}/calls\"\ncase $1 in\n\
    list) echo '    sched_switch (loglevel: TRACE_EMERG (0)) (type: tracepoint)';;\n\
    create) cp -r fixtures/host-containers/trace \"${3#--output=}\";;\n\
    start) : > \"${0%/*}/started\";;\nesac\n";

/// Ctrl-C at a terminal goes to all that run in it.
#[test]
fn ctrl_c_ends_a_session_of_lttng() {
    let place = Place::new();
    std::fs::create_dir(place.at("bin")).unwrap();
    // Written by another process, as this one's threads may fork meanwhile.
    let write = "printf %s \"$0\" > \"$1\" && chmod +x \"$1\"";
    let lttng = place.at("bin/lttng");
    let mut wrote = Command::new("sh");
    wrote.args(["-c", write, LTTNG]).arg(&lttng);
    assert!(wrote.status().unwrap().success());
    let path = std::env::var("PATH").unwrap_or_default();
    let child = place
        .virtflow()
        .args(["record", "--format", "json", "--with", "lttng", "-o"])
        .arg(place.at("trace"))
        .env("PATH", format!("{}:{path}", place.at("bin").display()))
        .process_group(0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !place.at("bin/started").exists() {
        assert!(begun.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(10));
    }
    interrupt(&format!("-{}", child.id()));
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&said["events"], &said["lost"]),
        (&14_044.into(), &0.into())
    );
    assert!(
        told(&output).contains("LTTng has no kvm_x86_entry here"),
        "{output:?}"
    );
    let calls = std::fs::read_to_string(place.at("bin/calls")).unwrap();
    let steps = "list create enable-channel add-context enable-event start stop destroy";
    assert_eq!(
        calls.split_whitespace().collect::<Vec<_>>().join(" "),
        steps
    );
    assert!(root().join("fixtures/host-containers/trace").is_dir());
}
