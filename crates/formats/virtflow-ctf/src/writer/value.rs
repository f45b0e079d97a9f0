//! Encodes events by the types of their class, for those who prefer checks to speed.

use super::{EventClass, Field, FieldType, IntegerType, Payload, WriteError};

/// A value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// For integers and enumerations; wide enough for every 64-bit one.
    Integer(i128),
    /// For text and strings.
    Text(Vec<u8>),
    /// For arrays, sequences and structures.
    List(Vec<Value>),
    /// Bytes as they are, for fields declared by verbatim text.
    Raw(Vec<u8>),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(i128::from(value))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.as_bytes().to_vec())
    }
}

impl EventClass {
    /// Appends `values`, one for each field, to `payload`.
    ///
    /// # Errors
    /// [`WriteError::BadValue`] when a value does not fit its field.
    pub fn encode(&self, values: &[Value], payload: &mut Payload) -> Result<(), WriteError> {
        encode_fields(&self.fields, values, payload).map_err(|(field, why)| WriteError::BadValue {
            event: self.name.clone(),
            field,
            why,
        })
    }
}

type Misfit = (String, &'static str);

fn encode_fields(fields: &[Field], values: &[Value], payload: &mut Payload) -> Result<(), Misfit> {
    if fields.len() != values.len() {
        return Err((String::new(), "there are not as many values as fields"));
    }
    for (n, (field, value)) in fields.iter().zip(values).enumerate() {
        let fail = |why| (field.name.clone(), why);
        if let FieldType::Sequence { length, .. } = &field.ty {
            let at = fields[..n].iter().position(|f| f.name == *length);
            let said = at.and_then(|at| values.get(at));
            let Value::List(items) = value else {
                return Err(fail("a sequence takes a list"));
            };
            if said != Some(&Value::Integer(items.len() as i128)) {
                return Err(fail("the length field does not hold the length"));
            }
        }
        encode_one(&field.ty, value, payload).map_err(|why| match why {
            Inner::Here(why) => fail(why),
            Inner::Deeper(misfit) => misfit,
        })?;
    }
    Ok(())
}

enum Inner {
    Here(&'static str),
    Deeper(Misfit),
}

fn encode_one(ty: &FieldType, value: &Value, payload: &mut Payload) -> Result<(), Inner> {
    match (ty, value) {
        (FieldType::Integer(int) | FieldType::Enum(int, _), Value::Integer(value)) => {
            encode_integer(*int, *value, payload).map_err(Inner::Here)
        }
        (FieldType::Text(length), Value::Text(text)) => {
            if text.len() > *length as usize {
                return Err(Inner::Here("the text is longer than the array"));
            }
            payload.text(text, *length as usize);
            Ok(())
        }
        (FieldType::String, Value::Text(text)) => {
            if text.contains(&0) {
                return Err(Inner::Here("a string cannot hold a zero byte"));
            }
            payload.string(text);
            Ok(())
        }
        (FieldType::Array(element, length), Value::List(items)) => {
            if items.len() != *length as usize {
                return Err(Inner::Here("the list is not as long as the array"));
            }
            items
                .iter()
                .try_for_each(|item| encode_one(element, item, payload))
        }
        (FieldType::Sequence { element, .. }, Value::List(items)) => items
            .iter()
            .try_for_each(|item| encode_one(element, item, payload)),
        (FieldType::Struct(fields), Value::List(items)) => {
            encode_fields(fields, items, payload).map_err(Inner::Deeper)
        }
        (FieldType::Verbatim(_), Value::Raw(bytes)) => {
            payload.raw(bytes);
            Ok(())
        }
        _ => Err(Inner::Here("the value is of another kind than the field")),
    }
}

fn encode_integer(
    int: IntegerType,
    value: i128,
    payload: &mut Payload,
) -> Result<(), &'static str> {
    let bits = u32::from(int.bits);
    let (low, high) = if int.signed {
        (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1)
    } else {
        (0, (1i128 << bits) - 1)
    };
    if value < low || value > high {
        return Err("the number does not fit");
    }
    // The low 64 bits are the number in two's complement.
    let low_bits = value.to_le_bytes();
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&low_bits[..8]);
    payload.bits(u64::from_le_bytes(bytes), int.bits);
    Ok(())
}
