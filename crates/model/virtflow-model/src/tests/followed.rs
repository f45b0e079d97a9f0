//! Recordings of some threads rather than of processors.

use super::*;
use crate::{EdgeKind, Followed};
use virtflow_events::Context;

const TRACED: Followed = Followed {
    traced: true,
    both_ways: false,
};
const BOTH: Followed = Followed {
    traced: true,
    both_ways: true,
};
const OWN: Followed = Followed {
    traced: false,
    both_ways: true,
};

/// What was found of the threads 101 (a vCPU's) and, where it is followed, of 100.
fn found(by: Followed, followed: &[Tid], losses: Vec<Loss>, events: &[(i64, Tid, K)]) -> Collected {
    let options = Options {
        followed: Some(by),
        ..Options::default()
    };
    let mut model = Model::new(&coverage(100, losses), options, Collected::default());
    for tid in followed {
        let event = K::ThreadFollowed {
            tid: *tid,
            pid: Some(QEMU),
            parent: None,
        };
        model.event(at(0), &record(event));
    }
    for (t, tid, event) in events {
        let context = Some(Context {
            tid: *tid,
            pid: Tid(-1),
        });
        let record = KernelRecord {
            context,
            ..record(*event)
        };
        model.event(at(*t), &record);
    }
    model.finish().0
}

const fn comes(tid: Tid) -> K {
    K::ThreadSwitch {
        tid,
        out: false,
        preempted: false,
    }
}

const fn goes(tid: Tid, preempted: bool) -> K {
    K::ThreadSwitch {
        tid,
        out: true,
        preempted,
    }
}

/// The lanes of the vCPU's thread, of the vCPU and of the processor.
fn lanes(found: &Collected) -> [Vec<(i64, i64, State, Cause)>; 3] {
    [
        lane(found, Kind::Thread, "thread:101@0"),
        lane(found, Kind::Vcpu, "/vcpu:0"),
        lane(found, Kind::Cpu, "cpu:0"),
    ]
}

fn states(lane: &[(i64, i64, State, Cause)]) -> Vec<(i64, i64, State)> {
    lane.iter()
        .map(|(from, to, state, _)| (*from, *to, *state))
        .collect()
}

/// A vCPU halts, is pre-empted, and lets it be seen only in its own events.
fn halts() -> Vec<(i64, Tid, K)> {
    vec![
        (10, VCPU, ENTRY),
        (20, VCPU, exit(HLT)),
        (25, VCPU, switch(VCPU, 1, Tid(0))),
        (50, VCPU, ENTRY),
        (60, VCPU, exit(INTR)),
        (65, VCPU, switch(VCPU, 0x100, OTHER)),
        (90, VCPU, ENTRY),
    ]
}

#[test]
fn between_losing_a_processor_and_the_next_event_all_is_unknown() {
    let found = found(TRACED, &[VCPU], Vec::new(), &halts());
    let [thread, vcpu, cpu] = lanes(&found);
    let unknown = State::Unknown;
    let expected = vec![
        (0, 10, unknown),
        (10, 25, State::Running),
        (25, 50, unknown),
        (50, 65, State::Running),
        (65, 90, unknown),
        (90, 100, State::Running),
    ];
    assert_eq!(states(&thread), expected);
    assert_eq!(states(&cpu), expected, "the processor is never idle");
    assert!(
        thread
            .iter()
            .all(|(.., state, cause)| *state != unknown || *cause == Cause::NotRecorded)
    );
    let expected = [
        (0, 10, unknown, Cause::NotRecorded),
        (10, 20, State::Guest, Cause::None),
        (20, 25, State::Hypervisor, Cause::ExitHlt),
        (25, 50, unknown, Cause::NotRecorded),
        (50, 60, State::Guest, Cause::None),
        (60, 65, State::Hypervisor, Cause::ExitIrq),
        (65, 90, unknown, Cause::NotRecorded),
        (90, 100, State::Guest, Cause::None),
    ];
    assert_eq!(vcpu, expected);
    let keys: Vec<_> = found.entities.iter().map(|entity| &entity.key).collect();
    assert!(
        !keys.iter().any(|key| key.contains("thread:200")),
        "{keys:?}"
    );
}

#[test]
fn with_both_ways_told_a_thread_sleeps_or_is_preempted_until_it_comes() {
    let mut events = halts();
    events.extend([
        (45, VCPU, comes(VCPU)),
        (66, VCPU, goes(VCPU, true)),
        (85, VCPU, comes(VCPU)),
    ]);
    events.sort_by_key(|event| event.0);
    let found = found(BOTH, &[VCPU], Vec::new(), &events);
    let [thread, vcpu, cpu] = lanes(&found);
    let expected = [
        (0, 10, State::Unknown),
        (10, 25, State::Running),
        (25, 45, State::Sleeping),
        (45, 65, State::Running),
        (65, 85, State::Preempted),
        (85, 100, State::Running),
    ];
    assert_eq!(states(&thread), expected);
    assert_eq!(
        states(&vcpu)[3..6],
        [
            (25, 45, State::Halted),
            (45, 50, State::Hypervisor),
            (50, 60, State::Guest),
        ]
    );
    let expected = [(25, 45, State::Unknown), (65, 85, State::Unknown)];
    let unknown = states(&cpu)
        .into_iter()
        .filter(|(from, _, state)| *from > 0 && *state == State::Unknown);
    assert_eq!(unknown.collect::<Vec<_>>(), expected);
    // Its wake-up is not seen, and so not how much of that it only wanted a processor.
    let likely = |state: State| {
        let mut all = found.intervals.iter().filter(|i| i.state == state.code());
        all.all(|i| i.confidence == Confidence::Likely.code())
    };
    assert!(likely(State::Sleeping) && likely(State::Halted));
    assert!(!likely(State::Preempted));
}

#[test]
fn perfs_own_word_is_enough() {
    let events = [
        (10, VCPU, comes(VCPU)),
        (30, VCPU, goes(VCPU, false)),
        (40, VCPU, comes(VCPU)),
        (50, VCPU, goes(VCPU, true)),
    ];
    let [thread, ..] = lanes(&found(OWN, &[VCPU], Vec::new(), &events));
    let expected = [
        (0, 10, State::Unknown),
        (10, 30, State::Running),
        (30, 40, State::Sleeping),
        (40, 50, State::Running),
        (50, 100, State::Preempted),
    ];
    assert_eq!(states(&thread), expected);
}

#[test]
fn a_wake_up_says_that_it_slept_until_then() {
    let events = [
        (10, VCPU, switch(VCPU, 1, OTHER)),
        (15, QEMU, ENTRY),
        (20, QEMU, waking(VCPU)),
        (25, QEMU, switch(QEMU, 1, VCPU)),
        (40, VCPU, switch(VCPU, 1, QEMU)),
        // Of somebody who is not followed: nobody wakes it, and 100 is not there any more.
        (50, OTHER, waking(VCPU)),
    ];
    let found = found(TRACED, &[VCPU, QEMU], Vec::new(), &events);
    let [thread, _, cpu] = lanes(&found);
    let expected = [
        (0, 10, State::Unknown, Cause::NotRecorded),
        (10, 20, State::Sleeping, Cause::Task),
        (20, 25, State::Runnable, Cause::None),
        (25, 40, State::Running, Cause::None),
        (40, 50, State::Sleeping, Cause::NoEvidence),
        (50, 100, State::Unknown, Cause::NotRecorded),
    ];
    assert_eq!(thread, expected);
    let expected = [
        (0, 10, State::Unknown),
        (10, 15, State::Unknown),
        (15, 25, State::Running),
        (25, 40, State::Running),
        (40, 50, State::Running),
        (50, 100, State::Unknown),
    ];
    assert_eq!(states(&cpu), expected);
    let edges = found
        .edges
        .iter()
        .filter(|edge| edge.kind == EdgeKind::WakeUp.code());
    assert_eq!(edges.count(), 1, "who is not recorded wakes nobody");
}

#[test]
fn what_a_recorded_thread_makes_is_recorded_from_then_on_and_until_it_ends() {
    let child = Tid(300);
    let made = K::ThreadFollowed {
        tid: child,
        pid: Some(child),
        parent: Some(VCPU),
    };
    let stranger = K::ThreadFollowed {
        tid: Tid(301),
        pid: None,
        parent: Some(OTHER),
    };
    let events = [
        (10, VCPU, made),
        (12, VCPU, stranger),
        (20, VCPU, switch(VCPU, 1, child)),
        (30, child, K::ThreadLeft { tid: child }),
        // Another one has its number now.
        (40, child, ENTRY),
    ];
    let found = found(TRACED, &[VCPU], Vec::new(), &events);
    let expected = [
        (10, 20, State::Sleeping, Cause::None),
        (20, 30, State::Running, Cause::None),
    ];
    assert_eq!(lane(&found, Kind::Thread, "thread:300@10"), expected);
    let threads = found
        .entities
        .iter()
        .filter(|entity| entity.kind == Kind::Thread.code());
    let mut keys: Vec<_> = threads.map(|entity| entity.key.as_str()).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys, ["thread:101@0", "thread:300@10"]);
}

#[test]
fn what_was_lost_of_them_is_lost_and_not_only_unrecorded() {
    let loss = Loss {
        span: Span::new(at(30), at(60)),
        kind: LossKind::Events(2),
    };
    let events = [
        (10, VCPU, ENTRY),
        (70, VCPU, exit(INTR)),
        (80, VCPU, switch(VCPU, 1, OTHER)),
    ];
    let [thread, _, cpu] = lanes(&found(TRACED, &[VCPU], vec![loss], &events));
    let expected = [
        (0, 10, State::Unknown, Cause::NotRecorded),
        (10, 30, State::Running, Cause::None),
        (30, 70, State::Unknown, Cause::Lost),
        (70, 80, State::Running, Cause::None),
        (80, 100, State::Unknown, Cause::NotRecorded),
    ];
    assert_eq!(merged(thread), expected);
    let expected = [
        (30, 60, State::Unknown, Cause::Lost),
        (60, 70, State::Unknown, Cause::NotRecorded),
    ];
    assert_eq!(cpu[2..4], expected);
}

/// Stretches of the same state as one.
fn merged(lane: Vec<(i64, i64, State, Cause)>) -> Vec<(i64, i64, State, Cause)> {
    let mut out: Vec<(i64, i64, State, Cause)> = Vec::new();
    for next in lane {
        match out.last_mut() {
            Some(last) if (last.2, last.3) == (next.2, next.3) => last.1 = next.1,
            _ => out.push(next),
        }
    }
    out
}
