//! A recording, as if it happened now.

use super::engine::{Live, LiveOptions};
use super::view::View;
use crate::pipeline::{Feed, Progress, Prologue, bounds, followed, threads_beside};
use virtflow_base::{Problems, Timestamp};
use virtflow_events::{KernelRecord, Recording};

/// A watcher, and who wants its windows.
struct Watched<'a, F> {
    live: &'a mut Live,
    done: F,
}

impl<F: FnMut(View)> Feed for Watched<'_, F> {
    fn begin(&mut self, t: Timestamp) {
        self.live.begin(t);
    }

    fn know(&mut self, record: &KernelRecord) {
        self.live.know(record);
    }

    fn event(&mut self, t: Timestamp, record: &KernelRecord) {
        self.live.event(t, record, &mut self.done);
    }
}

/// Gives the windows of a machine's recording, as fast as `done` takes them, until it has ended or
/// `progress` says to stop; what was wrong with the input.
pub fn replay(
    recording: &Recording,
    machine: usize,
    mut options: LiveOptions,
    progress: &Progress,
    mut done: impl FnMut(View, &Live),
) -> (Live, Problems) {
    crate::clocks::align(recording);
    let coverage = recording.coverage(machine);
    let described = recording.described(machine);
    options.entry_probed = crate::pipeline::is_entry_probed(&described);
    options.vcpus_named = crate::pipeline::are_vcpus_named(&described);
    options.migrations_told = crate::pipeline::are_migrations_told(&described);
    let dumped = described.contains(&"lttng_statedump_process_state");
    let mut events = recording.kernel_events(machine, virtflow_model::reads, threads_beside());
    let mut live = Live::over(&coverage, options, followed(recording, machine));
    let mut prologue = Prologue::new(dumped);
    let mut last = bounds(&coverage).map_or(Timestamp::MIN, |(_, end)| end);
    let mut views = Vec::new();
    while let Some((_, run)) = events.next_run() {
        if progress.stopped() {
            break;
        }
        if let Some(event) = run.last() {
            last = last.max(event.time);
        }
        let mut watched = Watched {
            live: &mut live,
            done: |view| views.push(view),
        };
        prologue.take(run, &mut watched);
        for view in views.drain(..) {
            done(view, &live);
        }
    }
    let mut watched = Watched {
        live: &mut live,
        done: |view| views.push(view),
    };
    prologue.end(&mut watched);
    if !progress.stopped() {
        live.end(last, &mut |view| views.push(view));
    }
    for view in views.drain(..) {
        done(view, &live);
    }
    let mut problems = recording.problems();
    problems.merge(events.problems().clone());
    (live, problems)
}
