//! Every text file of the repository: length, whitespace, and nothing of the machine it was made on.

use super::Complaints;
use crate::repo::Source;

/// Longer sources say why in their header.
const LINES_MAX: usize = 1000;
/// What a header says to be longer.
const LONG_BECAUSE: &str = "long because";

/// Paths of the machines that the project is made on, written so that this file does not hold them.
const MACHINE_PATHS: [&str; 3] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
];

const OF_A_MACHINE: &str = ", a path of one machine";
const OF_A_REGISTRY: &str = ", a registry that others do not have";

/// Words of a package registry that only we have, or of a mirror.
const REGISTRY_WORDS: [&str; 5] = [
    concat!("art", "ifactory"),
    concat!("ne", "xus/repository"),
    concat!("replace", "-with"),
    concat!("sparse", "+http"),
    concat!("_auth", "Token"),
];

pub(super) fn check(files: &[Source]) -> Complaints {
    let mut out = Complaints::new();
    for file in files.iter().filter(|file| !is_foreign(&file.path)) {
        let Some(text) = file.text() else { continue };
        let found = one(&file.path, text);
        if is_built(&file.path) {
            // How it is laid out is the builder's business.
            out.extend(found.into_iter().filter(|what| is_of_a_machine(what)));
        } else {
            out.extend(found);
        }
    }
    out
}

/// What a tool made of other files here.
fn is_built(path: &str) -> bool {
    path.contains("/dist/")
}

fn is_of_a_machine(complaint: &str) -> bool {
    complaint.ends_with(OF_A_MACHINE) || complaint.ends_with(OF_A_REGISTRY)
}

/// What others or the kernel wrote is left as it is.
fn is_foreign(path: &str) -> bool {
    let fixture = path.starts_with("fixtures/") && !path.ends_with(".md");
    let name = path.rsplit('/').next().unwrap_or(path);
    fixture || path.starts_with("fuzz/corpus/") || name.starts_with("LICENSE")
}

fn one(path: &str, text: &str) -> Complaints {
    let mut out = Complaints::new();
    let is_source = [".rs", ".c", ".h", ".ts", ".py", ".sh"]
        .iter()
        .any(|end| path.ends_with(end));
    let count = text.lines().count();
    if is_source && count > LINES_MAX && !header(text).contains(LONG_BECAUSE) {
        out.push(format!(
            "{path}: {count} lines; above {LINES_MAX} its header comment says \"{LONG_BECAUSE} ...\""
        ));
    }
    for (number, line) in text.split('\n').enumerate() {
        let mut say = |what: &str| out.push(format!("{path}:{}: {what}", number + 1));
        if line.ends_with([' ', '\t', '\r']) {
            say("white space at the end of the line");
        }
        if line.contains('\t') {
            say("a tab");
        }
        if let Some(found) = MACHINE_PATHS.iter().find(|found| line.contains(**found)) {
            say(&format!("{found}{OF_A_MACHINE}"));
        }
        let host = REGISTRY_WORDS.iter().find(|found| line.contains(**found));
        if let Some(found) = host {
            say(&format!("{found}{OF_A_REGISTRY}"));
        }
    }
    if !text.is_empty() && !text.ends_with('\n') {
        out.push(format!("{path}: no newline at its end"));
    }
    if text.ends_with("\n\n") {
        out.push(format!("{path}: empty lines at its end"));
    }
    out
}

/// The comment at a file's beginning.
fn header(text: &str) -> String {
    let comment = |line: &&str| {
        let line = line.trim_start();
        ["//", "#", "/*", "*"]
            .iter()
            .any(|mark| line.starts_with(mark))
    };
    text.lines()
        .take_while(comment)
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_files_say_why() {
        let body = "line\n".repeat(LINES_MAX + 1);
        assert_eq!(one("a.rs", &body).len(), 1);
        assert!(
            one(
                "a.rs",
                &format!("//! A table, long because it is one.\n{body}")
            )
            .is_empty()
        );
        assert!(one("a.md", &body).is_empty());
        let late = format!("//! A table.\nfn f() {{}}\n// long because\n{body}");
        assert_eq!(one("a.rs", &late).len(), 1, "only the header counts");
    }

    #[test]
    fn white_space_and_machines_are_found() {
        assert!(one("a.rs", "fn f() {}\n").is_empty() && one("a", "").is_empty());
        for (text, what) in [
            ("a \n", "white space"),
            ("a\r\n", "white space"),
            ("\ta\n", "a tab"),
            ("a", "no newline"),
            ("a\n\n", "empty lines"),
            (concat!("see /wo", "rk/main\n"), "path of one machine"),
            (concat!("see /ro", "ot/.cargo\n"), "path of one machine"),
            (concat!("https://x.invalid/art", "ifactory/y\n"), "registry"),
        ] {
            let found = one("a.rs", text);
            assert_eq!(found.len(), 1, "{text:?}: {found:?}");
            assert!(found[0].contains(what), "{found:?}");
        }
    }

    #[test]
    fn what_others_wrote_is_left_alone() {
        let files = [
            "fixtures/x/truth/a.csv",
            "LICENSE-MIT",
            "kmod/LICENSE-GPL-2.0",
            "fuzz/corpus/a",
            "src/a.rs",
        ]
        .map(|path| Source::of(path, "a \n"));
        assert_eq!(check(&files).len(), 1);
        let binary = Source {
            path: "a.bin".into(),
            bytes: b"a \n\0".to_vec(),
        };
        assert!(check(&[binary]).is_empty());
    }
}
