//! Tests of reading events.

mod broken;
mod decode;
pub(crate) mod plans;
