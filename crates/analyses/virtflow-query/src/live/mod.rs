//! What happens now: windows of time over records as they come, or over a recording as if they did.
//!
//! `order` puts records in the order in which they happened, `engine` moves the model and ends
//! windows, `window` sums what the model tells and what it has not told yet, `view` is a window as
//! rows, `totals` are sums since the beginning, `replay` feeds a recording.

mod engine;
mod order;
mod replay;
mod row;
#[cfg(test)]
mod tests;
mod totals;
mod view;
mod window;

pub use engine::{Live, LiveOptions};
pub use order::Incoming;
pub use replay::replay;
pub use row::{ExitCount, Row, RowKind, Shares, StatePart, TakenBy};
pub use totals::{Total as LiveTotal, TotalKind, TotalOf, Totals};
pub use view::{TOP_VERSION, TopHeader, TopLine, View, WindowLine};
