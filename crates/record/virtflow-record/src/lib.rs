//! Records what the analyses need, by BPF programs in the kernel, as a CTF trace.
//!
//! | module | |
//! |---|---|
//! | `events` | which tracepoints, and what events their records become |
//! | `btf` | the kernel's type information |
//! | `kernel` | where the fields that the programs read are in this kernel |
//! | `load` | the programs, loaded and attached, and the ring that they write to |
//! | `trace` | records, put in order and written as a trace |
//! | `live` | records as they happen, for whoever asks |
//! | `dump` | what was there when the recording began, from `/proc` |
//!
//! The programs are C (`bpf/record.bpf.c`) and committed as an object; `cargo xtask bpf --check`
//! builds it anew and compares.

mod btf;
mod dump;
mod events;
mod kernel;
mod live;
mod load;
mod trace;

pub use events::Group;
pub use live::Live;
pub use load::{Missing, Plan};
pub use trace::Summary;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use virtflow_ctf::writer::WriteError;

/// Why nothing could be recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The kernel does not tell its types.
    #[error("{}: {}; the kernel must be built with CONFIG_DEBUG_INFO_BTF", .0.display(), .1)]
    Btf(PathBuf, String),
    /// The kernel does not take the programs.
    #[error("the kernel does not take the BPF programs: {0}")]
    Load(String),
    /// A tracepoint without which nothing can be said is not there.
    #[error("{0} cannot be recorded on this kernel, and nothing can be said without it")]
    Needed(&'static str),
    /// The process may not.
    #[error(
        "recording needs CAP_BPF and CAP_PERFMON; run as root, or once: \
         setcap cap_bpf,cap_perfmon,cap_sys_ptrace=ep {}", .0.display()
    )]
    Permission(PathBuf),
    /// The trace cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Something of the system cannot be read.
    #[error("{}: {}", .0.display(), .1)]
    System(PathBuf, std::io::Error),
}

/// How to record.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which tracepoints.
    pub groups: Vec<Group>,
    /// Room for records that are not written yet, in bytes: made a power of two.
    pub ring_bytes: u32,
}

impl Default for Options {
    fn default() -> Self {
        use Group::{Block, Irq, Kvm, Net, Power, Sched};
        Self {
            groups: vec![Sched, Irq, Block, Net, Power, Kvm],
            ring_bytes: 1 << 26,
        }
    }
}

/// How often the ring is emptied.
const EVERY: Duration = Duration::from_millis(100);

/// Records into a new directory until `done` says so, which is asked ten times a second with the
/// events that were written so far.
///
/// # Errors
/// Where the kernel does not take the programs, or the trace cannot be written. What was written
/// until then is a whole trace.
pub fn record(
    plan: Plan,
    directory: &Path,
    mut done: impl FnMut(&Summary) -> bool,
) -> Result<Summary, RecordError> {
    let mut writer = trace::Writer::create(directory, &plan)?;
    let mut ring = plan.attach()?;
    writer.refused(&ring.refused);
    // After the programs: who comes in between is told by them.
    dump::dump(&mut writer)?;
    loop {
        let next = Instant::now() + EVERY;
        let before = trace::now();
        ring.drain(|record| writer.take(record));
        writer.flush(before, &ring.lost())?;
        if done(writer.summary()) {
            break;
        }
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    ring.detach();
    ring.drain(|record| writer.take(record));
    writer.flush(u64::MAX, &ring.lost())?;
    writer.finish()
}
