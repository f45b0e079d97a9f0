//! Words of the language, with the byte at which they stand.

use super::parser::FilterError;

/// How a field and a value are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Is,
    IsNot,
    More,
    Less,
    AtLeast,
    AtMost,
    Contains,
    Matches,
    Present,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Word(String),
    Quoted(String),
    Operator(Operator),
    And,
    Or,
    Not,
    Open,
    Close,
}

const SIGNS: [(&str, Token); 11] = [
    ("&&", Token::And),
    ("||", Token::Or),
    ("==", Token::Operator(Operator::Is)),
    ("!=", Token::Operator(Operator::IsNot)),
    (">=", Token::Operator(Operator::AtLeast)),
    ("<=", Token::Operator(Operator::AtMost)),
    (">", Token::Operator(Operator::More)),
    ("<", Token::Operator(Operator::Less)),
    ("!", Token::Not),
    ("(", Token::Open),
    (")", Token::Close),
];

/// What ends a word.
const ENDS: &str = "()!<>=&|\"";

pub(super) fn tokens(text: &str) -> Result<Vec<(Token, usize)>, FilterError> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if first.is_whitespace() {
            at += first.len_utf8();
        } else if first == '"' {
            let (value, length) = quoted(&rest[1..])
                .ok_or_else(|| FilterError::new("the quotation has no end", at))?;
            out.push((Token::Quoted(value), at));
            at += length + 1;
        } else if let Some((sign, token)) = SIGNS.iter().find(|(sign, _)| rest.starts_with(sign)) {
            out.push((token.clone(), at));
            at += sign.len();
        } else {
            let end = rest
                .find(|c: char| c.is_whitespace() || ENDS.contains(c))
                .unwrap_or(rest.len());
            if end == 0 {
                return Err(FilterError::new(format!("`{first}` stands alone"), at));
            }
            let word = &rest[..end];
            let token = match word {
                "contains" => Token::Operator(Operator::Contains),
                "matches" => Token::Operator(Operator::Matches),
                "present" => Token::Operator(Operator::Present),
                _ => Token::Word(word.to_owned()),
            };
            out.push((token, at));
            at += end;
        }
    }
    Ok(out)
}

/// What stands before the closing quotation mark, and how many bytes that took with the mark.
fn quoted(text: &str) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((value, at + 1)),
            '\\' if text[at + 1..].starts_with(['"', '\\']) => {
                value.extend(characters.next().map(|(_, c)| c));
            }
            c => value.push(c),
        }
    }
    None
}
