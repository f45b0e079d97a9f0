//! Field types with every name resolved (CTF 1.8 section 4).

use std::sync::Arc;

use crate::bits::ByteOrder;
use crate::plan::Layout;

/// Where in a reader's registers an integer's value is kept for a length or tag further on.
pub(crate) type Reg = u32;

/// The base an integer is best shown in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Base {
    /// 2
    Binary,
    /// 8
    Octal,
    /// 10
    #[default]
    Decimal,
    /// 16
    Hexadecimal,
}

/// What characters, if any, bytes stand for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// They are numbers.
    #[default]
    None,
    /// UTF-8; not verified.
    Utf8,
    /// ASCII; not verified.
    Ascii,
    /// UTF-16, most significant byte first.
    Utf16Be,
    /// UTF-16, least significant byte first.
    Utf16Le,
    /// UTF-32, most significant byte first.
    Utf32Be,
    /// UTF-32, least significant byte first.
    Utf32Le,
}

impl Encoding {
    /// Bytes of a code unit.
    pub const fn unit(self) -> usize {
        match self {
            Self::None | Self::Utf8 | Self::Ascii => 1,
            Self::Utf16Be | Self::Utf16Le => 2,
            Self::Utf32Be | Self::Utf32Le => 4,
        }
    }
}

/// The dynamic scopes of CTF 1.8 section 7.3.2, in the order in which they are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// `trace.packet.header`
    PacketHeader,
    /// `stream.packet.context`
    PacketContext,
    /// `stream.event.header`
    EventHeader,
    /// `stream.event.context`
    StreamContext,
    /// `event.context`
    EventContext,
    /// `event.fields`
    Payload,
}

impl Scope {
    pub(crate) const ALL: [Self; 6] = [
        Self::PacketHeader,
        Self::PacketContext,
        Self::EventHeader,
        Self::StreamContext,
        Self::EventContext,
        Self::Payload,
    ];

    /// How TSDL names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PacketHeader => "trace.packet.header",
            Self::PacketContext => "stream.packet.context",
            Self::EventHeader => "stream.event.header",
            Self::StreamContext => "stream.event.context",
            Self::EventContext => "event.context",
            Self::Payload => "event.fields",
        }
    }
}

/// A type of field.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FieldType {
    /// An integer.
    Int(IntType),
    /// A floating point number.
    Float(FloatType),
    /// An integer with names for some values.
    Enum(EnumType),
    /// Bytes up to a NUL.
    String(StringType),
    /// Named fields one after the other.
    Struct(StructType),
    /// A number of elements that the metadata tells.
    Array(ArrayType),
    /// A number of elements that an earlier field tells.
    Sequence(SequenceType),
    /// One of several types; an earlier enumeration tells which.
    Variant(VariantType),
    /// A truth: an integer that is 0 or is not.
    Bool(IntType),
    /// Bits with names.
    BitMap(BitMapType),
    /// A field that is there or not; an earlier one tells.
    Optional(OptionalType),
    /// Bits that are stepped over: more than 64 of them.
    Opaque(OpaqueType),
}

/// An integer of 1 to 64 bits.
#[derive(Clone, Debug)]
pub struct IntType {
    pub(crate) size: u32,
    pub(crate) align: u64,
    pub(crate) signed: bool,
    pub(crate) order: ByteOrder,
    pub(crate) base: Base,
    pub(crate) encoding: Encoding,
    pub(crate) clock: Option<usize>,
    pub(crate) reg: Option<Reg>,
    /// Whether its bits come the other way round than its byte order has it.
    pub(crate) reversed: bool,
    /// Whether it is in LEB128.
    pub(crate) variable: bool,
    /// What else reading it does.
    pub(crate) keep: Option<Box<Keep>>,
}

/// Registers that reading an integer sets, besides its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keep {
    /// These get its value.
    pub(crate) regs: Vec<Reg>,
    /// These get a 1, and are cleared before any choice that it lies in.
    pub(crate) flags: Vec<Reg>,
    /// The one of `flags` that is this integer's alone.
    pub(crate) own: Option<Reg>,
    /// These get a 1, and are cleared at the beginning of a packet.
    pub(crate) seen: Vec<Reg>,
}

impl IntType {
    /// One of `size` bits by itself, for values that come from elsewhere and are shown like those
    /// of a trace.
    pub const fn plain(size: u32, signed: bool, base: Base) -> Self {
        Self {
            size,
            align: 8,
            signed,
            order: ByteOrder::Little,
            base,
            encoding: Encoding::None,
            clock: None,
            reg: None,
            reversed: false,
            variable: false,
            keep: None,
        }
    }

    /// Its size in bits; the most it may have where [`Self::is_variable`].
    pub const fn size(&self) -> u32 {
        self.size
    }

    /// Whether it takes as many bytes as its value needs (LEB128).
    pub const fn is_variable(&self) -> bool {
        self.variable
    }

    pub(crate) fn keep_mut(&mut self) -> &mut Keep {
        self.keep.get_or_insert_default()
    }

    /// Its alignment in bits.
    pub const fn align(&self) -> u64 {
        self.align
    }

    /// Whether it is in two's complement.
    pub const fn is_signed(&self) -> bool {
        self.signed
    }

    /// Its byte order.
    pub const fn byte_order(&self) -> ByteOrder {
        self.order
    }

    /// The base to show it in.
    pub const fn base(&self) -> Base {
        self.base
    }

    /// Whether it is a character.
    pub const fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The clock of [`super::Metadata::clocks`] whose value it is.
    pub const fn clock(&self) -> Option<usize> {
        self.clock
    }

    /// Whether arrays of it are text.
    pub(crate) fn is_character(&self) -> bool {
        self.size == 8 && self.align.is_multiple_of(8) && self.encoding != Encoding::None
    }

    /// Whether arrays of it can be handed out as bytes.
    pub(crate) const fn is_byte(&self) -> bool {
        self.size == 8 && self.align == 8 && !self.reversed
    }

    /// Whether an array of it is whole bytes without gaps.
    pub(crate) const fn is_words(&self) -> bool {
        let bytes = self.size.is_multiple_of(8) && self.align.is_multiple_of(8);
        bytes && !self.reversed && !self.variable && (self.size as u64).is_multiple_of(self.align)
    }
}

/// A floating point number; only those of 32 and 64 bits, and in CTF 2 of 16, are decoded.
#[derive(Clone, Debug)]
pub struct FloatType {
    pub(crate) reversed: bool,
    pub(crate) size: u32,
    pub(crate) align: u64,
    pub(crate) order: ByteOrder,
    /// Whether its digits are those of IEEE 754 half, single or double precision.
    pub(crate) ieee: bool,
}

impl FloatType {
    /// Its size in bits.
    pub const fn size(&self) -> u32 {
        self.size
    }

    /// Its alignment in bits.
    pub const fn align(&self) -> u64 {
        self.align
    }

    pub(crate) const fn layout(&self) -> Layout {
        Layout {
            size: self.size,
            signed: false,
            order: self.order,
            reversed: self.reversed,
        }
    }

    /// Whether values of it can be decoded.
    pub const fn is_decoded(&self) -> bool {
        self.ieee
    }
}

/// A range of values with a name; ends included. Ranges may overlap, and labels repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnumMapping {
    /// The name.
    pub label: Arc<str>,
    /// The lowest value.
    pub low: i128,
    /// The highest value.
    pub high: i128,
}

/// An integer with names for some values.
#[derive(Clone, Debug)]
pub struct EnumType {
    pub(crate) int: IntType,
    pub(crate) mappings: Arc<[EnumMapping]>,
}

impl EnumType {
    /// The integer.
    pub const fn int(&self) -> &IntType {
        &self.int
    }

    /// Every mapping, in the order of the text.
    pub fn mappings(&self) -> &[EnumMapping] {
        &self.mappings
    }

    /// The labels of a value, in the order of the text.
    pub fn labels(&self, value: i128) -> impl Iterator<Item = &str> {
        self.mappings
            .iter()
            .filter(move |mapping| mapping.low <= value && value <= mapping.high)
            .map(|mapping| &*mapping.label)
    }
}

/// Bytes up to a NUL.
#[derive(Clone, Debug)]
pub struct StringType {
    pub(crate) encoding: Encoding,
}

impl StringType {
    /// Its encoding.
    pub const fn encoding(&self) -> Encoding {
        self.encoding
    }
}

/// A field of a structure or an option of a variant.
#[derive(Clone, Debug)]
pub struct Field {
    pub(crate) raw_name: Arc<str>,
    pub(crate) ty: FieldType,
    /// Whether an underscore before its name is part of it, as in CTF 2.
    pub(crate) verbatim: bool,
}

impl Field {
    /// Its name, in CTF 1.8 without the one underscore that tracers put before names that may be
    /// keywords.
    pub fn name(&self) -> &str {
        if self.verbatim {
            return &self.raw_name;
        }
        self.raw_name.strip_prefix('_').unwrap_or(&self.raw_name)
    }

    /// Its name as the metadata has it.
    pub fn raw_name(&self) -> &str {
        &self.raw_name
    }

    /// Its type.
    pub const fn field_type(&self) -> &FieldType {
        &self.ty
    }
}

/// Named fields one after the other.
#[derive(Clone, Debug, Default)]
pub struct StructType {
    pub(crate) fields: Vec<Field>,
    /// Bits; its own and its fields', whichever is largest.
    pub(crate) align: u64,
}

impl StructType {
    /// Its fields.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Its alignment in bits.
    pub const fn align(&self) -> u64 {
        self.align
    }

    /// The field a user names `name`, with or without the underscore.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.position(name).map(|at| &self.fields[at])
    }

    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        let find = |like: &dyn Fn(&Field) -> bool| self.fields.iter().position(like);
        find(&|field| field.name() == name)
            .or_else(|| find(&|field| field.raw_name() == name))
            // A tracer may write the names of CTF 1.8 in CTF 2.
            .or_else(|| find(&|field| field.raw_name().strip_prefix('_') == Some(name)))
    }
}

/// A number of elements that the metadata tells.
#[derive(Clone, Debug)]
pub struct ArrayType {
    pub(crate) element: Box<FieldType>,
    pub(crate) len: u64,
    /// Bits; that of its elements may be larger.
    pub(crate) align: u64,
    pub(crate) media: Option<Arc<str>>,
}

impl ArrayType {
    /// The type of each element.
    pub const fn element(&self) -> &FieldType {
        &self.element
    }

    /// How many there are.
    #[expect(clippy::len_without_is_empty, reason = "a type is not a collection")]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// The media type of its bytes where it is a BLOB.
    pub fn media_type(&self) -> Option<&str> {
        self.media.as_deref()
    }
}

/// A number of elements that an earlier field tells.
#[derive(Clone, Debug)]
pub struct SequenceType {
    pub(crate) element: Box<FieldType>,
    pub(crate) len: Reg,
    pub(crate) len_path: Arc<str>,
    /// The flag that says whether `len` was read, where that may not be so.
    pub(crate) needs: Option<Reg>,
    /// Bits; that of its elements may be larger.
    pub(crate) align: u64,
    pub(crate) media: Option<Arc<str>>,
}

impl SequenceType {
    /// The type of each element.
    pub const fn element(&self) -> &FieldType {
        &self.element
    }

    /// The field that tells how many there are, as the metadata names it.
    pub fn len_path(&self) -> &str {
        &self.len_path
    }

    /// The media type of its bytes where it is a BLOB.
    pub fn media_type(&self) -> Option<&str> {
        self.media.as_deref()
    }
}

/// One of several types; an earlier enumeration tells which.
#[derive(Clone, Debug)]
pub struct VariantType {
    pub(crate) options: Vec<Field>,
    pub(crate) tag: Reg,
    pub(crate) tag_path: Arc<str>,
    pub(crate) tag_signed: bool,
    /// The flag that says whether `tag` was read, where that may not be so.
    pub(crate) needs: Option<Reg>,
    /// Tag values and the option they choose; the first that fits counts.
    pub(crate) choices: Vec<Choice>,
}

/// A field that is there or not; an earlier one tells.
#[derive(Clone, Debug)]
pub struct OptionalType {
    pub(crate) field: Box<FieldType>,
    pub(crate) tag: Reg,
    pub(crate) tag_path: Arc<str>,
    pub(crate) tag_signed: bool,
    /// The flag that says whether `tag` was read, where that may not be so.
    pub(crate) needs: Option<Reg>,
    /// Tag values with which it is there.
    pub(crate) choices: Vec<Choice>,
}

impl OptionalType {
    /// The type it has where it is there.
    pub const fn field_type(&self) -> &FieldType {
        &self.field
    }

    /// The field that tells whether it is there, as the metadata names it.
    pub fn selector_path(&self) -> &str {
        &self.tag_path
    }

    /// Whether it is there with the tag `value`.
    pub(crate) fn is_there(&self, value: u64) -> bool {
        choose(&self.choices, Choice::key(value, self.tag_signed)).is_some()
    }
}

/// Bits with names.
#[derive(Clone, Debug)]
pub struct BitMapType {
    pub(crate) int: IntType,
    pub(crate) flags: Arc<[Flag]>,
}

/// A name for bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// The name.
    pub name: Arc<str>,
    /// The bits; one of them is enough.
    pub mask: u64,
}

impl BitMapType {
    /// All bits as one number.
    pub const fn int(&self) -> &IntType {
        &self.int
    }

    /// Every flag, in the order of the text.
    pub fn flags(&self) -> &[Flag] {
        &self.flags
    }

    /// The names of the flags that `value` sets, in the order of the text.
    pub fn active(&self, value: u64) -> impl Iterator<Item = &str> {
        let set = self.flags.iter().filter(move |flag| flag.mask & value != 0);
        set.map(|flag| &*flag.name)
    }
}

/// Bits that are stepped over.
#[derive(Clone, Debug)]
pub struct OpaqueType {
    pub(crate) size: u64,
    pub(crate) align: u64,
}

impl OpaqueType {
    /// Its size in bits.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Its alignment in bits.
    pub const fn align(&self) -> u64 {
        self.align
    }
}

/// Tag values from `low` to `high` choose option `option`. Both are [`Choice::key`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) low: u64,
    pub(crate) high: u64,
    pub(crate) option: u32,
}

impl Choice {
    /// A tag as an unsigned number that keeps the order of its values.
    #[inline]
    pub(crate) const fn key(value: u64, signed: bool) -> u64 {
        if signed { value ^ (1 << 63) } else { value }
    }
}

impl VariantType {
    /// The types it may take.
    pub fn options(&self) -> &[Field] {
        &self.options
    }

    /// The field that tells which, as the metadata names it.
    pub fn tag_path(&self) -> &str {
        &self.tag_path
    }

    /// The option the tag `value` chooses.
    pub(crate) fn choose(&self, value: u64) -> Option<usize> {
        choose(&self.choices, Choice::key(value, self.tag_signed))
    }
}

/// The option that `key` chooses.
#[inline]
pub(crate) fn choose(choices: &[Choice], key: u64) -> Option<usize> {
    choices
        .iter()
        .find(|choice| choice.low <= key && key <= choice.high)
        .map(|choice| choice.option as usize)
}

impl FieldType {
    /// Its alignment in bits. A variant has none: the option it takes aligns itself.
    pub fn align(&self) -> u64 {
        match self {
            Self::Int(int) => int.align,
            Self::Float(float) => float.align,
            Self::Enum(enumeration) => enumeration.int.align,
            Self::String(_) => 8,
            Self::Struct(structure) => structure.align,
            Self::Array(array) => array.align.max(array.element.align()),
            Self::Sequence(sequence) => sequence.align.max(sequence.element.align()),
            Self::Variant(_) | Self::Optional(_) => 1,
            Self::Bool(int) => int.align,
            Self::BitMap(map) => map.int.align,
            Self::Opaque(opaque) => opaque.align,
        }
    }

    /// The type it has where it is there.
    pub(crate) fn present(&self) -> &Self {
        let mut ty = self;
        while let Self::Optional(optional) = ty {
            ty = &optional.field;
        }
        ty
    }

    /// The number behind an integer, an enumeration, a truth or a bit map.
    pub(crate) const fn int(&self) -> Option<&IntType> {
        match self {
            Self::Int(int) | Self::Bool(int) => Some(int),
            Self::Enum(enumeration) => Some(&enumeration.int),
            Self::BitMap(map) => Some(&map.int),
            _ => None,
        }
    }

    pub(crate) const fn int_mut(&mut self) -> Option<&mut IntType> {
        match self {
            Self::Int(int) | Self::Bool(int) => Some(int),
            Self::Enum(enumeration) => Some(&mut enumeration.int),
            Self::BitMap(map) => Some(&mut map.int),
            _ => None,
        }
    }
}
