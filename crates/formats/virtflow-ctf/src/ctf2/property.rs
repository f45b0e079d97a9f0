//! Properties of JSON objects, and what is wrong with them.

use super::json::Json;
use crate::error::FragmentErrorKind;

pub(super) type Result<T> = std::result::Result<T, Wrong>;

/// What is wrong, and the way there from the innermost property outwards.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) kind: FragmentErrorKind,
    path: Vec<String>,
}

impl From<FragmentErrorKind> for Wrong {
    fn from(kind: FragmentErrorKind) -> Self {
        Self {
            kind,
            path: Vec::new(),
        }
    }
}

impl Wrong {
    /// The way from the fragment: `a.b[3].c`.
    pub(super) fn property(&self) -> String {
        let mut text = String::new();
        for step in self.path.iter().rev() {
            if !text.is_empty() && !step.starts_with('[') {
                text.push('.');
            }
            text.push_str(step);
        }
        text
    }
}

/// Says where something was wrong.
pub(super) trait Inside {
    /// In the property `name`.
    fn inside(self, name: &str) -> Self;

    /// In element `i` of an array.
    fn element(self, i: usize) -> Self;
}

impl<T> Inside for Result<T> {
    fn inside(self, name: &str) -> Self {
        self.map_err(|mut wrong| {
            wrong.path.push(name.to_owned());
            wrong
        })
    }

    fn element(self, i: usize) -> Self {
        self.map_err(|mut wrong| {
            wrong.path.push(format!("[{i}]"));
            wrong
        })
    }
}

pub(super) fn bad<T>(name: &'static str, why: &'static str) -> Result<T> {
    Err(FragmentErrorKind::BadProperty { name, why }.into())
}

pub(super) fn must<T>(found: Option<T>, name: &'static str) -> Result<T> {
    found.ok_or_else(|| FragmentErrorKind::Missing(name).into())
}

/// The property `name` as `read` reads it.
fn read<'j, T>(
    of: &'j Json,
    name: &'static str,
    why: &'static str,
    read: impl FnOnce(&'j Json) -> Option<T>,
) -> Result<Option<T>> {
    match of.get(name) {
        None => Ok(None),
        Some(value) => match read(value) {
            None => bad(name, why),
            some => Ok(some),
        },
    }
}

pub(super) fn text<'j>(of: &'j Json, name: &'static str) -> Result<Option<&'j str>> {
    read(of, name, "must be a string", Json::as_text)
}

pub(super) fn unsigned(of: &Json, name: &'static str) -> Result<Option<u64>> {
    let why = "must be an integer from 0 to 18446744073709551615";
    read(of, name, why, |value| {
        u64::try_from(value.as_number()?).ok()
    })
}

pub(super) fn signed(of: &Json, name: &'static str) -> Result<Option<i64>> {
    let why = "must be an integer of 64 bits";
    read(of, name, why, |value| {
        i64::try_from(value.as_number()?).ok()
    })
}

pub(super) fn array<'j>(of: &'j Json, name: &'static str) -> Result<Option<&'j [Json]>> {
    read(of, name, "must be an array", Json::as_array)
}

pub(super) fn object<'j>(of: &'j Json, name: &'static str) -> Result<Option<&'j Json>> {
    read(of, name, "must be an object", |value| {
        matches!(value, Json::Object(_)).then_some(value)
    })
}

/// Refuses every extension in `json`: what it means nobody told us (CTF 2 section 5.1). Attributes
/// may hold anything.
pub(super) fn no_extensions(json: &Json) -> Result<()> {
    match json {
        Json::Object(properties) => {
            properties
                .iter()
                .try_for_each(|(name, value)| match (&**name, value) {
                    ("attributes", _) => Ok(()),
                    ("extensions", Json::Object(namespaces)) => {
                        extension(namespaces).inside("extensions")
                    }
                    _ => no_extensions(value).inside(name),
                })
        }
        Json::Array(elements) => elements
            .iter()
            .enumerate()
            .try_for_each(|(i, element)| no_extensions(element).element(i)),
        _ => Ok(()),
    }
}

fn extension(namespaces: &[(Box<str>, Json)]) -> Result<()> {
    let named = namespaces.iter().find_map(|(namespace, extensions)| {
        let (name, _) = extensions.properties().first()?;
        Some((namespace, name))
    });
    match named {
        None => Ok(()),
        Some((namespace, name)) => Err(FragmentErrorKind::Extension {
            namespace: crate::tsdl::shorten(namespace),
            name: crate::tsdl::shorten(name),
        }
        .into()),
    }
}
