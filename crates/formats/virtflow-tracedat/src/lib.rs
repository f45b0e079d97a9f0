//! A reader of the files that `trace-cmd record` writes, usually called `trace.dat`, in versions 6
//! and 7 (trace-cmd.dat.v6(5), trace-cmd.dat.v7(5)).
//!
//! [`Trace::open`] reads the head of a file: the descriptions of events, the options, the names of
//! threads, and where each processor's pages of the kernel's ring buffer lie. [`Trace::bind`] looks
//! up the fields one wants once; a [`StreamReader`] then gives the wanted events of one stream, a
//! stream being what one processor wrote into one buffer. Streams are read independently of one
//! another; merging them is up to the caller.
//!
//! ```no_run
//! use std::path::Path;
//! use std::sync::Arc;
//!
//! use virtflow_base::{Fill, RecordSource};
//! use virtflow_tracedat::{EventView, Extract, Slot, Trace, Wanted};
//!
//! /// Takes the number of the vector of each timer interrupt.
//! struct Vectors;
//!
//! impl Extract for Vectors {
//!     type Out = u64;
//!
//!     fn extract(&mut self, event: &EventView<'_>) -> Option<u64> {
//!         event.fields.u64(0)
//!     }
//! }
//!
//! fn main() -> Result<(), virtflow_tracedat::Error> {
//!     let trace = Arc::new(Trace::open(Path::new("trace.dat"))?);
//!     let bound = Arc::new(trace.bind(|format| {
//!         let slots = vec![format.field("vector").map(Slot::new)];
//!         (format.name() == "local_timer_entry").then_some(Wanted { tag: 0, slots })
//!     }));
//!     for stream in 0..trace.streams().len() {
//!         let mut reader = trace.reader(stream, Arc::clone(&bound), Vectors);
//!         let mut batch = Vec::new();
//!         while reader.fill(&mut batch, 4096) == Fill::More {
//!             for vector in batch.drain(..) {
//!                 let _ = (vector.time, vector.record);
//!             }
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # Broken input
//!
//! Opening fails where the head of the file cannot be understood, and for files of
//! `trace-cmd`'s latency tracers, which hold text and no events. Everything else is a
//! [`virtflow_base::Problem`] with its page and byte: reading goes on with the next page. What a
//! stream lost is in [`Stream::coverage`].
//!
//! # Limits
//!
//! | what | at most |
//! |---|---|
//! | a section of the head (descriptions, options) | 64 MiB, unpacked |
//! | one packed piece of a processor's pages | 16 MiB unpacked, 1,024 times its packed size or 64 KiB |
//! | a page | 256 bytes to 16 MiB |
//! | sections of options | 4,096; 1,048,576 options and 64 MiB in all |
//! | descriptions of events | 262,144 and 64 MiB in all |
//! | threads with names | 131,072 |
//! | streams | 65,536, which together are no longer than the file |
//!
//! Every size is compared with the file before anything is read, and memory grows with what was
//! read, never with what a file says.

mod buffer;
mod clock;
mod cursor;
mod data;
mod error;
mod head;
mod options;
mod packed;
mod page;
mod read;
mod survey;
#[cfg(test)]
mod tests;
mod trace;
mod v6;
mod v7;
pub mod writer;

pub use buffer::{Buffer, Stream};
pub use clock::Clock;
pub use error::Error;
pub use head::is_trace_dat;
pub use options::{Guest, HostTimes, Lost, Options};
pub use read::{Counts, StreamReader};
pub use trace::Trace;
pub use virtflow_tracefs::{
    Bound, ByteOrder, Described, EventFormat, EventView, Extract, OwnedRecord, Slot, Threads,
    Wanted,
};
