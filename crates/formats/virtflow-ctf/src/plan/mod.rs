//! Types compiled to plans: what to do with the bits of a packet or an event, once per class
//! instead of once per event.

mod compile;
mod exec;
mod header;
mod packet;

pub(crate) use compile::{Body, Found, Want};
pub(crate) use exec::{Machine, Mark, Stop, find_nul};
pub(crate) use header::{Fixed, HeaderPlan};
pub(crate) use packet::{MAGIC, PacketFacts, PacketPlan};

use crate::bits::ByteOrder;
use crate::metadata::Choice;
use crate::metadata::Reg;

/// Fixed sizes saturate here: more bits than any file holds, few enough to add up.
pub(crate) const SIZE_MAX: u64 = 1 << 56;

/// How an integer lies in the data.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) size: u32,
    pub(crate) signed: bool,
    pub(crate) order: ByteOrder,
}

/// One step of a plan. Positions are bits from the beginning of the window.
#[derive(Debug)]
pub(crate) enum Op {
    /// Goes to the next multiple of `mask + 1`.
    Align { mask: u64 },
    /// Goes on by so many bits.
    Skip { bits: u64 },
    /// Keeps the integer `ahead` bits from here in a register; stays.
    Read {
        ahead: u64,
        layout: Layout,
        reg: Reg,
    },
    /// Gives the clock the integer `ahead` bits from here; stays.
    Clock {
        ahead: u64,
        size: u32,
        order: ByteOrder,
    },
    /// Notes that a wanted field lies `ahead` bits from here; stays.
    Mark { ahead: u64, slot: u32 },
    /// Notes that a wanted sequence begins here; stays.
    MarkSequence { slot: u32, len: Reg },
    /// Goes behind the string here, noting it if wanted.
    Text { slot: Option<u32> },
    /// Goes behind a sequence of elements of a fixed size.
    Elements { len: Reg, size: u64, stride: u64 },
    /// Repeats a plan for each element.
    Repeat { len: Length, body: Box<[Self]> },
    /// Follows the plan of the chosen option.
    Choose {
        tag: Reg,
        signed: bool,
        choices: Box<[Choice]>,
        options: Box<[Box<[Self]>]>,
    },
}

/// How many elements.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Length {
    Fixed(u64),
    Counted(Reg),
}
