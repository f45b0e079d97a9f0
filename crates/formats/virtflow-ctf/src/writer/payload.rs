//! Encodes numbers and text into the bytes of an event.

use super::ByteOrder;

/// The bytes of an event's context and fields, in order. Reused from event to event with
/// [`Payload::clear`].
#[derive(Clone, Debug)]
pub struct Payload {
    bytes: Vec<u8>,
    order: ByteOrder,
}

macro_rules! put {
    ($($(#[$doc:meta])* $name:ident: $ty:ty),* $(,)?) => {$(
        $(#[$doc])*
        pub fn $name(&mut self, value: $ty) -> &mut Self {
            match self.order {
                ByteOrder::Little => self.bytes.extend_from_slice(&value.to_le_bytes()),
                ByteOrder::Big => self.bytes.extend_from_slice(&value.to_be_bytes()),
            }
            self
        }
    )*};
}

impl Payload {
    /// An empty one for a trace of this byte order.
    pub fn new(order: ByteOrder) -> Self {
        Self {
            bytes: Vec::with_capacity(256),
            order,
        }
    }

    put! {
        /// Appends 8 bits.
        u8: u8,
        /// Appends 16 bits.
        u16: u16,
        /// Appends 32 bits.
        u32: u32,
        /// Appends 64 bits.
        u64: u64,
        /// Appends 32 bits, two's complement.
        i32: i32,
        /// Appends 64 bits, two's complement.
        i64: i64,
    }

    /// Appends the low `bits` (1 to 64) of `value` in as many whole bytes as they need, padding
    /// last, as CTF 1.8 section 4.1.5 lays out an integer that starts at a byte.
    pub fn bits(&mut self, value: u64, bits: u8) -> &mut Self {
        let bits = u32::from(bits.clamp(1, 64));
        let value = value & (u64::MAX >> (64 - bits));
        let count = bits.div_ceil(8) as usize;
        match self.order {
            ByteOrder::Little => self.bytes.extend_from_slice(&value.to_le_bytes()[..count]),
            ByteOrder::Big => {
                let shifted = value << (64 - bits);
                self.bytes
                    .extend_from_slice(&shifted.to_be_bytes()[..count]);
            }
        }
        self
    }

    /// Appends `text` in exactly `length` bytes: cut, or padded with zeros.
    pub fn text(&mut self, text: &[u8], length: usize) -> &mut Self {
        let kept = text.len().min(length);
        self.bytes.extend_from_slice(&text[..kept]);
        self.bytes.resize(self.bytes.len() + length - kept, 0);
        self
    }

    /// Appends `text` up to its first zero byte, if it has one, and a zero byte.
    pub fn string(&mut self, text: &[u8]) -> &mut Self {
        let end = text.iter().position(|&b| b == 0).unwrap_or(text.len());
        self.bytes.extend_from_slice(&text[..end]);
        self.bytes.push(0);
        self
    }

    /// Appends bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Forgets all bytes.
    pub fn clear(&mut self) -> &mut Self {
        self.bytes.clear();
        self
    }

    /// Appends zeros up to `length` bytes in all.
    pub(crate) fn pad_to(&mut self, length: usize) {
        self.bytes.resize(self.bytes.len().max(length), 0);
    }

    /// What was appended.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}
