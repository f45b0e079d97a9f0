//! `virtflow intervals`, `virtflow edges` and `virtflow counters`: rows for scripts.

use crate::args::{CountersArgs, EdgesArgs, Input, IntervalsArgs, RowsFormat, UsageError};
use crate::output::{complain, number};
use crate::progress::Bar;
use crate::{Finish, range};
use serde::Serialize;
use std::io::Write;
use virtflow_base::{Problems, Span, text};
use virtflow_query::{
    Counter as CounterKind, CounterRow, EdgeKind, EdgeRow, Facts, IntervalRow, Kind, Options,
    ProblemsReport, ROWS_VERSION, Row, Rows,
};

/// The columns of `intervals`; they may only be appended to.
#[derive(Serialize)]
struct Interval<'a> {
    machine: &'a str,
    start_ns: i64,
    end_ns: i64,
    kind: &'a str,
    key: &'a str,
    label: String,
    vm_key: &'a str,
    vcpu: Option<u32>,
    tid: Option<i32>,
    pid: Option<i32>,
    cr3: Option<String>,
    state: &'a str,
    level: u8,
    cause: &'a str,
    by_key: &'a str,
    confidence: &'a str,
    evidence: &'a str,
}

impl<'a> Interval<'a> {
    fn new(machine: &'a str, row: &IntervalRow<'a>) -> Self {
        Self {
            machine,
            start_ns: row.span.start.as_nanos(),
            end_ns: row.span.end.as_nanos(),
            kind: row.kind.as_str(),
            key: &row.entity.key,
            label: text(&row.entity.label),
            vm_key: row.vm_key,
            vcpu: row.vcpu,
            tid: row.entity.tid,
            pid: row.entity.pid,
            cr3: row.entity.cr3.map(|cr3| format!("{cr3:#x}")),
            state: row.state.as_str(),
            level: row.level,
            cause: row.cause.as_str(),
            by_key: row.by_key,
            confidence: row.confidence.as_str(),
            evidence: row.evidence.as_str(),
        }
    }
}

/// The columns of `edges`.
#[derive(Serialize)]
struct Edge<'a> {
    machine: &'a str,
    from_ns: i64,
    from_key: &'a str,
    to_ns: i64,
    to_key: &'a str,
    kind: &'a str,
    confidence: &'a str,
    evidence: &'a str,
    to_machine: &'a str,
}

impl<'a> Edge<'a> {
    fn new(machine: &'a str, to_machine: &'a str, row: &EdgeRow<'a>) -> Self {
        Self {
            machine,
            from_ns: row.edge.from_time.as_nanos(),
            from_key: &row.from.key,
            to_ns: row.edge.to_time.as_nanos(),
            to_key: &row.to.key,
            kind: row.kind.as_str(),
            confidence: row.confidence.as_str(),
            evidence: row.evidence.as_str(),
            to_machine,
        }
    }
}

/// The columns of `counters`.
#[derive(Serialize)]
struct Counter<'a> {
    machine: &'a str,
    time_ns: i64,
    kind: &'a str,
    key: &'a str,
    label: String,
    counter: &'a str,
    unit: &'a str,
    value: Option<i64>,
}

impl<'a> Counter<'a> {
    fn new(machine: &'a str, row: &CounterRow<'a>) -> Self {
        Self {
            machine,
            time_ns: row.time.as_nanos(),
            kind: row.kind.as_str(),
            key: &row.entity.key,
            label: text(&row.entity.label),
            counter: row.counter.as_str(),
            unit: row.counter.unit(),
            value: row.value,
        }
    }
}

/// Writes rows in either format; the first line names the format and its version.
enum Writer<W: Write> {
    Csv(Box<csv::Writer<W>>),
    Jsonl(W),
}

impl<W: Write> Writer<W> {
    fn new(format: RowsFormat, name: &str, mut out: W) -> std::io::Result<Self> {
        match format {
            RowsFormat::Csv => {
                writeln!(out, "#virtflow-{name} {ROWS_VERSION}")?;
                Ok(Self::Csv(Box::new(csv::Writer::from_writer(out))))
            }
            RowsFormat::Jsonl => {
                writeln!(
                    out,
                    "{{\"format\":\"virtflow-{name}\",\"version\":{ROWS_VERSION}}}"
                )?;
                Ok(Self::Jsonl(out))
            }
        }
    }

    fn write(&mut self, row: &impl Serialize) -> anyhow::Result<()> {
        match self {
            Self::Csv(csv) => csv.serialize(row)?,
            Self::Jsonl(out) => {
                serde_json::to_writer(&mut *out, row)?;
                out.write_all(b"\n")?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Csv(csv) => csv.flush()?,
            Self::Jsonl(out) => out.flush()?,
        }
        Ok(())
    }
}

pub(crate) fn intervals(args: &IntervalsArgs) -> anyhow::Result<Finish> {
    let kind = args.kind.as_deref().map(lane_kind).transpose()?;
    let entity = args.entity.as_deref();
    let mut writer = Writer::new(args.format, "intervals", stdout())?;
    // Interrupts are many, and told only to who asks for them.
    let interrupts = kind == Some(Kind::Interrupt);
    let options = Options {
        interrupts,
        ..with_devices(args.proved_only)
    };
    let finish = each(&args.input, &options, |machine, row| {
        let Row::Interval(row) = row else {
            return Ok(());
        };
        let wanted = kind.map_or(row.kind != Kind::Interrupt, |kind| row.kind == kind)
            && entity.is_none_or(|key| is_below(&row.entity.key, key));
        if wanted {
            writer.write(&Interval::new(machine, row))
        } else {
            Ok(())
        }
    })?;
    writer.flush()?;
    Ok(finish)
}

/// Options by which devices are told apart: they end waits, and hand things on.
fn with_devices(proved_only: bool) -> Options {
    Options {
        counters: true,
        ..options(proved_only)
    }
}

pub(crate) fn edges(args: &EdgesArgs) -> anyhow::Result<Finish> {
    let kind = args.kind.as_deref().map(edge_kind).transpose()?;
    let mut writer = Writer::new(args.format, "edges", stdout())?;
    let options = with_devices(args.proved_only);
    // Not from the cache, as other rows.
    let source = args.input.traces.input(&options, None)?;
    let bar = Bar::new(source.bytes());
    let machines = source.machines();
    let ranges = machines.iter().map(|before| span(&args.input, before));
    let ranges = ranges.collect::<anyhow::Result<Vec<_>>>()?;
    let name = |at: usize| machines.get(at).map_or("", |machine| &machine.name);
    let mut failed = None;
    let after = source.edges(&options, &ranges, &bar.progress, |from, to, row| {
        if failed.is_none()
            && kind.is_none_or(|kind| row.kind == kind)
            && let Err(error) = writer.write(&Edge::new(name(from), name(to), row))
        {
            failed = Some(error);
            bar.progress.stop();
        }
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    writer.flush()?;
    let mut finish = Finish::Complete;
    for facts in &after {
        tell_segments(facts);
        if tell(facts) == Finish::Incomplete {
            finish = Finish::Incomplete;
        }
    }
    Ok(finish)
}

pub(crate) fn counters(args: &CountersArgs) -> anyhow::Result<Finish> {
    let counter = args.counter.as_deref().map(counter_kind).transpose()?;
    let entity = args.entity.as_deref();
    let mut writer = Writer::new(args.format, "counters", stdout())?;
    let options = Options {
        counters: true,
        ..Options::default()
    };
    let finish = each(&args.input, &options, |machine, row| {
        let Row::Counter(row) = row else {
            return Ok(());
        };
        let wanted = counter.is_none_or(|counter| row.counter == counter)
            && entity.is_none_or(|key| row.entity.key == key);
        if wanted {
            writer.write(&Counter::new(machine, row))
        } else {
            Ok(())
        }
    })?;
    writer.flush()?;
    Ok(finish)
}

fn stdout() -> impl Write {
    std::io::BufWriter::with_capacity(1 << 16, std::io::stdout().lock())
}

/// Whether an entity is the one with `key`, or a part of it.
fn is_below(own: &str, key: &str) -> bool {
    own.strip_prefix(key)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn lane_kind(name: &str) -> Result<Kind, UsageError> {
    Kind::ALL.iter().copied().find(|k| k.as_str() == name && k.is_lane()).ok_or_else(|| {
        UsageError(format!(
            "--kind {name}: not a kind of lane; one of cpu, thread, vcpu, nested-vcpu, process, guest-thread, interrupt"
        ))
    })
}

fn counter_kind(name: &str) -> Result<CounterKind, UsageError> {
    let known = CounterKind::ALL
        .iter()
        .copied()
        .find(|c| c.as_str() == name);
    known.ok_or_else(|| {
        let all: Vec<_> = CounterKind::ALL.iter().map(|c| c.as_str()).collect();
        UsageError(format!(
            "--counter {name}: not a counter; one of {}",
            all.join(", ")
        ))
    })
}

fn edge_kind(name: &str) -> Result<EdgeKind, UsageError> {
    let known = EdgeKind::ALL.iter().copied().find(|k| k.as_str() == name);
    known.ok_or_else(|| {
        let kinds: Vec<_> = EdgeKind::ALL.iter().map(|k| k.as_str()).collect();
        UsageError(format!(
            "--kind {name}: not a kind of edge; one of {}",
            kinds.join(", ")
        ))
    })
}

/// Gives every row of every machine to `take`, with the machine's name, until it fails.
fn each(
    input: &Input,
    options: &Options,
    mut take: impl FnMut(&str, &Row<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<Finish> {
    // Not from the cache: rows come in the order in which they are found, and should each time.
    let source = input.traces.input(options, None)?;
    let bar = Bar::new(source.bytes());
    let mut finish = Finish::Complete;
    for (at, before) in source.machines().iter().enumerate() {
        let span = span(input, before)?;
        let name = before.name.clone();
        let mut failed = None;
        let sink = Rows::new(span, |row: Row<'_>| {
            if failed.is_none()
                && let Err(error) = take(&name, &row)
            {
                failed = Some(error);
                bar.progress.stop();
            }
        });
        let (sink, facts) = source.pass(at, options, span, sink, &bar.progress)?;
        drop(sink);
        if let Some(error) = failed {
            return Err(error);
        }
        if tell(&facts) == Finish::Incomplete {
            finish = Finish::Incomplete;
        }
    }
    Ok(finish)
}

/// What was chosen about the analysis.
pub(crate) fn options(proved_only: bool) -> Options {
    Options {
        proved_only,
        ..Options::default()
    }
}

/// The stretch of time that was asked for.
pub(crate) fn span(input: &Input, facts: &Facts) -> anyhow::Result<Span> {
    let begins = facts.span().map(|span| span.start).unwrap_or_default();
    Ok(range::parse(input.range.as_deref(), begins, input.local)?)
}

/// Says on standard error what was wrong with the input; the first few things, and how many more.
pub(crate) fn tell_problems(problems: &Problems) {
    tell_some(
        problems.total(),
        problems.kept().iter().map(ToString::to_string),
    );
}

fn tell_problem_reports(problems: &ProblemsReport) {
    tell_some(
        problems.total,
        problems.first.iter().map(ToString::to_string),
    );
}

fn tell_some(total: u64, first: impl Iterator<Item = String>) {
    const SHOWN: u64 = 10;
    for (problem, _) in first.zip(0..SHOWN) {
        complain(&format!("virtflow: warning: {problem}"));
    }
    if total > SHOWN {
        complain(&format!(
            "virtflow: warning: and {} more; `virtflow info` shows them",
            total - SHOWN
        ));
    }
}

/// Says that edges between machines are missing.
pub(crate) fn tell_segments(facts: &Facts) {
    if facts.segments_unnoted > 0 {
        complain(&format!(
            "virtflow: warning: there was no room for {} TCP segments of {}: whom they and later ones woke on other \
             machines is not told",
            number(facts.segments_unnoted),
            facts.name,
        ));
    }
}

/// Says on standard error what was wrong with the input.
pub(crate) fn tell(facts: &Facts) -> Finish {
    tell_problem_reports(&facts.problems);
    if facts.streams.iter().any(|stream| !stream.is_whole()) {
        complain("virtflow: warning: events were lost; what they hide is shown as unknown (lost)");
    }
    if facts.is_complete() {
        Finish::Complete
    } else {
        Finish::Incomplete
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_compared_part_by_part() {
        assert!(is_below("vm:1@2/vcpu:0", "vm:1@2"));
        assert!(is_below("vm:1@2", "vm:1@2"));
        assert!(!is_below("vm:12@2", "vm:1"));
    }
}
