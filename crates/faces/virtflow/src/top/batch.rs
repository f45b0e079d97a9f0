//! Window after window on standard output.

use super::columns::{NAME_WIDTH, figures, headings, line};
use super::source::{Frame, Message, Source};
use super::tree::tree;
use super::wanted::Wanted;
use crate::Finish;
use crate::args::{TopArgs, TopFormat};
use crate::output::{complain, duration, number};
use std::io::{BufWriter, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use virtflow_query::{LiveRow, RowKind, TopHeader, TopLine, View};

/// How often it is asked whether to end.
const LOOK: Duration = Duration::from_millis(100);

/// Writes windows until they end or somebody interrupts.
pub(super) fn run(
    args: &TopArgs,
    source: &mut Source,
    interrupted: &AtomicUsize,
) -> anyhow::Result<Finish> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    if args.format == TopFormat::Jsonl {
        json(&mut out, &TopLine::Header(TopHeader::default()))?;
    }
    let mut is_lossy = false;
    let mut incomplete = false;
    let mut windows = 0_u64;
    let mut wanted = Wanted::new(args.vm.as_ref());
    while interrupted.load(Ordering::Relaxed) == 0 {
        match source.messages.recv_timeout(LOOK) {
            Ok(Message::Frame(frame)) => {
                windows += 1;
                is_lossy = frame.lost > 0 || frame.missed > 0;
                Wanted::look(&mut wanted, &frame.view);
                match args.format {
                    TopFormat::Text => text(&mut out, args, &source.name, *frame)?,
                    TopFormat::Jsonl => lines(&mut out, args, frame.view)?,
                }
                out.flush()?;
                if args.windows.is_some_and(|most| windows >= most) {
                    break;
                }
            }
            Ok(Message::Ended(how)) => {
                incomplete = how?;
                break;
            }
            Ok(Message::Recorded(_)) | Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    if let Some(wanted) = wanted.filter(|_| windows > 0) {
        let complaint = super::columns::printable(&wanted.complaint());
        complain(&format!("virtflow: {complaint}"));
    }
    Ok(if incomplete || is_lossy {
        Finish::Incomplete
    } else {
        Finish::Complete
    })
}

/// Takes windows, and shows them to nobody: their sums are read elsewhere.
pub(super) fn silent(source: &mut Source, interrupted: &AtomicUsize) -> anyhow::Result<Finish> {
    while interrupted.load(Ordering::Relaxed) == 0 {
        match source.messages.recv_timeout(LOOK) {
            Ok(Message::Ended(how)) => {
                how?;
                break;
            }
            Ok(_) | Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    Ok(Finish::Complete)
}

fn json(out: &mut impl Write, line: &TopLine) -> anyhow::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    writeln!(out)?;
    Ok(())
}

/// A window as lines of JSON.
fn lines(out: &mut impl Write, args: &TopArgs, view: View) -> anyhow::Result<()> {
    json(out, &TopLine::Window(view.line()))?;
    let filter = args.filter.to_lowercase();
    let mut rows: Vec<&LiveRow> = Vec::new();
    view.rows(&mut |row, _| rows.push(row));
    rows.retain(|row| filter.is_empty() || super::columns::matches(row, &filter));
    for row in rows {
        json(out, &TopLine::Row(Box::new(row.alone())))?;
    }
    Ok(())
}

/// A window as text.
fn text(out: &mut impl Write, args: &TopArgs, name: &str, frame: Frame) -> anyhow::Result<()> {
    let view = frame.view;
    let window = view.nanos();
    let missed = view.missed.filter(|missed| *missed > 0);
    let missed = missed.map_or_else(String::new, |missed| format!("  {} missed", number(missed)));
    writeln!(
        out,
        "{}  {} UTC  {}  {} events  {} lost{missed}",
        super::columns::printable(name),
        clock(view.end.as_nanos()),
        duration(window),
        number(view.events),
        number(view.lost),
    )?;
    writeln!(out, "{}", headings(NAME_WIDTH))?;
    for row in tree(view, args.sort, &args.filter) {
        write_row(out, &row, 0, window, args.top)?;
    }
    writeln!(out)?;
    Ok(())
}

fn write_row(
    out: &mut impl Write,
    row: &LiveRow,
    depth: usize,
    window: i64,
    most: usize,
) -> anyhow::Result<()> {
    let figures = figures(row, window);
    writeln!(
        out,
        "{}",
        line(&row.label, depth, NAME_WIDTH, &figures).trim_end()
    )?;
    let mut shown: Option<(RowKind, usize)> = None;
    for child in &row.children {
        let at = match shown {
            Some((kind, at)) if kind == child.kind => at + 1,
            _ => 0,
        };
        shown = Some((child.kind, at));
        if at < most {
            write_row(out, child, depth + 1, window, most)?;
        } else if at == most {
            let all = row.children.iter().filter(|c| c.kind == child.kind);
            let indent = "  ".repeat(depth + 1);
            writeln!(out, "{indent}{} more", all.count() - most)?;
        }
    }
    Ok(())
}

/// A time of the day with milliseconds.
pub(super) fn clock(nanos: i64) -> String {
    let at = jiff::Timestamp::from_nanosecond(nanos.into()).unwrap_or_default();
    at.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()
}
