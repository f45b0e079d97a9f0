//! Files of trace-cmd: what virtflow reads of them is what `trace-cmd report` reads.

use crate::events_lost;
use serde_json::Value;
use std::process::{Command, Stdio};
use virtflow_e2e::{programs, root, run};

const SKIPPED: &str = "SKIPPED: trace-cmd is not installed; nothing was compared with it";
const FILES: [&str; 4] = ["single-vm", "version-6", "lossy", "tsc"];

fn path(name: &str) -> String {
    format!("fixtures/trace-cmd/{name}.dat")
}

/// What `trace-cmd report` says of a file; `None` where there is no trace-cmd.
fn report(name: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new("trace-cmd")
        .arg("report")
        .args(arguments)
        .args(["-i", &path(name)])
        .current_dir(root())
        .stderr(Stdio::null())
        .output();
    match output {
        Ok(output) if output.status.success() => {
            Some(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Ok(output) => panic!("trace-cmd report: {}", output.status),
        Err(_) => None,
    }
}

/// A line of `trace-cmd report -t -R`.
#[derive(Debug)]
struct Line<'t> {
    pid: i64,
    cpu: u64,
    time: i64,
    name: &'t str,
    /// A blank, then fields as `name=value`.
    fields: &'t str,
}

/// `CPU 0/KVM-157   [001] 18.170226621: kvm_exit:   exit_reason=0x78 ...`, behind the name of an
/// instance and a colon if it is of one. Of clocks that trace-cmd does not know, times have no point.
fn line(text: &str) -> Option<Line<'_>> {
    let (task, rest) = text.split_once(" [")?;
    let pid = task.trim_end().rsplit_once('-')?.1.parse().ok()?;
    let (cpu, rest) = rest.split_once(']')?;
    let (time, rest) = rest.trim_start().split_once(": ")?;
    let (name, fields) = rest.split_once(':')?;
    Some(Line {
        pid,
        cpu: cpu.parse().ok()?,
        time: time.replace('.', "").parse().ok()?,
        name,
        fields,
    })
}

/// Whether `fields` shows the field as its value is.
fn says(fields: &str, name: &str, value: &Value) -> bool {
    let begin = format!(" {name}=");
    fields.match_indices(&begin).any(|(at, _)| {
        let shown = &fields[at + begin.len()..];
        let word = shown.split_whitespace().next().unwrap_or("");
        match value {
            Value::Number(number) => {
                let value = number.to_string().parse::<i128>().unwrap();
                number_is(word, value) || function_is(word, value)
            }
            Value::String(text) => shown
                .strip_prefix(text.as_str())
                .is_some_and(|rest| rest.chars().next().is_none_or(char::is_whitespace)),
            // Of other arrays trace-cmd shows the bytes.
            _ => word.starts_with("ARRAY["),
        }
    })
}

/// In decimal or in hexadecimal, which some formats write without a mark; as a whole, or the low 8
/// to 64 bits, where a format shows no more of it.
fn number_is(word: &str, value: i128) -> bool {
    let digits = word.strip_prefix("0x").unwrap_or(word);
    let shown = [word.parse(), i128::from_str_radix(digits, 16)];
    let parts = [8, 16, 32, 64].map(|size| value & ((1 << size) - 1));
    let mut shown = shown.into_iter().flatten();
    shown.any(|shown| shown == value || parts.contains(&shown))
}

/// Whether a value is an address of the kernel's code, which trace-cmd shows as the function's name
/// where the file tells it.
fn function_is(word: &str, value: i128) -> bool {
    word.starts_with(char::is_alphabetic) && value >> 31 == 0x1_ffff_ffff
}

#[test]
fn events_are_those_that_trace_cmd_reports_field_for_field() {
    let programs = programs().unwrap();
    for name in FILES {
        let Some(report) = report(name, &["-t", "-R"]) else {
            eprintln!("{SKIPPED}");
            return;
        };
        let command = format!("virtflow events {} --format jsonl 2>/dev/null", path(name));
        let (_, ours) = run(&command, &programs).unwrap();
        let mut ours: Vec<Value> = ours
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let mut theirs: Vec<_> = report.lines().filter_map(line).collect();
        assert_eq!(ours.len(), theirs.len(), "{name}");
        assert!(ours.len() > 4_000, "{name}");
        // Events of the same moment may come in another order.
        ours.sort_by_key(|e| {
            (
                e["time_ns"].as_i64(),
                e["cpu"].as_u64(),
                e["name"].to_string(),
            )
        });
        theirs.sort_by_key(|line| (line.time, line.cpu, line.name.to_owned()));
        for (ours, theirs) in ours.iter().zip(&theirs) {
            let same = ours["time_ns"] == theirs.time
                && ours["cpu"] == theirs.cpu
                && ours["name"] == theirs.name
                && ours["context"]["common_pid"] == theirs.pid;
            assert!(same, "{name}: {ours} is not {theirs:?}");
            for (field, value) in ours["fields"].as_object().unwrap() {
                assert!(
                    says(theirs.fields, field, value),
                    "{name}: {field} of {ours} is not in {theirs:?}"
                );
            }
        }
    }
}

#[test]
fn losses_are_those_that_trace_cmd_reports() {
    let Some(report) = report("lossy", &[]) else {
        eprintln!("{SKIPPED}");
        return;
    };
    // `CPU:0 [98 EVENTS DROPPED]`
    let dropped = report.lines().filter_map(|line| {
        let (_, rest) = line.split_once('[')?;
        rest.strip_suffix(" EVENTS DROPPED]")?.parse::<u64>().ok()
    });
    let dropped: u64 = dropped.sum();
    let lost = events_lost(&path("lossy"));
    assert!(lost > 0);
    assert_eq!(lost, dropped);
}
