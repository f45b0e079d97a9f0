//! Tokens of TSDL, one at a time (CTF 1.8 appendix C.1).

use std::borrow::Cow;

use crate::error::{MetadataError, MetadataErrorKind};

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind<'t> {
    /// An identifier or keyword.
    Word(&'t str),
    /// An integer constant without its sign.
    Number(u64),
    /// A string constant with its escapes resolved.
    Text(Cow<'t, str>),
    /// `{ } [ ] ( ) < > ; : , = . * + -`
    Punct(u8),
    /// `:=`
    Assign,
    /// `...`
    Ellipsis,
    /// The end of the text.
    End,
}

/// A token and the byte of the text at which it begins.
#[derive(Clone, Debug)]
pub(crate) struct Token<'t> {
    pub(crate) kind: Kind<'t>,
    pub(crate) at: usize,
}

impl Kind<'_> {
    /// How an error message names it.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Word(word) => format!("`{}`", shorten(word)),
            Self::Number(number) => format!("`{number}`"),
            Self::Text(text) => format!("\"{}\"", shorten(text)),
            Self::Punct(byte) => format!("`{}`", char::from(*byte)),
            Self::Assign => "`:=`".into(),
            Self::Ellipsis => "`...`".into(),
            Self::End => "the end of the metadata".into(),
        }
    }
}

/// Enough of `text` to recognise it in a message.
pub(crate) fn shorten(text: &str) -> String {
    const MAX: usize = 60;
    if text.chars().nth(MAX).is_none() {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(MAX).collect();
    short.push_str("...");
    short
}

/// An error at byte `at` of `text`.
pub(crate) fn error_at(text: &str, at: usize, kind: MetadataErrorKind) -> MetadataError {
    let before = &text.as_bytes()[..at.min(text.len())];
    let newlines = before.iter().filter(|&&byte| byte == b'\n').count();
    let column = before
        .iter()
        .rev()
        .take_while(|&&byte| byte != b'\n')
        .count();
    MetadataError {
        line: u32::try_from(newlines + 1).unwrap_or(u32::MAX),
        column: u32::try_from(column + 1).unwrap_or(u32::MAX),
        kind,
    }
}

/// Cuts a text into tokens.
pub(crate) struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    pub(crate) const fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    pub(crate) const fn text(&self) -> &'t str {
        self.text
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    fn error(&self, at: usize, kind: MetadataErrorKind) -> MetadataError {
        error_at(self.text, at, kind)
    }

    /// The next token.
    pub(crate) fn next(&mut self) -> Result<Token<'t>, MetadataError> {
        self.skip_blanks()?;
        let at = self.at;
        let Some(byte) = self.byte(0) else {
            return Ok(Token {
                kind: Kind::End,
                at,
            });
        };
        let kind = match byte {
            b'L' if self.byte(1) == Some(b'"') => {
                self.at += 1;
                self.string()?
            }
            b'"' => self.string()?,
            b'\'' => self.character()?,
            b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'@' => self.word(),
            b'0'..=b'9' => self.number()?,
            b'.' if self.text.as_bytes()[at..].starts_with(b"...") => {
                self.at += 3;
                Kind::Ellipsis
            }
            b':' if self.byte(1) == Some(b'=') => {
                self.at += 2;
                Kind::Assign
            }
            b'-' if self.byte(1) == Some(b'>') => {
                self.at += 2;
                Kind::Punct(b'.')
            }
            b'{' | b'}' | b'[' | b']' | b'(' | b')' | b'<' | b'>' | b';' | b':' | b',' | b'='
            | b'.' | b'*' | b'+' | b'-' => {
                self.at += 1;
                Kind::Punct(byte)
            }
            _ => return Err(self.error(at, MetadataErrorKind::StrayByte(byte))),
        };
        Ok(Token { kind, at })
    }

    /// Blanks, comments, line continuations, and the NULs some tracers pad metadata with.
    fn skip_blanks(&mut self) -> Result<(), MetadataError> {
        let bytes = self.text.as_bytes();
        while let Some(byte) = self.byte(0) {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c | 0 => self.at += 1,
                b'\\' if matches!(self.byte(1), Some(b'\n' | b'\r')) => self.at += 2,
                b'/' if self.byte(1) == Some(b'*') => {
                    let Some(len) = self.text[self.at + 2..].find("*/") else {
                        return Err(self.error(self.at, MetadataErrorKind::Unterminated("comment")));
                    };
                    self.at += len + 4;
                }
                b'/' if self.byte(1) == Some(b'/') => {
                    let len = bytes[self.at..].iter().position(|&byte| byte == b'\n');
                    self.at = len.map_or(bytes.len(), |len| self.at + len);
                }
                _ => break,
            }
        }
        Ok(())
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'t str {
        let bytes = &self.text.as_bytes()[self.at..];
        let len = bytes
            .iter()
            .position(|&byte| !wanted(byte))
            .unwrap_or(bytes.len());
        let taken = &self.text[self.at..self.at + len];
        self.at += len;
        taken
    }

    fn word(&mut self) -> Kind<'t> {
        Kind::Word(
            self.take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'@')),
        )
    }

    fn number(&mut self) -> Result<Kind<'t>, MetadataError> {
        let at = self.at;
        let whole = self.take_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let lower = whole.to_ascii_lowercase();
        let (digits, radix) = if let Some(digits) = lower.strip_prefix("0x") {
            (digits, 16)
        } else if let Some(digits) = lower.strip_prefix("0b") {
            (digits, 2)
        } else if lower.len() > 1 && lower.starts_with('0') {
            (&lower[1..], 8)
        } else {
            (lower.as_str(), 10)
        };
        let digits = digits.trim_end_matches(['u', 'l']);
        // `0UL` is a zero, and only the octal prefix is left of it.
        let digits = if digits.is_empty() && radix == 8 {
            "0"
        } else {
            digits
        };
        u64::from_str_radix(digits, radix)
            .ok()
            .filter(|_| !digits.starts_with('+'))
            .map(Kind::Number)
            .ok_or_else(|| self.error(at, MetadataErrorKind::BadNumber(shorten(whole))))
    }

    fn string(&mut self) -> Result<Kind<'t>, MetadataError> {
        let open = self.at;
        let rest = &self.text[open + 1..];
        let Some(special) = rest.find(['"', '\\']) else {
            return Err(self.error(open, MetadataErrorKind::Unterminated("string")));
        };
        if rest.as_bytes()[special] == b'"' {
            self.at = open + special + 2;
            return Ok(Kind::Text(Cow::Borrowed(&rest[..special])));
        }
        let mut bytes = Vec::new();
        self.at += 1;
        loop {
            match self.byte(0) {
                None => return Err(self.error(open, MetadataErrorKind::Unterminated("string"))),
                Some(b'"') => break,
                Some(b'\\') => bytes.extend(self.escape(open)?),
                Some(byte) => {
                    bytes.push(byte);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        Ok(Kind::Text(Cow::Owned(
            String::from_utf8_lossy(&bytes).into_owned(),
        )))
    }

    fn character(&mut self) -> Result<Kind<'t>, MetadataError> {
        let open = self.at;
        self.at += 1;
        let value = match self.byte(0) {
            Some(b'\\') => self.escape(open)?,
            Some(byte) => {
                self.at += 1;
                Some(byte)
            }
            None => None,
        };
        if self.byte(0) != Some(b'\'') {
            return Err(self.error(open, MetadataErrorKind::Unterminated("character constant")));
        }
        self.at += 1;
        Ok(Kind::Number(u64::from(value.unwrap_or(0))))
    }

    /// The byte behind a backslash; `None` for a continued line.
    fn escape(&mut self, open: usize) -> Result<Option<u8>, MetadataError> {
        self.at += 1;
        let Some(byte) = self.byte(0) else {
            return Err(self.error(open, MetadataErrorKind::Unterminated("string")));
        };
        if byte == b'x' {
            self.at += 1;
            let digits = self.digits(2, |byte| byte.is_ascii_hexdigit());
            let value = u8::from_str_radix(digits, 16);
            return value.map(Some).map_err(|_| {
                self.error(
                    self.at,
                    MetadataErrorKind::Invalid("an escape without its digits"),
                )
            });
        }
        if byte.is_ascii_digit() && byte < b'8' {
            let digits = self.digits(3, |byte| (b'0'..b'8').contains(&byte));
            return Ok(Some(u16::from_str_radix(digits, 8).unwrap_or(0) as u8));
        }
        self.at += 1;
        Ok(match byte {
            b'n' => Some(b'\n'),
            b't' => Some(b'\t'),
            b'r' => Some(b'\r'),
            b'a' => Some(7),
            b'b' => Some(8),
            b'v' => Some(0x0b),
            b'f' => Some(0x0c),
            b'\n' => None,
            other => Some(other),
        })
    }

    fn digits(&mut self, max: usize, wanted: impl Fn(u8) -> bool) -> &'t str {
        let bytes = &self.text.as_bytes()[self.at..];
        let len = bytes
            .iter()
            .take(max)
            .take_while(|&&byte| wanted(byte))
            .count();
        let digits = &self.text[self.at..self.at + len];
        self.at += len;
        digits
    }
}
