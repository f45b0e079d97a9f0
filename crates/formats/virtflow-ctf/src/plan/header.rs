//! Event headers: the two that LTTng writes, and all others.

use super::Op;
use super::compile::Compiler;
use crate::bits::ByteOrder;
use crate::metadata::{Choice, FieldType, IntType, Reg, StructType, VariantType};

/// How to read an event's id and time.
#[derive(Debug)]
pub(crate) enum HeaderPlan {
    /// A header that LTTng writes.
    Fixed(Fixed),
    /// Any other.
    General {
        mask: u64,
        ops: Box<[Op]>,
        has_id: bool,
    },
}

/// LTTng's headers: an id of 5 or 16 bits, the highest of which says that a 32-bit id and a whole
/// time stamp follow, and a time stamp of 27 or 32 bits. All of them begin at a byte.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fixed {
    /// Whether ids have 16 bits and not 5.
    pub(crate) large: bool,
    pub(crate) order: ByteOrder,
    /// Where the id is kept.
    pub(crate) tag: Reg,
}

impl HeaderPlan {
    /// The plan for `header`; `may_be_fixed` when nothing further on refers to its fields, the id
    /// excepted.
    pub(crate) fn new(header: Option<&StructType>, may_be_fixed: bool) -> Self {
        let Some(header) = header else {
            return Self::General {
                mask: 0,
                ops: Box::default(),
                has_id: false,
            };
        };
        if may_be_fixed && let Some(fixed) = fixed(header) {
            return Self::Fixed(fixed);
        }
        let mut compiler = Compiler::new(header.align, 0);
        compiler.header = true;
        compiler.structure(header, &[]);
        let (size, mut ops) = compiler.finish();
        if size > 0 {
            ops = Box::new([Op::Skip { bits: size }]);
        }
        let has_id = ops.iter().any(reads_id);
        Self::General {
            mask: header.align - 1,
            ops,
            has_id,
        }
    }

    /// Whether events tell their class.
    pub(crate) const fn has_id(&self) -> bool {
        match self {
            Self::Fixed(_) => true,
            Self::General { has_id, .. } => *has_id,
        }
    }

    /// The alignment of an event, less one.
    pub(crate) const fn mask(&self) -> u64 {
        match self {
            Self::Fixed(_) => 7,
            Self::General { mask, .. } => *mask,
        }
    }
}

fn reads_id(op: &Op) -> bool {
    match op {
        Op::Read { reg: 0, .. } => true,
        Op::Repeat { body, .. } => body.iter().any(reads_id),
        Op::Choose { options, .. } => options.iter().flatten().any(reads_id),
        _ => false,
    }
}

/// Recognises LTTng's two headers by their layout.
fn fixed(header: &StructType) -> Option<Fixed> {
    let [id, v] = header.fields.as_slice() else {
        return None;
    };
    let (FieldType::Enum(id_type), FieldType::Variant(v)) = (&id.ty, &v.ty) else {
        return None;
    };
    let order = id_type.int.order;
    let large = match (id_type.int.size, id_type.int.align) {
        (5, 1) => false,
        (16, 8) => true,
        _ => return None,
    };
    let tag = id_type.int.reg?;
    if id.name() != "id" || id_type.int.signed || header.align != 8 || v.tag != tag {
        return None;
    }
    let highest = if large { 65535 } else { 31 };
    let (compact, extended) = options(v, highest)?;
    let [timestamp] = compact.fields.as_slice() else {
        return None;
    };
    let [long_id, long_timestamp] = extended.fields.as_slice() else {
        return None;
    };
    let (short_size, short_align) = if large { (32, 8) } else { (27, 1) };
    let matches = is_int(&timestamp.ty, short_size, short_align, order, true)
        && is_int(&long_id.ty, 32, 8, order, false)
        && long_id.name() == "id"
        && timestamp.name() != "id"
        && long_timestamp.name() != "id"
        && is_int(&long_timestamp.ty, 64, 8, order, true);
    matches.then_some(Fixed { large, order, tag })
}

/// The structures for ids below the highest, and for the highest.
fn options(v: &VariantType, highest: u64) -> Option<(&StructType, &StructType)> {
    let [FieldType::Struct(a), FieldType::Struct(b)] =
        [&v.options.first()?.ty, &v.options.get(1)?.ty]
    else {
        return None;
    };
    if v.options.len() != 2 || v.tag_signed {
        return None;
    }
    let compact = Choice {
        low: 0,
        high: highest - 1,
        option: 0,
    };
    let extended = Choice {
        low: highest,
        high: highest,
        option: 1,
    };
    match v.choices.as_slice() {
        [first, second] if *first == compact && *second == extended => Some((a, b)),
        _ => None,
    }
}

fn is_int(ty: &FieldType, size: u32, align: u64, order: ByteOrder, clock: bool) -> bool {
    let FieldType::Int(IntType {
        size: s,
        align: a,
        signed,
        order: o,
        clock: c,
        ..
    }) = ty
    else {
        return false;
    };
    *s == size && *a == align && !signed && *o == order && c.is_some() == clock
}
