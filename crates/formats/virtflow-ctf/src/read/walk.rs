//! Walking the fields of an event type by type: slow, and complete.

use super::value::Item;
use super::view::{FieldError, in_utf8, read_float, until_nul};
use crate::bits::{align_up, read_leb};
use crate::metadata::{
    Encoding, FieldType, FloatType, IntType, Metadata, OptionalType, Reg, Scope, StructType,
    VariantType,
};
use crate::plan::{Layout, flags_inside};

/// Elements without bits that an event may show.
const EMPTY_MAX: u64 = 1 << 16;

/// The bytes of an event.
pub(super) struct Source<'a> {
    pub(super) metadata: &'a Metadata,
    pub(super) class: usize,
    /// The packet's header and context.
    pub(super) head: &'a [u8],
    pub(super) data: &'a [u8],
    /// The bit position of the first of `data`; positions below count as it does.
    pub(super) origin: u64,
    pub(super) begin: u64,
    pub(super) end: u64,
}

/// Gives the fields of `scopes` to `take`; the bit behind the last field of all.
pub(super) fn walk_event(
    source: &Source<'_>,
    scopes: &[Scope],
    take: &mut dyn FnMut(&str, Item<'_>),
) -> Result<u64, FieldError> {
    let Some(class) = source.metadata.events.get(source.class) else {
        return Ok(source.begin);
    };
    let stream = &source.metadata.streams[class.stream];
    let mut ignore = |_: &str, _: Item<'_>| {};
    let mut walker = Walker {
        data: source.head,
        origin: 0,
        limit: source.head.len() as u64 * 8,
        registers: vec![0; stream.registers as usize],
        empty: 0,
    };
    let types = [
        (Scope::PacketHeader, &stream.packet_header),
        (Scope::PacketContext, &stream.packet_context),
        (Scope::EventHeader, &stream.event_header),
        (Scope::StreamContext, &stream.event_context),
        (Scope::EventContext, &class.context),
        (Scope::Payload, &class.fields),
    ];
    let mut pos = 0;
    for (scope, ty) in types {
        if scope == Scope::EventHeader {
            walker.data = source.data;
            walker.origin = source.origin;
            walker.limit = source.end;
            pos = source.begin;
        }
        let Some(ty) = ty else { continue };
        let take = if scopes.contains(&scope) {
            &mut *take
        } else {
            &mut ignore
        };
        take("", Item::ScopeBegin(scope));
        pos = walker.members(ty, pos, take)?;
        take("", Item::ScopeEnd(scope));
    }
    Ok(pos)
}

type Take<'t> = &'t mut dyn FnMut(&str, Item<'_>);

struct Walker<'a> {
    data: &'a [u8],
    origin: u64,
    limit: u64,
    registers: Vec<u64>,
    /// Elements without bits so far.
    empty: u64,
}

impl Walker<'_> {
    /// The bit behind `size` bits at `pos`.
    fn advance(&self, pos: u64, size: u64) -> Result<u64, FieldError> {
        let end = pos.checked_add(size).ok_or(FieldError::Short)?;
        if end > self.limit {
            Err(FieldError::Short)
        } else {
            Ok(end)
        }
    }

    fn register(&self, reg: Reg) -> u64 {
        self.registers.get(reg as usize).copied().unwrap_or(0)
    }

    fn set(&mut self, reg: Reg, value: u64) {
        if let Some(slot) = self.registers.get_mut(reg as usize) {
            *slot = value;
        }
    }

    /// Stops where the length or tag that `flag` stands for was not read.
    fn need(&self, flag: Option<Reg>) -> Result<(), FieldError> {
        match flag {
            Some(flag) if self.register(flag) == 0 => Err(FieldError::NoField),
            _ => Ok(()),
        }
    }

    /// Forgets what was read in a choice of this type.
    fn forget(&mut self, ty: &FieldType) {
        let mut flags = Vec::new();
        flags_inside(ty, &mut flags);
        for flag in flags {
            self.set(flag, 0);
        }
    }

    fn members(&mut self, ty: &StructType, pos: u64, take: Take<'_>) -> Result<u64, FieldError> {
        let mut pos = align_up(pos, ty.align - 1);
        for field in &ty.fields {
            pos = self.field(field.name(), &field.ty, pos, take)?;
        }
        Ok(pos)
    }

    fn field(
        &mut self,
        name: &str,
        ty: &FieldType,
        pos: u64,
        take: Take<'_>,
    ) -> Result<u64, FieldError> {
        let pos = align_up(pos, ty.align() - 1);
        match ty {
            FieldType::Int(int) => {
                let (value, end) = self.int(int, pos)?;
                take(name, Item::Int { value, ty: int });
                Ok(end)
            }
            FieldType::Enum(enumeration) => {
                let (value, end) = self.int(&enumeration.int, pos)?;
                take(
                    name,
                    Item::Enum {
                        value,
                        ty: enumeration,
                    },
                );
                Ok(end)
            }
            FieldType::Float(float) => self.float(name, float, pos, take),
            FieldType::Bool(int) => {
                let (value, end) = self.int(int, pos)?;
                take(name, Item::Bool(value != 0));
                Ok(end)
            }
            FieldType::BitMap(map) => {
                let (value, end) = self.int(&map.int, pos)?;
                let value = value as u64;
                take(name, Item::BitMap { value, ty: map });
                Ok(end)
            }
            FieldType::Opaque(opaque) => {
                let end = self.advance(pos, opaque.size)?;
                let bits = u32::try_from(opaque.size).unwrap_or(u32::MAX);
                take(name, Item::Opaque { bits });
                Ok(end)
            }
            FieldType::String(string) => {
                let unit = string.encoding.unit();
                let bytes = self.bytes(pos, self.limit.saturating_sub(pos) / 8)?;
                let text = until_nul(bytes, unit);
                if text.len() == bytes.len() {
                    return Err(FieldError::Short);
                }
                let end = self.advance(pos, (text.len() + unit) as u64 * 8)?;
                take(name, Item::Text(&in_utf8(text, string.encoding)));
                Ok(end)
            }
            FieldType::Struct(structure) => {
                take(name, Item::StructBegin);
                let end = self.members(structure, pos, take)?;
                take(name, Item::StructEnd);
                Ok(end)
            }
            FieldType::Array(array) => {
                let blob = array.media.is_some();
                self.elements(name, &array.element, array.len, blob, pos, take)
            }
            FieldType::Sequence(sequence) => {
                self.need(sequence.needs)?;
                let len = self.register(sequence.len);
                let blob = sequence.media.is_some();
                self.elements(name, &sequence.element, len, blob, pos, take)
            }
            FieldType::Variant(variant) => {
                self.need(variant.needs)?;
                self.forget(ty);
                self.variant(name, variant, pos, take)
            }
            FieldType::Optional(optional) => {
                self.need(optional.needs)?;
                self.forget(ty);
                self.optional(name, optional, pos, take)
            }
        }
    }

    fn optional(
        &mut self,
        name: &str,
        optional: &OptionalType,
        pos: u64,
        take: Take<'_>,
    ) -> Result<u64, FieldError> {
        if optional.is_there(self.register(optional.tag)) {
            return self.field(name, &optional.field, pos, take);
        }
        take(name, Item::Absent);
        Ok(pos)
    }

    fn int(&mut self, int: &IntType, pos: u64) -> Result<(i128, u64), FieldError> {
        let (value, end) = if int.variable {
            let bytes = self.bytes(pos, self.limit.saturating_sub(pos) / 8)?;
            let (value, len) = read_leb(bytes, int.signed)?;
            (value, self.advance(pos, len as u64 * 8)?)
        } else {
            let end = self.advance(pos, u64::from(int.size))?;
            let at = pos.checked_sub(self.origin).ok_or(FieldError::Short)?;
            let value = Layout::new(int).read(self.data, at);
            (value.ok_or(FieldError::Short)?, end)
        };
        if let Some(reg) = int.reg {
            self.set(reg, value);
        }
        if let Some(keep) = &int.keep {
            keep.regs.iter().for_each(|&reg| self.set(reg, value));
            keep.flags.iter().for_each(|&flag| self.set(flag, 1));
        }
        Ok((
            if int.signed {
                i128::from(value as i64)
            } else {
                i128::from(value)
            },
            end,
        ))
    }

    fn float(
        &self,
        name: &str,
        float: &FloatType,
        pos: u64,
        take: Take<'_>,
    ) -> Result<u64, FieldError> {
        let end = self.advance(pos, u64::from(float.size))?;
        if float.ieee {
            let at = pos.checked_sub(self.origin).ok_or(FieldError::Short)?;
            let value = read_float(self.data, at, float.layout());
            let value = value.ok_or(FieldError::Short)?;
            take(
                name,
                Item::Float {
                    value,
                    single: float.size <= 32,
                },
            );
        } else {
            take(name, Item::Opaque { bits: float.size });
        }
        Ok(end)
    }

    /// `len` bytes at `pos`, a multiple of 8.
    fn bytes(&self, pos: u64, len: u64) -> Result<&[u8], FieldError> {
        let at = pos.checked_sub(self.origin).ok_or(FieldError::Short)? / 8;
        let end = at.checked_add(len).ok_or(FieldError::Short)?;
        self.data
            .get(at as usize..end as usize)
            .ok_or(FieldError::Short)
    }

    fn elements(
        &mut self,
        name: &str,
        element: &FieldType,
        len: u64,
        blob: bool,
        pos: u64,
        take: Take<'_>,
    ) -> Result<u64, FieldError> {
        if let FieldType::Int(int) = element
            && (blob || int.is_character())
            && int.is_byte()
        {
            let end = self.advance(pos, len.checked_mul(8).ok_or(FieldError::TooMany)?)?;
            let bytes = self.bytes(pos, len)?;
            match int.encoding {
                Encoding::None => take(name, Item::Blob(bytes)),
                encoding => {
                    let text = until_nul(bytes, encoding.unit());
                    take(name, Item::Text(&in_utf8(text, encoding)));
                }
            }
            return Ok(end);
        }
        take(name, Item::ArrayBegin { len });
        let mut pos = pos;
        for _ in 0..len {
            let end = self.field("", element, pos, take)?;
            if end == pos {
                self.empty += 1;
                if self.empty > EMPTY_MAX {
                    return Err(FieldError::TooMany);
                }
            }
            pos = end;
        }
        take(name, Item::ArrayEnd);
        Ok(pos)
    }

    fn variant(
        &mut self,
        name: &str,
        variant: &VariantType,
        pos: u64,
        take: Take<'_>,
    ) -> Result<u64, FieldError> {
        let option = variant.choose(self.register(variant.tag));
        let option = option.and_then(|option| variant.options.get(option));
        let option = option.ok_or(FieldError::NoOption)?;
        take(
            name,
            Item::VariantBegin {
                option: option.name(),
            },
        );
        let end = self.field(name, &option.ty, pos, take)?;
        take(name, Item::VariantEnd);
        Ok(end)
    }
}
