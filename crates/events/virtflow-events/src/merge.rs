//! Many ordered sources become one: decoded in parallel, merged in time order.
//!
//! Each source has one batch in front of the merge and at most one being filled by the pool, so
//! memory is bounded by the number of sources and the batch size, never by the recording. Records
//! of the same moment come in the order of their sources, always.

use crossbeam_channel::{Receiver, Sender, unbounded};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::thread::JoinHandle;
use virtflow_base::{Fill, Problems, RecordSource, Stamped, Timestamp};

/// Records in front of the merge over all sources together, before the per-source bounds.
const BATCH_RECORDS_TOTAL: usize = 1 << 15;
/// The fewest and the most records in one batch of one source.
const BATCH_RECORDS: std::ops::RangeInclusive<usize> = 128..=4096;

struct Job<S: RecordSource> {
    lane: usize,
    source: S,
    batch: Vec<Stamped<S::Record>>,
}

struct Done<S: RecordSource> {
    lane: usize,
    source: S,
    batch: Vec<Stamped<S::Record>>,
    fill: Fill,
}

struct Lane<S: RecordSource> {
    front: Vec<Stamped<S::Record>>,
    next: usize,
    ready: Option<Done<S>>,
    /// A used-up batch to fill again.
    spare: Option<Vec<Stamped<S::Record>>>,
    in_flight: bool,
    bytes_read: u64,
}

/// The merge of many [`RecordSource`]s.
pub struct Merge<S: RecordSource + 'static> {
    lanes: Vec<Lane<S>>,
    /// The next record of each lane that has one: (time, lane).
    heads: BinaryHeap<Reverse<(Timestamp, usize)>>,
    jobs: Option<Sender<Job<S>>>,
    results: Receiver<Done<S>>,
    pool: Vec<JoinHandle<()>>,
    problems: Problems,
    /// The source of the run handed out last.
    current: Option<usize>,
    started: bool,
}

impl<S: RecordSource + 'static> Merge<S> {
    /// Starts reading `sources` on `threads` threads (at least one).
    pub fn new(sources: Vec<S>, threads: usize) -> Self {
        let batch_max = (BATCH_RECORDS_TOTAL / sources.len().max(1))
            .clamp(*BATCH_RECORDS.start(), *BATCH_RECORDS.end());
        let (jobs, todo) = unbounded::<Job<S>>();
        let (done, results) = unbounded();
        let pool = (0..threads.clamp(1, sources.len().max(1)))
            .map(|_| {
                let (todo, done) = (todo.clone(), done.clone());
                std::thread::spawn(move || work(&todo, &done, batch_max))
            })
            .collect();
        let mut merge = Self {
            lanes: Vec::with_capacity(sources.len()),
            heads: BinaryHeap::with_capacity(sources.len()),
            jobs: Some(jobs),
            results,
            pool,
            problems: Problems::default(),
            current: None,
            started: false,
        };
        for (lane, source) in sources.into_iter().enumerate() {
            merge.lanes.push(Lane {
                front: Vec::new(),
                next: 0,
                ready: None,
                spare: Some(Vec::new()),
                in_flight: false,
                bytes_read: 0,
            });
            merge.send(lane, source);
        }
        merge
    }

    /// The next records in time order, all of one source, and which source that is; `None` when
    /// there are none left.
    pub fn next_run(&mut self) -> Option<(usize, &[Stamped<S::Record>])> {
        if self.started {
            if let Some(lane) = self.current.take() {
                self.requeue(lane);
            }
        } else {
            self.started = true;
            for lane in 0..self.lanes.len() {
                self.requeue(lane);
            }
        }
        let Reverse((_, lane)) = self.heads.pop()?;
        self.current = Some(lane);
        let limit = self.heads.peek().map(|Reverse(head)| *head);
        let state = &mut self.lanes[lane];
        let start = state.next;
        let length = match (limit, state.front.last()) {
            (Some(limit), Some(last)) if (last.time, lane) >= limit => {
                let rest = &state.front[start + 1..];
                1 + rest.iter().take_while(|r| (r.time, lane) < limit).count()
            }
            _ => state.front.len() - start,
        };
        state.next += length;
        Some((lane, &state.front[start..start + length]))
    }

    /// Puts `lane` back among the heads, with its next batch if this one is used up.
    fn requeue(&mut self, lane: usize) {
        while self.lanes[lane].next == self.lanes[lane].front.len() {
            if !self.next_batch(lane) {
                return;
            }
        }
        let state = &self.lanes[lane];
        self.heads
            .push(Reverse((state.front[state.next].time, lane)));
    }

    /// Replaces the used-up batch of `lane`; false when its source has ended.
    fn next_batch(&mut self, lane: usize) -> bool {
        while self.lanes[lane].ready.is_none() {
            if !self.lanes[lane].in_flight {
                return false;
            }
            let Ok(done) = self.results.recv() else {
                return false;
            };
            let owner = &mut self.lanes[done.lane];
            owner.in_flight = false;
            owner.ready = Some(done);
        }
        let Some(mut done) = self.lanes[lane].ready.take() else {
            return false;
        };
        let state = &mut self.lanes[lane];
        state.bytes_read = done.source.bytes_read();
        state.next = 0;
        state.spare = Some(std::mem::replace(&mut state.front, done.batch));
        self.problems.merge(done.source.take_problems());
        if done.fill == Fill::More {
            self.send(lane, done.source);
        } else {
            self.lanes[lane].spare = None;
        }
        true
    }

    fn send(&mut self, lane: usize, source: S) {
        let state = &mut self.lanes[lane];
        let batch = state.spare.take().unwrap_or_default();
        if let Some(jobs) = &self.jobs {
            state.in_flight = jobs
                .send(Job {
                    lane,
                    source,
                    batch,
                })
                .is_ok();
        }
    }

    /// How many bytes of the recording have been merged so far, for progress.
    pub fn bytes_read(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.bytes_read).sum()
    }

    /// The problems met so far.
    pub const fn problems(&self) -> &Problems {
        &self.problems
    }
}

impl<S: RecordSource + 'static> Drop for Merge<S> {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.pool.drain(..) {
            // A thread of the pool that panicked has nothing left to hand over.
            let _ = thread.join();
        }
    }
}

fn work<S: RecordSource>(todo: &Receiver<Job<S>>, done: &Sender<Done<S>>, batch_max: usize) {
    while let Ok(Job {
        lane,
        mut source,
        mut batch,
    }) = todo.recv()
    {
        batch.clear();
        batch.reserve(batch_max);
        let mut fill = Fill::More;
        while batch.is_empty() && fill == Fill::More {
            fill = source.fill(&mut batch, batch_max);
        }
        if done
            .send(Done {
                lane,
                source,
                batch,
                fill,
            })
            .is_err()
        {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives the times it was made with, a few at a time.
    struct Counted {
        times: Vec<i64>,
        at: usize,
        step: usize,
    }

    impl RecordSource for Counted {
        type Record = usize;

        fn fill(&mut self, batch: &mut Vec<Stamped<usize>>, max: usize) -> Fill {
            let end = (self.at + self.step.min(max)).min(self.times.len());
            for i in self.at..end {
                batch.push(Stamped {
                    time: Timestamp::from_nanos(self.times[i]),
                    record: i,
                });
            }
            self.at = end;
            if end == self.times.len() {
                Fill::End
            } else {
                Fill::More
            }
        }

        fn take_problems(&mut self) -> Problems {
            Problems::default()
        }

        fn bytes_read(&self) -> u64 {
            self.at as u64
        }
    }

    fn merged(streams: &[Vec<i64>], step: usize) -> Vec<(i64, usize, usize)> {
        let sources = streams
            .iter()
            .map(|times| Counted {
                times: times.clone(),
                at: 0,
                step,
            })
            .collect();
        let mut merge = Merge::new(sources, 2);
        let mut all = Vec::new();
        while let Some((lane, run)) = merge.next_run() {
            all.extend(run.iter().map(|r| (r.time.as_nanos(), lane, r.record)));
        }
        assert_eq!(
            merge.bytes_read(),
            streams.iter().map(|s| s.len() as u64).sum::<u64>()
        );
        all
    }

    #[test]
    fn merges_in_time_order_with_ties_in_stream_order() {
        let streams = [vec![1, 3, 3, 9], vec![], vec![3, 4], vec![0, 3]];
        let mut expected: Vec<_> = streams
            .iter()
            .enumerate()
            .flat_map(|(lane, s)| s.iter().enumerate().map(move |(i, &t)| (t, lane, i)))
            .collect();
        expected.sort_unstable();
        for step in [1, 2, 100] {
            assert_eq!(merged(&streams, step), expected);
        }
    }

    #[test]
    fn nothing_gives_nothing() {
        assert!(merged(&[], 1).is_empty());
        assert!(merged(&[vec![], vec![]], 1).is_empty());
    }

    #[test]
    fn dropped_half_way_it_stops_its_threads() {
        let sources = vec![Counted {
            times: (0..100_000).collect(),
            at: 0,
            step: 10,
        }];
        let mut merge = Merge::new(sources, 4);
        assert!(merge.next_run().is_some());
    }
}
