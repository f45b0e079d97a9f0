//! The blocks of a TSDL text: `trace`, `env`, `clock`, `stream`, `event`, `callsite`.

use std::borrow::Cow;

use super::lexer::Kind;
use super::parser::{Parser, Result};
use super::raw::{RawClock, RawEvent, RawRef, RawStream};
use crate::error::MetadataErrorKind;

/// What stands on one line of a block.
enum Entry<'t> {
    Attribute(super::attributes::Attribute<'t>),
    Type {
        name: Cow<'t, str>,
        ty: RawRef,
        at: usize,
    },
}

impl<'t> Parser<'t> {
    /// One declaration at the top of the text.
    pub(super) fn declaration(&mut self) -> Result<()> {
        let at = self.peek.at;
        let Kind::Word(word) = self.peek.kind else {
            if self.eat(b';')? {
                return Ok(());
            }
            return Err(self.expected("a declaration"));
        };
        if self.at_type_declaration() {
            return self.type_declaration();
        }
        self.advance()?;
        match word {
            "callsite" => self.skip_block()?,
            "trace" => self.trace(at)?,
            "env" => self.env()?,
            "clock" => self.clock(at)?,
            "stream" => self.stream(at)?,
            "event" => self.event(at)?,
            _ => return Err(self.invalid(at, "a declaration of no known kind")),
        }
        self.eat(b';')?;
        Ok(())
    }

    /// `{ ... }` with whatever inside.
    fn skip_block(&mut self) -> Result<()> {
        self.expect(b'{', "`{`")?;
        let mut depth = 1_u64;
        while depth > 0 {
            match self.advance()?.kind {
                Kind::Punct(b'{') => depth += 1,
                Kind::Punct(b'}') => depth -= 1,
                Kind::End => return Err(self.expected("`}`")),
                _ => {}
            }
        }
        Ok(())
    }

    /// Gives each entry of a block to `take`.
    fn block(&mut self, mut take: impl FnMut(&Self, Entry<'t>) -> Result<()>) -> Result<()> {
        self.expect(b'{', "`{`")?;
        self.open_scope();
        while !self.eat(b'}')? {
            if self.at_type_declaration() {
                self.type_declaration()?;
                continue;
            }
            let at = self.peek.at;
            let name = self.dotted("an attribute or a type")?;
            let entry = if self.peek.kind == Kind::Assign {
                self.advance()?;
                let ty = self.type_expression()?;
                self.expect(b';', "`;` behind the type")?;
                Entry::Type { name, ty, at }
            } else {
                Entry::Attribute(self.attribute_value(name)?)
            };
            self.count()?;
            take(self, entry)?;
        }
        self.close_scope();
        Ok(())
    }

    /// Puts `ty` into `slot`, once.
    fn set(&self, slot: &mut Option<RawRef>, name: &str, ty: RawRef, at: usize) -> Result<()> {
        if slot.replace(ty).is_some() {
            let what = MetadataErrorKind::Duplicate(format!("`{name}`"));
            return Err(self.error(at, what));
        }
        Ok(())
    }

    fn trace(&mut self, at: usize) -> Result<()> {
        let mut trace = std::mem::take(&mut self.document.trace);
        trace.at = at;
        self.block(|parser, entry| {
            match entry {
                Entry::Type { name, ty, at } if name == "packet.header" => {
                    parser.set(&mut trace.packet_header, &name, ty, at)?;
                }
                Entry::Type { .. } => {}
                Entry::Attribute(attribute) => match &*attribute.name {
                    "major" => trace.major = Some(parser.unsigned(&attribute, "major")?),
                    "minor" => trace.minor = Some(parser.unsigned(&attribute, "minor")?),
                    "uuid" => trace.uuid = Some(parser.uuid(&attribute)?),
                    "byte_order" => {
                        trace.order = parser.byte_order(&attribute)?;
                        if trace.order.is_none() {
                            return Err(
                                parser.invalid(attribute.at, "a trace of its own byte order")
                            );
                        }
                    }
                    _ => {}
                },
            }
            Ok(())
        })?;
        self.document.trace = trace;
        Ok(())
    }

    fn env(&mut self) -> Result<()> {
        let mut env = std::mem::take(&mut self.document.env);
        self.block(|_, entry| {
            if let Entry::Attribute(attribute) = entry {
                env.push((attribute.name.into_owned(), attribute.value));
            }
            Ok(())
        })?;
        self.document.env = env;
        Ok(())
    }

    fn clock(&mut self, at: usize) -> Result<()> {
        let mut clock = RawClock {
            name: String::new(),
            uuid: None,
            description: String::new(),
            freq: 1_000_000_000,
            precision: 0,
            offset_s: 0,
            offset: 0,
            absolute: false,
        };
        self.block(|parser, entry| {
            let Entry::Attribute(attribute) = entry else {
                return Ok(());
            };
            match &*attribute.name {
                "name" => clock.name = parser.text(&attribute, "name")?,
                "uuid" => clock.uuid = Some(parser.uuid(&attribute)?),
                "description" => clock.description = parser.text(&attribute, "description")?,
                "freq" => {
                    clock.freq = parser.unsigned(&attribute, "freq")?;
                    if clock.freq == 0 {
                        return Err(parser.invalid(attribute.at, "a clock that stands still"));
                    }
                }
                "precision" => clock.precision = parser.unsigned(&attribute, "precision")?,
                "offset_s" => clock.offset_s = parser.signed(&attribute, "offset_s")?,
                "offset" => clock.offset = parser.signed(&attribute, "offset")?,
                "absolute" => clock.absolute = parser.boolean(&attribute, "absolute")?,
                _ => {}
            }
            Ok(())
        })?;
        if clock.name.is_empty() {
            return Err(self.error(at, MetadataErrorKind::Missing("name")));
        }
        if self
            .document
            .clocks
            .iter()
            .any(|known| known.name == clock.name)
        {
            let what = format!("clock `{}`", super::lexer::shorten(&clock.name));
            return Err(self.error(at, MetadataErrorKind::Duplicate(what)));
        }
        self.document.clocks.push(clock);
        Ok(())
    }

    fn stream(&mut self, at: usize) -> Result<()> {
        let mut stream = RawStream {
            at,
            ..RawStream::default()
        };
        self.block(|parser, entry| {
            match entry {
                Entry::Type { name, ty, at } => match &*name {
                    "event.header" => parser.set(&mut stream.event_header, &name, ty, at)?,
                    "event.context" => parser.set(&mut stream.event_context, &name, ty, at)?,
                    "packet.context" => parser.set(&mut stream.packet_context, &name, ty, at)?,
                    _ => {}
                },
                Entry::Attribute(attribute) if attribute.name == "id" => {
                    stream.id = Some(parser.unsigned(&attribute, "id")?);
                }
                Entry::Attribute(_) => {}
            }
            Ok(())
        })?;
        self.document.streams.push(stream);
        Ok(())
    }

    fn event(&mut self, at: usize) -> Result<()> {
        let mut event = RawEvent {
            at,
            ..RawEvent::default()
        };
        self.block(|parser, entry| {
            match entry {
                Entry::Type { name, ty, at } => match &*name {
                    "context" | "event.context" => parser.set(&mut event.context, &name, ty, at)?,
                    "fields" | "event.fields" => parser.set(&mut event.fields, &name, ty, at)?,
                    _ => {}
                },
                Entry::Attribute(attribute) => match &*attribute.name {
                    "name" => event.name = Some(parser.text(&attribute, "name")?),
                    "id" => event.id = Some(parser.unsigned(&attribute, "id")?),
                    "stream_id" => event.stream = Some(parser.unsigned(&attribute, "stream_id")?),
                    "loglevel" => event.loglevel = parser.signed(&attribute, "loglevel").ok(),
                    "model.emf.uri" => {
                        event.emf_uri = Some(parser.text(&attribute, "model.emf.uri")?);
                    }
                    _ => {}
                },
            }
            Ok(())
        })?;
        self.document.events.push(event);
        Ok(())
    }
}
