//! `virtflow critical-path`: whose time it was while a piece of work waited.

use crate::analyze::analysed;
use crate::args::{CriticalPathArgs, PathFormat, UsageError};
use crate::output::{self, duration, duration_cell, number, share};
use crate::page::Page;
use crate::table::{Table, Tone};
use crate::{Finish, range};
use anyhow::Context;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use virtflow_base::Span;
use virtflow_query::store::{Store, facts};
use virtflow_query::{Cause, CriticalPath, Done, Facts, State, Who, critical_path, sums, workers};

/// Names that are offered when several fit.
const OFFERED: usize = 8;
/// The version of the JSON.
const VERSION: u32 = 1;

pub(crate) fn run(args: &CriticalPathArgs) -> anyhow::Result<Finish> {
    let scratch = tempfile::tempdir().context("no place for the analysis")?;
    let store = analysed(&args.trace, args.no_cache, scratch.path())?;
    let told = facts(&store)?;
    let found = workers(&store, &args.of);
    let who = Who::new(&store);
    let Some(&worker) = found.first() else {
        let what = "no thread, vCPU or guest process has that number, key or name";
        return Err(UsageError(format!("--of {}: {what}", args.of)).into());
    };
    let Some(entity) = store.entities().get(worker as usize) else {
        return Ok(Finish::Incomplete);
    };
    let span = range::of(args.range.as_deref(), &told, args.local)?;
    let span = span
        .intersect(Span::new(
            virtflow_base::Timestamp::from_nanos(entity.begin_ns),
            virtflow_base::Timestamp::from_nanos(entity.end_ns),
        ))
        .ok_or_else(|| UsageError(format!("{} does not live in that range", entity.key)))?;
    let (begin, end) = (span.start.as_nanos(), span.end.as_nanos());
    let path = critical_path(&store, worker, begin, end)?;
    let shown = Shown {
        store: &store,
        who: &who,
        path: &path,
        worker,
        begin,
        end,
        // Where the trace begins, from which times are told.
        origin: told
            .iter()
            .filter_map(|f| f.begin_ns)
            .min()
            .unwrap_or(begin),
    };
    match args.format {
        PathFormat::Json => output::json(&shown.json())?,
        PathFormat::Dot => {
            let mut out = std::io::stdout().lock();
            out.write_all(shown.dot().as_bytes())?;
        }
        PathFormat::Text => shown.page(args, &found).print()?,
    }
    Ok(if told.iter().all(Facts::is_complete) {
        Finish::Complete
    } else {
        Finish::Incomplete
    })
}

/// A path and what is needed to tell of it.
struct Shown<'a> {
    store: &'a Store,
    who: &'a Who<'a>,
    path: &'a CriticalPath,
    worker: u32,
    begin: i64,
    end: i64,
    origin: i64,
}

/// One step, for programs.
#[derive(Serialize)]
struct JsonStep<'a> {
    begin_ns: i64,
    end_ns: i64,
    key: &'a str,
    name: String,
    state: &'a str,
    cause: &'a str,
    by_key: &'a str,
    depth: usize,
    woke_key: &'a str,
}

/// A sum, for programs.
#[derive(Serialize)]
struct JsonSum<'a> {
    key: &'a str,
    name: String,
    state: &'a str,
    cause: &'a str,
    ns: i64,
    share: f64,
    steps: u64,
    longest_ns: i64,
    longest_begin_ns: i64,
}

/// All of it, for programs.
#[derive(Serialize)]
struct Json<'a> {
    format: &'static str,
    version: u32,
    key: &'a str,
    name: String,
    begin_ns: i64,
    end_ns: i64,
    unknown_ns: i64,
    against_causality: u64,
    sums: Vec<JsonSum<'a>>,
    steps: Vec<JsonStep<'a>>,
}

impl<'a> Shown<'a> {
    fn key(&self, entity: u32) -> &'a str {
        let entity = self.store.entities().get(entity as usize);
        entity.map_or("", |e| e.key.as_str())
    }

    /// State and cause of what was done.
    fn words(&self, what: Option<(u8, u8)>) -> (&'static str, &'static str) {
        let Some((state, cause)) = what else {
            return ("unknown", "");
        };
        let state = State::from_code(state).map_or("unknown", State::as_str);
        (state, Cause::from_code(cause).map_or("", Cause::as_str))
    }

    /// Both, for people.
    fn did(&self, what: Option<(u8, u8)>) -> String {
        match self.words(what) {
            (state, "") => state.to_owned(),
            (state, cause) => format!("{state}: {cause}"),
        }
    }

    fn codes(&self, what: &Done) -> (u8, u8) {
        let doing = self.store.doing(what.doing);
        (doing.state, doing.cause)
    }

    fn whole(&self) -> i64 {
        self.end.saturating_sub(self.begin)
    }

    fn unknown_ns(&self) -> i64 {
        let unknown = |what: &Option<Done>| {
            what.is_none_or(|what| self.codes(&what).0 == State::Unknown.code())
        };
        let steps = self.path.steps.iter().filter(|step| unknown(&step.what));
        steps.map(|step| step.end - step.begin).sum()
    }

    fn json(&self) -> Json<'a> {
        let steps = self.path.steps.iter().map(|step| {
            let (state, cause) = self.words(step.what.as_ref().map(|what| self.codes(what)));
            let by = step.what.and_then(|what| u32::try_from(what.by).ok());
            JsonStep {
                begin_ns: step.begin,
                end_ns: step.end,
                key: self.key(step.worker),
                name: self.who.name(step.worker),
                state,
                cause,
                by_key: by.map_or("", |by| self.key(by)),
                depth: step.depth,
                woke_key: step.woke.map_or("", |woke| self.key(woke)),
            }
        });
        let sums = sums(self.path, |what| self.codes(what))
            .into_iter()
            .map(|sum| {
                let (state, cause) = self.words(sum.what);
                JsonSum {
                    key: self.key(sum.worker),
                    name: self.who.name(sum.worker),
                    state,
                    cause,
                    ns: sum.ns,
                    share: sum.ns as f64 / self.whole().max(1) as f64,
                    steps: sum.steps,
                    longest_ns: sum.longest_ns,
                    longest_begin_ns: sum.longest_begin,
                }
            });
        Json {
            format: "virtflow-critical-path",
            version: VERSION,
            key: self.key(self.worker),
            name: self.who.name(self.worker),
            begin_ns: self.begin,
            end_ns: self.end,
            unknown_ns: self.unknown_ns(),
            against_causality: self.path.against_causality,
            sums: sums.collect(),
            steps: steps.collect(),
        }
    }

    /// Workers, and how often each woke which.
    fn dot(&self) -> String {
        let mut times: BTreeMap<u32, i64> = BTreeMap::new();
        let mut wakes: BTreeMap<(u32, u32), u64> = BTreeMap::new();
        for step in &self.path.steps {
            *times.entry(step.worker).or_default() += step.end - step.begin;
            if let Some(woke) = step.woke {
                *wakes.entry((step.worker, woke)).or_default() += 1;
            }
        }
        let mut out =
            String::from("digraph \"critical path\" {\n  rankdir=LR; node [shape=box];\n");
        for (worker, ns) in times {
            let name = self.who.name(worker).replace(['"', '\\'], "'");
            let ns = format!("{}, {}", duration(ns), share(ns, self.whole()));
            out.push_str(&format!("  n{worker} [label=\"{name}\\n{ns}\"];\n"));
        }
        for ((from, to), count) in wakes {
            out.push_str(&format!("  n{from} -> n{to} [label=\"{count}\"];\n"));
        }
        out.push_str("}\n");
        out
    }

    fn page(&self, args: &CriticalPathArgs, found: &[u32]) -> Page {
        let mut page = Page::default();
        let name = self.who.name(self.worker);
        page.line(Tone::Strong, &format!("virtflow critical-path: {name}"));
        page.fact("key", self.key(self.worker));
        page.fact("elapsed", &self.elapsed());
        if found.len() > 1 {
            let others = found.iter().skip(1).take(OFFERED).map(|&e| self.key(e));
            let others = others.collect::<Vec<_>>().join(", ");
            page.fact("others", &format!("{others} (--of KEY chooses)"));
        }
        if self.path.against_causality > 0 {
            let text = format!(
                "{} wake-ups were not followed: their waker did not run at the time",
                number(self.path.against_causality)
            );
            page.paragraph(Tone::Warning, &text);
        }
        page.heading(Tone::Strong, "WHOSE TIME IT WAS");
        let mut table = Table::new(2, ["who", "did what", "time", "share", "times", "longest"]);
        let all = sums(self.path, |what| self.codes(what));
        for sum in all.iter().take(args.top) {
            let what = self.did(sum.what);
            let own = sum.worker == self.worker;
            let tone = if own { Tone::Strong } else { Tone::Plain };
            table.row(
                tone,
                [
                    self.who.name(sum.worker),
                    what,
                    duration_cell(sum.ns),
                    share(sum.ns, self.whole()),
                    number(sum.steps),
                    duration_cell(sum.longest_ns),
                ],
            );
        }
        page.table(&table);
        self.left_out(&mut page, all.len(), args.top);
        page.heading(Tone::Strong, "THE LONGEST STEPS");
        let mut table = Table::new(3, ["at", "who", "did what", "for"]);
        let mut steps: Vec<_> = self.path.steps.iter().collect();
        steps.sort_by_key(|step| (std::cmp::Reverse(step.end - step.begin), step.begin));
        for step in steps.iter().take(args.top.min(10)) {
            let what = self.did(step.what.as_ref().map(|what| self.codes(what)));
            let at = format!("+{:.6} s", (step.begin - self.origin) as f64 / 1e9);
            let cells = [
                at,
                self.who.name(step.worker),
                what,
                duration_cell(step.end - step.begin),
            ];
            table.row(Tone::Plain, cells);
        }
        page.table(&table);
        if let Some(step) = steps.first() {
            let from = (step.begin - self.origin) as f64 / 1e9;
            let to = (step.end - self.origin) as f64 / 1e9;
            page.gap();
            let next = format!(
                "next: virtflow critical-path {} --of {} --range {from:.6}s..{to:.6}s",
                args.trace.display(),
                self.key(step.worker)
            );
            page.line(Tone::Faint, &next);
        }
        page
    }

    fn elapsed(&self) -> String {
        let from = (self.begin - self.origin) as f64 / 1e9;
        let to = (self.end - self.origin) as f64 / 1e9;
        format!(
            "{} (+{from:.6} s to +{to:.6} s), {} of it unknown, {} steps",
            duration(self.whole()),
            share(self.unknown_ns(), self.whole()),
            number(self.path.steps.len() as u64)
        )
    }

    fn left_out(&self, page: &mut Page, all: usize, top: usize) {
        if all > top {
            let more = format!("and {} more rows (--top)", all - top);
            page.paragraph(Tone::Faint, &more);
        }
    }
}
