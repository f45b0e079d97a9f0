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
        assert!(
            begins > 0 && begins.abs_diff(ends) < 64,
            "{begin}: {begins}, {ends}"
        );
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
    std::fs::write(there.join("metadata"), "somebody's").unwrap();
    let output = place.run(&["record", "-d", "1s", "-o", there.to_str().unwrap()]);
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    // Without the kernel's types it does not come to that.
    assert!(matches!(output.status.code(), Some(2 | 3)), "{why}");
    assert!(
        why.contains("exists; name another") || why.contains("BTF"),
        "{why}"
    );
    let left = std::fs::read_to_string(there.join("metadata")).unwrap();
    assert_eq!(
        (left.as_str(), std::fs::read_dir(&there).unwrap().count()),
        ("somebody's", 1)
    );
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

/// What the kernel did not let the recorder see, nobody knows when, stands in the trace's environment. An
/// interrupt must come in the middle of a program for that, so it is written there.
#[test]
fn what_was_missed_is_said_first() {
    let place = Place::new();
    let Some(said) = recorded(&place, &[], "sleep 0.1") else {
        return;
    };
    let metadata = place.at("trace").join("metadata");
    let text = std::fs::read_to_string(&metadata).unwrap();
    assert_eq!(text.contains("missed_events"), said["missed"].is_object());
    let name = "tracer_name = \"virtflow\";";
    assert!(text.contains(name), "{text}");
    let missed = "missed_events = \"3 kvm_set_irq, 1 netif_rx\";";
    let text = text.replace(name, &format!("{name}\n\t{missed}"));
    std::fs::write(&metadata, text).unwrap();
    let trace = place.at("trace");
    let trace = trace.to_str().unwrap();
    for command in ["info", "report"] {
        let text = place.said(&[command, trace]);
        let first = text.find("LOST EVENTS: nobody knows when").unwrap();
        let what = text.find("3 kvm_set_irq, 1 netif_rx").unwrap();
        assert!(first < what && what - first < 400, "{text}");
        let strict = place.run(&[command, "--strict", trace]);
        assert_eq!(strict.status.code(), Some(4), "{command}");
    }
    let info: serde_json::Value =
        serde_json::from_str(&place.said(&["info", trace, "--format", "json"])).unwrap();
    assert_eq!(info["problems"]["first"][0]["kind"], "lost");
}

/// What is lost while the recorder does not look is told where it was: from the first to the last
/// record that found no room, and nothing is known of that time.
#[test]
fn a_loss_is_where_it_was() {
    let place = Place::new();
    // Each process that begins and ends is several events, however busy the machine is.
    let stopped = "sleep 0.2; kill -STOP $PPID; \
        i=0; while [ $i -lt 1000 ]; do /bin/true; i=$((i + 1)); done; \
        sleep 0.4; kill -CONT $PPID; sleep 0.2";
    let Some(said) = recorded(&place, &["--buffer", "64K"], stopped) else {
        return;
    };
    assert!(said["lost"].as_u64().unwrap() > 0, "{said}");
    let trace = place.at("trace");
    let trace = trace.to_str().unwrap();
    let info: serde_json::Value =
        serde_json::from_str(&place.said(&["info", trace, "--format", "json"])).unwrap();
    let streams = info["machines"][0]["streams"].as_array().unwrap();
    let events = place.said(&["events", trace, "--format", "jsonl"]);
    let mut longest = 0;
    for stream in streams {
        let losses = stream["losses"].as_array().unwrap();
        for loss in losses {
            let [begin, end] = ["begin_ns", "end_ns"].map(|at| loss[at].as_u64().unwrap());
            longest = longest.max(end - begin);
            let inside = events.lines().filter(|line| {
                let event: serde_json::Value = serde_json::from_str(line).unwrap();
                let time = event["time_ns"].as_u64().unwrap();
                event["cpu"] == stream["cpu"] && begin < time && time < end
            });
            assert_eq!(inside.count(), 0, "{loss}");
        }
    }
    assert!(longest > 250_000_000, "{longest}");
}

/// Where no more can be written (here a file may not grow any larger, as on a full disk), what was
/// written is a whole trace, and the command goes on.
#[test]
fn a_file_that_cannot_grow() {
    let place = Place::new();
    let virtflow = place.virtflow();
    let program = virtflow.get_program().to_str().unwrap();
    let flood = "for i in 1 2 3; do \
        dd if=/dev/zero bs=1 count=400000 2>/dev/null | cat >/dev/null & done; wait; echo worked";
    let limited = format!("ulimit -f 3000; exec {program} record -o trace -- sh -c '{flood}'");
    let output = Command::new("sh")
        .args(["-c", &limited])
        .current_dir(place.at(""))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if said.contains("BPF") && !said.contains("too large") {
        return skipped(&said);
    }
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("a whole trace: trace"), "{said}");
    assert!(said.contains("goes on"), "{said}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("worked"));
    let trace = place.at("trace");
    let trace = trace.to_str().unwrap();
    let count = place.said(&["events", "--count", trace]);
    assert!(count.trim().parse::<u64>().unwrap() > 10_000, "{count}");
    // Nothing is broken in it; the records that a flood had no room for are told.
    let problems = place.run(&["info", trace]);
    assert_eq!(String::from_utf8_lossy(&problems.stderr), "");
}

/// virtflow ends as the command that it recorded; where the recording ends before, the command goes on.
#[test]
fn how_a_command_ends() {
    let place = Place::new();
    let ended = |more: &[&str], work: &str| {
        let directory = place.at(&format!("trace{}", work.len()));
        let mut arguments = vec!["record", "-o", directory.to_str().unwrap()];
        arguments.extend(more);
        arguments.extend(["--", "sh", "-c", work]);
        let output = place.run(&arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said)
    };
    let (code, said) = ended(&[], "exit 7");
    if code != Some(7) {
        assert!(said.contains("CAP_") || said.contains("BPF"), "{said}");
        return skipped(&said);
    }
    assert_eq!(ended(&[], "kill -KILL $$").0, Some(137));
    let done = place.at("done");
    let work = format!("exec >/dev/null 2>&1; sleep 1; touch {}", done.display());
    let (code, said) = ended(&["-d", "200ms"], &work);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("sh goes on (process"), "{said}");
    assert!(!done.exists());
    std::thread::sleep(Duration::from_millis(1500));
    assert!(done.exists());
    let (code, said) = (place.run(&["record", "--", "no-such-command"]), "");
    assert_eq!(code.status.code(), Some(2), "{said}");
}

/// A flight recorder writes when it is asked, and only what happened last.
#[test]
fn a_flight_recorder() {
    let place = Place::new();
    let directory = place.at("flight");
    let begun = Instant::now();
    let recorder = place
        .virtflow()
        .args([
            "record",
            "--flight-recorder",
            "1s",
            "-d",
            "6s",
            "--keep",
            "2",
        ])
        .args(["--format", "json", "-o", directory.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let ask = |after: f64| {
        let at = begun + Duration::from_secs_f64(after);
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        let pid = recorder.id().to_string();
        let _sent = Command::new("sh")
            .args(["-c", &format!("kill -USR1 {pid}")])
            .status();
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
        assert_eq!(
            count.trim().parse::<u64>().ok(),
            snapshot["events"].as_u64()
        );
        let report: serde_json::Value =
            serde_json::from_str(&place.said(&["report", trace, "--format", "json"])).unwrap();
        let threads = report["machines"][0]["host"]["threads"].as_array().unwrap();
        assert!(threads.len() > 3, "{}", threads.len());
    }
}

/// A flight recorder writes by itself when a thread waits too long for a processor: of thirty that
/// share one, each does.
#[test]
fn a_wait_that_is_too_long() {
    let place = Place::new();
    let crowd = "for i in $(seq 30); do \
        timeout 2 taskset -c 0 sh -c 'while :; do :; done' & done; wait";
    let more = ["--flight-recorder", "1s", "--on-delay", "30ms"];
    let Some(said) = recorded(&place, &more, crowd) else {
        return;
    };
    let snapshots = said["snapshots"].as_array().unwrap();
    // They do not overlap, whatever waits meanwhile.
    assert!((1..=3).contains(&snapshots.len()), "{said}");
    let trace = snapshots[0]["directory"].as_str().unwrap();
    let report: serde_json::Value =
        serde_json::from_str(&place.said(&["report", trace, "--format", "json"])).unwrap();
    let threads = report["machines"][0]["host"]["threads"].as_array().unwrap();
    assert!(threads.len() > 20, "{}", threads.len());
}

/// No more than two capabilities are needed, and of what is missing it says so.
#[test]
fn two_capabilities() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let program = place.at("virtflow");
    std::fs::copy(place.virtflow().get_program(), &program).unwrap();
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(place.at("."), open).unwrap();
    let with = |which: &str| {
        let inherited = format!("--inh-caps=-all{which}");
        let ambient = format!("--ambient-caps=-all{which}");
        let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
        let mut command = Command::new("setpriv");
        command.args(nobody).args([&inherited, &ambient]);
        command
            .arg(&program)
            .args(["record", "--format", "json", "-d", "1s", "-o"]);
        command.arg(place.at("trace"));
        command.output()
    };
    let Ok(output) = with(",+bpf") else {
        return skipped("there is no setpriv");
    };
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    if why.contains("setpriv:") || why.contains("BTF") {
        return skipped(&why);
    }
    assert!(why.contains("CAP_PERFMON is missing"), "{why}");
    assert_eq!(output.status.code(), Some(3));
    if let Some(said) = said(&with(",+bpf,+perfmon").unwrap()) {
        assert!(said["events"].as_u64().unwrap() > 100, "{said}");
    }
}

#[expect(clippy::print_stderr, reason = "a skipped test must be loud")]
fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
}

/// It ends where it has the size that it may have.
#[test]
fn a_recording_of_some_size() {
    let place = Place::new();
    let more = ["--max-size", "256K", "-d", "60s"];
    let work = "exec timeout 8 sh -c 'while :; do /bin/true; done'";
    let Some(said) = recorded(&place, &more, work) else {
        return;
    };
    let bytes = said["bytes"].as_u64().unwrap();
    assert!((256 << 10..4 << 20).contains(&bytes), "{said}");
}

/// The programs of VMMs are told by their names: a shell that is called so, with what it is told.
fn vmm(place: &Place, name: &str, arguments: &[&str]) -> std::process::Child {
    let program = place.at(name);
    std::fs::copy("/bin/sh", &program).unwrap();
    let mut command = std::process::Command::new(program);
    // It waits for a line that never comes.
    command.args(["-c", "read line"]).args(arguments);
    command.stdin(std::process::Stdio::piped()).spawn().unwrap()
}

/// What `info` says of the VM of a process.
fn vm_of(place: &Place, pid: u32) -> serde_json::Value {
    let trace = place.at("trace");
    let said = place.said(&["info", trace.to_str().unwrap(), "--format", "json"]);
    let info: serde_json::Value = serde_json::from_str(&said).unwrap();
    let vms = info["machines"][0]["vms"].as_array().unwrap();
    let mut vms = vms.iter().filter(|vm| vm["pid"] == pid);
    vms.next().unwrap().clone()
}

/// A store that is made of the trace tells of its VMs what the trace does.
fn as_a_store_tells_it(place: &Place) {
    let [trace, store] = ["trace", "store"].map(|name| place.at(name).display().to_string());
    place.said(&["analyze", &trace, "-o", &store]);
    let json = |of: &str| -> serde_json::Value {
        let said = place.said(&["info", of, "--format", "json"]);
        serde_json::from_str(&said).unwrap()
    };
    let (of_trace, of_store) = (json(&trace), json(&store));
    assert_eq!(of_store["report"][0]["vms"], of_trace["machines"][0]["vms"]);
    let [of_trace, of_store] = [&trace, &store].map(|of| {
        let text = place.said(&["info", of]);
        let lines = text.lines().skip_while(|line| !line.starts_with("VM "));
        let of_vms = lines.take_while(|line| !line.starts_with("EVENT"));
        of_vms.map(str::to_owned).collect::<Vec<_>>()
    });
    assert!(of_trace.iter().any(|line| line.contains("web-1")));
    assert_eq!(of_trace, of_store);
}

#[test]
fn a_state_dump_at_both_ends() {
    let place = Place::new();
    let mut qemu = vmm(
        &place,
        "qemu-system-x86_64",
        &[
            "-name",
            "guest=web-1,debug-threads=on",
            "-machine",
            "q35,accel=kvm",
            "-smp",
            "2",
            "-m",
            "size=2097152k",
            "-drive",
            "file=/d0.qcow2,format=qcow2,cache=none,aio=native",
            "-netdev",
            "tap,id=n0,ifname=tap0,vhost=on",
        ],
    );
    let mut firecracker = vmm(&place, "firecracker", &["--id", "fc-1"]);
    let (of_qemu, of_firecracker) = (qemu.id(), firecracker.id());
    // Something happens also while the second dump is made.
    let busy = ["-c", "while :; do /bin/true; done"];
    let mut busy = Command::new("sh").args(busy).spawn().unwrap();
    let said = recorded(&place, &[], "sleep 0.2");
    for child in [&mut qemu, &mut firecracker, &mut busy] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    if said.is_none() {
        return;
    }
    let trace = place.at("trace");
    let trace = trace.to_str().unwrap();
    let of = |names: &str| -> Vec<serde_json::Value> {
        let text = place.said(&["events", trace, "--filter", names, "--format", "jsonl"]);
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    // Each dump is whole, and the second one comes last.
    let (starts, ends) = (of("lttng_statedump_start"), of("lttng_statedump_end"));
    assert_eq!((starts.len(), ends.len()), (2, 2));
    let times = [&starts[0], &ends[0], &starts[1], &ends[1]].map(|e| e["time_ns"].as_i64());
    assert!(times.is_sorted() && times[1] < times[2], "{times:?}");
    let switches = of("sched_switch");
    assert!(switches.last().unwrap()["time_ns"].as_i64() > times[2]);
    for summary in of("virtflow_statedump_summary") {
        let processes = summary["fields"]["processes"].as_u64();
        // In a pid namespace of its own the recorder cannot tell the host's numbers.
        if processes == Some(0) {
            return;
        }
    }
    as_a_store_tells_it(&place);
    let vm = vm_of(&place, of_qemu);
    assert_eq!((&vm["name"], &vm["vmm"]), (&"web-1".into(), &"qemu".into()));
    assert_eq!(
        (&vm["proved"], &vm["vcpus_told"]),
        (&false.into(), &2.into())
    );
    assert_eq!(
        (&vm["machine"], &vm["cpu_model"]),
        (&"q35".into(), &().into())
    );
    assert_eq!(vm["memory_bytes"], 2_u64 << 30);
    assert_eq!(
        (
            vm["disks"].as_array().unwrap().len(),
            &vm["disks"][0]["cache"]
        ),
        (1, &"none".into())
    );
    assert_eq!(
        (&vm["nets"][0]["ifname"], &vm["nets"][0]["vhost"]),
        (&"tap0".into(), &true.into())
    );
    assert!(vm["first_ns"].as_i64() < vm["last_ns"].as_i64());
    assert_eq!(vm_of(&place, of_firecracker)["name"], "fc-1");
    // The second dump sees nobody whom the events and the first did not tell of.
    let own = |event: &&serde_json::Value| event["fields"]["pid"] == of_qemu;
    let commands = of("virtflow_statedump_process_cmdline");
    assert_eq!(commands.iter().filter(own).count(), 2);
    let threads = of("lttng_statedump_process_state");
    let sleeping = threads.iter().find(own).unwrap();
    assert_eq!(sleeping["fields"]["status"], 5);
    let forked: std::collections::HashSet<_> = of("sched_process_fork")
        .iter()
        .map(|fork| fork["fields"]["child_tid"].as_i64())
        .collect();
    let first: std::collections::HashSet<_> = threads
        .iter()
        .filter(|thread| thread["time_ns"] == starts[0]["time_ns"])
        .map(|thread| thread["fields"]["tid"].as_i64())
        .collect();
    let new = threads
        .iter()
        .filter(|thread| thread["time_ns"].as_i64() > times[1]);
    let mut new = new.map(|thread| thread["fields"]["tid"].as_i64());
    assert!(new.all(|tid| first.contains(&tid) || forked.contains(&tid)));
}

#[test]
fn a_dry_run_says_what_the_dump_would_tell() {
    let place = Place::new();
    let output = place.run(&["record", "--dry-run", "--format", "json"]);
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(why.contains("BTF"), "{why}");
        return;
    }
    let plan: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let parts = plan["state_dump"].as_array().unwrap();
    assert!(parts.len() > 10);
    for part in parts {
        assert_eq!(part["available"], part["why"].is_null(), "{part}");
    }
    let text = place.said(&["record", "--dry-run"]);
    assert!(text.contains("WHAT THE STATE DUMP WOULD TELL"), "{text}");
}

/// A VM is named as its VMM's command line has it; what is not there is refused with what is.
#[test]
fn one_vm_by_its_name() {
    let place = Place::new();
    let mut web = vmm(&place, "qemu-system-x86_64", &["-name", "guest=db-7"]);
    let run = |name: &str| place.run(&["record", "--dry-run", "--vm", name]);
    let there = run("db-7");
    let why = String::from_utf8_lossy(&there.stderr).into_owned();
    assert!(there.status.success() || why.contains("BTF"), "{why}");
    let other = run("db-8");
    let why = String::from_utf8_lossy(&other.stderr).into_owned();
    assert_eq!(other.status.code(), Some(2), "{why}");
    assert!(why.contains(&format!("db-7 ({})", web.id())), "{why}");
    web.kill().unwrap();
    web.wait().unwrap();
}
