//! From words to a question that can be asked of an interval.

use super::lexer::{Operator, Token, tokens};
use regex::{Regex, RegexBuilder};

/// What regular expressions may take.
const REGEX_BYTES_MAX: usize = 1 << 20;
/// Parentheses and `!` inside one another.
const DEPTH_MAX: usize = 64;

/// What is wrong with a filter, and at which byte.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("filter, at {at}: {message}")]
pub struct FilterError {
    message: String,
    at: usize,
}

impl FilterError {
    pub(super) fn new(message: impl Into<String>, at: usize) -> Self {
        Self {
            message: message.into(),
            at,
        }
    }
}

macro_rules! fields {
    ($($name:ident $text:literal,)*) => {
        /// What can be asked about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Field { $($name,)* }

        impl Field {
            fn from_name(name: &str) -> Option<Self> {
                match name.to_lowercase().as_str() {
                    $($text => Some(Self::$name),)*
                    "culprit" => Some(Self::By),
                    "label" | "entity" => Some(Self::Name),
                    "length" => Some(Self::Duration),
                    _ => None,
                }
            }
        }
    };
}

fields! {
    State "state",
    Cause "cause",
    Name "name",
    Key "key",
    Kind "kind",
    Vm "vm",
    Vcpu "vcpu",
    Tid "tid",
    Pid "pid",
    Cr3 "cr3",
    Level "level",
    Duration "duration",
    By "by",
    Confidence "confidence",
    Evidence "evidence",
}

impl Field {
    pub(super) const fn has_order(self) -> bool {
        matches!(
            self,
            Self::Duration | Self::Level | Self::Vcpu | Self::Tid | Self::Pid
        )
    }
}

#[derive(Clone, Debug)]
pub(super) enum Expression {
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    Not(Box<Expression>),
    Present(Field),
    Contains(Field, String),
    Matches(Field, Regex),
    /// The text is in small letters; the number is one where the text is.
    Compare(Field, Operator, String, Option<f64>),
    /// Any of the fields that plain text looks at.
    Any(Regex),
}

/// A question about intervals.
#[derive(Clone, Debug)]
pub struct Filter(pub(super) Expression);

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// Where it cannot be understood, with the place.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        let mut parser = Parser {
            tokens: tokens(text)?,
            at: 0,
            end: text.len(),
            depth: 0,
        };
        let expression = parser.or()?;
        match parser.tokens.get(parser.at) {
            Some((_, at)) => Err(FilterError::new(
                "nothing may follow here; join with && or ||",
                *at,
            )),
            None => Ok(Self(expression)),
        }
    }
}

struct Parser {
    tokens: Vec<(Token, usize)>,
    at: usize,
    end: usize,
    depth: usize,
}

impl Parser {
    fn take(&mut self, token: &Token) -> bool {
        let is = self.tokens.get(self.at).is_some_and(|(t, _)| t == token);
        self.at += usize::from(is);
        is
    }

    fn place(&self) -> usize {
        self.tokens.get(self.at).map_or(self.end, |(_, at)| *at)
    }

    fn or(&mut self) -> Result<Expression, FilterError> {
        let mut left = self.and()?;
        while self.take(&Token::Or) {
            left = Expression::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expression, FilterError> {
        let mut left = self.unary()?;
        while self.take(&Token::And) {
            left = Expression::And(Box::new(left), Box::new(self.unary()?));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expression, FilterError> {
        let at = self.place();
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(FilterError::new("too deep", at));
        }
        let expression = if self.take(&Token::Not) {
            Expression::Not(Box::new(self.unary()?))
        } else if self.take(&Token::Open) {
            let inner = self.or()?;
            if !self.take(&Token::Close) {
                return Err(FilterError::new("a ) is missing", self.place()));
            }
            inner
        } else {
            self.primary()?
        };
        self.depth -= 1;
        Ok(expression)
    }

    fn text(&mut self, what: &str) -> Result<(String, bool), FilterError> {
        let found = match self.tokens.get(self.at) {
            Some((Token::Word(text), _)) => (text.clone(), false),
            Some((Token::Quoted(text), _)) => (text.clone(), true),
            _ => return Err(FilterError::new(format!("{what} is missing"), self.place())),
        };
        self.at += 1;
        Ok(found)
    }

    fn word(&self) -> Option<&str> {
        match self.tokens.get(self.at) {
            Some((Token::Word(text), _)) => Some(text),
            _ => None,
        }
    }

    fn primary(&mut self) -> Result<Expression, FilterError> {
        let at = self.place();
        let (mut text, quoted) = self.text("a field or a text")?;
        let Some((Token::Operator(operator), _)) = self.tokens.get(self.at) else {
            // Plain words that follow one another are one text.
            while let Some(word) = self.word().filter(|_| !quoted) {
                text = format!("{text} {word}");
                self.at += 1;
            }
            return Ok(Expression::Any(pattern(&text, at)?));
        };
        let operator = *operator;
        let field = Field::from_name(&text)
            .ok_or_else(|| FilterError::new(format!("no field is called `{text:.40}`"), at))?;
        self.at += 1;
        if operator == Operator::Present {
            return Ok(Expression::Present(field));
        }
        let at = self.place();
        let (mut value, _) = self.text("a value")?;
        // `1 ms` is one value although it has a space.
        if field == Field::Duration
            && let Some(unit) = self.word()
            && let Some(joined) = Some(format!("{value}{unit}")).filter(|j| duration(j).is_some())
        {
            value = joined;
            self.at += 1;
        }
        let number = match field {
            Field::Duration => duration(&value),
            _ => value.parse().ok(),
        };
        match operator {
            Operator::Matches => Ok(Expression::Matches(field, pattern(&value, at)?)),
            Operator::Contains => Ok(Expression::Contains(field, value.to_lowercase())),
            Operator::Is | Operator::IsNot if field != Field::Duration => Ok(Expression::Compare(
                field,
                operator,
                value.to_lowercase(),
                number,
            )),
            _ if !field.has_order() => Err(FilterError::new("this field has no order", at)),
            _ if number.is_none() => Err(FilterError::new(
                "a number is wanted, or a length such as 1.5ms",
                at,
            )),
            _ => Ok(Expression::Compare(
                field,
                operator,
                value.to_lowercase(),
                number,
            )),
        }
    }
}

/// Patterns ignore case; what is no regular expression is taken letter by letter.
fn pattern(text: &str, at: usize) -> Result<Regex, FilterError> {
    let build = |text: &str| {
        RegexBuilder::new(text)
            .case_insensitive(true)
            .size_limit(REGEX_BYTES_MAX)
            .build()
    };
    build(text)
        .or_else(|_| build(&regex::escape(text)))
        .map_err(|_| FilterError::new("the pattern is too large", at))
}

/// `1.5ms`, `200us`, `3s`, or nanoseconds.
fn duration(text: &str) -> Option<f64> {
    let digits = text.trim_end_matches(|c: char| c.is_alphabetic() || c == 'µ');
    let factor = match &text[digits.len()..] {
        "" | "ns" => 1.0,
        "us" | "µs" | "μs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" | "min" => 60e9,
        "h" => 3600e9,
        _ => return None,
    };
    let value: f64 = digits.trim().parse().ok()?;
    Some(value * factor).filter(|v| v.is_finite())
}
