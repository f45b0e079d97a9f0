//! The two tellings side by side.

use super::ours::Events;
use super::render::Renderer;
use super::told::{Message, Messages, time};
use anyhow::{Context, Result};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use virtflow_base::{Loss, LossKind, Timestamp};
use virtflow_ctf::{Clock, EventClass, FieldType, OwnedEvent, Scope, StreamFile, Trace, Wanted};

/// What a comparison came to.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) events: u64,
    pub(super) values: u64,
    pub(super) packets: u64,
    pub(super) losses: u64,
    pub(super) differences: u64,
    /// The first of them.
    pub(super) shown: Vec<String>,
    /// Differences that are babeltrace2's fault, and how many.
    pub(super) faults: BTreeMap<&'static str, u64>,
}

impl Outcome {
    pub(super) fn counts(&self) -> String {
        format!(
            "{} events, {} fields, {} packets, {} losses compared: {} differences",
            self.events, self.values, self.packets, self.losses, self.differences
        )
    }

    pub(super) fn add(&mut self, other: Self) {
        self.events += other.events;
        self.values += other.values;
        self.packets += other.packets;
        self.losses += other.losses;
        self.differences += other.differences;
    }

    pub(super) fn differ(&mut self, show: usize, what: String) {
        self.differences += 1;
        if self.shown.len() < show {
            self.shown.push(what);
        }
    }
}

/// Its clocks of other frequencies than 1 GHz: `src/lib/trace-ir/utils.h` computes in double precision.
const ROUNDED: &str = "2.0.4 computes nanoseconds of clocks other than 1 GHz as `double`, which rounds; the cycles agree";

/// Later versions end a string that they clear (`clear_string_field`, `src/lib/trace-ir/field.c`).
const STALE: &str =
    "2.0.4 shows, instead of an empty string, what that field held in an earlier event";
/// How many earlier events of a class are searched for that.
const EARLIER: usize = 256;

/// The messages about a stream that are not events.
#[derive(Default)]
struct Told {
    /// Begin and end of each packet as shown.
    packets: Vec<(String, String)>,
    /// The context shown of the packet that is open, until its first event was compared with it.
    context: Option<Vec<u8>>,
    losses: Vec<String>,
}

struct Side {
    events: Events,
    number: u64,
    told: Told,
}

struct Comparison<'t> {
    trace: &'t Arc<Trace>,
    /// By babeltrace2's numbers of class and stream.
    by_id: HashMap<(u64, u64), usize>,
    sides: Vec<Side>,
    /// The last texts of the classes that have strings, by class.
    earlier: HashMap<usize, VecDeque<Vec<u8>>>,
    renderer: Renderer,
    show: usize,
    out: Outcome,
}

/// Compares the trace in `path` with what `text` tells of it; at most `show` differences are kept.
pub(super) fn compare(path: &Path, text: impl BufRead, show: usize) -> Result<Outcome> {
    let trace = Arc::new(Trace::open(path)?);
    let bound = Arc::new(trace.bind(|_| Some(Wanted::default())));
    let side = |stream| Side {
        events: Events::new(&trace, stream, &bound),
        number: 0,
        told: Told::default(),
    };
    let mut comparison = Comparison {
        trace: &trace,
        by_id: HashMap::new(),
        sides: (0..trace.streams().len()).map(side).collect(),
        earlier: HashMap::new(),
        renderer: Renderer::default(),
        show,
        out: Outcome::default(),
    };
    let mut messages = Messages::new(text)?;
    let mut message = Message::default();
    while messages.read(&mut message)? {
        comparison.message(&message)?;
    }
    comparison.finish()
}

impl Comparison<'_> {
    fn differ(&mut self, what: String) {
        let show = self.show;
        self.out.differ(show, what);
    }

    fn message(&mut self, message: &Message) -> Result<()> {
        let first = message
            .body
            .split(|&byte| byte == b'\n')
            .next()
            .unwrap_or_default();
        if first == b"Stream beginning:" {
            return self.stream(message);
        }
        let Some(&stream) = self.by_id.get(&message.stream) else {
            self.differ(format!(
                "a message of a stream that was not announced: {message:?}"
            ));
            return Ok(());
        };
        let told = &mut self.sides[stream].told;
        let time = message.times.first().cloned().unwrap_or_default();
        if first.starts_with(b"Event `") {
            return self.event(stream, message);
        } else if first.starts_with(b"Packet beginning") {
            told.packets.push((time, String::new()));
            let context = message.body.splitn(2, |&byte| byte == b'\n').nth(1);
            told.context = context.map(<[u8]>::to_vec);
        } else if first == b"Packet end" {
            if let Some(packet) = told.packets.last_mut() {
                packet.1 = time;
            }
        } else if first.starts_with(b"Discarded ") {
            let what = String::from_utf8_lossy(first);
            told.losses
                .push(format!("{what} [{}]", message.times.join("] [")));
        } else if first != b"Stream end" {
            let first = String::from_utf8_lossy(first).into_owned();
            self.differ(format!("a message of an unknown kind: {first}"));
        }
        Ok(())
    }

    /// Finds which of our streams one is: by its file, which is its name.
    fn stream(&mut self, message: &Message) -> Result<()> {
        let body = String::from_utf8_lossy(&message.body);
        let name = body
            .lines()
            .find_map(|line| line.trim().strip_prefix("Name: "));
        let path = PathBuf::from(name.context("babeltrace2 does not name a stream's file")?);
        let path = path.canonicalize().unwrap_or(path);
        let has = |stream: &StreamFile| {
            stream
                .paths()
                .any(|own| own.canonicalize().is_ok_and(|own| own == path))
        };
        match self.trace.streams().iter().position(has) {
            Some(stream) => {
                self.by_id.insert(message.stream, stream);
            }
            None => self.differ(format!("virtflow has no stream {}", path.display())),
        }
        Ok(())
    }

    fn event(&mut self, stream: usize, message: &Message) -> Result<()> {
        self.sides[stream].number += 1;
        self.out.events += 1;
        let Some(event) = self.sides[stream].events.next() else {
            self.differ(format!(
                "{}: virtflow has no such event: {}",
                self.place(stream),
                text(&message.body)
            ));
            return Ok(());
        };
        if let Some(context) = self.sides[stream].told.context.take() {
            self.rendered(stream, &event, &[Scope::PacketContext], b"", &context)?;
        }
        self.time(stream, &event, message);
        let class = event
            .class(self.trace)
            .context("an event without a class")?;
        let mut head = Vec::new();
        writeln!(head, "Event `{}` (Class ID {}):", class.name(), class.id())?;
        let scopes = [Scope::StreamContext, Scope::EventContext, Scope::Payload];
        self.rendered(stream, &event, &scopes, &head, &message.body)
    }

    /// Compares `head` and the fields of `scopes` with what babeltrace2 shows.
    fn rendered(
        &mut self,
        stream: usize,
        event: &OwnedEvent,
        scopes: &[Scope],
        head: &[u8],
        shown: &[u8],
    ) -> Result<()> {
        self.renderer.clear();
        self.renderer.text.extend_from_slice(head);
        let renderer = &mut self.renderer;
        let visited = event.visit(self.trace, scopes, &mut |name, item| {
            renderer.take(name, item)
        });
        if let Err(error) = visited {
            self.differ(format!("{}: {error}", self.place(stream)));
        } else if self.renderer.text != shown {
            let fields = fields_that_differ(shown, &self.renderer.text);
            let place = self.place(stream);
            let name = event
                .class(self.trace)
                .map_or("", |class| class.name())
                .to_owned();
            let class = event.class(self.trace).map(EventClass::index);
            let earlier = class.and_then(|class| self.earlier.get(&class));
            let stale = |field: &Differing| earlier.is_some_and(|e| field.is_stale(e));
            let (faults, fields): (Vec<_>, Vec<_>) = fields.into_iter().partition(stale);
            if !faults.is_empty() {
                *self.out.faults.entry(STALE).or_default() += faults.len() as u64;
            }
            for field in fields {
                self.differ(format!("{place} {name}: {field}"));
            }
        }
        if let Some(class) = event.class(self.trace).filter(|class| has_strings(class)) {
            let earlier = self.earlier.entry(class.index()).or_default();
            if earlier.len() == EARLIER {
                earlier.pop_front();
            }
            earlier.push_back(self.renderer.text.clone());
        }
        self.out.values += std::mem::take(&mut self.renderer.values);
        Ok(())
    }

    fn place(&self, stream: usize) -> String {
        let path = self.trace.streams()[stream].path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        format!("{name} event {}", self.sides[stream].number)
    }

    fn time(&mut self, stream: usize, event: &OwnedEvent, message: &Message) {
        let Some(clock) = self.clock(stream).cloned() else {
            return;
        };
        let shown = message.times.first().map_or("", String::as_str);
        let Some((cycles, ns)) = time(shown) else {
            return self.differ(format!("{}: no time: {shown}", self.place(stream)));
        };
        if cycles != event.cycles() {
            self.differ(format!(
                "{}: babeltrace2 {cycles} cycles, virtflow {}",
                self.place(stream),
                event.cycles()
            ));
        }
        match same_time(&clock, cycles, ns, event.time()) {
            Same::Yes => {}
            Same::Rounded => *self.out.faults.entry(ROUNDED).or_default() += 1,
            Same::No => self.differ(format!(
                "{}: babeltrace2 {ns} ns, virtflow {}",
                self.place(stream),
                event.time()
            )),
        }
    }

    fn clock(&self, stream: usize) -> Option<&'_ Clock> {
        let metadata = self.trace.metadata();
        let class = self.trace.streams()[stream].class();
        metadata
            .clocks()
            .get(metadata.stream_classes().get(class)?.clock()?)
    }

    fn finish(mut self) -> Result<Outcome> {
        for stream in 0..self.sides.len() {
            let place = self.trace.streams()[stream].path().display().to_string();
            let mut more = 0_u64;
            while self.sides[stream].events.next().is_some() {
                more += 1;
            }
            if more > 0 {
                self.differ(format!(
                    "{place}: {more} events more than babeltrace2 shows"
                ));
            }
            for problem in self.sides[stream].events.problems()? {
                self.differ(format!("virtflow complains: {problem}"));
            }
            self.packets(stream, &place);
            self.losses(stream, &place);
        }
        for problem in self.trace.problems().kept() {
            self.differ(format!("virtflow complains: {problem}"));
        }
        Ok(self.out)
    }

    fn packets(&mut self, stream: usize, place: &str) {
        let told = std::mem::take(&mut self.sides[stream].told.packets);
        let file = &self.trace.streams()[stream];
        let ours: Vec<_> = file
            .packets()
            .iter()
            .map(|packet| (packet.begin(), packet.end()))
            .collect();
        self.out.packets += told.len() as u64;
        if told.len() != ours.len() {
            self.differ(format!(
                "{place}: babeltrace2 shows {} packets, virtflow {}",
                told.len(),
                ours.len()
            ));
        }
        for (number, (told, ours)) in told.iter().zip(ours).enumerate() {
            for (what, shown, own) in [("begins", &told.0, ours.0), ("ends", &told.1, ours.1)] {
                let (Some(clock), Some(own), Some((cycles, ns))) =
                    (self.clock(stream), own, time(shown))
                else {
                    continue;
                };
                match same_time(clock, cycles, ns, own) {
                    Same::Yes => {}
                    Same::Rounded => *self.out.faults.entry(ROUNDED).or_default() += 1,
                    Same::No => self.differ(format!(
                        "{place} packet {number} {what}: babeltrace2 {ns} ns, virtflow {own}"
                    )),
                }
            }
        }
    }

    fn losses(&mut self, stream: usize, place: &str) {
        let told = std::mem::take(&mut self.sides[stream].told.losses);
        let ours = &self.trace.streams()[stream].coverage().losses;
        let mut ours: Vec<Loss> = ours
            .iter()
            .filter(|loss| loss.kind != LossKind::Unreadable)
            .copied()
            .collect();
        self.out.losses += told.len() as u64;
        for shown in &told {
            match ours
                .iter()
                .position(|loss| self.same_loss(stream, shown, loss))
            {
                Some(found) => {
                    ours.remove(found);
                }
                None => self.differ(format!("{place}: only babeltrace2 tells of {shown}")),
            }
        }
        for loss in ours {
            self.differ(format!("{place}: only virtflow tells of {loss:?}"));
        }
    }

    fn same_loss(&self, stream: usize, shown: &str, loss: &Loss) -> bool {
        let number = |n: u64| String::from_utf8(super::render::decimal(n)).unwrap_or_default();
        let (what, count) = match loss.kind {
            LossKind::Events(n) => ("Discarded events", format!(" ({} events)", number(n))),
            LossKind::Packets(n) => ("Discarded packets", format!(" ({} packets)", number(n))),
            LossKind::Unreadable => return false,
        };
        // What the first packet counts is told without its number: it may include what was lost
        // before, in a part of the trace that is not here.
        let rest = shown.strip_prefix(what);
        let rest = rest.map(|rest| rest.strip_prefix(count.as_str()).unwrap_or(rest));
        let Some(rest) = rest.filter(|rest| rest.starts_with(" [")) else {
            return false;
        };
        let times: Vec<_> = rest
            .trim()
            .trim_matches(['[', ']'])
            .split("] [")
            .filter_map(time)
            .collect();
        let (Some(clock), [begin, end]) = (self.clock(stream), times.as_slice()) else {
            return false;
        };
        let same =
            |told: &(u64, i128), own| !matches!(same_time(clock, told.0, told.1, own), Same::No);
        same(begin, loss.span.start) && same(end, loss.span.end)
    }
}

enum Same {
    Yes,
    /// As far as babeltrace2's arithmetic can tell.
    Rounded,
    No,
}

/// Whether `ns`, which babeltrace2 makes of `cycles`, is our time of them.
fn same_time(clock: &Clock, cycles: u64, ns: i128, ours: Timestamp) -> Same {
    if ns == i128::from(ours.as_nanos()) {
        return Same::Yes;
    }
    let frequency = clock.freq();
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "this is babeltrace2's arithmetic"
    )]
    let nanos = |value: f64| i128::from((1e9 * value / frequency as f64) as u64);
    #[expect(
        clippy::cast_precision_loss,
        reason = "this is babeltrace2's arithmetic"
    )]
    let theirs = i128::from(clock.offset_s()) * 1_000_000_000
        + nanos(clock.offset() as f64)
        + nanos(cycles as f64);
    if frequency != 1_000_000_000 && ns == theirs && clock.time(cycles) == ours {
        Same::Rounded
    } else {
        Same::No
    }
}

fn has_strings(class: &EventClass) -> bool {
    let fields = class.fields().map_or(&[][..], |fields| fields.fields());
    fields
        .iter()
        .any(|field| matches!(field.field_type(), FieldType::String(_)))
}

/// A line that is not the same.
struct Differing {
    theirs: Option<String>,
    ours: Option<String>,
}

impl Differing {
    /// Whether an empty string of ours is, on their side, one that stood there in an earlier event.
    fn is_stale(&self, earlier: &VecDeque<Vec<u8>>) -> bool {
        let (Some(theirs), Some(ours)) = (&self.theirs, &self.ours) else {
            return false;
        };
        let same_field = theirs.len() > ours.len() && theirs.starts_with(ours.as_str());
        let stood = |text: &Vec<u8>| text.split(|&b| b == b'\n').any(|l| l == theirs.as_bytes());
        same_field && ours.ends_with(": ") && earlier.iter().any(stood)
    }
}

impl std::fmt::Display for Differing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let line = |line: &Option<String>| match line {
            Some(line) => line.trim_start().to_owned(),
            None => "(nothing)".to_owned(),
        };
        write!(
            f,
            "babeltrace2 `{}`, virtflow `{}`",
            line(&self.theirs),
            line(&self.ours)
        )
    }
}

/// The lines that are not the same.
fn fields_that_differ(shown: &[u8], ours: &[u8]) -> Vec<Differing> {
    let (shown, ours) = (text(shown), text(ours));
    let (mut theirs, mut own) = (shown.lines(), ours.lines());
    let mut out = Vec::new();
    loop {
        match (theirs.next(), own.next()) {
            (None, None) => return out,
            (left, right) if left == right => {}
            (left, right) => out.push(Differing {
                theirs: left.map(str::to_owned),
                ours: right.map(str::to_owned),
            }),
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_empty_string_can_be_stale() {
        let earlier = VecDeque::from([b"  name: a\n  path: /usr/bin/cut\n".to_vec()]);
        let differs = |theirs: &str, ours: &str| {
            let mut all = fields_that_differ(theirs.as_bytes(), ours.as_bytes());
            let first = all.pop().expect("they differ");
            first.is_stale(&earlier)
        };
        assert!(differs("  path: /usr/bin/cut", "  path: "));
        assert!(!differs("  path: /usr/bin/cut", "  path: /usr"));
        assert!(!differs("  path: /usr/bin/awk", "  path: "));
        assert!(!differs("  path: a", "  path: "));
        assert!(!differs("  path: ", "  path: /usr/bin/cut"));
    }
}
