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

    #[test]
    fn signs() {
        assert_eq!(sign_extend(0xff, 8) as i64, -1);
        assert_eq!(sign_extend(0x7f, 8) as i64, 127);
        assert_eq!(sign_extend(1, 1) as i64, -1);
        assert_eq!(sign_extend(u64::MAX, 64) as i64, -1);
    }
}
