//! Recordings of some threads by perf: what is told of these is what a recording of everything at the
//! same time tells of them.

use crate::containers::store_of;
use crate::store::Place;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::process::{Command, Stdio};
use virtflow_e2e::{programs, run};

const SKIPPED: &str =
    "SKIPPED: no perf that may record is here; recordings of threads were compared with nothing";
const EVENTS: &str = "sched:sched_switch,sched:sched_waking,sched:sched_wakeup,\
                      sched:sched_wakeup_new,sched:sched_process_exit,sched:sched_migrate_task";
/// Moments are compared that lie so far inside an interval, in nanoseconds: perf's own records of a
/// switch come a little after the tracepoint.
const INSIDE: i64 = 50_000;
/// Where the machine itself stood still between the two records of one switch they are further apart,
/// by up to this (195 us were seen), as often as it stood still.
const APART: i64 = 1_000_000;

/// Records `work` twice at once, everything and its threads alone; false where that cannot be done.
fn record(dir: &Path, switches: &[&str], work: &[&str]) -> bool {
    let record = ["record", "-q", "-m", "4096", "-e", EVENTS];
    let status = Command::new("perf")
        .current_dir(dir)
        .args(record)
        .args(["-a", "-o", "all.data", "--", "perf"])
        .args(record)
        .args(switches)
        .args(["-o", "some.data", "--"])
        .args(work)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success()) && dir.join("some.data").exists()
}

/// A stretch of a lane, or of the truth.
#[derive(Debug)]
struct Stretch {
    start: i64,
    end: i64,
    state: String,
    by: String,
}

type Lanes = HashMap<String, Vec<Stretch>>;

/// The lanes of one kind, by the number of the thread or processor.
fn lanes(file: &Path, kind: &str) -> Lanes {
    let command = format!(
        "virtflow intervals {} --kind {kind} 2>/dev/null",
        file.display()
    );
    let (_, said) = run(&command, &programs().unwrap()).unwrap();
    let mut lanes = Lanes::new();
    for line in said.lines().skip(2) {
        let fields: Vec<_> = line.split(',').collect();
        let [_, start, end, _, key, .., state, _, _, by, _, _] = fields[..] else {
            panic!("{line}");
        };
        let number = |key: &str| key.split('@').next().unwrap().to_owned();
        lanes.entry(number(key)).or_default().push(Stretch {
            start: start.parse().unwrap(),
            end: end.parse().unwrap(),
            state: state.to_owned(),
            by: number(by),
        });
    }
    for lane in lanes.values_mut() {
        lane.sort_by_key(|stretch| stretch.start);
    }
    lanes
}

/// What threads and processors did, by each switch of a recording of all. The kernel now and then
/// leaves a switch out of it: where two do not fit together, nothing is told of who was there, nor that
/// anybody was not. Where it leaves out one and the next, they do fit: the truth is wrong, which the recording
/// of threads shows by what it has of them then.
fn truth(file: &Path) -> (Lanes, Lanes) {
    let command = format!(
        "virtflow events {} --filter sched_switch --format jsonl 2>/dev/null",
        file.display()
    );
    let (_, said) = run(&command, &programs().unwrap()).unwrap();
    let (mut threads, mut cpus) = (Lanes::new(), Lanes::new());
    // Since when and who has each processor; since when, and how, each thread has none.
    let (mut on, mut off) = (HashMap::new(), HashMap::new());
    let mut left_out = Vec::new();
    for line in said.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let (t, cpu) = (event["time_ns"].as_i64().unwrap(), event["cpu"].to_string());
        let field = |name: &str| event["fields"][name].as_i64().unwrap();
        let (prev, next) = (field("prev_pid"), field("next_pid"));
        let stretch = |start, state: &str, by: i64| Stretch {
            start,
            end: t,
            state: state.to_owned(),
            by: format!("thread:{by}"),
        };
        off.remove(&prev);
        let had = on.insert(cpu.clone(), (t, next));
        if let Some((since, who)) = had
            && who != prev
        {
            left_out.push((since, t));
        } else if let Some((since, _)) = had {
            let add = |lanes: &mut Lanes, key| {
                let lane = lanes.entry(key).or_default();
                lane.push(stretch(since, "running", prev));
            };
            add(&mut threads, format!("thread:{prev}"));
            add(&mut cpus, format!("cpu:{cpu}"));
        }
        if let Some((since, state)) = off.remove(&next) {
            let lane = threads.entry(format!("thread:{next}")).or_default();
            lane.push(stretch(since, state, next));
        }
        let state = field("prev_state") & 0xff;
        off.insert(prev, (t, if state == 0 { "preempted" } else { "sleeping" }));
    }
    let is_sure = |stretch: &Stretch| {
        let mut left_out = left_out.iter();
        stretch.state == "running"
            || left_out.all(|(since, until)| stretch.end < *since || *until < stretch.start)
    };
    for lane in threads.values_mut() {
        lane.retain(is_sure);
    }
    (threads, cpus)
}

/// Whether what is told of a moment may be so, and whether anything is.
fn agree(told: &Stretch, truth: &Stretch, whose: bool) -> (bool, bool) {
    let same = match (truth.state.as_str(), told.state.as_str()) {
        (_, "unknown") => return (true, false),
        ("sleeping", told) => matches!(told, "sleeping" | "uninterruptible" | "runnable"),
        (truth, told) => truth == told,
    };
    (same && (!whose || told.by == truth.by), true)
}

/// Whether what was told of a moment is what the truth has just after it, or just before: of the switch
/// in between one of the two recordings tells later.
fn is_shifted(told: &Stretch, moment: i64, lane: &[Stretch], whose: bool) -> bool {
    let close = |truth: &&Stretch| {
        moment < truth.start && truth.start - told.start < APART
            || truth.end <= moment && told.end - truth.end < APART
    };
    lane.iter()
        .filter(close)
        .any(|truth| agree(told, truth, whose).0)
}

/// Compares lanes with the truth at the beginning, middle and end of each of its stretches: at how many
/// moments something was told, and at how many not. Few stretches may differ, and more only by when
/// they begin or end.
fn compare(told: &Lanes, truth: &Lanes, whose: bool) -> (usize, usize) {
    let (mut known, mut unknown) = (0, 0);
    let (mut apart, mut shifted) = (Vec::new(), Vec::new());
    for (key, lane) in told {
        let true_lane = truth.get(key).map_or(&[][..], Vec::as_slice);
        for truth in true_lane {
            let nanos = truth.end - truth.start;
            let moments = [
                truth.start + INSIDE,
                truth.start + nanos / 2,
                truth.end - INSIDE,
            ];
            for moment in moments.into_iter().filter(|_| nanos > 2 * INSIDE) {
                let after = lane.partition_point(|stretch| stretch.start <= moment);
                let told = after.checked_sub(1).map(|at| &lane[at]);
                let Some(told) = told.filter(|told| moment < told.end) else {
                    continue;
                };
                let (same, is_known) = agree(told, truth, whose);
                if is_known {
                    known += 1;
                } else {
                    unknown += 1;
                }
                if same {
                    continue;
                }
                let differs = format!("{key} at {moment}: {told:?}, and in truth {truth:?}");
                let is_late = told.start < truth.start && told.end - truth.start < APART
                    || truth.end < told.end && truth.end - told.start < APART;
                let one_is = |state: &str| told.state == state || truth.state == state;
                let left_unseen = one_is("sleeping")
                    && one_is("running")
                    && (truth.start..truth.end).contains(&told.start);
                let is_shifted = is_shifted(told, moment, true_lane, whose);
                assert!(is_shifted || is_late || left_unseen, "{differs}");
                let of = if is_shifted { &mut shifted } else { &mut apart };
                // Of a switch that was left out or came late all moments of a stretch may tell.
                if of.last().is_none_or(|(at, _)| *at != (key, truth.start)) {
                    of.push(((key, truth.start), differs));
                }
            }
        }
    }
    assert!(apart.len() <= 2 + known / 200, "{known}: {apart:#?}");
    assert!(shifted.len() <= 2 + known / 10, "{known}: {shifted:#?}");
    (known, unknown)
}

#[test]
fn what_recorded_threads_do_is_what_they_do_among_all() {
    let work = "perf bench sched messaging -g 1 -l 20 & perf bench sched messaging -t -g 1 -l 20 & \
                for i in 1 2 3 4 5; do sleep 0.01; done; \
                i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; wait";
    for switches in [&["--switch-events"][..], &[], &["-i", "--switch-events"]] {
        let dir = tempfile::tempdir().unwrap();
        if !record(dir.path(), switches, &["sh", "-c", work]) {
            eprintln!("{SKIPPED}");
            return;
        }
        let (threads, cpus) = truth(&dir.path().join("all.data"));
        let some = dir.path().join("some.data");
        let (known, unknown) = compare(&lanes(&some, "thread"), &threads, false);
        let told = lanes(&some, "cpu");
        let of_cpus = compare(&told, &cpus, true);
        eprintln!("{switches:?}: threads {known} and {unknown}, processors {of_cpus:?}");
        assert!(known > 10, "{known}");
        assert!(of_cpus.0 > 0 && of_cpus.1 > 0);
        let mut states = told.values().flatten().map(|stretch| &stretch.state);
        assert!(states.all(|state| state != "idle"));
        // With both ways told only what is at the beginning and the end is not known.
        assert!(switches.is_empty() || 10 * unknown < known, "{unknown}");
    }
}

/// The pid namespace of the host (include/linux/proc_ns.h `PROC_PID_INIT_INO`).
const HOST: u64 = 4_026_531_836;

/// The pid namespaces of threads, as perf itself reads the file.
fn namespaces(file: &Path) -> HashMap<i64, u64> {
    let script = Command::new("perf")
        .args(["script", "--show-namespace-events", "-i"])
        .arg(file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&script.stdout).into_owned();
    let (mut found, mut thread) = (HashMap::new(), 0);
    for line in said.lines() {
        // `PERF_RECORD_NAMESPACES 10/11 - nr_namespaces: 7`, and on a line below `3/pid: 4/0xeffffffc`
        if let Some((_, rest)) = line.split_once("PERF_RECORD_NAMESPACES ") {
            let (_, rest) = rest.split_once('/').unwrap();
            let number = rest.split(' ').next().unwrap();
            thread = number.parse().unwrap();
        }
        if let Some((_, rest)) = line.split_once("/pid: ") {
            // `0/0` where it could not be looked up.
            let Some((_, number)) = rest.split_once("/0x") else {
                continue;
            };
            let number = number.split(',').next().unwrap();
            found.insert(thread, u64::from_str_radix(number, 16).unwrap());
        }
    }
    found
}

#[test]
fn containers_are_the_namespaces_that_perf_tells() {
    let dir = tempfile::tempdir().unwrap();
    let work = "unshare -fp sh -c 'sleep 0.02; unshare -fp sh -c \"sleep 0.02; true\"; sleep 0.02'";
    let status = Command::new("perf")
        .current_dir(dir.path())
        .args(["record", "-q", "-a", "--namespaces", "-m", "2048"])
        .args(["-e", EVENTS, "-e", "sched:sched_process_fork"])
        .args(["-o", "all.data", "--", "sh", "-c", work])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !status.is_ok_and(|status| status.success()) {
        eprintln!("{SKIPPED}");
        return;
    }
    let mut expected = namespaces(&dir.path().join("all.data"));
    assert!(expected.values().any(|number| *number == HOST));
    expected.retain(|_, number| *number != HOST);
    let place = Place::new();
    let store = store_of(&place, dir.path().join("all.data").to_str().unwrap());
    let mut contained = HashMap::new();
    for entity in store.entities() {
        let Some(parent) = entity.parent else {
            continue;
        };
        let parent = &store.entities()[parent as usize].key;
        if let Some(number) = parent.strip_prefix("container:") {
            let tid = i64::from(entity.tid.unwrap());
            contained.insert(tid, number.parse::<u64>().unwrap());
        }
    }
    // On a busy machine perf may tell of threads that ended before it recorded any tracepoint: nothing
    // is shown of those.
    let shown: HashSet<i64> = store
        .entities()
        .iter()
        .filter_map(|entity| Some(i64::from(entity.tid?)))
        .collect();
    expected.retain(|thread, _| shown.contains(thread));
    assert_eq!(contained, expected);
    let kinds: HashSet<_> = contained.values().collect();
    if kinds.len() < 2 {
        // A busy machine: perf lost what it should tell, and both say so.
        eprintln!("SKIPPED: perf told of {} namespaces of 2", kinds.len());
    }
}

#[test]
fn recordings_of_several_files_and_packed_ones_are_read_whole() {
    let dir = tempfile::tempdir().unwrap();
    let work = ["perf", "bench", "sched", "messaging", "-g", "1", "-l", "20"];
    let ways = [&["--threads=cpu"][..], &["--threads=cpu", "-z"], &["-z=22"]];
    for (number, way) in ways.into_iter().enumerate() {
        let name = format!("{number}.data");
        let status = Command::new("perf")
            .current_dir(dir.path())
            .args([
                "record", "-q", "-a", "-m", "2048", "-e", EVENTS, "-o", &name,
            ])
            .args(way)
            .args(work)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !status.is_ok_and(|status| status.success()) {
            eprintln!("{SKIPPED}");
            return;
        }
        let script = Command::new("perf")
            .current_dir(dir.path())
            .args(["script", "-F", "time", "-i", &name])
            .output()
            .unwrap();
        let theirs = String::from_utf8_lossy(&script.stdout).lines().count();
        let file = dir.path().join(&name);
        let command = format!(
            "virtflow events {} --format jsonl 2>/dev/null",
            file.display()
        );
        let (_, said) = run(&command, &programs().unwrap()).unwrap();
        let times = said.lines().map(|line| {
            let event: Value = serde_json::from_str(line).unwrap();
            event["time_ns"].as_i64().unwrap()
        });
        let times: Vec<_> = times.collect();
        assert!(times.is_sorted(), "{way:?}");
        assert_eq!(times.len(), theirs, "{way:?}");
        assert!(theirs > 500, "{way:?}");
    }
}
