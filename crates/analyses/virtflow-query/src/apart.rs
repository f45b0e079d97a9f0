//! A sink on a thread of its own, so that summing goes on beside the model.

use crossbeam_channel::{Receiver, Sender, bounded};
use std::thread::JoinHandle;
use virtflow_base::{Edge, Entity, Exit, Interval, Sample, Sink};

/// Intervals in one batch: some hundred kilobytes, less than a processor's second cache, and so many
/// that waking the other thread, some ten microseconds on a virtual machine, does not count.
const BATCH: usize = 4096;
/// Batches on their way: memory stays the same however far the model is ahead.
const BATCHES: usize = 4;

/// What was found, in the order of each kind.
#[derive(Debug, Default)]
struct Batch {
    entities: Vec<Entity>,
    intervals: Vec<Interval>,
    edges: Vec<Edge>,
    exits: Vec<Exit>,
    samples: Vec<Sample>,
}

impl Batch {
    /// With room for the intervals, which are most: it is not moved while it grows.
    fn with_room() -> Self {
        Self {
            intervals: Vec::with_capacity(BATCH),
            ..Self::default()
        }
    }

    /// An entity is announced before it is used: all of a batch may come before its intervals.
    fn give<S: Sink>(&mut self, sink: &mut S) {
        self.entities.drain(..).for_each(|e| sink.entity(&e));
        self.intervals.drain(..).for_each(|i| sink.interval(&i));
        self.edges.drain(..).for_each(|e| sink.edge(&e));
        self.exits.drain(..).for_each(|e| sink.exit(&e));
        self.samples.drain(..).for_each(|s| sink.sample(&s));
    }
}

/// Hands what it takes to a sink on another thread, for sinks to which the order between an
/// entity's announcements, intervals, edges and exits says nothing.
#[derive(Debug)]
pub(crate) struct Apart<S> {
    batch: Batch,
    full: Sender<Batch>,
    empty: Receiver<Batch>,
    thread: JoinHandle<S>,
}

impl<S: Sink + Send + 'static> Apart<S> {
    pub(crate) fn new(sink: S) -> Self {
        Self::ahead_by(BATCHES, sink)
    }

    /// With room for so many batches, for a sink that now and then is busy for long.
    pub(crate) fn ahead_by(batches: usize, mut sink: S) -> Self {
        let (full, todo) = bounded::<Batch>(batches);
        let (done, empty) = bounded(batches);
        let thread = std::thread::spawn(move || {
            for mut batch in todo {
                batch.give(&mut sink);
                // Nobody wants it back at the end.
                let _ = done.try_send(batch);
            }
            sink
        });
        Self {
            batch: Batch::with_room(),
            full,
            empty,
            thread,
        }
    }

    /// There are now so many of one kind.
    #[inline]
    fn added(&mut self, now: usize) {
        if now >= BATCH {
            self.hand_over();
        }
    }

    #[cold]
    fn hand_over(&mut self) {
        let next = self.empty.try_recv().unwrap_or_else(|_| Batch::with_room());
        // It fails only if the thread panicked, which `finish` tells.
        let _ = self.full.send(std::mem::replace(&mut self.batch, next));
    }

    /// The sink, with everything in it.
    pub(crate) fn finish(self) -> S {
        let _ = self.full.send(self.batch);
        drop(self.full);
        match self.thread.join() {
            Ok(sink) => sink,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl<S: Sink + Send + 'static> Sink for Apart<S> {
    fn entity(&mut self, entity: &Entity) {
        self.batch.entities.push(entity.clone());
        self.added(self.batch.entities.len());
    }

    fn interval(&mut self, interval: &Interval) {
        self.batch.intervals.push(*interval);
        self.added(self.batch.intervals.len());
    }

    fn edge(&mut self, edge: &Edge) {
        self.batch.edges.push(*edge);
        self.added(self.batch.edges.len());
    }

    fn exit(&mut self, exit: &Exit) {
        self.batch.exits.push(*exit);
        self.added(self.batch.exits.len());
    }

    fn sample(&mut self, sample: &Sample) {
        self.batch.samples.push(*sample);
        self.added(self.batch.samples.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use virtflow_base::{EntityId, Span, Timestamp};
    use virtflow_model::{Kind, State};

    #[derive(Default)]
    struct Seen {
        known: Vec<u32>,
        starts: Vec<i64>,
    }

    impl Sink for Seen {
        fn entity(&mut self, entity: &Entity) {
            self.known.push(entity.id.0);
        }
        fn interval(&mut self, interval: &Interval) {
            assert!(self.known.contains(&interval.entity.0));
            self.starts.push(interval.span.start.as_nanos());
        }
        fn edge(&mut self, _: &Edge) {}
        fn exit(&mut self, _: &Exit) {}
        fn sample(&mut self, _: &Sample) {}
    }

    #[test]
    fn everything_arrives_once_and_in_order() {
        let mut apart = Apart::new(Seen::default());
        let many = i64::try_from(BATCH * 7 + 3).unwrap();
        for at in 0..many {
            let id = EntityId(u32::try_from(at / 1000).unwrap());
            if at % 1000 == 0 {
                apart.entity(&Entity {
                    id,
                    kind: Kind::Vcpu.code(),
                    key: String::new(),
                    label: Vec::new(),
                    parent: None,
                    vm: None,
                    vcpu: None,
                    tid: None,
                    pid: None,
                    cr3: None,
                });
            }
            apart.interval(&Interval {
                entity: id,
                span: Span::new(Timestamp::from_nanos(at), Timestamp::from_nanos(at + 1)),
                state: State::Guest.code(),
                level: 0,
                cause: 0,
                confidence: 0,
                evidence: 0,
                vcpu: None,
                by: None,
            });
        }
        let seen = apart.finish();
        assert_eq!(seen.starts, (0..many).collect::<Vec<_>>());
    }

    #[test]
    #[should_panic(expected = "the sink's own words")]
    fn a_panic_of_the_sink_is_told() {
        struct Broken;
        impl Sink for Broken {
            fn entity(&mut self, _: &Entity) {}
            fn interval(&mut self, _: &Interval) {}
            fn edge(&mut self, _: &Edge) {}
            fn exit(&mut self, _: &Exit) {
                panic!("the sink's own words");
            }
            fn sample(&mut self, _: &Sample) {}
        }
        let mut apart = Apart::new(Broken);
        apart.exit(&Exit {
            vcpu: EntityId(0),
            nested: None,
            span: Span::ALL,
            entered_again: false,
            reason: 0,
            isa: 0,
            class: 0,
            kernel_ns: 0,
            vmm_ns: 0,
            off_cpu_ns: 0,
            reflected: false,
        });
        let _ = apart.finish();
    }
}
