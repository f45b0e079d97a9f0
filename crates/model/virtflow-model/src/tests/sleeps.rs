//! What ends a vCPU's sleep, and what keeps its thread from running.

use super::*;
use virtflow_events::Text;

/// A vCPU halts at 20, is woken at 51 in whatever `waker` leaves behind, and goes on at 60 with `after`.
fn halted_until(waker: &[(i64, K)], after: &[(i64, K)]) -> Vec<(i64, K)> {
    let mut events = vec![
        (0, switch(Tid(0), 0, VCPU)),
        (10, ENTRY),
        (20, exit(HLT)),
        (25, switch(VCPU, 1, Tid(0))),
    ];
    events.extend_from_slice(waker);
    events.extend_from_slice(after);
    events
}

fn halt_of(found: &Collected) -> Cause {
    let lane = lane(found, Kind::Vcpu, "/vcpu:0");
    let halt = lane.iter().find(|row| row.2 == State::Halted);
    halt.map(|row| row.3).unwrap()
}

#[test]
fn a_device_of_the_vms_own_wakes_it_from_its_interrupt() {
    let vfio = K::IrqEntry {
        irq: 40,
        name: Text::new(b"vfio-msix[0](0000:01:00.0)"),
    };
    let waker = [
        (50, vfio),
        (51, accept(50)),
        (52, waking(VCPU)),
        (53, K::IrqExit { irq: 40 }),
    ];
    let after = [(60, switch(Tid(0), 0, VCPU)), (62, ENTRY), (70, exit(INTR))];
    let found = run(80, &halted_until(&waker, &after));
    assert_eq!(halt_of(&found), Cause::Vfio);
}

#[test]
fn a_posted_wake_up_is_the_assigned_devices_if_there_is_one() {
    let assigned = K::KvmPiIrteUpdate {
        host_irq: 40,
        vcpu: 0,
        gsi: 24,
        vector: 50,
        set: true,
    };
    // The wake-up vector has no event of its own: an interrupt without a device.
    let waker = [
        (
            50,
            K::IrqEntry {
                irq: 9,
                name: Text::new(b"other"),
            },
        ),
        (51, waking(VCPU)),
        (52, K::IrqExit { irq: 9 }),
    ];
    let after = [(60, switch(Tid(0), 0, VCPU)), (62, ENTRY), (70, exit(INTR))];
    let mut events = halted_until(&waker, &after);
    assert_eq!(halt_of(&run(80, &events)), Cause::NoEvidence);
    events.insert(2, (15, assigned));
    assert_eq!(halt_of(&run(80, &events)), Cause::Vfio);
}

#[test]
fn a_kick_that_brings_no_interrupt_is_the_vmms() {
    let waker = [
        (40, switch(Tid(0), 0, QEMU)),
        (50, waking(VCPU)),
        (55, switch(QEMU, 1, VCPU)),
    ];
    let interrupted = K::KvmUserspaceExit {
        reason: 10,
        errno: 0,
    };
    let found = run(80, &halted_until(&waker, &[(60, interrupted), (70, ENTRY)]));
    assert_eq!(halt_of(&found), Cause::VmmKick);
    // With an interrupt it was that.
    let found = run(
        80,
        &halted_until(&waker, &[(58, accept(236)), (60, interrupted)]),
    );
    assert_ne!(halt_of(&found), Cause::VmmKick);
}

#[test]
fn preempted_by_nobody_is_throttled() {
    let events = [
        (0, switch(Tid(0), 0, VCPU)),
        (10, ENTRY),
        (20, exit(INTR)),
        (25, switch(VCPU, 0, Tid(0))),
        (40, switch(Tid(0), 0, OTHER)),
        (50, switch(OTHER, 1, Tid(0))),
        (60, switch(Tid(0), 0, VCPU)),
        (65, ENTRY),
    ];
    let migrations_told = Options {
        migrations_told: true,
        ..Options::default()
    };
    let found = run_with(Vec::new(), migrations_told, 80, &events);
    assert_eq!(
        lane(&found, Kind::Vcpu, "/vcpu:0")[3..6],
        [
            (25, 40, State::Throttled, Cause::None),
            (40, 50, State::Preempted, Cause::None),
            (50, 60, State::Throttled, Cause::None),
        ]
    );
    // Where it may have been moved to another processor's queue unseen it has only lost this one.
    let found = run(80, &events);
    assert_eq!(
        lane(&found, Kind::Vcpu, "/vcpu:0")[3],
        (25, 40, State::Preempted, Cause::None)
    );
}
