//! Integers of 1 to 64 bits at any bit position, in both bit orders (CTF 1.8 section 4.1.5).
//!
//! Little-endian fields take the bits of a byte from the least significant one upwards, big-endian
//! fields from the most significant one downwards.

/// The order of bytes, and with it of bits inside a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ByteOrder {
    /// Least significant first.
    Little,
    /// Most significant first.
    Big,
}

/// `pos` moved up to the next multiple of `mask + 1`, a power of two.
#[inline]
pub(crate) const fn align_up(pos: u64, mask: u64) -> u64 {
    pos.wrapping_add(mask) & !mask
}

/// `value` of `size` bits with its sign carried up to bit 63.
#[inline]
pub(crate) const fn sign_extend(value: u64, size: u32) -> u64 {
    let shift = 64_u32.saturating_sub(size) & 63;
    (((value << shift) as i64) >> shift) as u64
}

/// The `size` bits (1 to 64) from bit `pos` of `data`, without sign extension; `None` when `data`
/// ends before.
#[inline]
pub(crate) fn read_bits(data: &[u8], pos: u64, size: u32, order: ByteOrder) -> Option<u64> {
    let first = usize::try_from(pos / 8).ok()?;
    if pos.is_multiple_of(8) {
        let bytes = data.get(first..)?;
        match (size, order) {
            (8, _) => return bytes.first().map(|&byte| u64::from(byte)),
            (16, ByteOrder::Little) => return take(bytes).map(|b| u16::from_le_bytes(b).into()),
            (16, ByteOrder::Big) => return take(bytes).map(|b| u16::from_be_bytes(b).into()),
            (32, ByteOrder::Little) => return take(bytes).map(|b| u32::from_le_bytes(b).into()),
            (32, ByteOrder::Big) => return take(bytes).map(|b| u32::from_be_bytes(b).into()),
            (64, ByteOrder::Little) => return take(bytes).map(u64::from_le_bytes),
            (64, ByteOrder::Big) => return take(bytes).map(u64::from_be_bytes),
            _ => {}
        }
    }
    read_unaligned(data, first, (pos % 8) as u32, size, order)
}

/// `value` of `size` bits with its bits in the opposite order.
#[inline]
pub(crate) const fn reverse(value: u64, size: u32) -> u64 {
    value.reverse_bits() >> (64_u32.saturating_sub(size) & 63)
}

/// Why bytes are no integer in LEB128.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotLeb {
    /// They end before.
    Short,
    /// It has more than 64 bits.
    TooWide,
}

/// The integer in LEB128 at the beginning of `bytes`, and how many of them it takes. It may be
/// longer than its value needs.
#[inline]
pub(crate) fn read_leb(bytes: &[u8], signed: bool) -> Result<(u64, usize), NotLeb> {
    match bytes.first() {
        Some(&byte) if byte < 0x80 => {
            let value = u64::from(byte);
            Ok((if signed { sign_extend(value, 7) } else { value }, 1))
        }
        _ => read_long_leb(bytes, signed),
    }
}

fn read_long_leb(bytes: &[u8], signed: bool) -> Result<(u64, usize), NotLeb> {
    let mut value = 0_u64;
    let len = 1 + bytes
        .iter()
        .position(|byte| byte & 0x80 == 0)
        .ok_or(NotLeb::Short)?;
    for (i, byte) in bytes.iter().take(len.min(10)).enumerate() {
        // Of the tenth group of seven bits only the first has room.
        value |= u64::from(byte & 0x7f) << (7 * i);
    }
    if len < 10 {
        let bits = 7 * len as u32;
        return Ok((
            if signed {
                sign_extend(value, bits)
            } else {
                value
            },
            len,
        ));
    }
    let fill = if signed && value >> 63 == 1 { 0x7f } else { 0 };
    let tenth = if signed { 0x7f } else { 0x7e };
    let padded = bytes[10..len].iter().all(|byte| byte & 0x7f == fill);
    if padded && bytes[9] & tenth == fill & tenth {
        Ok((value, len))
    } else {
        Err(NotLeb::TooWide)
    }
}

#[inline]
fn take<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.first_chunk::<N>().copied()
}

/// The general case: at most 64 bits that begin `skip` (0 to 7) bits into byte `first`.
fn read_unaligned(
    data: &[u8],
    first: usize,
    skip: u32,
    size: u32,
    order: ByteOrder,
) -> Option<u64> {
    debug_assert!((1..=64).contains(&size) && skip < 8);
    let len = (skip + size).div_ceil(8);
    let bytes = data.get(first..first.checked_add(len as usize)?)?;
    let mask = if size >= 64 {
        u64::MAX
    } else {
        (1 << size) - 1
    };
    let mut wide = 0_u128;
    match order {
        ByteOrder::Little => {
            for &byte in bytes.iter().rev() {
                wide = wide << 8 | u128::from(byte);
            }
            wide >>= skip;
        }
        ByteOrder::Big => {
            for &byte in bytes {
                wide = wide << 8 | u128::from(byte);
            }
            wide >>= len * 8 - skip - size;
        }
    }
    Some(wide as u64 & mask)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bit by bit, straight from the specification.
    fn slow(data: &[u8], pos: u64, size: u32, order: ByteOrder) -> Option<u64> {
        let mut value = 0_u64;
        for i in 0..u64::from(size) {
            let at = pos + i;
            let byte = *data.get((at / 8) as usize)?;
            match order {
                ByteOrder::Little => value |= u64::from(byte >> (at % 8) & 1) << i,
                ByteOrder::Big => value = value << 1 | u64::from(byte >> (7 - at % 8) & 1),
            }
        }
        Some(value)
    }

    proptest! {
        #[test]
        fn agrees_with_bit_by_bit(
            data in proptest::collection::vec(any::<u8>(), 0..20),
            pos in 0_u64..170,
            size in 1_u32..=64,
            big in any::<bool>(),
        ) {
            let order = if big { ByteOrder::Big } else { ByteOrder::Little };
            prop_assert_eq!(read_bits(&data, pos, size, order), slow(&data, pos, size, order));
        }
    }

    #[test]
    fn nibbles_of_an_ip_header() {
        assert_eq!(read_bits(&[0x45], 0, 4, ByteOrder::Big), Some(4));
        assert_eq!(read_bits(&[0x45], 4, 4, ByteOrder::Big), Some(5));
        assert_eq!(read_bits(&[0x45], 0, 4, ByteOrder::Little), Some(5));
        assert_eq!(read_bits(&[0x45], 4, 4, ByteOrder::Little), Some(4));
    }

    /// CTF 2 sections 6.4.9 and 6.4.10; the numbers are those of its examples 98 and 99, encoded
    /// by the definition of LEB128: seven bits a byte, least significant first.
    #[test]
    fn leb128() {
        let unsigned = |bytes: &[u8]| read_leb(bytes, false);
        let signed = |bytes: &[u8]| read_leb(bytes, true).map(|(v, len)| (v as i64, len));
        assert_eq!(unsigned(&[0]), Ok((0, 1)));
        assert_eq!(unsigned(&[0x7f, 1]), Ok((127, 1)));
        // 1,876,916 = 0b111_0010 1000111 0110100
        assert_eq!(unsigned(&[0xb4, 0xc7, 0x72]), Ok((1_876_916, 3)));
        // -220,236 = -(0b1101 0111000 1001100)
        assert_eq!(signed(&[0xb4, 0xc7, 0x72]), Ok((-220_236, 3)));
        assert_eq!(signed(&[0x7f]), Ok((-1, 1)));
        assert_eq!(signed(&[0xff, 0x00]), Ok((127, 2)));
        assert_eq!(signed(&[0x40]), Ok((-64, 1)));
        let max = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        assert_eq!(unsigned(&max), Ok((u64::MAX, 10)));
        let min = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f];
        assert_eq!(signed(&min), Ok((i64::MIN, 10)));
        // Longer than needed.
        assert_eq!(unsigned(&[0x81, 0x80, 0x80, 0]), Ok((1, 4)));
        let long = [
            0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0,
        ];
        assert_eq!(unsigned(&long), Ok((1, 12)));
        let minus = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
        ];
        assert_eq!(signed(&minus), Ok((-1, 11)));
        // Wider than 64 bits.
        let wide = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2];
        assert_eq!(unsigned(&wide), Err(NotLeb::TooWide));
        assert_eq!(read_leb(&wide, true), Err(NotLeb::TooWide));
        assert_eq!(unsigned(&minus), Err(NotLeb::TooWide));
        assert_eq!(unsigned(&[0x80, 0x80]), Err(NotLeb::Short));
        assert_eq!(unsigned(&[]), Err(NotLeb::Short));
    }

    #[test]
    fn bits_the_other_way_round() {
        assert_eq!(reverse(0b0_0110, 5), 0b0_1100);
        assert_eq!(reverse(1, 64), 1 << 63);
        assert_eq!(reverse(1, 1), 1);
    }

    #[test]
    fn signs() {
        assert_eq!(sign_extend(0xff, 8) as i64, -1);
        assert_eq!(sign_extend(0x7f, 8) as i64, 127);
        assert_eq!(sign_extend(1, 1) as i64, -1);
        assert_eq!(sign_extend(u64::MAX, 64) as i64, -1);
    }
}
