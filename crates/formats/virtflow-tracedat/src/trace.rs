//! A trace: its events' descriptions, its streams and the ways to read them.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use virtflow_base::{
    CpuId, Loss, LossKind, Place, Problem, ProblemKind, Problems, Span, StreamCoverage, Timestamp,
};
use virtflow_tracefs::{
    Bound, ByteOrder, Described, EventFormat, Extract, Formats, HeaderPage, Threads, Wanted,
};

use crate::buffer::{Buffer, Stream};
use crate::clock::Clock;
use crate::cursor::{Cursor, Input};
use crate::data::{self, Data, PIECES_MAX};
use crate::error::Error;
use crate::head::{Version, head};
use crate::options::{Options, Reading};
use crate::packed::{PLAIN_MAX, Packing};
use crate::page::Layout;
use crate::read::{Counts, StreamReader};
use crate::survey::{Survey, survey};
use crate::{v6, v7};

/// The smallest page that is read.
const PAGE_MIN: u32 = 256;
/// The most streams of a file.
const STREAMS_MAX: usize = 1 << 16;

/// What is gathered while the head of a file is read.
pub(crate) struct Parts<'f> {
    pub(crate) input: &'f Input,
    pub(crate) reading: Reading,
    pub(crate) formats: Formats,
    /// How many descriptions were read, and bytes of them.
    pub(crate) described: (u32, u64),
    pub(crate) header: Option<HeaderPage>,
    pub(crate) packing: Packing,
    pub(crate) raw: Vec<Raw>,
    pub(crate) problems: Problems,
}

/// A buffer as the file tells it.
pub(crate) struct Raw {
    pub(crate) name: String,
    pub(crate) clock: String,
    pub(crate) page_size: Option<u32>,
    pub(crate) packed: bool,
    /// Processor, place and size of its pages.
    pub(crate) cpus: Vec<(u32, u64, u64)>,
}

/// An open trace. It keeps its file open.
#[derive(Debug)]
pub struct Trace {
    pub(crate) input: Input,
    version: u32,
    described: Arc<Described>,
    options: Options,
    threads: Threads,
    buffers: Vec<Buffer>,
    streams: Vec<Stream>,
    problems: Problems,
}

impl Trace {
    /// Opens a file and reads its head and the heads of its pages.
    ///
    /// # Errors
    /// Where the head cannot be read or understood. What is wrong with buffers, streams and pages
    /// is among [`Self::problems`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let io = |source| Error::Io {
            action: "open",
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(io)?;
        let len = file.metadata().map_err(io)?.len();
        let input = Input {
            file,
            path: Arc::new(path.to_owned()),
            len,
        };
        let mut cursor = Cursor::of_file(&input, ByteOrder::Little, 0, u64::MAX);
        let head = head(&mut cursor, path)?;
        let mut parts = Parts {
            input: &input,
            reading: Reading::default(),
            formats: Formats::default(),
            described: (0, 0),
            header: None,
            packing: Packing::Plain,
            raw: Vec::new(),
            problems: Problems::default(),
        };
        match head.version {
            Version::Six => v6::read(&mut cursor, &mut parts)?,
            Version::Seven => v7::read(&mut cursor, &mut parts)?,
        }
        let Some(header) = parts.header else {
            return Err(cursor.wrong("no header_page"));
        };
        let (buffers, mut streams) = streams(&mut parts, header, head.order, head.page_size)?;
        let mut problems = parts.problems;
        let Reading {
            options, threads, ..
        } = parts.reading;
        uncounted(&input, &buffers, &mut problems);
        let surveys = surveys(&input, &streams, &buffers);
        contradictions(
            &input,
            &options,
            (&buffers, &streams),
            &surveys,
            &mut problems,
        );
        cover(&mut streams, surveys);
        let described = Described {
            formats: parts.formats,
            order: head.order,
        };
        Ok(Self {
            version: match head.version {
                Version::Six => 6,
                Version::Seven => 7,
            },
            described: Arc::new(described),
            options,
            threads,
            buffers,
            streams,
            problems,
            input,
        })
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.input.path
    }

    /// The version of the format: 6 or 7.
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// Which byte of its numbers comes first.
    pub fn order(&self) -> ByteOrder {
        self.described.order
    }

    /// The descriptions of the events it may hold.
    pub fn formats(&self) -> &[EventFormat] {
        self.described.formats.all()
    }

    /// The same, for whoever keeps records longer than the trace.
    pub const fn described(&self) -> &Arc<Described> {
        &self.described
    }

    /// What its writer noted beside the events.
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// What it tells of threads.
    pub const fn threads(&self) -> &Threads {
        &self.threads
    }

    /// Its buffers: the first one, then those of instances.
    pub fn buffers(&self) -> &[Buffer] {
        &self.buffers
    }

    /// Its streams: of each buffer those of all processors.
    pub fn streams(&self) -> &[Stream] {
        &self.streams
    }

    /// What was met while opening.
    pub const fn problems(&self) -> &Problems {
        &self.problems
    }

    /// Asks `choose` for each event which of its fields are wanted, if the event is.
    pub fn bind(&self, choose: impl FnMut(&EventFormat) -> Option<Wanted>) -> Bound {
        Bound::new(self.formats(), choose)
    }

    /// A reader of stream `stream` that gives what `extract` makes of the events in `bound`. For a
    /// stream that does not exist, it gives nothing.
    pub fn reader<E: Extract>(
        self: &Arc<Self>,
        stream: usize,
        bound: Arc<Bound>,
        extract: E,
    ) -> StreamReader<E> {
        self.reader_from(stream, bound, extract, Timestamp::MIN)
    }

    /// The same, without most of what lies before `from`: the first events may still be earlier.
    pub fn reader_from<E: Extract>(
        self: &Arc<Self>,
        stream: usize,
        bound: Arc<Bound>,
        extract: E,
        from: Timestamp,
    ) -> StreamReader<E> {
        StreamReader::new(Arc::clone(self), stream, bound, extract, from)
    }

    /// Counts the events of each stream on `threads` threads.
    pub fn count(&self, threads: usize) -> Vec<Counts> {
        each(self.streams.len(), threads, |stream| {
            Counts::of(self, stream)
        })
    }
}

/// Notes what is wrong at a byte of the file.
pub(crate) fn problem(
    problems: &mut Problems,
    input: &Input,
    at: u64,
    kind: ProblemKind,
    what: String,
) {
    let place = Place {
        file: Arc::clone(&input.path),
        offset: Some(at),
        ..Place::default()
    };
    problems.push(Problem { kind, place, what });
}

/// Makes buffers and streams of what the file tells.
fn streams(
    parts: &mut Parts<'_>,
    header: HeaderPage,
    order: ByteOrder,
    page_size: u32,
) -> Result<(Vec<Buffer>, Vec<Stream>), Error> {
    let (mut buffers, mut streams) = (Vec::new(), Vec::new());
    let (mut room, mut pieces) = (parts.input.len, PIECES_MAX);
    let options = &parts.reading.options;
    let tsc = options.tsc.map(|(mult, shift, _)| (mult, shift));
    for raw in std::mem::take(&mut parts.raw) {
        // Without a word of it, a page of the ring buffer is as large as its own description says.
        let described = u32::try_from(header.data + header.data_size).unwrap_or(0);
        let candidates = [raw.page_size, Some(described), Some(page_size)];
        let fits =
            |size: &u32| (PAGE_MIN..=PLAIN_MAX).contains(size) && *size as usize > header.data;
        let Some(size) = candidates.into_iter().flatten().find(fits) else {
            let what = format!("pages of {page_size} bytes");
            return Err(parts.input.wrong(0, what));
        };
        let layout = Layout {
            order,
            header,
            size,
        };
        let clock = if raw.clock.is_empty() {
            "local"
        } else {
            &raw.clock
        };
        let number = buffers.len();
        buffers.push(Buffer {
            clock: Clock::new(clock, tsc, options.offset_ns),
            name: raw.name,
        });
        for (cpu, at, bytes) in raw.cpus {
            if bytes > room || streams.len() >= STREAMS_MAX {
                // Streams that overlap would be read again and again.
                let what = format!(
                    "{bytes} bytes of pages of processor {cpu}, more than are left of the file; \
                     left out"
                );
                let kind = if at.saturating_add(bytes) > parts.input.len {
                    ProblemKind::Truncated
                } else {
                    ProblemKind::TooLarge
                };
                problem(&mut parts.problems, parts.input, at, kind, what);
                if kind == ProblemKind::TooLarge {
                    continue;
                }
            }
            let bytes = bytes.min(room);
            room -= bytes;
            let found = if bytes == 0 {
                data::plain(parts.input, at, 0, size)
            } else if raw.packed {
                data::packed(parts.input, (at, bytes), parts.packing, layout, pieces)
            } else {
                data::plain(parts.input, at, bytes, size)
            };
            if let Data::Packed { pieces: used, .. } = &found.data {
                pieces = pieces.saturating_sub(used.len());
            }
            let cut = found.trouble.is_some();
            if let Some((at, (kind, what))) = found.trouble {
                let what = format!("{what}; the rest of processor {cpu} was left out");
                problem(&mut parts.problems, parts.input, at, kind, what);
            }
            let coverage = StreamCoverage {
                cpu: Some(CpuId(cpu)),
                span: None,
                losses: Vec::new(),
            };
            streams.push(Stream {
                buffer: number,
                cpu: CpuId(cpu),
                data: found.data,
                layout,
                bytes,
                cut,
                coverage,
                marks: Vec::new(),
            });
        }
    }
    Ok((buffers, streams))
}

/// Notes clocks that count something that is not known.
fn uncounted(input: &Input, buffers: &[Buffer], problems: &mut Problems) {
    for buffer in buffers.iter().filter(|buffer| buffer.clock.is_uncounted()) {
        let what = format!(
            "the clock `{}` counts something else than nanoseconds, which is taken for them; \
             record with `-C mono` or `-C tsc2nsec`",
            buffer.clock.name()
        );
        problem(problems, input, 0, ProblemKind::Unsupported, what);
    }
}

/// Runs `work` for each number below `count` on some threads.
fn each<T: Send>(count: usize, threads: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let some = || {
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return done;
            }
            done.push((number, work(number)));
        }
    };
    let mut all = std::thread::scope(|scope| {
        let helpers = threads.min(count).saturating_sub(1);
        let helpers: Vec<_> = (0..helpers).map(|_| scope.spawn(some)).collect();
        let mut all = some();
        for helper in helpers {
            match helper.join() {
                Ok(part) => all.extend(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    });
    all.sort_by_key(|(number, _)| *number);
    all.into_iter().map(|(_, result)| result).collect()
}

fn surveys(input: &Input, streams: &[Stream], buffers: &[Buffer]) -> Vec<Survey> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    each(streams.len(), threads, |number| {
        let stream = streams.get(number);
        let buffer = stream.and_then(|stream| buffers.get(stream.buffer));
        stream
            .zip(buffer)
            .map(|(stream, buffer)| survey(input, stream, &buffer.clock))
            .unwrap_or_default()
    })
}

/// Notes where the kernel counted more lost events than the pages tell.
fn contradictions(
    input: &Input,
    options: &Options,
    (buffers, streams): (&[Buffer], &[Stream]),
    surveys: &[Survey],
    problems: &mut Problems,
) {
    for (stream, survey) in streams.iter().zip(surveys) {
        let name = buffers.get(stream.buffer).map_or("", Buffer::name);
        let mut counters = options.lost.iter();
        let counted = counters.find(|lost| lost.cpu == stream.cpu.0 && lost.buffer == name);
        let counted = counted.map_or(0, |lost| lost.overrun.saturating_add(lost.dropped));
        let (told, more) = survey.lost();
        if counted > told && !more {
            let what = format!(
                "the kernel counted {counted} lost events of processor {}, of which the pages \
                 tell {told}: when the others were lost is not known",
                stream.cpu
            );
            problem(problems, input, 0, ProblemKind::Contradiction, what);
        }
    }
}

/// Says what streams cover: all of a buffer from its first event to its last.
fn cover(streams: &mut [Stream], surveys: Vec<Survey>) {
    let mut spans: Vec<Option<(Timestamp, Timestamp)>> = Vec::new();
    for (stream, survey) in streams.iter().zip(&surveys) {
        if spans.len() <= stream.buffer {
            spans.resize(stream.buffer + 1, None);
        }
        if let (Some(span), Some((first, last))) = (spans.get_mut(stream.buffer), survey.ends) {
            let (a, b) = span.unwrap_or((first, last));
            *span = Some((a.min(first), b.max(last)));
        }
    }
    for (stream, survey) in streams.iter_mut().zip(surveys) {
        stream.marks = survey.marks;
        let span = spans.get(stream.buffer).copied().flatten();
        let (Some((start, last)), Some((_, own))) = (span, survey.ends) else {
            continue;
        };
        // The last event lies inside.
        let end = last.plus(1);
        let inside = |mut loss: Loss| {
            loss.span.start = loss.span.start.max(start);
            loss.span.end = loss.span.end.min(end);
            loss
        };
        let mut losses: Vec<_> = survey.losses.into_iter().map(inside).collect();
        if stream.cut {
            losses.push(Loss {
                span: Span::new(own, end),
                kind: LossKind::Unreadable,
            });
        }
        stream.coverage.span = Some(Span::new(start, end));
        stream.coverage.losses = losses;
    }
}
