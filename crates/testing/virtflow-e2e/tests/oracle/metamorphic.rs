//! Changes of a trace that must not change what is said about it.

use std::path::Path;

use super::case::{Analysed, analysed, scenario};
use super::compare::walk;
use super::copy::copy;
use super::lanes::{Lane, Lanes, Row, word};
use virtflow_synth::{Scenario, generate};

/// How far before and after a cut the halves may differ from the whole in what the host does
/// (nanoseconds), and before it in who runs in its guests.
const BEFORE_CUT_NS: i64 = 1_000_000;
const AFTER_CUT_NS: i64 = 12_000_000;
/// MODEL: who runs in guests is told by lengths learnt so far, so the second half differs all
/// along, in so many parts per million of its lanes' time from this long after the cut on.
const AFTER_CUT_GUEST_PPM: i64 = 2_000;
const LEARNT_NS: i64 = 100_000_000;

fn of(scenario: &Scenario) -> (tempfile::TempDir, Analysed) {
    let dir = tempfile::tempdir().unwrap();
    generate(scenario, dir.path()).unwrap();
    let analysed = analysed(&dir.path().join("trace"));
    (dir, analysed)
}

/// Both say the same of every lane, after `rename` and `shift` of the first.
fn same(a: &Lanes, b: &Lanes, shift: i64, rename: &dyn Fn(&str) -> &'static str, what: &str) {
    assert_eq!(a.iter().count(), b.iter().count(), "{what}: other lanes");
    for lane in a.iter() {
        let key = rename(lane.key);
        let mut others = b.of(lane.kind);
        let other = others.find(|other| other.key == key && other.vcpu == lane.vcpu);
        let other = other.unwrap_or_else(|| panic!("{what}: no {} {key}", lane.kind));
        let mut renamed = lane.clone();
        for row in &mut renamed.rows {
            (row.start, row.end) = (row.start + shift, row.end + shift);
            row.by = rename(row.by);
        }
        let differs = renamed
            .rows
            .iter()
            .zip(&other.rows)
            .position(|(a, b)| a != b);
        let lengths = renamed.rows.len() == other.rows.len();
        if differs.is_some() || !lengths {
            let at = differs.map_or(renamed.end(), |n| renamed.rows[n].start);
            panic!(
                "{what}: {} {key} differs at {at}:\n{}  instead of\n{}",
                lane.kind,
                other.near(at, 0),
                renamed.near(at, 0),
            );
        }
    }
}

/// How a trace is written, and what its machine is called, is nobody's business.
#[test]
fn writing_does_not_matter() {
    let base = Scenario {
        seconds: 0.5,
        ..scenario("testbed", 7)
    };
    let (_kept, testbed) = of(&base);
    for words in [
        "big-endian",
        "compact",
        "ctf2",
        "ctf2,big-endian,compact",
        "old-names",
        "pcid",
        "big-endian,compact,old-names",
    ] {
        let dialect = words.parse().unwrap();
        let (_kept, other) = of(&Scenario {
            dialect,
            ..base.clone()
        });
        same(&testbed.lanes, &other.lanes, 0, &word, words);
    }
    let (_kept, small) = of(&Scenario {
        packet_bytes_max: 4096,
        ..base.clone()
    });
    same(&testbed.lanes, &small.lanes, 0, &word, "small packets");
    let (_kept, named) = of(&Scenario {
        machine: "other".into(),
        ..base.clone()
    });
    same(&testbed.lanes, &named.lanes, 0, &word, "another machine");
    let mut later = base;
    later.dialect.clock_offset += 3_600_000_000_123;
    let (_kept, later) = of(&later);
    same(
        &testbed.lanes,
        &later.lanes,
        3_600_000_000_123,
        &word,
        "an hour later",
    );
}

/// Threads by other numbers, in the other order.
const fn other_tid(tid: i32) -> i32 {
    if tid > 0 { 1_000_000 - tid } else { tid }
}

/// Page tables and control blocks elsewhere, in another order; 0 is none.
const fn other_page(address: u64) -> u64 {
    if address == 0 {
        0
    } else {
        address ^ 0x0155_4000
    }
}

/// Where an event's payload has thread numbers, and where guest-physical addresses.
fn fields(event: &str) -> (&'static [usize], &'static [usize]) {
    match event {
        "sched_switch" => (&[16, 48], &[]),
        "sched_waking" | "sched_wakeup" | "sched_migrate_task" => (&[16], &[]),
        "lttng_statedump_process_state" => (&[0, 4, 8], &[]),
        "lttng_statedump_process_pid_ns" => (&[0, 4, 8, 12], &[]),
        name if name.starts_with("lttng_statedump_process_") => (&[0], &[]),
        "block_rq_issue" => (&[20], &[]),
        "vcpu_enter_guest" => (&[37], &[4, 21, 29]),
        "vcpu_exit_guest" => (&[], &[4]),
        "kvm_x86_nested_vmrun" => (&[], &[8]),
        _ => (&[], &[]),
    }
}

fn relabel(event: &str, bytes: &mut [u8]) {
    let (tids, pages) = fields(event);
    for &at in tids {
        let field: &mut [u8; 4] = (&mut bytes[at..at + 4]).try_into().unwrap();
        *field = other_tid(i32::from_le_bytes(*field)).to_le_bytes();
    }
    for &at in pages {
        let field: &mut [u8; 8] = (&mut bytes[at..at + 8]).try_into().unwrap();
        *field = other_page(u64::from_le_bytes(*field)).to_le_bytes();
    }
}

/// A key of ours with the other numbers in it.
fn relabelled(key: &str) -> &'static str {
    let nested = key.contains("/L2:");
    let hex = |n: &str| other_page(u64::from_str_radix(n, 16).unwrap());
    let parts = key.split('/').map(|part| match part.split_once(':') {
        Some((name @ ("thread" | "vm"), tid)) => {
            format!("{name}:{}", other_tid(tid.parse().unwrap()))
        }
        Some(("cr3", rest)) => {
            let (cr3, generation) = rest.split_once('#').unwrap();
            format!("cr3:{:x}#{generation}", hex(cr3))
        }
        Some(("L2", cr3)) => format!("L2:{:x}", hex(cr3)),
        Some(("vcpu", block)) if nested => format!("vcpu:{:x}", hex(block)),
        _ => part.to_owned(),
    });
    word(&parts.collect::<Vec<_>>().join("/"))
}

/// Other thread numbers and other page tables permute the output and change nothing else.
#[test]
fn names_do_not_matter() {
    let (dir, testbed) = of(&Scenario {
        seconds: 0.5,
        vcpus: 2,
        ..scenario("testbed", 3)
    });
    let out = dir.path().join("renamed/kernel");
    copy(
        &dir.path().join("trace/kernel"),
        &out,
        i64::MIN..i64::MAX,
        relabel,
    );
    let renamed = analysed(&dir.path().join("renamed"));
    same(&testbed.lanes, &renamed.lanes, 0, &relabelled, "renamed");
}

/// A copy that changes nothing.
#[test]
fn copies_are_the_same() {
    let (dir, testbed) = of(&Scenario {
        seconds: 0.2,
        ..scenario("testbed", 5)
    });
    let out = dir.path().join("copy/kernel");
    copy(
        &dir.path().join("trace/kernel"),
        &out,
        i64::MIN..i64::MAX,
        |_, _| (),
    );
    let copied = analysed(&dir.path().join("copy"));
    same(&testbed.lanes, &copied.lanes, 0, &word, "copied");
}

fn half(dir: &Path, name: &str, range: std::ops::Range<i64>, whole: &Lanes) -> Lanes {
    let out = dir.join(name);
    copy(
        &dir.join("trace/kernel"),
        &out.join("kernel"),
        range,
        |_, _| (),
    );
    let mut lanes = analysed(&out).lanes;
    lanes.name_vms_as(whole);
    lanes
}

/// Where a half and the whole differ.
#[derive(Default)]
struct Apart {
    /// The furthest moment from the cut, before anything is allowed for, and what is there.
    far_ns: i64,
    shown: String,
    /// Of all that lies further than [`LEARNT_NS`] from the cut.
    ppm: i64,
}

fn apart(half: &Lanes, whole: &Lanes, cut: i64, host: bool) -> Apart {
    let mut apart = Apart::default();
    let (mut learnt, mut differs) = (0, 0);
    let of_host = |lane: &&Lane| matches!(lane.kind, "cpu" | "thread" | "vcpu") == host;
    for lane in whole.iter().filter(of_host) {
        let mut others = half.of(lane.kind);
        let other = others.find(|other| other.key == lane.key && other.vcpu == lane.vcpu);
        let Some(other) = other else { continue };
        walk(other, lane, other.begin(), other.end(), |at| {
            // Who ends a sleep is told at its end, which the first half has not seen.
            let open = at.ours.end == cut && at.ours.cause.is_empty() && at.ours.by.is_empty();
            let asleep = matches!(at.ours.state, "sleeping" | "uninterruptible");
            let by = at.ours.by == at.truth.by || (open && asleep);
            let same = at.ours.label() == at.truth.label() && by;
            // What ends a wait is another matter: it may lie beyond the cut.
            let waits = matches!(at.truth.state, "halted" | "waiting");
            let same = same || waits && at.ours.state == at.truth.state;
            // That nobody is known to be there is told by all lanes: once is enough.
            let own = lane.key.ends_with("/kernel") || lane.key.ends_with("/idle");
            let away = |row: &Row| matches!(row.state, "off" | "unknown");
            let same = same || own && away(&at.ours) && away(&at.truth);
            let from_cut = (cut - at.start).max(at.end - cut);
            let ns = at.end - at.start;
            if from_cut > LEARNT_NS {
                learnt += ns;
                differs += if same { 0 } else { ns };
            }
            if !same && from_cut > apart.far_ns {
                let near = (other.near(at.start, cut), lane.near(at.start, cut));
                let (kind, key) = (lane.kind, lane.key);
                apart.far_ns = from_cut;
                apart.shown = format!("{kind} {key}\n{}  instead of\n{}", near.0, near.1);
            }
        });
    }
    apart.ppm = differs * 1_000_000 / learnt.max(1);
    apart
}

/// Both halves of a trace say what the whole does, away from the cut.
#[test]
fn halves_agree_with_the_whole() {
    let (dir, whole) = of(&scenario("testbed", 11));
    let begin = whole.lanes.iter().map(Lane::begin).min().unwrap();
    let cut = begin + 500_000_000;
    let mut wrong = String::new();
    for (name, range, most, most_ppm) in [
        ("before", i64::MIN..cut, BEFORE_CUT_NS, 0),
        ("after", cut..i64::MAX, AFTER_CUT_NS, AFTER_CUT_GUEST_PPM),
    ] {
        let lanes = half(dir.path(), name, range, &whole.lanes);
        assert_eq!(lanes.of("vcpu").count(), whole.lanes.of("vcpu").count());
        for (what, is_host) in [("host", true), ("guest", false)] {
            let Apart { far_ns, shown, ppm } = apart(&lanes, &whole.lanes, cut, is_host);
            println!("{name} the cut, {what}: differs up to {far_ns} ns, and {ppm} ppm beyond");
            let far = if is_host || most_ppm == 0 {
                far_ns > most
            } else {
                ppm > most_ppm
            };
            if far {
                wrong.push_str(&format!(
                    "{name} the cut, {what}: {far_ns} ns, {ppm} ppm: {shown}\n"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
