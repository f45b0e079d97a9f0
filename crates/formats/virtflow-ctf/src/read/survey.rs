//! When a stream's packets begin and end, for those that do not say so themselves.

use virtflow_base::{CpuId, Timestamp};

use super::feed::{Feed, Progress, State};
use super::scan::{Found, Visit};
use crate::index::StreamFile;
use crate::metadata::Metadata;

/// The first and last clock value of a packet.
#[derive(Default)]
struct Ends(Option<(u64, u64)>);

impl Visit for Ends {
    fn packet(&mut self, _: Option<CpuId>, _: &[u8]) {}

    #[inline]
    fn class(&mut self, _: usize, clock: u64) {
        let first = self.0.map_or(clock, |(first, _)| first);
        self.0 = Some((first, clock));
    }

    fn event(&mut self, _: &Found<'_>) -> bool {
        true
    }
}

/// The moments of the first and last event of each of the packets `packets`, which are read one
/// after the other.
pub(crate) fn survey(
    metadata: &Metadata,
    stream: &StreamFile,
    packets: std::ops::Range<usize>,
) -> Vec<Option<(Timestamp, Timestamp)>> {
    let class = &metadata.streams[stream.class];
    let Some(clock) = class.clock.and_then(|clock| metadata.clocks.get(clock)) else {
        return vec![None; packets.len()];
    };
    let feed = Feed::new(metadata, stream, None);
    let mut state = State::new(class, 0, packets.start..packets.start, 0);
    packets
        .map(|packet| {
            state.go_on_to(packet + 1);
            let mut ends = Ends::default();
            while feed.run(&mut state, &mut ends) != Progress::End {}
            ends.0
                .map(|(first, last)| (clock.time(first), clock.time(last)))
        })
        .collect()
}
