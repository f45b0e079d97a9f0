//! Building the index: from LTTng's index files where they are right, else from the packets.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use virtflow_base::{CpuId, Place, Problem, ProblemKind, Problems};

use super::coverage::{Hole, coverage};
use super::lttng::{self, Entry};
use super::{Packet, StreamFile};
use crate::clock::Clock;
use crate::metadata::{Metadata, StreamClass};
use crate::plan::{Machine, PacketFacts, Stop};
use crate::read::{Window, survey};

/// Bytes first read of each packet; more only where a header is longer.
const HEADER_READ: usize = 1024;

/// One file of a stream.
pub(super) struct Part {
    pub(super) path: Arc<PathBuf>,
    class: usize,
    instance: Option<u64>,
    cpu: Option<CpuId>,
    pub(super) packets: Vec<Packet>,
    pub(super) len: u64,
    pub(super) holes: Vec<Hole>,
}

/// Collects the streams of a trace.
pub(crate) struct Builder<'m> {
    pub(super) metadata: &'m Metadata,
    window: Window,
    registers: Vec<u64>,
    pub(crate) problems: Problems,
}

/// What is wrong with a packet's header, given the class it should be of.
pub(crate) fn header_problem(
    facts: &PacketFacts,
    uuid: Option<[u8; 16]>,
    class_id: u64,
) -> Option<&'static str> {
    if facts.magic.is_some_and(|magic| magic != crate::plan::MAGIC) {
        return Some("a packet without its magic number");
    }
    if facts
        .uuid
        .zip(uuid)
        .is_some_and(|(found, expected)| found != expected)
    {
        return Some("a packet of another trace, by its uuid");
    }
    if facts.stream.is_some_and(|stream| stream != class_id) {
        return Some("a packet of another stream class than the first one");
    }
    None
}

impl<'m> Builder<'m> {
    pub(crate) fn new(metadata: &'m Metadata) -> Self {
        let registers = metadata
            .streams
            .iter()
            .map(|s| s.registers)
            .max()
            .unwrap_or(0);
        Self {
            metadata,
            window: Window::new(HEADER_READ),
            registers: vec![0; registers as usize],
            problems: Problems::default(),
        }
    }

    /// The streams of the trace in `dir`.
    pub(crate) fn streams(&mut self, dir: &Path) -> std::io::Result<Vec<StreamFile>> {
        let mut parts = Vec::new();
        for path in stream_paths(dir)? {
            let path = Arc::new(path);
            match self.part(&path) {
                Ok(Some(part)) => parts.push(part),
                Ok(None) => {}
                Err(error) => {
                    let what = format!("the file could not be read and was left out: {error}");
                    self.problem(ProblemKind::Io, &path, None, None, what);
                }
            }
        }
        Ok(self.join(parts))
    }

    pub(super) fn problem(
        &mut self,
        kind: ProblemKind,
        path: &Arc<PathBuf>,
        packet: Option<u64>,
        offset: Option<u64>,
        what: String,
    ) {
        let place = Place {
            file: Arc::clone(path),
            stream: None,
            packet,
            offset,
        };
        self.problems.push(Problem { kind, place, what });
    }

    /// Indexes one file; `None` if it is no stream of this trace.
    fn part(&mut self, path: &Arc<PathBuf>) -> std::io::Result<Option<Part>> {
        let file = File::open(path.as_path())?;
        let len = file.metadata()?.len();
        if len == 0 {
            return Ok(None);
        }
        let Some((class, facts)) = self.first_packet(&file, path, len)? else {
            return Ok(None);
        };
        let metadata = self.metadata;
        let stream = &metadata.streams[class];
        let cpu = facts.cpu.and_then(|cpu| u32::try_from(cpu).ok()).map(CpuId);
        let mut part = Part {
            path: Arc::clone(path),
            class,
            instance: facts.instance,
            cpu,
            packets: Vec::new(),
            len,
            holes: Vec::new(),
        };
        if !self.take_index(&mut part, stream, &facts) {
            self.scan(&mut part, stream, &file)?;
        }
        Ok(Some(part))
    }

    /// The class of a file by its first packet, and what that packet says.
    fn first_packet(
        &mut self,
        file: &File,
        path: &Arc<PathBuf>,
        len: u64,
    ) -> std::io::Result<Option<(usize, PacketFacts)>> {
        // All classes share the packet header, so that any class's plan tells the stream's id.
        let mut class = 0;
        let mut what = "the metadata describes no stream";
        self.registers.fill(0);
        for _ in 0..2 {
            let Some(stream) = self.metadata.streams.get(class) else {
                break;
            };
            let facts = self.header(file, stream, 0, len)?;
            let (id, facts) = match facts {
                Ok(facts) => (facts.stream, Some(facts)),
                // The context of the wrong class may be longer than the file.
                Err(_) => (self.stream_id(class), None),
            };
            let right = match id {
                Some(id) => self
                    .metadata
                    .streams
                    .iter()
                    .position(|stream| stream.id == id),
                None => Some(0),
            };
            what = match (right, facts) {
                (None, _) => "a stream that the metadata does not describe",
                (Some(right), Some(facts)) if right == class => {
                    match header_problem(&facts, self.metadata.uuid, stream.id) {
                        Some(what) => what,
                        None => return Ok(Some((class, facts))),
                    }
                }
                (Some(right), _) if right == class => "a packet cut off inside its header",
                (Some(right), _) => {
                    class = right;
                    continue;
                }
            };
            break;
        }
        let what = format!("{what}; the file was left out");
        self.problem(ProblemKind::Corrupt, path, Some(0), Some(0), what);
        Ok(None)
    }

    /// The stream id that the last packet header read left behind.
    fn stream_id(&self, class: usize) -> Option<u64> {
        let reg = self.metadata.streams.get(class)?.packet.stream_register()?;
        self.registers.get(reg as usize).copied()
    }

    /// Reads the header of the packet at byte `offset`, of at most `len` bytes.
    pub(super) fn header(
        &mut self,
        file: &File,
        stream: &StreamClass,
        offset: u64,
        len: u64,
    ) -> std::io::Result<Result<PacketFacts, Stop>> {
        self.window.shrink(HEADER_READ);
        loop {
            self.window.load(file, offset, len, 0)?;
            let mut machine = Machine {
                data: self.window.bytes(),
                limit: self.window.end() * 8,
                registers: &mut self.registers,
                marks: &mut [],
                clock: 0,
            };
            let facts = stream.packet.read(&mut machine);
            let complete = self.window.cut || self.window.end() >= len;
            if facts != Err(Stop::Short) || complete || !self.window.grow() {
                return Ok(facts);
            }
        }
    }

    /// Takes the packets from LTTng's index file, if there is one and it is right.
    fn take_index(&mut self, part: &mut Part, stream: &StreamClass, first: &PacketFacts) -> bool {
        let Some((path, index)) = index_file(&part.path) else {
            return false;
        };
        let clock = stream
            .clock
            .and_then(|clock| self.metadata.clocks.get(clock));
        let why = match lttng::entries(&index, part.len) {
            Ok(entries) => match contradiction(&entries, first, stream) {
                None => {
                    part.packets = (0..)
                        .zip(&entries)
                        .map(|(number, entry)| indexed_packet(number, entry, clock))
                        .collect();
                    return true;
                }
                Some(why) => why,
            },
            Err(why) => why,
        };
        let what = format!("{why}; the index was ignored");
        self.problem(
            ProblemKind::Contradiction,
            &Arc::new(path),
            None,
            None,
            what,
        );
        false
    }

    /// Files of the same class and instance are one stream.
    fn join(&mut self, parts: Vec<Part>) -> Vec<StreamFile> {
        let mut groups: BTreeMap<(usize, u64, usize), Vec<Part>> = BTreeMap::new();
        for (i, part) in parts.into_iter().enumerate() {
            let key = match part.instance {
                Some(instance) => (part.class, instance, 0),
                None => (part.class, 0, i + 1),
            };
            groups.entry(key).or_default().push(part);
        }
        groups
            .into_values()
            .filter_map(|parts| self.stream(parts))
            .collect()
    }

    fn stream(&self, mut parts: Vec<Part>) -> Option<StreamFile> {
        parts.sort_by_key(|part| part.packets.first().and_then(|packet| packet.begin_cycles));
        let first = parts.first()?;
        let class = self.metadata.streams.get(first.class)?;
        let (class_index, instance) = (first.class, first.instance);
        let cpu = parts.iter().find_map(|part| part.cpu);
        let mut packets = Vec::with_capacity(parts.iter().map(|part| part.packets.len()).sum());
        let mut holes = Vec::new();
        for (file, part) in (0..).zip(&parts) {
            holes.extend(part.holes.iter().map(|hole| hole.behind(packets.len())));
            packets.extend(part.packets.iter().map(|packet| Packet {
                file,
                ..packet.clone()
            }));
        }
        let mut stream = StreamFile {
            class: class_index,
            class_id: class.id,
            instance,
            coverage: coverage(&[], cpu, 64, &[]),
            bytes: parts.iter().map(|part| part.len).sum(),
            paths: parts.into_iter().map(|part| part.path).collect(),
            packets,
        };
        self.date(&mut stream, &mut holes);
        let counter_bits = class.packet.discarded_bits();
        stream.coverage = coverage(&stream.packets, cpu, counter_bits, &holes);
        Some(stream)
    }

    /// Finds by their events when packets begin and end that do not say so, and when packets
    /// that are cut off do.
    fn date(&self, stream: &mut StreamFile, holes: &mut [Hole]) {
        for hole in holes {
            if let Hole::Inside(packet, last) = hole {
                let ends = survey(self.metadata, stream, *packet..*packet + 1);
                *last = ends.first().copied().flatten().map(|(_, last)| last);
            }
        }
        if stream
            .packets
            .iter()
            .all(|packet| packet.begin.is_some() && packet.end.is_some())
        {
            return;
        }
        let ends = survey(self.metadata, stream, 0..stream.packets.len());
        for (packet, ends) in stream.packets.iter_mut().zip(ends) {
            packet.begin = packet.begin.or(ends.map(|(first, _)| first));
            packet.end = packet.end.or(ends.map(|(_, last)| last));
        }
    }
}

/// The files of a trace that may be streams: all but the metadata, hidden files and directories.
fn stream_paths(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let hidden = name.as_encoded_bytes().starts_with(b".");
        if hidden || name == "metadata" || !entry.path().is_file() {
            continue;
        }
        paths.push(entry.path());
    }
    paths.sort();
    Ok(paths)
}

/// The index file beside a stream file.
fn index_file(stream: &Path) -> Option<(PathBuf, Vec<u8>)> {
    let mut name = stream.file_name()?.to_owned();
    name.push(".idx");
    let path = stream.parent()?.join("index").join(name);
    let index = fs::read(&path).ok()?;
    Some((path, index))
}

/// What in an index contradicts the first packet.
fn contradiction(
    entries: &[Entry],
    first: &PacketFacts,
    stream: &StreamClass,
) -> Option<&'static str> {
    let entry = entries.first()?;
    let differs = |fact: Option<u64>, indexed: u64| fact.is_some_and(|fact| fact != indexed);
    if differs(first.size, entry.size)
        || differs(first.content, entry.content)
        || differs(first.begin, entry.begin)
        || differs(first.end, entry.end)
        || first.discarded.is_some_and(|lost| lost != entry.discarded)
    {
        return Some("the index contradicts the first packet");
    }
    if entries.iter().any(|entry| entry.stream != stream.id) {
        return Some("the index is that of another stream");
    }
    None
}

fn indexed_packet(number: u64, entry: &Entry, clock: Option<&Clock>) -> Packet {
    Packet {
        file: 0,
        number,
        offset: entry.offset,
        size: entry.size,
        content: entry.content,
        begin_cycles: Some(entry.begin),
        end_cycles: Some(entry.end),
        begin: clock.map(|clock| clock.time(entry.begin)),
        end: clock.map(|clock| clock.time(entry.end)),
        sequence: entry.sequence,
        discarded: Some(entry.discarded),
    }
}
