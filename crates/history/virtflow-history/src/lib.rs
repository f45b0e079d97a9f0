//! The store: what an analysis found, kept as columns that anyone can open.
//!
//! A store is a directory of Parquet tables and a manifest ([docs/store.md] has every column). It
//! keeps entities, intervals, edges and exits as the small codes of [`virtflow_base::Sink`], with
//! the names its writer gave them ([`Vocabulary`]); what a virtual machine is, it does not know.
//!
//! [`Writer`] takes what the model finds while the one pass runs; [`Store`] answers from it.
//!
//! [docs/store.md]: https://example.invalid/virtflow/docs/store.md

mod doing;
mod error;
mod lod;
mod manifest;
mod read;
mod tables;
mod vocabulary;
mod write;

pub use doing::Doing;
pub use error::StoreError;
pub use manifest::{
    Chunk, FORMAT_VERSION, Loss, MANIFEST, MachineEntry, Manifest, Missing, Progress, SourceFile,
    State,
};
pub use read::{
    Cost, Direction, EdgeRecord, EntityRecord, ExitRecord, Lane, Piece, Store, Viewport,
};
pub use vocabulary::Vocabulary;
pub use write::{About, Writer, Written, size};
