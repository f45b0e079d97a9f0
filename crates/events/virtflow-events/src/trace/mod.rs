//! A trace of any format: what [`Recording`](crate::Recording) is made of.
//!
//! Formats differ up to here and no further. What goes through here for each event is one call of
//! the format's own reader, which was bound before: a reader is chosen once per stream, and a
//! batch of records at a time passes through the choice.

mod ctf;
mod facts;
mod perfdata;
mod raw;
mod tracedat;

use crate::any::AnyEvent;
use crate::kernel::KernelRecord;
use crate::open::{OpenError, TraceInfo};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use virtflow_base::{Fill, Problem, Problems, RecordSource, Stamped, StreamCoverage, Timestamp};
use virtflow_tracefs::EventFormat;

pub use perfdata::Switches;
pub(crate) use raw::{items, slot};

/// Which kernel events are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// Those of the kinds that are asked for.
    Wanted,
    /// Besides, those that tell by their context which thread runs.
    OrTellsThread,
}

/// Where a trace is.
pub(crate) enum Place {
    Ctf(PathBuf),
    TraceDat(PathBuf),
    PerfData(PathBuf),
}

impl Place {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Ctf(path) | Self::TraceDat(path) | Self::PerfData(path) => path,
        }
    }

    pub(crate) fn open(&self) -> Result<Trace, OpenError> {
        Ok(match self {
            Self::Ctf(path) => Trace::Ctf(Arc::new(virtflow_ctf::Trace::open(path)?)),
            Self::TraceDat(path) => {
                Trace::TraceDat(Arc::new(virtflow_tracedat::Trace::open(path)?))
            }
            Self::PerfData(path) => {
                Trace::PerfData(Arc::new(virtflow_perfdata::Trace::open(path)?))
            }
        })
    }
}

/// The file's trace, if it is one that is told by its first bytes.
fn of_file(path: &Path) -> Option<Place> {
    if !path.is_file() {
        None
    } else if virtflow_tracedat::is_trace_dat(path) {
        Some(Place::TraceDat(path.to_owned()))
    } else if virtflow_perfdata::is_perf_data(path) {
        Some(Place::PerfData(path.to_owned()))
    } else {
        None
    }
}

/// The traces at or below `path`: a file of trace-cmd or perf, told by its first bytes; those that
/// lie in a directory; and the CTF traces anywhere below it.
pub(crate) fn traces_at(path: &Path) -> Result<Vec<Place>, OpenError> {
    if let Some(place) = of_file(path) {
        return Ok(vec![place]);
    }
    let is_file = path.is_file();
    let files = if is_file { Vec::new() } else { files_in(path) };
    match virtflow_ctf::discover(path) {
        Ok(directories) => {
            let ctf = directories.into_iter().map(Place::Ctf);
            Ok(ctf.chain(files).collect())
        }
        Err(virtflow_ctf::Error::NoTrace { .. }) if !files.is_empty() => Ok(files),
        Err(virtflow_ctf::Error::NoTrace { path, .. }) if is_file => {
            Err(OpenError::NoTrace { path })
        }
        Err(error) => Err(error.into()),
    }
}

/// The files of trace-cmd and perf in a directory, by name.
fn files_in(directory: &Path) -> Vec<Place> {
    // What cannot be listed is told by whoever looks for CTF traces.
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let found = entries.filter_map(|entry| of_file(&entry.path()));
    let mut files: Vec<_> = found.collect();
    files.sort_by(|a, b| a.path().cmp(b.path()));
    files
}

/// An open trace.
#[derive(Debug)]
#[expect(
    clippy::enum_variant_names,
    reason = "trace.dat is what such a file is called"
)]
pub(crate) enum Trace {
    Ctf(Arc<virtflow_ctf::Trace>),
    TraceDat(Arc<virtflow_tracedat::Trace>),
    PerfData(Arc<virtflow_perfdata::Trace>),
}

impl Trace {
    /// The host's name and its kernel's release.
    pub(crate) fn machine(&self) -> (String, String) {
        match self {
            Self::Ctf(trace) => ctf::machine(trace),
            Self::TraceDat(trace) => tracedat::machine(trace),
            Self::PerfData(trace) => perfdata::machine(trace),
        }
    }

    /// What it says about itself.
    pub(crate) fn info(&self, machine: usize) -> TraceInfo {
        match self {
            Self::Ctf(trace) => ctf::info(trace, machine),
            Self::TraceDat(trace) => tracedat::info(trace, machine),
            Self::PerfData(trace) => perfdata::info(trace, machine),
        }
    }

    /// What was wrong with it on opening.
    pub(crate) fn problems(&self) -> &Problems {
        match self {
            Self::Ctf(trace) => trace.problems(),
            Self::TraceDat(trace) => trace.problems(),
            Self::PerfData(trace) => trace.problems(),
        }
    }

    /// What it lost, nobody knows when.
    pub(crate) fn missed(&self) -> Option<Problem> {
        match self {
            Self::Ctf(trace) => ctf::missed(trace),
            Self::TraceDat(_) | Self::PerfData(_) => None,
        }
    }

    /// What its streams cover; if it is of some threads only, whether these are `followed`.
    pub(crate) fn coverage(&self, followed: bool) -> Vec<StreamCoverage> {
        match self {
            Self::Ctf(trace) => {
                let streams = trace.streams().iter();
                streams.map(|s| s.coverage().clone()).collect()
            }
            Self::TraceDat(trace) => {
                let streams = trace.streams().iter();
                streams.map(|s| s.coverage().clone()).collect()
            }
            Self::PerfData(trace) => perfdata::coverage(trace, followed),
        }
    }

    /// The names of the events it describes, and of what else it tells of threads.
    pub(crate) fn described(&self) -> Vec<&str> {
        let mut names = self.names();
        if let Self::PerfData(trace) = self {
            for name in trace.tells() {
                names.push(name);
            }
        }
        names
    }

    /// The names of the events it describes.
    fn names(&self) -> Vec<&str> {
        match self {
            Self::Ctf(trace) => {
                let classes = trace.event_classes().iter();
                classes.map(virtflow_ctf::EventClass::name).collect()
            }
            Self::TraceDat(trace) => names(trace.formats()),
            Self::PerfData(trace) => names(trace.formats()),
        }
    }

    /// Counts its events: names, each with a count, and what was met on the way.
    pub(crate) fn count(&self, threads: usize) -> (Vec<(&str, u64)>, Problems) {
        let (counts, problems) = match self {
            Self::Ctf(trace) => {
                let counts = trace.count(threads);
                (counts.by_class, counts.problems)
            }
            Self::TraceDat(trace) => tracedat::count(trace, threads),
            Self::PerfData(trace) => {
                let counts = trace.count();
                (counts.by_class, counts.problems)
            }
        };
        (self.names().into_iter().zip(counts).collect(), problems)
    }

    /// Of a recording of some threads rather than of processors, what it tells of when these run.
    pub(crate) fn follows(&self) -> Option<Switches> {
        match self {
            Self::PerfData(trace) if trace.is_of_threads() => Some(Switches::of(trace)),
            _ => None,
        }
    }

    /// Readers of the kernel events of each of its streams, and what it tells of threads; if it is of
    /// some threads only, whether these are `followed`.
    pub(crate) fn kernel_readers(
        &self,
        which: Which,
        wanted: &dyn Fn(&str) -> bool,
        followed: bool,
    ) -> Vec<KernelReader> {
        match self {
            Self::Ctf(trace) => {
                let readers = ctf::kernel_readers(trace, which, wanted);
                readers.map(|r| KernelReader(Kernel::Ctf(r))).collect()
            }
            Self::TraceDat(trace) => {
                let readers = tracedat::kernel_readers(trace, which, wanted);
                readers.into_iter().map(KernelReader).collect()
            }
            Self::PerfData(trace) => {
                let readers = perfdata::kernel_readers(trace, which, wanted, followed);
                readers.into_iter().map(KernelReader).collect()
            }
        }
    }

    /// Readers of any events of each of its streams from about `from` on; it is the trace `number`
    /// of its recording.
    pub(crate) fn any_readers(
        &self,
        number: usize,
        choose: &dyn Fn(&str) -> bool,
        from: Timestamp,
    ) -> Vec<AnyReader> {
        match self {
            Self::Ctf(trace) => {
                let readers = ctf::any_readers(trace, number, choose, from);
                readers.map(|r| AnyReader(Any::Ctf(r))).collect()
            }
            Self::TraceDat(trace) => {
                let readers = tracedat::any_readers(trace, number, choose, from);
                readers.map(|r| AnyReader(Any::TraceDat(r))).collect()
            }
            Self::PerfData(trace) => {
                let reader = perfdata::any_reader(trace, number, choose, from);
                vec![AnyReader(Any::PerfData(reader))]
            }
        }
    }
}

/// The names of the events that are described.
fn names(formats: &[EventFormat]) -> Vec<&str> {
    formats.iter().map(EventFormat::name).collect()
}

/// Hands each call on to the reader that there is.
macro_rules! hands_on {
    ($reader:ident, $kind:ident, $record:ty, $($variant:ident)*) => {
        impl RecordSource for $reader {
            type Record = $record;

            fn fill(&mut self, batch: &mut Vec<Stamped<$record>>, max: usize) -> Fill {
                match &mut self.0 {
                    $($kind::$variant(reader) => reader.fill(batch, max),)*
                }
            }

            fn take_problems(&mut self) -> Problems {
                match &mut self.0 {
                    $($kind::$variant(reader) => reader.take_problems(),)*
                }
            }

            fn bytes_read(&self) -> u64 {
                match &self.0 {
                    $($kind::$variant(reader) => reader.bytes_read(),)*
                }
            }
        }

        impl std::fmt::Debug for $reader {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($reader))
            }
        }
    };
}

/// Reads the typed kernel events of one stream.
pub struct KernelReader(Kernel);

enum Kernel {
    Ctf(virtflow_ctf::StreamReader<crate::bind::KernelExtract>),
    TraceDat(virtflow_tracedat::StreamReader<raw::KernelExtract>),
    PerfData(virtflow_perfdata::Reader<raw::KernelExtract>),
    Facts(facts::Facts),
}

hands_on! { KernelReader, Kernel, KernelRecord, Ctf TraceDat PerfData Facts }

/// Reads any events of one stream.
pub struct AnyReader(Any);

enum Any {
    Ctf(virtflow_ctf::StreamReader<ctf::AnyExtract>),
    TraceDat(virtflow_tracedat::StreamReader<raw::AnyExtract>),
    PerfData(virtflow_perfdata::Reader<raw::AnyExtract>),
}

hands_on! { AnyReader, Any, AnyEvent, Ctf TraceDat PerfData }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_are_known_by_what_is_in_them() {
        let dir = std::env::temp_dir().join(format!("virtflow-traces-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("kernel")).unwrap();
        std::fs::write(dir.join("b"), b"\x17\x08\x44tracing7\0").unwrap();
        std::fs::write(dir.join("a.txt"), b"text").unwrap();
        std::fs::write(dir.join("c"), b"PERFILE2").unwrap();
        let found = |path: &Path| match traces_at(path) {
            Ok(places) => {
                let kinds = places.iter().map(|place| match place {
                    Place::Ctf(_) => 'c',
                    Place::TraceDat(_) => 't',
                    Place::PerfData(_) => 'p',
                });
                kinds.collect()
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(found(&dir.join("b")), "t");
        assert_eq!(found(&dir.join("c")), "p");
        assert_eq!(found(&dir), "tp");
        assert!(found(&dir.join("a.txt")).contains("neither a file of trace-cmd"));
        assert!(found(&dir.join("kernel")).contains("no CTF trace"));
        std::fs::write(dir.join("kernel/metadata"), "").unwrap();
        assert_eq!(found(&dir), "ctp");
        assert_eq!(found(&dir.join("kernel/metadata")), "c");
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
