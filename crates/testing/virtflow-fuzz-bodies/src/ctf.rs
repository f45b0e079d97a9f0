//! Traces of any bytes: opened, indexed, counted, and every field of every event read.

use crate::classes;
use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use tempfile::TempDir;
use virtflow_base::{Fill, RecordSource};
use virtflow_ctf::writer::{
    ByteOrder, FieldType as WrittenType, Format, HeaderKind, StreamConfig, TraceConfig, TraceWriter,
};
use virtflow_ctf::{
    EventClass, EventView, Extract, FieldError, FieldPath, FieldType, Item, Scope, StructType,
    Trace, Wanted,
};
use virtflow_events::Recording;

/// What parts the metadata from the stream file in an input of [`metadata`].
pub const STREAM_MARK: &[u8; 4] = &[0xff, 0xfe, 0xfd, 0xfc];

/// `magic` of packets of metadata (CTF 1.8 section 7.1).
const METADATA_MAGIC: u32 = 0x75d1_1d57;
/// `magic` of packets of events.
const PACKET_MAGIC: u32 = 0xc1fc_1fc1;
/// The identity of traces made here.
const UUID: [u8; 16] = *b"virtflow-fuzzing";
/// Events of a trace whose fields are walked one by one.
const WALKED_MAX: u32 = 48;
/// Fields of one class that are bound.
const PATHS_MAX: usize = 64;
/// How deep fields are looked for.
const DEPTH_MAX: u32 = 8;

const SCOPES: [Scope; 6] = [
    Scope::PacketHeader,
    Scope::PacketContext,
    Scope::EventHeader,
    Scope::StreamContext,
    Scope::EventContext,
    Scope::Payload,
];

/// A fresh directory; what it needs of the machine is not what is tested.
pub(crate) fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

pub(crate) fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("room for a small file");
}

/// A metadata file of any bytes, as it is and as the text of packets.
pub fn metadata(input: &[u8]) {
    let at = input
        .windows(STREAM_MARK.len())
        .position(|here| here == STREAM_MARK);
    let (text, stream) = match at {
        Some(at) => (&input[..at], Some(&input[at + STREAM_MARK.len()..])),
        None => (input, None),
    };
    let dir = directory();
    if let Some(stream) = stream {
        write(&dir.path().join("s_0"), stream);
    }
    write(&dir.path().join("metadata"), text);
    read_all(dir.path());
    let magic = METADATA_MAGIC.to_le_bytes();
    if text.len() < 4 || (text[..4] != magic && !text[..4].iter().eq(magic.iter().rev())) {
        write(&dir.path().join("metadata"), &in_packets(text));
        read_all(dir.path());
    }
}

/// `text` in two packets.
fn in_packets(text: &[u8]) -> Vec<u8> {
    let big = text.len() % 2 == 1;
    let word = |n: u32| {
        if big {
            n.to_be_bytes()
        } else {
            n.to_le_bytes()
        }
    };
    let mut out = Vec::new();
    for part in text.chunks(text.len().div_ceil(2).max(1)) {
        let bits = u32::try_from((part.len() + 37) * 8).unwrap_or(u32::MAX);
        out.extend(word(METADATA_MAGIC));
        out.extend(UUID);
        out.extend(word(0));
        out.extend(word(bits));
        out.extend(word(bits));
        out.extend([0, 0, 0, 1, 8]);
        out.extend(part);
    }
    out
}

/// Flags of an input of [`packets`].
const WITH_INDEX: u8 = 1;
const PATCHED: u8 = 1 << 1;
const COMPACT: u8 = 1 << 2;
const BIG: u8 = 1 << 3;
const TWO_FILES: u8 = 1 << 4;

/// A stream file of any bytes, with or without an index file of any bytes: a byte of flags, two of
/// the index's length, the index, the stream. Where the flags say so, packets get the magic number
/// and the identity that they need.
pub fn packets(input: &[u8]) {
    let Some((&[flags, low, high], rest)) = input.split_first_chunk::<3>() else {
        return;
    };
    let index = usize::from(u16::from_le_bytes([low, high])).min(rest.len());
    let (index, stream) = if flags & WITH_INDEX == 0 {
        (None, rest)
    } else {
        let (index, stream) = rest.split_at(index);
        (Some(index), stream)
    };
    let mut stream = stream.to_vec();
    let order = if flags & BIG == 0 {
        ByteOrder::Little
    } else {
        ByteOrder::Big
    };
    if flags & PATCHED != 0 {
        patch(&mut stream, order);
    }
    let dir = directory();
    let header = if flags & COMPACT == 0 {
        HeaderKind::Large
    } else {
        HeaderKind::Compact
    };
    write(
        &dir.path().join("metadata"),
        lttng_metadata(order, header).as_bytes(),
    );
    if flags & TWO_FILES != 0 {
        let half = stream.len() / 2;
        write(&dir.path().join("k_1"), &stream[half..]);
        stream.truncate(half);
    }
    write(&dir.path().join("k_0"), &stream);
    if let Some(index) = index {
        let path = dir.path().join("index");
        fs::create_dir(&path).expect("room for a directory");
        write(&path.join("k_0.idx"), index);
    }
    read_all(dir.path());
    merge_all(dir.path());
}

/// Writes the magic number and the identity into every packet, as far as sizes lead.
fn patch(stream: &mut [u8], order: ByteOrder) {
    let mut at = 0;
    while let Some(packet) = stream.get_mut(at..).filter(|rest| rest.len() >= 64) {
        let magic = match order {
            ByteOrder::Little => PACKET_MAGIC.to_le_bytes(),
            ByteOrder::Big => PACKET_MAGIC.to_be_bytes(),
        };
        packet[..4].copy_from_slice(&magic);
        packet[4..20].copy_from_slice(&UUID);
        packet[20..24].fill(0);
        let mut size = [0; 8];
        size.copy_from_slice(&packet[56..64]);
        let size = match order {
            ByteOrder::Little => u64::from_le_bytes(size),
            ByteOrder::Big => u64::from_be_bytes(size),
        };
        match usize::try_from(size / 8) {
            Ok(size) if size > 0 && size <= packet.len() => at += size,
            _ => break,
        }
    }
}

/// What the writer writes for [`classes::any_shape`].
pub(crate) fn lttng_metadata(order: ByteOrder, header: HeaderKind) -> &'static str {
    static TEXTS: [OnceLock<String>; 4] = [const { OnceLock::new() }; 4];
    let which = usize::from(order == ByteOrder::Big) * 2 + usize::from(header == HeaderKind::Large);
    TEXTS[which].get_or_init(|| {
        let dir = directory();
        let config = TraceConfig {
            format: Format::Ctf18,
            stream: StreamConfig {
                uuid: UUID,
                byte_order: order,
                header,
                ..StreamConfig::default()
            },
            ..TraceConfig::default()
        };
        TraceWriter::create(dir.path(), &config, &classes::any_shape()).expect("a trace");
        fs::read_to_string(dir.path().join("metadata")).expect("its metadata")
    })
}

/// What the writer writes in CTF 2 for those of [`classes::any_shape`] that it can.
pub(crate) fn ctf2_metadata(order: ByteOrder) -> Vec<u8> {
    let dir = directory();
    let config = TraceConfig {
        format: Format::Ctf2,
        stream: StreamConfig {
            uuid: UUID,
            byte_order: order,
            header: HeaderKind::Compact,
            ..StreamConfig::default()
        },
        ..TraceConfig::default()
    };
    let mut classes = classes::any_shape();
    classes.retain(|class| {
        let mut fields = class.fields.iter();
        !fields.any(|field| matches!(field.ty, WrittenType::Verbatim(_)))
    });
    TraceWriter::create(dir.path(), &config, &classes).expect("a trace");
    fs::read(dir.path().join("metadata")).expect("its metadata")
}

/// Opens the trace in `dir` and reads all there is in every way there is.
fn read_all(dir: &Path) {
    let trace = match Trace::open(dir) {
        Ok(trace) => Arc::new(trace),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    for problem in trace.problems().kept() {
        assert!(!problem.to_string().is_empty());
    }
    let counts = trace.count(1);
    assert_eq!(
        counts.total,
        counts.by_class.iter().sum::<u64>(),
        "the total is the sum"
    );
    let bound = Arc::new(trace.bind(|class| {
        Some(Wanted {
            tag: u32::try_from(class.index()).unwrap_or(u32::MAX),
            fields: paths(class),
        })
    }));
    let mut seen = vec![0; trace.event_classes().len()];
    for stream in 0..trace.streams().len() {
        let everything = Everything {
            seen: std::mem::take(&mut seen),
            walked: 0,
        };
        let mut reader = trace.reader(stream, Arc::clone(&bound), everything);
        let mut batch = Vec::new();
        loop {
            let fill = reader.fill(&mut batch, 61);
            assert!(batch.len() <= 61, "no more than was asked for");
            batch.clear();
            if fill == Fill::End {
                break;
            }
        }
        for problem in reader.take_problems().kept() {
            assert!(!problem.to_string().is_empty());
        }
        seen.clone_from(&reader.extract().seen);
    }
    assert_eq!(seen, counts.by_class, "counting finds what reading finds");
}

/// The names of a class's fields, and some that it does not have.
fn paths(class: &EventClass) -> Vec<FieldPath> {
    let mut names = vec![vec!["no such field"], vec![]];
    if let Some(fields) = class.fields() {
        members(fields, &mut Vec::new(), &mut names, 0);
    }
    let mut paths: Vec<_> = names.into_iter().map(FieldPath::payload).collect();
    if let Some(context) = class.context() {
        let mut names = Vec::new();
        members(context, &mut Vec::new(), &mut names, 0);
        paths.extend(names.into_iter().map(FieldPath::context));
    }
    paths
}

fn members<'t>(
    ty: &'t StructType,
    above: &mut Vec<&'t str>,
    names: &mut Vec<Vec<&'t str>>,
    depth: u32,
) {
    for field in ty.fields() {
        above.push(field.name());
        below(field.field_type(), above, names, depth + 1);
        above.pop();
    }
}

fn below<'t>(
    ty: &'t FieldType,
    above: &mut Vec<&'t str>,
    names: &mut Vec<Vec<&'t str>>,
    depth: u32,
) {
    if depth > DEPTH_MAX || names.len() >= PATHS_MAX {
        return;
    }
    names.push(above.clone());
    match ty {
        FieldType::Optional(optional) => below(optional.field_type(), above, names, depth + 1),
        FieldType::Struct(structure) => members(structure, above, names, depth),
        FieldType::Variant(variant) => {
            for option in variant.options() {
                above.push(option.name());
                below(option.field_type(), above, names, depth + 1);
                above.pop();
            }
        }
        _ => {}
    }
}

/// Reads every field of every event, and gives nothing.
struct Everything {
    seen: Vec<u64>,
    walked: u32,
}

impl Extract for Everything {
    type Out = u64;

    fn extract(&mut self, event: &EventView<'_>) -> Option<u64> {
        let class = event.class();
        self.seen[class.index()] += 1;
        let slots = 2 * PATHS_MAX;
        let mut sum = event.cycles();
        for slot in 0..slots {
            sum = sum.wrapping_add(u64::from(event.has(slot)));
            sum = sum.wrapping_add(event.u64(slot).unwrap_or(1));
            sum = sum.wrapping_add(event.i64(slot).unwrap_or(1).cast_unsigned());
            sum = sum.wrapping_add(event.f64(slot).unwrap_or(1.0).to_bits());
            sum = sum.wrapping_add(event.bytes(slot).map_or(1, <[u8]>::len) as u64);
        }
        sum = sum.wrapping_add(event.body().map_or(1, <[u8]>::len) as u64);
        if self.walked < WALKED_MAX {
            self.walked += 1;
            walk(event, class);
        }
        Some(sum)
    }
}

/// Walks an event's fields in the window and out of it, and compares.
fn walk(event: &EventView<'_>, class: &EventClass) {
    let mut here = Vec::new();
    let found = event.visit(&SCOPES, &mut |name, item| here.push(shown(name, &item)));
    let kept = event.to_owned();
    let mut there = Vec::new();
    let again = kept.visit(event.trace(), &SCOPES, &mut |name, item| {
        there.push(shown(name, &item));
    });
    assert_eq!(found, again, "an event that is kept is the same event");
    assert_eq!(here, there, "an event that is kept has the same fields");
    assert!(
        matches!(found, Ok(()) | Err(FieldError::TooMany)),
        "an event of its own trace has all its fields: {found:?}"
    );
    let Ok(Some(value)) = event.value(Scope::Payload) else {
        return;
    };
    let fields = class.fields().map_or(&[][..], StructType::fields);
    let mut names: Vec<_> = fields.iter().map(virtflow_ctf::Field::name).collect();
    names.sort_unstable();
    let bound = paths(class);
    for field in fields {
        let first = names.partition_point(|name| *name < field.name());
        if names.get(first + 1) == Some(&field.name()) || field.name().is_empty() {
            continue;
        }
        let path = FieldPath::payload([field.name()]);
        let Some(slot) = bound.iter().position(|known| *known == path) else {
            continue;
        };
        if let (Some(by_name), Some(walked)) = (
            event.i64(slot),
            value
                .get(field.name())
                .and_then(virtflow_ctf::Value::as_int),
        ) {
            let same =
                i128::from(by_name) == walked || i128::from(by_name.cast_unsigned()) == walked;
            assert!(same, "{}: {by_name} by name, {walked} walked", field.name());
        }
    }
}

fn shown(name: &str, item: &Item<'_>) -> (String, String) {
    let item = match item {
        Item::Int { value, .. } | Item::Enum { value, .. } => value.to_string(),
        Item::Float { value, .. } => value.to_bits().to_string(),
        Item::Text(bytes) | Item::Blob(bytes) => format!("{bytes:?}"),
        Item::Bool(value) => value.to_string(),
        Item::BitMap { value, .. } => value.to_string(),
        Item::VariantBegin { option } => (*option).to_owned(),
        Item::ArrayBegin { len } => format!("[{len}]"),
        _ => String::new(),
    };
    (name.to_owned(), item)
}

/// Reads the trace in `dir` as a recording, on one thread and on three.
fn merge_all(dir: &Path) {
    let Ok(recording) = Recording::open(dir) else {
        return;
    };
    let counted = recording.count(2);
    let kernel = |threads| {
        let mut events = recording.kernel_events(0, |_| true, threads);
        let mut all = Vec::new();
        while let Some((source, run)) = events.next_run() {
            assert!(!run.is_empty(), "a run has events");
            all.extend(run.iter().map(|event| (source, *event)));
        }
        all
    };
    let one = kernel(1);
    assert!(one.len() as u64 <= counted.total);
    assert!(
        one == kernel(3),
        "the same events however many threads read"
    );
    let mut any = 0;
    let mut events = recording.events(|_| true, 1);
    while let Some((_, run)) = events.next_run() {
        any += run.len() as u64;
    }
    assert_eq!(any, counted.total, "merging loses nothing");
}
