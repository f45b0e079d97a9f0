//! Agreement 5: why a guest process waits.
//!
//! A true period is the time from when the last thread of a user process leaves the guest's CPUs until
//! one is back, if a `wake` row of that thread lies in it, and if all of it lies in the guest's window
//! without a loss window in it. The *last* such row gives the cause: from an interrupt, the class of
//! the last interrupt on the CPU that logged the row; by a user process, task; by a kernel thread, what
//! woke that thread, one step back (a kernel thread again, or nothing in the log: other).
//! Ours is the `waiting` row of a process with that CR3, on any of its lanes, that overlaps the period
//! most. A period without one, or with an empty or other cause, is an answer of its own and wrong.
//! `ready-in-guest` rows have no cause and do not answer. A class's precision is right answers among
//! the periods that got this answer.

use super::case::{Case, Guest};
use super::goals::{CAUSE_FOLDERS, CAUSE_LEAST, CAUSE_RECALL};
use super::ours::Row;
use super::report::{Agreement, Table, Verdict, percent_text};
use super::span::Ns;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Periods by (true cause, our answer).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Confusion(pub(crate) BTreeMap<(String, String), i64>);

impl Confusion {
    fn add(&mut self, truth: &str, ours: &str) {
        *self
            .0
            .entry((truth.to_owned(), ours.to_owned()))
            .or_default() += 1;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (pair, count) in &other.0 {
            *self.0.entry(pair.clone()).or_default() += count;
        }
    }

    fn sum(&self, keep: impl Fn(&str, &str) -> bool) -> i64 {
        self.0
            .iter()
            .filter(|((truth, ours), _)| keep(truth, ours))
            .map(|(_, count)| count)
            .sum()
    }

    fn classes(&self) -> BTreeSet<&str> {
        self.0.keys().map(|(truth, _)| truth.as_str()).collect()
    }

    /// Right answers and periods of a class.
    fn recall(&self, class: &str) -> (i64, i64) {
        (
            self.sum(|truth, ours| truth == class && ours == class),
            self.sum(|truth, _| truth == class),
        )
    }

    /// The classes that have enough periods to be averaged.
    fn large(&self) -> Vec<&str> {
        self.classes()
            .into_iter()
            .filter(|class| self.recall(class).1 >= CAUSE_LEAST)
            .collect()
    }

    /// Mean over the large classes of the recall, in per cent.
    #[expect(clippy::cast_precision_loss, reason = "for reading")]
    pub(crate) fn macro_recall(&self) -> Option<f64> {
        let large = self.large();
        let recall = |class: &&str| {
            let (right, n) = self.recall(class);
            right as f64 * 100.0 / n as f64
        };
        (!large.is_empty()).then(|| large.iter().map(recall).sum::<f64>() / large.len() as f64)
    }

    /// The macro recall of always saying timer.
    #[expect(clippy::cast_precision_loss, reason = "for reading")]
    fn baseline(&self) -> f64 {
        let large = self.large();
        if large.contains(&"timer") {
            100.0 / large.len() as f64
        } else {
            0.0
        }
    }

    pub(crate) fn table(&self, title: &str) -> Table {
        let headers = vec!["cause", "n", "precision", "recall", "answers instead"];
        let row = |class: &str| {
            let (right, n) = self.recall(class);
            let answered = self.sum(|_, ours| ours == class);
            let wrong = self
                .0
                .iter()
                .filter(|((truth, ours), _)| truth == class && ours != class);
            let wrong: Vec<_> = wrong
                .map(|((_, ours), count)| format!("{ours} {count}"))
                .collect();
            vec![
                class.to_owned(),
                n.to_string(),
                percent_text(right, answered),
                percent_text(right, n),
                wrong.join(", "),
            ]
        };
        Table {
            title: title.to_owned(),
            headers,
            rows: self.classes().into_iter().map(row).collect(),
        }
    }
}

pub(crate) fn guest_confusion(case: &Case, guest: &Guest) -> Confusion {
    let mut waiting: HashMap<u64, (Ns, Vec<&Row>)> = HashMap::new();
    for row in case
        .process_rows(guest)
        .filter(|row| &*row.state == "waiting")
    {
        let Some(cr3) = row.cr3 else { continue };
        let (longest, rows) = waiting.entry(cr3).or_default();
        *longest = (*longest).max(row.span.len());
        rows.push(row);
    }
    let mut out = Confusion::default();
    for wait in guest
        .log
        .waits
        .iter()
        .filter(|wait| guest.within.covers(wait.span))
    {
        let cr3 = guest.log.spaces[wait.space].cr3;
        let best = waiting.get(&cr3).and_then(|(longest, rows)| {
            let first = rows.partition_point(|row| row.span.start < wait.span.start - longest);
            let near = rows[first..]
                .iter()
                .take_while(|row| row.span.start < wait.span.end);
            let overlaps =
                near.filter_map(|row| Some((row.span.meet(wait.span)?.len(), &row.cause)));
            overlaps
                .max_by_key(|(overlap, _)| *overlap)
                .map(|(_, cause)| cause)
        });
        let answer = match best {
            None => "(missed)",
            Some(cause) if cause.is_empty() => "(no cause)",
            Some(cause) => cause,
        };
        out.add(&wait.class, answer);
    }
    out
}

pub(crate) fn agree(case: &Case) -> (Agreement, Confusion) {
    let binds = CAUSE_FOLDERS.contains(&case.name.as_str());
    let mut goal = format!(
        "macro recall of {CAUSE_RECALL} % over classes with n >= {CAUSE_LEAST}, and above always saying timer"
    );
    if !binds {
        goal = format!("none here; where it binds, {goal}");
    }
    let mut out = Agreement::new(5, "wait causes", goal);
    let mut all = Confusion::default();
    for guest in &case.guests {
        all.merge(&guest_confusion(case, guest));
    }
    let n = all.sum(|_, _| true);
    let right = all.sum(|truth, ours| truth == ours);
    if let Some(recall) = all.macro_recall() {
        let baseline = all.baseline();
        let only_timer = all.large() == ["timer"];
        let good = recall >= CAUSE_RECALL && (recall > baseline || only_timer);
        out.verdict = if binds {
            Verdict::of(good)
        } else {
            Verdict::Shown
        };
        out.score = format!("macro recall {recall:.1} % (always timer {baseline:.1} %)");
        out.figures.extend([
            ("macro_recall_percent".to_owned(), recall),
            ("baseline_percent".to_owned(), baseline),
        ]);
    } else if n > 0 {
        out.score = format!("{n} periods, no class with {CAUSE_LEAST} of them");
    }
    if n > 0 {
        let timers = percent_text(all.recall("timer").1, n);
        out.notes.push(format!(
            "right {} of {n} periods; always timer: {timers}",
            percent_text(right, n)
        ));
        out.tables.push(all.table(""));
    }
    out.figure("periods", n);
    out.figure("right", right);
    (out, all)
}
