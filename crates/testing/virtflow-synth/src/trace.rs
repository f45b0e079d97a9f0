//! The trace: which events there are, the clock, and the streams they go to.

mod catalogue;
mod clock;
mod out;

#[cfg(test)]
pub(crate) use catalogue::classes;
pub(crate) use catalogue::{Ev, shapes};
pub(crate) use clock::Clock;
pub(crate) use out::{Out, Who, Window};
