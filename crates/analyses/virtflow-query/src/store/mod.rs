//! Stores: made from a recording in one pass, and asked in its place afterwards.

mod across;
mod cache;
mod edges;
mod input;
mod make;
mod replay;
mod sources;

pub use cache::{Cache, CacheError, Cached};
pub use input::{Input, InputError};
pub use make::{Making, make};
pub use replay::{facts, replay, trace_of};
pub use virtflow_history::{
    Chunk, Cost, Curves, Direction, Doing, EdgeRecord, EntityRecord, ExitRecord, Lane, Manifest,
    Piece, Series, Store, StoreError, Summary, Viewport, Vocabulary, Written,
};

use virtflow_model::{Cause, Confidence, Counter, EdgeKind, Evidence, Kind, State};

/// The model's names for its codes.
pub fn vocabulary() -> Vocabulary {
    macro_rules! words {
        ($name:ident) => {
            $name::ALL
                .iter()
                .map(|one| (one.code(), one.as_str().to_owned()))
                .collect()
        };
    }
    Vocabulary {
        kinds: words!(Kind),
        states: words!(State),
        causes: words!(Cause),
        confidences: words!(Confidence),
        evidences: words!(Evidence),
        edges: words!(EdgeKind),
        counters: words!(Counter),
    }
}
