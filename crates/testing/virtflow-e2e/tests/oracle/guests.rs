//! A host's trace and its guest's own, together: whose guest it is, and how far from the truth its
//! clock is.

use std::fmt::Write;
use std::path::Path;

use virtflow_base::Timestamp;
use virtflow_query::{ClockAlignment, Recording, align};
use virtflow_synth::generate_script;

/// What the alignment may be off, in nanoseconds.
const OFF_MAX_NS: i64 = 20_000;

fn aligned(dir: &Path) -> (Recording, usize, ClockAlignment) {
    let recording = Recording::open(dir).unwrap();
    align(&recording);
    let guest = recording.machines().iter().position(|m| m.name == "vm1");
    let guest = guest.unwrap();
    let clock = ClockAlignment::of(&recording, guest).unwrap();
    (recording, guest, clock)
}

/// The time of the host's clock that is shown for one of the guest's.
fn shown(recording: &Recording, guest: usize, own: i64) -> i64 {
    let clock = recording.clock(guest).unwrap();
    let own = Timestamp::from_nanos(own);
    let correction = clock.correction.as_ref();
    correction.map_or(own, |c| c.at(own)).as_nanos()
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The real trace: the truth is the time stamp counter, which the host and the guest both noted
/// beside their clocks, and the guest's offset.
#[test]
fn a_real_guests_clock() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../fixtures/host-and-guest");
    let truth = json(&dir.join("truth.json"));
    let (recording, guest, clock) = aligned(&dir);
    let of = clock.guest.clone().unwrap();
    assert_eq!((of.host.as_str(), of.how.as_str()), ("vfhost", "marks"));
    let vcpu = &truth["vms"][0]["vcpus"][0];
    assert_eq!(of.vcpus.len(), 1);
    assert_eq!(Some(i64::from(of.vcpus[0].tid)), vcpu["tid"].as_i64());
    assert!(of.events > 4_000 && of.inside == of.events, "{of:?}");
    assert_eq!(
        (clock.state.as_str(), clock.reference.as_str()),
        ("accurate", "vfhost")
    );

    let whole = |value: &serde_json::Value| value.as_i64().unwrap();
    let pairs = truth["clock"]["pairs"].as_array().unwrap();
    let pair = |at: usize, name: &str| whole(&pairs[at][name]);
    let rate = (pair(1, "host_mono_ns") - pair(0, "host_mono_ns")) as f64
        / (pair(1, "host_tsc") - pair(0, "host_tsc")) as f64;
    let traces = recording.traces().iter();
    let mut of_guest = traces.filter(|trace| trace.machine == guest);
    let guest_zero = of_guest.next().unwrap().clocks[0].offset_ns as i64;
    let host_zero = whole(&truth["clock"]["ctf_offset_ns"]);
    for noted in truth["vms"][0]["clock"].as_array().unwrap() {
        let host_tsc = whole(&noted["guest_tsc"]) - whole(&vcpu["tsc_offset"]);
        let since = (host_tsc - pair(0, "host_tsc")) as f64 * rate;
        let truly = host_zero + pair(0, "host_mono_ns") + since as i64;
        let own = guest_zero + whole(&noted["guest_mono_ns"]);
        let off = (shown(&recording, guest, own) - truly).abs();
        // Outside of the recording the clocks are taken to run alike.
        assert!(off <= OFF_MAX_NS, "{}: {off} ns off", noted["label"]);
        assert!(
            off <= clock.error_ns.unwrap(),
            "{off} ns off, {clock:?} told"
        );
    }
}

/// A vCPU in and out of guest mode for `stays` irregular times, and what its guest did meanwhile.
/// The guest's clock is `ahead` microseconds ahead, and gains `drift` of its time.
struct Made {
    host: String,
    guest: String,
}

fn made(stays: u32, ahead: f64, drift: f64) -> Made {
    let mut seed = 7_u64;
    // Knuth's linear congruential generator (MMIX).
    let mut some = |least: u64, most: u64| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (least + (seed >> 33) % (most - least)) as f64
    };
    let mut made = Made {
        host: String::new(),
        guest: String::new(),
    };
    let mut now = 1_000.0;
    for number in 0..stays {
        let (stay, outside) = (some(30, 900), some(20, 4_000));
        let host = &mut made.host;
        writeln!(
            host,
            "{now} cpu0 sched_switch prev_comm=swapper/0 next_comm=CPU next_tid=50"
        )
        .unwrap();
        writeln!(host, "{} cpu0 kvm_x86_entry vcpu_id=0", now + 1.0).unwrap();
        let exit = now + 1.0 + stay;
        writeln!(host, "{exit} cpu0 kvm_x86_exit exit_reason=0x78 isa=2").unwrap();
        writeln!(
            host,
            "{} cpu0 sched_switch prev_comm=CPU prev_tid=50 prev_state=1 next_comm=swapper/0",
            exit + 2.0
        )
        .unwrap();
        for moment in [now + 2.0, exit - 1.0] {
            let own = (moment * (1.0 + drift)) + ahead;
            let (a, b) = if number % 2 == 0 {
                ("a", 10)
            } else {
                ("b", 20)
            };
            writeln!(made.guest, "{own:.3} cpu0 sched_waking comm={a} tid={b}").unwrap();
        }
        now = exit + outside;
    }
    made
}

fn write(dir: &Path, host_head: &str, guest_head: &str, made: &Made) {
    let host = format!("trace machine=host {host_head}\n{}", made.host);
    let guest = format!("trace machine=vm1 {guest_head}\n{}", made.guest);
    generate_script(&host, dir.join("host")).unwrap();
    generate_script(&guest, dir.join("guest")).unwrap();
}

/// Without marks, from guest mode alone: over half a minute, with a clock that drifts by 40 ppm.
#[test]
fn a_guest_without_marks() {
    let place = tempfile::tempdir().unwrap();
    let (ahead, drift) = (1_700_000.0, 40e-6);
    write(place.path(), "", "", &made(14_000, ahead, drift));
    let (recording, guest, clock) = aligned(place.path());
    let of = clock.guest.clone().unwrap();
    assert_eq!((of.host.as_str(), of.how.as_str()), ("host", "guest-mode"));
    assert_eq!((of.vcpus[0].cpu, of.vcpus[0].tid), (0, 50));
    assert!(of.events > 27_900 && of.inside == of.events, "{of:?}");
    assert_eq!(clock.state, "accurate");
    let coverage = recording.coverage_as_told(guest);
    let span = coverage[0].span.unwrap();
    let host = recording
        .machines()
        .iter()
        .position(|m| m.name == "host")
        .unwrap();
    let zero = recording.coverage_as_told(host)[0]
        .span
        .unwrap()
        .start
        .as_nanos();
    assert!(span.nanos() > 30_000_000_000);
    let mut worst = 0;
    for part in 0..=100 {
        let truly = zero + 1_000_000 + (span.nanos() - 2_000_000_000) / 101 * part;
        let own = zero + ((truly - zero) as f64 * (1.0 + drift)) as i64 + (ahead * 1e3) as i64;
        let off = (shown(&recording, guest, own) - truly).abs();
        assert!(
            off <= clock.error_ns.unwrap(),
            "{off} ns off, {clock:?} told"
        );
        worst = worst.max(off);
    }
    println!(
        "a guest without marks: {worst} ns off, {} told",
        clock.error_ns.unwrap()
    );
    assert!(worst <= OFF_MAX_NS, "{worst} ns off");
}

/// A guest whose clock was never set.
#[test]
fn a_guest_in_another_year() {
    let place = tempfile::tempdir().unwrap();
    write(place.path(), "", "offset=0", &made(4_000, 3e6, 0.0));
    let (_, _, clock) = aligned(place.path());
    let of = clock.guest.unwrap();
    assert_eq!((of.host.as_str(), of.how.as_str()), ("host", "guest-mode"));
    assert_eq!((clock.state.as_str(), of.inside), ("accurate", of.events));
}

/// A machine that has nothing to do with the host is nobody's guest.
#[test]
fn a_stranger() {
    let place = tempfile::tempdir().unwrap();
    let (mut one, other) = (made(2_000, 0.0, 0.0), made(2_001, 0.0, 0.0));
    // The other's second half first.
    let lines: Vec<_> = other.guest.lines().rev().collect();
    let end = 5_000_000.0;
    one.guest = lines.iter().fold(String::new(), |mut text, line| {
        let (time, rest) = line.split_once(' ').unwrap();
        let time = end - time.parse::<f64>().unwrap();
        writeln!(text, "{time:.3} {rest}").unwrap();
        text
    });
    write(place.path(), "", "", &one);
    let (recording, _, clock) = aligned(place.path());
    assert!(clock.guest.is_none(), "{clock:?}");
    let states = (0..2).map(|machine| ClockAlignment::of(&recording, machine).unwrap().state);
    assert_eq!(states.collect::<Vec<_>>(), ["reference", "absent"]);
}

/// Where both have time stamp counters and KVM wrote the guest's offset, that tells the clock to the
/// nanosecond.
#[test]
fn time_stamp_counters() {
    let place = tempfile::tempdir().unwrap();
    let mut made = made(2_000, 0.0, 0.0);
    // The guest's counter began 7 million cycles later, and so shows as much less.
    let offset = (-7_000_000_i64).cast_unsigned();
    made.host = format!(
        "500 cpu0 kvm_x86_write_tsc_offset vcpu_id=0 next_tsc_offset={offset:#x}\n{}",
        made.host
    );
    let head = |start: u64| format!("tsc freq=2000000000 offset-s=1700000000 start={start}");
    write(place.path(), &head(90_000_000), &head(83_000_000), &made);
    let (recording, guest, clock) = aligned(place.path());
    let of = clock.guest.clone().unwrap();
    assert_eq!((of.host.as_str(), of.how.as_str()), ("host", "tsc-offset"));
    assert_eq!(of.inside, of.events);
    let own = 1_700_000_001_000_000_000;
    let off = shown(&recording, guest, own) - own - 3_500_000;
    println!(
        "time stamp counters: {off} ns off, {} told",
        clock.error_ns.unwrap()
    );
    assert!(
        off.abs() <= 5 && clock.error_ns.unwrap() <= 1_000,
        "{off} {clock:?}"
    );
}
