//! What the bars mean: the states that occur.

use super::Timeline;
use crate::look::{Look, is_wait, look};
use std::collections::BTreeMap;

/// What a piece is called in a legend, and how it looks.
pub(crate) fn of(picture: &Timeline<'_>) -> Vec<(String, Look)> {
    let mut time: BTreeMap<String, (i64, Look)> = BTreeMap::new();
    for piece in &picture.pieces {
        let (state, cause, level) = words(picture, piece.doing);
        let tells_why = is_wait(&state) || matches!(state.as_str(), "unknown" | "running");
        let name = match (tells_why, cause.as_str()) {
            (true, cause) if !cause.is_empty() => format!("{state}: {cause}"),
            _ if state == "guest" && level > 1 => format!("guest (L{level})"),
            _ => state.clone(),
        };
        let entry = time.entry(name).or_insert((0, look(&state, &cause, level)));
        entry.0 = entry.0.saturating_add(piece.ns);
    }
    let mut all: Vec<_> = time.into_iter().collect();
    all.sort_by_key(|(name, (ns, _))| (std::cmp::Reverse(*ns), name.clone()));
    all.into_iter()
        .map(|(name, (_, look))| (name, look))
        .collect()
}

/// State, cause and level of what was done, as the store calls them.
pub(crate) fn words(picture: &Timeline<'_>, doing: u32) -> (String, String, u8) {
    let doing = picture.store.doing(doing);
    let vocabulary = &picture.store.manifest().vocabulary;
    let name = |pairs: &[(u8, String)], code: u8| {
        let known = pairs.iter().find(|(known, _)| *known == code);
        known.map_or_else(|| code.to_string(), |(_, name)| name.clone())
    };
    (
        name(&vocabulary.states, doing.state),
        name(&vocabulary.causes, doing.cause),
        doing.level,
    )
}
