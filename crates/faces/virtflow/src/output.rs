//! Writing to people and to programs.

use std::io::Write;

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

/// A duration for people: three digits and a unit.
pub(crate) fn duration(ns: i64) -> String {
    let (value, unit) = parts(ns);
    format!("{value} {unit}")
}

/// A duration for a column: like [`duration`], with units of one width.
pub(crate) fn duration_cell(ns: i64) -> String {
    let (value, unit) = parts(ns);
    format!("{value} {unit:<2}")
}

fn parts(ns: i64) -> (String, &'static str) {
    let (sign, ns) = if ns < 0 {
        ("-", ns.unsigned_abs())
    } else {
        ("", ns.unsigned_abs())
    };
    let (value, unit) = match ns {
        0 => return ("0".to_owned(), "s"),
        1..1_000 => return (format!("{sign}{ns}"), "ns"),
        // What would be rounded up to 1000 of a unit is 1 of the next.
        1_000..999_500 => (ns as f64 / 1e3, "us"),
        999_500..999_500_000 => (ns as f64 / 1e6, "ms"),
        _ => (ns as f64 / 1e9, "s"),
    };
    let digits = if value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    let value = format!("{value:.digits$}");
    let whole = value.split('.').next().unwrap_or_default();
    match whole.parse() {
        Ok(whole) if whole >= 1000 => (format!("{sign}{}", number(whole)), unit),
        _ => (format!("{sign}{value}"), unit),
    }
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

/// A number with thousands set apart.
pub(crate) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits() {
        assert_eq!(duration(999), "999 ns");
        assert_eq!(duration(1_500), "1.50 us");
        assert_eq!(duration(123_456_789), "123 ms");
        assert_eq!(duration(12_345_678_901), "12.3 s");
        assert_eq!(duration(-2_000_000), "-2.00 ms");
        assert_eq!(duration(999_999), "1.00 ms");
        assert_eq!(duration(2_952_467_000_000), "2,952 s");
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
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(number(12), "12");
        assert_eq!(share(1, 3), "33.3 %");
        assert_eq!(share(0, 3), "0 %");
        assert_eq!(share(1, 100_000), "<0.1 %");
        assert_eq!(share(99_999, 100_000), ">99.9 %");
        assert_eq!(share(3, 3), "100.0 %");
        assert_eq!(share(1, 0), "-");
    }
}
