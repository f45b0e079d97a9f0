//! State dumps: what they call VMs, and a second one.

use super::*;
use virtflow_events::Text;

fn vm(pid: Tid, name: &[u8]) -> K {
    K::StatedumpVm {
        pid,
        name: Text::new(name),
    }
}

/// Runs what a dump told, then events, a tick each.
fn run_after(dump: &[K], losses: Vec<Loss>, events: &[K]) -> Collected {
    let coverage = coverage(100, losses);
    let mut model = Model::new(&coverage, Options::default(), Collected::default());
    for told in dump {
        model.know(&record(*told));
    }
    for (t, event) in (1..).zip(events) {
        model.event(at(t), &record(*event));
    }
    model.finish().0
}

fn labels(found: &Collected) -> Vec<String> {
    let vms = found.entities.iter().filter(|e| e.kind == Kind::Vm.code());
    vms.map(|vm| String::from_utf8_lossy(&vm.label).into_owned())
        .collect()
}

/// Two VMs that one processor runs, one after the other.
fn two_vms() -> [K; 9] {
    const SECOND: Tid = Tid(301);
    [
        process(QEMU, QEMU),
        process(VCPU, QEMU),
        process(SECOND, Tid(300)),
        switch(Tid(0), 0, VCPU),
        ENTRY,
        exit(INTR),
        switch(VCPU, 1, SECOND),
        ENTRY,
        exit(INTR),
    ]
}

#[test]
fn a_vm_is_called_what_its_vmm_calls_it() {
    let named = [vm(QEMU, b"web-1"), vm(Tid(300), b""), vm(OTHER, b"no VM")];
    let found = run_after(&named, Vec::new(), &two_vms());
    assert_eq!(labels(&found), ["web-1", "vm:300"]);
    let same = [vm(QEMU, b"web-1"), vm(Tid(300), b"web-1")];
    let found = run_after(&same, Vec::new(), &two_vms());
    assert_eq!(labels(&found), ["web-1", "web-1:300"]);
}

#[test]
fn a_name_that_is_told_late_is_its_name() {
    let mut events = two_vms().to_vec();
    events.extend([vm(QEMU, b"web-1"), vm(Tid(300), b"web-1")]);
    let found = run_after(&[], Vec::new(), &events);
    assert_eq!(labels(&found), ["web-1", "web-1:300"]);
}

#[test]
fn a_process_takes_its_vms_name_with_it() {
    let mut events = vec![
        process(QEMU, QEMU),
        switch(Tid(0), 0, QEMU),
        K::ProcessExit { tid: QEMU },
        switch(QEMU, 0x80, Tid(0)),
        K::ProcessFree { tid: QEMU },
    ];
    events.extend(two_vms());
    let found = run_after(&[vm(QEMU, b"web-1")], Vec::new(), &events);
    assert_eq!(labels(&found)[0], format!("qemu:{QEMU}"));
}

/// The dump at the end says again what the events said: it moves no state.
#[test]
fn a_second_dump_changes_nothing_that_is_known() {
    let first = [process(QEMU, QEMU), process(VCPU, QEMU), vm(QEMU, b"web-1")];
    let mut once = two_vms()[3..].to_vec();
    once.insert(0, process(Tid(300), Tid(300)));
    once.insert(1, process(Tid(301), Tid(300)));
    let mut twice = once.clone();
    twice.push(K::StatedumpStart);
    twice.extend(first);
    twice.extend([process(Tid(300), Tid(300)), process(Tid(301), Tid(300))]);
    twice.push(K::StatedumpEnd);
    let (one, two) = (
        run_after(&first, Vec::new(), &once),
        run_after(&first, Vec::new(), &twice),
    );
    assert_eq!(one, two);
}

/// Of a thread that the first dump did not have, the second says that it waits: nothing happened to it
/// in between. Where events were lost it may have begun meanwhile.
#[test]
fn a_thread_of_the_second_dump_slept_unless_events_were_lost() {
    let slept = |losses| {
        let mut events = vec![switch(Tid(0), 0, VCPU); 60];
        events.push(process(OTHER, OTHER));
        let found = run_after(&[], losses, &events);
        lane(&found, Kind::Thread, &format!("thread:{OTHER}@1"))
    };
    let whole = slept(Vec::new());
    assert_eq!(whole[..], [(1, 100, State::Sleeping, Cause::None)]);
    let lost = slept(vec![Loss {
        kind: LossKind::Events(3),
        span: Span::new(at(20), at(30)),
    }]);
    assert!(lost.iter().all(|row| row.2 == State::Unknown), "{lost:?}");
}
