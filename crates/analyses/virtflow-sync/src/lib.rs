//! Aligns the clocks of several machines by the messages between them.
//!
//! A message cannot arrive before it was sent. Each one from machine A to machine B so bounds the
//! difference of their clocks from one side, each one back from the other; the difference lies
//! between the hulls of these bounds (Jabbarifar: "On line trace synchronization for large scale
//! distributed systems", 2013; Poirier, Roy, Dagenais: "Accurate offline synchronization of
//! distributed traces using kernel-level events", 2010). They assume clocks that run at a constant
//! rate for the whole trace. Here the rate may change slowly: a line is assumed for a stretch of
//! time only, with an allowance for how far a clock whose rate changes by at most [`WANDER_MAX`]
//! can leave it, and all stretches of one second to a minute are tried.
//!
//! What comes out is a map of each clock to that of a reference, piecewise linear, and how far from
//! the truth it can be. The map never lets a message arrive before it was sent.
//!
//! | step | |
//! |---|---|
//! | [`Matcher`] | finds what was sent here and received there |
//! | [`Fleet`] | keeps the hulls of each pair of machines; [`Fleet::align`] gives the maps |
//!
//! It knows neither traces nor networks: times, numbers of machines, and what names a message.

mod fleet;
mod hull;
mod inside;
mod lines;
mod link;
mod map;
mod matcher;

pub use fleet::{Alignment, Fleet, Message};
pub use inside::{Bounded, Fit, narrow, search};
pub use link::State;
pub use map::ClockMap;
pub use matcher::{Matcher, PASSING_NS, Seen, Side};

/// The most by which the rates of two clocks are believed to differ, in parts of one over this
/// number: 1,000 ppm. Quartz is within 200 ppm, and the kernel slews by at most 500 ppm
/// (include/linux/timex.h `MAXFREQ`).
pub const RATE_MAX_DIVISOR: i64 = 1_000;

/// The most by which the rate between two clocks is believed to change, per second: 3 ppm within a
/// minute. Quartz changes by less than 1 ppm per kelvin near room temperature, and machines warm
/// by less than a few kelvin a minute.
pub const WANDER_MAX: f64 = 5e-8;

/// What is called accurate is nowhere further from the truth than this many nanoseconds.
pub const ACCURATE_MAX_NS: i64 = 1_000_000;
