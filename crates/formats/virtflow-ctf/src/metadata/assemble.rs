//! From a parsed text to stream and event classes with their plans.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::class::{ClassTable, EventClass, Identity, StreamClass};
use super::resolve::{Context, Resolver};
use super::types::{FieldType, Scope, StructType};
use super::{EnvValue, Metadata};
use crate::bits::ByteOrder;
use crate::clock::Clock;
use crate::error::{MetadataError, MetadataErrorKind};
use crate::plan::{Body, HeaderPlan, PacketPlan};
use crate::tsdl::raw::{Document, RawEvent, RawStream, RawValue};
use crate::tsdl::{error_at, parse};

type Result<T> = std::result::Result<T, MetadataError>;

/// The metadata in `text`; `order` and `uuid` are what the metadata's packets say.
pub(crate) fn assemble(
    text: &str,
    order: Option<ByteOrder>,
    uuid: Option<[u8; 16]>,
) -> Result<Metadata> {
    let mut document = parse(text)?;
    check_version(text, &document)?;
    let Some(byte_order) = document.trace.order.or(order) else {
        return Err(error_at(
            text,
            document.trace.at,
            MetadataErrorKind::Missing("byte_order"),
        ));
    };
    let mut clocks: Vec<Clock> = document.clocks.iter().map(Clock::new).collect();
    if clocks.is_empty() {
        clocks.push(Clock::implied());
    }
    if document.streams.is_empty() && !document.events.is_empty() {
        document.streams.push(RawStream::default());
    }
    let events_of = events_by_stream(text, &document)?;
    let mut context = Context {
        text,
        order: byte_order,
        clocks: &clocks,
        types: 0,
    };
    let mut streams = Vec::with_capacity(document.streams.len());
    let mut events = Vec::with_capacity(document.events.len());
    for (raw, of) in document.streams.iter().zip(&events_of) {
        let stream = stream_class(&mut context, &document, raw, of, streams.len(), &mut events)?;
        streams.push(stream);
    }
    Ok(Metadata {
        format: "CTF 1.8",
        identity: Identity::default(),
        byte_order,
        uuid: document.trace.uuid.or(uuid),
        env: document.env.into_iter().filter_map(env_value).collect(),
        clocks,
        streams,
        events,
    })
}

fn check_version(text: &str, document: &Document) -> Result<()> {
    let trace = &document.trace;
    match (trace.major.unwrap_or(1), trace.minor.unwrap_or(8)) {
        (1, 8) => Ok(()),
        _ => {
            let kind = MetadataErrorKind::Invalid("a trace of a CTF version other than 1.8");
            Err(error_at(text, trace.at, kind))
        }
    }
}

fn env_value((name, value): (String, RawValue)) -> Option<(String, EnvValue)> {
    let value = match value {
        RawValue::Text(text) | RawValue::Path(text) => EnvValue::Text(text),
        RawValue::Number(number) => EnvValue::Int(i64::try_from(number).ok()?),
    };
    Some((name, value))
}

/// The events of each stream, as positions in the document.
fn events_by_stream(text: &str, document: &Document) -> Result<Vec<Vec<usize>>> {
    let mut stream_of = HashMap::new();
    for (i, stream) in document.streams.iter().enumerate() {
        if stream_of.insert(stream.id.unwrap_or(0), i).is_some() {
            let what = format!("stream {}", stream.id.unwrap_or(0));
            return Err(error_at(
                text,
                stream.at,
                MetadataErrorKind::Duplicate(what),
            ));
        }
    }
    let mut events_of = vec![Vec::new(); document.streams.len()];
    for (i, event) in document.events.iter().enumerate() {
        // An event that names no stream belongs to the only one.
        let stream = match (event.stream, document.streams.as_slice()) {
            (None, [_]) => 0,
            (id, _) => {
                let id = id.unwrap_or(0);
                *stream_of
                    .get(&id)
                    .ok_or_else(|| error_at(text, event.at, MetadataErrorKind::UnknownStream(id)))?
            }
        };
        events_of[stream].push(i);
    }
    Ok(events_of)
}

fn stream_class(
    context: &mut Context<'_>,
    document: &Document,
    raw: &RawStream,
    events_of: &[usize],
    index: usize,
    events: &mut Vec<EventClass>,
) -> Result<StreamClass> {
    let mut resolver = Resolver::new(context);
    resolver.scope(Scope::PacketHeader, document.trace.packet_header.as_ref())?;
    resolver.scope(Scope::PacketContext, raw.packet_context.as_ref())?;
    resolver.scope(Scope::EventHeader, raw.event_header.as_ref())?;
    resolver.scope(Scope::StreamContext, raw.event_context.as_ref())?;
    map_clocks(&mut resolver);
    let mut ids = HashMap::new();
    let first = events.len();
    for &i in events_of {
        let raw = &document.events[i];
        let class = event_class(&mut resolver, raw, events.len(), index, ids.len() as u64)?;
        match ids.entry(class.id) {
            Entry::Occupied(_) => {
                let what = format!("event {}", class.id);
                return Err(resolver
                    .context
                    .error(raw.at, MetadataErrorKind::Duplicate(what)));
            }
            Entry::Vacant(slot) => slot.insert(class.index as u32),
        };
        events.push(class);
    }
    let packet = PacketPlan::new(&mut resolver.scopes, &mut resolver.registers);
    let registers = resolver.registers;
    let [
        packet_header,
        packet_context,
        event_header,
        event_context,
        ..,
    ] = resolver.scopes;
    let header = HeaderPlan::new(event_header.as_ref(), !targets_header(&event_header), true);
    for class in &mut events[first..] {
        class.body = Body::new([
            event_context.as_ref(),
            class.context.as_ref(),
            class.fields.as_ref(),
        ]);
    }
    let pairs: Vec<(u64, u32)> = ids.into_iter().collect();
    Ok(StreamClass {
        id: raw.id.unwrap_or(0),
        restarts: false,
        identity: Identity::default(),
        clock: stream_clock([event_header.as_ref(), packet_context.as_ref()]),
        classes: ClassTable::new(&pairs, header.has_id()),
        packet_header,
        packet_context,
        event_header,
        event_context,
        registers,
        packet,
        header,
    })
}

fn event_class(
    resolver: &mut Resolver<'_, '_>,
    raw: &RawEvent,
    index: usize,
    stream: usize,
    default_id: u64,
) -> Result<EventClass> {
    resolver.scope(Scope::EventContext, raw.context.as_ref())?;
    resolver.scope(Scope::Payload, raw.fields.as_ref())?;
    Ok(EventClass {
        index,
        id: raw.id.unwrap_or(default_id),
        name: raw.name.clone().unwrap_or_default().into(),
        stream,
        loglevel: raw.loglevel,
        emf_uri: raw.emf_uri.clone().map(Into::into),
        identity: Identity::default(),
        context: resolver.scopes[Scope::EventContext as usize].take(),
        fields: resolver.scopes[Scope::Payload as usize].take(),
        body: Body::default(),
    })
}

/// Time stamps that name no clock count that of the trace, if it has exactly one.
fn map_clocks(resolver: &mut Resolver<'_, '_>) {
    if resolver.context.clocks.len() != 1 {
        return;
    }
    if let Some(context) = &mut resolver.scopes[Scope::PacketContext as usize] {
        map_named(context, &["timestamp_begin", "timestamp_end"]);
    }
    if let Some(header) = &mut resolver.scopes[Scope::EventHeader as usize] {
        map_named(header, &["timestamp"]);
    }
}

fn map_named(structure: &mut StructType, names: &[&str]) {
    for field in &mut structure.fields {
        let named = names.contains(&field.name());
        map_type(&mut field.ty, named, names);
    }
}

fn map_type(ty: &mut FieldType, named: bool, names: &[&str]) {
    if let Some(int) = ty.int_mut() {
        if named && int.clock.is_none() {
            int.clock = Some(0);
        }
        return;
    }
    match ty {
        FieldType::Struct(inner) => map_named(inner, names),
        FieldType::Variant(variant) => {
            for option in &mut variant.options {
                let named = names.contains(&option.name());
                map_type(&mut option.ty, named, names);
            }
        }
        _ => {}
    }
}

/// The clock of the first mapped integer of the scopes.
fn stream_clock(scopes: [Option<&StructType>; 2]) -> Option<usize> {
    fn of(ty: &FieldType) -> Option<usize> {
        match ty {
            FieldType::Struct(structure) => structure.fields.iter().find_map(|f| of(&f.ty)),
            FieldType::Variant(variant) => variant.options.iter().find_map(|f| of(&f.ty)),
            _ => ty.int().and_then(|int| int.clock),
        }
    }
    scopes
        .into_iter()
        .flatten()
        .flat_map(|scope| &scope.fields)
        .find_map(|field| of(&field.ty))
}

/// Whether a length or tag outside the event header refers to a field in it; then the header
/// must be read field by field.
pub(crate) fn targets_header(header: &Option<StructType>) -> bool {
    fn count(ty: &FieldType) -> usize {
        match ty {
            FieldType::Struct(structure) => structure.fields.iter().map(|f| count(&f.ty)).sum(),
            FieldType::Variant(variant) => variant.options.iter().map(|f| count(&f.ty)).sum(),
            _ => usize::from(ty.int().is_some_and(|int| int.reg.is_some())),
        }
    }
    // The id that chooses between LTTng's compact and extended headers is one such field.
    header
        .iter()
        .flat_map(|header| &header.fields)
        .map(|field| count(&field.ty))
        .sum::<usize>()
        > 1
}
