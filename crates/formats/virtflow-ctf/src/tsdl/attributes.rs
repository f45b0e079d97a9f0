//! `name = value;` pairs and what their values mean.

use std::borrow::Cow;

use super::lexer::Kind;
use super::parser::{Parser, Result};
use super::raw::RawValue;
use crate::bits::ByteOrder;
use crate::error::MetadataErrorKind;
use crate::metadata::{Base, Encoding};

/// A parsed `name = value;`.
pub(super) struct Attribute<'t> {
    pub(super) name: Cow<'t, str>,
    pub(super) value: RawValue,
    /// Where its value stands.
    pub(super) at: usize,
}

impl<'t> Parser<'t> {
    /// `NAME = VALUE ;` with a dotted name.
    pub(super) fn attribute(&mut self) -> Result<Attribute<'t>> {
        let name = self.dotted("an attribute")?;
        self.attribute_value(name)
    }

    /// `= VALUE ;` behind the name.
    pub(super) fn attribute_value(&mut self, name: Cow<'t, str>) -> Result<Attribute<'t>> {
        self.expect(b'=', "`=`")?;
        let at = self.peek.at;
        let value = self.value()?;
        self.expect(b';', "`;` behind the attribute")?;
        Ok(Attribute { name, value, at })
    }

    fn value(&mut self) -> Result<RawValue> {
        match &self.peek.kind {
            Kind::Text(text) => {
                let mut whole = text.clone().into_owned();
                self.advance()?;
                // Adjacent strings are one, as in C.
                while let Kind::Text(more) = &self.peek.kind {
                    whole.push_str(more);
                    self.advance()?;
                }
                Ok(RawValue::Text(whole))
            }
            Kind::Word(_) => Ok(RawValue::Path(self.dotted("a value")?.into_owned())),
            _ => Ok(RawValue::Number(self.number("a value")?)),
        }
    }

    /// An integer constant with any number of signs before it.
    pub(super) fn number(&mut self, expected: &'static str) -> Result<i128> {
        let mut negative = false;
        loop {
            match self.peek.kind {
                Kind::Punct(b'-') => negative = !negative,
                Kind::Punct(b'+') => {}
                Kind::Number(number) => {
                    self.advance()?;
                    let number = i128::from(number);
                    return Ok(if negative { -number } else { number });
                }
                _ => return Err(self.expected(expected)),
            }
            self.advance()?;
        }
    }

    fn bad<T>(&self, at: usize, attribute: &'static str, why: &'static str) -> Result<T> {
        Err(self.error(at, MetadataErrorKind::BadAttribute { attribute, why }))
    }

    pub(super) fn unsigned(&self, from: &Attribute<'_>, name: &'static str) -> Result<u64> {
        match from.value {
            RawValue::Number(number) => u64::try_from(number)
                .or_else(|_| self.bad(from.at, name, "must be an unsigned 64-bit number")),
            _ => self.bad(from.at, name, "must be a number"),
        }
    }

    pub(super) fn signed(&self, from: &Attribute<'_>, name: &'static str) -> Result<i64> {
        match from.value {
            RawValue::Number(number) => i64::try_from(number)
                .or_else(|_| self.bad(from.at, name, "must be a signed 64-bit number")),
            _ => self.bad(from.at, name, "must be a number"),
        }
    }

    pub(super) fn text(&self, from: &Attribute<'_>, name: &'static str) -> Result<String> {
        match &from.value {
            RawValue::Text(text) | RawValue::Path(text) => Ok(text.clone()),
            RawValue::Number(_) => self.bad(from.at, name, "must be a string"),
        }
    }

    pub(super) fn boolean(&self, from: &Attribute<'_>, name: &'static str) -> Result<bool> {
        match &from.value {
            RawValue::Number(0) => Ok(false),
            RawValue::Number(1) => Ok(true),
            RawValue::Path(word) | RawValue::Text(word) => match word.as_str() {
                "true" | "TRUE" => Ok(true),
                "false" | "FALSE" => Ok(false),
                _ => self.bad(from.at, name, "must be true or false"),
            },
            RawValue::Number(_) => self.bad(from.at, name, "must be true or false"),
        }
    }

    pub(super) fn uuid(&self, from: &Attribute<'_>) -> Result<[u8; 16]> {
        let RawValue::Text(text) = &from.value else {
            return self.bad(from.at, "uuid", "must be a string");
        };
        let digits: Vec<u32> = text
            .chars()
            .filter(|&c| c != '-')
            .map_while(|c| c.to_digit(16))
            .collect();
        let mut uuid = [0; 16];
        if digits.len() != 32 || text.chars().filter(|&c| c != '-').count() != 32 {
            return self.bad(from.at, "uuid", "must be 32 hexadecimal digits");
        }
        for (byte, pair) in uuid.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = (pair[0] << 4 | pair[1]) as u8;
        }
        Ok(uuid)
    }

    /// `None` is the trace's own order.
    pub(super) fn byte_order(&self, from: &Attribute<'_>) -> Result<Option<ByteOrder>> {
        match &from.value {
            RawValue::Path(word) | RawValue::Text(word) => match word.as_str() {
                "le" => Ok(Some(ByteOrder::Little)),
                "be" | "network" => Ok(Some(ByteOrder::Big)),
                "native" => Ok(None),
                _ => self.bad(from.at, "byte_order", "must be le, be, network or native"),
            },
            RawValue::Number(_) => {
                self.bad(from.at, "byte_order", "must be le, be, network or native")
            }
        }
    }

    /// A power of two of bits.
    pub(super) fn alignment(&self, at: usize, bits: i128) -> Result<u64> {
        match u64::try_from(bits) {
            Ok(bits) if bits.is_power_of_two() && bits <= super::ALIGN_MAX => Ok(bits),
            _ => self.bad(at, "align", "must be a power of two of at most 65536"),
        }
    }

    pub(super) fn align(&self, from: &Attribute<'_>) -> Result<u64> {
        let bits = self.unsigned(from, "align")?;
        self.alignment(from.at, i128::from(bits))
    }

    pub(super) fn encoding(&self, from: &Attribute<'_>) -> Result<Encoding> {
        match &from.value {
            RawValue::Path(word) | RawValue::Text(word) => match word.as_str() {
                "none" => Ok(Encoding::None),
                "UTF8" | "utf8" | "UTF-8" | "utf-8" => Ok(Encoding::Utf8),
                "ASCII" | "ascii" => Ok(Encoding::Ascii),
                _ => self.bad(from.at, "encoding", "must be none, UTF8 or ASCII"),
            },
            RawValue::Number(_) => self.bad(from.at, "encoding", "must be none, UTF8 or ASCII"),
        }
    }

    pub(super) fn base(&self, from: &Attribute<'_>) -> Result<Base> {
        let why = "must be 2, 8, 10, 16 or one of their names";
        match &from.value {
            RawValue::Number(2) => Ok(Base::Binary),
            RawValue::Number(8) => Ok(Base::Octal),
            RawValue::Number(10) => Ok(Base::Decimal),
            RawValue::Number(16) => Ok(Base::Hexadecimal),
            RawValue::Path(word) | RawValue::Text(word) => match word.as_str() {
                "decimal" | "dec" | "d" | "i" | "u" => Ok(Base::Decimal),
                "hexadecimal" | "hex" | "x" | "X" | "p" => Ok(Base::Hexadecimal),
                "octal" | "oct" | "o" => Ok(Base::Octal),
                "binary" | "b" => Ok(Base::Binary),
                _ => self.bad(from.at, "base", why),
            },
            RawValue::Number(_) => self.bad(from.at, "base", why),
        }
    }
}
