//! Expected text with wild cards against what was printed.

use std::fmt::Write as _;

/// Whether `shown` is what is expected; `...` alone in a line stands for any number of lines, `[..]` for any text.
pub fn fits(expected: &str, shown: &str) -> bool {
    let (expected, shown): (Vec<&str>, Vec<&str>) =
        (expected.lines().collect(), shown.lines().collect());
    lines_fit(&expected, &shown)
}

fn lines_fit(expected: &[&str], shown: &[&str]) -> bool {
    match expected.split_first() {
        None => shown.is_empty(),
        Some((&"...", rest)) => (0..=shown.len()).any(|skipped| lines_fit(rest, &shown[skipped..])),
        Some((line, rest)) => shown
            .split_first()
            .is_some_and(|(first, others)| line_fits(line, first) && lines_fit(rest, others)),
    }
}

fn line_fits(expected: &str, shown: &str) -> bool {
    let mut parts = expected.split("[..]");
    let Some(rest) = parts.next().and_then(|first| shown.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    let mut rest = rest;
    for part in middle {
        let Some((_, after)) = rest.split_once(part) else {
            return false;
        };
        rest = after;
    }
    rest.ends_with(last)
}

/// What to expect from now on: what is shown, with the lines that have wild cards and still fit.
pub fn overwritten(expected: &str, shown: &str) -> String {
    let wild: Vec<&str> = expected
        .lines()
        .filter(|line| line.contains("[..]"))
        .collect();
    let mut out = String::new();
    for line in shown.lines() {
        let kept = wild.iter().find(|pattern| line_fits(pattern, line));
        out.push_str(kept.copied().unwrap_or(line));
        out.push('\n');
    }
    out
}

/// Both texts, without what is the same at their beginning and end.
pub(crate) fn difference(expected: &str, shown: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), shown.lines().collect());
    let same = |pair: &(&&str, &&str)| line_fits(pair.0, pair.1);
    let head = old.iter().zip(&new).take_while(same).count();
    let (old, new) = (&old[head..], &new[head..]);
    let tail = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take_while(same)
        .count();
    let mut out = format!("after {head} lines that fit:\n");
    for (mark, lines) in [
        ("-", &old[..old.len() - tail]),
        ("+", &new[..new.len() - tail]),
    ] {
        for line in lines {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{mark} {line}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wild_cards() {
        assert!(fits("a\n", "a\n") && fits("", "") && fits("a\n", "a"));
        assert!(!fits("a\n", "b\n") && !fits("a\n", "a\nb\n") && !fits("a\nb\n", "a\n"));
        assert!(
            fits("...\n", "") && fits("a\n...\nz\n", "a\n1\n2\nz\n") && !fits("...\nz\n", "z\ny\n")
        );
        assert!(fits("took [..] s, [..] bytes", "took 1.5 s, 7 bytes"));
        assert!(!fits("took [..] s", "took 1.5 ms,") && !fits("[..]a[..]", "b"));
    }

    #[test]
    fn overwriting_keeps_wild_lines_that_fit() {
        assert_eq!(overwritten("x [..]\nold\n", "new\nx 5\n"), "new\nx [..]\n");
        assert_eq!(
            difference("a\nb\nc\n", "a\nx\ny\nc\n"),
            "after 1 lines that fit:\n- b\n+ x\n+ y\n"
        );
    }
}
