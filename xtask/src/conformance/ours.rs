//! What virtflow's reader tells of a stream, event by event.

use anyhow::Result;
use std::sync::Arc;
use virtflow_base::{Fill, RecordSource, Stamped};
use virtflow_ctf::{Bound, EventView, Extract, OwnedEvent, StreamReader, Trace};

const BATCH: usize = 1024;

/// Keeps every event.
pub(super) struct Keep;

impl Extract for Keep {
    type Out = OwnedEvent;

    fn extract(&mut self, event: &EventView<'_>) -> Option<OwnedEvent> {
        Some(event.to_owned())
    }
}

/// The events of one stream.
pub(super) struct Events {
    reader: StreamReader<Keep>,
    batch: std::vec::IntoIter<Stamped<OwnedEvent>>,
    ended: bool,
}

impl Events {
    pub(super) fn new(trace: &Arc<Trace>, stream: usize, bound: &Arc<Bound>) -> Self {
        Self {
            reader: trace.reader(stream, Arc::clone(bound), Keep),
            batch: Vec::new().into_iter(),
            ended: false,
        }
    }

    pub(super) fn next(&mut self) -> Option<OwnedEvent> {
        loop {
            if let Some(stamped) = self.batch.next() {
                return Some(stamped.record);
            }
            if self.ended {
                return None;
            }
            let mut batch = Vec::new();
            self.ended = self.reader.fill(&mut batch, BATCH) == Fill::End;
            self.batch = batch.into_iter();
        }
    }

    /// What was met on the way that is not as it should be.
    pub(super) fn problems(&mut self) -> Result<Vec<String>> {
        let problems = self.reader.take_problems();
        Ok(problems.kept().iter().map(ToString::to_string).collect())
    }
}
