//! The manifest: what the store was made from, by whom, with what, and whether it is whole.

use crate::{StoreError, Vocabulary};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The name of the manifest in a store.
pub const MANIFEST: &str = "manifest.json";
/// The version of the format; another one is refused, with what to do.
pub const FORMAT_VERSION: u32 = 4;
/// What a manifest says it is.
const FORMAT: &str = "virtflow-store";

/// Whether a store is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is being written.
    Growing,
    /// Everything is in it.
    Complete,
}

/// A file of the trace the store was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// Its path, as found.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// When it was last written, in nanoseconds since the Unix epoch.
    pub modified_ns: i64,
    /// `xxh3-128:` and the hash of its content in hexadecimal.
    pub hash: String,
}

/// A machine the store tells of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineEntry {
    /// Its number in the column `machine`.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// The first moment its recording covers.
    pub begin_ns: i64,
    /// The first moment after it.
    pub end_ns: i64,
}

/// A stretch of time in which the tracer lost something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// On which machine.
    pub machine: u32,
    /// On which processor, if the stream says.
    pub cpu: Option<u32>,
    /// From when.
    pub begin_ns: i64,
    /// Until when.
    pub end_ns: i64,
    /// What: a word of the reader's.
    pub kind: String,
    /// How many, if it was counted.
    pub count: Option<u64>,
}

/// Something that was not recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Which event or field.
    pub event: String,
    /// What its absence hides.
    pub hides: String,
    /// The command that records it; empty where there is none.
    pub record: String,
}

/// How far it has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Up to when everything but what is still open is told.
    pub complete_to_ns: Option<i64>,
}

/// One stretch of a machine's time, with files of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Its number, which names its files.
    pub number: u32,
    /// The machine.
    pub machine: u32,
    /// The latest end of what was explained before it: rows that begin earlier were carried in.
    pub begin_ns: i64,
    /// The latest end of what was explained when it was closed.
    pub end_ns: i64,
    /// How many intervals lie in it.
    pub intervals: u64,
    /// How many of these were carried in.
    pub carried: u64,
    /// How many edges.
    pub edges: u64,
    /// How many exits.
    pub exits: u64,
    /// The lengths of its level-of-detail buckets as powers of two, of nanoseconds.
    pub lod: Vec<u8>,
    /// Its values of counters; none without any.
    pub counters: Option<Samples>,
}

/// Chunks on end whose sums lie in one file, `sums/`, named by the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The number of the first chunk.
    pub first: u32,
    /// The number of the last.
    pub last: u32,
    /// The machine of all of them.
    pub machine: u32,
}

/// A chunk's values of counters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Samples {
    /// The time of the first.
    pub begin_ns: i64,
    /// The time of the last.
    pub end_ns: i64,
    /// How many there are, without those that were carried in.
    pub values: u64,
    /// The lengths of the buckets of their sums as powers of two, of nanoseconds.
    pub lod: Vec<u8>,
}

/// A counter of an entity, and what it came to so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterEntry {
    /// The entity's number.
    pub entity: u32,
    /// A code of the vocabulary.
    pub counter: u8,
    /// How many values.
    pub values: u64,
    /// Their sum.
    pub sum: i64,
    /// The greatest; -1 without any.
    pub greatest: i64,
}

/// What a store says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Always `virtflow-store`.
    pub format: String,
    /// [`FORMAT_VERSION`].
    pub version: u32,
    /// The program that wrote it.
    pub written_by: String,
    /// Whether it is whole.
    pub state: State,
    /// What it was called.
    pub name: String,
    /// What it was made from.
    pub sources: Vec<SourceFile>,
    /// The options of the analysis.
    pub options: serde_json::Value,
    /// The traces and their clocks, as the reader tells them.
    pub traces: serde_json::Value,
    /// The machines.
    pub machines: Vec<MachineEntry>,
    /// What was lost.
    pub losses: Vec<Loss>,
    /// What was not recorded.
    pub missing: Vec<Missing>,
    /// What was wrong with the input.
    pub problems: Vec<String>,
    /// What the report adds that no table holds, for the program that wrote it.
    pub report: serde_json::Value,
    /// Kinds of entities (codes) whose levels of detail tell apart who ran.
    pub keeps_by: Vec<u8>,
    /// Counters (codes) whose values hold until the next.
    pub holds: Vec<u8>,
    /// What is counted, of what.
    pub counters: Vec<CounterEntry>,
    /// Names of codes.
    pub vocabulary: Vocabulary,
    /// The chunks, in the order in which they were written.
    pub chunks: Vec<Chunk>,
    /// Chunks whose sums lie in one file.
    pub groups: Vec<Group>,
    /// How far it has come.
    pub progress: Progress,
}

impl Manifest {
    pub(crate) fn new(name: &str, written_by: &str, vocabulary: Vocabulary) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: FORMAT_VERSION,
            written_by: written_by.to_owned(),
            state: State::Growing,
            name: name.to_owned(),
            sources: Vec::new(),
            options: serde_json::Value::Null,
            traces: serde_json::Value::Null,
            machines: Vec::new(),
            losses: Vec::new(),
            missing: Vec::new(),
            problems: Vec::new(),
            report: serde_json::Value::Null,
            keeps_by: Vec::new(),
            holds: Vec::new(),
            counters: Vec::new(),
            vocabulary,
            chunks: Vec::new(),
            groups: Vec::new(),
            progress: Progress::default(),
        }
    }

    /// Reads the manifest of the store at `directory`, whole or not.
    pub fn read(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(MANIFEST);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(StoreError::NotAStore {
                    path: directory.to_owned(),
                });
            }
            Err(e) => return Err(StoreError::io(&path, "cannot read")(e)),
        };
        let bad = |what: String| StoreError::Manifest {
            path: path.clone(),
            what,
        };
        let told: serde_json::Value =
            serde_json::from_slice(&text).map_err(|e| bad(format!("not JSON: {e}")))?;
        if told["format"] != FORMAT {
            return Err(bad(format!("its `format` is not `{FORMAT}`")));
        }
        let version = told["version"].as_u64();
        if version != Some(u64::from(FORMAT_VERSION)) {
            return Err(StoreError::Version {
                path,
                found: version.and_then(|v| v.try_into().ok()).unwrap_or(0),
                by: told["written_by"].as_str().unwrap_or("unknown").to_owned(),
            });
        }
        serde_json::from_value(told).map_err(|e| bad(e.to_string()))
    }

    /// Whether a directory has a manifest that says it is one of a store.
    pub fn is_store(directory: &Path) -> bool {
        let Ok(text) = std::fs::read(directory.join(MANIFEST)) else {
            return false;
        };
        serde_json::from_slice::<serde_json::Value>(&text).is_ok_and(|v| v["format"] == FORMAT)
    }
}
