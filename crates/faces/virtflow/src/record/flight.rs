//! `virtflow record --flight-recorder`: when what is in memory is written, where, and what of it stays.

use super::said;
use crate::args::RecordArgs;
use crate::output;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use virtflow_record::{Next, Snapshot, Summary};

/// The traces that a flight recorder writes.
pub(super) struct Snapshots {
    directory: PathBuf,
    is_flight: bool,
    window: Duration,
    /// How many are kept.
    keep: usize,
    /// How many were asked for.
    asked: u32,
    /// How many were told of.
    told: usize,
    /// Of how many that could not be written.
    unwritten: usize,
    /// Those that are there.
    there: VecDeque<Snapshot>,
    /// When one was last written because of a delay.
    last: Option<Instant>,
}

impl Snapshots {
    pub(super) fn new(args: &RecordArgs, directory: PathBuf) -> Self {
        Self {
            directory,
            is_flight: args.flight_recorder.is_some(),
            window: args.flight_recorder.unwrap_or_default(),
            keep: args.keep as usize,
            asked: 0,
            told: 0,
            unwritten: 0,
            there: VecDeque::new(),
            last: None,
        }
    }

    /// What to do, where `is_asked` says whether somebody wants a trace now.
    pub(super) fn next(&mut self, summary: &Summary, is_asked: bool) -> Next {
        self.take(summary);
        if !self.is_flight {
            return Next::Go;
        }
        let delay = summary.delay.as_ref().filter(|_| self.counts());
        if let Some(delay) = delay {
            output::complain(&format!(
                "virtflow: thread {}{} waited {} for a processor",
                delay.tid,
                named(delay.tid),
                output::duration(i64::try_from(delay.waited.as_nanos()).unwrap_or(i64::MAX)),
            ));
        }
        if !is_asked && delay.is_none() {
            return Next::Go;
        }
        if delay.is_some() {
            self.last = Some(Instant::now());
        }
        self.asked += 1;
        let name = format!(
            "{}-{}",
            self.asked,
            jiff::Zoned::now().strftime("%Y%m%d-%H%M%S")
        );
        Next::Snapshot(self.directory.join(name))
    }

    /// Whether nothing was written for another delay in what would be written now.
    fn counts(&self) -> bool {
        self.last.is_none_or(|last| last.elapsed() >= self.window)
    }

    /// Takes note of what was written since.
    fn take(&mut self, summary: &Summary) {
        for new in summary.snapshots.iter().skip(self.told) {
            output::complain(&format!("virtflow: {}", said::snapshot(new)));
            self.there.push_back(new.clone());
        }
        self.told = summary.snapshots.len();
        for error in summary.unwritten.iter().skip(self.unwritten) {
            output::complain(&format!("virtflow: warning: not written: {error}"));
        }
        self.unwritten = summary.unwritten.len();
        while self.there.len() > self.keep {
            if let Some(old) = self.there.pop_front()
                && let Err(error) = std::fs::remove_dir_all(&old.directory)
            {
                let what = old.directory.display();
                output::complain(&format!("virtflow: warning: {what}: {error}"));
            }
        }
    }

    /// Leaves those that are there.
    pub(super) fn told(mut self, summary: &mut Summary) {
        self.take(summary);
        summary.snapshots = self.there.into();
    }
}

/// What a thread is called, where it still is.
fn named(tid: i32) -> String {
    let name = std::fs::read_to_string(format!("/proc/{tid}/comm"));
    name.map_or_else(|_| String::new(), |name| format!(" ({})", name.trim()))
}
