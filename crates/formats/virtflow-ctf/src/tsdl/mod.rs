//! TSDL, the language of CTF 1.8 metadata (CTF 1.8 section 7.3 and appendix C).

mod attributes;
mod blocks;
mod container;
mod lexer;
mod parser;
pub(crate) mod raw;
#[cfg(test)]
mod tests;
mod types;

pub(crate) use container::{Unreadable, contents};
pub(crate) use lexer::{error_at, shorten};
pub(crate) use parser::parse;

/// How deeply types may nest, named types counted where they are used.
pub(crate) const DEPTH_MAX: u32 = 64;
/// How many fields, options, labels and blocks a text may have; and how many types all classes
/// together, named types counted each time they are used.
pub(crate) const ITEMS_MAX: u64 = 1 << 20;
/// The largest alignment in bits; windows onto packets begin at multiples of it.
pub(crate) const ALIGN_MAX: u64 = 1 << 16;
