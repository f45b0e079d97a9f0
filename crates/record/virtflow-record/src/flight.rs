//! The flight recorder: what happened last, kept in memory until somebody wants it as a trace.

use crate::order::{Order, Record};
use crate::trace::{Layout, Writer};
use crate::{RecordError, Snapshot, dump};
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
    /// When the last one happened.
    last: u64,
    /// How many were lost before these, and how many up to their end, since the recording began.
    lost_before: u64,
    lost: u64,
    /// Some of them may be what is missing here.
    is_lossy: bool,
    bytes: Vec<u8>,
}

impl Chunk {
    fn new(last: u64, lost: (u64, u64), is_lossy: bool, bytes: usize) -> Self {
        Self {
            last,
            lost_before: lost.0,
            lost: lost.1,
            is_lossy,
            bytes: Vec::with_capacity(bytes),
        }
    }
}

/// What is kept of one processor.
#[derive(Debug, Default)]
struct Cpu {
    chunks: VecDeque<Chunk>,
    /// How many of its records were lost since the recording began.
    lost: u64,
    /// In how many visits the chunk with the last loss ends.
    ends_in: u32,
    /// The next record begins a chunk.
    is_over: bool,
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
        if room < whole || std::mem::take(&mut cpu.is_over) {
            let bytes = CHUNK_BYTES.max(whole);
            let lost = (cpu.lost, cpu.lost);
            let is_lossy = cpu.ends_in > 0;
            let chunk = Chunk::new(record.time, lost, is_lossy, bytes);
            cpu.chunks.push_back(chunk);
            self.held += bytes;
        }
        if let Some(chunk) = cpu.chunks.back_mut() {
            chunk.last = record.time;
            chunk.bytes.extend_from_slice(&record.time.to_le_bytes());
            chunk.bytes.extend_from_slice(&record.kind.to_le_bytes());
            chunk.bytes.extend_from_slice(&length.to_le_bytes());
            chunk.bytes.extend_from_slice(record.fields);
        }
    }

    /// Takes note of what was lost by processor since the recording began, before what comes next
    /// is kept, which happened before `until`: as [`Writer::lost`] does.
    pub(crate) fn lost(&mut self, totals: &[u64], until: u64) {
        for (cpu, total) in self.cpus.iter_mut().zip(totals) {
            if *total > cpu.lost {
                let chunk = Chunk::new(until, (cpu.lost, *total), true, CHUNK_BYTES);
                cpu.chunks.push_back(chunk);
                cpu.is_over = false;
                self.held += CHUNK_BYTES;
                cpu.lost = *total;
                cpu.ends_in = 2;
            }
        }
    }

    /// All that happened before `now` is kept: forgets what is too old.
    pub(crate) fn settle(&mut self, now: u64) {
        for cpu in &mut self.cpus {
            cpu.is_over |= cpu.ends_in == 1;
            cpu.ends_in = cpu.ends_in.saturating_sub(1);
        }
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

    /// What is kept and happened until `end`, as a trace in a new directory.
    pub(crate) fn write(
        &self,
        directory: &Path,
        layout: &Layout,
        end: u64,
    ) -> Result<Snapshot, RecordError> {
        let mut writer = Writer::create(directory, layout, self.begins)?;
        let mut told = Order::new(1, self.begins);
        dump::dump(&mut told, dump::When::Past, &mut |_| ());
        told.give(u64::MAX, |record| writer.write(&record))?;
        let mut lost = 0;
        for (number, cpu) in (0_u32..).zip(&self.cpus) {
            lost += self.write_cpu(number, cpu, &mut writer)?;
        }
        let (events, bytes) = writer.finish(end)?;
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
        let kept = cpu.chunks.iter().filter(|chunk| chunk.last >= self.begins);
        let mut before = None;
        let mut lost = 0;
        let mut was_lossy = false;
        for chunk in kept {
            let before = *before.get_or_insert(chunk.lost_before);
            if chunk.lost - before > lost {
                lost = chunk.lost - before;
                writer.lost_on(number, lost)?;
            }
            for (at, record) in records(number, &chunk.bytes).enumerate() {
                if at == 0 && was_lossy && !chunk.is_lossy {
                    writer.whole_from(number, record.time)?;
                }
                if record.time >= self.begins {
                    writer.write(&record)?;
                }
            }
            was_lossy = chunk.is_lossy;
        }
        Ok(lost)
    }
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

    #[test]
    fn a_loss_has_chunks_of_its_own() {
        let mut flight = flight(1_000_000, 1 << 30);
        keep(&mut flight, 0, 10 * MS);
        flight.settle(11 * MS);
        flight.lost(&[3, 0], 11 * MS);
        keep(&mut flight, 0, 12 * MS);
        flight.settle(13 * MS);
        keep(&mut flight, 0, 14 * MS);
        flight.settle(15 * MS);
        keep(&mut flight, 0, 16 * MS);
        let chunks = flight.cpus[0].chunks.iter();
        let said: Vec<_> = chunks
            .map(|c| {
                (
                    c.lost_before,
                    c.lost,
                    c.is_lossy,
                    records(0, &c.bytes).count(),
                )
            })
            .collect();
        assert_eq!(said, [(0, 0, false, 1), (0, 3, true, 2), (3, 3, false, 1)]);
    }
}
