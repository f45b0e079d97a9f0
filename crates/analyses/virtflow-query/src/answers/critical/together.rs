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

/// How far workers stood in each other's way at one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// What.
    pub resource: Resource,
    /// Nanoseconds in which at least two waited for it.
    pub together_ns: i64,
    /// Nanoseconds that each worker waited for it, and of these while another one that had begun to
    /// wait earlier still waited: in the order of the workers.
    pub workers: Vec<(i64, i64)>,
}

impl Shared {
    /// How long all of it would have taken at least, of `whole`, had the resource served each at once:
    /// whoever was held up least sets the time.
    pub fn without(&self, whole: i64) -> i64 {
        let held_up = self.workers.iter().map(|(_, queued)| *queued).min();
        whole.saturating_sub(held_up.unwrap_or(0))
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

/// Where `workers` waited for the same thing at the same time, from `begin` to `end`; most first.
///
/// # Errors
/// Where the store cannot be read.
pub fn together(
    store: &Store,
    workers: &[u32],
    begin: i64,
    end: i64,
) -> Result<Vec<Shared>, StoreError> {
    let mut windows = Windows::new(store, begin, end);
    let mut wanted = Vec::new();
    for (place, &worker) in workers.iter().enumerate() {
        for at in windows.ends(end) {
            for stretch in windows.line(worker, at)?.iter() {
                let (from, to) = (stretch.begin.max(begin), stretch.end.min(at));
                let resource = resource(store, stretch).filter(|_| from < to);
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
    Ok(shared(wanted, workers.len()))
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

fn shared(mut wanted: Vec<Wanted>, workers: usize) -> Vec<Shared> {
    wanted.sort_by_key(|w| (w.resource, w.begin, w.worker));
    let mut out = Vec::new();
    for group in wanted.chunk_by(|a, b| a.resource == b.resource) {
        let Some(first) = group.first() else { continue };
        let mut shared = Shared {
            resource: first.resource,
            together_ns: 0,
            workers: vec![(0, 0); workers],
        };
        // Whoever began first is served until it ends; then who began next.
        let mut served_until = i64::MIN;
        let mut told_until = i64::MIN;
        for wait in group {
            let Some(sums) = shared.workers.get_mut(wait.worker) else {
                continue;
            };
            sums.0 += wait.end - wait.begin;
            let queued = served_until.min(wait.end).saturating_sub(wait.begin).max(0);
            sums.1 += queued;
            if queued > 0 {
                let (from, to) = (wait.begin.max(told_until), wait.begin + queued);
                shared.together_ns += (to - from).max(0);
                told_until = told_until.max(to);
            }
            served_until = served_until.max(wait.end);
        }
        let several = shared.workers.iter().filter(|(ns, _)| *ns > 0).count() > 1;
        if several && shared.together_ns > 0 {
            out.push(shared);
        }
    }
    out.sort_by_key(|s| (std::cmp::Reverse(s.together_ns), s.resource));
    out
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
        let found = shared(waits, 2);
        assert_eq!(
            found,
            [Shared {
                resource: Resource::Entity(7),
                together_ns: 15,
                workers: vec![(35, 5), (20, 10)],
            }]
        );
        assert_eq!(found[0].without(100), 95);
    }

    #[test]
    fn one_after_the_other_is_not_together() {
        assert!(shared(vec![wait(0, 7, 0, 20), wait(1, 7, 20, 30)], 2).is_empty());
        assert!(shared(vec![wait(0, 7, 0, 20), wait(0, 7, 10, 30)], 2).is_empty());
    }
}
