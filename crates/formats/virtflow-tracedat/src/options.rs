//! The options of a file: what its writer noted beside the events.

use virtflow_tracefs::{ByteOrder, Threads};

use crate::clock;
use crate::cursor::Cursor;
use crate::error::Error;

/// The numbers of options (trace-cmd.dat.v7(5)).
pub(crate) mod id {
    pub(crate) const DONE: u16 = 0;
    pub(crate) const DATE: u16 = 1;
    pub(crate) const CPUSTAT: u16 = 2;
    pub(crate) const BUFFER: u16 = 3;
    pub(crate) const TRACECLOCK: u16 = 4;
    pub(crate) const UNAME: u16 = 5;
    pub(crate) const HOOK: u16 = 6;
    pub(crate) const OFFSET: u16 = 7;
    pub(crate) const CPUCOUNT: u16 = 8;
    pub(crate) const VERSION: u16 = 9;
    pub(crate) const PROCMAPS: u16 = 10;
    pub(crate) const TRACEID: u16 = 11;
    pub(crate) const TIME_SHIFT: u16 = 12;
    pub(crate) const GUEST: u16 = 13;
    pub(crate) const TSC2NSEC: u16 = 14;
    pub(crate) const HEADER_INFO: u16 = 16;
    pub(crate) const FTRACE_EVENTS: u16 = 17;
    pub(crate) const EVENT_FORMATS: u16 = 18;
    pub(crate) const CMDLINES: u16 = 21;
    pub(crate) const BUFFER_TEXT: u16 = 22;
}

/// The most options of a file, and bytes in all of them.
const OPTIONS_MAX: u32 = 1 << 20;
const BYTES_MAX: u64 = 64 << 20;
/// The most bytes of text that are kept of one option.
const TEXT_MAX: usize = 1 << 20;

/// What the options of a file say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The system it was recorded on: name, host, release, machine, as uname(2) has them.
    pub uname: String,
    /// The version of trace-cmd.
    pub version: String,
    /// The clock of the time stamps; empty where it is not told.
    pub clock: String,
    /// Nanoseconds to add to each time stamp, so that they count from the Unix epoch
    /// (`--date`) or from wherever the user said (`--ts-offset`).
    pub offset_ns: i64,
    /// Multiplier, shift and offset that make nanoseconds of the processor's counter. The offset
    /// is not used, as trace-cmd does not.
    pub tsc: Option<(u32, u32, u64)>,
    /// A number for the session, which the files of host and guests name each other by.
    pub trace_id: Option<u64>,
    /// How many processors there are.
    pub processors: Option<u32>,
    /// What the kernel counted of each processor's buffer.
    pub lost: Vec<Lost>,
    /// Of a host's file: the guests that were recorded together with it.
    pub guests: Vec<Guest>,
    /// Of a guest's file: how its time stamps become those of its host.
    pub host_times: Option<HostTimes>,
    /// Events that were connected (`-H`), as they were given.
    pub hooks: Vec<String>,
    /// The memory maps of the processes that were filtered by, as text.
    pub maps: Vec<String>,
}

/// What the kernel counted of one processor's buffer, by the time the recording ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// The buffer's name; empty for the first.
    pub buffer: String,
    /// The processor.
    pub cpu: u32,
    /// Events that were overwritten before they were read.
    pub overrun: u64,
    /// Events that there was no room for.
    pub dropped: u64,
}

/// A guest that was recorded together with its host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guest {
    /// Its name.
    pub name: String,
    /// The number of its own file's session.
    pub trace_id: u64,
    /// Its processors, each with the host's thread that is it.
    pub vcpus: Vec<(u32, i32)>,
}

/// How a guest's time stamps become those of its host: per processor of the guest, corrections in
/// order of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostTimes {
    /// The number of the host's session.
    pub host_id: u64,
    /// Flags of the protocol by which they were measured.
    pub flags: u32,
    /// Of each processor: when it was measured, what is added, and by what is multiplied.
    pub corrections: Vec<Vec<(u64, i64, u64)>>,
}

/// An option that says where something else lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Another buffer of a file of version 6.
    Buffer6 { at: u64, name: String },
    /// A buffer of a file of version 7.
    Buffer7(Box<Buffer7>),
    /// A section with that number.
    Section { id: u16, at: u64 },
}

/// What version 7 says of a buffer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Buffer7 {
    pub(crate) at: u64,
    pub(crate) name: String,
    pub(crate) clock: String,
    pub(crate) page_size: u32,
    /// Processor, place and size of its pages.
    pub(crate) cpus: Vec<(u32, u64, u64)>,
}

/// Reads options as they come.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) options: Options,
    pub(crate) places: Vec<Place>,
    pub(crate) threads: Threads,
    /// The buffer whose counters follow.
    counted: String,
    taken: u32,
    bytes: u64,
}

impl Reading {
    /// Takes one option. What is too short for what it should hold is an error; what is not known
    /// is left alone.
    pub(crate) fn take(
        &mut self,
        seven: bool,
        number: u16,
        option: &mut Cursor<'_>,
    ) -> Result<(), Error> {
        self.taken += 1;
        self.bytes = self.bytes.saturating_add(option.left());
        if self.taken > OPTIONS_MAX || self.bytes > BYTES_MAX {
            return Err(option.wrong("more than 1,048,576 options or 64 MiB of them"));
        }
        let options = &mut self.options;
        match number {
            // Microseconds.
            id::DATE => {
                let micros = number_of(&text(option)?);
                add(&mut options.offset_ns, micros.saturating_mul(1000));
            }
            id::OFFSET => add(&mut options.offset_ns, number_of(&text(option)?)),
            id::CPUSTAT => self.counters(&text(option)?),
            id::BUFFER if seven => {
                let buffer = buffer7(option)?;
                self.places.push(Place::Buffer7(Box::new(buffer)));
            }
            id::BUFFER => {
                let at = option.u64("place of a buffer")?;
                let name = option.string("name of a buffer")?;
                self.places.push(Place::Buffer6 { at, name });
            }
            id::TRACECLOCK => {
                let text = text(option)?;
                options.clock = clock::in_use(&text).unwrap_or("").to_owned();
            }
            id::UNAME => options.uname = text(option)?.trim().to_owned(),
            id::HOOK => options.hooks.push(text(option)?),
            // What is longer than a count is the text of `saved_tgids`, as some versions of
            // trace-cmd write it.
            id::CPUCOUNT if option.left() > 8 => {
                let len = option.left();
                self.threads
                    .group_all(option.bytes(len, "processes of threads")?);
            }
            id::CPUCOUNT => options.processors = Some(option.u32("count of processors")?),
            id::VERSION => options.version = text(option)?.trim().to_owned(),
            id::PROCMAPS => options.maps.push(text(option)?),
            id::TRACEID => options.trace_id = Some(option.u64("number of the session")?),
            id::TIME_SHIFT => options.host_times = Some(host_times(option)?),
            id::GUEST => options.guests.push(guest(option)?),
            id::TSC2NSEC => {
                let mult = option.u32("multiplier of the counter")?;
                let shift = option.u32("shift of the counter")?;
                options.tsc = Some((mult, shift, option.u64("offset of the counter")?));
            }
            id::HEADER_INFO
            | id::FTRACE_EVENTS
            | id::EVENT_FORMATS
            | id::CMDLINES
            | id::BUFFER_TEXT
                if seven =>
            {
                let at = option.u64("place of a section")?;
                self.places.push(Place::Section { id: number, at });
            }
            _ => {}
        }
        Ok(())
    }

    /// The kernel's counters of one processor's buffer (kernel/trace/trace.c
    /// `tracing_stats_read`), or a line that says whose follow.
    fn counters(&mut self, text: &str) {
        let mut lost = Lost::default();
        let mut cpu = None;
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else {
                continue;
            };
            let value = value.trim();
            match key.trim() {
                "Buffer" => value.clone_into(&mut self.counted),
                "CPU" => cpu = value.parse().ok(),
                "overrun" => lost.overrun = value.parse().unwrap_or(0),
                "dropped events" => lost.dropped = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        if let Some(cpu) = cpu {
            lost.cpu = cpu;
            lost.buffer.clone_from(&self.counted);
            self.options.lost.push(lost);
        }
    }
}

/// All of an option as text up to its NUL.
fn text(option: &mut Cursor<'_>) -> Result<String, Error> {
    let len = option.left().min(TEXT_MAX as u64);
    let bytes = option.bytes(len, "text of an option")?;
    let end = bytes.iter().position(|byte| *byte == 0);
    let bytes = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

/// A number as strtoll(3) reads it with base 0, of what fits.
fn number_of(text: &str) -> i64 {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let hexadecimal = digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"));
    let (digits, base) = match hexadecimal {
        Some(rest) => (rest, 16),
        None => (digits, 10),
    };
    let end = digits.find(|c: char| !c.is_digit(base));
    let digits = &digits[..end.unwrap_or(digits.len())];
    if digits.is_empty() {
        return 0;
    }
    let value = i128::from(u64::from_str_radix(digits, base).unwrap_or(u64::MAX));
    let value = if negative { -value } else { value };
    i64::try_from(value).unwrap_or(if negative { i64::MIN } else { i64::MAX })
}

fn add(sum: &mut i64, more: i64) {
    *sum = sum.saturating_add(more);
}

fn buffer7(option: &mut Cursor<'_>) -> Result<Buffer7, Error> {
    let mut buffer = Buffer7 {
        at: option.u64("place of a buffer")?,
        name: option.string("name of a buffer")?,
        clock: option.string("clock of a buffer")?,
        page_size: option.u32("size of a buffer's pages")?,
        cpus: Vec::new(),
    };
    for _ in 0..option.u32("count of a buffer's processors")? {
        let cpu = option.u32("processor of a buffer")?;
        let at = option.u64("place of a processor's pages")?;
        buffer
            .cpus
            .push((cpu, at, option.u64("size of a processor's pages")?));
    }
    Ok(buffer)
}

fn guest(option: &mut Cursor<'_>) -> Result<Guest, Error> {
    let mut guest = Guest {
        name: option.string("name of a guest")?,
        trace_id: option.u64("number of a guest's session")?,
        vcpus: Vec::new(),
    };
    for _ in 0..option.u32("count of a guest's processors")? {
        let vcpu = option.u32("processor of a guest")?;
        guest
            .vcpus
            .push((vcpu, option.u32("thread of a guest's processor")? as i32));
    }
    Ok(guest)
}

fn host_times(option: &mut Cursor<'_>) -> Result<HostTimes, Error> {
    let order = option.order();
    let mut times = HostTimes {
        host_id: option.u64("number of the host's session")?,
        flags: option.u32("flags of corrections")?,
        corrections: Vec::new(),
    };
    for _ in 0..option.u32("count of corrected processors")? {
        let count = u64::from(option.u32("count of corrections")?);
        let mut columns: [Vec<u64>; 3] = Default::default();
        for column in &mut columns {
            *column = words(option.bytes(count * 8, "corrections")?, order);
        }
        let [when, offsets, scales] = &columns;
        let rows = when.iter().zip(offsets).zip(scales);
        let rows = rows.map(|((when, offset), scale)| (*when, *offset as i64, *scale));
        times.corrections.push(rows.collect());
    }
    Ok(times)
}

fn words(bytes: &[u8], order: ByteOrder) -> Vec<u64> {
    let words = bytes.chunks_exact(8);
    words.filter_map(|word| order.uint(word)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cursor::Input;
    use std::sync::Arc;

    fn input() -> Input {
        Input {
            file: tempfile::tempfile().unwrap(),
            path: Arc::new("trace.dat".into()),
            len: 0,
        }
    }

    fn read(options: &[(u16, Vec<u8>)]) -> Result<Reading, Error> {
        let input = input();
        let mut reading = Reading::default();
        for (number, bytes) in options {
            let order = ByteOrder::Little;
            let mut option = Cursor::of_memory(&input, order, bytes.clone(), 40);
            reading.take(true, *number, &mut option)?;
        }
        Ok(reading)
    }

    #[test]
    fn texts_and_numbers() {
        let stat = b"CPU: 1\nentries: 3\noverrun: 98\ndropped events: 2\n".to_vec();
        let got = read(&[
            (id::DATE, b"0x10\0".to_vec()),
            (id::OFFSET, b"-15500\0".to_vec()),
            (id::CPUSTAT, stat.clone()),
            (id::CPUSTAT, b"\nBuffer: calls\n\n".to_vec()),
            (id::CPUSTAT, stat),
            (id::TRACECLOCK, b"local [mono] boot\n\0".to_vec()),
            (id::UNAME, b"Linux vfhost 6.1.0 x86_64\0".to_vec()),
            (id::CPUCOUNT, 2_u32.to_le_bytes().to_vec()),
            (id::CPUCOUNT, b"143 141\n".repeat(2)),
            (id::VERSION, b"3.1.6\n\0".to_vec()),
            (99, b"whatever".to_vec()),
        ])
        .unwrap();
        let options = &got.options;
        assert_eq!(options.offset_ns, 500);
        let lost = |buffer: &str| Lost {
            buffer: buffer.into(),
            cpu: 1,
            overrun: 98,
            dropped: 2,
        };
        assert_eq!(options.lost, [lost(""), lost("calls")]);
        assert_eq!(
            (options.clock.as_str(), options.version.as_str()),
            ("mono", "3.1.6")
        );
        assert_eq!(options.processors, Some(2));
        assert_eq!(got.threads.process(143), Some(141));
    }

    #[test]
    fn guests_and_their_times() {
        let mut guest = b"vm1\0".to_vec();
        guest.extend_from_slice(&7_u64.to_le_bytes());
        for word in [2_u32, 0, 143, 1, 144] {
            guest.extend_from_slice(&word.to_le_bytes());
        }
        let mut shift = 9_u64.to_le_bytes().to_vec();
        for word in [1_u32, 1, 2] {
            shift.extend_from_slice(&word.to_le_bytes());
        }
        for word in [10_i64, 20, -5, 5, 1, 1] {
            shift.extend_from_slice(&word.to_le_bytes());
        }
        let got = read(&[(id::GUEST, guest), (id::TIME_SHIFT, shift.clone())]).unwrap();
        let vm1 = &got.options.guests[0];
        assert_eq!((vm1.name.as_str(), vm1.trace_id), ("vm1", 7));
        assert_eq!(vm1.vcpus, [(0, 143), (1, 144)]);
        let times = got.options.host_times.unwrap();
        assert_eq!((times.host_id, times.flags), (9, 1));
        assert_eq!(times.corrections, [[(10, -5, 1), (20, 5, 1)]]);
        let error = read(&[(id::TIME_SHIFT, shift[..40].to_vec())]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "trace.dat: corrections of 16 bytes, of which the file has only 4, at byte 40"
        );
    }

    #[test]
    fn counts_that_are_lies_end_where_the_option_ends() {
        let mut buffer = 4096_u64.to_le_bytes().to_vec();
        buffer.extend_from_slice(b"\0mono\0");
        buffer.extend_from_slice(&4096_u32.to_le_bytes());
        buffer.extend_from_slice(&u32::MAX.to_le_bytes());
        let error = read(&[(id::BUFFER, buffer)]).unwrap_err().to_string();
        assert!(
            error.contains("processor of a buffer of 4 bytes"),
            "{error}"
        );
    }

    #[test]
    fn numbers_as_c_reads_them() {
        let numbers = [
            "0x1F",
            "-12",
            " +7x",
            "",
            "99999999999999999999",
            "-0x8000000000000001",
        ];
        let read: Vec<_> = numbers.into_iter().map(number_of).collect();
        assert_eq!(read, [31, -12, 7, 0, i64::MAX, i64::MIN]);
    }
}
