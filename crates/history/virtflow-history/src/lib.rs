//! The store: what an analysis found, kept as columns that anyone can open.
//!
//! A store is a directory of Parquet tables and a manifest ([docs/store.md] has every column). It
//! keeps entities, intervals, edges, exits and counters as the small codes of [`virtflow_base::Sink`], with
//! the names its writer gave them ([`Vocabulary`]); what a virtual machine is, it does not know.
//!
//! [`Writer`] takes what the model finds while the one pass runs; [`Store`] answers from it.
//!
//! [docs/store.md]: https://example.invalid/virtflow/docs/store.md

mod counter;
mod doing;
mod error;
mod lod;
mod manifest;
mod read;
mod tables;
mod vocabulary;
mod write;

pub use counter::{Series, Summary};
pub use doing::Doing;
pub use error::StoreError;
pub use manifest::{
    Chunk, CounterEntry, FORMAT_VERSION, Group, Loss, MANIFEST, MachineEntry, Manifest, Missing,
    Progress, Samples, SourceFile, State,
};
pub use read::{
    Cost, Curves, Direction, EdgeRecord, EntityRecord, ExitRecord, Lane, Piece, Store, Viewport,
};
pub use vocabulary::Vocabulary;
pub use write::{About, Writer, Written, size};
