//! The vocabulary's words, as the JSON form has them.

use virtflow_model::{Cause, Confidence, State};

pub(crate) fn word_of_state<S: serde::Serializer>(state: &State, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(state.as_str())
}

pub(crate) fn word_of_cause<S: serde::Serializer>(cause: &Cause, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(cause.as_str())
}

pub(crate) fn word_of_confidence<S: serde::Serializer>(
    c: &Confidence,
    s: S,
) -> Result<S::Ok, S::Error> {
    s.serialize_str(c.as_str())
}
