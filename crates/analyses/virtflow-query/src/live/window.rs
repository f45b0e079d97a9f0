//! Sums over the window that is open, and since the beginning.
//!
//! An interval is told when it is explained, which may be long after it ended: what of it lies
//! before the window that is open counts since the beginning only. With what the model has not told
//! yet the window's sums tile each lane's life in it.

use super::row::StatePart;
use super::totals::Total;
use crate::answers::matrix::is_taken;
use rustc_hash::FxHashMap;
use virtflow_base::{Edge, Entity, EntityId, Exit, Interval, Sample, Sink, Span, Timestamp};
use virtflow_model::{Cause, Confidence, Kind, State, Yet};

/// Windows for which an entity is still known after nothing was said of it any more, and a thread,
/// of which many come and go.
const KEPT_WINDOWS: u64 = 60;
const THREAD_KEPT_WINDOWS: u64 = 10;

/// What is kept apart of what a lane does: the codes of state, cause, level and confidence.
pub(super) type Code = u32;

pub(super) const fn code_of(interval: &Interval) -> Code {
    u32::from_le_bytes([
        interval.state,
        interval.cause,
        interval.level,
        interval.confidence,
    ])
}

/// The life of a lane in the window.
#[derive(Clone, Copy, Debug)]
struct Life {
    vcpu: Option<u32>,
    span: Span,
    /// How much of that no interval covers.
    away_ns: i64,
}

/// What an entity's lanes did in a window.
#[derive(Clone, Debug, Default)]
pub(super) struct Sum {
    parts: Vec<(Code, Yet, i64)>,
    lanes: Vec<Life>,
    by: Vec<(State, Option<EntityId>, i64)>,
    exits: Vec<((u32, u32), u64)>,
}

impl Sum {
    fn clear(&mut self) {
        self.parts.clear();
        self.lanes.clear();
        self.by.clear();
        self.exits.clear();
    }

    fn add(&mut self, interval: &Interval, span: Span, yet: Yet) {
        let (code, ns) = (code_of(interval), span.nanos());
        let mut parts = self.parts.iter_mut();
        match parts.find(|(own, of, _)| *own == code && *of == yet) {
            Some((.., sum)) => *sum = sum.saturating_add(ns),
            None => self.parts.push((code, yet, ns)),
        }
        let mut lanes = self.lanes.iter_mut();
        match lanes.find(|lane| lane.vcpu == interval.vcpu) {
            Some(lane) => {
                let away = Span::new(lane.span.end, span.start).nanos();
                lane.away_ns = lane.away_ns.saturating_add(away);
                lane.span.end = lane.span.end.max(span.end);
            }
            None => self.lanes.push(Life {
                vcpu: interval.vcpu,
                span,
                away_ns: 0,
            }),
        }
        let Some(state) = State::from_code(interval.state).filter(|s| is_taken(*s)) else {
            return;
        };
        if yet == Yet::Pending {
            return;
        }
        let mut by = self.by.iter_mut();
        match by.find(|(of, by, _)| *of == state && *by == interval.by) {
            Some((.., sum)) => *sum = sum.saturating_add(ns),
            None => self.by.push((state, interval.by, ns)),
        }
    }

    fn exit(&mut self, isa: u32, reason: u32) {
        match self.exits.iter_mut().find(|(of, _)| *of == (isa, reason)) {
            Some((_, count)) => *count += 1,
            None => self.exits.push(((isa, reason), 1)),
        }
    }

    fn is_off(code: Code) -> bool {
        code.to_le_bytes()[0] == State::Off.code()
    }

    fn off_ns(&self) -> i64 {
        let off = self.parts.iter().filter(|part| Self::is_off(part.0));
        off.map(|part| part.2).fold(0, i64::saturating_add)
    }

    /// How long its lanes lived, without what was another's time.
    pub(super) fn wall_ns(&self) -> i64 {
        let lives = self.lanes.iter().map(|lane| {
            let whole = lane.span.nanos();
            whole.saturating_sub(lane.away_ns)
        });
        let lives = lives.fold(0, i64::saturating_add);
        lives.saturating_sub(self.off_ns())
    }

    pub(super) const fn lanes(&self) -> usize {
        self.lanes.len()
    }

    /// All its parts added up, likewise.
    pub(super) fn sum_ns(&self) -> i64 {
        let all = self.parts.iter().map(|part| part.2);
        all.fold(0, i64::saturating_add)
            .saturating_sub(self.off_ns())
    }

    pub(super) fn parts(&self) -> impl Iterator<Item = StatePart> + '_ {
        let told = self.parts.iter().filter(|part| !Self::is_off(part.0));
        told.filter_map(|&(code, pending, total_ns)| {
            let [state, cause, level, confidence] = code.to_le_bytes();
            let cause = Cause::from_code(cause)?;
            Some(StatePart {
                state: State::from_code(state)?,
                level,
                cause: if pending == Yet::Known {
                    cause
                } else {
                    Cause::None
                },
                confidence: Confidence::from_code(confidence)?,
                pending,
                total_ns,
            })
        })
    }

    /// Who had the processor while it wanted to run.
    pub(super) fn by(&self) -> &[(State, Option<EntityId>, i64)] {
        &self.by
    }

    pub(super) fn exits(&self) -> impl Iterator<Item = ((u32, u32), u64)> + '_ {
        self.exits.iter().copied()
    }
}

/// What is known of an entity.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) entity: Entity,
    pub(super) kind: Kind,
    /// The window in which something was said of it last.
    used: u64,
    pub(super) sum: Sum,
    /// Since the beginning, for what has sums then.
    pub(super) total: Option<Box<Total>>,
}

/// A [`Sink`] that keeps the sums of the window that is open.
#[derive(Debug, Default)]
pub(super) struct Windows {
    begins: Timestamp,
    number: u64,
    entities: FxHashMap<EntityId, Known>,
}

impl Windows {
    /// When the window that is open began.
    pub(super) const fn begins(&self) -> Timestamp {
        self.begins
    }

    /// The first window begins.
    pub(super) const fn begin(&mut self, t: Timestamp) {
        self.begins = t;
    }

    /// How many entities are known.
    pub(super) fn known(&self) -> usize {
        self.entities.len()
    }

    pub(super) fn entities(&self) -> impl Iterator<Item = &Known> {
        self.entities.values()
    }

    pub(super) fn entity(&self, id: EntityId) -> Option<&Known> {
        self.entities.get(&id)
    }

    /// Adds what the model has not told yet.
    pub(super) fn add_open(&mut self, open: &[(Interval, Yet)]) {
        for (interval, yet) in open {
            self.add(interval, *yet);
        }
    }

    fn add(&mut self, interval: &Interval, yet: Yet) {
        let now = Span::new(self.begins, Timestamp::MAX);
        if let Some(known) = self.entities.get_mut(&interval.entity) {
            known.used = self.number;
            if let Some(span) = interval.span.intersect(now) {
                known.sum.add(interval, span, yet);
            }
        }
    }

    /// The window ends at `end` and the next one begins; what is over and was not spoken of for long
    /// is forgotten.
    pub(super) fn next(&mut self, end: Timestamp) {
        let number = self.number;
        let mut named: Vec<EntityId> = Vec::new();
        for known in self.entities.values_mut() {
            if known.used == number {
                let by = known.sum.by.iter().filter_map(|(_, by, _)| *by);
                named.extend(by.chain(known.entity.parent).chain(known.entity.vm));
                known.sum.clear();
            }
        }
        // What one is part of is part of something itself.
        while let Some(id) = named.pop() {
            if let Some(known) = self.entities.get_mut(&id)
                && known.used < number
            {
                known.used = number;
                named.extend(known.entity.parent);
            }
        }
        self.number += 1;
        self.begins = end;
        self.entities.retain(|_, known| {
            let kept = match known.kind {
                Kind::Thread => THREAD_KEPT_WINDOWS,
                _ => KEPT_WINDOWS,
            };
            known.used.saturating_add(kept) >= number
        });
    }
}

impl Sink for Windows {
    fn entity(&mut self, entity: &Entity) {
        let Some(kind) = Kind::from_code(entity.kind) else {
            return;
        };
        let number = self.number;
        let known = self.entities.entry(entity.id).or_insert_with(|| Known {
            entity: entity.clone(),
            kind,
            used: number,
            sum: Sum::default(),
            total: Total::is_kept(kind).then(Box::default),
        });
        known.entity.clone_from(entity);
        known.used = number;
    }

    fn interval(&mut self, interval: &Interval) {
        self.add(interval, Yet::Known);
        if let Some(known) = self.entities.get_mut(&interval.entity)
            && let Some(total) = &mut known.total
        {
            total.add(interval);
        }
    }

    fn edge(&mut self, _: &Edge) {}

    fn exit(&mut self, exit: &Exit) {
        if !exit.entered_again {
            return;
        }
        for id in [Some(exit.vcpu), exit.nested].into_iter().flatten() {
            if let Some(known) = self.entities.get_mut(&id) {
                known.used = self.number;
                known.sum.exit(exit.isa, exit.reason);
                if let Some(total) = &mut known.total {
                    total.exit(exit.isa, exit.reason);
                }
            }
        }
    }

    fn sample(&mut self, _: &Sample) {}
}
