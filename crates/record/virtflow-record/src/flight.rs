//! The flight recorder: what happened last, kept in memory until somebody wants it as a trace.

use crate::order::Record;
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
    bytes: Vec<u8>,
}

/// What is kept of one processor.
#[derive(Debug, Default)]
struct Cpu {
    chunks: VecDeque<Chunk>,
    /// How many of its records were lost since the recording began.
    lost: u64,
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
        if room < whole {
            cpu.chunks.push_back(Chunk {
                last: record.time,
                lost_before: cpu.lost,
                lost: cpu.lost,
                bytes: Vec::with_capacity(CHUNK_BYTES.max(whole)),
            });
            self.held += CHUNK_BYTES.max(whole);
        }
        if let Some(chunk) = cpu.chunks.back_mut() {
            chunk.last = record.time;
            chunk.bytes.extend_from_slice(&record.time.to_le_bytes());
            chunk.bytes.extend_from_slice(&record.kind.to_le_bytes());
            chunk.bytes.extend_from_slice(&length.to_le_bytes());
            chunk.bytes.extend_from_slice(record.fields);
        }
    }

    /// Takes note of what was lost by processor since the recording began, and forgets what is too
    /// old at `now`.
    pub(crate) fn tick(&mut self, now: u64, lost: &[u64]) {
        for (cpu, lost) in self.cpus.iter_mut().zip(lost) {
            cpu.lost = *lost;
            if let Some(chunk) = cpu.chunks.back_mut() {
                chunk.lost = *lost;
            }
        }
        let old = now.saturating_sub(self.window);
        while let Some((cpu, last)) = self.oldest() {
            if last >= old && self.held <= self.memory {
                break;
            }
            if let Some(chunk) = self.cpus.get_mut(cpu).and_then(|cpu| cpu.chunks.pop_front()) {
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
        dump::dump(&mut writer)?;
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
        for chunk in kept {
            let before = *before.get_or_insert(chunk.lost_before);
            lost = chunk.lost - before;
            writer.lost(number as usize, lost);
            for record in records(number, &chunk.bytes) {
                if record.time >= self.begins {
                    writer.write(&record)?;
                }
            }
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
