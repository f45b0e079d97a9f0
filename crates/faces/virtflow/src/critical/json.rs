//! A critical path as JSON (docs/formats.md).

use super::groups::JsonGroup;
use super::{Shown, VERSION};
use serde::Serialize;
use virtflow_query::{Branch, Confidence, Did, Evidence, Grain, PathTold};

/// One step, for programs.
#[derive(Serialize)]
struct JsonStep<'a> {
    begin_ns: i64,
    end_ns: i64,
    key: &'a str,
    machine: &'a str,
    name: String,
    container_key: &'a str,
    state: &'a str,
    cause: &'a str,
    by_key: &'a str,
    confidence: &'a str,
    evidence: &'a str,
    depth: usize,
    /// The innermost wait it lies in, by its place among `waits`.
    inside: Option<usize>,
    woke_key: &'a str,
    woke_machine: &'a str,
}

/// A wait that was looked into, for programs.
#[derive(Serialize)]
struct JsonWait<'a> {
    begin_ns: i64,
    end_ns: i64,
    key: &'a str,
    machine: &'a str,
    state: &'a str,
    cause: &'a str,
    ended_by_key: &'a str,
    ended_by_machine: &'a str,
    inside: Option<usize>,
}

/// A sum, for programs.
#[derive(Serialize)]
struct JsonSum<'a> {
    key: &'a str,
    machine: &'a str,
    name: String,
    container_key: &'a str,
    state: &'a str,
    cause: &'a str,
    by_key: &'a str,
    ns: i64,
    share: f64,
    steps: u64,
    longest_ns: i64,
    longest_begin_ns: i64,
}

/// A node of the tree, for programs.
#[derive(Serialize)]
struct JsonNode<'a> {
    depth: usize,
    parent: Option<usize>,
    waits_for: bool,
    key: &'a str,
    machine: &'a str,
    name: String,
    container_key: &'a str,
    state: &'a str,
    cause: &'a str,
    by_key: &'a str,
    ns: i64,
    share: f64,
    times: u64,
    longest_ns: i64,
    longest_begin_ns: i64,
}

/// All of it, for programs.
#[derive(Serialize)]
pub(super) struct Json<'a> {
    format: &'static str,
    version: u32,
    key: &'a str,
    machine: &'a str,
    name: String,
    container_key: &'a str,
    grain: Grain,
    begin_ns: i64,
    end_ns: i64,
    unknown_ns: i64,
    likely_ns: i64,
    against_causality: u64,
    too_deep: u64,
    cut: bool,
    tree: Vec<JsonNode<'a>>,
    sums: Vec<JsonSum<'a>>,
    groups: Vec<JsonGroup<'a>>,
    waits: Vec<JsonWait<'a>>,
    steps: Vec<JsonStep<'a>>,
}

impl Shown<'_> {
    pub(super) fn json(&self) -> Json<'_> {
        let told = &self.told;
        let steps = told.path.steps.iter().map(|step| {
            let doing = step.what.map(|done| self.store.doing(done.doing));
            let did = doing.map(|doing| Did {
                state: doing.state,
                cause: doing.cause,
                by: -1,
            });
            let (state, cause) = PathTold::words(did);
            let (confidence, evidence) = doing.map_or(("", ""), |doing| {
                let confidence = Confidence::from_code(doing.confidence);
                let evidence = Evidence::from_code(doing.evidence);
                (
                    confidence.map_or("", Confidence::as_str),
                    evidence.map_or("", Evidence::as_str),
                )
            });
            JsonStep {
                begin_ns: step.begin,
                end_ns: step.end,
                key: self.key(step.worker),
                machine: self.machine(step.worker),
                name: self.who.name(step.worker),
                container_key: self.container_key(step.worker),
                state,
                cause,
                by_key: step.what.map_or("", |done| self.key_of(done.by)),
                confidence,
                evidence,
                depth: told.path.depth(step),
                inside: step.inside,
                woke_key: step.woke.map_or("", |woke| self.key(woke)),
                woke_machine: step.woke.map_or("", |woke| self.machine(woke)),
            }
        });
        let waits = told.path.waits.iter().map(|wait| {
            let did = PathTold::did(self.store, self.who, &wait.what);
            let (state, cause) = PathTold::words(Some(did));
            JsonWait {
                begin_ns: wait.begin,
                end_ns: wait.end,
                key: self.key(wait.worker),
                machine: self.machine(wait.worker),
                state,
                cause,
                ended_by_key: self.key(wait.ended_by),
                ended_by_machine: self.machine(wait.ended_by),
                inside: wait.inside,
            }
        });
        let sums = told.sums.iter().map(|sum| {
            let (state, cause) = PathTold::words(sum.what);
            JsonSum {
                key: self.key(sum.worker),
                machine: self.machine(sum.worker),
                name: self.who.name(sum.worker),
                container_key: self.container_key(sum.worker),
                state,
                cause,
                by_key: sum.what.map_or("", |did| self.key_of(did.by)),
                ns: sum.ns,
                share: told.share(sum.ns),
                steps: sum.steps,
                longest_ns: sum.longest_ns,
                longest_begin_ns: sum.longest_begin,
            }
        });
        let tree = told.tree.iter().map(|node| {
            let did = PathTold::what(node);
            let (state, cause) = PathTold::words(did);
            JsonNode {
                depth: node.depth,
                parent: node.parent,
                waits_for: matches!(node.branch, Branch::Wait(..)),
                key: self.key(PathTold::whose(node)),
                machine: self.machine(PathTold::whose(node)),
                name: self.who.name(PathTold::whose(node)),
                container_key: self.container_key(PathTold::whose(node)),
                state,
                cause,
                by_key: did.map_or("", |did| self.key_of(did.by)),
                ns: node.ns,
                share: told.share(node.ns),
                times: node.times,
                longest_ns: node.longest_ns,
                longest_begin_ns: node.longest_begin,
            }
        });
        Json {
            format: "virtflow-critical-path",
            version: VERSION,
            key: self.key(told.worker),
            machine: self.machine(told.worker),
            name: self.who.name(told.worker),
            container_key: self.container_key(told.worker),
            grain: told.grain,
            begin_ns: told.begin,
            end_ns: told.end,
            unknown_ns: told.unknown_ns,
            likely_ns: told.likely_ns,
            against_causality: told.path.against_causality,
            too_deep: told.path.too_deep,
            cut: told.path.cut,
            tree: tree.collect(),
            sums: sums.collect(),
            groups: self.json_groups(),
            waits: waits.collect(),
            steps: steps.collect(),
        }
    }
}
