//! What the tables say.

use super::{Cell, Column, Table};
use crate::look::{is_wait, look};
use crate::timeline::{is, named};
use crate::{RenderError, Request, View};
use std::collections::{BTreeMap, BTreeSet};
use virtflow_query::store::{Cost, EntityRecord, Piece, Store, StoreError};
use virtflow_query::{ExitsBy, Kind, Who, exit_costs, exits, findings, taken, waits};

const fn column(name: &'static str, title: &'static str, width: f64) -> Column {
    Column { name, title, width }
}

/// Of whom, for people and for programs.
macro_rules! columns {
    ($($column:expr),* $(,)?) => { { const ALL: &[Column] = &[$($column),*]; ALL } };
}

/// The table as it is drawn and, where that is another, as CSV.
pub(super) fn of(
    store: &Store,
    request: &Request,
    begin: i64,
    end: i64,
) -> Result<(Table, Option<Table>), RenderError> {
    let teller = Teller::new(store, request, begin, end);
    let table = match request.view {
        View::Budgets => {
            let (drawn, rows) = teller.budgets()?;
            return Ok((drawn, Some(rows)));
        }
        View::Waits => teller.waits()?,
        View::Matrix => teller.matrix()?,
        View::Exits => teller.exits()?,
        View::States => teller.states()?,
        View::Overview | View::Vms | View::Processes | View::Resources | View::CriticalPath => {
            // What its column has room for.
            let letters = request.width as usize / 9;
            let (drawn, rows) = teller.findings(letters)?;
            return Ok((drawn, Some(rows)));
        }
    };
    Ok((table, None))
}

struct Teller<'a> {
    store: &'a Store,
    who: Who<'a>,
    /// The lanes of the wanted VM, and of those inside it; none where all are wanted.
    only: Option<BTreeSet<u32>>,
    begin: i64,
    end: i64,
}

impl<'a> Teller<'a> {
    fn new(store: &'a Store, request: &Request, begin: i64, end: i64) -> Self {
        let only = request.vm.as_deref().map(|wanted| {
            let mut inside: BTreeSet<u32> = BTreeSet::new();
            // Whatever an entity is a part of was announced before it.
            for entity in store.entities() {
                let is_wanted = is(entity, Kind::Vm) && named(entity, wanted);
                let above = [entity.parent, entity.vm].into_iter().flatten();
                if is_wanted || above.clone().any(|a| inside.contains(&a)) {
                    inside.insert(entity.entity);
                }
            }
            inside
        });
        Self {
            store,
            who: Who::new(store),
            only,
            begin,
            end,
        }
    }

    fn wanted(&self, entity: u32) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&entity))
    }

    fn of_kinds(&self, kinds: &[Kind]) -> Vec<&'a EntityRecord> {
        let all = self.store.entities().iter();
        all.filter(|e| e.intervals > 0 && self.wanted(e.entity))
            .filter(|e| kinds.iter().any(|&kind| is(e, kind)))
            .collect()
    }

    fn numbers(&self, kinds: &[Kind]) -> Vec<u32> {
        let all = self.of_kinds(kinds).into_iter();
        all.map(|e| e.entity).collect()
    }

    fn name(&self, entity: i32) -> Cell {
        let name = u32::try_from(entity).map(|entity| self.who.name(entity));
        Cell::Text(name.unwrap_or_else(|_| "nobody, or not known".to_owned()))
    }

    fn key(&self, entity: i32) -> Cell {
        let known = u32::try_from(entity)
            .ok()
            .and_then(|e| self.store.entities().get(e as usize));
        Cell::Text(known.map_or_else(String::new, |e| e.key.clone()))
    }

    fn state(&self, code: u8) -> String {
        word(&self.store.manifest().vocabulary.states, code)
    }

    fn cause(&self, code: u8) -> String {
        word(&self.store.manifest().vocabulary.causes, code)
    }

    fn budgets(&self) -> Result<(Table, Table), StoreError> {
        let kinds = [Kind::Cpu, Kind::Vcpu, Kind::NestedVcpu, Kind::Process];
        let mut entities = self.of_kinds(&kinds);
        let place = |e: &EntityRecord| kinds.iter().position(|&kind| is(e, kind));
        entities.sort_by_key(|e| (place(e), e.vm, e.vcpu, e.entity));
        let numbers: Vec<u32> = entities.iter().map(|e| e.entity).collect();
        let mut costs: BTreeMap<u32, Vec<Cost>> = BTreeMap::new();
        for cost in self.store.budget(&numbers, self.begin, self.end)? {
            costs.entry(cost.lane.entity).or_default().push(cost);
        }
        let mut drawn = Table {
            columns: columns![
                column("entity", "Of", 3.4),
                column("bar", "Where the time went", 6.0),
                column("ns", "Sum", 1.0),
                column("first", "Most of it", 2.4),
                column("share", "Share", 0.8),
            ],
            rows: Vec::new(),
            legend: Vec::new(),
        };
        let mut rows = Table {
            columns: columns![
                column("entity", "", 0.0),
                column("key", "", 0.0),
                column("vcpu", "", 0.0),
                column("state", "", 0.0),
                column("cause", "", 0.0),
                column("level", "", 0.0),
                column("confidence", "", 0.0),
                column("ns", "", 0.0),
                column("share", "", 0.0),
            ],
            rows: Vec::new(),
            legend: Vec::new(),
        };
        let mut seen = BTreeMap::new();
        for entity in entities {
            let Some(costs) = costs.get(&entity.entity) else {
                continue;
            };
            let number = i32::try_from(entity.entity).unwrap_or(-1);
            let whole = costs.iter().map(|c| c.ns).fold(0, i64::saturating_add);
            let share = |ns: i64| ns as f64 / whole.max(1) as f64;
            // By what it is called.
            let mut parts: BTreeMap<String, (i64, crate::look::Look)> = BTreeMap::new();
            for &Cost { lane, doing, ns } in costs {
                let doing = self.store.doing(doing);
                let (state, cause) = (self.state(doing.state), self.cause(doing.cause));
                let look = look(&state, &cause, doing.level);
                let tells_why = is_wait(&state) || state == "unknown";
                let name = if tells_why && !cause.is_empty() {
                    format!("{state}: {cause}")
                } else {
                    state.clone()
                };
                let part = parts.entry(name).or_insert((0, look));
                part.0 = part.0.saturating_add(ns);
                let vcpu = match lane.vcpu {
                    -1 => String::new(),
                    vcpu => vcpu.to_string(),
                };
                let words = &self.store.manifest().vocabulary.confidences;
                let sure = word(words, doing.confidence);
                rows.rows.push(vec![
                    self.name(number),
                    self.key(number),
                    Cell::Text(vcpu),
                    Cell::Text(state),
                    Cell::Text(cause),
                    Cell::Text(doing.level.to_string()),
                    Cell::Text(sure),
                    Cell::Duration(ns),
                    Cell::Share(share(ns)),
                ]);
            }
            let mut parts: Vec<_> = parts.into_iter().collect();
            parts.sort_by_key(|(name, (ns, _))| (std::cmp::Reverse(*ns), name.clone()));
            for (name, (ns, look)) in &parts {
                let known = seen.entry(name.clone()).or_insert((0_i64, *look));
                known.0 = known.0.saturating_add(*ns);
            }
            let (first, of_it) = parts
                .first()
                .map_or((String::new(), 0), |(name, (ns, _))| (name.clone(), *ns));
            drawn.rows.push(vec![
                self.name(number),
                Cell::Bar(parts.iter().map(|(_, (ns, l))| (share(*ns), *l)).collect()),
                Cell::Duration(whole),
                Cell::Text(first),
                Cell::Share(share(of_it)),
            ]);
        }
        let mut seen: Vec<_> = seen.into_iter().collect();
        seen.sort_by_key(|(name, (ns, _))| (std::cmp::Reverse(*ns), name.clone()));
        drawn.legend = seen.into_iter().map(|(name, (_, l))| (name, l)).collect();
        Ok((drawn, rows))
    }

    fn waits(&self) -> Result<Table, StoreError> {
        let lanes = self.numbers(&[Kind::Vcpu, Kind::NestedVcpu, Kind::Process]);
        let found = waits(self.store, Some(&lanes), self.begin, self.end)?;
        let rows = found.iter().map(|wait| {
            let entity = i32::try_from(wait.entity).unwrap_or(-1);
            vec![
                self.name(entity),
                self.key(entity),
                Cell::Text(self.state(wait.state)),
                Cell::Text(self.cause(wait.cause)),
                Cell::Count(wait.count),
                Cell::Duration(wait.ns),
                Cell::Duration(wait.p50_ns),
                Cell::Duration(wait.p99_ns),
                Cell::Duration(wait.max_ns),
                Cell::Time(wait.max_start_ns),
            ]
        });
        Ok(Table {
            columns: columns![
                column("entity", "Of", 3.2),
                column("key", "", 0.0),
                column("state", "State", 1.4),
                column("cause", "Ended by", 1.4),
                column("count", "Times", 1.0),
                column("ns", "Sum", 1.0),
                column("p50_ns", "Median", 1.0),
                column("p99_ns", "p99", 1.0),
                column("max_ns", "Longest", 1.0),
                column("max_start_ns", "at", 1.6),
            ],
            rows: rows.collect(),
            legend: Vec::new(),
        })
    }

    fn matrix(&self) -> Result<Table, StoreError> {
        let lanes = self.numbers(&[Kind::Vcpu, Kind::NestedVcpu, Kind::Process]);
        let found = taken(self.store, Some(&lanes), self.begin, self.end)?;
        let rows = found.iter().map(|one| {
            let victim = i32::try_from(one.victim).unwrap_or(-1);
            vec![
                self.name(victim),
                self.key(victim),
                self.name(one.culprit),
                self.key(one.culprit),
                Cell::Text(self.state(one.state)),
                Cell::Count(one.count),
                Cell::Duration(one.ns),
                Cell::Duration(one.longest_ns),
                Cell::Time(one.longest_start_ns),
            ]
        });
        Ok(Table {
            columns: columns![
                column("victim", "Who was kept from running", 3.2),
                column("victim_key", "", 0.0),
                column("culprit", "by whom", 3.2),
                column("culprit_key", "", 0.0),
                column("state", "State", 1.5),
                column("count", "Times", 0.9),
                column("ns", "Sum", 1.0),
                column("longest_ns", "Longest", 1.0),
                column("longest_start_ns", "at", 1.6),
            ],
            rows: rows.collect(),
            legend: Vec::new(),
        })
    }

    fn exits(&self) -> Result<Table, StoreError> {
        let vcpus = self.numbers(&[Kind::Vcpu]);
        let found = exit_costs(self.store, Some(&vcpus), self.begin, self.end, ExitsBy::Vm)?;
        let rows = found.iter().map(|exit| {
            let share = |ns: i64| Cell::Share(ns as f64 / exit.ns.max(1) as f64);
            let to = if exit.reflected { " (to L1)" } else { "" };
            let name = exits::name(exit.isa, exit.reason);
            vec![
                Cell::Text(format!("{name}{to}")),
                self.name(exit.who),
                self.key(exit.who),
                Cell::Count(exit.count),
                Cell::Duration(exit.ns),
                share(exit.kernel_ns),
                share(exit.vmm_ns),
                share(exit.off_cpu_ns),
                Cell::Duration(exit.p50_ns),
                Cell::Duration(exit.p99_ns),
                Cell::Duration(exit.max_ns),
                Cell::Time(exit.max_start_ns),
            ]
        });
        Ok(Table {
            columns: columns![
                column("reason", "Exit", 1.8),
                column("vm", "Of", 2.8),
                column("vm_key", "", 0.0),
                column("count", "Times", 0.9),
                column("ns", "Sum", 1.0),
                column("kernel_share", "Kernel", 0.8),
                column("vmm_share", "VMM", 0.8),
                column("off_cpu_share", "Off CPU", 0.9),
                column("p50_ns", "Median", 1.0),
                column("p99_ns", "p99", 1.0),
                column("max_ns", "Longest", 1.0),
                column("max_start_ns", "at", 1.6),
            ],
            rows: rows.collect(),
            legend: Vec::new(),
        })
    }

    /// What everything does at the beginning of the range.
    fn states(&self) -> Result<Table, StoreError> {
        let kinds = [
            Kind::Cpu,
            Kind::Vcpu,
            Kind::NestedVcpu,
            Kind::Process,
            Kind::GuestThread,
            Kind::Thread,
            Kind::Interrupt,
        ];
        let lanes = self.numbers(&kinds);
        let mut found = self.store.state_of(&lanes, self.begin)?;
        let place = |piece: &Piece| {
            let entity = self.store.entities().get(piece.lane.entity as usize);
            entity.and_then(|e| kinds.iter().position(|&kind| is(e, kind)))
        };
        found.sort_by_key(|piece| (place(piece), piece.lane));
        let rows = found.iter().map(|piece| {
            let doing = self.store.doing(piece.doing);
            let entity = i32::try_from(piece.lane.entity).unwrap_or(-1);
            let vocabulary = &self.store.manifest().vocabulary;
            let by = if piece.by < 0 {
                Cell::Text(String::new())
            } else {
                self.name(self.who.resolve(piece.by))
            };
            vec![
                self.name(entity),
                self.key(entity),
                Cell::Text(self.state(doing.state)),
                Cell::Text(self.cause(doing.cause)),
                by,
                Cell::Text(word(&vocabulary.confidences, doing.confidence)),
                Cell::Text(word(&vocabulary.evidences, doing.evidence)),
                Cell::Time(piece.start),
                Cell::Time(piece.end),
                Cell::Duration(piece.end.saturating_sub(piece.start)),
            ]
        });
        Ok(Table {
            columns: columns![
                column("entity", "Of", 3.0),
                column("key", "", 0.0),
                column("state", "State", 1.5),
                column("cause", "Why", 1.4),
                column("by", "By", 2.2),
                column("confidence", "", 0.0),
                column("evidence", "Evidence", 1.5),
                column("start_ns", "Since", 1.7),
                column("end_ns", "", 0.0),
                column("ns", "For", 1.0),
            ],
            rows: rows.collect(),
            legend: Vec::new(),
        })
    }

    /// A finding is drawn in several lines: the sentence, and what it rests on.
    fn findings(&self, letters: usize) -> Result<(Table, Table), StoreError> {
        let mut drawn = Table {
            columns: columns![
                column("kind", "What", 1.0),
                column("title", "What stands out", 10.5),
                column("begin_ns", "at", 1.5),
                column("ns", "For", 0.8),
            ],
            rows: Vec::new(),
            legend: Vec::new(),
        };
        let mut rows = Table {
            columns: columns![
                column("kind", "", 0.0),
                column("title", "", 0.0),
                column("detail", "", 0.0),
                column("begin_ns", "", 0.0),
                column("end_ns", "", 0.0),
                column("ns", "", 0.0),
            ],
            rows: Vec::new(),
            legend: Vec::new(),
        };
        let text = |text: &str| Cell::Text(text.to_owned());
        for finding in findings(self.store)? {
            if finding.entity.is_some_and(|entity| !self.wanted(entity)) {
                continue;
            }
            let sentence = lines(&finding.title, letters);
            let mut rest = sentence.iter().map(String::as_str);
            drawn.rows.push(vec![
                text(finding.kind.as_str()),
                text(rest.next().unwrap_or_default()),
                Cell::Time(finding.begin_ns),
                Cell::Duration(finding.ns),
            ]);
            let detail = lines(&finding.detail, letters);
            for line in rest.chain(detail.iter().map(String::as_str)) {
                drawn.rows.push(vec![text(""), text(line)]);
            }
            rows.rows.push(vec![
                text(finding.kind.as_str()),
                text(&finding.title),
                text(&finding.detail),
                Cell::Time(finding.begin_ns),
                Cell::Time(finding.end_ns),
                Cell::Duration(finding.ns),
            ]);
        }
        Ok((drawn, rows))
    }
}

fn word(pairs: &[(u8, String)], code: u8) -> String {
    let known = pairs.iter().find(|(known, _)| *known == code);
    known.map_or_else(|| code.to_string(), |(_, name)| name.clone())
}

/// Text in lines of at most so many letters, cut between words.
fn lines(text: &str, letters: usize) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut length = 0;
    for word in text.split(' ') {
        let word_length = word.chars().count();
        if length > 0 && length + 1 + word_length > letters {
            out.push(String::new());
            length = 0;
        }
        if let Some(line) = out.last_mut() {
            if length > 0 {
                line.push(' ');
                length += 1;
            }
            line.push_str(word);
            length += word_length;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut_between_words() {
        assert_eq!(lines("one two three", 8), ["one two", "three"]);
        assert_eq!(lines("one", 2), ["one"]);
        assert_eq!(lines("", 2), [""]);
    }
}
