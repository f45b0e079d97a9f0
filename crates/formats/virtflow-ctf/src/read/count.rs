//! Counting events, many packets at a time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use virtflow_base::{CpuId, Problems};

use super::feed::{Feed, Progress, State};
use super::scan::{Found, Visit};
use crate::trace::Trace;

/// Bits of packets that are counted at once by one thread.
const SHARE: u64 = 8 * (8 << 20);

/// How many events there are.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// By the number of the event class.
    pub by_class: Vec<u64>,
    /// Of all classes.
    pub total: u64,
    /// What was met on the way, those of opening the trace not included.
    pub problems: Problems,
}

impl Visit for Counts {
    fn packet(&mut self, _: Option<CpuId>, _: &[u8]) {}

    #[inline]
    fn class(&mut self, class: usize, _: u64) {
        self.by_class[class] += 1;
    }

    fn event(&mut self, _: &Found<'_>) -> bool {
        true
    }
}

impl Counts {
    fn new(classes: usize) -> Self {
        Self {
            by_class: vec![0; classes],
            ..Self::default()
        }
    }

    fn add(&mut self, other: &Self) {
        for (sum, n) in self.by_class.iter_mut().zip(&other.by_class) {
            *sum += n;
        }
    }
}

/// Counts the events of `trace` on `threads` threads.
pub(crate) fn count(trace: &Trace, threads: usize) -> Counts {
    let shares = shares(trace);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut counts = Counts::new(trace.metadata().events.len());
        let mut problems = Vec::new();
        loop {
            let share = next.fetch_add(1, Ordering::Relaxed);
            let Some((stream, packets)) = shares.get(share) else {
                break;
            };
            let file = &trace.streams()[*stream];
            let feed = Feed::new(trace.metadata(), file, None);
            let class = &trace.metadata().streams[file.class];
            let mut state = State::new(class, *stream, packets.clone(), 0);
            while feed.run(&mut state, &mut counts) != Progress::End {}
            if !state.problems.is_empty() {
                problems.push((share, std::mem::take(&mut state.problems)));
            }
        }
        (counts, problems)
    };
    let mut counts = Counts::new(trace.metadata().events.len());
    thread::scope(|scope| {
        let helpers = threads.min(shares.len()).saturating_sub(1);
        let helpers: Vec<_> = (0..helpers).map(|_| scope.spawn(work)).collect();
        let mut parts = vec![work()];
        for helper in helpers {
            match helper.join() {
                Ok(part) => parts.push(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        let mut problems = Vec::new();
        for (part, its_problems) in parts {
            counts.add(&part);
            problems.extend(its_problems);
        }
        // The same order whichever thread was faster.
        problems.sort_by_key(|(share, _)| *share);
        problems
            .into_iter()
            .for_each(|(_, problem)| counts.problems.merge(problem));
    });
    counts.total = counts.by_class.iter().sum();
    counts
}

/// Runs of packets of one stream, large enough to be worth a thread's while.
fn shares(trace: &Trace) -> Vec<(usize, std::ops::Range<usize>)> {
    let mut shares = Vec::new();
    for (stream, file) in trace.streams().iter().enumerate() {
        let mut start = 0;
        let mut bits = 0_u64;
        for (i, packet) in file.packets.iter().enumerate() {
            bits = bits.saturating_add(packet.content);
            if bits >= SHARE || i + 1 == file.packets.len() {
                shares.push((stream, start..i + 1));
                (start, bits) = (i + 1, 0);
            }
        }
    }
    shares
}
