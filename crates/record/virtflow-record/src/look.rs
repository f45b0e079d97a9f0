//! What is known before the rings are emptied.

use crate::load::Ring;
use crate::order::{self, Loss};
use crate::trace;

/// What a look at the recorder tells.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    /// All that happened before comes out of the rings.
    pub(crate) until: u64,
    /// How many records were lost so far.
    pub(crate) lost: u64,
    /// Of each processor, with what was lost before it began; and when that was asked.
    pub(crate) of_cpus: Vec<u64>,
    pub(crate) asked: u64,
    /// What was lost of which no record tells that comes out of the rings.
    pub(crate) untold: Vec<(u32, Loss)>,
}

/// Looks, one after another.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    /// How many records were lost before it began.
    before: u64,
    /// How many at the last look, and whether some of that was not told then.
    lost: u64,
    is_untold: bool,
}

impl Looks {
    /// What was lost until now is not counted.
    pub(crate) fn from_now(ring: &Ring) -> Self {
        Self {
            before: ring.lost().iter().sum(),
            ..Self::default()
        }
    }

    /// In this order: what is lost after `until` is not asked for, and what was lost before is either
    /// told by a record that is there or not told yet.
    pub(crate) fn look(&mut self, ring: &Ring) -> Looked {
        let until = order::settled(trace::now());
        let of_cpus = ring.lost();
        let asked = trace::now();
        Looked {
            until,
            asked,
            ..self.look_at(of_cpus, || ring.untold())
        }
    }

    /// What was lost `of_cpus`, and what is `untold` of it. That is asked of every processor, so only where there
    /// can be any: the programs note it before they count it (`loses` of `bpf/record.h`).
    fn look_at(&mut self, of_cpus: Vec<u64>, untold: impl FnOnce() -> Vec<(u32, Loss)>) -> Looked {
        let lost: u64 = of_cpus.iter().sum();
        let untold = if self.is_untold || lost != self.lost {
            untold()
        } else {
            Vec::new()
        };
        self.lost = lost;
        self.is_untold = !untold.is_empty();
        Looked {
            lost: lost.saturating_sub(self.before),
            of_cpus,
            untold,
            ..Looked::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At each look: how many are lost in all, what is not told of it, and whether that is asked for.
    #[test]
    fn what_is_not_told_is_asked_for_only_where_something_can_be() {
        let loss = Loss {
            count: 3,
            first: 5,
            last: 9,
        };
        let all = [
            (7, vec![], true), // Before it began something was lost: nobody knows yet what is told of it.
            (7, vec![], false),
            (10, vec![(1, loss)], true),
            (10, vec![(1, loss)], true), // None was lost since, but a record still is to tell.
            (10, vec![], true),
            (10, vec![], false),
            (11, vec![], true),
        ];
        let mut looks = Looks {
            before: 7,
            ..Looks::default()
        };
        for (at, (lost, untold, asks)) in all.into_iter().enumerate() {
            let mut asked = false;
            let looked = looks.look_at(vec![2, lost - 2], || {
                asked = true;
                untold.clone()
            });
            assert_eq!((asked, looked.lost), (asks, lost - 7), "{at}");
            assert_eq!(
                (looked.of_cpus, looked.untold),
                (vec![2, lost - 2], untold),
                "{at}"
            );
        }
        // Where nothing was ever lost it is never asked for.
        let mut looks = Looks::default();
        let looked = looks.look_at(vec![0, 0], || unreachable!());
        assert_eq!(looked.lost, 0);
    }
}
