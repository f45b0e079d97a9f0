//! Numbers for people.

/// A number with thousands set apart.
pub fn number(n: u64) -> String {
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

/// A duration: three digits and a unit.
pub fn duration(ns: i64) -> String {
    let (value, unit) = duration_parts(ns);
    format!("{value} {unit}")
}

/// The digits and the unit of a duration.
pub fn duration_parts(ns: i64) -> (String, &'static str) {
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
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(number(12), "12");
    }
}
