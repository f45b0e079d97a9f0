//! What comes out: agreements with goals and tables, as text of at most 80 columns or as JSON.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// No line of the text is longer.
pub(crate) const WIDTH: usize = 80;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Pass,
    Fail,
    /// Compared, but no goal binds here.
    Shown,
    /// The folder has nothing that could be compared.
    Nothing,
}

impl Verdict {
    pub(crate) fn of(good: bool) -> Self {
        if good { Self::Pass } else { Self::Fail }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Shown => "shown",
            Self::Nothing => "n/a",
        }
    }
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) headers: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// One of the eight.
#[derive(Debug, Serialize)]
pub(crate) struct Agreement {
    pub(crate) number: u8,
    pub(crate) name: &'static str,
    pub(crate) goal: String,
    pub(crate) verdict: Verdict,
    /// The score in a few words.
    pub(crate) score: String,
    pub(crate) tables: Vec<Table>,
    pub(crate) notes: Vec<String>,
    /// The numbers behind the score, for programs.
    pub(crate) figures: BTreeMap<String, f64>,
}

impl Agreement {
    pub(crate) fn new(number: u8, name: &'static str, goal: String) -> Self {
        let (verdict, score) = (Verdict::Nothing, "nothing to compare".to_owned());
        Self {
            number,
            name,
            goal,
            verdict,
            score,
            tables: Vec::new(),
            notes: Vec::new(),
            figures: BTreeMap::new(),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "figures are for reading")]
    pub(crate) fn figure(&mut self, name: &str, value: impl TryInto<i64>) {
        let value = value.try_into().unwrap_or(i64::MAX);
        self.figures.insert(name.to_owned(), value as f64);
    }
}

/// One folder.
#[derive(Debug, Serialize)]
pub(crate) struct Folder {
    pub(crate) name: String,
    pub(crate) facts: Vec<String>,
    pub(crate) agreements: Vec<Agreement>,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) folders: Vec<Folder>,
    /// Counts pooled over all folders.
    pub(crate) pooled: Vec<Table>,
    /// Folders that could not be compared, and why.
    pub(crate) problems: Vec<String>,
}

impl Report {
    /// Whether a goal failed or a folder could not be compared.
    pub(crate) fn failed(&self) -> bool {
        let mut verdicts = self
            .folders
            .iter()
            .flat_map(|folder| &folder.agreements)
            .map(|agreement| agreement.verdict);
        verdicts.any(|verdict| verdict == Verdict::Fail) || !self.problems.is_empty()
    }

    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        for folder in &self.folders {
            line(
                &mut out,
                &format!(
                    "=== {} {}",
                    folder.name,
                    "=".repeat(WIDTH.saturating_sub(folder.name.len() + 5))
                ),
            );
            for fact in &folder.facts {
                wrapped(&mut out, fact, "");
            }
            for agreement in &folder.agreements {
                agreement_text(&mut out, agreement);
            }
            out.push('\n');
        }
        for pooled in &self.pooled {
            table(&mut out, pooled);
            out.push('\n');
        }
        table(&mut out, &self.summary());
        for problem in &self.problems {
            wrapped(&mut out, &format!("NOT COMPARED: {problem}"), "  ");
        }
        out
    }

    /// Folder by agreement.
    fn summary(&self) -> Table {
        let headers = vec![
            "folder", "1 cpu", "2 exits", "3 who", "4 time", "5 why", "6 wakes", "7 by",
        ];
        let row = |folder: &Folder| {
            let verdicts = folder
                .agreements
                .iter()
                .map(|agreement| agreement.verdict.word().to_owned());
            std::iter::once(folder.name.clone())
                .chain(verdicts)
                .collect()
        };
        Table {
            title: "SUMMARY".into(),
            headers,
            rows: self.folders.iter().map(row).collect(),
        }
    }
}

fn agreement_text(out: &mut String, agreement: &Agreement) {
    out.push('\n');
    let verdict = agreement.verdict.word();
    line(
        out,
        &format!(
            "[{verdict}] {}. {}: {}",
            agreement.number, agreement.name, agreement.score
        ),
    );
    wrapped(out, &format!("goal: {}", agreement.goal), "  ");
    for one in &agreement.tables {
        table(out, one);
    }
    for note in &agreement.notes {
        wrapped(out, note, "  ");
    }
}

fn line(out: &mut String, text: &str) {
    out.extend(text.chars().take(WIDTH));
    out.push('\n');
}

/// Breaks `text` at spaces; every line begins with `indent`, those after the first with two spaces more.
fn wrapped(out: &mut String, text: &str, indent: &str) {
    let mut current = indent.to_owned();
    let mut empty = true;
    for word in text.split_whitespace() {
        if !empty && current.chars().count() + 1 + word.chars().count() > WIDTH {
            line(out, &current);
            current = format!("{indent}  ");
            empty = true;
        }
        if !empty {
            current.push(' ');
        }
        current.push_str(word);
        empty = false;
    }
    line(out, &current);
}

/// The first column to the left, the others to the right.
fn table(out: &mut String, table: &Table) {
    if !table.title.is_empty() {
        line(out, &format!("  {}", table.title));
    }
    let headers: Vec<String> = table
        .headers
        .iter()
        .map(|&header| header.to_owned())
        .collect();
    let width = |column: usize| {
        let cells = table
            .rows
            .iter()
            .chain([&headers])
            .filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headers.len()).map(width).collect();
    // Wide tables move together.
    let wide = widths.iter().sum::<usize>() + 2 * widths.len() + 2 > WIDTH;
    let gap = if wide { " " } else { "  " };
    for row in std::iter::once(&headers).chain(&table.rows) {
        let mut text = String::from(if wide { " " } else { "   " });
        for (index, (cell, width)) in row.iter().zip(&widths).enumerate() {
            // Writing to a String cannot fail.
            let _ = if index == 0 {
                write!(text, " {cell:<width$}")
            } else {
                write!(text, "{gap}{cell:>width$}")
            };
        }
        line(out, text.trim_end());
    }
}

/// `part` of `whole` in per cent; nothing of nothing is all of it.
#[expect(clippy::cast_precision_loss, reason = "for reading")]
pub(crate) fn percent(part: i64, whole: i64) -> f64 {
    if whole == 0 {
        100.0
    } else {
        part as f64 * 100.0 / whole as f64
    }
}

/// The same as text, "-" where there is no whole.
pub(crate) fn percent_text(part: i64, whole: i64) -> String {
    if whole == 0 {
        "-".into()
    } else {
        format!("{:.1}%", percent(part, whole))
    }
}

/// Nanoseconds as they are, for what must be none.
pub(crate) fn ns(ns: i64) -> String {
    format!("{ns} ns")
}

/// Nanoseconds as milliseconds.
#[expect(clippy::cast_precision_loss, reason = "for reading")]
pub(crate) fn ms(ns: i64) -> String {
    format!("{:.1}", ns as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_within_the_width_and_knows_failures() {
        let mut agreement = Agreement::new(3, "who runs when", "a goal ".repeat(30));
        agreement.verdict = Verdict::Fail;
        agreement.notes.push("word ".repeat(50));
        let rows = vec![vec!["x".repeat(60), "1".into(), "2".repeat(40)]];
        agreement.tables.push(Table {
            title: "t".into(),
            headers: vec!["a", "b", "c"],
            rows,
        });
        let folder = Folder {
            name: "seed".into(),
            facts: vec!["fact ".repeat(40)],
            agreements: vec![agreement],
        };
        let report = Report {
            folders: vec![folder],
            ..Report::default()
        };
        assert!(
            report
                .text()
                .lines()
                .all(|line| line.chars().count() <= WIDTH)
        );
        assert!(report.failed() && report.text().contains("[FAIL] 3. who runs when"));
        assert_eq!(
            (percent_text(1, 8), percent_text(0, 0), ms(1_550_000)),
            ("12.5%".into(), "-".into(), "1.6".into())
        );
    }
}
