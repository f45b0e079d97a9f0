//! The fragments of a CTF 2 trace, in the form of LTTng-modules' metadata for CTF 2.

use serde_json::{Map, Value, json};

use super::config::{ByteOrder, Clock, EnvValue, HeaderKind, TraceConfig};
use super::metadata::{bad, check_integer, uuid};
use super::{EventClass, Field, FieldType, IntegerType, WriteError};

/// What stands before each fragment (RFC 7464).
const SEPARATOR: char = '\u{1e}';

/// The whole metadata stream.
pub(crate) fn text(config: &TraceConfig, classes: &[EventClass]) -> Result<String, WriteError> {
    let order = Order(match config.stream.byte_order {
        ByteOrder::Little => "little-endian",
        ByteOrder::Big => "big-endian",
    });
    let mut out = String::new();
    let mut put = |fragment: Value| {
        out.push(SEPARATOR);
        out.push_str(&fragment.to_string());
        out.push('\n');
    };
    put(json!({"type": "preamble", "version": 2, "uuid": config.stream.uuid}));
    for (name, class) in [
        ("u32-erc-id", order.role(32, "event-record-class-id")),
        ("u64-ts", order.role(64, "default-clock-timestamp")),
        ("er-header", order.event_header(config.stream.header)),
        ("pkt-ctx", order.packet_context()),
        ("pkt-header", order.packet_header()),
    ] {
        put(json!({"type": "field-class-alias", "name": name, "field-class": class}));
    }
    put(trace(config));
    put(clock(&config.clock)?);
    let mut stream = json!({
        "type": "data-stream-class",
        "id": 0,
        "default-clock-class-id": config.clock.name,
        "packet-context-field-class": "pkt-ctx",
        "event-record-header-field-class": "er-header",
    });
    if !config.event_context.is_empty() {
        let context = order.structure(&config.event_context)?;
        stream["event-record-common-context-field-class"] = context;
    }
    put(stream);
    for class in classes {
        put(json!({
            "type": "event-record-class",
            "data-stream-class-id": 0,
            "id": class.id,
            "name": class.name,
            "payload-field-class": order.structure(&class.fields)?,
        }));
    }
    Ok(out)
}

fn trace(config: &TraceConfig) -> Value {
    let env = config.env.iter().map(|(name, value)| {
        let value = match value {
            EnvValue::Text(text) => json!(text),
            EnvValue::Integer(number) => json!(number),
        };
        (name.clone(), value)
    });
    json!({
        "type": "trace-class",
        "uid": uuid(config.stream.uuid),
        "environment": env.collect::<Map<_, _>>(),
        "packet-header-field-class": "pkt-header",
    })
}

fn clock(clock: &Clock) -> Result<Value, WriteError> {
    if clock.freq == 0 {
        return Err(bad(&clock.name, "a clock needs a frequency above 0"));
    }
    let (seconds, cycles) = clock.whole_seconds();
    let mut fragment = json!({
        "type": "clock-class",
        "id": clock.name,
        "name": clock.name,
        "description": clock.description,
        "frequency": clock.freq,
        "origin": "unix-epoch",
        "offset-from-origin": {"seconds": seconds, "cycles": cycles},
    });
    if let Some(id) = clock.uuid {
        fragment["uid"] = uuid(id).into();
    }
    Ok(fragment)
}

/// A member of a structure.
fn member(name: &str, class: Value) -> Value {
    json!({"name": name, "field-class": class})
}

fn structure(members: Vec<Value>) -> Value {
    json!({"type": "structure", "member-classes": members})
}

/// A name without the one underscore that LTTng puts before it in CTF 1.8.
fn plain(name: &str) -> &str {
    name.strip_prefix('_').unwrap_or(name)
}

/// The trace's byte order, which CTF 2 has no word for: every integer says its own.
#[derive(Clone, Copy)]
struct Order(&'static str);

impl Order {
    /// An unsigned integer at a byte, with a role.
    fn role(self, bits: u32, role: &str) -> Value {
        let mut class = self.unsigned(bits, 8);
        class["roles"] = json!([role]);
        class
    }

    fn unsigned(self, bits: u32, alignment: u32) -> Value {
        json!({
            "type": "fixed-length-unsigned-integer",
            "length": bits,
            "byte-order": self.0,
            "alignment": alignment,
        })
    }

    fn packet_header(self) -> Value {
        let uuid =
            json!({"type": "static-length-blob", "length": 16, "roles": ["metadata-stream-uuid"]});
        structure(vec![
            member("magic", self.role(32, "packet-magic-number")),
            member("uuid", uuid),
            member("stream_id", self.role(32, "data-stream-class-id")),
            member("stream_instance_id", self.role(64, "data-stream-id")),
        ])
    }

    fn packet_context(self) -> Value {
        let role = |role| self.role(64, role);
        structure(vec![
            member("timestamp_begin", "u64-ts".into()),
            member("timestamp_end", role("packet-end-default-clock-timestamp")),
            member("content_size", role("packet-content-length")),
            member("packet_size", role("packet-total-length")),
            member("packet_seq_num", role("packet-sequence-number")),
            member(
                "events_discarded",
                role("discarded-event-record-counter-snapshot"),
            ),
            member("cpu_id", self.unsigned(32, 8)),
        ])
    }

    fn event_header(self, kind: HeaderKind) -> Value {
        let (bits, alignment) = match kind {
            HeaderKind::Compact => (5, 1),
            HeaderKind::Large => (16, 8),
        };
        let highest = kind.extended_id();
        let ranges = |first: u32, last: u32| json!([[first, last]]);
        let (short, long) = (ranges(0, highest - 1), ranges(highest, highest));
        let mut id = self.unsigned(bits, alignment);
        id["roles"] = json!(["event-record-class-id"]);
        id["mappings"] = json!({"compact": short, "extended": long});
        let mut time = self.unsigned(kind.time_bits(), alignment);
        time["roles"] = json!(["default-clock-timestamp"]);
        let compact = structure(vec![member("timestamp", time)]);
        let extended = structure(vec![
            member("id", "u32-erc-id".into()),
            member("timestamp", "u64-ts".into()),
        ]);
        let option = |name: &str, ranges: Value, class: Value| json!({"name": name, "selector-field-ranges": ranges, "field-class": class});
        let variant = json!({
            "type": "variant",
            "selector-field-location": {"path": ["id"]},
            "options": [option("compact", short, compact), option("extended", long, extended)],
        });
        let mut header = structure(vec![member("id", id), member("v", variant)]);
        header["minimum-alignment"] = 8.into();
        header
    }

    fn structure(self, fields: &[Field]) -> Result<Value, WriteError> {
        let mut members = Vec::new();
        for field in fields {
            if let FieldType::Verbatim(text) = &field.ty {
                let text = text.ctf2.as_deref();
                let text = text.ok_or_else(|| bad(&field.name, "it is written in TSDL only"))?;
                let parsed = serde_json::from_str::<Vec<Value>>(&format!("[{text}]"));
                members.extend(parsed.map_err(|_| bad(&field.name, "its text is no JSON"))?);
                continue;
            }
            let class = self.class(&field.ty, &field.name)?;
            members.push(member(plain(&field.name), class));
        }
        Ok(structure(members))
    }

    fn class(self, ty: &FieldType, name: &str) -> Result<Value, WriteError> {
        Ok(match ty {
            FieldType::Integer(int) => self.integer(*int, name)?,
            FieldType::Enum(int, labels) => {
                let mut class = self.integer(*int, name)?;
                let mut mappings = Map::new();
                for (label, first, last) in labels {
                    let ranges = mappings.entry(label.clone()).or_insert_with(|| json!([]));
                    if let Value::Array(ranges) = ranges {
                        ranges.push(json!([first, last]));
                    }
                }
                class["mappings"] = mappings.into();
                class
            }
            FieldType::Text(length) => json!({"type": "static-length-string", "length": length}),
            FieldType::String => json!({"type": "null-terminated-string"}),
            FieldType::Array(element, length) => json!({
                "type": "static-length-array",
                "length": length,
                "element-field-class": self.element(element, name)?,
            }),
            FieldType::Sequence { length, element } => json!({
                "type": "dynamic-length-array",
                "length-field-location": {"path": [plain(length)]},
                "element-field-class": self.element(element, name)?,
            }),
            FieldType::Struct(fields) => self.structure(fields)?,
            FieldType::Verbatim(_) => return Err(bad(name, "an array of verbatim text")),
        })
    }

    fn element(self, ty: &FieldType, name: &str) -> Result<Value, WriteError> {
        match ty {
            FieldType::Text(_) | FieldType::Array(..) | FieldType::Sequence { .. } => {
                Err(bad(name, "an array of arrays"))
            }
            ty => self.class(ty, name),
        }
    }

    fn integer(self, int: IntegerType, name: &str) -> Result<Value, WriteError> {
        check_integer(int, name)?;
        let mut class = self.unsigned(u32::from(int.bits), 8);
        if int.signed {
            class["type"] = "fixed-length-signed-integer".into();
        }
        if int.base != 10 {
            class["preferred-display-base"] = int.base.into();
        }
        Ok(class)
    }
}
