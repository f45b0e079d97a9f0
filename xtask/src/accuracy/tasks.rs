//! The guest's own scheduler log as lines of its threads, and the critical path through them: what a
//! tracer inside the guest would say of why something took so long.

use super::guestlog::{Log, LogRow, Who};
use super::span::{Ns, Span};
use std::collections::{BTreeMap, HashMap};
use virtflow_graph::{EndedBy, Lines, Path, Segment};

/// What a thread does, by its own kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Does {
    Runs,
    /// It wants the guest's processor.
    Ready,
    /// It waits, and what for; a task that has woken it is followed.
    Waits(Class),
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Class {
    Timer,
    Disk,
    Net,
    Console,
    Task,
    Other,
}

impl Class {
    pub(crate) fn parse(text: &str) -> Self {
        match text {
            "timer" => Self::Timer,
            "disk" => Self::Disk,
            "net" => Self::Net,
            "console" => Self::Console,
            "task" => Self::Task,
            _ => Self::Other,
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Timer => "timer",
            Self::Disk => "disk",
            Self::Net => "net",
            Self::Console => "console",
            Self::Task => "task",
            Self::Other => "other",
        }
    }
}

/// What a thread did, and as whom.
pub(crate) type Did = (Who, Does);

#[derive(Clone, Copy, Debug)]
struct Stretch {
    span: Span,
    did: Did,
    by: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
struct Now {
    since: Ns,
    does: Does,
    who: Who,
}

/// The lines of a guest's threads, by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    lines: BTreeMap<i64, Vec<Stretch>>,
    now: HashMap<i64, Now>,
    makers: HashMap<i64, i64>,
    /// When the log begins.
    begins: Option<Ns>,
}

impl Tasks {
    /// Takes a row of the log. `who` the threads are is known to the log's reader; `class` is what
    /// an interrupt was about.
    pub(crate) fn row(&mut self, row: &LogRow<'_>, who: Who, class: &str) {
        let begins = *self.begins.get_or_insert(row.at);
        if row.what == "wake" {
            // Who is woken has waited, since before the log.
            self.now.entry(row.a).or_insert(Now {
                since: begins,
                does: Does::Waits(Class::Other),
                who: Who::Kernel,
            });
        }
        match row.what {
            "switch" => {
                let blocked = row.state != 0 && row.state != 255;
                let does = if blocked {
                    Does::Waits(Class::Other)
                } else {
                    Does::Ready
                };
                self.becomes(row.a, row.at, does, None, None);
                self.becomes(row.b, row.at, Does::Runs, Some(who), None);
            }
            "wake" if self.waits(row.a) => {
                let (class, by) = if row.state == 1 {
                    (Class::parse(class), None)
                } else {
                    (Class::Task, Some(row.b))
                };
                if let Some(now) = self.now.get_mut(&row.a) {
                    now.does = Does::Waits(class);
                }
                self.becomes(row.a, row.at, Does::Ready, None, by);
            }
            "fork" => {
                self.makers.insert(row.b, row.a);
                self.lines.remove(&row.b);
                let now = Now {
                    since: row.at,
                    does: Does::Ready,
                    who,
                };
                self.now.insert(row.b, now);
            }
            "exec" => {
                if let Some(now) = self.now.get(&row.a).copied() {
                    self.becomes(row.a, row.at, now.does, Some(who), None);
                }
            }
            _ => {}
        }
    }

    fn waits(&self, pid: i64) -> bool {
        let now = self.now.get(&pid);
        now.is_some_and(|now| matches!(now.does, Does::Waits(_)))
    }

    fn becomes(&mut self, pid: i64, at: Ns, does: Does, who: Option<Who>, by: Option<i64>) {
        if pid == 0 {
            return;
        }
        let known = self.now.get(&pid).copied();
        if let Some(was) = known
            && was.since < at
        {
            self.lines.entry(pid).or_default().push(Stretch {
                span: Span::new(was.since, at),
                did: (was.who, was.does),
                by,
            });
        }
        let who = who.or(known.map(|was| was.who)).unwrap_or(Who::Kernel);
        self.now.insert(
            pid,
            Now {
                since: at,
                does,
                who,
            },
        );
    }

    pub(crate) fn finish(&mut self, at: Ns) {
        for pid in self.now.keys().copied().collect::<Vec<_>>() {
            let does = self.now[&pid].does;
            self.becomes(pid, at, does, None, None);
        }
    }
}

/// The lines as the graph asks for them.
struct TaskLines<'a>(&'a Tasks);

impl TaskLines<'_> {
    fn line(&self, pid: i64) -> &[Stretch] {
        self.0.lines.get(&pid).map_or(&[], Vec::as_slice)
    }
}

impl Lines for TaskLines<'_> {
    type Worker = i64;
    type What = Did;
    type Error = std::convert::Infallible;

    fn before(&mut self, pid: i64, t: i64) -> Result<Option<Segment<i64, Did>>, Self::Error> {
        let line = self.line(pid);
        let at = line.partition_point(|s| s.span.start < t);
        let last = at.checked_sub(1).and_then(|at| line.get(at));
        Ok(last.filter(|s| s.span.end >= t).map(|s| Segment {
            worker: pid,
            begin: s.span.start,
            end: s.span.end,
            what: s.did,
            blocked: matches!(s.did.1, Does::Waits(_)),
            runs: s.did.1 == Does::Runs,
            ended_by: s.by.map_or(EndedBy::Nothing, EndedBy::Worker),
        }))
    }

    fn born(&mut self, pid: i64) -> Result<Option<(i64, i64)>, Self::Error> {
        let first = self.line(pid).first().map(|s| s.span.start);
        Ok(first.zip(self.0.makers.get(&pid).copied()))
    }

    fn last_end(&mut self, pid: i64, t: i64) -> Result<Option<i64>, Self::Error> {
        let line = self.line(pid);
        let at = line.partition_point(|s| s.span.end <= t);
        Ok(at
            .checked_sub(1)
            .and_then(|at| line.get(at))
            .map(|s| s.span.end))
    }
}

/// The critical path of thread `pid`, by its own kernel.
pub(crate) fn path(log: &Log, pid: i64, span: Span) -> Path<i64, Did> {
    let mut lines = TaskLines(&log.tasks);
    match virtflow_graph::critical_path(&mut lines, pid, span.start, span.end) {
        Ok(path) => path,
        Err(never) => match never {},
    }
}

#[cfg(test)]
mod tests {
    use super::super::guestlog::tests::small;
    use super::*;

    #[test]
    fn the_guests_own_path_goes_through_who_woke_whom() {
        let log = small(0);
        let path = path(&log, 20, Span::new(100, 400));
        let (alpha, beta) = (Who::User(0), Who::User(1));
        let told: Vec<_> = path
            .steps
            .iter()
            .map(|s| (s.worker, s.what.unwrap(), s.begin, s.end))
            .collect();
        let (runs, ready) = (Does::Runs, Does::Ready);
        assert_eq!(
            told,
            [
                // A timer woke alpha, which then waited for the processor.
                (20, (alpha, Does::Waits(Class::Timer)), 100, 160),
                (20, (alpha, ready), 160, 200),
                (20, (alpha, runs), 200, 300),
                // A kernel thread woke it, which the disk had woken.
                (15, (Who::Kernel, Does::Waits(Class::Disk)), 300, 320),
                (15, (Who::Kernel, ready), 320, 330),
                (15, (Who::Kernel, runs), 330, 340),
                (20, (alpha, ready), 340, 350),
                (20, (alpha, runs), 350, 400),
            ]
        );
        let path = super::path(&log, 30, Span::new(100, 330));
        let last = path.steps.last().unwrap();
        assert_eq!(last.what, Some((beta, runs)));
        assert!(
            path.steps
                .iter()
                .any(|s| s.worker == 20 && s.woke == Some(30))
        );
    }
}
