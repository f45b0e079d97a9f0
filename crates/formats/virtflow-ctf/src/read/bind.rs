//! Binding: which fields of which events somebody wants, looked up once.

use crate::bits::ByteOrder;
use crate::metadata::{EventClass, FieldType, IntType, Metadata, Scope, StreamClass, StructType};
use crate::plan::{Body, Found, Layout, Want};

/// The wanted fields of an event class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Comes back with each event ([`super::EventView::tag`]).
    pub tag: u32,
    /// The fields; an event gives them by their place in here, the slot.
    pub fields: Vec<FieldPath>,
}

/// Names a field of an event: `prev_tid`, `network_header.ipv4.saddr`, `ctx.procname`.
///
/// Names are those people see, without the one underscore tracers put before them. A variant's
/// option is named after the variant, one without a name by its number. `ctx.` means the event's
/// own context or else the one its stream gives all events. Array elements cannot be named.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FieldPath {
    context: bool,
    parts: Vec<Box<str>>,
}

impl FieldPath {
    /// A field of the payload.
    pub fn payload<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        Self {
            context: false,
            parts: names.into_iter().map(Into::into).collect(),
        }
    }

    /// A field of a context.
    pub fn context<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        Self {
            context: true,
            parts: names.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<&str> for FieldPath {
    fn from(path: &str) -> Self {
        match path.strip_prefix("ctx.") {
            Some(rest) => Self::context(rest.split('.')),
            None => Self::payload(path.split('.')),
        }
    }
}

/// How a slot's value is read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Int(Layout),
    /// An integer in LEB128.
    Leb {
        signed: bool,
    },
    Float(Layout),
    Text,
    /// An array of this many bytes.
    Bytes {
        len: u64,
        /// Bytes of a code unit, 0 where it is not text.
        unit: u8,
    },
    /// A sequence of bytes.
    Sequence {
        unit: u8,
    },
    /// Something that is there or not and has no single value.
    Other,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) found: Found,
    pub(super) kind: Kind,
    /// The way most integers can be read.
    pub(super) quick: Option<Quick>,
}

/// A little-endian integer of whole bytes at the same place in every event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quick {
    /// Bytes from the beginning of the body.
    pub(super) offset: u32,
    /// Bits of a 64-bit word that are not its.
    pub(super) shift: u32,
    pub(super) signed: bool,
}

impl Quick {
    fn new(found: Found, kind: Kind) -> Option<Self> {
        let (Found::At(bits), Kind::Int(layout)) = (found, kind) else {
            return None;
        };
        let whole = bits.is_multiple_of(8) && matches!(layout.size, 8 | 16 | 32 | 64);
        if !whole || layout.order != ByteOrder::Little || layout.reversed {
            return None;
        }
        Some(Self {
            offset: u32::try_from(bits / 8).ok()?,
            shift: 64 - layout.size,
            signed: layout.signed,
        })
    }

    /// The value, where eight bytes can be read from its first on.
    #[inline]
    pub(super) fn read(self, body: &[u8]) -> Option<u64> {
        let bytes = body.get(self.offset as usize..)?.first_chunk()?;
        let word = u64::from_le_bytes(*bytes) << self.shift;
        Some(if self.signed {
            ((word as i64) >> self.shift) as u64
        } else {
            word >> self.shift
        })
    }
}

/// A bound event class.
#[derive(Debug)]
pub(crate) struct BoundClass {
    pub(super) tag: u32,
    pub(super) slots: Box<[Slot]>,
    pub(super) body: Body,
}

/// The bound fields of a whole trace.
#[derive(Debug)]
pub struct Bound {
    /// By the number of the event class.
    classes: Vec<Option<Box<BoundClass>>>,
    /// Slots of the class that has most.
    pub(super) marks: usize,
}

impl Bound {
    pub(crate) fn new(
        metadata: &Metadata,
        mut choose: impl FnMut(&EventClass) -> Option<Wanted>,
    ) -> Self {
        let mut marks = 0;
        let classes = metadata.events.iter().map(|class| {
            let wanted = choose(class)?;
            marks = marks.max(wanted.fields.len());
            let stream = &metadata.streams[class.stream];
            Some(Box::new(BoundClass::new(stream, class, &wanted)))
        });
        Self {
            classes: classes.collect(),
            marks,
        }
    }

    /// Whether events of the class are wanted.
    pub fn is_bound(&self, class: usize) -> bool {
        self.get(class).is_some()
    }

    #[inline]
    pub(super) fn get(&self, class: usize) -> Option<&BoundClass> {
        self.classes.get(class)?.as_deref()
    }
}

impl BoundClass {
    fn new(stream: &StreamClass, class: &EventClass, wanted: &Wanted) -> Self {
        let scopes = [
            stream.event_context.as_ref(),
            class.context.as_ref(),
            class.fields.as_ref(),
        ];
        let found = wanted.fields.iter().map(|path| find(scopes, path));
        let mut wants = Vec::new();
        let mut kinds = Vec::new();
        for found in found {
            // An absent field keeps its slot: a path into nothing.
            let (scope, path, kind) =
                found.unwrap_or((Scope::PacketHeader, Vec::new(), Kind::Other));
            wants.push(Want { scope, path });
            kinds.push(kind);
        }
        let (body, found) = Body::with_wants(scopes, &wants);
        let slots = found.into_iter().zip(kinds).map(|(found, kind)| Slot {
            found,
            kind,
            quick: Quick::new(found, kind),
        });
        Self {
            tag: wanted.tag,
            slots: slots.collect(),
            body,
        }
    }
}

fn find(scopes: [Option<&StructType>; 3], path: &FieldPath) -> Option<(Scope, Vec<usize>, Kind)> {
    let [stream, own, payload] = scopes;
    let places: &[(Scope, Option<&StructType>)] = if path.context {
        &[(Scope::EventContext, own), (Scope::StreamContext, stream)]
    } else {
        &[(Scope::Payload, payload)]
    };
    places.iter().find_map(|(scope, structure)| {
        let (at, ty) = descend((*structure)?, &path.parts)?;
        Some((*scope, at, kind(ty)))
    })
}

fn descend<'t>(root: &'t StructType, parts: &[Box<str>]) -> Option<(Vec<usize>, &'t FieldType)> {
    let (first, rest) = parts.split_first()?;
    let at = root.position(first)?;
    let mut path = vec![at];
    let mut ty = root.fields[at].ty.present();
    for part in rest {
        let at = match ty {
            FieldType::Struct(structure) => structure.position(part)?,
            FieldType::Variant(variant) => variant
                .options
                .iter()
                .position(|option| option.name() == &**part || option.raw_name() == &**part)?,
            _ => return None,
        };
        path.push(at);
        ty = match ty {
            FieldType::Struct(structure) => structure.fields[at].ty.present(),
            FieldType::Variant(variant) => variant.options[at].ty.present(),
            _ => return None,
        };
    }
    Some((path, ty))
}

fn kind(ty: &FieldType) -> Kind {
    let element = match ty {
        FieldType::Array(array) => array.element.int(),
        FieldType::Sequence(sequence) => sequence.element.int(),
        _ => None,
    };
    let byte = element.filter(|int| int.is_byte());
    let unit = |int: &IntType| {
        if int.is_character() {
            int.encoding.unit() as u8
        } else {
            0
        }
    };
    match ty {
        FieldType::Float(float) if float.ieee => Kind::Float(float.layout()),
        FieldType::String(_) => Kind::Text,
        FieldType::Array(array) => match (byte, element) {
            (Some(int), _) => Kind::Bytes {
                len: array.len,
                unit: unit(int),
            },
            // The halves of an IPv6 address: as they lie, in the order of the network.
            (None, Some(int)) if int.is_words() => Kind::Bytes {
                len: array.len.saturating_mul(u64::from(int.size / 8)),
                unit: 0,
            },
            _ => Kind::Other,
        },
        FieldType::Sequence(_) => {
            byte.map_or(Kind::Other, |int| Kind::Sequence { unit: unit(int) })
        }
        _ => ty.int().map_or(Kind::Other, |int| {
            if int.variable {
                Kind::Leb { signed: int.signed }
            } else {
                Kind::Int(Layout::new(int))
            }
        }),
    }
}
