//! What perf copies of tracefs (`HEADER_TRACING_DATA`): the descriptions of the events that were
//! recorded, and names of threads.
//!
//! tools/perf/util/trace-event-info.c writes it, as trace-cmd once wrote the head of its files.

use virtflow_base::ProblemKind;
use virtflow_tracefs::{ByteOrder, EventFormat, Formats, Threads};

use crate::bytes::Bytes;

/// What it begins with.
const MAGIC: &[u8] = b"\x17\x08\x44tracing";
/// The most bytes of it.
pub(crate) const TRACING_MAX: u64 = 64 << 20;
/// The most descriptions: numbers of events have 16 bits.
const FORMATS_MAX: u32 = 1 << 16;

/// What is in it.
#[derive(Debug, Default)]
pub(crate) struct Tracing {
    pub(crate) formats: Formats,
    pub(crate) threads: Threads,
    /// What was not understood: the byte, and why.
    pub(crate) trouble: Vec<(usize, ProblemKind, String)>,
}

impl Tracing {
    /// Reads as much as can be understood.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let mut tracing = Self::default();
        let mut all = Bytes::new(bytes, ByteOrder::Little);
        let order = start(&mut all);
        let at = all.at();
        let Some(order) = order else {
            let what = "no copy of tracefs".to_owned();
            tracing.trouble.push((at, ProblemKind::Corrupt, what));
            return tracing;
        };
        let mut all = Bytes::new(bytes.get(at..).unwrap_or_default(), order);
        if tracing.body(&mut all).is_none() {
            let what = "the copy of tracefs ends before it should".to_owned();
            let at = at + all.at();
            tracing.trouble.push((at, ProblemKind::Truncated, what));
        }
        tracing
    }

    fn body(&mut self, all: &mut Bytes<'_>) -> Option<()> {
        // The size of a page of the kernel.
        all.u32()?;
        for name in [&b"header_page\0"[..], b"header_event\0"] {
            all.expect(name)?;
            let size = all.u64()?;
            all.take(size)?;
        }
        let mut room = FORMATS_MAX;
        self.system("ftrace", &mut room, all)?;
        for _ in 0..all.u32()? {
            let system = String::from_utf8_lossy(all.string()?).into_owned();
            self.system(&system, &mut room, all)?;
        }
        // The kernel's symbols, and the formats of printk.
        for _ in 0..2 {
            let size = all.u32()?;
            all.take(size.into())?;
        }
        let size = all.u64()?;
        self.threads.name_all(all.take(size)?);
        Some(())
    }

    /// The descriptions of a system's events.
    fn system(&mut self, name: &str, room: &mut u32, all: &mut Bytes<'_>) -> Option<()> {
        for _ in 0..all.u32()? {
            *room = room.checked_sub(1)?;
            let size = all.u64()?;
            let at = all.at();
            let parsed = EventFormat::parse(name, all.take(size)?);
            if let Err(error) = parsed.map(|format| self.formats.push(format)) {
                let what = format!(
                    "the format of an event of `{name}` cannot be understood, {error}; its events \
                     are left out"
                );
                self.trouble.push((at, ProblemKind::Undescribed, what));
            }
        }
        Some(())
    }
}

/// What stands before, and which byte of numbers comes first from then on.
fn start(all: &mut Bytes<'_>) -> Option<ByteOrder> {
    all.expect(MAGIC)?;
    // The version. All that perf wrote so far are alike up to the names of threads.
    all.string()?;
    let order = match all.u8()? {
        0 => ByteOrder::Little,
        1 => ByteOrder::Big,
        _ => return None,
    };
    // The size of a long.
    matches!(all.u8()?, 4 | 8).then_some(order)
}
