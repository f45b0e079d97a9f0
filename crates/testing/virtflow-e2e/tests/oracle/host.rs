//! Processors, host threads and virtual processors: ours equal the truth to the nanosecond.

use super::case::Case;
use super::compare::{Difference, Tally, show, walk};
use super::lanes::{Lane, Row};

/// Compares all lanes of the host.
pub(crate) fn check(case: &Case, tally: &mut Tally) {
    for name in &case.misnamed {
        tally.add(("vm", "its thread's name", "its process's name"), 0, || {
            format!("  {}: {name}", case.name)
        });
    }
    for kind in ["cpu", "thread", "vcpu"] {
        for truth in case.truth.of(kind) {
            match case.ours.lanes.get(kind, truth.key) {
                Some(ours) => lane(case, ours, truth, tally),
                None => {
                    // A lane that nothing names cannot be known.
                    let named = truth.rows.len() > 1;
                    if named {
                        tally.add((kind, "no lane", "a lane"), 0, || truth.key.into());
                    }
                }
            }
        }
    }
}

fn lane(case: &Case, ours: &Lane, truth: &Lane, tally: &mut Tally) {
    let (begin, end) = case.common();
    let from = named_from(truth, begin);
    let culprits = Culprits::of(case, truth);
    walk(ours, truth, from, end, |at| {
        let (a, b) = (at.ours.label(), at.truth.label());
        if case.lossy(at.start) {
            // Inside a loss, what is not known must not be claimed.
            if at.ours.state == "unknown" || !at.ours.proved || at.ours.state == at.truth.state {
                return;
            }
            let a = format!("in loss: {}", at.ours.state);
            return tally.add((truth.kind, &a, at.truth.state), at.end - at.start, || {
                show(case, ours, truth, &at)
            });
        }
        tally.compared(truth.kind, at.end - at.start);
        if a != b {
            tally.add((truth.kind, &a, &b), at.end - at.start, || {
                show(case, ours, truth, &at)
            });
        } else if let Some((a, b)) = culprits.wrong(case, &at) {
            tally.add((truth.kind, &a, &b), at.end - at.start, || {
                show(case, ours, truth, &at)
            });
        }
    });
}

/// From when on a lane can be known: a virtual processor from its first entry, others from the
/// first event that names them.
fn named_from(truth: &Lane, begin: i64) -> i64 {
    let first = |row: &&Row| match truth.kind {
        "vcpu" => row.start >= begin && row.state == "guest",
        _ => row.start > begin,
    };
    truth
        .rows
        .iter()
        .find(first)
        .map_or(i64::MAX, |row| row.start)
}

/// Who has the processors that a lane's thread ran on.
struct Culprits<'a> {
    case: &'a Case,
    /// The thread's own key, by which processors name it.
    thread: String,
}

impl<'a> Culprits<'a> {
    fn of(case: &'a Case, truth: &Lane) -> Self {
        let thread = format!("thread:{}", truth.tid);
        Self { case, thread }
    }

    /// The processor whose lane names the thread at `t`.
    fn cpu_at(&self, t: i64) -> Option<&'a Lane> {
        let named = |cpu: &&Lane| cpu.at(t).is_some_and(|row| row.by == self.thread);
        self.case.truth.of("cpu").find(named)
    }

    /// What is wrong about whom we blame: whoever waits for a processor waits for the one it had
    /// or the one it gets, and for whoever is there.
    fn wrong(&self, case: &Case, at: &Difference) -> Option<(String, String)> {
        let blamed =
            matches!(at.ours.state, "preempted" | "runnable") && self.thread != "thread:-1";
        match at.ours.state {
            "sleeping" | "uninterruptible" => wrong_end(case, at),
            "halted" | "blocked-on-host" => wrong_waker(case, at),
            "running" if at.ours.by == thread_of(case, at.truth.by) => None,
            "running" => Some(("running by another".into(), "running".into())),
            _ if !blamed => None,
            _ => self.wrong_wait(case, at),
        }
    }

    fn wrong_wait(&self, case: &Case, at: &Difference) -> Option<(String, String)> {
        let state = at.truth.state;
        // At its beginning, whoever took the processor.
        if state == "preempted"
            && at.start == at.truth.start
            && at.ours.by != thread_of(case, at.truth.by)
        {
            return Some((
                "preempted by another".into(),
                "preempted by its taker".into(),
            ));
        }
        let had = self.last_before(at.truth.start);
        let gets = self.cpu_at(at.truth.end);
        let occupants = [had, gets].into_iter().flatten().map(|cpu| {
            let row = cpu.at(at.start);
            row.map_or("", |row| row.by)
        });
        let fits = had.is_none() || occupants.into_iter().any(|by| by == at.ours.by);
        (!fits).then(|| {
            let what = if at.ours.by.is_empty() {
                "nobody"
            } else {
                "another"
            };
            (
                format!("{state} by {what}"),
                format!("{state} by who is there"),
            )
        })
    }

    /// The processor that ran the thread last before `t`.
    fn last_before(&self, t: i64) -> Option<&'a Lane> {
        let last = |cpu: &Lane| {
            let before = cpu.rows.partition_point(|row| row.start < t);
            let ran = cpu.rows[..before].iter().rfind(|row| row.by == self.thread);
            ran.map(|row| row.end)
        };
        let cpus = self.case.truth.of("cpu");
        cpus.filter_map(|cpu| Some((last(cpu)?, cpu)))
            .max_by_key(|(end, _)| *end)
            .map(|(_, cpu)| cpu)
    }
}

/// What is wrong about what ended a sleep, of one whose end is seen.
fn wrong_end(case: &Case, at: &Difference) -> Option<(String, String)> {
    let (ours, truth) = (at.ours, at.truth);
    let told = |cause: &str, by: &str| {
        let by = if by.is_empty() { "" } else { " by somebody" };
        format!("{} ended by {cause}{by}", ours.state)
    };
    // After a loss nobody knows who runs until something says so.
    let unsaid = ours.cause == "no-evidence" && case.has_losses();
    if ours.end != truth.end || truth.cause.is_empty() || unsaid {
        return None;
    }
    // The truth tells what for, too, where a thread woke it: here it is the thread.
    let by = thread_of(case, truth.by);
    let cause = if by.is_empty() { truth.cause } else { "task" };
    if ours.cause != cause {
        return Some((told(ours.cause, ours.by), told(cause, by)));
    }
    (ours.by != by).then(|| (format!("{} ended by another", ours.state), told(cause, by)))
}

/// What is wrong about who woke a virtual processor.
fn wrong_waker(case: &Case, at: &Difference) -> Option<(String, String)> {
    let (ours, truth) = (at.ours, at.truth);
    if ours.end != truth.end || ours.by == thread_of(case, truth.by) {
        return None;
    }
    let told = |by: &str| {
        let by = if by.is_empty() { "nobody" } else { "somebody" };
        format!("{} ended by {by}", ours.state)
    };
    Some((told(ours.by), format!("{} else", told(truth.by))))
}

/// A virtual processor's key as its thread's.
fn thread_of(case: &Case, key: &'static str) -> &'static str {
    if !key.contains("/vcpu:") {
        return key;
    }
    let vcpu = case.truth.get("vcpu", key);
    vcpu.map_or(key, |lane| {
        super::lanes::word(&format!("thread:{}", lane.tid))
    })
}
