//! What can go wrong while generating.

use std::io;
use std::path::PathBuf;

use virtflow_ctf::writer::WriteError;

/// Why a trace was not generated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SynthError {
    /// The trace could not be written.
    #[error("failed to write the trace: {0}")]
    Trace(#[from] WriteError),
    /// The truth could not be written.
    #[error("failed to write the truth: {path}: {source}", path = path.display())]
    Truth {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A scenario that cannot be simulated.
    #[error("a scenario that cannot be: {0}")]
    Scenario(&'static str),
    /// A script that cannot be understood.
    #[error("the script says {what:?}: {why}")]
    Script {
        /// What it says.
        what: String,
        /// What is wrong with that.
        why: &'static str,
    },
    /// A word of a dialect that means nothing.
    #[error("{0:?} is no word of a dialect; see `virtflow-synth --help`")]
    Word(String),
}
