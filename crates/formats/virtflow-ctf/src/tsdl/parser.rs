//! The parser's machinery: tokens ahead, scopes of type names, and the text as a whole.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::lexer::{Kind, Lexer, Token, error_at, shorten};
use super::raw::{Document, Raw, RawKind, RawPath, RawRef};
use crate::error::{MetadataError, MetadataErrorKind};

pub(super) type Result<T> = std::result::Result<T, MetadataError>;

/// The declarations of `text`.
pub(crate) fn parse(text: &str) -> Result<Document> {
    let mut parser = Parser::new(text)?;
    while parser.peek.kind != Kind::End {
        parser.declaration()?;
    }
    Ok(parser.document)
}

/// Which of C's name spaces a name lives in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Space {
    Alias,
    Struct,
    Variant,
    Enum,
}

#[derive(Default)]
struct Scope {
    // Keyed hashing: the names are whatever a file says.
    types: HashMap<(Space, String), RawRef>,
}

pub(super) struct Parser<'t> {
    lexer: Lexer<'t>,
    pub(super) peek: Token<'t>,
    scopes: Vec<Scope>,
    /// How many type expressions are being parsed inside one another.
    pub(super) depth: u32,
    pub(super) document: Document,
    items: u64,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Result<Self> {
        let mut lexer = Lexer::new(text);
        let peek = lexer.next()?;
        let scopes = vec![Scope::default()];
        Ok(Self {
            lexer,
            peek,
            scopes,
            depth: 0,
            document: Document::default(),
            items: 0,
        })
    }

    pub(super) fn error(&self, at: usize, kind: MetadataErrorKind) -> MetadataError {
        error_at(self.lexer.text(), at, kind)
    }

    pub(super) fn invalid(&self, at: usize, what: &'static str) -> MetadataError {
        self.error(at, MetadataErrorKind::Invalid(what))
    }

    pub(super) fn expected(&self, expected: &'static str) -> MetadataError {
        let found = self.peek.kind.describe();
        self.error(
            self.peek.at,
            MetadataErrorKind::Expected { expected, found },
        )
    }

    /// Takes the token ahead.
    pub(super) fn advance(&mut self) -> Result<Token<'t>> {
        let next = self.lexer.next()?;
        Ok(std::mem::replace(&mut self.peek, next))
    }

    pub(super) fn at_punct(&self, byte: u8) -> bool {
        self.peek.kind == Kind::Punct(byte)
    }

    pub(super) fn at_word(&self, word: &str) -> bool {
        matches!(self.peek.kind, Kind::Word(ahead) if ahead == word)
    }

    /// Takes the token ahead if it is `byte`.
    pub(super) fn eat(&mut self, byte: u8) -> Result<bool> {
        let here = self.at_punct(byte);
        if here {
            self.advance()?;
        }
        Ok(here)
    }

    pub(super) fn expect(&mut self, byte: u8, name: &'static str) -> Result<()> {
        if self.eat(byte)? {
            Ok(())
        } else {
            Err(self.expected(name))
        }
    }

    pub(super) fn word(&mut self, expected: &'static str) -> Result<&'t str> {
        let Kind::Word(word) = self.peek.kind else {
            return Err(self.expected(expected));
        };
        self.advance()?;
        Ok(word)
    }

    /// Counts one more thing that takes memory.
    pub(super) fn count(&mut self) -> Result<()> {
        self.items += 1;
        if self.items > super::ITEMS_MAX {
            let kind = MetadataErrorKind::TooMany {
                what: "declarations",
                max: super::ITEMS_MAX,
            };
            return Err(self.error(self.peek.at, kind));
        }
        Ok(())
    }

    pub(super) fn open_scope(&mut self) {
        self.scopes.push(Scope::default());
    }

    pub(super) fn close_scope(&mut self) {
        self.scopes.pop();
    }

    pub(super) fn find(&self, space: Space, name: &str) -> Option<RawRef> {
        let key = (space, name.to_owned());
        self.scopes
            .iter()
            .rev()
            .find_map(|scope| scope.types.get(&key))
            .cloned()
    }

    pub(super) fn lookup(&self, space: Space, name: &str, at: usize) -> Result<RawRef> {
        self.find(space, name)
            .ok_or_else(|| self.error(at, MetadataErrorKind::UnknownType(shorten(name))))
    }

    pub(super) fn declare(
        &mut self,
        space: Space,
        name: &str,
        ty: &RawRef,
        at: usize,
    ) -> Result<()> {
        self.count()?;
        let fresh = self.scopes.last_mut().is_none_or(|scope| {
            scope
                .types
                .insert((space, name.to_owned()), Arc::clone(ty))
                .is_none()
        });
        if fresh {
            Ok(())
        } else {
            Err(self.error(
                at,
                MetadataErrorKind::Duplicate(format!("type `{}`", shorten(name))),
            ))
        }
    }

    /// Puts a type together, if it does not nest too deeply.
    pub(super) fn make(&self, kind: RawKind, at: usize) -> Result<RawRef> {
        let depth = 1 + match &kind {
            RawKind::Struct { fields, .. } => deepest(fields.iter().map(|field| &field.ty)),
            RawKind::Variant { options, .. } => deepest(options.iter().map(|option| &option.ty)),
            RawKind::Array { element, .. } | RawKind::Sequence { element, .. } => element.depth,
            RawKind::Int(_) | RawKind::Float(_) | RawKind::Enum(..) | RawKind::String(_) => 0,
        };
        if depth > super::DEPTH_MAX {
            return Err(self.error(at, MetadataErrorKind::TooDeep(super::DEPTH_MAX)));
        }
        Ok(Arc::new(Raw { kind, depth, at }))
    }

    /// `a.b.c` as one text.
    pub(super) fn dotted(&mut self, expected: &'static str) -> Result<Cow<'t, str>> {
        let mut whole = Cow::Borrowed(self.word(expected)?);
        while self.eat(b'.')? {
            let part = self.word("a name behind the dot")?;
            let text = whole.to_mut();
            text.push('.');
            text.push_str(part);
        }
        Ok(whole)
    }

    /// `a.b.c`, where the first word is already known to be ahead.
    pub(super) fn path(&mut self, expected: &'static str) -> Result<RawPath> {
        let at = self.peek.at;
        let mut parts: Vec<Arc<str>> = vec![self.word(expected)?.into()];
        while self.eat(b'.')? {
            parts.push(self.word("a name behind the dot")?.into());
        }
        Ok(RawPath {
            parts: parts.into(),
            at,
        })
    }
}

fn deepest<'r>(types: impl Iterator<Item = &'r RawRef>) -> u32 {
    types.map(|ty| ty.depth).max().unwrap_or(0)
}
