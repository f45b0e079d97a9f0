//! A sink that checks what must hold of anything a model finds.

use std::collections::HashMap;
use virtflow_base::{Edge, Entity, EntityId, Exit, Interval, Sample, Sink, Timestamp};
use virtflow_model::{Cause, Confidence, Counter, EdgeKind, Evidence, Kind, State};

/// Passes everything on to two other sinks, and checks it.
#[derive(Debug)]
pub(crate) struct Checked<A, B> {
    pub(crate) first: A,
    pub(crate) second: B,
    kinds: Vec<Kind>,
    keys: Vec<String>,
    /// Whether a lane may have gaps: that of a guest process, which may leave for another
    /// processor and come back.
    gaps: Vec<bool>,
    ends: HashMap<(EntityId, Option<u32>), Timestamp>,
    samples: HashMap<(EntityId, u8), Timestamp>,
    /// Everything found.
    pub(crate) found: u64,
}

impl<A: Sink, B: Sink> Checked<A, B> {
    pub(crate) fn new(first: A, second: B) -> Self {
        Self {
            first,
            second,
            kinds: Vec::new(),
            keys: Vec::new(),
            gaps: Vec::new(),
            ends: HashMap::new(),
            samples: HashMap::new(),
            found: 0,
        }
    }

    fn known(&self, id: EntityId) {
        assert!((id.0 as usize) < self.kinds.len(), "{id} was announced");
    }

    /// The kind of every entity.
    pub(crate) fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// Whether the lanes of an entity may have gaps.
    pub(crate) fn has_gaps(&self, id: usize) -> bool {
        self.gaps[id]
    }
}

impl<A: Sink, B: Sink> Sink for Checked<A, B> {
    fn entity(&mut self, entity: &Entity) {
        let at = entity.id.0 as usize;
        let kind = Kind::from_code(entity.kind).expect("a kind that there is");
        assert!(at <= self.kinds.len(), "entities are numbered in order");
        if at == self.kinds.len() {
            self.kinds.push(kind);
            self.keys.push(entity.key.clone());
            self.gaps
                .push(kind == Kind::Process && entity.cr3.is_some());
        }
        assert_eq!(self.kinds[at], kind, "an entity stays what it is");
        assert!(!entity.key.is_empty());
        for other in [entity.parent, entity.vm].into_iter().flatten() {
            self.known(other);
        }
        self.first.entity(entity);
        self.second.entity(entity);
    }

    fn interval(&mut self, interval: &Interval) {
        self.found += 1;
        let Interval {
            entity, span, vcpu, ..
        } = *interval;
        self.known(entity);
        assert!(span.start < span.end, "an interval has a length: {span:?}");
        assert!(State::from_code(interval.state).is_some());
        assert!(Cause::from_code(interval.cause).is_some());
        assert!(Confidence::from_code(interval.confidence).is_some());
        assert!(Evidence::from_code(interval.evidence).is_some());
        // The deepest level that the model tells apart.
        assert!(interval.level <= 16);
        if let Some(by) = interval.by {
            self.known(by);
        }
        let gaps = self.gaps[entity.0 as usize];
        if let Some(end) = self.ends.insert((entity, vcpu), span.end) {
            assert!(
                end == span.start || (gaps && end < span.start),
                "a lane tiles: {interval:?} of {} after {end}",
                self.keys[entity.0 as usize]
            );
        }
        self.first.interval(interval);
        self.second.interval(interval);
    }

    fn edge(&mut self, edge: &Edge) {
        self.found += 1;
        self.known(edge.from);
        self.known(edge.to);
        assert!(EdgeKind::from_code(edge.kind).is_some());
        assert!(Confidence::from_code(edge.confidence).is_some());
        assert!(Evidence::from_code(edge.evidence).is_some());
        assert!(
            edge.from_time <= edge.to_time,
            "causes come before what they cause: {edge:?}"
        );
        self.first.edge(edge);
        self.second.edge(edge);
    }

    fn exit(&mut self, exit: &Exit) {
        self.found += 1;
        self.known(exit.vcpu);
        if let Some(nested) = exit.nested {
            self.known(nested);
        }
        assert!(Cause::from_code(exit.class).is_some());
        assert!(exit.span.start <= exit.span.end, "{exit:?}");
        let parts = [exit.kernel_ns, exit.vmm_ns, exit.off_cpu_ns];
        assert!(parts.iter().all(|ns| *ns >= 0), "{exit:?}");
        let sum: i128 = parts.iter().map(|ns| i128::from(*ns)).sum();
        if exit.span.nanos() < i64::MAX {
            assert_eq!(sum, i128::from(exit.span.nanos()), "{exit:?}");
        }
        self.first.exit(exit);
        self.second.exit(exit);
    }

    fn sample(&mut self, sample: &Sample) {
        self.found += 1;
        self.known(sample.entity);
        let counter = Counter::from_code(sample.counter).expect("a counter that there is");
        match sample.value {
            Some(value) => assert!(value >= 0, "{sample:?}"),
            None => assert!(counter.holds(), "{sample:?}"),
        }
        let key = (sample.entity, sample.counter);
        if let Some(before) = self.samples.insert(key, sample.time) {
            assert!(before <= sample.time, "{sample:?} after {before}");
        }
        self.first.sample(sample);
        self.second.sample(sample);
    }
}
