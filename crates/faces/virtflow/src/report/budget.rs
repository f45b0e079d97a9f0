//! Budgets, waits and takers as tables: the same for VMs and nested VMs.

use super::words::{Group, cause, part, taker};
use crate::output::{duration_cell, number, share};
use crate::page::Page;
use crate::table::{Table, Tone};
use virtflow_query::{Budget, Cause, Confidence, Durations, State, StateTime, Taker, Waits};

/// How many virtual processors stand side by side.
const COLUMNS: usize = 4;

/// A virtual processor in a table.
pub(crate) struct Lane<'a> {
    pub(crate) name: String,
    pub(crate) budget: &'a Budget,
    pub(crate) takers: &'a [Taker],
}

/// Where the time of virtual processors went, all together and side by side; by these groups, of a
/// VM at this level.
pub(crate) fn budgets(
    page: &mut Page,
    all: &Budget,
    lanes: &[Lane<'_>],
    (groups, level): (&[Group], u8),
    top: usize,
) {
    let shown = if lanes.len() > 1 {
        &lanes[..lanes.len().min(top.max(1))]
    } else {
        &[]
    };
    let first = shown.len().min(COLUMNS);
    budget_table(page, all, &shown[..first], (groups, level), top);
    for chunk in shown[first..].chunks(COLUMNS) {
        page.gap();
        budget_table(page, all, chunk, (groups, level), top);
    }
    if lanes.len() > 1 && shown.len() < lanes.len() {
        let rest = lanes.len() - shown.len();
        page.paragraph(
            Tone::Faint,
            &format!("{rest} more vCPUs: --top, or --format json"),
        );
    }
}

fn budget_table(
    page: &mut Page,
    all: &Budget,
    lanes: &[Lane<'_>],
    (groups, level): (&[Group], u8),
    top: usize,
) {
    let headings = ["", "time", "share"].map(String::from).into_iter();
    let mut table = Table::new(
        1,
        headings.chain(lanes.iter().map(|lane| lane.name.clone())),
    );
    let mut add = |tone: Tone, name: String, choose: &dyn Fn(&StateTime) -> bool| {
        let ns = all.ns(choose);
        let cells = [name, duration_cell(ns), share(ns, all.wall_ns)];
        let of_lane = |lane: &Lane<'_>| share(lane.budget.ns(choose), lane.budget.wall_ns);
        table.row(tone, cells.into_iter().chain(lanes.iter().map(of_lane)));
    };
    for group in groups {
        let parts = parts(all, group);
        if parts.is_empty() {
            continue;
        }
        let tone = if group.states.contains(&State::Unknown) {
            Tone::Warning
        } else {
            Tone::Strong
        };
        add(tone, group.name.to_owned(), &|s| {
            group.states.contains(&s.state)
        });
        let told_apart = parts.len() > 1 || parts[0].1 != Cause::None;
        if !told_apart || matches!(parts[..], [(State::Guest, _, _)]) {
            continue;
        }
        let is = |part: &(State, Cause, u8), s: &StateTime| (s.state, s.cause, s.level) == *part;
        for one in parts.iter().take(top) {
            add(
                Tone::Plain,
                format!("  {}", part(one.0, one.2, one.1, level)),
                &|s| is(one, s),
            );
        }
        if parts.len() > top {
            let rest = &parts[top..];
            let name = format!("  {} more", rest.len());
            add(Tone::Faint, name, &|s| rest.iter().any(|one| is(one, s)));
        }
    }
    finish(&mut table, all, lanes);
    page.table(&table);
}

/// The last rows: what all of it sums to, and what of it is not proved.
fn finish(table: &mut Table, all: &Budget, lanes: &[Lane<'_>]) {
    table.rule();
    let row = |name: &str, value: String, of: &dyn Fn(&Budget) -> String| {
        let cells = [name.to_owned(), value, of(all)];
        cells
            .into_iter()
            .chain(lanes.iter().map(|lane| of(lane.budget)))
            .collect::<Vec<_>>()
    };
    let sum = |b: &Budget| b.ns(|_| true);
    table.row(
        Tone::Strong,
        row("sum", duration_cell(sum(all)), &|b| {
            share(sum(b), b.wall_ns)
        }),
    );
    let residual = |b: &Budget| {
        if b.residual_ns == 0 {
            "0".to_owned()
        } else {
            share(b.residual_ns, b.wall_ns)
        }
    };
    table.row(
        Tone::Plain,
        row(
            "wall time less sum (residual)",
            duration_cell(all.residual_ns),
            &residual,
        ),
    );
    let likely = |b: &Budget| b.ns(|s| s.confidence == Confidence::Likely);
    table.row(
        Tone::Plain,
        row(
            "of it likely, not proved",
            duration_cell(likely(all)),
            &|b| share(likely(b), b.wall_ns),
        ),
    );
}

/// The states, causes and levels of a group, longest first.
fn parts(budget: &Budget, group: &Group) -> Vec<(State, Cause, u8)> {
    let mut parts: Vec<((State, Cause, u8), i64)> = Vec::new();
    for s in budget
        .states
        .iter()
        .filter(|s| group.states.contains(&s.state))
    {
        let key = (s.state, s.cause, s.level);
        match parts.iter_mut().find(|(known, _)| *known == key) {
            Some((_, ns)) => *ns = ns.saturating_add(s.total_ns),
            None => parts.push((key, s.total_ns)),
        }
    }
    parts.sort_by_key(|(key, ns)| (std::cmp::Reverse(*ns), *key));
    parts.into_iter().map(|(key, _)| key).collect()
}

/// Waits by what ended them.
pub(crate) fn waits(page: &mut Page, waits: &Waits, top: usize) {
    let headings = [
        "ended by", "count", "total", "mean", "median", "p99", "longest",
    ];
    let mut table = Table::new(1, headings);
    let mut add = |tone: Tone, name: &str, d: &Durations| {
        let times = [d.total_ns, d.mean_ns, d.p50_ns, d.p99_ns, d.max_ns].map(duration_cell);
        let cells = [name.to_owned(), number(d.count)];
        table.row(tone, cells.into_iter().chain(times));
    };
    for wait in waits.by_cause.iter().take(top) {
        let tone = if wait.cause.is_unknown() {
            Tone::Warning
        } else {
            Tone::Plain
        };
        let name = if wait.cause == Cause::None {
            "not ended, or not told"
        } else {
            cause(wait.cause)
        };
        add(tone, name, &wait.durations);
    }
    add(Tone::Strong, "all, raw", &waits.raw);
    if waits.by_cause.iter().any(|wait| wait.cause == Cause::Idle) {
        add(Tone::Strong, "all but idle", &waits.filtered);
    }
    page.table(&table);
    if waits.by_cause.len() > top {
        page.paragraph(
            Tone::Faint,
            &format!("{} more causes", waits.by_cause.len() - top),
        );
    }
}

/// Who had the processor: one row per group of culprits, one column per victim.
pub(crate) fn takers(page: &mut Page, lanes: &[Lane<'_>], own_key: &str, top: usize) {
    let mut rows: Vec<(String, Vec<i64>)> = Vec::new();
    for (at, lane) in lanes.iter().enumerate() {
        for one in lane.takers {
            let name = taker(one, own_key);
            let row = rows
                .iter()
                .position(|(known, _)| *known == name)
                .unwrap_or_else(|| {
                    rows.push((name, vec![0; lanes.len()]));
                    rows.len() - 1
                });
            rows[row].1[at] += one.total_ns();
        }
    }
    let sum = |row: &[i64]| row.iter().sum::<i64>();
    rows.sort_by(|a, b| sum(&b.1).cmp(&sum(&a.1)).then_with(|| a.0.cmp(&b.0)));
    let total = rows.iter().map(|(_, row)| sum(row)).sum::<i64>();
    let side_by_side = if lanes.len() > 1 {
        &lanes[..lanes.len().min(COLUMNS)]
    } else {
        &[]
    };
    let headings = ["who had the CPU", "time", "share"]
        .map(String::from)
        .into_iter();
    let mut table = Table::new(
        1,
        headings.chain(side_by_side.iter().map(|lane| lane.name.clone())),
    );
    let mut add = |tone: Tone, name: String, row: &[i64]| {
        let cells = [name, duration_cell(sum(row)), share(sum(row), total)];
        table.row(
            tone,
            cells.into_iter().chain(
                row.iter()
                    .take(side_by_side.len())
                    .map(|ns| duration_cell(*ns)),
            ),
        );
    };
    for (name, row) in rows.iter().take(top) {
        add(Tone::Plain, name.clone(), row);
    }
    let columns = |rows: &[(String, Vec<i64>)]| {
        (0..lanes.len())
            .map(|at| rows.iter().map(|(_, row)| row[at]).sum())
            .collect::<Vec<i64>>()
    };
    if rows.len() > top {
        add(
            Tone::Faint,
            format!("{} more", rows.len() - top),
            &columns(&rows[top..]),
        );
    }
    add(Tone::Strong, "all".to_owned(), &columns(&rows));
    page.table(&table);
}
