//! Version 7: sections that options point to (trace-cmd.dat.v7(5)).

use std::collections::HashSet;

use virtflow_base::{ProblemKind, Problems};

use crate::cursor::{Cursor, PIECE_MAX};
use crate::error::Error;
use crate::options::{Buffer7, Place, id};
use crate::packed::Packing;
use crate::trace::{Parts, Raw, problem};
use crate::v6;

/// The flag of a section that is packed.
const PACKED: u16 = 1;
/// The most sections of options, and of anything else.
const SECTIONS_MAX: usize = 4096;
/// The most bytes that all sections of a file may hold, unpacked.
const UNPACKED_MAX: u64 = 256 << 20;

/// Reads all of the head, from behind the size of a page on.
pub(crate) fn read(cursor: &mut Cursor<'_>, parts: &mut Parts<'_>) -> Result<(), Error> {
    let name = cursor.string("name of the packing")?;
    let Some(packing) = Packing::named(&name) else {
        return Err(Error::Packing {
            path: cursor.path().to_owned(),
            name,
        });
    };
    cursor.string("version of the packing")?;
    parts.packing = packing;
    let first = cursor.u64("place of the options")?;
    let mut sections = Sections {
        order: cursor.order(),
        unpacked: 0,
    };
    options(first, &mut sections, parts)?;
    places(&mut sections, parts)
}

/// Reads one section of options after the other.
fn options(first: u64, sections: &mut Sections, parts: &mut Parts<'_>) -> Result<(), Error> {
    let mut seen = HashSet::new();
    let mut at = first;
    while at != 0 {
        if seen.len() >= SECTIONS_MAX || !seen.insert(at) {
            return Err(parts.input.wrong(at, "options that go round in a circle"));
        }
        let mut section = match sections.open(at, id::DONE, parts) {
            // What comes after the first section can be done without.
            Err(error) if at != first => {
                let mut problems = std::mem::take(&mut parts.problems);
                v6::note(&error, at, parts, &mut problems);
                parts.problems = problems;
                return Ok(());
            }
            section => section?,
        };
        at = 0;
        while section.left() > 0 {
            let number = section.u16("number of an option")?;
            let size = section.u32("size of an option")?;
            let mut option = section.part(size.into(), "option")?;
            if number == id::DONE {
                at = if option.left() >= 8 {
                    option.u64("place of the next options")?
                } else {
                    0
                };
                break;
            }
            parts.reading.take(true, number, &mut option)?;
        }
    }
    Ok(())
}

/// Reads what the options point to.
fn places(sections: &mut Sections, parts: &mut Parts<'_>) -> Result<(), Error> {
    let places = std::mem::take(&mut parts.reading.places);
    let mut problems = Problems::default();
    let mut seen = HashSet::new();
    let mut text = false;
    for place in places {
        match place {
            Place::Section { id: number, at } => {
                if seen.len() >= SECTIONS_MAX || !seen.insert((number, at)) {
                    continue;
                }
                if number == id::BUFFER_TEXT {
                    text = true;
                    continue;
                }
                let needed = number == id::HEADER_INFO;
                match section(number, at, sections, parts) {
                    Err(error) if needed => return Err(error),
                    Err(error) => v6::note(&error, at, parts, &mut problems),
                    Ok(()) => {}
                }
            }
            Place::Buffer7(found) => buffer(*found, sections, parts, &mut problems),
            Place::Buffer6 { .. } => {}
        }
    }
    parts.problems.merge(problems);
    if text && parts.raw.is_empty() {
        return Err(Error::Latency {
            path: parts.input.path.as_path().to_owned(),
        });
    }
    Ok(())
}

fn section(
    number: u16,
    at: u64,
    sections: &mut Sections,
    parts: &mut Parts<'_>,
) -> Result<(), Error> {
    let mut section = sections.open(at, number, parts)?;
    match number {
        id::HEADER_INFO => v6::header_info(&mut section, parts),
        id::FTRACE_EVENTS => v6::ftrace_formats(&mut section, parts),
        id::EVENT_FORMATS => v6::event_formats(&mut section, parts),
        id::CMDLINES => v6::command_lines(&mut section, &mut parts.reading),
        _ => Ok(()),
    }
}

fn buffer(found: Buffer7, sections: &Sections, parts: &mut Parts<'_>, problems: &mut Problems) {
    // The section's own head says whether its pages are packed.
    match sections.head(found.at, id::BUFFER, parts) {
        Ok((flags, _, _)) => parts.raw.push(Raw {
            name: found.name,
            clock: found.clock,
            page_size: Some(found.page_size),
            packed: flags & PACKED != 0,
            cpus: found.cpus,
        }),
        Err(error) => {
            let what = format!("the buffer `{}` was left out: {error}", found.name);
            problem(problems, parts.input, found.at, ProblemKind::Corrupt, what);
        }
    }
}

struct Sections {
    order: virtflow_tracefs::ByteOrder,
    unpacked: u64,
}

impl Sections {
    /// Flags, place and size of the section at byte `at`.
    fn head(&self, at: u64, number: u16, parts: &Parts<'_>) -> Result<(u16, u64, u64), Error> {
        let mut cursor = Cursor::of_file(parts.input, self.order, at, u64::MAX);
        let found = cursor.u16("number of a section")?;
        if found != number {
            let what = format!("a section of number {found} instead of {number}");
            return Err(parts.input.wrong(at, what));
        }
        let flags = cursor.u16("flags of a section")?;
        cursor.u32("description of a section")?;
        let size = cursor.u64("size of a section")?;
        Ok((flags, cursor.at(), size))
    }

    /// The contents of the section at byte `at`.
    fn open<'f>(&mut self, at: u64, number: u16, parts: &Parts<'f>) -> Result<Cursor<'f>, Error> {
        let (flags, start, size) = self.head(at, number, parts)?;
        let mut cursor =
            Cursor::of_file(parts.input, self.order, start, start.saturating_add(size));
        if flags & PACKED == 0 {
            return Ok(cursor);
        }
        let packed = cursor.u32("packed size of a section")?;
        let plain = u64::from(cursor.u32("size of a section")?);
        self.unpacked = self.unpacked.saturating_add(plain);
        if plain > PIECE_MAX || self.unpacked > UNPACKED_MAX {
            return Err(parts.input.wrong(at, "sections larger than 256 MiB"));
        }
        let mut bytes = Vec::new();
        let packed = cursor.bytes(packed.into(), "packed section")?;
        let unpacked = parts.packing.unpack(packed, plain, &mut bytes);
        unpacked.map_err(|error| {
            let what = format!("a packed section that cannot be unpacked, {error},");
            parts.input.wrong(at, what)
        })?;
        Ok(Cursor::of_memory(parts.input, self.order, bytes, at))
    }
}
