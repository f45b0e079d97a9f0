//! Names to fields: the native byte order, clocks, and which field a length or tag means
//! (CTF 1.8 section 7.3.2).

use std::collections::HashMap;
use std::sync::Arc;

use super::types::{
    ArrayType, Choice, EnumMapping, EnumType, Field, FieldType, FloatType, IntType, Reg, Scope,
    SequenceType, StringType, StructType, VariantType,
};
use crate::bits::ByteOrder;
use crate::clock::Clock;
use crate::error::{MetadataError, MetadataErrorKind};
use crate::tsdl::raw::{RawField, RawInt, RawKind, RawPath, RawRef};
use crate::tsdl::{ITEMS_MAX, error_at};

type Result<T> = std::result::Result<T, MetadataError>;

/// What resolving needs to know of the whole trace.
pub(super) struct Context<'a> {
    pub(super) text: &'a str,
    pub(super) order: ByteOrder,
    pub(super) clocks: &'a [Clock],
    /// Types made so far; named types count each time they are used.
    pub(super) types: u64,
}

impl Context<'_> {
    pub(super) fn error(&self, at: usize, kind: MetadataErrorKind) -> MetadataError {
        error_at(self.text, at, kind)
    }

    fn count(&mut self, more: usize, at: usize) -> Result<()> {
        self.types += more as u64;
        if self.types > ITEMS_MAX {
            let kind = MetadataErrorKind::TooMany {
                what: "types in use",
                max: ITEMS_MAX,
            };
            return Err(self.error(at, kind));
        }
        Ok(())
    }
}

/// A structure that is being read.
struct Frame {
    fields: Vec<Field>,
    /// The field of the frame below that it is the type of.
    name: Option<Arc<str>>,
}

/// The field a length or tag means.
struct Target {
    reg: Reg,
    signed: bool,
    mappings: Option<Arc<[EnumMapping]>>,
}

/// Resolves the scopes of one stream class and, one after the other, of its event classes.
pub(super) struct Resolver<'a, 'c> {
    pub(super) context: &'a mut Context<'c>,
    /// The scopes read before the one in work.
    pub(super) scopes: [Option<StructType>; 6],
    /// Registers in use; 0 is the event's id.
    pub(super) registers: Reg,
    frames: Vec<Frame>,
    current: Scope,
}

impl<'a, 'c> Resolver<'a, 'c> {
    pub(super) fn new(context: &'a mut Context<'c>) -> Self {
        Self {
            context,
            scopes: [const { None }; 6],
            registers: 1,
            frames: Vec::new(),
            current: Scope::PacketHeader,
        }
    }

    /// Resolves a scope and keeps it for those behind it.
    pub(super) fn scope(&mut self, scope: Scope, raw: Option<&RawRef>) -> Result<()> {
        self.current = scope;
        self.frames.clear();
        let Some(raw) = raw else {
            self.scopes[scope as usize] = None;
            return Ok(());
        };
        let FieldType::Struct(structure) = self.resolve(raw, None)? else {
            let kind = MetadataErrorKind::Invalid("a scope must be a structure");
            return Err(self.context.error(raw.at, kind));
        };
        self.scopes[scope as usize] = Some(structure);
        Ok(())
    }

    fn resolve(&mut self, raw: &RawRef, name: Option<&Arc<str>>) -> Result<FieldType> {
        self.context.count(1, raw.at)?;
        Ok(match &raw.kind {
            RawKind::Int(int) => FieldType::Int(self.int(int)?),
            RawKind::Enum(int, mappings) => FieldType::Enum(EnumType {
                int: self.int(int)?,
                mappings: Arc::clone(mappings),
            }),
            RawKind::Float(float) => FieldType::Float(FloatType {
                size: float.exp_dig + float.mant_dig,
                reversed: false,
                align: float.align,
                order: float.order.unwrap_or(self.context.order),
                ieee: matches!((float.exp_dig, float.mant_dig), (8, 24) | (11, 53)),
            }),
            RawKind::String(encoding) => FieldType::String(StringType {
                encoding: *encoding,
            }),
            RawKind::Struct { fields, align } => self.structure(fields, *align, name)?,
            RawKind::Variant { tag, options } => {
                let Some(tag) = tag else {
                    let kind = MetadataErrorKind::Invalid("a variant without a tag");
                    return Err(self.context.error(raw.at, kind));
                };
                self.variant(tag, options)?
            }
            RawKind::Array { element, len } => FieldType::Array(ArrayType {
                element: Box::new(self.resolve(element, None)?),
                len: *len,
                align: 1,
                media: None,
            }),
            RawKind::Sequence { element, len } => {
                let target = self.target(len)?;
                FieldType::Sequence(SequenceType {
                    element: Box::new(self.resolve(element, None)?),
                    len: target.reg,
                    len_path: len.text().into(),
                    needs: None,
                    align: 1,
                    media: None,
                })
            }
        })
    }

    fn int(&self, raw: &RawInt) -> Result<IntType> {
        let clock = match &raw.clock {
            None => None,
            Some(name) => {
                let found = self
                    .context
                    .clocks
                    .iter()
                    .position(|clock| clock.name() == &**name);
                Some(found.ok_or_else(|| {
                    self.context
                        .error(raw.at, MetadataErrorKind::UnknownClock(name.to_string()))
                })?)
            }
        };
        Ok(IntType {
            size: raw.size,
            align: raw.align,
            signed: raw.signed,
            order: raw.order.unwrap_or(self.context.order),
            base: raw.base,
            encoding: raw.encoding,
            clock,
            reg: None,
            reversed: false,
            variable: false,
            keep: None,
        })
    }

    fn structure(
        &mut self,
        fields: &[RawField],
        align: u64,
        name: Option<&Arc<str>>,
    ) -> Result<FieldType> {
        self.frames.push(Frame {
            fields: Vec::new(),
            name: name.cloned(),
        });
        let mut align = align;
        for field in fields {
            let ty = self.resolve(&field.ty, Some(&field.name))?;
            align = align.max(ty.align());
            if let Some(frame) = self.frames.last_mut() {
                frame.fields.push(Field {
                    raw_name: Arc::clone(&field.name),
                    ty,
                    verbatim: false,
                });
            }
        }
        let fields = self
            .frames
            .pop()
            .map(|frame| frame.fields)
            .unwrap_or_default();
        Ok(FieldType::Struct(StructType { fields, align }))
    }

    fn variant(&mut self, tag: &RawPath, raw: &[RawField]) -> Result<FieldType> {
        let target = self.target(tag)?;
        let Some(mappings) = target.mappings else {
            let kind = MetadataErrorKind::Invalid("a variant's tag must be an enumeration");
            return Err(self.context.error(tag.at, kind));
        };
        let mut options = Vec::new();
        for option in raw {
            let ty = self.resolve(&option.ty, None)?;
            options.push(Field {
                raw_name: Arc::clone(&option.name),
                ty,
                verbatim: false,
            });
        }
        let choices = choices(&mappings, &options, target.signed);
        self.context.count(choices.len(), tag.at)?;
        Ok(FieldType::Variant(VariantType {
            choices,
            options,
            tag: target.reg,
            tag_path: tag.text().into(),
            tag_signed: target.signed,
            needs: None,
        }))
    }

    /// The field `path` means here; its value will be kept from now on.
    fn target(&mut self, path: &RawPath) -> Result<Target> {
        let mut fresh = self.registers;
        let target = self.find(path, &mut fresh);
        self.registers = fresh;
        target.ok_or_else(|| {
            let text = crate::tsdl::shorten(&path.text());
            self.context
                .error(path.at, MetadataErrorKind::UnknownField(text))
        })
    }

    fn find(&mut self, path: &RawPath, fresh: &mut Reg) -> Option<Target> {
        for scope in Scope::ALL {
            let Some(rest) = strip_scope(&path.parts, scope) else {
                continue;
            };
            return if scope == self.current {
                self.find_in_frames(rest, fresh)
            } else {
                descend(
                    &mut self.scopes[scope as usize].as_mut()?.fields,
                    rest,
                    fresh,
                )
            };
        }
        for frame in self.frames.iter_mut().rev() {
            if let Some(target) = descend(&mut frame.fields, &path.parts, fresh) {
                return Some(target);
            }
        }
        let before = &mut self.scopes[..self.current as usize];
        before
            .iter_mut()
            .rev()
            .flatten()
            .find_map(|scope| descend(&mut scope.fields, &path.parts, fresh))
    }

    /// An absolute path into the scope in work, maybe into a structure that is not complete yet.
    fn find_in_frames(&mut self, path: &[Arc<str>], fresh: &mut Reg) -> Option<Target> {
        let mut rest = path;
        for i in 0..self.frames.len() {
            if let Some(target) = descend(&mut self.frames[i].fields, rest, fresh) {
                return Some(target);
            }
            let (first, tail) = rest.split_first()?;
            if self.frames.get(i + 1)?.name.as_ref() != Some(first) {
                return None;
            }
            rest = tail;
        }
        None
    }
}

/// What follows the name of `scope` in `path`.
fn strip_scope(path: &[Arc<str>], scope: Scope) -> Option<&[Arc<str>]> {
    let mut rest = path;
    for part in scope.as_str().split('.') {
        let (first, tail) = rest.split_first()?;
        if &**first != part {
            return None;
        }
        rest = tail;
    }
    (!rest.is_empty()).then_some(rest)
}

/// The integer at `path`, through structures only: what lies in a variant or an array need not
/// be there, or is there more than once.
fn descend(fields: &mut [Field], path: &[Arc<str>], fresh: &mut Reg) -> Option<Target> {
    let (first, rest) = path.split_first()?;
    let field = fields.iter_mut().find(|field| field.raw_name == *first)?;
    if !rest.is_empty() {
        let FieldType::Struct(structure) = &mut field.ty else {
            return None;
        };
        return descend(&mut structure.fields, rest, fresh);
    }
    let mappings = match &field.ty {
        FieldType::Enum(enumeration) => Some(Arc::clone(&enumeration.mappings)),
        _ => None,
    };
    let int = field.ty.int_mut()?;
    let reg = *int.reg.get_or_insert_with(|| {
        *fresh += 1;
        *fresh - 1
    });
    Some(Target {
        reg,
        signed: int.signed,
        mappings,
    })
}

fn choices(mappings: &[EnumMapping], options: &[Field], signed: bool) -> Vec<Choice> {
    let by_name: HashMap<&str, u32> = (0..)
        .zip(options)
        .map(|(i, option)| (option.raw_name(), i))
        .collect();
    let (min, max) = if signed {
        (i128::from(i64::MIN), i128::from(i64::MAX))
    } else {
        (0, i128::from(u64::MAX))
    };
    let key = |value: i128| Choice::key(value as u64, signed);
    let mut choices = Vec::new();
    for mapping in mappings {
        let Some(&option) = by_name.get(&*mapping.label) else {
            continue;
        };
        let (low, high) = (mapping.low.max(min), mapping.high.min(max));
        if low <= high {
            choices.push(Choice {
                low: key(low),
                high: key(high),
                option,
            });
        }
    }
    choices
}
