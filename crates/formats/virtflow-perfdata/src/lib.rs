//! A reader of the files that `perf record` writes, usually called `perf.data`, as files and as streams
//! (`-o -`), as far as they hold tracepoints.
//!
//! [`Trace::open`] reads what was recorded, the descriptions of events, and steps through all records
//! once, to know what each processor saw and lost. [`Trace::bind`] looks up the fields one wants once;
//! a [`Reader`] then gives the wanted events in order of time. perf mixes what happened on all processors and
//! does not write it by time, so there is one reader of all, which puts events in order as it goes (see
//! `sorter.rs`); a stream here is what happened on one processor.
//!
//! ```no_run
//! use std::path::Path;
//! use std::sync::Arc;
//!
//! use virtflow_base::{Fill, RecordSource, Timestamp};
//! use virtflow_perfdata::{EventView, Extract, Slot, Trace, Wanted};
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
//! fn main() -> Result<(), virtflow_perfdata::Error> {
//!     let trace = Arc::new(Trace::open(Path::new("perf.data"))?);
//!     let bound = Arc::new(trace.bind(|format| {
//!         let slots = vec![format.field("vector").map(Slot::new)];
//!         (format.name() == "local_timer_entry").then_some(Wanted { tag: 0, slots })
//!     }));
//!     let mut reader = trace.reader(bound, Vectors, Timestamp::MIN);
//!     let mut batch = Vec::new();
//!     while reader.fill(&mut batch, 4096) == Fill::More {
//!         for vector in batch.drain(..) {
//!             let _ = (vector.time, vector.record);
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # Broken input
//!
//! Opening fails where the head of the file cannot be understood, for version 1 of the format, for files
//! without tracepoints, and for those that perf could not finish: what events are is written last,
//! unless the file is a stream. Everything else is a [`virtflow_base::Problem`] with its byte. A record
//! whose size makes no sense ends the reading, as nothing tells where the next one begins. What
//! processors lost is in [`Trace::coverage`].
//!
//! # Limits
//!
//! | what | at most |
//! |---|---|
//! | attributes (kinds of events recorded) | 65,536 and 16 MiB; 1,048,576 numbers of them |
//! | descriptions of events | 65,536 and 64 MiB in all |
//! | another feature that is read | 64 KiB |
//! | a packed record (`-z`) | 1,024 times its size or 1 MiB unpacked; a window of 128 MiB, which takes as much memory as was unpacked into it |
//! | files of records beside the first (`--threads`) | 65,536 |
//! | processors | 65,536 |
//! | losses told apart | 1,048,576 |
//! | threads with names | 131,072 |
//! | events in memory, waiting for their turn | 64 MiB; more go to a nameless temporary file, up to 64 times the length of the file |
//!
//! Every size is compared with the file before anything is read, and memory grows with what was
//! read, never with what a file says.

mod attr;
mod bytes;
mod clock;
mod error;
mod features;
mod head;
mod held;
mod input;
mod own;
mod read;
mod records;
mod seen;
mod sorter;
mod survey;
#[cfg(test)]
mod tests;
mod trace;
mod tracing;
mod unpack;
pub mod writer;

pub use clock::Clock;
pub use error::Error;
pub use features::Features;
pub use head::is_perf_data;
pub use read::{Counts, Reader};
pub use trace::Trace;
pub use virtflow_tracefs::{
    Bound, ByteOrder, Described, EventFormat, EventView, Extract, OwnedRecord, Slot, Threads,
    Wanted,
};
