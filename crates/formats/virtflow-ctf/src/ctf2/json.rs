//! JSON as values, in the order of the text and no more of them than there is room for.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    /// An integer of 64 bits, signed or not.
    Number(i128),
    /// Any other number.
    Real(f64),
    Text(Box<str>),
    Array(Vec<Self>),
    Object(Vec<(Box<str>, Self)>),
}

impl Json {
    /// The property `name` of an object.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        let properties = self.properties();
        properties
            .iter()
            .find(|(known, _)| &**known == name)
            .map(|(_, value)| value)
    }

    /// The properties of an object; nothing else has any.
    pub(crate) fn properties(&self) -> &[(Box<str>, Self)] {
        match self {
            Self::Object(properties) => properties,
            _ => &[],
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) const fn as_number(&self) -> Option<i128> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    pub(crate) fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(elements) => Some(elements),
            _ => None,
        }
    }
}

/// Why a text is no JSON, and at which byte of it.
#[derive(Debug)]
pub(crate) struct NotJson {
    pub(crate) at: usize,
    pub(crate) why: String,
    /// Whether it only ends too early.
    pub(crate) cut: bool,
}

/// The value that `text` is, of at most `max` values in all.
pub(crate) fn parse(text: &[u8], max: u64) -> Result<Json, NotJson> {
    let left = Cell::new(max);
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = Seed(&left).deserialize(&mut deserializer);
    let value = value.and_then(|value| deserializer.end().map(|()| value));
    value.map_err(|error| {
        let mut why = error.to_string();
        if let Some(end) = why.rfind(" at line ") {
            why.truncate(end);
        }
        NotJson {
            at: offset(text, error.line(), error.column()),
            why,
            cut: error.is_eof(),
        }
    })
}

/// The byte of `text` that line `line` and column `column`, both from 1, mean.
fn offset(text: &[u8], line: usize, column: usize) -> usize {
    let mut begin = 0;
    for _ in 1..line {
        let end = text.get(begin..).unwrap_or_default();
        match end.iter().position(|&byte| byte == b'\n') {
            Some(at) => begin += at + 1,
            None => break,
        }
    }
    (begin + column.saturating_sub(1)).min(text.len())
}

#[derive(Clone, Copy)]
struct Seed<'b>(&'b Cell<u64>);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Json;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Json, D::Error> {
        let left = self.0.get().checked_sub(1);
        self.0
            .set(left.ok_or_else(|| D::Error::custom("more values than a fragment may have"))?);
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Real(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Json, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = from.next_element_seed(self)? {
            elements.push(element);
        }
        Ok(Json::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Json, A::Error> {
        let mut properties = Vec::new();
        while let Some(name) = from.next_key::<String>()? {
            properties.push((name.into(), from.next_value_seed(self)?));
        }
        Ok(Json::Object(properties))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_order() {
        let json = parse(
            br#" {"b":[1,-2,18446744073709551615],"a":{"x":null,"y":1.5},"c":"\u001e"} "#,
            99,
        );
        let json = json.unwrap();
        let names: Vec<_> = json.properties().iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["b", "a", "c"]);
        let numbers = json.get("b").unwrap().as_array().unwrap();
        assert_eq!(numbers[2].as_number(), Some(i128::from(u64::MAX)));
        assert_eq!(json.get("a").unwrap().get("y"), Some(&Json::Real(1.5)));
        assert_eq!(json.get("c").unwrap().as_text(), Some("\u{1e}"));
        // Larger than 64 bits is no integer.
        assert_eq!(parse(b"18446744073709551616", 9).unwrap().as_number(), None);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_byte() {
        let wrong = parse(b"{\n\"a\": }", 99).unwrap_err();
        assert_eq!((wrong.at, wrong.cut), (7, false));
        assert!(parse(b"{\"a\": [1, 2", 99).unwrap_err().cut);
        assert!(!parse(b"{} {}", 99).unwrap_err().cut);
        assert!(
            parse(b"[1,2,3]", 3)
                .unwrap_err()
                .why
                .contains("more values")
        );
        let deep = [vec![b'['; 1000], vec![b']'; 1000]].concat();
        assert!(
            parse(&deep, 9999)
                .unwrap_err()
                .why
                .contains("recursion limit")
        );
        assert!(parse(b"\"\xff\"", 9).is_err());
    }
}
