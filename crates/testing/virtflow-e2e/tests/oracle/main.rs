//! The oracle: traces made by `virtflow-synth`, whose truth is known, through the whole pipeline.
//!
//! `dialects` runs every check on every dialect; `tiling` tries random scenarios
//! (`VIRTFLOW_ORACLE_CASES` of them); `metamorphic` changes traces in ways that must not matter.
//! What the model does not reach today stands in `floors`, each with its reason: no test passes by
//! looking away, and none passes any more when a floor is undercut.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may stop at the first thing that is not as it says, and tell what it measured"
)]

mod case;
mod causes;
mod compare;
mod copy;
mod dialects;
mod fleet;
mod floors;
mod guests;
mod host;
mod lanes;
mod metamorphic;
mod nested;
mod paths;
mod processes;
mod threads;
mod tiling;
