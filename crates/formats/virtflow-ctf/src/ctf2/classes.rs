//! Field classes (CTF 2 section 5.3).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::json::Json;
use super::location::{Target, Use};
use super::property::{Inside, Result, array, bad, must, text, unsigned};
use crate::bits::ByteOrder;
use crate::error::FragmentErrorKind;
use crate::metadata::{
    ArrayType, Base, BitMapType, Choice, Encoding, EnumMapping, EnumType, Field, FieldType, Flag,
    FloatType, IntType, OpaqueType, OptionalType, Reg, Scope, SequenceType, StringType, StructType,
    VariantType,
};
use crate::plan::{PacketRoles, Role};
use crate::tsdl::{ALIGN_MAX, DEPTH_MAX, ITEMS_MAX, shorten};

/// Field classes with names (CTF 2 section 5.5). One may name only those before it.
#[derive(Debug, Default)]
pub(super) struct Aliases {
    by_name: HashMap<Box<str>, usize>,
    /// The class, and how many aliases stand before it.
    classes: Vec<(Arc<Json>, usize)>,
}

impl Aliases {
    pub(super) fn len(&self) -> usize {
        self.classes.len()
    }

    /// Adds one.
    pub(super) fn insert(&mut self, name: &str, class: &Json) -> Result<()> {
        let known = match class {
            Json::Text(of) => self.get(of, self.len())?.clone(),
            class => (Arc::new(class.clone()), self.len()),
        };
        if self.by_name.insert(name.into(), self.len()).is_some() {
            let what = format!("field class alias `{}`", shorten(name));
            return Err(FragmentErrorKind::Duplicate(what).into());
        }
        self.classes.push(known);
        Ok(())
    }

    /// The class called `name` among the first `before`.
    fn get(&self, name: &str, before: usize) -> Result<&(Arc<Json>, usize)> {
        let at = self.by_name.get(name).filter(|&&at| at < before);
        at.and_then(|&at| self.classes.get(at))
            .ok_or_else(|| FragmentErrorKind::UnknownAlias(shorten(name)).into())
    }
}

/// Counts field classes and what they are made of.
pub(super) fn count(types: &mut u64, more: u64) -> Result<()> {
    *types = types.saturating_add(more);
    if *types > ITEMS_MAX {
        let (what, max) = ("field classes in use", ITEMS_MAX);
        return Err(FragmentErrorKind::TooMany { what, max }.into());
    }
    Ok(())
}

/// A structure that is being resolved.
pub(super) struct Frame {
    pub(super) fields: Vec<Field>,
    /// The member in work.
    pub(super) member: Option<Arc<str>>,
}

/// Resolves the field classes of one data stream class and, one after the other, of its event
/// record classes.
pub(super) struct Types<'a> {
    pub(super) aliases: &'a Aliases,
    /// Field classes so far, aliases counted each time they are used.
    pub(super) types: &'a mut u64,
    pub(super) scopes: &'a mut [Option<StructType>; 6],
    pub(super) registers: &'a mut Reg,
    pub(super) roles: &'a mut PacketRoles,
    /// The default clock of the data stream class.
    pub(super) clock: Option<usize>,
    pub(super) current: Scope,
    pub(super) frames: Vec<Frame>,
    /// How many optionals, variants and arrays are around.
    pub(super) conditional: u32,
}

/// Where a class stands: how many aliases it may name, and how deep it lies.
#[derive(Clone, Copy)]
struct At {
    aliases: usize,
    depth: u32,
}

impl At {
    const fn below(self) -> Self {
        Self {
            depth: self.depth + 1,
            ..self
        }
    }
}

/// How a bit array lies.
struct Bits {
    size: u64,
    order: ByteOrder,
    reversed: bool,
    align: u64,
}

impl Types<'_> {
    /// Resolves the structure in property `name` of `fragment` as a scope, if it is there; it may
    /// name the first `aliases` aliases.
    pub(super) fn scope(
        &mut self,
        scope: Scope,
        fragment: &Json,
        name: &'static str,
        aliases: usize,
    ) -> Result<()> {
        self.current = scope;
        self.frames.clear();
        self.conditional = 0;
        self.scopes[scope as usize] = None;
        let Some(class) = fragment.get(name) else {
            return Ok(());
        };
        match self.class(class, At { aliases, depth: 0 }).inside(name)? {
            FieldType::Struct(structure) => self.scopes[scope as usize] = Some(structure),
            _ => return bad(name, "must be a structure"),
        }
        Ok(())
    }

    fn class(&mut self, class: &Json, at: At) -> Result<FieldType> {
        count(self.types, 1)?;
        if at.depth > DEPTH_MAX {
            return Err(FragmentErrorKind::TooDeep(DEPTH_MAX).into());
        }
        if let Json::Text(name) = class {
            let (class, aliases) = self.aliases.get(name, at.aliases)?.clone();
            return self.described(&class, At { aliases, ..at });
        }
        self.described(class, at)
    }

    /// The class in property `name` of `of`.
    fn inner(&mut self, of: &Json, name: &'static str, at: At) -> Result<FieldType> {
        let class = must(of.get(name), name)?;
        self.class(class, at.below()).inside(name)
    }

    fn described(&mut self, class: &Json, at: At) -> Result<FieldType> {
        let ty = must(text(class, "type")?, "type")?;
        match ty {
            "fixed-length-bit-array" => {
                let int = IntType {
                    base: Base::Hexadecimal,
                    ..integer(&bits(class)?, false)
                };
                fixed(class, int, |int| Ok(FieldType::Int(int)))
            }
            "fixed-length-bit-map" => {
                let int = integer(&bits(class)?, false);
                fixed(class, int, |int| self.bit_map(class, int))
            }
            "fixed-length-boolean" => {
                let int = integer(&bits(class)?, false);
                fixed(class, int, |int| Ok(FieldType::Bool(int)))
            }
            "fixed-length-unsigned-integer" | "fixed-length-signed-integer" => {
                let int = integer(&bits(class)?, ty == "fixed-length-signed-integer");
                fixed(class, int, |int| self.number(class, int))
            }
            "fixed-length-floating-point-number" => float(class),
            "variable-length-unsigned-integer" | "variable-length-signed-integer" => {
                let int = leb(ty == "variable-length-signed-integer");
                self.number(class, int)
            }
            "null-terminated-string" => {
                let encoding = encoding(class)?;
                Ok(FieldType::String(StringType { encoding }))
            }
            "static-length-string" => Ok(self.bytes(length(class)?, encoding(class)?, None)),
            "static-length-blob" => {
                let len = length(class)?;
                self.blob_roles(class, len)?;
                Ok(self.bytes(len, Encoding::None, Some(media(class)?)))
            }
            "dynamic-length-string" => self.counted(class, encoding(class)?, None),
            "dynamic-length-blob" => self.counted(class, Encoding::None, Some(media(class)?)),
            "structure" => self.structure(class, at),
            "static-length-array" => {
                let len = length(class)?;
                let align = power(class, "minimum-alignment")?;
                let element = Box::new(self.element(class, at)?);
                Ok(FieldType::Array(ArrayType {
                    element,
                    len,
                    align,
                    media: None,
                }))
            }
            "dynamic-length-array" => {
                let len = self.located(class, "length-field-location", Use::Length)?;
                let align = power(class, "minimum-alignment")?;
                let element = Box::new(self.element(class, at)?);
                Ok(FieldType::Sequence(sequence(len, element, align, None)))
            }
            "optional" => self.optional(class, at),
            "variant" => self.variant(class, at),
            _ => Err(FragmentErrorKind::UnknownType(shorten(ty)).into()),
        }
    }

    fn located(&mut self, class: &Json, name: &'static str, used: Use) -> Result<Target> {
        self.locate(class, name, used).inside(name)
    }

    fn element(&mut self, class: &Json, at: At) -> Result<FieldType> {
        self.conditional += 1;
        let element = self.inner(class, "element-field-class", at);
        self.conditional -= 1;
        element
    }

    fn bytes(&self, len: u64, encoding: Encoding, media: Option<Arc<str>>) -> FieldType {
        FieldType::Array(ArrayType {
            element: Box::new(FieldType::Int(byte(encoding))),
            len,
            align: 8,
            media,
        })
    }

    fn counted(
        &mut self,
        class: &Json,
        encoding: Encoding,
        media: Option<Arc<str>>,
    ) -> Result<FieldType> {
        let len = self.located(class, "length-field-location", Use::Length)?;
        let element = Box::new(FieldType::Int(byte(encoding)));
        Ok(FieldType::Sequence(sequence(len, element, 8, media)))
    }

    fn structure(&mut self, class: &Json, at: At) -> Result<FieldType> {
        let mut align = power(class, "minimum-alignment")?;
        let members = array(class, "member-classes")?.unwrap_or_default();
        self.frames.push(Frame {
            fields: Vec::new(),
            member: None,
        });
        let mut names = HashSet::new();
        for (i, member) in members.iter().enumerate() {
            let field = self.member(member, &mut names, at);
            let field = field.element(i).inside("member-classes")?;
            align = align.max(field.ty.align());
            if let Some(frame) = self.frames.last_mut() {
                frame.fields.push(field);
            }
        }
        let frame = self.frames.pop();
        Ok(FieldType::Struct(StructType {
            fields: frame.map(|frame| frame.fields).unwrap_or_default(),
            align,
        }))
    }

    fn member<'j>(
        &mut self,
        member: &'j Json,
        names: &mut HashSet<&'j str>,
        at: At,
    ) -> Result<Field> {
        let name = must(text(member, "name")?, "name")?;
        if !names.insert(name) {
            let what = format!("member `{}`", shorten(name));
            return Err(FragmentErrorKind::Duplicate(what).into());
        }
        let raw_name: Arc<str> = name.into();
        if let Some(frame) = self.frames.last_mut() {
            frame.member = Some(Arc::clone(&raw_name));
        }
        let ty = self.inner(member, "field-class", at)?;
        Ok(Field {
            raw_name,
            ty,
            verbatim: true,
        })
    }

    fn optional(&mut self, class: &Json, at: At) -> Result<FieldType> {
        let selector = self.located(class, "selector-field-location", Use::Presence)?;
        let mut choices = Vec::new();
        if selector.boolean {
            choices.push(Choice {
                low: 1,
                high: u64::MAX,
                option: 0,
            });
        } else {
            let ranges = must(
                ranges(class, "selector-field-ranges")?,
                "selector-field-ranges",
            )?;
            choose(&mut choices, &ranges, 0, selector.signed);
        }
        count(self.types, choices.len() as u64)?;
        self.conditional += 1;
        let field = Box::new(self.inner(class, "field-class", at)?);
        self.conditional -= 1;
        Ok(FieldType::Optional(OptionalType {
            field,
            tag: selector.reg,
            tag_path: selector.path,
            tag_signed: selector.signed,
            needs: selector.needs,
            choices,
        }))
    }

    fn variant(&mut self, class: &Json, at: At) -> Result<FieldType> {
        let selector = self.located(class, "selector-field-location", Use::Option)?;
        let all = must(array(class, "options")?, "options")?;
        if all.is_empty() {
            return bad("options", "must not be empty");
        }
        let mut names = HashSet::new();
        let mut choices = Vec::new();
        let mut options = Vec::new();
        self.conditional += 1;
        for (i, option) in all.iter().enumerate() {
            let name = text(option, "name").element(i).inside("options")?;
            if name.is_some_and(|name| !names.insert(name)) {
                let what = format!("option `{}`", shorten(name.unwrap_or_default()));
                return Err(FragmentErrorKind::Duplicate(what).into());
            }
            let ranges = ranges(option, "selector-field-ranges");
            let ranges = ranges.and_then(|found| must(found, "selector-field-ranges"));
            let ranges = ranges.element(i).inside("options")?;
            count(self.types, ranges.len() as u64)?;
            choose(&mut choices, &ranges, i as u32, selector.signed);
            let ty = self.inner(option, "field-class", at);
            options.push(Field {
                raw_name: name.map_or_else(|| i.to_string().into(), Arc::from),
                ty: ty.element(i).inside("options")?,
                verbatim: true,
            });
        }
        self.conditional -= 1;
        let mut sorted = choices.clone();
        sorted.sort_unstable_by_key(|choice| choice.low);
        if sorted.windows(2).any(|pair| pair[0].high >= pair[1].low) {
            return bad("options", "must not have ranges in common");
        }
        Ok(FieldType::Variant(VariantType {
            options,
            tag: selector.reg,
            tag_path: selector.path,
            tag_signed: selector.signed,
            needs: selector.needs,
            choices,
        }))
    }

    fn bit_map(&mut self, class: &Json, int: IntType) -> Result<FieldType> {
        let all = must(class.get("flags"), "flags")?.properties();
        if all.is_empty() {
            return bad("flags", "must name bits");
        }
        count(self.types, all.len() as u64)?;
        let mut flags = Vec::new();
        for (name, ranges) in all {
            let mut mask = 0;
            for (low, high) in range_set(ranges, "flags")? {
                // Bits that the field does not have are never set.
                for bit in low.max(0)..=high.min(i128::from(int.size) - 1) {
                    mask |= 1 << bit;
                }
            }
            flags.push(Flag {
                name: (**name).into(),
                mask,
            });
        }
        let flags = flags.into();
        Ok(FieldType::BitMap(BitMapType { int, flags }))
    }

    /// An integer, or an enumeration where its values have names.
    fn number(&mut self, class: &Json, mut int: IntType) -> Result<FieldType> {
        int.base = match unsigned(class, "preferred-display-base")? {
            None | Some(10) => Base::Decimal,
            Some(2) => Base::Binary,
            Some(8) => Base::Octal,
            Some(16) => Base::Hexadecimal,
            Some(_) => return bad("preferred-display-base", "must be 2, 8, 10 or 16"),
        };
        self.int_roles(class, &mut int)?;
        let mappings = super::property::object(class, "mappings")?;
        let mappings = mappings.map(Json::properties).unwrap_or_default();
        if mappings.is_empty() {
            return Ok(FieldType::Int(int));
        }
        let mut all = Vec::new();
        for (label, ranges) in mappings {
            let label: Arc<str> = (**label).into();
            let ranges = range_set(ranges, "mappings")?;
            count(self.types, ranges.len() as u64)?;
            all.extend(ranges.into_iter().map(|(low, high)| EnumMapping {
                label: Arc::clone(&label),
                low,
                high,
            }));
        }
        let mappings = all.into();
        Ok(FieldType::Enum(EnumType { int, mappings }))
    }

    /// What an integer means to the reader (CTF 2 sections 5.6.1 and 5.8.1). Where a role means
    /// nothing, it is as if it were not there.
    fn int_roles(&mut self, class: &Json, int: &mut IntType) -> Result<()> {
        for role in roles(class)? {
            if int.signed {
                return bad("roles", "must stand with an unsigned integer");
            }
            let clock = matches!(
                role,
                "default-clock-timestamp" | "packet-end-default-clock-timestamp"
            );
            let scope = self.current;
            if clock && matches!(scope, Scope::PacketContext | Scope::EventHeader) {
                if self.clock.is_none() {
                    return bad("roles", "asks for a clock that the data stream class lacks");
                }
                int.clock = self.clock;
            }
            let of = &mut *self.roles;
            let slot = match (scope, role) {
                (Scope::EventHeader, "event-record-class-id") => {
                    int.keep_mut().regs.push(0);
                    continue;
                }
                (Scope::PacketHeader, "packet-magic-number") => {
                    let first = self.frames.len() == 1
                        && self.conditional == 0
                        && self.frames.iter().all(|frame| frame.fields.is_empty());
                    if !first || int.size != 32 || int.variable {
                        let why = "must give the magic number to the first member, of 32 bits";
                        return bad("roles", why);
                    }
                    &mut of.magic
                }
                (Scope::PacketHeader, "data-stream-class-id") => &mut of.stream,
                (Scope::PacketHeader, "data-stream-id") => &mut of.instance,
                (Scope::PacketContext, "default-clock-timestamp") => &mut of.begin,
                (Scope::PacketContext, "packet-end-default-clock-timestamp") => &mut of.end,
                (Scope::PacketContext, "packet-content-length") => &mut of.content,
                (Scope::PacketContext, "packet-total-length") => &mut of.size,
                (Scope::PacketContext, "packet-sequence-number") => &mut of.sequence,
                (Scope::PacketContext, "discarded-event-record-counter-snapshot") => {
                    &mut of.discarded
                }
                _ => continue,
            };
            fill(slot, int, self.conditional > 0, self.registers);
        }
        Ok(())
    }

    fn blob_roles(&mut self, class: &Json, len: u64) -> Result<()> {
        for role in roles(class)? {
            if self.current != Scope::PacketHeader || role != "metadata-stream-uuid" {
                continue;
            }
            if len != 16 {
                return bad("length", "must be 16 for a UUID");
            }
            if self.conditional == 0 && self.roles.uuid.is_none() {
                let path = self.frames.iter().map(|frame| frame.fields.len());
                self.roles.uuid = Some(path.collect());
            }
        }
        Ok(())
    }
}

/// Lets `int` keep its value as the role in `slot`; the last field of a role counts.
fn fill(slot: &mut Option<Role>, int: &mut IntType, conditional: bool, registers: &mut Reg) {
    let mut fresh = || {
        *registers += 1;
        *registers - 1
    };
    let size = int.size;
    let role = slot.get_or_insert_with(|| Role {
        reg: fresh(),
        flag: conditional.then(&mut fresh),
        size,
    });
    role.size = size;
    let keep = int.keep_mut();
    keep.regs.push(role.reg);
    keep.seen.extend(role.flag);
}

const ROLES: [&str; 11] = [
    "data-stream-class-id",
    "data-stream-id",
    "default-clock-timestamp",
    "discarded-event-record-counter-snapshot",
    "event-record-class-id",
    "metadata-stream-uuid",
    "packet-content-length",
    "packet-end-default-clock-timestamp",
    "packet-magic-number",
    "packet-sequence-number",
    "packet-total-length",
];

fn roles(class: &Json) -> Result<Vec<&str>> {
    let all = array(class, "roles")?.unwrap_or_default();
    let role = |role: &'_ Json| match role.as_text() {
        None => bad("roles", "must be an array of strings"),
        Some(role) if !ROLES.contains(&role) => {
            Err(FragmentErrorKind::UnknownRole(shorten(role)).into())
        }
        Some(_) => Ok(()),
    };
    all.iter().try_for_each(role)?;
    Ok(all.iter().filter_map(Json::as_text).collect())
}

fn bits(class: &Json) -> Result<Bits> {
    let size = must(unsigned(class, "length")?, "length")?;
    if size == 0 {
        return bad("length", "must be more than 0");
    }
    let order = match must(text(class, "byte-order")?, "byte-order")? {
        "little-endian" => ByteOrder::Little,
        "big-endian" => ByteOrder::Big,
        _ => return bad("byte-order", "must be little-endian or big-endian"),
    };
    let reversed = match text(class, "bit-order")? {
        None => false,
        Some("first-to-last") => order == ByteOrder::Big,
        Some("last-to-first") => order == ByteOrder::Little,
        Some(_) => return bad("bit-order", "must be first-to-last or last-to-first"),
    };
    Ok(Bits {
        size,
        order,
        reversed,
        align: power(class, "alignment")?,
    })
}

/// An alignment.
fn power(class: &Json, name: &'static str) -> Result<u64> {
    let align = unsigned(class, name)?.unwrap_or(1);
    if !align.is_power_of_two() {
        return bad(name, "must be a power of two");
    }
    if align > ALIGN_MAX {
        return bad(name, "must be at most 65536");
    }
    Ok(align)
}

/// An integer; of more than 64 bits if the class says so, for [`fixed`] to see.
fn integer(bits: &Bits, signed: bool) -> IntType {
    IntType {
        size: u32::try_from(bits.size).unwrap_or(u32::MAX),
        align: bits.align,
        signed,
        order: bits.order,
        base: Base::Decimal,
        encoding: Encoding::None,
        clock: None,
        reg: None,
        reversed: bits.reversed,
        variable: false,
        keep: None,
    }
}

/// What `make` makes of an integer of at most 64 bits; wider ones are stepped over.
fn fixed(
    class: &Json,
    int: IntType,
    make: impl FnOnce(IntType) -> Result<FieldType>,
) -> Result<FieldType> {
    if int.size <= 64 {
        return make(int);
    }
    if !roles(class)?.is_empty() {
        return bad("length", "must be at most 64 with roles");
    }
    Ok(FieldType::Opaque(OpaqueType {
        size: must(unsigned(class, "length")?, "length")?,
        align: int.align,
    }))
}

const fn leb(signed: bool) -> IntType {
    IntType {
        size: 64,
        align: 8,
        signed,
        order: ByteOrder::Little,
        base: Base::Decimal,
        encoding: Encoding::None,
        clock: None,
        reg: None,
        reversed: false,
        variable: true,
        keep: None,
    }
}

fn byte(encoding: Encoding) -> IntType {
    IntType {
        size: 8,
        encoding,
        variable: false,
        ..leb(false)
    }
}

fn float(class: &Json) -> Result<FieldType> {
    let bits = bits(class)?;
    let known = matches!(bits.size, 16 | 32 | 64 | 128);
    if !known && (bits.size < 128 || bits.size % 32 != 0) {
        return bad(
            "length",
            "must be 16, 32, 64, 128 or a larger multiple of 32",
        );
    }
    let Ok(size) = u32::try_from(bits.size) else {
        return bad("length", "must be less than 4294967296");
    };
    Ok(FieldType::Float(FloatType {
        reversed: bits.reversed,
        size,
        align: bits.align,
        order: bits.order,
        ieee: size <= 64,
    }))
}

fn encoding(class: &Json) -> Result<Encoding> {
    Ok(match text(class, "encoding")? {
        None | Some("utf-8") => Encoding::Utf8,
        Some("utf-16be") => Encoding::Utf16Be,
        Some("utf-16le") => Encoding::Utf16Le,
        Some("utf-32be") => Encoding::Utf32Be,
        Some("utf-32le") => Encoding::Utf32Le,
        Some(_) => {
            let why = "must be utf-8, utf-16be, utf-16le, utf-32be or utf-32le";
            return bad("encoding", why);
        }
    })
}

fn length(class: &Json) -> Result<u64> {
    must(unsigned(class, "length")?, "length")
}

fn media(class: &Json) -> Result<Arc<str>> {
    let media = text(class, "media-type")?;
    Ok(media.unwrap_or("application/octet-stream").into())
}

fn sequence(
    len: Target,
    element: Box<FieldType>,
    align: u64,
    media: Option<Arc<str>>,
) -> SequenceType {
    SequenceType {
        element,
        len: len.reg,
        len_path: len.path,
        needs: len.needs,
        align,
        media,
    }
}

/// Inclusive ranges, in order, those that touch made one (CTF 2 section 5.3.2).
type Ranges = Vec<(i128, i128)>;

fn ranges(of: &Json, name: &'static str) -> Result<Option<Ranges>> {
    of.get(name).map(|set| range_set(set, name)).transpose()
}

fn range_set(set: &Json, name: &'static str) -> Result<Ranges> {
    let range = |range: &Json| match range.as_array()? {
        [low, high] => Some((low.as_number()?, high.as_number()?)),
        _ => None,
    };
    let all: Option<Ranges> = set
        .as_array()
        .and_then(|all| all.iter().map(range).collect());
    let Some(mut all) = all.filter(|all| !all.is_empty()) else {
        return bad(name, "must have an array of pairs of integers of 64 bits");
    };
    if all.iter().any(|(low, high)| low > high) {
        return bad(
            name,
            "must have ranges whose end is not before their beginning",
        );
    }
    all.sort_unstable();
    let mut merged: Ranges = Vec::with_capacity(all.len());
    for (low, high) in all {
        match merged.last_mut() {
            Some(last) if low <= last.1 + 1 => last.1 = last.1.max(high),
            _ => merged.push((low, high)),
        }
    }
    Ok(merged)
}

/// Adds that values in `ranges` choose `option`.
fn choose(choices: &mut Vec<Choice>, ranges: &Ranges, option: u32, signed: bool) {
    let (min, max) = if signed {
        (i128::from(i64::MIN), i128::from(i64::MAX))
    } else {
        (0, i128::from(u64::MAX))
    };
    for (low, high) in ranges {
        let (low, high) = ((*low).max(min), (*high).min(max));
        if low <= high {
            choices.push(Choice {
                low: Choice::key(low as u64, signed),
                high: Choice::key(high as u64, signed),
                option,
            });
        }
    }
}
