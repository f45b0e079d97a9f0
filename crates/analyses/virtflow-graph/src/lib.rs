//! Why it took that long: the critical path through the execution graph.
//!
//! A *worker* (a host thread, a virtual processor, a guest process) has a line of segments: it ran,
//! was kept from running, or was blocked until somebody or something woke it. Where it was blocked
//! and a worker woke it, the time until then was that worker's: the path goes on there. What is left
//! at the end is a chain of segments without gap or overlap that says of every nanosecond whose it
//! was.
//!
//! The algorithm is that of Giraldeau and Dagenais (Wait analysis of distributed systems using
//! kernel tracing, IEEE TPDS 27(8), 2016) in its bounded form: what woke somebody is never followed
//! to before the beginning of the wait, so that each segment is visited once per wait around it.
//! The crate knows no trace and no store: whoever asks brings the [`Lines`].

mod path;
mod sums;
#[cfg(test)]
mod tests;
mod tree;

pub use path::{EndedBy, Lines, Path, Segment, SegmentOf, Step, Transit, Wait, critical_path};
pub use sums::{Sum, sums};
pub use tree::{Branch, Node, tree};
