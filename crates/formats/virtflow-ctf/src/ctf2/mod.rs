//! CTF 2 metadata: fragments of JSON to stream and event classes with their plans
//! (CTF2-SPEC-2.0 section 5).
//!
//! Fragments are taken one after the other, as the specification has it: what one names stands
//! before it. Only field class aliases are kept as JSON.

mod classes;
mod json;
mod location;
mod property;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use self::classes::{Aliases, Types, count};
use self::json::Json;
use self::property::{Inside, Result, Wrong, array, bad, must, no_extensions, object, signed};
use self::property::{text, unsigned};
use crate::bits::ByteOrder;
use crate::clock::{Clock, ClockOrigin, Described};
use crate::error::{FragmentError, FragmentErrorKind};
use crate::metadata::{
    ClassTable, EnvValue, EventClass, Identity, Metadata, Reg, Scope, StreamClass, StructType,
    targets_header,
};
use crate::plan::{Body, HeaderPlan, PacketPlan, PacketRoles};
use crate::tsdl::{ITEMS_MAX, shorten};

/// What stands before each fragment (RFC 7464 section 2.2), and so at the beginning of every
/// metadata stream.
pub(crate) const SEPARATOR: u8 = 0x1e;

/// The metadata of a stream of fragments.
pub(crate) struct Assembled {
    pub(crate) metadata: Metadata,
    /// Where the stream is cut off inside its last fragment, which was left out.
    pub(crate) cut: Option<u64>,
}

/// The metadata in `stream`; `uuid` is what the metadata's packets say.
pub(crate) fn assemble(
    stream: &[u8],
    uuid: Option<[u8; 16]>,
) -> std::result::Result<Assembled, FragmentError> {
    let mut builder = Builder::default();
    let mut cut = None;
    let mut number = 0;
    for (offset, last, text) in fragments(stream) {
        if text.trim_ascii().is_empty() {
            continue;
        }
        number += 1;
        let error = |at: usize, property, kind| FragmentError {
            fragment: number,
            offset: (offset + at) as u64,
            property,
            kind,
        };
        let fragment = match json::parse(text, ITEMS_MAX) {
            Ok(fragment) => fragment,
            Err(wrong) if wrong.cut && last && number > 1 => {
                cut = Some(offset as u64);
                break;
            }
            Err(wrong) => {
                let kind = FragmentErrorKind::NotJson(wrong.why);
                return Err(error(wrong.at, String::new(), kind));
            }
        };
        let taken = builder.take(&fragment, number == 1);
        taken.map_err(|wrong: Wrong| error(0, wrong.property(), wrong.kind))?;
    }
    if number == 0 {
        return Err(FragmentError {
            fragment: 1,
            offset: 0,
            property: String::new(),
            kind: FragmentErrorKind::Invalid("there is no fragment"),
        });
    }
    let metadata = builder.finish(uuid);
    Ok(Assembled { metadata, cut })
}

/// The texts of a JSON text sequence: where each begins, whether it is the last, and itself.
fn fragments(stream: &[u8]) -> impl Iterator<Item = (usize, bool, &[u8])> {
    let mut at = 0;
    stream.split(|&byte| byte == SEPARATOR).map(move |text| {
        let begin = at;
        at += text.len() + 1;
        (begin, at > stream.len(), text)
    })
}

/// A data stream class, as far as it is known.
struct Stream {
    id: u64,
    identity: Identity,
    clock: Option<usize>,
    scopes: [Option<StructType>; 6],
    /// Registers in use; 0 is the event's id.
    registers: Reg,
    roles: PacketRoles,
    events: Vec<EventClass>,
    /// The positions of `events` by their ids.
    ids: HashMap<u64, u32>,
}

#[derive(Default)]
struct Builder {
    uuid: Option<[u8; 16]>,
    identity: Identity,
    env: Vec<(String, EnvValue)>,
    /// The trace class fragment, and how many aliases stand before it.
    trace: Option<(Json, usize)>,
    clocks: Vec<Clock>,
    clock_ids: HashMap<Box<str>, usize>,
    aliases: Aliases,
    /// Values that aliases are made of.
    alias_values: u64,
    streams: Vec<Stream>,
    stream_ids: HashMap<u64, usize>,
    types: u64,
}

impl Builder {
    fn take(&mut self, fragment: &Json, first: bool) -> Result<()> {
        if !matches!(fragment, Json::Object(_)) {
            return Err(FragmentErrorKind::Invalid("a fragment must be an object").into());
        }
        let ty = must(text(fragment, "type")?, "type")?;
        if (ty == "preamble") != first {
            let what = "the first fragment, and only that, must be a preamble";
            return Err(FragmentErrorKind::Invalid(what).into());
        }
        no_extensions(fragment)?;
        count(&mut self.types, 1)?;
        match ty {
            "preamble" => self.preamble(fragment),
            "field-class-alias" => self.alias(fragment),
            "trace-class" => self.trace(fragment),
            "clock-class" => self.clock(fragment),
            "data-stream-class" => self.stream(fragment),
            "event-record-class" => self.event(fragment),
            _ => Err(FragmentErrorKind::UnknownType(shorten(ty)).into()),
        }
    }

    /// CTF 2 section 5.4.
    fn preamble(&mut self, fragment: &Json) -> Result<()> {
        if must(unsigned(fragment, "version")?, "version")? != 2 {
            return bad("version", "must be 2");
        }
        if let Some(bytes) = array(fragment, "uuid")? {
            let byte = |byte: &Json| u8::try_from(byte.as_number()?).ok();
            let bytes: Option<Vec<u8>> = bytes.iter().map(byte).collect();
            match bytes.and_then(|bytes| <[u8; 16]>::try_from(bytes).ok()) {
                Some(uuid) => self.uuid = Some(uuid),
                None => return bad("uuid", "must be 16 integers from 0 to 255"),
            }
        }
        Ok(())
    }

    /// CTF 2 section 5.5.
    fn alias(&mut self, fragment: &Json) -> Result<()> {
        let name = must(text(fragment, "name")?, "name")?;
        let class = must(fragment.get("field-class"), "field-class")?;
        self.alias_values += values(class);
        if self.alias_values > ITEMS_MAX {
            let (what, max) = ("values in field class aliases", ITEMS_MAX);
            return Err(FragmentErrorKind::TooMany { what, max }.into());
        }
        self.aliases.insert(name, class)
    }

    /// CTF 2 section 5.6.
    fn trace(&mut self, fragment: &Json) -> Result<()> {
        if self.trace.is_some() {
            return Err(FragmentErrorKind::Duplicate("the trace class".into()).into());
        }
        if !self.streams.is_empty() {
            let what = "a trace class must stand before data stream classes";
            return Err(FragmentErrorKind::Invalid(what).into());
        }
        self.identity = identity(fragment)?;
        let environment = object(fragment, "environment")?;
        for (name, value) in environment.map(Json::properties).unwrap_or_default() {
            let value = match value {
                Json::Text(text) => EnvValue::Text(text.to_string()),
                Json::Number(number) => match i64::try_from(*number) {
                    Ok(number) => EnvValue::Int(number),
                    Err(_) => continue,
                },
                _ => return bad("environment", "must have integers and strings"),
            };
            self.env.push((name.to_string(), value));
        }
        self.trace = Some((fragment.clone(), self.aliases.len()));
        Ok(())
    }

    /// CTF 2 section 5.7.
    fn clock(&mut self, fragment: &Json) -> Result<()> {
        let id = must(text(fragment, "id")?, "id")?;
        if self.clock_ids.contains_key(id) {
            let what = format!("clock class `{}`", shorten(id));
            return Err(FragmentErrorKind::Duplicate(what).into());
        }
        let freq = must(unsigned(fragment, "frequency")?, "frequency")?;
        if freq == 0 {
            return bad("frequency", "must be more than 0");
        }
        let origin = match fragment.get("origin") {
            None => ClockOrigin::Unknown,
            Some(Json::Text(text)) if &**text == "unix-epoch" => ClockOrigin::UnixEpoch,
            Some(custom @ Json::Object(_)) => {
                must(custom.get("name"), "name").inside("origin")?;
                must(custom.get("uid"), "uid").inside("origin")?;
                ClockOrigin::Custom(identity(custom).inside("origin")?)
            }
            Some(_) => return bad("origin", "must be `unix-epoch` or an object"),
        };
        let empty = Json::Object(Vec::new());
        let offset = object(fragment, "offset-from-origin")?.unwrap_or(&empty);
        let offset_s = signed(offset, "seconds").inside("offset-from-origin")?;
        let cycles = unsigned(offset, "cycles").inside("offset-from-origin")?;
        let cycles = cycles.unwrap_or(0);
        let Ok(offset) = i64::try_from(cycles) else {
            return bad("cycles", "must be less than the frequency").inside("offset-from-origin");
        };
        if cycles >= freq {
            return bad("cycles", "must be less than the frequency").inside("offset-from-origin");
        }
        self.clock_ids.insert(id.into(), self.clocks.len());
        self.clocks.push(Clock::described(Described {
            id: id.into(),
            identity: identity(fragment)?,
            origin,
            freq,
            precision: unsigned(fragment, "precision")?,
            accuracy: unsigned(fragment, "accuracy")?,
            offset_s: offset_s.unwrap_or(0),
            offset,
            description: text(fragment, "description")?
                .unwrap_or_default()
                .to_owned(),
        }));
        Ok(())
    }

    /// CTF 2 section 5.8.
    fn stream(&mut self, fragment: &Json) -> Result<()> {
        let id = unsigned(fragment, "id")?.unwrap_or(0);
        match self.stream_ids.entry(id) {
            Entry::Occupied(_) => {
                let what = format!("data stream class {id}");
                return Err(FragmentErrorKind::Duplicate(what).into());
            }
            Entry::Vacant(slot) => slot.insert(self.streams.len()),
        };
        let clock = match text(fragment, "default-clock-class-id")? {
            None => None,
            Some(id) => match self.clock_ids.get(id) {
                None => return Err(FragmentErrorKind::UnknownClock(shorten(id)).into()),
                some => some.copied(),
            },
        };
        let mut stream = Stream {
            id,
            identity: identity(fragment)?,
            clock,
            scopes: [const { None }; 6],
            registers: 1,
            roles: PacketRoles::default(),
            events: Vec::new(),
            ids: HashMap::new(),
        };
        let mut types = stream.types(&self.aliases, &mut self.types);
        if let Some((trace, aliases)) = &self.trace {
            let name = "packet-header-field-class";
            types.scope(Scope::PacketHeader, trace, name, *aliases)?;
        }
        let aliases = self.aliases.len();
        for (scope, name) in [
            (Scope::PacketContext, "packet-context-field-class"),
            (Scope::EventHeader, "event-record-header-field-class"),
            (
                Scope::StreamContext,
                "event-record-common-context-field-class",
            ),
        ] {
            types.scope(scope, fragment, name, aliases)?;
        }
        self.streams.push(stream);
        Ok(())
    }

    /// CTF 2 section 5.9.
    fn event(&mut self, fragment: &Json) -> Result<()> {
        let id = unsigned(fragment, "id")?.unwrap_or(0);
        let of = unsigned(fragment, "data-stream-class-id")?.unwrap_or(0);
        let Some(&at) = self.stream_ids.get(&of) else {
            return Err(FragmentErrorKind::UnknownStream(of).into());
        };
        let aliases = self.aliases.len();
        let stream = &mut self.streams[at];
        match stream.ids.entry(id) {
            Entry::Occupied(_) => {
                let what = format!("event record class {id} of data stream class {of}");
                return Err(FragmentErrorKind::Duplicate(what).into());
            }
            Entry::Vacant(slot) => slot.insert(stream.events.len() as u32),
        };
        let mut types = stream.types(&self.aliases, &mut self.types);
        let name = "specific-context-field-class";
        types.scope(Scope::EventContext, fragment, name, aliases)?;
        types.scope(Scope::Payload, fragment, "payload-field-class", aliases)?;
        let identity = identity(fragment)?;
        stream.events.push(EventClass {
            index: 0,
            id,
            name: identity.name.clone().unwrap_or_default(),
            stream: at,
            loglevel: attribute(fragment, "log-level").and_then(log_level),
            emf_uri: attribute(fragment, "emf-uri")
                .and_then(Json::as_text)
                .map(Into::into),
            identity,
            context: stream.scopes[Scope::EventContext as usize].take(),
            fields: stream.scopes[Scope::Payload as usize].take(),
            body: Body::default(),
        });
        Ok(())
    }

    fn finish(self, uuid: Option<[u8; 16]>) -> Metadata {
        let magic = |stream: &Stream| {
            let header = stream.scopes[Scope::PacketHeader as usize].as_ref()?;
            let magic = header.fields.first()?.ty.int()?;
            stream.roles.magic.map(|_| magic.order)
        };
        let mut metadata = Metadata {
            format: "CTF 2",
            identity: self.identity,
            byte_order: self
                .streams
                .iter()
                .find_map(magic)
                .unwrap_or(ByteOrder::Little),
            uuid: self.uuid.or(uuid),
            env: self.env,
            clocks: self.clocks,
            streams: Vec::new(),
            events: Vec::new(),
        };
        for stream in self.streams {
            let (class, events) = stream.finish(metadata.events.len());
            metadata.streams.push(class);
            metadata.events.extend(events);
        }
        metadata
    }
}

impl Stream {
    fn types<'a>(&'a mut self, aliases: &'a Aliases, types: &'a mut u64) -> Types<'a> {
        Types {
            aliases,
            types,
            scopes: &mut self.scopes,
            registers: &mut self.registers,
            roles: &mut self.roles,
            clock: self.clock,
            current: Scope::PacketHeader,
            frames: Vec::new(),
            conditional: 0,
        }
    }

    /// The classes with their plans; `first` is the number of the first event class.
    fn finish(mut self, first: usize) -> (StreamClass, Vec<EventClass>) {
        let packet = PacketPlan::with_roles(self.roles, &mut self.scopes, &mut self.registers);
        let [
            packet_header,
            packet_context,
            event_header,
            event_context,
            ..,
        ] = self.scopes;
        let may_be_fixed = !targets_header(&event_header);
        let header = HeaderPlan::new(event_header.as_ref(), may_be_fixed, false);
        for (i, class) in self.events.iter_mut().enumerate() {
            class.index = first + i;
            class.body = Body::new([
                event_context.as_ref(),
                class.context.as_ref(),
                class.fields.as_ref(),
            ]);
        }
        let pairs = self.ids.into_iter();
        let pairs: Vec<(u64, u32)> = pairs.map(|(id, at)| (id, first as u32 + at)).collect();
        let class = StreamClass {
            id: self.id,
            identity: self.identity,
            clock: self.clock,
            restarts: true,
            classes: ClassTable::new(&pairs, header.has_id()),
            packet_header,
            packet_context,
            event_header,
            event_context,
            registers: self.registers,
            packet,
            header,
        };
        (class, self.events)
    }
}

fn identity(of: &Json) -> Result<Identity> {
    let part = |name| Ok::<_, Wrong>(text(of, name)?.map(Into::into));
    Ok(Identity {
        namespace: part("namespace")?,
        name: part("name")?,
        uid: part("uid")?,
    })
}

/// How many values `json` is made of.
fn values(json: &Json) -> u64 {
    1 + match json {
        Json::Array(elements) => elements.iter().map(values).sum(),
        Json::Object(properties) => properties.iter().map(|(_, value)| values(value)).sum(),
        _ => 0,
    }
}

/// What LTTng and babeltrace2 tell of an event class in attributes of their own.
fn attribute<'j>(fragment: &'j Json, name: &str) -> Option<&'j Json> {
    let attributes = fragment.get("attributes")?;
    let namespaces = ["lttng.org,2009", "babeltrace.org,2020"];
    namespaces
        .into_iter()
        .find_map(|namespace| attributes.get(namespace)?.get(name))
}

/// A severity as syslog and then LTTng counts, as a number or as babeltrace2's word for it.
fn log_level(level: &Json) -> Option<i64> {
    const WORDS: [&str; 15] = [
        "emergency",
        "alert",
        "critical",
        "error",
        "warning",
        "notice",
        "info",
        "debug:system",
        "debug:program",
        "debug:process",
        "debug:module",
        "debug:unit",
        "debug:function",
        "debug:line",
        "debug",
    ];
    match level {
        Json::Number(level) => i64::try_from(*level).ok(),
        Json::Text(word) => (0..)
            .zip(WORDS)
            .find(|(_, known)| *known == &**word)
            .map(|(n, _)| n),
        _ => None,
    }
}
