//! The small code in which an input of [`pipeline`](crate::pipeline()) says which events there are.
//!
//! Five bytes of options, then instructions: a byte below [`CHANNEL`] is an event of the class of
//! that number (modulo the number of classes) with a byte for each field, anything above is one of
//! the constants below. Small numbers mean values that go together; the highest ones mean hostile
//! ones, and 255 is followed by the value itself.

use crate::classes::{self, COUNT, Domain, Slot};

/// To the stream of this instruction less `CHANNEL`; there are 8.
pub(crate) const CHANNEL: u8 = 200;
/// The next events are this far from one another: a power of two nanoseconds.
pub(crate) const STEP: u8 = 208;
/// So many more events lost, so far, on this stream.
pub(crate) const LOST: u8 = 209;
/// So many packets missing on this stream.
pub(crate) const MISSING: u8 = 210;
/// A new packet.
pub(crate) const PACKET: u8 = 211;
/// Once more: the last so many events, so many times, other each time by so much.
pub(crate) const AGAIN: u8 = 212;
/// A minute later.
pub(crate) const MINUTE: u8 = 213;
/// The clock of whoever merges goes back by a power of two nanoseconds, for one event.
pub(crate) const BACK: u8 = 214;
/// The thread that the next events are recorded in, as a context field.
pub(crate) const CONTEXT: u8 = 215;

/// The most events of one input.
const EVENTS_MAX: usize = 2048;
/// Processors of the 8 streams: small ones, the limits of what is believed, one twice.
pub(crate) const CPUS: [u32; 8] = [0, 1, 2, 3, 16383, 16384, u32::MAX, 0];
const TIDS: [u64; 8] = [
    0,
    1,
    2,
    0xffff_ffff,
    0x8000_0000,
    0x7fff_ffff,
    4_194_304,
    50,
];
const NUMBERS: [u64; 14] = [
    255,
    0x6e0,
    0x830,
    0x832,
    0x80b,
    0x320,
    0x300,
    0x400,
    0x8000_00ec,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    1 << 63,
    u64::MAX,
];
/// Exit codes that mean something, of both vendors.
const EXITS: [u64; 24] = [
    12,
    1,
    10,
    30,
    31,
    32,
    48,
    49,
    20,
    24,
    25,
    18,
    40,
    52,
    0x78,
    0x60,
    0x7b,
    0x7c,
    0x400,
    0x80,
    0x81,
    0x72,
    0x401,
    0x8000_0004,
];
const COMMS: [&[u8]; 10] = [
    b"",
    b"CPU 0/KVM",
    b"CPU 1/KVM",
    b"qemu",
    b"vhost-100",
    b"swapper/0",
    b"fc_vcpu 4095",
    b"vcpu4294967295",
    b"vhost--1",
    b"\xff\xfe\0x",
];

/// A value of a field.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Val {
    Int(u64),
    Text(&'static [u8]),
}

/// An event to write.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) time: u64,
    /// How far the merged clock goes back at it.
    pub(crate) back: i64,
    pub(crate) stream: usize,
    pub(crate) class: usize,
    pub(crate) values: Vec<Val>,
    pub(crate) context: u64,
    /// What happens to its stream before it.
    pub(crate) lost: u64,
    pub(crate) missing: u64,
    pub(crate) packet: bool,
}

/// What holds of the whole trace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) flags: u8,
    pub(crate) clock: u8,
    pub(crate) range: u8,
    pub(crate) coverage: u8,
    pub(crate) merged: u8,
}

/// Takes bytes from an input, zeros behind its end.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn u8(&mut self) -> u8 {
        self.next().unwrap_or(0)
    }

    fn u64(&mut self) -> u64 {
        (0..8).fold(0, |sum, i| sum | u64::from(self.u8()) << (8 * i))
    }

    fn value(&mut self, slot: Slot) -> Val {
        let byte = self.u8();
        let at = usize::from(byte);
        let small = u64::from(byte);
        if slot.domain == Domain::Comm {
            return Val::Text(COMMS[at % COMMS.len()]);
        }
        if byte == 255 {
            return Val::Int(self.u64());
        }
        Val::Int(match slot.domain {
            Domain::Tid if byte < 200 => 100 + small % 24,
            Domain::Tid => TIDS[at % TIDS.len()],
            Domain::Cpu => u64::from(CPUS[at % CPUS.len()]),
            Domain::Cr3 if byte < 128 => 0x1000 * (1 + small % 16),
            Domain::Cr3 if byte < 250 => {
                // Page-table isolation and address space numbers.
                (0x2000 * (1 + small % 8)) | ((small >> 3 & 3) << 11) | ((small >> 5 & 1) << 63)
            }
            Domain::Exit if byte < 250 => EXITS[at % EXITS.len()],
            Domain::State if byte < 250 => [0, 1, 2, 0x10, 0x20, 0x80, 0x100, 0x402][at % 8],
            _ if byte >= 240 => NUMBERS[(at - 240) % NUMBERS.len()],
            _ => small,
        })
    }
}

/// The options and events that `input` says.
pub(crate) fn read(input: &[u8]) -> (Options, Vec<Event>) {
    let slots = classes::slots();
    let mut bytes = Bytes(input);
    let options = Options {
        flags: bytes.u8(),
        clock: bytes.u8(),
        range: bytes.u8(),
        coverage: bytes.u8(),
        merged: bytes.u8(),
    };
    let mut events: Vec<Event> = Vec::new();
    let (mut time, mut step, mut stream, mut back, mut context) = (1_u64 << 20, 64, 0, 0, 0);
    let (mut lost, mut missing, mut packet) = (0, 0, false);
    while let Some(code) = bytes.next() {
        if events.len() >= EVENTS_MAX {
            break;
        }
        match code {
            0..CHANNEL => {
                let class = usize::from(code) % COUNT;
                let values = slots[class].iter().map(|slot| bytes.value(*slot)).collect();
                time = time.saturating_add(step);
                events.push(Event {
                    time,
                    back: std::mem::take(&mut back),
                    stream,
                    class,
                    values,
                    context,
                    lost: std::mem::take(&mut lost),
                    missing: std::mem::take(&mut missing),
                    packet: std::mem::take(&mut packet),
                });
            }
            CHANNEL..STEP => stream = usize::from(code - CHANNEL),
            STEP => step = 1_u64.checked_shl(u32::from(bytes.u8() % 65)).unwrap_or(0),
            LOST => lost += u64::from(bytes.u8()),
            MISSING => missing += u64::from(bytes.u8()),
            PACKET => packet = true,
            AGAIN => {
                let (last, times, churn) = (bytes.u8() % 16 + 1, bytes.u8(), bytes.u8());
                again(&mut events, &slots, &mut time, step, last, times, churn);
            }
            MINUTE => time = time.saturating_add(61_000_000_000),
            BACK => back = 1_i64 << (bytes.u8() % 63),
            CONTEXT => {
                let slot = Slot {
                    domain: Domain::Tid,
                    bits: 32,
                };
                if let Val::Int(tid) = bytes.value(slot) {
                    context = tid;
                }
            }
            _ => {}
        }
    }
    (options, events)
}

/// The last events over and over: identifiers and addresses move on by `churn` each time.
fn again(
    events: &mut Vec<Event>,
    slots: &[Vec<Slot>],
    time: &mut u64,
    step: u64,
    last: u8,
    times: u8,
    churn: u8,
) {
    let from = events.len().saturating_sub(usize::from(last));
    let block = events[from..].to_vec();
    for turn in 1..=u64::from(times) {
        for event in &block {
            if events.len() >= EVENTS_MAX {
                return;
            }
            *time = time.saturating_add(step);
            let mut event = event.clone();
            event.time = *time;
            for (value, slot) in event.values.iter_mut().zip(&slots[event.class]) {
                let far = u64::from(churn) * turn;
                if let Val::Int(value) = value {
                    match slot.domain {
                        Domain::Tid if churn % 2 == 1 => *value = value.wrapping_add(far),
                        Domain::Cr3 if churn & 2 != 0 => *value = value.wrapping_add(far << 12),
                        Domain::Number if churn & 4 != 0 => *value = value.wrapping_add(far),
                        _ => {}
                    }
                }
            }
            events.push(event);
        }
    }
}

/// What an input means, one event a line.
pub fn explain(input: &[u8]) -> String {
    let (options, events) = read(input);
    let mut out = format!("{options:?}\n");
    for event in events {
        let values: Vec<_> = event
            .values
            .iter()
            .map(|value| match value {
                Val::Int(number) => format!("{number:#x}"),
                Val::Text(text) => format!("{:?}", String::from_utf8_lossy(text)),
            })
            .collect();
        let Event {
            time,
            stream,
            class,
            ..
        } = event;
        let odd = match (event.back, event.lost, event.missing) {
            (0, 0, 0) => String::new(),
            odd => format!(" (back, lost, missing) {odd:?}"),
        };
        let name = classes::name(class);
        out.push_str(&format!(
            "{time} k_{stream} {name} {}{odd}\n",
            values.join(" ")
        ));
    }
    out
}
