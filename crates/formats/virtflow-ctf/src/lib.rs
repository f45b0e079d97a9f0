//! A reader and a writer of [Common Trace Format 1.8](https://diamon.org/ctf/v1.8.3/) and
//! [2](https://diamon.org/ctf/), the formats of LTTng, barectf and others.
//!
//! # Reading
//!
//! [`discover`] finds traces below a path, [`Trace::open`] opens one: it parses the metadata and
//! lists the packets of each stream, and reads no event. [`Trace::bind`] looks the fields one
//! wants up once; a [`StreamReader`] then gives the wanted events of one stream and steps over the
//! others. Streams are read independently of one another; merging them is up to the caller.
//!
//! ```no_run
//! use std::path::Path;
//! use std::sync::Arc;
//!
//! use virtflow_base::{Fill, RecordSource};
//! use virtflow_ctf::{EventView, Extract, Trace, Wanted, discover};
//!
//! /// Makes pairs of thread numbers of `sched_switch` events.
//! struct Switches;
//!
//! impl Extract for Switches {
//!     type Out = (i64, i64);
//!
//!     fn extract(&mut self, event: &EventView<'_>) -> Option<(i64, i64)> {
//!         Some((event.i64(0)?, event.i64(1)?))
//!     }
//! }
//!
//! fn main() -> Result<(), virtflow_ctf::Error> {
//!     for directory in discover(Path::new("lttng-traces/session"))? {
//!         let trace = Arc::new(Trace::open(&directory)?);
//!         let bound = Arc::new(trace.bind(|class| {
//!             let fields = vec!["prev_tid".into(), "next_tid".into()];
//!             (class.name() == "sched_switch").then_some(Wanted { tag: 0, fields })
//!         }));
//!         for stream in 0..trace.streams().len() {
//!             let mut reader = trace.reader(stream, Arc::clone(&bound), Switches);
//!             let mut batch = Vec::new();
//!             while reader.fill(&mut batch, 4096) == Fill::More {
//!                 for switch in batch.drain(..) {
//!                     let _ = (switch.time, switch.record);
//!                 }
//!             }
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # Broken input
//!
//! Opening fails only where the metadata cannot be understood. Everything else is a
//! [`virtflow_base::Problem`] with its file, packet and byte: reading goes on with the next packet.
//! Packets are believed rather than LTTng's index files. What a stream lost (discarded events,
//! missing packets, bytes that are no packet, cut files) is in [`StreamFile::coverage`].
//!
//! # Limits
//!
//! | what | at most |
//! |---|---|
//! | metadata | 64 MiB; 2^20 declarations; 2^20 types in use, named ones counted at each use |
//! | nesting of types | 64 |
//! | alignment | 65,536 bits |
//! | one event | 16 MiB; a reader otherwise holds 256 KiB |
//! | floating point | 16 (CTF 2), 32 and 64 bits; others are stepped over |
//! | elements without bits shown of one event | 65,536 |
//!
//! # CTF 2
//!
//! The same packets and events, described by a JSON text sequence instead of TSDL; which of the two
//! a metadata file is, its first byte tells. Sections in this crate are those of CTF2-SPEC-2.0rB.
//!
//! Both become the same [`Metadata`] and the same plans. Types that only CTF 2 has are
//! [`FieldType::Bool`], [`FieldType::BitMap`], [`FieldType::Optional`] and, for bit arrays of more
//! than 64 bits, [`FieldType::Opaque`]; integers may be LEB128 ([`IntType::is_variable`]); a BLOB is
//! an array or sequence of bytes with a media type, text one of bytes with an encoding, which is
//! shown in UTF-8. Attributes are ignored but for the log level and EMF URI of LTTng and
//! babeltrace2. Extensions are refused by their names.
//!
//! Metadata that end inside their last fragment, as those of a running recording may, are read up to
//! there: a problem. What bounds CTF 1.8 bounds CTF 2; besides, a fragment has at most 2^20 JSON
//! values and, as `serde_json` has it, 127 levels of them.

mod bits;
mod clock;
mod ctf2;
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
pub use clock::{Clock, ClockOrigin};
pub use discover::discover;
pub use error::{Error, FragmentError, FragmentErrorKind, MetadataError, MetadataErrorKind};
pub use index::{Packet, StreamFile};
pub use metadata::{
    ArrayType, Base, BitMapType, Encoding, EnumMapping, EnumType, EnvValue, EventClass, Field,
    FieldType, Flag, FloatType, Identity, IntType, Metadata, OpaqueType, OptionalType, Scope,
    SequenceType, StreamClass, StringType, StructType, VariantType,
};
pub use read::{
    Bound, Counts, EventView, Extract, FieldError, FieldPath, Item, OwnedEvent, StreamReader,
    Value, Wanted,
};
pub use trace::Trace;
