//! What the fuzz targets do with their input. The targets (`fuzz/fuzz_targets`) and the tests that
//! replay their corpus (`tests/corpus.rs`) run the same code. A body panics when something that
//! must hold of any input does not.
//!
//! | target | input | what must hold |
//! |---|---|---|
//! | [`metadata`] | a metadata file, plain or in packets; behind [`STREAM_MARK`], a stream file | no panic, no growth; counting and reading find the same events; fields found by name and by walking are the same |
//! | [`packets`] | flags, an index file, a stream file, for metadata like LTTng's | the same; any number of threads gives the same |
//! | [`tracedat`] | a file of trace-cmd | no panic, no growth; counting, reading and merging find the same events; streams do not overlap; what `pipeline` holds |
//! | [`perfdata`] | a file of perf | no panic, no growth; counting and reading find the same events, in order of time; what `pipeline` holds |
//! | [`pipeline`] | kernel events in a small code (see `script.rs`) | lanes tile, codes have names, whatever is referred to was announced, budgets add up |

mod check;
mod classes;
mod ctf;
mod perfdata;
mod pipeline;
mod recording;
mod script;
pub mod seeds;
mod tracedat;

pub use ctf::{STREAM_MARK, metadata, packets};
pub use perfdata::perfdata;
pub use pipeline::pipeline;
pub use script::explain;
pub use tracedat::tracedat;

/// A fuzz target: its name, which is also that of its corpus, and its body.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 5] = [
    ("metadata", metadata),
    ("packets", packets),
    ("perfdata", perfdata),
    ("pipeline", pipeline),
    ("tracedat", tracedat),
];
