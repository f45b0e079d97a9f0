//! Values of fields, one by one or as a tree.

use std::sync::Arc;

use super::view::FieldError;
use super::walk::{Source, walk_event};
use crate::metadata::{Base, BitMapType, EnumType, IntType, Scope};

/// One step of a walk through an event's fields.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Item<'a> {
    /// A scope begins.
    ScopeBegin(Scope),
    /// It ends.
    ScopeEnd(Scope),
    /// An integer.
    Int {
        /// Its value.
        value: i128,
        /// Its type, for the base to show it in.
        ty: &'a IntType,
    },
    /// An enumeration.
    Enum {
        /// Its value.
        value: i128,
        /// Its type, for the value's labels.
        ty: &'a EnumType,
    },
    /// A truth.
    Bool(bool),
    /// Bits with names.
    BitMap {
        /// All bits as one number.
        value: u64,
        /// Its type, for the names.
        ty: &'a BitMapType,
    },
    /// Bytes that are neither numbers nor text.
    Blob(&'a [u8]),
    /// An optional field that is not there.
    Absent,
    /// A floating point number.
    Float {
        /// Its value.
        value: f64,
        /// Whether it has only single precision or less.
        single: bool,
    },
    /// A string, or an array or sequence of characters; without NUL, in UTF-8 if it is what the
    /// metadata says.
    Text(&'a [u8]),
    /// A field that is stepped over.
    Opaque {
        /// Its size.
        bits: u32,
    },
    /// A structure begins.
    StructBegin,
    /// It ends.
    StructEnd,
    /// An array or sequence begins; its elements have no names.
    ArrayBegin {
        /// How many elements follow.
        len: u64,
    },
    /// It ends.
    ArrayEnd,
    /// A variant begins; the field that follows is what it holds, under the variant's name.
    VariantBegin {
        /// The option it takes.
        option: &'a str,
    },
    /// It ends.
    VariantEnd,
}

/// A field's value.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// An integer.
    Int {
        /// Its value.
        value: i128,
        /// Whether its type is signed.
        signed: bool,
        /// The base to show it in.
        base: Base,
    },
    /// An enumeration.
    Enum {
        /// Its value.
        value: i128,
        /// The value's labels, none for an unknown value.
        labels: Vec<Arc<str>>,
    },
    /// A truth.
    Bool(bool),
    /// Bits with names.
    BitMap {
        /// All bits as one number.
        value: u64,
        /// The names of the flags that are set.
        flags: Vec<Arc<str>>,
    },
    /// Bytes that are neither numbers nor text.
    Blob(Vec<u8>),
    /// An optional field that is not there.
    Absent,
    /// A floating point number.
    Float(f64),
    /// A string, or an array or sequence of characters; without NUL.
    Text(Vec<u8>),
    /// A field of this many bits that is stepped over.
    Opaque(u32),
    /// Named fields.
    Struct(Vec<(Box<str>, Self)>),
    /// Elements.
    Array(Vec<Self>),
    /// What a variant holds.
    Variant {
        /// The option it takes.
        option: Box<str>,
        /// Its value.
        value: Box<Self>,
    },
}

impl Value {
    /// The field `name` of a structure.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Struct(fields) => fields
                .iter()
                .find(|(field, _)| &**field == name)
                .map(|(_, value)| value),
            Self::Variant { value, .. } => value.get(name),
            _ => None,
        }
    }

    /// The value of an integer or enumeration.
    pub const fn as_int(&self) -> Option<i128> {
        match self {
            Self::Int { value, .. } | Self::Enum { value, .. } => Some(*value),
            _ => None,
        }
    }

    /// The bytes of a text or BLOB.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Text(bytes) | Self::Blob(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The tree of whatever `walk` gives; `None` where it gives nothing. A scope's beginning and
    /// end are a structure's.
    ///
    /// # Errors
    /// Those of `walk`.
    pub fn of_items<E>(
        walk: impl FnOnce(&mut dyn FnMut(&str, Item<'_>)) -> Result<(), E>,
    ) -> Result<Option<Self>, E> {
        let mut builder = Builder::default();
        walk(&mut |name, item| builder.take(name, item))?;
        Ok(builder.done)
    }

    pub(super) fn of_scope(source: &Source<'_>, scope: Scope) -> Result<Option<Self>, FieldError> {
        let mut builder = Builder::default();
        walk_event(source, &[scope], &mut |name, item| builder.take(name, item))?;
        Ok(builder.done)
    }
}

/// Builds a tree from a walk.
#[derive(Default)]
struct Builder {
    /// What is being filled, outermost first.
    open: Vec<(Box<str>, Open)>,
    done: Option<Value>,
}

enum Open {
    Struct(Vec<(Box<str>, Value)>),
    Array(Vec<Value>),
    Variant(Box<str>, Option<Value>),
}

impl Builder {
    fn take(&mut self, name: &str, item: Item<'_>) {
        let value = match item {
            Item::ScopeBegin(_) | Item::StructBegin => {
                return self.open.push((name.into(), Open::Struct(Vec::new())));
            }
            Item::ArrayBegin { .. } => {
                return self.open.push((name.into(), Open::Array(Vec::new())));
            }
            Item::VariantBegin { option } => {
                return self
                    .open
                    .push((name.into(), Open::Variant(option.into(), None)));
            }
            Item::ScopeEnd(_) | Item::StructEnd | Item::ArrayEnd | Item::VariantEnd => {
                return self.close();
            }
            Item::Int { value, ty } => Value::Int {
                value,
                signed: ty.is_signed(),
                base: ty.base(),
            },
            Item::Enum { value, ty } => Value::Enum {
                value,
                labels: ty.labels(value).map(Arc::from).collect(),
            },
            Item::Bool(value) => Value::Bool(value),
            Item::BitMap { value, ty } => Value::BitMap {
                value,
                flags: ty.active(value).map(Arc::from).collect(),
            },
            Item::Blob(bytes) => Value::Blob(bytes.to_vec()),
            Item::Absent => Value::Absent,
            Item::Float { value, .. } => Value::Float(value),
            Item::Text(bytes) => Value::Text(bytes.to_vec()),
            Item::Opaque { bits } => Value::Opaque(bits),
        };
        self.add(name.into(), value);
    }

    fn close(&mut self) {
        let Some((name, open)) = self.open.pop() else {
            return;
        };
        let value = match open {
            Open::Struct(fields) => Value::Struct(fields),
            Open::Array(elements) => Value::Array(elements),
            Open::Variant(option, value) => {
                let value = Box::new(value.unwrap_or(Value::Struct(Vec::new())));
                Value::Variant { option, value }
            }
        };
        self.add(name, value);
    }

    fn add(&mut self, name: Box<str>, value: Value) {
        match self.open.last_mut() {
            None => self.done = Some(value),
            Some((_, Open::Struct(fields))) => fields.push((name, value)),
            Some((_, Open::Array(elements))) => elements.push(value),
            Some((_, Open::Variant(_, inside))) => *inside = Some(value),
        }
    }
}
