//! The critical path of a worker: rows of steps with who woke whom, and what it comes to.

mod svg;

use crate::{RenderError, Request};
use std::collections::HashMap;
use virtflow_query::store::Store;
use virtflow_query::{
    Branch, Confidence, Did, Evidence, Grain, PathNode, PathStep, PathTold, Who, life, workers,
};

const COLUMNS: [&str; 14] = [
    "begin_ns",
    "end_ns",
    "ns",
    "who",
    "key",
    "state",
    "cause",
    "level",
    "by_key",
    "confidence",
    "evidence",
    "depth",
    "woke",
    "woke_key",
];

/// A path, ready to be drawn.
#[derive(Debug)]
pub(crate) struct PathPicture<'a> {
    store: &'a Store,
    who: Who<'a>,
    request: Request,
    told: PathTold,
    /// Who takes part and for how long: the worker first, then the largest share.
    rows: Vec<(u32, i64)>,
}

impl<'a> PathPicture<'a> {
    pub(crate) fn new(
        store: &'a Store,
        request: Request,
        (begin, end): (i64, i64),
    ) -> Result<Self, RenderError> {
        let Some(of) = request.of.as_deref() else {
            return Err(RenderError::Nothing(
                "a critical path is of a worker".to_owned(),
            ));
        };
        let Some(&worker) = workers(store, of).first() else {
            let what = "no thread, vCPU, guest process or container has that number, key or name";
            return Err(RenderError::Nothing(format!("{of}: {what}")));
        };
        let (from, to) = life(store, worker).unwrap_or((begin, end));
        let (begin, end) = (begin.max(from), end.min(to));
        let who = Who::new(store);
        if begin >= end {
            let name = who.name(worker);
            let what = "does not live in that range";
            return Err(RenderError::Nothing(format!("{name} {what}")));
        }
        let grain = Grain::of(store, worker);
        let told = PathTold::new(store, worker, begin, end, grain)?;
        let rows = shares(worker, &told.path.steps);
        Ok(Self {
            store,
            who,
            request,
            told,
            rows,
        })
    }

    pub(crate) fn svg(&self) -> String {
        svg::draw(self)
    }

    /// The steps, in time order.
    pub(crate) fn csv(&self) -> Result<String, RenderError> {
        let failed = |e: String| RenderError::Picture(e);
        let mut out = csv::Writer::from_writer(Vec::new());
        out.write_record(COLUMNS)
            .map_err(|e| failed(e.to_string()))?;
        for step in &self.told.path.steps {
            out.write_record(self.fields(step))
                .map_err(|e| failed(e.to_string()))?;
        }
        let bytes = out.into_inner().map_err(|e| failed(e.to_string()))?;
        String::from_utf8(bytes).map_err(|e| failed(e.to_string()))
    }

    fn fields(&self, step: &PathStep) -> [String; 14] {
        let doing = step.what.map(|done| self.store.doing(done.doing));
        let (state, cause) = PathTold::words(self.did(step).map(|did| Did { by: -1, ..did }));
        let by = step.what.and_then(|done| u32::try_from(done.by).ok());
        let confidence = doing.and_then(|d| Confidence::from_code(d.confidence));
        let evidence = doing.and_then(|d| Evidence::from_code(d.evidence));
        [
            step.begin.to_string(),
            step.end.to_string(),
            step.end.saturating_sub(step.begin).to_string(),
            self.who.name(step.worker),
            self.key(step.worker),
            state.to_owned(),
            cause.to_owned(),
            doing.map_or(0, |d| d.level).to_string(),
            by.map_or_else(String::new, |by| self.key(by)),
            confidence.map_or("", Confidence::as_str).to_owned(),
            evidence.map_or("", Evidence::as_str).to_owned(),
            self.told.path.depth(step).to_string(),
            step.woke.map_or_else(String::new, |w| self.who.name(w)),
            step.woke.map_or_else(String::new, |w| self.key(w)),
        ]
    }

    fn did(&self, step: &PathStep) -> Option<Did> {
        let done = step.what.as_ref()?;
        Some(PathTold::did(self.store, &self.who, done))
    }

    fn key(&self, entity: u32) -> String {
        let entity = self.store.entities().get(entity as usize);
        entity.map_or_else(String::new, |e| e.key.clone())
    }

    /// State and cause, and who had the processor, for people.
    fn said(&self, did: Option<Did>) -> String {
        let text = match PathTold::words(did) {
            (state, "") => state.to_owned(),
            (state, cause) => format!("{state}: {cause}"),
        };
        match did.and_then(|did| u32::try_from(did.by).ok()) {
            Some(by) => format!("{text} by {}", self.who.name(by)),
            None => text,
        }
    }

    /// A node of the tree, for people: whose time it is stands above, unless it is another's.
    fn node(&self, node: &PathNode) -> String {
        let said = self.said(PathTold::what(node));
        let whose = PathTold::whose(node);
        let above = node.parent.and_then(|at| self.told.tree.get(at));
        let expected = above.map_or(self.told.worker, PathTold::whose);
        match node.branch {
            Branch::Wait(..) => format!("{said}, for {}", self.who.name(whose)),
            Branch::Step(..) if whose == expected => said,
            Branch::Step(..) => format!("{}: {said}", self.who.name(whose)),
        }
    }
}

/// Who takes part and for how long: the worker first, then the largest share.
fn shares(worker: u32, steps: &[PathStep]) -> Vec<(u32, i64)> {
    let mut sums: HashMap<u32, i64> = HashMap::new();
    for step in steps {
        let ns = step.end.saturating_sub(step.begin);
        *sums.entry(step.worker).or_default() += ns;
    }
    let mut rows: Vec<(u32, i64)> = sums.into_iter().collect();
    rows.sort_by_key(|&(who, ns)| (who != worker, std::cmp::Reverse(ns), who));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worker_stands_above_who_took_longer() {
        let step = |worker, begin, end| PathStep {
            worker,
            begin,
            end,
            what: None,
            inside: None,
            woke: None,
        };
        let steps = [
            step(1, 0, 10),
            step(2, 10, 30),
            step(3, 30, 70),
            step(2, 70, 75),
        ];
        assert_eq!(shares(1, &steps), [(1, 10), (3, 40), (2, 25)]);
    }
}
