//! A small machine whose figures are known, and the shipped schemas.

use super::*;
use std::path::Path;
use virtflow_base::{Entity, EntityId, Exit, Interval, Sink, Timestamp};
use virtflow_model::{Cause, Confidence, State};

const MACHINE_NS: i64 = 1_000;

fn entity(id: u32, kind: Kind, key: &str, label: &str) -> Entity {
    Entity {
        id: EntityId(id),
        kind: kind.code(),
        key: key.into(),
        label: label.into(),
        parent: None,
        vm: None,
        vcpu: None,
        tid: None,
        pid: None,
        cr3: None,
    }
}

/// What an interval says besides when and whose it is.
struct Says(State, Cause, Confidence, Option<u32>);

fn interval(entity: u32, from: i64, to: i64, says: &Says) -> Interval {
    Interval {
        entity: EntityId(entity),
        span: Span::new(Timestamp::from_nanos(from), Timestamp::from_nanos(to)),
        state: says.0.code(),
        level: 1,
        cause: says.1.code(),
        confidence: says.2.code(),
        evidence: 0,
        vcpu: None,
        by: says.3.map(EntityId),
    }
}

fn exit(from: i64, to: i64, reason: u32, entered_again: bool) -> Exit {
    Exit {
        vcpu: EntityId(2),
        nested: None,
        span: Span::new(Timestamp::from_nanos(from), Timestamp::from_nanos(to)),
        entered_again,
        reason,
        isa: 1,
        class: 0,
        kernel_ns: to - from,
        vmm_ns: 0,
        off_cpu_ns: 0,
        reflected: false,
    }
}

/// One VM with one virtual processor, a helper thread of its VMM, a hog, and a guest process.
fn sums() -> Budgets {
    let mut budgets = Budgets::new(Span::ALL);
    let vm = entity(0, Kind::Vm, "vm:7@0", "web:7");
    let thread = entity(1, Kind::Thread, "thread:8@0", "CPU 0/KVM");
    let vcpu = entity(2, Kind::Vcpu, "vm:7@0/vcpu:0", "CPU 0/KVM");
    let helper = entity(3, Kind::Thread, "thread:9@0", "vhost-7");
    let hog = entity(4, Kind::Thread, "thread:10@0", "hog");
    let process = entity(5, Kind::Process, "vm:7@0/cr3:1000#0", "cr3 0x1000");
    let idle = entity(6, Kind::Process, "vm:7@0/vcpu:0/idle", "idle");
    for entity in [
        Entity { pid: Some(7), ..vm },
        Entity {
            pid: Some(7),
            tid: Some(8),
            ..thread
        },
        Entity {
            pid: Some(7),
            tid: Some(8),
            vm: Some(EntityId(0)),
            vcpu: Some(0),
            ..vcpu
        },
        Entity {
            pid: Some(2),
            tid: Some(9),
            ..helper
        },
        Entity {
            pid: Some(10),
            tid: Some(10),
            ..hog
        },
        Entity {
            pid: Some(7),
            vm: Some(EntityId(0)),
            cr3: Some(0x1000),
            ..process
        },
        Entity {
            pid: Some(7),
            vm: Some(EntityId(0)),
            ..idle
        },
    ] {
        Sink::entity(&mut budgets, &entity);
    }
    let (proved, likely) = (Confidence::Proved, Confidence::Likely);
    for (entity, from, to, says) in [
        (2, 0, 400, Says(State::Guest, Cause::None, proved, None)),
        (
            2,
            400,
            450,
            Says(State::Hypervisor, Cause::ExitMsr, proved, None),
        ),
        (
            2,
            450,
            500,
            Says(State::Preempted, Cause::None, proved, Some(4)),
        ),
        (
            2,
            500,
            530,
            Says(State::Preempted, Cause::None, proved, Some(3)),
        ),
        (2, 530, 700, Says(State::Halted, Cause::Timer, proved, None)),
        (
            2,
            700,
            720,
            Says(State::Runnable, Cause::None, proved, Some(4)),
        ),
        (2, 720, 990, Says(State::Halted, Cause::Idle, likely, None)),
        (
            2,
            990,
            MACHINE_NS,
            Says(State::Unknown, Cause::Lost, proved, None),
        ),
        (5, 0, 300, Says(State::RunUser, Cause::None, proved, None)),
        (
            5,
            300,
            450,
            Says(State::RunKernel, Cause::None, likely, None),
        ),
        (
            5,
            450,
            MACHINE_NS,
            Says(State::Waiting, Cause::Disk, likely, None),
        ),
        (
            6,
            500,
            MACHINE_NS,
            Says(State::Idle, Cause::None, likely, None),
        ),
        (
            4,
            0,
            MACHINE_NS,
            Says(State::Running, Cause::None, proved, None),
        ),
    ] {
        budgets.interval(&interval(entity, from, to, &says));
    }
    for (from, to, reason, entered) in [
        (400, 450, 32, true),
        (500, 510, 32, true),
        (530, 990, 12, false),
    ] {
        Sink::exit(&mut budgets, &exit(from, to, reason, entered));
    }
    budgets
}

fn request(vm: Option<&str>) -> Request {
    Request {
        range: Span::ALL,
        vm: vm.map(str::to_owned),
        proved_only: false,
    }
}

fn machine(vm: Option<&str>) -> MachineReport {
    of_budgets(&sums(), &Facts::default(), &request(vm))
}

#[test]
fn budgets_sum_to_wall_time() {
    let machine = machine(None);
    let vcpu = &machine.vms[0].vcpus[0];
    assert_eq!(
        (vcpu.budget.wall_ns, vcpu.budget.residual_ns),
        (MACHINE_NS, 0)
    );
    assert_eq!(vcpu.budget.ns(|_| true), MACHINE_NS);
    assert_eq!(
        vcpu.budget.in_states(&[State::Preempted, State::Runnable]),
        100
    );
    assert_eq!(
        machine.vms[0].budget.by_cause(State::Halted)[0].0,
        Cause::Idle
    );
}

#[test]
fn idle_waits_are_in_the_raw_figures_alone() {
    let waits = &machine(None).vms[0].waits;
    assert_eq!((waits.raw.count, waits.raw.total_ns), (2, 440));
    assert_eq!((waits.filtered.count, waits.filtered.total_ns), (1, 170));
}

#[test]
fn culprits_are_named_and_sum_to_what_was_taken() {
    let machine = machine(None);
    let takers = &machine.vms[0].vcpus[0].taken_by;
    let named: Vec<_> = takers
        .iter()
        .map(|t| (t.group.as_str(), t.kind, t.total_ns()))
        .collect();
    assert_eq!(
        named,
        [
            ("hog:10", TakerKind::Thread, 70),
            ("web:7", TakerKind::VmHelper, 30)
        ]
    );
    assert_eq!((takers[0].preempted_ns, takers[0].runnable_ns), (50, 20));
}

#[test]
fn exits_without_an_entry_are_counted_apart() {
    let machine = machine(None);
    let vcpu = &machine.vms[0].vcpus[0];
    assert_eq!((vcpu.exit_count, vcpu.open_exit_count), (2, 1));
    assert_eq!(vcpu.exits[0].latency.total_ns, 60);
    assert_eq!(vcpu.exits[0].kernel_ns, 60);
}

#[test]
fn processes_are_told_from_the_lanes_of_the_guest() {
    let guest = &machine(None).vms[0].guest;
    assert_eq!(guest.processes.len(), 1);
    let process = &guest.processes[0];
    assert_eq!((process.ran_ns, process.ran_proved_ns), (450, 300));
    assert_eq!((guest.idle.wall_ns, guest.kernel.lanes), (500, 0));
    assert_eq!(guest.waits.by_cause[0].cause, Cause::Disk);
}

#[test]
fn vms_are_chosen_by_label_key_or_pid() {
    for wanted in ["web", "vm:7", "7"] {
        assert_eq!(machine(Some(wanted)).vms.len(), 1, "{wanted}");
    }
    let none = machine(Some("db"));
    assert_eq!(
        (none.vms.len(), none.vms_left_out),
        (0, vec!["web:7".to_owned()])
    );
}

/// Compares a schema with the shipped one; `VIRTFLOW_BLESS=1` writes it.
pub(crate) fn shipped(name: &str, schema: &schemars::Schema) -> serde_json::Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../docs/schema")
        .join(name);
    let text = serde_json::to_string_pretty(schema).unwrap() + "\n";
    if std::env::var_os("VIRTFLOW_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == text,
        "{} is not current: run the tests with VIRTFLOW_BLESS=1",
        path.display()
    );
    serde_json::from_str(&there).unwrap()
}

pub(crate) fn assert_valid(schema: &serde_json::Value, value: &impl Serialize) {
    let value = serde_json::to_value(value).unwrap();
    let validator = jsonschema::validator_for(schema).unwrap();
    let wrong: Vec<_> = validator
        .iter_errors(&value)
        .map(|e| format!("{} {e}", e.instance_path()))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn the_schema_of_the_report_is_current_and_holds() {
    let schema = shipped("report-1.json", &schemars::schema_for!(Report));
    assert_valid(
        &schema,
        &Report::new(false, vec![machine(None), machine(Some("db"))]),
    );
}

#[test]
fn the_schema_of_info_is_current_and_holds() {
    let schema = shipped("info-1.json", &schemars::schema_for!(crate::Info));
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../fixtures");
    for (trace, has_vms) in [
        ("minimal", true),
        ("host-and-guest", false),
        ("recorded", false),
        ("perf/single-vm.data", false),
        ("trace-cmd/single-vm.dat", false),
    ] {
        let recording = virtflow_events::Recording::open(&fixtures.join(trace)).unwrap();
        let info = crate::info(&recording);
        assert!(!info.machines.is_empty(), "{trace}");
        assert_eq!(
            info.machines.iter().any(|m| !m.vms.is_empty()),
            has_vms,
            "{trace}"
        );
        assert_valid(&schema, &info);
    }
}
