//! Version 6: everything one after the other (trace-cmd.dat.v6(5)), and what version 7 took over.

use virtflow_base::{ProblemKind, Problems};
use virtflow_tracefs::{EventFormat, HeaderPage};

use crate::cursor::Cursor;
use crate::error::Error;
use crate::options::{Place, Reading, id};
use crate::trace::{Parts, Raw, problem};

const OPTIONS: &[u8] = b"options  \0";
const LATENCY: &[u8] = b"latency  \0";
const FLYRECORD: &[u8] = b"flyrecord\0";
/// The most processors of a file.
const PROCESSORS_MAX: u32 = 1 << 16;
/// The most descriptions of events, systems of them included, and bytes in all of them: numbers of
/// events have 16 bits, and an instance may have all of them again.
const FORMATS_MAX: u32 = 1 << 18;
const FORMAT_BYTES_MAX: u64 = 64 << 20;

/// Reads all of the head, from behind the size of a page on.
pub(crate) fn read(cursor: &mut Cursor<'_>, parts: &mut Parts<'_>) -> Result<(), Error> {
    header_info(cursor, parts)?;
    ftrace_formats(cursor, parts)?;
    event_formats(cursor, parts)?;
    let symbols = cursor.u32("size of the kernel's symbols")?;
    cursor.skip(symbols.into(), "symbols of the kernel")?;
    let formats = cursor.u32("size of the printk formats")?;
    cursor.skip(formats.into(), "printk formats")?;
    command_lines(cursor, &mut parts.reading)?;
    let processors = cursor.u32("count of processors")?;
    let cpus = pages(cursor, processors, Some(parts))?;
    parts.raw.push(Raw {
        name: String::new(),
        clock: parts.reading.options.clock.clone(),
        page_size: None,
        packed: false,
        cpus,
    });
    others(cursor, parts, processors);
    Ok(())
}

/// The buffers of instances.
fn others(cursor: &mut Cursor<'_>, parts: &mut Parts<'_>, processors: u32) {
    let count = parts.reading.options.processors.unwrap_or(processors);
    for place in std::mem::take(&mut parts.reading.places) {
        let Place::Buffer6 { at, name } = place else {
            continue;
        };
        let mut there = Cursor::of_file(parts.input, cursor.order(), at, u64::MAX);
        match pages(&mut there, count, None) {
            Ok(cpus) => parts.raw.push(Raw {
                name,
                clock: parts.reading.options.clock.clone(),
                page_size: None,
                packed: false,
                cpus,
            }),
            Err(error) => {
                let what = format!("the buffer `{name}` was left out: {error}");
                let kind = ProblemKind::Corrupt;
                problem(&mut parts.problems, parts.input, at, kind, what);
            }
        }
    }
}

/// Processor, place and size of each processor's pages, behind the options if there are some.
fn pages(
    cursor: &mut Cursor<'_>,
    processors: u32,
    parts: Option<&mut Parts<'_>>,
) -> Result<Vec<(u32, u64, u64)>, Error> {
    let mut kind = cursor.bytes(10, "kind of the data")?.to_owned();
    if kind == OPTIONS {
        let mut ignored = Reading::default();
        options(
            cursor,
            parts.map_or(&mut ignored, |parts| &mut parts.reading),
        )?;
        kind = cursor.bytes(10, "kind of the data")?.to_owned();
    }
    if kind == LATENCY {
        return Err(Error::Latency {
            path: cursor.path().to_owned(),
        });
    }
    if kind != FLYRECORD {
        return Err(cursor.wrong("data that is neither `flyrecord` nor `latency`"));
    }
    if processors > PROCESSORS_MAX {
        return Err(cursor.wrong(format!("{processors} processors")));
    }
    let mut cpus = Vec::new();
    for cpu in 0..processors {
        let at = cursor.u64("place of a processor's pages")?;
        cpus.push((cpu, at, cursor.u64("size of a processor's pages")?));
    }
    Ok(cpus)
}

fn options(cursor: &mut Cursor<'_>, reading: &mut Reading) -> Result<(), Error> {
    loop {
        let number = cursor.u16("number of an option")?;
        if number == id::DONE {
            return Ok(());
        }
        let size = cursor.u32("size of an option")?;
        let mut option = cursor.part(size.into(), "option")?;
        reading.take(false, number, &mut option)?;
    }
}

/// How pages of the ring buffer and their entries are laid out.
pub(crate) fn header_info(cursor: &mut Cursor<'_>, parts: &mut Parts<'_>) -> Result<(), Error> {
    cursor.expect(b"header_page\0", "header_page")?;
    let size = cursor.u64("size of header_page")?;
    let at = cursor.place();
    let header = HeaderPage::parse(cursor.bytes(size, "header_page")?);
    let header = header.map_err(|error| {
        let what = format!("header_page: {error},");
        parts.input.wrong(at, what)
    })?;
    parts.header = Some(header);
    cursor.expect(b"header_event\0", "header_event")?;
    let size = cursor.u64("size of header_event")?;
    cursor.skip(size, "header_event")
}

/// The descriptions of ftrace's own events.
pub(crate) fn ftrace_formats(cursor: &mut Cursor<'_>, parts: &mut Parts<'_>) -> Result<(), Error> {
    for _ in 0..cursor.u32("count of ftrace's formats")? {
        format(cursor, "ftrace", parts)?;
    }
    Ok(())
}

/// The descriptions of the kernel's events.
pub(crate) fn event_formats(cursor: &mut Cursor<'_>, parts: &mut Parts<'_>) -> Result<(), Error> {
    for _ in 0..cursor.u32("count of systems of events")? {
        let system = cursor.string("name of a system of events")?;
        one_more(cursor, 0, parts)?;
        for _ in 0..cursor.u32("count of a system's events")? {
            format(cursor, &system, parts)?;
        }
    }
    Ok(())
}

fn format(cursor: &mut Cursor<'_>, system: &str, parts: &mut Parts<'_>) -> Result<(), Error> {
    let size = cursor.u64("size of the format of an event")?;
    one_more(cursor, size, parts)?;
    let at = cursor.place();
    let text = cursor.bytes(size, "format of an event")?;
    match EventFormat::parse(system, text) {
        // Twice the same number: trace-cmd writes an event's format once for each instance.
        Ok(format) => {
            parts.formats.push(format);
        }
        Err(error) => {
            let what = format!(
                "the format of an event of `{system}` cannot be understood, {error}; its events \
                 are left out"
            );
            let kind = ProblemKind::Undescribed;
            problem(&mut parts.problems, parts.input, at, kind, what);
        }
    }
    Ok(())
}

fn one_more(cursor: &Cursor<'_>, bytes: u64, parts: &mut Parts<'_>) -> Result<(), Error> {
    let (count, sum) = parts.described;
    parts.described = (count + 1, sum.saturating_add(bytes));
    if parts.described.0 > FORMATS_MAX || parts.described.1 > FORMAT_BYTES_MAX {
        return Err(cursor.wrong("more than 262,144 formats of events or 64 MiB of them"));
    }
    Ok(())
}

/// The names of threads.
pub(crate) fn command_lines(cursor: &mut Cursor<'_>, reading: &mut Reading) -> Result<(), Error> {
    let size = cursor.u64("size of the names of threads")?;
    reading
        .threads
        .name_all(cursor.bytes(size, "names of threads")?);
    Ok(())
}

/// Notes `error` instead of failing.
pub(crate) fn note(error: &Error, at: u64, parts: &Parts<'_>, problems: &mut Problems) {
    let kind = ProblemKind::Corrupt;
    problem(
        problems,
        parts.input,
        at,
        kind,
        format!("{error}; left out"),
    );
}
