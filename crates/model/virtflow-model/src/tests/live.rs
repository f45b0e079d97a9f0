//! Models that go on: what is not told yet, losses as they come, what is over is forgotten.

use super::*;
use crate::{Living, Yet};
use std::collections::BTreeMap;
use virtflow_base::Interval;

const SECOND: i64 = 1_000_000_000;
const DEAD: u32 = 0x80;

fn fork(parent: Tid, parent_pid: Tid, child: Tid, child_pid: Tid, child_ns: Option<u32>) -> K {
    K::ProcessFork {
        parent,
        parent_pid: Some(parent_pid),
        child,
        child_pid: Some(child_pid),
        child_comm: comm(child),
        child_ns,
    }
}

fn entered(cr3: u64, pid: Tid) -> K {
    let K::VcpuEnterGuest {
        rip, l1_cr3, stack, ..
    } = enter(cr3)
    else {
        unreachable!()
    };
    K::VcpuEnterGuest {
        vcpu: 0,
        cr3,
        rip,
        guest_mode: false,
        l1_cr3,
        block: None,
        vm_pid: pid,
        stack,
    }
}

/// A few stays of a guest process on the running vCPU, a microsecond each.
fn stays(t: i64, cr3: u64, pid: Tid) -> Vec<(i64, K)> {
    let stay = |n: i64| {
        let t = t + n * 10_000;
        [
            (t, ENTRY),
            (t + 1, entered(cr3, pid)),
            (t + 2_000, exit(INTR)),
            (t + 2_001, left(cr3, 3)),
        ]
    };
    (0..4).flat_map(stay).collect()
}

/// One second: a VM begins in a container of its own, runs a process, and ends; the VM that goes on
/// runs a process that was never seen before.
fn second(n: i32) -> Vec<(i64, K)> {
    let t = i64::from(n) * SECOND;
    let cr3 = 0x1000_0000 + u64::from(n.unsigned_abs()) * 0x1000;
    let (pid, vcpu) = (Tid(10_000 + 2 * n), Tid(10_001 + 2 * n));
    let mut events = vec![
        (t, switch(Tid(0), 0, OTHER)),
        (
            t + 1,
            fork(OTHER, OTHER, pid, pid, Some(4_000 + n.unsigned_abs())),
        ),
        (
            t + 2,
            fork(pid, pid, vcpu, pid, Some(4_000 + n.unsigned_abs())),
        ),
        (t + 10, switch(OTHER, 1, vcpu)),
    ];
    events.extend(stays(t + 1_000, cr3, pid));
    let t = t + 100_000;
    events.extend([
        (t, K::ProcessExit { tid: vcpu }),
        (t + 10, switch(vcpu, DEAD, pid)),
        (t + 20, K::ProcessExit { tid: pid }),
        (t + 30, switch(pid, DEAD, VCPU)),
    ]);
    events.extend(stays(t + 1_000, cr3, QEMU));
    events.push((t + 100_000, switch(VCPU, 1, Tid(0))));
    events
}

fn model() -> Model<Collected> {
    let mut model = Model::new(
        &coverage(i64::MAX, Vec::new()),
        Options::default(),
        Collected::default(),
    );
    for tid in [QEMU, VCPU] {
        model.know(&record(process(tid, QEMU)));
    }
    model
}

#[test]
fn what_is_kept_is_what_lives() {
    let mut model = model();
    let mut after = Vec::new();
    for n in 0..1_000 {
        for (t, event) in second(n) {
            model.event(at(t), &record(event));
        }
        model.advance(at(i64::from(n + 1) * SECOND));
        model.sweep();
        if n >= 200 {
            after.push(Living {
                entities: 0,
                ..model.living()
            });
        }
    }
    let first = after[0];
    assert!(after.iter().all(|living| *living == first), "{after:?}");
    // The VM that goes on, with its processes of the last minute; two of its threads and a shell.
    assert_eq!((first.vms, first.vcpus, first.guests), (1, 1, 1));
    assert_eq!((first.threads, first.containers), (3, 0));
    assert!((60..64).contains(&first.processes), "{first:?}");
    assert!(model.living().entities > 9_000);
}

/// What a model found, as text, without what numbers entities have.
fn told(found: &Collected) -> Vec<String> {
    let key = |id: virtflow_base::EntityId| found.entities[id.0 as usize].key.clone();
    let line = |i: &Interval| {
        let by = i.by.map(key);
        format!(
            "{} {:?} {} {} {by:?}",
            key(i.entity),
            i.span,
            i.state,
            i.cause
        )
    };
    let mut lines: Vec<_> = found.intervals.iter().map(line).collect();
    lines.sort();
    lines
}

/// Where nobody comes back after long, forgetting what is over changes nothing.
#[test]
fn forgetting_changes_nothing_that_is_told() {
    let whole = |sweeps: bool| {
        let mut model = model();
        for n in 0..40 {
            for (t, event) in second(n) {
                model.event(at(t), &record(event));
                if sweeps {
                    model.sweep();
                }
            }
        }
        told(&model.finish().0)
    };
    assert_eq!(whole(true), whole(false));
}

#[test]
fn with_what_is_not_told_yet_every_lane_tiles_at_every_moment() {
    let mut model = model();
    for (t, event) in (0..3).flat_map(second) {
        model.event(at(t), &record(event));
        // No event at this moment was taken yet but this one.
        let now = at(t + 1);
        let mut lanes: BTreeMap<_, Vec<Span>> = BTreeMap::new();
        let told = &model.sink().intervals;
        for interval in told {
            let lane = (interval.entity, interval.vcpu);
            lanes.entry(lane).or_default().push(interval.span);
        }
        let mut open = Vec::new();
        model.not_told(now, &mut |interval, _| open.push(*interval));
        for interval in &open {
            let lane = (interval.entity, interval.vcpu);
            lanes.entry(lane).or_default().push(interval.span);
        }
        for (lane, mut spans) in lanes {
            spans.sort_by_key(|span| span.start);
            for pair in spans.windows(2) {
                assert_eq!(pair[0].end, pair[1].start, "{lane:?} at {t}");
            }
        }
    }
}

#[test]
fn what_is_not_told_yet_says_how_much_of_it_is_known() {
    let mut model = model();
    let events = [
        (0, switch(Tid(0), 0, VCPU)),
        (10, ENTRY),
        (11, enter(CR3_A)),
        (20, exit(HLT)),
        (21, left(CR3_A, 0)),
        (25, switch(VCPU, 1, Tid(0))),
    ];
    for (t, event) in events {
        model.event(at(t), &record(event));
    }
    model.advance(at(100));
    let mut seen = Vec::new();
    model.not_told(at(100), &mut |interval, yet| {
        let kind = model.sink().entities[interval.entity.0 as usize].kind;
        let state = State::from_code(interval.state).unwrap();
        seen.push((Kind::from_code(kind).unwrap(), state, yet));
    });
    assert!(
        seen.contains(&(Kind::Cpu, State::Idle, Yet::Known)),
        "{seen:?}"
    );
    assert!(
        seen.contains(&(Kind::Vcpu, State::Halted, Yet::WhyPending)),
        "{seen:?}"
    );
    // Of the dump it is known that it waits, and of no event why.
    assert!(
        seen.contains(&(Kind::Thread, State::Sleeping, Yet::WhyPending)),
        "{seen:?}"
    );
    // An entry and no exit: who runs in the guest is told by the exit.
    for (t, event) in [
        (110, switch(Tid(0), 0, VCPU)),
        (120, ENTRY),
        (121, enter(CR3_A)),
    ] {
        model.event(at(t), &record(event));
    }
    model.advance(at(200));
    let mut pending = 0;
    model.not_told(at(200), &mut |interval, yet| {
        let kind = model.sink().entities[interval.entity.0 as usize].kind;
        if kind == Kind::Process.code() && yet == Yet::Pending {
            assert_eq!((interval.span.start, interval.span.end), (at(120), at(200)));
            pending += 1;
        }
    });
    assert!(pending >= 2);
}

#[test]
fn a_loss_that_comes_late_hides_what_was_not_taken_yet() {
    let mut model = model();
    for (t, event) in [(0, switch(Tid(0), 0, VCPU)), (10, ENTRY)] {
        model.event(at(t), &record(event));
    }
    model.lose(CpuId(0), Span::new(at(5), at(50)));
    model.advance(at(60));
    model.event(at(70), &record(exit(INTR)));
    model.event(at(80), &record(ENTRY));
    let found = model.finish().0;
    let vcpu = lane(&found, Kind::Vcpu, "vcpu:0");
    assert!(
        vcpu.contains(&(10, 50, State::Unknown, Cause::Lost)),
        "{vcpu:?}"
    );
    assert!(
        vcpu.contains(&(70, 80, State::Hypervisor, Cause::ExitIrq)),
        "{vcpu:?}"
    );
}

#[test]
fn a_thread_whose_end_was_lost_ends_when_it_is_not_there() {
    let mut model = model();
    for (t, event) in [
        (0, switch(Tid(0), 0, OTHER)),
        (10, switch(OTHER, 1, Tid(0))),
    ] {
        model.event(at(t), &record(event));
    }
    model.advance(at(SECOND));
    model.end_threads_unless(|_| false);
    assert_eq!(model.living().threads, 3, "it may have ended a moment ago");
    model.advance(at(10 * SECOND));
    model.end_threads_unless(|tid| tid == VCPU);
    model.sweep();
    assert_eq!(model.living().threads, 1);
}
