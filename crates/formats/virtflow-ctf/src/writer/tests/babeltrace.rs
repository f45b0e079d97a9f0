use std::process::Command;

use super::*;

/// What babeltrace2 prints for a trace; `None`, loudly, where it is not installed.
fn read(dir: &Path) -> Option<String> {
    let run = Command::new("babeltrace2")
        .args(["--clock-seconds", "--no-delta"])
        .arg(dir)
        .output();
    let Ok(out) = run else {
        eprintln!("SKIPPED: babeltrace2 is not installed, so nobody checked this trace");
        return None;
    };
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{said}");
    let complaints: Vec<&str> = said
        .lines()
        .filter(|line| !line.contains("discarded 3 events"))
        .collect();
    assert!(complaints.is_empty(), "{complaints:?}");
    Some(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Whether the babeltrace2 that is installed is of version 2.1 or later, which reads CTF 2.
fn reads_ctf2() -> bool {
    let out = Command::new("babeltrace2").arg("--version").output();
    let said = out.map(|out| String::from_utf8_lossy(&out.stdout).into_owned());
    let version = said.unwrap_or_default();
    let mut parts = version.split_whitespace().nth(1).unwrap_or("").split('.');
    let mut part = || parts.next().and_then(|part| part.parse::<u32>().ok());
    (part(), part()) >= (Some(2), Some(1))
}

#[test]
fn babeltrace_reads_every_order_and_header() {
    reads_every_order_and_header(Format::Ctf18);
}

#[test]
fn babeltrace_reads_ctf2() {
    if reads_ctf2() {
        reads_every_order_and_header(Format::Ctf2);
    } else {
        eprintln!("SKIPPED: babeltrace2 2.1 is not installed, so nobody checked CTF 2");
    }
}

fn reads_every_order_and_header(format: Format) {
    for order in [ByteOrder::Little, ByteOrder::Big] {
        for header in [HeaderKind::Compact, HeaderKind::Large] {
            let dir = tempfile::tempdir().unwrap();
            write_in(format, dir.path(), order, header).unwrap();
            let Some(text) = read(dir.path()) else { return };
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(lines.len(), 2 * 2_003, "{order:?} {header:?}");
            // 100 s - 1 cycle + 1000 cycles of 0.4 ns.
            assert!(lines[0].contains("100.000000399"), "{}", lines[0]);
            let all = "{ tid = 42 }, { comm = \"CPU 0/KVM\", neg = -5, addr = 0xFFFF888100000000, \
                       odd = 6844, name = \"a name\", n = 2, seq = [ [0] = -1, [1] = 7 ], \
                       numbers = [ [0] = 1, [1] = 16777214 ], pair = { a = 3, b = -300 }, \
                       colour = ( \"blue\" : container = 4 ) }";
            assert!(lines[0].ends_with(all), "{}", lines[0]);
            let raw = "{ tid = -1 }, { tag = ( \"_y\" : container = 1 ), v = { 99 } }";
            assert_eq!(lines.iter().filter(|line| line.ends_with(raw)).count(), 2);
            assert!(
                lines[4_005].ends_with("{ tid = 43 }, { value = 1999 }"),
                "{}",
                lines[4_005]
            );
        }
    }
}

#[test]
fn a_copy_keeps_metadata_and_payloads() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(first.path(), ByteOrder::Big, HeaderKind::Large).unwrap();
    let metadata = std::fs::read(first.path().join("metadata")).unwrap();
    let layout = StreamConfig {
        uuid: *b"0123456789abcdef",
        byte_order: ByteOrder::Big,
        ..StreamConfig::default()
    };
    let trace = TraceWriter::copy(second.path(), &metadata, &layout).unwrap();
    let mut out = trace.stream(StreamIdentity::of_cpu("cut", 9)).unwrap();
    let payload = [0, 0, 0, 1, 0, 0, 0, 2];
    for time in [1 << 33, 1 << 34] {
        out.begin_packet(time - 100).unwrap();
        out.event(time, 7, &payload).unwrap();
        out.end_packet(time + 100).unwrap();
    }
    out.finish().unwrap();
    assert_eq!(
        std::fs::read(second.path().join("metadata")).unwrap(),
        metadata
    );
    let Some(text) = read(second.path()) else {
        return;
    };
    assert_eq!(text.lines().count(), 2);
    assert!(
        text.lines()
            .all(|line| line.ends_with("{ cpu_id = 9 }, { tid = 1 }, { value = 2 }"))
    );
}
