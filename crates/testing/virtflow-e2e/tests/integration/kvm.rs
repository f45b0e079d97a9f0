//! `virtflow record` and `top` on the KVM of this machine, where it has one, beside a VMM that knows what
//! it did.

use crate::store::Place;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// What `kvm/guest.py` exits with where there is no KVM.
const NO_KVM: i32 = 77;

#[expect(clippy::print_stderr, reason = "a skipped test must be loud")]
fn skipped(why: &str) {
    eprintln!("SKIPPED: a VM on this machine: {why}");
}

/// A recording of a VM, and what its VMM says of it.
fn recorded(place: &Place, profile: &str) -> Option<(String, Value)> {
    let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("kvm/guest.py");
    let guest = guest.to_str()?;
    match Command::new("python3").args([guest, "0.01"]).output() {
        Ok(output) if output.status.success() => {}
        Ok(output) if output.status.code() == Some(NO_KVM) => {
            skipped(&String::from_utf8_lossy(&output.stderr));
            return None;
        }
        Ok(output) => panic!("{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => {
            skipped(&format!("python3: {error}"));
            return None;
        }
    }
    let trace = place.at("trace").to_str()?.to_owned();
    let told = place.at("told").to_str()?.to_owned();
    let work = format!("python3 {guest} 2 >{told}");
    let output = place.run(&[
        "record",
        "--profile",
        profile,
        "-o",
        &trace,
        "--",
        "sh",
        "-c",
        &work,
    ]);
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(why.contains("BPF") || why.contains("BTF"), "{why}");
        skipped(&why);
        return None;
    }
    let told = std::fs::read_to_string(told).unwrap();
    Some((trace, serde_json::from_str(&told).unwrap()))
}

fn ns(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

#[test]
fn a_vm_of_this_machine() {
    let place = Place::new();
    let Some((trace, told)) = recorded(&place, "vm") else {
        return;
    };
    let pid = told["pid"].as_i64().unwrap();

    // Each return of KVM_RUN is an event.
    let returns = place.said(&[
        "events",
        &trace,
        "--filter",
        "kvm_userspace_exit",
        "--format",
        "jsonl",
    ]);
    let all = returns
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let all: Vec<Value> = all.filter(|e: &Value| e["fields"]["reason"] == 2).collect();
    assert_eq!(told["returns"].as_u64(), Some(all.len() as u64));

    let rows = place.said(&["intervals", &trace, "--kind", "vcpu", "--format", "jsonl"]);
    let rows = rows
        .lines()
        .skip(1)
        .map(|line| serde_json::from_str(line).unwrap());
    let rows: Vec<Value> = rows.filter(|row: &Value| row["pid"] == pid).collect();
    let sum = |of: &dyn Fn(&Value) -> bool| -> f64 {
        let chosen = rows.iter().filter(|row| of(row));
        chosen
            .map(|row| ns(&row["end_ns"]) - ns(&row["start_ns"]))
            .sum()
    };
    let state = |name: &'static str| move |row: &Value| row["state"] == name;

    // The VMM slept as long as it says, of which it was ready and not running for some of it.
    let slept = sum(&|row| row["cause"] == "host-io" && row["state"] == "blocked-on-host");
    assert!(
        (0.98 * ns(&told["slept_at_least_ns"])..1.02 * ns(&told["asleep_ns"])).contains(&slept),
        "{slept} {told}"
    );
    // It worked as long as it says, less what others and interrupts took, and no longer than it was outside
    // KVM_RUN. (Beside the two loops there is little else.)
    let outside = ns(&told["busy_ns"]) + ns(&told["asleep_ns"]) - slept;
    let taken = sum(&state("preempted")) + sum(&state("runnable")) + sum(&state("irq-stolen"));
    let worked = sum(&state("vmm"));
    assert!(
        worked < 1.1 * outside + 5e6 && worked + taken > 0.9 * ns(&told["busy_ns"]),
        "{worked} {taken} {told}"
    );
    // In KVM_RUN it was in the guest or the hypervisor where entries are told, else that is unknown.
    let report: Value =
        serde_json::from_str(&place.said(&["report", &trace, "--format", "json"])).unwrap();
    let unentered = report["machines"][0]["checks"]["unentered_vcpus"].as_u64();
    let inside = match unentered {
        Some(0) => sum(&state("guest")) + sum(&state("hypervisor")),
        _ => sum(&state("unknown")),
    };
    assert!(
        inside < 1.1 * ns(&told["run_ns"]) + 50e6 && inside + taken > 0.9 * ns(&told["run_ns"]),
        "{inside} {taken} {told}"
    );
    let vms = report["machines"][0]["vms"].as_array().unwrap();
    let ours: Vec<_> = vms.iter().filter(|vm| vm["pid"] == pid).collect();
    assert_eq!(ours.len(), 1, "{vms:?}");
    assert_eq!(ours[0]["vcpus"].as_array().map(Vec::len), Some(1));
    known_by_the_scheduler_alone(&place);
}

/// The scheduler's events and the dump of what threads are tell of a vCPU when it had a processor. No test
/// of its own: the other counts what all VMs do.
fn known_by_the_scheduler_alone(place: &Place) {
    let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("kvm/guest.py");
    let vmm = Command::new("python3")
        .arg(guest)
        .arg("4")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let trace = place.at("minimal").to_str().unwrap().to_owned();
    place.said(&["record", "--profile", "minimal", "-d", "1s", "-o", &trace]);
    let told = vmm.wait_with_output().unwrap().stdout;
    let told: Value = serde_json::from_slice(&told).unwrap();

    let report = place.said(&["report", &trace, "--format", "json"]);
    let report: Value = serde_json::from_str(&report).unwrap();
    let checks = &report["machines"][0]["checks"];
    assert_eq!(checks["kvm_unrecorded"], true);
    assert!(checks["named_vcpus"].as_u64() >= Some(1), "{checks}");
    let rows = place.said(&["intervals", &trace, "--kind", "vcpu", "--format", "jsonl"]);
    let rows = rows.lines().skip(1);
    let rows = rows.map(|line| serde_json::from_str(line).unwrap());
    let rows: Vec<Value> = rows
        .filter(|row: &Value| row["pid"] == told["pid"])
        .collect();
    let sum = |states: &[&str]| -> f64 {
        let of = |row: &&Value| states.is_empty() || states.iter().any(|s| row["state"] == *s);
        let chosen = rows.iter().filter(of);
        chosen
            .map(|row| ns(&row["end_ns"]) - ns(&row["start_ns"]))
            .sum()
    };
    let (all, asleep) = (sum(&[]), sum(&["blocked-on-host"]));
    assert!(all > 0.9e9, "{all}");
    // It works and sleeps in turn all the time, so that a part is like the whole.
    let whole = ns(&told["busy_ns"]) + ns(&told["asleep_ns"]) + ns(&told["run_ns"]);
    let share = ns(&told["asleep_ns"]) / whole;
    assert!(
        (0.7 * share..1.3 * share).contains(&(asleep / all)),
        "{asleep} of {all} {told}"
    );
    let known = ["unknown", "preempted", "runnable", "blocked-on-host"];
    assert!((sum(&known) - all).abs() < 1.0, "{rows:?}");
}
