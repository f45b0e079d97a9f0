//! Windows over made-up lanes and threads.

use super::engine::{Live, LiveOptions};
use super::order::Incoming;
use super::row::RowKind;
use super::view::View;
use super::window::Windows;
use super::{TopHeader, TopLine};
use std::collections::BTreeMap;
use virtflow_base::{CpuId, Entity, EntityId, Interval, Sink, Span, Tid, Timestamp};
use virtflow_events::{Comm, KernelEvent as K, KernelRecord};
use virtflow_model::{Cause, Confidence, Kind, State, Yet};

const VM: u32 = 0;
const VCPU: u32 = 1;
const SECOND: i64 = 1_000_000_000;

fn at(t: i64) -> Timestamp {
    Timestamp::from_nanos(t)
}

fn entity(id: u32, kind: Kind, key: &str) -> Entity {
    Entity {
        id: EntityId(id),
        kind: kind.code(),
        key: key.into(),
        label: key.into(),
        parent: (id > VM).then_some(EntityId(VM)),
        vm: (id > VM).then_some(EntityId(VM)),
        vcpu: (id > VM).then_some(0),
        tid: None,
        pid: Some(7),
        cr3: None,
    }
}

fn interval(from: i64, to: i64, state: State) -> Interval {
    Interval {
        entity: EntityId(VCPU),
        span: Span::new(at(from), at(to)),
        state: state.code(),
        level: 1,
        cause: Cause::None.code(),
        confidence: Confidence::Proved.code(),
        evidence: 0,
        vcpu: None,
        by: None,
    }
}

fn windows() -> Windows {
    let mut windows = Windows::default();
    windows.begin(at(0));
    Sink::entity(&mut windows, &entity(VM, Kind::Vm, "vm:7@0"));
    Sink::entity(&mut windows, &entity(VCPU, Kind::Vcpu, "vm:7@0/vcpu:0"));
    windows
}

/// Numbers that look like chance and are always the same.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> i64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        i64::try_from((self.0 >> 33) % n).unwrap()
    }
}

/// However windows are cut, and however late intervals are told: each window adds up to its
/// length, all of them to the lane's life, and the sums since the beginning to the intervals'.
#[test]
fn windows_cut_anywhere_come_to_the_whole() {
    let states = [
        State::Guest,
        State::Hypervisor,
        State::Halted,
        State::Preempted,
    ];
    for seed in 0..200 {
        let mut dice = Dice(seed);
        let mut all = Vec::new();
        let mut t = 0;
        let mut truth: BTreeMap<State, i64> = BTreeMap::new();
        for _ in 0..40 {
            let length = 1 + dice.below(50);
            let state = states[dice.below(4) as usize];
            all.push(interval(t, t + length, state));
            *truth.entry(state).or_default() += length;
            t += length;
        }
        let mut windows = windows();
        let (mut told, mut before, mut walls) = (0, 0, 0);
        while before < t {
            let cut = before + 1 + dice.below(120);
            while told < all.len() && all[told].span.end <= at(cut) && dice.below(4) > 0 {
                windows.interval(&all[told]);
                told += 1;
            }
            let untold = all[told..].iter().filter(|i| i.span.start < at(cut));
            let open = untold.map(|i| {
                let span = Span::new(i.span.start, i.span.end.min(at(cut)));
                (Interval { span, ..*i }, Yet::WhyPending)
            });
            let view = windows.view(at(cut), &open.collect::<Vec<_>>(), None);
            let vcpu = &view.vms[0].children[0];
            assert_eq!((vcpu.kind, vcpu.residual_ns), (RowKind::Vcpu, 0));
            assert_eq!(vcpu.wall_ns, cut.min(t) - before, "{seed}");
            assert_eq!(vcpu.shares.all().iter().sum::<i64>(), vcpu.wall_ns);
            assert_eq!(view.vms[0].wall_ns, vcpu.wall_ns);
            walls += vcpu.wall_ns;
            before = cut;
        }
        assert_eq!(walls, t);
        for late in &all[told..] {
            windows.interval(late);
        }
        let totals = windows.totals(None, 0, Vec::new());
        let sums: BTreeMap<_, _> = totals.of[0]
            .total
            .states()
            .map(|(state, _, ns)| (state, ns))
            .collect();
        assert_eq!(sums, truth, "{seed}");
    }
}

#[test]
fn what_is_pending_is_told_apart() {
    let mut windows = windows();
    windows.interval(&interval(0, 40, State::Guest));
    let open = [
        (interval(40, 70, State::Halted), Yet::WhyPending),
        (interval(70, 100, State::Guest), Yet::Pending),
    ];
    let view = windows.view(at(100), &open, None);
    let shares = view.vms[0].shares;
    assert_eq!(
        (shares.run_ns, shares.halted_ns, shares.pending_ns),
        (40, 30, 30)
    );
    let halted = view.vms[0]
        .states
        .iter()
        .find(|part| part.state == State::Halted);
    assert_eq!(halted.unwrap().pending, Yet::WhyPending);
}

#[test]
fn vms_are_chosen_by_label_key_or_pid() {
    for (wanted, found) in [("vm:7", 1), ("7", 1), ("db", 0)] {
        let mut windows = windows();
        windows.interval(&interval(0, 10, State::Guest));
        let view = windows.view(at(10), &[], Some(wanted));
        assert_eq!(view.vms.len(), found, "{wanted}");
        assert_eq!(windows.totals(Some(wanted), 0, Vec::new()).of.len(), found);
    }
}

fn record(event: K) -> KernelRecord {
    KernelRecord {
        cpu: CpuId(0),
        context: None,
        event,
    }
}

fn switch(prev: i32, prev_state: u32, next: i32) -> KernelRecord {
    record(K::SchedSwitch {
        prev: Tid(prev),
        next: Tid(next),
        prev_state,
        prev_comm: Comm::new(b"a"),
        next_comm: Comm::new(b"a"),
        next_prio: 20,
    })
}

fn live() -> Live {
    Live::new(
        1,
        at(0),
        LiveOptions {
            every_ns: SECOND,
            vm: None,
            entry_probed: false,
            vcpus_named: false,
            migrations_told: false,
        },
    )
}

/// Days of threads that come and go take no more room than an hour of them.
#[test]
fn what_is_over_is_forgotten() {
    let mut live = live();
    let mut kept = Vec::new();
    for n in 0..4_000_i32 {
        let t = i64::from(n) * SECOND;
        let tid = 100 + n;
        let fork = record(K::ProcessFork {
            parent: Tid(1),
            parent_pid: Some(Tid(1)),
            child: Tid(tid),
            child_pid: Some(Tid(tid)),
            child_comm: Comm::new(b"a"),
            child_ns: None,
        });
        let events = [
            (10, switch(0, 0, 1)),
            (20, fork),
            (30, switch(1, 1, tid)),
            (40, record(K::ProcessExit { tid: Tid(tid) })),
            (50, switch(tid, 0x80, 0)),
        ];
        for (after, event) in events {
            live.event(at(t + after), &event, &mut |_| ());
        }
        let (living, entities) = live.living();
        kept.push((living.threads, entities));
    }
    let [early, late] = [kept[100], kept[3_999]];
    assert_eq!(early, late);
    assert!(late.0 <= 4 && late.1 <= 20, "{late:?}");
}

#[test]
fn windows_end_though_nothing_happens_and_long_silence_is_one() {
    let mut live = live();
    let mut views: Vec<View> = Vec::new();
    live.event(at(10), &switch(0, 0, 1), &mut |view| views.push(view));
    live.advance(at(3 * SECOND), &mut |view| views.push(view));
    assert_eq!(views.len(), 3);
    assert_eq!((views[0].events, views[1].events), (1, 0));
    assert_eq!(views[1].cpus[0].shares.run_ns, SECOND);
    live.event(at(i64::MAX - 1), &switch(1, 1, 0), &mut |view| {
        views.push(view)
    });
    assert!(views.len() <= 5, "{}", views.len());
    let ends: Vec<_> = views
        .windows(2)
        .map(|pair| (pair[0].end, pair[1].start))
        .collect();
    assert!(ends.iter().all(|(end, start)| end == start));
}

const SWITCH: &str = "name: irq_softirq_entry\nID: 3\n\
    \tfield:u64 common_time;offset:0;size:8;signed:0;\n\
    \tfield:u16 common_type;offset:8;size:2;signed:0;\n\
    \tfield:u16 common_cpu;offset:10;size:2;signed:0;\n\
    \tfield:int common_pid;offset:12;size:4;signed:1;\n\
    \tfield:int common_tgid;offset:16;size:4;signed:1;\n\
    \tfield:u32 vec;offset:20;size:4;signed:0;\n";

fn softirq(time: u64, cpu: u16) -> Vec<u8> {
    let mut bytes = time.to_le_bytes().to_vec();
    bytes.extend(3_u16.to_le_bytes());
    bytes.extend(cpu.to_le_bytes());
    bytes.resize(24, 0);
    bytes
}

#[test]
fn records_come_in_order_and_losses_with_their_time() {
    let mut incoming = Incoming::new([(SWITCH, None)], 1_000, 5).unwrap();
    for (time, cpu) in [(30, 0), (4, 0), (20, 1), (20, 0), (40, 0)] {
        incoming.take(&softirq(time, cpu));
    }
    incoming.take(b"short");
    let mut given = Vec::new();
    let until = incoming.time(40);
    incoming.give(until, |t, record| given.push((t.as_nanos(), record.cpu.0)));
    // What was before the beginning is none; what is at the end waits.
    assert_eq!(given, [(1_020, 0), (1_020, 1), (1_030, 0)]);
    assert_eq!(incoming.waiting(), 1);
    let now = incoming.time(50);
    let losses = incoming.losses(&[0, 7], now);
    assert_eq!(losses, [(CpuId(1), Span::new(at(1_005), at(1_050)), 7)]);
    let later = incoming.time(60);
    assert_eq!(incoming.losses(&[0, 7], later), []);
}

#[test]
fn the_schema_of_lines_is_current_and_holds() {
    let schema = schemars::schema_for!(TopLine);
    let schema = crate::report::shipped("top-1.json", &schema);
    let mut windows = windows();
    windows.interval(&interval(0, 40, State::Preempted));
    let view = windows.view(at(100), &[], None);
    crate::report::assert_valid(&schema, &TopLine::Header(TopHeader::default()));
    crate::report::assert_valid(&schema, &TopLine::Window(view.line()));
    view.rows(&mut |row, _| {
        crate::report::assert_valid(&schema, &TopLine::Row(Box::new(row.alone())));
    });
}
