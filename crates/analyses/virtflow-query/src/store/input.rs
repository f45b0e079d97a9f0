//! What a user points at: a trace, or a store that was made of one.

use super::cache::Cache;
use super::make::options_json;
use super::replay::{facts, replay};
use crate::apart::Apart;
use crate::budgets::Budgets;
use crate::clocks::align;
use crate::facts::Facts;
use crate::pipeline::{Progress, analyze, machines};
use crate::report::{MachineReport, Request, of_budgets};
use std::path::Path;
use virtflow_base::{EntityId, Sink, Span};
use virtflow_events::{OpenError, Recording};
use virtflow_history::{Manifest, Store, StoreError};
use virtflow_model::Options;

/// Why neither a trace nor a store could be opened or asked.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// It looked like a trace.
    #[error(transparent)]
    Trace(#[from] OpenError),
    /// It is a store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store was made with other options.
    #[error(
        "{}: the store was made {}--proved-only; give the trace, or analyse it again",
        path.display(), if *asked { "without " } else { "with " }
    )]
    Options {
        /// The store.
        path: std::path::PathBuf,
        /// Whether only what is proved was asked for.
        asked: bool,
    },
}

/// A trace, or a store in its place.
#[derive(Debug)]
pub enum Input {
    /// A trace.
    Trace(Box<Recording>),
    /// A store, and what it says of each machine.
    Store(Box<Store>, Vec<Facts>),
}

impl Input {
    /// Opens what is at `path`. Of a trace that was analysed before, and has not changed since,
    /// the store in `cache` is taken.
    pub fn open(path: &Path, options: &Options, cache: Option<&Cache>) -> Result<Self, InputError> {
        if Manifest::is_store(path) {
            let store = Store::open(path)?;
            if store.manifest().options != options_json(options) {
                return Err(InputError::Options {
                    path: path.to_owned(),
                    asked: options.proved_only,
                });
            }
            return Ok(Self::of_store(store)?);
        }
        Ok(Self::of(Recording::open(path)?, options, cache)?)
    }

    /// Of a recording; if it was analysed before, and has not changed since, the store in `cache`.
    pub fn of(
        recording: Recording,
        options: &Options,
        cache: Option<&Cache>,
    ) -> Result<Self, StoreError> {
        if let Some(store) = cache.and_then(|c| c.find(&recording, options)) {
            return Self::of_store(store);
        }
        align(&recording);
        Ok(Self::Trace(Box::new(recording)))
    }

    fn of_store(store: Store) -> Result<Self, StoreError> {
        let facts = facts(&store)?;
        Ok(Self::Store(Box::new(store), facts))
    }

    /// How many bytes there are to read, for progress.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Trace(recording) => recording.bytes(),
            Self::Store(..) => 0,
        }
    }

    /// What is said of each machine before it is analysed.
    pub fn machines(&self) -> Vec<Facts> {
        match self {
            Self::Trace(recording) => machines(recording)
                .into_iter()
                .map(|machine| Facts::before(recording, machine))
                .collect(),
            Self::Store(_, facts) => facts.clone(),
        }
    }

    /// The report on the machine that stands at `at` in [`Self::machines`].
    pub fn report(
        &self,
        at: usize,
        request: &Request,
        progress: &Progress,
    ) -> Result<MachineReport, InputError> {
        let options = Options {
            proved_only: request.proved_only,
            ..Options::default()
        };
        let budgets = Apart::new(Budgets::new(request.range));
        let (budgets, facts) = self.pass(at, &options, request.range, budgets, progress)?;
        let mut budgets = budgets.finish();
        if let Self::Store(store, _) = self {
            let others = store.entities().iter();
            let others = others.filter(|e| usize::try_from(e.machine) != Ok(at));
            others.for_each(|e| budgets.leave_out(EntityId(e.entity)));
        }
        Ok(of_budgets(&budgets, &facts, request))
    }

    /// Gives everything of one machine to a sink: by the one pass over a trace, or from the store.
    pub fn pass<S: Sink>(
        &self,
        at: usize,
        options: &Options,
        range: Span,
        mut sink: S,
        progress: &Progress,
    ) -> Result<(S, Facts), InputError> {
        match self {
            Self::Trace(recording) => {
                let machine = machines(recording).get(at).copied().unwrap_or(at);
                let (sink, outcome) = analyze(recording, machine, options, sink, progress);
                Ok((sink, Facts::new(recording, machine, &outcome)))
            }
            Self::Store(store, facts) => {
                replay(
                    store,
                    u32::try_from(at).unwrap_or(u32::MAX),
                    range,
                    &mut sink,
                )?;
                Ok((sink, facts.get(at).cloned().unwrap_or_default()))
            }
        }
    }
}
