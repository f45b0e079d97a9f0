//! Field locations: which field a length or selector is (CTF 2 sections 5.3.1 and 6.4.2).
//!
//! Where the way leads through variants and optionals, there may be several such fields, of which
//! an event has one or none: all of them keep their value in one register, and set a flag that is
//! cleared before the outermost choice they lie in.

use std::sync::Arc;

use super::classes::Types;
use super::json::Json;
use super::property::{Result, array, bad, must, object, text};
use crate::error::FragmentErrorKind;
use crate::metadata::{Field, FieldType, IntType, Reg, Scope};

/// The field a length or selector is.
pub(super) struct Target {
    pub(super) reg: Reg,
    /// The flag that says whether it was read, where that may not be so.
    pub(super) needs: Option<Reg>,
    pub(super) signed: bool,
    pub(super) boolean: bool,
    /// The way to it, for people.
    pub(super) path: Arc<str>,
}

/// What a field is looked for as.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Length,
    /// Of a variant.
    Option,
    /// Of an optional field.
    Presence,
}

impl Use {
    const fn what(self) -> &'static str {
        match self {
            Self::Length => "unsigned integer",
            Self::Option => "integer",
            Self::Presence => "integer or boolean",
        }
    }

    fn takes(self, ty: &FieldType) -> bool {
        match (self, ty) {
            (Self::Presence, FieldType::Bool(_)) => true,
            (Self::Length, FieldType::Int(int)) => !int.signed,
            (Self::Length, FieldType::Enum(ty)) => !ty.int.signed,
            (_, FieldType::Int(_) | FieldType::Enum(_)) => true,
            _ => false,
        }
    }
}

/// A structure on the way.
#[derive(Clone, Copy)]
enum Base {
    /// One that is being resolved, counted from the scope's own.
    Frame(usize),
    /// That of a scope that is complete.
    Scope(Scope),
}

const ORIGINS: [(&str, Scope); 6] = [
    ("packet-header", Scope::PacketHeader),
    ("packet-context", Scope::PacketContext),
    ("event-record-header", Scope::EventHeader),
    ("event-record-common-context", Scope::StreamContext),
    ("event-record-specific-context", Scope::EventContext),
    ("event-record-payload", Scope::Payload),
];

impl Types<'_> {
    /// The field at the location in property `name` of `class`.
    pub(super) fn locate(&mut self, class: &Json, name: &'static str, used: Use) -> Result<Target> {
        let location = must(object(class, name)?, name)?;
        let path = must(array(location, "path")?, "path")?;
        let origin = text(location, "origin")?;
        let shown = shown(origin, path);
        let unknown = || FragmentErrorKind::UnknownField {
            path: crate::tsdl::shorten(&shown),
            what: used.what(),
        };
        if path.last().is_none_or(|last| last.as_text().is_none()) {
            return bad("path", "must end in a name");
        }
        let base = self.base(origin)?.ok_or_else(unknown)?;
        let (base, names) = self.walk(base, path)?.ok_or_else(unknown)?;
        let fields = match base {
            Base::Frame(frame) => &mut self.frames[frame].fields,
            Base::Scope(scope) => match &mut self.scopes[scope as usize] {
                Some(structure) => &mut structure.fields,
                None => return Err(unknown().into()),
            },
        };
        let mut found = Vec::new();
        members(fields, &names, false, &mut found);
        let known = found.first().map(|(ty, _)| (is_boolean(ty), is_signed(ty)));
        let (boolean, signed) = known.ok_or_else(unknown)?;
        let same = |ty: &FieldType| is_boolean(ty) == boolean && is_signed(ty) == signed;
        if found.iter().any(|(ty, _)| !used.takes(ty) || !same(ty)) {
            return Err(unknown().into());
        }
        super::classes::count(self.types, found.len() as u64)?;
        let (reg, needs) = keep(found, self.registers);
        Ok(Target {
            reg,
            needs,
            signed,
            boolean,
            path: shown.into(),
        })
    }

    /// Where the way begins.
    fn base(&self, origin: Option<&str>) -> Result<Option<Base>> {
        let innermost = self.frames.len().checked_sub(1);
        let Some(origin) = origin else {
            return Ok(innermost.map(Base::Frame));
        };
        let Some((_, scope)) = ORIGINS.iter().find(|(name, _)| *name == origin) else {
            return bad("origin", "is none that there is");
        };
        Ok(if *scope == self.current {
            innermost.map(|_| Base::Frame(0))
        } else {
            (*scope < self.current).then_some(Base::Scope(*scope))
        })
    }

    /// The last structure on the way that is not complete, or that of a scope, and the names from
    /// there.
    fn walk<'p>(&self, from: Base, path: &'p [Json]) -> Result<Option<(Base, Vec<&'p str>)>> {
        let mut base = from;
        let mut names = Vec::new();
        for step in path {
            match step {
                Json::Null => {
                    if names.pop().is_none() {
                        match base {
                            Base::Frame(frame) if frame > 0 => base = Base::Frame(frame - 1),
                            _ => return Ok(None),
                        }
                    }
                }
                Json::Text(name) => match base {
                    Base::Frame(frame)
                        if names.is_empty()
                            && frame + 1 < self.frames.len()
                            && self.frames[frame].member.as_deref() == Some(name) =>
                    {
                        base = Base::Frame(frame + 1);
                    }
                    _ => names.push(&**name),
                },
                _ => return bad("path", "must be names and nulls"),
            }
        }
        Ok((!names.is_empty()).then_some((base, names)))
    }
}

/// The way as people read it: `event-record-header/a/b`, `../a`.
fn shown(origin: Option<&str>, path: &[Json]) -> String {
    let steps = path.iter().map(|step| step.as_text().unwrap_or(".."));
    origin
        .into_iter()
        .chain(steps)
        .collect::<Vec<_>>()
        .join("/")
}

/// The numbers at `names` below `fields`, and whether an event may lack them. What lies in an array
/// is there more than once: nothing leads into one.
fn members<'f>(
    fields: &'f mut [Field],
    names: &[&str],
    conditional: bool,
    found: &mut Vec<(&'f mut FieldType, bool)>,
) {
    let Some((first, rest)) = names.split_first() else {
        return;
    };
    if let Some(field) = fields.iter_mut().find(|field| &*field.raw_name == *first) {
        below(&mut field.ty, rest, conditional, found);
    }
}

fn below<'f>(
    ty: &'f mut FieldType,
    names: &[&str],
    conditional: bool,
    found: &mut Vec<(&'f mut FieldType, bool)>,
) {
    match ty {
        FieldType::Variant(variant) => {
            for option in &mut variant.options {
                below(&mut option.ty, names, true, found);
            }
        }
        FieldType::Optional(optional) => below(&mut optional.field, names, true, found),
        FieldType::Struct(structure) => members(&mut structure.fields, names, conditional, found),
        _ if names.is_empty() => found.push((ty, conditional)),
        _ => {}
    }
}

const fn is_boolean(ty: &FieldType) -> bool {
    matches!(ty, FieldType::Bool(_))
}

fn is_signed(ty: &FieldType) -> bool {
    ty.int().is_some_and(|int| int.signed)
}

/// Lets every one of `found` keep its value in one register, which is given with its flag.
fn keep(found: Vec<(&mut FieldType, bool)>, registers: &mut Reg) -> (Reg, Option<Reg>) {
    let mut fresh = || {
        *registers += 1;
        *registers - 1
    };
    let conditional = found.iter().any(|(_, conditional)| *conditional);
    let mut ints: Vec<&mut IntType> = found
        .into_iter()
        .filter_map(|(ty, _)| ty.int_mut())
        .collect();
    if let [int] = ints.as_mut_slice() {
        let reg = *int.reg.get_or_insert_with(&mut fresh);
        let needs = conditional.then(|| {
            let keep = int.keep_mut();
            *keep.own.get_or_insert_with(|| {
                let flag = fresh();
                keep.flags.push(flag);
                flag
            })
        });
        return (reg, needs);
    }
    let (reg, flag) = (fresh(), fresh());
    for int in ints {
        let keep = int.keep_mut();
        keep.regs.push(reg);
        keep.flags.push(flag);
    }
    (reg, Some(flag))
}
