//! A made trace of every kind of field, against a text as babeltrace2 writes it and against babeltrace2.

use super::compare::{Outcome, compare};
use super::conform;
use std::fs;
use std::path::Path;
use std::process::Command;

const METADATA: &str = r#"/* CTF 1.8 */
typealias integer { size = 8; align = 8; signed = false; } := uint8_t;
typealias integer { size = 16; align = 8; signed = false; } := uint16_t;
typealias integer { size = 32; align = 8; signed = false; } := uint32_t;
typealias integer { size = 64; align = 8; signed = false; } := uint64_t;
trace { major = 1; minor = 8; byte_order = le; uuid = "2a6422d0-6cee-11e0-8c08-cb07d7b3a564";
  packet.header := struct { uint32_t magic; uint8_t uuid[16]; uint32_t stream_id; }; };
clock { name = monotonic; freq = FREQ; offset_s = 5; offset = 7; };
typealias integer { size = 64; align = 8; signed = false; map = clock.monotonic.value; } := ts_t;
stream { id = 0;
  packet.context := struct { ts_t timestamp_begin; ts_t timestamp_end; uint64_t content_size;
    uint64_t packet_size; uint64_t packet_seq_num; uint64_t events_discarded; uint32_t cpu_id; };
  event.header := struct { uint8_t id; ts_t timestamp; };
  event.context := struct { integer { size = 32; align = 8; signed = true; } _vpid; };
};
event { id = 0; name = "ints"; stream_id = 0; context := struct { uint8_t _own; };
  fields := struct {
    integer { size = 16; align = 8; signed = true; base = 16; } hex;
    integer { size = 16; align = 8; signed = true; base = 8; } octal;
    integer { size = 16; align = 8; signed = false; base = 2; } binary;
    integer { size = 3; align = 1; signed = true; } three;
    integer { size = 13; align = 1; signed = false; } thirteen; }; };
event { id = 1; name = "others"; stream_id = 0;
  fields := struct {
    enum : uint8_t { A, B = 5 ... 9, C = 7 } e;
    floating_point { exp_dig = 8; mant_dig = 24; align = 8; } single;
    floating_point { exp_dig = 11; mant_dig = 53; align = 8; } twice;
    string _text; string empty;
    integer { size = 8; align = 8; encoding = UTF8; } chars[6];
    uint16_t none; uint16_t seq[none];
    uint16_t length; uint8_t many[length];
    struct { uint8_t x; struct { uint8_t y; } in; struct { } nothing; } st;
    enum : uint8_t { one = 0, two = 1 } tag;
    variant <tag> { uint8_t one; struct { uint8_t q; } two; } v;
    struct { uint8_t w; } pairs[2]; }; };
event { id = 2; name = "bare"; stream_id = 0; };
"#;

fn event(id: u8, time: u64, vpid: i32, fields: &[u8]) -> Vec<u8> {
    [&[id][..], &time.to_le_bytes(), &vpid.to_le_bytes(), fields].concat()
}

fn packet(times: (u64, u64), number: u64, discarded: u64, events: &[Vec<u8>]) -> Vec<u8> {
    let body = events.concat();
    let bits = (24 + 52 + body.len() as u64) * 8;
    let mut out = 0xC1FC_1FC1_u32.to_le_bytes().to_vec();
    out.extend(0x2a64_22d0_6cee_11e0_8c08_cb07_d7b3_a564_u128.to_be_bytes());
    out.extend(0_u32.to_le_bytes());
    for word in [times.0, times.1, bits, bits, number, discarded] {
        out.extend(word.to_le_bytes());
    }
    out.extend(1_u32.to_le_bytes());
    out.extend(body);
    out
}

/// The trace with its clock at `frequency` and its times after `zero`.
fn made(dir: &Path, frequency: u64, zero: u64) {
    fs::write(
        dir.join("metadata"),
        METADATA.replace("FREQ", &frequency.to_string()),
    )
    .unwrap();
    let mut ints = vec![9];
    for value in [-3_i16, -1000, 5] {
        ints.extend(value.to_le_bytes());
    }
    ints.extend(0b1111_1010_0000_1101_u16.to_le_bytes());
    let mut others = vec![7];
    others.extend(1.5_f32.to_le_bytes());
    others.extend((-0.1_f64).to_le_bytes());
    others.extend(b"h\"i\n\n\tx\xff\0\0ab\0cd\0");
    others.extend([0, 0]);
    others.extend(12_000_u16.to_le_bytes());
    others.extend(vec![1; 12_000]);
    others.extend([4, 5, 1, 6, 8, 9]);
    let first = [
        event(0, zero + 10, -5, &ints),
        event(1, zero + 20, 77, &others),
        event(2, zero + 20, 1, &[]),
    ];
    let later = [event(2, zero + 1_000_000, 1, &[])];
    let stream = [
        packet((zero, zero + 100), 0, 3, &first),
        packet((zero + 110, zero + 2_000_000), 1, 12_345, &later),
        packet((zero + 2_000_010, zero + 2_000_020), 12_002, 12_346, &[]),
    ];
    fs::write(dir.join("s0"), stream.concat()).unwrap();
}

fn has_babeltrace2() -> bool {
    let there = Command::new("babeltrace2")
        .arg("--version")
        .output()
        .is_ok();
    if !there {
        eprintln!("SKIPPED: babeltrace2 is not installed");
    }
    there
}

#[test]
fn babeltrace2_agrees_on_every_kind_of_field() {
    if !has_babeltrace2() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    made(dir.path(), 1_000_000_000, 0);
    let outcome = conform(dir.path(), 9).unwrap();
    assert_eq!(
        (outcome.differences, outcome.faults.len()),
        (0, 0),
        "{:#?}",
        outcome.shown
    );
    assert_eq!((outcome.events, outcome.packets, outcome.losses), (4, 3, 4));
}

#[test]
fn what_babeltrace2_rounds_is_its_own_fault() {
    if !has_babeltrace2() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    made(dir.path(), 2_399_999_123, 100_000_000_000_000_000);
    let outcome = conform(dir.path(), 9).unwrap();
    assert_eq!(outcome.differences, 0, "{:#?}", outcome.shown);
    assert_eq!(outcome.faults.len(), 1, "{:?}", outcome.faults);
}

#[test]
fn what_babeltrace2_cannot_read_is_a_difference() {
    if !has_babeltrace2() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    made(dir.path(), 1_000_000_000, 0);
    fs::write(dir.path().join("s1"), b"not a packet of this trace").unwrap();
    let outcome = conform(dir.path(), 9).unwrap();
    assert!(
        outcome.shown.iter().any(|what| what.contains("gave up")),
        "{outcome:#?}"
    );
}

/// Two events of a stream as babeltrace2 shows them.
fn told(dir: &Path) -> String {
    let at = |cycles: u64| {
        format!(
            "[{cycles} cycles, {} ns from origin]\n",
            5_000_000_007 + cycles
        )
    };
    let stream = "{Trace 0, Stream class ID 0, Stream ID 0}\n";
    let messages = [
        format!(
            "[Unknown]\n{stream}Stream beginning:\n  Name: {}\n",
            dir.join("s0").display()
        ),
        format!(
            "{}{stream}Packet beginning:\n  Context:\n    cpu_id: 1\n",
            at(0)
        ),
        format!(
            "{}{stream}Event `bare` (Class ID 2):\n  Common context:\n    vpid: -5\n",
            at(10)
        ),
        format!(
            "{}{stream}Event `bare` (Class ID 2):\n  Common context:\n    vpid: 77\n",
            at(20)
        ),
        format!("{}{stream}Packet end\n", at(100)),
        format!(
            "{}{}{stream}Discarded events (7 events)\n",
            at(100),
            at(200)
        ),
        format!(
            "{}{stream}Packet beginning:\n  Context:\n    cpu_id: 1\n",
            at(110)
        ),
        format!("{}{stream}Packet end\n", at(200)),
        format!("[Unknown]\n{stream}Stream end\n"),
    ];
    messages.join("\n")
}

fn against(dir: &Path, text: &str) -> Outcome {
    compare(dir, text.as_bytes(), 9).unwrap()
}

#[test]
fn every_kind_of_difference_is_found() {
    let dir = tempfile::tempdir().unwrap();
    made(dir.path(), 1_000_000_000, 0);
    let events = [event(2, 10, -5, &[]), event(2, 20, 77, &[])];
    let stream = [
        packet((0, 100), 0, 0, &events),
        packet((110, 200), 1, 7, &[]),
    ];
    fs::write(dir.path().join("s0"), stream.concat()).unwrap();
    let right = told(dir.path());
    let outcome = against(dir.path(), &right);
    assert_eq!(outcome.differences, 0, "{:#?}", outcome.shown);
    assert_eq!((outcome.events, outcome.packets, outcome.losses), (2, 2, 1));
    for (from, to, what) in [
        ("vpid: 77", "vpid: 78", "`vpid: 78`, virtflow `vpid: 77`"),
        ("[20 cycles", "[21 cycles", "21 cycles, virtflow 20"),
        (
            "5000000027 ns",
            "5000000028 ns",
            "5000000028 ns, virtflow 5000000027",
        ),
        ("`bare` (Class ID 2)", "`ints` (Class ID 0)", "`ints`"),
        ("cpu_id: 1", "cpu_id: 2", "cpu_id: 2"),
        ("(7 events)", "(8 events)", "only babeltrace2 tells"),
        ("Discarded events (7", "Stream end (7", "unknown kind"),
        ("[100 cycles, 5000000107", "[101 cycles, 5000000108", "ends"),
        ("/s0\n", "/s1\n", "has no stream"),
    ] {
        let outcome = against(dir.path(), &right.replacen(from, to, 1));
        assert!(
            outcome.shown.iter().any(|shown| shown.contains(what)),
            "{to}: {outcome:#?}"
        );
    }
    let without = |part: &str| {
        let kept: Vec<_> = right
            .split("\n\n")
            .filter(|message| !message.contains(part))
            .collect();
        against(dir.path(), &kept.join("\n\n"))
    };
    assert!(without("vpid: 77").shown[0].contains("1 events more"));
    assert!(without("Discarded").shown[0].contains("only virtflow tells"));
    assert!(without("[110 cycles").shown[0].contains("shows 1 packets, virtflow 2"));
    let twice = right.replacen("\n\n[100 cycles", "\n\n[30 cycles, 5000000037 ns from origin]\n{Trace 0, Stream class ID 0, Stream ID 0}\nEvent `bare` (Class ID 2):\n\n[100 cycles", 1);
    assert!(against(dir.path(), &twice).shown[0].contains("no such event"));
}
