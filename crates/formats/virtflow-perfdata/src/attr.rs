//! What was recorded: `struct perf_event_attr`, and where it puts things in its records.
//!
//! Bits, numbers and places are those of include/uapi/linux/perf_event.h; samples are laid out as
//! kernel/events/core.c `perf_output_sample` writes them, the ends of other records as
//! `__perf_event__output_id_sample` does.

use std::collections::BTreeMap;

use virtflow_tracefs::ByteOrder;

use crate::bytes::Bytes;

/// The bits of `sample_type` that say what stands before a sample's raw data, and in the ends of
/// other records.
mod bit {
    pub(super) const IP: u64 = 1 << 0;
    pub(super) const TID: u64 = 1 << 1;
    pub(super) const TIME: u64 = 1 << 2;
    pub(super) const ADDR: u64 = 1 << 3;
    pub(super) const READ: u64 = 1 << 4;
    pub(super) const CALLCHAIN: u64 = 1 << 5;
    pub(super) const ID: u64 = 1 << 6;
    pub(super) const CPU: u64 = 1 << 7;
    pub(super) const PERIOD: u64 = 1 << 8;
    pub(super) const STREAM_ID: u64 = 1 << 9;
    pub(super) const RAW: u64 = 1 << 10;
    pub(super) const IDENTIFIER: u64 = 1 << 16;
}

/// The bits of `read_format`.
mod read {
    pub(super) const ENABLED: u64 = 1 << 0;
    pub(super) const RUNNING: u64 = 1 << 1;
    pub(super) const ID: u64 = 1 << 2;
    pub(super) const GROUP: u64 = 1 << 3;
    pub(super) const LOST: u64 = 1 << 4;
}

/// Among the flags: whether what a thread makes is recorded, too, whether `sample_period` is a
/// frequency, whether other records have ends, whether a clock was chosen, whether switches are told
/// in both directions, whether namespaces are, and whether only threads of the same process are inherited.
const INHERIT: u64 = 1 << 1;
const FREQUENCY: u64 = 1 << 10;
const SAMPLE_ID_ALL: u64 = 1 << 18;
const USE_CLOCKID: u64 = 1 << 25;
const CONTEXT_SWITCH: u64 = 1 << 26;
const NAMESPACES: u64 = 1 << 28;
const INHERIT_THREAD: u64 = 1 << 35;
/// `PERF_TYPE_TRACEPOINT`.
const TRACEPOINT: u32 = 2;
/// The first published size of the structure: no file has a smaller one.
pub(crate) const SIZE_MIN: u64 = 64;

/// What was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attr {
    kind: u32,
    pub(crate) config: u64,
    period: u64,
    flags: u64,
    clockid: i32,
    pub(crate) layout: Layout,
}

impl Attr {
    /// Reads the structure, of whatever size.
    pub(crate) fn parse(bytes: &[u8], order: ByteOrder) -> Option<Self> {
        let mut all = Bytes::new(bytes, order);
        let kind = all.u32()?;
        let _size = all.u32()?;
        let (config, period) = (all.u64()?, all.u64()?);
        let (sample_type, read_format) = (all.u64()?, all.u64()?);
        let flags = match (all.u64()?, order) {
            (flags, ByteOrder::Little) => flags,
            // Where the highest byte comes first, so does the highest bit.
            (flags, ByteOrder::Big) => flags.reverse_bits(),
        };
        let clockid = order.u32(bytes, 92).map_or(0, u32::cast_signed);
        Some(Self {
            kind,
            config,
            period,
            flags,
            clockid,
            layout: Layout::new(sample_type, read_format, flags & SAMPLE_ID_ALL != 0),
        })
    }

    /// Whether its samples hold records of the kernel's trace events.
    pub(crate) const fn is_tracepoint(&self) -> bool {
        self.kind == TRACEPOINT
    }

    /// Whether every event was recorded, not some of them.
    pub(crate) const fn is_every(&self) -> bool {
        self.flags & FREQUENCY == 0 && self.period == 1
    }

    /// The number of the clock that was chosen (`clock_gettime(2)`).
    pub(crate) const fn clock(&self) -> Option<i32> {
        if self.flags & USE_CLOCKID == 0 {
            None
        } else {
            Some(self.clockid)
        }
    }

    /// Whether records tell when a thread gets a processor and when it loses it.
    pub(crate) const fn tells_switches(&self) -> bool {
        self.flags & CONTEXT_SWITCH != 0
    }

    /// Whether what a recorded thread makes is recorded: a thread of its own process, or another.
    pub(crate) const fn inherits(&self, same_process: bool) -> bool {
        self.flags & INHERIT != 0 && (same_process || self.flags & INHERIT_THREAD == 0)
    }

    /// Whether records tell the namespaces of threads.
    pub(crate) const fn tells_namespaces(&self) -> bool {
        self.flags & NAMESPACES != 0
    }

    /// What an analysis needs of a sample and does not find in these.
    pub(crate) fn lacks(&self) -> Option<&'static str> {
        let Layout { time, cpu, raw, .. } = self.layout;
        match (time, cpu, raw) {
            (None, ..) => Some("when they happened"),
            (_, None, _) => Some("on which processor they happened"),
            (.., None) => Some("their fields"),
            _ => None,
        }
    }
}

/// Where things are in samples, and in the ends of other records. Places count from behind a
/// record's header, those in ends from a record's end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    sample_type: u64,
    read_format: u64,
    pub(crate) id: Option<u16>,
    thread: Option<u16>,
    time: Option<u16>,
    cpu: Option<u16>,
    /// Where the raw data begins, or what must be stepped over before.
    raw: Option<u16>,
    end_id: Option<u16>,
    end_thread: Option<u16>,
    end_time: Option<u16>,
    end_cpu: Option<u16>,
}

/// What a sample says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample<'b> {
    pub(crate) time: u64,
    pub(crate) cpu: u32,
    /// Process and thread.
    pub(crate) thread: Option<(i32, i32)>,
    pub(crate) raw: &'b [u8],
}

/// What the end of another record says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) time: Option<u64>,
    pub(crate) cpu: Option<u32>,
    pub(crate) thread: Option<i32>,
}

impl Layout {
    fn new(sample_type: u64, read_format: u64, ends: bool) -> Self {
        let has = |bits: u64| sample_type & bits != 0;
        let mut layout = Self {
            sample_type,
            read_format,
            ..Self::default()
        };
        let mut at = 0;
        // In the order in which they stand; each takes eight bytes.
        for bits in [
            bit::IDENTIFIER,
            bit::IP,
            bit::TID,
            bit::TIME,
            bit::ADDR,
            bit::ID,
            bit::STREAM_ID,
            bit::CPU,
            bit::PERIOD,
        ] {
            if !has(bits) {
                continue;
            }
            match bits {
                bit::IDENTIFIER => layout.id = Some(at),
                bit::ID => layout.id = layout.id.or(Some(at)),
                bit::TID => layout.thread = Some(at),
                bit::TIME => layout.time = Some(at),
                bit::CPU => layout.cpu = Some(at),
                _ => {}
            }
            at += 8;
        }
        layout.raw = has(bit::RAW).then_some(at);
        if !ends {
            return layout;
        }
        let mut back = 0;
        for bits in [
            bit::IDENTIFIER,
            bit::CPU,
            bit::STREAM_ID,
            bit::ID,
            bit::TIME,
            bit::TID,
        ] {
            if !has(bits) {
                continue;
            }
            back += 8;
            match bits {
                bit::IDENTIFIER => layout.end_id = Some(back),
                bit::ID => layout.end_id = layout.end_id.or(Some(back)),
                bit::CPU => layout.end_cpu = Some(back),
                bit::TIME => layout.end_time = Some(back),
                bit::TID => layout.end_thread = Some(back),
                _ => {}
            }
        }
        layout
    }

    /// What a sample says; `None` where it lacks something that [`Attr::lacks`] tells, or is too
    /// short.
    #[inline]
    pub(crate) fn sample<'b>(&self, body: &'b [u8], order: ByteOrder) -> Option<Sample<'b>> {
        let time = order.u64(body, self.time?.into())?;
        let cpu = order.u32(body, self.cpu?.into())?;
        let thread = match self.thread {
            None => None,
            Some(at) => {
                let at = usize::from(at);
                let (process, thread) = (order.u32(body, at)?, order.u32(body, at + 4)?);
                Some((process.cast_signed(), thread.cast_signed()))
            }
        };
        let mut rest = Bytes::new(body.get(self.raw?.into()..)?, order);
        if self.sample_type & (bit::READ | bit::CALLCHAIN) != 0 {
            self.step_over(&mut rest)?;
        }
        let size = rest.u32()?;
        Some(Sample {
            time,
            cpu,
            thread,
            raw: rest.take(size.into())?,
        })
    }

    /// Steps over counters (`perf_output_read`) and addresses of callers.
    fn step_over(&self, rest: &mut Bytes<'_>) -> Option<()> {
        if self.sample_type & bit::READ != 0 {
            let has = |bits| u64::from(self.read_format & bits != 0);
            let times = has(read::ENABLED) + has(read::RUNNING);
            let each = 1 + has(read::ID) + has(read::LOST);
            let words = if has(read::GROUP) == 0 {
                times + each
            } else {
                rest.u64()?.checked_mul(each)?.checked_add(times)?
            };
            rest.take(words.checked_mul(8)?)?;
        }
        if self.sample_type & bit::CALLCHAIN != 0 {
            let addresses = rest.u64()?;
            rest.take(addresses.checked_mul(8)?)?;
        }
        Some(())
    }

    /// Of a record that is no sample what stands at its end.
    pub(crate) fn end(&self, body: &[u8], order: ByteOrder) -> End {
        let at = |back: Option<u16>| body.len().checked_sub(back?.into());
        End {
            time: at(self.end_time).and_then(|at| order.u64(body, at)),
            cpu: at(self.end_cpu).and_then(|at| order.u32(body, at)),
            // Behind its process.
            thread: at(self.end_thread)
                .and_then(|at| order.u32(body, at + 4))
                .map(u32::cast_signed),
        }
    }

    /// Of such a record the number of what it is of.
    pub(crate) fn end_id(&self, body: &[u8], order: ByteOrder) -> Option<u64> {
        order.u64(body, body.len().checked_sub(self.end_id?.into())?)
    }

    /// Whether samples of `other` say at the same place what they are of.
    pub(crate) fn has_id_where(&self, other: &Self) -> bool {
        self.id == other.id && self.end_id == other.end_id
    }
}

/// What was recorded, found by the numbers that records have.
#[derive(Debug, Default)]
pub(crate) struct Attrs {
    pub(crate) all: Vec<Attr>,
    /// Number and place in `all`: as long as there may be more of them, and by number.
    coming: BTreeMap<u64, u32>,
    /// How many there were, those included that came more than once.
    given: usize,
    ids: Vec<(u64, u32)>,
}

/// The most of them, and of their numbers: one for each and each processor or thread.
const ATTRS_MAX: usize = 1 << 16;
const IDS_MAX: usize = 1 << 20;

impl Attrs {
    /// Adds one with its numbers; false where there are too many.
    pub(crate) fn push(&mut self, attr: Attr, ids: impl Iterator<Item = u64>) -> bool {
        let place = self.all.len() as u32;
        if self.all.len() >= ATTRS_MAX {
            return false;
        }
        self.all.push(attr);
        for id in ids {
            self.given += 1;
            if self.given > IDS_MAX {
                return false;
            }
            self.coming.insert(id, place);
        }
        true
    }

    /// There will be no more.
    pub(crate) fn settle(&mut self) {
        self.ids = std::mem::take(&mut self.coming).into_iter().collect();
    }

    /// What a sample is of.
    #[inline]
    pub(crate) fn of_sample(&self, body: &[u8], order: ByteOrder) -> Option<usize> {
        let first = self.all.first()?;
        match first.layout.id {
            Some(at) if self.all.len() > 1 => self.of_id(order.u64(body, at.into())?),
            // All of one kind, or nothing tells: then all are laid out alike.
            _ => Some(0),
        }
    }

    /// What a number is of.
    #[inline]
    pub(crate) fn of_id(&self, id: u64) -> Option<usize> {
        let place = match self.ids.binary_search_by_key(&id, |(id, _)| *id) {
            Ok(found) => self.ids.get(found)?.1,
            Err(_) => *self.coming.get(&id)?,
        };
        Some(place as usize)
    }

    /// How a record that is no sample ends. One that nothing is said of has the first's end, as
    /// those have that perf itself writes.
    pub(crate) fn end(&self, body: &[u8], order: ByteOrder) -> End {
        let Some(first) = self.all.first() else {
            return End::default();
        };
        let id = first.layout.end_id(body, order);
        let found = id.and_then(|id| self.all.get(self.of_id(id)?));
        found.unwrap_or(first).layout.end(body, order)
    }

    /// Whether it can be told what each sample is of.
    pub(crate) fn are_told_apart(&self) -> bool {
        let Some(first) = self.all.first() else {
            return true;
        };
        let mut others = self.all.iter();
        match first.layout.id {
            Some(_) => others.all(|attr| attr.layout.has_id_where(&first.layout)),
            None => others.all(|attr| {
                attr.layout == first.layout && attr.is_tracepoint() == first.is_tracepoint()
            }),
        }
    }
}
