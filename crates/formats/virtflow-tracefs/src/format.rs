//! The description of one event: the text of its file `format`.
//!
//! kernel/trace/trace_events.c `f_show` writes it: lines `name: ...`, `ID: ...`, `format:`, then
//! one line a field (`field:int common_pid;\toffset:4;\tsize:4;\tsigned:1;`), the common ones
//! first, an empty line between both, and last `print fmt: ...`.

use std::fmt;

/// The most fields of one event.
const FIELDS_MAX: usize = 1024;
/// The most bytes of one field: a record of the ring buffer is smaller.
const SIZE_MAX: u32 = u16::MAX as u32;
/// What the names of fields that all events have begin with.
const COMMON: &str = "common_";

/// What is wrong with a description, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {kind}")]
pub struct FormatError {
    /// Line, from 1.
    pub line: u32,
    /// What is wrong.
    pub kind: FormatErrorKind,
}

/// What can be wrong with a description.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormatErrorKind {
    /// A line or a field of the record that must be there and is not.
    Missing(&'static str),
    /// A number that is none.
    BadNumber(&'static str),
    /// A declaration without a name.
    NoName,
    /// More of something than is held.
    TooMany(&'static str),
}

impl fmt::Display for FormatErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(what) => write!(f, "no {what}"),
            Self::BadNumber(what) => write!(f, "{what} that is not a number"),
            Self::NoName => f.write_str("a field without a name"),
            Self::TooMany(what) => write!(f, "too many {what}"),
        }
    }
}

/// What the bytes of a field are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// An integer, a pointer or an enumeration of 1, 2, 4 or 8 bytes.
    Int,
    /// Characters up to a NUL.
    Text,
    /// Integers of so many bytes each; of one byte for what is not understood.
    Array {
        /// Bytes of an element.
        element: u8,
    },
    /// Length and place of what lies further behind in the record.
    Elsewhere {
        /// Whether the place counts from the end of the field (`__rel_loc`) rather than from the
        /// beginning of the record (`__data_loc`).
        relative: bool,
        /// Whether characters lie there.
        text: bool,
        /// Bytes of an element that lies there.
        element: u8,
    },
}

/// A field of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    name: Box<str>,
    type_name: Box<str>,
    offset: u32,
    size: u32,
    signed: bool,
    kind: FieldKind,
}

impl Field {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its type as the kernel declares it, without the length of an array.
    pub fn type_name(&self) -> &str {
        &self.type_name
    }

    /// The byte of the record at which it begins.
    pub const fn offset(&self) -> u32 {
        self.offset
    }

    /// Its bytes.
    pub const fn size(&self) -> u32 {
        self.size
    }

    /// Whether it, or its elements, are in two's complement.
    pub const fn is_signed(&self) -> bool {
        self.signed
    }

    /// What its bytes are.
    pub const fn kind(&self) -> FieldKind {
        self.kind
    }

    /// Whether it is an address.
    pub fn is_pointer(&self) -> bool {
        self.kind == FieldKind::Int && self.type_name.ends_with('*')
    }

    /// Reads one of the lines that describe fields, `text` being what follows `field:`.
    pub(crate) fn parse(text: &str) -> Result<Self, FormatErrorKind> {
        let mut parts = text.split(';').map(str::trim);
        let declaration = parts.next().unwrap_or("");
        let (mut offset, mut size, mut signed) = (None, None, false);
        for part in parts {
            let Some((key, value)) = part.split_once(':') else {
                continue;
            };
            let number = value.trim().parse::<u32>().ok();
            match key.trim() {
                "offset" => offset = Some(number.ok_or(FormatErrorKind::BadNumber("an offset"))?),
                "size" => size = Some(number.ok_or(FormatErrorKind::BadNumber("a size"))?),
                "signed" => signed = number == Some(1),
                _ => {}
            }
        }
        let offset = offset.ok_or(FormatErrorKind::Missing("offset"))?;
        let size = size.ok_or(FormatErrorKind::Missing("size"))?;
        if size > SIZE_MAX || offset > SIZE_MAX {
            return Err(FormatErrorKind::TooMany("bytes in a record"));
        }
        let declared = Declared::parse(declaration)?;
        Ok(Self {
            name: declared.name.into(),
            type_name: declared.type_name.into(),
            offset,
            size,
            signed,
            kind: declared.kind(size),
        })
    }
}

/// A declaration taken apart: `char comm[16]`, `__data_loc char[] name`, `void * skbaddr`.
struct Declared<'t> {
    type_name: &'t str,
    name: &'t str,
    /// What stands in the brackets behind the name.
    dimension: Option<&'t str>,
}

impl<'t> Declared<'t> {
    fn parse(declaration: &'t str) -> Result<Self, FormatErrorKind> {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        // Only what follows the name is a dimension: `__data_loc char[] name` has none.
        let (before, dimension) = match declaration.strip_suffix(']') {
            Some(open) => match open.rsplit_once('[') {
                Some((before, dimension)) => (before.trim_end(), Some(dimension.trim())),
                None => return Err(FormatErrorKind::NoName),
            },
            None => (declaration, None),
        };
        let start = before.rfind(|c: char| !is_name(c)).map_or(0, |at| {
            at + before[at..].chars().next().map_or(1, char::len_utf8)
        });
        let name = &before[start..];
        if name.is_empty() {
            return Err(FormatErrorKind::NoName);
        }
        Ok(Self {
            type_name: before[..start].trim(),
            name,
            dimension,
        })
    }

    fn kind(&self, size: u32) -> FieldKind {
        for (word, relative) in [("__data_loc", false), ("__rel_loc", true)] {
            if let Some(of) = self.type_name.strip_prefix(word)
                && size == 4
            {
                let of = of.trim().trim_end_matches("[]").trim();
                return FieldKind::Elsewhere {
                    relative,
                    text: is_text(of),
                    element: element_size(of).unwrap_or(1),
                };
            }
        }
        let scalar = matches!(size, 1 | 2 | 4 | 8);
        match self.dimension {
            None if scalar => FieldKind::Int,
            None => FieldKind::Array { element: 1 },
            Some(_) if is_text(self.type_name) => FieldKind::Text,
            Some(dimension) => {
                let length = dimension.parse::<u32>().ok().filter(|length| *length > 0);
                let element = length
                    .filter(|length| size.is_multiple_of(*length))
                    .and_then(|length| u8::try_from(size / length).ok())
                    .filter(|element| matches!(element, 1 | 2 | 4 | 8))
                    .or_else(|| element_size(self.type_name))
                    .unwrap_or(1);
                FieldKind::Array { element }
            }
        }
    }
}

/// Whether an array of this type is text.
fn is_text(type_name: &str) -> bool {
    matches!(
        type_name,
        "char" | "const char" | "unsigned char" | "signed char"
    )
}

/// The bytes of one integer of a type of a fixed size; `None` for those that the kernel's words
/// are counted in, and for what is no integer.
fn element_size(type_name: &str) -> Option<u8> {
    let bare = type_name.strip_prefix("const ").unwrap_or(type_name);
    Some(match bare {
        "char" | "unsigned char" | "signed char" | "bool" | "u8" | "__u8" | "s8" | "__s8"
        | "uint8_t" | "int8_t" => 1,
        "short" | "unsigned short" | "u16" | "__u16" | "s16" | "__s16" | "uint16_t" | "int16_t"
        | "__le16" | "__be16" => 2,
        "int" | "unsigned int" | "unsigned" | "u32" | "__u32" | "s32" | "__s32" | "uint32_t"
        | "int32_t" | "__le32" | "__be32" | "pid_t" => 4,
        "u64" | "__u64" | "s64" | "__s64" | "uint64_t" | "int64_t" | "long long"
        | "unsigned long long" | "__le64" | "__be64" => 8,
        _ => return None,
    })
}

/// The description of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFormat {
    system: Box<str>,
    name: Box<str>,
    id: u16,
    fields: Box<[Field]>,
    /// How many of `fields` are the common ones, which come first.
    common: usize,
}

impl EventFormat {
    /// Reads the description of an event of `system`.
    ///
    /// # Errors
    /// Where it lacks its name, its number or the field `common_type`, and where a field cannot be
    /// understood.
    pub fn parse(system: &str, text: &[u8]) -> Result<Self, FormatError> {
        let text = String::from_utf8_lossy(text);
        let (mut name, mut id) = (None, None);
        let (mut common, mut own) = (Vec::new(), Vec::new());
        let mut number = 0;
        for line in text.lines() {
            number += 1;
            let wrong = |kind| FormatError { line: number, kind };
            let line = line.trim();
            if let Some(rest) = line.strip_prefix("name:") {
                name = Some(rest.trim().to_owned());
            } else if let Some(rest) = line.strip_prefix("ID:") {
                let parsed = rest.trim().parse::<u16>();
                id = Some(parsed.map_err(|_| wrong(FormatErrorKind::BadNumber("an ID")))?);
            } else if line.starts_with("print fmt:") {
                break;
            } else if let Some(rest) = field_line(line) {
                let field = Field::parse(rest).map_err(wrong)?;
                let list = if field.name.starts_with(COMMON) {
                    &mut common
                } else {
                    &mut own
                };
                list.push(field);
                if common.len() + own.len() > FIELDS_MAX {
                    return Err(wrong(FormatErrorKind::TooMany("fields")));
                }
            }
        }
        let missing = |what| FormatError {
            line: number.max(1),
            kind: FormatErrorKind::Missing(what),
        };
        if !common.iter().any(|field| &*field.name == "common_type") {
            return Err(missing("field `common_type`"));
        }
        let common_len = common.len();
        common.append(&mut own);
        Ok(Self {
            system: system.into(),
            name: name.ok_or_else(|| missing("line `name:`"))?.into(),
            id: id.ok_or_else(|| missing("line `ID:`"))?,
            fields: common.into(),
            common: common_len,
        })
    }

    /// The subsystem it belongs to: `sched`, `irq`.
    pub fn system(&self) -> &str {
        &self.system
    }

    /// Its name, unique in its subsystem.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number that its records begin with.
    pub const fn id(&self) -> u16 {
        self.id
    }

    /// The fields that all events have.
    pub fn common(&self) -> &[Field] {
        self.fields.get(..self.common).unwrap_or_default()
    }

    /// Its own fields.
    pub fn fields(&self) -> &[Field] {
        self.fields.get(self.common..).unwrap_or_default()
    }

    /// Its own field or the common one of this name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        let mut all = self.fields().iter().chain(self.common());
        all.find(|field| field.name() == name)
    }
}

/// What follows the word that a line of a field begins with. Old kernels wrote `field special:`
/// for some.
pub(crate) fn field_line(line: &str) -> Option<&str> {
    line.strip_prefix("field:")
        .or_else(|| line.strip_prefix("field special:"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) const SWITCH: &str = "name: sched_switch\nID: 319\nformat:\n\
        \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
        \tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n\
        \tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n\
        \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n\
        \tfield:char prev_comm[16];\toffset:8;\tsize:16;\tsigned:1;\n\
        \tfield:pid_t prev_pid;\toffset:24;\tsize:4;\tsigned:1;\n\
        \tfield:int prev_prio;\toffset:28;\tsize:4;\tsigned:1;\n\
        \tfield:long prev_state;\toffset:32;\tsize:8;\tsigned:1;\n\n\
        print fmt: \"field:%s\", REC->prev_comm\n";

    #[test]
    fn a_description_is_read() {
        let format = EventFormat::parse("sched", SWITCH.as_bytes()).unwrap();
        assert_eq!(
            (format.system(), format.name(), format.id()),
            ("sched", "sched_switch", 319)
        );
        let names = |fields: &[Field]| {
            fields
                .iter()
                .map(|f| f.name().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            names(format.common()).join(" "),
            "common_type common_flags common_preempt_count common_pid"
        );
        assert_eq!(
            names(format.fields()).join(" "),
            "prev_comm prev_pid prev_prio prev_state"
        );
        let comm = format.field("prev_comm").unwrap();
        assert_eq!(
            (comm.kind(), comm.offset(), comm.size()),
            (FieldKind::Text, 8, 16)
        );
        assert_eq!(comm.type_name(), "char");
        let state = format.field("prev_state").unwrap();
        assert_eq!((state.kind(), state.is_signed()), (FieldKind::Int, true));
    }

    fn kind(declaration: &str, size: u32) -> FieldKind {
        let line = format!("{declaration};\toffset:8;\tsize:{size};\tsigned:0;");
        Field::parse(&line).unwrap().kind()
    }

    #[test]
    fn declarations_of_every_sort() {
        let elsewhere = |relative, text, element| FieldKind::Elsewhere {
            relative,
            text,
            element,
        };
        assert_eq!(kind("__data_loc char[] name", 4), elsewhere(false, true, 1));
        assert_eq!(kind("__rel_loc char[] name", 4), elsewhere(true, true, 1));
        assert_eq!(kind("__data_loc u8[] buf", 4), elsewhere(false, false, 1));
        assert_eq!(
            kind("__data_loc unsigned long[] mask", 4),
            elsewhere(false, false, 1)
        );
        assert_eq!(kind("__data_loc u32[] ids", 4), elsewhere(false, false, 4));
        assert_eq!(
            kind("unsigned long args[6]", 48),
            FieldKind::Array { element: 8 }
        );
        assert_eq!(
            kind("unsigned long args[6]", 24),
            FieldKind::Array { element: 4 }
        );
        assert_eq!(kind("__u8 saddr[4]", 4), FieldKind::Array { element: 1 });
        assert_eq!(
            kind("u32 words[COUNT]", 12),
            FieldKind::Array { element: 4 }
        );
        assert_eq!(kind("char comm[TASK_COMM_LEN]", 16), FieldKind::Text);
        assert_eq!(
            kind("struct big value", 24),
            FieldKind::Array { element: 1 }
        );
        assert_eq!(kind("enum zone_type zone", 4), FieldKind::Int);
        let pointer = Field::parse("void * skbaddr;\toffset:8;\tsize:8;\tsigned:0;").unwrap();
        assert!(pointer.is_pointer() && pointer.name() == "skbaddr");
        let pointer = Field::parse("struct mm *mm;\toffset:8;\tsize:8;\tsigned:0;").unwrap();
        assert!(pointer.is_pointer() && pointer.name() == "mm");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let error = |text: &str| {
            EventFormat::parse("s", text.as_bytes())
                .unwrap_err()
                .to_string()
        };
        assert_eq!(error(""), "line 1: no field `common_type`");
        assert_eq!(
            error("name: a\nID: x\n"),
            "line 2: an ID that is not a number"
        );
        let one = "\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n";
        assert_eq!(error(&format!("name: a\n{one}")), "line 2: no line `ID:`");
        let many = one.repeat(FIELDS_MAX + 1);
        assert_eq!(error(&many), "line 1025: too many fields");
        let huge = "\tfield:char c[9];\toffset:0;\tsize:99999;\tsigned:0;\n";
        assert_eq!(error(huge), "line 1: too many bytes in a record");
        assert_eq!(
            error("field:;offset:0;size:1;"),
            "line 1: a field without a name"
        );
        assert_eq!(
            error("field:int ];offset:0;size:1;"),
            "line 1: a field without a name"
        );
        assert_eq!(error("field:int x;size:1;"), "line 1: no offset");
    }

    proptest! {
        #[test]
        fn no_description_panics(text in ".{0,200}", fields in "[a-z_\\[\\]*;: 0-9\u{e9}\n\t]{0,200}") {
            let _ = EventFormat::parse("s", text.as_bytes());
            let _ = EventFormat::parse("s", format!("field:{fields}").as_bytes());
        }
    }
}
