//! Records as they come out of a recorder, put in the order in which they happened.

use super::engine::CPUS_MAX;
use virtflow_base::{CpuId, Span, Stamped, Timestamp};
use virtflow_events::{KernelRecord, LiveError, LiveRecords};

/// The most events that wait: beyond, they are lost, and told as such.
const WAITING_MAX: usize = 1 << 19;

/// Events that wait for what may have happened before them.
#[derive(Debug)]
pub struct Incoming {
    records: LiveRecords,
    waiting: Vec<Stamped<KernelRecord>>,
    /// Nanoseconds from the Unix epoch to the zero of the records' clock.
    offset: i64,
    /// What came before is told of some tracepoints only.
    began: Timestamp,
    /// By processor: events for which there was no room here.
    dropped: Vec<u64>,
    /// What was known to be lost when it was last asked, here and in the kernel, and when that was.
    lost: Vec<u64>,
    asked: Timestamp,
}

impl Incoming {
    /// For records that `descriptions` describe ([`LiveRecords::new`]), whose clock begins `offset` nanoseconds after the
    /// Unix epoch; `began` on that clock.
    ///
    /// # Errors
    /// Where the descriptions cannot be understood.
    pub fn new<'d>(
        descriptions: impl IntoIterator<Item = (&'d str, Option<(usize, u8)>)>,
        offset: i64,
        began: u64,
    ) -> Result<Self, LiveError> {
        let mut incoming = Self {
            records: LiveRecords::new(descriptions, virtflow_model::reads)?,
            waiting: Vec::new(),
            offset,
            began: Timestamp::MIN,
            dropped: Vec::new(),
            lost: Vec::new(),
            asked: Timestamp::MIN,
        };
        incoming.began = incoming.time(began);
        incoming.asked = incoming.began;
        Ok(incoming)
    }

    /// A moment of the records' clock.
    pub fn time(&self, clock: u64) -> Timestamp {
        let clock = i64::try_from(clock).unwrap_or(i64::MAX);
        Timestamp::from_nanos(clock.saturating_add(self.offset))
    }

    /// The events of a record, whenever they happened.
    pub fn facts(&self, record: &[u8]) -> Vec<KernelRecord> {
        let mut all = Vec::new();
        self.records.take(record, |_, record| all.push(record));
        all
    }

    /// Takes a record; one that is none is left out.
    pub fn take(&mut self, record: &[u8]) {
        let Self {
            records,
            waiting,
            offset,
            began,
            dropped,
            ..
        } = self;
        records.take(record, |time, record| {
            let time = i64::try_from(time)
                .unwrap_or(i64::MAX)
                .saturating_add(*offset);
            let time = Timestamp::from_nanos(time);
            if time < *began {
                return;
            }
            if waiting.len() >= WAITING_MAX {
                let cpu = record.cpu.0 as usize;
                if cpu < CPUS_MAX {
                    dropped.resize(dropped.len().max(cpu + 1), 0);
                    dropped[cpu] += 1;
                }
                return;
            }
            waiting.push(Stamped { time, record });
        });
    }

    /// Which processors lost how much since this was last asked, and in which time: `lost` by the
    /// kernel so far, at `now`.
    pub fn losses(&mut self, lost: &[u64], now: Timestamp) -> Vec<(CpuId, Span, u64)> {
        let span = Span::new(self.asked, now);
        self.asked = now;
        let cpus = lost.len().max(self.dropped.len());
        self.lost.resize(self.lost.len().max(cpus), 0);
        let of = |all: &[u64], cpu: usize| all.get(cpu).copied().unwrap_or(0);
        let mut losses = Vec::new();
        for cpu in 0..cpus {
            let all = of(lost, cpu).saturating_add(of(&self.dropped, cpu));
            let more = all.saturating_sub(std::mem::replace(&mut self.lost[cpu], all));
            if more > 0 {
                losses.push((CpuId(u32::try_from(cpu).unwrap_or(u32::MAX)), span, more));
            }
        }
        losses
    }

    /// Gives what happened before `until`, in order; what happened at the same time, by processor.
    pub fn give(&mut self, until: Timestamp, mut to: impl FnMut(Timestamp, &KernelRecord)) {
        self.waiting
            .sort_by_key(|event| (event.time, event.record.cpu));
        let ready = self.waiting.partition_point(|event| event.time < until);
        for event in self.waiting.drain(..ready) {
            to(event.time, &event.record);
        }
    }

    /// How many events wait.
    pub const fn waiting(&self) -> usize {
        self.waiting.len()
    }
}
