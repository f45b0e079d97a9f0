//! The words every layer of virtflow shares: time, identifiers, problems with a trace, the
//! interner, and the two seams data flows through ([`RecordSource`] in, [`Sink`] out).
//!
//! Nothing here knows a trace format or what an event means.

mod ids;
mod intern;
mod problem;
mod quantity;
mod sink;
mod source;
mod text;
mod time;

pub use ids::{CpuId, EntityId, Tid};
pub use intern::{Interner, NameId};
pub use problem::{Place, Problem, ProblemKind, Problems};
pub use quantity::{duration, duration_parts, number};
pub use sink::{Edge, Entity, Exit, Interval, Sample, Sink};
pub use source::{Fill, Loss, LossKind, RecordSource, Stamped, StreamCoverage};
pub use text::text;
pub use time::{Span, Timestamp};
