//! Reading a store: the state at a moment, intervals, pictures of a range, budgets, edges, exits.

mod budget;
mod carried;
mod counters;
mod lookup;
mod open;
mod rows;
mod scan;
mod viewport;

pub use budget::Cost;
pub use counters::Curves;
pub use lookup::Direction;
pub use rows::{EdgeRecord, EntityRecord, ExitRecord, Lane, Piece};
pub use viewport::Viewport;

use crate::StoreError;
use crate::doing::Doing;
use crate::manifest::{Chunk, Manifest};
use crate::tables::{self, Table};
use crate::write::chunk_file;
use arrow_schema::SchemaRef;
use carried::Carried;
use rustc_hash::FxHashMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

/// Tables whose footers are kept open at most; beyond that all are forgotten and opened anew.
const OPEN_MAX: usize = 2048;

/// Threads that read for each processor: most of a first look is waiting for the disk.
const READERS_PER_CPU: usize = 3;

/// Threads of their own for pictures.
static READERS: LazyLock<Option<rayon::ThreadPool>> = LazyLock::new(|| {
    let threads = rayon::current_num_threads() * READERS_PER_CPU;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.thread_name(|at| format!("store-reader-{at}"))
        .build()
        .ok()
});

/// Runs something that reads many files at once.
fn reading<T: Send>(read: impl FnOnce() -> T + Send) -> T {
    match &*READERS {
        Some(readers) => readers.install(read),
        None => read(),
    }
}

/// The tables that have a file per chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Chunked {
    Intervals,
    Lod,
    Sums,
    Edges,
    Exits,
    Counters,
    CounterSums,
}

impl Chunked {
    const fn name(self) -> &'static str {
        match self {
            Self::Intervals => "intervals",
            Self::Lod => "lod",
            Self::Sums => "sums",
            Self::Edges => "edges",
            Self::Exits => "exits",
            Self::Counters => "counters",
            Self::CounterSums => "counter_sums",
        }
    }

    fn schema(self) -> &'static SchemaRef {
        match self {
            Self::Intervals => &tables::INTERVALS,
            Self::Lod | Self::Sums => &tables::LOD,
            Self::Edges => &tables::EDGES,
            Self::Exits => &tables::EXITS,
            Self::Counters => &tables::COUNTERS,
            Self::CounterSums => &tables::COUNTER_SUMS,
        }
    }
}

/// A store, open for reading. It can be asked from several threads at once, and cloned cheaply.
#[derive(Clone, Debug)]
pub struct Store {
    directory: Arc<Path>,
    manifest: Arc<Manifest>,
    entities: Arc<[EntityRecord]>,
    doings: Arc<[Doing]>,
    /// The number of each doing without its evidence.
    bare: Arc<[u32]>,
    carried: Arc<OnceLock<Carried>>,
    open: Arc<Mutex<FxHashMap<(Chunked, u32), Table>>>,
    stop: Option<Arc<AtomicBool>>,
}

impl Store {
    /// Opens the store at `directory`, which must be whole.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let store = Self::open_growing(directory)?;
        if store.is_complete() {
            Ok(store)
        } else {
            Err(StoreError::Unfinished {
                path: directory.to_owned(),
            })
        }
    }

    /// The same store, whose answers end with [`StoreError::Stopped`] soon after `stop` becomes
    /// true.
    #[must_use]
    pub fn stopped_by(&self, stop: Arc<AtomicBool>) -> Self {
        Self {
            stop: Some(stop),
            ..self.clone()
        }
    }

    /// What the store says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where it stands.
    pub fn path(&self) -> &Path {
        &self.directory
    }

    /// Whether everything is in it.
    pub fn is_complete(&self) -> bool {
        self.manifest.state == crate::State::Complete
    }

    /// All entities, by number.
    pub fn entities(&self) -> &[EntityRecord] {
        &self.entities
    }

    /// What a number in a column `doing` stands for.
    pub fn doing(&self, number: u32) -> Doing {
        self.doings
            .get(number as usize)
            .copied()
            .unwrap_or_default()
    }

    /// From the first to the last moment of any interval; `None` without one.
    pub fn span(&self) -> Option<(i64, i64)> {
        let lanes = || self.entities.iter().filter(|e| e.intervals > 0);
        let begin = lanes().map(|e| e.begin_ns).min()?;
        let end = lanes().map(|e| e.end_ns).max()?;
        Some((begin, end))
    }

    /// The size of all its files.
    pub fn bytes(&self) -> Result<u64, StoreError> {
        crate::write::size(&self.directory)
    }

    fn table(&self, which: Chunked, number: u32) -> Result<Table, StoreError> {
        let lock = || self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().get(&(which, number)).cloned();
        let table = match known {
            Some(table) => table,
            None => {
                let path = chunk_file(&self.directory, which.name(), number);
                let table = Table::open(&path, which.schema())?;
                let mut open = lock();
                if open.len() >= OPEN_MAX {
                    open.clear();
                }
                open.insert((which, number), table.clone());
                table
            }
        };
        Ok(Table {
            stop: self.stop.clone(),
            ..table
        })
    }

    /// Chunks whose time `[begin, end)` overlaps.
    fn chunks_of(&self, begin: i64, end: i64) -> impl Iterator<Item = &Chunk> {
        self.manifest.chunks.iter().filter(move |chunk| {
            // A chunk may be a single moment.
            chunk.begin_ns < end && chunk.end_ns.max(chunk.begin_ns.saturating_add(1)) > begin
        })
    }
}
