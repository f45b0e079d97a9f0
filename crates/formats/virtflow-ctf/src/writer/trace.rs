//! A trace directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::config::{Format, StreamConfig, StreamIdentity, TraceConfig};
use super::error::at;
use super::{EventClass, StreamWriter, WriteError, fragments, metadata};

/// The least room a packet must give: its header, its context and a small event.
const PACKET_BYTES_MIN: usize = 128;

/// Writes a trace into a directory: `metadata`, one file per stream, and `index/`.
#[derive(Debug)]
pub struct TraceWriter {
    dir: PathBuf,
    config: StreamConfig,
    classes: Option<Arc<[u32]>>,
}

impl TraceWriter {
    /// Creates `dir` where it is missing and writes metadata that declare `classes`.
    ///
    /// # Errors
    /// When two classes share an id, a name or type cannot be written in the format, or the directory
    /// holds a trace already or cannot be written.
    pub fn create(
        dir: impl AsRef<Path>,
        config: &TraceConfig,
        classes: &[EventClass],
    ) -> Result<Self, WriteError> {
        let mut ids: Vec<u32> = classes.iter().map(|class| class.id).collect();
        ids.sort_unstable();
        if let Some(pair) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(WriteError::DuplicateClass(pair[0]));
        }
        let text = text(config, classes)?;
        let mut trace = Self::copy(dir, text.as_bytes(), &config.stream)?;
        trace.classes = Some(ids.into());
        Ok(trace)
    }

    /// Writes the metadata once more, with what is only known at the end: `config` and `classes` are those
    /// of the beginning but for the environment.
    ///
    /// # Errors
    /// When they cannot be written; those of the beginning stay then.
    pub fn restate(&self, config: &TraceConfig, classes: &[EventClass]) -> Result<(), WriteError> {
        let (new, path) = (self.dir.join("metadata.new"), self.dir.join("metadata"));
        let written = fs::write(&new, text(config, classes)?);
        let written = written.and_then(|()| fs::rename(&new, &path));
        if written.is_err() {
            // It would not be taken for a stream, but it is of no use.
            let _gone = fs::remove_file(&new);
        }
        written.map_err(at(&path))
    }

    /// Creates `dir` where it is missing with the metadata of another trace, byte by byte (packets
    /// or plain text). `config` must say what those metadata say; its streams must have the layout
    /// of LTTng's kernel tracer (see the module's documentation). Events may be of any class.
    ///
    /// # Errors
    /// When the directory holds a trace already or cannot be written, or packets would have no room for events.
    pub fn copy(
        dir: impl AsRef<Path>,
        metadata: &[u8],
        config: &StreamConfig,
    ) -> Result<Self, WriteError> {
        if config.packet_bytes_max < PACKET_BYTES_MIN {
            return Err(WriteError::PacketLimit(config.packet_bytes_max));
        }
        let dir = dir.as_ref().to_owned();
        let index = dir.join("index");
        let path = dir.join("metadata");
        if path.exists() {
            return Err(WriteError::Exists(dir));
        }
        fs::create_dir_all(&dir).map_err(at(&dir))?;
        fs::create_dir_all(&index).map_err(at(&index))?;
        fs::write(&path, metadata).map_err(at(&path))?;
        Ok(Self {
            dir,
            config: config.clone(),
            classes: None,
        })
    }

    /// Begins a stream; a file of the same name is replaced.
    ///
    /// # Errors
    /// When its files cannot be created.
    pub fn stream(&self, identity: StreamIdentity) -> Result<StreamWriter, WriteError> {
        StreamWriter::create(&self.dir, &self.config, identity, self.classes.clone())
    }
}

/// The metadata of a trace.
fn text(config: &TraceConfig, classes: &[EventClass]) -> Result<String, WriteError> {
    match config.format {
        Format::Ctf18 => metadata::text(config, classes),
        Format::Ctf2 => fragments::text(config, classes),
    }
}
