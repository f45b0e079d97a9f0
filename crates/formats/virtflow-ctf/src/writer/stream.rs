//! One stream file: events into packets, packets onto disk and into the index.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::config::{ByteOrder, StreamConfig, StreamIdentity};
use super::error::at;
use super::index::{Entry, IndexFile};
use super::{Payload, WriteError};

/// The CTF magic number of a packet (CTF 1.8 section 5.1).
const MAGIC: u32 = 0xC1FC_1FC1;
/// Packet header and packet context.
const PREAMBLE_BYTES: usize = 32 + 52;

/// Writes one stream. Events come in time order. End with [`StreamWriter::finish`]: what lies in
/// an unfinished packet is not written.
///
/// Packets are cut by size, as LTTng cuts them: the event that no longer fits ends one packet and
/// begins the next, and its time is the end of the one and the begin of the other. Or they are
/// begun and ended by hand.
#[derive(Debug)]
pub struct StreamWriter {
    file: File,
    path: PathBuf,
    index: IndexFile,
    config: StreamConfig,
    identity: StreamIdentity,
    /// Sorted ids of the classes; `None` when the metadata came from elsewhere.
    classes: Option<Arc<[u32]>>,
    packet: Payload,
    /// The begin of the open packet, in cycles.
    begin: Option<u64>,
    /// The time of the last event ever written.
    last_event: Option<u64>,
    /// The latest time written in any way.
    last: u64,
    seq: u64,
    discarded: u64,
    offset: u64,
    events: u64,
}

/// What a stream came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamTotals {
    /// Events written.
    pub events: u64,
    /// Bytes of the stream file.
    pub bytes: u64,
}

impl StreamWriter {
    pub(crate) fn create(
        dir: &Path,
        config: &StreamConfig,
        identity: StreamIdentity,
        classes: Option<Arc<[u32]>>,
    ) -> Result<Self, WriteError> {
        let path = dir.join(&identity.file_name);
        let index = dir
            .join("index")
            .join(format!("{}.idx", identity.file_name));
        let file = File::create(&path).map_err(at(&path))?;
        Ok(Self {
            file,
            path,
            index: IndexFile::create(&index)?,
            config: config.clone(),
            identity,
            classes,
            packet: Payload::new(config.byte_order),
            begin: None,
            last_event: None,
            last: 0,
            seq: 0,
            discarded: 0,
            offset: 0,
            events: 0,
        })
    }

    /// Writes an event of class `id` at `time` (clock cycles). `payload` holds its event context,
    /// if the trace has one, and its fields.
    ///
    /// # Errors
    /// When time runs backwards, the class is not declared, the event is larger than a packet, or
    /// the file cannot be written.
    pub fn event(&mut self, time: u64, id: u32, payload: &[u8]) -> Result<(), WriteError> {
        self.check(time, id)?;
        let longest = self.config.header.extended_bytes() + payload.len();
        let used = self.packet.as_bytes().len();
        if self.begin.is_none() {
            self.check_size(longest)?;
            self.open(time);
        } else if used + longest > self.config.packet_bytes_max {
            self.check_size(longest)?;
            self.close(time)?;
            self.open(time);
        }
        self.header(time, id);
        self.packet.raw(payload);
        self.last_event = Some(time);
        self.last = time;
        self.events += 1;
        Ok(())
    }

    /// Begins a packet at `begin` (clock cycles), at or before its first event.
    ///
    /// # Errors
    /// When a packet is open, or `begin` lies before what is written.
    pub fn begin_packet(&mut self, begin: u64) -> Result<(), WriteError> {
        if self.begin.is_some() {
            return Err(WriteError::Sequence("a packet is already open"));
        }
        self.check_time(begin)?;
        self.open(begin);
        Ok(())
    }

    /// Ends the open packet at `end` (clock cycles), at or after its last event, and writes it.
    ///
    /// # Errors
    /// When no packet is open, `end` lies before its last event, or the file cannot be written.
    pub fn end_packet(&mut self, end: u64) -> Result<(), WriteError> {
        if self.begin.is_none() {
            return Err(WriteError::Sequence("no packet is open"));
        }
        self.check_time(end)?;
        self.close(end)
    }

    /// Bytes so far, with those of the packet that is open.
    pub fn bytes(&self) -> u64 {
        let open = self.begin.map_or(0, |_| self.packet.as_bytes().len());
        self.offset + open as u64
    }

    /// When the open packet began (clock cycles), if one is open and holds an event.
    pub fn begun(&self) -> Option<u64> {
        self.begin
            .filter(|_| self.packet.as_bytes().len() > PREAMBLE_BYTES)
    }

    /// Whether a packet is open.
    pub const fn is_open(&self) -> bool {
        self.begin.is_some()
    }

    /// How many events were discarded since the stream began, up to the end of the packet that is
    /// open or comes next.
    pub const fn set_discarded(&mut self, total: u64) {
        self.discarded = total;
    }

    /// Numbers the packet that is open or comes next; the ones after it count on. A jump says that
    /// packets were lost.
    pub const fn set_sequence(&mut self, number: u64) {
        self.seq = number;
    }

    /// Writes the open packet, if any, ended at its last event.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(mut self) -> Result<StreamTotals, WriteError> {
        if self.begin.is_some() {
            self.close(self.last)?;
        }
        Ok(StreamTotals {
            events: self.events,
            bytes: self.offset,
        })
    }

    fn check(&self, time: u64, id: u32) -> Result<(), WriteError> {
        self.check_time(time)?;
        match &self.classes {
            Some(known) if known.binary_search(&id).is_err() => Err(WriteError::UnknownClass(id)),
            _ => Ok(()),
        }
    }

    fn check_time(&self, time: u64) -> Result<(), WriteError> {
        if time < self.last {
            return Err(WriteError::TimeBackwards {
                time,
                last: self.last,
            });
        }
        Ok(())
    }

    fn check_size(&self, bytes: usize) -> Result<(), WriteError> {
        let limit = self.config.packet_bytes_max - PREAMBLE_BYTES;
        if bytes > limit {
            return Err(WriteError::EventTooLarge { bytes, limit });
        }
        Ok(())
    }

    /// The short form while a reader that knows the time of the packet's begin, or of the event
    /// before, can complete it; the first event of all is written in full, as LTTng does.
    fn header(&mut self, time: u64, id: u32) {
        let header = self.config.header;
        let bits = header.time_bits();
        let near = |before: u64| time - before < 1 << bits;
        let short = id < header.extended_id()
            && self.last_event.is_some_and(near)
            && self.begin.is_none_or(near);
        match (header.time_bits(), short) {
            (27, true) => {
                let low = time as u32 & 0x07FF_FFFF;
                // The id lies in the first bits: low ones in little-endian, high ones in big.
                let word = match self.config.byte_order {
                    ByteOrder::Little => low << 5 | id,
                    ByteOrder::Big => id << 27 | low,
                };
                self.packet.u32(word);
            }
            (27, false) => {
                let first = match self.config.byte_order {
                    ByteOrder::Little => 31,
                    ByteOrder::Big => 31 << 3,
                };
                self.packet.u8(first).u32(id).u64(time);
            }
            (_, true) => {
                self.packet.u16(id as u16).u32(time as u32);
            }
            (_, false) => {
                self.packet.u16(u16::MAX).u32(id).u64(time);
            }
        }
    }

    fn open(&mut self, begin: u64) {
        self.begin = Some(begin);
        self.last = begin;
        self.packet.clear();
        self.packet.raw(&[0; PREAMBLE_BYTES]);
    }

    fn close(&mut self, end: u64) -> Result<(), WriteError> {
        let Some(begin) = self.begin.take() else {
            return Ok(());
        };
        self.last = end;
        let content = self.packet.as_bytes().len();
        let multiple = self.config.packet_bytes_multiple.max(1);
        // A packet limit that is no multiple of the page allows no more than the limit.
        let size = content
            .next_multiple_of(multiple)
            .min(self.config.packet_bytes_max);
        let entry = Entry {
            offset: self.offset,
            packet_bits: size as u64 * 8,
            content_bits: content as u64 * 8,
            begin,
            end,
            discarded: self.discarded,
            stream_id: u64::from(self.identity.stream_id),
            stream_instance: self.identity.instance,
            seq: self.seq,
        };
        let preamble = self.preamble(&entry);
        self.packet.pad_to(size);
        let written = self.write(&preamble).and_then(|()| self.index.push(&entry));
        if written.is_err() {
            // A full disk: what lies before is whole. Where that fails too, the index still says so.
            let _cut = self.file.set_len(self.offset);
            return written;
        }
        self.offset += size as u64;
        self.seq += 1;
        Ok(())
    }

    fn write(&mut self, preamble: &[u8]) -> Result<(), WriteError> {
        let content = &self.packet.as_bytes()[PREAMBLE_BYTES..];
        let written = self.file.write_all(preamble);
        let written = written.and_then(|()| self.file.write_all(content));
        written.map_err(at(&self.path))
    }

    fn preamble(&self, entry: &Entry) -> Vec<u8> {
        let mut out = Payload::new(self.config.byte_order);
        out.u32(MAGIC).raw(&self.config.uuid);
        out.u32(self.identity.stream_id).u64(entry.stream_instance);
        out.u64(entry.begin)
            .u64(entry.end)
            .u64(entry.content_bits)
            .u64(entry.packet_bits);
        out.u64(entry.seq)
            .u64(entry.discarded)
            .u32(self.identity.cpu);
        out.as_bytes().to_vec()
    }
}
