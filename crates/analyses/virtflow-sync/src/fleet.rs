//! Several machines and the messages between them.

use crate::link::{Link, Solved, State};
use crate::map::ClockMap;
use std::collections::BTreeMap;
use virtflow_base::{Span, Timestamp};

/// A message that was sent here and received there, each end on its machine's own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who sent it.
    pub from: u32,
    /// When.
    pub sent: Timestamp,
    /// Who received it.
    pub to: u32,
    /// When.
    pub received: Timestamp,
}

/// Machines whose clocks are to be aligned.
#[derive(Debug)]
pub struct Fleet {
    spans: Vec<Span>,
    /// Each pair both ways: whose clock, against whose.
    links: BTreeMap<(u32, u32), Link>,
}

/// What became of one machine's clock.
#[derive(Clone, Debug)]
pub struct Alignment {
    /// How well it is known.
    pub state: State,
    /// To the reference's clock; of a clock that is not known, and of the reference's, the map that
    /// changes nothing.
    pub map: ClockMap,
    /// The largest error of the map during the machine's span; `None` where the clock is not known.
    pub error_ns: Option<i64>,
    /// By whose clock it is known; `None` for the reference and where it is not known.
    pub by: Option<u32>,
    /// Messages to machines whose clocks are known, and from them.
    pub sent: u64,
    /// See `sent`.
    pub received: u64,
}

impl Fleet {
    /// Machines, each with the time its clock shows while it is watched.
    pub const fn new(spans: Vec<Span>) -> Self {
        Self {
            spans,
            links: BTreeMap::new(),
        }
    }

    /// Takes a message; one of a machine that is not of the fleet, or to oneself, is none.
    pub fn message(&mut self, message: &Message) {
        let Message {
            from,
            sent,
            to,
            received,
        } = *message;
        let span = |machine: u32| self.spans.get(machine as usize).copied();
        let (Some(from_span), Some(to_span)) = (span(from), span(to)) else {
            return;
        };
        if from == to {
            return;
        }
        let links = &mut self.links;
        let out = links.entry((from, to));
        out.or_insert_with(|| Link::new(from_span))
            .sent(sent, received);
        let back = links.entry((to, from));
        back.or_insert_with(|| Link::new(to_span))
            .received(received, sent);
    }

    /// Aligns all clocks to that of machine `reference`, along the tree of links whose errors add
    /// up to least.
    pub fn align(&self, reference: u32) -> Vec<Alignment> {
        let solved: BTreeMap<(u32, u32), Solved> = self
            .links
            .iter()
            .map(|(&pair, link)| (pair, link.solve()))
            .collect();
        let mut all: Vec<Option<Alignment>> = vec![None; self.spans.len()];
        if let Some(place) = all.get_mut(reference as usize) {
            *place = Some(Alignment {
                state: State::Reference,
                map: ClockMap::default(),
                error_ns: Some(0),
                by: None,
                sent: 0,
                received: 0,
            });
        }
        // Of all links from a known clock to an unknown one, the one that leaves least error.
        while let Some((machine, alignment)) = solved
            .iter()
            .filter_map(|(&(machine, by), solved)| {
                let known = all.get(by as usize)?.as_ref()?;
                if all.get(machine as usize)?.is_some() {
                    return None;
                }
                Some((machine, self.along(machine, by, solved, known)?))
            })
            .min_by_key(|(machine, alignment)| (alignment.error_ns, *machine))
        {
            all[machine as usize] = Some(alignment);
        }
        let known: Vec<bool> = all.iter().map(Option::is_some).collect();
        let all = (0..).zip(all);
        all.map(|(machine, found)| found.unwrap_or_else(|| self.unknown(machine, &solved, &known)))
            .collect()
    }

    fn along(
        &self,
        machine: u32,
        by: u32,
        solved: &Solved,
        known: &Alignment,
    ) -> Option<Alignment> {
        let map = solved.map.as_ref()?.then(&known.map);
        let span = self.spans.get(machine as usize)?;
        let (sent, received) = self.links.get(&(machine, by))?.messages();
        let state = match known.state {
            State::Approximate => State::Approximate,
            _ => solved.state,
        };
        Some(Alignment {
            state,
            error_ns: Some(map.error_max(span.start, span.end)),
            map,
            by: Some(by),
            sent,
            received,
        })
    }

    /// A machine without a link that tells its clock: the state of the link that comes closest.
    fn unknown(
        &self,
        machine: u32,
        solved: &BTreeMap<(u32, u32), Solved>,
        known: &[bool],
    ) -> Alignment {
        let mut alignment = Alignment {
            state: State::Absent,
            map: ClockMap::default(),
            error_ns: None,
            by: None,
            sent: 0,
            received: 0,
        };
        for (&(whose, by), solved) in solved.range((machine, 0)..=(machine, u32::MAX)) {
            // What is between two unknown clocks tells neither.
            if !known.get(by as usize).is_some_and(|known| *known) {
                continue;
            }
            if matches!(solved.state, State::Contradictory | State::OneDirection)
                && alignment.state != State::Contradictory
            {
                alignment.state = solved.state;
            }
            let messages = self.links.get(&(whose, by)).map_or((0, 0), Link::messages);
            alignment.sent += messages.0;
            alignment.received += messages.1;
        }
        alignment
    }
}
