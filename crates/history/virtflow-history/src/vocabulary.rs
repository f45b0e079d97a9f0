//! The writer's names for its codes.

use serde::{Deserialize, Serialize};

/// Names for codes; the store keeps them and does not ask what they mean.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vocabulary {
    /// Kinds of entities.
    pub kinds: Vec<(u8, String)>,
    /// States of lanes.
    pub states: Vec<(u8, String)>,
    /// Causes.
    pub causes: Vec<(u8, String)>,
    /// How sure.
    pub confidences: Vec<(u8, String)>,
    /// Rules.
    pub evidences: Vec<(u8, String)>,
    /// Kinds of edges.
    pub edges: Vec<(u8, String)>,
    /// Counters.
    pub counters: Vec<(u8, String)>,
}

/// Codes to names, quickly.
#[derive(Debug)]
pub(crate) struct Names<'a>([Option<&'a str>; 256]);

impl<'a> Names<'a> {
    pub(crate) fn new(pairs: &'a [(u8, String)]) -> Self {
        let mut names = [None; 256];
        for (code, name) in pairs {
            names[usize::from(*code)] = Some(name.as_str());
        }
        Self(names)
    }

    /// The name; a code that the vocabulary does not have is its own number.
    pub(crate) fn name(&self, code: u8) -> std::borrow::Cow<'a, str> {
        self.0[usize::from(code)].map_or_else(|| code.to_string().into(), Into::into)
    }
}

/// The code of a name, as [`Names::name`] wrote it.
pub(crate) fn code(pairs: &[(u8, String)], name: &str) -> Option<u8> {
    let known = pairs.iter().find(|(_, known)| known == name);
    known.map(|(code, _)| *code).or_else(|| name.parse().ok())
}
