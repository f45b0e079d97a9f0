//! The machines on sequences a person can read: events in, states out.

mod containers;
mod counters;
mod dumps;
mod edges;
mod followed;
mod live;
mod nested;
mod sleeps;
mod unentered;

use crate::{Cause, Collected, Confidence, Kind, Model, Options, State};
use virtflow_base::{CpuId, EntityId, Loss, LossKind, Span, StreamCoverage, Tid, Timestamp};
use virtflow_events::{ApicAccept, Comm, ExitInfo, GuestStack, KernelEvent as K, KernelRecord};

const QEMU: Tid = Tid(100);
const VCPU: Tid = Tid(101);
const OTHER: Tid = Tid(200);
/// SVM's code of HLT, of a host interrupt, and of VMRUN.
const HLT: u32 = 0x78;
const INTR: u32 = 0x60;
const VMRUN: u32 = 0x80;
const NPF: u32 = 0x400;
const CR3_A: u64 = 0x1000_0000;
const CR3_B: u64 = 0x2000_0000;

fn at(t: i64) -> Timestamp {
    Timestamp::from_nanos(t)
}

fn comm(tid: Tid) -> Comm {
    match tid {
        VCPU => Comm::new(b"CPU 0/KVM"),
        QEMU => Comm::new(b"qemu"),
        Tid(0) => Comm::new(b"swapper/0"),
        _ => Comm::new(b"other"),
    }
}

fn switch(prev: Tid, prev_state: u32, next: Tid) -> K {
    K::SchedSwitch {
        prev,
        next,
        prev_state,
        prev_comm: comm(prev),
        next_comm: comm(next),
        next_prio: 20,
    }
}

fn accept(vector: u8) -> K {
    K::KvmApicAccept(ApicAccept {
        apic_id: 0,
        delivery_mode: 0,
        vector,
        posted: false,
    })
}

fn waking(tid: Tid) -> K {
    K::SchedWaking {
        tid,
        target_cpu: CpuId(0),
        comm: comm(tid),
    }
}

fn woken(tid: Tid) -> K {
    K::SchedWakeup {
        tid,
        target_cpu: CpuId(0),
        comm: comm(tid),
    }
}

fn exit(reason: u32) -> K {
    K::KvmExit(ExitInfo {
        reason,
        isa: Some(2),
        rip: Some(0x40_0000),
        info1: 0,
        info2: 0,
        intr_info: 0,
        vcpu: Some(0),
    })
}

const ENTRY: K = K::KvmEntry {
    vcpu: Some(0),
    rip: None,
    intr_info: None,
};

fn enter(cr3: u64) -> K {
    K::VcpuEnterGuest {
        vcpu: 0,
        cr3,
        rip: u64::MAX,
        guest_mode: false,
        l1_cr3: std::num::NonZeroU64::new(cr3),
        block: None,
        vm_pid: QEMU,
        stack: GuestStack::NONE,
    }
}

fn left(cr3: u64, cpl: u8) -> K {
    K::VcpuExitGuest {
        vcpu: 0,
        cr3,
        cpl,
        guest_mode: false,
        stack: GuestStack::NONE,
    }
}

fn process(tid: Tid, pid: Tid) -> K {
    K::StatedumpProcess {
        tid,
        pid,
        ppid: Tid(1),
        kind: 0,
        status: 5,
        cpu: CpuId(0),
        comm: comm(tid),
    }
}

fn record(event: K) -> KernelRecord {
    KernelRecord {
        cpu: CpuId(0),
        context: None,
        event,
    }
}

fn coverage(end: i64, losses: Vec<Loss>) -> Vec<StreamCoverage> {
    vec![StreamCoverage {
        cpu: Some(CpuId(0)),
        span: Some(Span::new(at(0), at(end))),
        losses,
    }]
}

/// Runs the model over events of processor 0 up to `end`.
fn run_with(losses: Vec<Loss>, options: Options, end: i64, events: &[(i64, K)]) -> Collected {
    let mut model = Model::new(&coverage(end, losses), options, Collected::default());
    for tid in [QEMU, VCPU] {
        model.know(&record(process(tid, QEMU)));
    }
    for (t, event) in events {
        model.event(at(*t), &record(*event));
    }
    model.finish().0
}

fn run(end: i64, events: &[(i64, K)]) -> Collected {
    run_with(
        Vec::new(),
        Options {
            entry_probed: false,
            ..Options::default()
        },
        end,
        events,
    )
}

/// The states of the lane whose key ends with `key`: start, end, state, cause.
fn lane(found: &Collected, kind: Kind, key: &str) -> Vec<(i64, i64, State, Cause)> {
    let of = |id: virtflow_base::EntityId| &found.entities[id.0 as usize];
    let ours = |i: &&virtflow_base::Interval| {
        let entity = of(i.entity);
        entity.kind == kind.code() && entity.key.ends_with(key)
    };
    let row = |i: &virtflow_base::Interval| {
        let state = State::from_code(i.state).unwrap();
        let cause = Cause::from_code(i.cause).unwrap();
        (i.span.start.as_nanos(), i.span.end.as_nanos(), state, cause)
    };
    found.intervals.iter().filter(ours).map(row).collect()
}

/// A vCPU that runs, is pre-empted by another thread, and runs again.
fn preempted() -> Vec<(i64, K)> {
    vec![
        (0, switch(Tid(0), 0, VCPU)),
        (10, ENTRY),
        (20, exit(INTR)),
        (25, switch(VCPU, 0x100, OTHER)),
        (40, switch(OTHER, 1, VCPU)),
        (45, ENTRY),
    ]
}

/// A recording without a state dump tells names and processes beside its events.
#[test]
fn what_is_told_of_threads_names_the_vm_and_its_process() {
    let told = |tid: Tid, pid| K::ThreadTold {
        tid,
        pid,
        comm: comm(tid),
    };
    let mut model = Model::new(
        &coverage(100, Vec::new()),
        Options::default(),
        Collected::default(),
    );
    let events = [
        told(QEMU, Some(QEMU)),
        told(VCPU, Some(QEMU)),
        told(Tid(9), None),
        switch(Tid(9), 0x100, VCPU),
        ENTRY,
    ];
    for (t, event) in (1..).zip(events) {
        model.event(at(t), &record(event));
    }
    let found = model.finish().0.entities;
    let vm = found
        .iter()
        .find(|e| e.key.starts_with("vm:") && e.vcpu.is_none())
        .unwrap();
    assert_eq!(vm.pid, Some(QEMU.0));
    assert_eq!(
        String::from_utf8_lossy(&vm.label),
        format!("qemu:{}", QEMU.0)
    );
    let other = found.iter().rfind(|e| e.tid == Some(9)).unwrap();
    assert_eq!((other.pid, other.label.as_slice()), (None, &b"other"[..]));
}

#[test]
fn preemption_names_who_took_the_processor() {
    let found = run(60, &preempted());
    let lane = lane(&found, Kind::Vcpu, "/vcpu:0");
    assert_eq!(
        lane[1..],
        [
            (10, 20, State::Guest, Cause::None),
            (20, 25, State::Hypervisor, Cause::ExitIrq),
            (25, 40, State::Preempted, Cause::None),
            (40, 45, State::Hypervisor, Cause::ExitIrq),
            (45, 60, State::Guest, Cause::None),
        ]
    );
    let taken = found
        .intervals
        .iter()
        .find(|i| i.state == State::Preempted.code() && i.span.start == at(25));
    let by = taken
        .and_then(|i| i.by)
        .map(|by| found.entities[by.0 as usize].tid);
    assert_eq!(by, Some(Some(OTHER.0)));
}

/// The kernel made no `sched_switch`, or it was lost and no counter tells.
#[test]
fn a_switch_that_contradicts_is_no_loss_to_the_guest() {
    let found = run(
        40,
        &[
            (0, switch(Tid(0), 0, VCPU)),
            (10, ENTRY),
            (20, switch(OTHER, 1, Tid(0))),
        ],
    );
    assert_eq!(
        lane(&found, Kind::Process, "/kernel").last(),
        Some(&(20, 40, State::Unknown, Cause::NoEvidence))
    );
    // When the one left and the other came nothing tells.
    let states = |kind, key: &str| states(&found, kind, key);
    assert_eq!(
        states(Kind::Thread, &format!("thread:{VCPU}@0")),
        [(0, 40, State::Unknown)]
    );
    assert_eq!(
        states(Kind::Vcpu, "/vcpu:0"),
        [(0, 10, State::Vmm), (10, 40, State::Unknown)]
    );
    assert_eq!(
        states(Kind::Cpu, "cpu:0"),
        [(0, 20, State::Unknown), (20, 40, State::Idle)]
    );
}

/// Who kept others waiting meanwhile is known no better.
#[test]
fn nobody_is_blamed_for_what_a_switch_contradicts() {
    const WAITER: Tid = Tid(300);
    let found = run(
        50,
        &[
            (0, switch(Tid(0), 0, VCPU)),
            (10, ENTRY),
            (15, exit(INTR)),
            (20, switch(VCPU, 0, WAITER)),
            (30, switch(WAITER, 0, OTHER)),
            (40, switch(QEMU, 1, Tid(0))),
        ],
    );
    let blamed = |kind: Kind, key: &str| -> Vec<_> {
        let entity = found
            .entities
            .iter()
            .find(|e| e.kind == kind.code() && e.key.ends_with(key));
        let id = entity.unwrap().id;
        let waits = found
            .intervals
            .iter()
            .filter(|i| i.entity == id && i.state == State::Preempted.code());
        let tid = |id: EntityId| found.entities[id.0 as usize].tid.unwrap();
        waits
            .map(|i| {
                (
                    i.span.start.as_nanos(),
                    i.span.end.as_nanos(),
                    i.by.map(tid),
                )
            })
            .collect()
    };
    assert_eq!(
        blamed(Kind::Thread, &format!("thread:{WAITER}@0")),
        [(30, 50, None)]
    );
    assert_eq!(
        blamed(Kind::Vcpu, "/vcpu:0"),
        [(20, 30, Some(WAITER.0)), (30, 50, None)]
    );
}

/// Its stream of switches ends, and another one of the same processor goes on.
#[test]
fn who_is_seen_after_the_end_contradicts_nothing() {
    let contradictions = |end| {
        let options = Options::default();
        let mut model = Model::new(&coverage(end, Vec::new()), options, Collected::default());
        for (t, event) in [
            (10, switch(Tid(0), 0, OTHER)),
            (20, switch(OTHER, 1, Tid(0))),
            (40, switch(OTHER, 1, Tid(0))),
        ] {
            model.event(at(t), &record(event));
        }
        model.finish().1.contradictions
    };
    assert_eq!(contradictions(30), 0);
    assert_eq!(contradictions(50), 1);
}

/// It had not been heard of, and somebody else was thought to have the processor, or nobody.
#[test]
fn a_thread_that_nobody_saw_come_has_not_run_from_the_beginning() {
    for before in [switch(VCPU, 1, Tid(0)), switch(Tid(0), 0, VCPU)] {
        let found = run(40, &[(10, before), (20, switch(OTHER, 1, Tid(0)))]);
        assert_eq!(
            states(&found, Kind::Thread, &format!("thread:{OTHER}@10")),
            [(10, 20, State::Unknown), (20, 40, State::Sleeping)]
        );
    }
    // Nobody was seen since something was lost: it had the processor since then, and where it was before
    // is not known.
    let loss = Loss {
        span: Span::new(at(15), at(20)),
        kind: LossKind::Events(3),
    };
    let events = [
        (10, switch(VCPU, 1, Tid(0))),
        (30, switch(OTHER, 1, Tid(0))),
    ];
    let found = run_with(vec![loss], Options::default(), 40, &events);
    assert_eq!(
        states(&found, Kind::Thread, &format!("thread:{OTHER}@10")),
        [
            (10, 20, State::Unknown),
            (20, 30, State::Running),
            (30, 40, State::Sleeping)
        ]
    );
}

/// Each on a processor.
fn run_on(cpus: u32, end: i64, losses: &[Loss], events: &[(i64, u32, K)]) -> Collected {
    let coverage: Vec<_> = (0..cpus)
        .map(|cpu| StreamCoverage {
            cpu: Some(CpuId(cpu)),
            losses: if cpu == 0 {
                losses.to_vec()
            } else {
                Vec::new()
            },
            ..coverage(end, Vec::new()).remove(0)
        })
        .collect();
    let mut model = Model::new(&coverage, Options::default(), Collected::default());
    for (t, cpu, event) in events {
        let record = KernelRecord {
            cpu: CpuId(*cpu),
            ..record(*event)
        };
        model.event(at(*t), &record);
    }
    model.finish().0
}

fn states(found: &Collected, kind: Kind, key: &str) -> Vec<(i64, i64, State)> {
    let lane = lane(found, kind, key);
    lane.iter()
        .map(|&(start, end, state, _)| (start, end, state))
        .collect()
}

/// `sched_wakeup` says where it was put, of which nothing is told then: it may have run there.
#[test]
fn what_is_woken_onto_a_processor_in_the_dark_is_not_known_to_wait() {
    let put = K::SchedWakeup {
        tid: OTHER,
        target_cpu: CpuId(0),
        comm: comm(OTHER),
    };
    let to_the_other = K::SchedWaking {
        tid: OTHER,
        target_cpu: CpuId(1),
        comm: comm(OTHER),
    };
    let loss = Loss {
        span: Span::new(at(20), at(40)),
        kind: LossKind::Events(3),
    };
    let events = [
        (10, 1, switch(OTHER, 1, Tid(0))),
        (25, 1, to_the_other),
        (30, 1, put),
        (50, 0, switch(OTHER, 1, Tid(0))),
    ];
    let found = run_on(2, 60, &[loss], &events);
    let other = format!("thread:{OTHER}@10");
    assert_eq!(
        lane(&found, Kind::Thread, &other),
        [
            (10, 25, State::Sleeping, Cause::NoEvidence),
            (25, 30, State::Runnable, Cause::None),
            (30, 40, State::Unknown, Cause::Lost),
            (40, 50, State::Running, Cause::None),
            (50, 60, State::Sleeping, Cause::None)
        ]
    );
    // Of the other processor there is no stream at all.
    let found = run_on(
        1,
        60,
        &[],
        &[(10, 0, switch(OTHER, 1, Tid(0))), (25, 0, to_the_other)],
    );
    assert_eq!(
        lane(&found, Kind::Thread, &other).last(),
        Some(&(25, 60, State::Unknown, Cause::NotRecorded))
    );
}

/// What it did before, or that it was there, may have been lost.
#[test]
fn a_thread_that_is_first_heard_of_after_a_loss_is_lost_until_its_end() {
    let loss = Loss {
        span: Span::new(at(20), at(40)),
        kind: LossKind::Events(3),
    };
    let events = [
        (10, 0, switch(Tid(0), 0, VCPU)),
        (50, 1, switch(Tid(0), 0, OTHER)),
    ];
    let found = run_on(2, 60, &[loss], &events);
    let other = lane(&found, Kind::Thread, &format!("thread:{OTHER}@10"));
    assert_eq!(
        other,
        [
            (10, 40, State::Unknown, Cause::Lost),
            (40, 50, State::Runnable, Cause::None),
            (50, 60, State::Running, Cause::None)
        ]
    );
}

#[test]
fn a_thread_that_turns_up_elsewhere_left_at_an_unknown_time() {
    let events = [
        (10, 0, switch(Tid(0), 0, OTHER)),
        (30, 1, switch(OTHER, 1, Tid(0))),
        // It sleeps: that somebody else gets the processor it had once says nothing of that.
        (50, 0, switch(Tid(0), 0, VCPU)),
    ];
    let found = run_on(2, 60, &[], &events);
    let thread = states(&found, Kind::Thread, &format!("thread:{OTHER}@10"));
    assert_eq!(thread.last(), Some(&(30, 60, State::Sleeping)));
    assert!(thread.iter().all(|of| of.2 != State::Running), "{thread:?}");

    // Who has had the processor since it left is not told by who has it at last.
    let events = [
        (10, 0, switch(Tid(0), 0, OTHER)),
        (30, 1, switch(Tid(0), 0, OTHER)),
        (50, 0, switch(VCPU, 1, Tid(0))),
    ];
    let found = run_on(2, 60, &[], &events);
    let cpu = states(&found, Kind::Cpu, "cpu:0");
    assert!(
        cpu.iter()
            .all(|of| of.1 <= 10 || of.0 >= 30 || of.2 == State::Unknown),
        "{cpu:?}"
    );
}

#[test]
fn a_processor_is_not_with_whom_another_one_got_since() {
    let events = [
        (10, 1, switch(Tid(0), 0, OTHER)),
        (20, 0, switch(OTHER, 1, Tid(0))),
    ];
    let found = run_on(2, 40, &[], &events);
    let cpu = states(&found, Kind::Cpu, "cpu:0");
    assert!(cpu.iter().all(|of| of.2 != State::Running), "{cpu:?}");
}

#[test]
fn whoever_is_seen_on_a_processor_of_which_nothing_was_known_runs_from_then_on() {
    let seen = K::ThreadRuns {
        tid: Tid(300),
        pid: Tid(300),
    };
    let events = [
        (10, 0, switch(Tid(0), 0, OTHER)),
        (20, 1, switch(Tid(0), 0, OTHER)),
        (30, 0, seen),
        (50, 0, switch(Tid(300), 1, Tid(0))),
    ];
    let found = run_on(2, 60, &[], &events);
    assert_eq!(
        states(&found, Kind::Thread, "thread:300@10"),
        [
            (10, 30, State::Unknown),
            (30, 50, State::Running),
            (50, 60, State::Sleeping)
        ]
    );
    let cpu = states(&found, Kind::Cpu, "cpu:0");
    assert!(cpu.contains(&(30, 50, State::Running)), "{cpu:?}");
}

#[test]
fn what_is_lost_stays_lost_where_a_thread_is_seen_again() {
    let loss = Loss {
        span: Span::new(at(16), at(18)),
        kind: LossKind::Events(3),
    };
    let seen = K::ThreadRuns {
        tid: OTHER,
        pid: OTHER,
    };
    let events = [
        (5, 1, switch(OTHER, 1, Tid(0))),
        (30, 1, switch(Tid(0), 0, VCPU)),
        (40, 1, waking(Tid(300))),
        (50, 1, seen),
    ];
    let found = run_on(2, 60, &[loss], &events);
    let thread = lane(&found, Kind::Thread, &format!("thread:{OTHER}@5"));
    assert_eq!(thread[0], (5, 50, State::Unknown, Cause::Lost));
}

#[test]
fn an_exit_is_split_into_kernel_vmm_and_off_the_processor() {
    let found = run(60, &preempted());
    let exit = found.exits[0];
    assert_eq!(
        (
            exit.span.nanos(),
            exit.kernel_ns,
            exit.vmm_ns,
            exit.off_cpu_ns
        ),
        (25, 10, 0, 15)
    );
    assert!(exit.entered_again);
}

/// A vCPU that halts and is woken from a timer's callback; `work` follows before the next halt.
fn halted(work: &[(i64, K)]) -> Vec<(i64, K)> {
    let timer = K::HrtimerExpireEntry {
        hrtimer: 1,
        function: 2,
        now: 0,
    };
    let mut events = vec![
        (0, switch(Tid(0), 0, VCPU)),
        (10, ENTRY),
        (20, exit(HLT)),
        (25, switch(VCPU, 1, Tid(0))),
        (50, timer),
        (51, waking(VCPU)),
        (52, K::HrtimerExpireExit { hrtimer: 1 }),
        (60, switch(Tid(0), 0, VCPU)),
        (
            61,
            K::KvmApicAccept(ApicAccept {
                apic_id: 0,
                delivery_mode: 0,
                vector: 236,
                posted: false,
            }),
        ),
        (
            62,
            K::KvmInjVirq {
                vector: 236,
                reinjected: None,
            },
        ),
        (65, ENTRY),
    ];
    events.extend_from_slice(work);
    events
}

#[test]
fn a_halt_ended_by_a_timer_waits_for_it() {
    let found = run(100, &halted(&[(70, exit(INTR)), (75, ENTRY)]));
    let lane = lane(&found, Kind::Vcpu, "/vcpu:0");
    assert!(
        lane.contains(&(25, 51, State::Halted, Cause::Timer)),
        "{lane:?}"
    );
    assert!(
        lane.contains(&(51, 60, State::Runnable, Cause::None)),
        "{lane:?}"
    );
}

#[test]
fn a_halt_after_which_nothing_was_done_is_idle() {
    let mut idle = halted(&[(70, exit(HLT)), (75, switch(VCPU, 1, Tid(0)))]);
    for event in &mut idle {
        if let K::KvmExit(info) = &mut event.1 {
            info.rip = Some(u64::MAX);
        }
    }
    let lane = lane(&run(100, &idle), Kind::Vcpu, "/vcpu:0");
    assert!(
        lane.contains(&(25, 51, State::Halted, Cause::Idle)),
        "{lane:?}"
    );
}

#[test]
fn to_let_a_nested_guest_run_is_not_idle_also_where_that_one_halts() {
    let mut events = halted(&[
        (70, exit(VMRUN)),
        (75, ENTRY),
        (80, exit(HLT)),
        (85, ENTRY),
        (90, exit(HLT)),
        (95, switch(VCPU, 1, Tid(0))),
    ]);
    for event in &mut events {
        if let K::KvmExit(info) = &mut event.1 {
            info.rip = Some(u64::MAX);
        }
    }
    let lane = lane(&run(100, &events), Kind::Vcpu, "/vcpu:0");
    assert!(
        lane.contains(&(25, 51, State::Halted, Cause::Timer)),
        "{lane:?}"
    );
}

#[test]
fn woken_on_the_way_to_sleep_it_is_runnable_at_once() {
    let events = [
        (0, switch(Tid(0), 0, VCPU)),
        (10, ENTRY),
        (20, exit(HLT)),
        (22, waking(VCPU)),
        (25, switch(VCPU, 1, Tid(0))),
        (30, woken(VCPU)),
        (35, switch(Tid(0), 0, VCPU)),
    ];
    let lane = lane(&run(40, &events), Kind::Vcpu, "/vcpu:0");
    assert!(
        lane.contains(&(25, 35, State::Runnable, Cause::None)),
        "{lane:?}"
    );
}

#[test]
fn the_same_cr3_between_user_exits_is_proved() {
    let mut events = vec![(0, switch(Tid(0), 0, VCPU))];
    for t in [10, 110, 210] {
        let round = [
            (t, ENTRY),
            (t + 1, enter(CR3_A)),
            (t + 50, exit(INTR)),
            (t + 51, left(CR3_A, 3)),
        ];
        events.extend_from_slice(&round);
    }
    let found = run(300, &events);
    let key = format!("cr3:{CR3_A:x}#0");
    let proved = found.intervals.iter().find(|i| {
        found.entities[i.entity.0 as usize].key.ends_with(&key)
            && i.span == Span::new(at(110), at(160))
    });
    let proved = proved.map(|i| (i.state, i.confidence));
    assert_eq!(
        proved,
        Some((State::RunUser.code(), Confidence::Proved.code()))
    );
}

#[test]
fn a_process_that_changed_inside_a_segment_is_only_likely() {
    let events = [
        (0, switch(Tid(0), 0, VCPU)),
        (10, ENTRY),
        (11, enter(CR3_A)),
        (90, exit(INTR)),
        (91, left(CR3_B, 3)),
        (100, ENTRY),
        (101, enter(CR3_B)),
    ];
    let found = run(200, &events);
    let key = format!("cr3:{CR3_B:x}#0");
    let ran = found
        .intervals
        .iter()
        .filter(|i| i.state == State::RunUser.code());
    let mut ran = ran.filter(|i| found.entities[i.entity.0 as usize].key.ends_with(&key));
    assert!(ran.all(|i| i.confidence == Confidence::Likely.code()));
    let nobody = run_with(
        Vec::new(),
        Options {
            proved_only: true,
            ..Options::default()
        },
        200,
        &events,
    );
    assert!(
        !nobody
            .intervals
            .iter()
            .any(|i| i.state == State::RunUser.code())
    );
    let likely = Confidence::Likely.code();
    assert!(found.intervals.iter().any(|i| i.confidence == likely));
    assert!(nobody.intervals.iter().all(|i| i.confidence != likely));
    assert!(nobody.edges.iter().all(|e| e.confidence != likely));
}

#[test]
fn a_loss_hides_its_processor_and_nothing_is_continued_over_it() {
    let loss = Loss {
        span: Span::new(at(15), at(100)),
        kind: LossKind::Events(7),
    };
    let events = [
        (0, switch(Tid(0), 0, VCPU)),
        (10, ENTRY),
        (20, exit(INTR)),
        (120, switch(VCPU, 0x100, OTHER)),
        (130, switch(OTHER, 1, VCPU)),
    ];
    let options = Options {
        ..Options::default()
    };
    let found = run_with(vec![loss], options, 150, &events);
    let lane = lane(&found, Kind::Vcpu, "/vcpu:0");
    assert!(
        lane.contains(&(10, 15, State::Guest, Cause::None)),
        "{lane:?}"
    );
    assert!(
        lane.contains(&(15, 100, State::Unknown, Cause::Lost)),
        "{lane:?}"
    );
    assert!(
        lane.iter().all(|row| row.0 >= 100 || row.1 <= 100),
        "nothing crosses the loss: {lane:?}"
    );
}

#[test]
fn interrupts_are_lanes_where_they_are_wanted() {
    let loss = Loss {
        span: Span::new(at(60), at(100)),
        kind: LossKind::Events(7),
    };
    let events = [
        (0, switch(Tid(0), 0, VCPU)),
        (10, K::SoftirqEntry { vec: 1 }),
        (20, K::VectorEntry { vector: 236 }),
        (30, K::VectorExit { vector: 236 }),
        (40, K::SoftirqExit { vec: 1 }),
        (50, K::SoftirqEntry { vec: 1 }),
        (110, K::SoftirqEntry { vec: 1 }),
        (120, K::SoftirqExit { vec: 1 }),
    ];
    let options = Options {
        interrupts: true,
        ..Options::default()
    };
    let found = run_with(vec![loss], options, 150, &events);
    assert_eq!(
        lane(&found, Kind::Interrupt, "cpu:0/softirq:1"),
        [
            (10, 40, State::Running, Cause::Softirq),
            (40, 50, State::Off, Cause::None),
            (50, 60, State::Running, Cause::Softirq),
            (60, 100, State::Unknown, Cause::Lost),
            (100, 110, State::Unknown, Cause::NoEvidence),
            (110, 120, State::Running, Cause::Softirq),
            (120, 150, State::Off, Cause::None),
        ]
    );
    let vector = lane(&found, Kind::Interrupt, "cpu:0/vector:236");
    assert_eq!(vector[0], (20, 30, State::Running, Cause::Irq));
    let none = run_with(Vec::new(), Options::default(), 150, &events);
    let interrupt = |e: &virtflow_base::Entity| e.kind == Kind::Interrupt.code();
    assert!(!none.entities.iter().any(interrupt));
}

#[test]
fn every_lane_tiles_its_life() {
    for events in [
        preempted(),
        halted(&[(70, exit(HLT)), (75, switch(VCPU, 1, Tid(0)))]),
    ] {
        let found = run(200, &events);
        let mut ends = std::collections::HashMap::new();
        for i in &found.intervals {
            let lane = (i.entity, i.vcpu);
            if let Some(end) = ends.insert(lane, i.span.end) {
                assert_eq!(
                    end, i.span.start,
                    "{:?}",
                    found.entities[i.entity.0 as usize].key
                );
            }
        }
    }
}

#[test]
fn a_loss_inside_another_does_not_end_it() {
    let lost = |from, to| Loss {
        span: Span::new(at(from), at(to)),
        kind: LossKind::Events(1),
    };
    let events = [
        (10, switch(Tid(0), 0, OTHER)),
        (35, switch(OTHER, 1, QEMU)),
        (50, switch(QEMU, 1, OTHER)),
    ];
    // The last one is none at all.
    let losses = vec![lost(20, 40), lost(20, 30), lost(60, 25)];
    let found = run_with(losses, Options::default(), 70, &events);
    let cpu = lane(&found, Kind::Cpu, "cpu:0");
    assert!(
        cpu.iter()
            .all(|(from, to, state, _)| *from >= 40 || *to <= 20 || *state == State::Unknown),
        "{cpu:?}"
    );
    assert_eq!(cpu.last().unwrap().2, State::Running, "{cpu:?}");
}

#[test]
fn two_threads_that_say_the_same_number_are_two_vcpus() {
    let mut events = Vec::new();
    for (t, tid) in [(10, VCPU), (20, OTHER)] {
        events.extend([
            (t, switch(Tid(0), 0, tid)),
            (t + 1, enter(CR3_A)),
            (t + 2, exit(INTR)),
            (t + 3, left(CR3_A, 3)),
            (t + 4, switch(tid, 1, Tid(0))),
        ]);
    }
    let found = run(40, &events);
    let vcpus = found
        .entities
        .iter()
        .filter(|e| e.kind == Kind::Vcpu.code());
    let numbers: Vec<_> = vcpus.map(|e| e.vcpu).collect();
    assert_eq!(numbers, [Some(0), Some(1)]);
}
