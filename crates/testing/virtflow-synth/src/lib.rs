//! Writes traces of KVM hosts that never were, and the truth about them.
//!
//! A [`Scenario`] names a host, its VMs and how its kernel's tracer speaks ([`Dialect`]).
//! [`generate`] simulates it event by event and writes, under one directory:
//!
//! | path | what |
//! |---|---|
//! | `trace/kernel/` | a CTF 1.8 trace as LTTng's kernel tracer writes it |
//! | `truth/intervals.csv` | what every lane did, tiling the whole time ([`truth`] has the columns) |
//! | `truth/edges.csv` | who caused what |
//! | `truth/losses.csv` | which stretches of which CPU's stream were discarded |
//! | `truth/coverage.csv` | what time each CPU's stream covers |
//!
//! [`generate_fleet`] does the like for several hosts without VMs that ask each other over a network,
//! each traced on a clock of its own.
//!
//! Everything follows from the seed: the same scenario gives the same bytes. Memory does not grow
//! with the length of the trace.
//!
//! The event and exit tables here are written from the kernel's sources and shared with no reader,
//! so that a mistake in a reader's tables cannot hide behind the same mistake here.

mod error;
mod fleet;
mod scenario;
mod script;
mod sim;
mod trace;
pub mod truth;

pub use error::SynthError;
pub use fleet::{FleetScenario, FleetSummary, generate_fleet};
pub use scenario::{Dialect, Injection, Isa, Probe, Scenario};
pub use script::generate_script;
pub use sim::{Summary, generate};
