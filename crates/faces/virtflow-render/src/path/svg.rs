//! The path as SVG.

use super::PathPicture;
use crate::legend::{self, Legend};
use crate::look::{Look, look};
use crate::paper::{FAINT, GRID, INK, Svg, cut};
use crate::timeline::{Axis, BAR, MARGIN, NAMES, ROW, plot_width};
use std::collections::{BTreeMap, HashMap};
use virtflow_base::{duration, number};
use virtflow_query::{Did, PathStep, PathTold};

const HEAD: f64 = 80.0;
/// Whatever is drawn has this height at least.
const TALL_MIN: f64 = 0.8;
const NAME_MAX: usize = 26;
/// Arrows between the same two rows are at least so many pixels apart.
const ARROWS_APART: f64 = 4.0;
/// Nodes of the tree that are told: the largest.
const NODES: usize = 24;
/// How far a node is set in at most.
const INDENT_MAX: usize = 12;
/// How much of the width the words of a node have.
const WORDS: f64 = 0.55;
/// About how wide a letter is.
const LETTER: f64 = 6.6;
const SHARE_BAR: f64 = 90.0;

pub(super) fn draw(picture: &PathPicture<'_>) -> String {
    let told = &picture.told;
    let plot = f64::from(plot_width(picture.request.width));
    let width = NAMES + plot + MARGIN;
    let axis = Axis {
        begin: told.begin,
        end: told.end,
        width: plot,
    };
    let occurs = told.path.steps.iter().map(|step| {
        let (name, look) = named(picture, step);
        (name, look, step.end.saturating_sub(step.begin))
    });
    let legend = Legend::new(occurs, MARGIN, width);
    let shown = picture.rows.len().min(picture.request.rows.max(1));
    let rows = picture.rows.get(..shown).unwrap_or_default();
    let nodes = largest(picture);
    let bottom = HEAD + ROW * rows.len() as f64;
    let table = bottom + 34.0 + legend.height();
    let height = table + 44.0 + ROW * nodes.len() as f64;

    let mut out = Svg::new(width, height);
    let parts = nodes.iter().filter_map(|&at| told.tree.get(at));
    let parts: Vec<Look> = parts.map(|node| look_of(PathTold::what(node))).collect();
    out.patterns(legend.looks().chain(&parts));
    title(picture, &mut out);
    axis.draw(HEAD, bottom, width, &mut out);
    let mut places: HashMap<u32, f64> = HashMap::new();
    for (&(worker, ns), at) in rows.iter().zip(0_u32..) {
        let top = HEAD + ROW * f64::from(at);
        places.insert(worker, top);
        let weight = if worker == told.worker { "bold" } else { "" };
        let name = cut(&picture.who.name(worker), NAME_MAX);
        out.text(MARGIN, top + 14.0, 12.0, INK, weight, &name);
        let share = percent(told.share(ns));
        out.text_to(NAMES - 6.0, top + 14.0, 11.0, FAINT, &share);
        out.line(MARGIN, top + ROW, width - MARGIN, top + ROW, GRID);
    }
    bars(picture, &axis, &places, &mut out);
    arrows(&told.path.steps, &axis, &places, &mut out);
    out.line(NAMES, HEAD - 8.0, NAMES, bottom, "#9aa1ab");
    if shown < picture.rows.len() {
        let more = format!("{} more workers", picture.rows.len() - shown);
        out.text(MARGIN, bottom + 14.0, 11.0, FAINT, "", &more);
    }
    legend.draw(bottom + 28.0, &mut out);
    tree(picture, &nodes, table, width, &mut out);
    out.end()
}

/// What it is of, and what is not sure about it.
fn title(picture: &PathPicture<'_>, out: &mut Svg) {
    let told = &picture.told;
    let name = picture.who.name(told.worker);
    let title = format!("{}: critical path of {name}", picture.request.title);
    out.title(MARGIN, &title, told.begin, told.end);
    let steps = told.path.steps.len() as u64;
    let mut facts = vec![
        format!("{} steps", number(steps)),
        format!("{} of it unknown", percent(told.share(told.unknown_ns))),
        format!("{} only likely", percent(told.share(told.likely_ns))),
    ];
    for (count, why) in [
        (
            told.path.against_causality,
            "wake-ups not followed: the waker did not run at the time",
        ),
        (told.path.too_deep, "waits not followed: too deep"),
    ] {
        if count > 0 {
            facts.push(format!("{} {why}", number(count)));
        }
    }
    out.text(MARGIN, 54.0, 11.0, INK, "", &facts.join(", "));
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// What a step is called in the legend, and how it looks.
fn named(picture: &PathPicture<'_>, step: &PathStep) -> (String, Look) {
    let level = step.what.map_or(0, |d| picture.store.doing(d.doing).level);
    let (state, cause) = PathTold::words(picture.did(step));
    let name = legend::name(state, cause, level);
    (name, look(state, cause, level))
}

fn look_of(did: Option<Did>) -> Look {
    let (state, cause) = PathTold::words(did);
    look(state, cause, 0)
}

/// What shares a pixel of a row: time by state.
#[derive(Default)]
struct Column {
    at: i64,
    parts: BTreeMap<String, (i64, Look)>,
}

/// Steps of a pixel or more as they are; what is shorter is summed up in the columns of their
/// pixels, which are as full as the worker's part in them.
fn bars(picture: &PathPicture<'_>, axis: &Axis, places: &HashMap<u32, f64>, out: &mut Svg) {
    let ns_per_pixel = axis.end.saturating_sub(axis.begin) as f64 / axis.width.max(1.0);
    let mut columns: HashMap<u32, Column> = HashMap::new();
    for step in &picture.told.path.steps {
        let Some(&top) = places.get(&step.worker) else {
            continue;
        };
        let column = columns.entry(step.worker).or_default();
        let (name, look) = named(picture, step);
        let (left, right) = (axis.x(step.begin), axis.x(step.end));
        if right - left >= 1.0 {
            flush(column, ns_per_pixel, top, out);
            let tall = BAR * look.height;
            out.bar(left, top + BAR + 2.0 - tall, right - left, tall, &look);
            continue;
        }
        if column.at != left as i64 {
            flush(column, ns_per_pixel, top, out);
            column.at = left as i64;
        }
        let part = column.parts.entry(name).or_insert((0, look));
        part.0 = part.0.saturating_add(step.end.saturating_sub(step.begin));
    }
    let mut rest: Vec<(u32, Column)> = columns.into_iter().collect();
    rest.sort_by_key(|(worker, _)| *worker);
    for (worker, mut column) in rest {
        if let Some(&top) = places.get(&worker) {
            flush(&mut column, ns_per_pixel, top, out);
        }
    }
}

fn flush(column: &mut Column, ns_per_pixel: f64, top: f64, out: &mut Svg) {
    let mut bottom = top + BAR + 2.0;
    for (ns, look) in std::mem::take(&mut column.parts).into_values() {
        let tall = (BAR * (ns as f64 / ns_per_pixel).min(1.0)).max(TALL_MIN);
        let tall = tall.min(bottom - top);
        out.bar(column.at as f64, bottom - tall, 1.0, tall, &look);
        bottom -= tall;
    }
}

/// From each step that woke another worker to that one; those that would stand upon one another
/// are one.
fn arrows(steps: &[PathStep], axis: &Axis, places: &HashMap<u32, f64>, out: &mut Svg) {
    let mut last: HashMap<(u32, u32), f64> = HashMap::new();
    for step in steps {
        let Some(woke) = step.woke.filter(|&woke| woke != step.worker) else {
            continue;
        };
        let (Some(from), Some(to)) = (places.get(&step.worker), places.get(&woke)) else {
            continue;
        };
        let x = axis.x(step.end);
        let pair = (step.worker, woke);
        if last.get(&pair).is_some_and(|at| x - at < ARROWS_APART) {
            continue;
        }
        last.insert(pair, x);
        out.arrow(x, from + ROW / 2.0, to + ROW / 2.0, INK);
    }
}

/// The largest nodes, each after what it is a part of.
fn largest(picture: &PathPicture<'_>) -> Vec<usize> {
    let tree = &picture.told.tree;
    let mut all: Vec<usize> = (0..tree.len()).collect();
    all.sort_by_key(|&at| (std::cmp::Reverse(tree.get(at).map(|n| n.ns)), at));
    all.truncate(NODES.min(picture.request.rows));
    all.sort_unstable();
    all
}

/// What it came to.
fn tree(picture: &PathPicture<'_>, nodes: &[usize], top: f64, width: f64, out: &mut Svg) {
    let told = &picture.told;
    let right = |at: f64| MARGIN + (width - 2.0 * MARGIN) * at;
    let columns = [0.66, 0.74, 0.92, 1.0];
    let bar = right(columns[1]) + 10.0;
    let base = top + 14.0;
    out.text(MARGIN, base, 11.0, FAINT, "", "What it came to");
    for (at, name) in columns.iter().zip(["time", "share", "times", "longest"]) {
        out.text_to(right(*at), base, 11.0, FAINT, name);
    }
    out.line(MARGIN, top + ROW, width - MARGIN, top + ROW, GRID);
    let letters = ((width - 2.0 * MARGIN) * WORDS / LETTER) as usize;
    let nodes = nodes.iter().filter_map(|&at| told.tree.get(at));
    for (node, at) in nodes.zip(1_u32..) {
        let y = top + ROW * f64::from(at);
        let base = y + 14.0;
        let depth = node.depth.min(INDENT_MAX);
        let x = MARGIN + 14.0 * depth as f64;
        let look = look_of(PathTold::what(node));
        let tall = 12.0 * look.height;
        out.bar(x, base + 1.0 - tall, 16.0, tall, &look);
        let words = cut(
            &picture.node(node),
            letters.saturating_sub(2 * depth + 3).max(8),
        );
        let weight = if node.depth == 0 { "bold" } else { "" };
        out.text(x + 22.0, base, 11.5, INK, weight, &words);
        out.text_to(right(columns[0]), base, 11.5, INK, &duration(node.ns));
        let share = told.share(node.ns);
        out.text_to(right(columns[1]), base, 11.5, INK, &percent(share));
        out.area(bar, y + 6.0, SHARE_BAR, 9.0, "#eef0f3");
        out.bar(bar, y + 6.0, SHARE_BAR * share.min(1.0), 9.0, &look);
        out.text_to(right(columns[2]), base, 11.5, INK, &number(node.times));
        let longest = duration(node.longest_ns);
        out.text_to(right(columns[3]), base, 11.5, INK, &longest);
        out.line(MARGIN, y + ROW, width - MARGIN, y + ROW, GRID);
    }
    let left = told
        .tree
        .len()
        .saturating_sub(NODES.min(picture.request.rows));
    if left > 0 {
        let y = top + ROW * (told.tree.len() - left + 1) as f64 + 14.0;
        let more = format!("and {} smaller parts", number(left as u64));
        out.text(MARGIN, y, 11.0, FAINT, "", &more);
    }
}
