//! Drives other tracers to record what the analyses need: LTTng, trace-cmd and perf.
//!
//! | module | |
//! |---|---|
//! | `table` | which events, and what each tracer calls them |
//! | `ask` | which of them the tracer and the kernel have |
//! | `plan` | what is going to be recorded, and what has to be left out |
//! | `lttng`, `tracecmd`, `perf` | the commands of each |
//! | `script` | commands as a person would type them |
//! | `drive` | runs them, and leaves nothing behind whatever happens |
//! | `remedy` | what to install |

mod ask;
mod drive;
mod lttng;
mod perf;
mod plan;
mod remedy;
mod script;
mod table;
mod tracecmd;

pub use drive::{Driven, drive, exit_code};
pub use plan::{Plan, Wanted};
pub use table::{EVENTS, Event, Group};

use std::path::PathBuf;

/// Who records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracer {
    /// LTTng's kernel tracer, by `lttng`.
    Lttng,
    /// The kernel's own, ftrace, by `trace-cmd`.
    TraceCmd,
    /// The kernel's perf events, by `perf`.
    Perf,
}

impl Tracer {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Lttng, Self::TraceCmd, Self::Perf];

    /// The program that is run.
    pub const fn program(self) -> &'static str {
        match self {
            Self::Lttng => "lttng",
            Self::TraceCmd => "trace-cmd",
            Self::Perf => "perf",
        }
    }

    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lttng => "LTTng",
            Self::TraceCmd => "trace-cmd",
            Self::Perf => "perf",
        }
    }
}

/// Why nothing was recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TracerError {
    /// The program is not there.
    #[error("{program} is not installed; {remedy}")]
    NotInstalled {
        /// The program.
        program: String,
        /// What to install.
        remedy: String,
    },
    /// What there is to record is not told.
    #[error("{what}: {why}; {rights}")]
    Untold {
        /// Who was asked.
        what: String,
        /// What came of it.
        why: String,
        /// Who may ask.
        rights: &'static str,
    },
    /// What nothing can be said without is not there.
    #[error("{tracer} has no {event} here; {remedy}")]
    Needed {
        /// Who lacks it.
        tracer: &'static str,
        /// What it is called there.
        event: &'static str,
        /// What to do.
        remedy: String,
    },
    /// A command of the tracer failed.
    #[error("`{command} ...` failed ({status}){said}")]
    Failed {
        /// How it begins.
        command: String,
        /// How it ended.
        status: String,
        /// What it said, behind a colon.
        said: String,
    },
    /// It was interrupted before the recording was whole.
    #[error("interrupted; {0}")]
    Interrupted(&'static str),
    /// A program cannot be run, or a directory not be made.
    #[error("{}: {}", .0.display(), .1)]
    System(PathBuf, std::io::Error),
}
