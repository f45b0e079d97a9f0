//! `virtflow critical-path`: whose time it was while a piece of work waited.

mod groups;
mod json;

use crate::analyze::analysed;
use crate::args::{CriticalPathArgs, GrainArg, PathFormat, UsageError};
use crate::output::{self, duration, duration_cell, number, share};
use crate::page::Page;
use crate::table::{Table, Tone};
use crate::{Finish, range};
use anyhow::Context;
use json::Json;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use virtflow_base::{Span, Timestamp};
use virtflow_query::store::{Store, facts};
use virtflow_query::{
    Branch, Cause, Did, Done, Facts, Grain, Kind, PathNode, PathTold, Resource, State, Together,
    Waiter, Who, is_worker, life, members, together, workers,
};

/// Names that are offered when several fit.
const OFFERED: usize = 8;
/// The version of the JSON.
const VERSION: u32 = 1;
/// How far a row of the tree is set in at most.
const INDENT_MAX: usize = 12;

pub(crate) fn run(args: &CriticalPathArgs) -> anyhow::Result<Finish> {
    let scratch = tempfile::tempdir().context("no place for the analysis")?;
    let store = analysed(&args.traces, args.no_cache, scratch.path())?;
    let told = facts(&store)?;
    let who = Who::new(&store);
    let finish = if told.iter().all(Facts::is_complete) {
        Finish::Complete
    } else {
        Finish::Incomplete
    };
    // Where the trace begins, from which times are told.
    let origin = told.iter().filter_map(|f| f.begin_ns).min();
    let whole = range::of(args.range.as_deref(), &told, args.local)?;
    let wanted = if args.of.is_empty() {
        busiest(&store, &who, whole, args.top)?
    } else {
        args.of
            .iter()
            .map(|of| Wanted::new(&store, of))
            .collect::<anyhow::Result<_>>()?
    };
    let mut all = Vec::new();
    for wanted in &wanted {
        let span = within(&store, wanted.worker, whole)?;
        let grain = match args.grain {
            Some(GrainArg::Thread) => Grain::Thread,
            Some(GrainArg::Vcpu) => Grain::Vcpu,
            Some(GrainArg::Process) => Grain::Process,
            None => Grain::of(&store, wanted.worker),
        };
        let (begin, end) = (span.start.as_nanos(), span.end.as_nanos());
        all.push(Shown {
            store: &store,
            who: &who,
            told: PathTold::new(&store, wanted.worker, begin, end, grain)?,
            others: &wanted.others,
            members: members(&store, wanted.worker),
            origin: origin.unwrap_or(begin),
        });
    }
    let found = together_of(&store, &all, args.of.len())?;
    match (args.format, &all[..]) {
        (PathFormat::Json, [only]) if !args.of.is_empty() => output::json(&only.json())?,
        (PathFormat::Json, all) => output::json(&JsonPaths {
            format: "virtflow-critical-paths",
            version: VERSION,
            together: together_json(&store, all, &found),
            paths: all.iter().map(Shown::json).collect(),
        })?,
        (PathFormat::Dot, all) => {
            let mut out = std::io::stdout().lock();
            for shown in all {
                out.write_all(shown.dot().as_bytes())?;
            }
        }
        (PathFormat::Text, all) if args.of.is_empty() => overview(args, all).print()?,
        (PathFormat::Text, all) => {
            let mut page = Page::default();
            for (at, shown) in all.iter().enumerate() {
                if at > 0 {
                    page.gap();
                }
                shown.page(args, &mut page);
            }
            if all.len() > 1 {
                together_page(&store, &who, all, &found, &mut page);
            }
            page.print()?;
        }
    }
    Ok(finish)
}

/// A worker that somebody asked for.
struct Wanted {
    worker: u32,
    /// Others that fit.
    others: Vec<u32>,
}

impl Wanted {
    fn new(store: &Store, of: &str) -> anyhow::Result<Self> {
        let mut found = workers(store, of).into_iter();
        let Some(worker) = found.next() else {
            let what = "no thread, vCPU, guest process or container has that number, key or name";
            return Err(UsageError(format!("--of {of}: {what}")).into());
        };
        Ok(Self {
            worker,
            others: found.collect(),
        })
    }
}

/// The part of a worker's life that lies in a range.
fn within(store: &Store, worker: u32, range: Span) -> anyhow::Result<Span> {
    let Some((begin, end)) = life(store, worker) else {
        return Ok(range);
    };
    let life = Span::new(Timestamp::from_nanos(begin), Timestamp::from_nanos(end));
    let both = range.intersect(life);
    let key = store.entities().get(worker as usize).map(|e| &e.key);
    let key = key.map_or("", String::as_str);
    Ok(both.ok_or_else(|| UsageError(format!("{key} does not live in that range")))?)
}

/// The workers that did most, one line of them each: where to begin when nobody is asked for.
fn busiest(store: &Store, who: &Who<'_>, range: Span, top: usize) -> anyhow::Result<Vec<Wanted>> {
    let all = (0..).zip(store.entities());
    let some: Vec<u32> = all
        .filter(|(at, e)| is_worker(store, *at) && e.vcpu.is_none() || is_vcpu(e.kind))
        // A thread that is a vCPU stands there as that.
        .filter(|(at, _)| i32::try_from(*at).is_ok_and(|at| who.resolve(at) == at))
        .map(|(at, _)| at)
        .collect();
    let costs = store.budget(&some, range.start.as_nanos(), range.end.as_nanos())?;
    let mut busy: BTreeMap<u32, i64> = BTreeMap::new();
    for cost in &costs {
        let state = State::from_code(store.doing(cost.doing).state);
        if state.is_some_and(State::is_run) {
            *busy.entry(cost.lane.entity).or_default() += cost.ns;
        }
    }
    let mut busy: Vec<(u32, i64)> = busy.into_iter().filter(|(_, ns)| *ns > 0).collect();
    busy.sort_by_key(|&(worker, ns)| (std::cmp::Reverse(ns), worker));
    Ok(busy
        .into_iter()
        .take(top)
        .map(|(worker, _)| Wanted {
            worker,
            others: Vec::new(),
        })
        .collect())
}

/// One line per worker.
fn overview(args: &CriticalPathArgs, all: &[Shown<'_>]) -> Page {
    let mut page = Page::default();
    let title = format!("virtflow critical-path {}", args.traces);
    page.line(Tone::Strong, &title);
    page.heading(
        Tone::Strong,
        "THE BUSIEST WORKERS, AND WHAT ELSE THEIR TIME WAS",
    );
    let headings = [
        "worker",
        "rest, mostly",
        "for",
        "elapsed",
        "its own",
        "others'",
        "unknown",
    ];
    let contained = |shown: &Shown<'_>| shown.who.container(shown.told.worker).is_some();
    let has_containers = all.iter().any(contained);
    let part_of = has_containers.then(|| "part of".to_owned());
    let headings = with_places(headings.map(ToOwned::to_owned), 1, part_of);
    let mut table = Table::new(headings.len() - 5, headings);
    for shown in all {
        let told = &shown.told;
        let own = |sum: &&virtflow_query::Sum<u32, Did>| sum.worker == told.worker;
        let mine: i64 = told.sums.iter().filter(own).map(|sum| sum.ns).sum();
        let rest = told.sums.iter().find(|sum| !own(sum));
        let most = rest.map_or_else(String::new, |sum| shown.who.name(sum.worker));
        let took = rest.map_or(0, |sum| sum.ns);
        let cells = [
            shown.who.name(told.worker),
            most,
            share(took, told.whole()),
            duration_cell(told.whole()),
            share(mine, told.whole()),
            share(told.whole() - mine, told.whole()),
            share(told.unknown_ns, told.whole()),
        ];
        let part_of = has_containers.then(|| shown.part_of(told.worker));
        table.row(Tone::Plain, with_places(cells, 1, part_of));
    }
    page.table(&table);
    if let Some(first) = all.first() {
        page.gap();
        let trace = &args.traces;
        let next = format!(
            "next: virtflow critical-path {trace} --of {}",
            first.key(first.told.worker)
        );
        page.line(Tone::Faint, &next);
    }
    page
}

/// What several of those asked for waited for at the same time.
fn together_of(store: &Store, all: &[Shown<'_>], asked: usize) -> anyhow::Result<Together> {
    let begin = all.iter().map(|shown| shown.told.begin).min().unwrap_or(0);
    let end = all.iter().map(|shown| shown.told.end).max().unwrap_or(0);
    let workers: Vec<u32> = all.iter().map(|shown| shown.told.worker).collect();
    let several = if asked < 2 { &[] } else { &workers[..] };
    Ok(together(store, several, begin, end)?)
}

fn together_json<'a>(
    store: &'a Store,
    all: &[Shown<'a>],
    found: &Together,
) -> Vec<JsonTogether<'a>> {
    let each = found.shared.iter().map(|shared| {
        let (resource, entity) = match shared.resource {
            Resource::Entity(e) => ("entity", e),
            Resource::DisksOf(e) => ("disks-of", e),
        };
        let key = store.entities().get(entity as usize);
        let workers = shared.workers.iter().zip(all);
        let behind = |own: &Waiter| {
            let behind = own.behind.iter();
            let behind = behind.filter_map(|&(at, queued_ns)| {
                let ahead = all.get(at)?;
                Some(JsonBehind {
                    key: ahead.key(ahead.told.worker),
                    machine: ahead.machine(ahead.told.worker),
                    queued_ns,
                })
            });
            behind.collect()
        };
        JsonTogether {
            resource,
            key: key.map_or("", |e| e.key.as_str()),
            machine: machine_of(store, entity),
            elapsed_ns: found.whole(),
            together_ns: shared.together_ns,
            at_least_without_ns: shared.at_least_ns,
            workers: workers
                .map(|(own, shown)| JsonQueued {
                    key: shown.key(shown.told.worker),
                    machine: shown.machine(shown.told.worker),
                    waited_ns: own.waited_ns,
                    queued_ns: own.queued_ns,
                    behind: behind(own),
                })
                .collect(),
        }
    });
    each.collect()
}

/// How one worker stood behind others, for programs.
#[derive(Serialize)]
struct JsonQueued<'a> {
    key: &'a str,
    machine: &'a str,
    waited_ns: i64,
    queued_ns: i64,
    behind: Vec<JsonBehind<'a>>,
}

/// Whom it stood behind, for programs.
#[derive(Serialize)]
struct JsonBehind<'a> {
    key: &'a str,
    machine: &'a str,
    queued_ns: i64,
}

/// What was waited for together, for programs.
#[derive(Serialize)]
struct JsonTogether<'a> {
    resource: &'static str,
    key: &'a str,
    machine: &'a str,
    elapsed_ns: i64,
    together_ns: i64,
    at_least_without_ns: i64,
    workers: Vec<JsonQueued<'a>>,
}

/// Several paths, for programs.
#[derive(Serialize)]
struct JsonPaths<'a> {
    format: &'static str,
    version: u32,
    together: Vec<JsonTogether<'a>>,
    paths: Vec<Json<'a>>,
}

/// What those asked for waited for at the same time: of that, work in parallel wins nothing.
fn together_page(
    store: &Store,
    who: &Who<'_>,
    all: &[Shown<'_>],
    found: &Together,
    page: &mut Page,
) {
    page.heading(Tone::Strong, "WAITING FOR THE SAME");
    if found.shared.is_empty() {
        let text = "Never two of them at once for one disk, device or thread.";
        page.paragraph(Tone::Plain, text);
        return;
    }
    let whole = found.whole();
    for shared in found.shared.iter().take(OFFERED) {
        let what = match shared.resource {
            Resource::Entity(e) => who.name(e),
            Resource::DisksOf(vm) => format!("the disks of {}", who.name(vm)),
        };
        let text = format!(
            "{what}: {} of {} ({}) two or more wait. Had it served each at once, all of it would have taken {} at least: {:.2} times as fast at most.",
            duration(shared.together_ns),
            duration(whole),
            share(shared.together_ns, whole),
            duration(shared.at_least_ns),
            whole as f64 / shared.at_least_ns.max(1) as f64,
        );
        page.paragraph(Tone::Plain, &text);
        if !is_disk(store, shared.resource) {
            let text = "A lock that it held, or work that it hands out: no event tells which.";
            page.paragraph(Tone::Faint, text);
        }
        let mut table = Table::new(1, ["who", "waited for it", "of that behind another"]);
        for (own, shown) in shared.workers.iter().zip(all) {
            if own.waited_ns > 0 {
                let name = who.name(shown.told.worker);
                let (waited, queued) = (own.waited_ns, own.queued_ns);
                table.row(
                    Tone::Plain,
                    [name, duration_cell(waited), duration_cell(queued)],
                );
            }
        }
        page.table(&table);
    }
}

fn is_disk(store: &Store, resource: Resource) -> bool {
    match resource {
        Resource::DisksOf(_) => true,
        Resource::Entity(e) => {
            let entity = store.entities().get(e as usize);
            entity.is_some_and(|e| e.kind == Kind::Device.code())
        }
    }
}

/// A path and what is needed to tell of it.
struct Shown<'a> {
    store: &'a Store,
    who: &'a Who<'a>,
    told: PathTold,
    others: &'a [u32],
    /// Those whose lines make up the worker's.
    members: Vec<u32>,
    origin: i64,
}

impl<'a> Shown<'a> {
    fn key(&self, entity: u32) -> &'a str {
        let entity = self.store.entities().get(entity as usize);
        entity.map_or("", |e| e.key.as_str())
    }

    fn container_key(&self, worker: u32) -> &'a str {
        let container = self.who.container(worker);
        container.map_or("", |container| self.key(container))
    }

    /// The name of the machine that it is on.
    fn machine(&self, entity: u32) -> &'a str {
        machine_of(self.store, entity)
    }

    fn key_of(&self, by: i32) -> &'a str {
        u32::try_from(by).map_or("", |by| self.key(by))
    }

    /// State and cause, and who had the processor, for people.
    fn did(&self, did: Option<Did>) -> String {
        let text = match PathTold::words(did) {
            (state, "") => state.to_owned(),
            (state, cause) => format!("{state}: {cause}"),
        };
        match did.and_then(|did| u32::try_from(did.by).ok()) {
            // Somebody on the same machine.
            Some(by) => format!("{text} by {}", self.who.own_name(by)),
            None => text,
        }
    }

    /// The same of a worker: a device does not wait, it serves.
    fn did_by(&self, worker: u32, did: Option<Did>) -> String {
        let device = self.store.entities().get(worker as usize);
        let device = device.is_some_and(|e| e.kind == Kind::Device.code());
        match did.and_then(|did| Cause::from_code(did.cause)) {
            Some(Cause::Disk) if device => "serves a request".to_owned(),
            Some(Cause::Net) if device => "packet on its way".to_owned(),
            _ => self.did(did),
        }
    }

    /// A table of which the first `names` columns are names, with further ones at `place`: see
    /// [`Self::placed`].
    fn table_of<const N: usize>(&self, names: usize, headings: [&str; N], place: usize) -> Table {
        let headings = headings.map(ToOwned::to_owned);
        let headings = with_places(
            headings,
            place,
            self.places(|| "part of".into(), || "on".into()),
        );
        Table::new(names + headings.len() - N, headings)
    }

    /// Cells with, at `place`, what a worker is part of if containers take part, and where it is if
    /// there are several machines.
    fn placed<const N: usize>(&self, cells: [String; N], place: usize, worker: u32) -> Vec<String> {
        let part_of = || self.part_of(worker);
        let on = || self.who.machine(worker).unwrap_or_default().to_owned();
        with_places(cells, place, self.places(part_of, on))
    }

    fn places(
        &self,
        part_of: impl Fn() -> String,
        on: impl Fn() -> String,
    ) -> impl Iterator<Item = String> {
        let several = self.who.machine(self.told.worker).is_some();
        let part_of = self.has_containers().then(part_of);
        part_of.into_iter().chain(several.then(on))
    }

    fn whole(&self) -> i64 {
        self.told.whole()
    }

    /// Workers, and how often each woke which.
    fn dot(&self) -> String {
        let mut times: BTreeMap<u32, i64> = BTreeMap::new();
        let mut wakes: BTreeMap<(u32, u32), u64> = BTreeMap::new();
        for step in &self.told.path.steps {
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

    fn page(&self, args: &CriticalPathArgs, page: &mut Page) {
        let told = &self.told;
        let name = self.who.name(told.worker);
        page.line(Tone::Strong, &format!("virtflow critical-path: {name}"));
        page.fact("key", self.key(told.worker));
        self.made_of(page);
        page.fact("elapsed", &self.elapsed());
        if !self.others.is_empty() {
            let on = |entity| match self.who.machine(entity) {
                Some(machine) => format!("{} on {machine}", self.key(entity)),
                None => self.key(entity).to_owned(),
            };
            let others = self.others.iter().take(OFFERED).map(|&e| on(e));
            let others = others.collect::<Vec<_>>().join(", ");
            page.fact("others", &format!("{others} (--of KEY chooses)"));
        }
        let path = &told.path;
        for (count, why) in [
            (
                path.against_causality,
                "wake-ups were not followed: their waker did not run at the time",
            ),
            (path.too_deep, "waits were not followed: they lay too deep"),
        ] {
            if count > 0 {
                page.paragraph(Tone::Warning, &format!("{} {why}", number(count)));
            }
        }
        if path.cut {
            let text = "It has more steps than are told: what lies before them is unknown. Ask for a shorter --range.";
            page.paragraph(Tone::Warning, text);
        }
        self.tree(args, page);
        self.sums(args, page);
        self.groups(page);
        if args.steps {
            self.steps(page);
        } else {
            self.longest(args, page);
        }
    }

    /// The largest nodes, each below what it is a part of.
    fn tree(&self, args: &CriticalPathArgs, page: &mut Page) {
        page.heading(Tone::Strong, "WHAT IT CAME TO");
        let tree = &self.told.tree;
        let mut largest: Vec<usize> = (0..tree.len()).collect();
        // Whatever a node is a part of is no smaller, and stands before it.
        largest.sort_by_key(|&at| (std::cmp::Reverse(tree.get(at).map(|n| n.ns)), at));
        largest.truncate(args.top);
        largest.sort_unstable();
        let mut table = Table::new(1, ["what", "time", "share", "times", "longest"]);
        for node in largest.iter().filter_map(|&at| tree.get(at)) {
            let indent = (2 * node.depth).min(INDENT_MAX);
            let tone = if node.depth == 0 {
                Tone::Strong
            } else {
                Tone::Plain
            };
            table.row(
                tone,
                [
                    format!("{:indent$}{}", "", self.node(node)),
                    duration_cell(node.ns),
                    share(node.ns, self.whole()),
                    number(node.times),
                    duration_cell(node.longest_ns),
                ],
            );
        }
        page.table(&table);
        Self::left_out(page, tree.len(), args.top);
    }

    fn node(&self, node: &PathNode) -> String {
        let whose = PathTold::whose(node);
        let did = match node.branch {
            Branch::Wait(..) => self.did(PathTold::what(node)),
            Branch::Step(..) => self.did_by(whose, PathTold::what(node)),
        };
        // Whose time it is stands above, unless it is another's.
        let above = node.parent.and_then(|at| self.told.tree.get(at));
        let expected = above.map_or(self.told.worker, PathTold::whose);
        match node.branch {
            // That it was a task is said by naming it.
            Branch::Wait(..) => {
                let did = did.strip_suffix(": task").unwrap_or(&did);
                format!("{did}, for {}", self.name_beside(whose, expected))
            }
            Branch::Step(..) if whose == expected => did,
            Branch::Step(..) => format!("{}: {did}", self.name_beside(whose, expected)),
        }
    }

    fn sums(&self, args: &CriticalPathArgs, page: &mut Page) {
        page.heading(Tone::Strong, "WHOSE TIME IT WAS");
        let headings = ["who", "did what", "time", "share", "times", "longest"];
        let mut table = self.table_of(2, headings, 1);
        for sum in self.told.sums.iter().take(args.top) {
            let own = self.is_of(sum.worker);
            let tone = if own { Tone::Strong } else { Tone::Plain };
            let cells = [
                self.who.own_name(sum.worker),
                self.did_by(sum.worker, sum.what),
                duration_cell(sum.ns),
                share(sum.ns, self.whole()),
                number(sum.steps),
                duration_cell(sum.longest_ns),
            ];
            table.row(tone, self.placed(cells, 1, sum.worker));
        }
        page.table(&table);
        Self::left_out(page, self.told.sums.len(), args.top);
    }

    /// Every step, in time order.
    fn steps(&self, page: &mut Page) {
        page.heading(Tone::Strong, "THE PATH");
        let mut table = self.table_of(4, ["at", "who", "did what", "and woke", "for"], 2);
        for step in &self.told.path.steps {
            // Where that is, the next step says.
            let woke = step.woke.map_or_else(String::new, |w| self.who.own_name(w));
            let cells = [
                self.at(step.begin),
                self.who.own_name(step.worker),
                self.did_by(step.worker, self.did_of(step.what)),
                woke,
                duration_cell(step.end - step.begin),
            ];
            let cells = self.placed(cells, 2, step.worker);
            table.row(Tone::Plain, cells);
        }
        page.table(&table);
    }

    fn longest(&self, args: &CriticalPathArgs, page: &mut Page) {
        page.heading(Tone::Strong, "THE LONGEST STEPS");
        let mut table = self.table_of(3, ["at", "who", "did what", "for"], 2);
        let mut steps: Vec<_> = self.told.path.steps.iter().collect();
        steps.sort_by_key(|step| (std::cmp::Reverse(step.end - step.begin), step.begin));
        for step in steps.iter().take(args.top.min(10)) {
            let cells = [
                self.at(step.begin),
                self.who.own_name(step.worker),
                self.did_by(step.worker, self.did_of(step.what)),
                duration_cell(step.end - step.begin),
            ];
            let cells = self.placed(cells, 2, step.worker);
            table.row(Tone::Plain, cells);
        }
        page.table(&table);
        if let Some(step) = steps.first() {
            let from = (step.begin - self.origin) as f64 / 1e9;
            let to = (step.end - self.origin) as f64 / 1e9;
            page.gap();
            let next = format!(
                "next: virtflow critical-path {} --of {} --range {from:.6}s..{to:.6}s --steps",
                args.traces,
                self.key(step.worker)
            );
            page.line(Tone::Faint, &next);
        }
    }

    fn did_of(&self, done: Option<Done>) -> Option<Did> {
        done.map(|done| PathTold::did(self.store, self.who, &done))
    }

    fn at(&self, t: i64) -> String {
        format!("+{:.6} s", (t - self.origin) as f64 / 1e9)
    }

    fn elapsed(&self) -> String {
        let told = &self.told;
        format!(
            "{} ({} to {}), {} of it unknown, {} only likely, {} steps",
            duration(self.whole()),
            self.at(told.begin),
            self.at(told.end),
            share(told.unknown_ns, self.whole()),
            share(told.likely_ns, self.whole()),
            number(told.path.steps.len() as u64)
        )
    }

    fn left_out(page: &mut Page, all: usize, top: usize) {
        if all > top {
            let more = format!("and {} more rows (--top)", all - top);
            page.paragraph(Tone::Faint, &more);
        }
    }
}

/// The name of an entity's machine, also where there is one alone.
fn machine_of(store: &Store, entity: u32) -> &str {
    let number = store.entities().get(entity as usize).map(|e| e.machine);
    let all = &store.manifest().machines;
    let machine = all.iter().find(|machine| Some(machine.number) == number);
    machine.map_or("", |machine| machine.name.as_str())
}

fn is_vcpu(kind: u8) -> bool {
    matches!(Kind::from_code(kind), Some(Kind::Vcpu | Kind::NestedVcpu))
}

/// Cells with others among them.
fn with_places<const N: usize>(
    cells: [String; N],
    place: usize,
    others: impl IntoIterator<Item = String>,
) -> Vec<String> {
    let mut cells = Vec::from(cells);
    cells.splice(place..place, others);
    cells
}
