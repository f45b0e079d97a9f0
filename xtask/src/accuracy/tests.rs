//! A small host of which everything is known: tables as they should be score full marks, and each
//! known mistake the known lower score.

use super::case::Case;
use super::guestlog::{self, Log, Who};
use super::ours::Ours;
use super::raw::{Event, Raw, What};
use super::report::Verdict;
use super::span::{Ns, Span};
use super::truth::Truth;
use super::{agreements, causes, cpu_time, wakeups, who_runs};
use std::fmt::Write;

const MS: Ns = 1_000_000;
/// When the vCPU is in guest mode, in milliseconds.
const GUEST: [(Ns, Ns); 3] = [(2, 120), (141, 405), (497, 499)];

fn log() -> Log {
    let in_ms = |line: &str| match line.split_once(',') {
        Some((at, rest)) if at.parse::<Ns>().is_ok() => {
            format!("{}{},{rest}\n", at, if at == "0" { "" } else { "000000" })
        }
        _ => format!("{line}\n"),
    };
    let text: String = guestlog::tests::SMALL.lines().map(in_ms).collect();
    guestlog::parse(text.as_bytes(), 0, &[(49, "disk".to_owned())].into()).unwrap()
}

fn raw() -> Raw {
    let (enter, exit) = (What::Entry, |reason| What::Exit { reason, vcpu: 0 });
    let switch = |prev, state, next| What::Switch { prev, state, next };
    let events = [
        (1, switch(0, 0, 7)),
        (2, enter),
        (120, exit(0x60)),
        (121, switch(7, 0, 9)),
        (140, switch(9, 1, 7)),
        (141, enter),
        (405, exit(0x78)),
        (406, switch(7, 1, 0)),
        (495, What::Waking { tid: 7, target: 0 }),
        (496, switch(0, 0, 7)),
        (497, enter),
        (499, exit(0x60)),
    ];
    let events = events
        .into_iter()
        .map(|(at, what)| Event {
            at: at * MS,
            cpu: 0,
            what,
        })
        .collect();
    let seen = [(0, Span::new(0, 500 * MS)), (1, Span::new(-MS, 501 * MS))].into();
    Raw {
        events,
        seen,
        lost: Vec::new(),
    }
}

/// The vCPU's lane as it should be: start and end in milliseconds, state, cause, by.
const LANE: [(Ns, Ns, &str, &str, &str); 13] = [
    (0, 1, "unknown", "not-recorded", ""),
    (1, 2, "hypervisor", "", ""),
    (2, 120, "guest", "", ""),
    (120, 121, "hypervisor", "exit-irq", ""),
    (121, 140, "preempted", "", "thread:9@0"),
    (140, 141, "hypervisor", "exit-irq", ""),
    (141, 405, "guest", "", ""),
    (405, 406, "hypervisor", "exit-hlt", ""),
    (406, 495, "halted", "timer", ""),
    (495, 496, "runnable", "", ""),
    (496, 497, "hypervisor", "", ""),
    (497, 499, "guest", "", ""),
    (499, 500, "hypervisor", "exit-irq", ""),
];

fn intervals() -> String {
    let mut out = String::from(
        "#virtflow-intervals 1\nmachine,start_ns,end_ns,kind,key,label,vm_key,vcpu,tid,pid,cr3,state,level,cause,by_key,confidence,evidence\n",
    );
    for (start, end, state, cause, by) in LANE {
        let (start, end) = (start * MS, end * MS);
        writeln!(
            out,
            "m,{start},{end},vcpu,vm:5@0/vcpu:0,,vm:5@0,0,7,5,,{state},1,{cause},{by},proved,test"
        )
        .unwrap();
    }
    let log = log();
    let mut process = |span: Span, lane: &str, cr3: &str, state: &str, cause: &str| {
        let Span { start, end } = span;
        writeln!(
            out,
            "m,{start},{end},process,vm:5@0/{lane},,vm:5@0,0,,,{cr3},{state},1,{cause},,proved,test"
        )
        .unwrap();
    };
    for (span, who) in &log.cpus[&0] {
        for (start, end) in GUEST {
            let Some(span) = span.meet(Span::new(start * MS, end * MS)) else {
                continue;
            };
            match who {
                Who::User(space) => {
                    let cr3 = log.spaces[*space].cr3;
                    process(
                        span,
                        &format!("cr3:{cr3:x}#{space}"),
                        &format!("0x{cr3:x}"),
                        "run-user",
                        "",
                    );
                }
                Who::Kernel => process(span, "vcpu:0/kernel", "", "run-kernel", ""),
                Who::Idle => process(span, "vcpu:0/idle", "", "idle", ""),
            }
        }
    }
    for wait in &log.waits {
        let cr3 = log.spaces[wait.space].cr3;
        process(
            wait.span,
            &format!("cr3:{cr3:x}#{}", wait.space),
            &format!("0x{cr3:x}"),
            "waiting",
            &wait.class,
        );
    }
    out
}

fn edges() -> String {
    let at = 210 * MS + 900_000;
    format!(
        "#virtflow-edges 1\nmachine,from_ns,from_key,to_ns,to_key,kind,confidence,evidence\n\
         m,{at},vm:5@0/cr3:2000#0,{at},vm:5@0/cr3:3000#1,wake-up,likely,test\n"
    )
}

const TRUTH: &str = r#"{
    "clock": { "ctf_offset_ns": 0 },
    "vms": [{ "name": "vm1", "pid": 5, "parent": null, "vcpus": [{ "vcpu_id": 0, "tid": 7 }], "dir": "guest/vm1/log" }],
    "exit_counts_in_trace": { "vm1/vcpu0": { "INTR(0x60)": 2, "HLT(0x78)": 1 } }
}"#;

fn case(intervals: &str, edges: &str, raw: &Raw) -> Case {
    let ours = Ours::parse(intervals.as_bytes(), edges.as_bytes()).unwrap();
    let truth: Truth = serde_json::from_str(TRUTH).unwrap();
    Case::new(
        "test".into(),
        truth,
        raw,
        ours,
        [("vm1".to_owned(), log())].into(),
    )
    .unwrap()
}

fn verdicts(case: &Case) -> Vec<Verdict> {
    agreements(case)
        .0
        .agreements
        .iter()
        .map(|agreement| agreement.verdict)
        .collect()
}

use Verdict::{Fail, Nothing, Pass, Shown};

#[test]
fn tables_as_they_should_be_have_full_marks() {
    let case = case(&intervals(), &edges(), &raw());
    let (folder, confusion) = agreements(&case);
    assert_eq!(
        verdicts(&case),
        [Pass, Pass, Pass, Pass, Nothing, Shown, Pass],
        "{folder:#?}"
    );
    let tally = who_runs::guest_tally(&case, &case.guests[0]);
    // Of 384 ms of guest mode 20 ms are a kernel thread's and 7 ms idle.
    assert_eq!(
        (tally.proved, tally.likely, tally.unknown, tally.kernel),
        ([3570, 0], [0, 0], 0, [270, 0, 0])
    );
    assert_eq!(
        confusion.0.len(),
        3,
        "timer, task and disk, all right: {confusion:?}"
    );
    assert!(confusion.0.keys().all(|(truth, ours)| truth == ours));
    assert!(
        cpu_time::guest_times(&case, &case.guests[0])
            .0
            .iter()
            .all(|times| times.truth == times.ours)
    );
}

#[test]
fn a_wrong_process_costs_its_time() {
    // From 200 to 300 ms beta instead of alpha.
    let from = format!(
        "m,{},{},process,vm:5@0/cr3:2000#0,,vm:5@0,0,,,0x2000",
        200 * MS,
        300 * MS
    );
    let to = format!(
        "m,{},{},process,vm:5@0/cr3:3000#1,,vm:5@0,0,,,0x3000",
        200 * MS,
        300 * MS
    );
    let wrong = intervals().replace(&from, &to);
    let case = case(&wrong, &edges(), &raw());
    let tally = who_runs::guest_tally(&case, &case.guests[0]);
    assert_eq!((tally.proved, tally.unknown), ([2570, 1000], 0));
    let times = cpu_time::guest_times(&case, &case.guests[0]).0;
    let times: Vec<_> = times
        .iter()
        .map(|times| (times.truth / MS, times.ours / MS))
        .collect();
    // alpha 98 + 100 + 50, beta 20 + 59 + 30.
    assert_eq!(times, [(248, 148), (109, 209)]);
    assert_eq!(
        verdicts(&case),
        [Pass, Pass, Fail, Fail, Nothing, Shown, Pass]
    );
}

#[test]
fn naming_a_process_for_the_kernel_and_silence_are_told_apart() {
    let wrong = intervals().replace(
        "vcpu:0/kernel,,vm:5@0,0,,,",
        "cr3:2000#0,,vm:5@0,0,,,0x2000",
    );
    let wrong = wrong.replace(
        &format!("m,{},{},process", 141 * MS, 200 * MS),
        &format!("m,{},{},other", 141 * MS, 200 * MS),
    );
    let case = case(&wrong, &edges(), &raw());
    let tally = who_runs::guest_tally(&case, &case.guests[0]);
    assert_eq!(
        (tally.proved, tally.unknown, tally.kernel),
        ([2980, 0], 590, [70, 200, 0])
    );
}

#[test]
fn an_idle_lane_that_is_off_says_nothing() {
    let off = intervals().replace(",idle,1,", ",off,1,");
    let case = case(&off, &edges(), &raw());
    let tally = who_runs::guest_tally(&case, &case.guests[0]);
    assert_eq!((tally.proved, tally.kernel), ([3570, 0], [200, 0, 70]));
}

#[test]
fn the_cr3_of_an_exec_to_come_is_neither_right_nor_wrong() {
    let mut case = case(&intervals(), &edges(), &raw());
    // alpha, which really has 0x2000, would exec into it from 0x5000 at 50 ms.
    case.guests[0].log.spaces[0].cr3 = 0x5000;
    case.guests[0].log.spaces[0].execs.push((50 * MS, 0x2000));
    let tally = who_runs::guest_tally(&case, &case.guests[0]);
    assert_eq!((tally.exec_late, tally.proved), (480, [1090, 2000]));
}

#[test]
fn scheduling_is_exact_or_not() {
    let wrong = intervals().replace(
        &format!("m,{},{},vcpu", 406 * MS, 495 * MS),
        &format!("m,{},{},vcpu", 406 * MS, 495 * MS - 1),
    );
    assert_eq!(
        verdicts(&case(&wrong, &edges(), &raw()))[0],
        Fail,
        "one nanosecond"
    );
    let wrong = intervals().replace("thread:9@0", "thread:8@0");
    let verdicts = verdicts(&case(&wrong, &edges(), &raw()));
    assert_eq!((verdicts[0], verdicts[6]), (Pass, Fail), "the culprit only");
}

#[test]
fn exits_are_counted_one_by_one() {
    let wrong_class = intervals().replace(",exit-hlt,", ",exit-irq,");
    assert_eq!(
        verdicts(&case(&wrong_class, &edges(), &raw()))[1],
        Fail,
        "not a class of HLT"
    );
    let line = |from: Ns| format!("m,{},{},vcpu", from * MS, (from + 1) * MS);
    let late = intervals().replace(&line(405), &format!("m,{},{},vcpu", 405 * MS + 1, 406 * MS));
    assert_eq!(verdicts(&case(&late, &edges(), &raw()))[1], Fail);
    let other_class = intervals().replacen(",exit-irq,", ",exit-io,", 1);
    assert_eq!(
        verdicts(&case(&other_class, &edges(), &raw()))[1],
        Fail,
        "not a class of INTR"
    );
}

#[test]
fn causes_and_wake_ups_have_precision_and_recall() {
    let wrong = intervals()
        .replace(",waiting,1,disk,", ",waiting,1,timer,")
        .replace(",waiting,1,task,", ",ready-in-guest,1,,");
    let case_wrong = case(&wrong, &edges(), &raw());
    let confusion = causes::guest_confusion(&case_wrong, &case_wrong.guests[0]);
    let pairs: Vec<_> = confusion
        .0
        .keys()
        .map(|(truth, ours)| (truth.as_str(), ours.as_str()))
        .collect();
    assert_eq!(
        pairs,
        [("disk", "timer"), ("task", "(missed)"), ("timer", "timer")]
    );

    let mut many = causes::Confusion::default();
    for (truth, ours, n) in [
        ("timer", "timer", 60),
        ("disk", "timer", 10),
        ("disk", "disk", 30),
        ("net", "disk", 29),
    ] {
        many.0.insert((truth.into(), ours.into()), n);
    }
    assert_eq!(many.macro_recall(), Some(87.5), "net has too few");

    let late = edges().replace(
        &(210 * MS + 900_000).to_string(),
        &(211 * MS + 1).to_string(),
    );
    let two = late.clone() + edges().lines().last().unwrap();
    let counts = |edges: &str| {
        let case = case(&intervals(), edges, &raw());
        let counts = wakeups::guest_counts(&case, &case.guests[0]);
        (counts.truth, counts.ours, counts.matched)
    };
    assert_eq!(
        (counts(&edges()), counts(&late), counts(&two)),
        ((1, 1, 1), (1, 1, 0), (1, 2, 1))
    );
}

#[test]
fn loss_takes_its_time_out() {
    let mut lossy = raw();
    lossy.lost.push((0, Span::new(200 * MS, 300 * MS), 10));
    let case = case(&intervals(), &edges(), &lossy);
    assert_eq!(
        (case.lost_raw.total(), case.lost_ours.total()),
        (100 * MS, 0)
    );
    let tally = who_runs::guest_tally(&case, &case.guests[0]);
    assert_eq!(tally.proved, [2570, 0]);
    let (folder, confusion) = agreements(&case);
    assert_eq!(
        confusion.0.len(),
        2,
        "the period inside the window is left out"
    );
    assert!(folder.facts[1].starts_with("LOSS: 10 events"));
}
