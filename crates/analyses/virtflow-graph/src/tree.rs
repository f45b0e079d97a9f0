//! What a path comes to, wait by wait: so much of it waiting for one, of which so much for another.

use crate::path::{Path, Step, Wait};
use std::collections::HashMap;
use std::hash::Hash;

/// What a node of the tree stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Branch<W, N> {
    /// Waits of the one above that this worker ended.
    Wait(W, N),
    /// This worker did this; `None` where its line says nothing.
    Step(W, Option<N>),
}

/// A node: all of a path that is alike from its top down to here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node<W, N> {
    /// What it is.
    pub branch: Branch<W, N>,
    /// The place of the one that it is a part of; those come before it.
    pub parent: Option<usize>,
    /// How many stand above it.
    pub depth: usize,
    /// Nanoseconds.
    pub ns: i64,
    /// How many waits or steps.
    pub times: u64,
    /// The longest one.
    pub longest_ns: i64,
    /// When that began.
    pub longest_begin: i64,
}

/// The tree of a path, in the order of a table of contents, largest parts first. `of_step` and
/// `of_wait` take of what was done what tells nodes apart.
pub fn tree<W, T, N>(
    path: &Path<W, T>,
    of_step: impl Fn(&T) -> N,
    of_wait: impl Fn(&T) -> N,
) -> Vec<Node<W, N>>
where
    W: Copy + Eq + Hash + Ord,
    N: Copy + Eq + Hash + Ord,
{
    let mut made = Made {
        nodes: Vec::new(),
        places: HashMap::new(),
    };
    // Which node each wait belongs to; the ones around it come before it.
    let mut places: Vec<usize> = Vec::with_capacity(path.waits.len());
    for wait in &path.waits {
        let around = wait.inside.and_then(|at| places.get(at).copied());
        let branch = Branch::Wait(wait.ended_by, of_wait(&wait.what));
        let Wait { begin, end, .. } = *wait;
        places.push(made.add(around, branch, begin, end));
    }
    for step in &path.steps {
        let around = step.inside.and_then(|at| places.get(at).copied());
        let branch = Branch::Step(step.worker, step.what.as_ref().map(&of_step));
        let Step { begin, end, .. } = *step;
        made.add(around, branch, begin, end);
    }
    made.sorted()
}

struct Made<W, N> {
    nodes: Vec<Node<W, N>>,
    places: HashMap<(Option<usize>, Branch<W, N>), usize>,
}

impl<W, N> Made<W, N>
where
    W: Copy + Eq + Hash + Ord,
    N: Copy + Eq + Hash + Ord,
{
    fn add(&mut self, parent: Option<usize>, branch: Branch<W, N>, begin: i64, end: i64) -> usize {
        let next = self.nodes.len();
        let place = *self.places.entry((parent, branch)).or_insert(next);
        if place == next {
            let above = parent.and_then(|at| self.nodes.get(at));
            self.nodes.push(Node {
                branch,
                parent,
                depth: above.map_or(0, |above| above.depth + 1),
                ns: 0,
                times: 0,
                longest_ns: -1,
                longest_begin: 0,
            });
        }
        if let Some(node) = self.nodes.get_mut(place) {
            let ns = end.saturating_sub(begin);
            node.ns = node.ns.saturating_add(ns);
            node.times += 1;
            if ns > node.longest_ns {
                (node.longest_ns, node.longest_begin) = (ns, begin);
            }
        }
        place
    }

    /// The nodes as one reads them.
    fn sorted(self) -> Vec<Node<W, N>> {
        let mut below: HashMap<Option<usize>, Vec<usize>> = HashMap::new();
        for (at, node) in self.nodes.iter().enumerate() {
            below.entry(node.parent).or_default().push(at);
        }
        for list in below.values_mut() {
            list.sort_by_key(|&at| {
                let node = self.nodes.get(at);
                (
                    std::cmp::Reverse(node.map(|n| n.ns)),
                    node.map(|n| n.branch),
                )
            });
        }
        let mut out = Vec::with_capacity(self.nodes.len());
        let mut open: Vec<(Option<usize>, usize)> = Vec::new();
        let push = |open: &mut Vec<_>, above: Option<usize>, parent: Option<usize>| {
            let list = below.get(&above).map_or(&[][..], Vec::as_slice);
            open.extend(list.iter().rev().map(|&at| (parent, at)));
        };
        push(&mut open, None, None);
        while let Some((parent, at)) = open.pop() {
            let Some(node) = self.nodes.get(at) else {
                continue;
            };
            let place = out.len();
            out.push(Node { parent, ..*node });
            push(&mut open, Some(at), Some(place));
        }
        out
    }
}
