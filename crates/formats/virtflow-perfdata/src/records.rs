//! Stepping through the records of a file, packed ones unpacked.
//!
//! Numbers and layouts are those of include/uapi/linux/perf_event.h (below 64, the kernel's) and
//! tools/lib/perf/include/perf/event.h (those of perf itself).

use std::collections::VecDeque;

use virtflow_base::ProblemKind;
use virtflow_tracefs::ByteOrder;

use crate::bytes::Bytes;
use crate::input::{Input, Window};
use crate::unpack::Unpack;

/// Kinds of records.
pub(crate) mod kind {
    pub(crate) const LOST: u32 = 2;
    pub(crate) const COMM: u32 = 3;
    pub(crate) const EXIT: u32 = 4;
    pub(crate) const THROTTLE: u32 = 5;
    pub(crate) const UNTHROTTLE: u32 = 6;
    pub(crate) const FORK: u32 = 7;
    pub(crate) const SAMPLE: u32 = 9;
    pub(crate) const LOST_SAMPLES: u32 = 13;
    pub(crate) const SWITCH: u32 = 14;
    pub(crate) const NAMESPACES: u32 = 16;
    pub(crate) const ATTR: u32 = 64;
    pub(crate) const TRACING_DATA: u32 = 66;
    pub(crate) const FINISHED_ROUND: u32 = 68;
    pub(crate) const ID_INDEX: u32 = 69;
    pub(crate) const AUXTRACE: u32 = 71;
    pub(crate) const THREAD_MAP: u32 = 73;
    pub(crate) const FEATURE: u32 = 80;
    pub(crate) const COMPRESSED: u32 = 81;
    pub(crate) const COMPRESSED_2: u32 = 83;
}

/// Bytes of a record's header: its kind, bits, and size with the header.
const HEADER: usize = 8;

/// A record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'b> {
    pub(crate) kind: u32,
    pub(crate) misc: u16,
    /// What follows its header.
    pub(crate) body: &'b [u8],
    /// The byte of the file at which it begins, or the packed one that holds it.
    pub(crate) at: u64,
}

/// What the next step came to.
pub(crate) enum Step<'b> {
    Record(Record<'b>),
    /// What is wrong at a byte of the file; one may go on.
    Trouble(u64, ProblemKind, String),
    End,
}

/// Steps through records.
pub(crate) struct Records {
    order: ByteOrder,
    window: Window,
    unpack: Unpack,
    /// Where the packed record lies whose records are given now.
    packed_at: Option<u64>,
    at: u64,
    end: u64,
    /// Where more of them lie, one after the other.
    more: VecDeque<(u64, u64)>,
}

/// What a header says.
fn header(bytes: &[u8], order: ByteOrder) -> Option<(u32, u16, usize)> {
    let mut all = Bytes::new(bytes, order);
    Some((all.u32()?, all.u16()?, all.u16()?.into()))
}

impl Records {
    /// Over the records in these stretches, from byte `at` on.
    pub(crate) fn new(order: ByteOrder, at: u64, ranges: &[(u64, u64)]) -> Self {
        let more = ranges.iter().filter(|(_, end)| *end > at);
        let mut more: VecDeque<_> = more.copied().collect();
        let (start, end) = more.pop_front().unwrap_or((at, at));
        let at = start.max(at);
        Self {
            more,
            order,
            window: Window::default(),
            unpack: Unpack::new(),
            packed_at: None,
            at,
            end,
        }
    }

    /// The byte of the file up to which records were given.
    pub(crate) const fn at(&self) -> u64 {
        self.at
    }

    /// The next record.
    pub(crate) fn next<'b>(&'b mut self, input: &Input) -> Step<'b> {
        while let Some(at) = self.packed_at {
            match self.inner() {
                Ok(Some((kind, misc, size))) => {
                    self.unpack.step(size);
                    let body = self.unpack.before(size - HEADER);
                    return Step::Record(Record {
                        kind,
                        misc,
                        body,
                        at,
                    });
                }
                Ok(None) => self.packed_at = None,
                Err(what) => {
                    self.packed_at = None;
                    self.unpack = Unpack::new();
                    return Step::Trouble(at, ProblemKind::Corrupt, what);
                }
            }
        }
        self.outer(input)
    }

    /// The header of the next record that was packed, all of which is there.
    fn inner(&mut self) -> Result<Option<(u32, u16, usize)>, String> {
        loop {
            if let Some((kind, misc, size)) = header(self.unpack.plain(), self.order) {
                if size < HEADER {
                    return Err(format!(
                        "a packed record of {size} bytes; the rest was left out"
                    ));
                }
                if size <= self.unpack.plain().len() {
                    return Ok(Some((kind, misc, size)));
                }
            }
            let more = self.unpack.more();
            match more {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(error) => {
                    return Err(format!(
                        "packed records cannot be unpacked ({error}); they were left out"
                    ));
                }
            }
        }
    }

    /// The next record of the file itself.
    fn outer<'b>(&'b mut self, input: &Input) -> Step<'b> {
        while self.at == self.end {
            let Some((start, end)) = self.more.pop_front() else {
                return Step::End;
            };
            // Each file is packed as a stream of its own.
            (self.at, self.end) = (start, end);
            self.unpack = Unpack::new();
        }
        let at = self.at;
        if at > self.end {
            return self.stop(
                ProblemKind::Truncated,
                "what belongs to a record is cut short".to_owned(),
            );
        }
        let left = usize::try_from(self.end - at).unwrap_or(usize::MAX);
        let found = self.window.get(input, at, HEADER.min(left));
        let (kind, misc, size) = match found.map(|bytes| header(bytes, self.order)) {
            Ok(Some((kind, misc, size))) if size >= HEADER => (kind, misc, size),
            Ok(Some((_, _, size))) => {
                let what = format!("a record of {size} bytes; the rest of the file was left out");
                return self.stop(ProblemKind::Corrupt, what);
            }
            Ok(None) => return self.stop(ProblemKind::Truncated, "a record cut short".to_owned()),
            Err(error) => return self.stop(ProblemKind::Io, error.to_string()),
        };
        let body = match self.window.get(input, at, size.min(left)) {
            Ok(bytes) if bytes.len() == size => bytes.get(HEADER..).unwrap_or_default(),
            Ok(_) => {
                self.at = self.end;
                let what = "a record cut short".to_owned();
                return Step::Trouble(at, ProblemKind::Truncated, what);
            }
            Err(error) => {
                self.at = self.end;
                return Step::Trouble(at, ProblemKind::Io, error.to_string());
            }
        };
        self.at = at + size as u64;
        let mut all = Bytes::new(body, self.order);
        match kind {
            // What follows these is no record.
            kind::TRACING_DATA => self.at = self.at.saturating_add(all.u32().unwrap_or(0).into()),
            kind::AUXTRACE => self.at = self.at.saturating_add(all.u64().unwrap_or(0)),
            kind::COMPRESSED | kind::COMPRESSED_2 => {
                let packed = if kind == kind::COMPRESSED {
                    Some(body)
                } else {
                    all.u64().and_then(|size| all.take(size))
                };
                self.unpack.take(packed.unwrap_or_default());
                self.packed_at = Some(at);
            }
            _ => {}
        }
        Step::Record(Record {
            kind,
            misc,
            body,
            at,
        })
    }

    fn stop<'b>(&mut self, kind: ProblemKind, what: String) -> Step<'b> {
        let at = self.at.min(self.end);
        self.at = self.end;
        Step::Trouble(at, kind, what)
    }
}
