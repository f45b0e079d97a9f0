//! Opens any trace and merges its streams in time order: two views of one record.
//!
//! [`AnyEvent`] is a decoded record of any class, known or not; [`KernelEvent`] is one of the
//! typed few that the model lives on. Which event of a trace is which is decided by the names in
//! the trace's own metadata (the alias table in `shapes/`), never by a version number.

mod any;
mod bind;
mod clocks;
mod kernel;
mod live;
mod merge;
mod open;
mod shapes;
mod text;
mod trace;

pub use any::AnyEvent;
pub use bind::kind;
pub use clocks::{Corrected, Correction, GuestClock, MachineClock};
pub use kernel::{
    ApicAccept, BlockRequest, Context, ExitInfo, GuestStack, KernelEvent, KernelRecord,
    NamespaceKind, NetPacket,
};
pub use live::{LiveError, LiveRecords};
pub use merge::Merge;
pub use open::{ClockInfo, Counted, EventCount, MachineInfo, OpenError, Recording, TraceInfo};
pub use text::{Comm, Text};
pub use trace::{AnyReader, KernelReader, Switches};
pub use virtflow_ctf::{Base, FieldError, Item, Scope, Value};
