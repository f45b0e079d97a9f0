//! What several workers wait for at the same time: work in parallel that is not.

use super::life;
use super::windows::{Stretch, Windows};
use std::collections::BTreeMap;
use virtflow_history::{Store, StoreError};
use virtflow_model::{Cause, Kind};

/// Something that several workers want, and that serves one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resource {
    /// A device, or whoever holds what is waited for.
    Entity(u32),
    /// The disks of a virtual machine, which the host cannot tell apart from a process's wait.
    DisksOf(u32),
}

/// Where several workers waited for the same thing at the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Together {
    /// From when: one of the workers was there.
    pub begin: i64,
    /// To when.
    pub end: i64,
    /// Things that at least two of them waited for at once; most first.
    pub shared: Vec<Shared>,
}

impl Together {
    /// How long all of it took.
    pub const fn whole(&self) -> i64 {
        self.end.saturating_sub(self.begin)
    }
}

/// How far workers stood in each other's way at one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// What.
    pub resource: Resource,
    /// Nanoseconds in which at least two waited for it.
    pub together_ns: i64,
    /// Nanoseconds that all of it would have taken at least, had the resource served each at once:
    /// whoever would then have ended last sets the time.
    pub at_least_ns: i64,
    /// How long each worker waited for it, in the order of the workers.
    pub workers: Vec<Waiter>,
}

/// How long a worker waited for something, and how long others were in its way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiter {
    /// Nanoseconds that it waited.
    pub waited_ns: i64,
    /// Of these while another one that had begun to wait earlier still waited.
    pub queued_ns: i64,
    /// The longest of these at a stretch.
    pub longest_ns: i64,
    /// When that began.
    pub longest_begin: i64,
    /// Of these behind which other: its place among the workers, and nanoseconds; most first.
    pub behind: Vec<(usize, i64)>,
}

impl Waiter {
    fn stood(&mut self, ahead: usize, ns: i64) {
        match self.behind.iter_mut().find(|(worker, _)| *worker == ahead) {
            Some((_, sum)) => *sum += ns,
            None => self.behind.push((ahead, ns)),
        }
    }
}

/// A wait of one of the workers, as far as it lies in the stretch of time that is read.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    /// When it began, maybe long before.
    since: i64,
    begin: i64,
    end: i64,
    worker: usize,
    resource: Resource,
    /// How long it stood behind others so far.
    stood: i64,
}

impl Wanted {
    const fn new(worker: usize, resource: Resource, begin: i64, end: i64) -> Self {
        Self {
            since: begin,
            begin,
            end,
            worker,
            resource,
            stood: 0,
        }
    }
}

/// Where `workers` waited for the same thing at the same time, of what lies between `begin` and `end`
/// of their lives.
///
/// # Errors
/// Where the store cannot be read.
pub fn together(
    store: &Store,
    workers: &[u32],
    begin: i64,
    end: i64,
) -> Result<Together, StoreError> {
    let lives: Vec<(i64, i64)> = workers
        .iter()
        .map(|&worker| {
            let life = life(store, worker);
            life.map_or((begin, end), |(from, to)| (from.max(begin), to.min(end)))
        })
        .collect();
    let there = lives.iter().filter(|(from, to)| from < to);
    let begin = there.clone().map(|(from, _)| *from).min().unwrap_or(begin);
    let end = there.map(|(_, to)| *to).max().unwrap_or(begin);
    let took: Vec<i64> = lives.iter().map(|(_, to)| to - begin).collect();
    let mut windows = Windows::new(store, begin, end);
    let mut queues = Queues::default();
    let mut from = begin;
    for to in windows.ends(end) {
        queues.take(wanted(&mut windows, workers, from, to)?);
        from = to;
    }
    Ok(Together {
        begin,
        end,
        shared: queues.shared(&took),
    })
}

/// The waits of the workers in a stretch of time that is read at once.
fn wanted(
    windows: &mut Windows<'_>,
    workers: &[u32],
    begin: i64,
    end: i64,
) -> Result<Vec<Wanted>, StoreError> {
    let store = windows.store();
    let mut wanted: Vec<Wanted> = Vec::new();
    for (place, &worker) in workers.iter().enumerate() {
        for stretch in windows.line(worker, end)?.iter() {
            let (from, to) = (stretch.begin.max(begin), stretch.end.min(end));
            let resource = resource(store, stretch).filter(|_| from < to);
            let Some(resource) = resource else { continue };
            match wanted.last_mut() {
                Some(last)
                    if last.worker == place && last.resource == resource && last.end >= from =>
                {
                    last.end = to.max(last.end);
                }
                _ => wanted.push(Wanted::new(place, resource, from, to)),
            }
        }
    }
    Ok(wanted)
}

fn resource(store: &Store, stretch: &Stretch) -> Option<Resource> {
    if !stretch.state.is_wait() {
        return None;
    }
    let cause = Cause::from_code(store.doing(stretch.done.doing).cause);
    let by = u32::try_from(stretch.done.by).ok();
    let record = store.entities().get(stretch.whose as usize)?;
    let kind = by
        .and_then(|by| store.entities().get(by as usize))
        .map(|e| e.kind);
    match cause {
        Some(Cause::Disk) if kind == Some(Kind::Device.code()) => by.map(Resource::Entity),
        Some(Cause::Disk) => record.vm.map(Resource::DisksOf),
        Some(Cause::Task) => by.map(Resource::Entity),
        _ => None,
    }
}

/// How workers stood in each other's way, up to the end of one stretch of time after the other.
#[derive(Default)]
struct Queues {
    all: BTreeMap<Resource, Queue>,
    /// The last wait of each worker, which may go on.
    last: BTreeMap<usize, Wanted>,
}

/// The same at one resource.
#[derive(Default)]
struct Queue {
    together_ns: i64,
    workers: BTreeMap<usize, Waiter>,
}

impl Queues {
    /// Takes the waits of the next stretch of time: of each worker one after the other.
    fn take(&mut self, mut waits: Vec<Wanted>) {
        for wait in &mut waits {
            let last = self.last.remove(&wait.worker);
            let goes_on = |last: &Wanted| last.resource == wait.resource && last.end == wait.begin;
            if let Some(last) = last.filter(goes_on) {
                (wait.since, wait.stood) = (last.since, last.stood);
            }
        }
        waits.sort_by_key(|w| (w.resource, w.since, w.worker));
        for group in waits.chunk_by_mut(|a, b| a.resource == b.resource) {
            if let Some(first) = group.first() {
                self.all.entry(first.resource).or_default().take(group);
            }
        }
        waits.sort_by_key(|w| w.end);
        self.last = waits.into_iter().map(|w| (w.worker, w)).collect();
    }

    /// What was found, where each worker went on for so long after the begin; most first.
    fn shared(self, took: &[i64]) -> Vec<Shared> {
        let all = self.all.into_iter();
        let several = all.filter(|(_, queue)| queue.together_ns > 0);
        let mut out: Vec<Shared> = several
            .map(|(resource, queue)| queue.shared(resource, took))
            .collect();
        out.sort_by_key(|s| (std::cmp::Reverse(s.together_ns), s.resource));
        out
    }
}

impl Queue {
    /// Whoever began first is served until its wait ends, then who began next. The waits are in the
    /// order in which they began.
    fn take(&mut self, waits: &mut [Wanted]) {
        let mut told_until = i64::MIN;
        // Those that began earlier and still wait, and until when.
        let mut ahead: Vec<(usize, i64)> = Vec::new();
        for wait in waits {
            let own = self.workers.entry(wait.worker).or_default();
            ahead.retain(|(_, end)| *end > wait.begin);
            let mut served = wait.begin;
            for &(earlier, end) in &ahead {
                let until = end.min(wait.end);
                if until > served && earlier != wait.worker {
                    own.stood(earlier, until - served);
                    served = until;
                }
            }
            ahead.push((wait.worker, wait.end));
            own.waited_ns += wait.end - wait.begin;
            own.queued_ns += served - wait.begin;
            wait.stood += served - wait.begin;
            if wait.stood > own.longest_ns {
                (own.longest_ns, own.longest_begin) = (wait.stood, wait.since);
            }
            self.together_ns += (served - wait.begin.max(told_until)).max(0);
            told_until = told_until.max(served);
        }
    }

    fn shared(mut self, resource: Resource, took: &[i64]) -> Shared {
        let own = (0..took.len()).map(|worker| self.workers.remove(&worker));
        let mut workers: Vec<Waiter> = own.map(Option::unwrap_or_default).collect();
        for own in &mut workers {
            let most_first = |&(worker, ns): &(usize, i64)| (std::cmp::Reverse(ns), worker);
            own.behind.sort_by_key(most_first);
        }
        let without = workers.iter().zip(took);
        let without = without.map(|(own, took)| took.saturating_sub(own.queued_ns));
        Shared {
            resource,
            together_ns: self.together_ns,
            at_least_ns: without.max().unwrap_or(0),
            workers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(worker: usize, resource: u32, begin: i64, end: i64) -> Wanted {
        Wanted::new(worker, Resource::Entity(resource), begin, end)
    }

    fn shared(waits: Vec<Wanted>, took: &[i64]) -> Vec<Shared> {
        let mut queues = Queues::default();
        queues.take(waits);
        queues.shared(took)
    }

    /// How long each waited, and of that behind another.
    fn queued(shared: &Shared) -> Vec<(i64, i64)> {
        let workers = shared.workers.iter();
        workers.map(|own| (own.waited_ns, own.queued_ns)).collect()
    }

    #[test]
    fn who_comes_second_is_held_up_until_the_first_is_served() {
        // Both want 7: the second stands behind the first for 10, the first behind it for 5.
        let waits = vec![
            wait(0, 7, 0, 20),
            wait(1, 7, 10, 30),
            wait(0, 7, 25, 40),
            wait(0, 8, 50, 60),
            wait(1, 9, 50, 60),
        ];
        let found = shared(waits, &[100, 100]);
        let [only] = &found[..] else {
            panic!("{found:?}")
        };
        assert_eq!(only.resource, Resource::Entity(7));
        assert_eq!(only.together_ns, 15);
        assert_eq!(queued(only), [(35, 5), (20, 10)]);
        assert_eq!(only.at_least_ns, 95);
    }

    #[test]
    fn who_stood_behind_whom_adds_up() {
        // The first is served until 20, then the second until 50, then the third.
        let waits = vec![
            wait(0, 7, 0, 20),
            wait(1, 7, 10, 50),
            wait(2, 7, 12, 60),
            wait(0, 7, 30, 90),
        ];
        let found = shared(waits, &[100, 100, 100]);
        let workers = &found[0].workers;
        let behind: Vec<_> = workers.iter().map(|own| &own.behind[..]).collect();
        let expected: [&[(usize, i64)]; 3] = [&[(1, 20), (2, 10)], &[(0, 10)], &[(1, 30), (0, 8)]];
        assert_eq!(behind, expected);
        for own in workers {
            assert_eq!(
                own.behind.iter().map(|(_, ns)| ns).sum::<i64>(),
                own.queued_ns
            );
        }
        let longest = workers
            .iter()
            .map(|own| (own.longest_ns, own.longest_begin));
        assert_eq!(longest.collect::<Vec<_>>(), [(30, 30), (10, 10), (38, 12)]);
        assert_eq!(found[0].together_ns, 50);
    }

    #[test]
    fn who_ended_long_before_does_not_set_the_time() {
        // The first never stands behind another, but is gone when the second ends.
        let waits = vec![wait(0, 7, 0, 40), wait(1, 7, 0, 50)];
        let found = shared(waits, &[45, 100]);
        assert_eq!(queued(&found[0]), [(40, 0), (50, 40)]);
        assert_eq!(found[0].at_least_ns, 60);
    }

    #[test]
    fn it_does_not_matter_where_what_is_read_ends() {
        let waits = [
            wait(0, 7, 0, 20),
            wait(1, 7, 10, 50),
            wait(2, 7, 12, 60),
            wait(0, 7, 30, 90),
            wait(1, 8, 50, 80),
            wait(2, 8, 60, 95),
        ];
        let took = [100, 100, 100];
        let whole = shared(waits.to_vec(), &took);
        assert_eq!(whole.len(), 2);
        for step in 1..100 {
            let mut queues = Queues::default();
            for from in (0..100).step_by(step) {
                let to = from + i64::try_from(step).unwrap();
                let part = waits.iter().map(|w| Wanted {
                    since: w.begin.max(from),
                    begin: w.begin.max(from),
                    end: w.end.min(to),
                    ..*w
                });
                queues.take(part.filter(|w| w.begin < w.end).collect());
            }
            assert_eq!(queues.shared(&took), whole, "{step}");
        }
    }

    #[test]
    fn one_after_the_other_is_not_together() {
        let took = [100, 100];
        assert!(shared(vec![wait(0, 7, 0, 20), wait(1, 7, 20, 30)], &took).is_empty());
        assert!(shared(vec![wait(0, 7, 0, 20), wait(0, 7, 10, 30)], &took).is_empty());
    }
}
