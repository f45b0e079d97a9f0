//! A trace that somebody wrote down event by event, to be worked out by hand.
//!
//! A line is an event: microseconds from the trace's beginning, `cpu` and its number, the event's
//! name, and those of its fields that are not zero or empty, as `name=value`:
//!
//! ```text
//! # b wakes a, which slept
//! 20 cpu0 sched_waking comm=a tid=10 target_cpu=0
//! ```
//!
//! A first line may tell whose trace it is, and the words of its dialect ([`Dialect`]):
//!
//! ```text
//! trace machine=vm1 freq=2000000000 tsc
//! ```
//!
//! `segment=N` gives a packet the headers of a TCP segment with that sequence number.

use std::path::Path;

use virtflow_ctf::writer::Payload;

use crate::trace::{Out, Who, Window, shapes};
use crate::{Dialect, Scenario, SynthError};

/// Processors of a script at most.
const CPUS_MAX: usize = 64;

struct Line<'a> {
    at: i64,
    cpu: usize,
    event: &'a str,
    fields: Vec<(&'a str, &'a str)>,
}

/// Writes the trace that `text` tells to `out_dir/trace/kernel`; gives how many events it has.
///
/// # Errors
/// When a line cannot be understood, or the files cannot be written.
pub fn generate_script(text: &str, out_dir: impl AsRef<Path>) -> Result<u64, SynthError> {
    let (head, text) = match text.split_once('\n') {
        Some((line, rest)) if line.starts_with("trace ") => (line, rest),
        _ => ("", text),
    };
    let (machine, dialect) = parse_head(head)?;
    let lines = parse(text)?;
    let cpus = lines.iter().map(|line| line.cpu + 1).max().unwrap_or(1);
    let end = lines.iter().map(|line| line.at).max().unwrap_or(0);
    let scenario = Scenario {
        cpus: cpus as u32,
        machine,
        dialect,
        ..Scenario::default()
    };
    let mut shaped = Vec::with_capacity(lines.len());
    for line in &lines {
        let (ev, _, fields) = shapes(&scenario.dialect)
            .find(|(_, name, _)| *name == line.event)
            .ok_or_else(|| wrong(line.event, "no event has this name"))?;
        check_names(line, fields)?;
        shaped.push((line, ev, fields));
    }
    let window = Window {
        begin: 0,
        end: end + 1,
        losses: Vec::new(),
    };
    let idle = |_| Who {
        pid: 0,
        tid: 0,
        comm: [0; 16],
    };
    let dir = out_dir.as_ref().join("trace/kernel");
    let mut out = Out::create(&dir, &scenario, vec![window; cpus], idle)?;
    for (line, ev, fields) in shaped {
        out.event(line.cpu, line.at, ev, |p| {
            for field in fields.split_whitespace() {
                put(p, field, line);
            }
        });
    }
    let events = out.events;
    out.finish(end + 1)?;
    Ok(events)
}

/// The machine's name and the dialect.
fn parse_head(line: &str) -> Result<(String, Dialect), SynthError> {
    let words = || line.split_whitespace().skip(1);
    let name = |word: &str| word.strip_prefix("machine=").map(str::to_owned);
    let machine = words().find_map(name);
    let others: Vec<_> = words().filter(|word| name(word).is_none()).collect();
    let dialect: Dialect = others.join(",").parse()?;
    let dialect = Dialect {
        tcp: true,
        ..dialect
    };
    Ok((machine.unwrap_or_else(|| "script".to_owned()), dialect))
}

fn wrong(what: &str, why: &'static str) -> SynthError {
    SynthError::Script {
        what: what.to_owned(),
        why,
    }
}

fn parse(text: &str) -> Result<Vec<Line<'_>>, SynthError> {
    let mut lines = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(at) = words.next() else { continue };
        let micros: f64 = at.parse().map_err(|_| wrong(at, "not microseconds"))?;
        let cpu = words.next().unwrap_or_default();
        let number = cpu.strip_prefix("cpu").and_then(|n| n.parse().ok());
        let number = number.filter(|n| *n < CPUS_MAX);
        let number = number.ok_or_else(|| wrong(cpu, "not cpu and a number below 64"))?;
        let event = words.next().unwrap_or_default();
        let fields = words.map(|word| {
            word.split_once('=')
                .ok_or_else(|| wrong(word, "not name=value"))
        });
        lines.push(Line {
            at: (micros * 1e3).round() as i64,
            cpu: number,
            event,
            fields: fields.collect::<Result<_, _>>()?,
        });
    }
    lines.sort_by_key(|line| line.at);
    Ok(lines)
}

fn check_names(line: &Line<'_>, fields: &str) -> Result<(), SynthError> {
    for (name, value) in &line.fields {
        let known = fields.split_whitespace().find_map(|field| {
            let (kind, known) = field.split_once(':')?;
            let same = known == *name || (kind == "skb" && *name == "segment");
            same.then_some(kind)
        });
        match known {
            None => return Err(wrong(name, "the event has no such field")),
            Some("text" | "str") => {}
            Some(_) if number(value).is_some() => {}
            Some(_) => return Err(wrong(value, "not a number")),
        }
    }
    Ok(())
}

fn number(text: &str) -> Option<i64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok().map(|n| n as i64),
        None => text.parse().ok(),
    }
}

fn put(p: &mut Payload, field: &str, line: &Line<'_>) {
    let (kind, name) = field.split_once(':').unwrap_or((field, ""));
    let name = if kind == "skb" { "segment" } else { name };
    let given = line.fields.iter().find(|(given, _)| *given == name);
    let text = given.map_or("", |(_, value)| *value);
    let value = number(text).unwrap_or(0);
    match kind {
        "text" => p.text(text.as_bytes(), 16),
        "str" => p.string(text.as_bytes()),
        "insn" => p.raw(&[0; 15]),
        "tids" => p.u8(0),
        "value" => p.u32(0),
        "skb" if given.is_some() => segment(p, value as u32),
        "skb" => p.u8(0),
        kind => match &kind[1..] {
            "8" => p.u8(value as u8),
            "16" => p.u16(value as u16),
            "64" => p.u64(value as u64),
            _ => p.u32(value as u32),
        },
    };
}

/// The headers of a TCP segment without data from 10.0.0.1:1000 to 10.0.0.2:2000 (RFC 791, 3.1; RFC
/// 9293, 3.1), as LTTng tells them.
fn segment(p: &mut Payload, seq: u32) -> &mut Payload {
    p.u8(1).raw(&[0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0]);
    p.raw(&[10, 0, 0, 1, 10, 0, 0, 2]).u8(1);
    p.raw(&1000_u16.to_be_bytes()).raw(&2000_u16.to_be_bytes());
    p.raw(&seq.to_be_bytes()).raw(&[0; 4]);
    p.raw(&(5_u16 << 12 | 0x18).to_be_bytes()).raw(&[0; 6])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_script_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let said = |text: &str| generate_script(text, dir.path()).unwrap_err().to_string();
        assert!(said("x cpu0 sched_waking").contains("\"x\": not microseconds"));
        assert!(said("1 0 sched_waking").contains("cpu and a number"));
        assert!(said("1 cpu0 sched_wanking").contains("no event has this name"));
        assert!(said("1 cpu0 sched_waking pid=3").contains("no such field"));
        assert!(said("1 cpu0 sched_waking tid=x").contains("not a number"));
        assert!(said("1 cpu0 sched_waking tid").contains("not name=value"));
        let good = "# a comment\n\n2.5 cpu1 sched_waking tid=3 comm=a # woken\n";
        assert_eq!(generate_script(good, dir.path()).unwrap(), 1);
    }
}
