//! The flight recorder: what happened last, kept in memory until somebody wants it as a trace.

use crate::look::Looked;
use crate::order::{Loss, Order, Record};
use crate::trace::{Layout, Writer};
use crate::{Missed, RecordError, Snapshot, dump};
use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

/// So many bytes of records are kept or forgotten together.
const CHUNK_BYTES: usize = 1 << 18;
/// The bytes of a record before its fields: time, kind, how many bytes of fields.
const HEAD_BYTES: usize = 12;

/// Records of one processor, one after another.
#[derive(Debug)]
struct Chunk {
    /// When the last one happened, or a loss that one of them tells of ended.
    last: u64,
    bytes: Vec<u8>,
}

/// What is kept of one processor.
#[derive(Debug, Default)]
struct Cpu {
    chunks: VecDeque<Chunk>,
}

/// What happened last on all processors.
#[derive(Debug)]
pub(crate) struct Flight {
    cpus: Vec<Cpu>,
    /// How long things are kept, in nanoseconds.
    window: u64,
    /// How much at the most, in bytes.
    memory: usize,
    held: usize,
    /// All that happened from here on is there.
    begins: u64,
}

impl Flight {
    /// Keeps what happened in the last `window`, but not more than `memory` bytes of it.
    pub(crate) fn new(cpus: u32, window: Duration, memory: usize, began: u64) -> Self {
        Self {
            cpus: (0..cpus).map(|_| Cpu::default()).collect(),
            window: u64::try_from(window.as_nanos()).unwrap_or(u64::MAX),
            memory,
            held: 0,
            begins: began,
        }
    }

    /// Keeps a record. Those of a processor come in order.
    pub(crate) fn keep(&mut self, record: &Record<'_>) {
        let Some(cpu) = self.cpus.get_mut(record.cpu as usize) else {
            return;
        };
        let Ok(length) = u16::try_from(record.fields.len()) else {
            return;
        };
        let whole = HEAD_BYTES + record.fields.len();
        let room = cpu.chunks.back().map_or(0, |chunk| {
            chunk.bytes.capacity().saturating_sub(chunk.bytes.len())
        });
        let last = until(record);
        if room < whole {
            let bytes = CHUNK_BYTES.max(whole);
            cpu.chunks.push_back(Chunk {
                last,
                bytes: Vec::with_capacity(bytes),
            });
            self.held += bytes;
        }
        if let Some(chunk) = cpu.chunks.back_mut() {
            chunk.last = last;
            chunk.bytes.extend_from_slice(&record.time.to_le_bytes());
            chunk.bytes.extend_from_slice(&record.kind.to_le_bytes());
            chunk.bytes.extend_from_slice(&length.to_le_bytes());
            chunk.bytes.extend_from_slice(record.fields);
        }
    }

    /// All that happened before `now` is kept: forgets what is too old.
    pub(crate) fn settle(&mut self, now: u64) {
        let old = now.saturating_sub(self.window);
        while let Some((cpu, last)) = self.oldest() {
            if last >= old && self.held <= self.memory {
                break;
            }
            if let Some(chunk) = self
                .cpus
                .get_mut(cpu)
                .and_then(|cpu| cpu.chunks.pop_front())
            {
                self.held = self.held.saturating_sub(chunk.bytes.capacity());
                self.begins = self.begins.max(chunk.last + 1);
            }
        }
        self.begins = self.begins.max(old);
    }

    /// The processor whose first chunk ends before those of all others, and when it ends.
    fn oldest(&self) -> Option<(usize, u64)> {
        let firsts = self.cpus.iter().enumerate();
        let firsts = firsts.filter_map(|(cpu, of)| Some((cpu, of.chunks.front()?.last)));
        firsts.min_by_key(|(_, last)| *last)
    }

    /// What is kept and happened before a look at the rings, as a trace in a new directory.
    /// What was `missed` since the recorder began may have been before what is kept: nobody knows.
    pub(crate) fn write(
        &self,
        directory: &Path,
        layout: &Layout,
        looked: &Looked,
        missed: &Missed,
    ) -> Result<Snapshot, RecordError> {
        let is_new = !directory.exists();
        let written = self.write_into(directory, layout, looked, missed);
        if written.is_err() && is_new {
            // Half of it is of no use.
            let _gone = std::fs::remove_dir_all(directory);
        }
        written
    }

    fn write_into(
        &self,
        directory: &Path,
        layout: &Layout,
        looked: &Looked,
        missed: &Missed,
    ) -> Result<Snapshot, RecordError> {
        let end = looked.until;
        let mut writer = Writer::create(directory, layout, self.begins)?;
        let mut told = Order::new(1, self.begins);
        dump::dump(&mut told, layout.dump(dump::When::Past), &mut |_| ());
        told.give(u64::MAX, |record| writer.write(&record))?;
        let mut lost = 0;
        for (number, cpu) in (0_u32..).zip(&self.cpus) {
            lost += self.write_cpu(number, cpu, &mut writer)?;
        }
        for (cpu, loss) in looked.untold.iter().filter(|(_, loss)| loss.first < end) {
            let last = loss.last.min(end);
            writer.lose(*cpu, Loss { last, ..*loss })?;
            lost += loss.count;
        }
        let (events, bytes) = writer.finish(end, missed)?;
        Ok(Snapshot {
            directory: directory.to_owned(),
            events,
            lost,
            bytes,
            covers: Duration::from_nanos(end.saturating_sub(self.begins)),
        })
    }

    /// Writes what is kept of a processor: how much of it was lost.
    fn write_cpu(
        &self,
        number: u32,
        cpu: &Cpu,
        writer: &mut Writer<'_>,
    ) -> Result<u64, RecordError> {
        let mut lost = 0;
        let kept = cpu.chunks.iter().filter(|chunk| chunk.last >= self.begins);
        let kept = kept.flat_map(|chunk| records(number, &chunk.bytes));
        for record in kept.filter(|record| until(record) >= self.begins) {
            lost += record.loss().map_or(0, |loss| loss.count);
            writer.write(&record)?;
        }
        Ok(lost)
    }
}

/// When what a record tells of ended.
fn until(record: &Record<'_>) -> u64 {
    record.loss().map_or(record.time, |loss| loss.last)
}

/// The records of a chunk.
fn records(cpu: u32, mut bytes: &[u8]) -> impl Iterator<Item = Record<'_>> {
    std::iter::from_fn(move || {
        let (head, rest) = bytes.split_at_checked(HEAD_BYTES)?;
        let length = u16::from_le_bytes(head[10..12].try_into().ok()?);
        let (fields, rest) = rest.split_at_checked(usize::from(length))?;
        bytes = rest;
        Some(Record {
            time: u64::from_le_bytes(head[..8].try_into().ok()?),
            kind: u16::from_le_bytes(head[8..10].try_into().ok()?),
            cpu,
            tid: 0,
            pid: 0,
            fields,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn flight(window_ms: u64, memory: usize) -> Flight {
        Flight::new(2, Duration::from_millis(window_ms), memory, 5 * MS)
    }

    fn keep(flight: &mut Flight, cpu: u32, time: u64) {
        flight.keep(&Record {
            time,
            kind: 9,
            cpu,
            tid: 0,
            pid: 0,
            fields: &[1, 2, 3, 4],
        });
    }

    fn kept(flight: &Flight, cpu: u32) -> Vec<u64> {
        let chunks = flight.cpus[cpu as usize].chunks.iter();
        let records = chunks.flat_map(|chunk| records(cpu, &chunk.bytes));
        let times = records.map(|record| {
            assert_eq!((record.kind, record.fields), (9, &[1, 2, 3, 4][..]));
            record.time / MS
        });
        times.collect()
    }

    #[test]
    fn what_is_old_goes() {
        let mut flight = flight(100, 1 << 30);
        keep(&mut flight, 0, 10 * MS);
        keep(&mut flight, 1, 20 * MS);
        flight.settle(50 * MS);
        assert_eq!(flight.begins, 5 * MS);
        keep(&mut flight, 1, 130 * MS);
        flight.settle(140 * MS);
        // The one processor has nothing of the last 100 ms; the other one's chunk goes on.
        assert_eq!(
            (kept(&flight, 0), kept(&flight, 1)),
            (vec![], vec![20, 130])
        );
        assert_eq!(flight.begins, 40 * MS);
        assert_eq!(flight.held, CHUNK_BYTES);
    }

    #[test]
    fn it_takes_no_more_memory_than_it_may() {
        let mut flight = flight(1_000_000, 4 * CHUNK_BYTES);
        let mut most = 0;
        for time in 0..200_000 {
            keep(&mut flight, (time % 2) as u32, 10 * MS + time);
            if time % 1_000 == 0 {
                flight.settle(10 * MS + time);
                most = most.max(flight.held);
            }
        }
        assert!(most <= 4 * CHUNK_BYTES, "{most}");
        // What is there is there as a whole.
        let from = flight.begins;
        for cpu in 0..2 {
            let chunks = flight.cpus[cpu as usize].chunks.iter();
            let times = chunks
                .flat_map(|chunk| records(cpu, &chunk.bytes))
                .map(|r| r.time);
            let there: Vec<u64> = times.filter(|time| *time >= from).collect();
            assert!(there.windows(2).all(|two| two[1] == two[0] + 2));
            assert!(
                there[0] <= from + 1 && there.len() > 10_000,
                "{}",
                there.len()
            );
        }
    }

    /// A loss is kept as long as some of it is in the window.
    #[test]
    fn a_loss_ends_when_the_last_of_it_was_lost() {
        let mut flight = flight(100, 1 << 30);
        keep(&mut flight, 0, 10 * MS);
        let fields = [3, 20 * MS, 90 * MS].map(u64::to_le_bytes).concat();
        flight.keep(&Record {
            time: 20 * MS,
            kind: u16::MAX,
            cpu: 0,
            tid: 0,
            pid: 0,
            fields: &fields,
        });
        flight.settle(180 * MS);
        assert_eq!((flight.begins, flight.cpus[0].chunks.len()), (80 * MS, 1));
        flight.settle(200 * MS);
        assert_eq!((flight.begins, flight.cpus[0].chunks.len()), (100 * MS, 0));
    }
}
