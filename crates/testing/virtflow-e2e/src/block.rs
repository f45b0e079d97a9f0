//! The parts of a Markdown file.

/// A piece of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part<'t> {
    /// A line that is not run.
    Prose(&'t str),
    /// A command with what it should do.
    Command(Command),
}

/// A command of a `console` block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// Its lines as they stand: the first after `$ `, others after `> `.
    pub typed: String,
    /// The exit code after `? `.
    pub code: i32,
    /// What it should print.
    pub expected: String,
}

impl Command {
    /// What the shell gets.
    pub fn shell(&self) -> String {
        let lines: Vec<&str> = self
            .typed
            .lines()
            .map(|line| line.get(2..).unwrap_or_default())
            .collect();
        lines.join("\n")
    }
}

/// Takes a file apart; put together in order, the parts are the file.
pub fn parts(text: &str) -> Vec<Part<'_>> {
    let mut out = Vec::new();
    let mut inside = false;
    // Between a command's own lines and what it prints.
    let mut typing = false;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end();
        if bare.starts_with("```") {
            inside = !inside && bare == "```console";
            out.push(Part::Prose(line));
            continue;
        }
        match out.last_mut() {
            _ if inside && line.starts_with("$ ") => {
                out.push(Part::Command(Command {
                    typed: line.to_owned(),
                    ..Command::default()
                }));
                typing = true;
            }
            Some(Part::Command(command)) if inside => {
                if typing && line.starts_with("> ") {
                    command.typed.push_str(line);
                } else if let (true, Some(code)) = (typing, bare.strip_prefix("? ")) {
                    command.code = code.parse().unwrap_or(-1);
                    typing = false;
                } else {
                    command.expected.push_str(line);
                    typing = false;
                }
            }
            _ => out.push(Part::Prose(line)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_taken_apart() {
        let text = "# T\n```console\n$ a |\n> b\n? 3\nx\n? 4\n$ c\n```\n```sh\n$ d\n```\n";
        let commands: Vec<_> = parts(text)
            .into_iter()
            .filter_map(|part| match part {
                Part::Command(command) => Some(command),
                Part::Prose(_) => None,
            })
            .collect();
        assert_eq!(commands.len(), 2);
        assert_eq!(
            (commands[0].shell().as_str(), commands[0].code),
            ("a |\nb", 3)
        );
        assert_eq!(commands[0].expected, "x\n? 4\n");
        assert_eq!(
            (
                commands[1].shell().as_str(),
                commands[1].code,
                commands[1].expected.as_str()
            ),
            ("c", 0, "")
        );
    }
}
