//! A trace: its metadata, its streams and the ways to read them.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use virtflow_base::{Place, Problem, ProblemKind, Problems, Timestamp};

use crate::ctf2;
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
        let (metadata, cut) = read_metadata(&file)?;
        let mut builder = Builder::new(&metadata);
        let streams = builder.streams(dir).map_err(|source| Error::Io {
            action: "list",
            path: dir.to_owned(),
            source,
        })?;
        let mut problems = builder.problems;
        if let Some(offset) = cut {
            problems.push(Problem {
                kind: ProblemKind::Truncated,
                place: Place {
                    file: Arc::new(file.clone()),
                    offset: Some(offset),
                    ..Place::default()
                },
                what: "the metadata are cut off inside their last fragment, which was left out"
                    .to_owned(),
            });
        }
        undecoded(&metadata, &file, &mut problems);
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

/// The metadata, and where they are cut off in a way that spoils only their end.
fn read_metadata(path: &Path) -> Result<(Metadata, Option<u64>), Error> {
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
    let contents =
        contents(bytes).map_err(|Unreadable { offset, what }| wrong(offset as u64, what))?;
    if contents.text.first() == Some(&ctf2::SEPARATOR) {
        let assembled =
            ctf2::assemble(&contents.text, contents.uuid).map_err(|source| Error::Fragment {
                path: path.to_owned(),
                source,
            })?;
        return Ok((assembled.metadata, assembled.cut));
    }
    let text = String::from_utf8_lossy(&contents.text);
    let metadata = assemble(&text, contents.order, contents.uuid);
    let metadata = metadata.map_err(|source| Error::Metadata {
        path: path.to_owned(),
        source,
    })?;
    Ok((metadata, None))
}

/// Notes fields that will not be decoded.
fn undecoded(metadata: &Metadata, path: &Path, problems: &mut Problems) {
    fn find(ty: &FieldType) -> Option<&'static str> {
        match ty {
            FieldType::Float(float) if !float.is_decoded() => {
                Some("a floating point field of neither 32 nor 64 bits")
            }
            FieldType::Opaque(_) => Some("a field of more than 64 bits"),
            FieldType::Struct(structure) => structure.fields.iter().find_map(|f| find(&f.ty)),
            FieldType::Array(array) => find(&array.element),
            FieldType::Sequence(sequence) => find(&sequence.element),
            FieldType::Variant(variant) => variant.options.iter().find_map(|f| find(&f.ty)),
            FieldType::Optional(optional) => find(&optional.field),
            _ => None,
        }
    }
    let file = Arc::new(path.to_owned());
    for class in &metadata.events {
        let mut fields = class.fields.iter().flat_map(|fields| &fields.fields);
        if let Some(what) = fields.find_map(|field| find(&field.ty)) {
            problems.push(Problem {
                kind: ProblemKind::Unsupported,
                place: Place {
                    file: Arc::clone(&file),
                    ..Place::default()
                },
                what: format!("event `{}` has {what}, which is stepped over", class.name),
            });
        }
    }
}
