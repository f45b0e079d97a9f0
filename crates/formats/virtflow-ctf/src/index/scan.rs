//! Finding packets by their own headers, one after the other.

use std::fs::File;
use std::io;
use std::sync::Arc;

use virtflow_base::ProblemKind;

use super::Packet;
use super::build::{Builder, Part, header_problem};
use super::coverage::Hole;
use crate::bits::ByteOrder;
use crate::clock::Clock;
use crate::metadata::StreamClass;
use crate::plan::{MAGIC, PacketFacts};
use crate::read::{WINDOW, Window};

impl Builder<'_> {
    /// Finds the packets of `part`. Where there is none, the next magic number with the trace's
    /// uuid behind it is looked for, if packets of this class begin so.
    pub(super) fn scan(
        &mut self,
        part: &mut Part,
        stream: &StreamClass,
        file: &File,
    ) -> io::Result<()> {
        let path = Arc::clone(&part.path);
        let mut offset = 0;
        while offset < part.len {
            let number = part.packets.len() as u64;
            let what = match self.packet(part, stream, file, offset)? {
                Ok(packet) => {
                    let end = offset.saturating_add(packet.size / 8);
                    if end > part.len {
                        part.holes.push(Hole::Inside(part.packets.len(), None));
                        let what = "the file ends inside the packet".into();
                        let at = Some(part.len);
                        self.problem(ProblemKind::Truncated, &path, Some(number), at, what);
                    }
                    offset = end;
                    part.packets.push(packet);
                    continue;
                }
                Err(what) => what,
            };
            let hole = Hole::Before(part.packets.len());
            if part.holes.last() != Some(&hole) {
                part.holes.push(hole);
            }
            let next = match self.pattern(stream) {
                Some(pattern) => find(file, &pattern, offset + 1)?,
                None => None,
            };
            let what = match next {
                Some(next) => format!("{what}; {} bytes were left out", next - offset),
                None => format!("{what}; the rest of the file was left out"),
            };
            self.problem(
                ProblemKind::Corrupt,
                &path,
                Some(number),
                Some(offset),
                what,
            );
            let Some(next) = next else { break };
            offset = next;
        }
        Ok(())
    }

    /// The packet at byte `offset`, or what is wrong with it.
    fn packet(
        &mut self,
        part: &Part,
        stream: &StreamClass,
        file: &File,
        offset: u64,
    ) -> io::Result<Result<Packet, &'static str>> {
        let rest = part.len - offset;
        let Ok(facts) = self.header(file, stream, offset, rest)? else {
            return Ok(Err("a packet cut off inside its header"));
        };
        if let Some(what) = header_problem(&facts, self.metadata.uuid, stream.id) {
            return Ok(Err(what));
        }
        let clock = stream
            .clock
            .and_then(|clock| self.metadata.clocks.get(clock));
        Ok(scanned(
            part.packets.len() as u64,
            offset,
            rest,
            &facts,
            clock,
        ))
    }

    /// What every packet begins with, if that is enough to recognise one.
    fn pattern(&self, stream: &StreamClass) -> Option<[u8; 20]> {
        let uuid = self
            .metadata
            .uuid
            .filter(|_| stream.packet.begins_with_magic_and_uuid())?;
        let magic = match self.metadata.byte_order {
            ByteOrder::Little => (MAGIC as u32).to_le_bytes(),
            ByteOrder::Big => (MAGIC as u32).to_be_bytes(),
        };
        let mut pattern = [0; 20];
        pattern[..4].copy_from_slice(&magic);
        pattern[4..].copy_from_slice(&uuid);
        Some(pattern)
    }
}

/// Bytes first searched for a packet, which may well be near: a file of nothing but beginnings of
/// packets must not be read a whole window for each. Windows grow from here to [`WINDOW`].
const SEARCHED_FIRST: usize = WINDOW >> 6;

/// The first byte at or behind `from` where `pattern` stands.
fn find(file: &File, pattern: &[u8; 20], from: u64) -> io::Result<Option<u64>> {
    let mut window = Window::new(SEARCHED_FIRST);
    let mut more = 3;
    let mut at = from;
    loop {
        window.load(file, at, u64::MAX, 0)?;
        let bytes = window.bytes();
        if let Some(found) = bytes
            .windows(pattern.len())
            .position(|here| here == pattern)
        {
            return Ok(Some(at + found as u64));
        }
        let Some(step) = bytes
            .len()
            .checked_sub(pattern.len() - 1)
            .filter(|step| *step > 0)
        else {
            return Ok(None);
        };
        if window.cut {
            return Ok(None);
        }
        at += step as u64;
        if more > 0 {
            more -= 1;
            window.grow();
        }
    }
}

/// The packet at byte `offset` with `rest` bytes of file from there.
fn scanned(
    number: u64,
    offset: u64,
    rest: u64,
    facts: &PacketFacts,
    clock: Option<&Clock>,
) -> Result<Packet, &'static str> {
    let whole = rest.saturating_mul(8);
    let size = match facts
        .size
        .or_else(|| facts.content?.checked_next_multiple_of(8))
    {
        None | Some(0) => whole,
        Some(size) => size,
    };
    let content = match facts.content {
        None | Some(0) => size,
        Some(content) => content,
    };
    if size % 8 != 0 || size < facts.events || content > size || content < facts.events {
        return Err("a packet of an impossible size");
    }
    if size == 0 {
        return Err("a packet without a size");
    }
    let time = |cycles: Option<u64>| cycles.and_then(|cycles| Some(clock?.time(cycles)));
    Ok(Packet {
        file: 0,
        number,
        offset,
        size,
        content,
        begin_cycles: facts.begin,
        end_cycles: facts.end,
        begin: time(facts.begin),
        end: time(facts.end),
        sequence: facts.sequence,
        discarded: facts.discarded,
    })
}
