//! The seam between formats and everything above: ordered sources of records.

use crate::{CpuId, Problems, Span, Timestamp};

/// A record and the moment it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamped<R> {
    /// When.
    pub time: Timestamp,
    /// What.
    pub record: R,
}

/// What a call of [`RecordSource::fill`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// There may be more.
    More,
    /// The source has ended; further calls give nothing.
    End,
}

/// One ordered source of records: a stream of a CTF trace, one processor's ring of another
/// tracer, a live buffer. Sources are read in parallel and merged above.
pub trait RecordSource: Send {
    /// What it gives.
    type Record: Send;

    /// Appends at most `max` further records to `batch`, in time order. Fewer than `max`, even
    /// none, does not mean the end: only [`Fill::End`] does. Broken input is noted as a problem
    /// and stepped over; it never fails.
    fn fill(&mut self, batch: &mut Vec<Stamped<Self::Record>>, max: usize) -> Fill;

    /// Hands over the problems met since the last call.
    fn take_problems(&mut self) -> Problems;

    /// How many bytes of the recording have been read so far, for progress.
    fn bytes_read(&self) -> u64;
}

/// What a stream lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossKind {
    /// The tracer had no room for this many events.
    Events(u64),
    /// This many whole packets are missing, with an unknown number of events.
    Packets(u64),
    /// Bytes that could not be read or understood, with an unknown number of events.
    Unreadable,
}

/// A loss and the stretch of time in which it fell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// From the last event known to be whole to the first one after the loss.
    pub span: Span,
    /// What was lost.
    pub kind: LossKind,
}

/// What of time one stream saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamCoverage {
    /// The processor the stream belongs to, where it says so.
    pub cpu: Option<CpuId>,
    /// From the beginning of the first packet to the end of the last one; `None` for an empty
    /// stream.
    pub span: Option<Span>,
    /// What was lost, in time order.
    pub losses: Vec<Loss>,
}
