//! Following a plan.

use super::{Layout, LebOp, Length, Op};
use crate::bits::{NotLeb, align_up, read_leb};
use crate::clock::advance;
use crate::metadata::{Choice, choose};

/// Why a plan could not be followed to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The data ends before.
    Short,
    /// A tag that chooses no option of its variant.
    NoOption,
    /// More elements than any packet holds.
    TooMany,
    /// A length or tag that was not read.
    NoField,
    /// An integer of more than 64 bits.
    TooWide,
}

impl From<NotLeb> for Stop {
    fn from(not: NotLeb) -> Self {
        match not {
            NotLeb::Short => Self::Short,
            NotLeb::TooWide => Self::TooWide,
        }
    }
}

/// Where a wanted field was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    /// Bits from the beginning of the window; [`Mark::ABSENT`] when the event lacks the field.
    pub(crate) pos: u64,
    /// Bytes of a string without its NUL, elements of a sequence, bytes of an integer in LEB128.
    pub(crate) len: u64,
}

impl Mark {
    pub(crate) const ABSENT: Self = Self {
        pos: u64::MAX,
        len: 0,
    };
}

/// The data a plan is followed on and what it leaves behind.
pub(crate) struct Machine<'a> {
    /// The window.
    pub(crate) data: &'a [u8],
    /// Bits of it that may be used.
    pub(crate) limit: u64,
    pub(crate) registers: &'a mut [u64],
    pub(crate) marks: &'a mut [Mark],
    pub(crate) clock: u64,
}

impl Machine<'_> {
    /// Follows `ops` from bit `pos`; the bit behind them.
    pub(crate) fn follow(&mut self, ops: &[Op], pos: u64) -> Result<u64, Stop> {
        let mut pos = pos;
        for op in ops {
            match op {
                Op::Align { mask } => pos = align_up(pos, *mask),
                Op::Skip { bits } => {
                    pos += bits;
                    if pos > self.limit {
                        return Err(Stop::Short);
                    }
                }
                Op::Read { ahead, layout, reg } => {
                    let value = self.int(pos + ahead, *layout)?;
                    self.set(*reg, value);
                }
                Op::Clock { ahead, layout } => {
                    let value = self.int(pos + ahead, *layout)?;
                    self.clock = advance(self.clock, value, layout.size);
                }
                Op::Leb(leb) => pos = self.leb(pos, leb)?,
                Op::Set { reg, value } => self.set(*reg, *value),
                Op::Need { reg } => {
                    if self.get(*reg) == 0 {
                        return Err(Stop::NoField);
                    }
                }
                Op::Mark { ahead, slot } => self.mark(
                    *slot,
                    Mark {
                        pos: pos + ahead,
                        len: 0,
                    },
                ),
                Op::MarkSequence { slot, len } => {
                    let len = self.get(*len);
                    self.mark(*slot, Mark { pos, len });
                }
                Op::Text { slot } => pos = self.text(pos, *slot)?,
                Op::WideText { slot, unit } => pos = self.wide_text(pos, *slot, *unit)?,
                Op::Elements { len, size, stride } => {
                    pos = self.elements(pos, self.get(*len), *size, *stride)?;
                }
                Op::Repeat { len, body } => pos = self.repeat(pos, *len, body)?,
                Op::Choose {
                    tag,
                    signed,
                    choices,
                    options,
                } => {
                    let key = Choice::key(self.get(*tag), *signed);
                    let option = choose(choices, key).and_then(|option| options.get(option));
                    pos = self.follow(option.ok_or(Stop::NoOption)?, pos)?;
                }
            }
        }
        if pos > self.limit {
            Err(Stop::Short)
        } else {
            Ok(pos)
        }
    }

    #[inline]
    fn get(&self, reg: u32) -> u64 {
        self.registers.get(reg as usize).copied().unwrap_or(0)
    }

    #[inline]
    pub(crate) fn set(&mut self, reg: u32, value: u64) {
        if let Some(slot) = self.registers.get_mut(reg as usize) {
            *slot = value;
        }
    }

    fn mark(&mut self, slot: u32, mark: Mark) {
        if let Some(place) = self.marks.get_mut(slot as usize) {
            *place = mark;
        }
    }

    fn int(&self, pos: u64, layout: Layout) -> Result<u64, Stop> {
        if pos + u64::from(layout.size) > self.limit {
            return Err(Stop::Short);
        }
        layout.read(self.data, pos).ok_or(Stop::Short)
    }

    /// The bytes from bit `pos`, a multiple of 8, to the limit.
    #[inline]
    fn rest(&self, pos: u64) -> Result<&[u8], Stop> {
        self.data
            .get((pos / 8) as usize..(self.limit / 8) as usize)
            .ok_or(Stop::Short)
    }

    fn leb(&mut self, pos: u64, leb: &LebOp) -> Result<u64, Stop> {
        let (value, len) = read_leb(self.rest(pos)?, leb.signed)?;
        let len = len as u64;
        for reg in &leb.regs {
            self.set(*reg, value);
        }
        if leb.clock {
            // CTF 2 section 6.3: as many bits as there are groups of seven.
            let bits = u32::try_from(len * 7).unwrap_or(u32::MAX);
            self.clock = advance(self.clock, value, bits);
        }
        if let Some(slot) = leb.slot {
            self.mark(slot, Mark { pos, len });
        }
        Ok(pos + len * 8)
    }

    fn wide_text(&mut self, pos: u64, slot: Option<u32>, unit: u32) -> Result<u64, Stop> {
        let len = find_wide_nul(self.rest(pos)?, unit as usize).ok_or(Stop::Short)? as u64;
        if let Some(slot) = slot {
            self.mark(slot, Mark { pos, len });
        }
        Ok(pos + (len + u64::from(unit)) * 8)
    }

    fn text(&mut self, pos: u64, slot: Option<u32>) -> Result<u64, Stop> {
        let begin = pos / 8;
        let len = find_nul(self.rest(pos)?).ok_or(Stop::Short)? as u64;
        if let Some(slot) = slot {
            self.mark(slot, Mark { pos, len });
        }
        Ok((begin + len + 1) * 8)
    }

    fn elements(&self, pos: u64, len: u64, size: u64, stride: u64) -> Result<u64, Stop> {
        let Some(strides) = len.checked_sub(1) else {
            return Ok(pos);
        };
        let bits = strides
            .checked_mul(stride)
            .and_then(|bits| bits.checked_add(size));
        let bits = bits
            .filter(|bits| *bits < super::SIZE_MAX)
            .ok_or(Stop::TooMany)?;
        if pos + bits > self.limit {
            Err(Stop::Short)
        } else {
            Ok(pos + bits)
        }
    }

    fn repeat(&mut self, pos: u64, len: Length, body: &[Op]) -> Result<u64, Stop> {
        let len = match len {
            Length::Fixed(len) => len,
            Length::Counted(reg) => self.get(reg),
        };
        let mut pos = pos;
        for _ in 0..len {
            let next = self.follow(body, pos)?;
            if next == pos {
                // An element that takes no bits reads none: all further ones are like it.
                break;
            }
            pos = next;
        }
        Ok(pos)
    }
}

/// The place of the first NUL: eight bytes at a time, as strings are long enough for it to pay.
#[inline]
pub(crate) fn find_nul(bytes: &[u8]) -> Option<usize> {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let (words, rest) = bytes.as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let zeros = word.wrapping_sub(LOW) & !word & HIGH;
        if zeros != 0 {
            return Some(i * 8 + zeros.trailing_zeros() as usize / 8);
        }
    }
    rest.iter()
        .position(|&byte| byte == 0)
        .map(|at| words.len() * 8 + at)
}

/// The place of the first unit of zeros.
pub(crate) fn find_wide_nul(bytes: &[u8], unit: usize) -> Option<usize> {
    if unit <= 1 {
        return find_nul(bytes);
    }
    let mut units = bytes.chunks_exact(unit);
    let at = units.position(|unit| unit.iter().all(|&byte| byte == 0))?;
    Some(at * unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nul_is_the_first_one(bytes in proptest::collection::vec(0_u8..4, 0..40)) {
            prop_assert_eq!(find_nul(&bytes), bytes.iter().position(|&b| b == 0));
        }
    }

    fn machine<'a>(data: &'a [u8], registers: &'a mut [u64]) -> Machine<'a> {
        Machine {
            data,
            limit: data.len() as u64 * 8,
            registers,
            marks: &mut [],
            clock: 0,
        }
    }

    #[test]
    fn hostile_counts_end() {
        let mut registers = [0, u64::MAX];
        let mut m = machine(&[1; 16], &mut registers);
        let elements = |size, stride| {
            [Op::Elements {
                len: 1,
                size,
                stride,
            }]
        };
        assert_eq!(m.follow(&elements(64, 64), 0), Err(Stop::TooMany));
        assert_eq!(m.follow(&elements(0, 0), 8), Ok(8));
        let nothing: Box<[Op]> = Box::new([Op::Align { mask: 7 }]);
        let inner: Box<[Op]> = Box::new([Op::Repeat {
            len: Length::Counted(1),
            body: nothing,
        }]);
        let outer = [Op::Repeat {
            len: Length::Fixed(u64::MAX),
            body: inner,
        }];
        assert_eq!(m.follow(&outer, 0), Ok(0));
        assert_eq!(
            m.follow(
                &[Op::Skip {
                    bits: super::super::SIZE_MAX
                }],
                0
            ),
            Err(Stop::Short)
        );
    }
}
