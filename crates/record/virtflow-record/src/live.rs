//! What happens now, for whoever wants to see it as it happens: the records of the rings as they
//! are, and descriptions of them.
//!
//! A record begins with its time, its kind, its processor and who ran there; descriptions say where
//! its fields are, in the words in which the kernel describes its own events
//! (kernel/trace/trace_events.c `f_show`). Several descriptions of one kind are several events that
//! one record makes.

use crate::dump;
use crate::events::{dump_kind, tracepoints};
use crate::flight::Flight;
use crate::load::Ring;
use crate::look::{Looked, Looks};
use crate::order::{Order, Record};
use crate::running::{Kinds, Running};
use crate::trace::{self, Layout};
use crate::{Missed, Plan, RecordError, Snapshot};
use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;

/// The bytes of a record before its fields.
const HEAD_BYTES: usize = 20;
/// What a record begins with: the clock's nanoseconds, its kind, the processor, the thread and the
/// process that ran there.
const HEAD: &str = "\
    \tfield:u64 common_time;\toffset:0;\tsize:8;\tsigned:0;\n\
    \tfield:unsigned short common_type;\toffset:8;\tsize:2;\tsigned:0;\n\
    \tfield:unsigned short common_cpu;\toffset:10;\tsize:2;\tsigned:0;\n\
    \tfield:int common_pid;\toffset:12;\tsize:4;\tsigned:1;\n\
    \tfield:int common_tgid;\toffset:16;\tsize:4;\tsigned:1;\n\n";
/// Text of 16 characters, as the kernel names threads.
const TEXT_BYTES: usize = 16;

/// An event of records of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Where its fields are.
    pub text: String,
    /// Only records whose byte at a place is this make the event.
    pub only_if: Option<(usize, u8)>,
}

/// A recording of which at most the last while is kept.
pub struct Live {
    ring: Ring,
    looks: Looks,
    missed_before: Missed,
    descriptions: Vec<Description>,
    began: u64,
    offset: i64,
    /// Who runs on each processor.
    running: Vec<Running>,
    kinds: Kinds,
    last: Option<Last>,
}

/// The last while.
struct Last {
    layout: Layout,
    order: Order,
    flight: Flight,
    looked: Looked,
}

impl Last {
    fn settle(&mut self, looked: Looked) {
        let until = looked.until;
        let flight = &mut self.flight;
        let given = self.order.give(until, |record| {
            flight.keep(&record);
            Ok::<_, Infallible>(())
        });
        // Nothing that could fail.
        given.unwrap_or_else(|never| match never {});
        self.flight.settle(until);
        self.looked = looked;
    }
}

/// What came of a look at the rings.
#[derive(Clone, Debug)]
pub struct Polled {
    /// All that happened before has come.
    pub until: u64,
    /// How many records each processor had no room for so far.
    pub lost: Vec<u64>,
    /// When that was asked.
    pub asked: u64,
    /// A ring was found rather full: look again soon.
    pub is_busy: bool,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut told = f.debug_struct("Live");
        told.field("began", &self.began).finish_non_exhaustive()
    }
}

impl Live {
    /// Begins, and keeps what happened in the last while for [`Self::snapshot`], where it is said
    /// how long a while and how many bytes at the most.
    ///
    /// # Errors
    /// Where the kernel does not take the programs.
    pub fn start(plan: Plan, keep: Option<(Duration, usize)>) -> Result<Self, RecordError> {
        let descriptions = descriptions(&plan);
        let layout = Layout::new(&plan);
        let ring = plan.attach()?;
        let missed_before = ring.missed();
        // From here on all tracepoints are recorded.
        let began = trace::now();
        let last = keep.map(|(window, memory)| Last {
            layout,
            order: Order::new(trace::cpus(), began),
            flight: Flight::new(trace::cpus(), window, memory, began),
            looked: Looked {
                until: began,
                ..Looked::default()
            },
        });
        Ok(Self {
            ring,
            looks: Looks::default(),
            missed_before,
            descriptions,
            began,
            offset: trace::clock_offset(),
            running: vec![Running::default(); trace::cpus() as usize],
            kinds: Kinds::new(),
            last,
        })
    }

    /// Writes what happened in the last while as a trace in a new directory; `None` where it is not
    /// kept.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn snapshot(&self, directory: &Path) -> Result<Option<Snapshot>, RecordError> {
        let last = self.last.as_ref();
        let written = last.map(|last| {
            last.flight
                .write(directory, &last.layout, &last.looked, &self.missed())
        });
        written.transpose()
    }

    /// Descriptions of all that records can be.
    pub fn descriptions(&self) -> &[Description] {
        &self.descriptions
    }

    /// When it began, on the clock of records (CLOCK_MONOTONIC).
    pub const fn began(&self) -> u64 {
        self.began
    }

    /// Nanoseconds from the Unix epoch to the zero of the records' clock, when it began.
    pub const fn offset(&self) -> i64 {
        self.offset
    }

    /// How many processors there may be.
    pub fn cpus(&self) -> u32 {
        trace::cpus()
    }

    /// Tracepoints at which the kernel lets no program run, and why.
    pub fn refused(&self) -> &[(&'static str, String)] {
        &self.ring.refused
    }

    /// What was not recorded since it began though there was room.
    pub fn missed(&self) -> Missed {
        self.ring.missed().since(&self.missed_before)
    }

    /// What there is now, as records: threads, VMs, devices. It takes a while, in which `meanwhile`
    /// takes what is recorded.
    pub fn dump(&mut self, mut meanwhile: impl FnMut(&[u8])) -> Vec<Vec<u8>> {
        let mut told = Order::new(1, self.began);
        let Self { ring, last, .. } = self;
        let mut drain = |_: &mut Order| {
            ring.drain(|record| {
                if let Some(last) = last {
                    last.order.take(record);
                }
                if !is_loss(record) {
                    meanwhile(record);
                }
            });
        };
        let what = dump::What {
            when: dump::When::Start,
            arguments: false,
        };
        dump::dump(&mut told, what, &mut drain);
        let mut all = Vec::new();
        let given = told.give(u64::MAX, |record| {
            let class = usize::from(record.kind.saturating_sub(dump_kind()));
            let fields = dump::CLASSES.get(class).map_or("", |(_, fields)| fields);
            all.extend(dumped(record.time, record.kind, fields, record.fields));
            Ok::<_, Infallible>(())
        });
        given.unwrap_or_else(|never| match never {});
        all
    }

    /// Gives the records that are there, those of a processor in about their order.
    pub fn poll(&mut self, mut take: impl FnMut(&[u8])) -> Polled {
        let looked = self.looks.look(&self.ring);
        let (until, asked) = (looked.until, looked.asked);
        let lost = looked.of_cpus.clone();
        let Self {
            last,
            running,
            kinds,
            ..
        } = self;
        let is_busy = self.ring.drain(|record| {
            if let Some(last) = last {
                last.order.take(record);
            }
            show(running, kinds, record, &mut take);
            if !is_loss(record) {
                take(record);
            }
        });
        if let Some(last) = last {
            last.settle(looked);
        }
        Polled {
            until,
            lost,
            asked,
            is_busy,
        }
    }
}

/// Gives a record that says who runs where `record` was made, if that is new.
fn show(running: &mut [Running], kinds: &Kinds, record: &[u8], take: &mut impl FnMut(&[u8])) {
    if let Some(record) = Record::read(record)
        && let Some(running) = running.get_mut(record.cpu as usize)
        && let Some(shown) = running.shown(kinds, &record)
    {
        take(&shown.before(&record).bytes());
    }
}

/// Whether it tells of a loss, which is told by how many records each processor lost.
fn is_loss(record: &[u8]) -> bool {
    Record::read(record).is_some_and(|record| record.loss().is_some())
}

/// A record with these fields; nothing where they are not what they should be. Texts of any length
/// follow the fields, which say where they are.
fn dumped(now: u64, kind: u16, fields: &str, mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut record = now.to_le_bytes().to_vec();
    record.extend(kind.to_le_bytes());
    record.resize(HEAD_BYTES, 0);
    let whole = HEAD_BYTES + fields.split_whitespace().map(|f| size(f).0).sum::<usize>();
    let mut texts = Vec::new();
    for field in fields.split_whitespace() {
        match size(field) {
            (_, true) => {
                let end = bytes.iter().position(|byte| *byte == 0)?;
                let (text, rest) = bytes.split_at_checked(end + 1)?;
                let place = u16::try_from(whole + texts.len()).ok()?;
                let length = u16::try_from(text.len()).ok()?;
                record.extend(place.to_le_bytes());
                record.extend(length.to_le_bytes());
                texts.extend_from_slice(text);
                bytes = rest;
            }
            (size, false) => {
                let (number, rest) = bytes.split_at_checked(size)?;
                record.extend_from_slice(number);
                bytes = rest;
            }
        }
    }
    record.extend(texts);
    Some(record)
}

/// How many bytes a field takes, and whether it only says where a text is.
fn size(field: &str) -> (usize, bool) {
    match field.split_once(':').map_or(field, |(ty, _)| ty) {
        "text" => (TEXT_BYTES, false),
        "str" => (4, true),
        number => {
            let bits = number.get(1..).and_then(|bits| bits.parse::<usize>().ok());
            (bits.unwrap_or(32) / 8, false)
        }
    }
}

fn descriptions(plan: &Plan) -> Vec<Description> {
    let kinds: Vec<u16> = plan.kinds().collect();
    let points = (0..).zip(tracepoints());
    let recorded = points.filter(|(kind, _)| kinds.contains(kind));
    let machine = plan.tells();
    let classes = recorded.flat_map(|(kind, point)| {
        point.classes.iter().filter_map(move |class| {
            let only_if = class.when.on(machine)?;
            Some(Description {
                text: description(kind, class.name, class.fields, class.parts),
                only_if: only_if.map(|(at, is)| (HEAD_BYTES + at, is)),
            })
        })
    });
    let dumped = (dump_kind()..).zip(dump::CLASSES);
    let dumped = dumped.map(|(kind, (name, fields))| Description {
        text: description(kind, name, fields, &[]),
        only_if: None,
    });
    classes.chain(dumped).collect()
}

/// Says where the fields of an event are in the records of a kind.
fn description(kind: u16, name: &str, fields: &str, parts: &[(usize, usize)]) -> String {
    let mut text = format!("name: {name}\nID: {kind}\nformat:\n{HEAD}");
    let mut parts = parts.iter();
    let (mut at, mut end) = parts.next().copied().unwrap_or((0, usize::MAX));
    for field in fields.split_whitespace() {
        let (ty, name) = field.split_once(':').unwrap_or(("u32", field));
        let (size, is_elsewhere) = size(field);
        if at >= end {
            (at, end) = parts.next().copied().unwrap_or((at, usize::MAX));
        }
        let signed = u8::from(ty.starts_with('i'));
        let declared = match ty {
            _ if is_elsewhere => format!("__data_loc char[] {name}"),
            "text" => format!("char {name}[{TEXT_BYTES}]"),
            _ => format!("u{} {name}", 8 * size),
        };
        let offset = HEAD_BYTES + at;
        text += &format!("\tfield:{declared};\toffset:{offset};\tsize:{size};\tsigned:{signed};\n");
        at += size;
    }
    text + "\nprint fmt: \"\"\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_parts_of_a_record_says_where_they_are() {
        let text = description(
            26,
            "a",
            "u32:vcpu_id u8:mode x64:rsp text:comm",
            &[(0, 5), (8, 32)],
        );
        let lines: Vec<_> = text.lines().skip(9).take(4).collect();
        assert_eq!(
            lines,
            [
                "\tfield:u32 vcpu_id;\toffset:20;\tsize:4;\tsigned:0;",
                "\tfield:u8 mode;\toffset:24;\tsize:1;\tsigned:0;",
                "\tfield:u64 rsp;\toffset:28;\tsize:8;\tsigned:0;",
                "\tfield:char comm[16];\toffset:36;\tsize:16;\tsigned:0;"
            ]
        );
    }

    #[test]
    fn texts_of_the_dump_follow_its_fields() {
        let record = dumped(
            7,
            0x8004,
            "u32:dev str:name i32:x",
            b"\x01\0\0\0sda\0\x02\0\0\0",
        );
        let record = record.unwrap();
        assert_eq!(record[..10], [7, 0, 0, 0, 0, 0, 0, 0, 4, 0x80]);
        assert_eq!(record[20..], *b"\x01\0\0\0\x20\0\x04\0\x02\0\0\0sda\0");
        assert_eq!(dumped(7, 0x8004, "str:name", b"sda"), None);
        assert_eq!(dumped(7, 0x8004, "u64:name", b"sda"), None);
    }
}
