//! The hot loop: from event to event inside a window.

use virtflow_base::CpuId;

use super::bind::{Bound, BoundClass};
use crate::bits::{ByteOrder, align_up};
use crate::clock::advance;
use crate::metadata::{Metadata, StreamClass};
use crate::plan::{Body, Fixed, HeaderPlan, Machine, Mark, Op, Stop};

/// Takes events as they are found.
pub(super) trait Visit {
    /// A packet begins: its processor, and the bytes of its header and context.
    fn packet(&mut self, cpu: Option<CpuId>, head: &[u8]);

    /// Every event, known by its class, and the clock at it.
    fn class(&mut self, class: usize, clock: u64);

    /// An event whose class is bound; whether to go on.
    fn event(&mut self, found: &Found<'_>) -> bool;
}

/// An event in a window.
pub(super) struct Found<'a> {
    pub(super) class: usize,
    pub(super) bound: &'a BoundClass,
    pub(super) data: &'a [u8],
    pub(super) marks: &'a [Mark],
    /// Bits from the beginning of the window.
    pub(super) begin: u64,
    pub(super) body: u64,
    pub(super) end: u64,
    pub(super) clock: u64,
}

/// Why the loop came to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    /// The window holds no further whole event.
    Window,
    /// The visitor asked for it.
    Visitor,
    /// The next event is none.
    Wrong(Wrong),
}

/// What is wrong with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// An id without a class.
    UnknownId(u64),
    /// It takes no space, so that there would be no end of them.
    Empty,
    /// A tag without an option.
    NoOption,
    /// More elements than any packet holds.
    TooMany,
    /// A length or tag that was not read.
    NoField,
    /// An integer of more than 64 bits.
    TooWide,
}

/// Where the loop is.
pub(super) struct Cursor<'a> {
    /// The fields wanted; without it, events are only stepped over.
    pub(super) bound: Option<&'a Bound>,
    pub(super) data: &'a [u8],
    /// Bits of `data` that may hold events.
    pub(super) limit: u64,
    pub(super) pos: u64,
    pub(super) clock: u64,
    /// The clock at the last event, maybe of the packet before.
    pub(super) last: u64,
    /// Whether the clock went backwards.
    pub(super) backwards: bool,
    pub(super) events: u64,
}

impl Cursor<'_> {
    /// Goes behind an event.
    #[inline]
    const fn passed(&mut self, end: u64, clock: u64) {
        self.pos = end;
        self.clock = clock;
        self.backwards |= clock < self.last;
        self.last = clock;
        self.events += 1;
    }
}

/// Gives events to `visit` until something stops that.
pub(super) fn scan<V: Visit>(
    metadata: &Metadata,
    stream: &StreamClass,
    cursor: &mut Cursor<'_>,
    registers: &mut [u64],
    marks: &mut [Mark],
    visit: &mut V,
) -> Pause {
    match &stream.header {
        HeaderPlan::Fixed(Fixed { large, order, tag }) => match (large, order) {
            (false, ByteOrder::Little) => {
                let header = LttngHeader::<false, false> { tag: *tag };
                run(metadata, stream, header, cursor, registers, marks, visit)
            }
            (false, ByteOrder::Big) => {
                let header = LttngHeader::<false, true> { tag: *tag };
                run(metadata, stream, header, cursor, registers, marks, visit)
            }
            (true, ByteOrder::Little) => {
                let header = LttngHeader::<true, false> { tag: *tag };
                run(metadata, stream, header, cursor, registers, marks, visit)
            }
            (true, ByteOrder::Big) => {
                let header = LttngHeader::<true, true> { tag: *tag };
                run(metadata, stream, header, cursor, registers, marks, visit)
            }
        },
        HeaderPlan::General { ops, .. } => run(
            metadata,
            stream,
            GeneralHeader { ops },
            cursor,
            registers,
            marks,
            visit,
        ),
    }
}

trait Header {
    /// The event's id and the bit behind its header at `pos`.
    fn read(&self, machine: &mut Machine<'_>, pos: u64) -> Result<(u64, u64), Stop>;
}

struct LttngHeader<const LARGE: bool, const BIG: bool> {
    tag: u32,
}

impl<const LARGE: bool, const BIG: bool> LttngHeader<LARGE, BIG> {
    const fn int32(bytes: [u8; 4]) -> u64 {
        if BIG {
            u32::from_be_bytes(bytes) as u64
        } else {
            u32::from_le_bytes(bytes) as u64
        }
    }

    const fn int16(bytes: [u8; 2]) -> u64 {
        if BIG {
            u16::from_be_bytes(bytes) as u64
        } else {
            u16::from_le_bytes(bytes) as u64
        }
    }
}

impl<const LARGE: bool, const BIG: bool> Header for LttngHeader<LARGE, BIG> {
    #[inline]
    fn read(&self, machine: &mut Machine<'_>, pos: u64) -> Result<(u64, u64), Stop> {
        let bytes = machine.data.get((pos / 8) as usize..).ok_or(Stop::Short)?;
        let id_bytes = if LARGE { 2 } else { 1 };
        let (id, highest) = if LARGE {
            (
                Self::int16(*bytes.first_chunk().ok_or(Stop::Short)?),
                0xffff,
            )
        } else {
            let first = u64::from(*bytes.first().ok_or(Stop::Short)?);
            (if BIG { first >> 3 } else { first & 31 }, 31)
        };
        machine.set(self.tag, id);
        if id == highest {
            let rest = bytes.get(id_bytes..).ok_or(Stop::Short)?;
            let long: &[u8; 12] = rest.first_chunk().ok_or(Stop::Short)?;
            let [a, b, c, d, time @ ..] = *long;
            machine.clock = if BIG {
                u64::from_be_bytes(time)
            } else {
                u64::from_le_bytes(time)
            };
            return Ok((Self::int32([a, b, c, d]), pos + (id_bytes as u64 + 12) * 8));
        }
        if LARGE {
            let time = bytes
                .get(2..)
                .and_then(|rest| rest.first_chunk())
                .ok_or(Stop::Short)?;
            machine.clock = advance(machine.clock, Self::int32(*time), 32);
            return Ok((id, pos + 48));
        }
        let word = Self::int32(*bytes.first_chunk().ok_or(Stop::Short)?);
        let time = if BIG { word & 0x07ff_ffff } else { word >> 5 };
        machine.clock = advance(machine.clock, time, 27);
        Ok((id, pos + 32))
    }
}

struct GeneralHeader<'p> {
    ops: &'p [Op],
}

impl Header for GeneralHeader<'_> {
    fn read(&self, machine: &mut Machine<'_>, pos: u64) -> Result<(u64, u64), Stop> {
        machine.set(0, 0);
        let end = machine.follow(self.ops, pos)?;
        Ok((machine.registers.first().copied().unwrap_or(0), end))
    }
}

fn run<H: Header, V: Visit>(
    metadata: &Metadata,
    stream: &StreamClass,
    header: H,
    cursor: &mut Cursor<'_>,
    registers: &mut [u64],
    marks: &mut [Mark],
    visit: &mut V,
) -> Pause {
    let mask = stream.header.mask();
    let Cursor {
        data,
        limit,
        bound: all,
        ..
    } = *cursor;
    let mut machine = Machine {
        data,
        limit,
        registers,
        marks,
        clock: cursor.clock,
    };
    loop {
        let begin = align_up(cursor.pos, mask);
        if begin >= limit {
            return Pause::Window;
        }
        let (id, body) = match header.read(&mut machine, begin) {
            Ok(found) => found,
            Err(stop) => return stopped(stop),
        };
        let Some(index) = stream.classes.get(id) else {
            return Pause::Wrong(Wrong::UnknownId(id));
        };
        let plan = &metadata.events[index].body;
        let body = align_up(body, plan.mask);
        let bound = all.and_then(|bound| bound.get(index));
        let end = match body_end(&mut machine, plan, bound, body) {
            Ok(end) if end > limit => return Pause::Window,
            Ok(end) if end == cursor.pos => return Pause::Wrong(Wrong::Empty),
            Ok(end) => end,
            Err(stop) => return stopped(stop),
        };
        cursor.passed(end, machine.clock);
        visit.class(index, machine.clock);
        if let Some(bound) = bound {
            let found = Found {
                class: index,
                bound,
                data,
                marks: machine.marks,
                begin,
                body,
                end,
                clock: machine.clock,
            };
            if !visit.event(&found) {
                return Pause::Visitor;
            }
        }
    }
}

/// The bit behind the event whose body begins at bit `body`.
#[inline]
fn body_end(
    machine: &mut Machine<'_>,
    plan: &Body,
    bound: Option<&BoundClass>,
    body: u64,
) -> Result<u64, Stop> {
    // A bound class may mark fields on a way that is otherwise a single step.
    let ops = bound.map_or(&plan.ops, |bound| &bound.body.ops);
    if ops.is_empty() {
        return Ok(body + plan.size);
    }
    if bound.is_some() {
        machine.marks.fill(Mark::ABSENT);
    }
    machine.follow(ops, body)
}

const fn stopped(stop: Stop) -> Pause {
    match stop {
        Stop::Short => Pause::Window,
        Stop::NoOption => Pause::Wrong(Wrong::NoOption),
        Stop::TooMany => Pause::Wrong(Wrong::TooMany),
        Stop::NoField => Pause::Wrong(Wrong::NoField),
        Stop::TooWide => Pause::Wrong(Wrong::TooWide),
    }
}
