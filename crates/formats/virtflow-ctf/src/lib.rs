//! A reader and a writer of Common Trace Format 1.8.

mod bits;
mod clock;
mod discover;
mod error;
mod index;
mod metadata;
mod plan;
mod read;
#[cfg(test)]
mod test_support;
mod trace;
mod tsdl;
pub mod writer;

pub use bits::ByteOrder;
pub use clock::Clock;
pub use discover::discover;
pub use error::{Error, MetadataError, MetadataErrorKind};
pub use index::{Packet, StreamFile};
pub use metadata::{
    ArrayType, Base, Encoding, EnumMapping, EnumType, EnvValue, EventClass, Field, FieldType,
    FloatType, IntType, Metadata, Scope, SequenceType, StreamClass, StringType, StructType,
    VariantType,
};
pub use read::{
    Bound, Counts, EventView, Extract, FieldError, FieldPath, Item, OwnedEvent, StreamReader,
    Value, Wanted,
};
pub use trace::Trace;
