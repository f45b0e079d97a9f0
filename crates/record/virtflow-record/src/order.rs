//! Records in the order in which they happened, by processor.

use crate::running::{Kinds, Running};

/// The bytes of a record before its fields: time, kind, processor, thread, process.
const HEAD_BYTES: usize = 20;
/// A record may come this much later than another one that happened after it: an interrupt that is
/// recorded itself came in between.
const LATE_NS: u64 = 2_000_000;

/// What the kernel wrote down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// When, in nanoseconds of CLOCK_MONOTONIC.
    pub(crate) time: u64,
    /// At which tracepoint.
    pub(crate) kind: u16,
    /// On which processor.
    pub(crate) cpu: u32,
    /// Which thread ran there; 0 for an idle processor.
    pub(crate) tid: i32,
    /// The process of that thread.
    pub(crate) pid: i32,
    /// What more it says: the fields of its events.
    pub(crate) fields: &'a [u8],
}

/// The kind of a record that tells of a loss; its time is that of the first record that was lost.
const LOSS: u16 = u16::MAX;

/// Records of one processor for which there was no room, one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loss {
    /// How many.
    pub(crate) count: u64,
    /// When the first and the last of them happened.
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl<'a> Record<'a> {
    /// What was lost before what comes next of this processor, if the record tells that.
    pub(crate) fn loss(&self) -> Option<Loss> {
        if self.kind != LOSS {
            return None;
        }
        let number = |at: usize| {
            let bytes = self.fields.get(8 * at..8 * at + 8)?;
            Some(u64::from_le_bytes(bytes.try_into().ok()?))
        };
        Some(Loss {
            count: number(0)?,
            first: number(1)?,
            last: number(2)?,
        })
    }

    /// A record out of the ring; nothing for one that is none.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (head, fields) = bytes.split_at_checked(HEAD_BYTES)?;
        Some(Self {
            time: u64::from_le_bytes(head[..8].try_into().ok()?),
            kind: u16::from_le_bytes(head[8..10].try_into().ok()?),
            cpu: u32::from(u16::from_le_bytes(head[10..12].try_into().ok()?)),
            tid: i32::from_le_bytes(head[12..16].try_into().ok()?),
            pid: i32::from_le_bytes(head[16..20].try_into().ok()?),
            fields,
        })
    }

    /// As it stands in a ring.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + self.fields.len());
        bytes.extend(self.time.to_le_bytes());
        bytes.extend(self.kind.to_le_bytes());
        bytes.extend((self.cpu as u16).to_le_bytes());
        bytes.extend(self.tid.to_le_bytes());
        bytes.extend(self.pid.to_le_bytes());
        bytes.extend(self.fields);
        bytes
    }
}

/// Up to when all is known at a time: nothing is told any more of what happened before.
pub(crate) const fn settled(now: u64) -> u64 {
    now.saturating_sub(LATE_NS)
}

/// A record that waits for what may have happened before it.
#[derive(Debug)]
struct Waiting {
    time: u64,
    kind: u16,
    tid: i32,
    pid: i32,
    /// Where its fields are.
    from: usize,
    to: usize,
}

/// The records of a processor that wait.
#[derive(Debug, Default)]
struct Cpu {
    waiting: Vec<Waiting>,
    bytes: Vec<u8>,
    /// When the last one happened that does not wait any more.
    last: u64,
    running: Running,
}

/// Puts the records of each processor in order.
#[derive(Debug)]
pub(crate) struct Order {
    cpus: Vec<Cpu>,
    began: u64,
    kinds: Kinds,
}

impl Order {
    /// Of what happens from `began` on: what comes of before is told of some tracepoints only.
    pub(crate) fn new(cpus: u32, began: u64) -> Self {
        let cpus = (0..cpus).map(|_| Cpu::default()).collect();
        Self {
            cpus,
            began,
            kinds: Kinds::new(),
        }
    }

    /// Takes a record out of a ring; one that is none is left out.
    pub(crate) fn take(&mut self, record: &[u8]) {
        let Some(mut record) = Record::read(record) else {
            return;
        };
        let until = record.loss().map_or(record.time, |loss| loss.last);
        if until >= self.began {
            // A loss may have begun before.
            record.time = record.time.max(self.began);
            self.put(&record);
        }
    }

    /// Takes a record that is not out of a ring: one of the state dump.
    pub(crate) fn put(&mut self, record: &Record<'_>) {
        if let Some(cpu) = self.cpus.get_mut(record.cpu as usize) {
            let from = cpu.bytes.len();
            cpu.bytes.extend_from_slice(record.fields);
            cpu.waiting.push(Waiting {
                time: record.time,
                kind: record.kind,
                tid: record.tid,
                pid: record.pid,
                from,
                to: cpu.bytes.len(),
            });
        }
    }

    /// Since when all that happens is taken.
    pub(crate) const fn began(&self) -> u64 {
        self.began
    }

    /// Gives what happened before `until`, processor by processor, and of each in order; and who runs
    /// there, where no record tells of the switch.
    pub(crate) fn give<E>(
        &mut self,
        until: u64,
        mut to: impl FnMut(Record<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        for (number, cpu) in (0..).zip(&mut self.cpus) {
            cpu.give(number, until, &self.kinds, &mut to)?;
        }
        Ok(())
    }
}

impl Cpu {
    fn give<E>(
        &mut self,
        cpu: u32,
        until: u64,
        kinds: &Kinds,
        to: &mut impl FnMut(Record<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.waiting.sort_by_key(|record| record.time);
        let ready = self.waiting.partition_point(|record| record.time < until);
        for record in self.waiting.drain(..ready) {
            // What is too late is told as having happened when it can still be told.
            self.last = self.last.max(record.time);
            let record = Record {
                time: self.last,
                kind: record.kind,
                cpu,
                tid: record.tid,
                pid: record.pid,
                fields: self.bytes.get(record.from..record.to).unwrap_or_default(),
            };
            if let Some(shown) = self.running.shown(kinds, &record) {
                to(shown.before(&record))?;
            }
            to(record)?;
        }
        let first = self.waiting.iter().map(|record| record.from).min();
        let gone = first.unwrap_or(self.bytes.len());
        if gone > self.bytes.len() / 2 {
            self.bytes.drain(..gone);
            for record in &mut self.waiting {
                (record.from, record.to) = (record.from - gone, record.to - gone);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn record(time: u64, cpu: u16, field: u8) -> Vec<u8> {
        let mut bytes = time.to_le_bytes().to_vec();
        bytes.extend(7_u16.to_le_bytes());
        bytes.extend(cpu.to_le_bytes());
        bytes.extend(11_i32.to_le_bytes());
        bytes.extend(10_i32.to_le_bytes());
        bytes.push(field);
        bytes
    }

    fn given(order: &mut Order, until: u64) -> Vec<(u64, u32, u8)> {
        let mut all = Vec::new();
        let done: Result<(), Infallible> = order.give(until, |record| {
            assert_eq!((record.tid, record.pid), (11, 10));
            // Once for each processor it is told who runs there.
            if record.kind == 7 {
                all.push((record.time, record.cpu, record.fields[0]));
            }
            Ok(())
        });
        done.unwrap();
        all
    }

    #[test]
    fn by_processor_and_time() {
        let ms = |ms: u64| ms * 1_000_000;
        let mut order = Order::new(2, ms(2));
        for (time, cpu, field) in [(5, 0, b'b'), (4, 0, b'a'), (4, 1, b'c'), (9, 1, b'd')] {
            order.take(&record(ms(time), cpu, field));
        }
        // Of before it began, of a processor that is not there, and what is no record.
        order.take(&record(ms(1), 0, b'x'));
        order.take(&record(ms(5), 2, b'x'));
        order.take(b"short");
        // What happened in the last two milliseconds waits for what comes late.
        let first = given(&mut order, settled(ms(8)));
        assert_eq!(
            first,
            [(ms(4), 0, b'a'), (ms(5), 0, b'b'), (ms(4), 1, b'c')]
        );
        // Too late: told as at the last one's time, and after the earlier that are in time.
        order.take(&record(ms(3), 1, b'e'));
        order.take(&record(ms(8), 1, b'f'));
        let rest = given(&mut order, u64::MAX);
        assert_eq!(rest, [(ms(4), 1, b'e'), (ms(8), 1, b'f'), (ms(9), 1, b'd')]);
        assert!(given(&mut order, u64::MAX).is_empty());
        assert!(order.cpus.iter().all(|cpu| cpu.bytes.is_empty()));
    }
}
