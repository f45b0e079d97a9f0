//! Commands as a person would type them.

use crate::plan::Plan;
use crate::{Tracer, lttng, perf, tracecmd};

/// The width of a page.
const WIDTH: usize = 80;

/// A word as a shell takes it for that word.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !word.is_empty() && word.chars().all(plain) && !word.starts_with('=') {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

impl Plan {
    /// A script for a shell: what the commands are about, the commands, and how to look at what was
    /// recorded.
    pub fn script(&self) -> String {
        let (title, notes) = match self.tracer {
            Tracer::Lttng => ("LTTng", lttng::NOTES),
            Tracer::TraceCmd => ("TRACE-CMD", tracecmd::NOTES),
            Tracer::Perf => ("PERF", perf::NOTES),
        };
        let mut script = format!("# {title}\n# {}\n", "=".repeat(WIDTH - 2));
        for note in notes {
            comment(&mut script, note);
        }
        comment(
            &mut script,
            &format!("Not told: {}.", self.cannot().join("; ")),
        );
        if !self.missing().is_empty() {
            let missing = self.missing().join(", ");
            comment(&mut script, &format!("Not here, and left out: {missing}."));
        }
        script.push('\n');
        for (says, argv) in self.typed() {
            if !says.is_empty() {
                comment(&mut script, says);
            }
            command(&mut script, &argv);
        }
        let trace = self.trace().display().to_string();
        command(&mut script, &["virtflow".into(), "report".into(), trace]);
        script
    }
}

/// A comment, broken between words.
fn comment(script: &mut String, text: &str) {
    let mut column = 0;
    for word in text.split_whitespace() {
        let long = word.chars().count();
        if column == 0 || column + 1 + long > WIDTH {
            if column > 0 {
                script.push('\n');
            }
            script.push('#');
            column = 1;
        }
        script.push(' ');
        script.push_str(word);
        column += 1 + long;
    }
    script.push('\n');
}

/// A command, broken where a shell puts it together again: between words, and behind the commas of
/// a list that is longer than a line.
fn command(script: &mut String, argv: &[String]) {
    // With room for the sign that the line goes on.
    const ROOM: usize = WIDTH - 2;
    let mut column = 0;
    for unit in units(argv) {
        let long = unit.chars().count();
        if column > 0 && column + 1 + long <= ROOM {
            script.push(' ');
            column += 1;
        } else if column > 0 {
            script.push_str(" \\\n  ");
            column = 2;
        }
        if column + long <= ROOM || unit.contains('\'') {
            script.push_str(&unit);
            column += long;
            continue;
        }
        for part in unit.split_inclusive(',') {
            let long = part.chars().count();
            if column + long > ROOM && column > 2 {
                script.push_str("\\\n");
                column = 0;
            }
            script.push_str(part);
            column += long;
        }
    }
    script.push('\n');
}

/// Words, with a short option and what belongs to it together.
fn units(argv: &[String]) -> Vec<String> {
    let mut units: Vec<String> = Vec::new();
    for word in argv {
        let short = |unit: &String| unit.len() == 2 && unit.starts_with('-') && unit != "--";
        match units.last_mut().filter(|unit| short(unit)) {
            Some(option) if !word.starts_with('-') => {
                option.push(' ');
                option.push_str(&quoted(word));
            }
            _ => units.push(quoted(word)),
        }
    }
    units
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::wanted;
    use std::process::Command;

    const ODD: [&str; 12] = [
        "plain-1.2/x",
        "",
        "a b",
        "it's",
        "$HOME",
        "`id`",
        "a\"b",
        "~",
        "*",
        "a\\b",
        "=ls",
        "new\nline",
    ];

    /// What a shell makes of a script whose commands print their arguments.
    fn shell(script: &str) -> Vec<Vec<u8>> {
        let output = Command::new("sh").args(["-c", script]).output().unwrap();
        assert!(output.status.success(), "{script}: {output:?}");
        output
            .stdout
            .split(|byte| *byte == 0)
            .map(<[u8]>::to_vec)
            .collect()
    }

    #[test]
    fn a_shell_takes_quoted_words_for_what_they_are() {
        let argv: Vec<_> = ["printf", "%s\\0"]
            .iter()
            .chain(&ODD)
            .map(|&w| w.to_owned())
            .collect();
        let mut script = String::new();
        command(&mut script, &argv);
        let odd = ODD.iter().map(|word| word.as_bytes());
        assert_eq!(shell(&script), odd.chain([&b""[..]]).collect::<Vec<_>>());
    }

    /// Of every tracer, a shell takes the broken lines for the words that they were.
    #[test]
    fn broken_lines_are_put_together_again() {
        for tracer in Tracer::ALL {
            let mut wanted = wanted("dir with 'quotes'");
            wanted.command = ODD.map(str::to_owned).to_vec();
            let plan = Plan::of_all(tracer, wanted);
            for argv in plan.commands() {
                let mut script = String::new();
                let print = ["printf", "%s\\0"].map(str::to_owned);
                command(&mut script, &[&print, &argv[..]].concat());
                let mut said = shell(&script);
                said.pop();
                let argv: Vec<_> = argv.iter().map(|word| word.as_bytes()).collect();
                assert_eq!(said, argv, "{script}");
            }
        }
    }

    #[test]
    fn no_line_is_wider_than_the_page() {
        for tracer in Tracer::ALL {
            let script = Plan::of_all(tracer, wanted("trace")).script();
            let wide = script.lines().find(|line| line.chars().count() > WIDTH);
            assert_eq!(wide, None);
            assert!(
                !script.contains("  \n") && !script.contains(" \n"),
                "{script}"
            );
        }
    }
}
