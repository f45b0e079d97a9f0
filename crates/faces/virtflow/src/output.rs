//! Writing to people and to programs.

use std::io::Write;
use virtflow_base::duration_parts;
pub(crate) use virtflow_base::{duration, number};

/// Says something on standard error; there is nobody to tell if that fails.
pub(crate) fn complain(message: &str) {
    let _ = writeln!(std::io::stderr(), "{message}");
}

/// An error and what led to it, without saying twice what an error quotes of its own cause.
pub(crate) fn chain(error: &anyhow::Error) -> String {
    error
        .chain()
        .map(ToString::to_string)
        .fold(String::new(), |told, cause| match &told[..] {
            "" => cause,
            _ if told.ends_with(&cause) => told,
            _ => format!("{told}: {cause}"),
        })
}

/// Whether the reader of our output went away, as `head` does.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause
            .downcast_ref::<std::io::Error>()
            .map(std::io::Error::kind);
        let csv = cause
            .downcast_ref::<csv::Error>()
            .and_then(|e| match e.kind() {
                csv::ErrorKind::Io(io) => Some(io.kind()),
                _ => None,
            });
        let json = cause
            .downcast_ref::<serde_json::Error>()
            .and_then(serde_json::Error::io_error_kind);
        io.or(csv).or(json) == Some(std::io::ErrorKind::BrokenPipe)
    })
}

/// Writes a value as indented JSON on standard output.
pub(crate) fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)?;
    out.flush()?;
    Ok(())
}

/// A duration for a column: like [`duration`], with units of one width.
pub(crate) fn duration_cell(ns: i64) -> String {
    let (value, unit) = duration_parts(ns);
    format!("{value} {unit:<2}")
}

/// A size in bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// A share for people, in per cent.
pub(crate) fn share(part: i64, whole: i64) -> String {
    if whole <= 0 {
        return "-".to_owned();
    }
    let per_cent = 100.0 * part as f64 / whole as f64;
    match per_cent {
        0.0 => "0 %".to_owned(),
        p if p < 0.1 => "<0.1 %".to_owned(),
        p if (99.95..100.0).contains(&p) => ">99.9 %".to_owned(),
        p => format!("{p:.1} %"),
    }
}

/// A share for a column whose heading says that it is in per cent.
pub(crate) fn per_cent(part: i64, whole: i64) -> String {
    share(part, whole).trim_end_matches(" %").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_a_column_have_units_of_one_width() {
        assert_eq!(duration_cell(1_500_000_000), "1.50 s ");
    }

    #[test]
    fn errors_are_not_said_twice() {
        let io = || std::io::Error::from(std::io::ErrorKind::NotFound);
        let quoted = anyhow::Error::new(io()).context(format!("cannot open x: {}", io()));
        assert_eq!(chain(&quoted), format!("cannot open x: {}", io()));
        assert_eq!(
            chain(&anyhow::Error::new(io()).context("a")),
            format!("a: {}", io())
        );
    }

    #[test]
    fn numbers_and_shares() {
        assert_eq!(share(1, 3), "33.3 %");
        assert_eq!(share(0, 3), "0 %");
        assert_eq!(share(1, 100_000), "<0.1 %");
        assert_eq!(share(99_999, 100_000), ">99.9 %");
        assert_eq!(share(3, 3), "100.0 %");
        assert_eq!(share(1, 0), "-");
    }
}
