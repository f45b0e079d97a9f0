//! Names with `*` for anything.

/// A name in which `*` stands for anything.
#[derive(Clone, Copy, Debug)]
pub struct Glob<'a>(pub &'a str);

impl Glob<'_> {
    /// Whether a name is meant.
    pub fn matches(&self, name: &str) -> bool {
        let Some((head, rest)) = self.0.split_once('*') else {
            return name == self.0;
        };
        let Some(mut name) = name.strip_prefix(head) else {
            return false;
        };
        let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
        for part in middle.split('*') {
            let Some(at) = name.find(part) else {
                return false;
            };
            name = &name[at + part.len()..];
        }
        name.ends_with(tail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (glob, name) in [
            ("sched_*", "sched_switch"),
            ("*_switch", "sched_switch"),
            ("*", ""),
            ("k*_x86_*t", "kvm_x86_exit"),
            ("sched_switch", "sched_switch"),
            ("a*b*c", "a_b_b_c"),
        ] {
            assert!(Glob(glob).matches(name), "{glob} {name}");
        }
        for (glob, name) in [
            ("sched", "sched_switch"),
            ("a*a", "a"),
            ("*x", "y"),
            ("a*bc*c", "abc"),
        ] {
            assert!(!Glob(glob).matches(name), "{glob} {name}");
        }
    }
}
