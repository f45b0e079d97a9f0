//! State machines: who runs, waits, is pre-empted, at which level, for whom, why.
//!
//! [`Model`] takes one host's [`KernelEvent`](virtflow_events::KernelEvent)s in time order and
//! hands what it finds to a [`Sink`](virtflow_base::Sink): entities, the intervals of their lanes,
//! edges, exits, counters. It knows no file, no thread, no clock of its own: state and event in, transitions
//! out.

mod causes;
mod collect;
pub mod exits;
mod guest;
mod host;
mod lane;
mod live;
mod model;
mod nested;
mod pool;
mod proved;
#[cfg(test)]
mod tests;
mod unentered;
mod unread;
mod vectors;
mod vm;
mod vm_names;
mod vocab;
mod waits;

pub use collect::Collected;
pub use host::segments::{Queued, Segments, Woke};
pub use live::{Living, Yet};
pub use model::{Counts, Followed, Model, Options};
pub use unread::reads;
pub use vocab::{Cause, Confidence, Counter, EdgeKind, Evidence, Kind, State};
