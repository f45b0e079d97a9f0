//! A window's rows as people look at them: the host's processors and threads each under one row,
//! sorted, and only what was asked for.

use super::columns::{matches, sort};
use crate::args::SortKey;
use virtflow_query::{LiveRow, RowKind, View};

/// The keys of the rows that the host's own stand under.
pub(super) const CPUS: &str = "cpus";
pub(super) const THREADS: &str = "threads";

/// A view with the host's processors and threads under one row each, sorted; with `filter`, only
/// rows that have it in their names, and those around them.
pub(super) fn tree(view: View, by: SortKey, filter: &str) -> Vec<LiveRow> {
    let View {
        cpus, vms, threads, ..
    } = view;
    let cpus_label = counted("host CPU", cpus.len());
    let threads_label = counted("host thread", threads.len());
    let mut rows = Vec::new();
    rows.extend(group(RowKind::Cpu, CPUS, &cpus_label, cpus));
    rows.extend(vms);
    rows.extend(group(RowKind::Thread, THREADS, &threads_label, threads));
    sort(&mut rows, by);
    let filter = filter.to_lowercase();
    if !filter.is_empty() {
        keep(&mut rows, &filter);
    }
    rows
}

fn counted(what: &str, count: usize) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn group(kind: RowKind, key: &str, label: &str, children: Vec<LiveRow>) -> Option<LiveRow> {
    (!children.is_empty()).then(|| LiveRow::of(kind, key, label, children))
}

/// Keeps what has `text` in its name, with all that is under it, and what stands above that.
fn keep(rows: &mut Vec<LiveRow>, text: &str) {
    rows.retain(|row| matches(row, text));
    for row in rows {
        let own = row.label.to_lowercase().contains(text);
        if !own && row.children.iter().any(|child| matches(child, text)) {
            keep(&mut row.children, text);
        }
    }
}
