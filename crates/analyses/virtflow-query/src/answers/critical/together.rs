//! What several workers wait for at the same time: work in parallel that is not.

use super::windows::{Stretch, Windows};
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

/// A wait of one of the workers.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    begin: i64,
    end: i64,
    worker: usize,
    resource: Resource,
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
            let life = store.entities().get(worker as usize);
            life.map_or((begin, end), |e| (e.begin_ns.max(begin), e.end_ns.min(end)))
        })
        .collect();
    let there = lives.iter().filter(|(from, to)| from < to);
    let begin = there.clone().map(|(from, _)| *from).min().unwrap_or(begin);
    let end = there.map(|(_, to)| *to).max().unwrap_or(begin);
    let wanted = wanted(store, workers, begin, end)?;
    let took: Vec<i64> = lives.iter().map(|(_, to)| to - begin).collect();
    Ok(Together {
        begin,
        end,
        shared: shared(wanted, &took),
    })
}

/// The waits of the workers.
fn wanted(store: &Store, workers: &[u32], begin: i64, end: i64) -> Result<Vec<Wanted>, StoreError> {
    let mut windows = Windows::new(store, begin, end);
    let mut wanted = Vec::new();
    for (place, &worker) in workers.iter().enumerate() {
        for at in windows.ends(end) {
            for stretch in windows.line(worker, at)?.iter() {
                let (from, to) = (stretch.begin.max(begin), stretch.end.min(at));
                let resource = resource(store, worker, stretch).filter(|_| from < to);
                let Some(resource) = resource else { continue };
                match wanted.last_mut() {
                    // The same wait, cut where what is read ends.
                    Some(Wanted {
                        end,
                        worker,
                        resource: last,
                        ..
                    }) if *worker == place && *last == resource && *end >= from => {
                        *end = to.max(*end);
                    }
                    _ => wanted.push(Wanted {
                        begin: from,
                        end: to,
                        worker: place,
                        resource,
                    }),
                }
            }
        }
    }
    Ok(wanted)
}

fn resource(store: &Store, worker: u32, stretch: &Stretch) -> Option<Resource> {
    if !stretch.state.is_wait() {
        return None;
    }
    let cause = Cause::from_code(store.doing(stretch.done.doing).cause);
    let by = u32::try_from(stretch.done.by).ok();
    let record = store.entities().get(worker as usize)?;
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

/// Of waits, and of how long after the begin each worker went on.
fn shared(mut wanted: Vec<Wanted>, took: &[i64]) -> Vec<Shared> {
    wanted.sort_by_key(|w| (w.resource, w.begin, w.worker));
    let mut out = Vec::new();
    for group in wanted.chunk_by(|a, b| a.resource == b.resource) {
        let Some(first) = group.first() else { continue };
        let (workers, together_ns) = stood(group, took.len());
        let several = workers.iter().filter(|own| own.waited_ns > 0).count() > 1;
        if several && together_ns > 0 {
            let without = workers.iter().zip(took);
            let without = without.map(|(own, took)| took.saturating_sub(own.queued_ns));
            out.push(Shared {
                resource: first.resource,
                together_ns,
                at_least_ns: without.max().unwrap_or(0),
                workers,
            });
        }
    }
    out.sort_by_key(|s| (std::cmp::Reverse(s.together_ns), s.resource));
    out
}

/// How long each worker waited for one thing, and how long two or more did: whoever began first is
/// served until its wait ends, then who began next. The waits are in the order of their begins.
fn stood(waits: &[Wanted], workers: usize) -> (Vec<Waiter>, i64) {
    let mut all = vec![Waiter::default(); workers];
    let mut together_ns = 0;
    let mut told_until = i64::MIN;
    // Those that began earlier and still wait; a worker has one wait at a time.
    let mut ahead: Vec<&Wanted> = Vec::new();
    for wait in waits {
        let Some(own) = all.get_mut(wait.worker) else {
            continue;
        };
        ahead.retain(|earlier| earlier.end > wait.begin);
        let mut served = wait.begin;
        for earlier in &ahead {
            let until = earlier.end.min(wait.end);
            if until > served {
                own.stood(earlier.worker, until - served);
                served = until;
            }
        }
        ahead.push(wait);
        let queued = served - wait.begin;
        own.waited_ns += wait.end - wait.begin;
        own.queued_ns += queued;
        if queued > own.longest_ns {
            (own.longest_ns, own.longest_begin) = (queued, wait.begin);
        }
        together_ns += (served - wait.begin.max(told_until)).max(0);
        told_until = told_until.max(served);
    }
    for own in &mut all {
        own.behind
            .sort_by_key(|&(worker, ns)| (std::cmp::Reverse(ns), worker));
    }
    (all, together_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(worker: usize, resource: u32, begin: i64, end: i64) -> Wanted {
        Wanted {
            begin,
            end,
            worker,
            resource: Resource::Entity(resource),
        }
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
    fn one_after_the_other_is_not_together() {
        let took = [100, 100];
        assert!(shared(vec![wait(0, 7, 0, 20), wait(1, 7, 20, 30)], &took).is_empty());
        assert!(shared(vec![wait(0, 7, 0, 20), wait(0, 7, 10, 30)], &took).is_empty());
    }
}
