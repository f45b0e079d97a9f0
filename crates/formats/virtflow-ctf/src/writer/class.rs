//! Event classes and the types of their fields.

/// A kind of event: what the metadata say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventClass {
    /// The number in event headers, unique in the trace.
    pub id: u32,
    /// Its name, such as `sched_switch`.
    pub name: String,
    /// Its fields, in order.
    pub fields: Vec<Field>,
}

impl EventClass {
    /// A class with these fields.
    pub fn new(id: u32, name: impl Into<String>, fields: Vec<Field>) -> Self {
        Self {
            id,
            name: name.into(),
            fields,
        }
    }

    /// A class whose fields are given as the text between the braces of `fields := struct { }`, for
    /// CTF 1.8 only. Its events must be written with payloads encoded by the caller.
    pub fn verbatim(id: u32, name: impl Into<String>, tsdl: impl Into<String>) -> Self {
        let field = Field {
            name: String::new(),
            ty: FieldType::Verbatim(Verbatim {
                tsdl: tsdl.into(),
                ctf2: None,
            }),
        };
        Self {
            id,
            name: name.into(),
            fields: vec![field],
        }
    }
}

/// A named field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name as it stands in CTF 1.8 metadata, with the leading underscore that LTTng adds; CTF 2
    /// has it without.
    pub name: String,
    /// Its type.
    pub ty: FieldType,
}

impl Field {
    /// A field of any type.
    pub fn new(name: impl Into<String>, ty: FieldType) -> Self {
        Self {
            name: name.into(),
            ty,
        }
    }

    /// An unsigned integer shown in decimal.
    pub fn unsigned(name: impl Into<String>, bits: u8) -> Self {
        Self::new(name, FieldType::Integer(IntegerType::unsigned(bits)))
    }

    /// A signed integer shown in decimal.
    pub fn signed(name: impl Into<String>, bits: u8) -> Self {
        Self::new(name, FieldType::Integer(IntegerType::signed(bits)))
    }

    /// An unsigned integer shown in hexadecimal.
    pub fn hex(name: impl Into<String>, bits: u8) -> Self {
        let ty = IntegerType {
            base: 16,
            ..IntegerType::unsigned(bits)
        };
        Self::new(name, FieldType::Integer(ty))
    }

    /// A character array of fixed length, zero-padded (`comm[16]`).
    pub fn text(name: impl Into<String>, length: u32) -> Self {
        Self::new(name, FieldType::Text(length))
    }

    /// A string that ends with a zero byte.
    pub fn string(name: impl Into<String>) -> Self {
        Self::new(name, FieldType::String)
    }
}

/// An integer as it lies in a payload, always starting at a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntegerType {
    /// Its size, 1 to 64 bits; it takes up whole bytes.
    pub bits: u8,
    /// Whether it is in two's complement.
    pub signed: bool,
    /// In which base readers show it: 2, 8, 10 or 16.
    pub base: u8,
}

impl IntegerType {
    /// Unsigned, shown in decimal.
    pub const fn unsigned(bits: u8) -> Self {
        Self {
            bits,
            signed: false,
            base: 10,
        }
    }

    /// Signed, shown in decimal.
    pub const fn signed(bits: u8) -> Self {
        Self {
            bits,
            signed: true,
            base: 10,
        }
    }
}

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldType {
    /// A number.
    Integer(IntegerType),
    /// Labels for ranges of a number: label, first, last (inclusive).
    Enum(IntegerType, Vec<(String, i64, i64)>),
    /// A fixed number of characters.
    Text(u32),
    /// Characters up to a zero byte.
    String,
    /// A fixed number of elements.
    Array(Box<FieldType>, u32),
    /// As many elements as an earlier integer field of the same structure says.
    Sequence {
        /// The name of the earlier field.
        length: String,
        /// What is repeated.
        element: Box<FieldType>,
    },
    /// Fields in order.
    Struct(Vec<Field>),
    /// Any text that stands for the whole declaration (variants, for one). The caller encodes it.
    Verbatim(Verbatim),
}

/// A declaration in the words of the metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verbatim {
    /// TSDL, names and semicolons included.
    pub tsdl: String,
    /// For CTF 2 the same members as JSON objects, apart by commas; without it, the class can be
    /// written in CTF 1.8 only.
    pub ctf2: Option<String>,
}
