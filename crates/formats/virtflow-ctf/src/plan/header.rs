//! Event headers: the two that LTTng writes, and all others.

use super::Op;
use super::compile::Compiler;
use crate::bits::ByteOrder;
use crate::metadata::{Choice, Field, FieldType, IntType, Reg, StructType, VariantType};

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
    /// excepted, and `named` when the id is what is called so rather than what keeps register 0.
    pub(crate) fn new(header: Option<&StructType>, may_be_fixed: bool, named: bool) -> Self {
        let Some(header) = header else {
            return Self::General {
                mask: 0,
                ops: Box::default(),
                has_id: false,
            };
        };
        if may_be_fixed && let Some(fixed) = fixed(header, named) {
            return Self::Fixed(fixed);
        }
        let mut compiler = Compiler::new(header.align, 0);
        compiler.header = true;
        compiler.named = named;
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
        Op::Leb(leb) => leb.regs.contains(&0),
        Op::Repeat { body, .. } => body.iter().any(reads_id),
        Op::Choose { options, .. } => options.iter().flatten().any(reads_id),
        _ => false,
    }
}

/// Recognises LTTng's two headers by their layout.
fn fixed(header: &StructType, named: bool) -> Option<Fixed> {
    let [id, v] = header.fields.as_slice() else {
        return None;
    };
    let id_type = match &id.ty {
        FieldType::Enum(id_type) => &id_type.int,
        FieldType::Int(id_type) if !named => id_type,
        _ => return None,
    };
    let FieldType::Variant(v) = &v.ty else {
        return None;
    };
    let order = id_type.order;
    let large = match (id_type.size, id_type.align) {
        (5, 1) => false,
        (16, 8) => true,
        _ => return None,
    };
    let tag = id_type.reg?;
    let is_id = |field: &Field| {
        if named {
            field.name() == "id"
        } else {
            keeps_only_id(&field.ty)
        }
    };
    let plain = !id_type.signed && !id_type.reversed && id_type.clock.is_none();
    if !is_id(id) || !plain || header.align != 8 || v.tag != tag {
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
    let is_time = |field: &Field, size, align| {
        is_int(&field.ty, size, align, order, true)
            && if named {
                field.name() != "id"
            } else {
                field.ty.int().is_some_and(|int| int.keep.is_none())
            }
    };
    let matches = is_time(timestamp, short_size, short_align)
        && is_int(&long_id.ty, 32, 8, order, false)
        && is_id(long_id)
        && is_time(long_timestamp, 64, 8);
    matches.then_some(Fixed { large, order, tag })
}

/// Whether an integer is the event's id by its role and is kept for nothing else.
fn keeps_only_id(ty: &FieldType) -> bool {
    let keep = ty.int().and_then(|int| int.keep.as_deref());
    keep.is_some_and(|keep| keep.regs == [0] && keep.flags.is_empty() && keep.seen.is_empty())
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
        reversed,
        variable,
        ..
    }) = ty
    else {
        return false;
    };
    let same = *s == size && *a == align && *o == order && c.is_some() == clock;
    same && !signed && !reversed && !variable
}
