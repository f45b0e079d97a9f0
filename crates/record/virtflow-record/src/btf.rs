//! The kernel's type information (Documentation/bpf/btf.rst of the kernel): structures, and what
//! tracepoints are given.

use std::collections::HashMap;

const MAGIC: u16 = 0xeb9f;
const HEADER_BYTES: usize = 24;

/// A type, as far as it is of use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    /// A structure or union: its size and its members.
    Struct(u32, Vec<Member>),
    /// It points to this one.
    Pointer(u32),
    /// Another name for this one, or this one with a qualifier.
    Alias(u32),
    /// An enumeration: its members' names and values.
    Enum(Vec<(u32, u32)>),
    /// A function with arguments of these types.
    Function(Vec<u32>),
    /// Something else.
    Other,
}

/// A member of a structure or union.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// Where its name is; 0 for none.
    name: u32,
    /// What it is.
    pub(crate) ty: u32,
    /// Where it lies.
    pub(crate) bits: u32,
}

/// The types of a kernel, or of a kernel and one of its modules.
#[derive(Clone, Debug, Default)]
pub(crate) struct Btf {
    strings: Vec<u8>,
    /// By number; the first one is `void`.
    types: Vec<(u32, Type)>,
    by_name: HashMap<Vec<u8>, Vec<u32>>,
}

impl Btf {
    /// Of the kernel itself.
    pub(crate) fn parse(data: &[u8]) -> Result<Self, &'static str> {
        let mut btf = Self {
            types: vec![(0, Type::Other)],
            ..Self::default()
        };
        btf.read(data)?;
        Ok(btf)
    }

    /// Of a module: its types and strings go on from the kernel's.
    pub(crate) fn with(&self, data: &[u8]) -> Result<Self, &'static str> {
        let mut btf = self.clone();
        btf.read(data)?;
        Ok(btf)
    }

    /// The type of that number.
    pub(crate) fn get(&self, number: u32) -> Option<&Type> {
        self.types.get(number as usize).map(|(_, ty)| ty)
    }

    /// The types of that name.
    pub(crate) fn named(&self, name: &str) -> impl Iterator<Item = &Type> {
        let numbers = self.by_name.get(name.as_bytes());
        numbers
            .into_iter()
            .flatten()
            .filter_map(|number| self.get(*number))
    }

    /// The value of the member of an enumeration that is called so.
    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        self.types.iter().find_map(|(_, ty)| match ty {
            Type::Enum(members) => {
                let mut members = members.iter();
                let member = members.find(|(at, _)| self.text(*at) == name.as_bytes());
                member.map(|(_, value)| *value)
            }
            _ => None,
        })
    }

    /// What a type is called.
    pub(crate) fn name(&self, number: u32) -> &[u8] {
        let at = self.types.get(number as usize).map_or(0, |(name, _)| *name);
        self.text(at)
    }

    /// What a member is called.
    pub(crate) fn member_name(&self, member: &Member) -> &[u8] {
        self.text(member.name)
    }

    fn text(&self, at: u32) -> &[u8] {
        let rest = self.strings.get(at as usize..).unwrap_or_default();
        rest.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    fn read(&mut self, data: &[u8]) -> Result<(), &'static str> {
        let word = |at: usize| {
            let bytes = data.get(at..at + 4)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?))
        };
        let short = "it ends too early";
        let magic = data.get(..2).ok_or(short)?;
        if magic != MAGIC.to_le_bytes() {
            return Err("it is no type information of a little-endian machine");
        }
        let header = word(4).ok_or(short)? as usize;
        let part = |offset: usize, length: usize| {
            let begin = header.checked_add(word(offset)? as usize)?;
            data.get(begin..begin.checked_add(word(length)? as usize)?)
        };
        if header < HEADER_BYTES {
            return Err("its header is too short");
        }
        let types = part(8, 12).ok_or(short)?;
        let strings = part(16, 20).ok_or(short)?;
        self.strings.extend_from_slice(strings);
        let mut rest = types;
        while !rest.is_empty() {
            let (name, ty, bytes) = one(rest).ok_or("a type ends too early")?;
            let number = self.types.len() as u32;
            self.types.push((name, ty));
            if name != 0 {
                let text = self.text(name).to_vec();
                self.by_name.entry(text).or_default().push(number);
            }
            rest = rest.get(bytes..).ok_or("a type ends too early")?;
        }
        Ok(())
    }
}

/// One type: where its name is, what it is, and how many bytes it takes.
fn one(data: &[u8]) -> Option<(u32, Type, usize)> {
    let word = |number: usize| {
        let bytes = data.get(number * 4..number * 4 + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let (name, info, third) = (word(0)?, word(1)?, word(2)?);
    let count = (info & 0xffff) as usize;
    let is_bits = info >> 31 == 1;
    let (ty, words) = match info >> 24 & 0x1f {
        // BTF_KIND_INT, _VAR, _DECL_TAG: one word more.
        1 | 14 | 17 => (Type::Other, 1),
        2 => (Type::Pointer(third), 0),
        3 => (Type::Other, 3),
        4 | 5 => {
            let members = (0..count).map(|member| {
                let at = 3 + member * 3;
                let place = word(at + 2)?;
                Some(Member {
                    name: word(at)?,
                    ty: word(at + 1)?,
                    // With bit fields the upper byte is a member's size in bits.
                    bits: if is_bits { place & 0xff_ffff } else { place },
                })
            });
            (
                Type::Struct(third, members.collect::<Option<_>>()?),
                count * 3,
            )
        }
        6 => {
            let members = (0..count).map(|at| Some((word(3 + at * 2)?, word(4 + at * 2)?)));
            (Type::Enum(members.collect::<Option<_>>()?), count * 2)
        }
        // Typedef, volatile, const, restrict, type tag.
        8..=11 | 18 => (Type::Alias(third), 0),
        13 => {
            let arguments = (0..count).map(|argument| word(4 + argument * 2));
            (Type::Function(arguments.collect::<Option<_>>()?), count * 2)
        }
        15 | 19 => (Type::Other, count * 3),
        // Forward, function, floating point.
        7 | 12 | 16 => (Type::Other, 0),
        _ => return None,
    };
    Some((name, ty, (3 + words) * 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A structure `s` with an int `a` at bit 32, and a pointer to it.
    fn made() -> Vec<u8> {
        let strings = b"\0int\0s\0a\0";
        let words: &[u32] = &[
            1,
            1 << 24,
            4,
            32, // 1: int
            5,
            4 << 24 | 1,
            8,
            7,
            1,
            32, // 2: struct s { int a; }
            0,
            2 << 24,
            2, // 3: s *
        ];
        let types: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut data = MAGIC.to_le_bytes().to_vec();
        data.extend([1, 0]);
        let header = [
            24,
            0,
            types.len() as u32,
            types.len() as u32,
            strings.len() as u32,
        ];
        data.extend(header.iter().flat_map(|word| word.to_le_bytes()));
        data.extend(types);
        data.extend(strings);
        data
    }

    #[test]
    fn types_are_found_by_name() {
        let btf = Btf::parse(&made()).unwrap();
        let Some(Type::Struct(8, members)) = btf.named("s").next() else {
            panic!("{btf:?}");
        };
        assert_eq!((members[0].ty, members[0].bits), (1, 32));
        assert_eq!(btf.member_name(&members[0]), b"a");
        assert_eq!(
            (btf.get(3), btf.name(2)),
            (Some(&Type::Pointer(2)), &b"s"[..])
        );
        // A module's go on from there.
        let both = btf.with(&made()).unwrap();
        assert_eq!((both.types.len(), both.named("s").count()), (7, 2));
    }

    #[test]
    fn what_is_broken_is_refused() {
        let whole = made();
        for length in 0..whole.len() {
            assert!(Btf::parse(&whole[..length]).is_err(), "{length}");
        }
        assert!(Btf::parse(b"\x7fELF and so on, which is long enough").is_err());
    }

    #[test]
    fn the_kernel_that_runs() {
        // Where it tells its types.
        let Ok(data) = std::fs::read("/sys/kernel/btf/vmlinux") else {
            return;
        };
        let btf = Btf::parse(&data).unwrap();
        let mut tasks = btf.named("task_struct");
        assert!(tasks.any(|ty| matches!(ty, Type::Struct(bytes, _) if *bytes > 1_000)));
    }
}
