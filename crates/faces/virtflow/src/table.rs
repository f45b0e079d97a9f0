//! Tables of plain text that are never wider than the page.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The width of a page.
pub(crate) const WIDTH: usize = 80;
const INDENT: usize = 2;
/// What gives way where there is no room, in this order: the space between columns, and what a
/// column of names is not made narrower than.
const TIGHTER: [(usize, usize); 2] = [(2, 16), (1, 8)];

/// How a row stands out, besides its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Strong,
    Warning,
    Faint,
}

enum Row {
    Cells(Tone, Vec<String>),
    Rule,
}

/// Columns of names on the left, of figures on the right. Names give way when there is no room:
/// they are shortened in the middle.
pub(crate) struct Table {
    /// How many columns, from the left, are names.
    names: usize,
    rows: Vec<Row>,
}

impl Table {
    /// With these headings, of which the first `names` stand over names.
    pub(crate) fn new<S: Into<String>>(
        names: usize,
        headings: impl IntoIterator<Item = S>,
    ) -> Self {
        let headings = headings.into_iter().map(Into::into).collect();
        Self {
            names,
            rows: vec![Row::Cells(Tone::Faint, headings), Row::Rule],
        }
    }

    /// Adds a row.
    pub(crate) fn row<S: Into<String>>(&mut self, tone: Tone, cells: impl IntoIterator<Item = S>) {
        self.rows.push(Row::Cells(
            tone,
            cells.into_iter().map(Into::into).collect(),
        ));
    }

    /// Adds a line between rows.
    pub(crate) fn rule(&mut self) {
        self.rows.push(Row::Rule);
    }

    /// Whether it has no rows besides its headings.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.len() <= 2
    }

    /// Its lines, none wider than [`WIDTH`].
    pub(crate) fn lines(&self) -> Vec<(Tone, String)> {
        let (widths, gap) = self.widths();
        self.rows
            .iter()
            .map(|row| match row {
                Row::Rule => {
                    let width = widths.iter().sum::<usize>() + gap * widths.len().saturating_sub(1);
                    (Tone::Faint, format!("{:INDENT$}{}", "", "-".repeat(width)))
                }
                Row::Cells(tone, cells) => (*tone, self.line(cells, &widths, gap)),
            })
            .collect()
    }

    fn line(&self, cells: &[String], widths: &[usize], gap: usize) -> String {
        let mut line = " ".repeat(INDENT);
        for (number, (cell, &width)) in cells.iter().zip(widths).enumerate() {
            if number > 0 {
                line.push_str(&" ".repeat(gap));
            }
            let cell = shorten(cell, width);
            let space = " ".repeat(width.saturating_sub(cell.width()));
            if number < self.names {
                line.push_str(&cell);
                line.push_str(&space);
            } else {
                line.push_str(&space);
                line.push_str(&cell);
            }
        }
        line.truncate(line.trim_end().len());
        line
    }

    /// The widths of the columns, and of the space between them.
    fn widths(&self) -> (Vec<usize>, usize) {
        let mut widths = Vec::new();
        for row in &self.rows {
            let Row::Cells(_, cells) = row else { continue };
            widths.resize(widths.len().max(cells.len()), 0);
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(cell.width());
            }
        }
        for (gap, name_min) in TIGHTER {
            let room = WIDTH - INDENT - gap * widths.len().saturating_sub(1);
            let mut tighter = widths.clone();
            while tighter.iter().sum::<usize>() > room {
                match tighter[..self.names].iter_mut().max() {
                    Some(widest) if *widest > name_min => *widest -= 1,
                    _ => break,
                }
            }
            if tighter.iter().sum::<usize>() <= room || gap == 1 {
                return (tighter, gap);
            }
        }
        (widths, 1)
    }
}

/// At most `width` columns of a text; what is too much is left out in the middle.
pub(crate) fn shorten(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let keep = width.saturating_sub(1);
    let (head, tail) = (keep.div_ceil(2), keep / 2);
    let mut out = take(text.chars(), head);
    out.push('…');
    out.extend(take(text.chars().rev(), tail).chars().rev());
    out
}

/// As many characters as fit into `width` columns.
fn take(chars: impl Iterator<Item = char>, width: usize) -> String {
    let mut used = 0;
    chars
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= width
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shortened_in_the_middle() {
        assert_eq!(shorten("qemu-system-x86:139", 11), "qemu-…6:139");
        assert_eq!(shorten("short", 5), "short");
        assert_eq!(shorten("日本語日本語", 5), "日…語");
        assert_eq!(shorten("abc", 0), "…");
    }

    #[test]
    fn no_line_is_wider_than_the_page() {
        let mut table = Table::new(1, ["name", "a", "b"]);
        table.row(Tone::Plain, ["x".repeat(200), "1".repeat(20), "2".into()]);
        table.row(Tone::Plain, ["y", "1", "22"]);
        let lines = table.lines();
        assert!(
            lines.iter().all(|(_, line)| line.width() <= WIDTH),
            "{lines:?}"
        );
        assert!(lines[2].1.ends_with('2') && lines[2].1.contains('…'));
        assert_eq!(lines[1].1.len(), WIDTH);
    }
}
