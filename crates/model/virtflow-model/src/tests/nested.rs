//! Guests of guests.

use super::*;

const HYPERCALL: u32 = 0x81;

/// An exit that the host gives to the guest's hypervisor.
const fn given(exit: u32) -> K {
    K::KvmNestedExitInject {
        exit,
        int_info: 0,
        isa: Some(2),
    }
}

const fn enter_block(vmcb: u64) -> K {
    K::KvmNestedEnter {
        rip: 1,
        vmcb,
        nested_rip: 2,
        event_inj: 0,
        guest_pgd: None,
    }
}

/// What the probe reads at an exit out of a nested guest.
const fn left_nested(cr3: u64) -> K {
    K::VcpuExitGuest {
        vcpu: 0,
        cr3,
        cpl: 0,
        guest_mode: true,
        stack: GuestStack::NONE,
    }
}

#[test]
fn a_nested_guest_runs_at_level_two_and_its_exits_are_told_apart() {
    let enter2 = K::KvmNestedEnter {
        rip: 1,
        vmcb: 0x7000,
        nested_rip: 2,
        event_inj: 0,
        guest_pgd: None,
    };
    let events = [
        (0, switch(Tid(0), 0, VCPU)),
        (10, ENTRY),
        (20, exit(VMRUN)),
        (21, left(CR3_A, 0)),
        (25, enter2),
        (30, ENTRY),
        (40, exit(INTR)),
        (50, ENTRY),
        (60, exit(HLT)),
        (
            62,
            K::KvmNestedExitInject {
                exit: HLT,
                int_info: 0,
                isa: Some(2),
            },
        ),
        (70, ENTRY),
        (80, exit(VMRUN)),
        (
            85,
            K::KvmNestedEnter {
                rip: 1,
                vmcb: 0x7000,
                nested_rip: 2,
                event_inj: 0x8000_00ec,
                guest_pgd: None,
            },
        ),
        (90, ENTRY),
    ];
    let found = run(100, &events);
    let key = format!("/L2:{CR3_A:x}/vcpu:7000");
    assert_eq!(
        lane(&found, Kind::NestedVcpu, &key),
        [
            (25, 30, State::L0Handling, Cause::ExitNested),
            (30, 40, State::Guest, Cause::None),
            (40, 50, State::L0Handling, Cause::ExitIrq),
            (50, 60, State::Guest, Cause::None),
            (60, 62, State::L0Handling, Cause::ExitHlt),
            (62, 85, State::Halted, Cause::Ambiguous),
            (85, 90, State::L0Handling, Cause::ExitNested),
            (90, 100, State::Guest, Cause::None),
        ]
    );
    let mut levels = found
        .intervals
        .iter()
        .filter(|i| i.state == State::Guest.code() && i.span.start == at(30));
    assert!(levels.all(|i| i.level == 2));
    assert!(found.exits.iter().any(|e| e.reflected && e.reason == HLT));
}

/// The states of a nested vCPU with the levels at which its processor was.
fn states(found: &Collected, key: &str) -> Vec<(i64, i64, State, u8)> {
    let ours = |i: &&virtflow_base::Interval| {
        let entity = &found.entities[i.entity.0 as usize];
        entity.kind == Kind::NestedVcpu.code() && entity.key.ends_with(key)
    };
    let rows = found.intervals.iter().filter(ours).map(|i| {
        let state = State::from_code(i.state).unwrap();
        (
            i.span.start.as_nanos(),
            i.span.end.as_nanos(),
            state,
            i.level,
        )
    });
    rows.collect()
}

#[test]
fn what_a_nested_guest_asks_for_runs_at_level_three() {
    const IN_L2: u64 = 0x9000;
    const OTHER: u64 = 0xb000;
    let enter_l2 = |cr3| K::VcpuEnterGuest {
        vcpu: 0,
        cr3,
        rip: u64::MAX,
        guest_mode: true,
        l1_cr3: std::num::NonZeroU64::new(CR3_A),
        block: std::num::NonZeroU64::new(0x7000),
        vm_pid: QEMU,
        stack: GuestStack::NONE,
    };
    let events = [
        (0, switch(Tid(0), 0, VCPU)),
        (10, ENTRY),
        (20, exit(VMRUN)),
        (21, left(CR3_A, 0)),
        (25, enter_block(0x7000)),
        (30, ENTRY),
        // L2 runs a guest of its own: the host gives that to L1, which carries it out.
        (40, exit(VMRUN)),
        (41, left_nested(IN_L2)),
        (42, given(VMRUN)),
        (50, ENTRY),
        (60, exit(VMRUN)),
        (61, left(CR3_A, 0)),
        (65, enter_block(0x8000)),
        (70, ENTRY),
        // L3 does what L2 must handle.
        (80, exit(HYPERCALL)),
        (81, left_nested(0x5000)),
        (82, given(HYPERCALL)),
        (90, ENTRY),
        (100, exit(VMRUN)),
        (101, left(CR3_A, 0)),
        (105, enter_block(0x7000)),
        (110, ENTRY),
        // L2's scheduler takes the processor from the process that runs L3.
        (120, exit(INTR)),
        (121, left_nested(IN_L2)),
        (130, ENTRY),
        (131, enter_l2(OTHER)),
    ];
    let found = run(140, &events);
    let inner = format!("/L2:{CR3_A:x}/L3:{IN_L2:x}/vcpu:8000");
    assert_eq!(
        states(&found, &inner),
        [
            (65, 70, State::L0Handling, 3),
            (70, 80, State::Guest, 3),
            (80, 90, State::L0Handling, 3),
            (90, 100, State::L1Handling, 3),
            (100, 110, State::L0Handling, 3),
            (110, 120, State::L2Handling, 3),
            (120, 130, State::L0Handling, 3),
            (130, 140, State::PreemptedL2, 3),
        ]
    );
    let outer = states(&found, &format!("/L2:{CR3_A:x}/vcpu:7000"));
    assert!(outer.contains(&(70, 80, State::Guest, 3)), "{outer:?}");
    assert!(outer.contains(&(110, 120, State::Guest, 2)), "{outer:?}");
    let by = found
        .intervals
        .iter()
        .find(|i| i.state == State::PreemptedL2.code());
    let by = &found.entities[by.unwrap().by.unwrap().0 as usize];
    assert!(
        by.key.ends_with(&format!("/L2:{CR3_A:x}/cr3:{OTHER:x}#0")),
        "{}",
        by.key
    );
}
