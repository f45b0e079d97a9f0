//! The legend below a picture: what occurs in it, and how it looks.

use crate::look::{Look, is_wait};
use crate::paper::{INK, Svg, cut};
use std::collections::BTreeMap;

/// The height of a line of it.
pub(crate) const LINE: f64 = 18.0;
/// The width of an entry.
pub(crate) const ITEM: f64 = 190.0;
/// The letters of an entry.
pub(crate) const LETTERS: usize = 24;

/// What a state is called in it: a wait by what was waited for.
pub(crate) fn name(state: &str, cause: &str, level: u8) -> String {
    let tells_why = is_wait(state) || matches!(state, "unknown" | "running");
    match (tells_why, cause) {
        (true, cause) if !cause.is_empty() => format!("{state}: {cause}"),
        _ if state == "guest" && level > 1 => format!("guest (L{level})"),
        _ => state.to_owned(),
    }
}

/// Entries, side by side as far as there is room.
pub(crate) struct Legend {
    items: Vec<(String, Look)>,
    left: f64,
    across: usize,
}

impl Legend {
    /// Of names with their time, those of most time first, between equal margins of `width`.
    pub(crate) fn new(
        parts: impl Iterator<Item = (String, Look, i64)>,
        margin: f64,
        width: f64,
    ) -> Self {
        let mut time: BTreeMap<String, (i64, Look)> = BTreeMap::new();
        for (name, look, ns) in parts {
            let entry = time.entry(name).or_insert((0, look));
            entry.0 = entry.0.saturating_add(ns);
        }
        let mut all: Vec<_> = time.into_iter().collect();
        all.sort_by_key(|(name, (ns, _))| (std::cmp::Reverse(*ns), name.clone()));
        let items = all.into_iter().map(|(name, (_, look))| (name, look));
        Self {
            items: items.collect(),
            left: margin,
            across: ((width - 2.0 * margin) / ITEM).max(1.0) as usize,
        }
    }

    pub(crate) fn looks(&self) -> impl Iterator<Item = &Look> {
        self.items.iter().map(|(_, look)| look)
    }

    pub(crate) fn height(&self) -> f64 {
        LINE * self.items.len().div_ceil(self.across) as f64
    }

    pub(crate) fn draw(&self, top: f64, out: &mut Svg) {
        for ((name, look), at) in self.items.iter().zip(0_usize..) {
            let x = self.left + ITEM * (at % self.across) as f64;
            let y = top + LINE * (at / self.across) as f64;
            let tall = 12.0 * look.height;
            out.bar(x, y + 12.0 - tall, 18.0, tall, look);
            out.text(x + 24.0, y + 11.0, 11.0, INK, "", &cut(name, LETTERS));
        }
    }
}
