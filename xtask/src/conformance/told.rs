//! What babeltrace2's sink `text.details` tells, message by message.

use anyhow::Result;
use std::io::BufRead;

/// One message: a paragraph.
#[derive(Debug, Default)]
pub(super) struct Message {
    /// The lines in brackets, without them: one time, or two.
    pub(super) times: Vec<String>,
    /// Stream class and stream.
    pub(super) stream: (u64, u64),
    /// What follows, each line ended.
    pub(super) body: Vec<u8>,
}

/// Reads messages from a text.
pub(super) struct Messages<R> {
    text: R,
    /// The line read last: the first of the next message.
    next: Vec<u8>,
}

impl<R: BufRead> Messages<R> {
    pub(super) fn new(mut text: R) -> Result<Self> {
        let mut next = Vec::new();
        text.read_until(b'\n', &mut next)?;
        Ok(Self { text, next })
    }

    /// The next message into `message`; false at the end.
    pub(super) fn read(&mut self, message: &mut Message) -> Result<bool> {
        message.times.clear();
        message.body.clear();
        while is_time(&self.next) {
            let line = String::from_utf8_lossy(&self.next);
            message
                .times
                .push(line.trim_end().trim_matches(['[', ']']).to_owned());
            self.line()?;
        }
        if self.next.is_empty() {
            return Ok(false);
        }
        message.stream = stream(&self.next).unwrap_or((u64::MAX, u64::MAX));
        self.line()?;
        loop {
            if self.next.is_empty() {
                return Ok(true);
            }
            // An empty line ends a message, unless a text has it: then no time follows.
            if self.next == b"\n" {
                self.line()?;
                if self.next.is_empty() || is_time(&self.next) {
                    return Ok(true);
                }
                message.body.push(b'\n');
                continue;
            }
            message.body.extend_from_slice(&self.next);
            self.line()?;
        }
    }

    fn line(&mut self) -> Result<()> {
        self.next.clear();
        self.text.read_until(b'\n', &mut self.next)?;
        Ok(())
    }
}

fn is_time(line: &[u8]) -> bool {
    line == b"[Unknown]\n" || (line.starts_with(b"[") && line.ends_with(b" ns from origin]\n"))
}

/// Of `{Trace 0, Stream class ID 0, Stream ID 1}` the two last numbers.
fn stream(line: &[u8]) -> Option<(u64, u64)> {
    let line = str::from_utf8(line).ok()?.trim().trim_matches(['{', '}']);
    let mut parts = line.split(", ").skip(1);
    let class = parts.next()?.strip_prefix("Stream class ID ")?;
    let stream = parts.next()?.strip_prefix("Stream ID ")?;
    Some((class.parse().ok()?, stream.parse().ok()?))
}

/// `1,234 cycles, -5,678 ns from origin`: 1234 and -5678.
pub(super) fn time(text: &str) -> Option<(u64, i128)> {
    let (cycles, rest) = text.split_once(" cycles, ")?;
    let ns = rest.strip_suffix(" ns from origin")?;
    Some((
        cycles.replace(',', "").parse().ok()?,
        ns.replace(',', "").parse().ok()?,
    ))
}
