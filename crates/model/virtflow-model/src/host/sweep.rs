//! What of the host is not told yet, and which of its threads are over and named by nobody.

use super::{Current, Sched, ThreadIx, Wake};
use crate::lane::Status;
use crate::live::{Yet, not_told};
use crate::model::Model;
use crate::vocab::{Evidence, State};
use rustc_hash::FxHashSet;
use virtflow_base::{Interval, Sink, Span, Timestamp};

impl<S: Sink> Model<S> {
    pub(crate) fn host_not_told(&self, until: Timestamp, tell: &mut impl FnMut(&Interval, Yet)) {
        for cpu in &self.cpus {
            not_told(cpu.lane.as_ref(), until, until, tell);
        }
        for thread in self.threads.iter() {
            let Some(lane) = &thread.lane else { continue };
            if thread.sched != Sched::Unresolved && !self.may_run_unseen(thread.sched) {
                not_told(Some(lane), until, until, tell);
                continue;
            }
            let span = Span::new(lane.since(), until);
            let mut interval = lane.as_interval(span);
            if span.is_empty() {
                continue;
            }
            if thread.statedump_waits {
                // It slept when it was looked at, and nothing has been heard of it since.
                let slept = Status::new(State::Sleeping, Evidence::Statedump).likely();
                interval.state = slept.state.code();
                interval.confidence = slept.confidence.code();
                interval.evidence = slept.evidence.code();
                tell(&interval, Yet::WhyPending);
            } else {
                tell(&interval, Yet::Pending);
            }
        }
    }

    /// Threads that are off their processors and have done nothing for so many nanoseconds.
    pub(crate) fn quiet_threads(&self, nanos: i64) -> Vec<ThreadIx> {
        let quiet = |x: &usize| {
            let thread = &self.threads[*x];
            let lane = thread.lane.as_ref();
            !matches!(thread.sched, Sched::Running(_))
                && lane.is_some_and(|lane| self.now.since(lane.since()) > nanos)
        };
        self.threads.places().filter(quiet).map(ThreadIx).collect()
    }

    /// Lets the places of threads be used again that are over and that nobody names.
    pub(crate) fn release_threads(&mut self) {
        let mut named = vec![false; self.threads.len()];
        let mut name = |x: ThreadIx| named[x.0] = true;
        let waker = |wake: &Option<Wake>| match wake.map(|wake| wake.waker) {
            Some(Current::Thread(x)) => Some(x),
            _ => None,
        };
        for cpu in &self.cpus {
            if let Current::Thread(x) = cpu.current {
                name(x);
            }
            let listed = cpu.waiters.iter().chain(&cpu.known);
            listed.copied().for_each(&mut name);
        }
        for at in self.vcpus.places() {
            let vcpu = &self.vcpus[at];
            name(vcpu.thread);
            let pending = vcpu.pending.and_then(|pending| waker(&pending.wake));
            pending.into_iter().for_each(&mut name);
        }
        for at in self.threads.places() {
            let thread = &self.threads[at];
            if thread.lane.is_some() {
                name(ThreadIx(at));
                waker(&thread.wake).into_iter().for_each(&mut name);
            }
        }
        for (at, named) in named.into_iter().enumerate() {
            if !named {
                self.threads.release(at);
            }
        }
    }

    /// Forgets the containers in which no thread is.
    pub(crate) fn forget_containers(&mut self) {
        let living = self.threads.iter().filter(|thread| thread.lane.is_some());
        let mut todo: Vec<u32> = living.filter_map(|thread| thread.container).collect();
        let mut named = FxHashSet::default();
        while let Some(inum) = todo.pop() {
            if named.insert(inum)
                && let Some(container) = self.containers.get(&inum)
            {
                todo.extend(container.inside);
            }
        }
        self.containers.retain(|inum, _| named.contains(inum));
    }
}
