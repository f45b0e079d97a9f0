//! The small language in which intervals are asked for: `field op value`, `&&`, `||`, `!`, parentheses.
//!
//! The page has the same language for what it shows (`web/src/filter`); here it searches a store.

mod lexer;
mod parser;
mod search;

pub use parser::{Filter, FilterError};
pub use search::search;
