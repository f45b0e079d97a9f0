//! Tests of reading events.

mod broken;
mod decode;
mod plans;
