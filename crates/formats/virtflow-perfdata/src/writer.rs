//! Writes small files as perf does: for tests, of whoever reads them.

use std::io;

use zstd::stream::raw::{Encoder, InBuffer, Operation, OutBuffer};

pub use virtflow_tracefs::ByteOrder;

/// What samples say, in the order of the bits of `sample_type`: thread, time, processor, raw data and
/// number.
pub const SAMPLE_TYPE: u64 = 1 << 1 | 1 << 2 | 1 << 7 | 1 << 10 | 1 << 16;
/// The flag that has all records end with such.
const SAMPLE_ID_ALL: u64 = 1 << 18;
/// The flag that has a thread's switches told in both directions.
pub const CONTEXT_SWITCH: u64 = 1 << 26;
/// The flag that has recorded what a thread makes.
pub const INHERIT: u64 = 1 << 1;
/// In `misc` of a switch: away, and although the thread would run on.
const OUT: u16 = 1 << 13;
const OUT_PREEMPT: u16 = 1 << 14;
/// Kinds of records.
const LOST: u32 = 2;
const COMM: u32 = 3;
const EXIT: u32 = 4;
const FORK: u32 = 7;
const SAMPLE: u32 = 9;
const SWITCH: u32 = 14;
const NAMESPACES: u32 = 16;
const ATTR: u32 = 64;
const TRACING_DATA: u32 = 66;
const FINISHED_ROUND: u32 = 68;
const THREAD_MAP: u32 = 73;
const FEATURE: u32 = 80;
const COMPRESSED: u32 = 81;

/// A kind of event that is recorded.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// `PERF_TYPE_TRACEPOINT` is 2.
    pub kind: u32,
    /// The number of a tracepoint.
    pub config: u64,
    /// What its records are numbered with.
    pub ids: Vec<u64>,
    /// What its samples say.
    pub sample_type: u64,
    /// Flags beside those that all have.
    pub flags: u64,
}

/// When, where and in which thread something happened, and what it is of.
#[derive(Clone, Copy, Debug, Default)]
pub struct At {
    /// Nanoseconds.
    pub time: u64,
    /// The processor.
    pub cpu: u32,
    /// Process and thread.
    pub thread: (i32, i32),
    /// The number.
    pub id: u64,
}

/// A file in the making.
#[derive(Clone, Debug)]
pub struct FileWriter {
    /// Which byte of a number comes first.
    pub order: ByteOrder,
    /// What is recorded.
    pub recorded: Vec<Recorded>,
    /// Systems and descriptions of events.
    pub formats: Vec<(String, String)>,
    /// Numbers and bytes of features, by number.
    pub features: Vec<(u32, Vec<u8>)>,
    /// Records.
    pub records: Vec<u8>,
}

impl FileWriter {
    /// An empty file.
    pub const fn new(order: ByteOrder) -> Self {
        Self {
            order,
            recorded: Vec::new(),
            formats: Vec::new(),
            features: Vec::new(),
            records: Vec::new(),
        }
    }

    /// Appends the lowest `size` bytes of a number.
    pub fn put(&self, value: u64, size: usize, out: &mut Vec<u8>) {
        match self.order {
            ByteOrder::Little => out.extend_from_slice(&value.to_le_bytes()[..size]),
            ByteOrder::Big => out.extend_from_slice(&value.to_be_bytes()[8 - size..]),
        }
    }

    fn words(&self, words: &[u64]) -> Vec<u8> {
        let mut out = Vec::new();
        for word in words {
            self.put(*word, 8, &mut out);
        }
        out
    }

    /// A record of any kind.
    pub fn record(&self, kind: u32, body: &[u8]) -> Vec<u8> {
        self.record_with(kind, 0, body)
    }

    fn record_with(&self, kind: u32, misc: u16, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        self.put(kind.into(), 4, &mut out);
        self.put(misc.into(), 2, &mut out);
        self.put(body.len() as u64 + 8, 2, &mut out);
        out.extend_from_slice(body);
        out
    }

    fn pair(&self, (first, second): (i32, i32), out: &mut Vec<u8>) {
        self.put(first.cast_unsigned().into(), 4, out);
        self.put(second.cast_unsigned().into(), 4, out);
    }

    /// The sample of an event whose record is `raw`.
    pub fn sample(&self, at: At, raw: &[u8]) -> Vec<u8> {
        let mut body = self.words(&[at.id]);
        self.pair(at.thread, &mut body);
        self.put(at.time, 8, &mut body);
        self.pair((at.cpu.cast_signed(), 0), &mut body);
        // Length and bytes together are whole words.
        let padded = (raw.len() + 4).next_multiple_of(8) - 4;
        self.put(padded as u64, 4, &mut body);
        body.extend_from_slice(raw);
        body.resize(body.len() + padded - raw.len(), 0);
        self.record(SAMPLE, &body)
    }

    /// Another record of the kernel, with its end.
    fn ended(&self, kind: u32, body: Vec<u8>, at: At) -> Vec<u8> {
        self.ended_with(kind, 0, body, at)
    }

    fn ended_with(&self, kind: u32, misc: u16, mut body: Vec<u8>, at: At) -> Vec<u8> {
        self.pair(at.thread, &mut body);
        self.put(at.time, 8, &mut body);
        self.pair((at.cpu.cast_signed(), 0), &mut body);
        self.put(at.id, 8, &mut body);
        self.record_with(kind, misc, &body)
    }

    /// So many records were lost.
    pub fn lost(&self, at: At, count: u64) -> Vec<u8> {
        self.ended(LOST, self.words(&[at.id, count]), at)
    }

    /// A thread's name.
    pub fn comm(&self, at: At, name: &str) -> Vec<u8> {
        let mut body = Vec::new();
        self.pair(at.thread, &mut body);
        body.extend_from_slice(name.as_bytes());
        body.resize((body.len() + 1).next_multiple_of(8), 0);
        self.ended(COMM, body, at)
    }

    /// A thread gets a processor, or is switched away, maybe although it would run on.
    pub fn switch(&self, at: At, out: bool, preempted: bool) -> Vec<u8> {
        let misc = if out { OUT } else { 0 } | if preempted { OUT_PREEMPT } else { 0 };
        self.ended_with(SWITCH, misc, Vec::new(), at)
    }

    /// The thread at `at` makes a process, or a thread of its own.
    pub fn fork(&self, at: At, child: (i32, i32)) -> Vec<u8> {
        self.task(FORK, at, child)
    }

    /// It ends.
    pub fn exit(&self, at: At) -> Vec<u8> {
        self.task(EXIT, at, at.thread)
    }

    fn task(&self, kind: u32, at: At, whose: (i32, i32)) -> Vec<u8> {
        let mut body = Vec::new();
        self.pair((whose.0, at.thread.0), &mut body);
        self.pair((whose.1, at.thread.1), &mut body);
        self.put(at.time, 8, &mut body);
        self.ended(kind, body, at)
    }

    /// The numbers of the namespaces of a process and a thread: `net`, `uts`, `ipc`, `pid`.
    pub fn namespaces(&self, at: At, whose: (i32, i32), inodes: [u64; 4]) -> Vec<u8> {
        let mut body = Vec::new();
        self.pair(whose, &mut body);
        self.put(4, 8, &mut body);
        for inode in inodes {
            body.extend(self.words(&[4, inode]));
        }
        self.ended(NAMESPACES, body, at)
    }

    /// These threads are recorded.
    pub fn thread_map(&self, threads: &[i32]) -> Vec<u8> {
        let mut body = self.words(&[threads.len() as u64]);
        for thread in threads {
            body.extend(self.words(&[thread.cast_unsigned().into(), 0, 0]));
        }
        self.record(THREAD_MAP, &body)
    }

    /// The mark behind a round.
    pub fn round(&self) -> Vec<u8> {
        self.record(FINISHED_ROUND, &[])
    }

    /// Records packed: one stream, cut after each piece.
    ///
    /// # Errors
    /// Those of the packer.
    pub fn packed(&self, pieces: &[Vec<u8>]) -> io::Result<Vec<u8>> {
        let mut encoder = Encoder::new(1)?;
        let mut all = Vec::new();
        for piece in pieces {
            let mut out = vec![0; piece.len() + 1024];
            let mut output = OutBuffer::around(&mut out[..]);
            encoder.run(&mut InBuffer::around(piece), &mut output)?;
            encoder.flush(&mut output)?;
            let len = output.pos();
            all.extend(self.record(COMPRESSED, &out[..len]));
        }
        Ok(all)
    }

    fn attr(&self, recorded: &Recorded) -> Vec<u8> {
        let mut out = Vec::new();
        self.put(recorded.kind.into(), 4, &mut out);
        self.put(128, 4, &mut out);
        let flags = match self.order {
            ByteOrder::Little => SAMPLE_ID_ALL | recorded.flags,
            ByteOrder::Big => (SAMPLE_ID_ALL | recorded.flags).reverse_bits(),
        };
        let words = [recorded.config, 1, recorded.sample_type, 0, flags];
        out.extend(self.words(&words));
        out.resize(128, 0);
        out
    }

    fn tracing(&self) -> Vec<u8> {
        let mut out = b"\x17\x08\x44tracing0.6\0".to_vec();
        out.push(u8::from(self.order == ByteOrder::Big));
        out.push(8);
        self.put(4096, 4, &mut out);
        for name in ["header_page\0", "header_event\0"] {
            out.extend_from_slice(name.as_bytes());
            self.put(0, 8, &mut out);
        }
        self.put(0, 4, &mut out);
        self.put(self.formats.len() as u64, 4, &mut out);
        for (system, text) in &self.formats {
            out.extend_from_slice(system.as_bytes());
            out.push(0);
            self.put(1, 4, &mut out);
            self.put(text.len() as u64, 8, &mut out);
            out.extend_from_slice(text.as_bytes());
        }
        self.put(0, 4, &mut out);
        self.put(0, 4, &mut out);
        let names = "99 saved\n";
        self.put(names.len() as u64, 8, &mut out);
        out.extend_from_slice(names.as_bytes());
        out
    }

    fn magic(&self) -> Vec<u8> {
        self.words(&[u64::from_le_bytes(*b"PERFILE2")])
    }

    /// A feature that is text.
    pub fn text(&self, text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        self.put(text.len() as u64 + 1, 4, &mut out);
        out.extend_from_slice(text.as_bytes());
        out.push(0);
        out
    }

    /// All of it as a file.
    pub fn file(&self) -> Vec<u8> {
        const HEAD: u64 = 104;
        let mut ids = Vec::new();
        let mut attrs = Vec::new();
        for recorded in &self.recorded {
            attrs.extend(self.attr(recorded));
            let at = HEAD + ids.len() as u64;
            attrs.extend(self.words(&[at, 8 * recorded.ids.len() as u64]));
            ids.extend(self.words(&recorded.ids));
        }
        let mut features = vec![(1, self.tracing())];
        features.extend(self.features.iter().cloned());
        let bits = features.iter().fold(0_u64, |bits, (n, _)| bits | 1 << n);
        let attrs_at = HEAD + ids.len() as u64;
        let data_at = attrs_at + attrs.len() as u64;
        let mut out = self.magic();
        out.extend(self.words(&[
            HEAD,
            144,
            attrs_at,
            attrs.len() as u64,
            data_at,
            self.records.len() as u64,
            0,
            0,
            bits,
            0,
            0,
            0,
        ]));
        for part in [&ids, &attrs, &self.records] {
            out.extend_from_slice(part);
        }
        let mut at = (out.len() + 16 * features.len()) as u64;
        for (_, bytes) in &features {
            out.extend(self.words(&[at, bytes.len() as u64]));
            at += bytes.len() as u64;
        }
        out.extend(features.iter().flat_map(|(_, bytes)| bytes));
        out
    }

    /// All of it as a stream.
    pub fn stream(&self) -> Vec<u8> {
        let mut out = self.magic();
        out.extend(self.words(&[16]));
        for recorded in &self.recorded {
            let mut body = self.attr(recorded);
            body.extend(self.words(&recorded.ids));
            out.extend(self.record(ATTR, &body));
        }
        for (feature, bytes) in &self.features {
            let mut body = self.words(&[(*feature).into()]);
            body.extend_from_slice(bytes);
            out.extend(self.record(FEATURE, &body));
        }
        let mut tracing = self.tracing();
        tracing.resize(tracing.len().next_multiple_of(8), 0);
        let mut body = Vec::new();
        self.put(tracing.len() as u64, 4, &mut body);
        out.extend(self.record(TRACING_DATA, &body));
        out.extend(tracing);
        out.extend_from_slice(&self.records);
        out
    }
}
