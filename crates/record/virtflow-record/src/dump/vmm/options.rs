//! Pieces that command lines of VMMs have in common.

/// Options of the form `--name value`, `--name=value`, `-n value`, in order: names without dashes.
/// What follows an option that is no option itself is its values.
pub(super) fn options<'a>(arguments: &'a [String], free: &[&str]) -> Vec<(&'a str, Vec<&'a str>)> {
    let mut all: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut arguments = arguments.iter().map(String::as_str);
    while let Some(argument) = arguments.next() {
        let name = argument.strip_prefix('-').filter(|name| !name.is_empty());
        let Some(name) = name else {
            if let Some((_, values)) = all.last_mut() {
                values.push(argument);
            }
            continue;
        };
        let name = name.strip_prefix('-').unwrap_or(name);
        match name.split_once('=') {
            Some((name, value)) => all.push((name, vec![value])),
            // Its value may begin as options do.
            None if free.contains(&name) => {
                all.push((name, arguments.next().into_iter().collect()))
            }
            None => all.push((name, Vec::new())),
        }
    }
    all
}

/// `a=b,c=d`; a piece without `=` has no value.
#[derive(Debug, Default)]
pub(super) struct Keys<'a>(Vec<(&'a str, Option<&'a str>)>);

impl<'a> Keys<'a> {
    /// Commas inside brackets or double quotes separate nothing.
    pub(super) fn new(text: &'a str) -> Self {
        let (mut depth, mut quoted) = (0_usize, false);
        let pieces = text.split(move |c| {
            match c {
                '"' => quoted = !quoted,
                '[' if !quoted => depth += 1,
                ']' if !quoted => depth = depth.saturating_sub(1),
                _ => {}
            }
            c == ',' && depth == 0 && !quoted
        });
        Self(
            pieces
                .map(|piece| match piece.split_once('=') {
                    Some((key, value)) => (key, Some(value)),
                    None => (piece, None),
                })
                .collect(),
        )
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a str> {
        self.0.iter().rev().find(|(name, _)| *name == key)?.1
    }

    pub(super) fn text(&self, key: &str) -> Option<String> {
        let value = self.get(key)?.trim_matches('"');
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// The piece that comes first without a key.
    pub(super) fn first(&self) -> Option<&'a str> {
        let (piece, value) = self.0.first()?;
        (value.is_none() && !piece.is_empty()).then_some(*piece)
    }

    /// Whether something is on: told by its name alone, or by a word.
    pub(super) fn switch(&self, key: &str) -> Option<bool> {
        match self.0.iter().rev().find(|(name, _)| *name == key)? {
            (_, None) => Some(true),
            (_, Some(value)) => on(value),
        }
    }
}

pub(super) fn on(word: &str) -> Option<bool> {
    match word {
        "on" | "true" | "yes" | "1" => Some(true),
        "off" | "false" | "no" | "0" => Some(false),
        _ => None,
    }
}

/// `512M`, `1.5G`, `4194304k`: bytes, in powers of 1024; without a letter in units of `unit`.
pub(super) fn bytes(text: &str, unit: u64) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text.get(digits.len()..)?.to_ascii_lowercase().as_str() {
        "" => unit.checked_ilog2()?,
        "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        "t" | "tib" => 40,
        "p" | "pib" => 50,
        _ => return None,
    };
    if let Ok(whole) = digits.parse::<u64>() {
        return whole.checked_mul(1 << shift);
    }
    let parts: f64 = digits.parse().ok()?;
    let bytes = parts * (1_u64 << shift) as f64;
    (parts.is_finite() && (0.0..1e18).contains(&bytes)).then_some(bytes as u64)
}

#[cfg(test)]
pub(super) fn argv(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(bytes("2048", 1 << 20), Some(2 << 30));
        assert_eq!(bytes("4194304k", 1 << 20), Some(4 << 30));
        assert_eq!(bytes("1.5G", 1 << 20), Some(3 << 29));
        assert_eq!(bytes("1024", 1), Some(1024));
        for wrong in ["", "G", "-1", "1X", "99999999999P", "inf", "nan", "1e300"] {
            assert_eq!(bytes(wrong, 1 << 20), None, "{wrong}");
        }
    }

    #[test]
    fn keys_are_not_cut_inside_brackets() {
        let keys = Keys::new("boot=2,affinity=[0@[0,1],1@[2]],path=\"/a,b\",on");
        assert_eq!(keys.get("affinity"), Some("[0@[0,1],1@[2]]"));
        assert_eq!(keys.text("path").as_deref(), Some("/a,b"));
        assert_eq!((keys.switch("on"), keys.switch("off")), (Some(true), None));
        assert_eq!(Keys::new("4,x=1").first(), Some("4"));
        assert_eq!(Keys::new("]],[").get("x"), None);
    }

    #[test]
    fn options_with_their_values() {
        let line = argv("--disk path=a path=b --net=tap=t0 -c 2 --params -x rest");
        let told = options(&line, &["params"]);
        let expected = [
            ("disk", vec!["path=a", "path=b"]),
            ("net", vec!["tap=t0"]),
            ("c", vec!["2"]),
            ("params", vec!["-x", "rest"]),
        ];
        assert_eq!(told, expected);
    }
}
