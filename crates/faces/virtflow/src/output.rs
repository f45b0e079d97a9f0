//! Writing to people and to programs.

use std::io::Write;

/// Says something on standard error; there is nobody to tell if that fails.
pub(crate) fn complain(message: &str) {
    let _ = writeln!(std::io::stderr(), "{message}");
}

/// Whether the reader of our output went away, as `head` does.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        let csv = cause.downcast_ref::<csv::Error>().and_then(|e| match e.kind() {
            csv::ErrorKind::Io(io) => Some(io.kind()),
            _ => None,
        });
        let json = cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
        io.or(csv).or(json) == Some(std::io::ErrorKind::BrokenPipe)
    })
}

/// Bytes as text: UTF-8 as it is, every other byte and every control character as `\xNN`.
pub(crate) fn text(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() {
                let mut utf8 = [0; 4];
                c.encode_utf8(&mut utf8).bytes().for_each(|b| push_hex(&mut out, b));
            } else {
                out.push(c);
            }
        }
        chunk.invalid().iter().for_each(|&b| push_hex(&mut out, b));
    }
    out
}

fn push_hex(out: &mut String, byte: u8) {
    out.push_str(&format!("\\x{byte:02X}"));
}

/// A duration for people: three digits and a unit.
pub(crate) fn duration(ns: i64) -> String {
    let (sign, ns) = if ns < 0 { ("-", ns.unsigned_abs()) } else { ("", ns.unsigned_abs()) };
    let (value, unit) = match ns {
        0..1_000 => return format!("{sign}{ns} ns"),
        1_000..1_000_000 => (ns as f64 / 1e3, "us"),
        1_000_000..1_000_000_000 => (ns as f64 / 1e6, "ms"),
        _ => (ns as f64 / 1e9, "s"),
    };
    let digits = if value >= 99.95 { 0 } else if value >= 9.995 { 1 } else { 2 };
    format!("{sign}{value:.digits$} {unit}")
}

/// A share for people, in per cent.
pub(crate) fn share(part: i64, whole: i64) -> String {
    if whole <= 0 {
        return "-".to_owned();
    }
    let per_cent = 100.0 * part as f64 / whole as f64;
    match per_cent {
        p if p == 0.0 => "0 %".to_owned(),
        p if p < 0.1 => "<0.1 %".to_owned(),
        p => format!("{p:.1} %"),
    }
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
    fn what_is_not_text_is_shown_as_bytes() {
        assert_eq!(text(b"CPU 0/KVM"), "CPU 0/KVM");
        assert_eq!(text(b"a\xffb\n"), "a\\xFFb\\x0A");
        assert_eq!(text("é".as_bytes()), "é");
    }

    #[test]
    fn durations_have_three_digits() {
        assert_eq!(duration(999), "999 ns");
        assert_eq!(duration(1_500), "1.50 us");
        assert_eq!(duration(123_456_789), "123 ms");
        assert_eq!(duration(12_345_678_901), "12.3 s");
        assert_eq!(duration(-2_000_000), "-2.00 ms");
    }

    #[test]
    fn numbers_and_shares() {
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(number(12), "12");
        assert_eq!(share(1, 3), "33.3 %");
        assert_eq!(share(0, 3), "0 %");
        assert_eq!(share(1, 100_000), "<0.1 %");
        assert_eq!(share(1, 0), "-");
    }
}
