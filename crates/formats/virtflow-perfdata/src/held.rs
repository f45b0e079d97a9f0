//! Events that wait for their turn.

use std::io;

/// An event that waits: when and where it was, and where its bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) time: u64,
    pub(crate) cpu: u32,
    /// The number of its description.
    pub(crate) class: u32,
    pub(crate) process: Option<i32>,
    at: u32,
    len: u32,
}

/// The bytes before the record of an event that is written down.
const HEAD: usize = 28;

/// Events in memory.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) events: Vec<Waiting>,
    bytes: Vec<u8>,
}

impl Held {
    /// The bytes that it takes.
    pub(crate) const fn size(&self) -> usize {
        self.bytes.len() + self.events.len() * size_of::<Waiting>()
    }

    pub(crate) fn clear(&mut self) {
        self.events.clear();
        self.bytes.clear();
    }

    #[inline]
    pub(crate) fn push(&mut self, event: Waiting, record: &[u8]) {
        let at = self.bytes.len() as u32;
        let len = record.len() as u32;
        self.bytes.extend_from_slice(record);
        self.events.push(Waiting { at, len, ..event });
    }

    /// The bytes of one of its events.
    #[inline]
    pub(crate) fn record(&self, event: &Waiting) -> &[u8] {
        let at = event.at as usize;
        let record = self.bytes.get(at..at + event.len as usize);
        record.unwrap_or_default()
    }

    /// Puts them in order of time; those of one moment stay as they came.
    pub(crate) fn sort(&mut self) {
        self.events.sort_by_key(|event| event.time);
    }

    /// Of sorted ones, keeps those up to `limit` and puts the others into `rest`.
    pub(crate) fn split(&mut self, limit: u64, rest: &mut Self) {
        let keep = self.events.partition_point(|event| event.time <= limit);
        for event in self.events.get(keep..).unwrap_or_default() {
            rest.push(*event, self.record(event));
        }
        self.events.truncate(keep);
    }

    /// Writes the events down, one after the other.
    pub(crate) fn write(&self, out: &mut impl io::Write) -> io::Result<()> {
        for event in &self.events {
            let process = event.process.map_or(i64::MIN, i64::from);
            out.write_all(&event.time.to_le_bytes())?;
            out.write_all(&event.cpu.to_le_bytes())?;
            out.write_all(&event.class.to_le_bytes())?;
            out.write_all(&process.to_le_bytes())?;
            out.write_all(&event.len.to_le_bytes())?;
            out.write_all(self.record(event))?;
        }
        Ok(())
    }
}

impl Waiting {
    pub(crate) const fn new(time: u64, cpu: u32, class: u32, process: Option<i32>) -> Self {
        Self {
            time,
            cpu,
            class,
            process,
            at: 0,
            len: 0,
        }
    }

    /// Reads one that was written down, and how many bytes it took; `None` where it is not all there.
    pub(crate) fn read(bytes: &[u8]) -> Option<(Self, &[u8], usize)> {
        let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
        let (time, head) = head.split_first_chunk()?;
        let (cpu, head) = head.split_first_chunk()?;
        let (class, head) = head.split_first_chunk()?;
        let (process, head) = head.split_first_chunk()?;
        let len = u32::from_le_bytes(*head.first_chunk()?) as usize;
        let event = Self::new(
            u64::from_le_bytes(*time),
            u32::from_le_bytes(*cpu),
            u32::from_le_bytes(*class),
            i32::try_from(i64::from_le_bytes(*process)).ok(),
        );
        Some((event, rest.get(..len)?, HEAD + len))
    }
}
