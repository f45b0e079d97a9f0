//! What may differ from the truth, and what is reached today where it is less than the goal.
//!
//! Every difference that no rule here names fails; so does one that grows beyond its rule. Rules
//! marked `MODEL` are the model's defects: lower the number when it gets better, never raise it.

use super::causes::Confusion;
use super::compare::Tally;
use super::dialects::Measured;
use super::threads::Threads;

/// A difference that is allowed, up to a share of the time compared in lanes of its kind.
struct Rule {
    /// Dialects by a word in their names; all with `""`.
    dialects: &'static [&'static str],
    kind: &'static str,
    /// What we say and what is true; a `*` at the end stands for any end.
    ours: &'static [&'static str],
    truth: &'static [&'static str],
    /// Parts per million.
    ppm: i64,
    why: &'static str,
}

const ALL: &[&str] = &[""];

const RULES: &[Rule] = &[
    Rule {
        dialects: ALL,
        kind: "vcpu",
        ours: &["guest L1", "guest L2"],
        truth: &["irq-stolen *", "hypervisor irq"],
        ppm: 900,
        why: "SVM tells of an exit after the host's interrupt handlers; we say guest until then",
    },
    Rule {
        dialects: ALL,
        kind: "vcpu",
        ours: &["hypervisor *", "vmm *"],
        truth: &["irq-stolen irq"],
        ppm: 40,
        why: "between an interrupt and its softirqs, of which nothing tells beforehand",
    },
    Rule {
        dialects: ALL,
        kind: "path",
        ours: &["guest", "hypervisor", "vmm"],
        truth: &["irq-stolen", "hypervisor"],
        ppm: 900,
        why: "as the lanes of virtual processors",
    },
    Rule {
        dialects: &["no-waking"],
        kind: "path",
        ours: &["another worker", "halted", "sleeping", "uninterruptible"],
        truth: &["*"],
        ppm: 90_000,
        why: "without sched_waking it is not told who woke a thread that another processor takes over",
    },
    Rule {
        dialects: &["ragged"],
        kind: "path",
        ours: &["runnable", "sleeping", "unknown"],
        truth: &["preempted", "runnable"],
        ppm: 200,
        why: "what lies before a thread's first event",
    },
    Rule {
        dialects: &["losses", "ragged"],
        kind: "vcpu",
        ours: &["hypervisor other"],
        truth: &["hypervisor *"],
        ppm: 5,
        why: "its last exit was lost",
    },
    Rule {
        dialects: &["no-waking"],
        kind: "thread",
        ours: &["sleeping", "uninterruptible"],
        truth: &["runnable"],
        ppm: 60,
        why: "without sched_waking a sleep ends at sched_wakeup",
    },
    Rule {
        dialects: &["no-waking"],
        kind: "vcpu",
        ours: &["halted", "blocked-on-host"],
        truth: &["runnable"],
        ppm: 40,
        why: "without sched_waking a sleep ends at sched_wakeup",
    },
    Rule {
        dialects: &["no-probe,no-nested"],
        kind: "vcpu",
        ours: &["guest L2"],
        truth: &["guest L1"],
        ppm: 600,
        why: "the first entry to L1 after a reflected exit, which only a CR3 could tell",
    },
    Rule {
        dialects: &["ragged"],
        kind: "vcpu",
        ours: &["vmm other"],
        truth: &["hypervisor irq"],
        ppm: 1,
        why: "its last exit was not recorded",
    },
    Rule {
        dialects: &["ragged"],
        kind: "thread",
        ours: &["no lane"],
        truth: &["a lane"],
        ppm: 0,
        why: "threads whose events lie outside the coverage",
    },
    Rule {
        dialects: &["ragged"],
        kind: "thread",
        ours: &["unknown no-evidence"],
        truth: &["*"],
        ppm: 20,
        why: "a stream that ends early leaves contradictions",
    },
    Rule {
        dialects: &["ragged"],
        kind: "vcpu",
        ours: &["unknown no-evidence", "hypervisor irq"],
        truth: &["*"],
        ppm: 520,
        why: "before the first switch of its processor nothing says whose its entries and exits are",
    },
];

/// What happens around a loss.
const LOSS_RULES: &[Rule] = &[
    Rule {
        dialects: &["losses"],
        kind: "thread",
        ours: &["in loss: *"],
        truth: &["*"],
        ppm: 1_600,
        why: "MODEL: what another processor's loss may hide is claimed as proved",
    },
    Rule {
        dialects: &["losses"],
        kind: "vcpu",
        ours: &["in loss: *"],
        truth: &["*"],
        ppm: 350,
        why: "MODEL: what another processor's loss may hide is claimed as proved",
    },
    Rule {
        dialects: &["losses"],
        kind: "thread",
        ours: &["runnable", "preempted", "unknown *"],
        truth: &["*"],
        ppm: 260,
        why: "MODEL: a thread that another processor took and lost is still thought to wait",
    },
    Rule {
        dialects: &["losses"],
        kind: "vcpu",
        ours: &["preempted", "unknown *"],
        truth: &["*"],
        ppm: 50,
        why: "MODEL: a thread that another processor took and lost is still thought to wait",
    },
];

/// Nested virtual processors: shares.
const NESTED_RULES: &[Rule] = &[
    Rule {
        dialects: ALL,
        kind: "nested-vcpu",
        ours: &["guest"],
        truth: &["l0-handling"],
        ppm: 600,
        why: "SVM tells of an exit after the host's interrupt handlers; we say guest until then",
    },
    Rule {
        dialects: &["losses", "ragged"],
        kind: "nested-vcpu",
        ours: &["preempted-*"],
        truth: &["guest", "l0-handling"],
        ppm: 100,
        why: "MODEL: what a thread does where it cannot be seen",
    },
    Rule {
        dialects: &["no-nested"],
        kind: "nested-vcpu",
        ours: &["guest", "l0-handling"],
        truth: &["l1-handling"],
        ppm: 1500,
        why: "the first entry to L1 after a reflected exit, which only a CR3 could tell",
    },
    Rule {
        dialects: &["original-probe"],
        kind: "nested-vcpu",
        ours: &["l1-handling"],
        truth: &["preempted-l1"],
        ppm: 1000,
        why: "L1 switches between an entry and an exit",
    },
    Rule {
        dialects: ALL,
        kind: "nested-vcpu",
        ours: &["halted"],
        truth: &["l0-handling", "l1-handling", "preempted-*"],
        ppm: 141_000,
        why: "the guest's hypervisor wakes its guest at no event: halted until it is entered",
    },
    Rule {
        dialects: ALL,
        kind: "nested-vcpu",
        ours: &["l0-handling"],
        truth: &["halted"],
        ppm: 200,
        why: "halted from the reflection on, not from the exit",
    },
    Rule {
        dialects: &["no-probe"],
        kind: "nested-vcpu",
        ours: &["l1-handling", "preempted-l0"],
        truth: &["preempted-l1"],
        ppm: 520_000,
        why: "without a CR3 nothing tells who runs in L1",
    },
    Rule {
        dialects: &["hidden"],
        kind: "nested-vcpu",
        ours: &["l1-handling", "preempted-l0"],
        truth: &["preempted-l1"],
        ppm: 50_000,
        why: "L1's switch is hidden",
    },
    Rule {
        dialects: ALL,
        kind: "nested-vcpu",
        ours: &["l1-handling"],
        truth: &["preempted-l1"],
        ppm: 1000,
        why: "L1 switches between an entry and an exit",
    },
    Rule {
        dialects: ALL,
        kind: "nested-vcpu",
        ours: &["preempted-l1"],
        truth: &["l1-handling"],
        ppm: 1000,
        why: "L1 switches between an entry and an exit",
    },
    Rule {
        dialects: ALL,
        kind: "nested-vcpu",
        ours: &["preempted-l1"],
        truth: &["preempted-l0"],
        ppm: 5000,
        why: "L1 had just switched, at no event, when the host took the processor",
    },
    Rule {
        dialects: &["threads", "programs"],
        kind: "nested-vcpu",
        ours: &["preempted-l0"],
        truth: &["preempted-l1"],
        ppm: 60,
        why: "L1 had just switched, at no event, when the host took the processor",
    },
    Rule {
        dialects: &["no-waking"],
        kind: "nested-vcpu",
        ours: &["l1-handling"],
        truth: &["preempted-l0"],
        ppm: 10,
        why: "without sched_waking a sleep ends at sched_wakeup",
    },
];

fn fits(patterns: &[&str], text: &str) -> bool {
    patterns
        .iter()
        .any(|pattern| match pattern.strip_suffix('*') {
            Some(begin) => text.starts_with(begin),
            None => text == *pattern,
        })
}

fn rule_for(name: &str, kind: &str, ours: &str, truth: &str) -> Option<&'static Rule> {
    let rules = RULES.iter().chain(LOSS_RULES).chain(NESTED_RULES);
    rules.into_iter().find(|rule| {
        rule.kind == kind
            && rule.dialects.iter().any(|word| name.contains(word))
            && fits(rule.ours, ours)
            && fits(rule.truth, truth)
    })
}

/// Every difference has a rule and stays below it.
fn judge_lanes(name: &str, tally: &Tally, wrong: &mut Vec<String>) {
    let mut used: Vec<(&Rule, i64, &str)> = Vec::new();
    for ((kind, ours, truth), differing) in tally.rows() {
        let Some(rule) = rule_for(name, kind, ours, truth) else {
            let (count, ppm) = (differing.count, tally.ppm(kind, differing.ns));
            wrong.push(format!(
                "{name}: {kind}: {ours} instead of {truth}: {count} times, {} ns, {ppm} ppm; first:\n{}",
                differing.ns, differing.first,
            ));
            continue;
        };
        match used
            .iter_mut()
            .find(|(known, ..)| std::ptr::eq(*known, rule))
        {
            Some((_, ns, _)) => *ns += differing.ns,
            None => used.push((rule, differing.ns, &differing.first)),
        }
    }
    for (rule, ns, first) in used {
        let (ppm, most, why) = (tally.ppm(rule.kind, ns), rule.ppm, rule.why);
        let (kind, ours, truth) = (rule.kind, rule.ours, rule.truth);
        println!("{name}: {kind}: {ours:?} instead of {truth:?}: {ppm} of {most} ppm: {why}");
        if ppm > most {
            wrong.push(format!(
                "{name}: {kind}: {ours:?} instead of {truth:?}: {ppm} ppm, allowed are {most} ({why}); first:\n{first}"
            ));
        }
    }
}

/// What is reached: parts per million of the time, parts per thousand of the waits.
struct Reached {
    dialects: &'static [&'static str],
    proved_wrong_ppm: i64,
    likely_wrong_ppm: i64,
    halts_right_pm: u64,
    halts_wrong_proved_pm: u64,
    waits_macro_pm: u64,
}

/// Goals: proved wrong under 0.5 %, likely wrong under 10 %, proved causes wrong under 1 %.
const GOALS: Reached = Reached {
    dialects: ALL,
    proved_wrong_ppm: 2_000,
    likely_wrong_ppm: 25_000,
    halts_right_pm: 970,
    halts_wrong_proved_pm: 5,
    // MODEL: less than the 900 asked for.
    waits_macro_pm: 690,
};

/// Where less is reached today.
const LESS: &[Reached] = &[
    // MODEL: without a state dump, threads that work for the VMM are not known to.
    Reached {
        dialects: &["ragged"],
        halts_right_pm: 740,
        waits_macro_pm: 520,
        ..GOALS
    },
    // MODEL: half of what processes on two vCPUs wait for is taken for something else.
    Reached {
        dialects: &["vcpus"],
        halts_right_pm: 920,
        waits_macro_pm: 430,
        ..GOALS
    },
    // Without a probe nothing tells that a process ran between two halts.
    Reached {
        dialects: &["no-probe", "shadow"],
        halts_right_pm: 850,
        halts_wrong_proved_pm: 10,
        ..GOALS
    },
    // MODEL: what the nested guest waits for is not told without its injections.
    Reached {
        dialects: &["no-nested", "stock"],
        waits_macro_pm: 600,
        ..GOALS
    },
    // MODEL: with many timers in a guest, one that rings by chance when another process comes is
    // taken for that one's.
    Reached {
        dialects: &["posted"],
        waits_macro_pm: 650,
        ..GOALS
    },
    // MODEL: a shell's wait for a program that others ran after is taken for a timer's.
    Reached {
        dialects: &["programs"],
        waits_macro_pm: 610,
        ..GOALS
    },
    // Where switches are hidden, who runs in the segment is split by a rule.
    Reached {
        dialects: &["hidden"],
        likely_wrong_ppm: 70_000,
        ..GOALS
    },
];

pub(crate) fn judge(name: &str, measured: &Measured, wrong: &mut Vec<String>) {
    judge_lanes(name, &measured.host, wrong);
    judge_lanes(name, &measured.nested, wrong);
    let here = |reached: &&Reached| reached.dialects.iter().any(|word| name.contains(word));
    let reached = LESS.iter().find(here).unwrap_or(&GOALS);
    judge_processes(name, measured, reached, wrong);
    judge_threads(name, &measured.threads, wrong);
    judge_causes(name, measured, reached, wrong);
}

fn judge_processes(name: &str, measured: &Measured, reached: &Reached, wrong: &mut Vec<String>) {
    let scores = &measured.processes;
    let (proved, likely) = (scores.proved.wrong_ppm(), scores.likely.wrong_ppm());
    let all = scores.in_processes_ns.max(1);
    println!(
        "{name}: processes: proved {} pm of their time, {proved} ppm wrong; likely {} pm, {likely} ppm wrong",
        scores.proved.right_ns * 1000 / all,
        scores.likely.right_ns * 1000 / all,
    );
    if name.contains("no-probe") && scores.lanes > 0 {
        wrong.push(format!(
            "{name}: {} process lanes without a CR3",
            scores.lanes
        ));
    }
    for (what, ppm, most, first) in [
        (
            "proved",
            proved,
            reached.proved_wrong_ppm,
            &scores.first_wrong_proved,
        ),
        (
            "likely",
            likely,
            reached.likely_wrong_ppm,
            &scores.first_wrong_likely,
        ),
    ] {
        if ppm > most {
            let first = first.as_deref().unwrap_or_default();
            wrong.push(format!(
                "{name}: processes: {ppm} ppm of what is {what} is wrong, {most} allowed; first:\n{first}"
            ));
        }
    }
}

/// Where threads are told apart: by FS all but what lies around a switch; by kernel stacks alone
/// less, because user mode shows none, and any thread of the process may be in it.
fn judge_threads(name: &str, threads: &Threads, wrong: &mut Vec<String>) {
    let (ppm, pm) = (threads.wrong_ppm(), threads.found_pm());
    let (most, least) = match (name.contains("stacks"), name.contains("original")) {
        (true, _) => (25_000, 840),
        (_, true) => (60_000, 450),
        _ => {
            if threads.lanes > 0 {
                wrong.push(format!(
                    "{name}: {} threads, told by nothing",
                    threads.lanes
                ));
            }
            return;
        }
    };
    println!(
        "{name}: threads: {} of them, {ppm} ppm wrong, {pm} pm found",
        threads.lanes
    );
    if ppm > most || pm < least {
        wrong.push(format!(
            "{name}: threads: {ppm} ppm wrong, {most} allowed; {pm} pm found, {least} asked for; first:\n{}",
            threads.first_wrong.as_deref().unwrap_or_default()
        ));
    }
}

fn judge_causes(name: &str, measured: &Measured, reached: &Reached, wrong: &mut Vec<String>) {
    let (halts, waits) = (&measured.halts, &measured.waits);
    let (right, proved, recall) = (
        halts.right_pm(),
        halts.wrong_proved_pm(),
        waits.macro_recall_pm(),
    );
    println!(
        "{name}: halts: {right} pm of {} right, {proved} pm of {} proved wrong: {}",
        halts.waits(),
        halts.proved,
        halts.shown(),
    );
    println!(
        "{name}: process waits: macro recall {recall} pm of {}: {}",
        waits.waits(),
        waits.shown()
    );
    let first = |confusion: &Confusion, proved: bool| {
        let first = if proved {
            &confusion.first_wrong_proved
        } else {
            &confusion.first_wrong
        };
        first.clone().unwrap_or_default()
    };
    if right < reached.halts_right_pm {
        wrong.push(format!(
            "{name}: halts: {right} pm right: {}; first:\n{}",
            halts.shown(),
            first(halts, false)
        ));
    }
    if proved > reached.halts_wrong_proved_pm {
        wrong.push(format!(
            "{name}: halts: {proved} pm of the proved causes wrong; first:\n{}",
            first(halts, true)
        ));
    }
    if waits.waits() > 0 && recall < reached.waits_macro_pm {
        wrong.push(format!(
            "{name}: process waits: recall {recall} pm: {}; first:\n{}",
            waits.shown(),
            first(waits, false)
        ));
    }
    if waits.wrong_proved > 0 {
        wrong.push(format!(
            "{name}: process waits proved and wrong; first:\n{}",
            first(waits, true)
        ));
    }
}
