//! vCPUs of which no entry into the guest is told.

use super::*;
use virtflow_events::Text;

const RETURN: K = K::KvmUserspaceExit {
    reason: 2,
    errno: 0,
};

fn run_begins() -> K {
    K::KvmFpu { load: true }
}

#[test]
fn a_thread_that_comes_back_from_kvm_run_is_a_vcpu_that_can_be_preempted() {
    let found = run(
        80,
        &[
            (0, switch(Tid(0), 0, VCPU)),
            (10, RETURN),
            (20, RETURN),
            (30, switch(VCPU, 0x100, OTHER)),
            (40, switch(OTHER, 1, VCPU)),
            (50, RETURN),
            (60, switch(VCPU, 1, Tid(0))),
        ],
    );
    assert_eq!(
        lane(&found, Kind::Vcpu, "/vcpu:0"),
        [
            // Before it was known for a vCPU, too, nothing tells the guest from the rest.
            (0, 30, State::Unknown, Cause::NoEvidence),
            (30, 40, State::Preempted, Cause::None),
            (40, 60, State::Unknown, Cause::NoEvidence),
            (60, 80, State::BlockedOnHost, Cause::NoEvidence),
        ]
    );
}

#[test]
fn the_vmm_has_a_vcpu_between_two_runs_where_both_ends_are_told() {
    let found = run(
        80,
        &[
            (0, switch(Tid(0), 0, VCPU)),
            (5, RETURN),
            (10, run_begins()),
            (20, RETURN),
            (25, run_begins()),
            (40, K::KvmFpu { load: false }),
            (42, RETURN),
            (50, switch(VCPU, 1, Tid(0))),
            (70, switch(Tid(0), 0, VCPU)),
            (75, run_begins()),
        ],
    );
    assert_eq!(
        lane(&found, Kind::Vcpu, "/vcpu:0"),
        [
            (0, 42, State::Unknown, Cause::NoEvidence),
            (42, 50, State::Vmm, Cause::VmmIo),
            (50, 70, State::BlockedOnHost, Cause::HostIo),
            (70, 75, State::Vmm, Cause::VmmIo),
            (75, 80, State::Unknown, Cause::NoEvidence),
        ]
    );
}

#[test]
fn a_halt_is_one_where_kvm_says_so_when_it_is_over() {
    let halted = |waited| K::KvmVcpuWakeup {
        ns: 20,
        waited,
        valid: true,
    };
    let timer = K::HrtimerExpireEntry {
        hrtimer: 1,
        function: 7,
        now: 0,
    };
    let found = run(
        120,
        &[
            (0, switch(Tid(0), 0, VCPU)),
            (5, RETURN),
            (10, RETURN),
            (20, switch(VCPU, 1, Tid(0))),
            (40, timer),
            (41, waking(VCPU)),
            (42, K::HrtimerExpireExit { hrtimer: 1 }),
            (50, switch(Tid(0), 0, VCPU)),
            (52, halted(true)),
            // Of this sleep nothing tells whether the guest had halted.
            (60, switch(VCPU, 1, Tid(0))),
            (70, waking(VCPU)),
            (80, switch(Tid(0), 0, VCPU)),
            (82, RETURN),
            (84, halted(true)),
        ],
    );
    assert_eq!(
        lane(&found, Kind::Vcpu, "/vcpu:0"),
        [
            (0, 20, State::Unknown, Cause::NoEvidence),
            (20, 41, State::Halted, Cause::Timer),
            (41, 50, State::Runnable, Cause::None),
            (50, 60, State::Unknown, Cause::NoEvidence),
            (60, 70, State::BlockedOnHost, Cause::NoEvidence),
            (70, 80, State::Runnable, Cause::None),
            (80, 120, State::Unknown, Cause::NoEvidence),
        ]
    );
}

#[test]
fn an_entry_after_a_return_says_which_vcpu_it_is() {
    let third = K::KvmExit(ExitInfo {
        reason: HLT,
        isa: Some(2),
        rip: None,
        info1: 0,
        info2: 0,
        intr_info: 0,
        vcpu: Some(3),
    });
    let found = run(
        40,
        &[
            (0, switch(Tid(0), 0, OTHER)),
            (10, RETURN),
            (20, third),
            (25, RETURN),
            (30, RETURN),
        ],
    );
    assert_eq!(
        lane(&found, Kind::Vcpu, "/vcpu:3"),
        [
            (0, 20, State::Vmm, Cause::VmmOther),
            (20, 25, State::Hypervisor, Cause::ExitHlt),
            (25, 40, State::Vmm, Cause::VmmIo),
        ]
    );
}

/// The recorder saw another thread than the last switch told.
#[test]
fn who_is_seen_on_a_processor_has_it() {
    let seen = K::ThreadRuns {
        tid: VCPU,
        pid: QEMU,
    };
    let found = run(
        60,
        &[
            (0, switch(Tid(0), 0, OTHER)),
            (10, waking(Tid(300))),
            (20, seen),
            (20, RETURN),
            (25, RETURN),
            (30, switch(VCPU, 0x100, OTHER)),
            (40, switch(OTHER, 1, VCPU)),
        ],
    );
    let other = lane(&found, Kind::Thread, &format!("thread:{OTHER}@0"));
    assert_eq!(
        other,
        [
            // The recorder saw it at each event until then.
            (0, 10, State::Running, Cause::None),
            // It may have slept, or not.
            (10, 20, State::Unknown, Cause::NoEvidence),
            (20, 30, State::Unknown, Cause::NoEvidence),
            (30, 40, State::Running, Cause::None),
            (40, 60, State::Sleeping, Cause::None),
        ]
    );
    let vm = found.entities.iter().find(|e| e.kind == Kind::Vm.code());
    assert_eq!(vm.and_then(|vm| vm.pid), Some(QEMU.0), "not OTHER's");
    assert_eq!(
        lane(&found, Kind::Vcpu, "/vcpu:0"),
        [
            // Since when it ran is not known, either.
            (0, 20, State::Unknown, Cause::NoEvidence),
            (20, 30, State::Unknown, Cause::NoEvidence),
            (30, 40, State::Preempted, Cause::None),
            (40, 60, State::Unknown, Cause::NoEvidence),
        ]
    );
}

/// Nothing of KVM's is recorded.
fn run_named(known: &[K], end: i64, events: &[(i64, K)]) -> Collected {
    let options = Options {
        vcpus_named: true,
        ..Options::default()
    };
    let mut model = Model::new(&coverage(end, Vec::new()), options, Collected::default());
    for told in known {
        model.know(&record(*told));
    }
    for (t, event) in events {
        model.event(at(*t), &record(*event));
    }
    let (found, counts) = model.finish();
    let vcpus = found
        .entities
        .iter()
        .filter(|e| e.kind == Kind::Vcpu.code());
    assert_eq!(counts.named_vcpus, vcpus.count() as u64);
    found
}

/// Gets a processor, is pre-empted, sleeps and is woken.
fn scheduled() -> [(i64, K); 5] {
    [
        (10, switch(Tid(0), 0, VCPU)),
        (30, switch(VCPU, 0x100, OTHER)),
        (40, switch(OTHER, 1, VCPU)),
        (60, switch(VCPU, 1, Tid(0))),
        (70, waking(VCPU)),
    ]
}

#[test]
fn without_kvms_events_a_vcpu_is_known_by_its_threads_name() {
    let known = [process(QEMU, QEMU), process(VCPU, QEMU)];
    let found = run_named(&known, 80, &scheduled());
    let scheduling = [
        (0, 10, State::Runnable, Cause::None),
        // Guest, hypervisor or VMM: nothing tells.
        (10, 30, State::Unknown, Cause::NoEvidence),
        (30, 40, State::Preempted, Cause::None),
        (40, 60, State::Unknown, Cause::NoEvidence),
        (60, 70, State::BlockedOnHost, Cause::NoEvidence),
        (70, 80, State::Runnable, Cause::None),
    ];
    assert_eq!(lane(&found, Kind::Vcpu, "/vcpu:0"), scheduling);
    let vm = found.entities.iter().find(|e| e.kind == Kind::Vm.code());
    assert_eq!(vm.and_then(|vm| vm.pid), Some(QEMU.0));

    // With them they tell, and a name alone says nothing.
    let found = run(80, &scheduled());
    assert!(found.entities.iter().all(|e| e.kind != Kind::Vcpu.code()));
    // Nor does it where the process is not known.
    let found = run_named(&[], 80, &scheduled());
    assert!(found.entities.iter().all(|e| e.kind != Kind::Vcpu.code()));
}

#[test]
fn a_dump_says_which_threads_are_vcpus_whatever_they_are_called() {
    let role = |tid, vcpu, role| K::StatedumpRole {
        tid,
        vm_pid: QEMU,
        vcpu,
        role: Text::new(role),
    };
    let known = [
        process(QEMU, QEMU),
        process(OTHER, QEMU),
        role(QEMU, None, b"main"),
        role(OTHER, Some(3), b"vcpu"),
    ];
    // Told again at the end, it is no other.
    let end = [(70, role(OTHER, Some(3), b"vcpu"))];
    let found = run_named(&known, 80, &[&scheduled()[..4], &end].concat());
    assert_eq!(
        lane(&found, Kind::Vcpu, "/vcpu:3"),
        [
            (0, 30, State::Runnable, Cause::None),
            (30, 40, State::Unknown, Cause::NoEvidence),
            (40, 80, State::BlockedOnHost, Cause::NoEvidence),
        ]
    );
}

#[test]
fn a_thread_that_a_vcpu_makes_has_its_name_and_is_none() {
    let born = K::ProcessFork {
        parent: VCPU,
        parent_pid: Some(QEMU),
        child: Tid(102),
        child_pid: Some(QEMU),
        child_comm: comm(VCPU),
        child_ns: None,
    };
    let runs = |name: &[u8]| K::SchedSwitch {
        prev: Tid(0),
        next: Tid(102),
        prev_state: 0,
        prev_comm: comm(Tid(0)),
        next_comm: Comm::new(name),
        next_prio: 20,
    };
    let events = |name| [(10, born), (20, runs(b"CPU 0/KVM")), (30, runs(name))];
    let vcpus = |found: &Collected| {
        let all = found.entities.iter();
        let vcpus = all.filter(|e| e.kind == Kind::Vcpu.code());
        vcpus.map(|e| e.tid).collect::<Vec<_>>()
    };
    let known = [process(QEMU, QEMU)];
    assert_eq!(vcpus(&run_named(&known, 40, &events(b"worker"))), []);
    // Its own name is another matter, unless another vCPU has it.
    let found = run_named(&known, 40, &events(b"CPU 1/KVM"));
    assert_eq!(vcpus(&found), [Some(102)]);
    let known = [process(QEMU, QEMU), process(VCPU, QEMU)];
    let found = run_named(
        &known,
        40,
        &[(10, runs(b"CPU 0/KVM")), (20, switch(Tid(102), 1, VCPU))],
    );
    assert_eq!(vcpus(&found), [Some(VCPU.0)]);
}

#[test]
fn a_named_vcpu_is_one_whatever_else_tells_of_it() {
    // A probe that names the process of a thread with a vCPU's name.
    let found = run_named(
        &[],
        40,
        &[(10, switch(Tid(0), 0, VCPU)), (20, enter(CR3_A))],
    );
    let vcpus = found
        .entities
        .iter()
        .filter(|e| e.kind == Kind::Vcpu.code());
    assert_eq!(vcpus.map(|e| e.vcpu).collect::<Vec<_>>(), [Some(0)]);
    // An injection does not say that it was in the hypervisor all the time.
    let injected = K::KvmInjVirq {
        vector: 0xec,
        reinjected: None,
    };
    let known = [process(QEMU, QEMU), process(VCPU, QEMU)];
    let events = [(10, switch(Tid(0), 0, VCPU)), (20, injected)];
    let found = run_named(&known, 40, &events);
    assert_eq!(
        lane(&found, Kind::Vcpu, "/vcpu:0").last(),
        Some(&(10, 40, State::Unknown, Cause::NoEvidence))
    );
}
