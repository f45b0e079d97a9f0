//! What a lane does, as one number: a state, why, at which level, how sure, by which rule.

use rustc_hash::FxHashMap;

/// What a lane does: codes of the writer's vocabulary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Doing {
    /// Its state.
    pub state: u8,
    /// Why.
    pub cause: u8,
    /// 0 host, 1 guest, 2 guest of a guest.
    pub level: u8,
    /// How sure.
    pub confidence: u8,
    /// By which rule; 0 in sums over several intervals.
    pub evidence: u8,
}

impl Doing {
    /// The same, whatever the rule was.
    #[must_use]
    pub const fn without_evidence(self) -> Self {
        Self {
            evidence: 0,
            ..self
        }
    }
}

/// The number of each [`Doing`] of a store, in the order in which they were met.
#[derive(Debug, Default)]
pub(crate) struct Doings {
    all: Vec<Doing>,
    /// The number of each without its evidence.
    bare: Vec<u32>,
    numbers: FxHashMap<Doing, u32>,
    last: Option<(Doing, u32)>,
}

impl Doings {
    pub(crate) fn number(&mut self, doing: Doing) -> u32 {
        if let Some((last, number)) = self.last
            && last == doing
        {
            return number;
        }
        let number = match self.numbers.get(&doing) {
            Some(&number) => number,
            None => self.add(doing),
        };
        self.last = Some((doing, number));
        number
    }

    fn add(&mut self, doing: Doing) -> u32 {
        // Five bytes have more values than a u32 has, but nobody has that much memory.
        let number = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        self.all.push(doing);
        self.numbers.insert(doing, number);
        self.bare.push(number);
        if doing.evidence != 0 {
            let bare = self.number(doing.without_evidence());
            self.bare[number as usize] = bare;
        }
        number
    }

    /// The number of the same without evidence.
    pub(crate) fn bare(&self, number: u32) -> u32 {
        self.bare.get(number as usize).copied().unwrap_or(number)
    }

    pub(crate) fn all(&self) -> &[Doing] {
        &self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_stable_and_evidence_can_be_left_out() {
        let mut doings = Doings::default();
        let one = Doing {
            state: 1,
            evidence: 7,
            ..Doing::default()
        };
        let other = Doing {
            state: 1,
            evidence: 8,
            ..Doing::default()
        };
        let (a, b) = (doings.number(one), doings.number(other));
        assert_ne!(a, b);
        assert_eq!(doings.number(one), a);
        assert_eq!(doings.bare(a), doings.bare(b));
        assert_eq!(
            doings.all()[doings.bare(a) as usize],
            one.without_evidence()
        );
    }
}
