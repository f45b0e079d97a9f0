//! A trace: its metadata, its streams and the ways to read them.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use virtflow_base::{Place, Problem, ProblemKind, Problems, Timestamp};

use crate::error::Error;
use crate::index::{Builder, StreamFile};
use crate::metadata::{EventClass, FieldType, Metadata, assemble};
use crate::read::{Bound, Counts, Extract, StreamReader, Wanted};
use crate::tsdl::{Unreadable, contents};

/// The largest metadata file that is read.
const METADATA_MAX: u64 = 64 << 20;

/// An open trace. It keeps no file open; readers do.
#[derive(Debug)]
pub struct Trace {
    path: PathBuf,
    metadata: Metadata,
    streams: Vec<StreamFile>,
    problems: Problems,
}

impl Trace {
    /// Opens the trace in `dir`, the directory that holds `metadata`; see [`crate::discover`] for
    /// anything less exact.
    ///
    /// # Errors
    /// Where the metadata cannot be read or understood. Broken streams are [`Self::problems`].
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let file = dir.join("metadata");
        let metadata = read_metadata(&file)?;
        let mut builder = Builder::new(&metadata);
        let streams = builder.streams(dir).map_err(|source| Error::Io {
            action: "list",
            path: dir.to_owned(),
            source,
        })?;
        let mut problems = builder.problems;
        undecoded_floats(&metadata, &file, &mut problems);
        Ok(Self {
            path: dir.to_owned(),
            metadata,
            streams,
            problems,
        })
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says about itself.
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Its streams, sorted by path.
    pub fn streams(&self) -> &[StreamFile] {
        &self.streams
    }

    /// What was met while opening.
    pub const fn problems(&self) -> &Problems {
        &self.problems
    }

    /// The kinds of events it may hold.
    pub fn event_classes(&self) -> &[EventClass] {
        &self.metadata.events
    }

    /// Counts its events on `threads` threads.
    pub fn count(&self, threads: usize) -> Counts {
        crate::read::count(self, threads)
    }

    /// Asks `choose` for each event class which of its fields are wanted, if the class is.
    pub fn bind(&self, choose: impl FnMut(&EventClass) -> Option<Wanted>) -> Bound {
        Bound::new(&self.metadata, choose)
    }

    /// A reader of stream `stream` that gives what `extract` makes of the events in `bound`.
    /// For a stream that does not exist, it gives nothing.
    pub fn reader<E: Extract>(
        self: &Arc<Self>,
        stream: usize,
        bound: Arc<Bound>,
        extract: E,
    ) -> StreamReader<E> {
        StreamReader::new(Arc::clone(self), stream, bound, extract, None)
    }

    /// The same, without the packets that end before `from` where the packets say when they begin
    /// and end: the first events may still be earlier.
    pub fn reader_from<E: Extract>(
        self: &Arc<Self>,
        stream: usize,
        bound: Arc<Bound>,
        extract: E,
        from: Timestamp,
    ) -> StreamReader<E> {
        StreamReader::new(Arc::clone(self), stream, bound, extract, Some(from))
    }
}

fn read_metadata(path: &Path) -> Result<Metadata, Error> {
    let io = |source| Error::Io {
        action: "read",
        path: path.to_owned(),
        source,
    };
    let wrong = |offset, what| Error::MetadataFile {
        path: path.to_owned(),
        offset,
        what,
    };
    let mut bytes = Vec::new();
    fs::File::open(path)
        .map_err(io)?
        .take(METADATA_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(io)?;
    if bytes.len() as u64 > METADATA_MAX {
        return Err(wrong(METADATA_MAX, "metadata larger than 64 MiB"));
    }
    let contents = contents(bytes).map_err(|unreadable| match unreadable {
        Unreadable::Ctf2 => Error::Ctf2 {
            path: path.to_owned(),
        },
        Unreadable::Wrong { offset, what } => wrong(offset as u64, what),
    })?;
    let text = String::from_utf8_lossy(&contents.text);
    assemble(&text, contents.order, contents.uuid).map_err(|source| Error::Metadata {
        path: path.to_owned(),
        source,
    })
}

/// Notes floating point fields that will not be decoded.
fn undecoded_floats(metadata: &Metadata, path: &Path, problems: &mut Problems) {
    fn any(ty: &FieldType) -> bool {
        match ty {
            FieldType::Float(float) => !float.is_decoded(),
            FieldType::Struct(structure) => structure.fields.iter().any(|f| any(&f.ty)),
            FieldType::Array(array) => any(&array.element),
            FieldType::Sequence(sequence) => any(&sequence.element),
            FieldType::Variant(variant) => variant.options.iter().any(|f| any(&f.ty)),
            _ => false,
        }
    }
    let file = Arc::new(path.to_owned());
    for class in &metadata.events {
        if class
            .fields
            .iter()
            .flat_map(|fields| &fields.fields)
            .any(|field| any(&field.ty))
        {
            problems.push(Problem {
                kind: ProblemKind::Unsupported,
                place: Place {
                    file: Arc::clone(&file),
                    ..Place::default()
                },
                what: format!(
                    "event `{}` has a floating point field of neither 32 nor 64 bits, which is \
                     stepped over",
                    class.name
                ),
            });
        }
    }
}
