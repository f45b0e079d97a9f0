//! ARCHITECTURE.md's invariants: each names the test that holds it, and that test exists.
//!
//! An invariant is an item of a list below a heading with the word "invariant". It ends with
//! `held by` and one or more names in backquotes: a test function (its module path may precede it), or
//! a command `cargo xtask ...`.

use super::Complaints;
use crate::repo::Source;
use std::collections::HashSet;

pub(super) fn check(files: &[Source]) -> Complaints {
    let Some(text) = files
        .iter()
        .find(|file| file.path == "ARCHITECTURE.md")
        .and_then(Source::text)
    else {
        return Complaints::new();
    };
    let mut tests = HashSet::new();
    for file in files.iter().filter(|file| file.path.ends_with(".rs")) {
        test_functions(file.text().unwrap_or_default(), &mut tests);
    }
    let mut out = Complaints::new();
    for (line, invariant) in invariants(text) {
        let at = format!("ARCHITECTURE.md:{line}");
        let Some((_, holders)) = invariant.rsplit_once("held by") else {
            out.push(format!(
                "{at}: the invariant does not say `held by` which test"
            ));
            continue;
        };
        let names: Vec<&str> = holders.split('`').skip(1).step_by(2).collect();
        if names.is_empty() {
            out.push(format!("{at}: `held by` names no test in backquotes"));
        }
        for name in names.iter().filter(|name| !is_held(name, &tests)) {
            out.push(format!("{at}: held by `{name}`, which is no test"));
        }
    }
    out
}

fn is_held(name: &str, tests: &HashSet<&str>) -> bool {
    let commands = [
        "tidy",
        "ci",
        "conformance",
        "accuracy",
        "fixtures",
        "store-docs",
        "http",
        "web",
    ];
    if let Some(command) = name.strip_prefix("cargo xtask ") {
        return commands.contains(&command.split(' ').next().unwrap_or_default());
    }
    tests.contains(name.rsplit("::").next().unwrap_or(name))
}

/// The list items below headings with the word "invariant", and the line each begins at.
fn invariants(text: &str) -> Vec<(usize, String)> {
    let mut out: Vec<(usize, String)> = Vec::new();
    let (mut inside, mut open) = (false, false);
    for (number, line) in text.lines().enumerate() {
        if line.starts_with('#') {
            inside = line.to_lowercase().contains("invariant");
            open = false;
        } else if inside && (line.starts_with("- ") || line.starts_with("* ")) {
            out.push((number + 1, line.to_owned()));
            open = true;
        } else if line.trim().is_empty() {
            open = false;
        } else if let (true, Some((_, item))) = (open, out.last_mut()) {
            item.push(' ');
            item.push_str(line.trim());
        }
    }
    out
}

/// The names of functions that an attribute with `test` precedes, or that stand in `proptest!`.
fn test_functions<'t>(text: &'t str, out: &mut HashSet<&'t str>) {
    let mut marked = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[") {
            marked |= line.contains("test]") || line.contains("test(");
        } else if let Some(rest) = line.strip_prefix("fn ") {
            if marked {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
                out.insert(&rest[..end.unwrap_or(rest.len())]);
            }
            marked = false;
        } else if !line.starts_with("//") {
            marked = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(architecture: &str) -> Complaints {
        let code = "#[test]\n#[ignore = \"slow\"]\nfn lanes_tile() {}\nfn helper() {}\n";
        check(&[
            Source::of("ARCHITECTURE.md", architecture),
            Source::of("crates/a/src/tests.rs", code),
        ])
    }

    #[test]
    fn invariants_name_tests_that_exist() {
        assert!(check(&[]).is_empty());
        let good = "# A\n- no invariant\n## Invariants\nText.\n- Lanes tile,\n  held by `tests::lanes_tile`.\n- Walls stand; held by `cargo xtask tidy`\n\n## Else\n- what\n";
        assert!(complaints(good).is_empty(), "{:?}", complaints(good));
        for (bad, what) in [
            ("## Invariants\n- Lanes tile.\n", "does not say"),
            (
                "## Invariants\n- Lanes tile, held by a test\n",
                "names no test",
            ),
            (
                "## Invariants\n- Lanes tile, held by `lanes_tiled`\n",
                "no test",
            ),
            ("## Invariants\n- Lanes tile, held by `helper`\n", "no test"),
            (
                "## Invariants\n- x, held by `lanes_tile` and `cargo xtask dance`\n",
                "dance",
            ),
        ] {
            let found = complaints(bad);
            assert_eq!(found.len(), 1, "{bad}: {found:?}");
            assert!(found[0].contains(what), "{found:?}");
        }
    }
}
