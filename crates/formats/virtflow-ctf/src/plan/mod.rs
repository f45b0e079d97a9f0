//! Types compiled to plans: what to do with the bits of a packet or an event, once per class
//! instead of once per event.

mod compile;
mod exec;
mod header;
mod packet;

pub(crate) use compile::{Body, Found, Want, flags_inside};
pub(crate) use exec::{Machine, Mark, Stop, find_wide_nul};
pub(crate) use header::{Fixed, HeaderPlan};
pub(crate) use packet::{MAGIC, PacketFacts, PacketPlan, PacketRoles, Role};

use crate::bits::{ByteOrder, read_bits, reverse, sign_extend};
use crate::metadata::{Choice, IntType, Reg};

/// Fixed sizes saturate here: more bits than any file holds, few enough to add up.
pub(crate) const SIZE_MAX: u64 = 1 << 56;

/// How an integer lies in the data.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) size: u32,
    pub(crate) signed: bool,
    pub(crate) order: ByteOrder,
    /// Whether its bits come the other way round than its byte order has it.
    pub(crate) reversed: bool,
}

impl Layout {
    pub(crate) const fn new(int: &IntType) -> Self {
        Self {
            size: int.size,
            signed: int.signed,
            order: int.order,
            reversed: int.reversed,
        }
    }

    /// The value at bit `pos` of `data`; signed ones as 64-bit two's complement.
    #[inline]
    pub(crate) fn read(self, data: &[u8], pos: u64) -> Option<u64> {
        let mut value = read_bits(data, pos, self.size, self.order)?;
        if self.reversed {
            value = reverse(value, self.size);
        }
        Some(if self.signed {
            sign_extend(value, self.size)
        } else {
            value
        })
    }
}

/// What is done with an integer in LEB128.
#[derive(Debug)]
pub(crate) struct LebOp {
    pub(crate) signed: bool,
    /// Registers that keep its value.
    pub(crate) regs: Box<[Reg]>,
    /// Whether it is the clock's.
    pub(crate) clock: bool,
    /// Where it is wanted.
    pub(crate) slot: Option<u32>,
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
    Clock { ahead: u64, layout: Layout },
    /// Goes behind the integer in LEB128 here.
    Leb(Box<LebOp>),
    /// Sets a register; stays.
    Set { reg: Reg, value: u64 },
    /// Stops where a register is 0: what would be asked for next was not read; stays.
    Need { reg: Reg },
    /// Notes that a wanted field lies `ahead` bits from here; stays.
    Mark { ahead: u64, slot: u32 },
    /// Notes that a wanted sequence begins here; stays.
    MarkSequence { slot: u32, len: Reg },
    /// Goes behind the string here, noting it if wanted.
    Text { slot: Option<u32> },
    /// The same for a string of units of 2 or 4 bytes.
    WideText { slot: Option<u32>, unit: u32 },
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
