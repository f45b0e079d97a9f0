//! Type expressions and declarators (CTF 1.8 sections 4 and 7.3.2, appendix C.2).

use std::sync::Arc;

use super::lexer::Kind;
use super::parser::{Parser, Result, Space};
use super::raw::{RawField, RawFloat, RawInt, RawKind, RawPath, RawRef, RawValue};
use crate::error::MetadataErrorKind;
use crate::metadata::{Base, Encoding, EnumMapping};

/// The words C builds its own type names from.
const C_WORDS: [&str; 12] = [
    "void",
    "char",
    "short",
    "int",
    "long",
    "float",
    "double",
    "signed",
    "unsigned",
    "_Bool",
    "_Complex",
    "_Imaginary",
];

/// The part of a declarator in brackets.
enum Dimension {
    Fixed(u64),
    Counted(RawPath),
}

impl<'t> Parser<'t> {
    /// Whether a type declaration, rather than an attribute, begins here.
    pub(super) fn at_type_declaration(&self) -> bool {
        matches!(
            self.peek.kind,
            Kind::Word("typedef" | "typealias" | "struct" | "variant" | "enum")
        )
    }

    /// `typedef`, `typealias`, or a named type that is only declared.
    pub(super) fn type_declaration(&mut self) -> Result<()> {
        if self.at_word("typedef") {
            self.typedef()?;
        } else if self.at_word("typealias") {
            self.typealias()?;
        } else {
            self.type_expression()?;
        }
        self.expect(b';', "`;` behind the type")
    }

    fn typedef(&mut self) -> Result<()> {
        self.advance()?;
        let base = self.type_expression()?;
        loop {
            let at = self.peek.at;
            let (name, ty) = self.declarator(&base)?;
            self.declare(Space::Alias, name, &ty, at)?;
            if !self.eat(b',')? {
                return Ok(());
            }
        }
    }

    fn typealias(&mut self) -> Result<()> {
        self.advance()?;
        let base = self.type_expression()?;
        let at = self.peek.at;
        let dimensions = self.dimensions()?;
        let ty = self.apply(base, dimensions, at)?;
        if self.peek.kind != Kind::Assign {
            return Err(self.expected("`:=`"));
        }
        self.advance()?;
        let at = self.peek.at;
        let mut name = String::new();
        loop {
            match self.peek.kind {
                Kind::Word("const") => {}
                Kind::Word(word) => join(&mut name, word),
                Kind::Punct(b'*') => join(&mut name, "*"),
                _ => break,
            }
            self.advance()?;
        }
        if name.is_empty() {
            return Err(self.expected("the alias"));
        }
        self.declare(Space::Alias, &name, &ty, at)
    }

    /// A type without declarators.
    pub(super) fn type_expression(&mut self) -> Result<RawRef> {
        if self.depth >= super::DEPTH_MAX {
            return Err(self.error(self.peek.at, MetadataErrorKind::TooDeep(super::DEPTH_MAX)));
        }
        self.depth += 1;
        let ty = self.type_expression_here();
        self.depth -= 1;
        ty
    }

    fn type_expression_here(&mut self) -> Result<RawRef> {
        while self.at_word("const") {
            self.advance()?;
        }
        let Kind::Word(word) = self.peek.kind else {
            return Err(self.expected("a type"));
        };
        let at = self.peek.at;
        match word {
            "struct" => self.structure(at),
            "variant" => self.variant(at),
            "enum" => self.enumeration(at),
            "integer" | "floating_point" | "string" => {
                self.advance()?;
                match word {
                    "integer" => self.integer(at),
                    "floating_point" => self.float(at),
                    _ => self.string(at),
                }
            }
            _ => self.named(at),
        }
    }

    /// `uint32_t`, `unsigned long`, `const char *`.
    fn named(&mut self, at: usize) -> Result<RawRef> {
        let mut name = String::new();
        while let Kind::Word(word) = self.peek.kind {
            if C_WORDS.contains(&word) {
                join(&mut name, word);
            } else if word != "const" {
                if !name.is_empty() {
                    break;
                }
                name.push_str(word);
                self.advance()?;
                break;
            }
            self.advance()?;
        }
        while self.at_punct(b'*') || self.at_word("const") {
            if self.at_punct(b'*') {
                join(&mut name, "*");
            }
            self.advance()?;
        }
        self.lookup(Space::Alias, &name, at)
    }

    fn integer(&mut self, at: usize) -> Result<RawRef> {
        let int = self.integer_body(at)?;
        self.make(RawKind::Int(int), at)
    }

    fn integer_body(&mut self, at: usize) -> Result<RawInt> {
        let (mut size, mut align) = (None, None);
        let mut int = RawInt {
            size: 0,
            align: 1,
            signed: false,
            order: None,
            base: Base::Decimal,
            encoding: Encoding::None,
            clock: None,
            at,
        };
        self.expect(b'{', "`{`")?;
        while !self.eat(b'}')? {
            let attribute = self.attribute()?;
            match &*attribute.name {
                "size" => size = Some((self.unsigned(&attribute, "size")?, attribute.at)),
                "align" => align = Some(self.align(&attribute)?),
                "signed" => int.signed = self.boolean(&attribute, "signed")?,
                "byte_order" => int.order = self.byte_order(&attribute)?,
                "base" => int.base = self.base(&attribute)?,
                "encoding" => int.encoding = self.encoding(&attribute)?,
                "map" => int.clock = self.clock_name(&attribute.value),
                _ => {}
            }
        }
        let Some((size, size_at)) = size else {
            return Err(self.error(at, MetadataErrorKind::Missing("size")));
        };
        if !(1..=64).contains(&size) {
            let kind = MetadataErrorKind::BadAttribute {
                attribute: "size",
                why: "must be 1 to 64",
            };
            return Err(self.error(size_at, kind));
        }
        int.size = size as u32;
        // CTF 1.8 section 4.1.5: whole bytes are aligned on bytes unless they say otherwise.
        int.align = align.unwrap_or(if size % 8 == 0 { 8 } else { 1 });
        Ok(int)
    }

    /// The clock in `clock.NAME.value`; other maps mean nothing to CTF 1.8.
    fn clock_name(&self, value: &RawValue) -> Option<Arc<str>> {
        let RawValue::Path(path) = value else {
            return None;
        };
        Some(path.strip_prefix("clock.")?.strip_suffix(".value")?.into())
    }

    fn float(&mut self, at: usize) -> Result<RawRef> {
        let (mut exp, mut mant, mut align, mut order) = (None, None, None, None);
        self.expect(b'{', "`{`")?;
        while !self.eat(b'}')? {
            let attribute = self.attribute()?;
            match &*attribute.name {
                "exp_dig" => exp = Some(self.unsigned(&attribute, "exp_dig")?),
                "mant_dig" => mant = Some(self.unsigned(&attribute, "mant_dig")?),
                "align" => align = Some(self.align(&attribute)?),
                "byte_order" => order = self.byte_order(&attribute)?,
                _ => {}
            }
        }
        let missing = |name| self.error(at, MetadataErrorKind::Missing(name));
        let exp = exp.ok_or_else(|| missing("exp_dig"))?;
        let mant = mant.ok_or_else(|| missing("mant_dig"))?;
        if exp == 0 || mant == 0 || exp > 1024 || mant > 1024 {
            return Err(self.invalid(at, "a floating point number of an impossible size"));
        }
        let align = align.unwrap_or(if (exp + mant) % 8 == 0 { 8 } else { 1 });
        let float = RawFloat {
            exp_dig: exp as u32,
            mant_dig: mant as u32,
            align,
            order,
        };
        self.make(RawKind::Float(float), at)
    }

    fn string(&mut self, at: usize) -> Result<RawRef> {
        let mut encoding = Encoding::Utf8;
        if self.eat(b'{')? {
            while !self.eat(b'}')? {
                let attribute = self.attribute()?;
                if attribute.name == "encoding" {
                    encoding = self.encoding(&attribute)?;
                }
            }
        }
        self.make(RawKind::String(encoding), at)
    }

    fn structure(&mut self, at: usize) -> Result<RawRef> {
        self.advance()?;
        let name = self.optional_name()?;
        if !self.at_punct(b'{') {
            let Some(name) = name else {
                return Err(self.expected("a name or `{`"));
            };
            return self.lookup(Space::Struct, name, at);
        }
        let fields = self.members()?;
        let mut align = 1;
        if self.at_word("align") {
            self.advance()?;
            self.expect(b'(', "`(`")?;
            let number_at = self.peek.at;
            let bits = self.number("an alignment in bits")?;
            align = self.alignment(number_at, bits)?;
            self.expect(b')', "`)`")?;
        }
        let ty = self.make(RawKind::Struct { fields, align }, at)?;
        if let Some(name) = name {
            self.declare(Space::Struct, name, &ty, at)?;
        }
        Ok(ty)
    }

    fn optional_name(&mut self) -> Result<Option<&'t str>> {
        match self.peek.kind {
            Kind::Word(name) if name != "align" => {
                self.advance()?;
                Ok(Some(name))
            }
            _ => Ok(None),
        }
    }

    fn variant(&mut self, at: usize) -> Result<RawRef> {
        self.advance()?;
        let name = match self.peek.kind {
            Kind::Word(name) => {
                self.advance()?;
                Some(name)
            }
            _ => None,
        };
        let mut tag = None;
        if self.eat(b'<')? {
            tag = Some(self.path("the variant's tag")?);
            self.expect(b'>', "`>`")?;
        }
        let options: Arc<[RawField]> = if self.at_punct(b'{') {
            self.members()?.into()
        } else {
            let Some(name) = name else {
                return Err(self.expected("a name, a tag or `{`"));
            };
            let known = self.lookup(Space::Variant, name, at)?;
            let RawKind::Variant {
                options,
                tag: known_tag,
            } = &known.kind
            else {
                return Err(self.invalid(at, "not a variant"));
            };
            if tag.is_none() || known_tag.is_some() {
                return Ok(known);
            }
            return self.make(
                RawKind::Variant {
                    tag,
                    options: Arc::clone(options),
                },
                at,
            );
        };
        if options.is_empty() {
            return Err(self.invalid(at, "a variant without options"));
        }
        let ty = self.make(RawKind::Variant { tag, options }, at)?;
        if let Some(name) = name {
            self.declare(Space::Variant, name, &ty, at)?;
        }
        Ok(ty)
    }

    /// `{ TYPE NAME; ... }` of a structure or variant.
    fn members(&mut self) -> Result<Vec<RawField>> {
        self.expect(b'{', "`{`")?;
        self.open_scope();
        let mut fields: Vec<RawField> = Vec::new();
        while !self.eat(b'}')? {
            if self.at_word("typedef") || self.at_word("typealias") {
                self.type_declaration()?;
                continue;
            }
            let base = self.type_expression()?;
            if self.eat(b';')? {
                continue;
            }
            loop {
                let (name, ty) = self.declarator(&base)?;
                self.count()?;
                fields.push(RawField {
                    name: name.into(),
                    ty,
                });
                if !self.eat(b',')? {
                    break;
                }
            }
            self.expect(b';', "`;` behind the field")?;
        }
        self.close_scope();
        self.unique(&fields)?;
        Ok(fields)
    }

    fn unique(&self, fields: &[RawField]) -> Result<()> {
        let mut names: Vec<&RawField> = fields.iter().collect();
        names.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        match names.windows(2).find(|pair| pair[0].name == pair[1].name) {
            None => Ok(()),
            Some(pair) => {
                let what = format!("field `{}`", super::lexer::shorten(&pair[1].name));
                Err(self.error(pair[1].ty.at, MetadataErrorKind::Duplicate(what)))
            }
        }
    }

    /// `NAME`, `NAME[4]`, `NAME[len][2]`.
    fn declarator(&mut self, base: &RawRef) -> Result<(&'t str, RawRef)> {
        let at = self.peek.at;
        let Kind::Word(name) = self.peek.kind else {
            return Err(self.expected("a field name"));
        };
        self.advance()?;
        let dimensions = self.dimensions()?;
        Ok((name, self.apply(Arc::clone(base), dimensions, at)?))
    }

    fn dimensions(&mut self) -> Result<Vec<Dimension>> {
        let mut dimensions = Vec::new();
        while self.eat(b'[')? {
            dimensions.push(match self.peek.kind {
                Kind::Word(_) => Dimension::Counted(self.path("a length")?),
                _ => {
                    let at = self.peek.at;
                    let len = u64::try_from(self.number("a length")?)
                        .map_err(|_| self.invalid(at, "a negative length"))?;
                    Dimension::Fixed(len)
                }
            });
            self.expect(b']', "`]`")?;
            if dimensions.len() > super::DEPTH_MAX as usize {
                return Err(self.error(self.peek.at, MetadataErrorKind::TooDeep(super::DEPTH_MAX)));
            }
        }
        Ok(dimensions)
    }

    /// As in C, `a[2][3]` is two elements of three each.
    fn apply(&self, base: RawRef, dimensions: Vec<Dimension>, at: usize) -> Result<RawRef> {
        let mut ty = base;
        for dimension in dimensions.into_iter().rev() {
            ty = self.make(
                match dimension {
                    Dimension::Fixed(len) => RawKind::Array { element: ty, len },
                    Dimension::Counted(len) => RawKind::Sequence { element: ty, len },
                },
                at,
            )?;
        }
        Ok(ty)
    }

    fn enumeration(&mut self, at: usize) -> Result<RawRef> {
        self.advance()?;
        let name = match self.peek.kind {
            Kind::Word(name) => {
                self.advance()?;
                Some(name)
            }
            _ => None,
        };
        let container = if self.eat(b':')? {
            Some(self.type_expression()?)
        } else {
            None
        };
        if !self.at_punct(b'{') {
            let (Some(name), None) = (name, container) else {
                return Err(self.expected("`{`"));
            };
            return self.lookup(Space::Enum, name, at);
        }
        let container = match container {
            Some(container) => container,
            None => self.lookup(Space::Alias, "int", at)?,
        };
        let RawKind::Int(int) = &container.kind else {
            return Err(self.invalid(at, "an enumeration of something other than integers"));
        };
        let mappings = self.mappings()?;
        let ty = self.make(RawKind::Enum(int.clone(), mappings.into()), at)?;
        if let Some(name) = name {
            self.declare(Space::Enum, name, &ty, at)?;
        }
        Ok(ty)
    }

    /// `{ A, B = 3, "C" = -1 ... 4, }`
    fn mappings(&mut self) -> Result<Vec<EnumMapping>> {
        self.expect(b'{', "`{`")?;
        let mut mappings = Vec::new();
        let mut next = 0_i128;
        while !self.eat(b'}')? {
            let label: Arc<str> = match &self.peek.kind {
                Kind::Word(word) => Arc::from(*word),
                Kind::Text(text) => Arc::from(&**text),
                _ => return Err(self.expected("a label")),
            };
            self.advance()?;
            let (mut low, mut high) = (next, next);
            if self.eat(b'=')? {
                let at = self.peek.at;
                low = self.number("a value")?;
                high = low;
                if self.peek.kind == Kind::Ellipsis {
                    self.advance()?;
                    high = self.number("the end of the range")?;
                }
                if high < low {
                    return Err(self.invalid(at, "a range that ends before it begins"));
                }
            }
            next = high + 1;
            self.count()?;
            mappings.push(EnumMapping { label, low, high });
            if !self.eat(b',')? {
                self.expect(b'}', "`,` or `}`")?;
                break;
            }
        }
        Ok(mappings)
    }
}

fn join(name: &mut String, word: &str) {
    if !name.is_empty() {
        name.push(' ');
    }
    name.push_str(word);
}
