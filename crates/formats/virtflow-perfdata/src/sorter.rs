//! Putting events in order of time, with an end to the memory that takes.
//!
//! perf writes what it finds in each processor's buffer one buffer after the other, and a mark when
//! it has been through all of them (`PERF_RECORD_FINISHED_ROUND`). What lies behind a mark is not
//! earlier than the latest event before the mark before it (tools/perf/util/ordered-events.c), so
//! that much can be handed out. Where a file breaks that, or has no marks, all of it must be sorted
//! at once. More than [`HELD_MAX`] bytes go sorted into a nameless file of the system's directory for
//! such, and are merged from there.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use crate::held::{Held, Waiting};
use crate::survey::Order;

/// The most bytes of events in memory.
pub(crate) const HELD_MAX: usize = 64 << 20;
/// Of a file that is in order, so many bytes are taken at once.
const SORTED: usize = 256 << 10;
/// Bytes of a written part that are read at once.
const STEP: usize = 64 << 10;

/// Puts events in order.
pub(crate) struct Sorter {
    order: Order,
    held_max: usize,
    coming: Held,
    /// What can be handed out, in order, and how much of it was.
    ready: Held,
    given: usize,
    /// Up to where events can be handed out.
    limit: u64,
    /// The latest event, and what it was when the last round ended.
    latest: u64,
    last: u64,
    parts: Parts,
}

impl Sorter {
    /// At most `held_max` bytes are held in memory, and `room` on disk.
    pub(crate) fn new(order: Order, held_max: usize, room: u64) -> Self {
        Self {
            order,
            held_max,
            coming: Held::default(),
            ready: Held::default(),
            given: 0,
            limit: 0,
            latest: 0,
            last: 0,
            parts: Parts {
                room,
                ..Parts::default()
            },
        }
    }

    /// Takes an event.
    ///
    /// # Errors
    /// Where there is no room for it, neither in memory nor on disk.
    #[inline]
    pub(crate) fn take(&mut self, event: Waiting, record: &[u8]) -> io::Result<()> {
        self.latest = self.latest.max(event.time);
        self.coming.push(event, record);
        let size = self.coming.size();
        if self.order == Order::Sorted && size >= SORTED {
            self.release(u64::MAX);
        } else if size >= self.held_max {
            self.coming.sort();
            let written = self.parts.write(&self.coming);
            if written.is_err() {
                // In some order, rather than not at all.
                self.release(u64::MAX);
            }
            self.coming.clear();
            return written;
        }
        Ok(())
    }

    /// A round has ended.
    pub(crate) fn round(&mut self) {
        if self.order == Order::Rounds {
            let limit = std::mem::replace(&mut self.last, self.latest);
            self.release(limit);
        }
    }

    /// Nothing more comes.
    pub(crate) fn end(&mut self) {
        self.release(u64::MAX);
    }

    /// Whether there is something to hand out; then nothing more is to be taken before that is done.
    pub(crate) fn is_ready(&self) -> bool {
        self.given < self.ready.events.len() || self.parts.next(self.limit).is_some()
    }

    /// Hands out events up to `limit` from now on.
    fn release(&mut self, limit: u64) {
        self.limit = limit;
        self.given = 0;
        self.ready.clear();
        std::mem::swap(&mut self.ready, &mut self.coming);
        self.ready.sort();
        self.ready.split(limit, &mut self.coming);
    }

    /// Hands the next event to `give`; false where there is none.
    #[inline]
    pub(crate) fn give(&mut self, give: impl FnOnce(&Waiting, &[u8])) -> io::Result<bool> {
        let ready = self.ready.events.get(self.given);
        // Of one moment, what was written down came before.
        if let Some(time) = self.parts.next(self.limit)
            && ready.is_none_or(|event| time <= event.time)
        {
            return self.parts.give(give);
        }
        let Some(event) = ready else {
            return Ok(false);
        };
        self.given += 1;
        give(event, self.ready.record(event));
        Ok(true)
    }
}

/// What was written down: one part after the other, each in order.
#[derive(Default)]
struct Parts {
    file: Option<File>,
    len: u64,
    /// The most bytes of it.
    room: u64,
    parts: Vec<Part>,
    /// The next event of each part that has one.
    heads: BinaryHeap<Reverse<(u64, usize)>>,
}

/// A part, and what of it is in memory.
struct Part {
    at: u64,
    end: u64,
    bytes: Vec<u8>,
    given: usize,
}

impl Parts {
    fn write(&mut self, held: &Held) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile()?),
        };
        let at = self.len;
        let mut out = Counted {
            out: io::BufWriter::with_capacity(STEP, &*file),
            count: 0,
        };
        if at + held.size() as u64 > self.room {
            let what = "many times as much as the whole file";
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
        }
        held.write(&mut out)?;
        out.flush()?;
        self.len = at + out.count;
        let number = self.parts.len();
        self.parts.push(Part {
            at,
            end: self.len,
            bytes: Vec::new(),
            given: 0,
        });
        if let Some(first) = held.events.first() {
            self.heads.push(Reverse((first.time, number)));
        }
        Ok(())
    }

    /// When the next event up to `limit` was.
    #[inline]
    fn next(&self, limit: u64) -> Option<u64> {
        let Reverse((time, _)) = self.heads.peek()?;
        (*time <= limit).then_some(*time)
    }

    fn give(&mut self, give: impl FnOnce(&Waiting, &[u8])) -> io::Result<bool> {
        let (Some(Reverse((_, number))), Some(file)) = (self.heads.pop(), &self.file) else {
            return Ok(false);
        };
        let Some(part) = self.parts.get_mut(number) else {
            return Ok(false);
        };
        part.load(file)?;
        let rest = part.bytes.get(part.given..).unwrap_or_default();
        let Some((event, record, len)) = Waiting::read(rest) else {
            return Ok(false);
        };
        give(&event, record);
        part.given += len;
        part.load(file)?;
        let rest = part.bytes.get(part.given..).unwrap_or_default();
        if let Some((event, ..)) = Waiting::read(rest) {
            self.heads.push(Reverse((event.time, number)));
        } else {
            part.bytes = Vec::new();
        }
        if self.heads.is_empty() {
            // Everything was handed out: the file is of use again from its beginning.
            self.parts.clear();
            self.len = 0;
            self.file = None;
        }
        Ok(true)
    }
}

impl Part {
    /// Sees to it that the next event is in memory.
    fn load(&mut self, file: &File) -> io::Result<()> {
        let rest = self.bytes.get(self.given..).unwrap_or_default();
        if self.at >= self.end || Waiting::read(rest).is_some() {
            return Ok(());
        }
        self.bytes.drain(..self.given);
        self.given = 0;
        // No event is as long as this: a record's size has 16 bits.
        let have = self.bytes.len();
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        self.bytes.resize(have + left.min(2 * STEP), 0);
        let room = self.bytes.get_mut(have..).unwrap_or_default();
        file.read_exact_at(room, self.at)?;
        self.at += room.len() as u64;
        Ok(())
    }
}

/// Counts what is written.
struct Counted<W> {
    out: W,
    count: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.count += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Times in the order in which a file of these rounds gives them, and whether what each event
    /// holds went with it.
    fn sorted(order: Order, held_max: usize, rounds: &[Vec<u64>]) -> Vec<(u64, u32)> {
        let mut sorter = Sorter::new(order, held_max, u64::MAX);
        let mut out = Vec::new();
        let mut drain = |sorter: &mut Sorter| {
            let mut give = |event: &Waiting, record: &[u8]| {
                assert_eq!(record, event.class.to_le_bytes().repeat(3));
                assert_eq!(event.process, event.class.is_multiple_of(2).then_some(-1));
                out.push((event.time, event.class));
            };
            while sorter.give(&mut give).unwrap() {}
            assert!(!sorter.is_ready());
        };
        let mut number = 0_u32;
        for round in rounds {
            for time in round {
                let process = number.is_multiple_of(2).then_some(-1);
                let event = Waiting::new(*time, 3, number, process);
                let record = number.to_le_bytes().repeat(3);
                sorter.take(event, &record).unwrap();
                number += 1;
                drain(&mut sorter);
            }
            sorter.round();
            drain(&mut sorter);
        }
        sorter.end();
        drain(&mut sorter);
        out
    }

    fn expected(rounds: &[Vec<u64>]) -> Vec<(u64, u32)> {
        let mut all: Vec<_> = rounds.iter().flatten().copied().zip(0..).collect();
        all.sort();
        all
    }

    #[test]
    fn what_is_handed_out_after_a_round_is_what_perf_hands_out() {
        let mut sorter = Sorter::new(Order::Rounds, HELD_MAX, 0);
        let take = |sorter: &mut Sorter, times: &[u64]| {
            for time in times {
                sorter.take(Waiting::new(*time, 0, 0, None), &[]).unwrap();
            }
            sorter.round();
            let mut out = Vec::new();
            while sorter.give(|event, _| out.push(event.time)).unwrap() {}
            out
        };
        assert_eq!(take(&mut sorter, &[5, 9, 2]), []);
        assert_eq!(take(&mut sorter, &[12, 8, 9]), [2, 5, 8, 9, 9]);
        assert_eq!(take(&mut sorter, &[11]), [11, 12]);
    }

    #[test]
    fn without_room_events_come_late_rather_than_not() {
        let mut sorter = Sorter::new(Order::None, 1, 0);
        let mut out = Vec::new();
        for time in [5, 3] {
            let taken = sorter.take(Waiting::new(time, 0, 0, None), &[]);
            assert!(taken.is_err());
            while sorter.give(|event, _| out.push(event.time)).unwrap() {}
        }
        assert_eq!(out, [5, 3]);
    }

    proptest! {
        #[test]
        fn everything_comes_out_in_order(
            rounds in prop::collection::vec(prop::collection::vec(0_u64..50, 0..40), 0..8),
            held in prop::sample::select(vec![1_usize, 200, 1000, HELD_MAX]),
        ) {
            prop_assert_eq!(sorted(Order::None, held, &rounds), expected(&rounds));
            // Each round's events are not earlier than the one before's.
            let far: Vec<Vec<u64>> = rounds
                .iter()
                .enumerate()
                .map(|(n, round)| round.iter().map(|time| time + 25 * n as u64).collect())
                .collect();
            prop_assert_eq!(sorted(Order::Rounds, held, &far), expected(&far));
            let mut one: Vec<u64> = rounds.concat();
            one.sort_unstable();
            let one = [one];
            prop_assert_eq!(sorted(Order::Sorted, held, &one), expected(&one));
        }
    }
}
