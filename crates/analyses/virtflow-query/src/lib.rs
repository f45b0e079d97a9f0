//! The pipeline (open, model, sums) and the named answers: budgets, waits, pre-emption, exits.
//!
//! Faces ask here and nowhere below: raw events, too, reach them through [`Recording`].

mod budgets;
mod pipeline;
mod rows;

pub use budgets::{Budgets, Doing, ExitCost, ExitKey, Spread, Total};
pub use pipeline::{Outcome, Progress, analyze, bounds, machines};
pub use rows::{EdgeRow, IntervalRow, ROWS_VERSION, Row, Rows};
pub use virtflow_events::{
    AnyEvent, Base, Counted, EventCount, FieldError, Item, OpenError, Recording, Scope, TraceInfo,
    Value,
};
pub use virtflow_model::{Cause, Confidence, Counts, EdgeKind, Evidence, Kind, Options, State, exits};
