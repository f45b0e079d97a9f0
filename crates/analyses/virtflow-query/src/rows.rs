//! Intervals and edges as rows that anyone can check with a script of their own.

use virtflow_base::{Edge, Entity, EntityId, Exit, Interval, Sample, Sink, Span, Timestamp};
use virtflow_model::{Cause, Confidence, Counter, EdgeKind, Evidence, Kind, State};

/// The version of the rows' format: columns may only be appended.
pub const ROWS_VERSION: u32 = 1;

/// One interval of one lane, with its entities' names.
#[derive(Debug)]
pub struct IntervalRow<'a> {
    /// When.
    pub span: Span,
    /// What it is.
    pub kind: Kind,
    /// Whose.
    pub entity: &'a Entity,
    /// The VM it belongs to.
    pub vm_key: &'a str,
    /// On which virtual processor.
    pub vcpu: Option<u32>,
    /// What it did.
    pub state: State,
    /// At which level.
    pub level: u8,
    /// Why.
    pub cause: Cause,
    /// Who took the processor, or woke it.
    pub by_key: &'a str,
    /// How sure.
    pub confidence: Confidence,
    /// By which rule.
    pub evidence: Evidence,
}

/// One edge, with its entities' names.
#[derive(Debug)]
pub struct EdgeRow<'a> {
    /// The edge.
    pub edge: &'a Edge,
    /// Where it starts.
    pub from: &'a Entity,
    /// Where it ends.
    pub to: &'a Entity,
    /// What it is.
    pub kind: EdgeKind,
    /// How sure.
    pub confidence: Confidence,
    /// By which rule.
    pub evidence: Evidence,
}

/// One value of a counter, with its entity.
#[derive(Debug)]
pub struct CounterRow<'a> {
    /// When.
    pub time: Timestamp,
    /// What it is.
    pub kind: Kind,
    /// Whose.
    pub entity: &'a Entity,
    /// What is counted.
    pub counter: Counter,
    /// The value; none where it is not known from here on.
    pub value: Option<i64>,
}

/// A row of any kind.
#[derive(Debug)]
pub enum Row<'a> {
    /// An interval.
    Interval(IntervalRow<'a>),
    /// An edge.
    Edge(EdgeRow<'a>),
    /// A value of a counter.
    Counter(CounterRow<'a>),
}

/// A [`Sink`] that gives rows to a function as they are found.
pub struct Rows<F> {
    range: Span,
    entities: Vec<Entity>,
    take: F,
}

impl<F> std::fmt::Debug for Rows<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows")
            .field("range", &self.range)
            .finish_non_exhaustive()
    }
}

impl<F: FnMut(Row<'_>)> Rows<F> {
    /// Gives what lies in `range`, clipped to it.
    pub const fn new(range: Span, take: F) -> Self {
        Self {
            range,
            entities: Vec::new(),
            take,
        }
    }

    /// The same of entities that were announced already.
    pub(crate) const fn knowing(entities: Vec<Entity>, range: Span, take: F) -> Self {
        Self {
            range,
            entities,
            take,
        }
    }

    /// Gives from now on what lies in another range.
    pub(crate) const fn within(&mut self, range: Span) -> &mut Self {
        self.range = range;
        self
    }

    /// The entities that were announced, by their numbers.
    pub(crate) fn into_entities(self) -> Vec<Entity> {
        self.entities
    }

    /// The function, with whatever it gathered.
    pub fn into_inner(self) -> F {
        self.take
    }
}

fn key(entities: &[Entity], id: Option<EntityId>) -> &str {
    id.and_then(|id| entities.get(id.0 as usize))
        .map_or("", |e| &e.key)
}

impl<F: FnMut(Row<'_>)> Sink for Rows<F> {
    fn entity(&mut self, entity: &Entity) {
        let at = entity.id.0 as usize;
        if at < self.entities.len() {
            self.entities[at] = entity.clone();
        } else {
            self.entities.push(entity.clone());
        }
    }

    fn interval(&mut self, interval: &Interval) {
        let Some(span) = interval.span.intersect(self.range) else {
            return;
        };
        let Some(entity) = self.entities.get(interval.entity.0 as usize) else {
            return;
        };
        let (Some(kind), Some(state), Some(cause)) = (
            Kind::from_code(entity.kind),
            State::from_code(interval.state),
            Cause::from_code(interval.cause),
        ) else {
            return;
        };
        let confidence = Confidence::from_code(interval.confidence).unwrap_or(Confidence::Likely);
        let evidence = Evidence::from_code(interval.evidence).unwrap_or(Evidence::None);
        (self.take)(Row::Interval(IntervalRow {
            span,
            kind,
            entity,
            vm_key: key(&self.entities, entity.vm),
            vcpu: interval.vcpu.or(entity.vcpu),
            state,
            level: interval.level,
            cause,
            by_key: key(&self.entities, interval.by),
            confidence,
            evidence,
        }));
    }

    fn edge(&mut self, edge: &Edge) {
        if edge.to_time < self.range.start || edge.from_time >= self.range.end {
            return;
        }
        let at = |id: EntityId| self.entities.get(id.0 as usize);
        let (Some(from), Some(to), Some(kind)) =
            (at(edge.from), at(edge.to), EdgeKind::from_code(edge.kind))
        else {
            return;
        };
        let confidence = Confidence::from_code(edge.confidence).unwrap_or(Confidence::Likely);
        let evidence = Evidence::from_code(edge.evidence).unwrap_or(Evidence::None);
        (self.take)(Row::Edge(EdgeRow {
            edge,
            from,
            to,
            kind,
            confidence,
            evidence,
        }));
    }

    fn exit(&mut self, _: &Exit) {}

    fn sample(&mut self, sample: &Sample) {
        if sample.time < self.range.start || sample.time >= self.range.end {
            return;
        }
        let Some(entity) = self.entities.get(sample.entity.0 as usize) else {
            return;
        };
        let (Some(kind), Some(counter)) = (
            Kind::from_code(entity.kind),
            Counter::from_code(sample.counter),
        ) else {
            return;
        };
        (self.take)(Row::Counter(CounterRow {
            time: sample.time,
            kind,
            entity,
            counter,
            value: sample.value,
        }));
    }
}
