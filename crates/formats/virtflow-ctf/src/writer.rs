//! Writes CTF 1.8 and CTF 2 traces that look like those of LTTng's kernel tracer.
//!
//! Two uses: traces made from nothing ([`TraceWriter::create`], the metadata follow from typed
//! [`EventClass`]es), and cuts of a real trace ([`TraceWriter::copy`], the metadata are taken over
//! byte by byte and events carry the payload bytes of the original).
//!
//! A [`TraceWriter`] is a directory; each [`StreamWriter`] made by it is one file and one packet
//! of memory, independent of the others, so that streams may be written from several threads.
//! What is written at once is whole packets: after a crash the files hold only whole packets.
//!
//! Layout, from LTTng-modules 2.13 (`src/lttng-events.c`, `_lttng_session_metadata_statedump`, and
//! `src/lttng-ring-buffer-client.h`, `struct packet_header`):
//!
//! | part | fields |
//! |---|---|
//! | packet header | `magic` u32, `uuid` 16 bytes, `stream_id` u32, `stream_instance_id` u64 |
//! | packet context | `timestamp_begin`, `timestamp_end`, `content_size`, `packet_size` (bits), `packet_seq_num`, `events_discarded` (all u64), `cpu_id` u32 |
//! | event header, compact | 5 bits of id and 27 of time, or 31, u32 id, u64 time |
//! | event header, large | u16 id and u32 of time, or 65535, u32 id, u64 time |
//!
//! The same in CTF 2 ([`Format::Ctf2`]), whose metadata are those of LTTng-modules 2.14
//! (`src/lttng-events-ctf-2.c`): names without an underscore before them, roles for what the reader
//! must know.
//!
//! Every field is aligned to a byte, so that a payload means the same wherever it lies.

mod class;
mod config;
mod error;
mod fragments;
mod index;
mod metadata;
mod payload;
mod stream;
mod trace;
mod value;

#[cfg(test)]
mod tests;

pub use class::{EventClass, Field, FieldType, IntegerType, Verbatim};
pub use config::{
    ByteOrder, Clock, EnvValue, Format, HeaderKind, StreamConfig, StreamIdentity, TraceConfig,
};
pub use error::WriteError;
pub use payload::Payload;
pub use stream::{StreamTotals, StreamWriter};
pub use trace::TraceWriter;
pub use value::Value;
