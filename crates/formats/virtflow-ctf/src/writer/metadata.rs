//! The TSDL text of a trace, in the form of LTTng-modules' `_lttng_session_metadata_statedump`.

use std::fmt::Write as _;

use super::config::{ByteOrder, Clock, EnvValue, HeaderKind, TraceConfig};
use super::{EventClass, Field, FieldType, IntegerType, WriteError};

/// Words that TSDL keeps for itself (CTF 1.8 section C.1).
const KEYWORDS: &[&str] = &[
    "align",
    "callsite",
    "char",
    "clock",
    "const",
    "double",
    "enum",
    "env",
    "event",
    "float",
    "floating_point",
    "int",
    "integer",
    "long",
    "short",
    "signed",
    "stream",
    "string",
    "struct",
    "trace",
    "typealias",
    "typedef",
    "unsigned",
    "variant",
    "void",
    "_Bool",
    "_Complex",
    "_Imaginary",
];

/// The whole text.
pub(crate) fn text(config: &TraceConfig, classes: &[EventClass]) -> Result<String, WriteError> {
    let mut out = String::from("/* CTF 1.8 */\n\n");
    out.push_str(INTEGERS);
    trace(&mut out, config);
    env(&mut out, &config.env)?;
    clock(&mut out, &config.clock)?;
    out.push_str(&STREAM_TYPES.replace("@clock@", &config.clock.name));
    stream(&mut out, config)?;
    for class in classes {
        event(&mut out, class)?;
    }
    Ok(out)
}

const INTEGERS: &str = "\
typealias integer { size = 8; align = 8; signed = false; } := uint8_t;
typealias integer { size = 16; align = 8; signed = false; } := uint16_t;
typealias integer { size = 32; align = 8; signed = false; } := uint32_t;
typealias integer { size = 64; align = 8; signed = false; } := uint64_t;
typealias integer { size = 64; align = 8; signed = false; } := unsigned long;
typealias integer { size = 5; align = 1; signed = false; } := uint5_t;
typealias integer { size = 27; align = 1; signed = false; } := uint27_t;

";

const STREAM_TYPES: &str = "\
typealias integer {
\tsize = 27; align = 1; signed = false;
\tmap = clock.@clock@.value;
} := uint27_clock_t;

typealias integer {
\tsize = 32; align = 8; signed = false;
\tmap = clock.@clock@.value;
} := uint32_clock_t;

typealias integer {
\tsize = 64; align = 8; signed = false;
\tmap = clock.@clock@.value;
} := uint64_clock_t;

struct packet_context {
\tuint64_clock_t timestamp_begin;
\tuint64_clock_t timestamp_end;
\tuint64_t content_size;
\tuint64_t packet_size;
\tuint64_t packet_seq_num;
\tunsigned long events_discarded;
\tuint32_t cpu_id;
};

struct event_header_compact {
\tenum : uint5_t { compact = 0 ... 30, extended = 31 } id;
\tvariant <id> {
\t\tstruct {
\t\t\tuint27_clock_t timestamp;
\t\t} compact;
\t\tstruct {
\t\t\tuint32_t id;
\t\t\tuint64_clock_t timestamp;
\t\t} extended;
\t} v;
} align(8);

struct event_header_large {
\tenum : uint16_t { compact = 0 ... 65534, extended = 65535 } id;
\tvariant <id> {
\t\tstruct {
\t\t\tuint32_clock_t timestamp;
\t\t} compact;
\t\tstruct {
\t\t\tuint32_t id;
\t\t\tuint64_clock_t timestamp;
\t\t} extended;
\t} v;
} align(8);

";

fn trace(out: &mut String, config: &TraceConfig) {
    let order = match config.stream.byte_order {
        ByteOrder::Little => "le",
        ByteOrder::Big => "be",
    };
    let uuid = uuid(config.stream.uuid);
    let _ = write!(
        out,
        "trace {{\n\tmajor = 1;\n\tminor = 8;\n\tuuid = \"{uuid}\";\n\tbyte_order = {order};\n\
         \tpacket.header := struct {{\n\t\tuint32_t magic;\n\t\tuint8_t  uuid[16];\n\
         \t\tuint32_t stream_id;\n\t\tuint64_t stream_instance_id;\n\t}};\n}};\n\n"
    );
}

fn env(out: &mut String, entries: &[(String, EnvValue)]) -> Result<(), WriteError> {
    out.push_str("env {\n");
    for (name, value) in entries {
        let name = identifier(name)?;
        let _ = match value {
            EnvValue::Text(text) => writeln!(out, "\t{name} = {};", quoted(text)),
            EnvValue::Integer(value) => writeln!(out, "\t{name} = {value};"),
        };
    }
    out.push_str("};\n\n");
    Ok(())
}

/// A negative offset is written as whole seconds back and cycles forward, for the sake of readers
/// that take the cycles for unsigned.
fn clock(out: &mut String, clock: &Clock) -> Result<(), WriteError> {
    let name = identifier(&clock.name)?;
    if clock.freq == 0 {
        return Err(bad(&clock.name, "a clock needs a frequency above 0"));
    }
    let (seconds, cycles) = if clock.offset < 0 {
        clock.whole_seconds()
    } else {
        (clock.offset_s, clock.offset)
    };
    let _ = writeln!(out, "clock {{\n\tname = \"{name}\";");
    if let Some(id) = clock.uuid {
        let _ = writeln!(out, "\tuuid = \"{}\";", uuid(id));
    }
    let _ = writeln!(out, "\tdescription = {};", quoted(&clock.description));
    let _ = writeln!(out, "\tfreq = {}; /* Frequency, in Hz */", clock.freq);
    if seconds != 0 {
        let _ = writeln!(out, "\toffset_s = {seconds};");
    }
    let _ = writeln!(
        out,
        "\t/* clock value offset from Epoch is: offset * (1/freq) */"
    );
    let _ = writeln!(out, "\toffset = {cycles};\n}};\n");
    Ok(())
}

fn stream(out: &mut String, config: &TraceConfig) -> Result<(), WriteError> {
    let header = match config.stream.header {
        HeaderKind::Compact => "compact",
        HeaderKind::Large => "large",
    };
    let _ = write!(
        out,
        "stream {{\n\tid = 0;\n\tevent.header := struct event_header_{header};\n"
    );
    out.push_str("\tpacket.context := struct packet_context;\n");
    if !config.event_context.is_empty() {
        out.push_str("\tevent.context := struct {\n");
        fields(out, &config.event_context, 2)?;
        out.push_str("\t};\n");
    }
    out.push_str("};\n\n");
    Ok(())
}

fn event(out: &mut String, class: &EventClass) -> Result<(), WriteError> {
    let (name, id) = (quoted(&class.name), class.id);
    let _ = write!(
        out,
        "event {{\n\tname = {name};\n\tid = {id};\n\tstream_id = 0;\n"
    );
    out.push_str("\tfields := struct {\n");
    fields(out, &class.fields, 2)?;
    out.push_str("\t};\n};\n\n");
    Ok(())
}

fn fields(out: &mut String, fields: &[Field], depth: usize) -> Result<(), WriteError> {
    fields
        .iter()
        .try_for_each(|field| declare(out, field, depth))
}

fn declare(out: &mut String, field: &Field, depth: usize) -> Result<(), WriteError> {
    let tabs = "\t".repeat(depth);
    if let FieldType::Verbatim(text) = &field.ty {
        let _ = writeln!(out, "{tabs}{}", text.tsdl);
        return Ok(());
    }
    let name = identifier(&field.name)?;
    out.push_str(&tabs);
    match &field.ty {
        FieldType::Text(length) => {
            let _ = write!(out, "{} {name}[{length}]", integer_text(CHARACTER, "UTF8"));
        }
        FieldType::Array(element, length) => {
            base_type(out, element, name, depth)?;
            let _ = write!(out, " {name}[{length}]");
        }
        FieldType::Sequence { length, element } => {
            base_type(out, element, name, depth)?;
            let _ = write!(out, " {name}[ {} ]", identifier(length)?);
        }
        ty => {
            base_type(out, ty, name, depth)?;
            let _ = write!(out, " {name}");
        }
    }
    out.push_str(";\n");
    Ok(())
}

/// LTTng declares the characters of an array signed.
const CHARACTER: IntegerType = IntegerType::signed(8);

fn base_type(out: &mut String, ty: &FieldType, name: &str, depth: usize) -> Result<(), WriteError> {
    match ty {
        FieldType::Integer(int) => out.push_str(&integer(*int, name)?),
        FieldType::Enum(int, labels) => {
            let _ = write!(out, "enum : {} {{", integer(*int, name)?);
            for (label, first, last) in labels {
                let _ = write!(out, " {} = {first} ... {last},", quoted(label));
            }
            out.push_str(" }");
        }
        FieldType::String => out.push_str("string"),
        FieldType::Struct(inner) => {
            out.push_str("struct {\n");
            fields(out, inner, depth + 1)?;
            let _ = write!(out, "{}}}", "\t".repeat(depth));
        }
        FieldType::Text(_) | FieldType::Array(..) | FieldType::Sequence { .. } => {
            return Err(bad(name, "an array of arrays"));
        }
        FieldType::Verbatim(_) => return Err(bad(name, "an array of verbatim text")),
    }
    Ok(())
}

fn integer(int: IntegerType, name: &str) -> Result<String, WriteError> {
    check_integer(int, name)?;
    Ok(integer_text(int, "none"))
}

pub(super) fn check_integer(int: IntegerType, name: &str) -> Result<(), WriteError> {
    if int.bits == 0 || int.bits > 64 {
        return Err(bad(name, "an integer has 1 to 64 bits"));
    }
    if ![2, 8, 10, 16].contains(&int.base) {
        return Err(bad(name, "an integer is shown in base 2, 8, 10 or 16"));
    }
    Ok(())
}

fn integer_text(int: IntegerType, encoding: &str) -> String {
    let IntegerType { bits, signed, base } = int;
    let signed = u8::from(signed);
    format!(
        "integer {{ size = {bits}; align = 8; signed = {signed}; encoding = {encoding}; base = {base}; }}"
    )
}

pub(super) fn bad(field: &str, why: &'static str) -> WriteError {
    WriteError::BadType {
        field: field.to_owned(),
        why,
    }
}

fn identifier(name: &str) -> Result<&str, WriteError> {
    let mut chars = name.chars();
    let starts = chars
        .next()
        .is_some_and(|c| c == '_' || c.is_ascii_alphabetic());
    let goes_on = chars.all(|c| c == '_' || c.is_ascii_alphanumeric());
    if starts && goes_on && !KEYWORDS.contains(&name) {
        Ok(name)
    } else {
        Err(WriteError::BadName(name.to_owned()))
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

pub(super) fn uuid(id: [u8; 16]) -> String {
    let mut out = String::with_capacity(36);
    for (n, byte) in id.iter().enumerate() {
        if [4, 6, 8, 10].contains(&n) {
            out.push('-');
        }
        let _ = write!(out, "{byte:02x}");
    }
    out
}
