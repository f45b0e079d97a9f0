//! The raw events, from Debian's `babeltrace2` and not from virtflow: an independent opinion.
//!
//! Lines look like
//! `[00000000030548397647] host sched_switch: { cpu_id = 1 }, { prev_comm = "x", prev_tid = 0, ... }`
//! and are scanned by bytes: the first `name = ` of a line gives the field. That is right for traces
//! without context fields (an added `tid` context would come before the event's own).

use super::span::{Ns, Span};
use anyhow::{Context, Result, bail};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

/// The events that the agreements need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Switch { prev: i64, state: u64, next: i64 },
    Waking { tid: i64, target: u32 },
    Wakeup { tid: i64, target: u32 },
    WakeupNew { tid: i64, target: u32 },
    Migrate { tid: i64, target: u32 },
    Entry,
    EnterGuest { nested: bool },
    Exit { reason: u32, vcpu: i64 },
}

/// An event, where and when (epoch nanoseconds).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) at: Ns,
    pub(crate) cpu: u32,
    pub(crate) what: What,
}

/// All that was read.
#[derive(Debug, Default)]
pub(crate) struct Raw {
    /// In time order over all CPUs.
    pub(crate) events: Vec<Event>,
    /// First and last event of each CPU, of any kind.
    pub(crate) seen: HashMap<u32, Span>,
    /// Windows in which the tracer discarded events, per CPU, and how many.
    pub(crate) lost: Vec<(u32, Span, u64)>,
}

impl Raw {
    /// Runs `babeltrace2` over a trace; `offset` is the epoch time of the clock's zero.
    pub(crate) fn read(trace: &Path, offset: Ns) -> Result<Self> {
        let mut child = Command::new("babeltrace2")
            .args(["--clock-cycles", "--clock-seconds", "--no-delta"])
            .arg(trace)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run babeltrace2, the independent reader of the raw events; install it: apt-get install babeltrace2")?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (Some(stdout), Some(mut stderr)) = (stdout, stderr) else {
            bail!("babeltrace2 has no output")
        };
        let warnings = std::thread::spawn(move || {
            let mut text = Vec::new();
            stderr.read_to_end(&mut text).map(|_| text)
        });
        let mut raw = Self::default();
        raw.read_lines(BufReader::with_capacity(1 << 20, stdout), offset)?;
        let warnings = warnings
            .join()
            .map_err(|_| anyhow::anyhow!("reading babeltrace2's warnings failed"))??;
        let warnings = String::from_utf8_lossy(&warnings);
        if !child.wait()?.success() {
            bail!("babeltrace2 {} failed: {warnings}", trace.display());
        }
        raw.lost = warnings.lines().filter_map(discarded).collect();
        Ok(raw)
    }

    pub(crate) fn read_lines(&mut self, mut lines: impl BufRead, offset: Ns) -> Result<()> {
        let mut line = Vec::new();
        loop {
            line.clear();
            if lines.read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            self.read_line(&line, offset);
        }
    }

    fn read_line(&mut self, line: &[u8], offset: Ns) {
        let Some((at, rest)) = stamp(line) else {
            return;
        };
        let Some(head_end) = find(rest, b": { cpu_id = ") else {
            return;
        };
        let name = rest[..head_end]
            .rsplit(|&byte| byte == b' ')
            .next()
            .unwrap_or_default();
        let rest = &rest[head_end + b": { cpu_id = ".len()..];
        let Some(cpu) = leading(rest).and_then(|cpu| u32::try_from(cpu).ok()) else {
            return;
        };
        let at = at + offset;
        self.seen
            .entry(cpu)
            .and_modify(|seen| seen.end = at)
            .or_insert(Span::new(at, at));
        // Context fields stand before the event's own, and may be called as they are.
        if let Some(what) = event(name, &rest[last(rest, b"}, {").unwrap_or(0)..]) {
            self.events.push(Event { at, cpu, what });
        }
    }
}

fn event(name: &[u8], fields: &[u8]) -> Option<What> {
    let tid_target = || {
        Some((
            field(fields, b" tid = ")?,
            u32::try_from(field(fields, b"target_cpu = ")?).ok()?,
        ))
    };
    Some(match name {
        b"sched_switch" => What::Switch {
            prev: field(fields, b"prev_tid = ")?,
            state: u64::try_from(field(fields, b"prev_state = ")?).ok()?,
            next: field(fields, b"next_tid = ")?,
        },
        b"sched_waking" => tid_target().map(|(tid, target)| What::Waking { tid, target })?,
        b"sched_wakeup" => tid_target().map(|(tid, target)| What::Wakeup { tid, target })?,
        b"sched_wakeup_new" => tid_target().map(|(tid, target)| What::WakeupNew { tid, target })?,
        b"sched_migrate_task" => What::Migrate {
            tid: field(fields, b" tid = ")?,
            target: u32::try_from(field(fields, b"dest_cpu = ")?).ok()?,
        },
        b"kvm_x86_entry" => What::Entry,
        b"vcpu_enter_guest" => What::EnterGuest {
            nested: field(fields, b"guest_mode = ")? == 1,
        },
        b"kvm_x86_exit" => What::Exit {
            reason: u32::try_from(field(fields, b"exit_reason = ")?).ok()?,
            vcpu: field(fields, b"vcpu_id = ").unwrap_or(-1),
        },
        _ => return None,
    })
}

/// `[00000000030548397647] rest`
fn stamp(line: &[u8]) -> Option<(Ns, &[u8])> {
    let line = line.strip_prefix(b"[")?;
    let end = line.iter().position(|&byte| byte == b']')?;
    Some((leading(line)?, &line[end + 1..]))
}

fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    text.windows(needle.len())
        .position(|window| window == needle)
}

fn last(text: &[u8], needle: &[u8]) -> Option<usize> {
    text.windows(needle.len())
        .rposition(|window| window == needle)
}

/// The decimal number at the start of `text`; not a number otherwise.
fn leading(text: &[u8]) -> Option<i64> {
    let negative = text.first() == Some(&b'-');
    let digits = text[usize::from(negative)..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit());
    let mut value: Option<i64> = None;
    for digit in digits {
        value = Some(
            value
                .unwrap_or(0)
                .checked_mul(10)?
                .checked_add(i64::from(digit - b'0'))?,
        );
    }
    value.map(|value| if negative { -value } else { value })
}

fn field(fields: &[u8], name: &[u8]) -> Option<i64> {
    let start = find(fields, name)? + name.len();
    leading(&fields[start..])
}

/// `... discarded N events between [S.NNNNNNNNN] and [S.NNNNNNNNN] ... within stream ".../k_1" ...`
fn discarded(line: &str) -> Option<(u32, Span, u64)> {
    let (_, rest) = line.split_once("discarded ")?;
    let count = rest.split(' ').next()?.parse().unwrap_or(0);
    let mut times = rest.split('[').skip(1).filter_map(|part| {
        let (seconds, nanos) = part.split(']').next()?.split_once('.')?;
        Some(seconds.parse::<Ns>().ok()? * 1_000_000_000 + nanos.parse::<Ns>().ok()?)
    });
    let span = Span::new(times.next()?, times.next()?);
    let stream = rest.split("within stream \"").nth(1)?.split('"').next()?;
    Some((stream.rsplit('_').next()?.parse().ok()?, span, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_events() {
        let text = br#"[00000000000000000100] vfhost sched_switch: { cpu_id = 1 }, { prev_comm = "swapper/1", prev_tid = 0, prev_prio = 20, prev_state = 0, next_comm = "a", next_tid = 15, next_prio = 20 }
[00000000000000000150] vfhost noise: { cpu_id = 0 }, { vector = 236 }
[00000000000000000200] vfhost sched_waking: { cpu_id = 1 }, { comm = "rcu_preempt", tid = 15, prio = -20, target_cpu = 3 }
[00000000000000000300] vfhost kvm_x86_exit: { cpu_id = 1 }, { exit_reason = 124, guest_rip = 18446744071579363604, isa = 2, vcpu_id = 2 }
"#;
        let mut raw = Raw::default();
        raw.read_lines(&text[..], 1000).unwrap();
        let whats: Vec<_> = raw
            .events
            .iter()
            .map(|event| (event.at, event.what))
            .collect();
        assert_eq!(
            whats,
            [
                (
                    1100,
                    What::Switch {
                        prev: 0,
                        state: 0,
                        next: 15
                    }
                ),
                (1200, What::Waking { tid: 15, target: 3 }),
                (
                    1300,
                    What::Exit {
                        reason: 124,
                        vcpu: 2
                    }
                ),
            ]
        );
        assert_eq!(
            (raw.seen[&1], raw.seen[&0]),
            (Span::new(1100, 1300), Span::new(1150, 1150))
        );
    }

    #[test]
    fn discarded_events_have_a_window() {
        let line = "WARNING: Tracer discarded 2875 events between [1795378891.338425564] and [1795378891.516101545] in trace \"h\" (UUID: x) within stream \"/t/kernel/k_1\" (stream class ID: 0, stream ID: 1).";
        assert_eq!(
            discarded(line),
            Some((
                1,
                Span::new(1_795_378_891_338_425_564, 1_795_378_891_516_101_545),
                2875
            ))
        );
        assert_eq!(discarded("something else"), None);
    }
}
