//! How the Linux kernel describes its trace events, and how fields are read by that description.
//!
//! Below `/sys/kernel/tracing/events`, each event has a file `format` that says where in a raw
//! record its fields lie (kernel/trace/trace_events.c `f_show`). ftrace's ring buffer and perf's
//! samples hold the same records, so whoever reads files of trace-cmd or of perf needs this:
//! [`EventFormat::parse`] reads a description, [`Formats`] finds one by the number a record begins
//! with, a [`Slot`] is a field found once, and a [`RecordView`] reads slots out of records without
//! allocating. [`HeaderPage`] is the description of the ring buffer's pages, [`Threads`] what files
//! tell of threads. What readers of such files give is an [`EventView`] of each event that is
//! [`Wanted`].
//!
//! ```
//! use virtflow_tracefs::{ByteOrder, EventFormat, RecordView, Slot};
//!
//! let text = "name: tick\nID: 7\nformat:\n\
//!     \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
//!     \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n\
//!     \tfield:u32 vector;\toffset:8;\tsize:4;\tsigned:0;\n\n\
//!     print fmt: \"%u\", REC->vector\n";
//! let format = EventFormat::parse("timer", text.as_bytes())?;
//! let slots = [format.field("vector").map(Slot::new), None];
//! let record = [7, 0, 0, 0, 1, 0, 0, 0, 236, 0, 0, 0];
//! let view = RecordView::new(&record, ByteOrder::Little, &slots);
//! assert_eq!(view.u64(0), Some(236));
//! assert_eq!(view.u64(1), None);
//! # Ok::<(), virtflow_tracefs::FormatError>(())
//! ```
//!
//! # Limits
//!
//! A description has at most 1,024 fields, a field at most 65,535 bytes; more is an error, and so
//! is a description without a name, a number or its `common_type`. Nothing is read beyond a
//! record: a field that does not fit has no value.

mod event;
mod format;
mod formats;
mod order;
mod page;
mod threads;
mod value;
mod view;

pub use event::{Bound, Described, EventView, Extract, OwnedRecord, Wanted};
pub use format::{EventFormat, Field, FieldKind, FormatError, FormatErrorKind};
pub use formats::Formats;
pub use order::ByteOrder;
pub use page::HeaderPage;
pub use threads::Threads;
pub use value::{Elements, FieldValue};
pub use view::{RecordView, Slot};
