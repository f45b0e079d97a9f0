//! The tables: their columns, how they are laid out, how they are written and read.

use crate::StoreError;
use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use bytes::{Buf, Bytes};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::{Compression, Encoding};
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{ChunkReader, Length};
use parquet::schema::types::ColumnPath;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock};

/// Rows of one page: the least that can be read.
const PAGE_ROWS: usize = 2048;
/// The same of levels of detail, of which a picture reads a few rows per lane from many chunks.
const LOD_PAGE_ROWS: usize = 512;

fn schema(fields: &[(&str, DataType)]) -> SchemaRef {
    let fields = fields
        .iter()
        .map(|(name, kind)| Field::new(*name, kind.clone(), false));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn words() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

use DataType::{Boolean, Int32, Int64, UInt8, UInt32, UInt64, Utf8};

/// `entities.parquet`.
pub(crate) static ENTITIES: LazyLock<SchemaRef> = LazyLock::new(|| {
    schema(&[
        ("entity", UInt32),
        ("machine", UInt32),
        ("kind", words()),
        ("key", Utf8),
        ("label", Utf8),
        ("parent", Int32),
        ("vm", Int32),
        ("vcpu", Int32),
        ("tid", Int32),
        ("pid", Int32),
        ("cr3", Utf8),
        ("begin_ns", Int64),
        ("end_ns", Int64),
        ("intervals", UInt64),
    ])
});

/// `doings.parquet`.
pub(crate) static DOINGS: LazyLock<SchemaRef> = LazyLock::new(|| {
    schema(&[
        ("doing", UInt32),
        ("state", words()),
        ("cause", words()),
        ("level", UInt8),
        ("confidence", words()),
        ("evidence", words()),
    ])
});

/// `intervals/` and `carried/`.
pub(crate) static INTERVALS: LazyLock<SchemaRef> = LazyLock::new(|| {
    schema(&[
        ("entity", UInt32),
        ("vcpu", Int32),
        ("start_ns", Int64),
        ("end_ns", Int64),
        ("doing", UInt32),
        ("by", Int32),
    ])
});

/// `lod/`.
pub(crate) static LOD: LazyLock<SchemaRef> = LazyLock::new(|| {
    schema(&[
        ("bucket_ns", Int64),
        ("entity", UInt32),
        ("vcpu", Int32),
        ("start_ns", Int64),
        ("doing", UInt32),
        ("ns", Int64),
        ("by", Int32),
    ])
});

/// `edges/`.
pub(crate) static EDGES: LazyLock<SchemaRef> = LazyLock::new(|| {
    schema(&[
        ("from", UInt32),
        ("from_ns", Int64),
        ("to", UInt32),
        ("to_ns", Int64),
        ("kind", words()),
        ("confidence", words()),
        ("evidence", words()),
    ])
});

/// `exits/`.
pub(crate) static EXITS: LazyLock<SchemaRef> = LazyLock::new(|| {
    schema(&[
        ("vcpu", UInt32),
        ("nested", Int32),
        ("start_ns", Int64),
        ("end_ns", Int64),
        ("entered_again", Boolean),
        ("isa", UInt32),
        ("reason", UInt32),
        ("class", words()),
        ("reflected", Boolean),
        ("kernel_ns", Int64),
        ("vmm_ns", Int64),
        ("off_cpu_ns", Int64),
    ])
});

/// `counters/`.
pub(crate) static COUNTERS: LazyLock<SchemaRef> = LazyLock::new(|| {
    schema(&[
        ("entity", UInt32),
        ("counter", words()),
        ("time_ns", Int64),
        ("value", Int64),
        ("carried", Boolean),
    ])
});

/// `counter_sums/`.
pub(crate) static COUNTER_SUMS: LazyLock<SchemaRef> = LazyLock::new(|| {
    schema(&[
        ("bucket_ns", Int64),
        ("entity", UInt32),
        ("counter", words()),
        ("start_ns", Int64),
        ("values", UInt64),
        ("sum", Int64),
        ("least", Int64),
        ("greatest", Int64),
        ("last", Int64),
    ])
});

/// Columns by which pages are chosen, so that each page's least and greatest value are kept.
const CHOOSE_BY: [&str; 11] = [
    "time_ns",
    "entity",
    "vcpu",
    "start_ns",
    "end_ns",
    "bucket_ns",
    "from",
    "to",
    "from_ns",
    "to_ns",
    "machine",
];
/// Columns whose values rise, and are kept as differences.
const RISING: [&str; 8] = [
    "time_ns",
    "start_ns",
    "end_ns",
    "from_ns",
    "to_ns",
    "begin_ns",
    "ns",
    "kernel_ns",
];

fn properties(schema: &Schema) -> WriterProperties {
    let is_lod = schema.field_with_name("bucket_ns").is_ok();
    let page_rows = if is_lod { LOD_PAGE_ROWS } else { PAGE_ROWS };
    let mut all = WriterProperties::builder()
        .set_created_by(concat!("virtflow ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::LZ4_RAW)
        .set_data_page_row_count_limit(page_rows)
        .set_write_batch_size(page_rows)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_max_row_group_row_count(None);
    for field in schema.fields() {
        let column = ColumnPath::from(field.name().as_str());
        if CHOOSE_BY.contains(&field.name().as_str()) {
            all = all.set_column_statistics_enabled(column.clone(), EnabledStatistics::Page);
        }
        if RISING.contains(&field.name().as_str()) {
            all = all
                .set_column_dictionary_enabled(column.clone(), false)
                .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
        }
    }
    all.build()
}

/// Writes one table; the file is whole on disk when [`Self::finish`] has returned.
pub(crate) struct TableWriter {
    path: PathBuf,
    writer: ArrowWriter<File>,
}

impl TableWriter {
    pub(crate) fn create(path: &Path, schema: &SchemaRef) -> Result<Self, StoreError> {
        let file = File::create(path).map_err(StoreError::io(path, "cannot create"))?;
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties(schema)))
            .map_err(StoreError::table(path))?;
        Ok(Self {
            path: path.to_owned(),
            writer,
        })
    }

    /// Adds rows.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), StoreError> {
        self.writer
            .write(batch)
            .map_err(StoreError::table(&self.path))
    }

    /// Ends a row group.
    pub(crate) fn end_group(&mut self) -> Result<(), StoreError> {
        self.writer.flush().map_err(StoreError::table(&self.path))
    }

    pub(crate) fn finish(self) -> Result<(), StoreError> {
        let file = self
            .writer
            .into_inner()
            .map_err(StoreError::table(&self.path))?;
        file.sync_data()
            .map_err(StoreError::io(&self.path, "cannot write to disk"))
    }
}

/// A whole table in one go, through a temporary name: it may be replaced while it is read.
pub(crate) fn write_whole(path: &Path, batch: &RecordBatch) -> Result<(), StoreError> {
    let fresh = path.with_extension("new");
    let mut table = TableWriter::create(&fresh, &batch.schema())?;
    table.write(batch)?;
    table.finish()?;
    std::fs::rename(&fresh, path).map_err(StoreError::io(path, "cannot rename"))
}

/// A file that is read at positions, so that many may read it at once.
#[derive(Debug)]
pub(crate) struct Positional {
    file: File,
    length: u64,
}

impl Length for Positional {
    fn len(&self) -> u64 {
        self.length
    }
}

/// How much is read at once where the reader does not say how much it wants: page headers.
const PIECE: usize = 4096;

/// Reads on from a position.
#[derive(Debug)]
pub(crate) struct Reading<'a> {
    file: &'a File,
    at: u64,
}

impl std::io::Read for Reading<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = read_at(self.file, buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> std::io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, at)
}

impl ChunkReader for Positional {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        let left = usize::try_from(self.length.saturating_sub(start)).unwrap_or(usize::MAX);
        Ok(self.get_bytes(start, left.min(PIECE))?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        // A length is the file's own word: believe it no further than the file goes.
        if start
            .checked_add(length as u64)
            .is_none_or(|end| end > self.length)
        {
            return Err(parquet::errors::ParquetError::EOF(format!(
                "{length} bytes at {start} are wanted of a file of {}",
                self.length
            )));
        }
        let mut buffer = vec![0; length];
        let mut from = Reading {
            file: &self.file,
            at: start,
        };
        std::io::Read::read_exact(&mut from, &mut buffer)?;
        Ok(buffer.into())
    }
}

/// A table that is there to be read.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<Positional>,
    pub(crate) metadata: ArrowReaderMetadata,
    /// Reading ends when this becomes true.
    pub(crate) stop: Option<Arc<AtomicBool>>,
}

impl Table {
    pub(crate) fn open(path: &Path, expected: &SchemaRef) -> Result<Self, StoreError> {
        let file = File::open(path).map_err(StoreError::io(path, "cannot open"))?;
        let length = file
            .metadata()
            .map_err(StoreError::io(path, "cannot read"))?
            .len();
        let file = Positional { file, length };
        // The types are those that we know, not those that the file says it was written from.
        let options = ArrowReaderOptions::new()
            .with_page_index_policy(PageIndexPolicy::Optional)
            .with_schema(Arc::clone(expected));
        let metadata = without_panic(path, || {
            ArrowReaderMetadata::load(&file, options).map_err(StoreError::table(path))
        })?;
        Ok(Self {
            path: path.to_owned(),
            file: Arc::new(file),
            metadata,
            stop: None,
        })
    }
}

/// Runs what reads a file with the Parquet library, which here and there panics where a broken
/// file deserves an error.
pub(crate) fn without_panic<T>(
    path: &Path,
    read: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(StoreError::content(path, "the file is broken")))
}
