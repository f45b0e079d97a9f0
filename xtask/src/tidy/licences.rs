//! The licences of what we build on: only those that our own (MIT or Apache-2.0) can stand on.

use super::Complaints;

const ALLOWED: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "Zlib",
];

/// Packages as (name, licence).
pub(super) fn check<'a>(packages: impl Iterator<Item = (&'a str, Option<&'a str>)>) -> Complaints {
    packages
        .filter_map(|(name, licence)| match licence {
            Some(licence) if is_allowed(licence) => None,
            Some(licence) => Some(format!(
                "dependency {name}: its licence {licence} is not among those allowed (xtask/src/tidy/licences.rs)"
            )),
            None => Some(format!("dependency {name}: says no licence")),
        })
        .collect()
}

/// Whether an SPDX expression can be met with allowed licences alone; AND binds closer than OR, and a
/// slash is how old manifests say OR.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser { tokens: &tokens };
    parser.or() == Some(true) && parser.tokens.is_empty()
}

struct Parser<'t> {
    tokens: &'t [&'t str],
}

impl<'t> Parser<'t> {
    fn take(&mut self, word: &str) -> bool {
        let found = self.tokens.first() == Some(&word);
        if found {
            self.tokens = &self.tokens[1..];
        }
        found
    }

    fn next(&mut self) -> Option<&'t str> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    fn or(&mut self) -> Option<bool> {
        let mut value = self.and()?;
        while self.take("OR") {
            value |= self.and()?;
        }
        Some(value)
    }

    fn and(&mut self) -> Option<bool> {
        let mut value = self.one()?;
        while self.take("AND") {
            value &= self.one()?;
        }
        Some(value)
    }

    fn one(&mut self) -> Option<bool> {
        if self.take("(") {
            let value = self.or()?;
            return self.take(")").then_some(value);
        }
        let mut licence = self.next()?.to_owned();
        if self.take("WITH") {
            licence = format!("{licence} WITH {}", self.next()?);
        }
        Some(ALLOWED.contains(&licence.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        for good in [
            "MIT",
            "MIT OR Apache-2.0",
            "MIT/Apache-2.0",
            "GPL-3.0 OR MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR Apache-2.0",
        ] {
            assert!(is_allowed(good), "{good}");
        }
        for bad in [
            "",
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "(MIT OR Apache-2.0) AND MPL-2.0",
            "Apache-2.0 WITH Classpath-exception-2.0",
            "MIT OR",
            "(MIT",
            "MIT MIT",
        ] {
            assert!(!is_allowed(bad), "{bad}");
        }
        let complaints =
            check([("a", Some("MIT")), ("b", Some("AGPL-3.0")), ("c", None)].into_iter());
        assert_eq!(complaints.len(), 2);
    }
}
