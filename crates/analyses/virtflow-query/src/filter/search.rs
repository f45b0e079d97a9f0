//! Asking a store: the next or last intervals for which a filter holds.

use super::lexer::Operator;
use super::parser::{Expression, Field, Filter};
use std::borrow::Cow;
use virtflow_history::{EntityRecord, Piece, Store, StoreError};
use virtflow_model::{Cause, Confidence, Evidence, Kind, State};

/// The first `limit` intervals that begin in `[begin, end)` and for which `filter` holds, by their
/// beginning; the last ones, latest first, when `back`.
pub fn search(
    store: &Store,
    filter: &Filter,
    entities: Option<&[u32]>,
    (begin, end): (i64, i64),
    back: bool,
    limit: usize,
) -> Result<Vec<Piece>, StoreError> {
    let all: Vec<u32>;
    let entities = match entities {
        Some(entities) => entities,
        None => {
            all = store.entities().iter().map(|e| e.entity).collect();
            &all
        }
    };
    let asked = Asked(store);
    let mut found: Vec<Piece> = Vec::new();
    let key = |p: &Piece| {
        if back {
            -i128::from(p.start)
        } else {
            i128::from(p.start)
        }
    };
    store.each_interval(entities, begin, end, |piece| {
        let inside = begin <= piece.start && piece.start < end;
        if !inside || !asked.holds(&filter.0, piece) {
            return;
        }
        found.push(*piece);
        // What is beyond the limit is forgotten now and then.
        if found.len() >= limit.saturating_mul(2).max(1024) {
            found.sort_unstable_by_key(|p| (key(p), p.lane));
            found.truncate(limit);
        }
    })?;
    found.sort_unstable_by_key(|p| (key(p), p.lane));
    found.truncate(limit);
    Ok(found)
}

/// What a filter asks about.
struct Asked<'a>(&'a Store);

impl<'a> Asked<'a> {
    fn holds(&self, expression: &Expression, piece: &Piece) -> bool {
        match expression {
            Expression::And(a, b) => self.holds(a, piece) && self.holds(b, piece),
            Expression::Or(a, b) => self.holds(a, piece) || self.holds(b, piece),
            Expression::Not(of) => !self.holds(of, piece),
            Expression::Present(field) => !self.text(*field, piece).is_empty(),
            Expression::Contains(field, part) => self
                .text(*field, piece)
                .to_lowercase()
                .contains(part.as_str()),
            Expression::Matches(field, pattern) => pattern.is_match(&self.text(*field, piece)),
            Expression::Any(pattern) => {
                use Field::{By, Cause, Key, Name, State, Vm};
                [State, Cause, Name, Key, By, Vm]
                    .into_iter()
                    .any(|field| pattern.is_match(&self.text(field, piece)))
            }
            Expression::Compare(field, operator, value, number) => {
                let own = self.number(*field, piece);
                let order = own.zip(*number).and_then(|(a, b)| a.partial_cmp(&b));
                match operator {
                    Operator::Is | Operator::IsNot => {
                        let is = order.map_or_else(
                            || self.text(*field, piece).to_lowercase() == *value,
                            std::cmp::Ordering::is_eq,
                        );
                        is == (*operator == Operator::Is)
                    }
                    Operator::More => order.is_some_and(std::cmp::Ordering::is_gt),
                    Operator::Less => order.is_some_and(std::cmp::Ordering::is_lt),
                    Operator::AtLeast => order.is_some_and(std::cmp::Ordering::is_ge),
                    _ => order.is_some_and(std::cmp::Ordering::is_le),
                }
            }
        }
    }

    fn number(&self, field: Field, piece: &Piece) -> Option<f64> {
        let record = self.record(piece.lane.entity)?;
        match field {
            Field::Duration => Some(piece.ns as f64),
            Field::Level => Some(self.0.doing(piece.doing).level.into()),
            Field::Vcpu => match piece.lane.vcpu {
                -1 => record.vcpu.map(Into::into),
                vcpu => Some(vcpu.into()),
            },
            Field::Tid => record.tid.map(Into::into),
            Field::Pid => record.pid.map(Into::into),
            _ => None,
        }
    }

    fn record(&self, entity: u32) -> Option<&'a EntityRecord> {
        self.0.entities().get(entity as usize)
    }

    fn name(&self, entity: Option<u32>) -> Cow<'a, str> {
        let record = entity.and_then(|e| self.record(e));
        Cow::Borrowed(record.map_or("", |r| r.label.as_str()))
    }

    fn text(&self, field: Field, piece: &Piece) -> Cow<'a, str> {
        let doing = self.0.doing(piece.doing);
        let entity = piece.lane.entity;
        let Some(record) = self.record(entity) else {
            return Cow::Borrowed("");
        };
        let number = |n: Option<i32>| Cow::Owned(n.map_or_else(String::new, |n| n.to_string()));
        match field {
            Field::State => Cow::Borrowed(State::from_code(doing.state).map_or("", State::as_str)),
            Field::Cause => Cow::Borrowed(Cause::from_code(doing.cause).map_or("", Cause::as_str)),
            Field::Confidence => {
                let confidence = Confidence::from_code(doing.confidence);
                Cow::Borrowed(confidence.map_or("", Confidence::as_str))
            }
            Field::Evidence => {
                Cow::Borrowed(Evidence::from_code(doing.evidence).map_or("", Evidence::as_str))
            }
            Field::Kind => Cow::Borrowed(Kind::from_code(record.kind).map_or("", Kind::as_str)),
            Field::Name => self.name(Some(entity)),
            Field::Vm => self.name(record.vm),
            Field::By => self.name(u32::try_from(piece.by).ok()),
            Field::Key => Cow::Borrowed(&record.key),
            Field::Cr3 => Cow::Borrowed(&record.cr3),
            Field::Tid => number(record.tid),
            Field::Pid => number(record.pid),
            Field::Level => Cow::Owned(doing.level.to_string()),
            Field::Duration => Cow::Owned(piece.ns.to_string()),
            Field::Vcpu => match self.number(field, piece) {
                Some(vcpu) => Cow::Owned(vcpu.to_string()),
                None => Cow::Borrowed(""),
            },
        }
    }
}
