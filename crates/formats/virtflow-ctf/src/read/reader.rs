//! A stream as a source of records.

use std::sync::Arc;

use virtflow_base::{CpuId, Fill, Loss, Problems, RecordSource, Stamped, Timestamp};

use super::bind::Bound;
use super::feed::{Feed, Progress, State};
use super::scan::{Found, Visit};
use super::view::EventView;
use crate::index::Packet;
use crate::trace::Trace;

/// Windows read by one call of `fill` that finds nothing.
const WINDOWS_MAX: u32 = 8;

/// Makes records of events.
pub trait Extract: Send {
    /// What it makes.
    type Out: Send;

    /// The record of a bound event; `None` leaves it out.
    fn extract(&mut self, event: &EventView<'_>) -> Option<Self::Out>;
}

/// What all events of the packet in work share.
#[derive(Debug)]
pub(super) struct Here {
    pub(super) stream: usize,
    pub(super) clock: Option<usize>,
    pub(super) cpu: Option<CpuId>,
    pub(super) head: Arc<[u8]>,
}

/// Reads one stream of a trace.
pub struct StreamReader<E> {
    trace: Arc<Trace>,
    bound: Arc<Bound>,
    extract: E,
    here: Here,
    /// `None` for a stream that does not exist.
    state: Option<State>,
}

impl<E: Extract> StreamReader<E> {
    pub(crate) fn new(
        trace: Arc<Trace>,
        stream: usize,
        bound: Arc<Bound>,
        extract: E,
        from: Option<Timestamp>,
    ) -> Self {
        let file = trace.streams().get(stream);
        let class = file.map(|file| &trace.metadata().streams[file.class]);
        let here = Here {
            stream,
            clock: class.and_then(|class| class.clock),
            cpu: None,
            head: Arc::default(),
        };
        let state = file.zip(class).map(|(file, class)| {
            let packets = from.map_or(0, |from| first_packet(&file.packets, from));
            State::new(class, stream, packets..file.packets.len(), bound.marks)
        });
        Self {
            trace,
            bound,
            extract,
            here,
            state,
        }
    }

    /// Hands over what of packets had to be left out since the last call. What a cut file lacks
    /// is in the stream's coverage too; broken packets are found only here.
    pub fn take_losses(&mut self) -> Vec<Loss> {
        self.state
            .as_mut()
            .map(|state| std::mem::take(&mut state.losses))
            .unwrap_or_default()
    }

    /// What makes the records.
    pub const fn extract(&self) -> &E {
        &self.extract
    }
}

/// The first packet that may hold an event at `from` or later. Packets tell their own time, so
/// that reading can begin at any that says when it begins.
fn first_packet(packets: &[Packet], from: Timestamp) -> usize {
    let before = packets
        .iter()
        .take_while(|packet| packet.begin.is_some() && packet.end.is_some_and(|end| end < from))
        .count();
    let tells = packets
        .get(before)
        .is_none_or(|packet| packet.begin.is_some());
    if tells { before } else { 0 }
}

struct Filling<'f, E: Extract> {
    trace: &'f Trace,
    extract: &'f mut E,
    here: &'f mut Here,
    batch: &'f mut Vec<Stamped<E::Out>>,
    full: usize,
}

impl<E: Extract> Visit for Filling<'_, E> {
    fn packet(&mut self, cpu: Option<CpuId>, head: &[u8]) {
        self.here.cpu = cpu;
        self.here.head = head.into();
    }

    #[inline]
    fn class(&mut self, _: usize, _: u64) {}

    #[inline]
    fn event(&mut self, found: &Found<'_>) -> bool {
        let view = EventView::new(self.trace, self.here, found);
        if let Some(record) = self.extract.extract(&view) {
            self.batch.push(Stamped {
                time: view.time(),
                record,
            });
        }
        self.batch.len() < self.full
    }
}

impl<E: Extract> RecordSource for StreamReader<E> {
    type Record = E::Out;

    fn fill(&mut self, batch: &mut Vec<Stamped<E::Out>>, max: usize) -> Fill {
        let Self {
            trace,
            bound,
            extract,
            here,
            state,
        } = self;
        let (Some(state), Some(file)) = (state, trace.streams().get(here.stream)) else {
            return Fill::End;
        };
        if max == 0 {
            return Fill::More;
        }
        let before = batch.len();
        let full = before.saturating_add(max);
        let feed = Feed::new(trace.metadata(), file, Some(bound));
        let mut filling = Filling {
            trace,
            extract,
            here,
            batch,
            full,
        };
        for _ in 0..WINDOWS_MAX {
            match feed.run(state, &mut filling) {
                Progress::End => return Fill::End,
                Progress::Paused => return Fill::More,
                Progress::More => {}
            }
        }
        Fill::More
    }

    fn take_problems(&mut self) -> Problems {
        self.state
            .as_mut()
            .map(|state| std::mem::take(&mut state.problems))
            .unwrap_or_default()
    }

    fn bytes_read(&self) -> u64 {
        self.state.as_ref().map_or(0, State::bytes_read)
    }
}
