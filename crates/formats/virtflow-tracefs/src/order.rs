//! Integers of whole bytes in either order.

/// Which byte of an integer comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ByteOrder {
    /// The lowest one.
    #[default]
    Little,
    /// The highest one.
    Big,
}

impl ByteOrder {
    /// The integer of one to eight bytes that `bytes` is; `None` for other lengths.
    #[inline]
    pub fn uint(self, bytes: &[u8]) -> Option<u64> {
        // The usual lengths at once.
        match (self, bytes.len()) {
            (Self::Little, 4) => return Some(u32::from_le_bytes(*bytes.first_chunk()?).into()),
            (Self::Little, 8) => return Some(u64::from_le_bytes(*bytes.first_chunk()?)),
            (_, 1..=8) => {}
            _ => return None,
        }
        let mut word = [0; 8];
        Some(match self {
            Self::Little => {
                word.get_mut(..bytes.len())?.copy_from_slice(bytes);
                u64::from_le_bytes(word)
            }
            Self::Big => {
                word.get_mut(8 - bytes.len()..)?.copy_from_slice(bytes);
                u64::from_be_bytes(word)
            }
        })
    }

    /// The same as two's complement.
    #[inline]
    pub fn int(self, bytes: &[u8]) -> Option<i64> {
        let unused = 64 - 8 * u32::try_from(bytes.len().min(8)).ok()?;
        Some((self.uint(bytes)? << unused) as i64 >> unused)
    }

    /// The 32-bit integer at byte `at`.
    #[inline]
    pub fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        })
    }

    /// The 64-bit integer at byte `at`.
    #[inline]
    pub fn u64(self, bytes: &[u8], at: usize) -> Option<u64> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Little => u64::from_le_bytes(bytes),
            Self::Big => u64::from_be_bytes(bytes),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_any_length_in_either_order() {
        let bytes = [0x81, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(ByteOrder::Little.uint(&bytes[..1]), Some(0x81));
        assert_eq!(ByteOrder::Little.uint(&bytes[..3]), Some(0x0003_0281));
        assert_eq!(ByteOrder::Big.uint(&bytes[..3]), Some(0x0081_0203));
        assert_eq!(ByteOrder::Big.uint(&bytes), Some(0x8102_0304_0506_0708));
        assert_eq!(ByteOrder::Big.int(&bytes[..2]), Some(-32_510));
        assert_eq!(ByteOrder::Little.int(&bytes[..1]), Some(-127));
        assert_eq!(ByteOrder::Little.int(&bytes[..4]), Some(0x0403_0281));
        assert_eq!(ByteOrder::Little.uint(&[]), None);
        assert_eq!(ByteOrder::Little.uint(&[0; 9]), None);
        assert_eq!(ByteOrder::Little.u32(&bytes, 5), None);
        assert_eq!(ByteOrder::Big.u32(&bytes, 4), Some(0x0506_0708));
        assert_eq!(ByteOrder::Little.u64(&bytes, 1), None);
    }
}
