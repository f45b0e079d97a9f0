//! A page of text for people: headings, paragraphs, tables, in at most 80 columns.
//!
//! Colour is only ever a second sign for what the words say already, and is taken out again where
//! standard output is no terminal or `NO_COLOR` is set.

use crate::table::{Table, Tone, WIDTH};
use anstyle::{AnsiColor, Style};
use std::io::Write;
use unicode_width::UnicodeWidthStr;

/// Text as it will be printed.
#[derive(Default)]
pub(crate) struct Page {
    text: String,
}

const fn style(tone: Tone) -> Style {
    match tone {
        Tone::Plain => Style::new(),
        Tone::Strong => Style::new().bold(),
        Tone::Warning => Style::new()
            .bold()
            .fg_color(Some(anstyle::Color::Ansi(AnsiColor::Yellow))),
        Tone::Faint => Style::new().dimmed(),
    }
}

impl Page {
    /// All of it, with the marks for colours.
    #[cfg(test)]
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// One line.
    pub(crate) fn line(&mut self, tone: Tone, line: &str) {
        let style = style(tone);
        self.text.push_str(&format!("{style}{line}{style:#}\n"));
    }

    /// An empty line.
    pub(crate) fn gap(&mut self) {
        self.text.push('\n');
    }

    /// A heading of the first rank.
    pub(crate) fn heading(&mut self, tone: Tone, heading: &str) {
        self.gap();
        self.line(tone, heading);
        self.line(Tone::Faint, &"=".repeat(WIDTH));
    }

    /// A heading of the second rank.
    pub(crate) fn section(&mut self, heading: &str) {
        self.gap();
        self.line(Tone::Strong, heading);
    }

    /// A paragraph, broken into lines.
    pub(crate) fn paragraph(&mut self, tone: Tone, text: &str) {
        self.indented(tone, 2, 2, text);
    }

    /// A paragraph whose first line is indented by `first` and whose others by `rest`.
    pub(crate) fn indented(&mut self, tone: Tone, first: usize, rest: usize, text: &str) {
        for line in wrap(text, first, rest) {
            self.line(tone, &line);
        }
    }

    /// A word and what there is to say about it.
    pub(crate) fn fact(&mut self, name: &str, text: &str) {
        self.labelled(Tone::Plain, 2, name, 14, text);
    }

    /// A word at one column and what there is to say about it at another.
    pub(crate) fn labelled(
        &mut self,
        tone: Tone,
        indent: usize,
        name: &str,
        at: usize,
        text: &str,
    ) {
        let lines = wrap(text, at, at).into_iter().enumerate();
        for (number, line) in lines {
            let line = match number {
                0 => format!(
                    "{:indent$}{name:<width$}{}",
                    "",
                    line.trim_start(),
                    width = at - indent
                ),
                _ => line,
            };
            self.line(tone, line.trim_end());
        }
    }

    /// A table.
    pub(crate) fn table(&mut self, table: &Table) {
        for (tone, line) in table.lines() {
            self.line(tone, &line);
        }
    }

    /// Writes it to standard output.
    pub(crate) fn print(&self) -> std::io::Result<()> {
        let mut out = anstream::AutoStream::auto(std::io::stdout().lock());
        out.write_all(self.text.as_bytes())?;
        out.flush()
    }
}

/// Breaks a text between words. A word longer than a line has a line to itself.
fn wrap(text: &str, first: usize, rest: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = " ".repeat(first);
    let mut empty = true;
    for word in text.split_whitespace() {
        if !empty && line.width() + 1 + word.width() > WIDTH {
            lines.push(std::mem::replace(&mut line, " ".repeat(rest)));
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_broken_between_words() {
        let text = "word ".repeat(40);
        let lines = wrap(&text, 2, 4);
        assert!(lines.iter().all(|line| line.width() <= WIDTH));
        assert!(lines[0].starts_with("  word") && lines[1].starts_with("    word"));
    }
}
